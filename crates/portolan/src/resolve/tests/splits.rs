//! Splits: each part its share, each key its part, and nobody without an instance while there is one.

use proptest::prelude::*;

use super::{versions::of, *};
use crate::{Requirement, Split, roll::Rolls};

fn split(text: &str) -> Split {
    text.parse().unwrap()
}

fn splitting(text: &str) -> Select {
    Select::default().split(split(text))
}

/// Four of 1.4.0 (1 to 4) and two of 2.0.0 (5, 6).
fn both() -> Vec<Instance> {
    let ones = (1..=4).map(|id| of(id, "1.4.0"));
    ones.chain((5..=6).map(|id| of(id, "2.0.0"))).collect()
}

/// What so many picks by even rolls get, by id.
fn picked(selection: &Selection, count: usize, seed: u64) -> Vec<u16> {
    let mut rolls = Rolls::new(seed);
    let mut pick = || {
        let place = selection.picker.pick(&selection.loads, rolls.next(), None);
        selection.endpoints[place].port - 1000
    };
    (0..count).map(|_| pick()).collect()
}

/// Whether so many of so many is what chance brings for this share: within five standard deviations and one.
fn is_by_chance(found: usize, of: usize, share: f64) -> bool {
    let (found, of) = (found as f64, of as f64);
    (found - of * share).abs() <= 5.0 * (of * share * (1.0 - share)).sqrt() + 1.0
}

#[test]
fn each_part_gets_its_share_and_each_instance_of_it_its_own() {
    for policy in [Policy::Random, Policy::PowerOfTwo, Policy::PeakEwma, Policy::RoundRobin, Policy::Maglev] {
        let selection = build(&live(&both(), &[]), &splitting("95 ^1, 5 ^2").policy(policy));
        let picked = picked(&selection, 40_000, 3);
        let new = picked.iter().filter(|id| **id > 4).count();
        assert!(is_by_chance(new, 40_000, 0.05), "{policy:?}: {new} of 40000");
        for id in 1..=4 {
            let count = picked.iter().filter(|one| **one == id).count();
            assert!((9_000..10_000).contains(&count), "{policy:?}: {count} for {id}");
        }
        let versions: Vec<_> =
            selection.endpoints.iter().map(|one| one.part().unwrap().requirement.to_string()).collect();
        assert_eq!(versions, ["^1", "^1", "^1", "^1", "^2", "^2"]);
        let mut rolls = Rolls::new(4);
        let looked_at: Vec<usize> = (0..10_000).map(|_| selection.picker.peek(rolls.next())).collect();
        let new = looked_at.iter().filter(|place| **place >= 4).count();
        assert!(is_by_chance(new, 10_000, 0.05), "{policy:?}: {new} of 10000");
    }
}

#[test]
fn the_share_of_a_part_without_an_instance_goes_to_the_others_in_proportion() {
    let selection = build(&live(&both(), &[]), &splitting("60 ^1, 20 ^2, 20 ^3"));
    let shares: Vec<_> = selection.parts.iter().map(|part| (part.usable, part.share)).collect();
    assert_eq!(shares, [(4, 0.75), (2, 0.25), (0, 0.0)]);
    let new = picked(&selection, 40_000, 4).iter().filter(|id| **id > 4).count();
    assert!(is_by_chance(new, 40_000, 0.25), "{new} of 40000");
    assert_eq!(selection.parts[0].to_string(), "^1 of weight 60 gets 75.0% with 4 usable");
}

#[test]
fn a_part_of_weight_nothing_gets_nothing_even_when_there_is_no_other() {
    let selection = build(&live(&both(), &[]), &splitting("1 ^1, 0 ^2"));
    assert_eq!(usable(&selection), [1, 2, 3, 4]);
    assert_eq!(selection.left_out[0].why.to_string(), "is of ^2, which has weight 0 in the split");
    let only_new = build(&live(&[of(5, "2.0.0")], &[]), &splitting("1 ^1, 0 ^2"));
    let none = only_new.none.unwrap().to_string();
    assert!(none.starts_with("web: 1 known, 1 healthy, 1 matches ^1 or ^2: web-5 is of ^2"), "{none}");
    let select = splitting("1 ^1, 0 ^2").version_fallback("*".parse::<Requirement>().unwrap());
    let stands_in = build(&live(&[of(5, "2.0.0")], &[]), &select);
    assert_eq!((usable(&stands_in), stands_in.quality), (vec![5], Mark::OtherVersion));
}

