//! What is due when, in order: one moment for each key. PURE.
//!
//! In:  the moment of a key, whenever that changes. Out: the key that is due first.
//!
//! Never: looks at more than one key to answer; holds two moments of one key.
//!
//! Proof: `due/tests.rs`: a property test against a plain list.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// Moments in order. Of two that are the same, the lower key comes first.
#[derive(Debug)]
pub(crate) struct Due<K> {
    order: BTreeSet<(Instant, K)>,
    known: BTreeMap<K, Instant>,
}

impl<K: Clone + Ord> Due<K> {
    pub(crate) fn new() -> Self {
        Self { order: BTreeSet::new(), known: BTreeMap::new() }
    }

    /// When `key` is due from now on; `None`: not at all.
    pub(crate) fn set(&mut self, key: &K, at: Option<Instant>) {
        let before = self.known.get(key).copied();
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.order.remove(&(before, key.clone()));
        }
        match at {
            Some(at) => {
                self.order.insert((at, key.clone()));
                self.known.insert(key.clone(), at);
            }
            None => {
                self.known.remove(key);
            }
        }
    }

    /// When the first is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// The first, if it is due. It stays until its moment is set anew.
    pub(crate) fn first(&self, now: Instant) -> Option<K> {
        self.order.first().filter(|(at, _)| *at <= now).map(|(_, key)| key.clone())
    }
}

#[cfg(test)]
mod tests;
