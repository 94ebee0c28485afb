//! One connection from its acceptance to its end: a place, TLS, the version of HTTP, requests, a farewell.
//!
//! In:  what was accepted. Out: a task that serves it, until the client, a limit or the registry ends it.
//!
//! Without TLS, HTTP/2 is known by its preface, so that one connection can carry hundreds of blocking queries; with TLS by
//! what both sides agreed on (ALPN).
//!
//! Never: holds more connections than allowed; waits for a client without a limit; leaves a request behind.
//!
//! Proof: `tests/http/serving.rs`, `limits.rs`, `tls.rs`.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::response::Response;
use http::Request;
use hyper::{
    body::Incoming,
    rt::Executor,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    front::{Door, front},
    places::{Place, Places},
    wire::{Pulse, Wire},
};
use crate::{
    api,
    config::{Hosts, Limits},
    core::Core,
    faults::{Broken, Faults, answer},
    telemetry::Held,
};

/// How often a half-sent HTTP/2 preface is looked at again.
const PREFACE_PAUSE: Duration = Duration::from_millis(20);
/// How many requests one HTTP/2 connection carries at once; a client with more opens another.
const STREAMS: u32 = 1024;
/// The largest head of a request over HTTP/2.
const HTTP2_HEAD: u32 = 16 << 10;
/// How an HTTP/2 connection begins (RFC 9113, section 3.4). No HTTP/1.1 method starts with `PRI`.
const PREFACE: &[u8] = b"PRI";

/// How many refused connections are told why at once, and for how long; others only see a close.
const TOLD: usize = 64;
const TELLING: Duration = Duration::from_millis(500);
/// As Consul's (agent/agent.go, go-connlimit).
const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nContent-Length: 81\r\n\
    Connection: close\r\n\r\nYour IP is issuing too many concurrent connections, please rate limit your calls\n";

/// What serves connections.
pub(super) struct Serving {
    shared: Arc<Shared>,
    streams: Streams,
    places: Arc<Places>,
    told: Arc<Semaphore>,
}

/// What every connection is served with.
struct Shared {
    core: Arc<Core>,
    router: TowerToHyperService<api::Interface>,
    http1: auto::Builder<Streams>,
    http2: auto::Builder<Streams>,
    door: Arc<Door>,
}

impl Serving {
    pub(super) fn new(core: &Arc<Core>, hosts: Hosts) -> Self {
        let limits = &core.config.limits;
        let streams = Streams { tracker: TaskTracker::new(), stop: CancellationToken::new() };
        let mut builder = auto::Builder::new(streams.clone());
        builder
            .http1()
            .timer(TokioTimer::new())
            // The wire has the time of heads.
            .header_read_timeout(None)
            .max_buf_size(limits.max_head)
            .max_headers(limits.max_headers)
            // As Go writes them, for whoever compares by eye or by case.
            .title_case_headers(true);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HTTP2_HEAD.min(u32::try_from(limits.max_head).unwrap_or(HTTP2_HEAD)))
            .keep_alive_interval(Some(limits.header_timeout))
            .keep_alive_timeout(limits.header_timeout);
        let shared = Shared {
            core: Arc::clone(core),
            router: TowerToHyperService::new(api::Interface::new(core)),
            http1: builder.clone().http1_only(),
            http2: builder.http2_only(),
            door: Arc::new(Door { hosts, max_headers: limits.max_headers }),
        };
        Self {
            shared: Arc::new(shared),
            streams,
            places: Places::new(limits),
            told: Arc::new(Semaphore::new(TOLD)),
        }
    }

    /// Serves a connection, by TLS where it came in there.
    pub(super) fn take(
        &self,
        (stream, peer): (TcpStream, SocketAddr),
        tls: Option<TlsAcceptor>,
        connections: &mut JoinSet<()>,
    ) {
        let core = &self.shared.core;
        let Some(place) = self.places.take(peer.ip()) else {
            core.figures.refused();
            tracing::debug!(address = %peer.ip(), "a connection is refused: there are too many");
            // By TLS only a handshake could tell it, which costs more than what is refused.
            if let (None, Ok(turn)) = (tls, Arc::clone(&self.told).try_acquire_owned()) {
                connections.spawn(async move {
                    let _turn = turn;
                    tell(stream).await;
                });
            }
            return;
        };
        // Answers are written whole: waiting for more to send would only delay them.
        if let Err(failed) = stream.set_nodelay(true) {
            tracing::debug!(%failed, "a connection went before it was served");
            return;
        }
        let one = Connection {
            shared: Arc::clone(&self.shared),
            cut: core.config.faults.as_ref().map(|_| CancellationToken::new()),
            pulse: Arc::default(),
            place: (place, core.figures.connected()),
        };
        match tls {
            Some(acceptor) => connections.spawn(one.run_tls(stream, acceptor)),
            None => connections.spawn(one.run(stream)),
        };
    }

    pub(super) async fn end(self) {
        self.streams.stop.cancel();
        self.streams.tracker.close();
        self.streams.tracker.wait().await;
    }
}

/// One connection: little, for it is moved into what serves it.
struct Connection {
    shared: Arc<Shared>,
    /// Where there are faults: resets it.
    cut: Option<CancellationToken>,
    pulse: Arc<Pulse>,
    place: (Place, Held),
}

