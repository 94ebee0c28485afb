//! A service that is registered while it is served: bound, registered, announced when it is ready, drained when it ends.
//!
//! In:  a registration, a router, and what ends it. Out: a server, until its last request is answered.
//!
//! Never: is in service before it listens and is ready; refuses a request while callers may still choose it.
//!
//! Proof: `portolan-server`'s `tests/adapters/axum.rs`, `cargo xtask trial adapters`.

use std::{fmt, future::Future, io, net::SocketAddr, pin::Pin};

use axum::Router;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    discovery::Discovery,
    error::{Error, Kind},
    register::{Drain, HealthEndpoint, Registration},
};

type Ready = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A router with its registration. Feature `axum`.
///
/// ```no_run
/// use axum::{Router, routing::get};
/// use portolan::{Config, Discovery, HealthConfig, HealthEndpoint, Registration};
/// use portolan::integrate::axum::{Serve, asked_to_stop};
///
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// let discovery = Discovery::new(Config::from_env()?);
/// let app = Router::new().route("/", get(|| async { "hello" }));
/// let health = HealthEndpoint::open(HealthConfig::default())?;
/// let serve = Serve::new(Registration::http("web", 0), app).health(health);
/// serve.run(&discovery, ([0, 0, 0, 0], 8080).into(), asked_to_stop()).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is served before `run`"]
pub struct Serve {
    registration: Registration,
    router: Router,
    health: Option<HealthEndpoint>,
    drain: Drain,
    ready: Ready,
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Serve");
        f.field("registration", &self.registration).field("drain", &self.drain).finish_non_exhaustive()
    }
}

impl Serve {
    /// This router, as an instance. The registration's port is taken from the listener, and its address too where that
    /// has one.
    pub fn new(registration: Registration, router: Router) -> Self {
        let (drain, ready) = (Drain::default(), Box::pin(async {}));
        Self { registration, router, health: None, drain, ready }
    }

    /// With the paths of this health endpoint. It is not ready before the router is, and not while it drains.
    pub fn health(mut self, health: HealthEndpoint) -> Self {
        self.health = Some(health);
        self
    }

    /// How it is drained. Requests that outlast its deadline go on until the runtime ends.
    pub fn drain(mut self, drain: Drain) -> Self {
        self.drain = drain;
        self
    }

    /// What has to end before callers may choose it, such as the filling of a cache. The default: nothing.
    pub fn ready(mut self, ready: impl Future<Output = ()> + Send + 'static) -> Self {
        self.ready = Box::pin(ready);
        self
    }

    /// Listens on `addr`, and serves until `stop` ends. Port 0 takes any that is free.
    ///
    /// In order: it listens, is registered in maintenance, and is put into service when it is ready. After `stop`: it is
    /// put into maintenance, callers get time to see that, requests that are in flight end, it is removed.
    /// A registry that is away does not keep it from serving: it is registered when that comes back.
    ///
    /// # Errors
    /// [`Kind::Config`] when the address cannot be listened on; as [`Discovery::register`]; and when it cannot be removed
    /// at the end, as [`RegistrationHandle::drain`](crate::RegistrationHandle::drain).
    ///
    /// # Cancel safety
    /// Dropping the future closes the listener, and removes the instance without a drain.
    pub async fn run(
        self,
        discovery: &Discovery,
        addr: SocketAddr,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let cannot = |failed: io::Error| {
            let what =
                format!("serve: cannot listen on {addr}; choose an address of this machine, and a free port");
            Error::new(Kind::Config, what).caused_by(failed)
        };
        let listener = TcpListener::bind(addr).await.map_err(cannot)?;
        self.run_on(discovery, listener, stop).await
    }

    /// The same on a listener that is bound already.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    /// As [`run`](Self::run).
    pub async fn run_on(
        self,
        discovery: &Discovery,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let Self { registration, router, health, drain, ready } = self;
        let nowhere =
            |failed: io::Error| Error::config("serve: the listener has no address").caused_by(failed);
        let registration = registration.listens_on(listener.local_addr().map_err(nowhere)?);
        let router = match &health {
            Some(health) => router.merge(health.router()),
            None => router,
        };
        let (ending, mut server) = (CancellationToken::new(), JoinSet::new());
        let app = router.into_make_service_with_connect_info::<SocketAddr>();
        server.spawn(
            axum::serve(listener, app).with_graceful_shutdown(ending.clone().cancelled_owned()).into_future(),
        );
        tokio::pin!(stop);
        set_ready(health.as_ref(), false);
        let announced = discovery.announce_when(registration, async {
            ready.await;
            set_ready(health.as_ref(), true);
        });
        let handle = tokio::select! {
            handle = announced => handle?,
            // What was registered meanwhile is removed: nobody was sent here yet.
            () = &mut stop => {
                ending.cancel();
                return ended(&mut server).await;
            }
        };
        tokio::select! {
            () = &mut stop => {}
            // Before its end was asked for: then the instance must not stay.
            failed = ended(&mut server) => {
                handle.remove().await?;
                return failed;
            }
        }
        set_ready(health.as_ref(), false);
        let in_flight = async {
            ending.cancel();
            ended(&mut server).await.err()
        };
        let mut failed = None;
        let drained = handle.drain(drain, async { failed = in_flight.await }).await;
        failed.map_or(drained, Err)
    }
}

fn set_ready(health: Option<&HealthEndpoint>, ready: bool) {
    if let Some(health) = health {
        health.set_ready(ready);
    }
}

/// The end of the server.
async fn ended(server: &mut JoinSet<io::Result<()>>) -> Result<(), Error> {
    let broken = |cause| Err(Error::new(Kind::Closed, "serve: the server broke").caused_by(cause));
    match server.join_next().await {
        None | Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(failed))) => broken(failed),
        Some(Err(panicked)) => broken(io::Error::other(panicked)),
    }
}

/// Ends when the process is asked to: SIGTERM, or Ctrl-C. Where it cannot listen for that it says so, and never ends.
///
/// # Cancel safety
/// Dropping the future forgets a signal that came meanwhile.
pub async fn asked_to_stop() {
    if let Err(cause) = signal().await {
        tracing::error!(%cause, "signals cannot be listened for: the end has to come otherwise");
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
async fn signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        asked = tokio::signal::ctrl_c() => asked,
    }
}

#[cfg(not(unix))]
async fn signal() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
