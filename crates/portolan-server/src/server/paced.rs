//! A large answer over HTTP/2, given in pieces, so that the connection knows whether its client takes any.
//!
//! In:  an answer. Out: the same bytes. hyper asks for a piece when the client has room for more; the connection's [`Pulse`]
//! knows of each, and [`Wire`](super::wire::Wire) cuts a client that takes none for too long, though it answers each ping.
//!
//! Never: copies a byte; changes what one piece holds anyway.
//!
//! Proof: the tests here, `wire/tests.rs` (in paused time), `tests/http/limits.rs` (over sockets).

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};

use super::wire::{Pulse, Sending};

/// As much as a frame of HTTP/2 has, unless both sides agree on more.
const PIECE: usize = 16 << 10;

/// The answer in pieces, where its connection carries many and it is more than one.
pub(super) fn paced(answer: Response, pulse: &Arc<Pulse>) -> Response {
    let is_small = answer.size_hint().upper().is_some_and(|most| most <= PIECE as u64);
    if is_small || !pulse.has_many() {
        return answer;
    }
    answer.map(|body| Body::new(Paced { body, left: Bytes::new(), sending: pulse.sending() }))
}

/// The body.
#[derive(Debug)]
struct Paced {
    body: Body,
    /// What was given of it, and not yet passed on.
    left: Bytes,
    sending: Sending,
}

impl hyper::body::Body for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.left.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.left = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return Poll::Ready(other),
            }
        }
        self.sending.moved();
        let most = self.left.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(most)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, left) = (self.body.size_hint(), self.left.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(left));
        if let Some(most) = rest.upper() {
            hint.set_upper(most.saturating_add(left));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn the_same_bytes_come_in_pieces_and_only_where_there_are_several() {
        let text: Bytes = (0..PIECE * 5 / 2).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let pulse = Arc::<Pulse>::default();
        let answer = || Response::new(Body::from(text.clone()));
        let whole = paced(answer(), &pulse).into_body().frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(whole.len(), text.len(), "over HTTP/1.1 it is left as it is");

        pulse.carries_many();
        let mut body = paced(answer(), &pulse).into_body();
        assert_eq!(body.size_hint().exact(), Some(text.len() as u64));
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            pieces.push(frame.unwrap().into_data().unwrap());
            let got: usize = pieces.iter().map(Bytes::len).sum();
            assert_eq!(body.size_hint().exact(), Some((text.len() - got) as u64));
        }
        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [PIECE, PIECE, PIECE / 2]);
        assert_eq!(pieces.concat(), text);
        assert!(body.is_end_stream());
    }
}
