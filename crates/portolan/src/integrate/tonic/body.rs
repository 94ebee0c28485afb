//! The body of a gRPC request, taken whole where it is there at once, so that it can be sent again.
//!
//! In:  a body, as tonic's client makes it. Out: its frames, to be cloned; or the same body, where it is a stream that
//! goes on.
//!
//! Never: waits for a frame; holds more than [`MOST`] bytes; loses one.
//!
//! Proof: `body/tests.rs`.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use hyper::body::{Body as _, Frame};
use tonic::{Status, body::Body};

/// The most that is held of a request: tonic's own limit of a message.
const MOST: usize = 4 * 1024 * 1024;

/// The body of a request.
pub(super) enum Given {
    /// All of it.
    Whole(Vec<Bytes>),
    /// The beginning, and what comes after. It can be sent once.
    Stream(Option<Body>),
}

impl Given {
    /// Takes what is there. The message of a unary call is; that of a stream may come at any time.
    ///
    /// # Errors
    /// That of the body, such as a message that cannot be encoded.
    pub(super) fn take(mut body: Body) -> Result<Self, Status> {
        let mut frames = Vec::new();
        let mut held = 0_usize;
        // Whoever waits for the rest polls it with a waker of his own.
        let mut context = Context::from_waker(Waker::noop());
        while held <= MOST {
            match Pin::new(&mut body).poll_frame(&mut context) {
                Poll::Ready(None) => return Ok(Self::Whole(frames)),
                Poll::Ready(Some(frame)) => match frame?.into_data() {
                    Ok(data) => {
                        held = held.saturating_add(data.len());
                        frames.push(data);
                    }
                    // A client of gRPC sends none; should one, nothing comes after it.
                    Err(trailers) => return Ok(Self::stream(frames, Some(trailers), None)),
                },
                Poll::Pending => break,
            }
        }
        Ok(Self::stream(frames, None, Some(body)))
    }

    fn stream(frames: Vec<Bytes>, trailers: Option<Frame<Bytes>>, rest: Option<Body>) -> Self {
        let first = frames.into_iter().map(Frame::data).chain(trailers).collect();
        Self::Stream(Some(Body::new(Frames { first, rest })))
    }

    /// Whether it can be sent more than once.
    pub(super) fn can_be_repeated(&self) -> bool {
        matches!(self, Self::Whole(_))
    }

    /// The body for one try; that of a stream is there for the first alone.
    pub(super) fn once(&mut self) -> Body {
        match self {
            Self::Whole(frames) => {
                let first = frames.iter().cloned().map(Frame::data).collect();
                Body::new(Frames { first, rest: None })
            }
            Self::Stream(body) => body.take().unwrap_or_default(),
        }
    }
}

/// Frames, and a body after them.
struct Frames {
    first: VecDeque<Frame<Bytes>>,
    rest: Option<Body>,
}

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match (self.first.pop_front(), &mut self.rest) {
            (Some(frame), _) => Poll::Ready(Some(Ok(frame))),
            (None, Some(rest)) => Pin::new(rest).poll_frame(context),
            (None, None) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && self.rest.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }
}

#[cfg(test)]
mod tests;
