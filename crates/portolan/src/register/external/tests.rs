//! What is refused before anything is sent, and what is written.

use std::collections::BTreeMap;

use super::{plan::*, *};
use crate::{
    model::{CheckId, ServiceId, ServiceName, Status},
    registry::{NodeCheck, NodeDefinition, NodePart, NodeService, memory::Memory},
};

fn database() -> ExternalNode {
    ExternalNode::new("db-eu", "10.9.0.7")
        .meta("zone", "eu")
        .check(ExternalCheck::new("alive", Status::Passing))
        .service(postgres())
}

fn postgres() -> ExternalService {
    let connects = ExternalCheck::new("connects", Status::Warning).named("pg").output("slow");
    ExternalService::new("postgres", 5432).id("pg-1").tag("primary").check(connects)
}

fn check(id: &str) -> CheckId {
    CheckId::new(id).unwrap()
}

fn service(id: &str) -> ServiceId {
    ServiceId::new(id).unwrap()
}

#[test]
fn a_node_has_its_marks_and_everything_an_id() {
    let node = database().service(ExternalService::new("ssh", 22).address("10.9.0.8")).define().unwrap();
    let meta: Vec<_> = node.meta.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(meta, [("external-node", "true"), ("external-probe", "false"), ("zone", "eu")]);
    assert_eq!(database().probed().define().unwrap().meta["external-probe"], "true");
    let mut expected = NodeService::new(ServiceName::new("postgres").unwrap(), 5432);
    expected.tags.push("primary".into());
    expected.checks.insert(check("connects"), NodeCheck::new("pg", Status::Warning, "slow"));
    assert_eq!(node.services[&service("pg-1")], expected);
    assert_eq!(node.services[&service("ssh")].address, "10.9.0.8");
    assert_eq!(node.checks[&check("alive")], NodeCheck::new("alive", Status::Passing, ""));
}

/// A node with something wrong, and how the error begins.
fn wrong() -> Vec<(ExternalNode, &'static str)> {
    let with = |service| ExternalNode::new("n", "10.9.0.7").service(service);
    let checked = |check| ExternalNode::new("n", "10.9.0.7").check(check);
    let alive = |id: &str| ExternalCheck::new(id, Status::Passing);
    let many = (0..257).fold(database(), |node, n| node.service(ExternalService::new(format!("s{n}"), 1)));
    vec![
        (ExternalNode::new("", "10.9.0.7"), "external.name: node name: \"\" is empty"),
        (ExternalNode::new("a/b", "10.9.0.7"), "external.name: node name: \"a/b\""),
        (ExternalNode::new("n", ""), "external.address: \"\" is empty"),
        (ExternalNode::new("n", "0.0.0.0"), "external.address: \"0.0.0.0\" means every address"),
        (ExternalNode::new("n", "10.9.0.7:80"), "external.address: \"10.9.0.7:80\" is neither"),
        (database().meta("external-node", "false"), "external.meta.external-node: the key is always"),
        (
            database().meta("external-probe", "true"),
            "external.meta.external-probe: the key is set by probed()",
        ),
        (database().meta("consul-x", "1"), "external.meta.consul-x: the key begins with \"consul-\""),
        (database().meta("a.b", "1"), "external.meta: the key \"a.b\""),
        (checked(alive("")), "external.check[0].id: check id: \"\" is empty"),
        (checked(alive("serfHealth")), "external.check[0].id: \"serfHealth\" is written by Consul"),
        (checked(alive("_node_maintenance")), "external.check[0].id: \"_node_maintenance\" is written"),
        (checked(alive("a")).check(alive("a")), "external.check[1].id: \"a\" is the id of another"),
        (checked(ExternalCheck::new("a", Status::Maintenance)), "external.check[0].status: maintenance"),
        (checked(alive("a").output("x".repeat(4097))), "external.check[0].output: it has 4097 bytes"),
        (with(ExternalService::new("", 1)), "external.service[0].name: service name: \"\""),
        (with(ExternalService::new("s", 1).id("..")), "external.service[0].id: service id: \"..\""),
        (with(ExternalService::new("s", 1).address("::")), "external.service[0].address: \"::\" means every"),
        (with(ExternalService::new("s", 1).tag("")), "external.service[0].tags[0]: it is empty"),
        (with(ExternalService::new("s", 1).meta("", "")), "external.service[0].meta: the key \"\""),
        (
            with(ExternalService::new("s", 1).weights(crate::Weights { passing: 0, warning: 1 })),
            "external.service[0].weights.passing: 0",
        ),
        (
            database().service(postgres()),
            "external.service[1].check[0].id: \"connects\" is the id of another",
        ),
        (
            database().service(ExternalService::new("pg-1", 1)),
            "external.service[1].id: \"pg-1\" is the id of",
        ),
        (many, "external.service: 258 are given; 256 are allowed"),
    ]
}

