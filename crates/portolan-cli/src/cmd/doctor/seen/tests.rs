//! Bodies as Consul 1.8.7 and 1.21.4 write them, shortened.

use serde_json::json;

use super::*;

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[test]
fn the_agent_tells_its_limits_and_how_its_own_checks_are_defined() {
    let none = json!({"CheckID": "", "TTL": "0s", "HTTP": "", "DeregisterCriticalServiceAfter": "0s", "ScriptArgs": []});
    let ttl = json!({"CheckID": "", "TTL": "15s", "DeregisterCriticalServiceAfter": "1m0s"});
    let http =
        json!({"CheckID": "h", "TTL": "0s", "HTTP": "http://x/", "DeregisterCriticalServiceAfter": "0s"});
    let body = json!({
        "Config": {"NodeName": "n1", "Datacenter": "dc1", "Version": "1.21.4"},
        "DebugConfig": {
            "HTTPMaxConnsPerClient": 200, "DNSPort": 8600, "DNSDomain": "consul.", "DNSOnlyPassing": true,
            "Services": [
                {"ID": "", "Name": "two", "Check": none, "Checks": [ttl, http]},
                {"ID": "one-1", "Name": "one", "Check": ttl, "Checks": []},
                {"ID": "", "Name": "zero", "Check": none, "Checks": null},
            ],
            "Checks": [{"ID": "top", "TTL": "8s", "DeregisterCriticalServiceAfter": "0s"}],
        },
    });
    let seconds = |count| Some(Duration::from_secs(count));
    let expected = Agent {
        node: "n1".to_owned(),
        datacenter: "dc1".to_owned(),
        version: "1.21.4".to_owned(),
        connections: Some(200),
        dns_port: Some(8600),
        dns_domain: Some("consul.".to_owned()),
        dns_only_passing: true,
        defined: BTreeMap::from([
            ("service:two:1".to_owned(), Defined { ttl: seconds(15), reap: seconds(60) }),
            ("h".to_owned(), Defined::default()),
            ("service:one-1".to_owned(), Defined { ttl: seconds(15), reap: seconds(60) }),
            ("top".to_owned(), Defined { ttl: seconds(8), reap: None }),
        ]),
    };
    assert_eq!(agent(&bytes(&body)), Some(expected));
}

#[test]
fn an_agent_that_tells_little_is_read_as_far_as_it_goes() {
    let body = json!({"Config": {"NodeName": "n1", "Datacenter": "dc1"}, "DebugConfig": {"DNSPort": -1}});
    let found = agent(&bytes(&body)).unwrap();
    assert_eq!((found.node.as_str(), found.connections, found.dns_port), ("n1", None, None));
    assert_eq!(agent(b"{}"), None);
    assert_eq!(agent(b"no JSON"), None);
}

#[test]
fn checks_are_read_with_what_is_told_of_their_definition() {
    let body = json!([
        {"Node": "ext", "CheckID": "c", "Status": "passing", "ServiceID": "x1", "ServiceName": "x", "Type": "ttl",
         "Definition": {"DeregisterCriticalServiceAfter": "30s", "TTL": 10_000_000_000_u64}},
        {"Node": "n1", "CheckID": "serfHealth", "Status": "critical", "ServiceID": "", "Definition": {}},
    ]);
    let found = checks(&bytes(&body)).unwrap();
    let seconds = |count| Some(Duration::from_secs(count));
    assert_eq!(found[0].defined, Defined { ttl: seconds(10), reap: seconds(30) });
    assert_eq!(
        (found[0].place(), found[1].place()),
        ("c of ext/x1".to_owned(), "serfHealth on n1".to_owned())
    );
    assert_eq!((found[1].status, found[1].defined), (Status::Critical, Defined::default()));
    assert_eq!(checks(b"null"), Some(Vec::new()));
    assert_eq!(checks(b"{}"), None);
}

#[test]
fn nodes_and_what_an_agent_holds_are_read_by_their_names() {
    let found = nodes(br#"[{"Node": "n1", "Address": "10.0.0.1"}]"#);
    assert_eq!(found, Some(vec!["10.0.0.1".to_owned()]));
    assert_eq!(held(br#"{"web-1": {"ID": "web-1"}}"#), Some(BTreeSet::from(["web-1".to_owned()])));
    assert_eq!(held(b"[]"), None);
}
