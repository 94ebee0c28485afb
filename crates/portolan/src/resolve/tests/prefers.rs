//! Who is preferred gets the picks; the others stay within reach of a retry, and say why they get none.

use std::collections::BTreeSet;

use super::*;

fn in_zone(id: u16, zone: &str) -> Instance {
    Instance { zone: Some(zone.into()), ..instance(id) }
}

fn ranked(id: u16, rank: &str) -> Instance {
    instance(id).with_meta([("rank", rank)])
}

fn near() -> Select {
    Select::default().prefer(Prefer::SameZone { callers: None, among: 1 })
}

#[test]
fn what_gets_no_share_is_left_out_and_says_so() {
    let snapshot = live(&[in_zone(1, "a"), in_zone(2, "b"), sick(3, Status::Critical)], &[]);
    let here = Locality::default().zone("a");
    let selection = build_at(&snapshot, &near(), &here);
    assert_eq!((usable(&selection), selection.quality), (vec![1], Mark::Ordinary));
    let why: Vec<String> = selection.left_out.iter().map(|one| one.why.to_string()).collect();
    assert_eq!(why, ["critical by check \"service:web\"", "others are preferred: another zone than \"a\""]);
    assert_eq!((selection.shares.len(), &*selection.shares[0].tiers[0].name), (1, "same zone, \"a\""));
    assert_eq!(usable(&build_at(&snapshot, &Select::default(), &here)), [1, 2]);
}

/// A quarter of the instances is here, and half of the callers: a half stays.
#[test]
fn picks_follow_the_shares_whatever_the_policy() {
    let all = [in_zone(1, "a"), in_zone(2, "b"), in_zone(3, "b"), in_zone(4, "b")];
    for policy in [Policy::Random, Policy::PowerOfTwo, Policy::RoundRobin] {
        let here = Locality::default().zone("a");
        let selection = build_at(&live(&all, &[]), &near().policy(policy), &here);
        let mut rolls = crate::roll::Rolls::new(7);
        let mut local = 0;
        for _ in 0..30_000 {
            local += u32::from(selection.picker.peek(rolls.next()) == 0);
        }
        // Four sigmas are 350.
        assert!((14_650..=15_350).contains(&local), "{policy:?}: {local}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_not_stuck_with_the_only_one_that_is_preferred() {
    let nearly_all = Prefer::SameZone { callers: Some(1), among: 1 };
    let select = Select::default().prefer(nearly_all).prefer(Prefer::priority("rank"));
    let all = [in_zone(1, "a"), in_zone(2, "b"), in_zone(3, "c"), in_zone(4, "b")];
    let all = all.map(|one| {
        let rank = if one.port == 1004 { "2" } else { "1" };
        Instance { meta: ranked(0, rank).meta, ..one }
    });
    let (_writers, resolver, _tasks) = resolver_over([live(&all, &[])], select);
    let id = |at: usize| &all[at].identity;
    assert!((0..100).all(|_| resolver.pick().unwrap().identity == *id(0)));
    let picked = |not: &[&Identity]| -> BTreeSet<u16> {
        (0..200).map(|_| resolver.pick_excluding(not).unwrap().port - 1000).collect()
    };
    assert_eq!(picked(&[id(0)]), BTreeSet::from([2, 3]), "the nearest of the others");
    assert_eq!(picked(&[id(0), id(1)]), BTreeSet::from([3]));
    assert_eq!(picked(&[id(0), id(1), id(2)]), BTreeSet::from([4]));
    assert_eq!(picked(&[id(0), id(1), id(2), id(3)]), BTreeSet::from([1]), "nobody else is left");
    let other = resolver.pick_excluding(&[id(0), id(1)]).unwrap();
    assert_eq!(other.in_flight(), 1);
}

#[test]
fn the_local_zone_is_lost_and_everybody_else_serves() {
    let mut all = vec![in_zone(2, "b"), in_zone(3, "c")];
    let here = Locality::default().zone("a");
    assert_eq!(usable(&build_at(&live(&all, &[]), &near(), &here)), [2, 3]);
    all.push(Instance { zone: Some("a".into()), ..sick(1, Status::Critical) });
    assert_eq!(usable(&build_at(&live(&all, &[]), &near(), &here)), [2, 3]);
}

#[test]
fn in_a_panic_nobody_is_preferred() {
    let all =
        [in_zone(1, "a"), sick(2, Status::Critical), sick(3, Status::Critical), sick(4, Status::Critical)];
    let selection = build_at(&live(&all, &[]), &near(), &Locality::default().zone("a"));
    assert_eq!((usable(&selection), selection.quality), (vec![1, 2, 3, 4], Mark::Panic));
    assert!(selection.shares.is_empty() && selection.passed_over.is_empty());
}

#[test]
fn a_group_that_stands_in_for_another_is_no_panic() {
    let down = |id| sick(id, Status::Critical).with_meta([("rank", "1")]);
    let all = [down(1), down(2), down(3), down(4), ranked(5, "2"), ranked(6, "2")];
    let select = Select::default().prefer(Prefer::priority("rank"));
    let selection = build(&live(&all, &[]), &select);
    assert_eq!((usable(&selection), selection.quality), (vec![5, 6], Mark::Ordinary));
    assert_eq!(build(&live(&all, &[]), &Select::default()).quality, Mark::Panic);
}

#[test]
fn preferences_hold_for_warnings_and_for_weights_that_are_all_zero() {
    let weightless = |id, rank| ranked(id, rank).with_weights(Weights { passing: 0, warning: 0 });
    let select = Select::default().prefer(Prefer::priority("rank")).allow_warning();
    let selection = build(&live(&[weightless(1, "2"), weightless(2, "1")], &[]), &select);
    assert_eq!((usable(&selection), selection.quality), (vec![2], Mark::AllWeightsZero));
    let warning = sick(1, Status::Warning).with_meta([("rank", "1")]);
    let selection = build(&live(&[warning, ranked(2, "2")], &[]), &select);
    assert_eq!(usable(&selection), [1]);
}

#[tokio::test(start_paused = true)]
async fn an_explanation_tells_each_share() {
    let all = [in_zone(1, "a"), in_zone(2, "b"), in_zone(3, "b"), in_zone(4, "b")];
    let (_writers, resolver, _tasks) = resolver_over([live(&all, &[])], near());
    let known = resolver.explain();
    let parts: Vec<String> = known.shares.iter().map(|share| format!("{:.3}", share.part)).collect();
    assert_eq!(parts, ["0.500", "0.167", "0.167", "0.167"]);
    assert_eq!(known.usable.len(), 4);
}
