//! What a catalogue holds: names, instances, their health. PURE: validated types, no behaviour.
//!
//! In:  text and numbers from a caller or from the wire. Out: values that are right by construction.
//!
//! Never: keeps a name that cannot be addressed; compares two instances by less than all their fields.
//!
//! Rules from Consul: agent/structs/structs.go (`BestAddress`, `Weights`), api/health.go (`AggregatedStatus`).
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{fmt, sync::Arc};

use crate::error::{Error, Kind};

pub(crate) mod declare;
mod meta;
mod need;
mod requirement;
mod split;
mod version;

pub use declare::{Declared, NEEDS_KEY, UnreadableNeed};
pub use meta::Meta;
pub use need::{Importance, Lasts, Need, Needs};
pub use requirement::{Requirement, RequirementError};
pub use split::{Split, SplitPart};
pub(crate) use version::version;
pub use version::{Reading, Unreadable, VersionSource, VersionSources};

/// The longest name that is accepted, in bytes. Consul has no limit; nothing readable is longer.
const NAME_LIMIT: usize = 255;

/// The check id of a node in maintenance. Consul: agent/structs/structs.go `NodeMaint`.
const NODE_MAINTENANCE: &str = "_node_maintenance";
/// How the check id of a service in maintenance starts. Consul: agent/structs/structs.go `ServiceMaintPrefix`.
const SERVICE_MAINTENANCE: &str = "_service_maintenance:";

fn addressable(what: &str, text: &str) -> Result<(), Error> {
    let problem = if text.is_empty() {
        "is empty; give it a name such as \"web\"".to_owned()
    } else if text.len() > NAME_LIMIT {
        format!("has {} bytes; {NAME_LIMIT} are allowed", text.len())
    } else if let Some(found) = text.chars().find(|c| c.is_control()) {
        format!("holds the control character {found:?}; a registry cannot address it")
    } else if text.contains('/') || text == "." || text == ".." {
        "cannot stand in a URL's path; leave out \"/\", and do not use \".\" or \"..\"".to_owned()
    } else {
        return Ok(());
    };
    // The name itself is repeated only as far as a log line bears it.
    let shown: String = text.chars().take(64).collect();
    Err(Error::new(Kind::Config, format!("{what}: {shown:?} {problem}")))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text and keeps it: 1 to 255 bytes, no control character, no `/`, not `.` or `..`.
            ///
            /// # Errors
            /// [`Kind::Config`], naming what is wrong with it.
            pub fn new(text: impl AsRef<str>) -> Result<Self, Error> {
                let text = text.as_ref();
                addressable($what, text)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Self::new(text)
            }
        }
    };
}

name!(
    /// The name of a service, such as `web`. Many instances share it.
    ServiceName,
    "service name"
);
name!(
    /// The id of one instance, unique on its agent only; see [`Identity`].
    ServiceId,
    "service id"
);
name!(
    /// The id of a health check, unique on its agent.
    CheckId,
    "check id"
);

name!(
    /// The name of a node, unique in its datacenter.
    NodeName,
    "node name"
);

/// What makes an instance this instance and no other. A service id alone is unique on one agent only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub struct Identity {
    /// The datacenter, `dc1` unless configured otherwise.
    pub datacenter: Arc<str>,
    /// The admin partition; empty in Consul's community edition.
    pub partition: Arc<str>,
    /// The namespace; empty in Consul's community edition.
    pub namespace: Arc<str>,
    /// The cluster peer that the instance was imported from; empty for one of our own.
    pub peer: Arc<str>,
    /// The node's name.
    pub node: Arc<str>,
    /// The service id on that node.
    pub id: Arc<str>,
}

impl Identity {
    /// An identity in the default partition and namespace of `datacenter`.
    #[must_use]
    pub fn new(datacenter: &str, node: &str, id: &str) -> Self {
        Self { datacenter: datacenter.into(), node: node.into(), id: id.into(), ..Self::default() }
    }
}

impl fmt::Display for Identity {
    /// Node and id, which is what a person looks for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.node, self.id)
    }
}

/// The health of a check, or of an instance over all its checks. Ordered from well to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// All is well.
    Passing,
    /// It works, with reduced weight if the caller allows warnings at all.
    Warning,
    /// It does not work.
    Critical,
    /// An operator or a drain has taken it out of service.
    Maintenance,
}

