//! Which index each part of the catalogue is at, and what a change touched. PURE.
//!
//! In:  the keys that one command touched. Out: one new index for all of them, or none when nothing changed.
//!
//! Never: lowers the index of a key while the process lives; gives an index to a command that changed nothing.
//!
//! Without a store, indexes begin at 1 in each life, as those of `consul agent -dev` do: a client that comes back with a
//! higher one waits, and is answered with the lower one. With one, all keys begin at the bound that the last life had on
//! disk: each watcher is answered once, and none sees an index go down.
//!
//! Rules from Consul: agent/consul/state/catalog.go `maxIndexForService`: a service that is not there has the index at
//! which any service last lost its last instance.
//! Proof: `state/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use super::{
    alias::Followed,
    kept::{Kept, Place, RowKey},
    rows::{ServiceSpec, Text, folded},
};

/// What a query asks about, and what a watcher waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// The list of nodes.
    Nodes,
    /// The names of services.
    Services,
    /// All checks.
    Checks,
    /// One node and its services.
    Node(Text),
    /// The checks on one node.
    NodeChecks(Text),
    /// The instances of one service, their nodes and checks; see [`Key::service`].
    Service(Text),
    /// One instance as the agent knows it. It has no index: its watchers compare hashes.
    AgentService(Text),
    /// All tokens.
    Tokens,
    /// All policies.
    Policies,
    /// One key. Its index is its row's, as is that of [`Self::KvBelow`] and its rows.
    Kv(Text),
    /// All keys that begin so. Whoever waits for it is woken by [`Self::Kv`].
    KvBelow(Text),
    /// All sessions.
    Sessions,
    /// One session, or those of a node. Both have the index of all.
    Session(Text),
    SessionsOn(Text),
    /// All prepared queries.
    Queries,
    /// Events that were fired. The state has none of them.
    Events,
}

impl Key {
    /// The instances of a service, however its name is written.
    pub(crate) fn service(name: &str) -> Self {
        Self::Service(folded(name))
    }
}

/// What a command changed: whom to wake, which probes to look at again, and what must last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The keys that have a new index.
    pub(crate) keys: BTreeSet<Key>,
    /// Checks that the agent runs, or ran, which came, went or were defined anew.
    pub(crate) probes: BTreeSet<Text>,
    /// The rows that are other than they were, each once; `None`: it is gone.
    pub(crate) rows: Vec<(RowKey, Option<Kept>)>,
}

/// One command while it is carried out.
#[derive(Debug)]
pub(super) struct Tx {
    /// The index it gets if it changes anything.
    pub(super) at: u64,
    pub(super) now: Instant,
    pub(super) changes: Changes,
    /// What alias checks may have to follow.
    pub(super) turned: BTreeSet<Followed>,
    /// Rows that were put or dropped, with where they stand if they still do.
    pub(super) rows: Vec<(RowKey, Place)>,
    keys_given: u64,
}

impl Tx {
    pub(super) fn touch(&mut self, key: Key) {
        self.changes.keys.insert(key);
    }

    /// The service of an instance, and the one that it is a proxy for.
    pub(super) fn touch_instance_of(&mut self, spec: &ServiceSpec) {
        self.touch_service(&spec.name);
        spec.destination().into_iter().for_each(|of| self.touch_service(of));
    }

    pub(super) fn touch_service(&mut self, name: &Text) {
        self.touch(Key::service(name));
    }

    pub(super) fn probe(&mut self, check: &Text) {
        self.changes.probes.insert(Text::clone(check));
    }

    /// The row must be written: as it stands there at the end of the command, or as gone.
    pub(super) fn keep(&mut self, key: RowKey, place: Place) {
        self.rows.push((key, place));
    }

    /// A key for a row that was never there: keys rise in the order of creation.
    pub(super) fn new_key(&mut self) -> RowKey {
        self.keys_given = self.keys_given.saturating_add(1);
        RowKey(self.keys_given)
    }
}

/// The indexes of all keys.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    last: u64,
    /// What any key may have shown in an earlier life. None is below it now.
    floor: u64,
    keys_given: u64,
    of: BTreeMap<Key, u64>,
    services_extinct: u64,
    nodes_extinct: u64,
}

impl Indexes {
    /// The indexes of a further life: above all that were shown, and keys above all that are in use.
    pub(super) fn above(floor: u64, keys_given: u64) -> Self {
        Self { last: floor, floor, keys_given, ..Self::default() }
    }

    pub(super) fn begin(&self, now: Instant) -> Tx {
        Tx {
            at: self.last.saturating_add(1),
            now,
            changes: Changes::default(),
            turned: BTreeSet::new(),
            rows: Vec::new(),
            keys_given: self.keys_given,
        }
    }

    /// Gives the keys of `tx` its index. `exists` says whether a named thing is still there.
    pub(super) fn commit(&mut self, tx: Tx, exists: impl Fn(&Key) -> bool) -> Changes {
        self.keys_given = tx.keys_given;
        if tx.changes.keys.is_empty() {
            return tx.changes;
        }
        self.last = tx.at;
        for key in &tx.changes.keys {
            match key {
                Key::AgentService(_) | Key::Kv(_) | Key::KvBelow(_) => {}
                Key::Session(_) | Key::SessionsOn(_) | Key::Events => {}
                Key::Service(_) if !exists(key) => {
                    self.of.remove(key);
                    self.services_extinct = tx.at;
                }
                Key::Node(_) | Key::NodeChecks(_) if !exists(key) => {
                    self.of.remove(key);
                    self.nodes_extinct = tx.at;
                }
                _ => {
                    self.of.insert(key.clone(), tx.at);
                }
            }
        }
        tx.changes
    }

    /// The index of `key`, at least 1.
    pub(super) fn of(&self, key: &Key) -> u64 {
        let known = self.of.get(key).copied();
        let index = known.unwrap_or(match key {
            Key::Service(_) => self.services_extinct,
            Key::Node(_) | Key::NodeChecks(_) => self.nodes_extinct,
            _ => 0,
        });
        index.max(self.floor).max(1)
    }

    /// The newest index that was given.
    pub(super) fn last(&self) -> u64 {
        self.last
    }
}
