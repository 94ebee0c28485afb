//! A program's health as an endpoint: named probes, combined into liveness, readiness and the registry's check.
//!
//! In:  a [`HealthConfig`] with probes; requests. Out: 200, 429 or 503 as Consul reads them, with text, or with JSON on
//! request.
//!
//! A probe runs when somebody asks, and however many ask, once at a time (`flight`); the runs are tasks of the endpoint
//! (`run`), and end with it. What is pure stands in `combine`, `document`, `flight`, `probe` and `route`.
//!
//! Never: lets a probe that hangs or panics hold up or break an answer; spawns where nobody asks; says more than a status
//! unless a component does not pass.
//!
//! Rules from Consul: agent/checks/check.go. The document: draft-inadarei-api-health-check.
//! Proof: `health_endpoint/tests.rs`, and `tests/health_endpoint.rs` over sockets and on a real Consul.

use std::{
    fmt,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet, time::Instant};

use self::{
    combine::Part,
    document::About,
    route::{Paths, Route},
    run::{Landing, Slot},
};
pub use self::{
    combine::{HealthReport, HealthView},
    config::HealthConfig,
    probe::{Finding, Probe},
    route::HealthResponse,
};
pub(super) use self::{
    probe::{Call, DEFAULT_DEADLINE, LONGEST_DEADLINE, call_of},
    run::once,
};
use crate::{
    check::{Check, DEFAULT_INTERVAL, DEFAULT_TIMEOUT},
    error::Error,
};

mod combine;
mod config;
mod document;
mod flight;
mod probe;
mod route;
mod run;

/// How much longer than the slowest probe the registry waits for the answer.
const ON_THE_WAY: Duration = Duration::from_secs(1);

/// Answers how a program is: whether it lives, whether it is ready, and what the registry's check is to see.
///
/// Clones share everything; when the last one is dropped, probes that run are dropped too. It needs a Tokio runtime when
/// it is asked, and not before.
///
/// How it is served: `router()` for axum (feature `axum`), `service()` for tower and for hyper (features `tower`,
/// `hyper`), `grpc()` for a gRPC server of tonic (feature `tonic`), `serve(addr)` on a port of its own (feature
/// `health-server`), or [`respond`](Self::respond) in any other server. The question is in the path, `/livez`, `/readyz`
/// or `/health` unless set; the answer is text, or JSON (`application/health+json`) where `Accept` names it or the query is
/// `format=json`.
///
/// ```
/// use std::time::Duration;
///
/// use portolan::{HealthConfig, HealthEndpoint, Probe, Registration};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), portolan::Error> {
/// # async fn ping() -> std::io::Result<()> { Err(std::io::Error::other("connection refused")) }
/// let database = Probe::new("database", ping).deadline(Duration::from_millis(500));
/// let health = HealthEndpoint::open(HealthConfig::default().probe(database))?;
/// let web = Registration::new("web", 8080).check(health.check());
///
/// let answer = health.respond("GET", "/health", None).await;
/// assert_eq!((answer.code, &*answer.body), (503, "fail\ndatabase: fail, connection refused\n"));
/// assert_eq!(health.respond("GET", "/livez", None).await.code, 200); // a restart would not mend the database
///
/// health.set_ready(false); // when it is drained
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HealthEndpoint {
    inner: Arc<Inner>,
}

struct Inner {
    slots: Vec<Arc<Slot>>,
    paths: Paths,
    about: Arc<About>,
    ready: watch::Sender<bool>,
    #[expect(clippy::disallowed_types, reason = "cold path: once per run of a probe")]
    runs: std::sync::Mutex<JoinSet<()>>,
}

impl fmt::Debug for HealthEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let probes: Vec<_> = self.inner.slots.iter().map(|slot| &slot.probe).collect();
        f.debug_struct("HealthEndpoint")
            .field("paths", &self.inner.paths)
            .field("ready", &self.is_ready())
            .field("probes", &probes)
            .finish_non_exhaustive()
    }
}

impl HealthEndpoint {
    /// An endpoint with these probes. Nothing runs and nothing listens yet.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config), naming the first setting that is wrong and what is allowed.
    pub fn open(config: HealthConfig) -> Result<Self, Error> {
        config.validate()?;
        let HealthConfig { paths, about, probes, ready } = config;
        let slots = probes.into_iter().map(|probe| Arc::new(Slot::new(probe))).collect();
        let (ready, runs) = (watch::Sender::new(ready), Default::default());
        Ok(Self { inner: Arc::new(Inner { slots, paths, about: Arc::new(about), ready, runs }) })
    }

