//! Shares out places for reads that wait, when more want one than there are: who was used lately keeps a place for as
//! long as a read waits, the others read in turn. PURE.
//!
//! In:  arrivals, with when their reader was last used; questions of those that wait; departures. Out: hold a place, take
//! a turn of so long, or ask again then.
//!
//! ```text
//! arrive ─▶ Promised ── a place is free ─▶ holds it for its whole wait ── somebody used it later ─▶ leaves, arrives anew
//!    └────▶ in line ── at the head, at the pace ─▶ reads for a short while
//! ```
//!
//! Never: gives out more places than there are; lets anybody wait for more than a turn of all who are in line; takes a
//! place from one that was used as lately.
//!
//! Proof: `turns/tests.rs`: 5,000 views on 64 places, by the clock of the test.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::budget::Bucket;

/// One place in this many is shared by those in line.
const SHARED: usize = 8;
/// Turns that may begin at once: a timer that comes late costs nothing then.
const SLACK: u32 = 4;
/// A turn lasts no longer.
const LONGEST_TURN: Duration = Duration::from_secs(1);
/// Turns are as long as they can be while everybody in line still gets one in this time, if the pace allows that.
const ROUND: Duration = Duration::from_secs(5);
/// A reader tells when it was used as its read begins, so the news of one that holds a place is as old as its wait. Who
/// was used later by less than that, and this, was not used more lately.
const MARGIN: Duration = Duration::from_secs(5);

/// One read that waits. Later ones are greater.
pub(super) type Id = u64;

/// What one that waits may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// Read, and wait for as long as it wants.
    Hold,
    /// Read, and wait for this long at most.
    Turn(Duration),
    /// Ask again then.
    NotBefore(Instant),
    /// Ask again when told to.
    Wait,
}

/// One that holds a place.
#[derive(Clone, Copy, Debug)]
struct Holder {
    used: Option<Instant>,
    wait: Duration,
}

/// The places, and who waits for one.
#[derive(Debug)]
pub(super) struct Turns {
    places: usize,
    next: Id,
    holding: BTreeMap<Id, Holder>,
    /// Those that hold a place, and were told to leave it.
    leaving: BTreeSet<Id>,
    /// Those that will hold a place as soon as one is free.
    promised: BTreeMap<Id, Holder>,
    line: BTreeSet<Id>,
    /// Those whose turn it is.
    reading: BTreeSet<Id>,
    pace: Bucket,
    per_second: u32,
}

impl Turns {
    /// `places` places, and `per_second` turns a second; both at least 1.
    pub(super) fn new(places: usize, per_second: u32, now: Instant) -> Self {
        Self {
            places: places.max(1),
            next: 0,
            holding: BTreeMap::new(),
            leaving: BTreeSet::new(),
            promised: BTreeMap::new(),
            line: BTreeSet::new(),
            reading: BTreeSet::new(),
            pace: Bucket::new(per_second, SLACK, now),
            per_second,
        }
    }

    /// How many places there are from now on.
    pub(super) fn set_places(&mut self, places: usize) {
        self.places = places.max(1);
    }

    /// One more wants to read, and to wait for `wait`.
    pub(super) fn arrive(&mut self, used: Option<Instant>, wait: Duration) -> Id {
        let id = self.next;
        self.next = self.next.saturating_add(1);
        let newcomer = Holder { used, wait };
        let sharing = self.line.len().saturating_add(self.reading.len());
        if self.staying().saturating_add(self.share(sharing)) < self.places {
            self.promised.insert(id, newcomer);
        } else if let Some(holder) = self.least_used().filter(|holder| later(used, holder)) {
            self.leaving.insert(holder.0);
            self.promised.insert(id, newcomer);
        } else {
            self.line.insert(id);
            self.make_room();
        }
        id
    }

