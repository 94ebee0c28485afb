//! The instances a view believes in, and those it holds on to. PURE.
//!
//! In:  whole answers. Out: lists ordered by identity, in which an instance that did not change keeps its allocation.
//!
//! Never: believes at once that half of a service vanished while nobody was looking; holds longer than it was told.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::rules;
use crate::{
    model::{Identity, Instance},
    snapshot::Snapshot,
};

/// What is known, by identity.
#[derive(Debug, Default)]
pub(super) struct Known {
    confirmed: BTreeMap<Identity, Arc<Instance>>,
    held: BTreeMap<Identity, Arc<Instance>>,
    hold_ends: Option<Instant>,
    published: Published,
}

/// The lists as they were last handed out: handed out again while nothing changed, so that readers see at a glance.
#[derive(Debug, Default)]
struct Published {
    confirmed: Arc<[Arc<Instance>]>,
    held: Arc<[Arc<Instance>]>,
}

impl Known {
    /// What a snapshot knew; anything it held is held no longer than `now`.
    pub(super) fn new(snapshot: &Snapshot, now: Instant) -> Self {
        let by_identity = |list: &[Arc<Instance>]| {
            list.iter().map(|instance| (instance.identity.clone(), Arc::clone(instance))).collect()
        };
        Self {
            confirmed: by_identity(&snapshot.instances),
            held: by_identity(&snapshot.held),
            hold_ends: (!snapshot.held.is_empty()).then_some(now),
            published: Published {
                confirmed: Arc::clone(&snapshot.instances),
                held: Arc::clone(&snapshot.held),
            },
        }
    }

    /// How many are confirmed.
    pub(super) fn len(&self) -> usize {
        self.confirmed.len()
    }

    /// Whether an answer that came after a reconnect or a reset loses too much to be believed at once: everything,
    /// when the index went down as well, or more than half of at least four.
    pub(super) fn is_suspect(&self, new: &[Arc<Instance>], went_back: bool) -> bool {
        if new.is_empty() && went_back {
            return self.len() > 0;
        }
        let kept = new.iter().filter(|instance| self.confirmed.contains_key(&instance.identity)).count();
        let lost = self.len().saturating_sub(kept);
        rules::is_mass_loss(self.len(), lost)
    }

    /// Takes in an answer that is believed. With `hold`, what it lost is kept for that long.
    pub(super) fn replace(&mut self, new: Vec<Arc<Instance>>, hold: Option<Duration>, now: Instant) {
        let mut before = std::mem::take(&mut self.confirmed);
        let mut changed = false;
        for instance in new {
            let kept = match before.remove(&instance.identity) {
                Some(old) if old == instance => old, // unchanged: same allocation
                _ => {
                    changed = true;
                    instance
                }
            };
            self.confirmed.insert(kept.identity.clone(), kept);
        }
        changed |= !before.is_empty();
        if let Some(hold) = hold {
            self.held.append(&mut before);
            // The first hold decides: a registry that keeps going back does not hold for ever.
            self.hold_ends = self.hold_ends.or_else(|| now.checked_add(hold));
        }
        if changed {
            self.drop_returned();
            self.published.confirmed = self.confirmed.values().cloned().collect();
            self.published.held = self.held.values().cloned().collect();
        }
        self.release(now);
    }

    /// Lets go of what is held, if its time is over. Says whether anything was let go.
    pub(super) fn release(&mut self, now: Instant) -> bool {
        if self.hold_ends.is_none_or(|ends| ends > now) {
            return false;
        }
        self.hold_ends = None;
        let any = !self.held.is_empty();
        self.held.clear();
        self.published.held = Arc::default();
        any
    }

    /// A held instance is back when its id is, or when something else answers where it answered.
    fn drop_returned(&mut self) {
        if !self.held.is_empty() {
            let places: BTreeSet<_> = self.confirmed.values().map(|now| (&now.address, now.port)).collect();
            self.held.retain(|identity, held| {
                !self.confirmed.contains_key(identity) && !places.contains(&(&held.address, held.port))
            });
        }
        if self.held.is_empty() {
            self.hold_ends = None;
        }
    }

    /// When the hold ends, if there is one.
    pub(super) fn hold_ends(&self) -> Option<Instant> {
        self.hold_ends
    }

    /// The confirmed ones, ordered; the same allocation while nothing changed.
    pub(super) fn confirmed(&self) -> Arc<[Arc<Instance>]> {
        Arc::clone(&self.published.confirmed)
    }

    /// The held ones, ordered; the same allocation while nothing changed.
    pub(super) fn held(&self) -> Arc<[Arc<Instance>]> {
        Arc::clone(&self.published.held)
    }
}
