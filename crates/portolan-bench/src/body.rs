//! A health answer as Consul 1.8 writes it: about 1,090 bytes an instance. PURE.
//!
//! In:  how many instances; a version of the one that changes. Out: the body, in the order of nodes and ids.

use serde_json::{Value, json};

/// So many instances run on a node.
const PER_NODE: usize = 8;

/// An answer with so many instances, of which the middle one says which version it is of.
pub(crate) fn body(instances: usize, version: u32) -> String {
    let entries: Vec<Value> = (0..instances)
        .map(|number| entry(number, if number == instances / 2 { version } else { 0 }))
        .collect();
    Value::Array(entries).to_string()
}

fn entry(number: usize, version: u32) -> Value {
    let node = number / PER_NODE;
    let address = format!("10.{}.{}.{}", node >> 16 & 255, node >> 8 & 255, node & 255);
    let (id, name) = (format!("web-{number:05}"), format!("node-{node:05}"));
    let check = |check: &str, title: &str, service: &str, output: &str| {
        json!({
            "Node": name, "CheckID": check, "Name": title, "Status": "passing", "Notes": "", "Output": output,
            "ServiceID": service, "ServiceName": if service.is_empty() { "" } else { "web" },
            "ServiceTags": if service.is_empty() { json!([]) } else { json!(["http", "v1.4.2"]) },
            "Type": "", "Definition": {},
            "CreateIndex": 20 + number, "ModifyIndex": 20 + number,
        })
    };
    json!({
        "Node": {
            "ID": format!("5b7f3a1c-0000-4000-8000-{node:012}"), "Node": name, "Address": address, "Datacenter": "dc1",
            "TaggedAddresses": {"lan": address, "lan_ipv4": address, "wan": address, "wan_ipv4": address},
            "Meta": {"consul-network-segment": ""},
            "CreateIndex": 12, "ModifyIndex": 14,
        },
        "Service": {
            "ID": id, "Service": "web", "Tags": ["http", "v1.4.2"], "Address": "",
            "Meta": {"version": "1.4.2", "zone": "eu-1a"}, "Port": 8_000 + number % 1_000,
            "Weights": {"Passing": 1 + version, "Warning": 1}, "EnableTagOverride": false,
            "Proxy": {"Mode": "", "MeshGateway": {}, "Expose": {}}, "Connect": {},
            "CreateIndex": 20 + number, "ModifyIndex": 20 + number,
        },
        "Checks": [
            check("serfHealth", "Serf Health Status", "", "Agent alive and reachable"),
            check(&format!("service:{id}"), "Service 'web' check", &id, "HTTP 200 OK"),
        ],
    })
}
