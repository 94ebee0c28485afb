//! Which instances a resolver may pick, and by which policy. PURE.
//!
//! In:  an instance and what the caller asked for. Out: usable, or the first reason why not.
//!
//! Never: picks what is critical or in maintenance; hides why an instance is left out.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::model::{Instance, Status};

/// How one of the usable instances is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Policy {
    /// Two at random, by weight; of these the one with fewer requests in flight. The default. A peek takes the first.
    #[default]
    PowerOfTwo,
    /// At random, by weight.
    Random,
    /// In turn, smoothly by weight.
    RoundRobin,
}

/// What a resolver is to choose from, and how. The default: all passing instances, power of two choices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Select {
    /// Tags that an instance must all have, compared without case as Consul does.
    pub tags: Vec<Arc<str>>,
    /// Pairs that an instance's meta must all have.
    pub meta: BTreeMap<Arc<str>, Arc<str>>,
    /// The exact version an instance must have.
    pub version: Option<semver::Version>,
    /// Whether instances in warning may be picked, at their warning weight.
    pub warning: Warning,
    /// How one is chosen.
    pub policy: Policy,
    /// Another datacentre than the agent's own.
    pub datacenter: Option<Arc<str>>,
}

/// What to do with instances in warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Warning {
    /// Leave them out.
    #[default]
    Refuse,
    /// Pick them, at their warning weight.
    Allow,
}

impl Select {
    /// Only instances with this tag, besides those asked for already.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Only instances whose meta has this pair, besides those asked for already.
    #[must_use]
    pub fn meta(mut self, key: &str, value: &str) -> Self {
        self.meta.insert(key.into(), value.into());
        self
    }

    /// Only instances of exactly this version.
    #[must_use]
    pub fn version(mut self, version: semver::Version) -> Self {
        self.version = Some(version);
        self
    }

    /// Also instances in warning, at their warning weight.
    #[must_use]
    pub fn allow_warning(mut self) -> Self {
        self.warning = Warning::Allow;
        self
    }

    /// How one is chosen.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Instances of this datacentre in place of the agent's own.
    #[must_use]
    pub fn datacenter(mut self, datacenter: &str) -> Self {
        self.datacenter = Some(datacenter.into());
        self
    }

    /// Why `instance` cannot be picked; `None`: it can, if its weight lets it.
    #[must_use]
    pub fn refuses(&self, instance: &Instance) -> Option<Exclusion> {
        self.mismatch(instance).or_else(|| match instance.status {
            Status::Passing => None,
            Status::Warning if self.warning == Warning::Allow => None,
            status => Some(Exclusion::Unhealthy { status, check: worst_check(instance) }),
        })
    }

    fn mismatch(&self, instance: &Instance) -> Option<Exclusion> {
        let has = |wanted: &Arc<str>| instance.tags.iter().any(|tag| equal_without_case(tag, wanted));
        if let Some(tag) = self.tags.iter().find(|tag| !has(tag)) {
            return Some(Exclusion::Tag(Arc::clone(tag)));
        }
        if let Some((key, _)) = self.meta.iter().find(|(key, value)| instance.meta.get(key) != Some(*value)) {
            return Some(Exclusion::Meta { key: Arc::clone(key), found: instance.meta.get(key).cloned() });
        }
        match &self.version {
            Some(wanted) if instance.version.as_ref() != Some(wanted) => {
                Some(Exclusion::Version { found: instance.version.clone() })
            }
            _ => None,
        }
    }
}

fn equal_without_case(left: &str, right: &str) -> bool {
    left == right || left.to_lowercase() == right.to_lowercase()
}

fn worst_check(instance: &Instance) -> Option<Arc<str>> {
    let check = instance.checks.iter().max_by_key(|check| check.status)?;
    Some(Arc::clone(&check.id))
}

/// Why an instance is not picked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exclusion {
    /// It is critical, in maintenance, or in warning while warnings are refused; and the check that says so.
    Unhealthy {
        /// The aggregate over its checks.
        status: Status,
        /// The id of the worst check; `None` when it has none.
        check: Option<Arc<str>>,
    },
    /// It lacks this tag.
    Tag(Arc<str>),
    /// Its meta lacks the key, or has another value.
    Meta {
        /// The key.
        key: Arc<str>,
        /// What it has; `None`: nothing.
        found: Option<Arc<str>>,
    },
    /// It has another version, or none that can be read.
    Version {
        /// What it has; `None`: nothing readable.
        found: Option<semver::Version>,
    },
    /// Its weight is 0 while others have more.
    WeightZero,
    /// The registry no longer names it, and confirmed instances are left.
    Held,
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unhealthy { status, check: Some(check) } => write!(f, "{status} by check {check:?}"),
            Self::Unhealthy { status, check: None } => write!(f, "{status}"),
            Self::Tag(tag) => write!(f, "lacks the tag {tag:?}"),
            Self::Meta { key, found: Some(found) } => write!(f, "has meta {key}={found:?}"),
            Self::Meta { key, found: None } => write!(f, "lacks the meta key {key:?}"),
            Self::Version { found: Some(found) } => write!(f, "is version {found}"),
            Self::Version { found: None } => f.write_str("has no readable version"),
            Self::WeightZero => f.write_str("has weight 0 while others have more"),
            Self::Held => f.write_str("no longer named by the registry, while others are"),
        }
    }
}
