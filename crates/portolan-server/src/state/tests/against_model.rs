//! The state against a model so simple that it cannot be wrong: maps that are compared before and after each step.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Seconds of silence until a check is critical, and of being critical until its instance goes.
pub(super) const TTL: u32 = 20;
pub(super) const REAP: u32 = 60;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Register { id: u8, name: u8, port: u16, check: Option<u8> },
    Deregister { id: u8 },
    Report { check: u8, status: Health },
    Maintain { id: u8, on: bool },
    MaintainNode { on: bool },
    Far { node: u8, id: u8, name: u8 },
    FarGone { node: u8 },
    Wait { seconds: u32 },
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![Just(Health::Passing), Just(Health::Warning), Just(Health::Critical)];
    prop_oneof![
        4 => (0..4u8, 0..3u8, 0..2u16, prop::option::of(0..4u8))
            .prop_map(|(id, name, port, check)| Step::Register { id, name, port, check }),
        2 => (0..4u8).prop_map(|id| Step::Deregister { id }),
        4 => (0..4u8, status).prop_map(|(check, status)| Step::Report { check, status }),
        1 => (0..4u8, any::<bool>()).prop_map(|(id, on)| Step::Maintain { id, on }),
        1 => any::<bool>().prop_map(|on| Step::MaintainNode { on }),
        2 => (0..2u8, 0..3u8, 0..3u8).prop_map(|(node, id, name)| Step::Far { node, id, name }),
        1 => (0..2u8).prop_map(|node| Step::FarGone { node }),
        2 => (0..90u32).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

pub(super) fn name(n: u8) -> String {
    format!("s{n}")
}

pub(super) fn command(step: &Step) -> Option<Command> {
    Some(match step {
        Step::Register { id, name: n, port, check } => {
            let mut service = spec(&name(*n), &format!("i{id}"));
            service.port = *port;
            let checks = check.iter().map(|check| {
                let mut check = ttl(&format!("c{check}"), TTL);
                check.deregister_after = Some(SECOND * REAP);
                check
            });
            register(service, checks.collect())
        }
        Step::Deregister { id } => Command::DeregisterService { id: format!("i{id}").into() },
        Step::Report { check, status } => report(&format!("c{check}"), *status, ""),
        Step::Maintain { id, on } => {
            let reason = on.then(|| "r".into());
            Command::Maintenance { service: Some(format!("i{id}").into()), reason }
        }
        Step::MaintainNode { on } => Command::Maintenance { service: None, reason: on.then(|| "r".into()) },
        Step::Far { node, id, name: n } => {
            external(&format!("far{node}"), Some(spec(&name(*n), &format!("i{id}"))), vec![])
        }
        Step::FarGone { node } => {
            Command::CatalogDeregister { node: format!("far{node}").into(), service: None, check: None }
        }
        Step::Wait { .. } => return None,
    })
}

/// What a query would answer, as text; `CreateIndex` and `ModifyIndex` left out.
fn answer(state: &State, key: &Key) -> String {
    let everything = Narrow::default();
    match key {
        Key::Service(name) => {
            let entries = state.entries(name, &everything);
            let shown = entries.iter().map(|entry| {
                let checks: Vec<_> = entry.checks.iter().map(|check| &check.facts).collect();
                format!("{:?} {:?} {checks:?}", entry.node.spec, entry.service.spec)
            });
            shown.collect()
        }
        // What is done here changes no rules: `acls` has steps for those.
        Key::Tokens | Key::Policies => String::new(),
        // Nor any key or session: `kv_model` is about those.
        Key::Kv(_) | Key::KvBelow(_) | Key::Sessions | Key::Session(_) | Key::SessionsOn(_) => String::new(),
        Key::Queries | Key::Events => String::new(),
        Key::Services => {
            let rows = |node: &Node| -> Vec<_> {
                node.services.values().map(|held| held.row.spec.clone()).collect()
            };
            format!("{:?}", state.nodes.iter().map(|(name, node)| (name, rows(node))).collect::<Vec<_>>())
        }
        Key::Checks => {
            let facts: Vec<_> =
                state.checks_in(None, &everything).iter().map(|check| check.facts.clone()).collect();
            format!("{facts:?}")
        }
        Key::Nodes => {
            format!("{:?}", state.node_rows(&everything).iter().map(|row| &row.spec).collect::<Vec<_>>())
        }
        Key::Node(name) => {
            let found = state.node(name);
            let shown = found.map(|(node, rows)| {
                (node.spec.clone(), rows.iter().map(|row| row.spec.clone()).collect::<Vec<_>>())
            });
            format!("{shown:?}")
        }
        Key::NodeChecks(name) => {
            let checks = state.node_checks(name, &everything);
            let facts: Vec<_> = checks.iter().map(|check| &check.facts).collect();
            // A node without checks is not the same as no node: its index is its own.
            format!("{:?}", state.node(name).map(|_| facts))
        }
        Key::AgentService(id) => format!("{:?}", state.agent_service(id).map(|row| row.spec.clone())),
    }
}

fn keys() -> Vec<Key> {
    let mut keys = vec![Key::Nodes, Key::Services, Key::Checks];
    keys.extend((0..3).map(|n| key(&name(n))));
    keys.extend((0..4).map(|id| Key::AgentService(format!("i{id}").into())));
    for node in ["home", "far0", "far1"] {
        keys.extend([Key::Node(node.into()), Key::NodeChecks(node.into())]);
    }
    keys
}

proptest! {
    #[test]
    fn indexes_move_exactly_with_what_they_cover(steps in prop::collection::vec(step(), 1..40)) {
        let (mut state, mut now) = start();
        let look = |state: &State| -> BTreeMap<Key, (u64, String)> {
            keys().into_iter().map(|key| { let seen = (state.index(&key), answer(state, &key)); (key, seen) }).collect()
        };
        let mut before = look(&state);
        for step in &steps {
            let changes = match command(step) {
                Some(command) => state.apply(command, now).1,
                None => {
                    if let Step::Wait { seconds } = step {
                        now += SECOND * *seconds;
                    }
                    state.tick(now)
                }
            };
            let after = look(&state);
            for (key, (index, shown)) in &after {
                let (had_index, had) = &before[key];
                prop_assert!(index >= had_index, "{key:?} went down from {had_index} to {index} at {step:?}");
                let is_index = !matches!(key, Key::AgentService(_));
                if shown != had {
                    prop_assert!(changes.keys.contains(key), "{key:?} changed and was not told: {step:?}");
                    prop_assert!(!is_index || index > had_index, "{key:?} changed without a new index: {step:?}");
                } else {
                    prop_assert!(!changes.keys.contains(key), "{key:?} was told without a change: {step:?}");
                    // The index of what is not there follows the last extinction.
                    let absent = index_of_absence(key, shown);
                    prop_assert!(absent || !is_index || index == had_index, "{key:?} moved for nothing: {step:?}");
                }
            }
            consistent(&state);
            before = after;
        }
    }
}

fn index_of_absence(key: &Key, shown: &str) -> bool {
    match key {
        Key::Service(_) => shown.is_empty(),
        Key::Node(_) | Key::NodeChecks(_) => shown == "None",
        _ => false,
    }
}

/// What must hold of the state's own books after every step.
pub(super) fn consistent(state: &State) {
    for (name, instances) in &state.by_name {
        assert!(!instances.is_empty(), "{name} is listed without instances");
        for (node, id) in instances {
            assert_eq!(&state.nodes[node].services[id].row.spec.name, name);
        }
    }
    for id in state.live.keys() {
        assert!(state.check("home", id).is_some(), "{id} runs without a row");
    }
    for (at, id) in &state.deadlines {
        assert!(state.live.contains_key(id), "a deadline at {at:?} for {id}, which is gone");
    }
    for node in state.nodes.values() {
        for (check, service) in &node.owners {
            assert!(node.services[service].checks.contains_key(check), "{check} is owned and not held");
        }
    }
}
