//! What the users of a view tell its loop: that somebody uses it, that somebody follows it, that somebody wants it read
//! anew. It flows against the data, and carries no data.
//!
//! In:  lookups (one load; a store only for the first since the loop last asked), consumers, wishes. Out: to the loop,
//! what happened since it last asked, and a wake-up.
//!
//! Never: costs a warm lookup a clock, a lock or a shared write; loses a wish.
#![expect(dead_code, reason = "the loop and the resolvers are wired to it next")]

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use tokio::sync::Notify;

use crate::snapshot::Keep;

/// Shared by the loop of a view and everything that uses the view.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    used: AtomicBool,
    consumers: AtomicUsize,
    wishes: AtomicU64,
    wake: Notify,
}

impl Interest {
    /// Somebody looked something up. Cheap when that was said already since the loop last asked.
    #[inline]
    pub(crate) fn used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.first_use();
        }
    }

    #[cold]
    fn first_use(&self) {
        self.used.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Whether anybody used the view since this was last asked, or follows it now.
    pub(crate) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed) || self.consumers.load(Ordering::Relaxed) > 0
    }

    /// Somebody follows the view until the guard is dropped: it is in use all that time.
    pub(crate) fn consume(self: &Arc<Self>) -> Consumer {
        self.consumers.fetch_add(1, Ordering::Relaxed);
        self.wake.notify_one();
        Consumer(Arc::clone(self))
    }

    /// Somebody wants a read that starts after now.
    pub(crate) fn wish(&self) {
        self.wishes.fetch_add(1, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// How many wishes were made so far: the loop compares.
    pub(crate) fn wishes(&self) -> u64 {
        self.wishes.load(Ordering::Relaxed)
    }

    /// Waits until something was said. For the loop alone: one wake-up is kept.
    ///
    /// # Cancel safety
    /// Dropping the future loses no wake-up.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

/// Somebody who follows a view.
#[derive(Debug)]
pub(crate) struct Consumer(Arc<Interest>);

impl Keep for Consumer {}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.0.consumers.fetch_sub(1, Ordering::Relaxed);
    }
}
