//! The page before any registry: its files from here, `/v1/…` passed on to there.
//!
//! In:  an address of this machine, and a client of the registry. Out: a server for browsers of this machine.
//!
//! ```text
//! browser -- /ui/* --> files
//!         -- /v1/* --> Consul::pass --> the registry
//! ```
//!
//! Never: listens where others than this machine can reach it; answers a page of someone else, or under a rebound name; hands
//! out the client's token unless it was told to; keeps a large body.
//!
//! Proof: `tests/http/page.rs`.

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use portolan::{
    Error, Kind,
    registry::consul::{Consul, PassedToken},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::sleep,
};

use super::{file, plain};
use crate::config::Hosts;

/// So many connections at once; a browser has six. More wait in the system's queue.
const CONNECTIONS: usize = 256;
/// The largest body that is passed on: an action of the page has some hundred bytes.
const BODY: usize = 64 * 1024;
/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(10);
/// The pause after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The page, served on this machine, of a registry that may be anywhere.
#[derive(Debug)]
pub struct Page {
    listener: TcpListener,
    addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    hosts: Hosts,
    registry: Consul,
    token: PassedToken,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("hosts", &self.hosts)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

impl Page {
    /// Listens at `addr`, which must be one of this machine alone; port 0 takes any free one. `token`: whose rights a browser
    /// has that brings no token.
    ///
    /// # Errors
    /// [`Kind::Config`]: others could reach the address, or it cannot be listened on.
    ///
    /// # Cancel safety
    /// Dropping the future gives the port back.
    pub async fn bind(addr: SocketAddr, registry: Consul, token: PassedToken) -> Result<Self, Error> {
        if !addr.ip().is_loopback() {
            let what = format!(
                "addr: others than this machine could reach {addr}, and with it the registry; use 127.0.0.1:0 or [::1]:0"
            );
            return Err(Error::config(what));
        }
        let cannot = |failed| {
            let what = format!("addr: cannot listen on {addr}; choose another, or port 0 for a free one");
            Error::config(what).caused_by(failed)
        };
        let listener = TcpListener::bind(addr).await.map_err(cannot)?;
        let addr = listener.local_addr().map_err(cannot)?;
        let hosts = Hosts::new("localhost", &[])?;
        Ok(Self { listener, addr, shared: Arc::new(Shared { hosts, registry, token }) })
    }

    /// Where it listens; with the real port.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until `shutdown` ends; what is open is then cut.
    ///
    /// # Cancel safety
    /// Dropping the future ends everything at once.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            while connections.try_join_next().is_some() {} // forget those that ended
            let accepted = tokio::select! {
                accepted = accept(&self.listener, &places) => accepted,
                () = &mut shutdown => return,
            };
            if let Some((stream, place)) = accepted {
                let shared = Arc::clone(&self.shared);
                connections.spawn(async move {
                    let _until_it_ends = place;
                    serve(stream, shared).await;
                });
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(failed) => {
            tracing::warn!(%failed, "a connection could not be accepted");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(shared.answer(request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(failed) = served.await {
        tracing::debug!(%failed, "a connection broke");
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Response {
        let checked = self.hosts.check(request.version(), request.uri(), request.headers(), None);
        if let Err(foreign) = checked {
            return plain(foreign.status(), foreign.text());
        }
        if let Some(answer) = file(&request) {
            return answer;
        }
        if !request.uri().path().starts_with("/v1/") {
            return plain(
                StatusCode::NOT_FOUND,
                "there is the page at /ui/, and the registry's interface at /v1/\n",
            );
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD | Method::PUT) {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD and PUT are passed on\n");
        }
        self.passed(request).await
    }

    async fn passed(&self, request: Request<Incoming>) -> Response {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY).collect().await else {
            let what = format!("the body is not whole, or over {BODY} bytes\n");
            return plain(StatusCode::PAYLOAD_TOO_LARGE, what);
        };
        let request = Request::from_parts(head, body.to_bytes());
        match self.registry.pass(request, self.token).await {
            Ok(answer) => undisturbed(answer.map(Body::from)),
            Err(error) => {
                let status = if error.kind() == Kind::Timeout {
                    StatusCode::GATEWAY_TIMEOUT
                } else {
                    StatusCode::BAD_GATEWAY
                };
                plain(status, format!("{}\n", error.chain()))
            }
        }
    }
}

/// Whatever the registry sends, a browser takes it for what its type says, and runs nothing of it.
fn undisturbed(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    answer
}
