//! What is known of one instance's use: requests in flight, outcomes, latency, and how many it may be given.
//!
//! In:  picks and their outcomes, from any thread. Out: what pickers compare, and what is judged from time to time.
//!
//! All of it is counters: a pick is one atomic step where nothing is capped. Never: a lock; a counter whose wrap is
//! seen (they are read as differences).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    ewma::Cost,
    loads::{Signal, stamp},
};

/// No cap.
pub(super) const OPEN: u32 = u32::MAX;

/// What is known of an instance's use. `now`: the lower half counts requests in flight, the upper all picks (it wraps).
/// One word, so that a pick is one atomic step. In this order: what a pick reads is in one line of the cache wherever the
/// load begins.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Load {
    now: AtomicU64,
    /// How many may be in flight: [`OPEN`]; [`ON_TRIAL`] while it is tried again; 0 while it is ejected.
    gate: AtomicU32,
    /// How many picks the metrics have been told of.
    told: AtomicU32,
    cost: AtomicU64,
    /// The lower half counts outcomes, the upper the failures among them; both wrap.
    outcomes: AtomicU64,
    /// How long the successful ones took together, in microseconds; wraps.
    spent: AtomicU64,
    /// Failures since the last success.
    row: AtomicU32,
    /// Differs from that of every other load of the view, also of those that are gone.
    serial: u32,
    signal: Arc<Signal>,
}

/// One request at a time.
pub(super) const ON_TRIAL: u32 = 1;

const ONE_PICK: u64 = (1 << 32) | 1;
const ONE_FAILURE: u64 = (1 << 32) | 1;

/// Outcomes at a moment, to be compared with those of another. The counters wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) outcomes: u32,
    pub(super) failures: u32,
    /// Of the successes together, in microseconds.
    pub(super) spent: u64,
}

impl Tally {
    /// What came after `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            outcomes: self.outcomes.wrapping_sub(before.outcomes),
            failures: self.failures.wrapping_sub(before.failures),
            spent: self.spent.wrapping_sub(before.spent),
        }
    }

    pub(super) fn successes(self) -> u32 {
        self.outcomes.saturating_sub(self.failures)
    }
}

impl Load {
    pub(super) fn new(serial: u32, signal: Arc<Signal>) -> Self {
        Self {
            now: AtomicU64::default(),
            gate: AtomicU32::new(OPEN),
            told: AtomicU32::default(),
            cost: AtomicU64::default(),
            outcomes: AtomicU64::default(),
            spent: AtomicU64::default(),
            row: AtomicU32::default(),
            serial,
            signal,
        }
    }

    /// Counts a request as in flight, whatever is capped.
    #[inline]
    fn begin(&self) {
        self.now.fetch_add(ONE_PICK, Ordering::Relaxed);
    }

    /// Counts a request as in flight if fewer than `cap` are, and the gate lets it. Says whether it did.
    #[inline]
    pub(super) fn try_begin(&self, cap: u32) -> bool {
        self.try_begin_anyway(cap.min(self.gate.load(Ordering::Relaxed)))
    }

    /// The same, whatever the gate says.
    #[inline]
    pub(super) fn try_begin_anyway(&self, cap: u32) -> bool {
        if cap == OPEN {
            self.begin();
            return true;
        }
        self.begin_below(cap)
    }

