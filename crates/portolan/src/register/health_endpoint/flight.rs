//! Decides whether a probe runs for a request, or what is known will do: at most one run at a time. PURE.
//!
//! In:  requests, findings, ends of runs, `now`. Out: use what is known, join the run that is under way, or begin one.
//!
//! Never: has two runs under way, also when one goes on past its deadline; leaves whoever joined a run without a finding.
//!
//! Proof: `flight/tests.rs`, a table, and a property.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use super::probe::Finding;
use crate::model::Status;

/// A finding, and when it was made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Taken {
    pub(super) finding: Finding,
    /// When the run had ended, or was given up.
    pub(super) at: Instant,
    /// The time of day then, since 1970: for people.
    pub(super) time: Duration,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// It uses what is known.
    Use,
    /// It waits for this run, which is under way.
    Join(u64),
    /// It begins this run, and waits for it.
    Begin(u64),
}

/// The runs of one probe, numbered from 1.
#[derive(Clone, Debug, Default)]
pub(super) struct Flight {
    /// The newest run that was begun.
    begun: u64,
    /// The newest run of which there is a finding.
    told: u64,
    /// The newest run that is over. A run may go on though its finding is that it is late.
    over: u64,
    last: Option<Taken>,
}

impl Flight {
    /// What a request does. `Begin` counts as begun: whoever gets it has to run the probe.
    pub(super) fn ask(&mut self, now: Instant, cache: Option<Duration>) -> Ask {
        if self.over < self.begun {
            return if self.told < self.begun { Ask::Join(self.begun) } else { Ask::Use };
        }
        let age = self.last.as_ref().map(|last| now.saturating_duration_since(last.at));
        if let (Some(age), Some(cache)) = (age, cache)
            && age < cache
        {
            return Ask::Use;
        }
        self.begun = self.begun.saturating_add(1);
        Ask::Begin(self.begun)
    }

    /// The finding of a run. Gives the status before it, if it was another one.
    pub(super) fn tell(&mut self, run: u64, taken: Taken) -> Option<Status> {
        if run <= self.told {
            return None;
        }
        self.told = run;
        // A component is well until it was found not to be.
        let before = self.last.as_ref().map_or(Status::Passing, |last| last.finding.status());
        let after = taken.finding.status();
        self.last = Some(taken);
        (before != after).then_some(before)
    }

    /// A run is over.
    pub(super) fn end(&mut self, run: u64) {
        self.over = self.over.max(run);
    }

    /// Whether there is a finding of this run, or a later one.
    pub(super) fn has_told(&self, run: u64) -> bool {
        self.told >= run
    }

    /// The newest finding.
    pub(super) fn last(&self) -> Option<&Taken> {
        self.last.as_ref()
    }
}

#[cfg(test)]
mod tests;
