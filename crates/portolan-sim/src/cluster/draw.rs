//! Random times. PURE.
//!
//! In:  a sequence of rolls. Out: times of an exponential distribution. Never: a logarithm, whose last digit is another
//! on another machine: a run is to be the same everywhere.

use std::time::Duration;

use crate::chance::Chance;

/// A time of an exponential distribution: between two arrivals, or that a request takes.
pub(super) fn exponential(chance: &mut Chance, mean: Duration) -> Duration {
    mean.mul_f64(unit(chance))
}

/// Of mean 1, by comparisons alone: John von Neumann, "Various techniques used in connection with random digits" (1951).
fn unit(chance: &mut Chance) -> f64 {
    let mut whole = 0.0;
    loop {
        let first = even(chance);
        let (mut last, mut falls) = (first, 1_u32);
        loop {
            let next = even(chance);
            if next > last {
                break;
            }
            last = next;
            falls = falls.saturating_add(1);
        }
        if falls % 2 == 1 {
            return whole + first;
        }
        whole += 1.0;
    }
}

/// From 0 to 1, without 1.
fn even(chance: &mut Chance) -> f64 {
    const STEPS: f64 = (1_u64 << 53) as f64;
    (chance.next() >> 11) as f64 / STEPS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_spread_and_tail_are_those_of_the_distribution() {
        let mut chance = Chance::new(1);
        let drawn: Vec<f64> = (0..200_000).map(|_| unit(&mut chance)).collect();
        let count = drawn.len() as f64;
        let mean = drawn.iter().sum::<f64>() / count;
        let variance = drawn.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / count;
        assert!((0.99..1.01).contains(&mean), "{mean}");
        assert!((0.98..1.02).contains(&variance), "{variance}");
        for (limit, part) in [(0.105_36, 0.9), (std::f64::consts::LN_2, 0.5), (4.605_17, 0.01)] {
            let above = drawn.iter().filter(|one| **one > limit).count() as f64 / count;
            assert!((above / part - 1.0).abs() < 0.05, "{above} above {limit}");
        }
    }
}
