//! A row for each field that we send.

use super::*;
use crate::{check::Check, model::Weights, registry::CheckDefinition};

fn sent() -> Definition {
    let mut sent = Definition::new("web-1".parse().unwrap(), "web".parse().unwrap(), "10.0.0.1", 80);
    sent.tags = vec!["b".into(), "a".into()];
    sent.meta.insert("k".into(), "v".into());
    let id = "service:web-1".parse().unwrap();
    sent.checks = vec![CheckDefinition::new(
        id,
        "a check",
        Check::http("http://10.0.0.1:80/").starting(Status::Passing),
    )];
    sent
}

fn found() -> Registered {
    let mut found = Registered::new("web-1".parse().unwrap(), "web", "10.0.0.1", 80);
    found.tags = vec!["b".into(), "a".into()];
    found.meta.insert("k".into(), "v".into());
    found.checks.insert("service:web-1".into(), RegisteredCheck::new(Status::Warning, "http", "slow"));
    found
}

#[test]
fn each_field_that_differs_is_named_with_both_sides() {
    type Change = fn(&mut Registered);
    let rows: [(Change, &str); 9] = [
        (|found| found.name = "db".into(), "name: \"web\" was sent, the agent holds \"db\""),
        (|found| found.tags.reverse(), "tags: [\"b\", \"a\"] was sent"),
        (|found| drop(found.tags.pop()), "tags: "),
        (|found| drop(found.meta.insert("k".into(), "other".into())), "meta: "),
        (|found| drop(found.meta.insert("more".into(), "v".into())), "meta: "),
        (
            |found| found.weights = Weights { passing: 2, warning: 1 },
            "weights: (1, 1) was sent, the agent holds (2, 1)",
        ),
        (|found| found.checks.clear(), "checks: [\"service:web-1\"] was sent, the agent holds []"),
        (
            |found| drop(found.checks.insert("more".into(), RegisteredCheck::new(Status::Passing, "", ""))),
            "checks: ",
        ),
        (
            |found| {
                drop(
                    found
                        .checks
                        .insert("service:web-1".into(), RegisteredCheck::new(Status::Passing, "ttl", "")),
                )
            },
            "check \"service:web-1\": \"http\" was sent, the agent holds \"ttl\"",
        ),
    ];
    for (change, says) in rows {
        let mut found = found();
        change(&mut found);
        let Held::Differs(text) = compare(&sent(), &found) else { panic!("{says} not seen") };
        assert!(text.starts_with(says), "{text}");
    }
}

#[test]
fn what_consul_adds_or_what_changes_by_itself_is_no_difference() {
    let mut found = found();
    let maintenance = RegisteredCheck::new(Status::Maintenance, "maintenance", "why");
    found.checks.insert("_service_maintenance:web-1".into(), maintenance);
    found.checks.get_mut("service:web-1").unwrap().kind = "".into();
    assert_eq!(compare(&sent(), &found), Held::Same);
}

#[test]
fn another_address_is_somebody_else_only_while_it_works() {
    for (status, foreign) in [
        (Status::Passing, true),
        (Status::Warning, true),
        (Status::Maintenance, true),
        (Status::Critical, false),
    ] {
        for port in [80, 81] {
            let mut found = found();
            found.port = port;
            found.address = if port == 80 { "10.0.0.2" } else { "10.0.0.1" }.into();
            found.checks.get_mut("service:web-1").unwrap().status = status;
            let held = compare(&sent(), &found);
            assert_eq!(matches!(held, Held::Foreign(_)), foreign, "{status}: {held:?}");
            assert_eq!(matches!(held, Held::Critical(_)), !foreign, "{status}: {held:?}");
            assert_ne!(held, Held::Same);
        }
    }
}
