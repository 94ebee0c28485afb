//! Chance, from a seed: splitmix64, which is small, fast, and good enough to spread load and retries. PURE but for
//! the count that each thread keeps of its own rolls.
//!
//! Never: for secrets. Source of the constants: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
//! Generators" (2014).

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Scrambles a number: neighbours become unrelated.
#[inline]
pub(crate) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(GOLDEN);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

/// A sequence of rolls that its seed decides.
#[derive(Clone, Debug)]
pub(crate) struct Rolls(u64);

impl Rolls {
    /// The sequence of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next roll: 64 even bits.
    pub(crate) fn next(&mut self) -> u64 {
        let roll = mix(self.0);
        self.0 = self.0.wrapping_add(GOLDEN);
        roll
    }

    /// A sequence of its own, for a task of its own.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.next())
    }
}

/// A roll as a number below `limit`; 0 when that is 0.
pub(crate) fn below(roll: u64, limit: u64) -> u64 {
    let product = u128::from(roll).wrapping_mul(u128::from(limit));
    u64::try_from(product >> 64).unwrap_or(0)
}

/// The part of `most` that a roll says: even from zero to all of it.
pub(crate) fn jitter(roll: u64, most: Duration) -> Duration {
    let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(below(roll, nanos.saturating_add(1)))
}

static THREADS: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// How many rolls this thread has taken, times `GOLDEN`; starts far from every other thread's.
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

/// A roll for a lookup, from the seed and this thread's own count: no other thread is in its way, and two threads do
/// not choose in step.
#[inline]
pub(crate) fn thread_roll(seed: u64) -> u64 {
    TAKEN.with(|taken| {
        let before = taken.get();
        let now = if before == 0 { first_of_thread() } else { before.wrapping_add(GOLDEN) };
        taken.set(now);
        mix(seed ^ now)
    })
}

#[cold]
fn first_of_thread() -> u64 {
    (THREADS.fetch_add(1, Ordering::Relaxed) << 40).wrapping_mul(GOLDEN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_the_published_generator() {
        let mut rolls = Rolls::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| rolls.next()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn a_seed_decides_the_sequence() {
        let (mut left, mut right) = (Rolls::new(7), Rolls::new(7));
        assert!((0..100).all(|_| left.next() == right.next()));
        assert_ne!(Rolls::new(7).next(), Rolls::new(8).next());
    }

    #[test]
    fn the_parts_of_a_range_come_up_evenly() {
        let mut rolls = Rolls::new(1);
        let mut counts = [0u32; 10];
        for _ in 0..10_000 {
            counts[usize::try_from(below(rolls.next(), 10)).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn two_threads_do_not_roll_alike() {
        let here: Vec<u64> = (0..100).map(|_| thread_roll(3)).collect();
        let there =
            std::thread::spawn(|| (0..100).map(|_| thread_roll(3)).collect::<Vec<_>>()).join().unwrap();
        assert!(here.iter().all(|roll| !there.contains(roll)));
    }

    #[test]
    fn each_roll_of_a_thread_is_another_whatever_the_seed() {
        for seed in [0, 1, u64::MAX] {
            let rolls: std::collections::BTreeSet<u64> = (0..100).map(|_| thread_roll(seed)).collect();
            assert_eq!(rolls.len(), 100, "seed {seed}");
        }
    }

    proptest! {
        #[test]
        fn a_part_is_never_more_than_the_whole(nanos: u64, roll: u64) {
            let whole = Duration::from_nanos(nanos);
            prop_assert!(jitter(roll, whole) <= whole);
        }
    }
}
