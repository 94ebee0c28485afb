//! All keys, what was removed of late, and the indexes of both. PURE.
//!
//! In:  rows put and removed by one command. Out: rows in the order of their names; the index of a key, and of all that
//! begin alike.
//!
//! What a command did is noted until it ends: then it is settled, or taken back as if it had not been.
//!
//! Never: lets the index of a name or a beginning go down; keeps more than [`GRAVES`] marks of what was removed.
//!
//! Rules from Consul 1.21: agent/consul/state/kvs.go `kvsListTxn`, graveyard.go.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
    time::Instant,
};

use super::rows::KvRow;
use crate::state::{
    index::{Key, Tx},
    kept::Place,
    rows::Text,
};

/// How many removals are remembered each. Beyond, all of them count as one that any beginning may have had (Consul forgets
/// them after 15 minutes, and its index goes down then).
const GRAVES: usize = 4096;

/// What was removed.
#[derive(Debug)]
enum Grave {
    One(Text),
    /// All that began so.
    Tree(Text),
}

/// The keys.
#[derive(Debug, Default)]
pub(in crate::state) struct Keys {
    rows: BTreeMap<Text, Arc<KvRow>>,
    held: BTreeMap<Text, BTreeSet<Text>>,
    /// The index of the last change of any.
    last: u64,
    /// Names, or beginnings of names, with the index at which they went.
    graves: BTreeMap<Text, u64>,
    /// The index of removals that are remembered no longer.
    forgotten: u64,
    /// What stood there before the command that runs.
    before: Vec<(Text, Option<Arc<KvRow>>)>,
    buried: Vec<Grave>,
    /// Until when a key may not be taken.
    delays: BTreeMap<Text, Instant>,
}

/// All names that begin with `prefix`.
fn below<'a, T>(of: &'a BTreeMap<Text, T>, prefix: &'a str) -> impl Iterator<Item = (&'a Text, &'a T)> {
    let from = (Bound::Included(prefix), Bound::Unbounded);
    of.range::<str, _>(from).take_while(move |(name, _)| name.starts_with(prefix))
}

impl Keys {
    pub(super) fn get(&self, name: &str) -> Option<&Arc<KvRow>> {
        self.rows.get(name)
    }

