//! The policies: small functions from a table and a roll to a place in it. PURE but for the load that p2c compares.
//!
//! In:  weights, once, when the selection is built; then a roll for each pick. Out: an index below the length.
//!
//! Never: divides by a length of 0; builds anything while picking; panics on any weight.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{endpoint::Endpoint, select::Policy};

mod alias;
mod rotation;

use alias::Alias;
use rotation::Rotation;

/// A policy with its tables.
#[derive(Debug)]
pub(super) enum Picker {
    Random(Alias),
    PowerOfTwo(Alias),
    RoundRobin(Rotation, Arc<AtomicU64>),
}

impl Picker {
    /// The tables for these weights, of which at least one is above 0. `turn` is where a rotation stands, kept from
    /// selection to selection so that a change of the list does not send everyone to the first instance.
    pub(super) fn new(policy: Policy, weights: &[u32], turn: &Arc<AtomicU64>) -> Self {
        match policy {
            Policy::Random => Self::Random(Alias::new(weights)),
            Policy::PowerOfTwo => Self::PowerOfTwo(Alias::new(weights)),
            Policy::RoundRobin => Self::RoundRobin(Rotation::new(weights), Arc::clone(turn)),
        }
    }

    /// The place of the chosen one in `endpoints`.
    #[inline]
    pub(super) fn pick(&self, endpoints: &[Arc<Endpoint>], roll: u64) -> usize {
        match self {
            Self::Random(alias) => alias.pick(roll),
            Self::PowerOfTwo(alias) => less_loaded(alias, endpoints, roll),
            Self::RoundRobin(rotation, turn) => rotation.pick(turn.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// The place of one that is only looked at: by weight, for what is not counted cannot be compared by its count.
    #[inline]
    pub(super) fn peek(&self, roll: u64) -> usize {
        match self {
            Self::Random(alias) | Self::PowerOfTwo(alias) => alias.pick(roll),
            Self::RoundRobin(rotation, turn) => rotation.pick(turn.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

/// Two places by weight; of these the one with fewer requests in flight.
#[inline]
fn less_loaded(alias: &Alias, endpoints: &[Arc<Endpoint>], roll: u64) -> usize {
    let (first, second) = alias.pick_two(roll);
    let load = |place: usize| endpoints.get(place).map_or(u32::MAX, |endpoint| endpoint.in_flight());
    if load(second) < load(first) { second } else { first }
}

#[cfg(test)]
mod tests;
