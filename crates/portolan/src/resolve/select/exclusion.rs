//! Why an instance is not picked, in words. PURE.
//!
//! Never: a reason that does not say what was found.

use std::{fmt, sync::Arc};

#[cfg(doc)]
use super::Select;
use crate::model::Status;

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
            Self::Ejected => f.write_str("is ejected: the last requests to it went wrong"),
            Self::Full { most } => {
                write!(f, "has {most} requests in flight, as many as max_in_flight allows")
            }
            Self::NotPreferred(group) => write!(f, "others are preferred: {group}"),
            Self::Held => f.write_str("no longer named by the registry, while others are"),
        }
    }
}
