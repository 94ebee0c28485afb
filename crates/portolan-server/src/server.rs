//! The HTTP server: accepts connections, speaks HTTP/1.1 and HTTP/2 on one port, and stops within a deadline.
//!
//! In:  a config, and a future that ends when the registry is to stop. Out: Consul's interface, until then.
//!
//! HTTP/2 is known by its preface, so that one connection can carry hundreds of blocking queries without TLS.
//!
//! Never: holds more connections than allowed; waits for a head for longer than `header_timeout`; leaves a task
//! behind when `run` returns.
//!
//! Proof: `tests/http.rs`, `tests/serving.rs`.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, response::Response};
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
use portolan::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api,
    config::ServerConfig,
    core::Core,
    durable,
    embed::{Embedded, background},
    faults::{Broken, Faults, Line, answer},
    store::{Trouble, dir::Dir},
};

/// The pause after an accept that failed, for example because descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a half-sent HTTP/2 preface is looked at again.
const PREFACE_PAUSE: Duration = Duration::from_millis(20);
/// How many requests one HTTP/2 connection carries at once; a client with more opens another.
const STREAMS: u32 = 1024;
/// How an HTTP/2 connection begins (RFC 9113, section 3.4). No HTTP/1.1 method starts with `PRI`.
const PREFACE: &[u8] = b"PRI";

const TOO_MANY: &str = "Your IP is issuing too many concurrent connections, please rate limit your calls\n";

/// The registry with its port bound, not serving yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    http_addr: SocketAddr,
    core: Arc<Core>,
}

impl Server {
    /// Checks the settings, binds the port, and reads what is kept. Nothing is answered before [`Server::run`].
    ///
    /// # Errors
    /// [`Kind::Config`](portolan::Kind::Config): a setting is out of range, or the address cannot be listened on;
    /// the text names the address and the flag that changes it; or the data directory cannot be used: another process
    /// has it, a newer version wrote it, it is damaged, or cannot be written.
    ///
    /// # Cancel safety
    /// Dropping the future gives the port back, and the data directory once it has been read.
    pub async fn bind(config: ServerConfig) -> Result<Self, Error> {
        config.validate()?;
        let wanted = config.http_addr;
        let cannot = |failed: io::Error| {
            let what = if failed.kind() == io::ErrorKind::AddrInUse {
                format!(
                    "http_addr: {wanted} is in use; stop what listens there, or choose another with --http-addr"
                )
            } else {
                format!("http_addr: cannot listen on {wanted}; choose another address with --http-addr")
            };
            Error::config(what).caused_by(failed)
        };
        // On unix, tokio sets SO_REUSEADDR: a registry that stopped can start again at once.
        let listener = TcpListener::bind(wanted).await.map_err(cannot)?;
        let http_addr = listener.local_addr().map_err(cannot)?;
        // The port first: a second registry is told of the first by its address.
        let core = Arc::new(open(config).await?);
        Ok(Self { listener, http_addr, core })
    }

    /// Where it listens; with the real port when port 0 was asked for.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// The same registry without the network, for the program that carries it. Checks run only while the server does, and
    /// with a data directory a write is answered only then: before it waits, and afterwards it is refused.
    #[must_use]
    pub fn embedded(&self) -> Embedded {
        Embedded::beside(Arc::clone(&self.core))
    }

    /// Serves until `shutdown` ends; then answers what is open, and returns within `grace`.
    ///
    /// # Cancel safety
    /// Dropping the future ends everything at once.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { listener, http_addr, core } = self;
        let _stop_when_dropped = core.stopping.clone().drop_guard();
        let mut tasks = background(&core);
        let serving = Serving::new(&core);
        let mut connections = JoinSet::new();
        tracing::info!(%http_addr, node = %core.config.node, "the registry serves");
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => serving.take(stream, &mut connections),
                    Err(failed) => {
                        tracing::warn!(%failed, "a connection could not be accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(ended) = connections.join_next() => note(ended),
                () = &mut shutdown => break,
            }
        }
        drop(listener);
        core.stopping.cancel();
        let deadline = Instant::now() + core.config.grace;
        let drain = async {
            while let Some(ended) = connections.join_next().await {
                note(ended);
            }
        };
        if timeout_at(deadline, drain).await.is_err() {
            tracing::warn!(open = connections.len(), "connections were cut at the end of the grace period");
            connections.shutdown().await;
        }
        serving.end().await;
        tasks.shutdown().await;
        if let Err(trouble) = durable::close(&core).await {
            tracing::error!(%trouble, "the data directory could not be closed; what was acknowledged is in it");
        }
        tracing::info!("the registry has stopped");
    }
}

