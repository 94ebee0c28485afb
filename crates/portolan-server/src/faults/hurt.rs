//! A body that comes slowly, or ends where it should not.
//!
//! In:  the bytes that are to be sent, and how they end. Out: frames for the connection that sends them.
//!
//! Never: ends as if it were whole, unless it is.
//!
//! Proof: `tests/faults/words.rs`.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// What happens after the last byte.
#[derive(Debug)]
pub(super) enum End {
    /// Nothing: it is complete.
    Whole,
    /// The connection is reset.
    Reset(CancellationToken),
    /// The connection stays, and nothing more comes.
    Stall,
}

/// The body.
#[derive(Debug)]
pub(super) struct Hurt {
    rest: Bytes,
    drip: Option<Interval>,
    end: End,
    /// Whether what came before had its chance to leave.
    flushed: bool,
}

impl Hurt {
    pub(super) fn new(bytes: Bytes, end: End) -> Self {
        Self { rest: bytes, drip: None, end, flushed: false }
    }

    /// A whole body, a byte each `pause`.
    pub(super) fn dripping(bytes: Bytes, pause: Duration) -> Self {
        let mut pace = interval(pause.max(Duration::from_millis(1)));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { drip: Some(pace), ..Self::new(bytes, End::Whole) }
    }
}

impl Body for Hurt {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            if !std::mem::replace(&mut self.flushed, true) {
                // One turn for the connection to send what it has.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            return match &self.end {
                End::Whole => Poll::Ready(None),
                End::Reset(cut) => {
                    cut.cancel();
                    Poll::Pending
                }
                End::Stall => Poll::Pending,
            };
        }
        let piece = match &mut self.drip {
            Some(pace) => {
                ready!(pace.poll_tick(context));
                self.rest.split_to(1)
            }
            None => std::mem::take(&mut self.rest),
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        match self.end {
            End::Whole => SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX)),
            // What it was said to be stands in its header.
            End::Reset(_) | End::Stall => SizeHint::default(),
        }
    }
}
