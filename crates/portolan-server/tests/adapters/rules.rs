//! What every adapter for HTTP has to do, whatever its types: run on each.

use std::{pin::Pin, sync::Arc};

use http::{HeaderMap, HeaderValue, Method, header};
use portolan::integrate::propagate;
use tokio::task::JoinSet;

use crate::{
    Failure,
    world::{LONG, Web, World},
};

/// Status and body of the answer, or the text of the error.
pub(crate) type Answer = Result<(u16, String), String>;
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A client: method, URL, headers.
pub(crate) struct Client(Box<dyn Fn(Method, String, HeaderMap) -> Answering + Send + Sync>);

impl Client {
    pub(crate) fn new<A>(send: impl Fn(Method, String, HeaderMap) -> A + Send + Sync + 'static) -> Self
    where
        A: Future<Output = Answer> + Send + 'static,
    {
        Self(Box::new(move |method, url, headers| Box::pin(send(method, url, headers))))
    }

    async fn send(&self, method: Method, url: &str) -> Answer {
        self.with(method, url, HeaderMap::new()).await
    }

    async fn with(&self, method: Method, url: &str, headers: HeaderMap) -> Answer {
        tokio::time::timeout(LONG, (self.0)(method, url.to_owned(), headers))
            .await
            .map_err(|late| late.to_string())?
    }
}

/// All of it.
pub(crate) async fn hold(make: impl Fn(&World) -> Client) -> Result<(), Failure> {
    requests_reach_instances_as_the_caller_made_them(&make).await?;
    a_dead_instance_costs_no_request(&make).await?;
    what_was_sent_is_not_sent_twice_unless_it_does_no_harm(&make).await?;
    a_bad_answer_is_tried_elsewhere_or_is_the_answer(&make).await
}

async fn requests_reach_instances_as_the_caller_made_them(
    make: impl Fn(&World) -> Client,
) -> Result<(), Failure> {
    let world = World::new()?;
    let mut web: [Web; 1] = world.web().await?;
    let client = make(&world);
    let answer = client.send(Method::GET, "http://web/a%20b?c=d&e").await?;
    assert_eq!(answer, (200, "web-0".to_owned()));
    let seen = web[0].next().await?;
    assert_eq!((seen.method, seen.uri.to_string()), (Method::GET, "/a%20b?c=d&e".to_owned()));
    assert_eq!(seen.headers.get(header::HOST), Some(&HeaderValue::from_static("web")));

    let trace = HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let incoming = HeaderMap::from_iter([(header::HeaderName::from_static("traceparent"), trace.clone())]);
    let mut headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("shop.example"))]);
    propagate(&incoming, &mut headers);
    client.with(Method::DELETE, "http://web:1/", headers).await?;
    let seen = web[0].next().await?;
    assert_eq!(seen.headers.get(header::HOST), Some(&HeaderValue::from_static("shop.example")));
    assert_eq!(seen.headers.get("traceparent"), Some(&trace));
    client.send(Method::GET, "http://web:1/").await?;
    let seen = web[0].next().await?;
    assert_eq!(seen.headers.get(header::HOST), Some(&HeaderValue::from_static("web:1")), "as in the URL");
    assert_eq!(web[0].count(), 0, "each was sent once");
    Ok(())
}

async fn a_dead_instance_costs_no_request(make: impl Fn(&World) -> Client) -> Result<(), Failure> {
    let world = World::new()?;
    let mut web: [Web; 3] = world.web().await?;
    let client = make(&world);
    // Connections to all of them are kept.
    for _ in 0..20 {
        client.send(Method::GET, "http://web/").await?;
    }
    web[0].server.kill()?;
    for method in [Method::GET, Method::POST] {
        for _ in 0..30 {
            let (status, who) = client.send(method.clone(), "http://web/").await?;
            assert!(status == 200 && who != "web-0", "{status} {who}");
        }
    }
    Ok(())
}

async fn what_was_sent_is_not_sent_twice_unless_it_does_no_harm(
    make: impl Fn(&World) -> Client,
) -> Result<(), Failure> {
    for (method, is_tried_again) in [(Method::POST, false), (Method::PUT, true)] {
        let world = World::new()?;
        let mut web: [Web; 2] = world.web().await?;
        let client = Arc::new(make(&world));
        for one in &web {
            one.hangs(true);
        }
        let mut sending = JoinSet::new();
        let (sender, sent) = (Arc::clone(&client), method.clone());
        sending.spawn(async move { sender.send(sent, "http://web/").await });
        let [first, second] = &mut web;
        let (dying, other) = tokio::select! {
            seen = first.next() => { seen?; (first, second) }
            seen = second.next() => { seen?; (second, first) }
        };
        other.hangs(false);
        dying.server.kill()?;
        let answer = sending.join_next().await.ok_or("it was spawned")??;
        assert_eq!(answer.is_ok(), is_tried_again, "{method}: {answer:?}");
        assert_eq!(other.count(), usize::from(is_tried_again), "{method}");
        if let Err(error) = answer {
            assert!(error.contains("it may have been carried out"), "{error}");
        }
    }
    Ok(())
}

async fn a_bad_answer_is_tried_elsewhere_or_is_the_answer(
    make: impl Fn(&World) -> Client,
) -> Result<(), Failure> {
    let world = World::new()?;
    let mut web: [Web; 2] = world.web().await?;
    let client = make(&world);
    web[0].says(503);
    for _ in 0..20 {
        assert_eq!(client.send(Method::GET, "http://web/").await?, (200, "web-1".to_owned()));
    }
    web[1].says(503);
    let (status, _) = client.send(Method::POST, "http://web/").await?;
    assert_eq!(status, 503, "what cannot be tried again is answered as it is");
    web.iter_mut().for_each(|one| assert!(one.count() <= 21));
    for one in &web {
        one.says(404);
    }
    let (status, _) = client.send(Method::GET, "http://web/").await?;
    let reached: usize = web.iter_mut().map(Web::count).sum();
    assert_eq!((status, reached), (404, 1), "what the caller did wrong is an answer");
    Ok(())
}