impl Status {
    /// The word Consul uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Maintenance => "maintenance",
        }
    }

    /// Reads the status of a check. An unknown word is critical, as an instance of unknown health is not safe to pick.
    #[must_use]
    pub fn of_check(word: &str) -> Self {
        match word {
            "passing" => Self::Passing,
            "warning" => Self::Warning,
            _ => Self::Critical,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The state of one health check of an instance, or of its node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckState {
    /// The id of the check on its agent.
    pub id: Arc<str>,
    /// Its name, for people.
    pub name: Arc<str>,
    /// Passing, warning or critical; maintenance for the checks by which Consul marks it.
    pub status: Status,
    /// What the check said last; empty unless the query asked to keep it, for it changes without meaning.
    pub output: Box<str>,
    /// Whether it is a check of the node, shared by all its instances.
    pub scope: CheckScope,
}

/// What a check speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckScope {
    /// The node, and so every instance on it (for example `serfHealth`).
    Node,
    /// One instance.
    Service,
}

impl CheckState {
    /// The id of the check by which an instance is out of service. Consul: agent/structs/structs.go
    /// `ServiceMaintPrefix`.
    #[must_use]
    pub fn maintenance_id(of: &ServiceId) -> String {
        format!("{SERVICE_MAINTENANCE}{of}")
    }

    /// Whether a check of this id puts an instance, or all of its node, out of service.
    #[must_use]
    pub fn is_maintenance(id: &str) -> bool {
        id == NODE_MAINTENANCE || id.starts_with(SERVICE_MAINTENANCE)
    }

    /// A check's state; `status` is turned into maintenance where the id is one of Consul's maintenance checks.
    #[must_use]
    pub fn new(id: &str, name: &str, status: Status, scope: CheckScope) -> Self {
        Self::shared(id.into(), name.into(), status, scope)
    }

    /// The same of texts that others may have too.
    pub(crate) fn shared(id: Arc<str>, name: Arc<str>, status: Status, scope: CheckScope) -> Self {
        let status = if Self::is_maintenance(&id) { Status::Maintenance } else { status };
        Self { id, name, status, output: "".into(), scope }
    }

    /// The same with its last output.
    #[must_use]
    pub fn output(mut self, output: &str) -> Self {
        self.output = output.into();
        self
    }
}

/// The status over all checks: maintenance before critical before warning before passing; passing with no check at all.
///
/// Consul: api/health.go `AggregatedStatus`.
#[must_use]
pub fn aggregate<'a>(checks: impl IntoIterator<Item = &'a CheckState>) -> Status {
    checks.into_iter().map(|check| check.status).max().unwrap_or(Status::Passing)
}

/// The share of requests an instance is to get, against the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// While it is passing. 0 to 65,535; default 1.
    pub passing: u16,
    /// While it is warning. 0 to 65,535; default 1; 0 means no traffic then.
    pub warning: u16,
}

impl Default for Weights {
    fn default() -> Self {
        Self { passing: 1, warning: 1 }
    }
}

/// One instance of a service as the registry tells it. Equal only if every field is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instance {
    /// What makes it this one.
    pub identity: Identity,
    /// The service it belongs to.
    pub service: Arc<str>,
    /// Where to connect: the service's own address, or its node's when it has none. An IP address or a host name.
    pub address: Arc<str>,
    /// The port; 0 when the service has none.
    pub port: u16,
    /// Tags, in the registry's order; instances with the same tags may share the list.
    pub tags: Arc<[Arc<str>]>,
    /// Key-value pairs of the service.
    pub meta: Meta,
    /// Its share of requests.
    pub weights: Weights,
    /// The zone: the service's or node's locality, else meta `zone` of the service, else of the node.
    pub zone: Option<Arc<str>>,
    /// The region: the service's or node's locality, else meta `region` of the service, else of the node.
    pub region: Option<Arc<str>>,
    /// The version, from the first place that can be read: see [`VersionSources`].
    pub version: Option<semver::Version>,
    /// What stands where the version is looked for, when nothing there can be read.
    pub unreadable_version: Option<Arc<Unreadable>>,
    /// Its checks and its node's.
    pub checks: Vec<CheckState>,
    /// The aggregate of `checks`; see [`aggregate`].
    pub status: Status,
}

impl Instance {
    /// A passing instance without checks, tags or meta: the start of one made by hand (static lists, tests).
    #[must_use]
    pub fn new(identity: Identity, service: &str, address: &str, port: u16) -> Self {
        Self {
            identity,
            service: service.into(),
            address: address.into(),
            port,
            tags: Arc::default(),
            meta: Meta::default(),
            weights: Weights::default(),
            zone: None,
            region: None,
            version: None,
            unreadable_version: None,
            checks: Vec::new(),
            status: Status::Passing,
        }
    }

    /// The same with these tags; a version among them is read unless one is known already.
    #[must_use]
    pub fn with_tags<'a>(mut self, tags: impl IntoIterator<Item = &'a str>) -> Self {
        self.tags = tags.into_iter().map(Arc::from).collect();
        self.set_version(version(&self.meta, &self.tags));
        self
    }

    /// The same with these pairs; `version`, `zone` and `region` among them are read.
    #[must_use]
    pub fn with_meta<'a>(mut self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.meta = pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        if let Some(zone) = self.meta.get("zone") {
            self.zone = Some(Arc::clone(zone));
        }
        if let Some(region) = self.meta.get("region") {
            self.region = Some(Arc::clone(region));
        }
        self.set_version(version(&self.meta, &self.tags));
        self
    }

    /// The same with these checks, and the status they add up to.
    #[must_use]
    pub fn with_checks(mut self, checks: Vec<CheckState>) -> Self {
        self.status = aggregate(&checks);
        self.checks = checks;
        self
    }

    /// The same with these weights.
    #[must_use]
    pub fn with_weights(mut self, weights: Weights) -> Self {
        self.weights = weights;
        self
    }

    /// `address:port`, with brackets around an IPv6 address: ready for a URL.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }

    /// The weight that counts now: that of its status; 0 when it is critical or in maintenance.
    #[must_use]
    pub fn weight(&self) -> u16 {
        match self.status {
            Status::Passing => self.weights.passing,
            Status::Warning => self.weights.warning,
            Status::Critical | Status::Maintenance => 0,
        }
    }
}

#[cfg(test)]
mod tests;
