//! What can be asked of the state: rows to encode, shared and not copied. PURE: nothing is changed.
//!
//! In:  a name, and what narrows the answer. Out: rows in the order they are listed: by node, then by id.
//!
//! Never: encodes; filters by more than was asked.
//!
//! Rules from Consul: agent/consul/state/catalog.go (order), agent/structs/structs.go `Filter` (passing), `serviceTagFilter`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use portolan::CheckState;

use super::{
    Held, Node, State,
    rows::{CheckRow, CheckSpec, Health, NodeRow, Origin, Probe, ServiceRow, Text, folded},
};

/// One instance with all that is known about its health. The node's checks come first.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) node: Arc<NodeRow>,
    pub(crate) service: Arc<ServiceRow>,
    pub(crate) checks: Vec<Arc<CheckRow>>,
}

/// A check as the agent tells it: with the newest output.
#[derive(Clone, Debug)]
pub(crate) struct AgentCheck {
    pub(crate) row: Arc<CheckRow>,
    pub(crate) output: Text,
}

/// What a probe is to do.
#[derive(Clone, Debug)]
pub(crate) struct ProbeOrder {
    pub(crate) generation: u64,
    pub(crate) spec: Arc<CheckSpec>,
}

/// What narrows a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Narrow {
    /// Only instances whose every check passes.
    pub(crate) passing: bool,
    /// Only instances with all of these tags, compared without case.
    pub(crate) tags: Vec<String>,
    /// Only what is on nodes with all of these pairs.
    pub(crate) node_meta: Vec<(String, String)>,
    /// What is on this node comes first: it alone has a place in the network.
    pub(crate) first: Option<Text>,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) index: u64,
    pub(crate) nodes: u64,
    /// By name.
    pub(crate) services: u64,
    /// Passing, warning, critical, in maintenance.
    pub(crate) instances: [u64; 4],
    /// Passing, warning, critical.
    pub(crate) checks: [u64; 3],
}

impl Tally {
    fn count_checks<'a>(&mut self, checks: impl Iterator<Item = &'a Arc<CheckRow>>) {
        let [passing, warning, critical] = &mut self.checks;
        for check in checks {
            let count = match check.facts.status {
                Health::Passing => &mut *passing,
                Health::Warning => &mut *warning,
                Health::Critical => &mut *critical,
            };
            *count = count.saturating_add(1);
        }
    }

    /// One instance with these checks: the worst counts.
    fn count_instance<'a>(&mut self, checks: impl Iterator<Item = &'a Arc<CheckRow>>) {
        let place = |check: &Arc<CheckRow>| match check.facts.status {
            _ if CheckState::is_maintenance(&check.facts.id) => 3,
            Health::Critical => 2,
            Health::Warning => 1,
            Health::Passing => 0,
        };
        if let Some(count) = self.instances.get_mut(checks.map(place).max().unwrap_or(0)) {
            *count = count.saturating_add(1);
        }
    }
}

impl Narrow {
    fn node(&self, node: &NodeRow) -> bool {
        self.node_meta.iter().all(|(key, value)| {
            node.spec
                .meta
                .as_ref()
                .and_then(|meta| meta.get(key.as_str()))
                .is_some_and(|had| **had == **value)
        })
    }

    fn nearest_first<T>(&self, all: &mut [T], node: impl Fn(&T) -> &Text) {
        if let Some(first) = &self.first {
            all.sort_by_key(|one| node(one) != first);
        }
    }

    fn tags(&self, service: &ServiceRow) -> bool {
        self.tags.iter().all(|tag| {
            let wanted = tag.to_lowercase();
            service.spec.tags.iter().any(|had| had.to_lowercase() == wanted)
        })
    }
}

/// How much of a node's id names it (Consul: `minUUIDLookupLen`).
const LEAST_OF_ID: usize = 2;

fn all_checks(node: &Node, held: &Held) -> Vec<Arc<CheckRow>> {
    node.checks.values().chain(held.checks.values()).map(Arc::clone).collect()
}

impl State {
    /// The instances of a service, with their nodes and checks.
    pub(crate) fn entries(&self, name: &str, narrow: &Narrow) -> Vec<Entry> {
        Self::narrowed(self.instances(name), narrow)
    }

    /// The instances by which the mesh reaches a service: its proxies, and those that speak for themselves. Goes through
    /// all that there are: where there is no mesh, nobody asks often.
    pub(crate) fn connected(&self, name: &str, narrow: &Narrow) -> Vec<Entry> {
        let name = folded(name);
        let reaches = |held: &Held| {
            let spec = &held.row.spec;
            let is_native = spec.mesh.as_ref().is_some_and(|mesh| mesh.native) && folded(&spec.name) == name;
            is_native || spec.destination().is_some_and(|of| folded(of) == name)
        };
        let all = self.nodes.values().flat_map(|node| node.services.values().map(move |held| (node, held)));
        Self::narrowed(all.filter(|(_, held)| reaches(held)), narrow)
    }

