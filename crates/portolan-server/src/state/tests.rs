//! The rules of the state, a test each; `against_model` holds all of them against random steps.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails, as it should")]

use std::time::Duration;

use super::{
    rows::{Ask, Pairs, Probe},
    *,
};

mod acls;
mod against_model;
mod aliases;
mod kv;
mod kv_model;
mod predicted;
mod prepared;
mod restored;
mod txn;

const SECOND: Duration = Duration::from_secs(1);

fn start() -> (State, Instant) {
    let now = tokio::time::Instant::now().into_std();
    (State::new(node("home"), now), now)
}

fn node(name: &str) -> NodeSpec {
    let (tagged, meta) = (None, Some(Pairs::new()));
    NodeSpec { name: name.into(), id: "".into(), address: "10.0.0.1".into(), tagged, meta }
}

fn spec(name: &str, id: &str) -> ServiceSpec {
    ServiceSpec { port: 80, tags: Arc::from(["Blue".into()]), ..ServiceSpec::new(name, id) }
}

fn ttl(id: &str, seconds: u32) -> CheckSpec {
    CheckSpec::new(id, id, Probe::Ttl(SECOND * seconds))
}

fn tcp(id: &str) -> CheckSpec {
    let ask = Ask::Tcp { target: "127.0.0.1:1".into(), tls: None };
    let probe = Probe::Run { ask, interval: SECOND, timeout: None };
    CheckSpec::new(id, id, probe)
}

fn register(spec: ServiceSpec, checks: Vec<CheckSpec>) -> Command {
    Command::RegisterService { service: Box::new(spec), checks, others: OtherChecks::Keep }
}

fn report(check: &str, status: Health, output: &str) -> Command {
    Command::Report { check: check.into(), status, output: output.into() }
}

fn key(name: &str) -> Key {
    Key::Service(name.into())
}

impl State {
    fn ok(&mut self, command: Command, now: Instant) -> Changes {
        let (reply, changes) = self.apply(command, now);
        assert_eq!(reply, Ok(()));
        changes
    }

    fn status(&self, id: &str) -> Health {
        self.check("home", id).unwrap().facts.status
    }

    fn output(&self, id: &str) -> &str {
        &self.check("home", id).unwrap().facts.output
    }
}

#[test]
fn a_change_moves_the_index_of_what_it_changed_and_of_nothing_else() {
    let (mut state, now) = start();
    state.ok(register(spec("web", "w1"), vec![ttl("c", 30)]), now);
    state.ok(register(spec("db", "d1"), vec![]), now);
    let (web, db, services) =
        (state.index(&key("web")), state.index(&key("db")), state.index(&Key::Services));
    assert!(web < db && db == services);

    let changes = state.ok(report("c", Health::Passing, ""), now);
    assert_eq!(state.index(&key("web")), db + 1);
    assert_eq!((state.index(&key("db")), state.index(&Key::Services)), (db, services));
    let wakes = [Key::Checks, Key::NodeChecks("home".into()), key("web")];
    assert_eq!(changes.keys, BTreeSet::from(wakes));
}

#[test]
fn the_same_definition_again_changes_no_index() {
    let (mut state, now) = start();
    let again = || register(spec("web", "w1"), vec![ttl("c", 30), tcp("t")]);
    state.ok(again(), now);
    state.ok(report("c", Health::Passing, "well"), now);
    let last = state.index.last();
    assert_eq!(state.ok(again(), now), Changes::default());
    assert_eq!((state.index.last(), state.status("c")), (last, Health::Passing));
    let mut other = spec("web", "w1");
    other.port = 81;
    assert!(state.ok(register(other, vec![]), now).keys.contains(&key("web")));
}

#[test]
fn a_service_that_is_not_there_has_the_index_of_the_last_extinction() {
    let (mut state, now) = start();
    assert_eq!(state.index(&key("never")), 1);
    state.ok(register(spec("web", "w1"), vec![]), now);
    state.ok(register(spec("web", "w2"), vec![]), now);
    state.ok(Command::DeregisterService { id: "w1".into() }, now);
    assert_eq!(state.index(&key("never")), 1, "one instance is left");
    let before = state.index(&key("web"));
    state.ok(Command::DeregisterService { id: "w2".into() }, now);
    assert!(state.index(&key("web")) > before);
    assert_eq!(state.index(&key("never")), state.index(&key("web")));
    let gone = state.index(&key("web"));
    state.ok(register(spec("web", "w1"), vec![]), now);
    assert!(state.index(&key("web")) > gone);
}

