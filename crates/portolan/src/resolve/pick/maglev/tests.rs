//! What the paper promises of the table: shares, and few moves; and that only the identity decides.

use proptest::prelude::*;

use super::*;
use crate::roll::Rolls;

fn identity(number: usize) -> Identity {
    Identity::new("dc1", &format!("node-{}", number / 8), &format!("web-{number}"))
}

/// A table of the instances of these numbers.
fn table(numbers: &[usize], weights: &[u32]) -> Maglev {
    let hashes = numbers.iter().map(|number| identity_hash(&identity(*number)));
    Maglev::new(hashes.zip(weights.iter().copied()))
}

fn equal(count: usize) -> Maglev {
    table(&(0..count).collect::<Vec<_>>(), &vec![1; count])
}

/// The place of each slot.
fn slots(table: &Maglev) -> Vec<usize> {
    (0..table.slots.len()).filter_map(|slot| table.slots.get(slot)).collect()
}

/// How many slots each place has.
fn counts(table: &Maglev, places: usize) -> Vec<usize> {
    let mut counts = vec![0; places];
    slots(table).into_iter().for_each(|place| counts[place] = usize::saturating_add(counts[place], 1));
    counts
}

/// Of so many equal instances one leaves: the share of all slots that moves, and of those that were not the leaver's.
fn moved(before: &Maglev, count: usize, leaver: usize) -> (f64, f64) {
    let rest: Vec<usize> = (0..count).filter(|number| *number != leaver).collect();
    let (before, after) = (slots(before), slots(&table(&rest, &vec![1; count])));
    assert_eq!(before.len(), after.len());
    let moved = before.iter().zip(&after).filter(|(before, after)| rest[**after] != **before).count() as f64;
    let left = before.iter().filter(|place| **place == leaver).count() as f64;
    let size = before.len() as f64;
    (moved / size, (moved - left) / (size - left))
}

#[test]
fn a_place_is_read_as_it_was_written_whatever_its_width() {
    for most in [0, 65_535, 65_536, u32::MAX] {
        let slots = Slots::new(Box::new([7, most]));
        assert_eq!(matches!(slots, Slots::Narrow(_)), most <= 65_535);
        let read: Vec<_> = (0..3).map(|slot| slots.get(slot)).collect();
        assert_eq!((read, slots.len()), (vec![Some(7), Some(most as usize), None], 2));
    }
}

#[test]
fn a_table_has_many_slots_for_each_of_its_instances_and_is_bounded() {
    for (instances, expected) in [
        (2, 65_537),
        (655, 65_537),
        (656, 131_071),
        (1_310, 131_071),
        (1_311, 524_287),
        (10_485, 524_287),
        (10_486, 5_000_011),
        (50_001, 5_000_011),
        (usize::MAX, 5_000_011),
    ] {
        assert_eq!(size(instances), expected, "{instances}");
    }
    let factor = |size: u32| (2..size).take_while(|by| by * by <= size).find(|by| size.is_multiple_of(*by));
    assert_eq!(
        SIZES.map(|(_, slots)| factor(slots)),
        [None; 4],
        "each is a prime, or some order would leave out slots"
    );
}

#[test]
fn equal_instances_have_equal_shares_to_a_hundredth_and_thousands_to_a_fiftieth() {
    for (count, slots) in
        [(2, 100), (3, 100), (100, 100), (655, 100), (1_000, 100), (1_311, 100), (5_242, 100), (10_000, 50)]
    {
        let counts = counts(&equal(count), count);
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        // A turn each round: by the end they are at most one apart.
        assert!(most - least <= 1 && *least >= slots, "{count} instances: {least} to {most} slots");
    }
}

#[test]
fn slots_follow_the_weights_to_within_one_turn_each() {
    for weights in
        [&[1, 2, 3][..], &[1, 100], &[65_535 << 12, 30_000 << 12, 7 << 12, 12_345 << 12], &[0, 1, 3]]
    {
        let table = table(&(0..weights.len()).collect::<Vec<_>>(), weights);
        let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let size = table.slots.len() as f64;
        for (slots, weight) in counts(&table, weights.len()).into_iter().zip(weights) {
            let share = f64::from(*weight) / total as f64 * size;
            let off = slots as f64 - share;
            assert!(
                off.abs() <= weights.len() as f64,
                "{slots} slots of weight {weight} of {weights:?}, not {share}"
            );
            assert_eq!(slots == 0, *weight == 0, "{weights:?}");
        }
    }
}

