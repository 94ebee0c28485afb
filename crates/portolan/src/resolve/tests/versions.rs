//! Requirements on versions: who is left, what `latest` is, what stands in, and what is said when nobody is left.

use super::*;
use crate::Requirement;

pub(super) fn of(id: u16, version: &str) -> Instance {
    instance(id).with_meta([("version", version)])
}

pub(super) fn sick_of(id: u16, version: &str) -> Instance {
    sick(id, Status::Critical).with_meta([("version", version)])
}

pub(super) fn wanting(text: &str) -> Select {
    Select::default().version(text.parse::<Requirement>().unwrap())
}

fn else_(text: &str, fallback: &str) -> Select {
    wanting(text).version_fallback(fallback.parse::<Requirement>().unwrap())
}

#[test]
fn only_the_versions_that_will_do_are_picked() {
    let all = [of(1, "1.4.0"), of(2, "2.0.0"), of(3, "2.1.0-rc.1"), of(4, "two"), instance(5)];
    let snapshot = live(&all, &[]);
    for (text, expected) in [
        ("^1", &[1][..]),
        (">=1.4, <3", &[1, 2]),
        ("^2 +pre", &[2, 3]),
        ("latest", &[2]),
        ("latest +pre", &[3]),
        ("latest-minor", &[2]),
        ("*", &[1, 2]),
        ("^7", &[]),
    ] {
        assert_eq!(usable(&build(&snapshot, &wanting(text))), expected, "{text}");
    }
    assert_eq!(usable(&build(&snapshot, &Select::default())), [1, 2, 3, 4, 5]);
    let reasons: Vec<String> =
        build(&snapshot, &wanting("^1")).left_out.iter().map(|one| one.why.to_string()).collect();
    let expected = [
        "is version 2.0.0",
        "is version 2.1.0-rc.1",
        "has no readable version: \"two\" in meta:version",
        "tells no version",
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn latest_is_the_newest_of_which_one_can_be_picked() {
    let latest = |all: &[Instance]| usable(&build(&live(all, &[]), &wanting("latest")));
    assert_eq!(latest(&[of(1, "1.4.0"), of(2, "2.0.0")]), [2]);
    assert_eq!(latest(&[of(1, "1.4.0"), sick_of(2, "2.0.0")]), [1], "one that only starts takes nothing");
    assert!(latest(&[sick_of(1, "1.4.0"), sick_of(2, "2.0.0")]).is_empty());
    let tagged = live(&[of(1, "1.4.0").with_tags(["blue"]), of(2, "2.0.0")], &[]);
    assert_eq!(usable(&build(&tagged, &wanting("latest").tag("blue"))), [1], "of those that are asked for");
    let held = live(&[], &[of(1, "1.4.0"), of(2, "2.0.0")]);
    assert_eq!(usable(&build(&held, &wanting("latest"))), [2]);
}

#[test]
fn the_answer_counts_what_is_known_healthy_and_matching() {
    let all = [of(1, "1.4.0"), of(2, "2.0.0"), of(3, "2.1.0"), sick_of(4, "1.4.0"), sick_of(5, "two")];
    let none = |select: &Select| build(&live(&all, &[]), select).none.unwrap();
    let said = none(&wanting("^3"));
    let NoInstance::NoneUsable { wanted: Some(wanted), left_out, .. } = &said else { panic!("{said}") };
    assert_eq!((wanted.known, wanted.healthy, wanted.matching, wanted.unreadable), (5, 3, 0, 1));
    assert_eq!((left_out.len(), &*wanted.text), (5, "^3"));
    let text = said.to_string();
    let says = "web: 5 known, 3 healthy, 0 match ^3, 1 of unreadable version: web-1 is version 1.4.0, ";
    assert!(text.starts_with(says), "{text}");
    let text = none(&else_("^3", "^4")).to_string();
    assert!(text.starts_with("web: 5 known, 3 healthy, 0 match ^3, else ^4, "), "{text}");
    let one_sick = build(&live(&[of(1, "1.4.0"), sick_of(2, "3.0.0")], &[]), &wanting("^3")).none.unwrap();
    let text = one_sick.to_string();
    assert!(text.starts_with("web: 2 known, 1 healthy, 1 matches ^3: "), "{text}");
    assert!(text.contains("web-2 critical by check"), "{text}");
}

#[test]
fn a_fallback_stands_in_while_none_that_was_asked_for_is_healthy() {
    let two_or_one = else_("^2", "^1");
    for (all, expected, mark) in [
        (vec![of(1, "1.4.0"), of(2, "2.0.0")], &[2][..], Mark::Ordinary),
        (vec![of(1, "1.4.0"), sick_of(2, "2.0.0")], &[1], Mark::OtherVersion),
        (vec![of(1, "1.4.0")], &[1], Mark::OtherVersion),
        (vec![sick_of(1, "1.4.0"), sick_of(2, "2.0.0")], &[], Mark::OtherVersion),
        (vec![of(1, "1.4.0"), of(2, "3.0.0"), of(3, "0.1.0")], &[1], Mark::OtherVersion),
        // Asked for, and all of them sick, which is doubted: the fallback is healthy, and comes before.
        (
            vec![
                of(1, "1.4.0"),
                sick_of(2, "2.0.0"),
                sick_of(3, "2.0.0"),
                sick_of(4, "2.0.0"),
                sick_of(5, "2.0.0"),
            ],
            &[1],
            Mark::OtherVersion,
        ),
    ] {
        let selection = build(&live(&all, &[]), &two_or_one);
        assert_eq!(usable(&selection), expected, "{all:?}");
        if !expected.is_empty() {
            assert_eq!(selection.quality, mark, "{all:?}");
        }
    }
    let selection = build(&live(&[of(1, "1.4.0"), sick_of(2, "2.0.0")], &[]), &two_or_one);
    assert!(
        matches!(selection.left_out[0].why, Exclusion::Unhealthy { .. }),
        "what was asked for keeps its reason"
    );
}

#[test]
fn a_panic_looks_only_at_the_versions_that_are_asked_for() {
    let mut all: Vec<Instance> = (1..=4).map(|id| sick_of(id, "1.4.0")).collect();
    all.extend((5..=8).map(|id| of(id, "2.0.0")));
    let ones = build(&live(&all, &[]), &wanting("^1"));
    assert_eq!((usable(&ones), ones.quality), (vec![1, 2, 3, 4], Mark::Panic));
    let twos = build(&live(&all, &[]), &wanting("^2"));
    assert_eq!((usable(&twos), twos.quality), (vec![5, 6, 7, 8], Mark::Ordinary));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_comes_before_another_datacentre() {
    let select = else_("^2", "^1").fallback_datacenter("dc2");
    let (_writers, resolver, _tasks) =
        resolver_over([live(&[of(1, "1.4.0")], &[]), live(&[of(2, "2.0.0")], &[])], select);
    let pick = resolver.pick().unwrap();
    assert_eq!((pick.port, pick.mark()), (1001, Mark::OtherVersion));
}

#[test]
fn of_one_instance_alone_it_is_said_why_it_is_refused() {
    let refusal = |select: &Select, one: &Instance| select.refuses(one).map(|why| why.to_string());
    let (old, new) = (of(1, "1.4.0"), of(2, "2.0.0"));
    assert_eq!(refusal(&wanting("^1"), &old), None);
    assert_eq!(refusal(&wanting("^1"), &new).as_deref(), Some("is version 2.0.0"));
    let split = Select::default().split("1 ^1, 0 ^2".parse().unwrap());
    assert_eq!(refusal(&split, &old), None);
    assert_eq!(refusal(&split, &new).as_deref(), Some("is of ^2, which has weight 0 in the split"));
}
