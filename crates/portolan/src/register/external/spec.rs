//! What a user says of a thing without an agent. PURE.
//!
//! In:  names, addresses, statuses, as a person writes them. Out: the same, found to be right, with an id for everything.
//!
//! Never: fails in a constructor or a setter. All is looked at together, before anything is sent.
//!
//! Rules from Consul: agent/structs/structs.go `ValidateNodeMetadata` (the prefix `consul-` is its own).
//! Proof: `tests.rs` beside it.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{MARK, is_foreign};
use crate::{
    error::Error,
    model::{CheckId, NodeName, ServiceId, ServiceName, Status, Weights},
    register::spec::{self, Address},
    registry::{NodeCheck, NodeDefinition, NodeService},
};

/// The mark of a node that Consul-ESM is to probe.
const PROBED: &str = "external-probe";
/// How much output a check may have, in bytes: as much as an agent keeps of one that it runs.
const OUTPUT: usize = 4096;
/// How many services are accepted on one node, and checks on one service. Consul has no limit.
const SERVICES: usize = 256;
const CHECKS: usize = 64;

/// A thing without an agent, such as a database that somebody else runs: its node, its services, and the health that
/// you say they have.
///
/// Nobody runs its checks and nothing removes it: who puts it there says how it is, and takes it out. Consul-ESM reads the
/// same marks (`external-node`, `external-probe`), so it can probe the node.
///
/// ```
/// use portolan::{ExternalCheck, ExternalNode, ExternalService, Status};
///
/// let database = ExternalNode::new("db-eu", "10.9.0.7").meta("zone", "eu").service(
///     ExternalService::new("postgres", 5432)
///         .tag("primary")
///         .check(ExternalCheck::new("connects", Status::Passing)),
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an external node does nothing until it is given to `Discovery::put_external`"]
pub struct ExternalNode {
    name: String,
    address: String,
    meta: BTreeMap<String, String>,
    probed: bool,
    services: Vec<ExternalService>,
    checks: Vec<ExternalCheck>,
}

/// A service on an [`ExternalNode`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a service does nothing until it is given to an `ExternalNode`"]
pub struct ExternalService {
    name: String,
    id: Option<String>,
    address: Option<String>,
    port: u16,
    tags: Vec<String>,
    meta: BTreeMap<String, String>,
    weights: Weights,
    checks: Vec<ExternalCheck>,
}

/// The health of something external, as you say it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a check does nothing until it is given to an `ExternalNode` or an `ExternalService`"]
pub struct ExternalCheck {
    id: String,
    name: Option<String>,
    status: Status,
    output: String,
}

impl ExternalNode {
    /// A node at an IP address or host name, with nothing on it. The name is unique in the datacentre.
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
            meta: BTreeMap::new(),
            probed: false,
            services: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// One more pair: at most 62, keys up to 128 of `A-Z a-z 0-9 _ -` that do not begin with `consul-`, values up to 512
    /// bytes.
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.meta.insert(key.into(), value.into());
        self
    }

    /// Consul-ESM is to probe the node (meta `external-probe`). Default: it is not.
    pub fn probed(mut self) -> Self {
        self.probed = true;
        self
    }

    /// One more service. At most 256.
    pub fn service(mut self, service: ExternalService) -> Self {
        self.services.push(service);
        self
    }

    /// One more check of the node itself, which counts for each of its services. At most 64.
    pub fn check(mut self, check: ExternalCheck) -> Self {
        self.checks.push(check);
        self
    }

    /// Looks at everything.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config), naming the first field that is wrong, what was found, what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        self.define().map(drop)
    }

    /// The same with an id for everything and its marks.
    pub(super) fn define(&self) -> Result<NodeDefinition, Error> {
        let name = NodeName::new(&self.name).map_err(|wrong| within("external.name", &wrong))?;
        Address::Given(self.address.clone()).validate_as("external.address")?;
        let mut node = NodeDefinition::new(name, &self.address);
        node.meta = self.marked()?;
        let mut taken = BTreeSet::new();
        node.checks = checks("external.check", &self.checks, &mut taken)?;
        if self.services.len() > SERVICES {
            let found = self.services.len();
            return Err(Error::config(format!(
                "external.service: {found} are given; {SERVICES} are allowed"
            )));
        }
        for (place, service) in self.services.iter().enumerate() {
            let field = format!("external.service[{place}]");
            let (id, service) = service.define(&field, &mut taken)?;
            if node.services.contains_key(&id) {
                return Err(Error::config(format!(
                    "{field}.id: {id:?} is the id of another service of the node; give it its own"
                )));
            }
            node.services.insert(id, service);
        }
        Ok(node)
    }

    /// The meta with its marks.
    fn marked(&self) -> Result<BTreeMap<String, String>, Error> {
        let mut meta = self.meta.clone();
        for key in meta.keys() {
            let problem = match &**key {
                MARK => "is always \"true\"; leave it out",
                PROBED => "is set by probed(); leave it out",
                _ if key.starts_with("consul-") => {
                    "begins with \"consul-\", which is Consul's own; rename it"
                }
                _ => continue,
            };
            return Err(Error::config(format!("external.meta.{key}: the key {problem}")));
        }
        meta.insert(MARK.to_owned(), "true".to_owned());
        meta.insert(PROBED.to_owned(), self.probed.to_string());
        spec::validate_meta("external.meta", &meta)?;
        Ok(meta)
    }
}

