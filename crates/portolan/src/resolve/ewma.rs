//! What a request to an instance is thought to cost: its latency, by the peak, forgotten with time. PURE.
//!
//! In:  how long requests took, with a stamp of when. Out: a number to compare with that of another instance.
//!
//! A latency above the present cost counts at once and whole, one below it slowly: as Finagle's peak EWMA (finagle-core,
//! `PeakEwma`) and tower's (tower-balance's `PeakEwma`) do it. What was slow once is forgotten as time goes by without news, so
//! that it is tried again.
//!
//! Never: NaN; a cost that falls because a request failed.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::Duration;

/// After this long without news a third of what was known is left: Finagle's default.
const MEMORY_MS: f32 = 10_000.0;
/// In milliseconds. A moment further behind the last stamp is one after it, a turn of the clock later.
const DAY: u32 = 86_400_000;
/// What one request costs of which nothing is known, for each other to the same instance that is under way: one tries, the
/// others wait for what it learns. In nanoseconds: far above what any request takes.
const UNKNOWN: f32 = 1e12;
/// A failure counts as so many times what a request costs at present.
const FAILURE_TIMES: f32 = 10.0;
/// At least, and at most that, in nanoseconds.
const FAILURE_LEAST: f32 = 1e6;
const FAILURE_MOST: f32 = 5e9;

/// A latency in nanoseconds, and when it was: one word, so that it is read and written whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cost {
    nanos: f32,
    /// In milliseconds since some moment; wraps after 49 days.
    stamp: u32,
}

impl Cost {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    #[inline]
    pub(super) fn from_bits(bits: u64) -> Self {
        Self { nanos: f32::from_bits((bits >> 32) as u32), stamp: bits as u32 }
    }

    #[inline]
    pub(super) fn to_bits(self) -> u64 {
        (u64::from(self.nanos.to_bits()) << 32) | u64::from(self.stamp)
    }

    /// What the next request costs, with so many under way.
    #[inline]
    pub(super) fn with_in_flight(self, in_flight: u32, now: u32) -> f32 {
        let known = self.nanos * self.kept(now);
        let waiting = in_flight as f32;
        // Below a nanosecond nothing is left of what was known.
        if known < 1.0 && in_flight > 0 { UNKNOWN * waiting } else { known * (waiting + 1.0) }
    }

    /// After a request that took so long.
    pub(super) fn took(self, latency: Duration, now: u32) -> Self {
        self.with(nanos(latency), now)
    }

    /// After one that was given up: nothing is learned of it but that it is not quicker.
    pub(super) fn took_at_least(self, after: Duration, now: u32) -> Self {
        let after = nanos(after);
        if after > self.nanos * self.kept(now) { self.with(after, now) } else { self }
    }

    /// After one that failed.
    pub(super) fn failed_after(self, after: Duration, now: u32) -> Self {
        let known = self.nanos * self.kept(now);
        let penalty = (known * FAILURE_TIMES).clamp(FAILURE_LEAST, FAILURE_MOST);
        self.with(nanos(after).max(penalty), now)
    }

    fn with(self, sample: f32, now: u32) -> Self {
        let kept = self.kept(now);
        let known = self.nanos * kept;
        // Not `mul_add`: where the processor may lack it, that is a call which costs more than a pick.
        let nanos = if sample >= known { sample } else { known + sample * (1.0 - kept) };
        Self { nanos, stamp: if self.is_behind(now) { self.stamp } else { now } }
    }

    /// Whether this moment was before the stamp: one of another thread, or of an answer that was told of later than others.
    #[inline]
    fn is_behind(self, now: u32) -> bool {
        now.wrapping_sub(self.stamp) > u32::MAX - DAY
    }

    /// The part that is left of what was known: e^(-t/memory), near enough, and without a call.
    #[inline]
    fn kept(self, now: u32) -> f32 {
        let age = if self.is_behind(now) { 0.0 } else { now.wrapping_sub(self.stamp) as f32 / MEMORY_MS };
        let eighth = 1.0 / (1.0 + age / 8.0);
        let quarter = eighth * eighth;
        let half = quarter * quarter;
        half * half
    }
}

