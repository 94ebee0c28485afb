//! The rules, as tables.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::DuplexStream;

use super::*;
use crate::{Config, Discovery, registry::static_list::StaticList, resolve::GaveUp};

#[test]
fn only_what_http_calls_idempotent_is_sent_twice() {
    let twice = |method| retry_for(Retry::default(), &method, true).idempotent;
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"] {
        assert!(twice(method.parse().unwrap()), "{method}");
    }
    for method in ["POST", "PATCH", "CONNECT", "BREW", "get"] {
        assert!(!twice(method.parse().unwrap()), "{method}");
    }
    assert!(retry_for(Retry::default().idempotent(), &Method::POST, true).idempotent, "the caller says so");
    assert_eq!(retry_for(Retry::default(), &Method::GET, false).tries, 1);
    assert_eq!(retry_for(Retry::default().tries(0), &Method::GET, false).tries, 0, "refused, not mended");
}

#[test]
fn a_status_says_whether_the_instance_failed() {
    use FailureKind::{Answer, Overloaded};
    for (status, kind) in [
        (200, None),
        (301, None),
        (400, None),
        (404, None),
        (429, Some(Overloaded)),
        (500, Some(Answer)),
        (501, None),
        (502, Some(Answer)),
        (503, Some(Overloaded)),
        (504, Some(Answer)),
        (505, None),
    ] {
        assert_eq!(kind_of_status(StatusCode::from_u16(status).unwrap()), kind, "{status}");
    }
}

#[test]
fn an_error_counts_by_its_causes_and_is_broken_where_none_is_known() {
    let of = |kind| blame(&RequestError::Caller(io::Error::new(kind, "an error")));
    for (kind, expected) in [
        (io::ErrorKind::ConnectionRefused, FailureKind::Connect),
        (io::ErrorKind::TimedOut, FailureKind::Timeout),
        (io::ErrorKind::ConnectionReset, FailureKind::Broken),
        (io::ErrorKind::UnexpectedEof, FailureKind::Broken),
    ] {
        assert_eq!(of(kind), Blame::Instance(expected), "{kind}");
    }
    let refused = h2::Error::from(h2::Reason::REFUSED_STREAM);
    assert_eq!(blame(&refused), Blame::Instance(FailureKind::Broken), "our own refusal is not the peer's");
}

/// What a client meets whose peer, a server over this end, does so.
async fn met(peer: impl AsyncFnOnce(&mut h2::server::Connection<DuplexStream, Bytes>)) -> h2::Error {
    let (ours, theirs) = tokio::io::duplex(4096);
    let server = async {
        let mut server = h2::server::handshake(theirs).await.unwrap();
        peer(&mut server).await;
        while server.accept().await.is_some() {}
        std::future::pending::<()>().await;
    };
    let client = async {
        let (mut client, connection) = h2::client::handshake(ours).await.unwrap();
        let (response, _) = client.send_request(http::Request::new(()), true).unwrap();
        let (error, _) = tokio::join!(response, connection);
        error.unwrap_err()
    };
    tokio::select! {
        error = client => error,
        () = server => unreachable!("it goes on"),
    }
}

async fn reset(reason: h2::Reason) -> h2::Error {
    let peer = async |server: &mut h2::server::Connection<_, _>| {
        let (_, mut respond) = server.accept().await.unwrap().unwrap();
        respond.send_reset(reason);
        server.graceful_shutdown();
    };
    met(peer).await
}

#[tokio::test(start_paused = true)]
async fn what_the_peer_says_that_it_did_not_process_was_not_sent() {
    let blamed = |error: h2::Error| blame(&error);
    let (not_sent, sent) = (Blame::Instance(FailureKind::Connect), Blame::Instance(FailureKind::Broken));
    assert_eq!(blamed(reset(h2::Reason::REFUSED_STREAM).await), not_sent);
    assert_eq!(blamed(reset(h2::Reason::INTERNAL_ERROR).await), sent);
    let leave = async |reason| {
        met(async |server: &mut h2::server::Connection<_, _>| server.abrupt_shutdown(reason)).await
    };
    assert_eq!(blamed(leave(h2::Reason::NO_ERROR).await), not_sent, "it is past the last that was taken");
    assert_eq!(blamed(leave(h2::Reason::ENHANCE_YOUR_CALM).await), sent);
}

