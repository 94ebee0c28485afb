//! One task a view: loads what the caches remember of it, and gives them what it learns.
//!
//! In:  what the view publishes. Out: to the view, what a cache remembers, at its start and while its reads fail; to
//! the caches, what they do not have yet: a change after a few seconds, a newer proof each minute, the rest at the end.
//!
//! Never: touches the path of a lookup; saves more than one value a view in two seconds; saves what did not come from
//! a registry; hands a view anything while its reads succeed.
//!
//! Proof: `remember/tests.rs` and `discovery/tests/caches.rs`, with scripted caches and registries and paused time.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{CacheKey, Caches, caches::LONGEST_SAVE};
use crate::{
    model::Instance,
    roll::{Rolls, jitter},
    snapshot::{Freshness, Reader, Snapshot, Source},
};

/// At most one write of a view in this time, and up to [`SPREAD`] more.
const BETWEEN_WRITES: Duration = Duration::from_secs(2);
/// What a write waits at most so that a thousand views that change together are not written together.
const SPREAD: Duration = Duration::from_secs(3);
/// After this long, and up to half as much again, a proof is written though nothing changed.
const PROOF_AGAIN: Duration = Duration::from_secs(48);
/// After a write that failed.
const WRITE_AGAIN: Duration = Duration::from_secs(10);
/// How often caches are asked again while the registry does not answer: another process may know more by now.
const LOOK_AGAIN: Duration = Duration::from_secs(8);
/// The same while nothing at all is known.
const LOOK_SOON: Duration = Duration::from_secs(2);

/// What one view has to do with the caches.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) caches: Arc<Caches>,
    pub(crate) key: CacheKey,
    pub(crate) reader: Reader,
    /// Into the view's loop, which takes what is better than what it knows.
    pub(crate) into: mpsc::Sender<Snapshot>,
    pub(crate) rolls: Rolls,
}

/// Follows one view until `stop` is cancelled, for the view is forgotten or the program closes; then saves what is not
/// saved yet, if there is time for it.
pub(crate) async fn remember(plan: Plan, stop: CancellationToken) {
    let mut view = Remembering::new(plan);
    let work = async {
        view.load().await;
        loop {
            tokio::select! {
                biased;
                published = view.plan.reader.published() => match published {
                    Ok(next) => view.learn(&next),
                    Err(_closed) => return,
                },
                () = at(view.write_at) => view.save().await,
                () = at(view.look_at) => view.load().await,
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = work => {}
    }
    // What takes longer than the program waits, or than a save may, is lost: the next run starts from an older proof.
    let until = view.plan.caches.farewell().unwrap_or_else(|| Instant::now() + LONGEST_SAVE);
    let _in_time = timeout_at(until, view.save()).await;
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// What a cache is known to hold: of which proof, and which instances.
#[derive(Clone, Debug)]
struct Holds {
    freshness: Arc<Freshness>,
    instances: Arc<[Arc<Instance>]>,
}

impl Holds {
    fn of(snapshot: &Snapshot) -> Self {
        Self { freshness: Arc::clone(&snapshot.freshness), instances: Arc::clone(&snapshot.instances) }
    }
}

#[derive(Debug)]
struct Remembering {
    plan: Plan,
    /// Of each cache.
    holds: Vec<Option<Holds>>,
    /// The way that what was loaded last had come.
    way: Vec<Source>,
    written: Option<Instant>,
    write_at: Option<Instant>,
    look_at: Option<Instant>,
}

impl Remembering {
    fn new(plan: Plan) -> Self {
        let holds = vec![None; plan.caches.len()];
        Self { plan, holds, way: Vec::new(), written: None, write_at: None, look_at: None }
    }

    fn after(&mut self, pause: Duration, spread: Duration) -> Instant {
        Instant::now() + pause + jitter(self.plan.rolls.next(), spread)
    }

    /// Asks the caches, and hands on the best they have, unless the view knows better.
    async fn load(&mut self) {
        let found = self.plan.caches.load(&self.plan.key).await;
        let now = Instant::now().into_std();
        for found in &found {
            if let Some(holds) = self.holds.get_mut(found.place) {
                *holds = Some(Holds::of(&found.snapshot));
            }
        }
        let known = self.plan.reader.snapshot();
        let is_live = known.freshness.source == Source::Live && known.failure().is_none();
        if let Some(best) =
            found.into_iter().next().filter(|best| !is_live && is_newer(&best.snapshot, &known, now))
        {
            self.way = best.way;
            // A full channel holds a snapshot that is as good: it is a moment old.
            let _taken = self.plan.into.try_send(best.snapshot);
        }
        self.look_at = None;
        self.look_again(&known);
    }

    fn look_again(&mut self, known: &Snapshot) {
        if known.failure().is_none() {
            self.look_at = None;
        } else if self.look_at.is_none() {
            let pause = if known.is_known() { LOOK_AGAIN } else { LOOK_SOON };
            self.look_at = Some(self.after(pause, pause / 2));
        }
    }

    /// Takes note of what the view published, and decides when to write.
    fn learn(&mut self, next: &Snapshot) {
        self.look_again(next);
        if !self.is_to_be_kept(next) {
            return;
        }
        let behind =
            |holds: &&Option<Holds>| holds.as_ref().is_none_or(|holds| holds.freshness != next.freshness);
        let is_news = |holds: &Option<Holds>| {
            holds.as_ref().is_none_or(|holds| !Arc::ptr_eq(&holds.instances, &next.instances))
        };
        let mut behind = self.holds.iter().filter(behind).peekable();
        if behind.peek().is_none() {
            return;
        }
        let due = if behind.any(is_news) {
            let free = self
                .written
                .map_or(Duration::ZERO, |written| BETWEEN_WRITES.saturating_sub(written.elapsed()));
            self.after(free, SPREAD)
        } else {
            self.after(PROOF_AGAIN, PROOF_AGAIN / 2)
        };
        self.write_at = Some(self.write_at.map_or(due, |planned| planned.min(due)));
    }

    /// Only what a registry said, here or to an earlier run or another process.
    fn is_to_be_kept(&self, snapshot: &Snapshot) -> bool {
        matches!(snapshot.freshness.source, Source::Live | Source::Shared | Source::Disk)
    }

    /// Gives what is known to the caches that do not have it.
    async fn save(&mut self) {
        self.write_at = None;
        let known = self.plan.reader.snapshot();
        if !self.is_to_be_kept(&known) {
            return;
        }
        let behind = self
            .holds
            .iter()
            .enumerate()
            .filter(|(_, holds)| holds.as_ref().is_none_or(|holds| holds.freshness != known.freshness));
        let places: Vec<usize> = behind.map(|(place, _)| place).collect();
        if places.is_empty() {
            return;
        }
        let way = if known.freshness.source == Source::Live { &[][..] } else { &self.way };
        let refused = self.plan.caches.save(&self.plan.key, &known, way, &places).await;
        self.written = Some(Instant::now());
        for place in places {
            if let Some(holds) = self.holds.get_mut(place).filter(|_| !refused.contains(&place)) {
                *holds = Some(Holds::of(&known));
            }
        }
        if !refused.is_empty() {
            self.write_at = Some(self.after(WRITE_AGAIN, WRITE_AGAIN));
        }
    }
}

fn is_newer(found: &Snapshot, known: &Snapshot, now: std::time::Instant) -> bool {
    match (found.freshness.age(now), known.freshness.age(now)) {
        (Some(found), Some(known)) => found < known,
        (found, known) => found.is_some() && known.is_none(),
    }
}

#[cfg(test)]
mod tests;
