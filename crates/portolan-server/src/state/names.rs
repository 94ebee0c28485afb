//! What is found otherwise than by its exact name: names without regard to case, and addresses. PURE.
//!
//! In:  nodes and instances as they come and go; a name or an address. Out: the instances that may be used, a node, and who
//! has an address.
//!
//! Never: walks through the catalogue for a name or an address that nobody has: whoever asks for such costs nothing.
//!
//! Rules from Consul: agent/consul/state/schema.go (its indexes lower the names), agent/structs/structs.go
//! `HealthFilterExcludeCritical`, `serviceTagFilter`, agent/dns.go `findWeight`.
//! Proof: `names/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use super::{
    Entry, Held, Node, State,
    rows::{Health, NodeRow, NodeSpec, ServiceRow, ServiceSpec, Text},
};

/// Nodes whose names are not in lower case, by what they are in it; and all addresses.
#[derive(Debug, Default)]
pub(super) struct Names {
    nodes: BTreeSet<(String, Text)>,
    nodes_at: BTreeSet<(IpAddr, Text)>,
    services_at: BTreeSet<(IpAddr, Text, Text)>,
}

/// An instance that may be used.
#[derive(Clone, Debug)]
pub(crate) struct Usable {
    pub(crate) node: Arc<NodeRow>,
    pub(crate) service: Arc<ServiceRow>,
    /// That of its health.
    pub(crate) weight: u16,
}

/// Whose an address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Node(Text),
    /// Of an instance of this service.
    Service(Text),
}

/// Which health will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admit {
    /// All but critical.
    Warning,
    Passing,
}

fn lowered(name: &str) -> Option<String> {
    let lower = name.to_lowercase();
    (lower != name).then_some(lower)
}

impl Names {
    pub(super) fn node_came(&mut self, spec: &NodeSpec) {
        if let Ok(address) = spec.address.parse() {
            self.nodes_at.insert((address, Text::clone(&spec.name)));
        }
        if let Some(lower) = lowered(&spec.name) {
            self.nodes.insert((lower, Text::clone(&spec.name)));
        }
    }

    pub(super) fn node_left(&mut self, spec: &NodeSpec) {
        if let Ok(address) = spec.address.parse() {
            self.nodes_at.remove(&(address, Text::clone(&spec.name)));
        }
        if let Some(lower) = lowered(&spec.name) {
            self.nodes.remove(&(lower, Text::clone(&spec.name)));
        }
    }

    /// An instance came. Its service may have others.
    pub(super) fn service_came(&mut self, node: &Text, spec: &ServiceSpec) {
        if let Ok(address) = spec.address.parse() {
            self.services_at.insert((address, Text::clone(node), Text::clone(&spec.id)));
        }
    }

    /// An instance left. Its service may have others.
    pub(super) fn service_left(&mut self, node: &Text, spec: &ServiceSpec) {
        if let Ok(address) = spec.address.parse() {
            self.services_at.remove(&(address, Text::clone(node), Text::clone(&spec.id)));
        }
    }
}

/// The names in `set` that are `lower` in lower case.
fn spelled<'a>(set: &'a BTreeSet<(String, Text)>, lower: &str) -> impl Iterator<Item = &'a Text> {
    let from = (lower.to_owned(), Text::from(""));
    let lower = lower.to_owned();
    set.range(from..).take_while(move |(is, _)| *is == lower).map(|(_, name)| name)
}

impl From<Entry> for Usable {
    /// One that was found by its health already.
    fn from(entry: Entry) -> Self {
        let worst = entry.checks.iter().map(|check| check.facts.status).max();
        let weight = match worst {
            Some(Health::Warning) => entry.service.spec.warning_weight,
            _ => entry.service.spec.passing_weight,
        };
        Self { node: entry.node, service: entry.service, weight }
    }
}

impl State {
    /// The instances of a service that may be used, and have the tag (empty: any). `service` and `tag` are in lower case.
    pub(crate) fn usable(&self, service: &str, tag: &str, admit: Admit) -> Vec<Usable> {
        let of_name = self.by_name.get(service);
        let mut found = Vec::with_capacity(of_name.map_or(0, |all| all.len()));
        let mut last = None;
        for (name, id) in of_name.into_iter().flatten() {
            // They are in order of their nodes, and many may be on one.
            let held = last.filter(|(before, _)| *before == name).map(|(_, node)| node);
            let Some(node) = held.or_else(|| self.nodes.get(name)) else { continue };
            last = Some((name, node));
            let Some(held) = node.services.get(id).filter(|held| has_tag(&held.row.spec, tag)) else {
                continue;
            };
            let spec = &held.row.spec;
            let weight = match health(node, held) {
                Health::Critical => continue,
                Health::Warning if admit == Admit::Passing => continue,
                Health::Warning => spec.warning_weight,
                Health::Passing => spec.passing_weight,
            };
            found.push(Usable { node: Arc::clone(&node.row), service: Arc::clone(&held.row), weight });
        }
        found
    }

    /// The node of a name in lower case.
    pub(crate) fn node_named(&self, lower: &str) -> Option<Arc<NodeRow>> {
        let other = || self.nodes.get(spelled(&self.names.nodes, lower).next()?);
        let node = self.nodes.get(lower).or_else(other)?;
        Some(Arc::clone(&node.row))
    }

    /// Who has an address, if it may be told of: the first node by name, else the first instance by node and id.
    /// `may`: by the node that has it, or has the instance.
    pub(crate) fn owner_of(&self, address: IpAddr, may: impl Fn(&str, &Owner) -> bool) -> Option<Owner> {
        let from = (address, Text::from(""));
        let nodes = self.names.nodes_at.range(from..).take_while(|(at, _)| *at == address);
        let from = (address, Text::from(""), Text::from(""));
        let held = self.names.services_at.range(from..).take_while(|(at, _, _)| *at == address);
        let services = held.filter_map(|(_, node, id)| {
            let name = &self.nodes.get(node)?.services.get(id)?.row.spec.name;
            Some((node, Owner::Service(Text::clone(name))))
        });
        let nodes = nodes.map(|(_, node)| (node, Owner::Node(Text::clone(node))));
        nodes.chain(services).find(|(node, owner)| may(node, owner)).map(|(_, owner)| owner)
    }
}

fn health(node: &Node, held: &Held) -> Health {
    let checks = node.checks.values().chain(held.checks.values());
    checks.map(|check| check.facts.status).max().unwrap_or(Health::Passing)
}

fn has_tag(spec: &ServiceSpec, lower: &str) -> bool {
    let same =
        |tag: &Text| tag.eq_ignore_ascii_case(lower) || (!tag.is_ascii() && tag.to_lowercase() == lower);
    lower.is_empty() || spec.tags.iter().any(same)
}

#[cfg(test)]
mod tests;
