//! Keys and sessions as rows that must last, and back. PURE.
//!
//! In:  rows from a disk, in any order. Out: rows for one; or why a row has no place here.
//!
//! Never: loses a value because its holder has no place: the key is free then.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use super::rows::KvRow;
use crate::state::{
    State,
    index::Tx,
    kept::{Kept, RowKey},
    rows::Text,
};

impl State {
    pub(in crate::state) fn kept_kv(&self, name: &str) -> Option<(RowKey, Kept)> {
        let row = Arc::clone(self.kv.get(name)?);
        Some((row.key, Kept::Kv(row)))
    }

    /// All keys and sessions.
    pub(in crate::state) fn kept_all_kv(&self) -> impl Iterator<Item = (RowKey, Kept)> {
        let keys = self.kv.below("").map(|row| (row.key, Kept::Kv(Arc::clone(row))));
        let sessions = self.session_list(None);
        keys.chain(sessions.into_iter().filter_map(|row| self.kept_session(&row.spec.id)))
    }

    /// Puts a row where it belongs. `names`: the nodes by their rows.
    pub(in crate::state) fn place_of_kv(
        &mut self,
        key: RowKey,
        kept: &Kept,
        names: &BTreeMap<RowKey, Text>,
        now: Instant,
    ) -> Result<(), &'static str> {
        match kept {
            Kept::Kv(row) if self.kv.get(&row.name).is_some() => Err("is there twice"),
            Kept::Kv(row) => {
                self.kv.place(KvRow { key, ..KvRow::clone(row) });
                Ok(())
            }
            Kept::Session { node, row } => self.place_session(key, names.get(node), row, now),
            Kept::Query(row) => self.place_query(key, row),
            _ => Ok(()),
        }
    }

    /// Frees what is held by sessions that are not there.
    pub(in crate::state) fn free_orphans(&mut self, tx: &mut Tx) {
        for session in self.kv.holders() {
            if !self.has_session(&session) {
                self.kv_let_go(&session, false, None, tx);
            }
        }
    }
}
