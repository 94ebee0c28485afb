//! Findings about what services declare: needs that are not met, needs and versions that cannot be read. PURE.
//!
//! In:  instances. Out: findings, by the library's own graph of dependencies.
//!
//! Never: another judgement than `portolan deps` and `portolan versions`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc};

use portolan::{
    Instance, ServiceName,
    depend::{Graph, ServiceAt},
};

use super::{
    finding::{Code, Finding},
    seen::Seen,
};

pub(super) fn findings(seen: &Seen) -> Vec<Finding> {
    let known: BTreeMap<ServiceAt, &[Arc<Instance>]> = seen
        .services
        .iter()
        .filter_map(|(name, all)| Some((ServiceAt::here(ServiceName::new(&**name).ok()?), all.as_slice())))
        .collect();
    let graph = graph(seen, known);
    let mut found = Vec::new();
    for (from, unmet) in graph.unmet() {
        // What is needed of another datacentre was not read.
        if unmet.to.datacenter().is_some() {
            continue;
        }
        let code = if unmet.need.is_required() { Code::UnmetNeed } else { Code::UnmetOptional };
        let what = format!("{from} needs {}: {}", unmet.need, unmet.lack);
        found.push(Finding::new(code, what, [from.to_string()]));
    }
    for (at, edge) in graph.unreadable() {
        let what = format!("{at}: {:?}: {}", edge.what.text, edge.what.why);
        found.push(Finding::new(Code::UnreadableNeed, what, edge.by.iter().map(ToString::to_string)));
    }
    found.extend(seen.services.iter().filter_map(|(name, all)| versions(name, all)));
    found
}

/// What is needed here, and was not on the list, is known to have no instance.
fn graph(seen: &Seen, mut known: BTreeMap<ServiceAt, &[Arc<Instance>]>) -> Graph {
    let home = Some(seen.agent.datacenter.as_str()).filter(|name| !name.is_empty());
    let of = |known: &BTreeMap<ServiceAt, &[Arc<Instance>]>| {
        Graph::of(home, known.iter().map(|(at, all)| (at.clone(), *all)))
    };
    for (_from, node) in of(&known).nodes() {
        let here = node.edges().iter().map(|edge| edge.to()).filter(|to| to.datacenter().is_none());
        for needed in here {
            known.entry(needed.clone()).or_insert(&[]);
        }
    }
    of(&known)
}

fn versions(service: &str, all: &[Arc<Instance>]) -> Option<Finding> {
    let place = |one: &Arc<Instance>| {
        let what = one.unreadable_version.as_ref()?;
        Some(format!("{}: {what}", one.identity))
    };
    let places: Vec<String> = all.iter().filter_map(place).collect();
    let what = format!("{service}: {} of {} with a version that cannot be read", places.len(), all.len());
    (!places.is_empty()).then(|| Finding::new(Code::UnreadableVersion, what, places))
}

#[cfg(test)]
mod tests;
