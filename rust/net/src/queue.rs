//! The one way out: a bounded queue of events, signalled by an eventfd.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Code, Error, Result};
use crate::limits::{COMMANDS_MAX, INBOUND_QUEUE_MAX};

pub type Key = [u8; 32];

/// The end of a stream that goes to C++, and the number it is ended by.
#[derive(Debug)]
pub struct StreamSocket {
    pub socket: OwnedFd,
    pub id: u64,
}

/// What a finished command brings back.
#[derive(Debug, Default)]
pub struct Outcome {
    pub stream: Option<StreamSocket>,
    pub peers: Vec<Key>,
    pub round_trip: Option<Duration>,
}

#[derive(Debug)]
pub enum Event {
    Completed {
        request: u64,
        result: Result<Outcome>,
    },
    Inbound {
        peer: Key,
        protocol: String,
        stream: StreamSocket,
    },
    Ready(Result<()>),
    Routing,
    Warning(String),
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    /// Commands accepted and not yet taken back: each has a place among `events` reserved.
    outstanding: usize,
    inbound: usize,
    /// At most one `Routing` waits.
    routing: bool,
    signalled: bool,
}

pub struct Queue {
    state: Mutex<State>,
    signal: OwnedFd,
}

impl Queue {
    pub fn new() -> io::Result<Self> {
        // SAFETY: plain system call; the result is checked before it becomes an owner.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh descriptor that nobody else owns.
        let signal = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self {
            state: Mutex::default(),
            signal,
        })
    }

    pub fn descriptor(&self) -> RawFd {
        self.signal.as_raw_fd()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, state: &mut State, event: Event) {
        state.events.push_back(event);
        if !state.signalled {
            state.signalled = true;
            let one: u64 = 1;
            // SAFETY: eight bytes of a live local. The counter cannot overflow: it is 0 before.
            unsafe { libc::write(self.descriptor(), (&raw const one).cast(), 8) };
        }
    }

    /// Reserves the place of one completion. Errors: `Busy`.
    pub fn reserve(&self) -> Result<()> {
        let mut state = self.lock();
        if state.outstanding >= COMMANDS_MAX {
            return Err(Error::new(
                Code::Busy,
                format!("{COMMANDS_MAX} commands are under way already"),
            ));
        }
        state.outstanding += 1;
        Ok(())
    }

    /// Gives a reserved place back unused.
    pub fn release(&self) {
        let mut state = self.lock();
        state.outstanding = state.outstanding.saturating_sub(1);
    }

    pub fn complete(&self, request: u64, result: Result<Outcome>) {
        let mut state = self.lock();
        self.put(&mut state, Event::Completed { request, result });
    }

    /// False when too many wait; the stream is dropped by then.
    pub fn inbound(&self, peer: Key, protocol: String, stream: StreamSocket) -> bool {
        let mut state = self.lock();
        if state.inbound >= INBOUND_QUEUE_MAX {
            return false;
        }
        state.inbound += 1;
        self.put(
            &mut state,
            Event::Inbound {
                peer,
                protocol,
                stream,
            },
        );
        true
    }

    pub fn ready(&self, result: Result<()>) {
        self.put(&mut self.lock(), Event::Ready(result));
    }

    pub fn routing(&self) {
        let mut state = self.lock();
        if !state.routing {
            state.routing = true;
            self.put(&mut state, Event::Routing);
        }
    }

    /// Its callers stop at `WARNINGS_MAX`.
    pub fn warning(&self, text: String) {
        self.put(&mut self.lock(), Event::Warning(text));
    }

    pub fn pop(&self) -> Option<Event> {
        let mut state = self.lock();
        let event = state.events.pop_front();
        match &event {
            Some(Event::Completed { .. }) => {
                state.outstanding = state.outstanding.saturating_sub(1);
            }
            Some(Event::Inbound { .. }) => state.inbound -= 1,
            Some(Event::Routing) => state.routing = false,
            _ => {}
        }
        if state.events.is_empty() && state.signalled {
            state.signalled = false;
            let mut count: u64 = 0;
            // SAFETY: eight bytes of a live local.
            unsafe { libc::read(self.descriptor(), (&raw mut count).cast(), 8) };
        }
        event
    }
}
