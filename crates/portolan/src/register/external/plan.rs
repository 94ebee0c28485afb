//! Decides what is written about a node without an agent, and whether it may be. PURE.
//!
//! In:  what is wanted, and what the catalogue holds. Out: a refusal, or the writes that lead from one to the other; none
//! where nothing differs.
//!
//! What others put on the node by custom stays: the check by which Consul-ESM tells whether it reaches the node, and
//! those by which an operator takes something out of service.
//!
//! Never: touches a node with `serfHealth`, which only the members of the cluster have, or one that was not marked as an
//! external node when it was written.
//!
//! Rules from Consul: agent/consul/leader.go `SerfCheckID`; agent/structs/structs.go `NodeMaint`; from Consul-ESM:
//! `externalNodeHealth`, `external-node`.
//! Proof: `tests.rs` beside it.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{
    error::{Error, Kind},
    model::{CheckId, CheckState, NodeName},
    registry::{NodeCheck, NodeDefinition, NodePart, NodeService},
};

/// The check that every member of the cluster has, and nobody else.
const MEMBER: &str = "serfHealth";
/// The mark of a node without an agent.
pub(super) const MARK: &str = "external-node";

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Write {
    /// The node with at most one instance.
    Put(NodeDefinition),
    Remove(NodePart),
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(part) => match part.services.keys().next() {
                Some(id) => write!(f, "its service {id} as it was sent"),
                None => f.write_str("its address, meta and checks as they were sent"),
            },
            Self::Remove(NodePart::Node) => f.write_str("that it is gone"),
            Self::Remove(NodePart::Service(id)) => write!(f, "that its service {id} is gone"),
            Self::Remove(NodePart::Check(id)) => write!(f, "that its check {id} is gone"),
        }
    }
}

/// Whether a check of this id is not the writer's to put or remove.
pub(super) fn is_foreign(check: &str) -> bool {
    check == MEMBER || check == "externalNodeHealth" || CheckState::is_maintenance(check)
}

/// Refuses the node of the agent that is asked.
pub(super) fn not_of_the_agent(name: &NodeName, home: &str) -> Result<(), Error> {
    // Consul compares node names without case.
    if name.as_str().to_lowercase() == home.to_lowercase() {
        return Err(has_an_agent(name, "it is the node of the agent that is asked"));
    }
    Ok(())
}

/// Refuses what is not ours to write.
pub(super) fn may_touch(held: &NodeDefinition) -> Result<(), Error> {
    let name = &held.name;
    if held.checks.keys().any(|id| id.as_str() == MEMBER) {
        return Err(has_an_agent(name, "it has the check serfHealth"));
    }
    if held.meta.get(MARK).is_none_or(|mark| mark != "true") {
        let what = format!(
            "external node {name}: the catalogue holds a node of this name that was not written as an external node \
             (its meta {MARK} is not \"true\"); choose another name, or see whose it is"
        );
        return Err(Error::new(Kind::Conflict, what));
    }
    Ok(())
}

fn has_an_agent(name: &NodeName, why: &str) -> Error {
    let what = format!(
        "external node {name}: the node has an agent ({why}), which deletes from the catalogue what it does not hold \
         itself; register the service through that agent, or choose another name"
    );
    Error::new(Kind::Conflict, what)
}

/// The writes that make the catalogue hold what is wanted.
pub(super) fn plan(wanted: &NodeDefinition, held: Option<&NodeDefinition>) -> Result<Vec<Write>, Error> {
    let nothing = NodeDefinition::new(wanted.name.clone(), "");
    if let Some(held) = held {
        may_touch(held)?;
    }
    let held = held.unwrap_or(&nothing);
    let bare = NodeDefinition { services: BTreeMap::new(), checks: BTreeMap::new(), ..wanted.clone() };
    let mut writes = Vec::new();
    let ids = ids(wanted);
    let own_checks = differing(&wanted.checks, &held.checks);
    if wanted.address != held.address || wanted.meta != held.meta || !own_checks.is_empty() {
        writes.push(Write::Put(NodeDefinition { checks: own_checks, ..bare.clone() }));
    }
    for (id, service) in &wanted.services {
        if let Some(service) = part_of(service, held.services.get(id)) {
            let services = BTreeMap::from([(id.clone(), service)]);
            writes.push(Write::Put(NodeDefinition { services, ..bare.clone() }));
        }
    }
    // Last, when a check that has moved from one to the other is where it belongs.
    let kept = held.services.iter().filter(|(id, _)| wanted.services.contains_key(*id));
    let checks = held.checks.keys().chain(kept.flat_map(|(_, service)| service.checks.keys()));
    let over = checks.filter(|id| !ids.contains(id) && !is_foreign(id.as_str()));
    writes.extend(over.map(|id| Write::Remove(NodePart::Check(id.clone()))));
    let gone = held.services.keys().filter(|id| !wanted.services.contains_key(*id));
    writes.extend(gone.map(|id| Write::Remove(NodePart::Service(id.clone()))));
    Ok(writes)
}

type Checks = BTreeMap<CheckId, NodeCheck>;

/// Those of the wanted checks that are not held as they are.
fn differing(wanted: &Checks, held: &Checks) -> Checks {
    let differs = |(id, check): &(&CheckId, &NodeCheck)| held.get(*id) != Some(*check);
    wanted.iter().filter(differs).map(|(id, check)| (id.clone(), check.clone())).collect()
}

/// As much of a service as has to be sent; `None`: nothing. Of one that changed itself all checks are, for they repeat its
/// name and tags.
fn part_of(wanted: &NodeService, held: Option<&NodeService>) -> Option<NodeService> {
    let Some(held) = held else { return Some(wanted.clone()) };
    let unchanged = NodeService { checks: held.checks.clone(), ..wanted.clone() } == *held;
    let checks = if unchanged { differing(&wanted.checks, &held.checks) } else { wanted.checks.clone() };
    (!unchanged || !checks.is_empty()).then(|| NodeService { checks, ..wanted.clone() })
}

/// The ids of all checks, the node's and its services'.
fn ids(node: &NodeDefinition) -> BTreeSet<&CheckId> {
    node.checks.keys().chain(node.services.values().flat_map(|service| service.checks.keys())).collect()
}