#[tokio::test]
async fn what_is_wrong_is_named_before_anything_is_sent() {
    // It keeps no external nodes and says so at the first call, so another error shows that there was none.
    let guard = Arc::new(Guard::new(Arc::new(Memory::new()), 1, std::time::Duration::from_secs(5)));
    for (node, named) in wrong() {
        let error = put(&guard, &node).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Config, "{error}");
        assert!(error.to_string().starts_with(named), "{error}\n{named}");
        assert_eq!(node.validate().unwrap_err().to_string(), error.to_string());
    }
    let refused = put(&guard, &database()).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Rejected);
    assert!(refused.to_string().contains("keeps no external nodes"), "{refused}");
    assert_eq!(remove(&guard, &NodeName::new("n").unwrap()).await.unwrap_err().kind(), Kind::Rejected);
}

fn defined() -> NodeDefinition {
    database().define().unwrap()
}

#[test]
fn what_stands_at_a_limit_is_allowed() {
    let services = (0..256).fold(ExternalNode::new("n", "10.9.0.7"), |node, n| {
        node.service(ExternalService::new(format!("s{n}"), 1))
    });
    services.validate().unwrap();
    let checks = |count: u32| {
        let check = |n: u32| ExternalCheck::new(format!("c{n}"), Status::Passing).output("x".repeat(4096));
        (0..count).fold(ExternalNode::new("n", "10.9.0.7"), |node, n| node.check(check(n)))
    };
    checks(64).validate().unwrap();
    for count in [65, 66] {
        let says = format!("external.check: {count} are given; 64 are allowed");
        assert_eq!(checks(count).validate().unwrap_err().to_string(), says);
    }
}

#[test]
fn a_write_that_did_not_show_is_told_in_words() {
    let mut part = defined();
    let says = |write: Write| write.to_string();
    assert_eq!(says(Write::Put(part.clone())), "its service pg-1 as it was sent");
    part.services.clear();
    assert_eq!(says(Write::Put(part)), "its address, meta and checks as they were sent");
    assert_eq!(says(Write::Remove(NodePart::Node)), "that it is gone");
    assert_eq!(says(Write::Remove(NodePart::Service(service("pg-1")))), "that its service pg-1 is gone");
    assert_eq!(says(Write::Remove(NodePart::Check(check("alive")))), "that its check alive is gone");
}

/// The writes, each as a word.
fn words(wanted: &NodeDefinition, held: Option<&NodeDefinition>) -> Vec<String> {
    let writes = plan(wanted, held).unwrap();
    writes
        .iter()
        .map(|write| match write {
            Write::Put(part) => {
                let service = part.services.iter().next();
                let checks = part.checks.keys().chain(service.iter().flat_map(|(_, one)| one.checks.keys()));
                let checks: Vec<_> = checks.map(CheckId::as_str).collect();
                format!("{} {}", service.map_or("node", |(id, _)| id.as_str()), checks.join(","))
            }
            Write::Remove(NodePart::Node) => "no node".to_owned(),
            Write::Remove(NodePart::Service(id)) => format!("no service {id}"),
            Write::Remove(NodePart::Check(id)) => format!("no check {id}"),
        })
        .collect()
}

