//! The catalogue and health endpoints, and what all endpoints have in common.

use serde_json::{Value, json};

use crate::client::{Try, start};

/// A body without what differs from run to run.
fn plain(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                *field = match name.as_str() {
                    "CreateIndex" | "ModifyIndex" => json!("index"),
                    "ID" if field.as_str().is_some_and(|id| id.len() == 36) => json!("uuid"),
                    _ => plain(field.take()),
                };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = plain(item.take())),
        _ => {}
    }
    value
}

#[tokio::test]
async fn an_instance_in_health_and_catalogue_is_consuls_to_the_field() -> Try {
    let registry = start().await?;
    registry
        .write(
            "/v1/agent/service/register",
            r#"{"name":"bare","port":7,"check":{"ttl":"1m","status":"passing"}}"#,
        )
        .await?;
    let lan = "127.0.0.1";
    let tagged = json!({"lan": lan, "lan_ipv4": lan, "wan": lan, "wan_ipv4": lan});
    let meta = json!({"consul-network-segment": "", "consul-version": "1.21.0"});
    let node = json!({"ID": "uuid", "Node": "n1", "Address": lan, "Datacenter": "dc1", "TaggedAddresses": tagged,
        "Meta": meta, "CreateIndex": "index", "ModifyIndex": "index"});
    let proxy = json!({"Mode": "", "MeshGateway": {}, "Expose": {}});
    let check = |id: &str, name: &str, output: &str, service: (&str, &str), kind: &str| {
        json!({"Node": "n1", "CheckID": id, "Name": name, "Status": "passing", "Notes": "", "Output": output,
            "ServiceID": service.0, "ServiceName": service.1, "ServiceTags": [], "Type": kind, "Interval": "",
            "Timeout": "", "ExposedPort": 0, "Definition": {}, "CreateIndex": "index", "ModifyIndex": "index"})
    };
    let serf = check("serfHealth", "Serf Health Status", "Agent alive and reachable", ("", ""), "");
    let own = check("service:bare", "Service 'bare' check", "", ("bare", "bare"), "ttl");
    let service = json!({"ID": "bare", "Service": "bare", "Tags": [], "Address": "", "Meta": null, "Port": 7,
        "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": false, "Proxy": proxy, "Connect": {},
        "PeerName": "", "CreateIndex": "index", "ModifyIndex": "index"});
    let health = registry.get("/v1/health/service/bare?passing").await?;
    assert_eq!(plain(health.json()), json!([{"Node": node, "Service": service, "Checks": [serf, own]}]));
    let flat = json!([{"ID": "uuid", "Node": "n1", "Address": lan, "Datacenter": "dc1", "TaggedAddresses": tagged,
        "NodeMeta": meta, "ServiceKind": "", "ServiceID": "bare", "ServiceName": "bare", "ServiceTags": [],
        "ServiceAddress": "", "ServiceWeights": {"Passing": 1, "Warning": 1}, "ServiceMeta": {}, "ServicePort": 7,
        "ServiceSocketPath": "", "ServiceEnableTagOverride": false, "ServiceProxy": proxy, "ServiceConnect": {},
        "ServiceLocality": null, "CreateIndex": "index", "ModifyIndex": "index"}]);
    assert_eq!(plain(registry.get("/v1/catalog/service/bare").await?.json()), flat);
    assert_eq!(plain(registry.get("/v1/health/node/n1").await?.json()), json!([serf, own]));
    assert_eq!(plain(registry.get("/v1/health/checks/bare").await?.json()), json!([own]));
    assert_eq!(plain(registry.get("/v1/catalog/nodes").await?.json()), json!([node]));
    assert_eq!(plain(registry.get("/v1/catalog/node/n1").await?.json())["Services"]["bare"], service);
    for (name, value) in [
        ("x-consul-knownleader", "true"),
        ("x-consul-lastcontact", "0"),
        ("x-consul-effective-consistency", "leader"),
        ("x-consul-default-acl-policy", "allow"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(health.header(name), value, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_is_empty_and_never_index_0() -> Try {
    let registry = start().await?;
    for (path, body) in [
        ("health/service/nope", "[]"),
        ("catalog/service/nope", "[]"),
        ("catalog/node/nope", "null"),
        ("catalog/node-services/nope", r#"{"Node":null,"Services":null}"#),
        ("health/node/nope", "[]"),
        ("health/checks/nope", "[]"),
        ("health/state/nonsense", "[]"),
        ("catalog/services", r#"{"consul":[]}"#),
    ] {
        let reply = registry.get(&format!("/v1/{path}")).await?;
        assert_eq!((reply.status, reply.body.as_str()), (200, body), "{path}");
        assert!(reply.index() >= 1, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn wrong_requests_get_consuls_words() -> Try {
    let registry = start().await?;
    for (method, path, status, text) in [
        (
            "GET",
            "/v1/health/service/x?stale&consistent",
            400,
            "Cannot specify ?stale with ?consistent, conflicting semantics.",
        ),
        (
            "GET",
            "/v1/health/service/x?cached&consistent",
            400,
            "Cannot specify ?cached with ?consistent, conflicting semantics.",
        ),
        ("GET", "/v1/health/service/x?index=x", 400, "Invalid index"),
        ("GET", "/v1/health/service/x?index=-1", 400, "Invalid index"),
        ("GET", "/v1/health/service/x?wait=1", 400, "Invalid wait time"),
        ("GET", "/v1/health/service/x?passing=zz", 400, "Invalid value for ?passing"),
        ("GET", "/v1/health/service/x?dc=zz", 500, "No path to datacenter"),
        ("GET", "/v1/status/leader?dc=zz", 500, "No path to datacenter"),
        ("GET", "/v1/health/service/", 400, "Missing service name"),
        (
            "GET",
            "/v1/health/service/x?ns=foo",
            400,
            "Invalid query parameter: \"ns\" - Namespaces are a Consul Enterprise feature",
        ),
        ("PUT", "/v1/status/leader", 405, "method PUT not allowed"),
        ("POST", "/v1/agent/service/register", 405, "method POST not allowed"),
        ("GET", "/v1/agent/check/pass/x", 405, "method GET not allowed"),
        ("GET", "/v1/queries", 404, "Invalid URL path: not a recognized HTTP API endpoint\n"),
        ("GET", "/v1/status/leader/", 404, "Invalid URL path: not a recognized HTTP API endpoint\n"),
        ("GET", "/v1/catalog/%0a", 400, ""),
        ("OPTIONS", "/v1/status/leader", 200, ""),
        ("GET", "/v1/status/leader", 200, "\"127.0.0.1:8300\""),
        ("GET", "/v1/status/peers", 200, "[\"127.0.0.1:8300\"]"),
        ("GET", "/v1/catalog/datacenters?pretty", 200, "[\n    \"dc1\"\n]\n"),
    ] {
        let reply = registry.send(method, path, "").await?;
        assert_eq!((reply.status, reply.body.as_str()), (status, text), "{method} {path}");
    }
    assert_eq!(registry.put("/v1/status/leader", "").await?.header("allow"), "OPTIONS,GET");
    assert_eq!(registry.get("/v1/agent/maintenance").await?.header("allow"), "OPTIONS,PUT");
    let moved = registry.get("/v1/catalog//service/%20x?tag=a").await?;
    assert_eq!((moved.status, moved.header("location")), (307, "/v1/catalog/service/%20x?tag=a"));
    Ok(())
}

#[tokio::test]
async fn tags_narrow_without_case_and_all_must_match() -> Try {
    let registry = start().await?;
    registry.write("/v1/agent/service/register", r#"{"name":"web","id":"a","tags":["Blue","v1"]}"#).await?;
    registry.write("/v1/agent/service/register", r#"{"name":"web","id":"b","tags":["blue"]}"#).await?;
    for (query, found) in
        [("", 2), ("?tag=BLUE", 2), ("?tag=blue&tag=V1", 1), ("?tag=red", 0), ("?near=_agent", 2)]
    {
        for path in ["health", "catalog"] {
            let reply = registry.get(&format!("/v1/{path}/service/web{query}")).await?;
            assert_eq!(reply.json().as_array().map(Vec::len), Some(found), "{path} {query}");
        }
    }
    assert_eq!(registry.get("/v1/catalog/services").await?.json()["web"], json!(["Blue", "blue", "v1"]));
    Ok(())
}

#[tokio::test]
async fn lists_are_narrowed_by_the_nodes_meta_as_it_is_now() -> Try {
    let registry = start().await?;
    for (zone, found) in [("a", 1), ("b", 0), ("a", 1)] {
        let body = format!(
            r#"{{"Node":"far","Address":"10.1.1.1","NodeMeta":{{"zone":"{zone}"}},"Service":{{"Service":"web"}},
            "Check":{{"Name":"c","Status":"passing"}}}}"#
        );
        registry.write("/v1/catalog/register", &body).await?;
        for list in
            ["catalog/services", "catalog/nodes", "health/state/any", "health/service/web", "health/node/far"]
        {
            let shown = registry.get(&format!("/v1/{list}?node-meta=zone:a")).await?.json();
            let count = shown.as_array().map(Vec::len).or(shown.as_object().map(|names| names.len()));
            assert_eq!(count, Some(found), "{list} in zone {zone}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn nodes_elsewhere_come_and_go_through_the_catalogue() -> Try {
    let registry = start().await?;
    let far = r#"{"Node":"far","Address":"10.1.1.1","Service":{"Service":"web","Port":8080},
        "Check":{"CheckID":"fc","Name":"far check","Status":"passing","ServiceID":"web"}}"#;
    let reply = registry.put("/v1/catalog/register", far).await?;
    assert_eq!((reply.status, reply.body.as_str(), reply.header("x-consul-index")), (200, "true", ""));
    let index = registry.get("/v1/health/service/web").await?.index();
    registry.write("/v1/catalog/register", far).await?;
    let health = registry.get("/v1/health/service/web?passing=1").await?;
    assert_eq!(health.index(), index, "the same again changes no index");
    let entry = health.json()[0].clone();
    assert_eq!((&entry["Node"]["Meta"], &entry["Node"]["TaggedAddresses"]), (&Value::Null, &Value::Null));
    assert_eq!(
        (&entry["Checks"][0]["Type"], entry["Checks"].as_array().map(Vec::len)),
        (&json!(""), Some(1))
    );
    for (path, body, status, text) in [
        ("register", r#"{"Address":"10.1.1.1"}"#, 500, "Must provide node"),
        ("register", r#"{"Node":"x"}"#, 500, "Must provide address if SkipNodeUpdate is not set"),
        (
            "register",
            r#"{"Node":"x","Address":"a","Service":{"ID":"a"}}"#,
            500,
            "Must provide service name (Service.Service) when service ID is provided",
        ),
        (
            "register",
            r#"{"Node":"x","Address":"a","Check":{"Name":"c","ServiceID":"no"}}"#,
            500,
            "Unknown service ID 'no' for check ID 'c'",
        ),
        ("register", r#"{"Node":"x","Address":"a","Datacenter":"dc9"}"#, 500, "No path to datacenter"),
        (
            "register",
            r#"{"Node":"x","Address":"a","Foo":1}"#,
            400,
            "Request decode failed: json: unknown field \"Foo\"",
        ),
        ("deregister", "{}", 500, "Must provide node"),
        ("deregister", r#"{"Node":"gone"}"#, 200, "true"),
        ("deregister", r#"{"Node":"far"}"#, 200, "true"),
    ] {
        let reply = registry.put(&format!("/v1/catalog/{path}"), body).await?;
        assert_eq!((reply.status, reply.body.as_str()), (status, text), "{path} {body}");
    }
    assert_eq!(registry.get("/v1/health/service/web").await?.body, "[]");
    assert_eq!(registry.get("/v1/catalog/nodes").await?.json().as_array().map(Vec::len), Some(1));
    Ok(())
}
