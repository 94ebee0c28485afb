//! Envoy's own examples, the ways in which preferences combine, and what holds of any set.

use proptest::prelude::*;

use super::*;
use crate::testing::instance;

fn in_zone(id: u16, zone: &str) -> Arc<Instance> {
    let mut one = instance(id);
    one.zone = (!zone.is_empty()).then(|| zone.into());
    Arc::new(one)
}

fn with_meta(id: u16, key: &str, value: &str) -> Arc<Instance> {
    Arc::new(instance(id).with_meta([(key, value)]))
}

/// So many in each zone, each of weight 1.
fn zones(counts: &[(&str, u16)]) -> Vec<Arc<Instance>> {
    let all = counts.iter().flat_map(|(zone, count)| (0..*count).map(move |id| in_zone(id, zone)));
    all.collect()
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() < 1e-9
}

/// What each group gets, by what its instances have in common.
fn by<'a>(
    of: impl Fn(&'a Instance) -> Option<&'a str>,
    usable: &'a [Arc<Instance>],
    shares: &[Share],
) -> Vec<(&'a str, f64)> {
    let mut all = std::collections::BTreeMap::new();
    for (one, share) in usable.iter().zip(shares) {
        *all.entry(of(one).unwrap_or("")).or_insert(0.0) += share.part;
    }
    all.into_iter().collect()
}

fn zone_of(one: &Instance) -> Option<&str> {
    one.zone.as_deref()
}

fn zone_shares(
    usable: &[Arc<Instance>],
    sick: &[Arc<Instance>],
    prefer: &Prefer,
    here: &str,
) -> Vec<(String, f64)> {
    let weights = vec![1; usable.len()];
    let shares =
        shares(std::slice::from_ref(prefer), &Locality::default().zone(here), usable, &weights, sick);
    by(zone_of, usable, &shares).into_iter().map(|(zone, part)| (zone.to_owned(), part)).collect()
}

#[test]
fn levels_share_as_envoys_tables_say() {
    // Percent of healthy instances in each level, and percent of the traffic, which Envoy cuts to whole numbers.
    for (healthy, expected) in [
        (&[100, 100][..], &[100, 0][..]),
        (&[72, 72], &[100, 0]),
        (&[71, 71], &[99, 1]),
        (&[50, 50], &[70, 30]),
        (&[50, 100], &[70, 30]),
        (&[25, 100], &[35, 65]),
        (&[25, 25], &[50, 50]),
        (&[0, 100], &[0, 100]),
        (&[100, 100, 100], &[100, 0, 0]),
        (&[71, 71, 100], &[99, 1, 0]),
        (&[50, 50, 100], &[70, 30, 0]),
        (&[25, 25, 100], &[35, 35, 30]),
        (&[25, 25, 20], &[36, 36, 28]),
    ] {
        let (mut usable, mut sick) = (Vec::new(), Vec::new());
        for (level, percent) in ["0", "1", "2"].iter().zip(healthy) {
            for id in 0..100 {
                let to = if id < *percent { &mut usable } else { &mut sick };
                to.push(with_meta(id, "rank", level));
            }
        }
        let weights = vec![1; usable.len()];
        let shares = shares(&[Prefer::priority("rank")], &Locality::default(), &usable, &weights, &sick);
        let found = by(|one| one.meta.get("rank").map(AsRef::as_ref), &usable, &shares);
        let percent =
            |level: &str| found.iter().find(|(name, _)| *name == level).map_or(0.0, |(_, part)| part * 100.0);
        for (level, expected) in ["0", "1", "2"].iter().zip(expected) {
            assert!((percent(level) - f64::from(*expected)).abs() < 1.0, "{healthy:?}: {found:?}");
        }
    }
}

/// Half of 2 carry 70 %, 3 of 14 the other 30 %; what rounding leaves over is for nobody.
#[test]
fn what_rounding_leaves_goes_to_no_other_level() {
    let level = |rank: &'static str, count: u16| (0..count).map(move |id| with_meta(id, "rank", rank));
    let usable: Vec<_> = level("0", 1).chain(level("1", 3)).chain(level("2", 1)).collect();
    let sick: Vec<_> = level("0", 1).chain(level("1", 11)).collect();
    let shares = shares(&[Prefer::priority("rank")], &Locality::default(), &usable, &[1; 5], &sick);
    assert_eq!(weights(&shares)[4], 0, "{shares:?}");
    assert_eq!(shares[0].to_string(), "70.0 %: rank 0 (70.0 %)");
    assert_eq!(shares[4].to_string(), "0.0 %: rank 2 (0.0 %)");
    let whole = super::shares(&[Prefer::priority("rank")], &Locality::default(), &usable[..1], &[1], &[]);
    assert_eq!(whole[0].to_string(), "100.0 %: rank 0");
}