impl ExternalService {
    /// A service by name and port (0: none), at the node's address, without checks: it is as healthy as its node.
    pub fn new(name: impl Into<String>, port: u16) -> Self {
        Self {
            name: name.into(),
            id: None,
            address: None,
            port,
            tags: Vec::new(),
            meta: BTreeMap::new(),
            weights: Weights::default(),
            checks: Vec::new(),
        }
    }

    /// Its id on the node. Default: its name.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Its own IP address or host name. Default: the node's.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// One more tag. At most 256.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// One more pair: at most 64, keys up to 128 of `A-Z a-z 0-9 _ -`, values up to 512 bytes.
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.meta.insert(key.into(), value.into());
        self
    }

    /// Its share of requests. Default 1 while passing, 1 while warning; passing is at least 1.
    pub fn weights(mut self, weights: Weights) -> Self {
        self.weights = weights;
        self
    }

    /// One more check. At most 64.
    pub fn check(mut self, check: ExternalCheck) -> Self {
        self.checks.push(check);
        self
    }

    fn define(&self, field: &str, taken: &mut BTreeSet<CheckId>) -> Result<(ServiceId, NodeService), Error> {
        let name = ServiceName::new(&self.name).map_err(|wrong| within(&format!("{field}.name"), &wrong))?;
        let id = self.id.as_ref().unwrap_or(&self.name);
        let id = ServiceId::new(id).map_err(|wrong| within(&format!("{field}.id"), &wrong))?;
        let mut service = NodeService::new(name, self.port);
        if let Some(address) = &self.address {
            Address::Given(address.clone()).validate_as(&format!("{field}.address"))?;
            service.address.clone_from(address);
        }
        spec::validate_tags(&format!("{field}.tags"), &self.tags)?;
        spec::validate_meta(&format!("{field}.meta"), &self.meta)?;
        spec::validate_weights(&format!("{field}.weights"), self.weights)?;
        service.tags.clone_from(&self.tags);
        service.meta.clone_from(&self.meta);
        service.weights = self.weights;
        service.checks = checks(&format!("{field}.check"), &self.checks, taken)?;
        Ok((id, service))
    }
}

impl ExternalCheck {
    /// A check by an id that is unique on the node, and its status.
    pub fn new(id: impl Into<String>, status: Status) -> Self {
        Self { id: id.into(), name: None, status, output: String::new() }
    }

    /// Its name for people. Default: its id.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What it found, for people: at most 4 KiB. Default: nothing.
    pub fn output(mut self, output: impl Into<String>) -> Self {
        self.output = output.into();
        self
    }
}

fn checks(
    list: &str,
    given: &[ExternalCheck],
    taken: &mut BTreeSet<CheckId>,
) -> Result<BTreeMap<CheckId, NodeCheck>, Error> {
    if given.len() > CHECKS {
        return Err(Error::config(format!("{list}: {} are given; {CHECKS} are allowed", given.len())));
    }
    let mut checks = BTreeMap::new();
    for (place, check) in given.iter().enumerate() {
        let field = format!("{list}[{place}]");
        let id = CheckId::new(&check.id).map_err(|wrong| within(&format!("{field}.id"), &wrong))?;
        let wrong = |what: String| Err(Error::config(format!("{field}.{what}")));
        if is_foreign(id.as_str()) {
            return wrong(format!("id: {id:?} is written by Consul and its tools; give it another"));
        }
        if !taken.insert(id.clone()) {
            return wrong(format!("id: {id:?} is the id of another check of the node; give it its own"));
        }
        if check.status == Status::Maintenance {
            return wrong(
                "status: maintenance is none of a check; use passing, warning or critical".to_owned(),
            );
        }
        if check.output.len() > OUTPUT {
            let bytes = check.output.len();
            return wrong(format!("output: it has {bytes} bytes; {OUTPUT} are allowed"));
        }
        let name = check.name.as_ref().unwrap_or(&check.id);
        checks.insert(id, NodeCheck::new(name, check.status, &check.output));
    }
    Ok(checks)
}

/// The error about a name, with the field it stands in.
fn within(field: &str, wrong: &Error) -> Error {
    Error::new(wrong.kind(), format!("{field}: {wrong}"))
}
