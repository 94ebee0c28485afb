//! A fixed order in which each instance stands as often as its weight says, as evenly as it can. PURE.
//!
//! Built once for a selection by earliest virtual deadline: the k-th turn of a weight w is due at (k + 1/2) / w. A pick
//! is then one index. Weights are scaled so that the order stays short; the error is under one turn in a round.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{cmp::Reverse, collections::BinaryHeap};

/// A round has at most this many turns for each instance, and this many more.
const TURNS_EACH: u64 = 8;
const TURNS_MORE: u64 = 256;

/// The order; empty when it is simply one after another.
#[derive(Debug)]
pub(in crate::resolve) struct Rotation {
    len: u64,
    order: Box<[u32]>,
}

impl Rotation {
    pub(super) fn new(weights: &[u32]) -> Self {
        let len = weights.len() as u64;
        let equal = weights.windows(2).all(|pair| matches!(pair, [left, right] if left == right));
        let order = if equal { Box::default() } else { order(&turns(weights)) };
        Self { len, order }
    }

    /// Whose turn it is.
    #[expect(clippy::cast_possible_truncation, reason = "below the length, which is a usize")]
    #[inline]
    pub(super) fn pick(&self, turn: u64) -> usize {
        let round = if self.order.is_empty() { self.len } else { self.order.len() as u64 };
        let at = turn.checked_rem(round).unwrap_or(0) as usize;
        self.order.get(at).map_or(at, |place| *place as usize)
    }
}

/// How many turns each gets in a round: its weight over the common divisor, scaled down where that is too long.
fn turns(weights: &[u32]) -> Vec<u64> {
    let divisor = weights.iter().fold(0, |divisor, weight| gcd(divisor, u64::from(*weight))).max(1);
    let plain: Vec<u64> =
        weights.iter().map(|weight| u64::from(*weight).checked_div(divisor).unwrap_or(0)).collect();
    let total: u64 = plain.iter().sum();
    let limit = TURNS_EACH.saturating_mul(weights.len() as u64).saturating_add(TURNS_MORE);
    if total <= limit {
        return plain;
    }
    let scaled = |turns: u64| turns.saturating_mul(limit).checked_div(total).unwrap_or(0);
    plain.iter().map(|turns| if *turns == 0 { 0 } else { scaled(*turns).max(1) }).collect()
}

fn gcd(left: u64, right: u64) -> u64 {
    let (mut left, mut right) = (left, right);
    while right > 0 {
        (left, right) = (right, left.checked_rem(right).unwrap_or(0));
    }
    left
}

fn order(turns: &[u64]) -> Box<[u32]> {
    let total: u64 = turns.iter().sum();
    // Deadlines as whole numbers: (2k + 1) * SCALE / (2w), far finer than any round is long.
    const SCALE: u64 = 1 << 32;
    let due = |turn: u64, weight: u64| {
        turn.saturating_mul(2).saturating_add(1).saturating_mul(SCALE).checked_div(weight.saturating_mul(2))
    };
    let mut queue: BinaryHeap<Reverse<(u64, u32, u64)>> = BinaryHeap::new();
    for (place, weight) in (0u32..).zip(turns) {
        if let Some(first) = due(0, *weight) {
            queue.push(Reverse((first, place, 0)));
        }
    }
    let mut order = Vec::new();
    for _ in 0..total {
        let Some(Reverse((_, place, turn))) = queue.pop() else { break };
        order.push(place);
        let weight = turns.get(place as usize).copied().unwrap_or(0);
        let next = turn.saturating_add(1);
        if let Some(at) = due(next, weight) {
            queue.push(Reverse((at, place, next)));
        }
    }
    order.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_as_short_as_the_weights_allow_and_never_longer_than_its_limit() {
        // Two instances: 8 turns each, and 256 more.
        for (weights, expected) in [
            (&[20, 10, 10][..], &[2, 1, 1][..]),
            (&[6, 9], &[2, 3]),
            (&[7, 5, 0], &[7, 5, 0]),
            (&[0, 0], &[0, 0]),
            (&[271, 1], &[271, 1]),
            (&[272, 1], &[271, 1]),
            (&[65_535, 1], &[271, 1]),
            (&[65_535, 65_534], &[136, 135]),
        ] {
            assert_eq!(turns(weights), expected, "{weights:?}");
        }
    }
}
