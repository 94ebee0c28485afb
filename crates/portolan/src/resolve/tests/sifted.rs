//! What `sift` hands on, beside what can be picked: weights that stand in the order of the instances, those that are
//! thought of as sick, and whose place a fallback takes.

use super::{
    sift::{Sifted, sift},
    versions::{of, sick_of},
    *,
};
use crate::{Requirement, Split};

/// Those that stand in `ejected`, and the others.
fn sifted_without(snapshot: &Snapshot, select: &Select, ejected: &[u16]) -> Sifted {
    let here = Locality::default().zone("a");
    sift(snapshot, select, select.split.as_ref(), &here, |all| {
        let (out, left) = all.into_iter().partition(|one| ejected.contains(&(one.port - 1000)));
        [left, out]
    })
}

fn sifted(snapshot: &Snapshot, select: &Select) -> Sifted {
    sifted_without(snapshot, select, &[])
}

fn ids(sifted: &Sifted) -> Vec<u16> {
    sifted.usable.iter().map(|one| one.port - 1000).collect()
}

fn ranked(one: Instance, rank: &str) -> Instance {
    let meta = one.meta.clone();
    one.with_meta(meta.iter().map(|(key, value)| (&**key, &**value)).chain([("rank", rank)]))
}

#[test]
fn weights_stand_in_the_order_of_those_that_are_left() {
    let heavy = |id, passing| instance(id).with_weights(Weights { passing, warning: 1 });
    let found = sifted(&live(&[heavy(1, 0), heavy(2, 7), heavy(3, 3)], &[]), &Select::default());
    assert_eq!((ids(&found), &found.weights[..]), (vec![2, 3], &[7, 3][..]));
    let zone = |id, zone: &str| Instance { zone: Some(zone.into()), ..heavy(id, 5) };
    let near = Select::default().prefer(Prefer::SameZone { callers: Some(1), among: 1 });
    let found = sifted(&live(&[zone(1, "b"), zone(2, "a"), zone(3, "a")], &[]), &near);
    assert_eq!((ids(&found), found.weights.len(), found.shares.len()), (vec![2, 3], 2, 2));
    assert!(found.weights.iter().all(|weight| *weight > 0), "{:?}", found.weights);
}

#[test]
fn weights_that_are_all_zero_are_said_of_what_is_ordinary_and_there() {
    let weightless = instance(1).with_weights(Weights { passing: 0, warning: 0 });
    let held = sifted(&live(&[], &[weightless]), &Select::default());
    assert_eq!((ids(&held), held.quality), (vec![1], Mark::Held));
    assert_eq!(sifted(&live(&[], &[]), &Select::default()).quality, Mark::Ordinary);
}

/// A level that is healthy for 47 % of what it is to do (one of three, times 1.4) leaves the rest to the next.
#[test]
fn the_sick_of_a_level_count_in_it_and_in_a_split_those_of_its_part() {
    let by_rank = Select::default().prefer(Prefer::priority("rank"));
    let down = |id| ranked(sick_of(id, "1.0.0"), "1");
    let up = |id, version, rank| ranked(of(id, version), rank);
    let all = [up(1, "1.0.0", "1"), down(2), down(3)];
    let others = [up(4, "1.0.0", "2"), up(5, "1.0.0", "2"), up(6, "1.0.0", "2")];
    let found = sifted(&live(&[&all[..], &others].concat(), &[]), &by_rank);
    assert_eq!((ids(&found), found.quality), (vec![1, 4, 5, 6], Mark::Ordinary));
    let split = by_rank.split("50 ^1, 50 ^2".parse::<Split>().unwrap());
    let others = [up(4, "1.0.0", "2"), up(5, "2.0.0", "1"), up(6, "2.0.0", "2")];
    let found = sifted(&live(&[&all[..], &others].concat(), &[]), &split);
    assert_eq!((ids(&found), found.quality), (vec![1, 4, 5], Mark::Ordinary), "the new version's is well");
}

#[test]
fn parts_without_an_instance_have_no_share_and_without_preferences_nobody_has_one() {
    let split = Select::default().split("50 ^1, 50 ^2".parse::<Split>().unwrap());
    let shares = |found: &Sifted| found.parts.iter().map(|part| part.share).collect::<Vec<_>>();
    assert_eq!(shares(&sifted(&live(&[], &[]), &split)), [0.0, 0.0]);
    let found = sifted(&live(&[of(1, "1.0.0"), of(2, "2.0.0")], &[]), &split);
    assert_eq!((shares(&found), found.shares.len()), (vec![0.5, 0.5], 0));
}

#[test]
fn a_fallback_of_which_all_are_ejected_stands_in_only_for_nobody() {
    let parse = |text: &str| text.parse::<Requirement>().unwrap();
    let select = Select::default().version(parse("^1")).version_fallback(parse("^2"));
    let both = live(&[of(1, "1.0.0"), of(2, "2.0.0")], &[]);
    assert_eq!(ids(&sifted_without(&both, &select, &[1, 2])), [1], "rather one that was asked for");
    assert_eq!(ids(&sifted_without(&live(&[of(2, "2.0.0")], &[]), &select, &[2])), [2]);
    let neither = sifted_without(&live(&[], &[]), &select, &[]);
    assert_eq!((ids(&neither), neither.quality), (vec![], Mark::Ordinary));
}
