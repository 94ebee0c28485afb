//! From Consul's health entries to instances. PURE.
//!
//! In:  the body of `/v1/health/service/:name`. Out: instances, sorted by identity, and how many were left out.
//!
//! A wrong JSON type sinks the whole answer with an error that names its place: then nothing of it can be trusted. A
//! number that is out of range (a port of 70000, which Consul accepts), or an instance with no address at all, costs
//! that one instance: it is left out, counted and logged, and the others stay usable.
//!
//! Never: panics; leaves an instance out in silence.
//!
//! Rules from Consul: agent/structs/structs.go `BestAddress`, `Weights`. Proof: `health/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::sync::Arc;

use super::wire::{CheckEntry, Entry, Service, Text, WeightsEntry};
use crate::{
    model::{CheckScope, CheckState, Identity, Instance, Status, Weights},
    registry::CheckOutput,
};

/// The instances of a body, and why others in it could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) instances: Vec<Arc<Instance>>,
    /// One line for each instance that was left out, with its node and id.
    pub(super) unreadable: Vec<String>,
}

/// Reads a body; `null` is an empty list.
pub(super) fn decode(body: &[u8], output: CheckOutput) -> Result<Decoded, serde_json::Error> {
    let entries: Option<Vec<Entry<'_>>> = serde_json::from_slice(body)?;
    let entries = entries.unwrap_or_default();
    let mut decoded = Decoded { instances: Vec::with_capacity(entries.len()), unreadable: Vec::new() };
    for entry in &entries {
        match instance(entry, output) {
            Ok(instance) => decoded.instances.push(Arc::new(instance)),
            Err(problem) => {
                let (node, id) = (entry.node.node.as_str(), entry.service.id.as_str());
                decoded.unreadable.push(format!("{node}/{id}: {problem}"));
            }
        }
    }
    decoded.instances.sort_unstable_by(|one, other| one.identity.cmp(&other.identity));
    Ok(decoded)
}

fn instance(entry: &Entry<'_>, output: CheckOutput) -> Result<Instance, String> {
    let Entry { node, service, checks } = entry;
    let own = service.address.as_str();
    let address = if own.is_empty() { node.address.as_str() } else { own };
    if address.is_empty() {
        return Err("neither the service nor its node has an address".to_owned());
    }
    let identity = Identity {
        datacenter: arc(&node.datacenter),
        partition: arc(&service.partition),
        namespace: arc(&service.namespace),
        peer: arc(&service.peer),
        node: arc(&node.node),
        id: arc(&service.id),
    };
    let meta = service.meta.iter().map(|(key, value)| (key.as_ref(), value.as_str()));
    let mut instance = Instance::new(identity, service.name.as_str(), address, port(service)?)
        .with_meta(meta)
        .with_tags(service.tags.iter().map(Text::as_str))
        .with_weights(weights(service.weights)?)
        .with_checks(states(checks, output));
    instance.zone = zone(entry);
    Ok(instance)
}

fn arc(text: &Text<'_>) -> Arc<str> {
    text.as_str().into()
}

/// The port of a service, where it can be one.
pub(super) fn port(service: &Service<'_>) -> Result<u16, String> {
    let found = service.port;
    u16::try_from(found).map_err(|_cause| format!("port {found} is not from 0 to 65535"))
}

/// The weights of a service; 1 and 1 where none are given.
pub(super) fn weights(found: Option<WeightsEntry>) -> Result<Weights, String> {
    let Some(WeightsEntry { passing, warning }) = found else { return Ok(Weights::default()) };
    match (u16::try_from(passing), u16::try_from(warning)) {
        (Ok(passing), Ok(warning)) => Ok(Weights { passing, warning }),
        _ => Err(format!("weights {passing} and {warning} are not both from 0 to 65535")),
    }
}

/// The zone: of the service's locality, of the node's, of the service's meta, of the node's.
fn zone(entry: &Entry<'_>) -> Option<Arc<str>> {
    let Entry { node, service, .. } = entry;
    let localities = [service.locality.as_ref(), node.locality.as_ref()];
    let from_locality = localities.into_iter().flatten().map(|locality| locality.zone.as_str());
    let from_meta =
        [&service.meta, &node.meta].into_iter().filter_map(|meta| meta.get("zone")).map(Text::as_str);
    from_locality.chain(from_meta).find(|zone| !zone.is_empty()).map(Arc::from)
}

/// The checks, the node's first, each group by id, whatever order the registry chose: equal checks compare equal.
fn states(checks: &[CheckEntry<'_>], output: CheckOutput) -> Vec<CheckState> {
    let mut states: Vec<_> = checks
        .iter()
        .map(|check| {
            let scope =
                if check.service_id.as_str().is_empty() { CheckScope::Node } else { CheckScope::Service };
            let status = Status::of_check(check.status.as_str());
            let state = CheckState::new(check.id.as_str(), check.name.as_str(), status, scope);
            match output {
                CheckOutput::Keep => state.output(check.output.as_str()),
                CheckOutput::Drop => state,
            }
        })
        .collect();
    states.sort_by(|one, other| {
        let key = |state: &CheckState| (state.scope == CheckScope::Service, Arc::clone(&state.id));
        key(one).cmp(&key(other))
    });
    states
}

#[cfg(test)]
mod tests;