#[test]
fn requests_stay_in_the_zone_as_far_as_it_carries_them() {
    let callers = |callers| Prefer::SameZone { callers, among: 6 };
    for (counts, prefer, expected) in [
        // As many instances as callers: all stay.
        (&[("a", 3), ("b", 3)][..], callers(None), &[1.0, 0.0][..]),
        // More than that: all stay.
        (&[("a", 5), ("b", 3)], callers(None), &[1.0, 0.0]),
        // A quarter of the instances for half of the callers: half of the requests stay.
        (&[("a", 2), ("b", 6)], callers(None), &[0.5, 0.5]),
        // Envoy: where 20 % of the callers are in the zone and 10 % of the instances, 50 % of the requests stay.
        (&[("a", 1), ("b", 9)], callers(Some(20)), &[0.5, 0.5]),
        // All callers are here: every instance gets the same.
        (&[("a", 2), ("b", 6)], callers(Some(100)), &[0.25, 0.75]),
        // Hardly any are: the zone carries them all.
        (&[("a", 1), ("b", 9)], callers(Some(10)), &[1.0, 0.0]),
        // 25 %, 50 % and 25 % of the instances, a third of the callers each: only b has something left for others.
        (&[("a", 2), ("b", 4), ("c", 2)], callers(None), &[0.75, 0.25, 0.0]),
        // Callers 40 %, 30 % and 30 %; instances 20 %, 40 % and 40 %: the rest goes to both alike.
        (&[("a", 2), ("b", 4), ("c", 4)], callers(Some(40)), &[0.5, 0.25, 0.25]),
    ] {
        let found = zone_shares(&zones(counts), &[], &prefer, "a");
        let parts: Vec<f64> = found.iter().map(|(_, part)| *part).collect();
        let fits = parts.iter().zip(expected).all(|(part, expected)| close(*part, *expected));
        assert!(fits && parts.len() == expected.len(), "{counts:?} {prefer:?}: {found:?}");
    }
}

#[test]
fn a_zone_whose_instances_are_sick_keeps_its_callers_and_loses_its_requests() {
    let (usable, sick) = (zones(&[("a", 1), ("b", 4), ("c", 4)]), zones(&[("a", 3)]));
    let found = zone_shares(&usable, &sick, &Prefer::same_zone(), "a");
    assert!(close(found[0].1, 1.0 / 3.0) && close(found[1].1, found[2].1), "{found:?}");
    let (usable, sick) = (zones(&[("b", 4), ("c", 4)]), zones(&[("a", 4)]));
    let found = zone_shares(&usable, &sick, &Prefer::same_zone(), "a");
    assert!(close(found[0].1, 0.5) && close(found[1].1, 0.5), "{found:?}");
    // The callers of c are there still: a third of all is in a, with a quarter of the instances.
    let (usable, sick) = (zones(&[("a", 2), ("b", 6)]), zones(&[("c", 4)]));
    let found = zone_shares(&usable, &sick, &Prefer::same_zone(), "a");
    assert!(close(found[0].1, 0.75), "{found:?}");
}

#[test]
fn where_a_preference_says_nothing_the_weights_decide_and_the_tier_says_why() {
    let eight = zones(&[("a", 2), ("b", 6)]);
    for (usable, here, why) in [
        (&eight[..], Locality::default(), "the caller's zone is not known"),
        (&eight[..], Locality::default().zone("z"), "none in zone \"z\""),
        (&eight[..5], Locality::default().zone("a"), "5 instances are too few for zones; 6 are asked for"),
    ] {
        let weights: Vec<u32> = (1u32..).take(usable.len()).collect();
        let total: u32 = weights.iter().sum();
        let shares = shares(&[Prefer::same_zone()], &here, usable, &weights, &[]);
        for (share, weight) in shares.iter().zip(weights) {
            assert!(close(share.part, f64::from(weight) / f64::from(total)), "{why}: {shares:?}");
            assert_eq!((&*share.tiers[0].name, share.tiers.len()), (why, 1));
        }
    }
}

