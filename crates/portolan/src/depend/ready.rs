//! Whether all is there that a service needs: waited for at its start, followed afterwards.
//!
//! In:  graphs of what the needs lead to. Out: a [`Readiness`], which says what is missing and why.
//!
//! Never: decides (`ready/step.rs` does); asks the registry when it is asked.
//!
//! Proof: `ready/step/tests.rs` for the rules, `discovery/dependencies/tests.rs` on a registry in
//! memory and in paused time.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::graph::{Graph, Lack, ServiceAt};
use crate::{
    error::{Error, Kind},
    model::Need,
    resolve::why_none,
    snapshot::{Latest, Reader, Writer},
    telemetry,
};

mod config;
mod state;
mod step;

pub use config::{OnLoss, ReadyConfig};
pub use state::{NeedState, ReadyChanges, ReadyState, Stage};
use step::{Event, Machine};

/// How often it is looked at why the registry has not said anything of a service.
const LOOK: Duration = Duration::from_secs(1);

/// Whether all is there that a service needs. Clones follow on their own.
///
/// It follows what the needs lead to for as long as one lives.
///
/// ```
/// use std::{sync::Arc, time::Duration};
///
/// use portolan::{Config, Discovery, Registration, depend::ReadyConfig, registry::memory::Memory};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let discovery = Discovery::with_registry(Arc::new(Memory::new()), Config::default());
/// let web = Registration::ttl("web", 8080).needs(["db".parse()?]);
/// let readiness = discovery.readiness(&web, ReadyConfig::default())?;
/// assert!(!readiness.is_ready());
///
/// let db = discovery.register(Registration::ttl("db", 5432)).await?;
/// readiness.ready(Duration::from_secs(5)).await?;
/// # drop(db);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Readiness {
    latest: Latest<ReadyState>,
    seen: Arc<ReadyState>,
    _stop: Arc<DropGuard>,
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Readiness {
    pub(crate) fn new(latest: Latest<ReadyState>, stop: DropGuard) -> Self {
        let seen = latest.current();
        Self { latest, seen, _stop: Arc::new(stop) }
    }

    /// How it is, and each need. No I/O, and no lock that a writer can hold.
    #[must_use]
    pub fn state(&self) -> Arc<ReadyState> {
        self.latest.current()
    }

    /// Whether the service may be sent requests: all that it requires was there once, and, where
    /// [`OnLoss::FailClosed`] was asked for, is there now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state().is_ready()
    }

    /// Waits until the service is ready.
    ///
    /// # Errors
    /// [`Kind::Timeout`] after `within`, with what is missing and why; [`Kind::Closed`] once the discovery is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn ready(&self, within: Duration) -> Result<(), Error> {
        let mut latest = self.latest.clone();
        let wait = async {
            while !latest.current().is_ready() {
                latest.changed().await?;
            }
            Ok(())
        };
        tokio::time::timeout(within, wait).await.unwrap_or_else(|late| {
            let state = self.state();
            let what = format!("{}: not ready within {within:?}: {}", state.service, state.missing_text());
            Err(Error::new(Kind::Timeout, what).caused_by(late))
        })
    }

    /// Waits until something differs from what this handle told last: the stage, or whether a need is met. Tells what was
    /// met and what was lost in between. One who is slow gets all of it at once, and misses nothing that still differs.
    ///
    /// # Errors
    /// [`Kind::Closed`] once the discovery is closed and everything was told.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: what was not returned is told by the next call.
    pub async fn changed(&mut self) -> Result<ReadyChanges, Error> {
        loop {
            let now = self.latest.current();
            if let Some(changes) = ReadyChanges::between(&self.seen, &now) {
                self.seen = now;
                return Ok(changes);
            }
            self.latest.changed().await?;
        }
    }
}

/// What is kept ready.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) me: ServiceAt,
    /// Each with what it means where the service is.
    pub(crate) needs: Arc<[(Need, ServiceAt)]>,
    pub(crate) config: ReadyConfig,
    /// What is needed, where it can be followed: says why there is no instance.
    pub(crate) views: Arc<BTreeMap<ServiceAt, Reader>>,
}

