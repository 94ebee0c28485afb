//! Ids, names and targets, as Consul would number and name them.

use std::time::Duration;

use super::*;
use crate::{check::CheckKind, model::Identity, register::spec::Address};

fn defined(spec: &Registration, address: &str) -> Definition {
    spec.validate().unwrap();
    define(spec, ServiceId::new("web-1").unwrap(), address).unwrap()
}

fn target(check: &CheckDefinition) -> String {
    match &check.check.kind {
        CheckKind::Http { target, .. } => target.clone(),
        CheckKind::Tcp { target, .. }
        | CheckKind::Udp { target }
        | CheckKind::Grpc { target, .. }
        | CheckKind::H2Ping { target, .. } => target.clone().unwrap(),
        other => other.as_str().to_owned(),
    }
}

#[test]
fn one_check_has_the_services_id_and_several_are_numbered_by_place() {
    let ids = |checks: Vec<Check>| -> Vec<String> {
        let definition = defined(&Registration::new("web", 80).checks(checks), "10.0.0.1");
        definition.checks.iter().map(|check| check.id.to_string()).collect()
    };
    let own = || Check::tcp().with_id("own".parse().unwrap());
    assert_eq!(ids(vec![Check::tcp()]), ["service:web-1"]);
    assert_eq!(ids(vec![own()]), ["own"]);
    assert_eq!(
        ids(vec![own(), Check::tcp(), Check::http("/h")]),
        ["own", "service:web-1:2", "service:web-1:3"]
    );
}

#[test]
fn an_id_that_another_check_has_by_its_place_is_refused() {
    let thief = Check::tcp().with_id("service:web-1:2".parse().unwrap());
    let spec = Registration::new("web", 80).checks([thief, Check::tcp()]);
    let error = define(&spec, ServiceId::new("web-1").unwrap(), "10.0.0.1").unwrap_err();
    assert!(error.to_string().starts_with("check[1].id: \"service:web-1:2\""), "{error}");
}

#[test]
fn a_target_is_completed_with_the_instances_own_address() {
    let spec = Registration::http("web", 80)
        .checks([
            Check::http("/h?a=b"),
            Check::http("https://other/x"),
            Check::tcp(),
            Check::tcp_at("db:5432"),
        ])
        .address(Address::Auto);
    for (address, first, third) in [
        ("10.0.0.1", "http://10.0.0.1:80/h?a=b", "10.0.0.1:80"),
        ("fd00::1", "http://[fd00::1]:80/h?a=b", "[fd00::1]:80"),
        ("web.internal", "http://web.internal:80/h?a=b", "web.internal:80"),
    ] {
        let targets: Vec<String> = defined(&spec, address).checks.iter().map(target).collect();
        assert_eq!(targets, [first, "https://other/x", third, "db:5432"]);
    }
}

#[test]
fn needs_are_sent_as_meta_beside_what_is_there() {
    let spec = Registration::ttl("web", 80)
        .meta("team", "shop")
        .needs(["db@^14".parse().unwrap(), "cache?".parse().unwrap()]);
    let meta: Vec<_> = defined(&spec, "10.0.0.1").meta.into_iter().collect();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(meta, [pair("portolan-needs", "db@^14; cache?"), pair("team", "shop")]);
}

#[test]
fn all_that_was_said_is_sent() {
    let spec = Registration::ttl("web", 80).tags(["b", "a"]).version("1.2.3").zone("z");
    let definition = defined(&spec.check(Check::tcp().named("mine")), "10.0.0.1");
    assert_eq!(definition.tags, ["b", "a"], "in the order they were given");
    assert_eq!((definition.meta["version"].as_str(), definition.meta["zone"].as_str()), ("1.2.3", "z"));
    let names: Vec<&str> = definition.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["Service 'web' check", "mine"]);
}

#[test]
fn a_unique_id_tells_service_host_and_port() {
    assert_eq!(unique_id("web", "host-1.example.org", 80, 0), "web-host-1-80-aaaaaaaa");
    assert_eq!(unique_id("web", "host", 80, u64::MAX), "web-host-80-77777777");
    assert_eq!(unique_id("web", "host", 80, 1), "web-host-80-baaaaaaa");
    assert_eq!(unique_id("web", "10.0.0.1", 80, 0), "web-10-0-0-1-80-aaaaaaaa");
    assert_eq!(unique_id("web", "fd00::1", 80, 0), "web-fd00--1-80-aaaaaaaa");
    let longest = unique_id(&"ü".repeat(127), &"h".repeat(300), 65_535, 7);
    ServiceId::new(longest).unwrap();
}

#[test]
fn a_predecessor_stood_at_the_same_place_and_differs_in_the_random_part_alone() {
    let at = |id: &str, node: &str, address: &str, port| {
        Arc::new(Instance::new(Identity::new("dc1", node, id), "web", address, port))
    };
    let ours = at("web-host-80-aaaaaaaa", "n1", "10.0.0.1", 80);
    let dead = at("web-host-80-bbbbbbbb", "n1", "10.0.0.1", 80);
    let ids = |ours: &Instance, all: &[Arc<Instance>]| -> Vec<String> {
        predecessors(ours, all).iter().map(ToString::to_string).collect()
    };
    assert_eq!(ids(&ours, &[Arc::clone(&dead), Arc::clone(&ours)]), ["web-host-80-bbbbbbbb"]);
    for other in [
        at("web-host-80-bbbbbbbb", "n2", "10.0.0.1", 80),
        at("web-host-80-bbbbbbbb", "n1", "10.0.0.2", 80),
        at("web-host-80-bbbbbbbb", "n1", "10.0.0.1", 81),
        at("web-host-81-bbbbbbbb", "n1", "10.0.0.1", 80),
        at("web-host-80-bbbbbbb", "n1", "10.0.0.1", 80),
        at("web-host-80-bbbbbbbbb", "n1", "10.0.0.1", 80),
        at("web-host-80-bbbbbbb1", "n1", "10.0.0.1", 80),
        at("web", "n1", "10.0.0.1", 80),
    ] {
        assert_eq!(ids(&ours, &[Arc::clone(&other)]), [""; 0], "{other:?}");
    }
    for ours in [at("web-1", "n1", "10.0.0.1", 80), at("web-host-0-aaaaaaaa", "n1", "10.0.0.1", 0)] {
        let twin = at("web-host-0-bbbbbbbb", "n1", "10.0.0.1", ours.port);
        assert_eq!(ids(&ours, &[twin]), [""; 0], "{ours:?}");
    }
}

#[test]
fn every_kind_with_a_target_gets_the_instances_own_and_the_others_are_left_alone() {
    let spec = Registration::new("web", 80).checks([
        Check::https("/h"),
        Check::https("https://other/x"),
        Check::udp(),
        Check::grpc("pkg.Health"),
        Check::h2_ping().at("far:1"),
        Check::script(["true"]),
        Check::alias_of_node("n2"),
    ]);
    let targets: Vec<String> = defined(&spec, "10.0.0.1").checks.iter().map(target).collect();
    let own = "10.0.0.1:80";
    assert_eq!(targets, ["https://10.0.0.1:80/h", "https://other/x", own, own, "far:1", "script", "alias"]);
}

#[test]
fn deregister_after_is_raised_to_consuls_least() {
    let second = Duration::from_secs(1);
    for (asked, sent) in
        [(Some(second), Some(second * 60)), (Some(second * 61), Some(second * 61)), (None, None)]
    {
        let spec = Registration::new("web", 80).check(Check::tcp().deregister_after(asked));
        assert_eq!(defined(&spec, "10.0.0.1").checks[0].check.deregister_after, sent);
    }
}
