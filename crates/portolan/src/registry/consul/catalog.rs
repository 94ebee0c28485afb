//! What is said to the catalogue about nodes without an agent, and what it holds of a node. PURE: bodies in and out.
//!
//! In:  definitions; bodies of `/v1/catalog/node/:name` and `/v1/health/node/:name`. Out: bodies; a [`NodeDefinition`].
//!
//! Never: writes two instances in one request, which Consul does not have; leaves in silence out what cannot be read.
//!
//! Rules from Consul: agent/catalog_endpoint.go, agent/consul/catalog_endpoint.go. Proof: `catalog/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};

use super::{
    health,
    wire::{CheckEntry, Pairs, Service, Text, WeightsEntry},
};
use crate::{
    error::{Error, Kind},
    model::{CheckId, NodeName, ServiceId, ServiceName, Status},
    registry::{NodeCheck, NodeDefinition, NodePart, NodeService},
};

/// The body of `/v1/catalog/register`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Register<'a> {
    node: &'a str,
    address: &'a str,
    node_meta: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<ServiceBody<'a>>,
    checks: Vec<CheckBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceBody<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    address: &'a str,
    port: u16,
    tags: &'a [String],
    meta: &'a BTreeMap<String, String>,
    weights: WeightsEntry,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CheckBody<'a> {
    #[serde(rename = "CheckID")]
    id: &'a str,
    name: &'a str,
    status: &'static str,
    output: &'a str,
    #[serde(rename = "ServiceID", skip_serializing_if = "str::is_empty")]
    service: &'a str,
}

/// The body of `/v1/catalog/deregister`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Deregister<'a> {
    node: &'a str,
    #[serde(rename = "ServiceID", skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(rename = "CheckID", skip_serializing_if = "Option::is_none")]
    check: Option<&'a str>,
}

/// The answer of `/v1/catalog/node/:name`, where there is such a node.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NodeServices<'a> {
    #[serde(borrow)]
    node: Node<'a>,
    #[serde(borrow, default)]
    services: Option<BTreeMap<Cow<'a, str>, Service<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node<'a> {
    #[serde(borrow)]
    node: Text<'a>,
    #[serde(borrow, default)]
    address: Text<'a>,
    #[serde(borrow, default)]
    meta: Option<Pairs<'a>>,
}

pub(super) fn register_body(part: &NodeDefinition) -> Result<Vec<u8>, Error> {
    let mut services = part.services.iter();
    let service = services.next();
    if services.next().is_some() {
        let what =
            format!("node {}: {} services in one write; send each alone", part.name, part.services.len());
        return Err(Error::new(Kind::Rejected, what));
    }
    let mut checks = Vec::new();
    for (of, id, check) in part.checks.iter().map(|(id, check)| ("", id, check)).chain(
        service
            .iter()
            .flat_map(|(of, service)| service.checks.iter().map(|(id, check)| (of.as_str(), id, check))),
    ) {
        checks.push(check_body(of, id, check)?);
    }
    super::agent::to_json(&Register {
        node: part.name.as_str(),
        address: &part.address,
        node_meta: &part.meta,
        service: service.map(|(id, service)| service_body(id, service)),
        checks,
    })
}

fn service_body<'a>(id: &'a ServiceId, service: &'a NodeService) -> ServiceBody<'a> {
    ServiceBody {
        id: id.as_str(),
        service: service.name.as_str(),
        address: &service.address,
        port: service.port,
        tags: &service.tags,
        meta: &service.meta,
        weights: WeightsEntry {
            passing: service.weights.passing.into(),
            warning: service.weights.warning.into(),
        },
    }
}

fn check_body<'a>(service: &'a str, id: &'a CheckId, check: &'a NodeCheck) -> Result<CheckBody<'a>, Error> {
    if check.status == Status::Maintenance {
        let what =
            format!("check {id}: maintenance is no status of a check; use passing, warning or critical");
        return Err(Error::new(Kind::Config, what));
    }
    let (id, status) = (id.as_str(), check.status.as_str());
    Ok(CheckBody { id, name: &check.name, status, output: &check.output, service })
}

pub(super) fn deregister_body(node: &NodeName, part: &NodePart) -> Result<Vec<u8>, Error> {
    let (service, check) = match part {
        NodePart::Node => (None, None),
        NodePart::Service(id) => (Some(id.as_str()), None),
        NodePart::Check(id) => (None, Some(id.as_str())),
    };
    super::agent::to_json(&Deregister { node: node.as_str(), service, check })
}

/// What is held of a node, and a line for each thing on it that could not be read; `None`: there is no such node.
pub(super) fn node(
    node: &[u8],
    checks: &[u8],
) -> Result<Option<(NodeDefinition, Vec<String>)>, serde_json::Error> {
    let Some(found) = serde_json::from_slice::<Option<NodeServices<'_>>>(node)? else { return Ok(None) };
    let checks: Option<Vec<CheckEntry<'_>>> = serde_json::from_slice(checks)?;
    let node = found.node;
    let name = NodeName::new(node.node.as_str()).map_err(serde::de::Error::custom)?;
    let mut held = NodeDefinition::new(name, node.address.as_str());
    let mut unreadable = Vec::new();
    held.meta = pairs(&node.meta.unwrap_or_default());
    for service in found.services.unwrap_or_default().values() {
        match held_service(service) {
            Ok((id, service)) => drop(held.services.insert(id, service)),
            Err(problem) => unreadable.push(format!("{}/{}: {problem}", held.name, service.id.as_str())),
        }
    }
    for check in checks.unwrap_or_default() {
        let id = match CheckId::new(check.id.as_str()) {
            Ok(id) => id,
            Err(problem) => {
                unreadable.push(format!("{}: {problem}", held.name));
                continue;
            }
        };
        let of = check.service_id.as_str();
        let known = if of.is_empty() {
            Some(&mut held.checks)
        } else {
            let service = held.services.iter_mut().find(|(id, _)| id.as_str() == of);
            service.map(|(_, service)| &mut service.checks)
        };
        // One of a service that could not be read was told with it.
        if let Some(checks) = known {
            let status = Status::of_check(check.status.as_str());
            checks.insert(id, NodeCheck::new(check.name.as_str(), status, check.output.as_str()));
        }
    }
    Ok(Some((held, unreadable)))
}

fn held_service(service: &Service<'_>) -> Result<(ServiceId, NodeService), String> {
    let id = ServiceId::new(service.id.as_str()).map_err(|wrong| wrong.to_string())?;
    let name = ServiceName::new(service.name.as_str()).map_err(|wrong| wrong.to_string())?;
    let mut held = NodeService::new(name, health::port(service.port)?);
    held.address = service.address.as_str().to_owned();
    held.weights = health::weights(service.weights)?;
    held.tags = service.tags.iter().map(|tag| tag.as_str().to_owned()).collect();
    held.meta = pairs(&service.meta);
    Ok((id, held))
}

fn pairs(found: &Pairs<'_>) -> BTreeMap<String, String> {
    found.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests;