#[test]
fn who_has_no_weight_is_not_counted_for_zones() {
    let usable = zones(&[("a", 2), ("b", 6)]);
    let weights = [1, 1, 1, 1, 1, 0, 0, 0];
    let here = Locality::default().zone("a");
    let shares = shares(&[Prefer::same_zone()], &here, &usable, &weights, &[]);
    assert_eq!(&*shares[0].tiers[0].name, "5 instances are too few for zones; 6 are asked for");
}

#[test]
fn those_that_have_what_is_preferred_come_first_and_each_level_has_a_name() {
    let with = |id, team: &str| Arc::new(instance(id).with_meta([("team", team)]).with_tags([team]));
    let usable = [with(1, "shop"), with(2, "mail"), Arc::new(instance(3))];
    for (prefer, expected) in [
        (
            Prefer::meta("team", "shop"),
            [
                ("has meta team=\"shop\"", 1.0),
                ("lacks meta team=\"shop\"", 0.0),
                ("lacks meta team=\"shop\"", 0.0),
            ],
        ),
        (
            Prefer::tag("mail"),
            [("lacks the tag \"mail\"", 0.0), ("has tag=mail", 1.0), ("lacks the tag \"mail\"", 0.0)],
        ),
    ] {
        let shares = shares(std::slice::from_ref(&prefer), &Locality::default(), &usable, &[1; 3], &[]);
        let found: Vec<_> = shares.iter().map(|share| (&*share.tiers[0].name, share.part)).collect();
        assert_eq!(found, expected, "{prefer}");
    }
}

#[test]
fn on_the_node_first_and_the_rest_by_weight() {
    let on = |id, node: &str| {
        let mut one = instance(id);
        one.identity.node = node.into();
        Arc::new(one)
    };
    let usable = [on(1, "n1"), on(2, "n2"), on(3, "n3")];
    let parts = |weights: &[u32]| -> Vec<f64> {
        let here = Locality::default().node("n1");
        shares(&[Prefer::SameNode], &here, &usable, weights, &[]).iter().map(|share| share.part).collect()
    };
    assert_eq!(parts(&[1, 1, 1]), [1.0, 0.0, 0.0]);
    let weak = parts(&[1, 1, 4]);
    assert!(close(weak[0], 0.5) && close(weak[1], 0.1) && close(weak[2], 0.4), "{weak:?}");
}

#[test]
fn priorities_are_whole_numbers_the_lowest_first_and_what_has_none_last() {
    let ranks = ["10", "9", "-1", " 9 ", "x", "1.5", ""];
    let usable: Vec<_> = (0u16..).zip(ranks).map(|(id, rank)| with_meta(id, "rank", rank)).collect();
    let shares = shares(&[Prefer::priority("rank")], &Locality::default(), &usable, &[1; 7], &[]);
    let found: Vec<(u32, &str)> = shares.iter().map(|share| (share.rank, &*share.tiers[0].name)).collect();
    let none = "no number in meta \"rank\"";
    let expected =
        [(2, "rank 10"), (1, "rank 9"), (0, "rank -1"), (1, "rank 9"), (3, none), (3, none), (3, none)];
    assert_eq!(found, expected);
    assert!(close(shares[2].part, 1.0));
}

#[test]
fn each_preference_splits_what_the_one_before_left_it() {
    // In zone a: one blue, three not; elsewhere as many. All healthy: the blue one of zone a gets all.
    let make = |id: u16| {
        let mut one = instance(id).with_tags(id.is_multiple_of(4).then_some("Blue"));
        one.zone = Some(if id < 4 { "a" } else { "b" }.into());
        Arc::new(one)
    };
    let usable: Vec<_> = (0..8).map(make).collect();
    let here = Locality::default().zone("a");
    let prefer = [Prefer::same_zone(), Prefer::tag("blue")];
    let all = shares(&prefer, &here, &usable, &[1; 8], &[]);
    assert!(close(all[0].part, 1.0), "{all:?}");
    assert_eq!(&*all[1].why_nothing(), "lacks the tag \"blue\"");
    assert_eq!(&*all[5].why_nothing(), "another zone than \"a\"");
    assert_eq!(all.iter().map(|share| share.rank).collect::<Vec<_>>(), [0, 1, 1, 1, 2, 3, 3, 3]);
    // With another blue one of zone a that is sick, it is healthy by half: 70 %, and 10 % for each of the others.
    let mut sick = instance(9).with_tags(["blue"]);
    sick.zone = Some("a".into());
    let all = shares(&prefer, &here, &usable, &[1; 8], &[Arc::new(sick)]);
    assert!(close(all[0].part, 0.7) && close(all[1].part, 0.1) && close(all[4].part, 0.0), "{all:?}");
}

