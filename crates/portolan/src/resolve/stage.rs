//! What a resolver stands on: its datacentres' views, the operator's tables, the split and the caller's list; and what it shows of
//! them at a moment.
//!
//! In:  the views' newest snapshots and `now`. Out: [`Shows`]: a selection with its snapshot, and when to look again.
//! A selection is built when its instances change; whatever else changes is told to the one that is there.
//!
//! Never: builds ten thousand endpoints because an answer confirmed them.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::AtomicU64},
    task::Poll,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    decide::{Shown, Standing, decide},
    endpoint::now,
    loads::Loads,
    none::{NoInstance, PastBound},
    prefer::Locality,
    rising::Rising,
    select::{OnStale, Policy, Select},
    selection::{Carried, Mark, Selection},
};
use crate::{
    model::{Instance, Split},
    overrides::Overrides,
    snapshot::{Freshness, Hidden, Reader, Snapshot, Source},
    splits::Splits,
    sync::Interest,
};

/// Above this many instances a selection is built off the runtime's own threads: it takes longer than a task should.
const BIG: usize = 2_000;
/// And from so many on when they fill a table by key: the least table, which takes 1 to 2 ms, serves one less.
const BIG_TABLE: usize = 656;

/// A view that a resolver stands on.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) reader: Reader,
    pub(crate) loads: Arc<Loads>,
    pub(crate) interest: Arc<Interest>,
    /// Counted: each resolver holds one while it lives, and its task none.
    pub(crate) user: Arc<User>,
}

/// The files that an operator edits.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) overrides: watch::Receiver<Arc<Overrides>>,
    pub(crate) splits: watch::Receiver<Arc<Splits>>,
}

/// Somebody who stands on a view.
#[derive(Debug, Default)]
pub(crate) struct User;

/// The part of a view that the task needs.
#[derive(Clone, Debug)]
struct Footing {
    reader: Reader,
    loads: Arc<Loads>,
    /// Tells of instances that were ejected or taken back.
    gates: watch::Receiver<u64>,
    #[expect(clippy::disallowed_types, reason = "cold path: when a selection is built, by one task")]
    rising: Arc<std::sync::Mutex<Rising>>,
}

/// What is shown, and until when.
pub(super) struct Shows {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) selection: Arc<Selection>,
    /// Whether a caller who waits for the first answer has what it can get.
    pub(super) settled: bool,
    /// When to look again, if nothing is heard before.
    pub(super) until: Option<Instant>,
}

/// A selection with the snapshot that it, or the newest freshness of it, came from.
#[derive(Clone)]
struct Kept {
    snapshot: Arc<Snapshot>,
    selection: Arc<Selection>,
    /// Since when it is known here that somebody called it out of date.
    void: Option<Instant>,
}

/// All that a resolver stands on.
#[derive(Clone)]
pub(super) struct Stage {
    select: Select,
    /// Where the caller is.
    here: Arc<Locality>,
    origins: Vec<Footing>,
    /// One for each origin.
    views: Vec<Kept>,
    files: Files,
    /// The split that the program set last.
    set: watch::Receiver<Option<Split>>,
    /// The split that holds: what is shown is built with it.
    split: Option<Split>,
    /// The list that was shown last in place of a view: an operator's, or the caller's.
    list: Option<Kept>,
    turn: Arc<AtomicU64>,
}

impl Stage {
    /// Builds what can be shown at once. `origins` holds one for each datacentre of `select`, and at least one.
    pub(super) fn new(
        origins: Vec<Origin>,
        select: Select,
        here: Arc<Locality>,
        (files, set): (Files, watch::Receiver<Option<Split>>),
        seed: u64,
    ) -> Self {
        let turn = Arc::new(AtomicU64::new(seed));
        let footing = |origin: Origin| {
            let gates = origin.loads.follow();
            Footing { reader: origin.reader, loads: origin.loads, gates, rising: Arc::default() }
        };
        let origins: Vec<Footing> = origins.into_iter().map(footing).collect();
        let mut stage =
            Self { select, here, origins, views: Vec::new(), files, set, split: None, list: None, turn };
        stage.split = stage.wanted_split();
        let first = |origin: &Footing| {
            let snapshot = origin.reader.snapshot();
            let carried = stage.carried(origin);
            let selection = Arc::new(Selection::build(&snapshot, &stage.select, &carried));
            Kept { snapshot, selection, void: None }
        };
        let views = stage.origins.iter().map(first).collect();
        Self { views, ..stage }
    }

