//! The services that are believed in, and those that are held on to. PURE.
//!
//! In:  whole lists. Out: lists that keep their allocation while nothing in them changed.
//!
//! Never: believes at once that half of the catalogue vanished while nobody was looking; holds longer than it was told.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    registry::ServiceTags,
    snapshot::Catalog,
    sync::{mode::Suspicion, rules},
};

/// The registry's own service. It is in every list, also in that of a Consul that has lost everything, so it says
/// nothing about losses.
const REGISTRY: &str = "consul";

/// What is known, by name.
#[derive(Debug)]
pub(super) struct Known {
    confirmed: Arc<ServiceTags>,
    held: Arc<ServiceTags>,
    hold_ends: Option<Instant>,
}

impl Known {
    /// What a list knew; anything it held is held no longer than `now`.
    pub(super) fn new(catalog: &Catalog, now: Instant) -> Self {
        Self {
            confirmed: Arc::clone(&catalog.services),
            held: Arc::clone(&catalog.held),
            hold_ends: (!catalog.held.is_empty()).then_some(now),
        }
    }

    /// How many are confirmed, the registry's own not counted.
    pub(super) fn len(&self) -> usize {
        counted(&self.confirmed).count()
    }

    /// Whether an answer that came after a reconnect or a reset is not to be believed at once: it is from
    /// before what is known, or loses more than half of at least four.
    pub(super) fn is_suspect(&self, new: &ServiceTags, went_back: bool) -> bool {
        let had = self.len();
        let lost = counted(&self.confirmed).filter(|name| !new.contains_key(*name)).count();
        went_back || rules::is_mass_loss(had, lost, Suspicion::default())
    }

    /// Takes in an answer that is believed, and says whether anything differs. With `hold`, what it lost is kept for
    /// that long.
    pub(super) fn replace(&mut self, new: ServiceTags, hold: Option<Duration>, now: Instant) -> bool {
        let changed = *self.confirmed != new;
        if changed {
            let mut held = (*self.held).clone();
            if let Some(hold) = hold {
                let lost = self.confirmed.iter().filter(|(name, _)| !new.contains_key(*name));
                held.extend(lost.map(|(name, tags)| (Arc::clone(name), tags.clone())));
                // The first hold decides: a registry that keeps going back does not hold for ever.
                self.hold_ends = self.hold_ends.or_else(|| now.checked_add(hold));
            }
            held.retain(|name, _| !new.contains_key(name));
            if held != *self.held {
                self.held = Arc::new(held);
            }
            self.confirmed = Arc::new(new);
        }
        if self.held.is_empty() {
            self.hold_ends = None;
        }
        self.release(now) || changed
    }

    /// Lets go of what is held, if its time is over. Says whether anything was let go.
    pub(super) fn release(&mut self, now: Instant) -> bool {
        if self.hold_ends.is_none_or(|ends| ends > now) {
            return false;
        }
        self.hold_ends = None;
        let any = !self.held.is_empty();
        self.held = Arc::default();
        any
    }

    /// When the hold ends, if there is one.
    pub(super) fn hold_ends(&self) -> Option<Instant> {
        self.hold_ends
    }

    /// The confirmed ones; the same allocation while nothing changed.
    pub(super) fn confirmed(&self) -> Arc<ServiceTags> {
        Arc::clone(&self.confirmed)
    }

    /// The held ones; the same allocation while nothing changed.
    pub(super) fn held(&self) -> Arc<ServiceTags> {
        Arc::clone(&self.held)
    }
}

fn counted(list: &ServiceTags) -> impl Iterator<Item = &Arc<str>> {
    list.keys().filter(|name| &***name != REGISTRY)
}
