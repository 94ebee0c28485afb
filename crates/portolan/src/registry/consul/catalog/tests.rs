//! Bodies as a Consul 1.8.7 takes and gives them.

use serde_json::{Value, json};

use super::*;

fn part() -> NodeDefinition {
    let mut node = NodeDefinition::new(NodeName::new("db-eu").unwrap(), "10.9.0.7");
    node.meta.insert("external-node".into(), "true".into());
    node.checks.insert(CheckId::new("alive").unwrap(), NodeCheck::new("ping", Status::Warning, "slow"));
    let mut service = NodeService::new(ServiceName::new("postgres").unwrap(), 5432);
    service.tags.push("primary".into());
    let check = NodeCheck::new("connects", Status::Critical, "refused");
    service.checks.insert(CheckId::new("pg").unwrap(), check);
    node.services.insert(ServiceId::new("pg-1").unwrap(), service);
    node
}

#[test]
fn a_node_with_one_service_is_one_body() {
    let body: Value = serde_json::from_slice(&register_body(&part()).unwrap()).unwrap();
    let expected = json!({
        "Node": "db-eu", "Address": "10.9.0.7", "NodeMeta": {"external-node": "true"},
        "Service": {"ID": "pg-1", "Service": "postgres", "Address": "", "Port": 5432, "Tags": ["primary"],
            "Meta": {}, "Weights": {"Passing": 1, "Warning": 1}},
        "Checks": [
            {"CheckID": "alive", "Name": "ping", "Status": "warning", "Output": "slow"},
            {"CheckID": "pg", "Name": "connects", "Status": "critical", "Output": "refused", "ServiceID": "pg-1"},
        ],
    });
    assert_eq!(body, expected);
}

#[test]
fn two_services_and_maintenance_are_refused() {
    let mut two = part();
    let other = NodeService::new(ServiceName::new("mysql").unwrap(), 3306);
    two.services.insert(ServiceId::new("my").unwrap(), other);
    assert_eq!(register_body(&two).unwrap_err().kind(), Kind::Rejected);
    let mut out = part();
    out.checks.values_mut().for_each(|check| check.status = Status::Maintenance);
    assert!(register_body(&out).unwrap_err().to_string().starts_with("check alive: maintenance"));
}

#[test]
fn what_is_taken_out_is_named() {
    let node = NodeName::new("db-eu").unwrap();
    for (part, body) in [
        (NodePart::Node, json!({"Node": "db-eu"})),
        (NodePart::Service(ServiceId::new("pg-1").unwrap()), json!({"Node": "db-eu", "ServiceID": "pg-1"})),
        (NodePart::Check(CheckId::new("pg").unwrap()), json!({"Node": "db-eu", "CheckID": "pg"})),
    ] {
        let found: Value = serde_json::from_slice(&deregister_body(&node, &part).unwrap()).unwrap();
        assert_eq!(found, body);
    }
}

#[test]
fn what_is_held_is_read_with_each_check_where_it_belongs() {
    let body = br#"{"Node":{"Node":"db-eu","Address":"10.9.0.7","Meta":{"external-node":"true"},"TaggedAddresses":null},
        "Services":{"pg-1":{"ID":"pg-1","Service":"postgres","Tags":["primary"],"Address":"","Port":5432,"Meta":null,
        "Weights":{"Passing":1,"Warning":1}},"a/b":{"ID":"a/b","Service":"odd","Port":1}}}"#;
    let checks = br#"[{"CheckID":"alive","Name":"ping","Status":"warning","Output":"slow","ServiceID":""},
        {"CheckID":"pg","Name":"connects","Status":"critical","Output":"refused","ServiceID":"pg-1"},
        {"CheckID":"odd","Name":"","Status":"passing","ServiceID":"a/b"}]"#;
    let (held, unreadable) = node(body, checks).unwrap().unwrap();
    assert_eq!(held, part());
    assert_eq!(unreadable.len(), 1);
    assert!(unreadable[0].starts_with("db-eu/a/b: "), "{unreadable:?}");
    assert_eq!(node(b"null", b"[]").unwrap(), None);
    let bare = node(br#"{"Node":{"Node":"n","Address":"a","Meta":null},"Services":null}"#, b"null").unwrap();
    assert_eq!(bare, Some((NodeDefinition::new(NodeName::new("n").unwrap(), "a"), Vec::new())));
    assert!(node(b"[]", b"[]").is_err());
}
