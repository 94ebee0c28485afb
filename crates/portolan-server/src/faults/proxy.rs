//! A proxy before a real registry: passes everything on as it is, but for the faults of its plan, and can be cut,
//! stalled and resumed.
//!
//! In:  connections. Out: a connection to the registry for each, so that limits and ends of connections are its own.
//! HTTP/1.1 is read request by request; TLS and HTTP/2 pass as bytes, and know no faults but cuts and stalls.
//!
//! Never: keeps a connection when the registry's end of it is gone; retries; adds or changes a header.
//!
//! Proof: `tests/faults/`.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::body::Body;
use http::Request;
use hyper::{body::Incoming, client, server, service::service_fn};
use hyper_util::rt::TokioIo;
use portolan::{Error, Kind};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{Mutex, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Broken, Faults, answer,
    line::{Flow, Line},
};

/// So many connections at once; more wait in the system's queue.
const CONNECTIONS: usize = 16_384;
/// How long a client may say nothing at first.
const FIRST_WORD: Duration = Duration::from_secs(600);
/// The pause after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What has passed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections that were taken.
    pub connections: u64,
    /// Connections that were refused, while cut.
    pub refused: u64,
    /// HTTP/1.1 requests that came in, also those that a fault kept from the registry.
    pub requests: u64,
}

/// A proxy that runs until it is dropped.
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    upstream: SocketAddr,
    faults: Faults,
    flow: watch::Sender<Flow>,
    /// Counts up when the connections there are must end.
    severed: watch::Sender<u64>,
    counts: watch::Sender<Counts>,
}

impl Proxy {
    /// Listens on `listen` (port 0 takes any free one), and passes on to `upstream`.
    ///
    /// # Errors
    /// [`Kind::Config`]: the address cannot be listened on.
    ///
    /// # Cancel safety
    /// Dropping the future gives the port back.
    pub async fn start(listen: SocketAddr, upstream: SocketAddr, faults: Faults) -> Result<Self, Error> {
        let cannot = |failed: io::Error| {
            let what =
                format!("proxy: cannot listen on {listen}; choose another address, or port 0 for a free one");
            Error::config(what).caused_by(failed)
        };
        let listener = TcpListener::bind(listen).await.map_err(cannot)?;
        let addr = listener.local_addr().map_err(cannot)?;
        let shared = Arc::new(Shared {
            upstream,
            faults,
            flow: watch::channel(Flow::Open).0,
            severed: watch::channel(0).0,
            counts: watch::channel(Counts::default()).0,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, _tasks: tasks })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The plan in force.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Resets all connections, and every new one, until [`resume`](Self::resume).
    pub fn cut(&self) {
        self.shared.flow.send_replace(Flow::Cut);
        self.sever();
    }

    /// Lets no byte pass, either way, until [`resume`](Self::resume). New connections are made, and are silent.
    pub fn pause(&self) {
        self.shared.flow.send_replace(Flow::Paused);
    }

    /// Ends a cut or a pause. What was under way when it was paused goes on.
    pub fn resume(&self) {
        self.shared.flow.send_replace(Flow::Open);
    }

    /// Resets all connections there are, once.
    pub fn sever(&self) {
        self.shared.severed.send_modify(|times| *times = times.wrapping_add(1));
    }

    /// What has passed so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.shared.counts.borrow()
    }

