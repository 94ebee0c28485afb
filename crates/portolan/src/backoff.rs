//! How long to rest after failures: exponential, capped, with full jitter, so that many who failed together do not
//! come back together. PURE.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::Duration;

use crate::roll::jitter;

/// Rests up to `base` after the first failure, and up to twice as long after each further one, never over `cap`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    base: Duration,
    cap: Duration,
}

impl Backoff {
    pub(crate) const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap }
    }

    /// The rest after this many failures in a row, by a roll: up to [`limit`](Self::limit), but not less than half a
    /// base, so that not even the luckiest returns at once. None before the first failure.
    pub(crate) fn rest(self, failures: u32, roll: u64) -> Duration {
        let limit = self.limit(failures);
        let least = self.base.min(limit).checked_div(2).unwrap_or_default();
        // Above the least, not raised to it: else half of all first rests would be the same.
        least.saturating_add(jitter(roll, limit.saturating_sub(least)))
    }

    /// The longest that [`rest`](Self::rest) can be.
    pub(crate) fn limit(self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));

    #[test]
    fn the_range_doubles_up_to_the_cap() {
        for (failures, most_ms) in
            [(0, 0), (1, 100), (2, 200), (4, 800), (8, 10_000), (40, 10_000), (u32::MAX, 10_000)]
        {
            let most = BACKOFF.rest(failures, u64::MAX);
            assert!(most.as_millis().abs_diff(most_ms) <= 1, "{failures}: {most:?}");
        }
    }

    proptest! {
        #[test]
        fn never_over_the_cap_and_never_at_once(failures in 1u32.., roll: u64) {
            let rest = BACKOFF.rest(failures, roll);
            prop_assert!(rest <= Duration::from_secs(10) && rest >= Duration::from_millis(50));
        }
    }
}
