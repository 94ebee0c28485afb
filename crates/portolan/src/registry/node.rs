//! A node as the catalogue holds it, with its instances and their checks. PURE: types, no behaviour.
//!
//! In:  what is to be written about a node that has no agent, or what the catalogue holds of any. Out: values that can be
//! compared.
//!
//! Never: holds how a check is run: nobody runs one that comes in through the catalogue.

use std::collections::BTreeMap;

use crate::model::{CheckId, NodeName, ServiceId, ServiceName, Status, Weights};

/// A node with all that is on it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeDefinition {
    /// Its name, unique in the datacentre.
    pub name: NodeName,
    /// Where it is reached: an IP address or a host name.
    pub address: String,
    /// Key-value pairs.
    pub meta: BTreeMap<String, String>,
    /// Its instances, by id.
    pub services: BTreeMap<ServiceId, NodeService>,
    /// Its own checks, by id; those of its instances stand there.
    pub checks: BTreeMap<CheckId, NodeCheck>,
}

/// An instance on such a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeService {
    /// The service it belongs to.
    pub name: ServiceName,
    /// Where it listens; empty: the node's address.
    pub address: String,
    /// The port; 0: none.
    pub port: u16,
    /// Tags, in the order they were sent.
    pub tags: Vec<String>,
    /// Key-value pairs.
    pub meta: BTreeMap<String, String>,
    /// Its share of requests.
    pub weights: Weights,
    /// Its checks, by id: ids are unique on a node.
    pub checks: BTreeMap<CheckId, NodeCheck>,
}

/// A check whose status is what was written last.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeCheck {
    /// Its name for people.
    pub name: String,
    /// Passing, warning or critical.
    pub status: Status,
    /// A line for people.
    pub output: String,
}

impl NodeDefinition {
    /// A node with nothing on it.
    #[must_use]
    pub fn new(name: NodeName, address: &str) -> Self {
        Self {
            name,
            address: address.to_owned(),
            meta: BTreeMap::new(),
            services: BTreeMap::new(),
            checks: BTreeMap::new(),
        }
    }
}

impl NodeService {
    /// An instance without tags, meta or checks, at the node's address.
    #[must_use]
    pub fn new(name: ServiceName, port: u16) -> Self {
        Self {
            name,
            address: String::new(),
            port,
            tags: Vec::new(),
            meta: BTreeMap::new(),
            weights: Weights::default(),
            checks: BTreeMap::new(),
        }
    }
}

impl NodeCheck {
    /// A check by name, status and output.
    #[must_use]
    pub fn new(name: impl Into<String>, status: Status, output: impl Into<String>) -> Self {
        Self { name: name.into(), status, output: output.into() }
    }
}

/// What is taken out of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodePart {
    /// The node with all that is on it.
    Node,
    /// One instance with its checks.
    Service(ServiceId),
    /// One check.
    Check(CheckId),
}
