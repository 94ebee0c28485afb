//! What the resolver's task writes and its handles read: the selection, and how one of it is chosen.
//!
//! In:  a lookup, on any thread. Out: a pick, a look, or the typed answer why there is none. The first choice is the
//! policy's; where that one is excluded, ejected or full, the others are asked, then those that others are preferred to,
//! and what is excluded or ejected only when nothing else is left.
//!
//! Never: builds, blocks or allocates where there is an instance to pick; an endless search.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;

use super::{
    endpoint::{Endpoint, Pick, now},
    none::NoInstance,
    select::Select,
    selection::Selection,
};
use crate::{
    model::{Identity, ServiceName},
    roll::thread_roll,
    sync::Interest,
};

/// One peek in so many is counted, as that many: counting each would cost more than the peek.
const PEEKS_COUNTED: u64 = 256;

/// In this order, and on a cache line of its own: a lookup among a thousand services pays for each line that it must
/// fetch, and all that it reads here is in the first.
#[repr(C, align(64))]
pub(super) struct Cell {
    pub(super) selection: ArcSwap<Selection>,
    seed: u64,
    /// Whether the views know of a lookup since the task last took this back: a lookup that finds it set writes nothing.
    pub(super) used: AtomicBool,
    /// The same for who looks seldom, and forgets views that nobody uses.
    pub(super) used_lately: AtomicBool,
    pub(super) service: ServiceName,
    pub(super) select: Arc<Select>,
    /// Whether a caller who waits for the first answer has what it can get.
    pub(super) settled: AtomicBool,
    /// Told of lookups, so that a view which nobody uses can rest.
    pub(super) interests: Box<[Arc<Interest>]>,
    pub(super) counts: Box<Counts>,
}

/// Lookups that the metrics do not know of yet. On cache lines of its own: each write to it would else take the pointer
/// to the selection, which is read in every lookup, away from all other threads.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Counts {
    pub(super) peeks: AtomicU64,
    pub(super) nones: AtomicU64,
    /// How often `service()` found it warm.
    pub(super) found: AtomicU64,
}

impl Cell {
    pub(super) fn new(
        service: ServiceName,
        select: Arc<Select>,
        selection: Arc<Selection>,
        settled: bool,
        seed: u64,
        interests: Box<[Arc<Interest>]>,
    ) -> Self {
        Self {
            selection: ArcSwap::new(selection),
            seed,
            used: AtomicBool::new(false),
            used_lately: AtomicBool::new(true),
            service,
            select,
            settled: AtomicBool::new(settled),
            interests,
            counts: Box::default(),
        }
    }

    /// Picks by a roll, which is chance or a key's, one that is none of `not` as long as there is another.
    #[inline]
    pub(super) fn pick(&self, roll: u64, not: &[&Identity]) -> Result<Pick, NoInstance> {
        self.mark_used();
        let selection = self.selection.load();
        let Selection { endpoints, loads, picker, .. } = &**selection;
        let since = picker.is_timed().then(now);
        let place = picker.pick(loads, roll, since);
        let (Some(chosen), Some(load)) = (endpoints.get(place), loads.get(place)) else {
            return Err(self.none(&selection));
        };
        chosen.fetch();
        if not.is_empty() && selection.admits(chosen, load) {
            return Ok(selection.pick(chosen, since));
        }
        self.pick_other(&selection, chosen, not, (roll, since))
    }

    /// A pick where the first choice may not do.
    #[cold]
    fn pick_other(
        &self,
        selection: &Selection,
        chosen: &Arc<Endpoint>,
        not: &[&Identity],
        (roll, since): (u64, Option<Instant>),
    ) -> Result<Pick, NoInstance> {
        let Selection { endpoints, loads, picker, .. } = selection;
        let excluded = |one: &Endpoint| not.iter().any(|identity| **identity == one.identity);
        if !excluded(chosen) && selection.admits(chosen, &chosen.load) {
            return Ok(selection.pick(chosen, since));
        }
        let one_that = |fits: &dyn Fn(&Endpoint) -> bool| {
            picker.pick_one_that((endpoints, loads), roll, since, fits).and_then(|place| endpoints.get(place))
        };
        let further = || {
            let found = selection.passed_over(roll, |one| !excluded(one) && selection.has_room(one));
            found.filter(|one| selection.admits(one, &one.load))
        };
        let found = one_that(&|one| !excluded(one) && selection.admits(one, &one.load))
            .or_else(further)
            .or_else(|| one_that(&|one| selection.admits(one, &one.load)))
            .or_else(|| one_that(&|one| selection.admits_anyway(one)));
        match found {
            Some(found) => Ok(selection.pick(found, since)),
            None => {
                self.counts.nones.fetch_add(1, Ordering::Relaxed);
                Err(selection.full(&self.service))
            }
        }
    }

    #[inline]
    pub(super) fn roll(&self) -> u64 {
        thread_roll(self.seed)
    }

    #[inline]
    pub(super) fn peek<R>(&self, look: impl FnOnce(&Endpoint) -> R) -> Result<R, NoInstance> {
        self.mark_used();
        let selection = self.selection.load();
        let roll = self.roll();
        if roll.is_multiple_of(PEEKS_COUNTED) {
            self.counts.peeks.fetch_add(PEEKS_COUNTED, Ordering::Relaxed);
        }
        match selection.endpoints.get(selection.picker.peek(roll)) {
            Some(chosen) => Ok(look(chosen)),
            None => Err(self.none(&selection)),
        }
    }

    /// Says that somebody looks something up: once until the task takes it back.
    #[inline]
    pub(super) fn mark_used(&self) {
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
