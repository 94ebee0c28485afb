//! The connections of one kind of call: HTTP/1.1 one call at a time, or HTTP/2 shared by many.
//!
//! In:  a request. Out: the answer's head and body, and a lease that is kept until the body has been read.
//!
//! An HTTP/2 connection carries up to [`STREAMS`] calls, then the next one is used: an agent allows 250 on one, and calls
//! over that would wait in silence. A pool that speaks HTTP/2 only opens one connection at a time, so that a thousand
//! watches that lost theirs do not open a thousand. Where TLS does not agree on HTTP/2 (a proxy), HTTP/1.1 is used from
//! then on.
//!
//! Never: sends a request twice. It is given again only where no connection was there to send it on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, Error},
    rt::{TokioExecutor, TokioTimer},
};

use super::{
    config::{Address, ConsulConfig, Http2, Scheme},
    connect::{Dial, NoHttp2, Wanted},
};

/// Calls on one HTTP/2 connection; Consul allows 250, hyper's servers 200.
const STREAMS: usize = 128;
/// HTTP/2 connections of one kind of call, at most.
const CONNECTIONS: usize = 64;
/// An HTTP/2 connection with open streams is probed this often, and given up when a probe goes unanswered as long.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);

type Pool = Client<Dial, Full<Bytes>>;

pub(super) struct Pools {
    /// Empty where HTTP/2 is never spoken.
    shared: Box<[Shared]>,
    single: Pool,
    /// Whether the registry was seen to refuse HTTP/2, by whichever kind of call.
    refused: Arc<AtomicBool>,
}

struct Shared {
    pool: Pool,
    open: AtomicUsize,
}

/// A place on a connection, given back when dropped.
pub(super) struct Lease<'a>(Option<&'a AtomicUsize>);

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(open) = self.0 {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Pools {
    pub(super) fn new(
        config: &ConsulConfig,
        address: &Address,
        dial: &Dial,
        idle: usize,
        refused: &Arc<AtomicBool>,
    ) -> Self {
        let tls = address.scheme() == Scheme::Https;
        let connections = if tls || config.http2 == Http2::PriorKnowledge { CONNECTIONS } else { 0 };
        let shared = (0..connections)
            .map(|_| {
                let pool = builder().http2_only(true).build(dial.wanting(Wanted::Http2));
                Shared { pool, open: AtomicUsize::new(0) }
            })
            .collect();
        let single = builder().pool_max_idle_per_host(idle).build(dial.wanting(Wanted::Http1));
        Self { shared, single, refused: Arc::clone(refused) }
    }

    /// How many calls fit side by side on shared connections; `None`: each needs a connection of its own.
    pub(super) fn streams(&self) -> Option<usize> {
        let shared = !self.shared.is_empty() && !self.refused.load(Ordering::Relaxed);
        shared.then_some(CONNECTIONS * STREAMS)
    }

    pub(super) async fn request(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Lease<'_>), Error> {
        if !self.refused.load(Ordering::Relaxed)
            && let Some(shared) = self.roomy()
        {
            shared.open.fetch_add(1, Ordering::Relaxed);
            let lease = Lease(Some(&shared.open));
            match shared.pool.request(request.clone()).await {
                Err(error) if refuses_http2(&error) => self.refused.store(true, Ordering::Relaxed),
                done => return done.map(|answer| (answer, lease)),
            }
        }
        self.single.request(request).await.map(|answer| (answer, Lease(None)))
    }

    /// The first connection with room, so that few are open; the emptiest when all are full.
    fn roomy(&self) -> Option<&Shared> {
        let open = |shared: &&Shared| shared.open.load(Ordering::Relaxed);
        self.shared
            .iter()
            .find(|shared| open(shared) < STREAMS)
            .or_else(|| self.shared.iter().min_by_key(open))
    }
}

fn builder() -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_EVERY)
        .http2_adaptive_window(true);
    builder
}

fn refuses_http2(error: &Error) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if cause.is::<NoHttp2>() {
            return true;
        }
        next = cause.source();
    }
    false
}
