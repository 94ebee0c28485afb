//! Slow start: an instance that has just come gets a growing share, so that it is warm when it gets the whole. PURE.
//!
//! In:  who is usable, with `now`. Out: each one's part of its weight, and when to look again. Who was there before
//! anything else was known has its whole share at once: there is nobody to take the rest.
//!
//! As Envoy's slow start (its docs, "Slow start mode"): the share grows evenly with time, and begins at a tenth.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A share that is whole; others are parts of this.
pub(super) const WHOLE: u32 = 1 << 12;
/// It begins with this part.
const LEAST: u32 = WHOLE / 10;
/// In so many steps a share becomes whole: each builds the tables anew.
const STEPS: u32 = 20;

/// Since when instances are usable, by their loads' numbers; `None`: they have their whole share.
#[derive(Clone, Debug, Default)]
pub(super) struct Rising(BTreeMap<u32, Option<Instant>>);

impl Rising {
    /// The part of its weight that each of these gets, and when one of them is to get more. Who is not among them is
    /// forgotten: it begins anew when it returns.
    pub(super) fn parts(
        &mut self,
        serials: impl Iterator<Item = u32>,
        window: Duration,
        now: Instant,
    ) -> (Vec<u32>, Option<Instant>) {
        let mut before = std::mem::take(&mut self.0);
        let first = before.is_empty();
        let mut rises = false;
        let parts = serials.map(|serial| {
            let since = before.remove(&serial).unwrap_or_else(|| (!first).then_some(now));
            let part = since.map_or(WHOLE, |since| part(now.saturating_duration_since(since), window));
            self.0.insert(serial, since.filter(|_| part < WHOLE));
            rises |= part < WHOLE;
            part
        });
        let parts = parts.collect();
        let step = window.checked_div(STEPS).unwrap_or(window);
        (parts, now.checked_add(step).filter(|_| rises))
    }
}

fn part(age: Duration, window: Duration) -> u32 {
    if age >= window {
        return WHOLE;
    }
    let grown = age.as_nanos().saturating_mul(u128::from(WHOLE)).checked_div(window.as_nanos());
    u32::try_from(grown.unwrap_or(u128::from(WHOLE))).unwrap_or(WHOLE).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::{super::endpoint::now, *};

    const WINDOW: Duration = Duration::from_secs(20);
    const STEP: Duration = Duration::from_secs(1);

    /// In percent, so many seconds after the start.
    fn percent(rising: &mut Rising, serials: &[u32], start: Instant, seconds: u64) -> Vec<u32> {
        let now = start.checked_add(Duration::from_secs(seconds)).unwrap();
        let (parts, next) = rising.parts(serials.iter().copied(), WINDOW, now);
        let one_rises = parts.iter().any(|part| *part < WHOLE);
        assert_eq!(next, one_rises.then(|| now.checked_add(STEP).unwrap()));
        parts.iter().map(|part| part.saturating_mul(100).div_ceil(WHOLE)).collect()
    }

    #[test]
    fn who_comes_later_gets_a_growing_share() {
        let (mut rising, start) = (Rising::default(), now());
        assert_eq!(percent(&mut rising, &[1, 2], start, 0), [100, 100], "nobody was there before");
        assert_eq!(percent(&mut rising, &[1, 2, 3], start, 5), [100, 100, 10]);
        assert_eq!(percent(&mut rising, &[1, 2, 3], start, 6), [100, 100, 10]);
        assert_eq!(percent(&mut rising, &[3, 1, 2], start, 15), [50, 100, 100]);
        assert_eq!(percent(&mut rising, &[1, 2, 3, 4], start, 20), [100, 100, 75, 10]);
        assert_eq!(percent(&mut rising, &[1, 2, 3, 4], start, 25), [100, 100, 100, 25]);
        assert_eq!(percent(&mut rising, &[1, 2, 3, 4], start, 99), [100, 100, 100, 100]);
    }

    #[test]
    fn who_was_away_begins_anew_and_who_is_whole_stays_so() {
        let (mut rising, start) = (Rising::default(), now());
        percent(&mut rising, &[1, 2], start, 0);
        assert_eq!(percent(&mut rising, &[1], start, 1), [100]);
        assert_eq!(percent(&mut rising, &[1, 2], start, 2), [100, 10]);
        assert_eq!(percent(&mut rising, &[], start, 3), [0_u32; 0]);
        assert_eq!(
            percent(&mut rising, &[1, 2], start, 4),
            [100, 100],
            "after an outage of all, all are whole"
        );
    }
}