    #[cold]
    fn begin_below(&self, cap: u32) -> bool {
        let one_more = |now: u64| (in_flight(now) < cap).then(|| now.wrapping_add(ONE_PICK));
        self.now.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    #[inline]
    pub(super) fn end(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn in_flight(&self) -> u32 {
        in_flight(self.now.load(Ordering::Relaxed))
    }

    /// What a request to it is thought to cost: for comparing with others.
    #[inline]
    pub(super) fn cost(&self, now: Instant) -> f32 {
        let cost = Cost::from_bits(self.cost.load(Ordering::Relaxed));
        cost.with_in_flight(self.in_flight(), self.signal.stamp(now))
    }

    /// A moment in nanoseconds, of which 62 bits are kept: 146 years.
    pub(super) fn nanos(&self, now: Instant) -> u64 {
        self.signal.nanos(now)
    }

    /// Takes in how long a request took that was picked at `since`, as [`nanos`](Self::nanos) counts.
    #[inline]
    pub(super) fn took(&self, latency: Duration, since: u64) {
        // When it was answered, without a look at the clock, which costs more than the pick.
        let answered = since.saturating_add(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        self.observe(stamp(answered), |cost, stamp| cost.took(latency, stamp));
    }

    /// Takes in that a request was given up after this long: it would have taken at least that.
    pub(super) fn given_up(&self, after: Duration, now: Instant) {
        self.observe(self.signal.stamp(now), |cost, stamp| cost.took_at_least(after, stamp));
    }

    /// Takes in that a request failed after this long: a quick failure is not a quick answer.
    pub(super) fn failed_after(&self, after: Duration, now: Instant) {
        self.observe(self.signal.stamp(now), |cost, stamp| cost.failed_after(after, stamp));
    }

    /// Of two threads at once one may lose a sample; the next one makes up for it.
    #[inline]
    fn observe(&self, stamp: u32, next: impl Fn(Cost, u32) -> Cost) {
        let cost = Cost::from_bits(self.cost.load(Ordering::Relaxed));
        self.cost.store(next(cost, stamp).to_bits(), Ordering::Relaxed);
    }

    /// Counts a success.
    pub(super) fn succeeded(&self, latency: Duration) {
        self.outcomes.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.spent.fetch_add(micros, Ordering::Relaxed);
        if self.row.load(Ordering::Relaxed) != 0 {
            self.row.store(0, Ordering::Relaxed);
        }
        if self.is_on_trial() {
            self.signal.judge_now();
        }
        self.signal.mark_used();
    }

    /// Counts a failure; the one that is one too many has it judged at once, and those after it do not: in an outage each
    /// request fails, and judging looks at every instance.
    pub(super) fn failed(&self) {
        self.outcomes.fetch_add(ONE_FAILURE, Ordering::Relaxed);
        let row = self.row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if row == self.signal.row_allowed() || self.is_on_trial() {
            self.signal.judge_now();
        }
        self.signal.mark_used();
    }

    pub(super) fn row(&self) -> u32 {
        self.row.load(Ordering::Relaxed)
    }

    pub(super) fn tally(&self) -> Tally {
        let outcomes = self.outcomes.load(Ordering::Relaxed);
        Tally {
            outcomes: in_flight(outcomes),
            failures: (outcomes >> 32) as u32,
            spent: self.spent.load(Ordering::Relaxed),
        }
    }

    pub(super) fn serial(&self) -> u32 {
        self.serial
    }

    /// Lets so many requests be in flight, and forgets the failures in a row: what comes is judged anew.
    pub(super) fn set_gate(&self, gate: u32) {
        self.row.store(0, Ordering::Relaxed);
        self.gate.store(gate, Ordering::Relaxed);
    }

    /// How many requests are in flight to all instances of the view, of those that are counted together.
    pub(super) fn all_bounded(&self) -> u32 {
        self.signal.bounded().load(Ordering::Relaxed)
    }

    pub(super) fn begin_bounded(&self) {
        self.signal.bounded().fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end_bounded(&self) {
        self.signal.bounded().fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether one more may be in flight, by this cap and the gate.
    pub(super) fn has_room(&self, cap: u32) -> bool {
        self.in_flight() < cap.min(self.gate.load(Ordering::Relaxed))
    }

    #[cfg(test)]
    pub(super) fn gate(&self) -> u32 {
        self.gate.load(Ordering::Relaxed)
    }

    /// Whether it is ejected: it gets nothing.
    pub(super) fn is_ejected(&self) -> bool {
        self.gate.load(Ordering::Relaxed) == 0
    }

    /// Whether it gets one request at a time.
    pub(super) fn is_on_trial(&self) -> bool {
        self.gate.load(Ordering::Relaxed) == ON_TRIAL
    }

    /// The picks since this was last asked, by whichever resolver of the view: each pick is told once.
    pub(super) fn untold_picks(&self) -> u32 {
        let mut told = self.told.load(Ordering::Acquire);
        loop {
            // Read after `told`, so that it is never behind it.
            let all = (self.now.load(Ordering::Relaxed) >> 32) as u32;
            match self.told.compare_exchange_weak(told, all, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return all.wrapping_sub(told),
                Err(newer) => told = newer,
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
#[inline]
fn in_flight(now: u64) -> u32 {
    now as u32
}
