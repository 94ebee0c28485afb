//! The views of a Discovery: one for each service in each datacentre, started by the first who asks for it, and
//! forgotten when nobody has used it for long.
//!
//! In:  a service and a datacentre. Out: what a resolver stands on.
//!
//! Never: two views of the same; forgets one that a resolver stands on, but for the resolver of a warm lookup that
//! nobody makes any more.
//!
//! Proof: `views/tests.rs`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use foldhash::fast::FixedState;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Config, Kept, ViewConfig};
use crate::{
    cache,
    guard::Guard,
    model::ServiceName,
    resolve::{Loads, Origin, Resolver, WeakResolver},
    roll::Rolls,
    snapshot::Snapshot,
    sync::{self, Ends, Interest, Probe, Target},
    tasks::Tasks,
    telemetry,
};

/// Resolvers with the default selection by name: what a warm lookup reads.
pub(super) type Warm = ArcSwap<HashMap<ServiceName, Resolver, FixedState>>;

/// A view is of one service in one datacentre; `None` is the agent's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ViewKey {
    pub(super) service: ServiceName,
    pub(super) datacenter: Option<Arc<str>>,
}

/// All views.
#[derive(Debug)]
pub(super) struct Views {
    #[expect(clippy::disallowed_types, reason = "cold path: the first lookup of a service")]
    cold: std::sync::Mutex<Cold>,
}

#[derive(Debug)]
struct Cold {
    rolls: Rolls,
    views: BTreeMap<ViewKey, View>,
    /// What is proved of each datacentre.
    probes: BTreeMap<Option<Arc<str>>, Arc<Probe>>,
    /// Every resolver that lives, in the order in which they were made, and perhaps some that are gone.
    resolvers: Vec<WeakResolver>,
    /// Whether somebody looks for views that nobody uses.
    swept: bool,
}

#[derive(Debug)]
struct View {
    origin: Origin,
    used: Instant,
    _stop: DropGuard,
}

/// A view that is to be followed.
pub(super) struct Begun {
    key: ViewKey,
    ends: Ends,
    /// The way in for what a cache remembers.
    remember: mpsc::Sender<Snapshot>,
    interest: Arc<Interest>,
    probe: Arc<Probe>,
    rolls: Rolls,
    stop: CancellationToken,
}

