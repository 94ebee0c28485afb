//! Bodies that are sent, byte for byte, and what is made of those that come back.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::{
    check::{Check, CheckTls},
    model::{CheckId, ServiceName, Weights},
};

fn definition(checks: Vec<Check>) -> Definition {
    let mut definition =
        Definition::new(ServiceId::new("web-1").unwrap(), ServiceName::new("web").unwrap(), "10.0.0.1", 80);
    definition.checks = checks
        .into_iter()
        .map(|check| CheckDefinition::new(CheckId::new("c").unwrap(), "name", check))
        .collect();
    definition
}

fn sent(definition: &Definition) -> Value {
    serde_json::from_slice(&register_body(definition).unwrap()).unwrap()
}

#[test]
fn maintenance_is_sent_as_the_check_that_consul_takes_for_it() {
    let mut away = definition(Vec::new());
    away.maintenance = Some("starting".into());
    let check = json!({
        "CheckID": "_service_maintenance:web-1", "Name": "Service Maintenance Mode", "Notes": "starting",
        "TTL": "87600h0m0s", "Status": "critical",
    });
    assert_eq!(sent(&away)["Checks"], json!([check]));
}

#[test]
fn a_definition_is_sent_whole_and_what_is_unset_is_left_out() {
    let ttl = Check::ttl(Duration::from_secs(90)).deregister_after(None).with_notes("n");
    let mut whole = definition(vec![ttl]);
    whole.tagged_addresses = [("wan".to_owned(), ("198.51.100.7".to_owned(), 443))].into();
    whole.tags = vec!["b".to_owned(), "a".to_owned()];
    whole.meta = [("k".to_owned(), "v".to_owned())].into();
    whole.weights = Weights { passing: 5, warning: 0 };
    assert_eq!(
        sent(&whole),
        json!({
            "ID": "web-1", "Name": "web", "Address": "10.0.0.1", "Port": 80, "Tags": ["b", "a"], "Meta": {"k": "v"},
            "Weights": {"Passing": 5, "Warning": 0},
            "TaggedAddresses": {"wan": {"Address": "198.51.100.7", "Port": 443}},
            "Checks": [{"CheckID": "c", "Name": "name", "Notes": "n", "TTL": "1m30s"}],
        })
    );
}

#[test]
fn each_kind_of_check_has_its_fields() {
    let http = Check::http("http://10.0.0.1/h").starting(Status::Passing).thresholds(2, 3, 4);
    let tcp = Check::tcp_at("10.0.0.1:80").every(Duration::from_secs(3)).timeout(Duration::from_millis(250));
    let body = sent(&definition(vec![http, tcp]));
    assert_eq!(
        body["Checks"],
        json!([
            {"CheckID": "c", "Name": "name", "HTTP": "http://10.0.0.1/h", "Interval": "10s", "Timeout": "5s",
             "Status": "passing", "SuccessBeforePassing": 2, "FailuresBeforeWarning": 3, "FailuresBeforeCritical": 4,
             "DeregisterCriticalServiceAfter": "10m0s"},
            {"CheckID": "c", "Name": "name", "TCP": "10.0.0.1:80", "Interval": "3s", "Timeout": "250ms",
             "DeregisterCriticalServiceAfter": "10m0s"},
        ])
    );
}

/// What is sent of a check besides id, name and deregister-after.
fn fields(check: Check) -> Value {
    let mut body = sent(&definition(vec![check.deregister_after(None)]))["Checks"][0].clone();
    let fields = body.as_object_mut().unwrap();
    fields.retain(|name, _| !["CheckID", "Name"].contains(&name.as_str()));
    if fields.get("Interval") == Some(&json!("10s")) && fields.get("Timeout") == Some(&json!("5s")) {
        fields.retain(|name, _| !["Interval", "Timeout"].contains(&name.as_str()));
        fields.insert("run".to_owned(), json!(true));
    }
    body
}

#[test]
fn every_kind_of_check_sends_what_it_is_made_of_and_no_default() {
    let named = || CheckTls::unverified().server_name("a.b");
    for (check, expected) in [
        (
            Check::http("https://a/h")
                .method("PUT")
                .header("X-A", "1")
                .header("X-A", "2")
                .body("b")
                .tls(named()),
            json!({"HTTP": "https://a/h", "Method": "PUT", "Header": {"X-A": ["1", "2"]}, "Body": "b",
                   "TLSSkipVerify": true, "TLSServerName": "a.b", "run": true}),
        ),
        (Check::http("https://a/h"), json!({"HTTP": "https://a/h", "run": true})),
        (
            Check::tcp_at("a:1").tls(CheckTls::verified()),
            json!({"TCP": "a:1", "TCPUseTLS": true, "run": true}),
        ),
        (Check::udp().at("a:1"), json!({"UDP": "a:1", "run": true})),
        (Check::grpc("").at("a:1"), json!({"GRPC": "a:1", "run": true})),
        (
            Check::grpc("pkg.S").at("a:1").tls(named()),
            json!({"GRPC": "a:1/pkg.S", "GRPCUseTLS": true, "TLSSkipVerify": true, "TLSServerName": "a.b",
                   "run": true}),
        ),
        // Consul's default is TLS.
        (Check::h2_ping().at("a:1"), json!({"H2PING": "a:1", "H2PingUseTLS": false, "run": true})),
        (Check::h2_ping().at("a:1").tls(CheckTls::verified()), json!({"H2PING": "a:1", "run": true})),
        (
            Check::alias_of(ServiceId::new("w").unwrap()).on_node("n"),
            json!({"AliasNode": "n", "AliasService": "w"}),
        ),
        (Check::alias_of_node("n"), json!({"AliasNode": "n"})),
        (Check::script(["a", "b"]), json!({"ScriptArgs": ["a", "b"], "run": true})),
        (Check::os_service("sshd"), json!({"OSService": "sshd", "run": true})),
        (Check::docker("c1", ["a"]), json!({"DockerContainerID": "c1", "ScriptArgs": ["a"], "run": true})),
    ] {
        assert_eq!(fields(check.clone()), expected, "{check:?}");
    }
}

