//! What is said to an agent about its own instances, and what it holds of them. PURE: bodies in and out.
//!
//! In:  definitions and reports; bodies of `/v1/agent/services` and `/v1/agent/checks`. Out: bodies; [`Registered`].
//!
//! Never: sends a field that is at its default (an older agent refuses one that it does not know); gives more of an
//! agent's instances than was asked for.
//!
//! Rules from Consul: agent/agent_endpoint.go, agent/structs/check_type.go.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use super::{
    health,
    wire::{Held, HeldCheck, Register, RegisterCheck, TaggedAddress, Text, Update, WeightsEntry},
};
use crate::{
    duration::format_duration,
    error::{Error, Kind},
    model::{CheckState, ServiceId, Status},
    registry::{CheckDefinition, Definition, Registered, RegisteredCheck, Report},
};

mod kind;

/// How many ids are put into a filter; for more, everything is read.
const FILTER_IDS: usize = 16;
/// A TTL that nothing waits for: ten years.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);
/// How much of a report's output is sent: Consul keeps as much.
const OUTPUT: usize = 4096;

pub(super) fn register_body(definition: &Definition) -> Result<Vec<u8>, Error> {
    let weights = WeightsEntry {
        passing: definition.weights.passing.into(),
        warning: definition.weights.warning.into(),
    };
    let maintenance_id = CheckState::maintenance_id(&definition.id);
    let maintenance = definition.maintenance.as_deref().map(|reason| maintenance(&maintenance_id, reason));
    let checks = definition.checks.iter().map(|check| register_check(definition, check));
    let body = Register {
        id: definition.id.as_str(),
        name: definition.name.as_str(),
        address: &definition.address,
        port: definition.port,
        tags: &definition.tags,
        meta: &definition.meta,
        weights,
        enable_tag_override: definition.enable_tag_override,
        tagged_addresses: definition
            .tagged_addresses
            .iter()
            .map(|(tag, (address, port))| (tag.as_str(), TaggedAddress { address, port: *port }))
            .collect(),
        checks: checks.chain(maintenance.map(Ok)).collect::<Result<_, _>>()?,
    };
    to_json(&body)
}

/// Consul's maintenance is a check by its id. One that is registered as a TTL check is taken for it and ended like it,
/// and is there in the same moment as the instance: seen with 1.8.7 and 1.21.4.
fn maintenance<'a>(id: &'a str, reason: &'a str) -> RegisterCheck<'a> {
    RegisterCheck {
        id,
        name: "Service Maintenance Mode",
        notes: Some(reason),
        ttl: Some(format_duration(FOREVER)),
        status: Some(Status::Critical.as_str()),
        ..RegisterCheck::default()
    }
}

fn register_check<'a>(
    definition: &'a Definition,
    CheckDefinition { id, name, check }: &'a CheckDefinition,
) -> Result<RegisterCheck<'a>, Error> {
    let mut body = RegisterCheck {
        id: id.as_str(),
        name,
        notes: check.notes.as_deref(),
        status: check.initial.map(Status::as_str),
        success_before_passing: check.success_before_passing,
        failures_before_warning: check.failures_before_warning,
        failures_before_critical: check.failures_before_critical,
        deregister_after: check.deregister_after.map(format_duration),
        ..RegisterCheck::default()
    };
    if check.kind.is_run() {
        body.interval = Some(format_duration(check.interval));
        body.timeout = Some(format_duration(check.timeout));
    }
    kind::put(&mut body, &check.kind).map_err(|missing| {
        let what = format!("check {id} of {}: {missing}", definition.id);
        Error::new(Kind::Config, what)
    })?;
    Ok(body)
}

pub(super) fn update_body(report: &Report) -> Result<Vec<u8>, Error> {
    if report.status == Status::Maintenance {
        let what = format!(
            "report for {}: maintenance is no status of a check; report passing, warning or critical",
            report.check
        );
        return Err(Error::new(Kind::Config, what));
    }
    let end = report.output.floor_char_boundary(OUTPUT);
    let output = report.output.get(..end).unwrap_or_default();
    to_json(&Update { status: report.status.as_str(), output })
}

pub(super) fn to_json(body: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(body)
        .map_err(|cause| Error::new(Kind::Config, "the body cannot be written as JSON").caused_by(cause))
}

/// A filter for these ids by the field `selector`; `None` where there are many, or where one could end its quotes.
pub(super) fn filter(selector: &str, ids: &[ServiceId]) -> Option<String> {
    let plain = |id: &ServiceId| {
        id.as_str().chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | ' '))
    };
    if ids.len() > FILTER_IDS || !ids.iter().all(plain) {
        return None;
    }
    Some(ids.iter().map(|id| format!("{selector} == \"{id}\"")).collect::<Vec<_>>().join(" or "))
}

/// What is held of `ids`, put together from both lists; what cannot be read as a line each.
pub(super) fn registered(
    ids: &[ServiceId],
    services: &[u8],
    checks: &[u8],
) -> Result<(Vec<Registered>, Vec<String>), serde_json::Error> {
    let services: Option<BTreeMap<Cow<'_, str>, Held<'_>>> = serde_json::from_slice(services)?;
    let checks: Option<BTreeMap<Cow<'_, str>, HeldCheck<'_>>> = serde_json::from_slice(checks)?;
    let (services, checks) = (services.unwrap_or_default(), checks.unwrap_or_default());
    // A process may keep ten thousand on one agent: each list is gone through once.
    let by_id: BTreeMap<&str, &Held<'_>> =
        services.values().map(|service| (service.id.as_str(), service)).collect();
    let mut own: BTreeMap<&str, Vec<&HeldCheck<'_>>> = BTreeMap::new();
    for check in checks.values() {
        own.entry(check.service_id.as_str()).or_default().push(check);
    }
    let (mut held, mut unreadable) = (Vec::new(), Vec::new());
    for id in ids {
        let Some(service) = by_id.get(id.as_str()) else { continue };
        match one(id, service) {
            Ok(mut registered) => {
                let own = own.get(id.as_str()).into_iter().flatten();
                registered.checks =
                    own.map(|check| (check.id.as_str().to_owned(), registered_check(check))).collect();
                held.push(registered);
            }
            Err(problem) => unreadable.push(format!("{id}: {problem}")),
        }
    }
    Ok((held, unreadable))
}

fn one(id: &ServiceId, service: &Held<'_>) -> Result<Registered, String> {
    let port = health::port(service.port)?;
    let mut registered = Registered::new(id.clone(), service.name.as_str(), service.address.as_str(), port);
    registered.weights = health::weights(service.weights)?;
    registered.tags = service.tags.iter().map(|tag| tag.as_str().to_owned()).collect();
    registered.meta = service.meta.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    registered.enable_tag_override = service.enable_tag_override;
    Ok(registered)
}

fn registered_check(check: &HeldCheck<'_>) -> RegisteredCheck {
    let status = Status::of_check(check.status.as_str());
    // Told by its id, as in the catalogue: Consul before 1.7 leaves the type out.
    let maintenance = CheckState::is_maintenance(check.id.as_str());
    let status = if maintenance { Status::Maintenance } else { status };
    RegisteredCheck::new(status, Text::as_str(&check.kind), check.output.as_str())
        .with_notes(check.notes.as_str())
}

#[cfg(test)]
mod tests;