    /// What this one may do now. Once it was told to hold or to take its turn, it reads until [`done`](Self::done).
    pub(super) fn ask(&mut self, id: Id, now: Instant) -> Grant {
        let free = self.holding.len().saturating_add(self.reading.len()) < self.places;
        if let Some(holder) = self.promised.get(&id).copied() {
            // Those promised earlier come first.
            if !free || self.promised.keys().next() != Some(&id) {
                return Grant::Wait;
            }
            self.promised.remove(&id);
            self.holding.insert(id, holder);
            return Grant::Hold;
        }
        let waiting = self.line.len().saturating_add(self.reading.len());
        if self.line.first() != Some(&id) || !free || self.reading.len() >= self.share(waiting) {
            return Grant::Wait;
        }
        match self.pace.take(now) {
            Err(later) => Grant::NotBefore(later),
            Ok(()) => {
                let turn = self.turn();
                self.line.remove(&id);
                self.reading.insert(id);
                Grant::Turn(turn)
            }
        }
    }

    /// This one has gone, wherever it was.
    pub(super) fn done(&mut self, id: Id) {
        let _held = self.holding.remove(&id).or_else(|| self.promised.remove(&id));
        self.leaving.remove(&id);
        self.line.remove(&id);
        self.reading.remove(&id);
    }

    /// Whether this one was told to give its place to another: then it goes, and arrives anew.
    pub(super) fn must_leave(&self, id: Id) -> bool {
        self.leaving.contains(&id)
    }

    /// Those whose answer may have changed by what was done last: they are to ask again.
    pub(super) fn to_wake(&self) -> impl Iterator<Item = Id> {
        self.leaving.iter().chain(self.promised.keys().next()).chain(self.line.first()).copied()
    }

    /// How many take turns.
    pub(super) fn sharing(&self) -> usize {
        self.line.len().saturating_add(self.reading.len())
    }

    /// Those that hold a place, or soon will, and were not told to leave it.
    fn staying(&self) -> usize {
        self.holding.len().saturating_sub(self.leaving.len()).saturating_add(self.promised.len())
    }

    /// The places for `sharing` that take turns: one for two, up to an eighth of all.
    fn share(&self, sharing: usize) -> usize {
        sharing.div_ceil(2).min(self.places.div_ceil(SHARED))
    }

    /// How long a turn is: long, while few are in line; never so short that the pace cannot be kept.
    fn turn(&self) -> Duration {
        let sharing = self.sharing();
        let places = u32::try_from(self.share(sharing)).unwrap_or(u32::MAX);
        let each = |time: Duration, among: u32| time.saturating_mul(places).checked_div(among);
        let fair = each(ROUND, u32::try_from(sharing).unwrap_or(u32::MAX)).unwrap_or(LONGEST_TURN);
        let paced = each(Duration::from_secs(1), self.per_second).unwrap_or(LONGEST_TURN);
        fair.max(paced).min(LONGEST_TURN)
    }

    /// Tells those that were used least lately to leave, until those in line have their share. Who was promised a place
    /// that there is not any more stands in line too: one that waits to hold a place does not see it taken, turn after
    /// turn, by the one that left it.
    fn make_room(&mut self) {
        while self.staying().saturating_add(self.share(self.sharing())) > self.places {
            if let Some((id, _)) = self.least_used() {
                self.leaving.insert(id);
            } else if let Some((id, _)) = self.promised.pop_last() {
                self.line.insert(id);
            } else {
                return;
            }
        }
    }

    /// Who holds a place and was used least lately; of two, who came first: its wait is nearest to its end.
    fn least_used(&self) -> Option<(Id, Holder)> {
        let staying = self.holding.iter().filter(|(id, _)| !self.leaving.contains(id));
        staying.min_by_key(|(id, holder)| (holder.used, **id)).map(|(id, holder)| (*id, *holder))
    }
}

/// Whether a reader that was used at `used` was used more lately than one that holds a place.
fn later(used: Option<Instant>, (_, holder): &(Id, Holder)) -> bool {
    let news =
        holder.wait.saturating_add(holder.wait.checked_div(16).unwrap_or_default()).saturating_add(MARGIN);
    match (used, holder.used) {
        (Some(used), Some(held)) => held.checked_add(news).is_some_and(|held| used > held),
        (Some(_), None) => true,
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests;
