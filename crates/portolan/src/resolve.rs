//! From a view to one instance: filter, prefer, then pick. A lookup does no I/O, takes no lock, reads no clock, allocates nothing.
//!
//! In:  a view's snapshots, and what the caller asked for. Out: picks, or the typed answer why there is none.
//!
//! A [`Resolver`] owns a selection behind an atomic pointer. Its task builds the next one when the view publishes; a
//! consumer that watches through the resolver is told of a change after picks follow it, never before.
//!
//! Never: builds on a reader's path; fails because the registry did; loses the reason for "none".
//!
//! Proof: `resolve/tests.rs`, `resolve/pick/tests.rs`; the cost in BENCHMARKS.md.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    error::Error,
    model::{Identity, ServiceName},
    overrides::Overrides,
    roll::thread_roll,
    snapshot::{Keep, Reader, Snapshot, Writer},
    sync::{Bound, Consumer, Interest},
};

mod decide;
mod endpoint;
mod none;
mod pick;
mod prefer;
mod refresh;
mod select;
mod selection;
mod stage;
mod task;

pub(crate) use endpoint::Loads;
pub use endpoint::{Endpoint, Pick};
pub use none::{LeftOut, NoInstance, PastBound};
pub use prefer::{Locality, Prefer, Share, Tier};
pub use select::{Exclusion, OnStale, Panic, Policy, Select, Warning};
pub use selection::Mark;
use selection::Selection;
use stage::Stage;
pub(crate) use stage::{Origin, User};
pub(crate) use task::KeepCurrent;
use task::Task;

/// One peek in so many is counted, as that many: counting each would cost more than the peek.
const PEEKS_COUNTED: u64 = 256;

/// Picks instances of one service, by one filter and one policy. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Resolver {
    inner: Arc<Inner>,
}

struct Inner {
    cell: Arc<Cell>,
    reader: Reader,
    /// By these a view knows that a resolver stands on it.
    _users: Vec<Arc<User>>,
    /// And how old it lets what is known become.
    _bounds: Vec<Bound>,
    _stop: DropGuard,
}

/// A resolver, as long as somebody else keeps it.
#[derive(Clone, Debug)]
pub(crate) struct WeakResolver(Weak<Inner>);

impl WeakResolver {
    /// The resolver, if it is there still.
    pub(crate) fn upgrade(&self) -> Option<Resolver> {
        self.0.upgrade().map(|inner| Resolver { inner })
    }

    /// Whether it is there still.
    pub(crate) fn lives(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// What the resolver's task writes and its handles read. In this order, and on a cache line of its own: a lookup among a
/// thousand services pays for each line that it must fetch, and all that it reads here is in the first.
#[repr(C, align(64))]
struct Cell {
    selection: ArcSwap<Selection>,
    seed: u64,
    /// Whether the views know of a lookup since the task last took this back: a lookup that finds it set writes nothing.
    used: AtomicBool,
    /// The same for who looks seldom, and forgets views that nobody uses.
    used_lately: AtomicBool,
    service: ServiceName,
    select: Arc<Select>,
    /// Whether a caller who waits for the first answer has what it can get.
    settled: AtomicBool,
    /// Told of lookups, so that a view which nobody uses can rest.
    interests: Box<[Arc<Interest>]>,
    counts: Box<Counts>,
}

/// Lookups that the metrics do not know of yet. On cache lines of its own: each write to it would else take the pointer
/// to the selection, which is read in every lookup, away from all other threads.
#[derive(Default)]
#[repr(align(128))]
struct Counts {
    peeks: AtomicU64,
    nones: AtomicU64,
    /// How often `service()` found it warm.
    found: AtomicU64,
}

/// Somebody who follows a resolver, and by it all its views: it goes on for as long, held otherwise or not.
struct Follows {
    resolver: Resolver,
    _views: Vec<Consumer>,
}

impl Keep for Follows {}

impl fmt::Debug for Follows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Follows").field(&self.resolver).finish()
    }
}

