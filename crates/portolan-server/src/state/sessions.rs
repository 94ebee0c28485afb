//! Sessions: who holds keys, and what ends that. PURE.
//!
//! In:  definitions, renewals, ends; checks that turn critical or go, nodes that go; deadlines. Out: rows; keys given back.
//!
//! ```text
//! created -- not renewed for twice its TTL; a check critical or gone; its node gone; destroyed --> ended: keys let go
//! ```
//!
//! Never: lets a session outlive a check that it depends on; ends one before its TTL; forgets the keys of one that ends.
//!
//! A TTL counts anew when the registry starts, as in Consul when another server leads.
//!
//! Rules from Consul 1.21: agent/consul/state/session.go, agent/consul/session_ttl.go (`SessionTTLMultiplier`).
//! Proof: `state/tests/kv.rs`, and a property against a model in `state/tests/kv_model.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

pub(crate) mod rows;

use super::{
    Key, State,
    index::Tx,
    kept::{Kept, Place, RowKey},
    rows::{Health, Text},
};
use rows::{Behavior, SessionRow, SessionSpec};

/// The longest time for which a key may not be taken after its holder ended.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// A change of sessions.
#[derive(Debug)]
pub(crate) enum SessionCommand {
    Create(Box<SessionSpec>),
    Renew { id: Text },
    Destroy { id: Text },
}

/// Why a session was not created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SessionRefused {
    NoNode,
    NoCheck(Text),
    Critical(Text),
}

impl fmt::Display for SessionRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNode => f.write_str("Missing node registration"),
            Self::NoCheck(id) => write!(f, "Missing check '{id}' registration"),
            Self::Critical(id) => write!(f, "Check '{id}' is in critical state"),
        }
    }
}

#[derive(Debug)]
struct Open {
    row: Arc<SessionRow>,
    /// The deadline it stands under in [`Sessions::deadlines`].
    due: Option<Instant>,
}

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    of: BTreeMap<Text, Open>,
    /// By node, and by the check on it.
    on_node: BTreeMap<Text, BTreeSet<Text>>,
    on_check: BTreeMap<(Text, Text), BTreeSet<Text>>,
    deadlines: BTreeSet<(Instant, Text)>,
}

fn unlist<K: Ord>(of: &mut BTreeMap<K, BTreeSet<Text>>, key: &K, id: &Text) {
    if let Some(ids) = of.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            of.remove(key);
        }
    }
}

impl Sessions {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    fn insert(&mut self, row: SessionRow, now: Instant) {
        let (id, node) = (Text::clone(&row.spec.id), Text::clone(&row.spec.node));
        for check in row.spec.check_ids() {
            let of = (Text::clone(&node), Text::clone(check));
            self.on_check.entry(of).or_default().insert(Text::clone(&id));
        }
        self.on_node.entry(node).or_default().insert(Text::clone(&id));
        self.of.insert(Text::clone(&id), Open { row: Arc::new(row), due: None });
        self.renew(&id, now);
    }

    fn remove(&mut self, id: &Text) -> Option<Arc<SessionRow>> {
        let Open { row, due } = self.of.remove(id)?;
        for check in row.spec.check_ids() {
            unlist(&mut self.on_check, &(Text::clone(&row.spec.node), Text::clone(check)), id);
        }
        unlist(&mut self.on_node, &row.spec.node, id);
        if let Some(due) = due {
            self.deadlines.remove(&(due, Text::clone(id)));
        }
        Some(row)
    }

    fn renew(&mut self, id: &Text, now: Instant) {
        let Some(open) = self.of.get_mut(id) else { return };
        // Twice the TTL: who renews in time is never late, whatever the way takes.
        let next = open.row.spec.ttl.and_then(|ttl| now.checked_add(ttl.saturating_mul(2)));
        if let Some(due) = open.due {
            self.deadlines.remove(&(due, Text::clone(id)));
        }
        if let Some(next) = next {
            self.deadlines.insert((next, Text::clone(id)));
        }
        open.due = next;
    }
}

impl State {
    pub(super) fn change_sessions(
        &mut self,
        command: SessionCommand,
        tx: &mut Tx,
    ) -> Result<(), SessionRefused> {
        match command {
            SessionCommand::Create(spec) => self.create_session(*spec, tx),
            SessionCommand::Renew { id } => {
                self.sessions.renew(&id, tx.now);
                Ok(())
            }
            SessionCommand::Destroy { id } => {
                self.end_session(&id, tx);
                Ok(())
            }
        }
    }

