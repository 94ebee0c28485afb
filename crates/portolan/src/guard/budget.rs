//! How many reads a process sends: so many a second, of which only a share may be retries. PURE.
//!
//! In:  wishes to send, each with `now`; successes. Out: yes, or when to ask again.
//!
//! Never: refuses for ever (a bucket fills by itself); gives what was saved up in an outage to the herd that returns
//! from it, for [`Budget::empty`] takes it away.
//!
//! The share of retries is a budget as tower's: what successes earn, and a few a second on top, so that a registry
//! that fails half of its calls is not asked twice as often for it. Source: tower `retry::budget::TpsBudget`.
//!
//! Proof: `budget/tests.rs`, with a property against a count of what was sent.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

/// What earned retries are worth in the account: hundredths of a retry, as the share is a percentage.
const ONE_RETRY: u32 = 100;
/// The account holds no more retries than this, times `retries_per_second`: an hour of successes is no reason for a
/// storm.
const SECONDS_SAVED: u32 = 10;

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Requests a second, in the long run.
    pub(crate) per_second: u32,
    /// Requests at once, after a time with fewer.
    pub(crate) burst: u32,
    /// Retries a second that need not be earned.
    pub(crate) retries_per_second: u32,
    /// Retries that a hundred successes earn.
    pub(crate) retry_percent: u32,
}

/// A token bucket, as the time at which it would be full.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    /// The time in which one token is earned.
    each: Duration,
    /// The time in which an empty bucket fills.
    whole: Duration,
    full_at: Instant,
}

impl Bucket {
    /// A full one with `burst` tokens, earning `per_second`; both at least 1.
    pub(crate) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        let each = Duration::from_secs(1).checked_div(per_second).unwrap_or(Duration::from_secs(1));
        Self { each, whole: each.saturating_mul(burst.max(1)), full_at: now }
    }

    /// A full one with `burst` tokens, earning one in each such time.
    pub(super) fn slow(each: Duration, burst: u32, now: Instant) -> Self {
        Self { each, whole: each.saturating_mul(burst.max(1)), full_at: now }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// When there will be one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let after = self.full_at.max(now).checked_add(self.each).unwrap_or(now);
        match now.checked_add(self.whole) {
            Some(empty) if after > empty => {
                Err(now.checked_add(after.saturating_duration_since(empty)).unwrap_or(after))
            }
            _ => {
                self.full_at = after;
                Ok(())
            }
        }
    }

    /// Brings back a token that was taken and not used.
    pub(super) fn give_back(&mut self) {
        self.full_at = self.full_at.checked_sub(self.each).unwrap_or(self.full_at);
    }

    /// Takes all tokens.
    pub(super) fn empty(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now.checked_add(self.whole).unwrap_or(now));
    }
}

/// Whether a call is the first of its kind, or repeats one that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Nothing failed before it.
    First,
    /// The same was sent before, and failed.
    Retry,
}

/// The budget of all reads of a process.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    requests: Bucket,
    /// Retries that need not be earned.
    free: Bucket,
    /// In hundredths of a retry.
    earned: u32,
    most_earned: u32,
    percent: u32,
}

impl Budget {
    pub(super) fn new(allowance: Allowance, now: Instant) -> Self {
        let Allowance { per_second, burst, retries_per_second, retry_percent } = allowance;
        Self {
            requests: Bucket::new(per_second, burst, now),
            free: Bucket::new(retries_per_second, retries_per_second, now),
            earned: 0,
            most_earned: retries_per_second.saturating_mul(SECONDS_SAVED).saturating_mul(ONE_RETRY),
            percent: retry_percent,
        }
    }

    /// Takes what one call costs.
    ///
    /// # Errors
    /// When to ask again.
    pub(super) fn take(&mut self, attempt: Attempt, now: Instant) -> Result<(), Instant> {
        self.requests.take(now)?;
        if attempt == Attempt::First {
            return Ok(());
        }
        if let Some(left) = self.earned.checked_sub(ONE_RETRY) {
            self.earned = left;
            return Ok(());
        }
        // Both or none: a request that is not sent costs nothing.
        self.free.take(now).inspect_err(|_later| self.requests.give_back())
    }

    /// A call that was paid for is not sent.
    pub(super) fn give_back(&mut self, attempt: Attempt) {
        self.requests.give_back();
        if attempt == Attempt::Retry {
            self.earn(ONE_RETRY);
        }
    }

    /// A call succeeded.
    pub(super) fn succeeded(&mut self) {
        self.earn(self.percent);
    }

    /// The registry is back: whoever waited for it comes in at the rate, not in a burst.
    pub(super) fn empty(&mut self, now: Instant) {
        self.requests.empty(now);
    }

    fn earn(&mut self, hundredths: u32) {
        self.earned = self.earned.saturating_add(hundredths).min(self.most_earned);
    }
}

#[cfg(test)]
mod tests;