#[test]
fn the_zone_before_the_region_and_what_flows_over_stays_in_the_region() {
    let make = |id, zone: &str| {
        let mut one = (*in_zone(id, zone)).clone();
        one.region = zone.get(..1).map(Into::into);
        Arc::new(one)
    };
    let places = ["a1", "a2", "a2", "a2", "b1", "b1", "b2", "b2"];
    let usable: Vec<_> = (0u16..).zip(places).map(|(id, zone)| make(id, zone)).collect();
    let here = Locality::default().zone("a1").region("a");
    let all = shares(&[Prefer::same_zone(), Prefer::SameRegion], &here, &usable, &[1; 8], &[]);
    // An eighth of the instances for a quarter of the callers: half flows over. Only a2 has something left.
    let found = by(zone_of, &usable, &all);
    assert!(close(found[0].1, 0.5) && close(found[1].1, 0.5), "{found:?}");
    let names: Vec<&str> = all[1].tiers.iter().map(|tier| &*tier.name).collect();
    assert_eq!(names, ["another zone than \"a1\"", "same region, \"a\""]);
}

#[test]
fn one_group_stands_in_for_another_while_their_health_is_enough() {
    let ranked = |rank: &'static str, count: u16| (0..count).map(move |id| with_meta(id, "rank", rank));
    for (main, main_sick, other, other_sick, expected) in [
        (0, 10, 4, 0, true),
        (0, 10, 5, 2, true),
        (0, 10, 4, 3, false),
        (2, 8, 8, 2, true),
        (1, 9, 1, 9, false),
    ] {
        let usable: Vec<_> = ranked("1", main).chain(ranked("2", other)).collect();
        let sick: Vec<_> = ranked("1", main_sick).chain(ranked("2", other_sick)).collect();
        let stands_in = |prefer: &[Prefer]| stands_in(prefer, &usable, &sick);
        assert_eq!(stands_in(&[Prefer::same_zone(), Prefer::priority("rank")]), expected, "{main} {other}");
        assert!(!stands_in(&[]) && !stands_in(&[Prefer::SameNode]));
    }
}

#[test]
fn a_weight_is_never_nothing_unless_the_share_is() {
    let of = |parts: &[f64]| {
        weights(&parts.iter().map(|part| Share { part: *part, ..Share::default() }).collect::<Vec<_>>())
    };
    assert_eq!(of(&[0.5, 0.25, 0.25]), [1 << 28, 1 << 27, 1 << 27]);
    assert_eq!(of(&[1.0, 0.0, 1e-12]), [1 << 28, 0, 1]);
    assert_eq!(of(&[]), [0; 0]);
}

#[test]
fn what_makes_no_sense_is_quoted() {
    let zone = |callers, among| Prefer::SameZone { callers, among };
    check(&vec![Prefer::tag("a"); 8]).unwrap();
    check(&[zone(Some(1), 1), zone(Some(100), 6), Prefer::meta("key", "")]).unwrap();
    for (prefer, says) in [
        (
            vec![zone(Some(0), 6)],
            "select.prefer: zone=callers:0: 0 percent of the callers is not from 1 to 100",
        ),
        (vec![zone(Some(101), 6)], "select.prefer: zone=callers:101: 101 percent"),
        (vec![zone(None, 0)], "select.prefer: zone=among:0: among 0 says nothing"),
        (vec![Prefer::SameNode, Prefer::tag("")], "select.prefer: tag=: \"\" is no tag"),
        (vec![Prefer::meta("", "x")], "select.prefer: meta==x: \"\" is no key of meta"),
        (vec![Prefer::priority("")], "select.prefer: priority=: \"\" is no key of meta"),
        (vec![Prefer::SameNode; 9], "select.prefer: 9 are too many; 8 are allowed"),
    ] {
        let error = check(&prefer).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Config);
        assert!(error.to_string().starts_with(says), "{error}");
    }
}

