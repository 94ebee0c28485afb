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
    ops::Bound,
    sync::{Arc, PoisonError},
};

use tokio::sync::Notify;

use crate::state::{Key, rows::Text};

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

impl Places {
    /// The places of those who wait for all keys that begin as a changed one does. Each step finds one, or leaves out all
    /// that stand between; so the length of the key bounds it, however many wait elsewhere.
    fn of_beginnings(&self, key: &Key) -> Vec<&Place> {
        let Key::Kv(name) = key else { return Vec::new() };
        let mut found = Vec::new();
        let mut last = Bound::Included(Key::KvBelow(Text::clone(name)));
        loop {
            let before = self.of.range((Bound::Included(Key::KvBelow("".into())), last)).next_back();
            let Some((Key::KvBelow(prefix), place)) = before else { return found };
            if name.starts_with(&**prefix) {
                found.push(place);
                if prefix.is_empty() {
                    return found;
                }
                last = Bound::Excluded(Key::KvBelow(Text::clone(prefix)));
            } else {
                last = Bound::Included(Key::KvBelow(alike(name, prefix).into()));
            }
        }
    }
}

/// What two texts have in common at their beginning.
fn alike<'a>(one: &'a str, other: &str) -> &'a str {
    let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    let bytes = same.map(|(one, _)| one.len_utf8()).sum();
    one.get(..bytes).unwrap_or_default()
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

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).waiting
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
            let below = keys.iter().flat_map(|key| places.of_beginnings(key));
            let rung = keys.iter().filter_map(|key| places.of.get(key)).chain(below);
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