impl Views {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            cold: Cold {
                rolls: Rolls::new(seed),
                views: BTreeMap::new(),
                probes: BTreeMap::new(),
                resolvers: Vec::new(),
                swept: false,
            }
            .into(),
        }
    }

    /// The view of `key`; `start` begins it if it is not there yet.
    pub(super) fn origin(
        &self,
        key: ViewKey,
        config: &Config,
        tasks: &Tasks,
        start: impl FnOnce(Begun),
    ) -> Origin {
        let mut cold = self.cold.lock().unwrap_or_else(PoisonError::into_inner);
        let Cold { rolls, views, probes, .. } = &mut *cold;
        let view = views.entry(key.clone()).or_insert_with(|| {
            let nothing = Snapshot::nothing(key.service.clone());
            let (ends, remember) = Ends::new(Snapshot { datacenter: key.datacenter.clone(), ..nothing });
            let interest = Arc::new(Interest::default());
            let (ejection, budget) = (config.ejection.clone(), config.retry_budget);
            let loads = Arc::new(Loads::new(key.service.clone(), ejection, budget, now()));
            let user = Arc::default();
            let origin = Origin { reader: ends.reader(), loads, interest: Arc::clone(&interest), user };
            let stop = tasks.stop();
            let rolls = rolls.split();
            let datacenter = key.datacenter.clone();
            let probe = probes.entry(datacenter.clone());
            let probe =
                probe.or_insert_with(|| Arc::new(Probe::new(datacenter, config.view.max_stale, now())));
            let probe = Arc::clone(probe);
            start(Begun { key, ends, remember, interest, probe, rolls, stop: stop.clone() });
            View { origin, used: now(), _stop: stop.drop_guard() }
        });
        view.origin.clone()
    }

    /// Keeps account of a resolver.
    pub(super) fn note(&self, resolver: &Resolver) {
        let mut cold = self.cold.lock().unwrap_or_else(PoisonError::into_inner);
        if cold.resolvers.len() == cold.resolvers.capacity() {
            cold.resolvers.retain(WeakResolver::lives);
        }
        cold.resolvers.push(resolver.downgrade());
    }

    /// How many resolvers account is kept of.
    #[cfg(test)]
    pub(super) fn noted(&self) -> usize {
        self.cold.lock().unwrap_or_else(PoisonError::into_inner).resolvers.len()
    }

    /// What every view knows, and how many resolvers stand on it, by service and datacentre; and every resolver.
    pub(super) fn all(&self) -> (Vec<(Arc<Snapshot>, usize)>, Vec<Resolver>) {
        let cold = self.cold.lock().unwrap_or_else(PoisonError::into_inner);
        let views = cold.views.values().map(|view| (view.origin.reader.snapshot(), view.resolvers()));
        (views.collect(), cold.resolvers.iter().filter_map(WeakResolver::upgrade).collect())
    }

    /// Tells each view that the clock stood still for `gap`.
    pub(super) fn suspend(&self, gap: Duration) {
        let cold = self.cold.lock().unwrap_or_else(PoisonError::into_inner);
        cold.views.values().for_each(|view| view.origin.interest.suspend(gap));
    }

    /// Whether the views are to be swept from now on: said once.
    pub(super) fn begin_to_sweep(&self) -> bool {
        let mut cold = self.cold.lock().unwrap_or_else(PoisonError::into_inner);
        !std::mem::replace(&mut cold.swept, true)
    }

    /// Forgets the views that nobody has used for `idle`. Both the resolver of their warm lookup and their task end; the
    /// next who asks for one starts it anew.
    pub(super) fn sweep(&self, warm: &Warm, idle: Duration, now: Instant) {
        let mut cold = self.cold.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unused: Vec<ServiceName> = Vec::new();
        let names = warm.load_full();
        for (key, view) in &mut cold.views {
            let lookup = names.get(&key.service).filter(|_| key.datacenter.is_none());
            let looked_up = lookup.is_some_and(Resolver::take_in_use);
            if looked_up || view.resolvers() > usize::from(lookup.is_some()) {
                view.used = now;
            } else if lookup.is_some() && view.is_idle(idle, now) {
                unused.push(key.service.clone());
            }
        }
        drop(names);
        if !unused.is_empty() {
            warm.rcu(|map| {
                let mut map = HashMap::clone(map);
                map.retain(|service, _| unused.binary_search(service).is_err());
                map
            });
        }
        // Who found the resolver in the old map at the last moment holds it, and so keeps the view.
        cold.resolvers.retain(WeakResolver::lives);
        cold.views.retain(|_, view| view.resolvers() > 0 || !view.is_idle(idle, now));
        let count = u32::try_from(cold.views.len()).unwrap_or(u32::MAX);
        metrics::gauge!(telemetry::VIEWS).set(f64::from(count));
    }
}

impl View {
    /// How many resolvers stand on it.
    fn resolvers(&self) -> usize {
        Arc::strong_count(&self.origin.user).saturating_sub(1)
    }

    fn is_idle(&self, idle: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.used) >= idle
    }
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Follows a view on a task of its own, and on another brings it together with the caches.
pub(super) fn start(
    begun: Begun,
    guard: &Arc<Guard>,
    tasks: &Tasks,
    config: &ViewConfig,
    caches: Option<&Kept>,
) {
    let Begun { key, ends, remember, interest, probe, mut rolls, stop } = begun;
    if let Some(kept) = caches {
        let (service, datacenter) = (key.service, key.datacenter.clone());
        let plan = kept.plan(service, datacenter, ends.reader(), remember, rolls.split());
        let stop = stop.clone();
        tasks.spawn("cache", move || cache::remember(plan.clone(), stop.clone()));
    }
    if probe.begin() {
        // It outlives this view: others of the datacentre use it too.
        let (guard, probe, rolls, stop) =
            (Arc::clone(guard), Arc::clone(&probe), rolls.split(), tasks.stop());
        tasks.spawn("probe", move || {
            sync::prove(Arc::clone(&guard), Arc::clone(&probe), rolls.clone(), stop.clone())
        });
    }
    let (output, settings) = (config.check_output, config.settings());
    let target = Target { datacenter: key.datacenter, output, settings, probe };
    let (guard, ends) = (Arc::clone(guard), Arc::new(tokio::sync::Mutex::new(ends)));
    tasks.spawn("view", move || {
        let (guard, target, ends) = (Arc::clone(&guard), target.clone(), Arc::clone(&ends));
        sync::follow(guard, target, ends, Arc::clone(&interest), rolls.clone(), stop.clone())
    });
}

#[cfg(test)]
mod tests;
