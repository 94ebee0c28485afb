//! Tables for the rules of names, status, version and address.

use super::{version::lenient_version, *};

#[test]
fn a_name_that_cannot_be_addressed_is_refused_with_its_reason() {
    let (long, longest) = ("x".repeat(256), "x".repeat(255));
    for (text, says) in [
        ("", "is empty"),
        ("a/b", "URL's path"),
        ("..", "URL's path"),
        ("a\nb", "control character '\\n'"),
        (long.as_str(), "has 256 bytes; 255 are allowed"),
    ] {
        let error = ServiceName::new(text).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.to_string().starts_with("service name: "), "{error}");
    }
    for text in ["web", "my service", "ünïcode", "a.b", "x", &longest] {
        assert_eq!(ServiceName::new(text).unwrap().as_str(), text);
    }
}

#[test]
fn the_worst_check_decides_and_maintenance_is_worst() {
    use Status::{Critical, Maintenance, Passing, Warning};
    for (statuses, expected) in [
        (vec![], Passing),
        (vec![Passing, Passing], Passing),
        (vec![Passing, Warning], Warning),
        (vec![Critical, Warning, Passing], Critical),
        (vec![Critical, Maintenance], Maintenance),
    ] {
        let checks: Vec<_> =
            statuses.iter().map(|status| CheckState::new("c", "c", *status, CheckScope::Service)).collect();
        assert_eq!(aggregate(&checks), expected, "{statuses:?}");
    }
}

#[test]
fn consuls_maintenance_checks_are_maintenance() {
    for id in ["_node_maintenance", "_service_maintenance:web-1"] {
        assert_eq!(CheckState::new(id, "", Status::Critical, CheckScope::Node).status, Status::Maintenance);
    }
    let other = CheckState::new("service:web", "", Status::Critical, CheckScope::Service);
    assert_eq!(other.status, Status::Critical);
}

#[test]
fn an_unknown_status_word_is_critical() {
    assert_eq!(Status::of_check("passing"), Status::Passing);
    assert_eq!(Status::of_check("any-day-now"), Status::Critical);
}

#[test]
fn the_version_comes_from_meta_before_tags() {
    let with = |meta: &[(&str, &str)], tags: &[&str]| {
        Instance::new(Identity::default(), "web", "10.0.0.1", 80)
            .with_meta(meta.iter().copied())
            .with_tags(tags.iter().copied())
            .version
            .map(|version| version.to_string())
    };
    assert_eq!(with(&[("version", "2.1.0")], &["v1.0.0"]).as_deref(), Some("2.1.0"));
    assert_eq!(with(&[], &["blue", "v1.2.3"]).as_deref(), Some("1.2.3"));
    assert_eq!(with(&[], &["version=1.2.3-rc.1"]).as_deref(), Some("1.2.3-rc.1"));
    assert_eq!(with(&[("version", "v2")], &[]).as_deref(), Some("2.0.0"));
    assert_eq!(with(&[("version", "1.4")], &[]).as_deref(), Some("1.4.0"));
    assert_eq!(with(&[("version", "latest")], &["very-old"]), None);
}

#[test]
fn what_is_no_version_is_none_however_little_is_missing() {
    for (text, version) in [
        ("1", Some("1.0.0")),
        ("1.4", Some("1.4.0")),
        ("1.4.2", Some("1.4.2")),
        ("1.4.2.3", None),
        ("1.4.", None),
        ("1.4-rc", None),
        ("1.x", None),
        (".", None),
        ("", None),
    ] {
        assert_eq!(lenient_version(text).map(|version| version.to_string()).as_deref(), version, "{text}");
    }
}

#[test]
fn a_person_is_shown_node_and_id() {
    assert_eq!(Identity::new("dc1", "node-1", "web-1").to_string(), "node-1/web-1");
}

#[test]
fn an_ipv6_address_gets_brackets() {
    let at = |address| Instance::new(Identity::default(), "web", address, 80).authority();
    assert_eq!(at("10.0.0.1"), "10.0.0.1:80");
    assert_eq!(at("::1"), "[::1]:80");
    assert_eq!(at("db.internal"), "db.internal:80");
}

#[test]
fn the_weight_follows_the_status() {
    let instance = |status| {
        let checks = vec![CheckState::new("c", "c", status, CheckScope::Service)];
        Instance::new(Identity::default(), "web", "10.0.0.1", 80)
            .with_weights(Weights { passing: 10, warning: 0 })
            .with_checks(checks)
    };
    assert_eq!(instance(Status::Passing).weight(), 10);
    assert_eq!(instance(Status::Warning).weight(), 0);
    assert_eq!(instance(Status::Critical).weight(), 0);
}
