//! The budget of all reads of a process, shared by its tasks; `budget.rs` decides.
//!
//! In:  calls that want to be sent. Out: [`Paid`], which brings the price back when the call is not sent after all.
//!
//! Never: loses a token of a call that was dropped before it was sent.

use std::{sync::PoisonError, time::Instant};

use super::budget::{Allowance, Attempt, Budget};

/// The budget, shared.
#[derive(Debug)]
pub(super) struct Purse {
    #[expect(clippy::disallowed_types, reason = "cold path: twice per request over the network")]
    budget: std::sync::Mutex<Budget>,
}

/// What one call cost.
#[derive(Debug)]
pub(super) struct Paid<'a> {
    purse: &'a Purse,
    attempt: Option<Attempt>,
}

impl Purse {
    pub(super) fn new(allowance: Allowance, now: Instant) -> Self {
        Self { budget: Budget::new(allowance, now).into() }
    }

    /// Pays for a call; `again`: when the same was sent and failed.
    ///
    /// # Errors
    /// When to ask again.
    pub(super) fn pay(&self, again: Option<Instant>, now: Instant) -> Result<Paid<'_>, Instant> {
        let attempt = if again.is_some() { Attempt::Retry } else { Attempt::First };
        self.with(|budget| budget.take(attempt, now))?;
        Ok(Paid { purse: self, attempt: Some(attempt) })
    }

    pub(super) fn succeeded(&self) {
        self.with(Budget::succeeded);
    }

    /// The registry is back: nothing that was saved up may be spent on the return.
    pub(super) fn empty(&self, now: Instant) {
        self.with(|budget| budget.empty(now));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Budget) -> T) -> T {
        act(&mut self.budget.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Paid<'_> {
    /// The call is sent: its price is gone.
    pub(super) fn spend(mut self) {
        self.attempt = None;
    }
}

impl Drop for Paid<'_> {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            self.purse.with(|budget| budget.give_back(attempt));
        }
    }
}