/// Which version of HTTP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Http1,
    Http2,
}

impl Connection {
    fn limits(&self) -> &Limits {
        &self.shared.core.config.limits
    }

    fn wire(&self, stream: TcpStream) -> Wire {
        Wire::new(stream, Arc::clone(&self.pulse), self.limits(), self.cut.clone())
    }

    async fn run(self, stream: TcpStream) {
        let first = timeout(self.limits().idle_timeout, preface(&stream, self.limits().header_timeout));
        let speaks = tokio::select! {
            told = first => match told {
                Ok(Ok(speaks)) => speaks,
                Ok(Err(_)) | Err(_) => return,
            },
            () = self.shared.core.stopping.cancelled() => return,
        };
        let wire = self.wire(stream);
        self.serve(wire, speaks, None).await;
    }

    async fn run_tls(self, stream: TcpStream, acceptor: TlsAcceptor) {
        let shaken = timeout(self.limits().header_timeout, acceptor.accept(self.wire(stream)));
        let stream: TlsStream<Wire> = tokio::select! {
            shaken = shaken => match shaken {
                Ok(Ok(stream)) => stream,
                Ok(Err(failed)) => {
                    tracing::debug!(%failed, "a TLS handshake failed");
                    return;
                }
                Err(_) => {
                    tracing::debug!("a TLS handshake took too long");
                    return;
                }
            },
            () = self.shared.core.stopping.cancelled() => return,
        };
        self.pulse.shaken();
        let (_, session) = stream.get_ref();
        let speaks = if session.alpn_protocol() == Some(b"h2") { Speaks::Http2 } else { Speaks::Http1 };
        let certified = session.server_name().map(Box::from);
        Box::pin(self.serve(stream, speaks, certified)).await;
    }

    async fn serve<I>(self, stream: I, speaks: Speaks, certified: Option<Box<str>>)
    where
        I: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let Self { shared, cut, pulse, place } = self;
        let _until_it_ends = place;
        let Shared { core, router, http1, http2, door } = &*shared;
        let builder = match speaks {
            Speaks::Http1 => http1,
            Speaks::Http2 => {
                pulse.carries_many();
                http2
            }
        };
        let (router, door) = (router.clone(), Arc::clone(door));
        match core.config.faults.clone().zip(cut) {
            None => converse(core, builder, stream, front(router, door, pulse, certified)).await,
            Some((faults, cut)) => {
                let service = front(hurt(router, faults, cut.clone()), door, pulse, certified);
                // What is dropped here with its token cancelled resets the connection.
                let hurt = Box::pin(converse(core, builder, stream, service));
                cut.run_until_cancelled(hurt).await;
            }
        }
    }
}

/// The router, with its faults.
fn hurt(
    router: TowerToHyperService<api::Interface>,
    faults: Faults,
    cut: CancellationToken,
) -> impl Service<Request<Incoming>, Response = Response, Error = Broken, Future: Send + 'static> {
    service_fn(move |request: Request<Incoming>| {
        let (router, cut) = (router.clone(), cut.clone());
        let fault = faults.next(request.method().as_str(), request.uri().path());
        async move {
            let ask = |request| async move {
                router.call(request).await.map_err(|never: Infallible| match never {})
            };
            answer(fault, request, &cut, ask).await
        }
    })
}

async fn converse<I, S>(core: &Core, builder: &auto::Builder<Streams>, stream: I, service: S)
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response, Future: Send + 'static>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // Pinned where it is made: what is moved first stands in memory twice, for as long as the connection lives.
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(failed) = ended {
                    tracing::debug!(%failed, "a connection broke");
                }
                return;
            }
            () = core.stopping.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Which version the client begins with; `limit`: how long it may take for the rest once it has begun. Looks without taking
/// anything.
async fn preface(stream: &TcpStream, limit: Duration) -> io::Result<Speaks> {
    let mut first = [0; PREFACE.len()];
    let mut begun = None;
    loop {
        let seen = stream.peek(&mut first).await?;
        let (seen, _) = first.split_at_checked(seen).unwrap_or((&first, &[]));
        if seen.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if seen == PREFACE {
            return Ok(Speaks::Http2);
        }
        if !PREFACE.starts_with(seen) {
            return Ok(Speaks::Http1);
        }
        // Only a part of it is there, and peeking again would wait neither for more nor for the end.
        let begun = *begun.get_or_insert_with(Instant::now);
        if begun.elapsed() >= limit || stream.ready(Interest::READABLE).await?.is_read_closed() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        sleep(PREFACE_PAUSE).await;
    }
}

/// Tells a client that it has too many connections, and waits until it can have read so.
async fn tell(mut stream: TcpStream) {
    let telling = async {
        stream.write_all(TOO_MANY).await?;
        stream.shutdown().await?;
        // Closing while there is something unread would reset the connection, and the answer with it.
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    if !matches!(timeout(TELLING, telling).await, Ok(Ok(()))) {
        tracing::debug!("a refused connection may not have been told so");
    }
}

/// Runs the requests of HTTP/2 connections, and ends them with the server.
#[derive(Clone)]
struct Streams {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, request: F) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            stop.run_until_cancelled_owned(request).await;
        });
    }
}
