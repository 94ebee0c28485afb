//! The one seam to a catalogue: everything Portolan asks of a registry, and nothing more.
//!
//! In:  queries and definitions that were checked at the edge. Out: answers in the library's own types.
//!
//! Never: retries, caches or waits beyond what was asked; the state machines on both sides of it decide. Each call
//! does one exchange and tells the truth about it.
//!
//! Proof: the contract suite (`tests/contract/`), which runs on every implementation.

use std::{collections::BTreeMap, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::{
    error::Error,
    model::{CheckId, Instance, ServiceId, ServiceName, Status, Weights},
};

pub mod consul;
pub mod memory;
pub mod static_list;

/// The future of a registry call.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// A catalogue of services. Implemented by [`consul::Consul`], [`memory::Memory`], [`static_list::StaticList`] and by
/// the embedded registry of `portolan-server`.
///
/// # Cancel safety
/// Every call may be dropped at any time; a write that was dropped may have been applied, and can be repeated.
pub trait Registry: Send + Sync + fmt::Debug + 'static {
    /// What this registry is and where, for messages: `Consul at http://127.0.0.1:8500`.
    fn describe(&self) -> String;

    /// `host:port` of the agent that registrations go to; `None` when it is reached without a network, or in this
    /// process. An `auto` address is the local one from which the route to it leaves.
    fn endpoint(&self) -> Option<String> {
        None
    }

    /// The instances of one service, unfiltered. With [`Block`], waits for a change.
    ///
    /// An unknown service is an empty answer, not an error.
    fn service<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Instance>>>;

    /// The names of all services, with the tags of their instances.
    fn services<'a>(&'a self, query: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>>;

    /// Who answers: the agent's node and datacenter.
    fn agent(&self) -> Reply<'_, AgentInfo>;

    /// What the agent holds of these ids. An id that it does not hold is left out.
    fn registered<'a>(&'a self, ids: &'a [ServiceId]) -> Reply<'a, Vec<Registered>>;

    /// Creates or replaces an instance on the agent, with exactly these checks. The same definition again changes
    /// no index; a check that stays keeps its status.
    fn register<'a>(&'a self, definition: &'a Definition) -> Reply<'a, ()>;

    /// Removes an instance and its checks from the agent. Removing what is not there is fine.
    fn deregister<'a>(&'a self, id: &'a ServiceId) -> Reply<'a, ()>;

    /// Reports the health of a TTL check.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::Kind::NotFound) when there is no such TTL check: it must be registered again.
    fn report<'a>(&'a self, report: &'a Report) -> Reply<'a, ()>;

    /// Takes an instance out of service, with a reason, or back in (`None`).
    fn maintenance<'a>(&'a self, id: &'a ServiceId, reason: Option<&'a str>) -> Reply<'a, ()>;
}

/// Which answer a read wants. Consul: website/content/api-docs/features/consistency.mdx.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Consistency {
    /// The leader answers; a small window after an election.
    Default,
    /// Any server answers, also without a leader. The default here: bounded by what the headers say.
    #[default]
    Stale,
    /// The leader answers after asking the others.
    Consistent,
}

/// Wait until the answer's index is above `index`, or until `wait` has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The index of the last answer, at least 1.
    pub index: u64,
    /// How long to wait; Consul allows up to 10 min and adds up to a sixteenth.
    pub wait: Duration,
}

/// A read of one service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceQuery {
    /// Whose instances.
    pub service: ServiceName,
    /// In which datacenter; `None`: the agent's own.
    pub datacenter: Option<Arc<str>>,
    /// Which server may answer.
    pub consistency: Consistency,
    /// Wait for a change; `None`: answer at once.
    pub block: Option<Block>,
    /// Whether the output of checks is kept. Dropped by default: it changes without meaning.
    pub output: CheckOutput,
}

/// What to do with the output of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CheckOutput {
    /// Leave it out of the answer.
    #[default]
    Drop,
    /// Keep it, for a person to read.
    Keep,
}

