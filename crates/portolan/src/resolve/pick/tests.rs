//! Each policy gives each instance its share, whatever the weights.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    model::{Requirement, SplitPart},
    resolve::{
        endpoint::{About, now},
        load::{Load, OPEN},
        loads::Loads,
        outlier::Ejection,
        retry::RetryBudget,
        selection::Mark,
    },
    roll::Rolls,
    snapshot::Freshness,
    testing::instance,
};

fn loads() -> Loads {
    Loads::new("web".parse().unwrap(), Ejection::default(), RetryBudget::default(), now())
}

fn endpoints(count: usize) -> Vec<Arc<Endpoint>> {
    let instances: Vec<_> = (0..count).map(|id| Arc::new(instance(u16::try_from(id).unwrap()))).collect();
    let loads = loads().of(instances.iter());
    let about = Arc::new(About::new(Arc::new(Freshness::nothing()), Mark::Ordinary));
    instances.iter().zip(loads).map(|(one, load)| Arc::new(Endpoint::new(one, &about, load, 0.1))).collect()
}

fn loads_of(endpoints: &[Arc<Endpoint>]) -> Vec<Arc<Load>> {
    endpoints.iter().map(|one| Arc::clone(&one.load)).collect()
}

/// The picker of these weights, with its rotation at this turn, and what it picks from.
fn picker_at(policy: Policy, weights: &[u32], turn: u64) -> (Picker, Vec<Arc<Endpoint>>) {
    let endpoints = endpoints(weights.len());
    (Picker::new(policy, weights, &endpoints, &Arc::new(AtomicU64::new(turn))), endpoints)
}

fn picker(policy: Policy, weights: &[u32]) -> (Picker, Vec<Arc<Endpoint>>) {
    picker_at(policy, weights, 0)
}

const ALL: [Policy; 4] = [Policy::PowerOfTwo, Policy::Random, Policy::RoundRobin, Policy::Maglev];

