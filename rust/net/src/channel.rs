//! A stream as C++ has it: it reads and writes libp2p's stream itself, on its own thread, what goes
//! at once; events say when trying again is worth it.
//!
//! No descriptor, no task and no buffer of ours belongs to an open stream. What is on its way is
//! held by the transport's windows (Yamux: 256 KiB a direction at first; QUIC: 10 MB), and nothing
//! is taken from them before C++ asks: whoever reads slowly slows the writer down.
//!
//! | C++ does               | the peer sees                                           |
//! |------------------------|---------------------------------------------------------|
//! | shutdown for writing   | end of the stream after the data                        |
//! | ends it in order       | the same, and soon its own writes fail                  |
//! | resets it              | end of the stream, and its own writes fail at once      |
//!
//! | the peer does          | C++ sees                                                |
//! |------------------------|---------------------------------------------------------|
//! | end of the stream      | the end, its own writing goes on                        |
//! | reset, connection lost | the data, then a reset; writes fail                     |
//!
//! Locks from the outside in: a channel, what is inside libp2p, the queue. A waker takes the last.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{ready, Context, Poll, Waker};

use futures::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::limits::{DISCARD_BYTES, LINGER_BYTES, LINGER_TIMEOUT};
use crate::queue::{Queue, Signal, Way};
use crate::slots::Slot;

pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Duplex for S {}

/// What a try to read or to write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// At least one byte.
    Bytes(usize),
    /// An event follows when trying again is worth it.
    WouldBlock,
    /// The peer has sent everything.
    End,
    /// By either side, or the connection is gone; of a write, also that this side has ended.
    Reset,
}

/// From C++ to the peer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Upward {
    Open,
    /// C++ has ended its side; the transport is told.
    Ending,
    /// Ended, or refused by the peer.
    Done,
}

/// libp2p's stream and what it costs. Dropped before both directions ended it is reset.
struct Open<S> {
    stream: S,
    _slot: Slot,
}

impl<S: Duplex> Open<S> {
    /// A peer that reset the stream refuses to be written to.
    fn refuses_writes(&mut self, cx: &mut Context<'_>) -> bool {
        let nothing = Pin::new(&mut self.stream).poll_write(cx, &[]);
        matches!(nothing, Poll::Ready(Err(_)))
    }

    /// Says to the peer that nothing more comes.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // libp2p-quic gives no more of the peer's data after a close that failed.
        if !self.refuses_writes(cx) {
            let _ = ready!(Pin::new(&mut self.stream).poll_close(cx));
        }
        Poll::Ready(())
    }
}

struct Inner<S> {
    /// `None` when the stream is over: ended in both directions, reset, or given up by C++.
    open: Option<Open<S>>,
    upward: Upward,
    /// The end of what the peer sends was seen.
    ended: bool,
}

impl<S> Inner<S> {
    fn let_go_when_done(&mut self) {
        if self.ended && self.upward == Upward::Done {
            self.open = None;
        }
    }
}

/// One direction, as C++ waits for it.
struct Side {
    signal: Arc<Signal>,
    waker: Waker,
}

impl Side {
    fn new(id: u64, way: Way, queue: &Weak<Queue>) -> Self {
        let signal = Arc::new(Signal::new(id, way, Weak::clone(queue)));
        let waker = Waker::from(Arc::clone(&signal));
        Self { signal, waker }
    }

    /// To be called before polling: what happens after it is told.
    fn arm(&self) -> Context<'_> {
        self.signal.arm();
        Context::from_waker(&self.waker)
    }
}

pub struct Channel<S> {
    pub id: u64,
    inner: Mutex<Inner<S>>,
    readable: Side,
    writable: Side,
    streams: Arc<Streams<S>>,
}

impl<S: Duplex> Channel<S> {
    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends everything at once. Whoever waits is told.
    fn break_off(&self, mut inner: MutexGuard<'_, Inner<S>>) -> Moved {
        let open = inner.open.take();
        drop(inner);
        drop(open);
        self.readable.waker.wake_by_ref();
        self.writable.waker.wake_by_ref();
        Moved::Reset
    }

    /// `out` is not empty.
    pub fn read(&self, out: &mut [u8]) -> Moved {
        let mut inner = self.lock();
        if inner.ended {
            return Moved::End;
        }
        let upward = inner.upward;
        let Some(open) = &mut inner.open else {
            return Moved::Reset;
        };
        let read = Pin::new(&mut open.stream).poll_read(&mut self.readable.arm(), out);
        if read.is_ready() {
            self.readable.signal.disarm();
        }
        match read {
            Poll::Pending => Moved::WouldBlock,
            Poll::Ready(Ok(count)) if count > 0 => Moved::Bytes(count),
            Poll::Ready(Ok(_)) => {
                let mut cx = Context::from_waker(&self.writable.waker);
                if upward == Upward::Open && open.refuses_writes(&mut cx) {
                    return self.break_off(inner);
                }
                inner.ended = true;
                inner.let_go_when_done();
                Moved::End
            }
            Poll::Ready(Err(_)) => self.break_off(inner),
        }
    }

