//! The client over reqwest.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use portolan::{
    CallError, GaveUp, Kind, Retry,
    integrate::{RequestError, reqwest::Client},
};

use crate::{
    Failure, rules,
    world::{Web, World},
};

#[tokio::test]
async fn the_rules_of_requests_hold_over_reqwest() -> Result<(), Failure> {
    let make = |world: &World| {
        let client = Client::new(&world.callers);
        rules::Client::new(move |method, url, headers: HeaderMap| {
            let sent = client.as_ref().map(|client| {
                let request = client.request(method, url).with(|builder| builder.headers(headers));
                request.send()
            });
            let sent = sent.map_err(ToString::to_string);
            async move {
                let answer = sent?.await.map_err(|error| error.to_string())?;
                let status = answer.status().as_u16();
                Ok((status, answer.text().await.map_err(|error| error.to_string())?))
            }
        })
    };
    rules::hold(make).await
}

#[tokio::test]
async fn the_caller_may_say_that_a_post_does_no_harm_and_hand_on_a_trace() -> Result<(), Failure> {
    let world = World::new()?;
    let mut web: [Web; 2] = world.web().await?;
    let client = Client::new(&world.callers)?;
    web[0].says(500);
    let parent = HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let incoming = HeaderMap::from_iter([(header::HeaderName::from_static("traceparent"), parent.clone())]);
    for _ in 0..10 {
        let answer = client.post("http://web/").body("x").idempotent().traced(&incoming).send().await?;
        assert_eq!((answer.status().as_u16(), answer.text().await?.as_str()), (200, "web-1"));
        let seen = web[1].next().await?;
        assert_eq!(seen.headers.get("traceparent"), Some(&parent));
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_sent_says_why() -> Result<(), Failure> {
    let world = World::new()?;
    let _web: [Web; 1] = world.web().await?;
    let client = Client::new(&world.callers)?.suffix(".service.consul");
    let answer = client.get("http://web.service.consul/").send().await?;
    assert_eq!(answer.text().await?, "web-0");
    let outside = client.get("http://web/").send().await;
    assert!(
        matches!(&outside, Err(RequestError::Service(error)) if error.kind() == Kind::Config),
        "{outside:?}"
    );
    let none = client.get("http://nobody.service.consul/").send().await;
    assert!(matches!(none, Err(RequestError::Call(CallError::NoInstance(_)))), "{none:?}");
    let wrong = client.get("http://").send().await;
    assert!(matches!(wrong, Err(RequestError::Caller(_))), "{wrong:?}");
    Ok(())
}

#[tokio::test]
async fn time_for_all_tries_is_limited() -> Result<(), Failure> {
    let world = World::new()?;
    let web: [Web; 1] = world.web().await?;
    web[0].hangs(true);
    let retry = Retry::default().within(Duration::from_millis(100));
    let late = Client::new(&world.callers)?.retry(retry).get("http://web/").send().await;
    let Err(RequestError::Call(error)) = late else { return Err(format!("{late:?}").into()) };
    let (CallError::TimedOut { gave_up, .. } | CallError::Failed { gave_up, .. }) = error else {
        return Err(format!("{error:?}").into());
    };
    assert_eq!(gave_up, GaveUp::Deadline);
    Ok(())
}

/// A body that nobody can clone.
struct Once(Option<Bytes>);

impl hyper::body::Body for Once {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|data| Ok(hyper::body::Frame::data(data))))
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_cloned_is_sent_once() -> Result<(), Failure> {
    let world = World::new()?;
    let mut web: [Web; 2] = world.web().await?;
    for one in &web {
        one.says(503);
    }
    let body = ::reqwest::Body::wrap(Once(Some(Bytes::from("x"))));
    let client = Client::new(&world.callers)?;
    let answer = client.request(Method::PUT, "http://web/").body(body).send().await?;
    let reached: usize = web.iter_mut().map(Web::count).sum();
    assert_eq!((answer.status().as_u16(), reached), (503, 1));
    Ok(())
}
