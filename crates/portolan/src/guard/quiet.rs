//! Decides what is said in the log about an outage: that it began and ended, a summary each minute, and not the same
//! for each of a thousand views. PURE.
//!
//! In:  breakers that open and close, lines that want to be said, each with `now`. Out: whether to say them.
//!
//! Never: forgets how much was left unsaid: the next summary, or the end, tells.
//!
//! Proof: `quiet/tests.rs`, and `tests/outage.rs`: five minutes without a registry under a thousand views.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use super::budget::Bucket;

/// Lines that are said at once, when all was quiet before.
const AT_ONCE: u32 = 5;
/// The time in which one more is earned.
const EACH: Duration = Duration::from_secs(20);
/// A summary of an outage is said no more often.
const SUMMARY: Duration = Duration::from_secs(60);
/// When a registry is back, its views recover one after the other: that too is said once.
const AFTERWARDS: Duration = Duration::from_secs(30);

/// What is said of the views, and what of the breakers.
#[derive(Debug)]
pub(super) struct Quiet {
    views: Bucket,
    breakers: Bucket,
    /// Breakers that are open.
    open: u32,
    closed_at: Option<Instant>,
    summed_up: Option<Instant>,
    unsaid: u64,
}

impl Quiet {
    pub(super) fn new(now: Instant) -> Self {
        let bucket = || Bucket::slow(EACH, AT_ONCE, now);
        Self { views: bucket(), breakers: bucket(), open: 0, closed_at: None, summed_up: None, unsaid: 0 }
    }

    /// Whether a line about one view is to be said.
    pub(super) fn view(&mut self, now: Instant) -> bool {
        let outage =
            self.open > 0 || self.closed_at.is_some_and(|at| now.saturating_duration_since(at) < AFTERWARDS);
        let said = !outage && self.views.take(now).is_ok();
        if !said {
            self.unsaid = self.unsaid.saturating_add(1);
        }
        said
    }

    /// A breaker opened: whether to say so.
    pub(super) fn opened(&mut self, now: Instant) -> bool {
        if self.open == 0 {
            self.summed_up = Some(now);
        }
        self.open = self.open.saturating_add(1);
        self.breaker(now)
    }

    /// A breaker closed: whether to say so, and how many lines were left unsaid meanwhile.
    pub(super) fn closed(&mut self, now: Instant) -> Option<u64> {
        self.open = self.open.saturating_sub(1);
        self.closed_at = Some(now);
        self.breaker(now).then(|| std::mem::take(&mut self.unsaid))
    }

    /// How many lines were left unsaid, if it is time for a summary.
    pub(super) fn summary(&mut self, now: Instant) -> Option<u64> {
        let due = self.summed_up.is_some_and(|at| now.saturating_duration_since(at) >= SUMMARY);
        if self.open == 0 || !due {
            return None;
        }
        self.summed_up = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }

    fn breaker(&mut self, now: Instant) -> bool {
        let said = self.breakers.take(now).is_ok();
        if !said {
            self.unsaid = self.unsaid.saturating_add(1);
        }
        said
    }
}

#[cfg(test)]
mod tests;
