//! The instances a view believes in, and those it holds on to. PURE.
//!
//! In:  whole answers. Out: lists ordered by identity, in which an instance that did not change keeps its allocation.
//!
//! Two lists are compared by walking them side by side, first by pointer: among ten thousand instances of which one
//! changed, ten thousand are passed by without looking into them.
//!
//! Never: believes at once that half of a service vanished while nobody was looking; holds longer than it was told.
//!
//! Proof: `known/tests.rs`, against a model of sorted maps.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    cmp::Ordering,
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{mode::Suspicion, rules};
use crate::{
    model::{Identity, Instance},
    snapshot::Snapshot,
};

/// Instances, ordered by identity, each identity once. Published as it is: the same allocation is handed out while
/// nothing changes, so that readers see at a glance.
type List = Arc<[Arc<Instance>]>;

/// What is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    confirmed: List,
    held: List,
    hold_ends: Option<Instant>,
}

impl Known {
    /// What a snapshot knew; anything it held is held no longer than `now`.
    pub(super) fn new(snapshot: &Snapshot, now: Instant) -> Self {
        Self {
            confirmed: list(&snapshot.instances),
            held: list(&snapshot.held),
            hold_ends: (!snapshot.held.is_empty()).then_some(now),
        }
    }

    /// How many are confirmed.
    pub(super) fn len(&self) -> usize {
        self.confirmed.len()
    }

    /// Whether an answer differs in anything from what is confirmed.
    pub(super) fn differs(&self, new: &[Arc<Instance>]) -> bool {
        let is_other = |new: &Arc<Instance>| find(&self.confirmed, &new.identity) != Some(new);
        new.len() != self.len() || new.iter().any(is_other)
    }

    /// Whether an answer that came after a reconnect or a reset loses more than `suspicion` lets it.
    pub(super) fn is_mass_loss(&self, new: &[Arc<Instance>], suspicion: Suspicion) -> bool {
        let mut rest = &*self.confirmed;
        let is_kept = |instance: &&Arc<Instance>| match rest.split_first() {
            Some((next, after)) if Arc::ptr_eq(next, instance) => {
                rest = after;
                true
            }
            _ => find(&self.confirmed, &instance.identity).is_some(),
        };
        let kept = new.iter().filter(is_kept).count();
        let lost = self.len().saturating_sub(kept);
        rules::is_mass_loss(self.len(), lost, suspicion)
    }

    /// Takes in an answer that is believed. With `hold`, what it lost is kept for that long.
    pub(super) fn replace(&mut self, mut new: Vec<Arc<Instance>>, hold: Option<Duration>, now: Instant) {
        if !is_ordered(&new, &self.confirmed) {
            order(&mut new);
        }
        let Difference { changed, lost } = reuse(&mut new, &self.confirmed);
        if changed {
            self.confirmed = new.into();
            self.hold(if hold.is_some() { lost } else { Vec::new() });
            if self.held.is_empty() {
                self.hold_ends = None;
            } else if let Some(hold) = hold {
                // The first hold decides: a registry that keeps going back does not hold for ever.
                self.hold_ends = self.hold_ends.or_else(|| now.checked_add(hold));
            }
        }
        self.release(now);
    }

    /// Holds these as well, and lets go of those that are back: of which the id is, or something else answers where
    /// they answered.
    fn hold(&mut self, lost: Vec<Arc<Instance>>) {
        if self.held.is_empty() && lost.is_empty() {
            return;
        }
        let places: BTreeSet<_> = self.confirmed.iter().map(|now| (&now.address, now.port)).collect();
        let is_away = |held: &Arc<Instance>| {
            find(&self.confirmed, &held.identity).is_none() && !places.contains(&(&held.address, held.port))
        };
        let mut held: Vec<_> = self.held.iter().cloned().chain(lost).filter(is_away).collect();
        order(&mut held);
        if *held != *self.held {
            self.held = held.into();
        }
    }

    /// Lets go of what is held, if its time is over. Says whether anything was let go.
    pub(super) fn release(&mut self, now: Instant) -> bool {
        if self.hold_ends.is_none_or(|ends| ends > now) {
            return false;
        }
        self.hold_ends = None;
        !std::mem::take(&mut self.held).is_empty()
    }

    /// When the hold ends, if there is one.
    pub(super) fn hold_ends(&self) -> Option<Instant> {
        self.hold_ends
    }

    /// The confirmed ones, ordered; the same allocation while nothing changed.
    pub(super) fn confirmed(&self) -> Arc<[Arc<Instance>]> {
        Arc::clone(&self.confirmed)
    }

    /// The held ones, ordered; the same allocation while nothing changed.
    pub(super) fn held(&self) -> Arc<[Arc<Instance>]> {
        Arc::clone(&self.held)
    }
}

/// A list as it was published, put in order if it is not.
fn list(published: &List) -> List {
    if is_ordered(published, &[]) {
        return Arc::clone(published);
    }
    let mut list = published.to_vec();
    order(&mut list);
    list.into()
}

fn find<'a>(list: &'a [Arc<Instance>], identity: &Identity) -> Option<&'a Arc<Instance>> {
    let place = list.binary_search_by(|instance| instance.identity.cmp(identity)).ok()?;
    list.get(place)
}

/// Orders by identity; of several with one identity the last counts.
fn order(list: &mut Vec<Arc<Instance>>) {
    // Stable, so that the last of equals stands last among them.
    list.sort_by(|one, other| one.identity.cmp(&other.identity));
    list.dedup_by(|later, kept| {
        let same = later.identity == kept.identity;
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
}

/// Whether a list is ordered, each identity once. `known` is: where `list` goes along with it, nothing is compared.
fn is_ordered(list: &[Arc<Instance>], known: &[Arc<Instance>]) -> bool {
    let mut rest = known;
    let mut before: Option<&Arc<Instance>> = None;
    let mut along = false;
    for instance in list {
        let next = rest.split_first().filter(|(next, _)| Arc::ptr_eq(next, instance));
        if !(along && next.is_some()) && before.is_some_and(|before| before.identity >= instance.identity) {
            return false;
        }
        along = next.is_some();
        if let Some((_, after)) = next {
            rest = after;
        } else {
            while let Some((_, after)) =
                rest.split_first().filter(|(next, _)| next.identity <= instance.identity)
            {
                rest = after;
            }
        }
        before = Some(instance);
    }
    true
}

/// How a new list differs from the old.
struct Difference {
    changed: bool,
    lost: Vec<Arc<Instance>>,
}

/// Puts the old allocation in the place of each instance of `new` that did not change. Both are ordered.
fn reuse(new: &mut [Arc<Instance>], old: &[Arc<Instance>]) -> Difference {
    let mut difference = Difference { changed: false, lost: Vec::new() };
    let mut rest = old;
    'new: for instance in new {
        while let Some((was, after)) = rest.split_first() {
            if Arc::ptr_eq(was, instance) {
                rest = after;
                continue 'new;
            }
            match was.identity.cmp(&instance.identity) {
                Ordering::Less => difference.lost.push(Arc::clone(was)),
                Ordering::Equal => {
                    rest = after;
                    if was == instance {
                        *instance = Arc::clone(was);
                    } else {
                        difference.changed = true;
                    }
                    continue 'new;
                }
                Ordering::Greater => break,
            }
            rest = after;
        }
        difference.changed = true; // it is not among the old ones
    }
    difference.lost.extend(rest.iter().cloned());
    difference.changed |= !difference.lost.is_empty();
    difference
}

#[cfg(test)]
mod tests;