#[test]
fn an_instance_that_changes_its_service_leaves_the_old_one() {
    let (mut state, now) = start();
    state.ok(register(spec("old", "x"), vec![ttl("c", 30)]), now);
    let changes = state.ok(register(spec("new", "x"), vec![]), now);
    assert!(changes.keys.contains(&key("old")) && changes.keys.contains(&key("new")));
    assert!(state.entries("old", &Narrow::default()).is_empty());
    let entries = state.entries("new", &Narrow::default());
    let of = entries[0].checks.last().unwrap().facts.of.clone().unwrap();
    assert_eq!((&*of.name, entries.len()), ("new", 1), "its checks follow");
}

#[test]
fn what_is_refused_changes_nothing() {
    let (mut state, now) = start();
    state.ok(register(spec("web", "w1"), vec![tcp("t")]), now);
    let last = state.index.last();
    let unknown = || Text::from("nope");
    let check = || Box::new(ttl("x", 30));
    for (command, refused) in [
        (Command::DeregisterService { id: unknown() }, Refused::UnknownService(unknown())),
        (Command::DeregisterService { id: "consul".into() }, Refused::UnknownService("consul".into())),
        (Command::DeregisterCheck { id: unknown() }, Refused::UnknownCheck(unknown())),
        (Command::DeregisterCheck { id: "serfHealth".into() }, Refused::UnknownCheck("serfHealth".into())),
        (
            Command::RegisterCheck { check: check(), service: Some(unknown()) },
            Refused::NoSuchService(unknown()),
        ),
        (report("nope", Health::Passing, ""), Refused::UnknownCheck(unknown())),
        (report("t", Health::Passing, ""), Refused::NotTtl("t".into())),
        (
            Command::Maintenance { service: Some(unknown()), reason: Some("".into()) },
            Refused::UnknownService(unknown()),
        ),
    ] {
        let shown = format!("{command:?}");
        assert_eq!(state.apply(command, now), (Err(refused), Changes::default()), "{shown}");
    }
    assert_eq!(state.index.last(), last);
}

#[test]
fn a_silent_ttl_turns_critical_and_a_long_critical_instance_goes() {
    let (mut state, now) = start();
    let mut check = ttl("c", 10);
    check.initial = Some(Health::Passing);
    check.deregister_after = Some(SECOND * 60);
    state.ok(register(spec("web", "w1"), vec![check]), now);
    assert_eq!(state.next_deadline(), Some(now + SECOND * 10));

    state.ok(report("c", Health::Passing, "fine"), now + SECOND * 9);
    assert_eq!(state.tick(now + SECOND * 18), Changes::default());
    assert_eq!(state.next_deadline(), Some(now + SECOND * 19));

    let changes = state.tick(now + SECOND * 19);
    assert!(changes.keys.contains(&key("web")));
    assert_eq!(state.status("c"), Health::Critical);
    assert_eq!(state.output("c"), "TTL expired (last output before timeout follows): fine");

    assert_eq!(state.next_deadline(), Some(now + SECOND * 79));
    let changes = state.tick(now + SECOND * 79);
    assert!(changes.keys.contains(&key("web")) && changes.probes.is_empty(), "nobody runs a TTL check");
    assert!(state.entries("web", &Narrow::default()).is_empty());
    assert_eq!(state.next_deadline(), None);
}

#[test]
fn one_report_in_time_saves_a_critical_instance() {
    let (mut state, now) = start();
    let mut check = ttl("c", 10);
    check.deregister_after = Some(SECOND * 60);
    state.ok(register(spec("web", "w1"), vec![check]), now);
    state.tick(now + SECOND * 10);
    state.ok(report("c", Health::Warning, ""), now + SECOND * 69);
    state.tick(now + SECOND * 79);
    assert_eq!(state.next_deadline(), Some(now + SECOND * 139), "critical since 79 s");
    assert_eq!(state.entries("web", &Narrow::default()).len(), 1);
}

#[test]
fn thresholds_count_runs_in_a_row() {
    use Health::{Critical, Passing, Warning};
    let (mut state, now) = start();
    let mut check = tcp("t");
    (check.success_before_passing, check.failures_before_warning, check.failures_before_critical) = (2, 2, 4);
    state.ok(register(spec("web", "w1"), vec![check]), now);
    let generation = state.probe_order("t").unwrap().generation;
    for (turn, (ran, shown)) in [
        // The first run decides, as in Consul.
        (Passing, Passing),
        (Passing, Passing),
        (Critical, Passing),
        (Critical, Warning),
        (Critical, Warning),
        (Critical, Critical),
        (Passing, Critical),
        (Critical, Critical),
        (Passing, Critical),
        (Warning, Warning),
    ]
    .into_iter()
    .enumerate()
    {
        let outcome = Command::Outcome { check: "t".into(), generation, status: ran, output: "".into() };
        state.ok(outcome, now);
        assert_eq!(state.status("t"), shown, "turn {turn}");
    }
}

