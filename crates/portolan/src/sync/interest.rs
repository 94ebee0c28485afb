//! What the users of a view tell its loop: that somebody uses it, that somebody follows it, that somebody wants it read
//! anew. It flows against the data, and carries no data.
//!
//! In:  lookups (one load; a store only for the first since the loop last asked), consumers, wishes. Out: to the loop,
//! what happened since it last asked, and a wake-up.
//!
//! Never: costs a warm lookup a clock, a lock or a shared write; loses a wish.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, watch};

use crate::{
    error::Kind,
    snapshot::{Failure, Keep, Snapshot},
};

/// Shared by the loop of a view and everything that uses the view.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    used: AtomicBool,
    consumers: AtomicUsize,
    wishes: AtomicU64,
    /// The wish at which somebody last called what is known out of date.
    doubted: AtomicU64,
    suspended: AtomicU64,
    /// How long the clock stood still, in nanoseconds, all told.
    slept: AtomicU64,
    bounds: Bounds,
    wake: Notify,
    granted: watch::Sender<Granted>,
}

/// How old their users let what is known become.
#[derive(Debug, Default)]
struct Bounds {
    #[expect(
        clippy::disallowed_types,
        reason = "cold path: when a resolver comes and goes, and once a read"
    )]
    all: std::sync::Mutex<BTreeMap<Duration, usize>>,
}

/// A user's bound, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Bound {
    interest: Arc<Interest>,
    max_age: Duration,
}

impl Drop for Bound {
    fn drop(&mut self) {
        let mut all = self.interest.bounds.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.max_age) {
            *count = count.saturating_sub(1);
        }
        all.retain(|_, count| *count > 0);
    }
}

/// The last read that fulfilled wishes, and which.
#[derive(Clone, Debug, Default)]
struct Granted {
    wish: u64,
    /// The last wish whose read succeeded.
    read: u64,
    result: Option<Result<Arc<Snapshot>, Failure>>,
}

/// What the loop was told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    wishes: u64,
    doubted: u64,
    suspended: u64,
    slept: u64,
}

/// What the loop was not told yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Wishes up to this were made.
    Wished(u64),
    /// Up to this wish, what is known is out of date.
    Invalidated(u64),
    /// The clock stood still for so long.
    Suspended(Duration),
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

    /// Somebody bears what is known only up to this age, until the guard is dropped. Reads that begin from now on bring
    /// proofs often enough; one that is open goes on.
    pub(crate) fn bound(self: &Arc<Self>, max_age: Duration) -> Bound {
        let mut all = self.bounds.all.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(max_age).or_default();
        *count = count.saturating_add(1);
        Bound { interest: Arc::clone(self), max_age }
    }

    /// The tightest bound of those who use the view now.
    pub(super) fn tightest(&self) -> Option<Duration> {
        let all = self.bounds.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.first_key_value().map(|(max_age, _)| *max_age)
    }

    /// Whether anybody follows the view.
    pub(super) fn is_followed(&self) -> bool {
        self.consumers.load(Ordering::Relaxed) > 0
    }

    /// Somebody wants a read that starts after now; wait for it with [`granted`](Self::granted).
    pub(crate) fn wish(&self) -> u64 {
        let wish = self.wishes.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        self.wake.notify_one();
        wish
    }

    /// Somebody knows that what is known is out of date.
    pub(crate) fn invalidate(&self) {
        let wish = self.wishes.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        self.doubted.fetch_max(wish, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// Whether somebody called what is known out of date, and it has not been read since.
    pub(crate) fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Acquire) > self.granted.borrow().read
    }

    /// The view is closed: no wish will be fulfilled.
    pub(super) fn close(&self, now: Instant) {
        let text = "the view is closed; its Discovery was closed or dropped".into();
        self.grant(u64::MAX, Err(Failure { kind: Kind::Closed, text, since: now, count: 1 }));
    }

    /// The machine or the process slept, and its clock did not count `gap` of it.
    pub(crate) fn suspend(&self, gap: Duration) {
        let nanos = u64::try_from(gap.as_nanos()).unwrap_or(u64::MAX);
        self.slept.fetch_add(nanos, Ordering::AcqRel);
        self.suspended.fetch_add(1, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// What `told` does not know yet, one thing at a time.
    pub(super) fn news(&self, told: &mut Told) -> Option<News> {
        let suspended = self.suspended.load(Ordering::Acquire);
        if suspended > told.suspended {
            told.suspended = suspended;
            let slept = self.slept.load(Ordering::Acquire);
            let gap = Duration::from_nanos(slept.saturating_sub(told.slept));
            told.slept = slept;
            return Some(News::Suspended(gap));
        }
        let doubted = self.doubted.load(Ordering::Acquire);
        if doubted > told.doubted {
            told.doubted = doubted;
            told.wishes = told.wishes.max(doubted);
            return Some(News::Invalidated(doubted));
        }
        let wishes = self.wishes.load(Ordering::Acquire);
        (wishes > told.wishes).then(|| {
            told.wishes = wishes;
            News::Wished(wishes)
        })
    }

    /// Wishes up to `wish` had their read.
    pub(super) fn grant(&self, wish: u64, result: Result<Arc<Snapshot>, Failure>) {
        self.granted.send_modify(|granted| {
            if result.is_ok() {
                granted.read = granted.read.max(wish);
            }
            granted.wish = wish;
            granted.result = Some(result);
        });
    }

    /// Waits until a read has fulfilled `wish`, and gives what is known then, or why the read failed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the read is made all the same.
    pub(crate) async fn granted(&self, wish: u64) -> Result<Arc<Snapshot>, Failure> {
        let mut granted = self.granted.subscribe();
        loop {
            let now = granted.borrow_and_update().clone();
            match now.result {
                Some(result) if now.wish >= wish => return result,
                // The sender is in `self`: this waits, and cannot fail.
                _ => drop(granted.changed().await),
            }
        }
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
