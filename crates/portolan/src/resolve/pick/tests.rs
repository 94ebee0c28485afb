//! Each policy gives each instance its share, whatever the weights.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    resolve::{
        endpoint::{About, Loads},
        selection::Mark,
    },
    roll::Rolls,
    snapshot::Freshness,
    testing::instance,
};

fn endpoints(count: usize) -> Vec<Arc<Endpoint>> {
    let instances: Vec<_> = (0..count).map(|id| Arc::new(instance(u16::try_from(id).unwrap()))).collect();
    let loads = Loads::default().of(instances.iter());
    let about = Arc::new(About::new(Arc::new(Freshness::nothing()), Mark::Ordinary));
    instances.iter().zip(loads).map(|(one, load)| Arc::new(Endpoint::new(one, &about, load))).collect()
}

fn shares(policy: Policy, weights: &[u32], picks: usize, seed: u64) -> Vec<usize> {
    let picker = Picker::new(policy, weights, &Arc::new(AtomicU64::new(0)));
    let endpoints = endpoints(weights.len());
    let mut rolls = Rolls::new(seed);
    let mut counts = vec![0; weights.len()];
    for _ in 0..picks {
        let place = picker.pick(&endpoints, rolls.next());
        counts[place] = usize::saturating_add(counts[place], 1);
    }
    counts
}

/// Pearson's statistic for these counts against shares by weight.
fn chi_square(counts: &[usize], weights: &[u32]) -> f64 {
    let picks: usize = counts.iter().sum();
    let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
    let expected = |weight: &u32| picks as f64 * f64::from(*weight) / total;
    let term = |(count, weight): (&usize, &u32)| {
        (*count as f64 - expected(weight)).powi(2) / expected(weight).max(1e-9)
    };
    counts.iter().zip(weights).map(term).sum()
}

#[test]
fn random_and_power_of_two_follow_the_weights() {
    for policy in [Policy::Random, Policy::PowerOfTwo] {
        for weights in [&[1, 1, 1][..], &[5, 5, 5, 5], &[1][..]] {
            let counts = shares(policy, weights, 30_000, 11);
            // 99.99 % quantiles: 18.4 for 2 degrees of freedom, 21.1 for 3.
            assert!(chi_square(&counts, weights) < 18.4, "{policy:?} {weights:?} {counts:?}");
        }
    }
    for weights in [&[1, 2, 3][..], &[1, 100], &[65_535, 1, 1, 1], &[0, 1, 3]] {
        let counts = shares(Policy::Random, weights, 60_000, 12);
        assert!(chi_square(&counts, weights) < 21.1, "{weights:?} {counts:?}");
        assert!(counts.iter().zip(weights).all(|(count, weight)| *weight > 0 || *count == 0), "{counts:?}");
    }
}

#[test]
fn power_of_two_avoids_the_loaded_one() {
    let endpoints = endpoints(2);
    let picker = Picker::new(Policy::PowerOfTwo, &[1, 1], &Arc::new(AtomicU64::new(0)));
    let _busy = super::super::endpoint::Pick::new(Arc::clone(&endpoints[0]));
    let mut rolls = Rolls::new(3);
    assert!(
        (0..1000).all(|_| picker.pick(&endpoints, rolls.next()) == 1),
        "with two, both are always compared"
    );
}

#[test]
fn of_two_with_the_same_load_the_first_is_taken_as_a_peek_takes_it() {
    let endpoints = endpoints(7);
    let picker = Picker::new(Policy::PowerOfTwo, &[1; 7], &Arc::new(AtomicU64::new(0)));
    let mut rolls = Rolls::new(5);
    for roll in (0..100).map(|_| rolls.next()) {
        assert_eq!(picker.pick(&endpoints, roll), picker.peek(roll));
    }
}

#[test]
fn a_peek_follows_the_weights_whatever_the_policy() {
    let weights = [1, 2, 0, 5];
    for policy in [Policy::PowerOfTwo, Policy::Random, Policy::RoundRobin] {
        let picker = Picker::new(policy, &weights, &Arc::new(AtomicU64::new(0)));
        let mut rolls = Rolls::new(9);
        let mut counts = vec![0; weights.len()];
        for _ in 0..40_000 {
            let place = picker.peek(rolls.next());
            counts[place] = usize::saturating_add(counts[place], 1);
        }
        assert!(chi_square(&counts, &weights) < 21.1, "{policy:?} {counts:?}");
        assert_eq!(counts[2], 0, "{policy:?}");
    }
}

#[test]
fn round_robin_is_exact_over_a_round_and_smooth_within_it() {
    let picker = Picker::new(Policy::RoundRobin, &[5, 1, 1], &Arc::new(AtomicU64::new(0)));
    let endpoints = endpoints(3);
    let order: Vec<usize> = (0..7).map(|_| picker.pick(&endpoints, 0)).collect();
    let mut counts = BTreeMap::new();
    for place in &order {
        *counts.entry(*place).or_insert(0) += 1;
    }
    assert_eq!(counts, BTreeMap::from([(0, 5), (1, 1), (2, 1)]), "{order:?}");
    let longest = order.chunk_by(|a, b| a == b).map(<[usize]>::len).max();
    assert!(longest < Some(4), "no burst of all five: {order:?}");
    assert_eq!(shares(Policy::RoundRobin, &[1, 1, 1], 9, 0), [3, 3, 3]);
}

#[test]
fn round_robin_stays_within_a_turn_of_heavy_weights() {
    let weights = [65_535, 30_000, 1, 7];
    let counts = shares(Policy::RoundRobin, &weights, 28_800, 0);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    let ratio = counts[0] as f64 / counts[1] as f64;
    assert!((2.0..2.4).contains(&ratio), "{counts:?}");
}

#[test]
fn nothing_to_pick_from_is_no_panic() {
    for policy in [Policy::Random, Policy::PowerOfTwo, Policy::RoundRobin] {
        let picker = Picker::new(policy, &[], &Arc::new(AtomicU64::new(0)));
        let place = picker.pick(&[], u64::MAX);
        assert!([].get(place).is_none_or(|_: &u8| false), "{policy:?}");
    }
}

#[test]
fn ten_thousand_instances_are_all_reached() {
    for policy in [Policy::Random, Policy::PowerOfTwo, Policy::RoundRobin] {
        let counts = shares(policy, &vec![1; 10_000], 200_000, 5);
        assert!(counts.iter().all(|count| *count > 0), "{policy:?}");
    }
}

proptest! {
    #[test]
    fn any_weights_give_a_place_that_exists_and_has_weight(
        weights in proptest::collection::vec(any::<u32>(), 1..40), roll: u64, turn: u64
    ) {
        prop_assume!(weights.iter().any(|weight| *weight > 0));
        let endpoints = endpoints(weights.len());
        for policy in [Policy::Random, Policy::PowerOfTwo, Policy::RoundRobin] {
            let picker = Picker::new(policy, &weights, &Arc::new(AtomicU64::new(turn)));
            let place = picker.pick(&endpoints, roll);
            prop_assert!(place < weights.len());
            prop_assert!(weights[place] > 0, "{policy:?} picked weight 0");
        }
    }
}
