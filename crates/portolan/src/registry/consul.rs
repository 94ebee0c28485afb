//! Consul's HTTP interface, as a [`Registry`].
//!
//! In:  the trait's calls. Out: its answers, or an error whose kind says whether to wait, to register again, or to look
//! at the token. `config` is checked, `transport` does one exchange, `health`, `agent` and `headers` read it.
//!
//! Never: retries or caches; asks the agent to filter instances (an index speaks for the whole service anyway, and a
//! view wants to say why an instance is left out).
//!
//! Rules from Consul: COMPATIBILITY.md numbers them. Proof: the contract suite on a real Consul
//! (`tests/contract_consul.rs`) and `tests/transport_rules.rs`.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc, time::Duration};

use self::{
    call::{Call, Lane},
    target::Target,
    transport::{Reply as Received, Transport},
    wire::{AgentSelf, ServiceHash, Text},
};
use super::{
    AgentInfo, Answer, Block, CatalogQuery, Definition, NodeDefinition, NodePart, Registered, Registry,
    Reply, Report, ServiceQuery, ServiceTags,
};
use crate::{
    duration::format_duration,
    error::{Error, Kind},
    model::{Instance, NodeName, ServiceId},
    telemetry,
};

mod agent;
mod alike;
mod body;
mod call;
mod catalog;
mod config;
mod connect;
mod examine;
mod failover;
mod headers;
mod health;
#[doc(hidden)]
pub mod inside;
mod operate;
mod pools;
mod raw;
mod refusal;
mod routes;
mod target;
mod tls;
mod transport;
mod wire;

pub use config::{Compression, ConsulConfig, DEFAULT_ADDRESS, Http2};
pub use examine::Document;
pub use operate::Inspected;
pub use tls::{Offer, Tls, Verify};
pub use transport::pass::PassedToken;

/// A Consul agent, or an embedded registry of Portolan, over HTTP. Clones share the connections.
///
/// ```
/// use portolan::registry::{Registry as _, consul::{Consul, ConsulConfig}};
///
/// let consul = Consul::new(ConsulConfig::default());
/// assert_eq!(consul.describe(), "Consul at http://127.0.0.1:8500");
/// ```
#[derive(Clone)]
pub struct Consul {
    transport: Arc<Transport>,
}

impl Consul {
    /// A registry that speaks to the agent of `config`. No I/O: the first call connects.
    #[must_use]
    pub fn new(config: ConsulConfig) -> Self {
        Self { transport: Arc::new(Transport::new(config)) }
    }

    async fn instances(&self, query: &ServiceQuery) -> Result<Answer<Vec<Arc<Instance>>>, Error> {
        let target = Target::new("/v1/health/service")
            .segment(query.service.as_str())
            .pair_if("dc", query.datacenter.as_deref())
            .consistency(query.consistency);
        let received = self
            .transport
            .exchange(Call::read("service", target, query.block, query.datacenter.is_some()))
            .await?;
        let decoded = match &query.recall {
            Some(recall) => raw::decode(&received.body, query.output, recall),
            None => health::decode(&received.body, query.output),
        }
        .map_err(|cause| not_json(&received, cause))?;
        self.left_out(&decoded.unreadable, decoded.still_unreadable);
        Ok(Answer::new(decoded.instances, received.meta.index).with_meta(received.meta))
    }

    async fn names(&self, query: &CatalogQuery) -> Result<Answer<ServiceTags>, Error> {
        let target = Target::new("/v1/catalog/services")
            .pair_if("dc", query.datacenter.as_deref())
            .consistency(query.consistency);
        let received = self
            .transport
            .exchange(Call::read("services", target, query.block, query.datacenter.is_some()))
            .await?;
        let found: Option<BTreeMap<Cow<'_, str>, Option<Vec<Text<'_>>>>> =
            serde_json::from_slice(&received.body).map_err(|cause| not_json(&received, cause))?;
        let mut services = ServiceTags::new();
        for (name, tags) in found.unwrap_or_default() {
            let mut tags: Vec<Arc<str>> = tags.iter().flatten().map(|tag| tag.as_str().into()).collect();
            tags.sort_unstable();
            tags.dedup();
            services.insert(name.as_ref().into(), tags);
        }
        Ok(Answer::new(services, received.meta.index).with_meta(received.meta))
    }