#[tokio::test(start_paused = true)]
async fn hyper_says_whether_a_request_waited_still_and_whether_a_peer_is_silent() {
    let (ours, theirs) = tokio::io::duplex(4096);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(ours)).await.unwrap();
    drop(connection);
    let error = sender.send_request(http::Request::new(Empty::<Bytes>::new())).await.unwrap_err();
    assert_eq!(blame(&error), Blame::Instance(FailureKind::Connect), "{error:?}");
    drop(theirs);

    let (ours, _silent) = tokio::io::duplex(4096);
    let mut http2 = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let second = std::time::Duration::from_secs(1);
    http2.timer(TokioTimer::new()).keep_alive_interval(second).keep_alive_while_idle(true);
    let (_sender, connection) = http2.handshake::<_, Empty<Bytes>>(TokioIo::new(ours)).await.unwrap();
    let error = connection.await.unwrap_err();
    assert_eq!(blame(&error), Blame::Instance(FailureKind::Timeout), "{error:?}");
}

#[test]
fn a_host_names_a_service() {
    let cases = [
        (Some("web"), None, Ok("web")),
        (Some("web.service.consul"), Some("service.consul"), Ok("web")),
        (Some("webservice.consul"), Some("service.consul"), Err("does not end")),
        (Some("web"), Some("service.consul"), Err("send it with a client of your own")),
        (Some(""), None, Err("names no host")),
        (None, None, Err("names no host")),
    ];
    for (host, suffix, expected) in cases {
        match (service_of(host, suffix), expected) {
            (Ok(name), Ok(expected)) => assert_eq!(name, expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{host:?} {suffix:?}: {found:?}, not {expected:?}"),
        }
    }
}

#[test]
fn an_attempt_says_who_failed_and_what_came_of_it() {
    let blamed =
        |error: &&str| if *error == "body" { Blame::Caller } else { Blame::Instance(FailureKind::Broken) };
    let of = |got: Result<u16, &'static str>| {
        tried(got, |answer| (*answer == 503).then_some(FailureKind::Answer), blamed)
    };
    assert!(matches!(of(Ok(200)), Ok(Ok(200))));
    assert!(
        matches!(of(Ok(503)), Err(Failed { kind: FailureKind::Answer, error: Bad::Answer(answer) }) if *answer == 503)
    );
    assert!(matches!(of(Err("body")), Ok(Err("body"))));
    assert!(matches!(
        of(Err("reset")),
        Err(Failed { kind: FailureKind::Broken, error: Bad::Error("reset") })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_request_ends_with_an_answer_though_it_be_a_bad_one_or_says_who_failed() {
    let list: StaticList = "web=127.0.0.1:1".parse().unwrap();
    let discovery = Discovery::with_registry(Arc::new(list), Config::default());
    let web = discovery.service("web").await.unwrap();
    let retry = Retry::default();
    let send = async |got: Tried<u16, io::Error>| {
        let mut got = Some(got);
        call(&web, retry, |_| std::future::ready(got.take().unwrap())).await
    };
    assert_eq!(send(Ok(Ok(200))).await.unwrap(), 200);
    let bad = Failed::new(FailureKind::Overloaded, Bad::Answer(Box::new(503)));
    assert_eq!(send(Err(bad)).await.unwrap(), 503, "an answer that says 503 is an answer");
    let own = send(Ok(Err(io::Error::other("the body ended")))).await.unwrap_err();
    assert!(matches!(&own, RequestError::Caller(error) if error.to_string() == "the body ended"), "{own:?}");
    assert_eq!(own.to_string(), "what the caller gave makes no request, or failed while it was sent");
    assert_eq!(own.source().unwrap().to_string(), "the body ended");
    let broken = Failed::new(FailureKind::Broken, Bad::Error(io::Error::other("reset")));
    let failed = send(Err(broken)).await.unwrap_err();
    let RequestError::Call(CallError::Failed { failed: Failed { kind, .. }, tries: 1, gave_up }) = &failed
    else {
        panic!("{failed:?}")
    };
    assert_eq!((*kind, *gave_up), (FailureKind::Broken, GaveUp::NotIdempotent));
    assert!(failed.to_string().starts_with("try 1 failed: reset; not tried again"), "{failed}");
    assert_eq!(failed.source().unwrap().to_string(), "reset");
    let wrong = call(&web, retry.tries(0), |_| std::future::ready(Tried::<u16, io::Error>::Ok(Ok(1)))).await;
    let wrong = wrong.unwrap_err();
    assert_eq!(wrong.to_string(), "retry.tries: 0 is not from 1 to 100; 3 is the default");
    assert!(wrong.source().is_none());
}
