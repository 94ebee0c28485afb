//! A test a finding: what causes it, and what looks like it and is none.

use std::collections::BTreeMap;

use super::{
    super::{
        seen::{Defined, Heard},
        tests::{check, seen, told},
    },
    *,
};

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn a_removal_within_ten_minutes_is_told_by_service_with_the_least() {
    let mut all = seen([]);
    all.checks = vec![check("a", "web", Status::Passing), check("b", "web", Status::Passing)];
    all.checks[0].defined.reap = Some(seconds(300));
    all.agent.defined = BTreeMap::from([("b".to_owned(), Defined { ttl: None, reap: Some(seconds(60)) })]);
    assert_eq!(told(&findings(&all)), [("short-reap", "web: removed after 1m0s as critical")]);
    assert_eq!(findings(&all)[0].places, ["a of n1/web-1", "b of n1/web-1"]);
    all.checks[0].defined.reap = Some(seconds(600));
    all.checks[1].node = "n2".to_owned();
    assert_eq!(findings(&all), [], "another node's check of that id is another check");
}

#[test]
fn a_report_that_is_missing_for_more_than_half_of_the_ttl_is_late() {
    let ttl = Defined { ttl: Some(seconds(10)), reap: None };
    let heard = |reports: &[u64], time| {
        let reports = reports.iter().map(|at| seconds(*at)).collect();
        Some(Heard { time: seconds(time), reports: BTreeMap::from([("c".to_owned(), reports)]) })
    };
    for (heard, status, late) in [
        (heard(&[4, 9, 13], 15), Status::Passing, false),
        (heard(&[5], 10), Status::Passing, false),
        (heard(&[4, 10], 12), Status::Passing, true),
        (heard(&[], 6), Status::Passing, true),
        (heard(&[], 5), Status::Passing, false),
        (heard(&[1], 7), Status::Passing, true),
        // Dead, and told as such.
        (heard(&[], 6), Status::Critical, false),
        (heard(&[1], 7), Status::Critical, true),
        (None, Status::Passing, false),
    ] {
        let mut all = seen([]);
        all.checks = vec![check("c", "web", status)];
        all.agent.defined = BTreeMap::from([("c".to_owned(), ttl)]);
        let shown = format!("{heard:?} {status}");
        all.watched = Watched { time: seconds(20), heard, ..Watched::default() };
        assert_eq!(findings(&all).len(), usize::from(late), "{shown}");
        all.agent.defined.clear();
        assert_eq!(findings(&all), [], "without a TTL: {shown}");
    }
}

#[test]
fn a_check_that_changes_twice_flaps_and_one_that_changes_once_does_not() {
    let mut all = seen([]);
    all.watched.time = seconds(30);
    all.watched.changes = BTreeMap::from([
        ("a".to_owned(), vec![Status::Critical]),
        ("b".to_owned(), vec![Status::Critical, Status::Passing, Status::Warning]),
    ]);
    assert_eq!(told(&findings(&all)), [("flapping-check", "3 changes in 30s: critical, passing, warning")]);
}

#[test]
fn a_report_is_read_from_the_agents_log_as_both_old_and_new_agents_write_it() {
    for (line, check) in [
        (
            "2026-11-30T19:14:58.463Z [DEBUG] agent: Check status updated: check=top status=passing",
            Some("top"),
        ),
        (
            "2026-11-30T19:14:58.474Z [DEBUG] agent: Check status updated: check=service:cfg:1 status=passing",
            Some("service:cfg:1"),
        ),
        ("2026 [DEBUG] agent: Check status updated: check=\"a b\" status=critical", Some("a b")),
        ("2026-11-30T19:14:59.885Z [WARN]  agent: Check is now critical: check=h", None),
        ("", None),
    ] {
        assert_eq!(reported(line), check, "{line}");
    }
}

#[test]
fn what_consul_does_not_tell_of_checks_is_said() {
    let mut all = seen([]);
    let words = |seen: &Seen| unread(seen).into_iter().map(|one| one.what).collect::<Vec<_>>();
    assert_eq!(words(&all), ["checks that flap, late heartbeats"]);
    all.watched.time = seconds(1);
    assert_eq!(words(&all), Vec::<String>::new());
    all.checks = vec![check("c", "web", Status::Passing)];
    assert_eq!(words(&all), ["TTL and time of removal of 1 checks"]);
    all.agent.defined = BTreeMap::from([("c".to_owned(), Defined::default())]);
    assert_eq!(words(&all), Vec::<String>::new());
}
