//! Entries as Consul writes them, and as it does not.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn entry(id: &str) -> Value {
    json!({
        "Node": {"ID": "x", "Node": "n1", "Address": "10.0.0.1", "Datacenter": "dc1", "Meta": null,
                 "TaggedAddresses": {"lan": "10.0.0.1"}, "CreateIndex": 1},
        "Service": {"ID": id, "Service": "web", "Tags": null, "Address": "", "Meta": null, "Port": 80,
                    "Weights": {"Passing": 3, "Warning": 0}, "EnableTagOverride": false, "Proxy": {}},
        "Checks": [
            {"Node": "n1", "CheckID": "serfHealth", "Name": "Serf", "Status": "passing", "Output": "alive",
             "ServiceID": "", "ServiceTags": []},
            {"Node": "n1", "CheckID": "service:b", "Name": "b", "Status": "warning", "Output": "slow",
             "ServiceID": id},
            {"Node": "n1", "CheckID": "service:a", "Name": "a", "Status": "passing", "Output": "", "ServiceID": id},
        ]
    })
}

fn read(entries: &Value) -> Decoded {
    decode(&serde_json::to_vec(entries).unwrap(), CheckOutput::Drop).unwrap()
}

fn one(entry: &Value) -> Instance {
    let decoded = read(&json!([entry]));
    assert_eq!(decoded.unreadable, Vec::<String>::new());
    Instance::clone(&decoded.instances[0])
}

fn changed(path: &str, value: Value) -> Value {
    let mut entry = entry("a");
    let (parent, field) = path.rsplit_once('/').unwrap();
    entry.pointer_mut(parent).unwrap()[field] = value;
    entry
}

#[test]
fn an_entry_is_read_whole() {
    let seen = one(&entry("web-1"));
    assert_eq!(seen.identity, Identity::new("dc1", "n1", "web-1"));
    assert_eq!((&*seen.service, &*seen.address, seen.port), ("web", "10.0.0.1", 80));
    assert_eq!(seen.weights, Weights { passing: 3, warning: 0 });
    assert_eq!(seen.status, Status::Warning);
    let checks: Vec<_> = seen.checks.iter().map(|state| (&*state.id, state.scope, &*state.output)).collect();
    assert_eq!(
        checks,
        [
            ("serfHealth", CheckScope::Node, ""),
            ("service:a", CheckScope::Service, ""),
            ("service:b", CheckScope::Service, "")
        ]
    );
}

#[test]
fn the_output_is_kept_where_it_is_asked_for() {
    let body = serde_json::to_vec(&json!([entry("a")])).unwrap();
    let kept = decode(&body, CheckOutput::Keep).unwrap();
    assert_eq!(&*kept.instances[0].checks[0].output, "alive");
}

#[test]
fn h5_null_and_an_empty_list_are_the_same() {
    for body in ["null", "[]", " [ ] \n"] {
        assert_eq!(decode(body.as_bytes(), CheckOutput::Drop).unwrap().instances, []);
    }
}

#[test]
fn the_order_of_checks_and_entries_does_not_matter() {
    let mut turned = entry("a");
    turned["Checks"].as_array_mut().unwrap().reverse();
    assert_eq!(one(&turned), one(&entry("a")));
    assert_eq!(read(&json!([entry("b"), entry("a")])), read(&json!([entry("a"), entry("b")])));
}

#[test]
fn the_services_own_address_comes_before_its_nodes() {
    assert_eq!(&*one(&changed("/Service/Address", json!("db.internal"))).address, "db.internal");
    assert_eq!(&*one(&changed("/Service/Address", json!(""))).address, "10.0.0.1");
    assert_eq!(&*one(&changed("/Service/Address", json!(null))).address, "10.0.0.1");
}

#[test]
fn the_zone_and_the_region_are_of_the_services_locality_then_the_nodes_then_meta() {
    let mut entry = entry("a");
    let place = |entry: &Value| {
        let one = one(entry);
        (one.zone.as_deref().map(str::to_owned), one.region.as_deref().map(str::to_owned))
    };
    let both = |zone: &str, region: &str| (Some(zone.to_owned()), Some(region.to_owned()));
    assert_eq!(place(&entry), (None, None));
    for (path, zone, region) in [("/Node/Meta", "d", "s"), ("/Service/Meta", "c", "r")] {
        *entry.pointer_mut(path).unwrap() = json!({"zone": zone, "region": region});
        assert_eq!(place(&entry), both(zone, region));
    }
    for (side, zone, region) in [("Node", "b", "q"), ("Service", "a", "p")] {
        entry[side]["Locality"] = json!({"Region": region, "Zone": zone});
        assert_eq!(place(&entry), both(zone, region));
    }
    entry["Service"]["Locality"]["Zone"] = json!("");
    assert_eq!(place(&entry), both("b", "p"));
    entry["Service"]["Locality"] = json!({"Zone": "a"});
    assert_eq!(place(&entry), both("a", "q"));
}