    /// The operator's, or else the program's own: the one that was set last before the one it began with.
    fn wanted_split(&mut self) -> Option<Split> {
        let service = self.origins.first().map(|origin| origin.reader.snapshot().service.clone());
        let splits = self.files.splits.borrow_and_update();
        let of_file = service.and_then(|service| splits.of(&service).cloned());
        let set = self.set.borrow_and_update().clone();
        of_file.or(set).or_else(|| self.select.split.clone())
    }

    fn carried(&self, origin: &Footing) -> Carried {
        origin.carried(&self.turn, &self.here, self.split.as_ref())
    }

    /// Takes in the newest snapshots. A big selection is built on a thread of its own.
    pub(super) async fn take_in(&mut self) {
        // Before anything is built: what is set meanwhile is built in the next round.
        let split = self.wanted_split();
        let is_another = split != self.split;
        self.split = split;
        for (origin, kept) in self.origins.iter_mut().zip(&mut self.views) {
            let snapshot = origin.reader.snapshot();
            let gates_moved = origin.gates.has_changed().unwrap_or(false);
            if is_another || gates_moved || !kept.serves(&snapshot, now()) {
                origin.gates.mark_unchanged();
                let carried = origin.carried(&self.turn, &self.here, self.split.as_ref());
                kept.selection = build(Arc::clone(&snapshot), &self.select, carried).await;
            }
            kept.snapshot = snapshot;
        }
    }

    /// Waits until something may have to be taken in. Says whether the views go on.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next call tells of it.
    pub(super) async fn news(&mut self) -> bool {
        let Self { origins, files: Files { overrides, splits }, set, .. } = self;
        let mut waits: Vec<_> = origins.iter_mut().map(|origin| Box::pin(origin.news())).collect();
        let view = poll_fn(|context| {
            let mut done = waits.iter_mut().filter_map(|wait| match wait.as_mut().poll(context) {
                Poll::Ready(goes_on) => Some(goes_on),
                Poll::Pending => None,
            });
            done.next().map_or(Poll::Pending, Poll::Ready)
        });
        tokio::select! {
            biased;
            goes_on = view => goes_on,
            Ok(()) = overrides.changed() => true,
            Ok(()) = splits.changed() => true,
            Ok(()) = set.changed() => true,
        }
    }

    /// What is shown at `now`, of what was taken in.
    pub(super) fn shows(&mut self, now: Instant) -> Shows {
        for kept in &mut self.views {
            let is_void = kept.snapshot.freshness.admitted == Duration::MAX;
            kept.void = is_void.then(|| kept.void.unwrap_or(now));
        }
        let first = self.first();
        let forced = self.files.overrides.borrow_and_update().of(&first.snapshot.service).cloned();
        let standings: Vec<Standing> = self.views.iter().map(Kept::standing).collect();
        let decision = decide(&standings, forced.is_some(), &self.select, now);
        let kept = match (decision.shown, forced, &self.select.on_stale) {
            (Shown::Override, Some(forced), _) => {
                self.list_of(&forced.instances, Source::Override, Some(forced.since))
            }
            (Shown::Fallback, _, OnStale::Fallback(list)) => {
                self.list_of(&Arc::clone(list), Source::Fallback, None)
            }
            (Shown::TooOld(at, since), ..) => self.too_old(at, since),
            (Shown::View(at), ..) => self.views.get(at).cloned().unwrap_or(first),
            _ => first,
        };
        kept.selection.about.tell(&kept.snapshot.freshness, decision.mark);
        let Kept { snapshot, selection, .. } = kept;
        let judge = self.origins.iter().filter_map(|origin| origin.loads.judge(now)).min();
        let steps = self.views.iter().filter_map(|kept| kept.selection.next_step);
        let until = decision.until.into_iter().chain(judge).chain(steps).min();
        Shows { snapshot, selection, settled: decision.settled, until }
    }

    /// The datacentre that the caller asked for first.
    fn first(&self) -> Kept {
        #[expect(clippy::indexing_slicing, reason = "a resolver stands on one view at least")]
        self.views[0].clone()
    }

