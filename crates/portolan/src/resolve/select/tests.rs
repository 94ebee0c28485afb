//! What may be asked for, at the edges of what is allowed, and that no setting undoes another.

use super::*;
use crate::{Requirement, testing::instance};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn each_setting_leaves_the_others_as_they_were() {
    let version = semver::Version::new(1, 2, 3);
    let panic = Panic::Below { percent: 20, among: 9 };
    let wanted = Select {
        max_in_flight: Some(7),
        bounded_load: Some(150),
        slow_start: Some(SECOND),
        tags: vec!["blue".into()],
        meta: [("team".into(), "a".into())].into(),
        filter: "Service.Port == 80".parse().ok(),
        version: Some(Requirement::exactly(&version)),
        version_fallback: Some(Requirement::any()),
        split: Some(Split::all(Requirement::latest())),
        warning: Warning::Allow,
        policy: Policy::RoundRobin,
        prefer: vec![Prefer::same_zone(), Prefer::SameNode],
        datacenter: Some("dc2".into()),
        fallback_datacenters: vec!["dc3".into()],
        panic,
        max_age: Some(SECOND),
        on_stale: OnStale::Fail,
    };
    let settings: [&dyn Fn(Select) -> Select; 16] = [
        &|select| select.max_in_flight(7),
        &|select| select.bounded_load(150),
        &|select| select.slow_start(SECOND),
        &|select| select.tag("blue"),
        &|select| select.meta("team", "a"),
        &|select| select.filter("Service.Port==80".parse().unwrap()),
        &|select| select.version(version.clone()),
        &|select| select.version_fallback(Requirement::any()),
        &|select| select.split(Split::all(Requirement::latest())),
        &Select::allow_warning,
        &|select| select.policy(Policy::RoundRobin),
        &|select| select.prefer(Prefer::same_zone()).prefer(Prefer::SameNode),
        &|select| select.datacenter("dc2"),
        &|select| select.fallback_datacenter("dc3"),
        &|select| select.panic(panic),
        &|select| select.max_age(SECOND, OnStale::Fail),
    ];
    let forwards = settings.iter().fold(Select::default(), |select, set| set(select));
    let backwards = settings.iter().rev().fold(Select::default(), |select, set| set(select));
    assert_eq!((&forwards, &backwards), (&wanted, &wanted));
    let later = wanted.clone().on_stale(OnStale::ServeStale);
    assert_eq!(later, Select { on_stale: OnStale::ServeStale, ..wanted });
}

#[test]
fn what_is_wrong_is_named_with_its_setting() {
    let below = |percent, among| Select::default().panic(Panic::Below { percent, among });
    let aged = |age| Select::default().max_age(age, OnStale::ServeStale);
    let turning_to = |count: u32| {
        (0..count).fold(Select::default(), |select, at| select.fallback_datacenter(&format!("dc{at}")))
    };
    for select in [
        Select::default(),
        Select::default().panic(Panic::Off),
        below(1, 1),
        below(100, 1),
        aged(SECOND),
        Select::default().on_stale(OnStale::fallback([instance(1)])),
        turning_to(15),
        Select::default().datacenter("dc1").fallback_datacenter("dc2"),
    ] {
        select.check().unwrap();
    }
    let nothing = OnStale::fallback([]);
    for (select, says) in [
        (below(0, 1), "select.panic: 0 percent is not from 1 to 100"),
        (below(101, 1), "select.panic: 101 percent"),
        (below(50, 0), "select.panic: a share among 0"),
        (aged(SECOND / 2), "select.max_age: 500ms is under 1s"),
        (Select::default().slow_start(SECOND / 2), "select.slow_start: 500ms is not from 1s to 1h"),
        (Select::default().bounded_load(99), "select.bounded_load: 99 percent is not from 100 to 10000"),
        (Select::default().max_in_flight(0), "select.max_in_flight: 0 would let nothing through"),
        (Select::default().prefer(Prefer::tag("")), "select.prefer: tag=: \"\" is no tag"),
        (Select::default().on_stale(nothing), "select.on_stale: the fallback list is empty"),
        (turning_to(16), "select.fallback_datacenters: 16 are too many"),
        (turning_to(20), "select.fallback_datacenters: 20 are too many"),
        (turning_to(2).fallback_datacenter("dc0"), "select.fallback_datacenters: \"dc0\" is named twice"),
        (turning_to(1).datacenter("dc0"), "select.fallback_datacenters: \"dc0\" is named twice"),
    ] {
        let error = select.check().unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Config);
        assert!(error.to_string().starts_with(says), "{error}");
    }
}

#[test]
fn the_datacentres_are_the_first_and_then_its_fallbacks() {
    let names = |select: Select| select.datacenters();
    let some = |name: &str| Some(name.into());
    assert_eq!(names(Select::default()), [None]);
    assert_eq!(
        names(Select::default().fallback_datacenter("dc2").fallback_datacenter("dc3")),
        [None, some("dc2"), some("dc3")]
    );
    assert_eq!(
        names(Select::default().datacenter("dc1").fallback_datacenter("dc2")),
        [some("dc1"), some("dc2")]
    );
}

#[test]
fn a_list_that_somebody_chose_is_filtered_no_more_and_never_doubted() {
    let select = Select::default().tag("blue").policy(Policy::Random).max_age(SECOND, OnStale::Fail);
    let select = select.prefer(Prefer::SameNode).max_in_flight(3).bounded_load(150);
    let expected =
        Select::default().policy(Policy::Random).panic(Panic::Off).max_in_flight(3).bounded_load(150);
    assert_eq!(select.of_a_list(), expected);
}

#[test]
fn what_nobody_asked_for_is_told_apart_from_what_is_sick() {
    let version = || Requirement::any();
    for (why, unasked, by_version) in [
        (Exclusion::Tag("blue".into()), true, false),
        (Exclusion::Version { found: None }, true, true),
        (Exclusion::NoShare(version()), true, true),
        (Exclusion::WeightZero, false, false),
        (Exclusion::Ejected, false, false),
        (Exclusion::Held, false, false),
    ] {
        assert_eq!((why.is_unasked(), why.is_by_version()), (unasked, by_version), "{why:?}");
    }
}

#[test]
fn latest_is_resolved_among_what_is_known() {
    let of = |id, version: &str| Arc::new(instance(id).with_meta([("version", version)]));
    let requirement = |text: &str| text.parse::<Requirement>().unwrap();
    let select =
        Select::default().tag("blue").version(requirement("latest")).version_fallback(requirement("^1"));
    let blue = |one: Arc<crate::Instance>| Arc::new(Arc::unwrap_or_clone(one).with_tags(["blue"]));
    let known = [blue(of(1, "1.4.0")), blue(of(2, "2.0.0")), of(3, "3.0.0")];
    let found = select.clone().resolved(&known);
    let expected = select.version(requirement("=2.0.0"));
    assert_eq!(found, expected, "of those that are asked for, and nothing else differs");
}

#[test]
fn few_healthy_ones_are_doubted_among_enough() {
    let half = Panic::default();
    for (healthy, of, doubted) in [
        (0, 3, false),
        (0, 4, true),
        (1, 4, true),
        (2, 4, false),
        (3, 4, false),
        (49, 100, true),
        (50, 100, false),
    ] {
        assert_eq!(half.doubts(healthy, of), doubted, "{healthy} of {of}");
        assert!(!Panic::Off.doubts(healthy, of));
    }
}
