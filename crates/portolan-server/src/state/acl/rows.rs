//! Policies and tokens as they are kept. PURE: values, no behaviour.
//!
//! In:  definitions that were checked at the edge. Out: rows behind an `Arc`. What is kept on disk is written from these
//! types as they stand, as `rows.rs` says of its own.
//!
//! Never: holds a secret: only its hash.

use serde::{Deserialize, Serialize};

use super::GLOBAL_MANAGEMENT;
use crate::{
    acl::{
        secret::{Secret, SecretHash},
        stamp::Stamp,
    },
    state::{kept::RowKey, rows::Text},
};

/// A policy as it is defined. Its rules have been read once: they are sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicySpec {
    pub(crate) id: Text,
    pub(crate) name: Text,
    pub(crate) description: Text,
    pub(crate) rules: Text,
    /// Where it counts; none: everywhere.
    pub(crate) datacenters: Vec<Text>,
}

/// A policy with its indexes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicyRow {
    /// What it is kept under.
    #[serde(skip)]
    pub(crate) key: RowKey,
    pub(crate) spec: PolicySpec,
    pub(crate) create: u64,
    pub(crate) modify: u64,
}

/// A service that a token may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceIdentity {
    pub(crate) service: Text,
    /// Where; none: everywhere.
    pub(crate) datacenters: Vec<Text>,
}

/// A node that a token may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeIdentity {
    pub(crate) node: Text,
    pub(crate) datacenter: Text,
}

/// A token as it is defined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenSpec {
    pub(crate) accessor: Text,
    pub(crate) secret: SecretHash,
    pub(crate) description: Text,
    /// Ids of policies, each once.
    pub(crate) policies: Vec<Text>,
    pub(crate) services: Vec<ServiceIdentity>,
    pub(crate) nodes: Vec<NodeIdentity>,
    pub(crate) local: bool,
    pub(crate) created: Stamp,
    pub(crate) expires: Option<Stamp>,
}

impl TokenSpec {
    /// A token that allows nothing yet.
    pub(crate) fn new(secret: &Secret, accessor: &str, now: Stamp) -> Self {
        Self {
            accessor: accessor.into(),
            secret: secret.hash(),
            description: "".into(),
            policies: Vec::new(),
            services: Vec::new(),
            nodes: Vec::new(),
            local: false,
            created: now,
            expires: None,
        }
    }

    /// The token that the settings give everything to.
    pub(crate) fn management(secret: &Secret, accessor: &str, now: Stamp) -> Self {
        Self {
            description: "Initial Management Token".into(),
            policies: vec![GLOBAL_MANAGEMENT.into()],
            ..Self::new(secret, accessor, now)
        }
    }
}

/// A token with its indexes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenRow {
    /// What it is kept under.
    #[serde(skip)]
    pub(crate) key: RowKey,
    pub(crate) spec: TokenSpec,
    pub(crate) create: u64,
    pub(crate) modify: u64,
}
