//! What is to be written so that a registry holds what another does. PURE.
//!
//! In:  what is to be there, what is there, the node that the target's agent answers for. Out: registrations and keys to
//! write, in order; how much is there already, and how much differs.
//!
//! Never: plans a removal; a write over what differs, unless that was asked for; a check for an instance that is left alone.
//!
//! Proof: the tests here; `tests/copied.rs`, over processes.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::dump::{Dump, Key, Node};

/// The node that the target's own agent answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) name: String,
    /// Whether what is written there by others stays: a Consul's agent removes it with its next sync.
    pub(super) keeps: bool,
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) nodes: usize,
    pub(super) instances: usize,
    pub(super) checks: usize,
    pub(super) keys: usize,
}

impl Counts {
    pub(super) fn add(&mut self, more: Self) {
        self.nodes = self.nodes.saturating_add(more.nodes);
        self.instances = self.instances.saturating_add(more.instances);
        self.checks = self.checks.saturating_add(more.checks);
        self.keys = self.keys.saturating_add(more.keys);
    }

    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { nodes, instances, checks, keys } = self;
        write!(f, "{nodes} nodes, {instances} instances, {checks} checks, {keys} keys")
    }
}

/// One registration through the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Registration {
    pub(super) body: Value,
    pub(super) counts: Counts,
}

/// A key to write, if its last change is still this one; 0: if it is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Put {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) flags: u64,
    pub(super) index: u64,
}

/// What is to be done, and what is not.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) registrations: Vec<Registration>,
    pub(super) keys: Vec<Put>,
    /// As it should be.
    pub(super) same: Counts,
    /// Other than it should be, and left alone.
    pub(super) differs: Counts,
    pub(super) left_out: Vec<String>,
}

/// How a thing that is wanted stands to what is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Missing,
    Same,
    Differs,
}

fn stands<T: PartialEq>(wanted: &T, there: Option<&T>) -> Stands {
    match there {
        None => Stands::Missing,
        Some(there) if there == wanted => Stands::Same,
        Some(_) => Stands::Differs,
    }
}

/// Compares `source` with what is `there`.
pub(super) fn plan(source: &Dump, there: &Dump, own: &Own, overwrite: bool) -> Plan {
    let mut plan = Plan::default();
    for (name, node) in &source.nodes {
        let is_own = *name == own.name;
        if is_own && !own.keeps {
            plan.left_out.push(format!(
                "node {name:?} was left out: the registry's own agent has this name, and would remove what it does not know"
            ));
            continue;
        }
        let on = Places { name, is_own, there: there.nodes.get(name), overwrite: overwrite && !is_own };
        plan.node(&on, node);
    }
    for (key, wanted) in &source.keys {
        plan.key(key, wanted, there.keys.get(key), overwrite);
    }
    plan
}

/// Where a node's things are written.
struct Places<'a> {
    name: &'a str,
    is_own: bool,
    there: Option<&'a Node>,
    overwrite: bool,
}

impl Plan {
    fn node(&mut self, on: &Places<'_>, node: &Node) {
        let count = |nodes| Counts { nodes, ..Counts::default() };
        let stand =
            if on.is_own { Stands::Same } else { stands(&node.own, on.there.map(|there| &there.own)) };
        let writes_node = stand == Stands::Missing || (stand == Stands::Differs && on.overwrite);
        match stand {
            Stands::Same => self.same.add(count(1)),
            Stands::Differs if !writes_node => self.differs.add(count(1)),
            _ => {}
        }
        let mut base = if writes_node { node.own.clone() } else { Map::new() };
        base.insert("Node".to_owned(), on.name.into());
        base.insert("SkipNodeUpdate".to_owned(), (!writes_node).into());
        // The node is told with the first thing on it, or alone.
        let mut counts = count(usize::from(writes_node));
        let before = self.registrations.len();
        for (id, instance) in &node.instances {
            let checks = checks_of(node, Some(id));
            self.instance(on, &base, (id, instance), &checks, &mut counts);
        }
        let checks = self.wanted_checks(on, &checks_of(node, None));
        if !checks.is_empty() || (writes_node && self.registrations.len() == before) {
            self.register(base, None, checks, counts);
        }
    }

    fn instance(
        &mut self,
        on: &Places<'_>,
        base: &Map<String, Value>,
        (id, instance): (&str, &Value),
        checks: &BTreeMap<&str, &Value>,
        counts: &mut Counts,
    ) {
        let one = Counts { instances: 1, ..Counts::default() };
        let stand = stands(instance, on.there.and_then(|there| there.instances.get(id)));
        let writes = match stand {
            Stands::Missing => true,
            Stands::Same => {
                self.same.add(one);
                false
            }
            Stands::Differs if on.overwrite => true,
            Stands::Differs => {
                // A check of another instance would be told as one of this.
                self.differs.add(Counts { checks: checks.len(), ..one });
                return;
            }
        };
        let checks = self.wanted_checks(on, checks);
        if writes || !checks.is_empty() {
            let mut counts = std::mem::take(counts);
            counts.instances = usize::from(writes);
            self.register(base.clone(), writes.then_some(instance), checks, counts);
        }
    }

    fn wanted_checks(&mut self, on: &Places<'_>, checks: &BTreeMap<&str, &Value>) -> Vec<Value> {
        let one = Counts { checks: 1, ..Counts::default() };
        let mut wanted = Vec::new();
        for (id, check) in checks {
            match stands(*check, on.there.and_then(|there| there.checks.get(*id))) {
                Stands::Same => self.same.add(one),
                Stands::Differs if !on.overwrite => self.differs.add(one),
                Stands::Missing | Stands::Differs => wanted.push((*check).clone()),
            }
        }
        wanted
    }

    fn register(
        &mut self,
        mut body: Map<String, Value>,
        instance: Option<&Value>,
        checks: Vec<Value>,
        counts: Counts,
    ) {
        let counts = Counts { checks: checks.len(), ..counts };
        if let Some(instance) = instance {
            body.insert("Service".to_owned(), instance.clone());
        }
        if !checks.is_empty() {
            body.insert("Checks".to_owned(), checks.into());
        }
        self.registrations.push(Registration { body: Value::Object(body), counts });
    }

    fn key(&mut self, key: &str, wanted: &Key, there: Option<&Key>, overwrite: bool) {
        let one = Counts { keys: 1, ..Counts::default() };
        let is_same = there.is_some_and(|there| (&there.value, there.flags) == (&wanted.value, wanted.flags));
        match there {
            Some(_) if is_same => self.same.add(one),
            Some(_) if !overwrite => self.differs.add(one),
            _ => self.keys.push(Put {
                key: key.to_owned(),
                value: wanted.value.clone(),
                flags: wanted.flags,
                index: there.map_or(0, |there| there.index),
            }),
        }
    }
}

/// The checks of an instance, or of the node itself.
fn checks_of<'a>(node: &'a Node, instance: Option<&str>) -> BTreeMap<&'a str, &'a Value> {
    let of = |check: &Value| check.get("ServiceID").and_then(Value::as_str).map(str::to_owned);
    let checks = node.checks.iter().filter(|(_, check)| of(check).as_deref() == instance);
    checks.map(|(id, check)| (id.as_str(), check)).collect()
}

#[cfg(test)]
mod tests;
