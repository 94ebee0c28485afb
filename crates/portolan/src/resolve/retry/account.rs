//! A service's account of retries: what its requests earn, and a few a second besides; shared by all who call.
//!
//! In:  requests, and wishes to repeat one, with `now`. Out: yes or no. Never: more retries than its budget says, however
//! long it was saved up.

use std::{
    sync::{
        PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use super::RetryBudget;
use crate::guard::Bucket;

/// What a retry is worth in the account: a hundred hundredths.
const ONE_RETRY: u32 = 100;
/// The account holds no more than this many seconds of the retries that are free: a quiet hour is no reason for a storm.
const SECONDS_SAVED: u32 = 10;

/// A service's account of retries.
#[derive(Debug)]
pub(in crate::resolve) struct Account {
    budget: RetryBudget,
    /// In hundredths of a retry.
    earned: AtomicU32,
    #[expect(clippy::disallowed_types, reason = "cold path: only when a request has failed")]
    free: std::sync::Mutex<Bucket>,
}

impl Account {
    pub(in crate::resolve) fn new(budget: RetryBudget, now: Instant) -> Self {
        let free = Bucket::new(budget.per_second, budget.per_second, now);
        Self { budget, earned: AtomicU32::new(0), free: free.into() }
    }

    /// A request is sent for the first time.
    pub(in crate::resolve) fn request(&self) {
        let most = self.budget.per_second.saturating_mul(SECONDS_SAVED).saturating_mul(ONE_RETRY);
        let earn = |earned: u32| {
            let more = earned.saturating_add(self.budget.percent).min(most);
            (more != earned).then_some(more)
        };
        // What is full stays as it is.
        self.earned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earn).ok();
    }

    /// Pays for a retry. Says whether there was enough.
    pub(in crate::resolve) fn pay(&self, now: Instant) -> bool {
        let spend = |earned: u32| earned.checked_sub(ONE_RETRY);
        self.earned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
            || self.free.lock().unwrap_or_else(PoisonError::into_inner).take(now).is_ok()
    }
}