/// The registry, with what its data directory holds.
async fn open(config: ServerConfig) -> Result<Core, Error> {
    let Some(path) = config.data_dir.clone() else { return Ok(Core::new(config)) };
    let failed = {
        let path = path.display().to_string();
        move |what: String| Error::config(format!("data_dir: {path}: {what}"))
    };
    let opened = spawn_blocking(move || Core::open(config, Box::new(Dir::take(&path)?)));
    match opened.await {
        Ok(opened) => opened.map_err(|trouble: Trouble| failed(trouble.to_string())),
        Err(panicked) => Err(failed(format!("reading it failed: {panicked}; please report this bug"))),
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(failed) = ended
        && failed.is_panic()
    {
        tracing::error!(%failed, "a connection's task panicked; please report this bug");
    }
}

/// What every connection is served with.
struct Serving {
    core: Arc<Core>,
    router: Router,
    http1: auto::Builder<Streams>,
    http2: auto::Builder<Streams>,
    streams: Streams,
    places: Arc<Semaphore>,
}

impl Serving {
    fn new(core: &Arc<Core>) -> Self {
        let streams = Streams { tracker: TaskTracker::new(), stop: CancellationToken::new() };
        let mut builder = auto::Builder::new(streams.clone());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(core.config.header_timeout)
            // As Go writes them, for whoever compares by eye or by case.
            .title_case_headers(true);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .keep_alive_interval(Some(core.config.header_timeout));
        Self {
            core: Arc::clone(core),
            router: api::router(core),
            http1: builder.clone().http1_only(),
            http2: builder.http2_only(),
            streams,
            places: Arc::new(Semaphore::new(core.config.max_connections)),
        }
    }

    fn take(&self, stream: TcpStream, connections: &mut JoinSet<()>) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            refuse(&stream);
            return;
        };
        // Answers are written whole: waiting for more to send would only delay them.
        if let Err(failed) = stream.set_nodelay(true) {
            tracing::debug!(%failed, "a connection went before it was served");
            return;
        }
        let router = TowerToHyperService::new(self.router.clone());
        let (http1, http2) = (self.http1.clone(), self.http2.clone());
        let core = Arc::clone(&self.core);
        connections.spawn(async move {
            let first = timeout(core.config.header_timeout, speaks_http2(&stream));
            let is_http2 = tokio::select! {
                told = first => match told {
                    Ok(Ok(is_http2)) => is_http2,
                    Ok(Err(_)) | Err(_) => return,
                },
                () = core.stopping.cancelled() => return,
            };
            let builder = if is_http2 { http2 } else { http1 };
            let Some(faults) = core.config.faults.clone() else {
                return serve(&core, &builder, stream, router, place).await;
            };
            let cut = CancellationToken::new();
            let line = Line::new(stream, cut.clone());
            let service = hurt(router, faults, cut.clone());
            // What is dropped here with its token cancelled resets the connection.
            let served = serve(&core, &builder, line, service, place);
            cut.run_until_cancelled(served).await;
        });
    }

    async fn end(self) {
        self.streams.stop.cancel();
        self.streams.tracker.close();
        self.streams.tracker.wait().await;
    }
}

/// The router, with its faults.
fn hurt(
    router: TowerToHyperService<Router>,
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

async fn serve<I, S>(
    core: &Core,
    builder: &auto::Builder<Streams>,
    stream: I,
    service: S,
    _place: OwnedSemaphorePermit,
) where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response, Future: Send + 'static>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
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

/// Whether the client begins with HTTP/2's preface. Looks without taking anything.
async fn speaks_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut first).await?;
        let (seen, _) = first.split_at_checked(seen).unwrap_or((&first, &[]));
        if seen.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if seen.len() == PREFACE.len() || !PREFACE.starts_with(seen) {
            return Ok(seen == PREFACE);
        }
        // Only a part of it is there, and peeking again would not wait for more.
        sleep(PREFACE_PAUSE).await;
    }
}

fn refuse(stream: &TcpStream) {
    let answer = format!(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{TOO_MANY}",
        TOO_MANY.len()
    );
    // A client that cannot take these bytes at once sees the connection close instead.
    if let Err(failed) = stream.try_write(answer.as_bytes()) {
        tracing::debug!(%failed, "a refused connection was not told so");
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
