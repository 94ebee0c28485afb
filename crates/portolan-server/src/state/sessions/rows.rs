//! Sessions as they are kept. PURE: values, no behaviour.
//!
//! In:  definitions that were checked at the edge. Out: rows behind an `Arc`; what is kept on disk is written from these
//! types as they stand.
//!
//! Never: changes in place.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::state::{kept::RowKey, rows::Text};

/// What becomes of the keys that a session holds when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Behavior {
    Release,
    Delete,
}

impl Behavior {
    /// Consul's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Delete => "delete",
        }
    }
}

/// A check of a service that a session depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceCheck {
    pub(crate) id: Text,
    pub(crate) namespace: Text,
}

/// A session as it is defined: complete, with an id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionSpec {
    pub(crate) id: Text,
    pub(crate) name: Text,
    /// Kept as the key of its row.
    #[serde(skip)]
    pub(crate) node: Text,
    pub(crate) lock_delay: Duration,
    pub(crate) behavior: Behavior,
    /// As it was written.
    pub(crate) ttl_text: Text,
    /// `None`: it lasts until something ends it.
    pub(crate) ttl: Option<Duration>,
    /// `None` is `null` on the wire.
    pub(crate) node_checks: Option<Vec<Text>>,
    pub(crate) service_checks: Option<Vec<ServiceCheck>>,
    /// The older way to name them.
    pub(crate) checks: Vec<Text>,
}

impl SessionSpec {
    /// The ids of all checks that it depends on.
    pub(crate) fn check_ids(&self) -> impl Iterator<Item = &Text> {
        let of_services = self.service_checks.iter().flatten().map(|check| &check.id);
        self.checks.iter().chain(self.node_checks.iter().flatten()).chain(of_services)
    }
}

/// A session with its indexes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionRow {
    /// What it is kept under.
    #[serde(skip)]
    pub(crate) key: RowKey,
    pub(crate) spec: SessionSpec,
    pub(crate) create: u64,
    pub(crate) modify: u64,
}
