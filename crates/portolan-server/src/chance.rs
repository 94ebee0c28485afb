//! A small generator of chance, seeded from the config. PURE: the same seed gives the same numbers.
//!
//! In:  a seed. Out: numbers that spread load: jitter of waits, first runs of checks. Never for secrets.
//!
//! Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (splitmix64).

use std::time::Duration;

/// A generator.
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    state: u64,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A duration from 0 to `most`.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(match nanos.checked_add(1) {
            Some(span) => self.next().checked_rem(span).unwrap_or(0),
            None => self.next(),
        })
    }

    /// A random UUID (version 4).
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let high = (high & 0xffff_ffff_ffff_0fff) | 0x4000;
        let low = (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
        let hex = format!("{high:016x}{low:016x}");
        let parts = [hex.get(..8), hex.get(8..12), hex.get(12..16), hex.get(16..20), hex.get(20..)];
        parts.map(Option::unwrap_or_default).join("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_within_bounds() {
        let (mut one, mut other) = (Chance::new(7), Chance::new(7));
        for _ in 0..1000 {
            let most = Duration::from_millis(3);
            let drawn = one.up_to(most);
            assert_eq!(drawn, other.up_to(most));
            assert!(drawn <= most);
        }
        assert_eq!(one.up_to(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn a_uuid_has_its_form() {
        let uuid = Chance::new(1).uuid();
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{uuid}");
        assert_eq!(uuid.chars().nth(14), Some('4'), "{uuid}");
    }
}
