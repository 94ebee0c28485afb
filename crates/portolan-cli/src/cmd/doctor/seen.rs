//! What was read of a registry, before anything is made of it. PURE: types, and reading JSON into them.
//!
//! In:  the bodies of Consul's answers. Out: rows; what a registry leaves out is `None`, or empty.
//!
//! Never: fails because of a field that it does not need, or that another version lacks.
//!
//! Rules from Consul 1.8.7 and 1.21.4, as they answer: agent/agent_endpoint.go `AgentSelf`, agent/structs/structs.go
//! `HealthCheck`. Both give `Definition: {}` for every check that an agent runs: its TTL and the time after which it
//! removes an instance are known of checks in the agent's own configuration (`DebugConfig`) alone.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use portolan::{
    Instance, Status, parse_duration,
    registry::{AnswerMeta, ServiceTags},
};
use serde_json::Value;

use super::{finding::Unread, names::Disagreement, sockets::Load};

/// Consul's own service: on every server, and without a check.
pub(super) const CONSUL: &str = "consul";
/// The check by which Consul tells whether a node's agent lives. Consul: agent/structs/structs.go `SerfCheckID`.
pub(super) const SERF: &str = "serfHealth";

/// All that was read.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) registry: String,
    pub(super) agent: Agent,
    pub(super) names: ServiceTags,
    /// By service.
    pub(super) services: BTreeMap<Arc<str>, Vec<Arc<Instance>>>,
    /// The addresses of all nodes.
    pub(super) nodes: Vec<String>,
    pub(super) checks: Vec<Check>,
    /// The ids of what the agent that was asked holds; `None`: it could not be asked.
    pub(super) held: Option<BTreeSet<String>>,
    /// What the headers said, by what was asked.
    pub(super) answers: Vec<(String, AnswerMeta)>,
    /// Indexes of the same question, in the order in which they came.
    pub(super) indexes: Vec<(String, u64)>,
    pub(super) clocks: Vec<Clock>,
    pub(super) load: Option<Load>,
    pub(super) disagreements: Vec<Disagreement>,
    pub(super) watched: Watched,
    pub(super) unread: Vec<Unread>,
}

impl Seen {
    /// Every instance that is not Consul's own.
    pub(super) fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.services.iter().filter(|(name, _)| ***name != *CONSUL).flat_map(|(_, all)| all)
    }

    pub(super) fn unread(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.unread.push(Unread::new(what, why));
    }
}

/// The agent that was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Agent {
    pub(super) node: String,
    pub(super) datacenter: String,
    pub(super) version: String,
    /// Connections that one address may hold; `None`: it does not say, or has no limit.
    pub(super) connections: Option<u64>,
    pub(super) dns_port: Option<u16>,
    pub(super) dns_domain: Option<String>,
    pub(super) dns_only_passing: bool,
    /// How the checks in its own configuration are defined, by their ids.
    pub(super) defined: BTreeMap<String, Defined>,
}

/// What is known of a check's definition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Defined {
    pub(super) ttl: Option<Duration>,
    /// After how long as critical the instance is removed.
    pub(super) reap: Option<Duration>,
}

/// A check as the catalogue has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) node: String,
    pub(super) id: String,
    /// Empty for a check of the node.
    pub(super) service_id: String,
    pub(super) service: String,
    pub(super) status: Status,
    pub(super) defined: Defined,
}

impl Check {
    /// Where it is, as findings name it.
    pub(super) fn place(&self) -> String {
        match &*self.service_id {
            "" => format!("{} on {}", self.id, self.node),
            id => format!("{} of {}/{id}", self.id, self.node),
        }
    }
}

/// The time on two clocks: between which times here the registry wrote its own, all since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) before: Duration,
    pub(super) after: Duration,
    pub(super) theirs: Duration,
}

/// What was seen while nothing was asked but "what changes?".
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Watched {
    /// How long; zero: not at all.
    pub(super) time: Duration,
    /// How often each check changed its status, by its place.
    pub(super) changes: BTreeMap<String, Vec<Status>>,
    /// What the agent's log told meanwhile; `None`: nothing.
    pub(super) heard: Option<Heard>,
}

