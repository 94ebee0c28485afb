//! A body is taken whole, or goes on as it was.

use http_body_util::BodyExt as _;
use tokio::sync::mpsc;

use super::*;

/// A body whose frames come when somebody sends them.
struct Coming(mpsc::Receiver<Result<Bytes, Status>>);

impl hyper::body::Body for Coming {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.0.poll_recv(context).map(|next| next.map(|data| data.map(Frame::data)))
    }
}

async fn read(body: Body) -> Bytes {
    body.collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn what_is_there_at_once_can_be_sent_again_and_again() {
    let (sender, receiver) = mpsc::channel(4);
    for part in ["a", "bc"] {
        sender.send(Ok(Bytes::from(part))).await.unwrap();
    }
    drop(sender);
    let mut given = Given::take(Body::new(Coming(receiver))).unwrap();
    assert!(given.can_be_repeated());
    for _ in 0..3 {
        assert_eq!(read(given.once()).await, "abc");
    }
    let mut nothing = Given::take(Body::empty()).unwrap();
    assert!(nothing.can_be_repeated() && nothing.once().is_end_stream());
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_and_is_sent_once() {
    let (sender, receiver) = mpsc::channel(4);
    sender.send(Ok(Bytes::from("a"))).await.unwrap();
    let mut given = Given::take(Body::new(Coming(receiver))).unwrap();
    assert!(!given.can_be_repeated());
    sender.send(Ok(Bytes::from("bc"))).await.unwrap();
    drop(sender);
    assert_eq!(read(given.once()).await, "abc");
    assert_eq!(read(given.once()).await, "");
}

#[tokio::test]
async fn what_is_too_much_to_hold_is_sent_once_and_whole() {
    let (sender, receiver) = mpsc::channel(4);
    for _ in 0..3 {
        sender.send(Ok(Bytes::from(vec![7; MOST / 2 + 1]))).await.unwrap();
    }
    drop(sender);
    let mut given = Given::take(Body::new(Coming(receiver))).unwrap();
    assert!(!given.can_be_repeated());
    assert_eq!(read(given.once()).await.len(), 3 * (MOST / 2 + 1));
}

#[tokio::test]
async fn a_message_that_cannot_be_made_is_the_callers_error() {
    let (sender, receiver) = mpsc::channel(1);
    sender.send(Err(Status::internal("not encoded"))).await.unwrap();
    let error = Given::take(Body::new(Coming(receiver))).err().unwrap();
    assert_eq!(error.message(), "not encoded");
}
