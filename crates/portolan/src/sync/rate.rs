//! How often a view may read, whatever it is told: at most 10 in a burst, then 4 a second, with rests that grow with
//! what a read costs. PURE.
//!
//! Consul's document proposes a burst of 2 and one read per 15 s, which shows a rolling deployment 15 s late.
//! A loop that reads without a pause melts an agent (go-kit/kit#1214), so this stands apart from all other rules.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

/// Reads that may follow each other at once.
const BURST: u32 = 10;
/// The time in which one more read is earned.
const PER_READ: Duration = Duration::from_millis(250);
/// A rest is this many times what the last read cost.
const REST_FACTOR: u32 = 5;
/// No rest is longer.
const LONGEST_REST: Duration = Duration::from_secs(15);

/// A token bucket with a gap. Time comes in, and never goes back.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    tokens: u32,
    /// When the bucket was last filled to a whole token.
    filled: Instant,
    /// No read before this.
    not_before: Instant,
    /// What a read costs: how long one took that did not wait.
    cost: Duration,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self { tokens: BURST, filled: now, not_before: now, cost: Duration::ZERO }
    }

    /// When the next read may start: `now`, or later.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        self.fill(now);
        let earned = if self.tokens > 0 { now } else { self.filled.checked_add(PER_READ).unwrap_or(now) };
        earned.max(self.not_before).max(now)
    }

    /// A read starts now.
    pub(super) fn start(&mut self, now: Instant) {
        self.fill(now);
        self.tokens = self.tokens.saturating_sub(1);
    }

    /// A read that started at `started` has ended. `waited` tells whether it may have waited for a change: then how
    /// long it took says little about its cost, except that it did not cost more.
    pub(super) fn done(&mut self, started: Instant, now: Instant, waited: bool) {
        let took = now.saturating_duration_since(started);
        self.cost = if waited { self.cost.min(took) } else { took };
        let rest = self.cost.saturating_mul(REST_FACTOR).min(LONGEST_REST);
        // Counted from the end of what the read itself cost: one that waited long has rested already.
        let from = started.checked_add(self.cost).unwrap_or(now);
        self.not_before = from.checked_add(rest).unwrap_or(now);
    }

    fn fill(&mut self, now: Instant) {
        let mut earned = now.saturating_duration_since(self.filled);
        while self.tokens < BURST && earned >= PER_READ {
            self.tokens = self.tokens.saturating_add(1);
            self.filled = self.filled.checked_add(PER_READ).unwrap_or(now);
            earned = earned.saturating_sub(PER_READ);
        }
        if self.tokens == BURST {
            self.filled = now;
        }
    }

    /// What decides, counted from `now`.
    #[cfg(test)]
    pub(super) fn key(&self, now: Instant) -> (u32, Duration, Duration, Duration) {
        let mut filled = self.clone();
        filled.fill(now);
        let since = now.saturating_duration_since(filled.filled);
        (filled.tokens, since, self.not_before.saturating_duration_since(now), self.cost)
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test's own small numbers")]
mod tests {
    use super::*;

    /// How many reads start within `span`, when each ends at once after `cost`.
    fn reads_within(span: Duration, cost: Duration, waited: bool) -> u32 {
        let start = tokio::time::Instant::now().into_std();
        let mut rate = Rate::new(start);
        let (mut now, mut reads) = (start, 0);
        loop {
            now = rate.next(now);
            if now.duration_since(start) >= span {
                return reads;
            }
            reads += 1;
            rate.start(now);
            let began = now;
            now += cost;
            rate.done(began, now, waited);
        }
    }

    #[test]
    fn b6_a_burst_of_ten_and_then_four_a_second() {
        assert_eq!(reads_within(Duration::from_millis(1), Duration::ZERO, false), 10);
        assert_eq!(reads_within(Duration::from_secs(10), Duration::ZERO, true), 10 + 39);
    }

    #[test]
    fn nothing_is_saved_up_beyond_the_burst_and_no_part_of_a_read_is_lost() {
        let start = tokio::time::Instant::now().into_std();
        let mut rate = Rate::new(start);
        let taken = |rate: &mut Rate, now: Instant| {
            let mut taken = 0;
            while rate.next(now) == now && taken < 100 {
                rate.start(now);
                taken += 1;
            }
            taken
        };
        // However long it was idle, and however often it was asked meanwhile.
        for seconds in [1, 60, 61, 3_600] {
            let now = start + Duration::from_secs(seconds);
            rate.next(now);
        }
        let now = start + Duration::from_secs(3_601);
        assert_eq!(taken(&mut rate, now), 10);
        let later: u32 = (1..=100u32).map(|at| taken(&mut rate, now + at * Duration::from_millis(60))).sum();
        assert_eq!(later, 24, "four a second for six seconds");
    }

    #[test]
    fn an_expensive_read_rests_five_times_its_cost() {
        let cost = Duration::from_millis(500);
        // One read each 3 s: half a second of cost, two and a half of rest.
        assert_eq!(reads_within(Duration::from_secs(30), cost, false), 10);
    }

    #[test]
    fn no_rest_is_longer_than_fifteen_seconds() {
        let cost = Duration::from_secs(60);
        assert_eq!(reads_within(Duration::from_secs(750), cost, false), 10);
    }

    #[test]
    fn a_read_that_waited_long_owes_no_rest() {
        let now = tokio::time::Instant::now().into_std();
        let mut rate = Rate::new(now);
        rate.start(now);
        rate.done(now, now + Duration::from_millis(2), false);
        let began = now + Duration::from_secs(1);
        rate.start(began);
        let end = began + Duration::from_secs(30);
        rate.done(began, end, true);
        assert_eq!(rate.next(end), end);
    }
}