    async fn who(&self) -> Result<AgentInfo, Error> {
        let received =
            self.transport.exchange(Call::get("agent", Target::new("/v1/agent/self"), None)).await?;
        let found: AgentSelf<'_> =
            serde_json::from_slice(&received.body).map_err(|cause| not_json(&received, cause))?;
        let config = found.config;
        Ok(AgentInfo::new(config.node_name.as_str(), config.datacenter.as_str(), config.version.as_str()))
    }

    async fn held(&self, ids: &[ServiceId]) -> Result<Vec<Registered>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let services = self.listed("/v1/agent/services", "ID", ids).await?;
        let checks = self.listed("/v1/agent/checks", "ServiceID", ids).await?;
        let (held, unreadable) = agent::registered(ids, &services.body, &checks.body)
            .map_err(|cause| not_json(&services, cause))?;
        self.left_out(&unreadable, 0);
        Ok(held)
    }

    /// One of the agent's own lists, as little of it as the agent can be asked for: the answer is filtered here too.
    async fn listed(&self, path: &'static str, field: &str, ids: &[ServiceId]) -> Result<Received, Error> {
        let filter = agent::filter(field, ids);
        let few = Target::new(path).pair_if("filter", filter.as_deref());
        match self.transport.exchange(Call::get("registered", few, None)).await {
            // A registry that has no filters says so, and then gives all.
            Err(refused) if refused.kind() == Kind::Rejected && filter.is_some() => {
                self.transport.exchange(Call::get("registered", Target::new(path), None)).await
            }
            listed => listed,
        }
    }

    /// Holds a read at the agent that ends when what it holds of the id changes. Consul: agent/agent_endpoint.go
    /// (`AgentService`: blocks by the hash of the content, not by an index).
    async fn held_on_to(&self, id: &ServiceId, wait: Duration) -> Result<(), Error> {
        let target = || Target::new("/v1/agent/service").segment(id.as_str());
        let received = self.transport.exchange(Call::get("tether", target(), None)).await?;
        let now: ServiceHash<'_> =
            serde_json::from_slice(&received.body).map_err(|cause| not_json(&received, cause))?;
        let until = target().pair("hash", now.hash.as_str()).pair("wait", &format_duration(wait));
        let block = Some(Block { index: 0, wait });
        let held = Call { block, lane: Lane::Watch, ..Call::get("tether", until, None) };
        self.transport.exchange(held).await.map(|_changed| ())
    }

    async fn send(&self, definition: &Definition) -> Result<(), Error> {
        let body = agent::register_body(definition)?;
        let target = Target::new("/v1/agent/service/register").pair("replace-existing-checks", "true");
        self.transport.exchange(Call::put("register", target, Some(body))).await.map(|_done| ())
    }

    async fn remove(&self, id: &ServiceId) -> Result<(), Error> {
        let target = Target::new("/v1/agent/service/deregister").segment(id.as_str());
        match self.transport.exchange(Call::put("deregister", target, None)).await {
            // Newer agents answer 404 for what is not there; any other 404 comes from something that is no agent.
            Err(gone) if gone.kind() == Kind::NotFound && gone.to_string().contains("nknown service") => {
                Ok(())
            }
            done => done.map(|_done| ()),
        }
    }

    async fn tell(&self, report: &Report) -> Result<(), Error> {
        let body = agent::update_body(report)?;
        let target = Target::new("/v1/agent/check/update").segment(report.check.as_str());
        let call = Call { lane: Lane::Report, ..Call::put("report", target, Some(body)) };
        self.transport.exchange(call).await.map(|_done| ())
    }

    async fn maintain(&self, id: &ServiceId, reason: Option<&str>) -> Result<(), Error> {
        let target = Target::new("/v1/agent/service/maintenance")
            .segment(id.as_str())
            .pair("enable", if reason.is_some() { "true" } else { "false" })
            .pair_if("reason", reason.filter(|reason| !reason.is_empty()));
        self.transport.exchange(Call::put("maintenance", target, None)).await.map(|_done| ())
    }

    async fn held_node(&self, name: &NodeName) -> Result<Option<NodeDefinition>, Error> {
        let read = |path| Call::get("catalog_node", Target::new(path).segment(name.as_str()), None);
        // The leader answers both: what was written just now is there.
        let node = self.transport.exchange(read("/v1/catalog/node")).await?;
        let checks = self.transport.exchange(read("/v1/health/node")).await?;
        let found = catalog::node(&node.body, &checks.body).map_err(|cause| not_json(&node, cause))?;
        Ok(found.map(|(held, unreadable)| {
            self.left_out(&unreadable, 0);
            held
        }))
    }

    async fn write(&self, operation: &'static str, path: &'static str, body: Vec<u8>) -> Result<(), Error> {
        self.transport.exchange(Call::put(operation, Target::new(path), Some(body))).await.map(|_done| ())
    }

    /// Counts what could not be read; tells of what could not be read for the first time.
    fn left_out(&self, unreadable: &[String], still: usize) {
        let count = unreadable.len().saturating_add(still) as u64;
        if count > 0 {
            metrics::counter!(telemetry::INSTANCES_UNREADABLE).increment(count);
        }
        let Some(first) = unreadable.first() else { return };
        tracing::warn!(
            registry = self.transport.shown(),
            count,
            first,
            "instances were left out of an answer because they cannot be read"
        );
    }
}

