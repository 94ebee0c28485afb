//! A test a finding: what causes it, and what looks like it and is none.

use portolan::CheckState;

use super::{
    super::{
        seen::Defined,
        tests::{check, instance, seen, told},
    },
    *,
};

const GOOD: &[Status] = &[Status::Passing];
const BAD: &[Status] = &[Status::Critical];

fn names(seen: &Seen) -> Vec<&'static str> {
    findings(seen).iter().map(|finding| finding.code.facts().name).collect()
}

#[test]
fn what_is_critical_is_told_by_service_unless_its_agent_will_remove_it() {
    let dead = CheckState::new(SERF, "", Status::Critical, CheckScope::Node);
    let gone = instance("web", "n2", "web-2", GOOD);
    let gone = gone.with_checks(vec![dead, CheckState::new("c", "", Status::Passing, CheckScope::Service)]);
    let mut all = seen([instance("web", "n1", "web-1", BAD), gone, instance("web", "n3", "web-3", GOOD)]);
    assert_eq!(told(&findings(&all)), [("leaked-critical", "web: 2 of 3 critical, 1 of them on dead nodes")]);
    all.checks = vec![check("c", "web", Status::Critical)];
    all.checks[0].defined = Defined { reap: Some(Duration::from_secs(600)), ttl: None };
    assert_eq!(findings(&all)[0].places, ["n2/web-2"], "the other is removed by its agent");
    let maintained = instance("db", "n1", "db-1", GOOD).with_checks(vec![CheckState::new(
        "_service_maintenance:db-1",
        "",
        Status::Critical,
        CheckScope::Service,
    )]);
    assert_eq!(names(&seen([maintained])), Vec::<&str>::new());
}

#[test]
fn an_instance_with_no_check_but_its_nodes_is_told_and_consuls_own_service_is_not() {
    let all = seen([instance("web", "n1", "web-1", &[]), instance("consul", "n1", "consul", &[])]);
    assert_eq!(told(&findings(&all)), [("no-check", "web: 1 of 1 without a check")]);
}

#[test]
fn one_program_on_two_nodes_is_told_and_an_id_that_is_shared_by_right_only_noted() {
    let at = |node: &str, id: &str, address: &str, own: &[Status]| {
        let mut one = instance("web", node, id, own);
        one.address = address.into();
        one
    };
    for (id, second, own, expected) in [
        ("web-1", "10.0.0.1", GOOD, &["same-id-twice"][..]),
        ("web-1", "10.0.0.2", BAD, &["leaked-critical", "same-id-twice"]),
        ("web-1", "10.0.0.2", GOOD, &["shared-id"]),
        // Consul's default id, the service's name.
        ("web", "10.0.0.2", GOOD, &[]),
        ("web", "10.0.0.2", BAD, &["leaked-critical"]),
        ("web", "10.0.0.1", GOOD, &["same-id-twice"]),
    ] {
        let all = seen([at("n1", id, "10.0.0.1", GOOD), at("n2", id, second, own)]);
        assert_eq!(names(&all), expected, "{id} {second} {own:?}");
    }
}

#[test]
fn a_loopback_address_is_told_where_others_read_the_registry() {
    for (address, told) in [
        ("127.0.0.1", true),
        ("127.9.9.9", true),
        ("::1", true),
        ("0.0.0.0", true),
        ("localhost", true),
        ("web.localhost.", true),
        ("10.0.0.1", false),
        ("fe80::1", false),
        ("localhost.example", false),
    ] {
        let mut one = instance("web", "n1", "web-1", GOOD);
        one.address = address.into();
        let mut all = seen([one]);
        let expected: &[&str] = if told { &["loopback-address"] } else { &[] };
        assert_eq!(names(&all), expected, "{address}");
        all.nodes = vec!["127.0.0.1".to_owned()];
        assert_eq!(names(&all), Vec::<&str>::new(), "{address}: on one machine it is right");
    }
}

#[test]
fn all_on_one_node_is_told_where_there_is_another() {
    let pair = |node: &str| [instance("web", "n1", "web-1", GOOD), instance("web", node, "web-2", GOOD)];
    let mut all = seen(pair("n1"));
    assert_eq!(names(&all), Vec::<&str>::new(), "there is no other");
    all.nodes.push("10.0.0.2".to_owned());
    assert_eq!(told(&findings(&all)), [("one-node", "web: all 2 on n1")]);
    assert_eq!(names(&seen(pair("n2"))), Vec::<&str>::new());
}

#[test]
fn all_in_one_zone_is_told_where_there_is_another_and_each_says_its_own() {
    let zoned = |id: &str, node: &str, service: &str, zone: &str| {
        let one = instance(service, node, id, GOOD);
        if zone.is_empty() { one } else { one.with_meta([("zone", zone)]) }
    };
    for (second, other, expected) in
        [("a", "b", &["one-zone"][..]), ("b", "b", &[]), ("a", "a", &[]), ("", "b", &[]), ("a", "", &[])]
    {
        let all = seen([
            zoned("web-1", "n1", "web", "a"),
            zoned("web-2", "n2", "web", second),
            zoned("db-1", "n1", "db", other),
        ]);
        assert_eq!(names(&all), expected, "{second:?} {other:?}");
    }
}

#[test]
fn what_the_catalogue_has_and_the_agent_of_its_node_has_not_is_told() {
    let mut all = seen([instance("web", "n1", "web-1", GOOD), instance("web", "n2", "web-2", GOOD)]);
    assert_eq!(names(&all), Vec::<&str>::new(), "the agent could not be asked");
    all.held = Some(BTreeSet::new());
    assert_eq!(told(&findings(&all)), [("catalog-on-live-agent", "n1: 1 in the catalogue alone")]);
    all.held = Some(BTreeSet::from(["web-1".to_owned()]));
    assert_eq!(names(&all), Vec::<&str>::new(), "the other node's agent was not asked");
}
