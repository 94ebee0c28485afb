//! What is sent to an agent, and what an agent holds. PURE: types, no behaviour.
//!
//! In:  a registration in which everything is filled in. Out: values that can be sent, and compared with what is held.
//!
//! Never: leaves anything for the agent to choose: what it would fill in could not be told from drift.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    check::Check,
    model::{CheckId, ServiceId, ServiceName, Status, Weights},
};

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgentInfo {
    /// The agent's node name.
    pub node: Arc<str>,
    /// The agent's own datacenter.
    pub datacenter: Arc<str>,
    /// Its version, as it writes it.
    pub version: Arc<str>,
}

impl AgentInfo {
    /// An agent by node, datacenter and version.
    #[must_use]
    pub fn new(node: &str, datacenter: &str, version: &str) -> Self {
        Self { node: node.into(), datacenter: datacenter.into(), version: version.into() }
    }
}

/// An instance as it is sent to an agent: complete, nothing left to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Definition {
    /// Its id on the agent.
    pub id: ServiceId,
    /// The service it belongs to.
    pub name: ServiceName,
    /// Where it listens; empty: the node's address.
    pub address: String,
    /// The port; 0: none.
    pub port: u16,
    /// Tags.
    pub tags: Vec<String>,
    /// Key-value pairs.
    pub meta: BTreeMap<String, String>,
    /// Its share of requests.
    pub weights: Weights,
    /// Other addresses and ports under which it can be reached, by tag; port 0: its own.
    pub tagged_addresses: BTreeMap<String, (String, u16)>,
    /// Its checks, each with an id and a whole target.
    pub checks: Vec<CheckDefinition>,
    /// Whether its tags belong to the catalogue once it is registered: whoever writes there may change them.
    pub enable_tag_override: bool,
    /// Why it is out of service from the first moment on; `None`: it is in service.
    pub maintenance: Option<String>,
}

impl Definition {
    /// A definition with no tags, meta or checks.
    #[must_use]
    pub fn new(id: ServiceId, name: ServiceName, address: &str, port: u16) -> Self {
        Self {
            id,
            name,
            address: address.to_owned(),
            port,
            tags: Vec::new(),
            meta: BTreeMap::new(),
            weights: Weights::default(),
            tagged_addresses: BTreeMap::new(),
            checks: Vec::new(),
            enable_tag_override: false,
            maintenance: None,
        }
    }
}

/// A check as it is sent to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckDefinition {
    /// Its id on the agent; always given, so that its status survives a new registration.
    pub id: CheckId,
    /// Its name for people.
    pub name: String,
    /// Its settings. An HTTP target is a whole URL, a TCP target is given.
    pub check: Check,
}

impl CheckDefinition {
    /// A check with the id and name it has on the agent.
    #[must_use]
    pub fn new(id: CheckId, name: impl Into<String>, check: Check) -> Self {
        Self { id, name: name.into(), check }
    }
}

/// What an agent holds under one id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registered {
    /// Its id on the agent.
    pub id: ServiceId,
    /// The service's name.
    pub name: Arc<str>,
    /// Its own address; empty when it uses the node's.
    pub address: Arc<str>,
    /// The port; 0: none.
    pub port: u16,
    /// Tags, in the order they were sent.
    pub tags: Vec<String>,
    /// Key-value pairs.
    pub meta: BTreeMap<String, String>,
    /// Its share of requests.
    pub weights: Weights,
    /// The checks of this instance by id, maintenance among them.
    pub checks: BTreeMap<String, RegisteredCheck>,
    /// Whether its tags belong to the catalogue.
    pub enable_tag_override: bool,
}

/// What an agent holds of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegisteredCheck {
    /// Passing, warning, critical; maintenance for Consul's maintenance checks.
    pub status: Status,
    /// `ttl`, `http`, `tcp`, …; empty where the agent does not say.
    pub kind: Arc<str>,
    /// What it said last.
    pub output: Box<str>,
    /// What was noted when it was registered; for maintenance, the reason.
    pub notes: Box<str>,
}

impl Registered {
    /// What is held under `id`, without tags, meta and checks.
    #[must_use]
    pub fn new(id: ServiceId, name: &str, address: &str, port: u16) -> Self {
        Self {
            id,
            name: name.into(),
            address: address.into(),
            port,
            tags: Vec::new(),
            meta: BTreeMap::new(),
            weights: Weights::default(),
            checks: BTreeMap::new(),
            enable_tag_override: false,
        }
    }

    /// Why it is out of service; `None`: it is in service.
    #[must_use]
    pub fn maintenance(&self) -> Option<&str> {
        let check = self.checks.values().find(|check| check.status == Status::Maintenance);
        check.map(|check| &*check.notes)
    }

    /// The worst status over its own checks; the node's are not among them.
    #[must_use]
    pub fn status(&self) -> Status {
        self.checks.values().map(|check| check.status).max().unwrap_or(Status::Passing)
    }
}

impl RegisteredCheck {
    /// A check by status, kind and output, without notes.
    #[must_use]
    pub fn new(status: Status, kind: &str, output: &str) -> Self {
        Self { status, kind: kind.into(), output: output.into(), notes: "".into() }
    }

    /// The same with these notes.
    #[must_use]
    pub fn with_notes(mut self, notes: &str) -> Self {
        self.notes = notes.into();
        self
    }
}

/// A report for a TTL check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Which check.
    pub check: CheckId,
    /// Passing, warning or critical.
    pub status: Status,
    /// A line for people; Consul keeps 4 KiB of it.
    pub output: String,
}

impl Report {
    /// A report of `status` for `check`.
    #[must_use]
    pub fn new(check: CheckId, status: Status, output: impl Into<String>) -> Self {
        Self { check, status, output: output.into() }
    }
}