/// Everything a resolver knows, for a person.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The snapshot that the choice was made from, or a newer one.
    pub snapshot: Arc<Snapshot>,
    /// The instances that can be picked.
    pub usable: Vec<Arc<Endpoint>>,
    /// The others, each with its reason.
    pub left_out: Vec<LeftOut>,
    /// Those of the usable that are picked though something speaks against them, and what: in a panic, the sick.
    pub picked_anyway: Vec<LeftOut>,
    /// What each of the usable gets by the preferences, in their order; empty without preferences, and in a panic.
    pub shares: Vec<Share>,
    /// Whether picks are ordinary ones at present.
    pub mark: Mark,
    /// The answer that a pick gets, when it gets none.
    pub none: Option<NoInstance>,
}

impl Resolver {
    /// A resolver over views, one for each datacentre of `select`, and the work that keeps it current: run that on a
    /// task.
    pub(crate) fn new(
        origins: Vec<Origin>,
        select: Select,
        here: Arc<Locality>,
        overrides: watch::Receiver<Arc<Overrides>>,
        seed: u64,
        stop: CancellationToken,
    ) -> (Self, impl Fn() -> KeepCurrent + Send + 'static) {
        let interests = origins.iter().map(|origin| Arc::clone(&origin.interest)).collect();
        let bound = |origin: &Origin| select.max_age.map(|max_age| origin.interest.bound(max_age));
        let bounds = origins.iter().filter_map(bound).collect();
        let users = origins.iter().map(|origin| Arc::clone(&origin.user)).collect();
        let mut stage = Stage::new(origins, select.clone(), here, overrides, seed);
        let first = stage.shows(tokio::time::Instant::now().into_std());
        let writer = Writer::new(Arc::clone(&first.snapshot));
        let reader = writer.reader();
        let cell = Arc::new(Cell {
            service: first.snapshot.service().clone(),
            select: Arc::new(select),
            selection: ArcSwap::new(first.selection),
            settled: AtomicBool::new(first.settled),
            used: AtomicBool::new(false),
            used_lately: AtomicBool::new(true),
            seed,
            interests,
            counts: Box::default(),
        });
        let stop_view = stop.clone();
        let inner = Inner {
            cell: Arc::clone(&cell),
            reader,
            _users: users,
            _bounds: bounds,
            _stop: stop.drop_guard(),
        };
        let writer = Arc::new(tokio::sync::Mutex::new(writer));
        let cell = Arc::downgrade(&cell);
        let make = move || {
            let (stage, writer) = (stage.clone(), Arc::clone(&writer));
            let task = Task { cell: Weak::clone(&cell), stage, writer, stop: stop_view.clone() };
            Box::pin(task.run()) as KeepCurrent
        };
        (Self { inner: Arc::new(inner) }, make)
    }

