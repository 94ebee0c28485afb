//! Findings about what stands in the catalogue: the dead, the doubled, the unreachable, the lonely. PURE.
//!
//! In:  what was read. Out: findings, one for each service or node.
//!
//! Never: says anything of Consul's own service; calls what is in maintenance dead.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use portolan::{CheckScope, Instance, Status};

use super::{
    finding::{Code, Finding},
    seen::{CONSUL, Check, SERF, Seen},
};

pub(super) fn findings(seen: &Seen) -> Vec<Finding> {
    let mut found = Vec::new();
    let shared = is_shared(seen);
    let reaped = reaped(seen);
    let zones: BTreeSet<&Arc<str>> = seen.instances().filter_map(|one| one.zone.as_ref()).collect();
    for (service, all) in seen.services.iter().filter(|(name, _)| ***name != *CONSUL) {
        found.extend(leaked(service, all, &reaped));
        found.extend(unchecked(service, all));
        found.extend(doubled(service, all));
        if shared {
            found.extend(loopback(service, all));
        }
        if seen.nodes.len() > 1 {
            found.extend(one_node(service, all));
        }
        if zones.len() > 1 {
            found.extend(one_zone(service, all));
        }
    }
    found.extend(not_held(seen));
    found
}

fn place(one: &Instance) -> String {
    one.identity.to_string()
}

fn serf(one: &Instance) -> Option<Status> {
    let gossip = one.checks.iter().find(|check| check.scope == CheckScope::Node && *check.id == *SERF);
    gossip.map(|check| check.status)
}

/// Node and id of what its own agent will remove: that is not leaked, and `short-reap` speaks of it.
fn reaped(seen: &Seen) -> BTreeSet<(&str, &str)> {
    let some = seen.checks.iter().filter(|check| reap(seen, check).is_some());
    some.map(|check| (&*check.node, &*check.service_id)).collect()
}

fn leaked(service: &str, all: &[Arc<Instance>], reaped: &BTreeSet<(&str, &str)>) -> Option<Finding> {
    let kept = |one: &Instance| !reaped.contains(&(&*one.identity.node, &*one.identity.id));
    let dead: Vec<&Arc<Instance>> =
        all.iter().filter(|one| one.status == Status::Critical && kept(one)).collect();
    let gone = dead.iter().filter(|one| serf(one) == Some(Status::Critical)).count();
    let count = dead.len();
    let what = match gone {
        _ if dead.is_empty() => return None,
        0 => format!("{service}: {count} of {} critical; Consul does not tell since when", all.len()),
        gone => format!("{service}: {count} of {} critical, {gone} of them on dead nodes", all.len()),
    };
    Some(Finding::new(Code::LeakedCritical, what, dead.into_iter().map(|one| place(one))))
}

/// When the instance of this check is removed, as far as that is known.
pub(super) fn reap(seen: &Seen, check: &Check) -> Option<Duration> {
    let of_agent = seen.agent.defined.get(&check.id).filter(|_| check.node == seen.agent.node);
    check.defined.reap.or_else(|| of_agent?.reap)
}

fn unchecked(service: &str, all: &[Arc<Instance>]) -> Option<Finding> {
    let own = |one: &Instance| one.checks.iter().any(|check| check.scope == CheckScope::Service);
    let bare: Vec<String> = all.iter().filter(|one| !own(one)).map(|one| place(one)).collect();
    let what = format!("{service}: {} of {} without a check", bare.len(), all.len());
    (!bare.is_empty()).then(|| Finding::new(Code::NoCheck, what, bare))
}

/// One id on several nodes. The id that Consul gives by default, the service's name, is on every node by right, unless the
/// program is the same one.
fn doubled(service: &str, all: &[Arc<Instance>]) -> Vec<Finding> {
    let mut by_id: BTreeMap<&str, Vec<&Arc<Instance>>> = BTreeMap::new();
    for one in all {
        by_id.entry(&one.identity.id).or_default().push(one);
    }
    let mut found = Vec::new();
    for (id, same) in by_id {
        let nodes: BTreeSet<&str> = same.iter().map(|one| &*one.identity.node).collect();
        if nodes.len() < 2 {
            continue;
        }
        let addresses: BTreeSet<String> = same.iter().map(|one| one.authority()).collect();
        let alive = same.iter().filter(|one| one.status != Status::Critical).count();
        let places = same.iter().map(|one| format!("{} at {}", one.identity, one.authority()));
        // The same program, or one that moved and left its old entry behind.
        let moved = id != service && alive > 0 && alive < same.len();
        if addresses.len() < same.len() || moved {
            let what = format!("{service}: {id} stands on {} nodes", nodes.len());
            found.push(Finding::new(Code::SameIdTwice, what, places));
        } else if id != service {
            let what = format!("{service}: {id} is an id on {} nodes", nodes.len());
            found.push(Finding::new(Code::SharedId, what, places));
        }
    }
    found
}

/// Whether others than this one machine read it: then a node has an address that others can reach.
fn is_shared(seen: &Seen) -> bool {
    seen.nodes.iter().any(|address| !address.is_empty() && !is_loopback(address))
}

fn is_loopback(address: &str) -> bool {
    match address.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback() || ip.is_unspecified(),
        Err(_a_name) => {
            let name = address.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

fn loopback(service: &str, all: &[Arc<Instance>]) -> Option<Finding> {
    let bad = all.iter().filter(|one| is_loopback(&one.address));
    let places: Vec<String> = bad.map(|one| format!("{} at {}", one.identity, one.authority())).collect();
    let what = format!("{service}: {} of {} only on its own machine", places.len(), all.len());
    (!places.is_empty()).then(|| Finding::new(Code::LoopbackAddress, what, places))
}

fn one_node(service: &str, all: &[Arc<Instance>]) -> Option<Finding> {
    let nodes: BTreeSet<&str> = all.iter().map(|one| &*one.identity.node).collect();
    let node = nodes.first().filter(|_| nodes.len() == 1 && all.len() > 1)?;
    let what = format!("{service}: all {} on {node}", all.len());
    Some(Finding::new(Code::OneNode, what, [(*node).to_owned()]))
}

fn one_zone(service: &str, all: &[Arc<Instance>]) -> Option<Finding> {
    let zones: Option<BTreeSet<&Arc<str>>> = all.iter().map(|one| one.zone.as_ref()).collect();
    // Where one does not say, nobody knows.
    let zones = zones.filter(|zones| zones.len() == 1 && all.len() > 1)?;
    let zone = zones.first()?;
    let what = format!("{service}: all {} in {zone}", all.len());
    Some(Finding::new(Code::OneZone, what, all.iter().map(|one| place(one))))
}

/// What the catalogue has on the node of the agent that was asked, and that agent does not.
fn not_held(seen: &Seen) -> Option<Finding> {
    let held = seen.held.as_ref()?;
    let here =
        |one: &&Arc<Instance>| *one.identity.node == *seen.agent.node && !held.contains(&*one.identity.id);
    let places: Vec<String> = seen.instances().filter(here).map(|one| place(one)).collect();
    let what = format!("{}: {} in the catalogue alone", seen.agent.node, places.len());
    (!places.is_empty()).then(|| Finding::new(Code::CatalogOnLiveAgent, what, places))
}

#[cfg(test)]
mod tests;
