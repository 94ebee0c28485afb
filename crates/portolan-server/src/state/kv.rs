//! Keys and values: written, compared, taken and given back, removed; one by one or several as one. PURE.
//!
//! In:  operations with `now`. Out: whether they were carried out, rows, and what is wrong.
//!
//! ```text
//! free -- lock by a session --> held -- unlock, end of the session --> free, not to be taken for the lock delay
//! ```
//!
//! Never: does a part of a transaction; gives an index to a write that changes nothing; lets a key be held by a session that
//! is not there.
//!
//! Rules from Consul 1.21: agent/consul/state/kvs.go, agent/consul/state/txn.go, agent/consul/kvs_endpoint.go.
//! Proof: `state/tests/kv.rs`, and a property against a model in `state/tests/kv_model.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{sync::Arc, time::Instant};

mod failed;
mod keep;
pub(crate) mod rows;
mod table;

pub(crate) use failed::KvFailed;
pub(super) use table::Keys;

use super::{State, index::Tx, kept::RowKey, rows::Text};
use rows::KvRow;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Set,
    Cas,
    Lock,
    Unlock,
    Delete,
    DeleteCas,
    DeleteTree,
    Get,
    GetOrEmpty,
    GetTree,
    CheckIndex,
    CheckSession,
    CheckNotExists,
}

impl Verb {
    /// Whether it changes nothing.
    pub(crate) fn only_reads(self) -> bool {
        match self {
            Self::Set | Self::Cas | Self::Lock | Self::Unlock => false,
            Self::Delete | Self::DeleteCas | Self::DeleteTree => false,
            Self::Get | Self::GetOrEmpty | Self::GetTree => true,
            Self::CheckIndex | Self::CheckSession | Self::CheckNotExists => true,
        }
    }
}

/// One operation on a key, or on all that begin with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KvOp {
    pub(crate) verb: Verb,
    pub(crate) key: Text,
    pub(crate) value: Arc<[u8]>,
    pub(crate) flags: u64,
    /// Empty where there is none.
    pub(crate) session: Text,
    /// What the key's last change must have been; 0 for [`Verb::Cas`]: it must not be there.
    pub(crate) index: u64,
}

impl KvOp {
    /// An operation with nothing but a key.
    pub(crate) fn new(verb: Verb, key: &str) -> Self {
        Self { verb, key: key.into(), value: Arc::from([]), flags: 0, session: "".into(), index: 0 }
    }
}

/// A row that an operation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KvShown {
    pub(crate) row: Arc<KvRow>,
    /// Only what was asked for shows its value.
    pub(crate) with_value: bool,
}

impl KvShown {
    fn whole(row: &Arc<KvRow>) -> Self {
        Self { row: Arc::clone(row), with_value: true }
    }

    fn bare(row: &Arc<KvRow>) -> Self {
        Self { row: Arc::clone(row), with_value: false }
    }
}

/// What became of one operation.
pub(crate) type KvDone = Result<Vec<KvShown>, KvFailed>;

/// Operations that failed, by their place.
pub(crate) type TxnFailed = Vec<(usize, KvFailed)>;

impl State {
    /// Carries out several operations, all of them or none.
    pub(super) fn kv_transaction(&mut self, ops: &[KvOp], tx: &mut Tx) -> Result<Vec<KvShown>, TxnFailed> {
        let mut shown = Vec::new();
        let mut failed = Vec::new();
        for (place, op) in ops.iter().enumerate() {
            match self.kv_operation(op, tx) {
                Ok(rows) => shown.extend(rows),
                Err(why) => failed.push((place, why)),
            }
        }
        if failed.is_empty() {
            return Ok(shown);
        }
        self.kv.roll_back();
        *tx = self.index.begin(tx.now);
        Err(failed)
    }

    pub(super) fn kv_operation(&mut self, op: &KvOp, tx: &mut Tx) -> KvDone {
        match op.verb {
            Verb::Set => Ok(self.kv_write(op, Holder::Stays, tx)),
            Verb::Cas => {
                let found = self.kv.get(&op.key).map_or(0, |row| row.modify);
                if found != op.index {
                    return Err(KvFailed::NotSet(Text::clone(&op.key)));
                }
                Ok(self.kv_write(op, Holder::Stays, tx))
            }
            Verb::Lock => self.kv_lock(op, tx),
            Verb::Unlock => self.kv_unlock(op, tx),
            Verb::Delete => {
                self.kv_delete(&op.key, tx);
                Ok(Vec::new())
            }
            Verb::DeleteCas => {
                if self.kv.get(&op.key).is_some_and(|row| row.modify != op.index) {
                    return Err(KvFailed::NotDeleted(Text::clone(&op.key)));
                }
                self.kv_delete(&op.key, tx);
                Ok(Vec::new())
            }
            Verb::DeleteTree => {
                let names: Vec<Text> = self.kv.below(&op.key).map(|row| Text::clone(&row.name)).collect();
                for name in &names {
                    self.kv.remove(name, tx);
                }
                if !names.is_empty() {
                    self.kv.bury_tree(&op.key);
                }
                Ok(Vec::new())
            }
            Verb::Get | Verb::GetOrEmpty | Verb::GetTree => self.kv_look(op),
            Verb::CheckIndex | Verb::CheckSession | Verb::CheckNotExists => self.kv_look(op),
        }
    }