#[test]
fn only_what_differs_is_written() {
    let wanted = defined();
    assert_eq!(words(&wanted, None), ["node alive", "pg-1 connects"]);
    assert!(words(&wanted, Some(&wanted)).is_empty());
    let pg = |node: &mut NodeDefinition| node.services.remove(&service("pg-1")).unwrap();
    type Change = fn(&mut NodeDefinition);
    let changes: [(Change, &[&str]); 6] = [
        (|held| held.address.push('0'), &["node "]),
        (|held| held.meta.clear(), &["refused"]),
        (|held| held.checks.clear(), &["node alive"]),
        (|held| held.services.values_mut().for_each(|one| one.port = 1), &["pg-1 connects"]),
        (|held| held.services.values_mut().for_each(|one| one.checks.clear()), &["pg-1 connects"]),
        (|held| held.services.clear(), &["pg-1 connects"]),
    ];
    for (change, expected) in changes {
        let mut held = wanted.clone();
        change(&mut held);
        if expected == ["refused"] {
            assert_eq!(plan(&wanted, Some(&held)).unwrap_err().kind(), Kind::Conflict);
        } else {
            assert_eq!(words(&wanted, Some(&held)), expected);
        }
    }
    // What is no longer wanted goes: a check, and a service with its own.
    let mut held = wanted.clone();
    held.services.insert(service("old"), NodeService::new(ServiceName::new("old").unwrap(), 1));
    let spare = NodeCheck::new("", Status::Passing, "");
    held.checks.insert(check("spare"), spare.clone());
    held.services.get_mut(&service("pg-1")).unwrap().checks.insert(check("more"), spare.clone());
    assert_eq!(words(&wanted, Some(&held)), ["no check spare", "no check more", "no service old"]);
    // Of several checks of a service that is unchanged only the one that differs is sent.
    let mut two = wanted.clone();
    two.services.get_mut(&service("pg-1")).unwrap().checks.insert(check("more"), spare.clone());
    let mut held = two.clone();
    held.services.get_mut(&service("pg-1")).unwrap().checks.get_mut(&check("more")).unwrap().output =
        "new".into();
    assert_eq!(words(&two, Some(&held)), ["pg-1 more"]);
    // A check that moves from the node to the service is not taken away again.
    let mut held = wanted.clone();
    let mut moved = pg(&mut held);
    held.checks.append(&mut moved.checks);
    held.services.insert(service("pg-1"), moved);
    assert_eq!(words(&wanted, Some(&held)), ["pg-1 connects"]);
}

#[test]
fn what_others_put_on_a_node_by_custom_stays() {
    let wanted = defined();
    let mut held = wanted.clone();
    for id in ["externalNodeHealth", "_node_maintenance", "_service_maintenance:pg-1"] {
        held.checks.insert(check(id), NodeCheck::new("", Status::Critical, ""));
    }
    assert!(words(&wanted, Some(&held)).is_empty());
}

#[test]
fn a_node_with_an_agent_or_of_somebody_else_is_refused_with_the_reason() {
    let mut member = defined();
    member.checks.insert(check("serfHealth"), NodeCheck::new("Serf", Status::Critical, "left"));
    let mut other = defined();
    other.meta = BTreeMap::from([("external-source".to_owned(), "kubernetes".to_owned())]);
    for (held, says) in [
        (&member, "the node has an agent (it has the check serfHealth)"),
        (&other, "was not written as an external node"),
    ] {
        let refused = plan(&defined(), Some(held)).unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict);
        assert!(refused.to_string().contains(says), "{refused}");
        assert!(may_touch(held).is_err());
    }
    let name = NodeName::new("Db-eu").unwrap();
    let refused = not_of_the_agent(&name, "db-EU").unwrap_err();
    assert!(refused.to_string().contains("it is the node of the agent that is asked"), "{refused}");
    not_of_the_agent(&name, "db-us").unwrap();
}
