//! From a view to one instance: filter, then pick. A lookup does no I/O, takes no lock, reads no clock, allocates nothing.
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
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    model::{Identity, ServiceName},
    roll::thread_roll,
    snapshot::{Reader, Snapshot, Writer},
    sync::Interest,
    telemetry,
};

mod endpoint;
mod none;
mod pick;
mod select;
mod selection;

pub(crate) use endpoint::Loads;
pub use endpoint::{Endpoint, Pick};
pub use none::{LeftOut, NoInstance};
pub use select::{Exclusion, Policy, Select, Warning};
pub use selection::Mark;
use selection::{Carried, Selection};

/// Above this many instances a selection is built off the runtime's own threads: it takes longer than a task should.
const BIG: usize = 2_000;
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
    _stop: DropGuard,
}

/// What the resolver's task writes and its handles read.
struct Cell {
    service: ServiceName,
    select: Select,
    seed: u64,
    /// Told of every lookup, so that a view which nobody uses can rest.
    interest: Arc<Interest>,
    selection: ArcSwap<Selection>,
    peeks: Apart,
    nones: AtomicU64,
    /// How often `service()` found it warm.
    found: AtomicU64,
}

/// A count on cache lines of its own: each write to it would else take the pointer to the selection, which is read in
/// every lookup, away from all other threads.
#[derive(Default)]
#[repr(align(128))]
struct Apart(AtomicU64);

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
    /// Whether picks are ordinary ones at present.
    pub mark: Mark,
    /// The answer that a pick gets, when it gets none.
    pub none: Option<NoInstance>,
}

impl Resolver {
    /// A resolver over a view's snapshots, and the work that keeps it current: run that on a task.
    pub(crate) fn new(
        view: &Reader,
        select: Select,
        loads: Arc<Loads>,
        interest: Arc<Interest>,
        seed: u64,
        stop: CancellationToken,
    ) -> (Self, impl Fn() -> KeepCurrent + Send + 'static) {
        let carried = Carried { loads, turn: Arc::new(AtomicU64::new(seed)) };
        let first = view.snapshot();
        let writer = Writer::new(Arc::clone(&first));
        let reader = writer.reader();
        let cell = Arc::new(Cell {
            service: first.service().clone(),
            selection: ArcSwap::from_pointee(Selection::build(&first, &select, &carried)),
            select,
            seed,
            interest,
            peeks: Apart::default(),
            nones: AtomicU64::new(0),
            found: AtomicU64::new(0),
        });
        let stop_view = stop.clone();
        let inner = Inner { cell: Arc::clone(&cell), reader, _stop: stop.drop_guard() };
        let writer = Arc::new(tokio::sync::Mutex::new(writer));
        let view = view.clone();
        let make = move || {
            let task = Task {
                cell: Arc::downgrade(&cell),
                view: view.clone(),
                writer: Arc::clone(&writer),
                carried: carried.clone(),
                stop: stop_view.clone(),
            };
            Box::pin(task.run()) as KeepCurrent
        };
        (Self { inner: Arc::new(inner) }, make)
    }

    /// A clone for a caller who looked it up by name again; counted here, and told to the metrics by the task.
    pub(crate) fn found_again(&self) -> Self {
        self.inner.cell.found.fetch_add(1, Ordering::Relaxed);
        self.clone()
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
        cell.interest.used();
        let selection = cell.selection.load();
        let Some(chosen) = cell.choose(&selection) else { return Err(cell.none(&selection)) };
        let excluded = |endpoint: &Endpoint| not.iter().any(|identity| **identity == endpoint.identity);
        if not.is_empty() || !excluded(chosen) {
            return Ok(Pick::new(Arc::clone(chosen)));
        }
        let again = (0..TRIES).filter_map(|_| cell.choose(&selection)).find(|other| !excluded(other));
        let other = again.or_else(|| selection.endpoints.iter().find(|other| !excluded(other)));
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
        cell.interest.used();
        let selection = cell.selection.load();
        match cell.peek(&selection) {
            Some(chosen) => Ok(look(chosen)),
            None => Err(cell.none(&selection)),
        }
    }

