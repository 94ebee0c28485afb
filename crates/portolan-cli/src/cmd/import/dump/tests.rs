//! What is taken of a registry's answers, and documents that are read again.

use proptest::prelude::*;

use super::*;

fn dump() -> Dump {
    let mut dump = Dump::default();
    let node = json!({
        "Node": {
            "ID": "i", "Node": "n1", "Address": "10.0.0.1", "Datacenter": "dc1", "TaggedAddresses": { "lan": "10.0.0.1" },
            "Meta": { "consul-version": "1.21.4", "rack": "7" }, "CreateIndex": 5, "ModifyIndex": 7
        },
        "Services": {
            "consul": { "ID": "consul", "Service": "consul", "Port": 8300 },
            "w1": {
                "ID": "w1", "Service": "web", "Tags": ["a"], "Address": "", "Meta": null, "Port": 80,
                "TaggedAddresses": { "consul-virtual": { "Address": "240.0.0.1", "Port": 80 } },
                "Weights": { "Passing": 1, "Warning": 1 }, "EnableTagOverride": false,
                "Proxy": { "Mode": "", "MeshGateway": {}, "Expose": {} }, "Connect": {}, "CreateIndex": 10
            }
        }
    });
    let checks = json!([
        { "Node": "n1", "CheckID": "serfHealth", "Status": "passing" },
        { "Node": "n1", "CheckID": "c1", "Name": "c", "Status": "warning", "Output": "slow", "ServiceID": "w1",
          "ServiceName": "web", "ServiceTags": ["a"], "Definition": {}, "ModifyIndex": 9 }
    ]);
    dump.add_node("n1", &node, &checks);
    dump.add_keys(&json!([{ "Key": "a/b", "Value": "AHY=", "Flags": 7, "LockIndex": 1, "ModifyIndex": 12 }]));
    dump
}

#[test]
fn what_belongs_to_one_registry_alone_is_left() {
    let dump = dump();
    let node = &dump.nodes["n1"];
    let own = json!({ "Address": "10.0.0.1", "TaggedAddresses": { "lan": "10.0.0.1" }, "NodeMeta": { "rack": "7" } });
    assert_eq!(Value::Object(node.own.clone()), own);
    let service = json!({
        "ID": "w1", "Service": "web", "Tags": ["a"], "Port": 80, "Weights": { "Passing": 1, "Warning": 1 }
    });
    assert_eq!(node.instances, BTreeMap::from([("w1".to_owned(), service)]));
    let check =
        json!({ "CheckID": "c1", "Name": "c", "Status": "warning", "Output": "slow", "ServiceID": "w1" });
    assert_eq!(node.checks, BTreeMap::from([("c1".to_owned(), check)]));
    assert_eq!(dump.keys["a/b"], Key { value: "AHY=".to_owned(), flags: 7, index: 12 });
}

#[test]
fn a_node_whose_agent_is_down_is_left_out_and_told() {
    let mut dump = Dump::default();
    let checks = json!([{ "CheckID": "serfHealth", "Status": "critical" }]);
    dump.add_node("n1", &json!({ "Node": { "Address": "10.0.0.1" } }), &checks);
    assert!(dump.nodes.is_empty());
    assert_eq!(dump.left_out(), ["node \"n1\" was left out: its agent is down (serfHealth)"]);
}

#[test]
fn a_document_is_read_as_it_was_written_and_keys_as_consuls_command_has_them() {
    let mut written = dump();
    let again = Dump::parse(written.json(None).to_string().as_bytes()).unwrap();
    written.keys.values_mut().for_each(|key| key.index = 0);
    assert_eq!(again, written);
    let keys = written.json(Some(Part::Kv));
    assert_eq!(keys, json!([{ "key": "a/b", "flags": 7, "value": "AHY=" }]));
    assert_eq!(Dump::parse(keys.to_string().as_bytes()).unwrap(), written.only(Some(Part::Kv)));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, said) in [
        ("", "is no JSON: "),
        ("7", "is neither a document nor a list of keys"),
        ("{}", "format: is not \"portolan-export\"; "),
        (r#"{"format":"portolan-export","version":2}"#, "version: is not 1, "),
        (r#"{"format":"portolan-export","version":1,"nodes":7}"#, "nodes: is no list"),
        (
            r#"{"format":"portolan-export","version":1,"nodes":[{"Node":"n"}]}"#,
            "nodes[0]: Address: is missing",
        ),
        (
            r#"{"format":"portolan-export","version":1,"nodes":[{"Node":"n","Address":"a","Services":[{}]}]}"#,
            "nodes[0]: Services[0].ID: is missing",
        ),
        (r#"[{"key":"a"},{"value":"x"}]"#, "kv[1]: key: is missing"),
        (r#"[{"key":"a","flags":-1}]"#, "kv[0]: flags: is no whole number"),
    ] {
        let wrong = Dump::parse(text.as_bytes()).unwrap_err();
        assert!(wrong.starts_with(said), "{text}: {wrong}");
    }
}

proptest! {
    #[test]
    fn nothing_that_is_read_panics(text in "\\PC*") {
        let _read_or_refused = Dump::parse(text.as_bytes());
    }
}
