//! HTTP/2 by prior knowledge, as the embedded registry speaks it: whole answers, connections shared by many waits, and
//! streams that end too early.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portolan::{
    Kind, Registry as _, ServiceName,
    registry::{
        ServiceQuery,
        consul::{Consul, ConsulConfig, Http2},
    },
};
use tokio::{net::TcpListener, sync::Barrier, task::JoinSet};

use crate::script::Failure;

type Outcome = Result<(), Failure>;

/// A body of one part, and then an end or a break.
struct Parts {
    next: Option<Bytes>,
    breaks: bool,
}

impl Body for Parts {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(part) = self.next.take() {
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        let broken = std::io::Error::other("the registry died");
        Poll::Ready(if std::mem::take(&mut self.breaks) { Some(Err(broken)) } else { None })
    }
}

struct Server {
    config: ConsulConfig,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

/// Answers each request with an empty list: once `together` of them are there, if it is given; broken off, if `breaks`.
async fn serve(together: usize, breaks: bool) -> Result<Server, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let config = ConsulConfig::default()
        .address(format!("http://{}", listener.local_addr()?))?
        .http2(Http2::PriorKnowledge);
    let connections = Arc::new(AtomicUsize::new(0));
    let (counted, barrier) = (Arc::clone(&connections), Arc::new(Barrier::new(together)));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((stream, _peer)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let barrier = Arc::clone(&barrier);
            let answer = service_fn(move |_request: Request<Incoming>| {
                let barrier = Arc::clone(&barrier);
                async move {
                    barrier.wait().await;
                    let body = Parts { next: Some(Bytes::from_static(b"[]")), breaks };
                    let mut response = Response::new(body);
                    response.headers_mut().insert("x-consul-index", 9.into());
                    Ok::<_, Infallible>(response)
                }
            });
            open.spawn(async move {
                let mut http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                // A client that goes away in the middle is no error of the test.
                let _ended =
                    http2.max_concurrent_streams(200).serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    Ok(Server { config, connections, _tasks: tasks })
}

#[tokio::test]
async fn h9_http2_by_prior_knowledge_gives_whole_answers() -> Outcome {
    let server = serve(1, false).await?;
    let consul = Consul::new(server.config.clone());
    for _again in 0..3 {
        let answer = consul.service(&ServiceQuery::new(ServiceName::new("web")?)).await?;
        assert_eq!((answer.value.len(), answer.meta.index), (0, 9));
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    Ok(())
}

#[tokio::test]
async fn h7_waits_use_one_connection_for_each_128_of_them() -> Outcome {
    // The server answers none before all are there: one that is queued behind others would never end.
    let server = serve(300, false).await?;
    let consul = Consul::new(server.config.clone());
    let mut waits = JoinSet::new();
    for number in 0..300 {
        let consul = consul.clone();
        let query =
            ServiceQuery::new(ServiceName::new(format!("s{number}"))?).block(1, Duration::from_secs(20));
        waits.spawn(async move { consul.service(&query).await });
    }
    while let Some(done) = waits.join_next().await {
        done??;
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 3);
    Ok(())
}

#[tokio::test]
async fn e12_a_stream_that_is_broken_off_is_no_answer() -> Outcome {
    let server = serve(1, true).await?;
    let consul = Consul::new(server.config.clone());
    let query = ServiceQuery::new(ServiceName::new("web")?);
    let broken = consul.service(&query).await.err().ok_or("a part of an answer")?;
    // The break may overtake the answer's head: then there was no answer at all.
    assert!(matches!(broken.kind(), Kind::Malformed | Kind::Unreachable), "{}", broken.chain());
    assert!(broken.is_retryable());
    Ok(())
}