    /// The newest snapshot that picks follow: all instances, of any health.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.cell.interest.used();
        self.inner.reader.snapshot()
    }

    /// A reader of its own, which has seen nothing yet. When it tells of a change, picks follow it already. While it
    /// lives the view is in use.
    #[must_use]
    pub fn watch(&self) -> Reader {
        self.inner.reader.clone().keeping(Arc::new(self.inner.cell.interest.consume()))
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
            mark: selection.mark,
            none: selection.none.clone(),
        }
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
            self.peeks.0.fetch_add(PEEKS_COUNTED, Ordering::Relaxed);
        }
        selection.endpoints.get(selection.picker.peek(roll))
    }

    #[cold]
    fn none(&self, selection: &Selection) -> NoInstance {
        self.nones.fetch_add(1, Ordering::Relaxed);
        let unknown = || NoInstance::Unreachable { service: self.service.clone(), error: "".into() };
        selection.none.clone().unwrap_or_else(unknown)
    }
}

/// The work that keeps a resolver current.
pub(crate) type KeepCurrent = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

struct Task {
    cell: Weak<Cell>,
    view: Reader,
    writer: Arc<tokio::sync::Mutex<Writer>>,
    carried: Carried,
    stop: CancellationToken,
}

impl Task {
    async fn run(mut self) {
        let writer = Arc::clone(&self.writer);
        let mut writer = writer.lock().await;
        let mut retired: Vec<Arc<Selection>> = Vec::new();
        let mut counted = Counted::default();
        let mut fold = tokio::time::interval(FOLD);
        fold.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    if let Some(cell) = self.cell.upgrade() {
                        counted.fold(&cell);
                    }
                    return;
                }
                next = self.view.published() => {
                    let Ok(snapshot) = next else { return };
                    let Some(cell) = self.cell.upgrade() else { return };
                    let next = build(Arc::clone(&snapshot), &cell, &self.carried).await;
                    counted.picks(&cell);
                    // Freed here when the last reader has left it, not on that reader's path.
                    retired.push(cell.selection.swap(next));
                    retired.retain(|old| Arc::strong_count(old) > 1);
                    writer.publish(snapshot);
                }
                _ = fold.tick() => {
                    let Some(cell) = self.cell.upgrade() else { return };
                    retired.retain(|old| Arc::strong_count(old) > 1);
                    counted.fold(&cell);
                }
            }
        }
    }
}

async fn build(snapshot: Arc<Snapshot>, cell: &Arc<Cell>, carried: &Carried) -> Arc<Selection> {
    if snapshot.instances().len() < BIG {
        return Arc::new(Selection::build(&snapshot, &cell.select, carried));
    }
    let (heavy, select, carried) = (Arc::clone(&snapshot), cell.select.clone(), carried.clone());
    let built = tokio::task::spawn_blocking(move || Selection::build(&heavy, &select, &carried)).await;
    let built = built.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
    Arc::new(built)
}

/// How often lookups are folded into the metrics.
const FOLD: std::time::Duration = std::time::Duration::from_secs(10);

/// Picks that were taken from the loads and not told to the metrics yet.
#[derive(Default)]
struct Counted(u64);

impl Counted {
    /// Takes in the picks of the endpoints of the present selection: before it goes, and with it their loads.
    fn picks(&mut self, cell: &Cell) {
        let untold =
            cell.selection.load().endpoints.iter().map(|one| u64::from(one.load.untold_picks())).sum();
        self.0 = self.0.saturating_add(untold);
    }

    fn fold(&mut self, cell: &Cell) {
        self.picks(cell);
        let picked = std::mem::take(&mut self.0).saturating_add(cell.peeks.0.swap(0, Ordering::Relaxed));
        let none = cell.nones.swap(0, Ordering::Relaxed);
        let found = cell.found.swap(0, Ordering::Relaxed);
        let service = || cell.service.as_str().to_owned();
        let count = |outcome, by| {
            metrics::counter!(telemetry::LOOKUPS, "service" => service(), "outcome" => outcome).increment(by);
        };
        count("picked", picked);
        count("none", none);
        metrics::counter!(telemetry::VIEW_LOOKUPS, "service" => service(), "result" => "hit")
            .increment(found);
    }
}

#[cfg(test)]
mod tests;
