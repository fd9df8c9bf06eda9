//! A stream as a socket: one end goes to C++, this task copies between the other end and libp2p.
//!
//! Nothing is buffered beyond `COPY_BYTES` a direction and what the kernel and the transport hold:
//! whoever reads slowly slows the writer down.
//!
//! | C++ does               | the peer sees                                           |
//! |------------------------|---------------------------------------------------------|
//! | shutdown for writing   | end of the stream after the data                        |
//! | ends it (`End::Closed`)| the same, and soon its own writes fail                  |
//! | resets it              | end of the stream, and its own writes fail at once      |
//!
//! | the peer does          | C++ sees                                                |
//! |------------------------|---------------------------------------------------------|
//! | end of the stream      | end of file, its own writing goes on                    |
//! | reset, connection lost | the data, then end of file with a hang-up; writes fail  |

use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use futures::{AsyncRead, AsyncWrite};
use libp2p::Stream;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::time::{sleep, Sleep};

use crate::ends::{End, EndWatch};
use crate::limits::{COPY_BYTES, LINGER_BYTES, LINGER_TIMEOUT};
use crate::slots::Slot;

/// Bytes on their way in one direction.
struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new() -> Self {
        Self {
            bytes: vec![0; COPY_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn filled(&mut self, count: usize) {
        self.start = 0;
        self.end = count;
    }
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

/// From the peer to C++.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Downward {
    Open,
    /// C++ has closed its end. Dropping the stream now would look like a reset to the peer, so what
    /// it still sends is taken, up to so many bytes.
    Discarding(usize),
    Done,
}

pub struct Pump {
    stream: Stream,
    local: UnixStream,
    up: Buffer,
    down: Buffer,
    upward: Upward,
    downward: Downward,
    /// Set when C++ has closed its end: the rest must be over by then.
    linger: Option<Pin<Box<Sleep>>>,
    watch: EndWatch,
    _slot: Slot,
}

impl Pump {
    /// The task, and the descriptor for C++.
    pub fn new(stream: Stream, slot: Slot, watch: EndWatch) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let pump = Self {
            stream,
            local: UnixStream::from_std(ours)?,
            up: Buffer::new(),
            down: Buffer::new(),
            upward: Upward::Open,
            downward: Downward::Open,
            linger: None,
            watch,
            _slot: slot,
        };
        Ok((pump, theirs.into()))
    }

    fn shut(&self, how: libc::c_int) {
        // SAFETY: a live descriptor. It fails only when C++ has closed its end, which is seen
        // anyway.
        unsafe { libc::shutdown(self.local.as_raw_fd(), how) };
    }

    /// C++ has closed its end, which it announces before. False when that is a reset.
    fn closed_in_order(&mut self) -> bool {
        let in_order = self.watch.end() == End::Closed;
        if in_order {
            self.discard();
        }
        in_order
    }

    fn discard(&mut self) {
        self.down.filled(0);
        if self.downward == Downward::Open {
            self.downward = Downward::Discarding(LINGER_BYTES);
        }
        if self.linger.is_none() {
            self.linger = Some(Box::pin(sleep(LINGER_TIMEOUT)));
        }
    }

    fn poll_refill_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.local.poll_read_ready(cx).is_pending() {
                // Idle: what was written so far must not wait for more.
                let _ = Pin::new(&mut self.stream).poll_flush(cx);
                return Poll::Pending;
            }
            match self.local.try_read(&mut self.up.bytes) {
                Ok(0) => self.upward = Upward::Ending,
                Ok(count) => self.up.filled(count),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => self.upward = Upward::Ending, // ECONNRESET: closed with data unread
            }
            return Poll::Ready(());
        }
    }

    /// Ready(true) when this direction is over, Ready(false) when C++ has reset the stream.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            match self.upward {
                Upward::Done => return Poll::Ready(true),
                Upward::Ending => {
                    // With both directions shut the socket is hung up by ourselves.
                    let theirs = self.downward != Downward::Done && self.hung_up();
                    if theirs && !self.closed_in_order() {
                        return Poll::Ready(false);
                    }
                    // libp2p-quic gives no more of the peer's data after a close that failed.
                    if !self.refuses_writes(cx) {
                        let _ = ready!(Pin::new(&mut self.stream).poll_close(cx));
                    }
                    self.upward = Upward::Done;
                }
                Upward::Open if self.up.is_empty() => ready!(self.poll_refill_up(cx)),
                Upward::Open => {
                    let bytes = &self.up.bytes[self.up.start..self.up.end];
                    match ready!(Pin::new(&mut self.stream).poll_write(cx, bytes)) {
                        Ok(count) if count > 0 => self.up.start += count,
                        _ => {
                            // The peer takes no more. What it has sent still goes to C++.
                            self.shut(libc::SHUT_RD);
                            self.upward = Upward::Done;
                        }
                    }
                }
            }
        }
    }

    /// Ready(true) when this direction is over, Ready(false) when the stream is broken.
    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if self.downward == Downward::Done {
                return Poll::Ready(true);
            }
            if !self.down.is_empty() {
                if !ready!(self.poll_deliver(cx)) {
                    return Poll::Ready(false);
                }
                continue;
            }
            let read = Pin::new(&mut self.stream).poll_read(cx, &mut self.down.bytes);
            match (ready!(read), self.downward) {
                (Err(_), _) => return Poll::Ready(false),
                (Ok(0), Downward::Open) => {
                    if self.refused(cx) {
                        return Poll::Ready(false);
                    }
                    self.shut(libc::SHUT_WR);
                    self.downward = Downward::Done;
                }
                (Ok(count), Downward::Open) => self.down.filled(count),
                (Ok(count), Downward::Discarding(left)) if count > 0 && count < left => {
                    self.downward = Downward::Discarding(left - count);
                }
                (Ok(_), _) => self.downward = Downward::Done,
            }
        }
    }

    /// Ready(false) when C++ has reset the stream.
    fn poll_deliver(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let _ = ready!(self.local.poll_write_ready(cx));
        match self.send() {
            Ok(count) => self.down.start += count,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Poll::Ready(self.closed_in_order()),
        }
        Poll::Ready(true)
    }

    fn send(&self) -> io::Result<usize> {
        let bytes = &self.down.bytes[self.down.start..self.down.end];
        self.local.try_io(Interest::WRITABLE, || {
            // SAFETY: pointer and length are of a live slice. No SIGPIPE: the process is not ours.
            let sent = unsafe {
                let fd = self.local.as_raw_fd();
                libc::send(fd, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL)
            };
            usize::try_from(sent).map_err(|_| io::Error::last_os_error())
        })
    }

    /// At the end of what the peer sends: a peer that reset the stream also refuses to be written
    /// to.
    fn refused(&mut self, cx: &mut Context<'_>) -> bool {
        self.upward == Upward::Open && self.up.is_empty() && self.refuses_writes(cx)
    }

    fn refuses_writes(&mut self, cx: &mut Context<'_>) -> bool {
        let nothing = Pin::new(&mut self.stream).poll_write(cx, &[]);
        matches!(nothing, Poll::Ready(Err(_)))
    }

    /// Has C++ closed its end, in both directions?
    fn hung_up(&self) -> bool {
        let mut poll = libc::pollfd {
            fd: self.local.as_raw_fd(),
            events: 0,
            revents: 0,
        };
        // SAFETY: one live entry; does not wait.
        unsafe { libc::poll(&raw mut poll, 1, 0) };
        poll.revents & (libc::POLLHUP | libc::POLLERR) != 0
    }
}

impl Future for Pump {
    type Output = ();

    /// Dropping the pump afterwards closes both ends; what is not ended by then is reset.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        match this.watch.poll(cx.waker()) {
            End::Reset => return Poll::Ready(()),
            End::Closed => this.discard(),
            End::None => {}
        }
        let up = this.poll_up(cx);
        if up == Poll::Ready(false) {
            return Poll::Ready(());
        }
        match this.poll_down(cx) {
            Poll::Ready(false) => return Poll::Ready(()),
            Poll::Ready(true) if up.is_ready() => return Poll::Ready(()),
            _ => {}
        }
        match &mut this.linger {
            Some(over) => over.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}