impl ServiceQuery {
    /// A stale read of `service` in the agent's datacenter that does not wait.
    #[must_use]
    pub fn new(service: ServiceName) -> Self {
        Self {
            service,
            datacenter: None,
            consistency: Consistency::default(),
            block: None,
            output: CheckOutput::default(),
        }
    }

    /// The same, waiting for a change.
    #[must_use]
    pub fn block(mut self, index: u64, wait: Duration) -> Self {
        self.block = Some(Block { index, wait });
        self
    }

    /// The same at this consistency.
    #[must_use]
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }

    /// The same in this datacenter.
    #[must_use]
    pub fn datacenter(mut self, datacenter: Option<Arc<str>>) -> Self {
        self.datacenter = datacenter;
        self
    }

    /// The same with or without the output of checks.
    #[must_use]
    pub fn output(mut self, output: CheckOutput) -> Self {
        self.output = output;
        self
    }
}

/// A read of the list of services.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CatalogQuery {
    /// In which datacenter; `None`: the agent's own.
    pub datacenter: Option<Arc<str>>,
    /// Which server may answer.
    pub consistency: Consistency,
    /// Wait for a change; `None`: answer at once.
    pub block: Option<Block>,
}

/// Service names with the union of their instances' tags, both sorted.
pub type ServiceTags = BTreeMap<Arc<str>, Vec<Arc<str>>>;

/// An answer with what the registry said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// How new it is, and from where.
    pub meta: AnswerMeta,
}

impl<T> Answer<T> {
    /// An answer with its index and nothing else known about it.
    #[must_use]
    pub fn new(value: T, index: u64) -> Self {
        Self { value, meta: AnswerMeta::new(index) }
    }

    /// The same with these words of the registry about it.
    #[must_use]
    pub fn with_meta(mut self, meta: AnswerMeta) -> Self {
        self.meta = meta;
        self
    }
}

/// What the headers of an answer say. `None` where the registry says nothing: each is read by itself, so that one
/// unreadable header costs only itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnswerMeta {
    /// `X-Consul-Index`, at least 1: a missing, zero or unreadable one reads as 1.
    pub index: u64,
    /// `X-Consul-KnownLeader`.
    pub known_leader: Option<bool>,
    /// `X-Consul-LastContact`: how long ago the answering server heard from the leader.
    pub last_contact: Option<Duration>,
    /// `X-Consul-Effective-Consistency`: what was really served.
    pub consistency: Option<Consistency>,
    /// `X-Consul-Results-Filtered-By-ACLs`: whether the token hid something.
    pub filtered_by_acls: Option<bool>,
    /// Whether a token, or a default of `deny`, may hide something without a word (before Consul 1.11).
    pub maybe_acl: bool,
    /// `X-Consul-Query-Backend: streaming`: then the headers about age always say 0.
    pub streaming: bool,
    /// `Age`: how old the agent's cached answer is; `None` when it was not from its cache.
    pub cache_age: Option<Duration>,
    /// `X-Consul-Translate-Addresses`: the agent has rewritten the addresses for us already.
    pub translated: bool,
}

impl AnswerMeta {
    /// An index and nothing else known.
    #[must_use]
    pub fn new(index: u64) -> Self {
        Self {
            index: index.max(1),
            known_leader: None,
            last_contact: None,
            consistency: None,
            filtered_by_acls: None,
            maybe_acl: false,
            streaming: false,
            cache_age: None,
            translated: false,
        }
    }
}

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
    /// Its checks, each with an id and a whole target.
    pub checks: Vec<CheckDefinition>,
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
            checks: Vec::new(),
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
    pub check: crate::check::Check,
}

impl CheckDefinition {
    /// A check with the id and name it has on the agent.
    #[must_use]
    pub fn new(id: CheckId, name: impl Into<String>, check: crate::check::Check) -> Self {
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
        }
    }

    /// The worst status over its own checks; the node's are not among them.
    #[must_use]
    pub fn status(&self) -> Status {
        self.checks.values().map(|check| check.status).max().unwrap_or(Status::Passing)
    }
}

impl RegisteredCheck {
    /// A check by status, kind and output.
    #[must_use]
    pub fn new(status: Status, kind: &str, output: &str) -> Self {
        Self { status, kind: kind.into(), output: output.into() }
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
