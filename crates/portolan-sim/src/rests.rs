//! How long a view that fails may rest before it asks again, judged from what it shows and what it asks. PURE.
//!
//! In:  the failure that is shown, whether reads of the view began. Out: how long it has rested, when that is too long.
//!
//! A rest grows with the failures since the last answer, but each kind of it only with those that asked for it: up to 5 s
//! after what just failed, from 1 s up to a minute after a request for patience, from 5 s up to a minute after a refusal.
//!
//! Never: looks into the library; blames a view that waits for the registry's return, which has a deadline of its own.

use std::time::{Duration, Instant};

use portolan::{Failure, Kind};

/// After what just failed.
const AFTER_ERROR: Duration = Duration::from_secs(5);
/// After the first request for patience, and the first refusal.
const AFTER_BUSY: Duration = Duration::from_secs(1);
const AFTER_DENIED: Duration = Duration::from_secs(5);
/// No rest is longer.
const LONGEST: Duration = Duration::from_secs(60);
/// How long a call stands in line for the registry's return, before it fails; and the time between two looks.
const IN_LINE: Duration = Duration::from_millis(10_500);
/// Nobody looked for longer than this: the clock jumped, or it was an idle time. What happened meanwhile is not known.
const UNSEEN: Duration = Duration::from_secs(1);

/// The rests of one view.
#[derive(Debug)]
pub(crate) struct Rests {
    failure: Option<Failure>,
    busy: u32,
    denied: u32,
    started: u64,
    looked: Instant,
    /// For how long it was seen neither to fail nor to read.
    rested: Duration,
}

impl Rests {
    pub(crate) fn new(now: Instant) -> Self {
        Self { failure: None, busy: 0, denied: 0, started: 0, looked: now, rested: Duration::ZERO }
    }

    /// What is seen now: the failure that is shown, how many reads began so far, whether one is open, and how long the
    /// limit on the rate may keep the view from the next.
    ///
    /// # Errors
    /// When it rests longer than anything asked it to.
    pub(crate) fn look(
        &mut self,
        failure: Option<&Failure>,
        (started, is_open): (u64, bool),
        rate: Duration,
        now: Instant,
    ) -> Result<(), String> {
        let failed_anew = self.take(failure);
        let stirs = failed_anew || failure.is_none() || self.started != started || is_open;
        self.started = started;
        self.failure = failure.cloned();
        let since = now.duration_since(std::mem::replace(&mut self.looked, now));
        self.rested = if stirs {
            Duration::ZERO
        } else {
            self.rested + Some(since).filter(|since| *since <= UNSEEN).unwrap_or_default()
        };
        let (rested, most) = (self.rested, self.longest());
        if rested <= most + IN_LINE + rate {
            return Ok(());
        }
        let kind = failure.map(|failure| failure.kind);
        Err(format!("rests for {rested:?} after {kind:?}, and what failed so far asks for {most:?} at most"))
    }

    /// Counts what failed since the last look; says whether anything did.
    fn take(&mut self, failure: Option<&Failure>) -> bool {
        let Some(failure) = failure else { return false };
        let before = self.failure.as_ref().filter(|before| before.since == failure.since);
        if before.is_none() {
            (self.busy, self.denied) = (0, 0);
        }
        let new = failure.count.saturating_sub(before.map_or(0, |before| before.count));
        // Of several only the last shows its kind.
        let unseen = new.saturating_sub(1);
        let last = |kind| u32::from(new > 0 && failure.kind == kind);
        self.busy = self.busy.saturating_add(unseen + last(Kind::Busy));
        self.denied = self.denied.saturating_add(unseen + last(Kind::Denied));
        new > 0
    }

    fn longest(&self) -> Duration {
        let doubled = |first: Duration, times: u32| {
            let factor = times.checked_sub(1).map_or(0, |times| 1u32.checked_shl(times).unwrap_or(u32::MAX));
            first.saturating_mul(factor).min(LONGEST)
        };
        AFTER_ERROR.max(doubled(AFTER_BUSY, self.busy)).max(doubled(AFTER_DENIED, self.denied))
    }
}
