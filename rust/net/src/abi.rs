//! The types of include/phase_net.h, field by field.

use std::ffi::{c_char, CString};
use std::mem::{offset_of, size_of};
use std::ptr;
use std::sync::Arc;

use libp2p::Stream;

use crate::book::PeerRow;
use crate::channel::Channel;
use crate::error::{Code, Error, Result};
use crate::queue::{Event, Key, Outcome, Way};

#[repr(C)]
pub struct phase_net_options {
    pub seed: *const u8,
    pub listen: *const *const c_char,
    pub agent: *const c_char,
    pub listen_count: usize,
    pub streams_per_peer_max: usize,
    pub streams_max: usize,
    pub idle_timeout_ms: u64,
    pub connections_max: u32,
    pub mdns: bool,
    pub upnp: bool,
    pub dht_client: bool,
    pub small: bool,
}

const _: () = assert!(size_of::<phase_net_options>() == 64);
const _: () = assert!(offset_of!(phase_net_options, small) == 63);

#[repr(C)]
pub struct phase_net_event {
    pub request: u64,
    pub round_trip_ns: i64,
    pub text: *const c_char,
    pub peers: *const u8,
    pub peer_count: usize,
    pub stream_id: u64,
    pub stream: *const phase_net_stream,
    pub kind: i32,
    pub code: i32,
}

const _: () = assert!(size_of::<phase_net_event>() == 64);
const _: () = assert!(offset_of!(phase_net_event, kind) == 56);

#[repr(C)]
pub struct phase_net_peer {
    pub key: Key,
    pub round_trip_ns: i64,
    pub addresses: *const phase_net_texts,
    pub connected: bool,
}

const _: () = assert!(size_of::<phase_net_peer>() == 56);
const _: () = assert!(offset_of!(phase_net_peer, connected) == 48);

/// Given out as a counted reference.
pub type phase_net_stream = Channel<Stream>;

pub struct phase_net_error {
    pub code: Code,
    pub text: CString,
}

pub struct phase_net_texts(pub Vec<CString>);

pub struct phase_net_peers {
    pub rows: Vec<phase_net_peer>,
    /// What `rows` points into. Never grows, so nothing in it moves.
    _addresses: Vec<phase_net_texts>,
}

/// Text for C: a zero byte inside would end it early, so it ends there.
pub fn c_text(text: &str) -> CString {
    let until_zero = text.split('\0').next().unwrap_or_default();
    CString::new(until_zero).unwrap_or_default()
}

fn nanoseconds(time: Option<std::time::Duration>) -> i64 {
    time.map_or(-1, |t| i64::try_from(t.as_nanos()).unwrap_or(i64::MAX))
}

impl phase_net_texts {
    pub fn new<T: ToString>(texts: impl IntoIterator<Item = T>) -> Self {
        let lines = texts.into_iter().map(|text| c_text(&text.to_string()));
        Self(lines.collect())
    }
}

impl phase_net_peers {
    pub fn new(known: Vec<PeerRow>) -> Self {
        let keyed = |row: PeerRow| crate::peer_key(&row.peer).map(|key| (key, row));
        let (mut rows, mut addresses) = (Vec::new(), Vec::new());
        for (key, row) in known.into_iter().filter_map(keyed) {
            rows.push(phase_net_peer {
                key,
                round_trip_ns: nanoseconds(row.round_trip),
                addresses: ptr::null(),
                connected: row.connected,
            });
            addresses.push(phase_net_texts::new(row.addresses));
        }
        for (row, texts) in rows.iter_mut().zip(&addresses) {
            row.addresses = texts;
        }
        Self {
            rows,
            _addresses: addresses,
        }
    }
}

/// Null for success.
pub fn error_out(result: Result<()>) -> *mut phase_net_error {
    match result {
        Ok(()) => ptr::null_mut(),
        Err(Error { code, text }) => Box::into_raw(Box::new(phase_net_error {
            code,
            text: c_text(&text),
        })),
    }
}

const KIND_NONE: i32 = 0;
const KIND_COMPLETED: i32 = 1;
const KIND_INBOUND: i32 = 2;
const KIND_READY: i32 = 3;
const KIND_ROUTING: i32 = 4;
const KIND_WARNING: i32 = 5;
const KIND_READABLE: i32 = 6;
const KIND_WRITABLE: i32 = 7;

impl phase_net_event {
    pub fn none() -> Self {
        Self {
            request: 0,
            round_trip_ns: -1,
            text: c"".as_ptr(),
            peers: ptr::null(),
            peer_count: 0,
            stream_id: 0,
            stream: ptr::null(),
            kind: KIND_NONE,
            code: Code::Ok as i32,
        }
    }

    fn new(kind: i32, text: &str) -> Self {
        let mut event = Self::none();
        event.kind = kind;
        if !text.is_empty() {
            event.text = c_text(text).into_raw();
        }
        event
    }

    fn with_peers(mut self, peers: Vec<Key>) -> Self {
        if !peers.is_empty() {
            self.peer_count = peers.len();
            self.peers = Box::into_raw(peers.into_boxed_slice()).cast();
        }
        self
    }

    fn with_stream(mut self, stream: Option<Arc<phase_net_stream>>) -> Self {
        if let Some(stream) = stream {
            self.stream_id = stream.id;
            self.stream = Arc::into_raw(stream);
        }
        self
    }

    fn of_stream(kind: i32, stream_id: u64) -> Self {
        Self {
            kind,
            stream_id,
            ..Self::none()
        }
    }

    fn ended<T>(kind: i32, result: Result<T>) -> (Self, Option<T>) {
        match result {
            Ok(value) => (Self::new(kind, ""), Some(value)),
            Err(error) => {
                let mut event = Self::new(kind, &error.text);
                event.code = error.code as i32;
                (event, None)
            }
        }
    }

    pub fn from(event: Event) -> Self {
        match event {
            Event::Completed { request, result } => {
                let (mut out, outcome) = Self::ended(KIND_COMPLETED, result);
                out.request = request;
                let Outcome {
                    stream,
                    peers,
                    round_trip,
                } = outcome.unwrap_or_default();
                out.round_trip_ns = nanoseconds(round_trip);
                out.with_peers(peers).with_stream(stream)
            }
            Event::Inbound {
                peer,
                protocol,
                stream,
            } => Self::new(KIND_INBOUND, &protocol)
                .with_peers(vec![peer])
                .with_stream(Some(stream)),
            Event::Stream(signal) => match signal.way {
                Way::Read => Self::of_stream(KIND_READABLE, signal.id),
                Way::Write => Self::of_stream(KIND_WRITABLE, signal.id),
            },
            Event::Ready(result) => Self::ended(KIND_READY, result).0,
            Event::Routing => Self::new(KIND_ROUTING, ""),
            Event::Warning(text) => Self::new(KIND_WARNING, &text),
        }
    }

    /// Frees what `from` gave out and leaves `none`.
    ///
    /// # Safety
    /// The pointers must be those that `from` made; the stream, if any, must belong to the event.
    pub unsafe fn clear(&mut self) {
        let old = std::mem::replace(self, Self::none());
        if !old.text.is_null() && unsafe { *old.text } != 0 {
            drop(unsafe { CString::from_raw(old.text.cast_mut()) });
        }
        if !old.peers.is_null() {
            let keys =
                ptr::slice_from_raw_parts_mut(old.peers.cast_mut().cast::<Key>(), old.peer_count);
            drop(unsafe { Box::from_raw(keys) });
        }
        if !old.stream.is_null() {
            drop(unsafe { Arc::from_raw(old.stream) });
        }
    }
}