    /// Takes as much of `bytes`, which are not empty, as the transport does now.
    pub fn write(&self, bytes: &[u8]) -> Moved {
        let mut inner = self.lock();
        if inner.upward != Upward::Open {
            return Moved::Reset;
        }
        let Some(open) = &mut inner.open else {
            return Moved::Reset;
        };
        let mut taken = 0;
        while taken < bytes.len() {
            let cx = &mut self.writable.arm();
            match Pin::new(&mut open.stream).poll_write(cx, &bytes[taken..]) {
                Poll::Pending => break,
                Poll::Ready(Ok(count)) if count > 0 => taken += count,
                Poll::Ready(_) => {
                    // The peer takes no more. What it has sent still goes to C++.
                    inner.upward = Upward::Done;
                    inner.let_go_when_done();
                    self.writable.signal.disarm();
                    return Moved::Reset;
                }
            }
        }
        if taken == 0 {
            return Moved::WouldBlock;
        }
        self.writable.signal.disarm();
        // Nothing that was written may wait for more; whoever waits for room asks again himself.
        let mut cx = Context::from_waker(&self.writable.waker);
        let _ = Pin::new(&mut open.stream).poll_flush(&mut cx);
        Moved::Bytes(taken)
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.upward != Upward::Ending {
            return Poll::Ready(());
        }
        let Some(open) = &mut inner.open else {
            return Poll::Ready(());
        };
        ready!(open.poll_finish(cx));
        inner.upward = Upward::Done;
        inner.let_go_when_done();
        Poll::Ready(())
    }

    /// No more writes; what was written is still delivered. Idempotent.
    pub fn shut_down(self: &Arc<Self>) {
        let mut inner = self.lock();
        if inner.upward != Upward::Open {
            return;
        }
        inner.upward = Upward::Ending;
        drop(inner);
        if self
            .poll_shutdown(&mut Context::from_waker(Waker::noop()))
            .is_pending()
        {
            let this = Arc::clone(self);
            self.streams
                .runtime
                .spawn(poll_fn(move |cx| this.poll_shutdown(cx)));
        }
    }

    /// C++ is done with the stream. What was written still goes out and nothing is read any more,
    /// or, with `reset`, all is dropped at once.
    pub fn end(&self, reset: bool) {
        let mut inner = self.lock();
        let open = inner.open.take();
        let (upward, ended) = (inner.upward, inner.ended);
        drop(inner);
        let Some(open) = open.filter(|_| !reset) else {
            return;
        };
        let mut closing = Closing {
            open,
            finished: upward == Upward::Done,
            left: if ended { 0 } else { LINGER_BYTES },
        };
        if closing
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
        {
            let counted = Counted::new(&self.streams);
            self.streams.runtime.spawn(async move {
                let _ = timeout(LINGER_TIMEOUT, poll_fn(|cx| closing.poll(cx))).await;
                drop(closing);
                drop(counted);
            });
        }
    }
}

impl<S> fmt::Debug for Channel<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "stream {}", self.id)
    }
}

impl<S> Drop for Channel<S> {
    fn drop(&mut self) {
        self.streams.live().remove(&self.id);
    }
}

/// A stream that C++ has left in order. Dropping it now would look like a reset to the peer, so it
/// is ended first, and what the peer still sends is taken, up to so many bytes.
struct Closing<S> {
    open: Open<S>,
    finished: bool,
    left: usize,
}

impl<S: Duplex> Closing<S> {
    /// Ready when both directions are over, or the stream is broken.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.finished = self.finished || self.open.poll_finish(cx).is_ready();
        let mut bytes = [0; DISCARD_BYTES];
        while self.left > 0 {
            match ready!(Pin::new(&mut self.open.stream).poll_read(cx, &mut bytes)) {
                Err(_) => return Poll::Ready(()),
                Ok(0) => self.left = 0,
                Ok(count) => self.left = self.left.saturating_sub(count),
            }
        }
        if self.finished {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// One of those that `Streams::closing` counts.
struct Counted<S>(Arc<Streams<S>>);

impl<S> Counted<S> {
    fn new(streams: &Arc<Streams<S>>) -> Self {
        streams.closing.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(streams))
    }
}

impl<S> Drop for Counted<S> {
    fn drop(&mut self) {
        self.0.closing.fetch_sub(1, Ordering::AcqRel);
    }
}

/// All streams of a node.
pub struct Streams<S> {
    last: AtomicU64,
    live: Mutex<HashMap<u64, Weak<Channel<S>>>>,
    closing: AtomicUsize,
    /// Weak: events hold channels.
    queue: Weak<Queue>,
    runtime: Handle,
}

impl<S> Streams<S> {
    fn live(&self) -> MutexGuard<'_, HashMap<u64, Weak<Channel<S>>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Streams that C++ has ended and whose bytes are still on their way.
    pub fn closing(&self) -> usize {
        self.closing.load(Ordering::Acquire)
    }
}

impl<S: Duplex> Streams<S> {
    pub fn new(queue: &Arc<Queue>, runtime: Handle) -> Arc<Self> {
        Arc::new(Self {
            last: AtomicU64::new(0),
            live: Mutex::default(),
            closing: AtomicUsize::new(0),
            queue: Arc::downgrade(queue),
            runtime,
        })
    }

    /// Dropping what is returned resets the stream.
    pub fn open(self: &Arc<Self>, stream: S, slot: Slot) -> Arc<Channel<S>> {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let open = Open {
            stream,
            _slot: slot,
        };
        let channel = Arc::new(Channel {
            id,
            inner: Mutex::new(Inner {
                open: Some(open),
                upward: Upward::Open,
                ended: false,
            }),
            readable: Side::new(id, Way::Read, &self.queue),
            writable: Side::new(id, Way::Write, &self.queue),
            streams: Arc::clone(self),
        });
        self.live().insert(id, Arc::downgrade(&channel));
        channel
    }

    /// Resets every stream, whoever holds it.
    pub fn break_off_all(&self) {
        let all: Vec<_> = self.live().values().filter_map(Weak::upgrade).collect();
        for channel in all {
            channel.break_off(channel.lock());
        }
    }
}
