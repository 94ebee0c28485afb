//! A connection's bytes, with an eye on the clock: who sends or takes nothing for too long is cut.
//!
//! In:  a stream, and what its requests tell ([`Pulse`]). Out: the same stream; an error once a limit has passed.
//!
//! Over HTTP/1.1 it knows from the pulse whether a request is served, and else whether bytes came that are no whole head
//! yet. Over HTTP/2 the connection pings, and only a client that takes no piece of what it asked for ([`paced`](super::paced))
//! is cut here. A timer is armed when a read has to wait, and is looked at again when it fires, so that a request costs no
//! timer.
//!
//! Never: loses a byte; cuts one whose request is being served. Dropped with its token cancelled, it resets the connection.
//!
//! Proof: `wire/tests.rs` (in paused time), `tests/http/limits.rs` (over sockets).

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::config::Limits;

/// How long what a client still sends is taken and thrown away after the last answer, so that it can read it: closing at once
/// would reset the connection.
const LINGER: Duration = Duration::from_millis(500);

/// What the requests on a connection tell of it.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Bytes came since the last request began.
    begun: AtomicBool,
    serving: AtomicUsize,
    /// How often a request began or ended.
    turns: AtomicUsize,
    many: AtomicBool,
    /// How many large answers are being sent over HTTP/2, and how often a piece of one was.
    sending: AtomicUsize,
    pieces: AtomicUsize,
}

/// A large answer that is being sent.
#[derive(Debug)]
pub(super) struct Sending(Arc<Pulse>);

/// A request that is served.
#[derive(Debug)]
pub(super) struct Serving(Arc<Pulse>);

impl Pulse {
    /// A head is whole.
    pub(super) fn request(self: &Arc<Self>) -> Serving {
        self.begun.store(false, Ordering::Relaxed);
        self.serving.fetch_add(1, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
        Serving(Arc::clone(self))
    }

    /// What came was the handshake of TLS: no request has begun.
    pub(super) fn shaken(&self) {
        self.begun.store(false, Ordering::Relaxed);
    }

    /// It speaks HTTP/2.
    pub(super) fn carries_many(&self) {
        self.many.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_many(&self) -> bool {
        self.many.load(Ordering::Relaxed)
    }

    /// A large answer begins.
    pub(super) fn sending(self: &Arc<Self>) -> Sending {
        self.sending.fetch_add(1, Ordering::Relaxed);
        Sending(Arc::clone(self))
    }
}

impl Sending {
    /// A piece of it went on its way: the client has taken one before.
    pub(super) fn moved(&self) {
        self.0.pieces.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.sending.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.begun.store(false, Ordering::Relaxed);
        self.0.turns.fetch_add(1, Ordering::Relaxed);
        self.0.serving.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the read timer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// The next request, after so many turns.
    Request(usize),
    /// The end of a head, after so many turns.
    Head(usize),
    /// That the client takes a piece of an answer, after so many.
    Piece(usize),
}

/// The stream.
#[derive(Debug)]
pub(super) struct Wire<S: Resettable = TcpStream> {
    stream: S,
    pulse: Arc<Pulse>,
    cut: Option<CancellationToken>,
    head: Duration,
    idle: Duration,
    write: Duration,
    reading: Option<(Awaited, Pin<Box<Sleep>>)>,
    writing: Option<Pin<Box<Sleep>>>,
    /// The last answer is out.
    lingering: Option<Pin<Box<Sleep>>>,
}

/// A stream that can end with a reset instead of a farewell.
pub(super) trait Resettable {
    fn reset(&self) -> io::Result<()>;
}

impl Resettable for TcpStream {
    fn reset(&self) -> io::Result<()> {
        self.set_zero_linger()
    }
}

impl<S: Resettable + AsyncRead + Unpin> Wire<S> {
    pub(super) fn new(stream: S, pulse: Arc<Pulse>, limits: &Limits, cut: Option<CancellationToken>) -> Self {
        Self {
            stream,
            pulse,
            cut,
            head: limits.header_timeout,
            idle: limits.idle_timeout,
            write: limits.write_timeout,
            reading: None,
            writing: None,
            lingering: None,
        }
    }

    /// Ends with an error when nothing came for too long.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        if self.pulse.has_many() {
            return self.poll_taking(context);
        }
        loop {
            let turns = self.pulse.turns.load(Ordering::Relaxed);
            let begun = self.pulse.begun.load(Ordering::Relaxed);
            let (awaited, limit) =
                if begun { (Awaited::Head(turns), self.head) } else { (Awaited::Request(turns), self.idle) };
            let (armed, timer) = self.reading.get_or_insert_with(|| (awaited, Box::pin(sleep(limit))));
            if matches!(awaited, Awaited::Head(_)) && *armed != awaited {
                *armed = awaited;
                timer.as_mut().reset(Instant::now() + limit);
            }
            ready!(timer.as_mut().poll(context));
            if *armed == awaited && self.pulse.serving.load(Ordering::Relaxed) == 0 {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            *armed = awaited;
            timer.as_mut().reset(Instant::now() + limit);
        }
    }

    /// The same over HTTP/2, where the client took nothing of what it asked for.
    fn poll_taking(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            if self.pulse.sending.load(Ordering::Relaxed) == 0 {
                self.reading = None;
                return Poll::Pending;
            }
            let (awaited, limit) = (Awaited::Piece(self.pulse.pieces.load(Ordering::Relaxed)), self.write);
            let (armed, timer) = self.reading.get_or_insert_with(|| (awaited, Box::pin(sleep(limit))));
            ready!(timer.as_mut().poll(context));
            if *armed == awaited {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            *armed = awaited;
            timer.as_mut().reset(Instant::now() + limit);
        }
    }

    /// Takes and throws away what still comes.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 4096];
        for _ in 0..16 {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
                }
                Poll::Ready(Ok(()) | Err(_)) => return Poll::Ready(()),
                Poll::Pending => {
                    // Where nothing more came there is nothing that a close would meet.
                    return self
                        .lingering
                        .as_mut()
                        .map_or(Poll::Ready(()), |timer| timer.as_mut().poll(context));
                }
            }
        }
        let over = self.lingering.as_mut().map_or(Poll::Ready(()), |timer| timer.as_mut().poll(context));
        if over.is_pending() {
            // There may be more, but others have a turn first.
            context.waker().wake_by_ref();
        }
        over
    }

    /// The end of a write, or an error when nothing was taken for too long.
    fn poll_taken<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let limit = self.write;
        let timer = self.writing.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: Resettable> Drop for Wire<S> {
    fn drop(&mut self) {
        if self.cut.as_ref().is_some_and(CancellationToken::is_cancelled)
            && let Err(failed) = self.stream.reset()
        {
            tracing::debug!(%failed, "a connection ends with a farewell instead of a reset");
        }
    }
}

impl<S: Resettable + AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            if buffer.filled().len() > before {
                self.pulse.begun.store(true, Ordering::Relaxed);
            }
            return read;
        }
        Poll::Ready(Err(ready!(self.poll_patience(context))))
    }
}

impl<S: Resettable + AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.poll_taken(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.poll_taken(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.poll_taken(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        self.poll_rest(context).map(Ok)
    }
}

#[cfg(test)]
mod tests;
