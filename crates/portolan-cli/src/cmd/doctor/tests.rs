//! The table of findings in the documents, the order of what is told, and how it is written. Here too: what the tests of
//! the families build on.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use portolan::{CheckScope, CheckState, Identity, Instance, Status};

use super::{
    finding::{Code, Finding, Level},
    seen::{Check, SERF, Seen},
    *,
};

/// An instance with checks of its own, on a node whose agent lives.
pub(super) fn instance(service: &str, node: &str, id: &str, own: &[Status]) -> Instance {
    let one = Instance::new(Identity::new("dc1", node, id), service, "10.0.0.1", 80);
    let mut checks = vec![CheckState::new(SERF, "", Status::Passing, CheckScope::Node)];
    checks.extend(own.iter().map(|status| CheckState::new(id, "", *status, CheckScope::Service)));
    one.with_checks(checks)
}

/// A registry with these instances, on nodes that others can reach.
pub(super) fn seen(instances: impl IntoIterator<Item = Instance>) -> Seen {
    let mut seen = Seen { registry: "Consul at http://127.0.0.1:8500".to_owned(), ..Seen::default() };
    seen.agent.node = "n1".to_owned();
    seen.agent.datacenter = "dc1".to_owned();
    let mut nodes = BTreeSet::new();
    for one in instances {
        nodes.insert(one.identity.node.to_string());
        seen.services.entry(Arc::clone(&one.service)).or_default().push(Arc::new(one));
    }
    seen.nodes = nodes.into_iter().map(|_node| "10.0.0.1".to_owned()).collect();
    seen
}

/// A check of an instance on the asked agent's node.
pub(super) fn check(id: &str, service: &str, status: Status) -> Check {
    Check {
        node: "n1".to_owned(),
        id: id.to_owned(),
        service_id: format!("{service}-1"),
        service: service.to_owned(),
        status,
        defined: Default::default(),
    }
}

/// The names of what was found, with what was seen.
pub(super) fn told(findings: &[Finding]) -> Vec<(&'static str, &str)> {
    findings.iter().map(|finding| (finding.code.facts().name, &*finding.what)).collect()
}

#[test]
fn the_documents_table_is_this_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/doctor.md");
    let document = fs::read_to_string(path).unwrap();
    let mut codes = Code::ALL.to_vec();
    codes.sort_by(|one, other| other.facts().level.cmp(&one.facts().level).then(one.cmp(other)));
    let mut table =
        String::from("| finding | level | what | why | mend |\n| --- | --- | --- | --- | --- |\n");
    for facts in codes.into_iter().map(Code::facts) {
        let cells = [facts.name, facts.level.as_str(), facts.title, facts.why, facts.mend];
        table.push_str(&format!("| `{}` | {} |\n", cells[0], cells[1..].join(" | ")));
    }
    assert!(document.contains(&table), "docs/doctor.md is to hold:\n{table}");
}

#[test]
fn every_finding_has_a_name_of_its_own_and_stands_in_the_list() {
    let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.facts().name).collect();
    assert_eq!(names.len(), Code::ALL.len());
    let mut sorted = Code::ALL;
    sorted.sort();
    assert_eq!(sorted, Code::ALL, "the order of harm is that of the list");
    assert_eq!(Code::ALL.last(), Some(&Code::SharedId), "a new one stands in the list too");
}

#[test]
fn the_most_harmful_is_told_first() {
    let of = |code, what: &str| Finding::new(code, what, ["x"]);
    let mut all = vec![
        of(Code::SharedId, "a"),
        of(Code::NoCheck, "b"),
        of(Code::NoCheck, "a"),
        of(Code::LeakedCritical, "z"),
        of(Code::NoLeader, "z"),
    ];
    finding::sort(&mut all);
    assert_eq!(
        told(&all),
        [
            ("no-leader", "z"),
            ("leaked-critical", "z"),
            ("no-check", "a"),
            ("no-check", "b"),
            ("shared-id", "a"),
        ]
    );
    assert!(Level::Critical > Level::Warning && Level::Warning > Level::Info);
}

#[test]
fn a_sound_registry_gets_one_line_that_says_what_was_examined() {
    let mut sound = seen([instance("web", "n1", "web-1", &[Status::Passing])]);
    sound.watched.time = Duration::from_millis(30_001);
    assert_eq!(judge(&mut sound), []);
    assert_eq!(
        page::page(&sound, &[], false),
        "fine nothing found: 1 node, 1 service, 1 instance and 0 checks of Consul at http://127.0.0.1:8500, \
         watched for 30.001s\n"
    );
}

#[test]
fn a_finding_is_told_with_where_why_and_how_to_mend_it() {
    let places: Vec<String> = (0..10).map(|place| format!("n\x1b/{place}")).collect();
    let findings = [Finding::new(Code::NoCheck, "web: 10 of 10 without a check", places)];
    let text = page::page(&seen([]), &findings, false);
    let facts = Code::NoCheck.facts();
    assert!(
        text.starts_with("warning  no-check  web: 10 of 10 without a check\n  where  n\\u{1b}/0, "),
        "{text}"
    );
    assert!(
        text.contains(" and 2 more\n") && text.contains(facts.why) && text.contains(facts.mend),
        "{text}"
    );
    assert!(
        text.ends_with(
            "1 warning: 0 nodes, 0 services, 0 instances and 0 checks of Consul at http://127.0.0.1:8500\n"
        ),
        "{text}"
    );
    let object = object::object(&seen([]), &findings);
    assert_eq!(object["findings"][0]["name"], "no-check");
    assert_eq!(object["findings"][0]["where"].as_array().unwrap().len(), 10);
    assert_eq!(object["examined"]["watched_ms"], 0);
}