#[test]
fn what_is_no_preference_is_quoted() {
    for text in [
        "",
        "zoen",
        "node=n1",
        "tag",
        "meta=key",
        "priority",
        "zone=",
        "zone=30",
        "zone=callers:x",
        "zone=among:-1",
    ] {
        let error = text.parse::<Prefer>().unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Config);
        assert!(error.to_string().starts_with(&format!("prefer: {text:?} is not node, ")), "{error}");
    }
    let error = "zone=callers:200".parse::<Prefer>().unwrap_err();
    assert!(error.to_string().starts_with("prefer: zone=callers:200: 200 percent"), "{error}");
}

#[test]
fn where_a_caller_is_stands_in_its_environment() {
    let from = |set: &[(&str, &str)]| {
        Locality::from_vars(|name| {
            set.iter().find(|(have, _)| *have == name).map(|(_, value)| (*value).to_owned())
        })
    };
    let all = [("PORTOLAN_NODE", "n1"), ("PORTOLAN_ZONE", "a"), ("PORTOLAN_REGION", "eu")];
    assert_eq!(from(&all), Locality::default().node("n1").zone("a").region("eu"));
    assert_eq!(from(&[("PORTOLAN_ZONE", "")]), Locality::default());
}

/// An instance of any place, with any of the tags and ranks that are asked for.
fn any_instance() -> impl Strategy<Value = Arc<Instance>> {
    (0usize..4, 0usize..3, 0u16..4, any::<bool>(), 0usize..4).prop_map(|(zone, region, node, blue, rank)| {
        let name = |at: usize, of: &[&str]| of.get(at).map(|name| Arc::from(*name));
        let mut one = instance(node).with_tags(blue.then_some("blue"));
        if let Some(rank) = ["1", "2", "no number"].get(rank) {
            one = one.with_meta([("rank", *rank)]);
        }
        one.identity.node = format!("n{node}").into();
        (one.zone, one.region) = (name(zone, &["a", "b", "c"]), name(region, &["r", "s"]));
        Arc::new(one)
    })
}

fn any_preference() -> impl Strategy<Value = Prefer> {
    prop_oneof![
        Just(Prefer::SameNode),
        Just(Prefer::SameRegion),
        Just(Prefer::tag("BLUE")),
        Just(Prefer::meta("rank", "2")),
        Just(Prefer::priority("rank")),
        (proptest::option::of(1u8..=100), 1usize..8)
            .prop_map(|(callers, among)| Prefer::SameZone { callers, among }),
    ]
}

fn any_weight() -> impl Strategy<Value = u32> {
    prop_oneof![2 => Just(0u32), 4 => 1u32..4, 1 => Just(65_535), 1 => any::<u32>()]
}