#[test]
fn the_outcome_of_an_older_definition_does_not_count() {
    let (mut state, now) = start();
    state.ok(register(spec("web", "w1"), vec![tcp("t")]), now);
    let old = state.probe_order("t").unwrap().generation;
    let mut other = tcp("t");
    other.notes = "new".into();
    let changes = state.ok(register(spec("web", "w1"), vec![other]), now);
    assert!(changes.probes.contains("t"));
    let outcome = |generation| Command::Outcome {
        check: "t".into(),
        generation,
        status: Health::Passing,
        output: "".into(),
    };
    state.ok(outcome(old), now);
    assert_eq!(state.status("t"), Health::Critical);
    state.ok(outcome(state.probe_order("t").unwrap().generation), now);
    assert_eq!(state.status("t"), Health::Passing);
}

#[test]
fn a_new_output_alone_wakes_nobody_until_later() {
    let (mut state, now) = start();
    state.ok(register(spec("web", "w1"), vec![ttl("c", 3600)]), now);
    state.ok(report("c", Health::Passing, "one"), now);
    let index = state.index(&key("web"));
    for n in 2..5 {
        let changes = state.ok(report("c", Health::Passing, &format!("note {n}")), now + SECOND * n);
        assert_eq!(changes, Changes::default());
    }
    assert_eq!((&*state.agent_checks()[0].output, state.output("c")), ("note 4", "one"));
    assert_eq!(state.next_deadline(), Some(now + SECOND * 302));
    let changes = state.tick(now + SECOND * 302);
    assert!(changes.keys.contains(&key("web")) && state.index(&key("web")) == index + 1);
    assert_eq!(state.output("c"), "note 4");
}

#[test]
fn maintenance_is_a_critical_check_and_keeps_its_first_reason() {
    let (mut state, now) = start();
    state.ok(register(spec("web", "w1"), vec![]), now);
    let on = |reason: &str| Command::Maintenance { service: Some("w1".into()), reason: Some(reason.into()) };
    state.ok(on("upgrade"), now);
    assert_eq!(state.ok(on("other"), now), Changes::default());
    let check = state.check("home", "_service_maintenance:w1").unwrap();
    assert_eq!(
        (&*check.facts.notes, check.facts.status, &*check.facts.kind),
        ("upgrade", Health::Critical, "maintenance")
    );
    let passing = Narrow { passing: true, ..Narrow::default() };
    assert!(state.entries("web", &passing).is_empty());
    state.ok(Command::Maintenance { service: Some("w1".into()), reason: None }, now);
    assert_eq!(state.entries("web", &passing).len(), 1);

    let changes = state.ok(Command::Maintenance { service: None, reason: Some("".into()) }, now);
    assert!(changes.keys.contains(&key("web")), "a sick node concerns its instances");
    assert!(state.entries("web", &passing).is_empty());
}

#[test]
fn replacing_the_checks_removes_those_that_are_not_named() {
    let (mut state, now) = start();
    state.ok(register(spec("web", "w1"), vec![tcp("a"), ttl("b", 30)]), now);
    state.ok(register(spec("web", "w1"), vec![ttl("b", 30)]), now);
    assert_eq!(state.agent_checks().len(), 2, "kept unless asked");
    let only = Command::RegisterService {
        service: Box::new(spec("web", "w1")),
        checks: vec![ttl("b", 30)],
        others: OtherChecks::Remove,
    };
    let changes = state.ok(only, now);
    assert!(changes.probes.contains("a") && changes.keys.contains(&key("web")));
    assert_eq!(state.agent_checks().len(), 1);
}

#[test]
fn lists_are_narrowed_by_passing_tags_and_node_meta() {
    let (mut state, now) = start();
    let mut passing = ttl("c", 30);
    passing.initial = Some(Health::Passing);
    state.ok(register(spec("web", "w1"), vec![passing]), now);
    state.ok(register(spec("web", "w2"), vec![ttl("d", 30)]), now);
    let pair = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
    for (narrow, found) in [
        (Narrow::default(), 2),
        (Narrow { passing: true, ..Narrow::default() }, 1),
        (Narrow { tags: vec!["bLUE".into()], ..Narrow::default() }, 2),
        (Narrow { tags: vec!["blue".into(), "red".into()], ..Narrow::default() }, 0),
        (Narrow { node_meta: pair("k", "v"), ..Narrow::default() }, 0),
    ] {
        assert_eq!(state.entries("web", &narrow).len(), found, "{narrow:?}");
    }
}

