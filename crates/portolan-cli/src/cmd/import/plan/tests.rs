//! What is missing is written, what is the same is not, what differs is left alone.

use serde_json::json;

use super::*;

fn node(address: &str, instances: &[(&str, u16)], checks: &[(&str, Option<&str>, &str)]) -> Node {
    let mut node = Node::default();
    node.own.insert("Address".to_owned(), address.into());
    for (id, port) in instances {
        node.instances.insert((*id).to_owned(), json!({ "ID": id, "Service": "web", "Port": port }));
    }
    for (id, of, status) in checks {
        let mut check = json!({ "CheckID": id, "Status": status });
        if let Some(of) = of {
            check["ServiceID"] = (*of).into();
        }
        node.checks.insert((*id).to_owned(), check);
    }
    node
}

fn dump(nodes: &[(&str, Node)], keys: &[(&str, &str, u64)]) -> Dump {
    let mut dump = Dump::default();
    dump.nodes = nodes.iter().map(|(name, node)| ((*name).to_owned(), node.clone())).collect();
    let key = |value: &str, index| Key { value: value.to_owned(), flags: 0, index };
    dump.keys = keys.iter().map(|(name, value, index)| ((*name).to_owned(), key(value, *index))).collect();
    dump
}

fn own(name: &str, keeps: bool) -> Own {
    Own { name: name.to_owned(), keeps }
}

/// By a name that no plan takes.
fn compared(source: &Dump, there: &Dump, own: &Own, overwrite: bool) -> Plan {
    plan(source, there, own, overwrite)
}

fn counts(nodes: usize, instances: usize, checks: usize, keys: usize) -> Counts {
    Counts { nodes, instances, checks, keys }
}

fn written(plan: &Plan) -> Counts {
    let mut all = counts(0, 0, 0, plan.keys.len());
    plan.registrations.iter().for_each(|one| all.add(one.counts));
    all
}

#[test]
fn all_is_written_where_nothing_is_and_nothing_where_all_is() {
    let checks = [("c1", Some("w1"), "passing"), ("nc", None, "passing")];
    let source = dump(
        &[("n1", node("a", &[("w1", 1), ("w2", 2)], &checks)), ("bare", node("b", &[], &[]))],
        &[("k", "v", 9)],
    );
    let plan = compared(&source, &Dump::default(), &own("here", true), false);
    assert_eq!(written(&plan), counts(2, 2, 2, 1));
    assert_eq!(
        plan.registrations[0].body,
        json!({ "Node": "bare", "Address": "b", "SkipNodeUpdate": false })
    );
    let first = &plan.registrations[1].body;
    assert_eq!(
        (first["Service"]["ID"].as_str(), first["Checks"][0]["CheckID"].as_str()),
        (Some("w1"), Some("c1"))
    );
    assert_eq!(plan.keys[0].index, 0, "only where it is not there");

    let again = compared(&source, &source, &own("here", true), true);
    assert_eq!(
        (written(&again), again.same, again.differs),
        (counts(0, 0, 0, 0), counts(2, 2, 2, 1), counts(0, 0, 0, 0))
    );
}

#[test]
fn what_differs_is_left_alone_unless_it_is_to_be_replaced() {
    let checks = |status| [("c1", Some("w1"), status), ("c2", Some("w2"), "passing")];
    let source = dump(&[("n1", node("a", &[("w1", 1), ("w2", 2)], &checks("passing")))], &[("k", "v", 9)]);
    let there =
        dump(&[("n1", node("b", &[("w1", 7), ("w2", 2)], &checks("critical")))], &[("k", "other", 5)]);
    let plan = compared(&source, &there, &own("here", true), false);
    assert_eq!((written(&plan), plan.differs), (counts(0, 0, 0, 0), counts(1, 1, 1, 1)));
    assert_eq!(plan.same, counts(0, 1, 1, 0));

    let plan = compared(&source, &there, &own("here", true), true);
    assert_eq!((written(&plan), plan.differs), (counts(1, 1, 1, 1), counts(0, 0, 0, 0)));
    assert_eq!(plan.keys[0].index, 5, "only if nobody changed it meanwhile");
}

#[test]
fn the_agents_own_node_is_never_written_over_and_left_out_where_that_would_be_undone() {
    let source = dump(&[("here", node("a", &[("w1", 1), ("w2", 2)], &[]))], &[]);
    let there = dump(&[("here", node("b", &[("w1", 7)], &[]))], &[]);
    let plan = compared(&source, &there, &own("here", true), true);
    assert_eq!((written(&plan), plan.differs), (counts(0, 1, 0, 0), counts(0, 1, 0, 0)));
    assert_eq!(plan.registrations[0].body["SkipNodeUpdate"], true);
    let plan = compared(&source, &there, &own("here", false), true);
    assert_eq!(written(&plan), counts(0, 0, 0, 0));
    assert!(plan.left_out[0].starts_with("node \"here\" was left out: "));
}

#[test]
fn a_check_that_is_missing_comes_to_an_instance_that_is_the_same() {
    let source = dump(&[("n1", node("a", &[("w1", 1)], &[("c1", Some("w1"), "passing")]))], &[]);
    let there = dump(&[("n1", node("a", &[("w1", 1)], &[]))], &[]);
    let plan = compared(&source, &there, &own("here", true), false);
    assert_eq!(written(&plan), counts(0, 0, 1, 0));
    let body = &plan.registrations[0].body;
    assert!(body.get("Service").is_none() && body["SkipNodeUpdate"] == true, "{body}");
}