/// The example in Envoy's documentation.
#[test]
fn one_of_twice_the_weight_has_twice_the_slots() {
    assert_eq!(counts(&table(&[0, 1], &[1, 2]), 2), [21_846, 43_691]);
}

#[test]
fn keys_follow_the_weights() {
    for (seed, weights) in [(21, &[1, 1, 1][..]), (22, &[1, 2, 3]), (23, &[5, 0, 1, 10]), (24, &[7])] {
        let table = table(&(0..weights.len()).collect::<Vec<_>>(), weights);
        let (mut rolls, mut counts) = (Rolls::new(seed), vec![0_u32; weights.len()]);
        (0..60_000).for_each(|_| counts[table.pick(xxh3_64(&rolls.next().to_be_bytes()))] += 1);
        let total: u32 = weights.iter().sum();
        let expected = |weight: u32| 60_000.0 * f64::from(weight) / f64::from(total);
        let term = |(count, weight): (&u32, &u32)| {
            (f64::from(*count) - expected(*weight)).powi(2) / expected(*weight).max(1e-9)
        };
        let chi_square: f64 = counts.iter().zip(weights).map(term).sum();
        // 99.99 % quantile for 3 degrees of freedom; what the table itself is off by is under a slot in 10,000.
        assert!(chi_square < 21.1, "seed {seed} {weights:?} {counts:?}");
    }
}

/// The paper bounds shares, and of moves it says that they are few. Envoy's documentation (Supported load balancers,
/// Maglev) tells of about double the moves of a ring, which are 1 in N, for its table of 65,537. Beyond some hundred
/// instances that is not reached by any table of 100 slots each; there it is the bound that `pick_by_key` documents, found
/// here: 0.1 to 1.3 in a hundred of the others' keys.
#[test]
fn when_one_leaves_few_keys_of_the_others_move() {
    for count in [3, 10, 50, 100, 655, 1_000, 2_500] {
        let before = equal(count);
        for leaver in [0, count / 3, count / 2, count - 1] {
            let (all, others) = moved(&before, count, leaver);
            assert!(others <= 0.02, "{leaver} of {count} leaves: {others} of the others' slots move");
            let of_a_ring = 1.0 / count as f64;
            assert!(
                count > 100 || all <= 2.0 * of_a_ring,
                "{leaver} of {count} leaves: {all} of all slots move"
            );
        }
    }
    let (_, others) = moved(&equal(10_000), 10_000, 17);
    assert!(others <= 0.002, "of ten thousand one leaves: {others} of the others' slots move");
}

/// Slow start and zones change weights all the time.
#[test]
fn when_a_weight_changes_no_more_keys_move_than_it_changes_and_a_few() {
    let numbers: Vec<usize> = (0..20).collect();
    let mut weights = vec![1_000; 20];
    let before = table(&numbers, &weights);
    weights[7] = 500;
    let after = table(&numbers, &weights);
    let moved =
        slots(&before).into_iter().zip(slots(&after)).filter(|(before, after)| before != after).count()
            as f64;
    // Half of a twentieth, which it gives up, and what two in a hundred of the others are.
    assert!(moved / 65_537.0 <= 0.025 + 0.02, "{moved} slots move");
}

#[test]
fn nothing_but_identities_and_weights_decides() {
    let numbers: Vec<usize> = (0..50).collect();
    let weights: Vec<u32> = (0..50).map(|number| 1 + number % 7).collect();
    let table_of = |numbers: &[usize]| {
        let weights: Vec<u32> = numbers.iter().map(|number| weights[*number]).collect();
        let table = table(numbers, &weights);
        slots(&table).into_iter().map(|place| numbers[place]).collect::<Vec<_>>()
    };
    let turned: Vec<usize> = numbers.iter().rev().copied().collect();
    assert_eq!(table_of(&numbers), table_of(&turned), "the order of the list is no matter");
    let scaled: Vec<u32> = weights.iter().map(|weight| weight << 12).collect();
    assert_eq!(
        slots(&table(&numbers, &weights)),
        slots(&table(&numbers, &scaled)),
        "nor is the unit of weights"
    );
}

