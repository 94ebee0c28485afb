//! A registry in this process: for doc tests, examples, and the tests of whoever uses Portolan.
//!
//! In:  the calls of [`Registry`], and a few by which a test plays the agent, the network and the operator.
//! Out: what Consul would answer: indexes, blocking reads, TTL checks that expire, maintenance.
//!
//! Never: opens a socket; starts a task; runs an HTTP or TCP check. Such a check is passing at once, unless the
//! definition says how it starts, until [`set_check`](Memory::set_check) says otherwise.
//!
//! Time is tokio's, so a test with a paused clock decides when a TTL passes.
//!
//! Proof: `memory/tests.rs`, and the contract suite.

use std::{
    fmt,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use self::catalog::{Catalog, Changes, Reporter};
use super::{
    AgentInfo, Answer, AnswerMeta, Block, CatalogQuery, CheckOutput, Consistency, Definition, Registered,
    Registry, Reply, Report, ServiceQuery, ServiceTags,
};
use crate::{
    error::{Error, Kind},
    model::{CheckId, Instance, ServiceId, ServiceName, Status},
};

mod catalog;

/// How many doorbells there are. A service rings one of them, so a change wakes few that wait for another service.
const DOORBELLS: usize = 64;

/// How long a blocking read waits at most. Consul: agent/consul/config.go `MaxQueryTime`.
const MAX_WAIT: Duration = Duration::from_secs(600);

/// A registry of one node in this process. Clones share it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), portolan::Error> {
/// use portolan::{Registry, registry::{Definition, ServiceQuery, memory::Memory}};
///
/// let memory = Memory::new();
/// memory.register(&Definition::new("web-1".parse()?, "web".parse()?, "10.0.0.1", 80)).await?;
/// let answer = memory.service(&ServiceQuery::new("web".parse()?)).await?;
/// assert_eq!(answer.value[0].authority(), "10.0.0.1:80");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Memory {
    shared: Arc<Shared>,
}

struct Shared {
    #[expect(clippy::disallowed_types, reason = "no await under it, and no reader of a snapshot comes here")]
    state: std::sync::Mutex<State>,
    doorbells: Vec<watch::Sender<()>>,
    /// Rings at every change of any service.
    any: watch::Sender<()>,
}

struct State {
    catalog: Catalog,
    reachable: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Memory {
    /// An empty registry that answers.
    #[must_use]
    pub fn new() -> Self {
        let state = State { catalog: Catalog::new(), reachable: true };
        let doorbells = (0..DOORBELLS).map(|_| watch::Sender::new(())).collect();
        Self { shared: Arc::new(Shared { state: state.into(), doorbells, any: watch::Sender::new(()) }) }
    }

    /// Whether the registry can be reached. While it cannot, every call fails with [`Kind::Unreachable`], and the
    /// blocking reads that are open fail at once. What it holds stays, and TTL checks go on to expire.
    pub fn set_reachable(&self, reachable: bool) {
        self.shared.state().reachable = reachable;
        self.shared.ring_all();
    }

    /// Forgets everything, as an agent does whose data directory was lost. Its indexes go on.
    pub fn wipe(&self) {
        self.shared.step(Catalog::wipe);
    }

    /// Sets the status of any check by hand, as the agent that runs it would.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when no instance has such a check.
    pub fn set_check(&self, check: &CheckId, status: Status, output: &str) -> Result<(), Error> {
        let report = Report::new(check.clone(), status, output);
        let now = Instant::now().into_std();
        self.shared.step(|catalog| match catalog.report(&report, Reporter::ByHand, now) {
            Ok(changes) => (changes, Ok(())),
            Err(error) => (Changes::default(), Err(error)),
        })
    }

    /// The newest index: how many changes there were, and one.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.shared.step(|catalog| (Changes::default(), catalog.index()))
    }
}

/// What a step on the catalogue hands back, beside what it changed.
trait Stepped {
    type Value;
    fn parts(self) -> (Changes, Self::Value);
}

impl Stepped for Changes {
    type Value = ();
    fn parts(self) -> (Changes, ()) {
        (self, ())
    }
}