/// A body that is not the JSON it should be.
fn not_json(received: &Received, cause: serde_json::Error) -> Error {
    let begins = refusal::begins(&received.body);
    let what = format!(
        "{}: the answer is not the JSON of a Consul agent; {begins}check the address",
        received.request
    );
    Error::new(Kind::Malformed, what).caused_by(cause)
}

impl fmt::Debug for Consul {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consul").field("address", &self.transport.shown()).finish_non_exhaustive()
    }
}

impl Registry for Consul {
    fn describe(&self) -> String {
        format!("Consul at {}", self.transport.shown())
    }

    fn endpoint(&self) -> Option<String> {
        self.transport.endpoint()
    }

    fn watches(&self) -> Option<usize> {
        self.transport.watches()
    }

    fn service<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<Instance>>>> {
        Box::pin(self.instances(query))
    }

    fn services<'a>(&'a self, query: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>> {
        Box::pin(self.names(query))
    }

    fn agent(&self) -> Reply<'_, AgentInfo> {
        Box::pin(self.who())
    }

    fn registered<'a>(&'a self, ids: &'a [ServiceId]) -> Reply<'a, Vec<Registered>> {
        Box::pin(self.held(ids))
    }

    fn tether<'a>(&'a self, id: &'a ServiceId, wait: Duration) -> Reply<'a, ()> {
        Box::pin(self.held_on_to(id, wait))
    }

    fn register<'a>(&'a self, definition: &'a Definition) -> Reply<'a, ()> {
        Box::pin(self.send(definition))
    }

    fn deregister<'a>(&'a self, id: &'a ServiceId) -> Reply<'a, ()> {
        Box::pin(self.remove(id))
    }

    fn report<'a>(&'a self, report: &'a Report) -> Reply<'a, ()> {
        Box::pin(self.tell(report))
    }

    fn maintenance<'a>(&'a self, id: &'a ServiceId, reason: Option<&'a str>) -> Reply<'a, ()> {
        Box::pin(self.maintain(id, reason))
    }

    fn catalog_node<'a>(&'a self, node: &'a NodeName) -> Reply<'a, Option<NodeDefinition>> {
        Box::pin(self.held_node(node))
    }

    fn catalog_register<'a>(&'a self, part: &'a NodeDefinition) -> Reply<'a, ()> {
        Box::pin(async move {
            let body = catalog::register_body(part)?;
            self.write("catalog_register", "/v1/catalog/register", body).await
        })
    }

    fn catalog_deregister<'a>(&'a self, node: &'a NodeName, part: &'a NodePart) -> Reply<'a, ()> {
        Box::pin(async move {
            let body = catalog::deregister_body(node, part)?;
            self.write("catalog_deregister", "/v1/catalog/deregister", body).await
        })
    }
}
