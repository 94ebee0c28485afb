//! The agent's endpoints: definitions, refusals, reports, maintenance.

use serde_json::json;

use crate::client::{Try, start};

const W1: &str = r#"{"Name":"web","ID":"w1","Address":"127.0.0.1","Port":80,"Tags":["a","B"],"Meta":{"k":"v"},
    "Check":{"TTL":"30s","Notes":"nn"}} what follows is not looked at"#;

#[tokio::test]
async fn a_registration_comes_back_as_consul_tells_it() -> Try {
    let registry = start().await?;
    let reply = registry.put("/v1/agent/service/register", W1).await?;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    registry.write("/v1/agent/service/register", r#"{"name":"bare"}"#).await?;
    let services = registry.get("/v1/agent/services").await?;
    let address = json!({"Address": "127.0.0.1", "Port": 80});
    let expected = json!({
        "bare": {
            "ID": "bare", "Service": "bare", "Tags": [], "Meta": {}, "Port": 0, "Address": "",
            "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": false, "Datacenter": "dc1"
        },
        "w1": {
            "ID": "w1", "Service": "web", "Tags": ["a", "B"], "Meta": {"k": "v"}, "Port": 80,
            "Address": "127.0.0.1", "TaggedAddresses": {"lan_ipv4": address, "wan_ipv4": address},
            "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": false, "Datacenter": "dc1"
        }
    });
    assert_eq!(services.json(), expected);
    assert_eq!(services.header("content-type"), "application/json");
    assert_eq!(services.header("x-consul-index"), "", "the agent has no index");
    let checks = registry.get("/v1/agent/checks").await?;
    let expected = json!({"service:w1": {
        "Node": "n1", "CheckID": "service:w1", "Name": "Service 'web' check", "Status": "critical", "Notes": "nn",
        "Output": "", "ServiceID": "w1", "ServiceName": "web", "ServiceTags": ["a", "B"], "Type": "ttl",
        "Interval": "", "Timeout": "", "ExposedPort": 0, "Definition": {}, "CreateIndex": 0, "ModifyIndex": 0
    }});
    assert_eq!(checks.json(), expected);
    Ok(())
}

#[tokio::test]
async fn names_of_fields_are_taken_in_any_case_and_checks_are_numbered() -> Try {
    let registry = start().await?;
    let body = r#"{"NAME":"web","id":"w2","enable_tag_override":true,"tagged_addresses":{"wan":{"address":"h","port":1}},
        "weights":{"passing":3,"warning":0},"checks":[{"checkid":"own","ttl":"30s","status":"passing"},
        {"http":"http://127.0.0.1:1/","interval":"1m","deregister_critical_service_after":"90m"},
        {"tcp":"127.0.0.1:1","interval":10000000000,"timeout":"500ms"}]}"#;
    registry.write("/v1/agent/service/register", body).await?;
    let service = registry.get("/v1/agent/service/w2").await?.json();
    assert_eq!(service["Weights"], json!({"Passing": 3, "Warning": 0}));
    assert_eq!(service["TaggedAddresses"], json!({"wan": {"Address": "h", "Port": 1}}));
    assert_eq!(service["EnableTagOverride"], json!(true));
    let checks = registry.get("/v1/agent/checks").await?.json();
    for (id, kind, status, interval, timeout) in [
        ("own", "ttl", Some("passing"), "", ""),
        ("service:w2:2", "http", None, "1m0s", ""),
        ("service:w2:3", "tcp", None, "10s", "500ms"),
    ] {
        let check = &checks[id];
        assert_eq!(check["Type"], kind, "{id}");
        assert_eq!((&check["Interval"], &check["Timeout"]), (&json!(interval), &json!(timeout)), "{id}");
        if let Some(status) = status {
            assert_eq!(check["Status"], status);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_definition_is_refused_with_a_reason_and_leaves_nothing() -> Try {
    let registry = start().await?;
    for (body, status, text) in [
        ("", 400, "Request decode failed: EOF"),
        (r#"{"name":"x""#, 400, "Request decode failed: unexpected EOF"),
        (r#"{"name":"x","foo":1}"#, 400, r#"Request decode failed: json: unknown field "foo""#),
        (
            r#"{"name":"x","Port":"80"}"#,
            400,
            "Request decode failed: json: cannot unmarshal string into field Port of type int",
        ),
        (r#"{"name":"x","Port":65536}"#, 400, "Invalid Port: 65536 is not a whole number from 0 to 65535"),
        ("{}", 400, "Missing service name"),
        (r#"{"name":"x","Address":"0.0.0.0"}"#, 400, "Invalid service address"),
        (r#"{"name":"x","Weights":{"Passing":0}}"#, 400, "Invalid Weights: Passing must be greater than 0"),
        (
            r#"{"name":"x","Weights":{"Passing":65536}}"#,
            400,
            "Invalid Weights: DNS Weight must be between 0 and 65535",
        ),
        (
            r#"{"name":"x","Meta":{"a.b":"0"}}"#,
            400,
            "Invalid Service Meta: Couldn't load metadata pair ('a.b', '0'): Key contains invalid characters",
        ),
        (r#"{"name":"x","Check":{"Name":"c"}}"#, 400, "Invalid check: TTL must be > 0 for TTL checks"),
        (
            r#"{"name":"x","Check":{"TCP":"a:1"}}"#,
            400,
            "Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks",
        ),
        (
            r#"{"name":"x","Check":{"TTL":"10s","Status":"foo"}}"#,
            400,
            "Status for checks must 'passing', 'warning', 'critical'",
        ),
        (
            r#"{"name":"x","Check":{"Args":["a"],"Interval":"10s"}}"#,
            500,
            "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
        ),
        (
            r#"{"name":"x","Check":{"OSService":"a","Interval":"10s"}}"#,
            400,
            "Invalid check: OSService checks are not run by this registry; use another kind",
        ),
        (r#"{"name":"x","Proxy":{"Mode":"direct"}}"#, 400, "Proxy is not supported yet; leave it out"),
        (r#"{"name":"..","Port":1}"#, 400, "Invalid service name: \"..\" cannot stand in a URL's path"),
        ("{\"name\":\"a\\u0000b\"}", 400, "Invalid service name: \"a\\0b\" holds a control character"),
        (r#"{"name":"x","Connect":{},"Proxy":{},"Check":{}}"#, 200, ""),
    ] {
        let reply = registry.put("/v1/agent/service/register", body).await?;
        assert_eq!((reply.status, reply.body.as_str()), (status, text), "{body}");
        let kind = if status == 200 { "application/json" } else { "text/plain; charset=utf-8" };
        assert_eq!(reply.header("content-type"), kind);
    }
    let services = registry.get("/v1/agent/services").await?.json();
    assert_eq!(services.as_object().map(|services| services.len()), Some(1));
    assert_eq!(registry.get("/v1/agent/checks").await?.body, "{}");
    Ok(())
}

#[tokio::test]
async fn reports_change_the_status_and_unknown_ids_are_404() -> Try {
    let registry = start().await?;
    registry.write("/v1/agent/service/register", W1).await?;
    registry
        .write("/v1/agent/check/register", r#"{"ID":"t","Name":"t","TCP":"127.0.0.1:1","Interval":"1h"}"#)
        .await?;
    let check = async || -> Try<(String, String)> {
        let check = registry.get("/v1/agent/checks").await?.json()["service:w1"].clone();
        Ok((check["Status"].to_string(), check["Output"].to_string()))
    };
    for (path, body, status, output) in [
        ("pass/service:w1?note=hi%20there", "", "passing", "hi there"),
        ("warn/service:w1", "", "warning", ""),
        ("fail/service:w1?note=x", "", "critical", "x"),
        ("update/service:w1", r#"{"Status":"passing","Output":"all"}"#, "passing", "all"),
    ] {
        registry.write(&format!("/v1/agent/check/{path}"), body).await?;
        assert_eq!(check().await?, (format!("{status:?}"), format!("{output:?}")), "{path}");
    }
    let no_check = "Unknown check ID \"nope\". Ensure that the check ID is passed, not the check name.";
    let no_service =
        "Unknown service ID \"nope\". Ensure that the service ID is passed, not the service name.";
    for (path, body, status, text) in [
        ("check/pass/nope", "", 404, no_check),
        ("check/deregister/nope", "", 404, no_check),
        ("check/pass/t", "", 500, "CheckID \"t\" does not have associated TTL"),
        ("check/update/service:w1", r#"{"Status":"zz"}"#, 400, "Invalid check status: 'zz'"),
        ("check/update/service:w1", r#"{"X":1}"#, 400, "Request decode failed: json: unknown field \"X\""),
        ("check/register", r#"{"TTL":"10s"}"#, 400, "Missing check name"),
        ("check/register", r#"{"Name":"x","TTL":"10s","Status":"q"}"#, 400, "Bad check status"),
        (
            "check/register",
            r#"{"Name":"x","ServiceID":"nope","TTL":"10s"}"#,
            404,
            "ServiceID \"nope\" does not exist",
        ),
        ("service/deregister/nope", "", 404, no_service),
        (
            "service/deregister/consul",
            "",
            404,
            "Unknown service ID \"consul\". Ensure that the service ID is passed, not the service name.",
        ),
        ("service/maintenance/nope?enable=true", "", 404, no_service),
        ("service/maintenance/w1", "", 400, "Missing value for enable"),
        ("service/maintenance/w1?enable=zz", "", 400, "Invalid value for enable: \"zz\""),
        ("service/maintenance/", "", 400, "Missing service ID"),
        ("maintenance", "", 400, "Missing value for enable"),
    ] {
        let reply = registry.put(&format!("/v1/agent/{path}"), body).await?;
        assert_eq!((reply.status, reply.body.as_str()), (status, text), "{path} {body}");
    }
    Ok(())
}

#[tokio::test]
async fn the_health_of_an_instance_is_a_status_code() -> Try {
    let registry = start().await?;
    registry.write("/v1/agent/service/register", W1).await?;
    let by_id = "/v1/agent/health/service/id/w1";
    for (write, status, word) in [
        ("check/fail/service:w1", 503, "critical"),
        ("check/warn/service:w1", 429, "warning"),
        ("check/pass/service:w1", 200, "passing"),
        ("service/maintenance/w1?enable=true", 503, "maintenance"),
        ("service/maintenance/w1?enable=0", 200, "passing"),
        ("maintenance?enable=true&reason=why", 503, "maintenance"),
    ] {
        registry.write(&format!("/v1/agent/{write}"), "").await?;
        let reply = registry.get(by_id).await?;
        assert_eq!(
            (reply.status, reply.json()["AggregatedStatus"].as_str()),
            (status, Some(word)),
            "{write}"
        );
        let text = registry.get("/v1/agent/health/service/name/web?format=text").await?;
        assert_eq!((text.status, text.body.as_str()), (status, word));
    }
    let unknown = registry.get("/v1/agent/health/service/id/nope").await?;
    let nothing = json!({"AggregatedStatus": "critical", "Service": null, "Checks": null});
    assert_eq!((unknown.status, unknown.json()), (404, nothing));
    assert_eq!(unknown.header("x-consul-reason"), "ServiceId nope not found");
    let unknown = registry.get("/v1/agent/health/service/name/nope").await?;
    assert_eq!((unknown.status, unknown.body.as_str()), (404, "[]"));
    Ok(())
}

#[tokio::test]
async fn who_answers_is_told() -> Try {
    let registry = start().await?;
    let about = registry.get("/v1/agent/self").await?.json();
    assert_eq!((&about["Config"]["NodeName"], &about["Config"]["Datacenter"]), (&json!("n1"), &json!("dc1")));
    assert_eq!(about["Member"], registry.get("/v1/agent/members").await?.json()[0]);
    Ok(())
}
