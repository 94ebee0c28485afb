//! Keys with their values as they are kept. PURE: values, no behaviour.
//!
//! In:  what a request stores. Out: rows behind an `Arc`. What is kept on disk is written from these types as they stand,
//! as the catalogue's `rows.rs` says of its own.
//!
//! Never: changes in place.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::state::{kept::RowKey, rows::Text};

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KvRow {
    /// What it is kept under.
    #[serde(skip)]
    pub(crate) key: RowKey,
    pub(crate) name: Text,
    pub(crate) value: Arc<[u8]>,
    pub(crate) flags: u64,
    /// Who holds it.
    pub(crate) session: Option<Text>,
    /// How often it was taken; a plain write begins it anew, as in Consul.
    pub(crate) lock_index: u64,
    pub(crate) create: u64,
    pub(crate) modify: u64,
}

impl KvRow {
    /// Whether a write of `other` would change nothing (Consul: agent/structs/structs.go `DirEntry.Equal`).
    pub(super) fn holds_the_same(&self, other: &Self) -> bool {
        self.value == other.value
            && self.flags == other.flags
            && self.session == other.session
            && self.lock_index == other.lock_index
    }
}
