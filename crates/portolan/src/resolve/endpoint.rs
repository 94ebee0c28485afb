//! An instance as a caller gets it: with its freshness, and with a count of the requests it has in flight.
//!
//! The load is shared by all resolvers of a view and outlives a change of the instance's definition; a new address or
//! port starts it anew. Never: an entry for what nobody holds any more.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Deref,
    sync::{
        Arc, PoisonError, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;

use super::selection::Mark;
use crate::{
    model::{Identity, Instance},
    snapshot::Freshness,
};

/// What is known of an instance's use: the lower half counts requests in flight, the upper all picks (it wraps). One
/// word, so that a pick is one atomic step.
#[derive(Debug, Default)]
pub(super) struct Load {
    now: AtomicU64,
    /// How many picks the metrics have been told of.
    told: AtomicU32,
}

const ONE_PICK: u64 = (1 << 32) | 1;

impl Load {
    fn begin(&self) {
        self.now.fetch_add(ONE_PICK, Ordering::Relaxed);
    }

    fn end(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    fn in_flight(&self) -> u32 {
        self.now.load(Ordering::Relaxed) as u32
    }

    /// The picks since this was last asked, by whichever resolver of the view: each pick is told once.
    pub(super) fn untold_picks(&self) -> u32 {
        let mut told = self.told.load(Ordering::Acquire);
        loop {
            // Read after `told`, so that it is never behind it.
            let all = (self.now.load(Ordering::Relaxed) >> 32) as u32;
            match self.told.compare_exchange_weak(told, all, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return all.wrapping_sub(told),
                Err(newer) => told = newer,
            }
        }
    }
}

/// What is true of all endpoints of a selection alike, changed in place by the resolver's task: an answer that only
/// confirms ten thousand instances makes none of them anew, and an endpoint that somebody keeps goes on to say the truth.
#[derive(Debug)]
pub(super) struct About(ArcSwap<State>);

/// Freshness and mark, changed together.
#[derive(Debug)]
struct State {
    freshness: Arc<Freshness>,
    mark: Mark,
}

impl About {
    pub(super) fn new(freshness: Arc<Freshness>, mark: Mark) -> Self {
        Self(ArcSwap::from_pointee(State { freshness, mark }))
    }

    pub(super) fn tell(&self, freshness: &Arc<Freshness>, mark: Mark) {
        let now = self.0.load();
        if now.mark != mark || !Arc::ptr_eq(&now.freshness, freshness) {
            self.0.store(Arc::new(State { freshness: Arc::clone(freshness), mark }));
        }
    }

    pub(super) fn freshness(&self) -> Arc<Freshness> {
        Arc::clone(&self.0.load().freshness)
    }

    pub(super) fn mark(&self) -> Mark {
        self.0.load().mark
    }
}

/// An instance that can be picked. Dereferences to the [`Instance`].
#[derive(Debug)]
pub struct Endpoint {
    instance: Arc<Instance>,
    about: Arc<About>,
    pub(super) load: Arc<Load>,
}

impl Endpoint {
    pub(super) fn new(instance: &Arc<Instance>, about: &Arc<About>, load: Arc<Load>) -> Self {
        Self { instance: Arc::clone(instance), about: Arc::clone(about), load }
    }

    /// The instance as the registry tells it, to keep.
    #[must_use]
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// Age, source and index of what is known about it: as they were when it was picked, or newer.
    #[must_use]
    pub fn freshness(&self) -> Arc<Freshness> {
        self.about.freshness()
    }

    /// Whether this is an ordinary pick: as it was when it was picked, or newer.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.about.mark()
    }

    /// How many picks of it are alive now, in this process.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.load.in_flight()
    }
}

impl Deref for Endpoint {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        &self.instance
    }
}

/// A picked instance. While it lives it counts as a request in flight; hold it until the request is over.
///
/// Dereferences to the [`Endpoint`], and so to the [`Instance`].
pub struct Pick {
    endpoint: Arc<Endpoint>,
}

impl Pick {
    pub(super) fn new(endpoint: Arc<Endpoint>) -> Self {
        endpoint.load.begin();
        Self { endpoint }
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.endpoint.load.end();
    }
}

impl Deref for Pick {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl fmt::Debug for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pick").field(&self.endpoint.instance.identity).finish()
    }
}

/// Who an instance is to a client, and where: a new place is a new process, whose load starts at nothing.
type Place = (Identity, Arc<str>, u16);

/// The loads of one view's instances, shared by its resolvers.
#[derive(Debug, Default)]
pub(crate) struct Loads {
    #[expect(clippy::disallowed_types, reason = "cold path: when a selection is built")]
    by_place: std::sync::Mutex<BTreeMap<Place, Weak<Load>>>,
}

impl Loads {
    /// The loads of these instances, in their order: those there are, and new ones.
    pub(super) fn of<'a>(&self, instances: impl Iterator<Item = &'a Arc<Instance>>) -> Vec<Arc<Load>> {
        let mut by_place = self.by_place.lock().unwrap_or_else(PoisonError::into_inner);
        by_place.retain(|_, load| load.strong_count() > 0);
        let mut load = |instance: &Arc<Instance>| {
            let place = (instance.identity.clone(), Arc::clone(&instance.address), instance.port);
            let slot = by_place.entry(place).or_default();
            slot.upgrade().unwrap_or_else(|| {
                let fresh = Arc::new(Load::default());
                *slot = Arc::downgrade(&fresh);
                fresh
            })
        };
        instances.map(&mut load).collect()
    }
}
