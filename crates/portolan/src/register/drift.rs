//! Compares what an agent holds with what we sent. PURE.
//!
//! In:  a definition, and what a sweep found under its id. Out: same, foreign, or the first difference in words.
//!
//! Never: compares what Consul adds by itself (tagged addresses, maintenance) or what changes by itself (status, output).
//!
//! Rules from Consul: agent/structs/structs.go (`Weights` default to 1 and 1); tags keep their order;
//! agent/local/state.go (`EnableTagOverride`: the agent takes the catalogue's tags).
//! Proof: `drift/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::Status,
    registry::{Definition, Registered, RegisteredCheck},
};

/// What an agent holds under the id of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// What we sent.
    Same,
    /// Something else; the text names the first field that differs, and both sides.
    Differs(String),
    /// An instance at another address or port that is not critical: somebody else lives under this id.
    Foreign(String),
    /// An instance at another address or port that is critical: dead, or not alive yet.
    Critical(String),
}

/// Judges what was found.
pub(crate) fn compare(sent: &Definition, found: &Registered) -> Held {
    let elsewhere = difference("address", &sent.address.as_str(), &&*found.address)
        .or_else(|| difference("port", &sent.port, &found.port));
    if let Some(text) = elsewhere {
        return if alive(found) { Held::Foreign(text) } else { Held::Critical(text) };
    }
    let text = difference("name", &sent.name.as_str(), &&*found.name)
        .or_else(|| {
            let sent = sent.enable_tag_override;
            difference("enable_tag_override", &sent, &found.enable_tag_override)
        })
        .or_else(|| {
            // They belong to the catalogue, which the agent follows.
            let tags = || difference("tags", &sent.tags, &found.tags);
            if sent.enable_tag_override { None } else { tags() }
        })
        .or_else(|| difference("meta", &sent.meta, &found.meta))
        .or_else(|| {
            let weights = |weights: crate::Weights| (weights.passing, weights.warning);
            difference("weights", &weights(sent.weights), &weights(found.weights))
        })
        .or_else(|| check_difference(sent, found));
    text.map_or(Held::Same, Held::Differs)
}

/// Whether an instance of somebody else still works. In maintenance it does: its operator wants it kept.
fn alive(found: &Registered) -> bool {
    found.status() != Status::Critical
}

fn difference<T: PartialEq + std::fmt::Debug>(field: &str, sent: &T, found: &T) -> Option<String> {
    (sent != found).then(|| format!("{field}: {sent:?} was sent, the agent holds {found:?}"))
}

fn check_difference(sent: &Definition, found: &Registered) -> Option<String> {
    let ours: BTreeMap<&str, &str> =
        sent.checks.iter().map(|check| (check.id.as_str(), check.check.kind.as_str())).collect();
    let theirs: BTreeMap<&str, &RegisteredCheck> = found
        .checks
        .iter()
        .filter(|(_, check)| check.status != Status::Maintenance)
        .map(|(id, check)| (id.as_str(), check))
        .collect();
    let ids = |all: BTreeSet<&str>| all.into_iter().map(str::to_owned).collect::<Vec<_>>();
    difference("checks", &ids(ours.keys().copied().collect()), &ids(theirs.keys().copied().collect()))
        .or_else(|| {
            ours.iter().find_map(|(id, kind)| {
                // An agent that does not say the kind says nothing against it.
                let other = theirs.get(id).map(|check| &*check.kind).filter(|kind| !kind.is_empty())?;
                difference(&format!("check {id:?}"), kind, &other)
            })
        })
}

#[cfg(test)]
mod tests;