impl Subject {
    /// How it is before anything is known.
    pub(crate) fn at_first(&self) -> ReadyState {
        Machine::new(self).state(&[])
    }

    /// What each need lacks.
    ///
    /// A need that leads back to this service is met by instances that are registered, of any health: in a cycle
    /// everybody waits for everybody, and would do so for ever.
    fn lacks(&self, graph: &Graph) -> Vec<Option<Lack>> {
        let lack = |(need, to): &(Need, ServiceAt)| {
            // By its name our own datacentre is another one, until it is known to be ours.
            let here = ServiceAt::here(to.service().clone());
            let named = to.datacenter().is_some() && to.datacenter().map(AsRef::as_ref) == graph.home();
            let to = if named && graph.node(&here).is_some() { &here } else { to };
            let cycle = need.is_required() && (*to == self.me || graph.leads(to, &self.me));
            let node = graph.node(to);
            if cycle { Lack::of_registered(need, node) } else { Lack::of(need, node) }
        };
        self.needs.iter().map(lack).collect()
    }

    /// What is told: of a service without an instance also why there is none.
    fn state(&self, machine: &Machine, lacks: &[Option<Lack>]) -> ReadyState {
        let mut state = machine.state(lacks);
        for (one, (_, to)) in state.needs.iter_mut().zip(&*self.needs) {
            let absent = matches!(one.lack, Some(Lack::NotSeen | Lack::NotRegistered));
            let view = self.views.get(to).filter(|_| absent);
            one.none = view.map(|reader| why_none(&reader.snapshot(), &Arc::default(), None));
        }
        state
    }
}

/// Keeps the state current until `stop` is cancelled, or the graph is followed no more.
pub(crate) async fn keep_ready(
    subject: Subject,
    mut graph: Latest<Graph>,
    writer: Arc<tokio::sync::Mutex<Writer<ReadyState>>>,
    stop: CancellationToken,
) {
    // Held for the life of this task: it is the one writer. A task that is started again goes on from what was published.
    let mut writer = writer.lock().await;
    let mut machine = Machine::after(&subject, &writer.current());
    loop {
        let lacks = subject.lacks(&graph.current());
        let now = Instant::now().into_std();
        let events = machine.on(&lacks, now);
        let state = subject.state(&machine, &lacks);
        if *writer.current() != state {
            writer.publish(Arc::new(state));
        }
        events.iter().for_each(|event| record(subject.me.service().as_str(), event));
        // What the registry says of a service without an instance changes no graph.
        let unseen = state_is_unseen(&writer.current()).then(|| now.checked_add(LOOK)).flatten();
        let due = machine.due().into_iter().chain(unseen).min();
        let at_due = async {
            match due {
                Some(due) => sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            open = graph.changed() => if open.is_err() { return },
            () = at_due => {}
        }
    }
}

/// Whether something is waited for of which the registry has not said anything.
fn state_is_unseen(state: &ReadyState) -> bool {
    state.stage == Stage::Waiting && state.needs.iter().any(|one| one.lack == Some(Lack::NotSeen))
}

fn record(service: &str, event: &Event) {
    match event {
        Event::Met(need) => {
            tracing::info!(service, %need, "a need is met");
            metrics::counter!(telemetry::NEEDS_CHANGED, "service" => service.to_owned(), "to" => "met")
                .increment(1);
        }
        Event::Lost(need, lack) => {
            tracing::warn!(service, %need, %lack, "a need is lost");
            metrics::counter!(telemetry::NEEDS_CHANGED, "service" => service.to_owned(), "to" => "lost")
                .increment(1);
        }
        Event::Became(stage) => {
            tracing::info!(service, stage = stage.as_str(), "readiness by what it needs");
            let ready = f64::from(u8::from(stage.is_ready()));
            metrics::gauge!(telemetry::NEEDS_READY, "service" => service.to_owned()).set(ready);
        }
    }
}