    /// Says whether the program may be sent requests. While it is not ready, readiness and the registry's check fail,
    /// whatever the probes find; liveness does not change.
    pub fn set_ready(&self, ready: bool) {
        if self.inner.ready.send_replace(ready) != ready {
            tracing::info!(ready, "readiness");
        }
    }

    /// Whether the program says that it may be sent requests. The probes may say otherwise.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.inner.ready.borrow()
    }

    /// The check that has a registry ask this endpoint on the instance's own port, each 10 s; its timeout is 5 s, or 1 s
    /// more than the slowest probe's deadline. Where the endpoint has a port of its own, write the check with
    /// [`Check::http`] and a whole URL.
    #[must_use]
    pub fn check(&self) -> Check {
        let slowest = self.inner.slots.iter().map(|slot| slot.probe.deadline).max().unwrap_or_default();
        let timeout = DEFAULT_TIMEOUT.max(slowest.saturating_add(ON_THE_WAY));
        Check::http(&self.inner.paths.check).timeout(timeout).every(DEFAULT_INTERVAL.max(timeout))
    }

    /// Asks each probe that counts for this question, all at once, and combines what they find. It takes as long as the
    /// slowest of them, and never longer than the longest deadline by more than 1 s.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the runs go on, and the next request gets what they find.
    pub async fn report(&self, view: HealthView) -> HealthReport {
        let asked = Instant::now();
        let counts = self.inner.slots.iter().filter(|slot| view.looks_at(slot.probe.weight));
        let begun: Vec<_> = counts.map(|slot| (slot, slot.ask(|landing| self.begin(landing)))).collect();
        let mut parts = Vec::with_capacity(begun.len());
        for (slot, ticket) in begun {
            let taken = slot.told(ticket, asked).await;
            parts.push(Part { name: Arc::clone(&slot.probe.name), weight: slot.probe.weight, taken });
        }
        // Read last: a program that became unready meanwhile is not ready.
        HealthReport::new(view, self.is_ready(), parts, Arc::clone(&self.inner.about))
    }

    /// Answers an HTTP request: its method, its target as it came (`/health?format=json`), and its `Accept` header.
    /// A path that is not one of the three gets 404, a method other than GET and HEAD 405.
    ///
    /// # Cancel safety
    /// As for [`report`](Self::report).
    pub async fn respond(&self, method: &str, target: &str, accept: Option<&str>) -> HealthResponse {
        let route = self.route(method, target, accept);
        self.reply(route).await
    }

    /// What a request wants. Apart from [`reply`](Self::reply), so that an adapter need not hold the request.
    pub(crate) fn route(&self, method: &str, target: &str, accept: Option<&str>) -> Route {
        Route::of(&self.inner.paths, method, target, accept)
    }

    pub(crate) async fn reply(&self, route: Route) -> HealthResponse {
        match route {
            Route::Show(view, form) => HealthResponse::of(&self.report(view).await, form),
            Route::NotFound => HealthResponse::not_found(&self.inner.paths),
            Route::WrongMethod => HealthResponse::wrong_method(),
        }
    }

    /// Where the questions are asked, for a router.
    #[cfg(feature = "axum")]
    pub(crate) fn paths(&self) -> &Paths {
        &self.inner.paths
    }

    /// Whether there is a probe of this name.
    #[cfg(feature = "tonic")]
    pub(crate) fn has_probe(&self, name: &str) -> bool {
        self.inner.slots.iter().any(|slot| *slot.probe.name == *name)
    }

    /// What the probe of this name finds; the others are not asked.
    #[cfg(feature = "tonic")]
    pub(crate) async fn find(&self, name: &str) -> Option<Finding> {
        let asked = Instant::now();
        let slot = self.inner.slots.iter().find(|slot| *slot.probe.name == *name)?;
        let ticket = slot.ask(|landing| self.begin(landing));
        Some(slot.told(ticket, asked).await.finding)
    }

    /// Tells when [`set_ready`](Self::set_ready) is called.
    #[cfg(feature = "tonic")]
    pub(crate) fn readiness(&self) -> watch::Receiver<bool> {
        self.inner.ready.subscribe()
    }

    fn begin(&self, landing: Landing) {
        let mut runs = self.inner.runs.lock().unwrap_or_else(PoisonError::into_inner);
        while runs.try_join_next().is_some() {} // forget those that ended
        runs.spawn(run::run(landing));
    }
}

#[cfg(test)]
mod tests;