    /// A list that was given, in the place of the first view.
    fn list_of(
        &mut self,
        instances: &Arc<[Arc<Instance>]>,
        source: Source,
        confirmed: Option<Instant>,
    ) -> Kept {
        let first = self.first();
        let freshness = match &self.list {
            Some(kept) if kept.is_of(instances, source) => Arc::clone(&kept.snapshot.freshness),
            _ => Arc::new(Freshness { source, confirmed, ..Freshness::nothing() }),
        };
        let snapshot = Arc::new(Snapshot {
            datacenter: None,
            instances: Arc::clone(instances),
            held: Arc::default(),
            freshness,
            hidden: Hidden::No,
            ..(*first.snapshot).clone()
        });
        let selection = match &self.list {
            Some(kept) if kept.is_of(instances, source) => Arc::clone(&kept.selection),
            _ => {
                let select = self.select.of_a_list();
                #[expect(clippy::indexing_slicing, reason = "a resolver stands on one view at least")]
                let carried = self.origins[0].carried(&self.turn, &self.here, None);
                Arc::new(Selection::build(&snapshot, &select, &carried))
            }
        };
        let kept = Kept { snapshot, selection, void: None };
        self.list = Some(kept.clone());
        kept
    }

    fn too_old(&self, at: usize, since: Instant) -> Kept {
        let kept = self.views.get(at).cloned().unwrap_or_else(|| self.first());
        let failure = kept.snapshot.failure.as_ref();
        let error = failure.map_or_else(|| "".into(), |failure| Arc::clone(&failure.text));
        let why = Arc::new(PastBound {
            max_age: self.select.max_age.filter(|_| kept.void.is_none()),
            since,
            error,
        });
        let none = NoInstance::TooOld { service: kept.snapshot.service.clone(), why };
        let selection = Arc::new(kept.selection.refusing(none, Mark::Stale, &self.turn));
        Kept { selection, ..kept }
    }
}

impl Kept {
    /// Whether its selection is that of this snapshot too, at this moment.
    fn serves(&self, snapshot: &Snapshot, now: Instant) -> bool {
        // Without an instance the answer names the failure or the time, which each snapshot may change.
        let lasts = matches!(self.selection.none, None | Some(NoInstance::NoneUsable { .. }));
        lasts
            && self.selection.next_step.is_none_or(|step| step > now)
            && Arc::ptr_eq(&self.snapshot.instances, &snapshot.instances)
            && Arc::ptr_eq(&self.snapshot.held, &snapshot.held)
    }

    fn is_of(&self, instances: &Arc<[Arc<Instance>]>, source: Source) -> bool {
        Arc::ptr_eq(&self.snapshot.instances, instances) && self.snapshot.freshness.source == source
    }

    fn standing(&self) -> Standing {
        let freshness = &self.snapshot.freshness;
        let known = self.snapshot.is_known();
        Standing {
            known,
            answered: known && (freshness.source == Source::Live || self.snapshot.failure.is_some()),
            usable: !self.selection.endpoints.is_empty(),
            healthy: self.selection.healthy,
            proof: freshness.confirmed.map(|confirmed| (confirmed, freshness.admitted)),
            void: self.void,
            quality: self.selection.quality,
        }
    }
}

impl Footing {
    /// Waits for a snapshot, for a gate that is set, or until somebody should judge. Says whether the view goes on.
    async fn news(&mut self) -> bool {
        tokio::select! {
            biased;
            news = self.reader.published() => news.is_ok(),
            Ok(()) = self.gates.changed() => {
                // It is taken in, not here.
                self.gates.mark_changed();
                true
            }
            () = self.loads.asked_to_judge() => true,
        }
    }

    fn carried(&self, turn: &Arc<AtomicU64>, here: &Arc<Locality>, split: Option<&Split>) -> Carried {
        Carried {
            loads: Arc::clone(&self.loads),
            turn: Arc::clone(turn),
            here: Arc::clone(here),
            rising: Arc::clone(&self.rising),
            split: split.cloned(),
            now: now(),
        }
    }
}

async fn build(snapshot: Arc<Snapshot>, select: &Select, carried: Carried) -> Arc<Selection> {
    let big = if select.policy == Policy::Maglev { BIG_TABLE } else { BIG };
    if snapshot.instances().len() < big {
        return Arc::new(Selection::build(&snapshot, select, &carried));
    }
    let select = select.clone();
    let built = tokio::task::spawn_blocking(move || Selection::build(&snapshot, &select, &carried)).await;
    Arc::new(built.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic())))
}