fn nanos(duration: Duration) -> f32 {
    duration.as_secs_f32() * 1e9
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Whole nanoseconds, to be compared.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
    fn next(cost: Cost, in_flight: u32, now: u32) -> u64 {
        cost.with_in_flight(in_flight, now).round() as u64
    }

    fn fresh() -> Cost {
        Cost::from_bits(0)
    }

    #[test]
    fn a_peak_counts_at_once_and_is_forgotten_slowly() {
        let quick = fresh().took(10 * MS, 0);
        assert_eq!(next(quick, 0, 0), 10_000_000);
        let slow = quick.took(100 * MS, 1);
        assert_eq!(next(slow, 0, 1), 100_000_000);
        let mended = (2..1_002).fold(slow, |cost, at| cost.took(10 * MS, at));
        let after_a_second = mended.with_in_flight(0, 1_002);
        assert!((8e7..1e8).contains(&after_a_second), "{after_a_second}");
        let mended = (1_002..60_002).fold(mended, |cost, at| cost.took(10 * MS, at));
        let after_a_minute = mended.with_in_flight(0, 60_002);
        assert!((1e7..1.1e7).contains(&after_a_minute), "{after_a_minute}");
    }

    #[test]
    fn what_was_known_is_forgotten_without_news() {
        let slow = fresh().took(100 * MS, 0);
        assert_eq!(
            next(slow.took(60 * MS, 10_000), 0, 10_000),
            60_000_000,
            "what is left is less: a new peak"
        );
        let of = |now| slow.with_in_flight(0, now) / 1e8;
        assert!((0.34..0.42).contains(&of(10_000)), "{}", of(10_000));
        assert!(of(60_000) < 0.02, "{}", of(60_000));
        assert_eq!(
            next(slow, 0, u32::MAX),
            100_000_000,
            "a stamp a moment behind another thread's is none of 49 days"
        );
    }

    #[test]
    fn news_of_a_moment_before_the_last_make_nothing_older() {
        let now = fresh().took(100 * MS, 60_000);
        assert_eq!(next(now.took(10 * MS, 59_000), 0, 60_000), 100_000_000, "nothing is forgotten by it");
        let peak = now.took(200 * MS, 1);
        assert_eq!(next(peak, 0, 60_000), 200_000_000, "a peak counts as of the last news");
        let months = u32::MAX - DAY;
        assert_eq!(
            next(now.took(10 * MS, 60_000_u32.wrapping_add(months)), 0, 60_000_u32.wrapping_add(months)),
            10_000_000
        );
    }

    #[test]
    fn each_that_is_under_way_makes_the_next_dearer() {
        let one = fresh().took(10 * MS, 0);
        assert_eq!(next(one, 3, 0), 40_000_000);
        assert_eq!(next(fresh(), 0, 0), 0, "what is new is tried first");
        assert!(
            fresh().with_in_flight(1, 0) > fresh().took(Duration::from_secs(100), 0).with_in_flight(0, 0)
        );
        assert!(fresh().with_in_flight(2, 0) > fresh().with_in_flight(1, 0), "fewer wait at the other");
        let least = fresh().took(Duration::from_nanos(1), 0);
        assert_eq!(next(least, 1, 0), 2, "a nanosecond is known");
    }

    #[test]
    fn a_quick_failure_is_no_quick_answer() {
        let one = fresh().took(10 * MS, 0);
        assert_eq!(next(one.failed_after(MS, 0), 0, 0), 100_000_000);
        assert_eq!(next(fresh().failed_after(Duration::ZERO, 0), 0, 0), 1_000_000);
        assert_eq!(next(one.failed_after(Duration::from_secs(2), 0), 0, 0), 2_000_000_000);
        let later = one.failed_after(MS, 10_000).with_in_flight(0, 10_000);
        assert!((3.4e7..4.2e7).contains(&later), "{later}: of what is left by then");
        let often = (0..50).fold(one, |cost, _| cost.failed_after(MS, 0));
        assert_eq!(
            next(often, 0, 0),
            5_000_000_000,
            "bounded, so that it is tried again within a minute or so"
        );
    }

    #[test]
    fn one_that_is_given_up_teaches_only_that_it_is_slow() {
        let one = fresh().took(10 * MS, 0);
        assert_eq!(one.took_at_least(MS, 5_000), one);
        assert_eq!(next(one.took_at_least(Duration::from_secs(1), 5_000), 0, 5_000), 1_000_000_000);
        let later = one.took_at_least(6 * MS, 10_000);
        assert_eq!(next(later, 0, 10_000), 6_000_000, "of 10 ms less is left by then");
    }

    proptest! {
        #[test]
        fn no_samples_make_it_anything_but_a_number(
            samples in proptest::collection::vec((0..3u8, any::<u64>(), any::<u32>()), 0..40),
            in_flight in any::<u32>(), now in any::<u32>(),
        ) {
            let mut cost = fresh();
            for (kind, nanos, stamp) in samples {
                let latency = Duration::from_nanos(nanos);
                cost = match kind {
                    0 => cost.took(latency, stamp),
                    1 => cost.took_at_least(latency, stamp),
                    _ => cost.failed_after(latency, stamp),
                };
                prop_assert_eq!(Cost::from_bits(cost.to_bits()), cost);
            }
            let value = cost.with_in_flight(in_flight, now);
            prop_assert!(value.is_finite() && value >= 0.0, "{} of {:?}", value, cost);
        }
    }
}