#[test]
fn the_identity_has_every_field() {
    let mut entry = entry("a");
    for (field, value) in [("Namespace", "team"), ("Partition", "east"), ("PeerName", "other")] {
        entry["Service"][field] = json!(value);
    }
    let seen = one(&entry).identity;
    assert_eq!((&*seen.namespace, &*seen.partition, &*seen.peer), ("team", "east", "other"));
}

#[test]
fn a_number_out_of_range_costs_its_instance_alone() {
    for (path, value, says) in [
        ("/Service/Port", json!(70000), "n1/a: port 70000 is not"),
        ("/Service/Port", json!(-1), "n1/a: port -1 is not"),
        ("/Service/Port", json!(9_999_999_999_i64), "n1/a: port 9999999999 is not"),
        ("/Service/Weights", json!({"Passing": 65536, "Warning": 1}), "n1/a: weights 65536 and 1 are not"),
        ("/Service/Weights", json!({"Passing": 1, "Warning": -1}), "n1/a: weights 1 and -1 are not"),
        ("/Node/Address", json!(""), "n1/a: neither the service nor its node"),
    ] {
        let mut decoded = read(&json!([changed(path, value), entry("good")]));
        assert_eq!(decoded.instances.len(), 1, "{path}");
        assert_eq!(&*decoded.instances.pop().unwrap().identity.id, "good");
        assert!(decoded.unreadable[0].starts_with(says), "{:?}", decoded.unreadable);
    }
}

#[test]
fn a_wrong_type_sinks_the_answer_and_says_where() {
    for (path, value) in [
        ("/Service/Port", json!("80")),
        ("/Service/Port", json!(80.5)),
        ("/Service/Tags", json!("blue")),
        ("/Service/Meta", json!(["k"])),
        ("/Service/ID", json!(7)),
        ("/Checks", json!({})),
        ("/Node/Node", json!([])),
    ] {
        let body = serde_json::to_vec(&json!([entry("good"), changed(path, value)])).unwrap();
        let error = decode(&body, CheckOutput::Drop).unwrap_err();
        assert!(error.line() > 0, "{path}: {error}");
    }
    for body in ["", "{}", "[{}]", "<html>", "[null]", "[", "[]x"] {
        assert!(decode(body.as_bytes(), CheckOutput::Drop).is_err(), "{body}");
    }
}

#[test]
fn what_may_be_missing_may_be_missing() {
    let least = json!([{
        "Node": {"Node": "n1", "Address": "10.0.0.1"},
        "Service": {"ID": "a", "Service": "web"},
    }]);
    let decoded = read(&least);
    assert_eq!(decoded.instances, [Instance::new(Identity::new("", "n1", "a"), "web", "10.0.0.1", 0).into()]);
}

#[test]
fn escapes_are_undone() {
    let body = br#"[{"Node":{"Node":"n\u00fc","Address":"a"},"Service":{"ID":"\"q\"","Service":"w","Tags":["\ud83d\ude00"],
        "Meta":{"k\"":"v\n"}}}]"#;
    let seen = decode(body, CheckOutput::Drop).unwrap().instances.remove(0);
    assert_eq!((&*seen.identity.node, &*seen.identity.id, &*seen.tags[0]), ("nü", "\"q\"", "😀"));
    assert_eq!(seen.meta.iter().next().map(|(key, value)| (&**key, &**value)), Some(("k\"", "v\n")));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _read = decode(&bytes, CheckOutput::Keep);
    }

    #[test]
    fn no_damage_to_a_body_panics_or_adds_an_instance(at in 0usize..1000, byte in any::<u8>(), cut in any::<bool>()) {
        let mut body = serde_json::to_vec(&json!([entry("a"), entry("b")])).unwrap();
        let at = at.checked_rem(body.len()).unwrap();
        if cut { body.truncate(at) } else { body[at] = byte }
        if let Ok(decoded) = decode(&body, CheckOutput::Keep) {
            prop_assert!(decoded.instances.iter().map(|_| ()).chain(decoded.unreadable.iter().map(|_| ())).count() <= 2);
            prop_assert!(!cut);
        }
    }
}