impl<T> Stepped for (Changes, T) {
    type Value = T;
    fn parts(self) -> Self {
        self
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is due, then one step, and rings for both.
    fn step<S: Stepped>(&self, step: impl FnOnce(&mut Catalog) -> S) -> S::Value {
        let now = Instant::now().into_std();
        let (settled, (changes, value)) = {
            let mut state = self.state();
            (state.catalog.settle(now), step(&mut state.catalog).parts())
        };
        self.ring(&settled);
        self.ring(&changes);
        value
    }

    /// One step of a call, which fails while the registry cannot be reached.
    fn call<S: Stepped>(
        &self,
        step: impl FnOnce(&mut Catalog) -> Result<S, Error>,
    ) -> Result<S::Value, Error> {
        if !self.state().reachable {
            return Err(unreachable());
        }
        self.step(|catalog| match step(catalog).map(S::parts) {
            Ok((changes, value)) => (changes, Ok(value)),
            Err(error) => (Changes::default(), Err(error)),
        })
    }

    fn ring(&self, changes: &Changes) {
        if changes.is_empty() {
            return;
        }
        if changes.extinction {
            return self.ring_all();
        }
        for name in &changes.services {
            self.doorbell(name).send_replace(());
        }
        self.any.send_replace(());
    }

    fn ring_all(&self) {
        for bell in &self.doorbells {
            bell.send_replace(());
        }
        self.any.send_replace(());
    }

    fn doorbell(&self, name: &ServiceName) -> &watch::Sender<()> {
        let sum =
            name.as_str().bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let place = usize::try_from(sum % DOORBELLS as u64).unwrap_or(0);
        self.doorbells.get(place).unwrap_or(&self.any)
    }

    /// Reads until the index is above the one asked for, or the wait is over.
    async fn read<T>(
        &self,
        datacenter: Option<&str>,
        block: Option<Block>,
        bell: &watch::Sender<()>,
        look: impl Fn(&Catalog) -> (u64, T),
    ) -> Result<(u64, T), Error> {
        if let Some(other) = datacenter.filter(|name| *name != catalog::DATACENTER) {
            let what =
                format!("datacenter {other:?}: no path to it; this registry is {:?}", catalog::DATACENTER);
            return Err(Error::new(Kind::Unavailable, what));
        }
        // Before the first look, so that no change between the two is missed.
        let mut ring = bell.subscribe();
        let block = block.filter(|block| block.index > 0);
        let give_up = block.map(|block| Instant::now() + block.wait.min(MAX_WAIT));
        loop {
            let (index, value, due) = self.call(|catalog| {
                let (index, value) = look(catalog);
                Ok((Changes::default(), (index, value, catalog.next_deadline())))
            })?;
            let (Some(block), Some(give_up)) = (block, give_up) else {
                return Ok((index, value));
            };
            if index > block.index || Instant::now() >= give_up {
                return Ok((index, value));
            }
            let until = due.map_or(give_up, |due| give_up.min(Instant::from_std(due)));
            // Which of the two it was makes no difference: the catalogue is looked at again.
            let _woken = tokio::time::timeout_at(until, ring.changed()).await;
        }
    }
}

fn unreachable() -> Error {
    Error::new(Kind::Unreachable, "the in-process registry: not reachable; call set_reachable(true)")
}

fn answer<T>(index: u64, value: T, consistency: Consistency) -> Answer<T> {
    let mut meta = AnswerMeta::new(index);
    meta.known_leader = Some(true);
    meta.last_contact = Some(Duration::ZERO);
    meta.consistency = Some(consistency);
    Answer::new(value, index).with_meta(meta)
}

fn without_output(mut instance: Instance) -> Instance {
    for check in &mut instance.checks {
        check.output = "".into();
    }
    instance
}

impl Registry for Memory {
    fn describe(&self) -> String {
        "the in-process registry".to_owned()
    }

    fn watches(&self) -> Option<usize> {
        Some(usize::MAX)
    }

    fn service<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<Instance>>>> {
        Box::pin(async move {
            let bell = self.shared.doorbell(&query.service);
            let look = |catalog: &Catalog| {
                (catalog.service_index(&query.service), catalog.instances(&query.service))
            };
            let (index, instances) =
                self.shared.read(query.datacenter.as_deref(), query.block, bell, look).await?;
            let instances = instances.into_iter().map(|instance| match query.output {
                CheckOutput::Keep => Arc::new(instance),
                CheckOutput::Drop => Arc::new(without_output(instance)),
            });
            Ok(answer(index, instances.collect(), query.consistency))
        })
    }

    fn services<'a>(&'a self, query: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>> {
        Box::pin(async move {
            let look = |catalog: &Catalog| (catalog.index(), catalog.services());
            let (index, services) =
                self.shared.read(query.datacenter.as_deref(), query.block, &self.shared.any, look).await?;
            Ok(answer(index, services, query.consistency))
        })
    }

    fn agent(&self) -> Reply<'_, AgentInfo> {
        Box::pin(async move {
            let info = AgentInfo::new(catalog::NODE, catalog::DATACENTER, env!("CARGO_PKG_VERSION"));
            self.shared.call(|_| Ok((Changes::default(), info)))
        })
    }

    fn registered<'a>(&'a self, ids: &'a [ServiceId]) -> Reply<'a, Vec<Registered>> {
        Box::pin(async move { self.shared.call(|catalog| Ok((Changes::default(), catalog.registered(ids)))) })
    }

    fn tether<'a>(&'a self, id: &'a ServiceId, wait: Duration) -> Reply<'a, ()> {
        Box::pin(async move {
            let mut ring = self.shared.any.subscribe();
            let give_up = Instant::now() + wait.min(MAX_WAIT);
            let held = || {
                self.shared.call(|catalog| {
                    let mut held = catalog.registered(std::slice::from_ref(id));
                    // Consul's hash is of the instance without its checks.
                    held.iter_mut().for_each(|one| one.checks.clear());
                    Ok((Changes::default(), held))
                })
            };
            let before = held()?;
            if before.is_empty() {
                return Err(Error::new(Kind::NotFound, format!("service id {id:?}: not registered")));
            }
            while held()? == before && Instant::now() < give_up {
                // Which of the two it was makes no difference: the catalogue is looked at again.
                let _woken = tokio::time::timeout_at(give_up, ring.changed()).await;
            }
            Ok(())
        })
    }

    fn register<'a>(&'a self, definition: &'a Definition) -> Reply<'a, ()> {
        Box::pin(async move {
            self.shared.call(|catalog| Ok(catalog.register(definition, Instant::now().into_std())))
        })
    }

    fn deregister<'a>(&'a self, id: &'a ServiceId) -> Reply<'a, ()> {
        Box::pin(async move { self.shared.call(|catalog| Ok(catalog.deregister(id))) })
    }

    fn report<'a>(&'a self, report: &'a Report) -> Reply<'a, ()> {
        Box::pin(async move {
            let now = Instant::now().into_std();
            self.shared.call(|catalog| catalog.report(report, Reporter::Service, now))
        })
    }

    fn maintenance<'a>(&'a self, id: &'a ServiceId, reason: Option<&'a str>) -> Reply<'a, ()> {
        Box::pin(async move { self.shared.call(|catalog| catalog.maintenance(id, reason)) })
    }
}

#[cfg(test)]
mod tests;