fn external(node_name: &str, service: Option<ServiceSpec>, checks: Vec<CatalogCheck>) -> Command {
    let node = node(node_name);
    Command::CatalogRegister(Box::new(CatalogEntry { node, skip_node_update: false, service, checks }))
}

#[test]
fn the_catalogue_takes_nodes_elsewhere_and_leaves_the_agents_own_alone() {
    let (mut state, now) = start();
    state.ok(register(spec("web", "w1"), vec![ttl("c", 30)]), now);
    let check = |id: &str, service: Option<&str>| {
        let facts = CheckFacts { id: id.into(), of: None, ..state_check() };
        CatalogCheck { facts, service: service.map(Into::into) }
    };
    state.ok(external("far", Some(spec("web", "w1")), vec![check("n", None), check("s", Some("w1"))]), now);
    let entries = state.entries("web", &Narrow::default());
    let listed: Vec<_> = entries.iter().map(|entry| (&*entry.node.spec.name, entry.checks.len())).collect();
    assert_eq!(listed, [("far", 2), ("home", 2)], "by node, then by id");

    let last = state.index.last();
    state.ok(external("home", Some(spec("evil", "w1")), vec![check("c", None)]), now);
    let drop = |node: &str, service: Option<&str>, check: Option<&str>| Command::CatalogDeregister {
        node: node.into(),
        service: service.map(Into::into),
        check: check.map(Into::into),
    };
    state.ok(drop("home", None, None), now);
    state.ok(drop("home", Some("w1"), None), now);
    state.ok(drop("home", None, Some("c")), now);
    state.ok(drop("nowhere", None, None), now);
    assert_eq!(state.index.last(), last, "none of these did anything");
    let orphan = external("far", None, vec![check("x", Some("none"))]);
    assert_eq!(
        state.apply(orphan, now).0,
        Err(Refused::OrphanCheck { check: "x".into(), service: "none".into() })
    );

    let before = state.index(&key("web"));
    state.ok(drop("far", None, None), now);
    assert_eq!(state.entries("web", &Narrow::default()).len(), 1);
    assert!(state.index(&key("web")) > before && state.node("far").is_none());
}

fn state_check() -> CheckFacts {
    CheckFacts {
        id: "".into(),
        name: "".into(),
        notes: "".into(),
        status: Health::Passing,
        output: "".into(),
        kind: "".into(),
        interval: "".into(),
        timeout: "".into(),
        of: None,
        definition: None,
    }
}

#[test]
fn a_long_output_is_cut_and_says_so() {
    assert_eq!(&*cut("short"), "short");
    let cut_down = cut(&"x".repeat(5001));
    assert!(cut_down.ends_with("x ... (captured 4096 of 5001 bytes)"), "{}", cut_down.len());
    let cut_down = cut(&"é".repeat(3000));
    assert!(cut_down.ends_with("é ... (captured 4096 of 6000 bytes)"));
}

#[test]
fn what_there_is_is_counted_by_the_worst_of_its_checks() {
    let (mut state, now) = start();
    state.ok(register(spec("web", "none"), vec![]), now);
    state.ok(register(spec("web", "well"), vec![ttl("a", 30)]), now);
    state.ok(register(spec("web", "ill"), vec![ttl("b", 30), ttl("c", 30)]), now);
    state.ok(register(spec("db", "dead"), vec![ttl("d", 30), ttl("e", 30)]), now);
    state.ok(register(spec("db", "out"), vec![ttl("f", 30)]), now);
    for (check, status) in [
        ("a", Health::Passing),
        ("b", Health::Warning),
        ("c", Health::Passing),
        ("d", Health::Warning),
        ("f", Health::Passing),
    ] {
        state.ok(report(check, status, ""), now);
    }
    let out = |reason: Option<&str>| Command::Maintenance {
        service: Some("out".into()),
        reason: reason.map(Text::from),
    };
    state.ok(out(Some("upgrade")), now);
    let tally = state.tally();
    assert_eq!(tally.index, state.last_index());
    // With the service `consul`, which the registry itself is.
    assert_eq!((tally.nodes, tally.services), (1, 3));
    assert_eq!(tally.instances, [3, 1, 1, 1]);
    // The node has one too; those of the maintenance and of the one that never reported are critical.
    assert_eq!(tally.checks, [4, 2, 2]);
    state.ok(out(None), now);
    assert_eq!(state.tally().instances, [4, 1, 1, 0]);
}
