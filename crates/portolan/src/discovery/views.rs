//! The views of a Discovery: one for each service in each datacentre, started by the first who asks for it.
//!
//! In:  a service and a datacentre. Out: what a resolver stands on. Never: two views of the same.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

use tokio::sync::mpsc;

use super::{Kept, ViewConfig};
use crate::{
    cache,
    guard::Guard,
    model::ServiceName,
    resolve::{Loads, Origin},
    roll::Rolls,
    snapshot::Snapshot,
    sync::{self, Ends, Interest, Target},
    tasks::Tasks,
};

/// A view is of one service in one datacentre; `None` is the agent's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
    views: HashMap<ViewKey, View>,
}

#[derive(Debug)]
struct View {
    origin: Origin,
}

/// A view that is to be followed.
pub(super) struct Begun {
    key: ViewKey,
    ends: Ends,
    /// The way in for what a cache remembers.
    remember: mpsc::Sender<Snapshot>,
    interest: Arc<Interest>,
    rolls: Rolls,
}

impl Views {
    pub(super) fn new(seed: u64) -> Self {
        Self { cold: Cold { rolls: Rolls::new(seed), views: HashMap::new() }.into() }
    }

    /// The view of `key`; `start` begins it if it is not there yet.
    pub(super) fn origin(&self, key: ViewKey, start: impl FnOnce(Begun)) -> Origin {
        let mut cold = self.cold.lock().unwrap_or_else(PoisonError::into_inner);
        let Cold { rolls, views } = &mut *cold;
        let view = views.entry(key.clone()).or_insert_with(|| {
            let nothing = Snapshot::nothing(key.service.clone());
            let (ends, remember) = Ends::new(Snapshot { datacenter: key.datacenter.clone(), ..nothing });
            let interest = Arc::new(Interest::default());
            let loads = Arc::new(Loads::default());
            let origin = Origin { reader: ends.reader(), loads, interest: Arc::clone(&interest) };
            start(Begun { key, ends, remember, interest, rolls: rolls.split() });
            View { origin }
        });
        view.origin.clone()
    }
}

/// Follows a view on a task of its own, and on another brings it together with the caches.
pub(super) fn start(
    begun: Begun,
    guard: &Arc<Guard>,
    tasks: &Tasks,
    config: &ViewConfig,
    caches: Option<&Kept>,
) {
    let Begun { key, ends, remember, interest, mut rolls } = begun;
    if let Some(kept) = caches {
        let (service, datacenter) = (key.service, key.datacenter.clone());
        let plan = kept.plan(service, datacenter, ends.reader(), remember, rolls.split());
        let stop = tasks.stop();
        tasks.spawn("cache", move || cache::remember(plan.clone(), stop.clone()));
    }
    let target =
        Target { datacenter: key.datacenter, output: config.check_output, settings: config.settings() };
    let (guard, ends, stop) = (Arc::clone(guard), Arc::new(tokio::sync::Mutex::new(ends)), tasks.stop());
    tasks.spawn("view", move || {
        let (guard, target, ends) = (Arc::clone(&guard), target.clone(), Arc::clone(&ends));
        sync::follow(guard, target, ends, Arc::clone(&interest), rolls.clone(), stop.clone())
    });
}
