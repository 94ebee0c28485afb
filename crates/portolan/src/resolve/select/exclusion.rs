//! Why an instance is not picked, in words. PURE.
//!
//! Never: a reason that does not say what was found.

use std::{fmt, sync::Arc};

#[cfg(doc)]
use super::Select;
use crate::{
    model::{Requirement, Status, Unreadable},
    resolve::expr::Filter,
};

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
    /// It does not fit this filter expression.
    Filter(Filter),
    /// It has another version, or tells none.
    Version {
        /// What it has; `None`: nothing.
        found: Option<semver::Version>,
    },
    /// What it tells as its version is none.
    UnreadableVersion(Arc<Unreadable>),
    /// Its part of the split has weight 0; these are the part's versions.
    NoShare(Requirement),
    /// Its weight is 0 while others have more.
    WeightZero,
    /// The registry no longer names it, and confirmed instances are left.
    Held,
    /// Requests that this process sent it went wrong: it is given a rest, then tried. See
    /// [`Ejection`](crate::Ejection).
    Ejected,
    /// It has as many requests in flight as [`Select::max_in_flight`] allows.
    Full {
        /// How many that is.
        most: u32,
    },
    /// A preference gives its group nothing; this is the group.
    NotPreferred(Arc<str>),
}

impl Exclusion {
    /// Whether the caller did not ask for such an instance, whatever its health.
    #[must_use]
    pub fn is_unasked(&self) -> bool {
        matches!(self, Self::Tag(_) | Self::Meta { .. } | Self::Filter(_)) || self.is_by_version()
    }

    /// Whether it is its version that nobody asked for.
    #[must_use]
    pub fn is_by_version(&self) -> bool {
        matches!(self, Self::Version { .. } | Self::UnreadableVersion(_) | Self::NoShare(_))
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unhealthy { status, check: Some(check) } => write!(f, "{status} by check {check:?}"),
            Self::Unhealthy { status, check: None } => write!(f, "{status}"),
            Self::Tag(tag) => write!(f, "lacks the tag {tag:?}"),
            Self::Meta { key, found: Some(found) } => write!(f, "has meta {key}={found:?}"),
            Self::Meta { key, found: None } => write!(f, "lacks the meta key {key:?}"),
            Self::Filter(filter) => write!(f, "does not fit the filter {filter}"),
            Self::Version { found: Some(found) } => write!(f, "is version {found}"),
            Self::Version { found: None } => f.write_str("tells no version"),
            Self::UnreadableVersion(what) => write!(f, "has no readable version: {what}"),
            Self::NoShare(part) => write!(f, "is of {part}, which has weight 0 in the split"),
            Self::WeightZero => f.write_str("has weight 0 while others have more"),
            Self::Ejected => f.write_str("is ejected: the last requests to it went wrong"),
            Self::Full { most } => {
                write!(f, "has {most} requests in flight, as many as max_in_flight allows")
            }
            Self::NotPreferred(group) => write!(f, "others are preferred: {group}"),
            Self::Held => f.write_str("no longer named by the registry, while others are"),
        }
    }
}
