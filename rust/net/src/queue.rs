//! The one way out: a bounded queue of events, signalled by an eventfd.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Wake;
use std::time::Duration;

use libp2p::Stream;

use crate::channel::Channel;

use crate::error::{Code, Error, Result};
use crate::limits::{COMMANDS_MAX, INBOUND_QUEUE_MAX};

pub type Key = [u8; 32];

/// What C++ waits for on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Read,
    Write,
}

/// One direction of a stream as the queue knows it: at most one event for it waits.
#[derive(Debug)]
pub struct Signal {
    pub id: u64,
    pub way: Way,
    state: AtomicU8,
    queue: Weak<Queue>,
}

impl Signal {
    /// C++ waits, or is about to.
    const ARMED: u8 = 1;
    /// Its event is among those of the queue.
    const QUEUED: u8 = 2;

    pub fn new(id: u64, way: Way, queue: Weak<Queue>) -> Self {
        Self {
            id,
            way,
            state: AtomicU8::new(0),
            queue,
        }
    }

    /// From now on the first wake becomes an event.
    pub fn arm(&self) {
        self.state.fetch_or(Self::ARMED, Ordering::SeqCst);
    }

    /// Nobody waits.
    pub fn disarm(&self) {
        self.state.fetch_and(!Self::ARMED, Ordering::SeqCst);
    }

    fn taken(&self) {
        self.state.fetch_and(!Self::QUEUED, Ordering::SeqCst);
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    /// Called by libp2p, under locks of its own.
    fn wake_by_ref(self: &Arc<Self>) {
        let before = self.state.fetch_and(!Self::ARMED, Ordering::SeqCst);
        if before & Self::ARMED == 0 {
            return;
        }
        // What is queued already is taken after this, and C++ tries again then.
        let before = self.state.fetch_or(Self::QUEUED, Ordering::SeqCst);
        if before & Self::QUEUED == 0 {
            if let Some(queue) = self.queue.upgrade() {
                queue.signal(Arc::clone(self));
            }
        }
    }
}

/// What a finished command brings back.
#[derive(Debug, Default)]
pub struct Outcome {
    pub stream: Option<Arc<Channel<Stream>>>,
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
        stream: Arc<Channel<Stream>>,
    },
    /// A stream can be read from, or written to, again.
    Stream(Arc<Signal>),
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

    /// When too many wait the stream is dropped, which resets it.
    pub fn inbound(&self, peer: Key, protocol: String, stream: Arc<Channel<Stream>>) {
        let mut state = self.lock();
        if state.inbound >= INBOUND_QUEUE_MAX {
            return;
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
    }

    /// At most one of a stream and a direction at a time.
    fn signal(&self, signal: Arc<Signal>) {
        self.put(&mut self.lock(), Event::Stream(signal));
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
            Some(Event::Stream(signal)) => signal.taken(),
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
