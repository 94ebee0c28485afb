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

use super::wire::{CheckEntry, Entry, Locality, Text, WeightsEntry};
use crate::{
    model::{self, CheckScope, CheckState, Identity, Instance, Status, Weights, aggregate},
    registry::{CheckOutput, recall::Strings},
};

/// The instances of a body, and why others in it could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    /// Ordered by identity; of several entries with one identity the last counts.
    pub(super) instances: Vec<Arc<Instance>>,
    /// One line for each instance that was left out, with its node and id.
    pub(super) unreadable: Vec<String>,
    /// How many more were left out, of which the last answer told already.
    pub(super) still_unreadable: usize,
}

/// Reads a body; `null` is an empty list.
pub(super) fn decode(body: &[u8], output: CheckOutput) -> Result<Decoded, serde_json::Error> {
    let entries: Option<Vec<Entry<'_>>> = serde_json::from_slice(body)?;
    let entries = entries.unwrap_or_default();
    let mut instances = Vec::with_capacity(entries.len());
    let mut unreadable = Vec::new();
    let mut strings = Strings::new(0);
    for entry in &entries {
        match instance(entry, output, &mut strings) {
            Ok(instance) => instances.push(Arc::new(instance)),
            Err(problem) => unreadable.push(self::unreadable(entry, &problem)),
        }
    }
    // Stable, so that the last of equal identities stands last among them.
    instances.sort_by(|one, other| one.identity.cmp(&other.identity));
    instances.dedup_by(|later, kept| {
        let same = later.identity == kept.identity;
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
    Ok(Decoded { instances, unreadable, still_unreadable: 0 })
}

/// The line about an entry that could not be read.
pub(super) fn unreadable(entry: &Entry<'_>, problem: &str) -> String {
    format!("{}/{}: {problem}", entry.node.node.as_str(), entry.service.id.as_str())
}

/// The instance of an entry.
pub(super) fn instance(
    entry: &Entry<'_>,
    output: CheckOutput,
    strings: &mut Strings,
) -> Result<Instance, String> {
    let Entry { node, service, checks } = entry;
    let own = service.address.as_str();
    let address = if own.is_empty() { node.address.as_str() } else { own };
    if address.is_empty() {
        return Err("neither the service nor its node has an address".to_owned());
    }
    let (port, weights) = (port(service.port)?, weights(service.weights)?);
    let mut text = |text: &Text<'_>| strings.text(text.as_str());
    let identity = Identity {
        datacenter: text(&node.datacenter),
        partition: text(&service.partition),
        namespace: text(&service.namespace),
        peer: text(&service.peer),
        node: text(&node.node),
        id: service.id.as_str().into(),
    };
    let name = text(&service.name);
    let (tags, meta) =
        (strings.tags(service.tags.iter().map(Text::as_str)), strings.meta(service.meta.iter()));
    let checks = states(checks, output, strings);
    let (version, unreadable_version) = model::version(&meta, &tags).parts();
    Ok(Instance {
        identity,
        service: name,
        address: address.into(),
        port,
        weights,
        zone: place(entry, Kind::Zone).map(|zone| strings.text(zone)),
        region: place(entry, Kind::Region).map(|region| strings.text(region)),
        version,
        unreadable_version,
        tags,
        meta,
        status: aggregate(&checks),
        checks,
    })
}

/// The port of a service, where it can be one.
pub(super) fn port(found: i64) -> Result<u16, String> {
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

/// The zone or region: of the service's locality, of the node's, of the service's meta, of the node's.
fn place<'e>(entry: &'e Entry<'_>, kind: Kind) -> Option<&'e str> {
    let Entry { node, service, .. } = entry;
    let (key, of_node) = match kind {
        Kind::Zone => ("zone", &node.meta.zone),
        Kind::Region => ("region", &node.meta.region),
    };
    let of = |locality: &'e Locality<'_>| match kind {
        Kind::Zone => locality.zone.as_str(),
        Kind::Region => locality.region.as_str(),
    };
    let from_locality = [service.locality.as_ref(), node.locality.as_ref()].into_iter().flatten().map(of);
    let from_meta = [service.meta.get(key), of_node.as_ref().map(Text::as_str)].into_iter().flatten();
    from_locality.chain(from_meta).find(|place| !place.is_empty())
}

/// What of a place is meant.
#[derive(Clone, Copy)]
enum Kind {
    Zone,
    Region,
}

/// The checks, the node's first, each group by id, whatever order the registry chose: equal checks compare equal.
fn states(checks: &[CheckEntry<'_>], output: CheckOutput, strings: &mut Strings) -> Vec<CheckState> {
    let mut states = Vec::with_capacity(checks.len());
    states.extend(checks.iter().map(|check| {
        let status = Status::of_check(check.status.as_str());
        let (id, name) = (check.id.as_str(), strings.text(check.name.as_str()));
        let state = if check.service_id.as_str().is_empty() {
            CheckState::shared(strings.text(id), name, status, CheckScope::Node)
        } else {
            // Most often it has the service's id in it, and is the only one of its kind.
            CheckState::shared(id.into(), name, status, CheckScope::Service)
        };
        match output {
            CheckOutput::Keep => state.output(check.output.as_str()),
            CheckOutput::Drop => state,
        }
    }));
    states.sort_by(|one, other| {
        let key = |state: &CheckState| state.scope == CheckScope::Service;
        key(one).cmp(&key(other)).then_with(|| one.id.cmp(&other.id))
    });
    states
}

#[cfg(test)]
mod tests;
