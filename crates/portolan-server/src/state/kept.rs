//! What must last of the state: rows under keys, and their form on disk. PURE: values and bytes, no I/O.
//!
//! In:  rows that a command changed. Out: bytes for a store that knows nothing of them, and the rows back from bytes.
//!
//! A key is given when a row is created and never changes: keys are in order of writing, so that a store appends. A row
//! names its node by key, so that a node can be called otherwise in the next life.
//!
//! Never: keeps what another row has already (a check's service name and tags); takes bytes with anything left over.
//!
//! The form is postcard's of the types in `rows.rs`: [`FORMAT`] counts its changes.
//! Proof: `state/tests/restored.rs`; `kept/tests.rs` holds the bytes of all formats.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    State,
    acl::rows::{PolicyRow, TokenRow},
    index::Tx,
    kv::rows::KvRow,
    prepared::rows::QueryRow,
    rows::{CheckRow, CheckSpec, Mesh, NodeRow, ServiceRow, Text},
    sessions::rows::SessionRow,
};

/// The form of the rows. A change of any type that is kept is a new one.
///
/// Format 2 has policies and tokens besides; format 3 keys, sessions, and instances with something of the mesh; format 4 prepared
/// queries, and checks with a definition that nobody runs. The rows of the formats before are the same in them, so they are
/// read as they are.
pub(crate) const FORMAT: u64 = 4;

/// What a row is kept under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct RowKey(pub(crate) u64);

/// One row as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kept {
    Node {
        row: Arc<NodeRow>,
        /// The agent's own.
        home: bool,
    },
    Service {
        node: RowKey,
        row: Arc<ServiceRow>,
    },
    Check {
        node: RowKey,
        row: Arc<CheckRow>,
        /// What the agent runs; `None`: nobody runs it.
        spec: Option<Arc<CheckSpec>>,
    },
    Policy(Arc<PolicyRow>),
    Token(Arc<TokenRow>),
    /// The first token that may do everything was given out, at that index.
    Bootstrapped {
        at: u64,
    },
    Kv(Arc<KvRow>),
    Session {
        node: RowKey,
        row: Arc<SessionRow>,
    },
    /// A service that says something of the mesh, which its row leaves out.
    Meshed {
        node: RowKey,
        row: Arc<ServiceRow>,
        mesh: Arc<Mesh>,
    },
    Query(Arc<QueryRow>),
    /// A check that says what it would do, if somebody ran it; its row leaves that out.
    Defined {
        node: RowKey,
        row: Arc<CheckRow>,
        definition: Text,
    },
}

/// Where a row stands in the state, if it is still there.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Node(Text),
    /// Node and id.
    Service(Text, Text),
    Check(Text, Text),
    /// By id.
    Policy(Text),
    /// By accessor.
    Token(Text),
    Bootstrapped,
    /// By name.
    Kv(Text),
    /// By id.
    Session(Text),
    /// By id.
    Query(Text),
}

