//! Turns a [`Registration`] and an address into the whole [`Definition`] that is sent. PURE.
//!
//! In:  a valid registration, the address it is to have, the host's name, a random number. Out: a definition with
//! nothing left to fill in: each check has its id, its name and a whole target.
//!
//! Never: leaves an id to the agent: only with stable ids does a check keep its status when it is registered again.
//!
//! Rules from Consul: agent/agent.go `addServiceInternal` (ids `service:ID` and `service:ID:N`, N the place in the
//! list; name `Service 'NAME' check`).
//! Proof: `define/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeSet, sync::Arc};

use super::spec::Registration;
use crate::{
    check::{Check, LEAST_DEREGISTER_AFTER},
    error::Error,
    model::{CheckId, Instance, ServiceId, ServiceName, declare},
    registry::{CheckDefinition, Definition},
};

/// The digits of the random part of an id: no upper case, and none that read alike.
const DIGITS: [char; 32] = [
    'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u',
    'v', 'w', 'x', 'y', 'z', '2', '3', '4', '5', '6', '7',
];
/// How many digits the random part has: 40 bits.
const RANDOM_DIGITS: u32 = 8;
/// How much of the service's and the host's name goes into an id.
const PART: usize = 64;

/// An id that no other instance has: `name-host-port-` and eight random digits. `host` is cut at its first dot,
/// unless it is an address.
pub(crate) fn unique_id(name: &str, host: &str, port: u16, roll: u64) -> String {
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    let host = if is_address { host } else { host.split('.').next().unwrap_or(host) };
    let mut id: String = name.chars().take(PART).collect();
    id.push('-');
    id.extend(host.chars().take(PART).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }));
    id.push_str(&format!("-{port}-"));
    id.extend((0..RANDOM_DIGITS).filter_map(|place| {
        let five = roll.checked_shr(place.saturating_mul(5))? & 31;
        DIGITS.get(usize::try_from(five).ok()?)
    }));
    id
}

/// The instances that stood at the place of `ours` before it: of the same service, on the same node, at the same address
/// and port, with an id from here that differs in its random part. Their processes are dead, for ours has their port.
pub(crate) fn predecessors(ours: &Instance, all: &[Arc<Instance>]) -> Vec<ServiceId> {
    let Some(common) = without_random(&ours.identity.id).filter(|_| ours.port != 0) else {
        return Vec::new();
    };
    let same_place = |one: &Instance| {
        one.identity.node == ours.identity.node
            && (&one.address, one.port) == (&ours.address, ours.port)
            && one.identity.id != ours.identity.id
            && without_random(&one.identity.id) == Some(common)
    };
    let dead = all.iter().filter(|one| same_place(one));
    dead.filter_map(|one| ServiceId::new(&*one.identity.id).ok()).collect()
}

/// An id of [`unique_id`] without its random part; `None` for any other.
fn without_random(id: &str) -> Option<&str> {
    let (common, random) = id.rsplit_once('-')?;
    let drawn =
        random.chars().count() == RANDOM_DIGITS as usize && random.chars().all(|c| DIGITS.contains(&c));
    drawn.then_some(common)
}

/// The definition of a registration that was validated.
///
/// # Errors
/// [`Kind::Config`](crate::Kind::Config) when a check was given the id that another one has by its place.
pub(crate) fn define(spec: &Registration, id: ServiceId, address: &str) -> Result<Definition, Error> {
    let mut definition = Definition::new(id, ServiceName::new(&spec.name)?, address, spec.port);
    definition.tags.clone_from(&spec.tags);
    definition.meta.clone_from(&spec.meta);
    definition.meta.extend(declare::fit(&spec.needs, &spec.meta)?);
    definition.weights = spec.weights;
    definition.enable_tag_override = spec.enable_tag_override;
    definition.maintenance.clone_from(&spec.maintenance);
    definition.tagged_addresses.clone_from(&spec.tagged_addresses);
    let mut ids = BTreeSet::new();
    for (place, check) in (1usize..).zip(&spec.checks) {
        let id = match &check.id {
            Some(id) => id.clone(),
            None if spec.checks.len() == 1 => CheckId::new(format!("service:{}", definition.id))?,
            None => CheckId::new(format!("service:{}:{place}", definition.id))?,
        };
        if !ids.insert(id.clone()) {
            let field = place.saturating_sub(1);
            let what =
                format!("check[{field}].id: {id:?} is the id of another check by its place; give it its own");
            return Err(Error::config(what));
        }
        let name = check.name.clone().unwrap_or_else(|| format!("Service '{}' check", spec.name));
        definition.checks.push(CheckDefinition::new(id, name, with_target(check, address, spec.port)));
    }
    Ok(definition)
}

/// The check with a whole target; Consul's least for deregister-after, which it would raise to by itself.
fn with_target(check: &Check, address: &str, port: u16) -> Check {
    let authority =
        if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") };
    let mut check = check.clone();
    check.kind.complete(authority);
    check.deregister_after = check.deregister_after.map(|after| after.max(LEAST_DEREGISTER_AFTER));
    check
}

#[cfg(test)]
mod tests;