    /// Waits until `want` accepts the counts.
    ///
    /// # Errors
    /// [`Kind::Timeout`] after `within`.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn counted(
        &self,
        want: impl FnMut(&Counts) -> bool,
        within: Duration,
    ) -> Result<Counts, Error> {
        let mut counts = self.shared.counts.subscribe();
        let late = || {
            let what = format!("proxy: what was waited for did not pass within {within:?}");
            Error::registry(Kind::Timeout, what)
        };
        match timeout(within, counts.wait_for(want)).await {
            Ok(Ok(counts)) => Ok(*counts),
            Ok(Err(gone)) => Err(late().caused_by(gone)),
            Err(over) => Err(late().caused_by(over)),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("addr", &self.addr)
            .field("upstream", &self.shared.upstream)
            .field("flow", &*self.shared.flow.borrow())
            .finish_non_exhaustive()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {} // forget those that ended
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(failed) => {
                tracing::warn!(%failed, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let cut = CancellationToken::new();
        let line = Line::new(stream, cut.clone()).gated(shared.flow.subscribe());
        // Asked for before the flow is looked at: a cut that comes between the two is seen.
        let severed = shared.severed.subscribe();
        if *shared.flow.borrow() == Flow::Cut {
            shared.counts.send_modify(|counts| counts.refused += 1);
            cut.cancel();
            continue;
        }
        shared.counts.send_modify(|counts| counts.connections += 1);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let _place = place;
            carry(line, cut, severed, &shared).await;
        });
    }
}

/// One connection, until either end of it is gone, or it is severed.
async fn carry(line: Line, cut: CancellationToken, mut severed: watch::Receiver<u64>, shared: &Shared) {
    let passed = pass(line, cut.clone(), shared);
    tokio::pin!(passed);
    let ended = tokio::select! {
        biased;
        // Either way the connection is over: severed, or the proxy is gone.
        _ = severed.changed() => {
            cut.cancel();
            return;
        }
        () = cut.cancelled() => return,
        ended = &mut passed => ended,
    };
    if let Err(failed) = ended {
        tracing::debug!(%failed, "a connection broke");
    }
}

async fn pass(mut line: Line, cut: CancellationToken, shared: &Shared) -> io::Result<()> {
    let reached = TcpStream::connect(shared.upstream).await;
    let mut upstream = match reached.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
        Ok(upstream) => upstream,
        Err(failed) => {
            // Nobody is there: the client is told so, but not while nothing passes.
            opened(shared).await;
            cut.cancel();
            return Err(failed);
        }
    };
    let mut first = [0; 3];
    let seen = timeout(FIRST_WORD, line.peek(&mut first)).await??;
    // TLS begins with a record of type 22; HTTP/2 with `PRI`, as no method does. `P` alone may be either: then it is
    // read as HTTP/1.1, which clients send whole.
    if first.first() == Some(&22) || (seen == first.len() && first == *b"PRI") {
        copy_bidirectional(&mut line, &mut upstream).await?;
        return Ok(());
    }
    requests(line, upstream, &cut, shared).await
}

async fn opened(shared: &Shared) {
    let mut flow = shared.flow.subscribe();
    // An error means that the proxy is gone.
    drop(flow.wait_for(|flow| *flow != Flow::Paused).await);
}

async fn requests(
    line: Line,
    upstream: TcpStream,
    cut: &CancellationToken,
    shared: &Shared,
) -> io::Result<()> {
    let (sender, driver) = client::conn::http1::Builder::new()
        .preserve_header_case(true)
        .handshake::<_, Incoming>(TokioIo::new(upstream))
        .await
        .map_err(io::Error::other)?;
    let sender = &Mutex::new(sender);
    let service = service_fn(move |request: Request<Incoming>| async move {
        shared.counts.send_modify(|counts| counts.requests += 1);
        let fault = shared.faults.next(request.method().as_str(), request.uri().path());
        let ask = |request| async move {
            let answer = sender.lock().await.send_request(request).await;
            answer.map(|answer| answer.map(Body::new)).map_err(|failed| Broken(failed.to_string()))
        };
        answer(fault, request, cut, ask).await
    });
    let connection = server::conn::http1::Builder::new()
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(line), service);
    tokio::pin!(connection, driver);
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended.map_err(io::Error::other),
            _ended = driver.as_mut(), if open => {
                // What was answered is still sent; a request that was not answered fails by itself.
                open = false;
                opened(shared).await;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
