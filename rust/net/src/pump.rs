//! A stream as a socket: one end goes to C++, this task copies between the other end and libp2p.
//!
//! Nothing is buffered beyond `COPY_BYTES` a direction and what the kernel and the transport hold:
//! whoever reads slowly slows the writer down.
//!
//! | C++ does               | the peer sees                                          |
//! |------------------------|--------------------------------------------------------|
//! | shutdown for writing   | end of the stream after the data                       |
//! | close                  | the data, then a reset (QUIC: an end, and writes fail)  |
//!
//! | the peer does          | C++ sees                                               |
//! |------------------------|--------------------------------------------------------|
//! | end of the stream      | end of file, its own writing goes on                   |
//! | reset, connection lost | the data, then end of file with a hang-up; writes fail  |

use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::pin::Pin;
use std::task::{ready, Context, Poll};

use futures::{AsyncRead, AsyncWrite};
use libp2p::Stream;
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::limits::COPY_BYTES;
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Upward {
    Open,
    /// C++ has ended its side; the transport is told.
    Ending,
    /// Ended, or refused by the peer.
    Done,
}

pub struct Pump {
    stream: Stream,
    local: UnixStream,
    up: Buffer,
    down: Buffer,
    upward: Upward,
    downward_done: bool,
    /// Watches for C++ closing its end, once there is nothing more to read from it.
    hang_up: Option<AsyncFd<OwnedFd>>,
    _slot: Slot,
}

impl Pump {
    /// The task, and the descriptor for C++.
    pub fn new(stream: Stream, slot: Slot) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let pump = Self {
            stream,
            local: UnixStream::from_std(ours)?,
            up: Buffer::new(),
            down: Buffer::new(),
            upward: Upward::Open,
            downward_done: false,
            hang_up: None,
            _slot: slot,
        };
        Ok((pump, theirs.into()))
    }

    fn shut(&self, how: libc::c_int) {
        // SAFETY: a live descriptor. It fails only when C++ has closed its end, which is seen anyway.
        unsafe { libc::shutdown(self.local.as_raw_fd(), how) };
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

    /// From C++ to the peer. Ready when this direction is over.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.upward {
                Upward::Done => return Poll::Ready(()),
                Upward::Ending => {
                    // Closed: dropping without an end mark is the reset. Refused: libp2p-quic gives
                    // no more of the peer's data after a close that failed.
                    if !self.closed() && !self.refuses_writes(cx) {
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

    /// From the peer to C++. Ready(true) at the end, Ready(false) when the stream is broken.
    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if self.downward_done {
                return Poll::Ready(true);
            }
            if self.down.is_empty() {
                let read = Pin::new(&mut self.stream).poll_read(cx, &mut self.down.bytes);
                match ready!(read) {
                    Ok(0) if self.refused(cx) => return Poll::Ready(false),
                    Ok(0) => {
                        self.shut(libc::SHUT_WR);
                        self.downward_done = true;
                    }
                    Ok(count) => self.down.filled(count),
                    Err(_) => return Poll::Ready(false),
                }
                continue;
            }
            ready!(self.local.poll_write_ready(cx)).unwrap_or(());
            match self.send() {
                Ok(count) => self.down.start += count,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(false), // C++ has closed its end
            }
        }
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

    /// At the end of what the peer sends: a peer that reset the stream also refuses to be written to.
    fn refused(&mut self, cx: &mut Context<'_>) -> bool {
        self.upward == Upward::Open && self.up.is_empty() && self.refuses_writes(cx)
    }

    fn refuses_writes(&mut self, cx: &mut Context<'_>) -> bool {
        let nothing = Pin::new(&mut self.stream).poll_write(cx, &[]);
        matches!(nothing, Poll::Ready(Err(_)))
    }

    /// Has C++ closed its end, in both directions?
    fn closed(&self) -> bool {
        let mut poll = libc::pollfd {
            fd: self.local.as_raw_fd(),
            events: 0,
            revents: 0,
        };
        // SAFETY: one live entry; does not wait.
        unsafe { libc::poll(&raw mut poll, 1, 0) };
        poll.revents & (libc::POLLHUP | libc::POLLERR) != 0
    }

    /// Ready when C++ has closed its end. A second descriptor, because the readiness of the first
    /// serves the copying.
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.hang_up.is_none() {
            // SAFETY: dup of a live descriptor; checked before it becomes an owner.
            let copy = unsafe { libc::fcntl(self.local.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 0) };
            if copy < 0 {
                return Poll::Ready(());
            }
            // SAFETY: fresh, ours alone, and open for as long as the watch owns it.
            let watch = unsafe {
                let owned = OwnedFd::from_raw_fd(copy);
                AsyncFd::register_with_interest(owned, Interest::WRITABLE)
            };
            match watch {
                Ok(watch) => self.hang_up = Some(watch),
                Err(_) => return Poll::Ready(()),
            }
        }
        loop {
            if self.closed() {
                return Poll::Ready(());
            }
            let Some(watch) = &self.hang_up else {
                return Poll::Ready(());
            };
            match ready!(watch.poll_write_ready(cx)) {
                Ok(mut guard) => guard.clear_ready(),
                Err(_) => return Poll::Ready(()),
            }
        }
    }
}

impl Future for Pump {
    type Output = ();

    /// Dropping the pump afterwards closes both ends.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let up_done = this.poll_up(cx).is_ready();
        match this.poll_down(cx) {
            Poll::Ready(false) => return Poll::Ready(()),
            Poll::Ready(true) if up_done => return Poll::Ready(()),
            Poll::Ready(true) => return Poll::Pending,
            Poll::Pending => {}
        }
        if up_done {
            return this.poll_closed(cx);
        }
        Poll::Pending
    }
}