#[test]
fn a_check_without_a_target_is_not_sent() {
    for (check, kind) in [
        (Check::tcp(), "TCP"),
        (Check::udp(), "UDP"),
        (Check::grpc(""), "gRPC"),
        (Check::h2_ping(), "H2 ping"),
    ] {
        let error = register_body(&definition(vec![check])).unwrap_err();
        assert_eq!(error.to_string(), format!("check c of web-1: no {kind} target; give host:port"));
    }
}

#[test]
fn a_report_is_cut_to_what_consul_keeps_and_maintenance_is_none() {
    let check = CheckId::new("c").unwrap();
    let long = Report::new(check.clone(), Status::Warning, "ü".repeat(3000));
    let body: Value = serde_json::from_slice(&update_body(&long).unwrap()).unwrap();
    assert_eq!(body, json!({"Status": "warning", "Output": "ü".repeat(2048)}));
    let error = update_body(&Report::new(check, Status::Maintenance, "")).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
}

#[test]
fn a_filter_holds_sixteen_ids_and_not_one_more() {
    let ids: Vec<_> = (0..17).map(|id| ServiceId::new(format!("web-{id}")).unwrap()).collect();
    let filter = |count: usize| filter("ID", &ids[..count]).map(|text| text.matches(" == ").count());
    assert_eq!((filter(1), filter(16), filter(17)), (Some(1), Some(16), None));
}

#[test]
fn a_filter_holds_few_plain_ids_or_is_left_out() {
    let ids = |names: &[&str]| names.iter().map(|name| ServiceId::new(name).unwrap()).collect::<Vec<_>>();
    assert_eq!(filter("ID", &ids(&["a-1", "b.2"])).unwrap(), "ID == \"a-1\" or ID == \"b.2\"");
    for odd in ["a\"b", "a`b", "a\\b", "ü", "a%"] {
        assert_eq!(filter("ID", &ids(&["plain", odd])), None, "{odd}");
    }
    assert_eq!(filter("ID", &ids(&["x"; 17])), None);
}

#[test]
fn what_is_held_is_put_together_and_others_are_left_out() {
    let services = json!({
        "a": {"ID": "a", "Service": "web", "Tags": ["t"], "Meta": {"k": "v"}, "Port": 80, "Address": "10.0.0.1",
              "Weights": {"Passing": 2, "Warning": 1}},
        "b": {"ID": "b", "Service": "web", "Tags": null, "Meta": null, "Port": 70000, "Address": ""},
        "z": {"ID": "z", "Service": "other", "Port": 1},
    });
    let checks = json!({
        "c1": {"CheckID": "c1", "Status": "passing", "Output": "fine", "ServiceID": "a", "Type": "ttl"},
        "_service_maintenance:a": {"CheckID": "_service_maintenance:a", "Status": "critical", "ServiceID": "a"},
        "c2": {"CheckID": "c2", "Status": "passing", "ServiceID": "z"},
    });
    let ids = ["a", "b", "c"].map(|id| ServiceId::new(id).unwrap());
    let bytes = |value: &Value| serde_json::to_vec(value).unwrap();
    let (held, unreadable) = registered(&ids, &bytes(&services), &bytes(&checks)).unwrap();

    let mut expected = Registered::new(ids[0].clone(), "web", "10.0.0.1", 80);
    expected.tags = vec!["t".to_owned()];
    expected.meta = [("k".to_owned(), "v".to_owned())].into();
    expected.weights = Weights { passing: 2, warning: 1 };
    expected.checks = [
        ("c1".to_owned(), RegisteredCheck::new(Status::Passing, "ttl", "fine")),
        ("_service_maintenance:a".to_owned(), RegisteredCheck::new(Status::Maintenance, "", "")),
    ]
    .into();
    assert_eq!(held, [expected]);
    assert_eq!(unreadable, ["b: port 70000 is not from 0 to 65535"]);
    assert_eq!(registered(&ids, b"null", b"{}").unwrap(), (vec![], vec![]));
}
