//! When each check runs next. PURE: no clock, no task.
//!
//! In:  checks that come, change and go; runs that end. Out: the next moment, and what is due.
//!
//! The first run comes after a random part of the interval, so that a thousand that came together are not probed
//! together; the next ones an interval after the last one began.
//!
//! Never: gives out a check that still runs; catches up on runs that were missed.
//!
//! Rules from Consul: lib/cluster.go `RandomStagger`. Proof: `schedule/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    chance::Chance,
    state::{
        ProbeOrder,
        rows::{Probe, Text},
    },
};

/// All checks that are run.
#[derive(Debug)]
pub(super) struct Schedule {
    chance: Chance,
    due: BTreeSet<(Instant, Text)>,
    known: BTreeMap<Text, Known>,
}

#[derive(Debug)]
struct Known {
    order: Arc<ProbeOrder>,
    /// When it runs next; `None` while it runs.
    at: Option<Instant>,
    began: Instant,
}

fn interval(probe: &Probe) -> Duration {
    match probe {
        Probe::Run { interval, .. } => *interval,
        // They are never run.
        Probe::Ttl(_) | Probe::Alias { .. } | Probe::Maintenance => Duration::MAX,
    }
}

impl Schedule {
    pub(super) fn new(chance: Chance) -> Self {
        Self { chance, due: BTreeSet::new(), known: BTreeMap::new() }
    }

    /// Takes in what a check is to do from now on; `None`: nothing.
    pub(super) fn set(&mut self, check: &Text, order: Option<Arc<ProbeOrder>>, now: Instant) {
        if let Some(old) = self.known.get(check) {
            if order.as_ref().is_some_and(|order| order.generation == old.order.generation) {
                return;
            }
            if let Some(at) = old.at {
                self.due.remove(&(at, Text::clone(check)));
            }
            self.known.remove(check);
        }
        if let Some(order) = order {
            let first = self.chance.up_to(interval(&order.spec.probe));
            let at = now.checked_add(first).unwrap_or(now);
            self.due.insert((at, Text::clone(check)));
            self.known.insert(Text::clone(check), Known { order, at: Some(at), began: now });
        }
    }

    /// When the next check is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// A check that is due; it counts as running from here on.
    pub(super) fn take(&mut self, now: Instant) -> Option<Arc<ProbeOrder>> {
        if self.next()? > now {
            return None;
        }
        let (_, check) = self.due.pop_first()?;
        let known = self.known.get_mut(&check)?;
        (known.at, known.began) = (None, now);
        Some(Arc::clone(&known.order))
    }

    /// A run has ended: the check is due again an interval after it began, or at once when it took longer.
    pub(super) fn done(&mut self, order: &ProbeOrder, now: Instant) {
        let check = &order.spec.id;
        let Some(known) =
            self.known.get_mut(check).filter(|known| known.order.generation == order.generation)
        else {
            return;
        };
        let at = known.began.checked_add(interval(&order.spec.probe)).unwrap_or(now).max(now);
        known.at = Some(at);
        self.due.insert((at, Text::clone(check)));
    }
}

#[cfg(test)]
mod tests;
