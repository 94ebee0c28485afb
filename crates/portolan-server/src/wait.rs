//! From an index to those who wait for it: whoever asks about a key is woken when that key changes, and nobody else.
//!
//! In:  a [`Key`] to wait for; the keys that a command changed. Out: a [`Ticket`] that is notified.
//!
//! A wake-up costs by the number of watchers of the changed keys, plus a search for each key.
//!
//! Never: holds more than `limit` watchers; keeps a place for a key that nobody waits for; loses a wake-up between
//! the look at the state and the wait (a ticket is armed before the look).
//!
//! Proof: `wait/tests.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
};

use tokio::sync::Notify;

use crate::state::Key;

/// All watchers.
#[derive(Debug)]
pub(crate) struct Hub {
    limit: usize,
    #[expect(
        clippy::disallowed_types,
        reason = "held for one search in a map, never while anything else is done"
    )]
    places: std::sync::Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    waiting: usize,
    of: BTreeMap<Key, Place>,
}

#[derive(Debug)]
struct Place {
    bell: Arc<Notify>,
    waiting: usize,
}

/// A place among the watchers of one key, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Ticket<'a> {
    hub: &'a Hub,
    key: &'a Key,
    pub(crate) bell: Arc<Notify>,
}

/// Every place is taken.
#[derive(Debug)]
pub(crate) struct Full;

impl Hub {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, places: Default::default() }
    }

    /// A place among the watchers of `key`.
    pub(crate) fn enter<'a>(&'a self, key: &'a Key) -> Result<Ticket<'a>, Full> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.waiting >= self.limit {
            return Err(Full);
        }
        places.waiting = places.waiting.saturating_add(1);
        let bell = match places.of.get_mut(key) {
            Some(place) => {
                place.waiting = place.waiting.saturating_add(1);
                Arc::clone(&place.bell)
            }
            None => {
                let bell = Arc::new(Notify::new());
                places.of.insert(key.clone(), Place { bell: Arc::clone(&bell), waiting: 1 });
                bell
            }
        };
        Ok(Ticket { hub: self, key, bell })
    }

    /// What anybody waits for.
    pub(crate) fn keys(&self) -> BTreeSet<Key> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.of.keys().cloned().collect()
    }

    /// Wakes the watchers of `keys`; says how many there were.
    pub(crate) fn wake(&self, keys: &BTreeSet<Key>) -> usize {
        let mut woken: usize = 0;
        let bells: Vec<Arc<Notify>> = {
            let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            let rung = keys.iter().filter_map(|key| places.of.get(key));
            rung.inspect(|place| woken = woken.saturating_add(place.waiting))
                .map(|place| Arc::clone(&place.bell))
                .collect()
        };
        // Outside the lock: each bell walks through all who wait for it.
        for bell in bells {
            bell.notify_waiters();
        }
        woken
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut places = self.hub.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.waiting = places.waiting.saturating_sub(1);
        if let Some(place) = places.of.get_mut(self.key) {
            place.waiting = place.waiting.saturating_sub(1);
            if place.waiting == 0 {
                places.of.remove(self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests;