proptest! {
    #[test]
    fn a_preference_reads_as_it_is_written(prefer in any_preference(), text in "[=:,a-z0-9]{0,12}") {
        prop_assert_eq!(&prefer.to_string().parse::<Prefer>().unwrap(), &prefer);
        if let Ok(read) = text.parse::<Prefer>() {
            prop_assert_eq!(read.to_string().parse::<Prefer>().unwrap(), read);
        }
    }

    #[test]
    fn the_shares_are_all_and_go_to_nothing_but_what_has_weight(
        set in proptest::collection::vec((any_instance(), any_weight()), 1..30),
        sick in proptest::collection::vec(any_instance(), 0..20),
        prefer in proptest::collection::vec(any_preference(), 0..=8),
        here in (0usize..4, 0usize..3, 0u16..6),
    ) {
        let (usable, given): (Vec<_>, Vec<u32>) = set.into_iter().unzip();
        prop_assume!(given.iter().any(|weight| *weight > 0));
        let here = Locality {
            node: Some(format!("n{}", here.2).into()),
            zone: ["a", "b", "z"].get(here.0).map(|name| Arc::from(*name)),
            region: ["r", "s"].get(here.1).map(|name| Arc::from(*name)),
        };
        let shares = shares(&prefer, &here, &usable, &given, &sick);
        prop_assert_eq!(shares.len(), usable.len());
        let total: f64 = shares.iter().map(|share| share.part).sum();
        prop_assert!((total - 1.0).abs() < 1e-6, "{}: {:?}", total, shares);
        let scaled = weights(&shares);
        let all: f64 = scaled.iter().copied().map(f64::from).sum();
        for ((share, scaled), weight) in shares.iter().zip(scaled).zip(given) {
            prop_assert!(share.part.is_finite() && share.part >= 0.0, "{:?}", share);
            prop_assert!(weight > 0 || share.part == 0.0, "weight 0 gets {:?}", share);
            prop_assert_eq!(scaled > 0, share.part > 0.0);
            prop_assert!((f64::from(scaled) / all - share.part / total).abs() < 1e-6);
            prop_assert_eq!(share.tiers.len(), prefer.len());
        }
    }

    /// What the rule is for: when the callers of all zones follow it, no instance gets more than its weight's share.
    #[test]
    fn when_callers_are_spread_over_the_zones_every_instance_gets_what_its_weight_says(
        set in proptest::collection::vec((0usize..4, 1u32..20), 1..30),
    ) {
        let (usable, given): (Vec<_>, Vec<u32>) =
            set.into_iter().map(|(zone, weight)| (in_zone(0, ["a", "b", "c", "d"][zone]), weight)).unzip();
        let callers: std::collections::BTreeSet<&str> = usable.iter().filter_map(|one| zone_of(one)).collect();
        let mut load = vec![0.0; usable.len()];
        for zone in &callers {
            let here = Locality::default().zone(zone);
            let prefer = [Prefer::SameZone { callers: None, among: 1 }];
            for (load, share) in load.iter_mut().zip(shares(&prefer, &here, &usable, &given, &[])) {
                *load += share.part / callers.len() as f64;
            }
        }
        let total: f64 = given.iter().copied().map(f64::from).sum();
        for (load, weight) in load.iter().zip(&given) {
            prop_assert!((load - f64::from(*weight) / total).abs() < 1e-6, "{:?} for {:?}", load, given);
        }
    }

    #[test]
    fn what_is_near_never_gets_less_than_its_weight_says_and_takes_nothing_with_it_when_it_goes(
        set in proptest::collection::vec((any_instance(), 1u32..100), 1..30),
        sick in proptest::collection::vec(any_instance(), 0..10),
        callers in proptest::option::of(1u8..=100),
        which in 0usize..3,
    ) {
        let prefer = [Prefer::SameNode, Prefer::SameZone { callers, among: 1 }, Prefer::SameRegion][which].clone();
        let here = Locality::default().node("n1").zone("a").region("r");
        let is_near = |one: &Instance| match prefer {
            Prefer::SameNode => *one.identity.node == *"n1",
            Prefer::SameRegion => one.region.as_deref() == Some("r"),
            _ => one.zone.as_deref() == Some("a"),
        };
        let (usable, given): (Vec<_>, Vec<u32>) = set.into_iter().unzip();
        let all = shares(std::slice::from_ref(&prefer), &here, &usable, &given, &sick);
        let sum = |of: &mut dyn Iterator<Item = f64>| of.sum::<f64>();
        let near = sum(&mut usable.iter().zip(&all).filter(|(one, _)| is_near(one)).map(|(_, share)| share.part));
        let total = sum(&mut given.iter().copied().map(f64::from));
        let own = sum(&mut usable.iter().zip(&given).filter(|(one, _)| is_near(one)).map(|(_, weight)| f64::from(*weight)));
        prop_assert!(near >= own / total - 1e-9, "{} of {}", near, own / total);

        let (gone, left): (Vec<_>, Vec<_>) = usable.iter().cloned().zip(given).partition(|(one, _)| is_near(one));
        prop_assume!(!left.is_empty());
        let (left, given): (Vec<_>, Vec<u32>) = left.into_iter().unzip();
        let gone: Vec<_> = gone.into_iter().map(|(one, _)| one).chain(sick).collect();
        for sick in [&gone[..], &[]] {
            let after = shares(std::slice::from_ref(&prefer), &here, &left, &given, sick);
            prop_assert!(close(sum(&mut after.iter().map(|share| share.part)), 1.0), "{:?}", after);
        }
    }
}
