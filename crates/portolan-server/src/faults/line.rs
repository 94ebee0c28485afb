//! A connection that can be stalled, and that can end with a reset instead of a farewell.
//!
//! In:  a stream, whether bytes may flow, and a token. Out: the same stream; while stalled no byte passes, either way.
//!
//! Never: loses a byte; wakes without need. Dropped with its token cancelled, it resets the connection.
//!
//! Proof: `tests/faults/proxy.rs`.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::watch,
};
use tokio_util::sync::CancellationToken;

/// Whether bytes flow, and connections are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Open,
    Paused,
    Cut,
}

type Opened = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The stream.
pub(crate) struct Line {
    stream: TcpStream,
    /// `None`: it is never stalled.
    flow: Option<watch::Receiver<Flow>>,
    opened: Option<Opened>,
    cut: CancellationToken,
}

impl Line {
    pub(crate) fn new(stream: TcpStream, cut: CancellationToken) -> Self {
        Self { stream, flow: None, opened: None, cut }
    }

    pub(super) fn gated(mut self, flow: watch::Receiver<Flow>) -> Self {
        self.flow = Some(flow);
        self
    }

    /// The client's first bytes, left where they are; 0 of them when it has closed.
    pub(super) async fn peek(&mut self, first: &mut [u8]) -> io::Result<usize> {
        self.stream.peek(first).await
    }

    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(flow) = &self.flow else { return Poll::Ready(()) };
        if self.opened.is_none() {
            if *flow.borrow() != Flow::Paused {
                return Poll::Ready(());
            }
            let mut flow = flow.clone();
            self.opened = Some(Box::pin(async move {
                // An error means that the proxy is gone, and with it the stall.
                drop(flow.wait_for(|flow| *flow != Flow::Paused).await);
            }));
        }
        if let Some(opened) = &mut self.opened {
            ready!(opened.as_mut().poll(context));
            self.opened = None;
        }
        Poll::Ready(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.cut.is_cancelled()
            && let Err(failed) = self.stream.set_zero_linger()
        {
            tracing::debug!(%failed, "a connection ends with a farewell instead of a reset");
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_open(context));
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(context));
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_open(context));
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