fn shares(policy: Policy, weights: &[u32], picks: usize, seed: u64) -> Vec<usize> {
    let (picker, endpoints) = picker(policy, weights);
    let loads = loads_of(&endpoints);
    let mut rolls = Rolls::new(seed);
    let mut counts = vec![0; weights.len()];
    for _ in 0..picks {
        let place = picker.pick(&loads, rolls.next(), None);
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
    let (picker, endpoints) = picker(Policy::PowerOfTwo, &[1, 1]);
    let loads = loads_of(&endpoints);
    assert!(endpoints[0].load.try_begin(OPEN));
    let mut rolls = Rolls::new(3);
    assert!(
        (0..1000).all(|_| picker.pick(&loads, rolls.next(), None) == 1),
        "with two, both are always compared"
    );
}

#[test]
fn of_two_with_the_same_load_the_first_is_taken_as_a_peek_takes_it() {
    for policy in [Policy::PowerOfTwo, Policy::PeakEwma] {
        let (picker, endpoints) = picker(policy, &[1; 7]);
        let loads = loads_of(&endpoints);
        let mut rolls = Rolls::new(5);
        for roll in (0..100).map(|_| rolls.next()) {
            assert_eq!(picker.pick(&loads, roll, Some(now())), picker.peek(roll), "{policy:?}");
        }
    }
}

#[test]
fn a_peek_follows_the_weights_whatever_the_policy() {
    let weights = [1, 2, 0, 5];
    for policy in ALL {
        let (picker, _) = picker(policy, &weights);
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
    let (picker, endpoints) = picker(Policy::RoundRobin, &[5, 1, 1]);
    let order: Vec<usize> = (0..7).map(|_| picker.pick(&loads_of(&endpoints), 0, None)).collect();
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
fn one_instance_is_always_picked_whatever_its_weight() {
    for policy in ALL {
        for weight in [1, 65_535, u32::MAX] {
            assert_eq!(shares(policy, &[weight], 1_000, 6), [1_000], "{policy:?}, weight {weight}");
        }
    }
}

/// What the selection makes of weights that are all 0.
#[test]
fn with_all_weights_one_each_gets_the_same() {
    for policy in ALL {
        let counts = shares(policy, &[1; 5], 50_000, 8);
        // 99.99 % quantile for 4 degrees of freedom.
        assert!(chi_square(&counts, &[1; 5]) < 23.6, "{policy:?} seed 8 {counts:?}");
    }
}

/// Instance weights times shares of zones and of slow start are of this size.
#[test]
fn great_weights_have_the_same_shares_as_small_ones() {
    let weights = [65_535 << 12, 30_000 << 12, 7 << 12, 12_345];
    for policy in [Policy::Random, Policy::Maglev] {
        let counts = shares(policy, &weights, 100_000, 10);
        // 99.99 % quantile for 3 degrees of freedom.
        assert!(chi_square(&counts, &weights) < 21.1, "{policy:?} seed 10 {counts:?}");
    }
    let counts = shares(Policy::RoundRobin, &weights, 28_800, 0);
    let ratio = counts[0] as f64 / counts[1] as f64;
    assert!((2.0..2.4).contains(&ratio) && counts.iter().all(|count| *count > 0), "{counts:?}");
}

#[test]
fn what_one_refuses_is_spread_over_the_others() {
    for policy in ALL {
        let weights = [1_000_000, 1, 1, 1, 1];
        let (picker, endpoints) = picker(policy, &weights);
        let loads = loads_of(&endpoints);
        let mut rolls = Rolls::new(13);
        let mut counts = [0; 5];
        for _ in 0..4_000 {
            let place = picker
                .pick_one_that((&endpoints, &loads), rolls.next(), None, &|endpoint| endpoint.port != 1000);
            counts[place.unwrap()] = usize::saturating_add(counts[place.unwrap()], 1);
        }
        assert!(counts[0] == 0 && counts[1..].iter().all(|count| *count > 400), "{policy:?} {counts:?}");
    }
}

#[test]
fn a_key_says_where_it_goes_and_where_else_it_goes() {
    let (picker, endpoints) = picker(Policy::Maglev, &[1; 10]);
    let loads = loads_of(&endpoints);
    for key in 0..100u32 {
        let roll = key_roll(&key.to_be_bytes());
        let first = picker.pick(&loads, roll, None);
        let other = |_| {
            picker.pick_one_that((&endpoints, &loads), roll, None, &|one| one.port != endpoints[first].port)
        };
        let [one, again] = [0, 1].map(other);
        assert!(one.is_some_and(|one| one != first) && one == again, "key {key}");
        let Picker::Maglev(table) = &picker else { panic!("{picker:?}") };
        assert_eq!(one, table.places(roll).find(|place| *place != first), "by the table's own order");
    }
}

#[test]
fn only_what_goes_by_latency_asks_for_the_time_and_only_two_parts_are_drawn() {
    let share = |usable| {
        let part = SplitPart { weight: 1, requirement: Requirement::any() };
        SplitShare { part: Arc::new(part), versions: Requirement::any(), usable, share: 0.5 }
    };
    let endpoints = endpoints(2);
    for policy in [Policy::PeakEwma].into_iter().chain(ALL) {
        let of = |split: &[SplitShare]| Picker::of_parts(policy, &[1; 2], &endpoints, &Arc::default(), split);
        let (whole, parts) = (of(&[share(2), share(0)]), of(&[share(1), share(1)]));
        let timed = policy == Policy::PeakEwma;
        assert_eq!([whole.is_timed(), parts.is_timed()], [timed; 2], "{policy:?}");
        let drawn = |picker| matches!(picker, Picker::Parts(_) | Picker::TimedParts(_));
        assert_eq!([drawn(whole), drawn(parts)], [false, true], "{policy:?}");
    }
}

#[test]
fn keys_are_hashed_as_xxh3_is_published() {
    // XXH3_64bits without a seed, of its reference implementation.
    assert_eq!(key_roll(b""), 0x2D06_8005_38D3_94C2);
    assert_eq!(key_roll(b"a"), 0xE6C6_32B6_1E96_4E1F);
    assert_eq!(key_roll(b"message digest"), 0x160D_8E93_29BE_94F9);
    assert_eq!(key_roll(b"abcdefghijklmnopqrstuvwxyz"), 0x810F_9CA0_67FB_B90C);
}

#[test]
fn nothing_to_pick_from_is_no_panic() {
    for policy in ALL {
        let (picker, _) = picker(policy, &[]);
        let place = picker.pick(&[], u64::MAX, None);
        assert!([].get(place).is_none_or(|_: &u8| false), "{policy:?}");
        assert_eq!(picker.pick_one_that((&[], &[]), u64::MAX, None, &|_| true), None, "{policy:?}");
    }
}

#[test]
fn ten_thousand_instances_are_all_reached() {
    for policy in ALL {
        let counts = shares(policy, &vec![1; 10_000], 200_000, 5);
        assert!(counts.iter().all(|count| *count > 0), "{policy:?}");
    }
}

proptest! {
    // Each case fills a table.
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_weights_give_a_place_that_exists_and_has_weight(
        weights in proptest::collection::vec(prop_oneof![Just(0), 1..=9u32, any::<u32>()], 1..40),
        roll: u64,
        turn: u64,
    ) {
        prop_assume!(weights.iter().any(|weight| *weight > 0));
        for policy in ALL {
            let (picker, endpoints) = picker_at(policy, &weights, turn);
        let loads = loads_of(&endpoints);
            for place in [picker.pick(&loads, roll, None), picker.peek(roll)] {
                prop_assert!(place < weights.len());
                prop_assert!(weights[place] > 0, "{policy:?} picked weight 0");
            }
        }
    }

    #[test]
    fn one_that_fits_is_found_whenever_there_is_one(
        weights in proptest::collection::vec(prop_oneof![1..=9u32, any::<u32>()], 1..40),
        wanted in proptest::collection::vec(any::<bool>(), 40),
        roll: u64,
    ) {
        for policy in ALL {
            let (picker, endpoints) = picker(policy, &weights);
            let loads = loads_of(&endpoints);
            let fits = |endpoint: &Endpoint| wanted[usize::from(endpoint.port.wrapping_sub(1000))];
            let found = picker.pick_one_that((&endpoints, &loads), roll, None, &fits);
            prop_assert_eq!(found.is_some(), endpoints.iter().any(|endpoint| fits(endpoint)));
            prop_assert!(found.is_none_or(|place| fits(&endpoints[place])), "{policy:?}");
        }
    }
}