    fn create_session(&mut self, spec: SessionSpec, tx: &mut Tx) -> Result<(), SessionRefused> {
        if !self.nodes.contains_key(&spec.node) {
            return Err(SessionRefused::NoNode);
        }
        for id in spec.check_ids() {
            match self.check(&spec.node, id) {
                None => return Err(SessionRefused::NoCheck(Text::clone(id))),
                Some(row) if row.facts.status == Health::Critical => {
                    return Err(SessionRefused::Critical(Text::clone(id)));
                }
                Some(_) => {}
            }
        }
        let row = SessionRow { key: tx.new_key(), spec, create: tx.at, modify: tx.at };
        touch(&row, tx);
        self.sessions.insert(row, tx.now);
        Ok(())
    }

    fn end_session(&mut self, id: &Text, tx: &mut Tx) {
        let Some(row) = self.sessions.remove(id) else { return };
        touch(&row, tx);
        let delay = row.spec.lock_delay.min(LONGEST_DELAY);
        let until = tx.now.checked_add(delay).filter(|_| !delay.is_zero());
        self.kv_let_go(id, row.spec.behavior == Behavior::Delete, until, tx);
        self.end_queries_of_session(id, tx);
    }

    /// Ends those that depend on a check, which is critical or gone.
    pub(super) fn end_sessions_of_check(&mut self, node: &Text, check: &Text, tx: &mut Tx) {
        if self.sessions.on_check.is_empty() {
            return;
        }
        let of = (Text::clone(node), Text::clone(check));
        for id in self.sessions.on_check.get(&of).cloned().unwrap_or_default() {
            self.end_session(&id, tx);
        }
    }

    /// Ends those of a node, which is gone.
    pub(super) fn end_sessions_of_node(&mut self, node: &Text, tx: &mut Tx) {
        for id in self.sessions.on_node.get(node).cloned().unwrap_or_default() {
            self.end_session(&id, tx);
        }
    }

    /// Ends those that were not renewed in time.
    pub(super) fn end_late_sessions(&mut self, tx: &mut Tx) {
        while let Some((at, id)) = self.sessions.deadlines.first().cloned() {
            if at > tx.now {
                break;
            }
            self.end_session(&id, tx);
        }
    }

    pub(super) fn has_session(&self, id: &str) -> bool {
        self.sessions.of.contains_key(id)
    }

    /// A session.
    pub(crate) fn session(&self, id: &str) -> Option<Arc<SessionRow>> {
        self.sessions.of.get(id).map(|open| Arc::clone(&open.row))
    }

    /// How many sessions are open.
    pub(crate) fn session_count(&self) -> usize {
        self.sessions.of.len()
    }

    /// All sessions, or those of a node, in the order of their ids.
    pub(crate) fn session_list(&self, node: Option<&str>) -> Vec<Arc<SessionRow>> {
        match node {
            None => self.sessions.of.values().map(|open| Arc::clone(&open.row)).collect(),
            Some(node) => {
                let ids = self.sessions.on_node.get(node).into_iter().flatten();
                ids.filter_map(|id| self.session(id)).collect()
            }
        }
    }

    pub(super) fn kept_session(&self, id: &str) -> Option<(RowKey, Kept)> {
        let row = self.session(id)?;
        let node = self.nodes.get(&row.spec.node)?.row.key;
        Some((row.key, Kept::Session { node, row }))
    }

    pub(super) fn place_session(
        &mut self,
        key: RowKey,
        node: Option<&Text>,
        row: &SessionRow,
        now: Instant,
    ) -> Result<(), &'static str> {
        if self.has_session(&row.spec.id) {
            return Err("is there twice");
        }
        let node = Text::clone(node.ok_or("is on a node that is not there")?);
        let spec = SessionSpec { node, ..row.spec.clone() };
        self.sessions.insert(SessionRow { key, spec, ..*row }, now);
        Ok(())
    }
}

fn touch(row: &SessionRow, tx: &mut Tx) {
    tx.keep(row.key, Place::Session(Text::clone(&row.spec.id)));
    tx.touch(Key::Sessions);
    tx.touch(Key::Session(Text::clone(&row.spec.id)));
    tx.touch(Key::SessionsOn(Text::clone(&row.spec.node)));
}