#[test]
fn an_instance_is_in_the_first_part_that_accepts_it() {
    let selection = build(&live(&both(), &[]), &splitting("10 latest, 90 *"));
    let usable_of: Vec<_> = selection.parts.iter().map(|part| part.usable).collect();
    assert_eq!(usable_of, [2, 4]);
    assert_eq!(selection.parts[0].to_string(), "latest of weight 10 gets 10.0% with 2 usable, now =2.0.0");
}

#[test]
fn a_split_keeps_to_the_versions_that_the_caller_lets() {
    let select = splitting("50 ^1, 50 ^2").version("^1".parse::<Requirement>().unwrap());
    let selection = build(&live(&both(), &[]), &select);
    assert_eq!(usable(&selection), [1, 2, 3, 4]);
}

#[test]
fn preferences_count_within_each_part() {
    let mut all = both();
    for one in &mut all {
        one.zone = Some(if one.port == 1001 { "a" } else { "b" }.into());
    }
    let near = Prefer::SameZone { callers: Some(1), among: 1 };
    let here = Locality::default().zone("a");
    let selection = build_at(&live(&all, &[]), &splitting("90 ^1, 10 ^2").prefer(near), &here);
    let picked = picked(&selection, 20_000, 5);
    let new = picked.iter().filter(|id| **id > 4).count();
    assert!(is_by_chance(new, 20_000, 0.1), "the canary is in another zone, and gets its share: {new}");
    let all: f64 = selection.shares.iter().map(|share| share.part).sum();
    assert!((all - 1.0).abs() < 1e-9, "{all}");
}

#[test]
fn one_that_is_excluded_is_looked_for_in_its_own_part_first() {
    let selection = build(&live(&both(), &[]), &splitting("50 ^1, 50 ^2"));
    let mut rolls = Rolls::new(6);
    for _ in 0..500 {
        let roll = rolls.next();
        let first = selection.picker.pick(&selection.loads, roll, None);
        let other = |fits: &dyn Fn(&Endpoint) -> bool| {
            selection.picker.pick_one_that((&selection.endpoints, &selection.loads), roll, None, fits)
        };
        let found = other(&|one| one.port != selection.endpoints[first].port).unwrap();
        assert_eq!((found < 4, found == first), (first < 4, false));
        // And elsewhere only where the part has none.
        let elsewhere = other(&|one| (one.port <= 1004) != (first < 4)).unwrap();
        assert_eq!(elsewhere < 4, first >= 4);
    }
}

/// Which part each key is in: 0 or 1.
fn part_of_keys(selection: &Selection, keys: u32) -> Vec<Option<usize>> {
    let part = |key: u32| {
        let place = selection.picker.pick(&selection.loads, key_roll(&key.to_le_bytes()), None);
        let of = selection.endpoints[place].part().unwrap();
        selection.parts.iter().position(|part| *part.part == *of)
    };
    (0..keys).map(part).collect()
}

#[test]
fn when_a_share_grows_only_the_keys_move_by_which_it_does() {
    let keys = |text: &str| {
        let select = splitting(text).policy(Policy::Maglev);
        part_of_keys(&build(&live(&both(), &[]), &select), 20_000)
    };
    let (before, after) = (keys("95 ^1, 5 ^2"), keys("90 ^1, 10 ^2"));
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert!(is_by_chance(moved, 20_000, 0.05), "{moved} moved");
    assert!(before.iter().zip(&after).all(|(before, after)| before <= after), "one came back");
    assert_eq!(keys("950 ^1, 50 ^2"), before, "the same shares in other numbers");
}

#[test]
fn when_a_part_has_no_instance_only_its_own_keys_move_and_they_come_back() {
    let all = |with_new: bool| {
        let mut all = both();
        all.extend((7..=8).map(|id| of(id, "3.0.0")));
        all.retain(|one| with_new || one.version.as_ref().unwrap().major != 2);
        let select = splitting("40 ^1, 30 ^2, 30 ^3").policy(Policy::Maglev);
        part_of_keys(&build(&live(&all, &[]), &select), 5_000)
    };
    let (before, without) = (all(true), all(false));
    for (before, without) in before.iter().zip(&without) {
        assert!(before == without || *before == Some(1), "{before:?} became {without:?}");
    }
    let to_first =
        before.iter().zip(&without).filter(|(before, after)| **before == Some(1) && **after == Some(0));
    let of_part = before.iter().filter(|part| **part == Some(1)).count();
    assert!(is_by_chance(to_first.count(), of_part, 4.0 / 7.0), "shared in proportion");
}