/// Other processes have other versions of Portolan: whoever changes this moves all keys of all users, twice in a
/// rolling restart.
#[test]
fn it_is_the_same_table_in_every_version() {
    assert_eq!(identity_hash(&identity(1)), 0xB348_DFAE_3015_2C2E);
    let table = table(&[0, 1, 2, 3, 4], &[1, 2, 3, 4, 5]);
    let bytes: Vec<u8> =
        slots(&table).into_iter().flat_map(|place| u32::try_from(place).unwrap().to_le_bytes()).collect();
    assert_eq!(xxh3_64(&bytes), 0xBB78_2769_8116_F822);
    let picks: Vec<usize> = (0..12u8).map(|key| table.pick(xxh3_64(&[key]))).collect();
    assert_eq!(picks, [2, 4, 1, 2, 3, 4, 3, 2, 4, 4, 0, 1]);
    let walk: Vec<usize> = table.places(xxh3_64(b"session-1")).take(12).collect();
    assert_eq!(walk, [2, 3, 3, 2, 3, 3, 1, 1, 2, 4, 4, 4]);
}

#[test]
fn each_part_of_an_identity_counts_and_none_runs_into_the_next() {
    let base = Identity::new("dc1", "ab", "c");
    let others = [
        Identity { datacenter: "dc2".into(), ..base.clone() },
        Identity { partition: "p".into(), ..base.clone() },
        Identity { namespace: "p".into(), ..base.clone() },
        Identity { peer: "p".into(), ..base.clone() },
        Identity::new("dc1", "a", "bc"),
        Identity::new("dc1", "ab", "d"),
    ];
    let mut hashes: Vec<u64> = others.iter().chain([&base]).map(identity_hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), others.len() + 1);
}

#[test]
fn a_key_goes_through_every_slot_once_from_its_own() {
    let table = table(&[0, 1, 2], &[1, 2, 3]);
    for hash in [0, 1, u64::MAX, xxh3_64(b"x"), xxh3_64(b"y"), xxh3_64(b"z")] {
        let walk: Vec<usize> = table.places(hash).collect();
        assert_eq!(walk.first(), Some(&table.pick(hash)));
        let mut found = vec![0; 3];
        walk.iter().for_each(|place| found[*place] = usize::saturating_add(found[*place], 1));
        assert_eq!(found, counts(&table, 3), "each slot comes, and none comes twice");
    }
    assert_eq!(equal(1).places(5).collect::<Vec<_>>(), [0]);
    assert_eq!(equal(0).places(5).count(), 0);
}

#[test]
fn what_one_gives_up_is_spread_over_all_others() {
    let table = equal(10);
    let (mut rolls, mut heirs) = (Rolls::new(31), [0_u32; 10]);
    for hash in (0..20_000).map(|_| rolls.next()) {
        if table.pick(hash) == 4 {
            heirs[table.places(hash).find(|place| *place != 4).unwrap()] += 1;
        }
    }
    assert!(
        heirs[4] == 0 && (0..10).filter(|heir| *heir != 4).all(|heir| heirs[heir] > 150),
        "seed 31 {heirs:?}"
    );
}

#[test]
fn one_great_weight_among_many_small_ones_leaves_each_a_slot() {
    let mut weights = vec![1; 10_000];
    weights[5_000] = u32::MAX;
    let counts = counts(&table(&(0..10_000).collect::<Vec<_>>(), &weights), 10_000);
    assert!(
        counts.iter().enumerate().all(|(place, slots)| *slots == if place == 5_000 { 514_288 } else { 1 })
    );
}

#[test]
fn instances_of_the_same_hash_share() {
    let counts = counts(&Maglev::new([(7, 1); 500].into_iter()), 500);
    assert!(counts.iter().all(|slots| (131..=132).contains(slots)), "{counts:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_weights_fill_the_table_with_those_that_have_any(
        instances in proptest::collection::vec((any::<u64>(), prop_oneof![Just(0), 1..=9u32, any::<u32>()]), 0..300),
        hash: u64,
    ) {
        let table = Maglev::new(instances.iter().copied());
        let weighted = instances.iter().filter(|(_, weight)| *weight > 0).count();
        prop_assert_eq!(table.slots.len(), match weighted { 0 => 0, 1 => 1, _ => 65_537 });
        for (slots, (_, weight)) in counts(&table, instances.len()).iter().zip(&instances) {
            prop_assert_eq!(*slots > 0, *weight > 0);
        }
        let place = table.pick(hash);
        prop_assert!(weighted == 0 && place == 0 || instances[place].1 > 0);
    }
}
