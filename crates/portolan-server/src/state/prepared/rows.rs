//! A prepared query as it is kept. PURE: values, no behaviour.
//!
//! In:  definitions that were checked at the edge. Out: rows behind an `Arc`.
//!
//! What is kept on disk is written from these types as they stand: a field that comes, goes or moves is another format.
//!
//! Never: holds a token: what is kept of one is its hash.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use serde::{Deserialize, Serialize};

use crate::{
    acl::secret::SecretHash,
    state::{
        kept::RowKey,
        rows::{Pairs, Text},
    },
};

/// How names lead to a query that stands for many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Template {
    /// What is taken out of the name; empty: nothing.
    pub(crate) regexp: Text,
    pub(crate) remove_empty_tags: bool,
}

/// Where to look when nothing is found here. There is nowhere else: it is kept and told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failover {
    pub(crate) skip_local: bool,
    pub(crate) nearest: u32,
    pub(crate) datacenters: Option<Vec<Text>>,
}

/// Which instances are wanted. `None` is `null` on the wire: what was not given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) service: Text,
    pub(crate) failover: Failover,
    pub(crate) only_passing: bool,
    pub(crate) ignore_checks: Option<Vec<Text>>,
    /// A node that comes first; `_agent` is the one that is asked.
    pub(crate) near: Text,
    /// One that begins with `!` must not be there.
    pub(crate) tags: Option<Vec<Text>>,
    pub(crate) node_meta: Option<Pairs>,
    pub(crate) service_meta: Option<Pairs>,
    /// Those by which the mesh reaches it.
    pub(crate) connect: bool,
}

/// A query as it is defined: complete, with an id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QuerySpec {
    pub(crate) id: Text,
    pub(crate) name: Text,
    /// It goes with this session; empty: it stays.
    pub(crate) session: Text,
    /// With whose rights it is carried out; `None`: the caller's.
    pub(crate) token: Option<SecretHash>,
    pub(crate) template: Option<Template>,
    pub(crate) wanted: Wanted,
    /// How long DNS may keep an answer, as it was written; empty: as the settings have it.
    pub(crate) ttl: Text,
}

impl QuerySpec {
    /// What rules are asked about: nobody but who knows its id can use one that has no name.
    pub(crate) fn ruled_by(&self) -> Option<&Text> {
        Some(&self.name).filter(|name| !name.is_empty() || self.template.is_some())
    }
}

/// A query with its indexes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueryRow {
    /// What it is kept under.
    #[serde(skip)]
    pub(crate) key: RowKey,
    pub(crate) spec: QuerySpec,
    pub(crate) create: u64,
    pub(crate) modify: u64,
}