/// Bytes that are no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Kept {
    fn service(node: RowKey, row: Arc<ServiceRow>) -> Self {
        match &row.spec.mesh {
            Some(mesh) => Self::Meshed { node, mesh: Arc::clone(mesh), row },
            None => Self::Service { node, row },
        }
    }

    fn check(node: RowKey, row: Arc<CheckRow>, spec: Option<Arc<CheckSpec>>) -> Self {
        match &row.facts.definition {
            Some(definition) if spec.is_none() => {
                Self::Defined { node, definition: Text::clone(definition), row }
            }
            _ => Self::Check { node, row, spec },
        }
    }

    /// The row as bytes.
    ///
    /// # Errors
    /// Never for what the state holds; postcard's word where it does not agree.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Unreadable> {
        postcard::to_allocvec(self).map_err(|why| Unreadable(why.to_string()))
    }

    /// The row that `bytes` hold.
    ///
    /// # Errors
    /// [`Unreadable`]: they hold none, or one and something else.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        match postcard::take_from_bytes(bytes) {
            Ok((kept, [])) => Ok(kept),
            Ok((_, rest)) => Err(Unreadable(format!("{} bytes too many", rest.len()))),
            Err(why) => Err(Unreadable(why.to_string())),
        }
    }

    /// The index of its last change.
    pub(crate) fn modify(&self) -> u64 {
        match self {
            Self::Node { row, .. } => row.modify,
            Self::Service { row, .. } | Self::Meshed { row, .. } => row.modify,
            Self::Check { row, .. } | Self::Defined { row, .. } => row.modify,
            Self::Query(row) => row.modify,
            Self::Policy(row) => row.modify,
            Self::Token(row) => row.modify,
            Self::Bootstrapped { at } => *at,
            Self::Kv(row) => row.modify,
            Self::Session { row, .. } => row.modify,
        }
    }

    /// What it is, for whoever has to be told of it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Node { row, .. } => format!("node {:?}", &*row.spec.name),
            Self::Service { row, .. } | Self::Meshed { row, .. } => {
                format!("instance {:?} of {:?}", &*row.spec.id, &*row.spec.name)
            }
            Self::Query(row) => format!("query {:?} {:?}", &*row.spec.id, &*row.spec.name),
            Self::Check { row, .. } | Self::Defined { row, .. } => match &row.facts.of {
                Some(of) => format!("check {:?} of instance {:?}", &*row.facts.id, &*of.id),
                None => format!("check {:?}", &*row.facts.id),
            },
            Self::Policy(row) => format!("policy {:?}", &*row.spec.name),
            Self::Token(row) => format!("token with accessor {:?}", &*row.spec.accessor),
            Self::Bootstrapped { .. } => "the mark that the rules were bootstrapped".to_owned(),
            Self::Kv(row) => format!("key {:?}", &*row.name),
            Self::Session { row, .. } => format!("session {:?}", &*row.spec.id),
        }
    }
}

impl State {
    /// Reads the rows that a command touched, as they are at its end.
    pub(super) fn collect_rows(&self, tx: &mut Tx) {
        let mut places = std::mem::take(&mut tx.rows);
        places.sort_by_key(|(key, _)| *key);
        places.dedup_by_key(|(key, _)| *key);
        tx.changes.rows = places.into_iter().map(|(key, place)| (key, self.kept_at(key, &place))).collect();
    }

    fn kept_at(&self, key: RowKey, place: &Place) -> Option<Kept> {
        let kept = match place {
            Place::Node(name) => self.kept_node(name),
            Place::Service(node, id) => {
                let on = self.nodes.get(node)?;
                let row = Arc::clone(&on.services.get(id)?.row);
                Some((row.key, Kept::service(on.row.key, row)))
            }
            Place::Check(node, id) => self.kept_check(node, Arc::clone(self.check(node, id)?)),
            Place::Policy(id) => self.kept_policy(id),
            Place::Token(accessor) => self.kept_token(accessor),
            Place::Bootstrapped => self.kept_bootstrap(),
            Place::Kv(name) => self.kept_kv(name),
            Place::Session(id) => self.kept_session(id),
            Place::Query(id) => self.kept_query(id),
        };
        // Another row may stand there by now.
        kept.filter(|(there, _)| *there == key).map(|(_, kept)| kept)
    }

    fn kept_node(&self, name: &Text) -> Option<(RowKey, Kept)> {
        let row = Arc::clone(&self.nodes.get(name)?.row);
        Some((row.key, Kept::Node { row, home: *name == self.home }))
    }

    fn kept_check(&self, node: &Text, row: Arc<CheckRow>) -> Option<(RowKey, Kept)> {
        let live = self.live.get(&row.facts.id).filter(|_| *node == self.home);
        let spec = live.map(|live| Arc::clone(&live.spec));
        let (key, node) = (row.key, self.nodes.get(node)?.row.key);
        Some((key, Kept::check(node, row, spec)))
    }

    /// All that must last.
    pub(crate) fn rows(&self) -> Vec<(RowKey, Kept)> {
        let mut rows = Vec::new();
        for (name, on) in &self.nodes {
            rows.extend(self.kept_node(name));
            for held in on.services.values() {
                rows.push((held.row.key, Kept::service(on.row.key, Arc::clone(&held.row))));
            }
            let checks = on.checks.values().chain(on.services.values().flat_map(|held| held.checks.values()));
            rows.extend(checks.filter_map(|row| self.kept_check(name, Arc::clone(row))));
        }
        rows.extend(self.kept_acls());
        rows.extend(self.kept_all_kv());
        rows.extend(self.kept_queries());
        rows.sort_by_key(|(key, _)| *key);
        rows
    }
}

#[cfg(test)]
mod tests;