    pub(super) fn count(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Arc<KvRow>> {
        below(&self.rows, prefix).map(|(_, row)| row)
    }

    /// The names that a session holds.
    pub(super) fn held_by(&self, session: &str) -> Vec<Text> {
        self.held.get(session).into_iter().flatten().cloned().collect()
    }

    /// The sessions that hold anything.
    pub(super) fn holders(&self) -> Vec<Text> {
        self.held.keys().cloned().collect()
    }

    /// The index of one key: its own, or that of the last change of any where it is not there.
    pub(in crate::state) fn index(&self, name: &str) -> u64 {
        self.rows.get(name).map_or(self.last, |row| row.modify)
    }

    /// The index of all that begin with `prefix`.
    pub(in crate::state) fn index_below(&self, prefix: &str) -> u64 {
        if prefix.is_empty() {
            return self.last;
        }
        let there = self.below(prefix).map(|row| row.modify).max();
        let gone = below(&self.graves, prefix).map(|(_, at)| *at).max();
        there.max(gone).map_or(self.last, |index| index.max(self.forgotten))
    }

    fn replace(&mut self, name: &Text, row: Option<Arc<KvRow>>) -> Option<Arc<KvRow>> {
        let holder = row.as_ref().and_then(|row| row.session.clone());
        let old = match row {
            Some(row) => self.rows.insert(Text::clone(name), row),
            None => self.rows.remove(name),
        };
        if let Some(session) = old.as_ref().and_then(|old| old.session.as_ref())
            && let Some(names) = self.held.get_mut(session)
        {
            names.remove(name);
            if names.is_empty() {
                self.held.remove(session);
            }
        }
        if let Some(session) = holder {
            self.held.entry(session).or_default().insert(Text::clone(name));
        }
        old
    }

    /// Puts a row where it belongs: the caller has seen that it is another than the one there.
    pub(super) fn put(&mut self, row: KvRow, tx: &mut Tx) {
        let name = Text::clone(&row.name);
        tx.keep(row.key, Place::Kv(Text::clone(&name)));
        tx.touch(Key::Kv(Text::clone(&name)));
        let old = self.replace(&name, Some(Arc::new(row)));
        self.before.push((name, old));
    }

    pub(super) fn remove(&mut self, name: &Text, tx: &mut Tx) {
        if let Some(old) = self.replace(name, None) {
            tx.keep(old.key, Place::Kv(Text::clone(name)));
            tx.touch(Key::Kv(Text::clone(name)));
            self.before.push((Text::clone(name), Some(old)));
        }
    }

    /// Marks that a key was removed.
    pub(super) fn bury(&mut self, name: &Text) {
        self.buried.push(Grave::One(Text::clone(name)));
    }

    /// Marks that all that began so were removed.
    pub(super) fn bury_tree(&mut self, prefix: &Text) {
        self.buried.push(Grave::Tree(Text::clone(prefix)));
    }

    /// The command is done: what it changed has the index `at`.
    pub(in crate::state) fn settle(&mut self, at: u64) {
        if self.before.is_empty() {
            return;
        }
        self.before.clear();
        self.last = at;
        for grave in std::mem::take(&mut self.buried) {
            let name = match grave {
                Grave::One(name) => name,
                Grave::Tree(prefix) => {
                    // An older mark below would hide this removal from who watches there. (In Consul 1.21 it does.)
                    let older: Vec<Text> =
                        below(&self.graves, &prefix).map(|(name, _)| Text::clone(name)).collect();
                    for name in &older {
                        self.graves.remove(name);
                    }
                    prefix
                }
            };
            if !name.is_empty() {
                self.graves.insert(name, at);
            }
        }
        if self.graves.len() > GRAVES {
            self.graves.clear();
            self.forgotten = at;
        }
    }

    /// The command is not done: everything is as it was.
    pub(in crate::state) fn roll_back(&mut self) {
        self.buried.clear();
        while let Some((name, row)) = self.before.pop() {
            self.replace(&name, row);
        }
    }

    /// Takes in a row from the disk.
    pub(super) fn place(&mut self, row: KvRow) {
        self.last = self.last.max(row.modify);
        let name = Text::clone(&row.name);
        self.replace(&name, Some(Arc::new(row)));
    }

    /// Whether a key may not be taken yet, for its last holder may not know that it lost it.
    pub(super) fn is_delayed(&self, name: &str, now: Instant) -> bool {
        self.delays.get(name).is_some_and(|until| *until > now)
    }

    pub(super) fn delay(&mut self, name: &Text, until: Instant, now: Instant) {
        self.delays.retain(|_, until| *until > now);
        self.delays.insert(Text::clone(name), until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, modify: u64) -> KvRow {
        KvRow {
            key: Default::default(),
            name: name.into(),
            value: Arc::from([]),
            flags: 0,
            session: None,
            lock_index: 0,
            create: 1,
            modify,
        }
    }

    #[test]
    fn what_is_forgotten_lowers_no_index() {
        let mut keys = Keys::default();
        keys.place(row("a/stays", 1));
        let indexes = super::super::super::index::Indexes::default();
        for n in 0..=u64::try_from(GRAVES).unwrap() {
            let mut tx = indexes.begin(tokio::time::Instant::now().into_std());
            let name = Text::from(format!("a/{n}"));
            keys.put(row(&name, n), &mut tx);
            keys.remove(&name, &mut tx);
            keys.bury(&name);
            let before = keys.index_below("a/");
            keys.settle(n + 2);
            assert!(keys.index_below("a/") >= before);
            assert!(keys.graves.len() <= GRAVES);
        }
        assert!(keys.graves.is_empty());
        assert_eq!(keys.index_below("a/"), keys.last);
    }
}
