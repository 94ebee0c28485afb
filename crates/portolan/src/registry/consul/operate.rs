//! What only an operator asks: kinds of checks, a node's maintenance, a removal from the catalogue, an embedded registry's
//! backup.
//!
//! In:  an operator's question. Out: one exchange.
//!
//! Never: is needed to register or to find anything, so it stands beside the trait [`Registry`](crate::Registry).
//!
//! Rules from Consul: agent/agent_endpoint.go `AgentNodeMaintenance`, agent/catalog_endpoint.go `CatalogDeregister`.
//! Proof: `portolan-cli`, `tests/operate.rs`, on a real Consul and on the embedded registry.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;

use super::{
    Consul,
    call::{Call, Wants},
    health, not_json,
    target::Target,
    wire::{CatalogDeregister, Text},
};
use crate::{
    error::{Error, Kind},
    model::{Identity, Instance, ServiceName},
    registry::CheckOutput,
};

/// An instance, and of what kind each of its checks is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspected {
    /// The instance, with the outputs of its checks.
    pub instance: Arc<Instance>,
    /// `http`, `ttl`, … by the check's id; empty where Consul does not say, as for a node's own health.
    pub kinds: BTreeMap<Arc<str>, Arc<str>>,
}

impl Consul {
    /// The instances of a service with the kinds of their checks, ordered by identity.
    ///
    /// # Errors
    /// As [`Registry::service`](crate::Registry::service).
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn inspect(&self, service: &ServiceName) -> Result<Vec<Inspected>, Error> {
        let target = Target::new("/v1/health/service").segment(service.as_str());
        let received = self.transport.exchange(Call::read("service", target, None, false)).await?;
        let wrong = |cause| not_json(&received, cause);
        let decoded = health::decode(&received.body, CheckOutput::Keep).map_err(wrong)?;
        self.left_out(&decoded.unreadable, decoded.still_unreadable);
        let entries: Option<Vec<Kinds<'_>>> = serde_json::from_slice(&received.body).map_err(wrong)?;
        let entries = entries.unwrap_or_default();
        let kinds = |one: &Instance| {
            let same = |entry: &&Kinds<'_>| {
                *one.identity.node == *entry.node.node.as_str()
                    && *one.identity.id == *entry.service.id.as_str()
            };
            let checks = entries.iter().filter(same).flat_map(|entry| entry.checks.iter().flatten());
            checks.map(|check| (check.id.as_str().into(), check.kind.as_str().into())).collect()
        };
        let inspected = decoded.instances.into_iter();
        Ok(inspected.map(|instance| Inspected { kinds: kinds(&instance), instance }).collect())
    }

    /// Takes the agent's whole node out of service, with a reason, or back in (`None`).
    ///
    /// # Errors
    /// The kind of the refusal.
    ///
    /// # Cancel safety
    /// What was dropped may have been applied, and can be repeated.
    pub async fn node_maintenance(&self, reason: Option<&str>) -> Result<(), Error> {
        let target = Target::new("/v1/agent/maintenance")
            .pair("enable", if reason.is_some() { "true" } else { "false" })
            .pair_if("reason", reason.filter(|reason| !reason.is_empty()));
        self.transport.exchange(Call::put("maintenance", target, None)).await.map(|_done| ())
    }

    /// Removes an instance from the catalogue, past its agent. An agent that lives puts it back with its next sync; so
    /// this is for instances whose node is dead.
    ///
    /// # Errors
    /// The kind of the refusal. That it is not there is none.
    ///
    /// # Cancel safety
    /// What was dropped may have been applied, and can be repeated.
    pub async fn deregister_from_catalog(&self, identity: &Identity) -> Result<(), Error> {
        let body = CatalogDeregister {
            datacenter: &identity.datacenter,
            node: &identity.node,
            service_id: &identity.id,
            namespace: Some(&*identity.namespace).filter(|name| !name.is_empty()),
            partition: Some(&*identity.partition).filter(|name| !name.is_empty()),
        };
        let body = serde_json::to_vec(&body).map_err(|cause| {
            Error::new(Kind::Config, "the body cannot be written as JSON").caused_by(cause)
        })?;
        let target = Target::new("/v1/catalog/deregister");
        self.transport.exchange(Call::put("deregister", target, Some(body))).await.map(|_done| ())
    }
}

impl Consul {
    /// A backup of all that an embedded registry keeps, as it came: who keeps it is to check it. Consul itself has none here.
    ///
    /// # Errors
    /// The kind of the refusal; not found where the registry is Consul.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn backup(&self) -> Result<bytes::Bytes, Error> {
        let target = Target::new("/v1/portolan/backup");
        let call = Call { wants: Wants::Nothing, ..Call::get("backup", target, None) };
        Ok(self.transport.exchange(call).await?.body)
    }

    /// Puts what a backup holds in the place of all that an embedded registry has.
    ///
    /// # Errors
    /// The kind of the refusal: rejected where the backup is not right, not found where the registry is Consul.
    ///
    /// # Cancel safety
    /// What was dropped may have been applied, and can be repeated.
    pub async fn restore(&self, backup: Vec<u8>) -> Result<(), Error> {
        let target = Target::new("/v1/portolan/restore");
        self.transport.exchange(Call::put("restore", target, Some(backup))).await.map(|_done| ())
    }
}

impl Consul {
    /// The body of an endpoint that has no call of its own here, as it came: `["kv", ""]` with the flag `recurse` is
    /// `GET /v1/kv/?recurse`.
    ///
    /// # Errors
    /// The kind of the refusal; malformed where it is no JSON.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn read_raw(&self, path: &[&str], flags: &[&str]) -> Result<bytes::Bytes, Error> {
        let target = flags.iter().fold(raw_target(path), |target, flag| target.flag(flag));
        Ok(self.transport.exchange(Call::get("operate", target, None)).await?.body)
    }

    /// Puts a body to an endpoint that has no call of its own here, and gives back what was answered.
    ///
    /// # Errors
    /// The kind of the refusal.
    ///
    /// # Cancel safety
    /// What was dropped may have been applied.
    pub async fn write_raw(&self, path: &[&str], body: Vec<u8>) -> Result<bytes::Bytes, Error> {
        Ok(self.transport.exchange(Call::put("operate", raw_target(path), Some(body))).await?.body)
    }
}

fn raw_target(path: &[&str]) -> Target {
    path.iter().fold(Target::new("/v1"), |target, segment| target.segment(segment))
}

/// Of an element of `/v1/health/service/:name`, what the decoder of instances leaves out.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kinds<'a> {
    #[serde(borrow)]
    node: KindsNode<'a>,
    #[serde(borrow)]
    service: KindsService<'a>,
    #[serde(borrow, default)]
    checks: Option<Vec<KindsCheck<'a>>>,
}

#[derive(Deserialize)]
struct KindsNode<'a> {
    #[serde(borrow, rename = "Node")]
    node: Text<'a>,
}

#[derive(Deserialize)]
struct KindsService<'a> {
    #[serde(borrow, rename = "ID")]
    id: Text<'a>,
}

#[derive(Deserialize)]
struct KindsCheck<'a> {
    #[serde(borrow, rename = "CheckID")]
    id: Text<'a>,
    #[serde(borrow, rename = "Type", default)]
    kind: Text<'a>,
}