    /// Waits until picks get what can be got at the start: an instance, or the word of every datacentre that there is
    /// none.
    ///
    /// # Errors
    /// [`Kind::Timeout`](crate::Kind::Timeout) after `within`; [`Kind::Closed`](crate::Kind::Closed) once the views are
    /// closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn settled(&self, within: Duration) -> Result<(), Error> {
        let settled = || self.inner.cell.settled.load(Ordering::Acquire);
        if settled() {
            return Ok(());
        }
        self.inner.reader.wait_until(|_| settled(), within).await.map(drop)
    }

    /// A clone for a caller who looked it up by name again; counted here, and told to the metrics by the task.
    pub(crate) fn found_again(&self) -> Self {
        self.inner.cell.counts.found.fetch_add(1, Ordering::Relaxed);
        self.inner.cell.mark_used();
        self.clone()
    }

    /// One that does not keep it.
    pub(crate) fn downgrade(&self) -> WeakResolver {
        WeakResolver(Arc::downgrade(&self.inner))
    }

    /// What it was asked for.
    pub(crate) fn select(&self) -> Arc<Select> {
        Arc::clone(&self.inner.cell.select)
    }

    /// Whether somebody has used it since this was last asked, or holds it besides the one who asks.
    pub(crate) fn take_in_use(&self) -> bool {
        let used = self.inner.cell.used_lately.swap(false, Ordering::Relaxed);
        used || Arc::strong_count(&self.inner) > 1
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        &self.inner.cell.service
    }

    /// Picks an instance to send a request to, and counts it as in flight until the pick is dropped.
    ///
    /// # Errors
    /// [`NoInstance`], which says why there is none.
    pub fn pick(&self) -> Result<Pick, NoInstance> {
        self.pick_excluding(&[])
    }

    /// Picks an instance that is none of `not`, as long as there is another; else one of them after all.
    ///
    /// # Errors
    /// [`NoInstance`], which says why there is none.
    pub fn pick_excluding(&self, not: &[&Identity]) -> Result<Pick, NoInstance> {
        let cell = &*self.inner.cell;
        cell.mark_used();
        let selection = cell.selection.load();
        let Some(chosen) = cell.choose(&selection) else { return Err(cell.none(&selection)) };
        let excluded = |endpoint: &Endpoint| not.iter().any(|identity| **identity == endpoint.identity);
        if not.is_empty() || !excluded(chosen) {
            return Ok(Pick::new(Arc::clone(chosen)));
        }
        let again = (0..TRIES).filter_map(|_| cell.choose(&selection)).find(|other| !excluded(other));
        let other = again.or_else(|| selection.endpoints.iter().find(|other| !excluded(other)));
        let wanted = |other: &Endpoint| !excluded(other);
        let other = other.or_else(|| selection.passed_over(thread_roll(cell.seed), wanted));
        Ok(Pick::new(Arc::clone(other.unwrap_or(chosen))))
    }

    /// Lets `look` see an instance chosen by weight, without counting it as in flight: the cheapest lookup.
    ///
    /// Power of two choices does not compare loads here: what peeks send is not in the counts that it would compare.
    ///
    /// # Errors
    /// [`NoInstance`], which says why there is none.
    pub fn peek<R>(&self, look: impl FnOnce(&Endpoint) -> R) -> Result<R, NoInstance> {
        let cell = &*self.inner.cell;
        cell.mark_used();
        let selection = cell.selection.load();
        match cell.peek(&selection) {
            Some(chosen) => Ok(look(chosen)),
            None => Err(cell.none(&selection)),
        }
    }

    /// The newest snapshot that picks follow: all instances, of any health, and from which datacentre.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.cell.mark_used();
        self.inner.reader.snapshot()
    }

    /// A reader of its own, which has seen nothing yet. When it tells of a change, picks follow it already. While it
    /// lives the view is in use.
    #[must_use]
    pub fn watch(&self) -> Reader {
        let views = self.inner.cell.interests.iter().map(Interest::consume).collect();
        self.inner.reader.clone().keeping(Arc::new(Follows { resolver: self.clone(), _views: views }))
    }

    /// What can be picked, what cannot, and why.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        let snapshot = self.snapshot();
        let selection = self.inner.cell.selection.load_full();
        Explanation {
            snapshot,
            usable: selection.endpoints.to_vec(),
            left_out: selection.left_out.to_vec(),
            picked_anyway: selection.picked_anyway.to_vec(),
            shares: selection.shares.to_vec(),
            mark: selection.about.mark(),
            none: selection.none.clone(),
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("service", &self.cell.service).finish_non_exhaustive()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("service", self.service()).finish_non_exhaustive()
    }
}

/// How often a policy is asked again for an instance that is not excluded, before any such instance will do.
const TRIES: usize = 4;

impl Cell {
    #[inline]
    fn choose<'a>(&self, selection: &'a Selection) -> Option<&'a Arc<Endpoint>> {
        let place = selection.picker.pick(&selection.endpoints, thread_roll(self.seed));
        selection.endpoints.get(place)
    }

    #[inline]
    fn peek<'a>(&self, selection: &'a Selection) -> Option<&'a Arc<Endpoint>> {
        let roll = thread_roll(self.seed);
        if roll.is_multiple_of(PEEKS_COUNTED) {
            self.counts.peeks.fetch_add(PEEKS_COUNTED, Ordering::Relaxed);
        }
        selection.endpoints.get(selection.picker.peek(roll))
    }

    /// Says that somebody looks something up: once until the task takes it back.
    #[inline]
    fn mark_used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.first_use();
        }
    }

    #[cold]
    fn first_use(&self) {
        self.used.store(true, Ordering::Relaxed);
        self.used_lately.store(true, Ordering::Relaxed);
        self.interests.iter().for_each(|interest| interest.used());
    }

    #[cold]
    fn none(&self, selection: &Selection) -> NoInstance {
        self.counts.nones.fetch_add(1, Ordering::Relaxed);
        let unknown = || NoInstance::Unreachable { service: self.service.clone(), error: "".into() };
        selection.none.clone().unwrap_or_else(unknown)
    }
}

#[cfg(test)]
mod tests;
