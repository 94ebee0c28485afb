//! A place by weight in constant time: Walker's alias table, built as Vose does. PURE.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

/// Each column is two places at most: itself below the threshold, its alias above. With equal weights no table is
/// needed, and none is kept.
#[derive(Debug)]
pub(in crate::resolve) struct Alias {
    len: u32,
    columns: Box<[Column]>,
}

#[derive(Clone, Copy, Debug)]
struct Column {
    /// Of 2^32: how much of the column is its own.
    threshold: u32,
    alias: u32,
}

impl Alias {
    pub(super) fn new(weights: &[u32]) -> Self {
        let len = u32::try_from(weights.len()).unwrap_or(u32::MAX);
        let equal = weights.windows(2).all(|pair| matches!(pair, [left, right] if left == right));
        let columns = if equal { Box::default() } else { columns(weights) };
        Self { len, columns }
    }

    /// A place by its weight.
    #[inline]
    pub(super) fn pick(&self, roll: u64) -> usize {
        let (column, rest) = scale(roll, self.len);
        self.resolve(column, rest)
    }

    /// Two places by their weights, different ones where the first draw allows.
    #[inline]
    pub(super) fn pick_two(&self, roll: u64) -> (usize, usize) {
        let (first, rest) = scale(roll, self.len);
        // Of equal weights nothing is left to decide within a column: the rest of the roll is as good as another.
        let again = if self.columns.is_empty() { roll.rotate_left(32) } else { crate::roll::mix(roll) };
        // The second is drawn from the others, so that with two instances both are always compared.
        let (step, second_rest) = scale(again, self.len.saturating_sub(1));
        let second = first.saturating_add(1).saturating_add(step);
        let second = if second >= self.len { second.saturating_sub(self.len) } else { second };
        (self.resolve(first, rest), self.resolve(second.min(self.len.saturating_sub(1)), second_rest))
    }

    #[inline]
    fn resolve(&self, column: u32, rest: u32) -> usize {
        let place = match self.columns.get(column as usize) {
            Some(entry) if rest >= entry.threshold => entry.alias,
            _ => column,
        };
        place as usize
    }
}

/// A roll as a number below `len` (by its upper half) and what is left of it (its lower half).
#[inline]
fn scale(roll: u64, len: u32) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = roll.to_be_bytes();
    let upper = u32::from_be_bytes([a, b, c, d]);
    let lower = u32::from_be_bytes([e, f, g, h]);
    let [a, b, c, d, ..] = u64::from(upper).wrapping_mul(u64::from(len)).to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]), lower)
}

fn columns(weights: &[u32]) -> Box<[Column]> {
    let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
    let len = u32::try_from(weights.len()).unwrap_or(u32::MAX);
    let share = |weight: &u32| f64::from(*weight) * f64::from(len) / total;
    let mut left: Vec<f64> = weights.iter().map(share).collect();
    let mut table: Vec<Column> = (0..len).map(|own| Column { threshold: u32::MAX, alias: own }).collect();
    let (mut small, mut large): (Vec<u32>, Vec<u32>) =
        (0..len).partition(|place| left.get(*place as usize).is_some_and(|share| *share < 1.0));
    while let (Some(poor), Some(rich)) = (small.pop(), large.pop()) {
        let need = left.get(poor as usize).copied().unwrap_or(1.0);
        if let Some(column) = table.get_mut(poor as usize) {
            *column = Column { threshold: of_two_to_32(need), alias: rich };
        }
        let Some(rest) = left.get_mut(rich as usize) else { continue };
        *rest -= 1.0 - need;
        if *rest < 1.0 { small.push(rich) } else { large.push(rich) }
    }
    table.into_boxed_slice()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range of u32 first"
)]
fn of_two_to_32(share: f64) -> u32 {
    (share.clamp(0.0, 1.0) * f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How much of all rolls each place gets, by the table.
    fn shares(weights: &[u32]) -> Vec<f64> {
        let mut shares = vec![0.0; weights.len()];
        for (own, column) in columns(weights).iter().enumerate() {
            let threshold = f64::from(column.threshold) / f64::from(u32::MAX);
            shares[own] += threshold / weights.len() as f64;
            shares[column.alias as usize] += (1.0 - threshold) / weights.len() as f64;
        }
        shares
    }

    proptest! {
        #[test]
        fn the_table_gives_each_place_its_share_of_all_rolls(
            weights in proptest::collection::vec(prop_oneof![Just(0), 1..=9u32, any::<u32>()], 1..40)
        ) {
            let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
            prop_assume!(total > 0.0);
            for (share, weight) in shares(&weights).into_iter().zip(&weights) {
                prop_assert!((share - f64::from(*weight) / total).abs() < 1e-6, "{} of {:?}", share, weights);
            }
        }
    }
}