/// Reports of TTL checks, as the agent logs them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Heard {
    /// For how long the log was read.
    pub(super) time: Duration,
    /// When each came since the reading began, by the check's id.
    pub(super) reports: BTreeMap<String, Vec<Duration>>,
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A duration as Consul writes it, in words or in nanoseconds; `None` for zero.
fn time(value: Option<&Value>) -> Option<Duration> {
    let found = match value? {
        Value::String(text) => parse_duration("duration", text).ok()?,
        other => Duration::from_nanos(other.as_u64()?),
    };
    (!found.is_zero()).then_some(found)
}

fn defined(definition: &Value) -> Defined {
    Defined { ttl: time(definition.get("TTL")), reap: time(definition.get("DeregisterCriticalServiceAfter")) }
}

/// `/v1/agent/self`.
pub(super) fn agent(body: &[u8]) -> Option<Agent> {
    let whole: Value = serde_json::from_slice(body).ok()?;
    let config = whole.get("Config")?;
    let debug = whole.get("DebugConfig").unwrap_or(&Value::Null);
    let number = |key: &str| debug.get(key).and_then(Value::as_i64).filter(|number| *number > 0);
    let mut found = Agent {
        node: text(config, "NodeName"),
        datacenter: text(config, "Datacenter"),
        version: text(config, "Version"),
        connections: number("HTTPMaxConnsPerClient").and_then(|number| u64::try_from(number).ok()),
        dns_port: number("DNSPort").and_then(|number| u16::try_from(number).ok()),
        dns_domain: Some(text(debug, "DNSDomain")).filter(|domain| !domain.is_empty()),
        dns_only_passing: debug.get("DNSOnlyPassing").and_then(Value::as_bool).unwrap_or_default(),
        defined: BTreeMap::new(),
    };
    let list =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    for check in list(debug, "Checks") {
        found.defined.insert(text(&check, "ID"), defined(&check));
    }
    for service in list(debug, "Services") {
        let id = Some(text(&service, "ID")).filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| text(&service, "Name"));
        let mut checks = list(&service, "Checks");
        // The single one is there in any case, and empty where there is none.
        checks.extend(service.get("Check").filter(|check| is_check(check)).cloned());
        let several = checks.len() > 1;
        for (place, check) in (1_usize..).zip(&checks) {
            // Consul: agent/agent.go `addServiceLocked`.
            let unnamed = if several { format!("service:{id}:{place}") } else { format!("service:{id}") };
            let name = Some(text(check, "CheckID")).filter(|id| !id.is_empty()).unwrap_or(unnamed);
            found.defined.insert(name, defined(check));
        }
    }
    Some(found)
}

fn is_check(check: &Value) -> bool {
    let kinds = ["AliasNode", "AliasService", "GRPC", "H2PING", "HTTP", "OSService", "TCP", "UDP"];
    time(check.get("TTL")).is_some()
        || kinds.iter().any(|kind| !text(check, kind).is_empty())
        || check.get("ScriptArgs").and_then(Value::as_array).is_some_and(|args| !args.is_empty())
}

/// `/v1/health/state/any`.
pub(super) fn checks(body: &[u8]) -> Option<Vec<Check>> {
    let rows: Option<Vec<Value>> = serde_json::from_slice(body).ok()?;
    let check = |row: &Value| Check {
        node: text(row, "Node"),
        id: text(row, "CheckID"),
        service_id: text(row, "ServiceID"),
        service: text(row, "ServiceName"),
        status: Status::of_check(&text(row, "Status")),
        defined: row.get("Definition").map(defined).unwrap_or_default(),
    };
    Some(rows.unwrap_or_default().iter().map(check).collect())
}

/// The addresses in `/v1/catalog/nodes`.
pub(super) fn nodes(body: &[u8]) -> Option<Vec<String>> {
    let rows: Option<Vec<Value>> = serde_json::from_slice(body).ok()?;
    Some(rows.unwrap_or_default().iter().map(|row| text(row, "Address")).collect())
}

/// The ids in `/v1/agent/services`.
pub(super) fn held(body: &[u8]) -> Option<BTreeSet<String>> {
    let rows: Option<BTreeMap<String, Value>> = serde_json::from_slice(body).ok()?;
    Some(rows.unwrap_or_default().into_keys().collect())
}

#[cfg(test)]
mod tests;
