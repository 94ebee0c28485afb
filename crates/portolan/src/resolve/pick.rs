//! The policies: small functions from a table and a roll to a place in it. PURE but for the loads that
//! two of them compare.
//!
//! In:  weights, once, when the selection is built; then a roll for each pick, which is chance or the hash of a key.
//! Out: an index below the length.
//!
//! Never: divides by a length of 0; builds anything while picking; panics on any weight.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use xxhash_rust::xxh3::xxh3_64;

use super::{endpoint::Endpoint, load::Load, select::Policy, wants::SplitShare};
use crate::roll::{Rolls, below};

mod alias;
mod maglev;
mod parts;
mod rotation;

use alias::Alias;
use maglev::Maglev;
use parts::Parts;
use rotation::Rotation;

/// A policy with its tables.
#[derive(Debug)]
pub(super) enum Picker {
    Random(Alias),
    PowerOfTwo(Alias),
    // Beside each other, so that what goes by time is one comparison.
    PeakEwma(Alias),
    TimedParts(Box<Parts>),
    RoundRobin(Rotation, Arc<AtomicU64>),
    Maglev(Maglev),
    Parts(Box<Parts>),
}

impl Picker {
    /// The tables for these weights, one for each endpoint, of which at least one is above 0. `turn` is where a rotation
    /// stands, kept from selection to selection so that a change of the list does not send everyone to the first.
    pub(super) fn new(
        policy: Policy,
        weights: &[u32],
        endpoints: &[Arc<Endpoint>],
        turn: &Arc<AtomicU64>,
    ) -> Self {
        match policy {
            Policy::Random => Self::Random(Alias::new(weights)),
            Policy::PowerOfTwo => Self::PowerOfTwo(Alias::new(weights)),
            Policy::PeakEwma => Self::PeakEwma(Alias::new(weights)),
            Policy::RoundRobin => Self::RoundRobin(Rotation::new(weights), Arc::clone(turn)),
            Policy::Maglev => {
                let hashes = endpoints.iter().map(|endpoint| maglev::identity_hash(&endpoint.identity));
                Self::Maglev(Maglev::new(hashes.zip(weights.iter().copied())))
            }
        }
    }

    /// The same where the endpoints stand in the order of the parts of a split, as many of each as it says.
    pub(super) fn of_parts(
        policy: Policy,
        weights: &[u32],
        endpoints: &[Arc<Endpoint>],
        turn: &Arc<AtomicU64>,
        split: &[SplitShare],
    ) -> Self {
        // One that has all needs no draw.
        if split.iter().filter(|part| part.usable > 0).count() < 2 {
            return Self::new(policy, weights, endpoints, turn);
        }
        let parts = Box::new(Parts::new(policy, weights, endpoints, turn, split));
        if policy == Policy::PeakEwma { Self::TimedParts(parts) } else { Self::Parts(parts) }
    }

    /// Whether it goes by time: then a pick is told `now`.
    #[inline]
    pub(super) fn is_timed(&self) -> bool {
        matches!(self, Self::PeakEwma(_) | Self::TimedParts(_))
    }

    /// The place of the chosen one, whose load stands at the same place in `loads`.
    #[inline]
    pub(super) fn pick(&self, loads: &[Arc<Load>], roll: u64, now: Option<Instant>) -> usize {
        match self {
            Self::PeakEwma(alias) => cheaper(alias, loads, roll, now),
            Self::Random(alias) => alias.pick(roll),
            Self::PowerOfTwo(alias) => less_loaded(alias, loads, roll),
            Self::RoundRobin(rotation, turn) => rotation.pick(turn.fetch_add(1, Ordering::Relaxed)),
            Self::Maglev(maglev) => maglev.pick(roll),
            Self::Parts(parts) | Self::TimedParts(parts) => parts.pick(loads, roll, now),
        }
    }

    /// The place of one that `fits`, as long as one does: as `pick` chooses, asked again a few times, from the same roll
    /// in the same way; else the next in the list that fits.
    pub(super) fn pick_one_that(
        &self,
        (endpoints, loads): (&[Arc<Endpoint>], &[Arc<Load>]),
        roll: u64,
        now: Option<Instant>,
        fits: &dyn Fn(&Endpoint) -> bool,
    ) -> Option<usize> {
        if let Self::Parts(parts) | Self::TimedParts(parts) = self {
            return parts.pick_one_that((endpoints, loads), roll, now, fits);
        }
        let mut rolls = Rolls::new(roll);
        let here = |place: &usize| endpoints.get(*place).is_some_and(|endpoint| fits(endpoint));
        let chosen = match self {
            Self::Maglev(maglev) => maglev.places(roll).take(SLOTS_TRIED).find(here),
            _ => (0..TRIES).map(|_| self.pick(loads, rolls.next(), now)).find(here),
        };
        chosen.or_else(|| {
            // From anywhere in the list, lest all that is refused by one goes to the first of the others.
            let from = usize::try_from(below(rolls.next(), endpoints.len() as u64)).unwrap_or(0);
            (from..endpoints.len()).chain(0..from).find(here)
        })
    }

    /// The place of one that is only looked at: by weight, for what is not counted cannot be compared by its count.
    #[inline]
    pub(super) fn peek(&self, roll: u64) -> usize {
        match self {
            Self::Random(alias) | Self::PowerOfTwo(alias) | Self::PeakEwma(alias) => alias.pick(roll),
            Self::RoundRobin(rotation, turn) => rotation.pick(turn.fetch_add(1, Ordering::Relaxed)),
            Self::Maglev(maglev) => maglev.pick(roll),
            Self::Parts(parts) | Self::TimedParts(parts) => parts.peek(roll),
        }
    }
}

/// How often a policy is asked again for one that fits, before any such one will do.
const TRIES: usize = 4;
/// And how many slots of a table are looked at: a place that comes after so many has hardly a share in it.
const SLOTS_TRIED: usize = 64;

/// The roll of a key: XXH3 with 64 bits and no seed, the same in every process and in every version.
#[inline]
pub(super) fn key_roll(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// Two places by weight; of these the one with fewer requests in flight.
#[inline]
fn less_loaded(alias: &Alias, loads: &[Arc<Load>], roll: u64) -> usize {
    let (first, second) = alias.pick_two(roll);
    let load = |place: usize| loads.get(place).map_or(u32::MAX, |load| load.in_flight());
    if load(second) < load(first) { second } else { first }
}

/// Two places by weight; of these the one whose next request is thought to take less.
#[inline]
fn cheaper(alias: &Alias, loads: &[Arc<Load>], roll: u64, now: Option<Instant>) -> usize {
    let (first, second) = alias.pick_two(roll);
    let cost = |place: usize| match (loads.get(place), now) {
        (Some(load), Some(now)) => load.cost(now),
        _ => f32::INFINITY,
    };
    if cost(second) < cost(first) { second } else { first }
}

#[cfg(test)]
mod tests;
