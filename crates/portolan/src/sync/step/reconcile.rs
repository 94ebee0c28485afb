//! Does a watch miss something? At a slow pace what it knows is compared with a full read. PURE.
//!
//! In:  what is known, and whole answers. Out: whether to read, whom to doubt, and what was really missed.
//!
//! A read beside a watch may be newer than the watch, or older. So a difference proves nothing yet: it is a divergence
//! only when a watch that began after it has returned without it, and the leader's word shows it still. Contents are
//! compared, never indexes: those of plain and of blocking reads are different streams (Consul 1.21, streaming).
//!
//! Never: tells a divergence because of a change that happens meanwhile.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    model::{Identity, Instance},
    roll::jitter,
};

/// An instance that two pictures of a service show differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) identity: Identity,
    /// As it is known; `None`: it is not.
    pub(crate) known: Option<Arc<Instance>>,
    /// As the registry told it; `None`: it does not have it.
    pub(crate) told: Option<Arc<Instance>>,
}

/// When to compare, and what was found.
#[derive(Clone, Debug)]
pub(super) struct Reconcile {
    every: Option<Duration>,
    due: Option<Instant>,
    doubts: Vec<Difference>,
}

impl Reconcile {
    pub(super) fn new(every: Option<Duration>) -> Self {
        Self { every, due: None, doubts: Vec::new() }
    }

    /// Whether it is time to compare; if so, the next time is set: four to six fifths of the setting away.
    pub(super) fn is_due(&mut self, now: Instant, roll: u64) -> bool {
        let Some(every) = self.every else { return false };
        if !self.doubts.is_empty() || self.due.is_some_and(|due| now < due) {
            return false;
        }
        let rest = every.mul_f64(0.8).saturating_add(jitter(roll, every.mul_f64(0.4)));
        let first = self.due.is_none();
        self.due = now.checked_add(rest);
        !first
    }

    /// Takes in a full read, and says whether it shows what is known.
    pub(super) fn compare(&mut self, known: &[Arc<Instance>], told: &[Arc<Instance>]) -> bool {
        self.doubts = differences(known, told);
        self.doubts.is_empty()
    }

    /// After the watch returned: whether any doubt is left. What the watch has brought or changed meanwhile is none.
    pub(super) fn is_left(&mut self, known: &[Arc<Instance>]) -> bool {
        if !self.doubts.is_empty() {
            let known = by_identity(known);
            self.doubts.retain(|doubt| known.get(&doubt.identity).copied() == doubt.known.as_ref());
        }
        !self.doubts.is_empty()
    }

    /// After the leader spoke: what the watch missed. No doubt is left.
    pub(super) fn missed(&mut self, told: &[Arc<Instance>]) -> Vec<Difference> {
        let told = by_identity(told);
        let mut missed = std::mem::take(&mut self.doubts);
        missed.retain(|doubt| told.get(&doubt.identity).copied() == doubt.told.as_ref());
        missed
    }

    /// The watch broke: what is read next is read in full anyway.
    pub(super) fn forget(&mut self) {
        self.doubts.clear();
    }
}

/// How two pictures of a service differ.
pub(super) fn differences(known: &[Arc<Instance>], told: &[Arc<Instance>]) -> Vec<Difference> {
    let mut told = by_identity(told);
    let mut found = Vec::new();
    let difference = |one: &Identity, known: Option<&Arc<Instance>>, told: Option<&Arc<Instance>>| {
        Difference { identity: one.clone(), known: known.cloned(), told: told.cloned() }
    };
    for instance in known {
        let other = told.remove(&instance.identity);
        if other != Some(instance) {
            found.push(difference(&instance.identity, Some(instance), other));
        }
    }
    found.extend(told.into_iter().map(|(identity, other)| difference(identity, None, Some(other))));
    found
}

fn by_identity(instances: &[Arc<Instance>]) -> BTreeMap<&Identity, &Arc<Instance>> {
    instances.iter().map(|instance| (&instance.identity, instance)).collect()
}