    pub(super) fn kv_look(&self, op: &KvOp) -> KvDone {
        let name = || Text::clone(&op.key);
        let found = self.kv.get(&op.key);
        match op.verb {
            Verb::Get => match found {
                Some(row) => Ok(vec![KvShown::whole(row)]),
                None => Err(KvFailed::Absent(name())),
            },
            Verb::GetOrEmpty => {
                let row = found.map_or_else(|| Arc::new(nothing(op)), Arc::clone);
                Ok(vec![KvShown::whole(&row)])
            }
            Verb::GetTree => Ok(self.kv.below(&op.key).map(KvShown::whole).collect()),
            Verb::CheckIndex => match found {
                None => Err(KvFailed::NoIndex(name())),
                Some(row) if row.modify == op.index => Ok(vec![KvShown::bare(row)]),
                Some(row) => Err(KvFailed::OtherIndex { key: name(), is: row.modify, wanted: op.index }),
            },
            Verb::CheckSession => match found {
                None => Err(KvFailed::NoSession(name())),
                Some(row) => {
                    let is = row.session.clone().unwrap_or_else(|| "".into());
                    if is == op.session {
                        return Ok(vec![KvShown::bare(row)]);
                    }
                    Err(KvFailed::OtherSession { key: name(), is, wanted: Text::clone(&op.session) })
                }
            },
            Verb::CheckNotExists if found.is_some() => Err(KvFailed::Exists(name())),
            _ => Ok(Vec::new()),
        }
    }

    fn kv_write(&mut self, op: &KvOp, holder: Holder, tx: &mut Tx) -> Vec<KvShown> {
        let there = self.kv.get(&op.key).cloned();
        let (session, lock_index) = match holder {
            Holder::Stays => (there.as_ref().and_then(|row| row.session.clone()), 0),
            Holder::Becomes(session, lock_index) => (session, lock_index),
        };
        let row = KvRow {
            key: there.as_ref().map_or_else(|| tx.new_key(), |row| row.key),
            name: Text::clone(&op.key),
            value: Arc::clone(&op.value),
            flags: op.flags,
            session,
            lock_index,
            create: there.as_ref().map_or(tx.at, |row| row.create),
            modify: tx.at,
        };
        match there {
            Some(there) if there.holds_the_same(&row) => vec![KvShown::bare(&there)],
            _ => {
                self.kv.put(row, tx);
                self.kv.get(&op.key).map(KvShown::bare).into_iter().collect()
            }
        }
    }

    fn kv_lock(&mut self, op: &KvOp, tx: &mut Tx) -> KvDone {
        if self.kv.is_delayed(&op.key, tx.now) {
            return Err(KvFailed::Delayed(Text::clone(&op.key)));
        }
        if op.session.is_empty() {
            return Err(KvFailed::MissingSession);
        }
        if !self.has_session(&op.session) {
            return Err(KvFailed::InvalidSession(Text::clone(&op.session)));
        }
        let lock_index = match self.kv.get(&op.key).map(|row| (row.session.as_ref(), row.lock_index)) {
            None => 1,
            Some((None, times)) => times.saturating_add(1),
            Some((Some(holder), times)) if *holder == op.session => times,
            Some((Some(_), _)) => return Err(KvFailed::Held(Text::clone(&op.key))),
        };
        Ok(self.kv_write(op, Holder::Becomes(Some(Text::clone(&op.session)), lock_index), tx))
    }

    fn kv_unlock(&mut self, op: &KvOp, tx: &mut Tx) -> KvDone {
        if op.session.is_empty() {
            return Err(KvFailed::MissingSession);
        }
        match self.kv.get(&op.key) {
            Some(row) if row.session.as_ref() == Some(&op.session) => {
                let times = row.lock_index;
                Ok(self.kv_write(op, Holder::Becomes(None, times), tx))
            }
            _ => Err(KvFailed::NotHeld(Text::clone(&op.key))),
        }
    }

    fn kv_delete(&mut self, name: &Text, tx: &mut Tx) {
        if self.kv.get(name).is_some() {
            self.kv.remove(name, tx);
            self.kv.bury(name);
        }
    }

    /// Gives back, or removes, all that a session held. Until `until` nobody may take them.
    pub(super) fn kv_let_go(&mut self, session: &Text, removes: bool, until: Option<Instant>, tx: &mut Tx) {
        for name in self.kv.held_by(session) {
            if removes {
                self.kv_delete(&name, tx);
            } else if let Some(row) = self.kv.get(&name) {
                let row = KvRow { session: None, modify: tx.at, ..KvRow::clone(row) };
                self.kv.put(row, tx);
            }
            if let Some(until) = until {
                self.kv.delay(&name, until, tx.now);
            }
        }
    }

    /// A key with its value.
    pub(crate) fn kv(&self, name: &str) -> Option<Arc<KvRow>> {
        self.kv.get(name).map(Arc::clone)
    }

    /// How many keys there are.
    pub(crate) fn kv_count(&self) -> usize {
        self.kv.count()
    }

    /// All keys that begin with `prefix`, in the order of their bytes.
    pub(crate) fn kv_below(&self, prefix: &str) -> Vec<Arc<KvRow>> {
        self.kv.below(prefix).map(Arc::clone).collect()
    }

    /// Whether a key may not be taken yet.
    pub(crate) fn kv_is_delayed(&self, name: &str, now: Instant) -> bool {
        self.kv.is_delayed(name, now)
    }
}

/// Who holds a key after a write.
enum Holder {
    /// Who held it before; how often it was taken is counted anew.
    Stays,
    Becomes(Option<Text>, u64),
}

/// What is shown of a key that is not there, where that is no mistake: what was asked.
fn nothing(op: &KvOp) -> KvRow {
    KvRow {
        key: RowKey::default(),
        name: Text::clone(&op.key),
        value: Arc::from([]),
        flags: op.flags,
        session: Some(Text::clone(&op.session)).filter(|session| !session.is_empty()),
        lock_index: 0,
        create: 0,
        modify: op.index,
    }
}