    fn narrowed<'a>(instances: impl Iterator<Item = (&'a Node, &'a Held)>, narrow: &Narrow) -> Vec<Entry> {
        let mut found = Vec::new();
        for (node, held) in instances {
            if !narrow.node(&node.row) || !narrow.tags(&held.row) {
                continue;
            }
            let checks = all_checks(node, held);
            if narrow.passing && checks.iter().any(|check| check.facts.status != Health::Passing) {
                continue;
            }
            found.push(Entry { node: Arc::clone(&node.row), service: Arc::clone(&held.row), checks });
        }
        narrow.nearest_first(&mut found, |entry| &entry.node.spec.name);
        found
    }

    fn instances(&self, name: &str) -> impl Iterator<Item = (&Node, &Held)> {
        self.by_name.get(&folded(name)).into_iter().flatten().filter_map(|(node, id)| {
            let node = self.nodes.get(node)?;
            Some((node, node.services.get(id)?))
        })
    }

    /// How many there are of everything, in one pass.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally =
            Tally { index: self.last_index(), nodes: self.nodes.len() as u64, ..Tally::default() };
        let mut names = BTreeSet::new();
        for node in self.nodes.values() {
            tally.count_checks(node.checks.values());
            for held in node.services.values() {
                names.insert(&held.row.spec.name);
                tally.count_checks(held.checks.values());
                tally.count_instance(node.checks.values().chain(held.checks.values()));
            }
        }
        tally.services = names.len() as u64;
        tally
    }

    /// The id of the agent's own node.
    pub(crate) fn home_id(&self) -> Text {
        self.nodes.get(&self.home).map_or_else(|| "".into(), |home| Text::clone(&home.row.spec.id))
    }

    /// The names of all services with the union of their tags.
    pub(crate) fn service_names(&self, narrow: &Narrow) -> BTreeMap<Text, BTreeSet<Text>> {
        let mut names: BTreeMap<Text, BTreeSet<Text>> = BTreeMap::new();
        for node in self.nodes.values().filter(|node| narrow.node(&node.row)) {
            for held in node.services.values() {
                let spec = &held.row.spec;
                let tags = match names.get_mut(&spec.name) {
                    Some(tags) => tags,
                    None => names.entry(Text::clone(&spec.name)).or_default(),
                };
                tags.extend(spec.tags.iter().cloned());
            }
        }
        names
    }

    /// The instances of all services with their nodes.
    pub(crate) fn instances_of_all(&self, narrow: &Narrow) -> Vec<(Arc<NodeRow>, Arc<ServiceRow>)> {
        let nodes = self.nodes.values().filter(|node| narrow.node(&node.row));
        let of = |node: &Node, held: &Held| (Arc::clone(&node.row), Arc::clone(&held.row));
        nodes.flat_map(|node| node.services.values().map(move |held| of(node, held))).collect()
    }

    /// All nodes.
    pub(crate) fn node_rows(&self, narrow: &Narrow) -> Vec<Arc<NodeRow>> {
        let nodes = self.nodes.values().map(|node| &node.row);
        let mut rows: Vec<_> = nodes.filter(|row| narrow.node(row)).map(Arc::clone).collect();
        narrow.nearest_first(&mut rows, |row| &row.spec.name);
        rows
    }

    /// The name that a node has, of one that is written in another case or is the beginning of its id; else as it is
    /// written (Consul: agent/consul/state/catalog.go `nodeServices`).
    pub(crate) fn node_called(&self, written: &str, ids: bool) -> Text {
        if self.nodes.contains_key(written) {
            return written.into();
        }
        let folded_name = folded(written);
        let named = self.node_named(&folded_name).map(|row| Text::clone(&row.spec.name));
        let is_id = ids && written.len() >= LEAST_OF_ID;
        let by_id = || {
            let mut found = self.nodes.values().filter(|node| node.row.spec.id.starts_with(&*folded_name));
            // One that could be several is none.
            found.next().filter(|_| found.next().is_none()).map(|node| Text::clone(&node.row.spec.name))
        };
        named.or_else(|| is_id.then(by_id).flatten()).unwrap_or_else(|| written.into())
    }

    /// A node with its services.
    pub(crate) fn node(&self, name: &str) -> Option<(Arc<NodeRow>, Vec<Arc<ServiceRow>>)> {
        let node = self.nodes.get(name)?;
        Some((Arc::clone(&node.row), node.services.values().map(|held| Arc::clone(&held.row)).collect()))
    }

    /// The checks on a node by id, whomever they speak for.
    pub(crate) fn node_checks(&self, name: &str, narrow: &Narrow) -> Vec<Arc<CheckRow>> {
        let node = self.nodes.get(name).filter(|node| narrow.node(&node.row));
        by_node_and_id(node.into_iter().flat_map(checks_on).map(Arc::clone))
    }

    /// The checks of a service's instances.
    pub(crate) fn service_checks(&self, name: &str, narrow: &Narrow) -> Vec<Arc<CheckRow>> {
        let instances = self.instances(name).filter(|(node, _)| narrow.node(&node.row));
        let mut rows = by_node_and_id(instances.flat_map(|(_, held)| held.checks.values().map(Arc::clone)));
        narrow.nearest_first(&mut rows, |row| &row.node);
        rows
    }

    /// All checks in a status; `None`: in any.
    pub(crate) fn checks_in(&self, status: Option<Health>, narrow: &Narrow) -> Vec<Arc<CheckRow>> {
        let nodes = self.nodes.values().filter(|node| narrow.node(&node.row));
        let wanted = |check: &&Arc<CheckRow>| status.is_none_or(|status| check.facts.status == status);
        let mut rows = by_node_and_id(nodes.flat_map(checks_on).filter(wanted).map(Arc::clone));
        narrow.nearest_first(&mut rows, |row| &row.node);
        rows
    }

    /// The agent's own instances.
    pub(crate) fn agent_services(&self) -> Vec<Arc<ServiceRow>> {
        let home = self.nodes.get(&self.home);
        let held = home.into_iter().flat_map(|node| node.services.values());
        held.filter(|held| held.row.origin == Origin::Agent).map(|held| Arc::clone(&held.row)).collect()
    }

    /// One of the agent's own instances.
    pub(crate) fn agent_service(&self, id: &str) -> Option<Arc<ServiceRow>> {
        let held = self.nodes.get(&self.home)?.services.get(id)?;
        (held.row.origin == Origin::Agent).then(|| Arc::clone(&held.row))
    }

    /// The agent's own checks, by id.
    pub(crate) fn agent_checks(&self) -> Vec<AgentCheck> {
        self.live.keys().filter_map(|id| self.agent_check(id)).collect()
    }

    /// The agent's checks that speak for one of its instances, its node's among them where asked for.
    pub(crate) fn checks_of_agent_service(&self, id: &str, scope: CheckScope) -> Vec<AgentCheck> {
        let Some(node) = self.nodes.get(&self.home) else { return Vec::new() };
        let own = node.services.get(id).into_iter().flat_map(|held| held.checks.keys());
        let nodes = node.checks.keys().filter(|_| scope == CheckScope::WithNode);
        nodes.chain(own).filter_map(|id| self.agent_check(id)).collect()
    }

    fn agent_check(&self, id: &Text) -> Option<AgentCheck> {
        let output = Text::clone(&self.live.get(id)?.output);
        Some(AgentCheck { row: Arc::clone(self.check(&self.home, id)?), output })
    }

    /// One of the agent's own checks, as the catalogue has it.
    pub(crate) fn agent_check_row(&self, id: &str) -> Option<Arc<CheckRow>> {
        let (id, _) = self.live.get_key_value(id)?;
        self.check(&self.home, id).map(Arc::clone)
    }

    /// The ids of all checks of the agent.
    pub(crate) fn agent_check_ids(&self) -> Vec<Text> {
        self.live.keys().cloned().collect()
    }

    /// What the probe of a check is to do; `None`: there is nothing to run.
    pub(crate) fn probe_order(&self, check: &str) -> Option<ProbeOrder> {
        let live = self.live.get(check)?;
        match live.spec.probe {
            Probe::Run { .. } => {
                Some(ProbeOrder { generation: live.generation, spec: Arc::clone(&live.spec) })
            }
            Probe::Ttl(_) | Probe::Alias { .. } | Probe::Maintenance => None,
        }
    }
}

/// Whose checks are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckScope {
    Own,
    WithNode,
}

fn by_node_and_id(checks: impl Iterator<Item = Arc<CheckRow>>) -> Vec<Arc<CheckRow>> {
    let mut checks: Vec<_> = checks.collect();
    checks.sort_by(|one, other| (&one.node, &one.facts.id).cmp(&(&other.node, &other.facts.id)));
    checks
}

fn checks_on(node: &Node) -> impl Iterator<Item = &Arc<CheckRow>> {
    node.checks.values().chain(node.services.values().flat_map(|held| held.checks.values()))
}
