//! The one seam to a catalogue: everything Portolan asks of a registry, and nothing more.
//!
//! In:  queries and definitions that were checked at the edge. Out: answers in the library's own types.
//!
//! Never: retries, caches or waits beyond what was asked; the state machines on both sides of it decide. Each call
//! does one exchange and tells the truth about it.
//!
//! Proof: the contract suite (`tests/contract/`), which runs on every implementation.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::{
    error::{Error, Kind},
    model::{Instance, NodeName, ServiceId},
};

pub mod consul;
mod definition;
pub mod memory;
mod node;
mod query;
mod recall;
pub mod static_list;

pub use definition::{AgentInfo, CheckDefinition, Definition, Registered, RegisteredCheck, Report};
pub use node::{NodeCheck, NodeDefinition, NodePart, NodeService};
pub use query::{
    Answer, AnswerMeta, Block, CatalogQuery, CheckOutput, Consistency, ServiceQuery, ServiceTags,
};
pub use recall::Recall;

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

    /// How many reads that wait for a change this registry can hold at once; `None`: as many as the program is set to,
    /// since each is a connection. May change when more is known about the registry.
    fn watches(&self) -> Option<usize> {
        None
    }

    /// The instances of one service, unfiltered. With [`Block`], waits for a change.
    ///
    /// An unknown service is an empty answer, not an error.
    fn service<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<Instance>>>>;

    /// The names of all services, with the tags of their instances.
    fn services<'a>(&'a self, query: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>>;

    /// Who answers: the agent's node and datacenter.
    fn agent(&self) -> Reply<'_, AgentInfo>;

    /// What the agent holds of these ids. An id that it does not hold is left out.
    fn registered<'a>(&'a self, ids: &'a [ServiceId]) -> Reply<'a, Vec<Registered>>;

    /// Waits until the agent goes away, or what it holds of this id changes; for `wait` at most. A registry that cannot go
    /// away waits for ever.
    ///
    /// # Errors
    /// Any, when the agent has gone, or never held the id.
    fn tether<'a>(&'a self, _id: &'a ServiceId, _wait: Duration) -> Reply<'a, ()> {
        Box::pin(std::future::pending())
    }

    /// Creates or replaces an instance on the agent, with exactly these checks. The same definition again changes
    /// no index; a check that stays keeps its status. A maintenance that the definition does not name ends.
    fn register<'a>(&'a self, definition: &'a Definition) -> Reply<'a, ()>;

    /// Removes an instance and its checks from the agent. Removing what is not there is fine.
    fn deregister<'a>(&'a self, id: &'a ServiceId) -> Reply<'a, ()>;

    /// Reports the health of a TTL check.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such TTL check: it must be registered again.
    fn report<'a>(&'a self, report: &'a Report) -> Reply<'a, ()>;

    /// Takes an instance out of service, with a reason, or back in (`None`).
    fn maintenance<'a>(&'a self, id: &'a ServiceId, reason: Option<&'a str>) -> Reply<'a, ()>;

    /// What the catalogue of the agent's own datacenter holds of a node, as the leader knows it; `None`: there is no such
    /// node. By default refused.
    ///
    /// # Errors
    /// [`Kind::Rejected`] where the registry keeps no nodes but its own.
    fn catalog_node<'a>(&'a self, _node: &'a NodeName) -> Reply<'a, Option<NodeDefinition>> {
        refused(&self.describe())
    }

    /// Writes a node, with at most one of its instances, straight into the catalogue; what else is on the node stays. For
    /// nodes without an agent alone: an agent deletes what is not its own. By default refused.
    ///
    /// # Errors
    /// [`Kind::Rejected`] where the registry keeps no nodes but its own, or for more than one instance.
    fn catalog_register<'a>(&'a self, _part: &'a NodeDefinition) -> Reply<'a, ()> {
        refused(&self.describe())
    }

    /// Takes a node, or a part of it, out of the catalogue. Removing what is not there is fine. By default refused.
    ///
    /// # Errors
    /// [`Kind::Rejected`] where the registry keeps no nodes but its own.
    fn catalog_deregister<'a>(&'a self, _node: &'a NodeName, _part: &'a NodePart) -> Reply<'a, ()> {
        refused(&self.describe())
    }
}

fn refused<'a, T: Send + 'a>(registry: &str) -> Reply<'a, T> {
    let what = format!("{registry} keeps no external nodes; use Consul, or portolan serve");
    Box::pin(std::future::ready(Err(Error::new(Kind::Rejected, what))))
}
