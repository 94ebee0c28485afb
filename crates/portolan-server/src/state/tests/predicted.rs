//! The state against a model of its own: flat maps that know the rules in a line each, and predict every answer.
//!
//! `against_model` holds that indexes move with answers; this holds that the answers are right.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    against_model::{REAP, Step, TTL, command, consistent, name, step},
    *,
};

#[derive(Clone, Debug)]
struct Check {
    of: String,
    status: Health,
    /// When silence turns it critical, in seconds since the start.
    expires: Option<u32>,
    critical_since: Option<u32>,
}

/// What the registry should hold. Nodes, instances and checks by name; times in seconds since the start.
#[derive(Clone, Debug, Default)]
struct Model {
    now: u32,
    far: BTreeSet<String>,
    /// By node and id: the name and port.
    instances: BTreeMap<(String, String), (String, u16)>,
    checks: BTreeMap<String, Check>,
    maintained: BTreeSet<String>,
    node_maintained: bool,
}

/// Node, id, port, and the checks with their statuses.
type Shown = (String, String, u16, Vec<(String, Health)>);

fn home(id: &str) -> (String, String) {
    ("home".to_owned(), id.to_owned())
}

impl Model {
    /// Does a step; says whether it should be accepted.
    fn take(&mut self, step: &Step) -> bool {
        match step {
            Step::Register { id, name: n, port, check } => {
                let id = format!("i{id}");
                self.instances.insert(home(&id), (name(*n), *port));
                if let Some(check) = check {
                    let new = Check {
                        of: id.clone(),
                        status: Health::Critical,
                        expires: None,
                        critical_since: None,
                    };
                    let check = self.checks.entry(format!("c{check}")).or_insert(new);
                    // A check that is there moves with its status, and a registration is a sign of life.
                    (check.of, check.expires) = (id, Some(self.now + TTL));
                }
                true
            }
            Step::Deregister { id } => self.remove(&format!("i{id}")),
            Step::Report { check, status } => {
                let Some(check) = self.checks.get_mut(&format!("c{check}")) else { return false };
                check.status = *status;
                check.expires = Some(self.now + TTL);
                let since = check.critical_since.unwrap_or(self.now);
                check.critical_since = (*status == Health::Critical).then_some(since);
                true
            }
            Step::Maintain { id, on } => {
                let id = format!("i{id}");
                let known = self.instances.contains_key(&home(&id));
                if !known {
                    return false;
                }
                if *on {
                    self.maintained.insert(id)
                } else {
                    self.maintained.remove(&id)
                };
                true
            }
            Step::MaintainNode { on } => {
                self.node_maintained = *on;
                true
            }
            Step::Far { node, id, name: n } => {
                let node = format!("far{node}");
                self.far.insert(node.clone());
                self.instances.insert((node, format!("i{id}")), (name(*n), 80));
                true
            }
            Step::FarGone { node } => {
                let node = format!("far{node}");
                self.far.remove(&node);
                self.instances.retain(|(on, _), _| *on != node);
                true
            }
            Step::Wait { seconds } => {
                self.now += seconds;
                self.pass();
                true
            }
        }
    }

    fn remove(&mut self, id: &str) -> bool {
        self.maintained.remove(id);
        self.checks.retain(|_, check| check.of != id);
        self.instances.remove(&home(id)).is_some()
    }

    /// What time does: silent checks turn critical, and what was critical for too long goes.
    fn pass(&mut self) {
        let now = self.now;
        for check in self.checks.values_mut().filter(|check| check.expires.is_some_and(|at| at <= now)) {
            (check.expires, check.status) = (None, Health::Critical);
            check.critical_since = check.critical_since.or(Some(now));
        }
        let long = |check: &&Check| check.critical_since.is_some_and(|since| since + REAP <= now);
        let gone: Vec<String> = self.checks.values().filter(long).map(|check| check.of.clone()).collect();
        for id in gone {
            self.remove(&id);
        }
    }

    fn shown(&self, name: &str, passing: bool) -> Vec<Shown> {
        let mut shown = Vec::new();
        for ((node, id), (of, port)) in self.instances.iter().filter(|(_, (of, _))| of == name) {
            assert_eq!(of, name);
            let mut checks = Vec::new();
            if node == "home" {
                checks
                    .extend(self.node_maintained.then(|| ("_node_maintenance".to_owned(), Health::Critical)));
                checks.push(("serfHealth".to_owned(), Health::Passing));
                let maintained = self.maintained.get(id);
                checks.extend(maintained.map(|id| (format!("_service_maintenance:{id}"), Health::Critical)));
                let own = self.checks.iter().filter(|(_, check)| check.of == *id);
                checks.extend(own.map(|(id, check)| (id.clone(), check.status)));
            }
            if !passing || checks.iter().all(|(_, status)| *status == Health::Passing) {
                shown.push((node.clone(), id.clone(), *port, checks));
            }
        }
        shown
    }
}

fn shown(state: &State, name: &str, passing: bool) -> Vec<Shown> {
    let narrow = Narrow { passing, ..Narrow::default() };
    let checks = |entry: &Entry| {
        entry.checks.iter().map(|check| (check.facts.id.to_string(), check.facts.status)).collect()
    };
    let entries = state.entries(name, &narrow);
    entries
        .iter()
        .map(|entry| {
            let spec = &entry.service.spec;
            (entry.node.spec.name.to_string(), spec.id.to_string(), spec.port, checks(entry))
        })
        .collect()
}

proptest! {
    #[test]
    fn every_answer_is_the_one_that_the_model_predicts(steps in prop::collection::vec(step(), 1..60)) {
        let (mut state, begun) = start();
        let mut model = Model::default();
        for step in &steps {
            let accepted = model.take(step);
            let now = begun + SECOND * model.now;
            match command(step) {
                Some(command) => {
                    let (reply, changes) = state.apply(command, now);
                    prop_assert_eq!(reply.is_ok(), accepted, "{:?}", step);
                    prop_assert!(accepted || changes == Changes::default(), "refused, and changed something: {:?}", step);
                }
                None => drop(state.tick(now)),
            }
            for (name, passing) in (0..3).flat_map(|n| [(name(n), false), (name(n), true)]) {
                prop_assert_eq!(shown(&state, &name, passing), model.shown(&name, passing), "{} after {:?}", name, step);
            }
            let known: BTreeSet<String> = state.nodes.keys().map(|name| name.to_string()).collect();
            let expected: BTreeSet<String> = model.far.iter().cloned().chain(["home".to_owned()]).collect();
            prop_assert_eq!(known, expected);
            // The clock is told of whatever comes first, and never of what has been done.
            let deadlines = |check: &Check| [check.expires, check.critical_since.map(|since| since + REAP)];
            let first = model.checks.values().flat_map(deadlines).flatten().min();
            if let Some(first) = first {
                prop_assert!(state.next_deadline().is_some_and(|at| at <= begun + SECOND * first), "{:?}", step);
            }
            consistent(&state);
        }
    }
}
