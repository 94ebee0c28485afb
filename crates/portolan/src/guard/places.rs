//! Keeps those that wait for a place waiting, and wakes the one whose turn it is; `turns.rs` decides.
//!
//! In:  reads that wait. Out: a [`Place`], given back when dropped, also by a read that was cancelled.
//!
//! Never: decides; wakes all for one place.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::Notify,
    time::{Instant as Clock, sleep_until},
};

use super::turns::{Grant, Id, Turns};

/// The places of all reads that wait.
#[derive(Debug)]
pub(super) struct Places {
    #[expect(clippy::disallowed_types, reason = "cold path: a few times per request over the network")]
    inner: std::sync::Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    turns: Turns,
    bells: BTreeMap<Id, Arc<Notify>>,
}

impl Inner {
    fn ring(&self) {
        for id in self.turns.to_wake() {
            if let Some(bell) = self.bells.get(&id) {
                bell.notify_one();
            }
        }
    }
}

/// One that wants a place, has one, or had one.
#[derive(Debug)]
pub(super) struct Place<'a> {
    all: &'a Places,
    id: Id,
    bell: Arc<Notify>,
    /// How long a read may wait in it; `None`: as long as it wants.
    pub(super) turn: Option<Duration>,
}

impl Places {
    pub(super) fn new(places: usize, turns_per_second: u32, now: Instant) -> Self {
        let inner = Inner { turns: Turns::new(places, turns_per_second, now), bells: BTreeMap::new() };
        Self { inner: inner.into() }
    }

    /// Waits for a place among `places`, for a read that wants to wait for `wait` and whose reader was last used at
    /// `used`. Every read that has one ends within its deadline, so this ends too.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line.
    pub(super) async fn take(&self, places: usize, used: Option<Instant>, wait: Duration) -> Place<'_> {
        let mut place = self.arrive(places, used, wait);
        loop {
            let grant = self.ask(place.id);
            match grant {
                Grant::Hold => return place,
                Grant::Turn(turn) => {
                    place.turn = Some(turn);
                    return place;
                }
                Grant::Wait => place.bell.notified().await,
                Grant::NotBefore(at) => tokio::select! {
                    biased;
                    () = place.bell.notified() => {}
                    () = sleep_until(at.into()) => {}
                },
            }
        }
    }

    /// How many reads take turns now.
    pub(super) fn sharing(&self) -> usize {
        self.with(|inner| inner.turns.sharing())
    }

    fn arrive(&self, places: usize, used: Option<Instant>, wait: Duration) -> Place<'_> {
        let bell = Arc::new(Notify::new());
        let id = self.with(|inner| {
            inner.turns.set_places(places);
            let id = inner.turns.arrive(used, wait);
            inner.bells.insert(id, Arc::clone(&bell));
            inner.ring();
            id
        });
        Place { all: self, id, bell, turn: None }
    }

    fn ask(&self, id: Id) -> Grant {
        self.with(|inner| {
            let grant = inner.turns.ask(id, Clock::now().into_std());
            // Who may read now is no longer the first: the next one may ask.
            if matches!(grant, Grant::Hold | Grant::Turn(_)) {
                inner.ring();
            }
            grant
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Place<'_> {
    /// Waits until somebody who was used later wants this place.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: it is asked first.
    pub(super) async fn wanted(&self) {
        while !self.all.with(|inner| inner.turns.must_leave(self.id)) {
            self.bell.notified().await;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.all.with(|inner| {
            inner.bells.remove(&self.id);
            inner.turns.done(self.id);
            inner.ring();
        });
    }
}
