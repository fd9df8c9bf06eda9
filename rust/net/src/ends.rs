//! How C++ tells a stream's task that it is done with it, and whether that was an end or a reset:
//! a closed socket alone does not say.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use futures::task::AtomicWaker;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum End {
    /// In use.
    None = 0,
    /// What was written still goes out; nobody reads here any more.
    Closed = 1,
    Reset = 2,
}

#[derive(Default)]
struct Signal {
    end: AtomicU8,
    waker: AtomicWaker,
}

#[derive(Default)]
pub struct Ends {
    last: AtomicU64,
    live: Mutex<HashMap<u64, Arc<Signal>>>,
}

/// Of the task; its number is free for nobody afterwards.
pub struct EndWatch {
    pub id: u64,
    signal: Arc<Signal>,
    ends: Arc<Ends>,
}

impl Signal {
    fn end(&self) -> End {
        match self.end.load(Ordering::Acquire) {
            0 => End::None,
            1 => End::Closed,
            _ => End::Reset,
        }
    }
}

impl Ends {
    fn live(&self) -> MutexGuard<'_, HashMap<u64, Arc<Signal>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn watch(self: &Arc<Self>) -> EndWatch {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let signal = Arc::new(Signal::default());
        self.live().insert(id, Arc::clone(&signal));
        EndWatch {
            id,
            signal,
            ends: Arc::clone(self),
        }
    }

    /// Streams that C++ has ended and whose bytes are still on their way.
    pub fn closing(&self) -> usize {
        let closed = |signal: &&Arc<Signal>| signal.end() == End::Closed;
        self.live().values().filter(closed).count()
    }

    /// A task that has ended by itself is gone from here already.
    pub fn end(&self, id: u64, end: End) {
        let signal = self.live().get(&id).cloned();
        if let Some(signal) = signal {
            signal.end.store(end as u8, Ordering::Release);
            signal.waker.wake();
        }
    }
}

impl EndWatch {
    /// What was said so far.
    pub fn end(&self) -> End {
        self.signal.end()
    }

    /// The same; `waker` is woken when more is said.
    pub fn poll(&self, waker: &Waker) -> End {
        self.signal.waker.register(waker);
        self.signal.end()
    }
}

impl Drop for EndWatch {
    fn drop(&mut self) {
        self.ends.live().remove(&self.id);
    }
}