/// Programs of any version put a key into the same part: these were found by the first.
#[test]
fn the_part_of_a_key_is_the_same_in_every_version() {
    let select = splitting("50 ^1, 50 ^2").policy(Policy::Maglev);
    let parts = part_of_keys(&build(&live(&both(), &[]), &select), 64);
    let bits = parts.iter().fold(0_u64, |bits, part| bits << 1 | part.unwrap() as u64);
    assert_eq!(bits, 0xe9ef_3ddf_64b1_796c, "{bits:#018x}");
}

#[test]
fn a_key_of_a_part_has_the_instance_that_it_has_without_a_split() {
    let new: Vec<Instance> = both().split_off(4);
    let alone = build(&live(&new, &[]), &Select::default().policy(Policy::Maglev));
    let split = build(&live(&both(), &[]), &splitting("50 ^1, 50 ^2").policy(Policy::Maglev));
    let mut counts = [0; 2];
    for key in 0..4_000_u32 {
        let roll = key_roll(&key.to_le_bytes());
        let place = split.picker.pick(&split.loads, roll, None);
        if place >= 4 {
            assert_eq!(place - 4, alone.picker.pick(&alone.loads, roll, None));
            counts[place - 4] += 1;
        }
    }
    // The part says nothing about where in it a key goes.
    assert!(is_by_chance(counts[0], counts[0] + counts[1], 0.5), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_split_is_set_while_it_runs_and_a_canary_is_stepped_back() {
    let select = splitting("100 ^1, 0 ^2");
    let (_writers, resolver, _tasks) = resolver_over([live(&both(), &[])], select);
    let new = || (0..400).filter(|_| resolver.pick().unwrap().port > 1004).count();
    assert_eq!(new(), 0);
    let then = async |text: Option<&str>| {
        resolver.set_split(text.map(split));
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        new()
    };
    let half = then(Some("50 ^1, 50 ^2")).await;
    assert!(is_by_chance(half, 400, 0.5), "{half} of 400");
    assert_eq!(resolver.explain().parts.len(), 2);
    assert_eq!(then(Some("0 ^1, 100 ^2")).await, 400);
    assert_eq!(then(None).await, 0, "back to what it began with");
    let pick = resolver.pick().unwrap();
    assert_eq!(pick.part().map(|part| part.requirement.to_string()).as_deref(), Some("^1"));
}

#[test]
fn load_is_bounded_by_the_share_of_the_part() {
    let select = splitting("90 ^1, 10 ^2").bounded_load(100);
    let selection = build(&live(&both(), &[]), &select);
    let shares: Vec<u32> = selection.endpoints.iter().map(|one| one.bound(10_000)).collect();
    assert_eq!(
        shares,
        [23, 23, 23, 23, 5, 5],
        "of one request, times a hundred: the first get 22.5 %, the others 5 %"
    );
}

proptest! {
    #[test]
    fn shares_are_what_the_weights_say(
        weights in proptest::collection::vec(0u16..1_000, 2..6),
        counts in proptest::collection::vec(0usize..4, 6),
        seed: u64,
    ) {
        let requirement = |at: usize| format!("^{}", at + 1).parse::<Requirement>().unwrap();
        let parts = weights.iter().enumerate().map(|(at, weight)| (*weight, requirement(at)));
        let Ok(split) = Split::new(parts) else { return Ok(()) };
        let mut all = Vec::new();
        for (at, count) in counts.iter().enumerate() {
            let next = u16::try_from(all.len()).unwrap();
            all.extend((0..*count).map(|id| of(next + u16::try_from(id).unwrap(), &format!("{}.2.0", at + 1))));
        }
        let selection = build(&live(&all, &[]), &Select::default().split(split.clone()));
        let usable: f64 = selection.parts.iter().filter(|part| part.usable > 0).map(|part| f64::from(part.part.weight)).sum();
        prop_assert_eq!(selection.endpoints.is_empty(), usable == 0.0);
        if usable > 0.0 {
            let mut got = vec![0_usize; weights.len()];
            for id in picked(&selection, 4_000, seed) {
                let one = all.iter().find(|one| one.port == 1000 + id).unwrap();
                got[usize::try_from(one.version.as_ref().unwrap().major).unwrap() - 1] += 1;
            }
            for (part, got) in selection.parts.iter().zip(got) {
                prop_assert!(part.usable > 0 || got == 0);
                prop_assert!(is_by_chance(got, 4_000, part.share), "{}: {} of 4000, seed {}", part, got, seed);
            }
        }
    }
}
