//! A state that is restored from the rows of another answers as that one did, whatever was done to it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::state::rows::Mesh;

mod replaced;

#[derive(Clone, Debug)]
enum Step {
    Register { id: u8, name: u8, tag: u8, checks: Vec<(u8, u8)>, only: bool },
    Deregister { id: u8 },
    Check { check: u8, kind: u8, service: Option<u8> },
    DropCheck { check: u8 },
    Report { check: u8, status: Health, output: u8 },
    Outcome { check: u8, status: Health },
    Maintain { id: Option<u8>, on: bool },
    Far { node: u8, address: u8, id: Option<u8>, name: u8, check: Option<(u8, bool)> },
    FarGone { node: u8, id: Option<u8>, check: Option<u8> },
    Wait { seconds: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let status = || prop_oneof![Just(Health::Passing), Just(Health::Warning), Just(Health::Critical)];
    let (id, check, maybe) = (|| 0..4u8, || 0..5u8, |ids| prop::option::of(ids));
    prop_oneof![
        4 => (id(), 0..3u8, 0..2u8, prop::collection::vec((check(), 0..5u8), 0..3), any::<bool>())
            .prop_map(|(id, name, tag, checks, only)| Step::Register { id, name, tag, checks, only }),
        2 => id().prop_map(|id| Step::Deregister { id }),
        2 => (check(), 0..5u8, maybe(id()))
            .prop_map(|(check, kind, service)| Step::Check { check, kind, service }),
        1 => check().prop_map(|check| Step::DropCheck { check }),
        4 => (check(), status(), 0..2u8)
            .prop_map(|(check, status, output)| Step::Report { check, status, output }),
        2 => (check(), status()).prop_map(|(check, status)| Step::Outcome { check, status }),
        1 => (maybe(id()), any::<bool>()).prop_map(|(id, on)| Step::Maintain { id, on }),
        3 => (0..3u8, 0..2u8, maybe(0..3u8), 0..3u8, prop::option::of((check(), any::<bool>())))
            .prop_map(|(node, address, id, name, check)| Step::Far { node, address, id, name, check }),
        1 => (0..3u8, maybe(0..3u8), maybe(check()))
            .prop_map(|(node, id, check)| Step::FarGone { node, id, check }),
        2 => (0..400u32).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

fn service_id(id: u8) -> Text {
    format!("i{id}").into()
}

fn check_id(check: u8) -> Text {
    format!("c{check}").into()
}

fn check_spec(check: u8, kind: u8) -> CheckSpec {
    let mut spec = match kind {
        0 => tcp(&check_id(check)),
        1 => {
            let followed = Probe::Alias { node: None, service: Some(service_id(check % 4)) };
            CheckSpec::new(&check_id(check), "alias", followed)
        }
        kind => ttl(&check_id(check), u32::from(kind) * 10),
    };
    spec.deregister_after = (kind == 3).then_some(SECOND * 60);
    spec
}

/// Node 0 is the agent's own.
fn node_name(node: u8) -> Text {
    if node == 0 { "home".into() } else { format!("far{node}").into() }
}

fn far(node: u8, address: u8, service: Option<ServiceSpec>, check: Option<(u8, bool)>) -> Command {
    let on = service.as_ref().map(|service| Text::clone(&service.id));
    let check = check.map(|(check, of_service)| CatalogCheck {
        facts: CheckFacts { id: check_id(check), ..state_check() },
        service: on.filter(|_| of_service),
    });
    let node = NodeSpec { address: format!("10.0.1.{address}").into(), ..super::node(&node_name(node)) };
    let checks = check.into_iter().collect();
    Command::CatalogRegister(Box::new(CatalogEntry { node, skip_node_update: false, service, checks }))
}

fn command(state: &State, step: &Step) -> Option<Command> {
    let named = |name: u8, id: u8| spec(&format!("s{name}"), &service_id(id));
    Some(match step {
        Step::Register { id, name, tag, checks, only } => {
            let mut service = named(*name, *id);
            service.tags = Arc::from([format!("t{tag}").into()]);
            // Each other one says something of the mesh.
            service.mesh = (tag % 2 == 1).then(|| {
                let destination = format!("s{id}").into();
                Arc::new(Mesh { kind: "connect-proxy".into(), destination, ..Mesh::default() })
            });
            Command::RegisterService {
                service: Box::new(service),
                checks: checks.iter().map(|(check, kind)| check_spec(*check, *kind)).collect(),
                others: if *only { OtherChecks::Remove } else { OtherChecks::Keep },
            }
        }
        Step::Deregister { id } => Command::DeregisterService { id: service_id(*id) },
        Step::Check { check, kind, service } => {
            let check = Box::new(check_spec(*check, *kind));
            Command::RegisterCheck { check, service: service.map(service_id) }
        }
        Step::DropCheck { check } => Command::DeregisterCheck { id: check_id(*check) },
        Step::Report { check, status, output } => {
            report(&check_id(*check), *status, &format!("note {output}"))
        }
        Step::Outcome { check, status } => Command::Outcome {
            check: check_id(*check),
            generation: state.probe_order(&check_id(*check))?.generation,
            status: *status,
            output: "ran".into(),
        },
        Step::Maintain { id, on } => {
            Command::Maintenance { service: id.map(service_id), reason: on.then(|| "r".into()) }
        }
        Step::Far { node, address, id, name, check } => {
            far(*node, *address, id.map(|id| named(*name, id)), *check)
        }
        Step::FarGone { node, id, check } => Command::CatalogDeregister {
            node: node_name(*node),
            service: id.map(service_id),
            check: check.map(check_id),
        },
        Step::Wait { .. } => return None,
    })
}

/// Everything that can be asked, with every index of every row. Notes that the catalogue does not show yet are not kept.
fn answers(state: &State) -> Vec<String> {
    let all = Narrow::default();
    let mut told = vec![
        format!("{:?}", state.node_rows(&all)),
        format!("{:?}", state.service_names(&all)),
        format!("{:?}", state.checks_in(None, &all)),
        format!("{:?}", state.agent_services()),
        format!("{:?}", state.agent_checks().iter().map(|check| Arc::clone(&check.row)).collect::<Vec<_>>()),
        format!("{:?}", state.live.values().map(|live| Arc::clone(&live.spec)).collect::<Vec<_>>()),
        format!("{:?}", state.aliases),
    ];
    for name in ["consul", "s0", "s1", "s2"] {
        told.push(format!("{:?}", state.entries(name, &all)));
        told.push(format!("{:?}", state.service_checks(name, &all)));
    }
    for node in (0..3).map(node_name) {
        told.push(format!("{:?} {:?}", state.node(&node), state.node_checks(&node, &all)));
    }
    told
}

fn all_keys() -> Vec<Key> {
    let mut keys = vec![Key::Nodes, Key::Services, Key::Checks];
    keys.extend(["consul", "s0", "s1", "s2", "never"].map(key));
    keys.extend((0..4).flat_map(|node| [Key::Node(node_name(node)), Key::NodeChecks(node_name(node))]));
    keys
}

/// What a store would hold: rows by key, as bytes.
#[derive(Default)]
struct Disk(BTreeMap<RowKey, Vec<u8>>);

impl Disk {
    fn write(&mut self, changes: &Changes) {
        for (key, row) in &changes.rows {
            match row {
                Some(row) => self.0.insert(*key, row.encode().unwrap()),
                None => self.0.remove(key),
            };
        }
    }

    fn restore(&self, bound: u64, now: Instant) -> Restored {
        let rows = self.0.iter().map(|(key, bytes)| (*key, Kept::decode(bytes).unwrap()));
        State::restore(rows, bound, node("home"), now)
    }
}

fn begun() -> (State, Disk, Instant) {
    let (state, now) = start();
    let mut disk = Disk::default();
    let rows = state.rows().into_iter().map(|(key, row)| (key, Some(row))).collect();
    disk.write(&Changes { rows, ..Changes::default() });
    (state, disk, now)
}

proptest! {
    #[test]
    fn a_restored_state_answers_as_the_one_that_wrote_it(steps in prop::collection::vec(step(), 1..40)) {
        let (mut state, mut disk, mut now) = begun();
        for step in &steps {
            let before = (answers(&state), state.rows());
            let changes = match command(&state, step) {
                Some(command) => state.apply(command, now).1,
                None => {
                    if let Step::Wait { seconds } = step {
                        now += SECOND * *seconds;
                    }
                    state.tick(now)
                }
            };
            disk.write(&changes);
            let told = changes.rows.is_empty();
            prop_assert!(!told || before == (answers(&state), state.rows()), "no row for a change: {step:?}");
        }
        let bound = state.last_index() + 5;
        let Restored { state: mut again, changes, misfits } = disk.restore(bound, now);
        prop_assert_eq!(&misfits, &[]);
        prop_assert_eq!(changes, Changes::default());
        prop_assert_eq!(answers(&again), answers(&state));
        prop_assert_eq!(again.rows(), state.rows());
        for key in all_keys() {
            prop_assert!(again.index(&key) >= bound, "{key:?} is at {}", again.index(&key));
        }
        // What comes then is above all that was shown, and finds the state in order.
        for step in &steps {
            if let Some(command) = command(&again, step) {
                let changes = again.apply(command, now).1;
                prop_assert!(changes.keys.iter().all(|key| *key == Key::AgentService("".into())
                    || matches!(key, Key::AgentService(_)) || again.index(key) > bound));
                disk.write(&changes);
            }
        }
        against_model::consistent(&again);
        prop_assert_eq!(disk.restore(bound, now).state.rows(), again.rows());
    }
}

#[test]
fn a_heartbeat_that_changes_nothing_is_no_row() {
    let (mut state, _, now) = begun();
    let rows = state.ok(register(spec("web", "w1"), vec![ttl("c", 30)]), now).rows.len();
    assert_eq!(rows, 2, "an instance and a check");
    assert_eq!(state.ok(report("c", Health::Passing, "one"), now).rows.len(), 1);
    assert_eq!(state.ok(report("c", Health::Passing, "two"), now).rows, []);
    // The catalogue follows the output later, and that is a change.
    assert_eq!(state.tick(now + SECOND * 29), Changes::default());
}

#[test]
fn an_update_stays_under_the_key_of_its_creation() {
    let (mut state, _, now) = begun();
    let first = state.ok(register(spec("web", "w1"), vec![ttl("c", 30)]), now);
    let keys = |changes: &Changes| changes.rows.iter().map(|(key, _)| *key).collect::<Vec<_>>();
    let mut other = spec("db", "w1");
    other.port = 81;
    let again = state.ok(register(other, vec![ttl("c", 60)]), now);
    assert_eq!(keys(&again), keys(&first));
    let gone = state.ok(Command::DeregisterService { id: "w1".into() }, now);
    assert_eq!(keys(&gone), keys(&first));
    assert!(gone.rows.iter().all(|(_, row)| row.is_none()));
    let back = state.ok(register(spec("web", "w1"), vec![]), now);
    assert!(back.rows[0].0 > keys(&first)[1], "a key is never given twice");
}

#[test]
fn a_node_that_is_called_otherwise_keeps_its_id_and_all_that_is_on_it() {
    let (mut state, mut disk, now) = begun();
    disk.write(&state.ok(register(spec("web", "w1"), vec![ttl("c", 30)]), now));
    let rows = disk.0.iter().map(|(key, bytes)| (*key, Kept::decode(bytes).unwrap()));
    let wanted = NodeSpec { id: "of this life".into(), ..node("renamed") };
    let restored = State::restore(rows, 100, wanted, now);
    assert_eq!((restored.misfits, restored.changes.rows.len()), (vec![], 1));
    let (row, services) = restored.state.node("renamed").unwrap();
    assert_eq!((&*row.spec.id, row.modify, services.len()), ("", 101, 2));
    assert_eq!(restored.state.node_checks("renamed", &Narrow::default()).len(), 2);
    assert!(restored.state.node("home").is_none());
}

#[test]
fn what_does_not_fit_is_named_and_left_out() {
    let (mut state, _, now) = begun();
    state.ok(register(spec("web", "w1"), vec![ttl("c", 30)]), now);
    let mut rows = state.rows();
    let again =
        rows.iter().find(|(_, row)| row.describe() == "instance \"w1\" of \"web\"").unwrap().1.clone();
    rows.push((RowKey(90), again));
    let Kept::Check { row, .. } =
        rows.iter().find(|(_, row)| row.describe().starts_with("check \"c\"")).unwrap().1.clone()
    else {
        panic!()
    };
    rows.push((RowKey(91), Kept::Check { node: RowKey(77), row, spec: None }));
    let restored = State::restore(rows, 100, node("home"), now);
    let said: Vec<String> = restored.misfits.iter().map(Misfit::to_string).collect();
    assert_eq!(
        said,
        [
            "row 90: instance \"w1\" of \"web\" is there twice",
            "row 91: check \"c\" of instance \"w1\" is on a node that is not there",
        ]
    );
    assert_eq!(restored.state.rows(), state.rows());
}

#[test]
fn times_count_from_the_start_of_the_new_life() {
    let (mut state, mut disk, now) = begun();
    let mut check = ttl("c", 10);
    check.deregister_after = Some(SECOND * 60);
    disk.write(&state.ok(register(spec("web", "w1"), vec![check]), now));
    disk.write(&state.ok(report("c", Health::Passing, ""), now));
    let later = now + SECOND * 1000;
    let mut again = disk.restore(100, later).state;
    assert_eq!((again.status("c"), again.next_deadline()), (Health::Passing, Some(later + SECOND * 10)));
    disk.write(&again.tick(later + SECOND * 10));
    let mut third = disk.restore(200, later).state;
    assert_eq!((third.status("c"), third.next_deadline()), (Health::Critical, Some(later + SECOND * 10)));
    third.tick(later + SECOND * 60);
    assert!(third.entries("web", &Narrow::default()).is_empty());
}
