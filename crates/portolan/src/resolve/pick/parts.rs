//! The parts of a split, each with a policy's tables over its own endpoints. PURE but for what the policies are.
//!
//! In:  a roll, which is chance or the hash of a key. Out: a place in the list of all endpoints, which stand in the order of
//! the parts.
//!
//! The part is drawn by a hash of the roll, so that a key says its part, and which part it is says nothing about where in
//! the part the roll goes. The parts lie in their order along all hashes: when a boundary moves, only the keys between the
//! old and the new one change their part. A part without an instance is drawn too, and its keys are drawn again among the
//! others: all other keys stay, and these come back with it.
//!
//! Never: draws a part of weight 0; gives a place of another part while its own has one that fits.
//!
//! Proof: `resolve/tests/splits.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::{super::wants::SplitShare, Endpoint, Load, Picker, Policy};
use crate::roll::mix;

/// Apart from every other use of a roll, so that the part says nothing about the instance. Part of the interface: all
/// processes and versions put a key into the same part.
const SALT: u64 = 0x5B1C_0DE5_0F9A_7C33;

/// The parts that can be drawn, and those that can be picked from.
#[derive(Debug)]
pub(in crate::resolve) struct Parts {
    /// All with a weight, in their order.
    all: Drawn,
    /// Those of them that have an instance.
    usable: Drawn,
    parts: Box<[Part]>,
}

/// One that has an instance.
#[derive(Debug)]
struct Part {
    start: usize,
    end: usize,
    picker: Picker,
}

/// Where each part ends among the hashes, and which of those with an instance it is.
#[derive(Debug)]
struct Drawn(Box<[(u64, Option<usize>)]>);

impl Drawn {
    fn new(weights: impl Iterator<Item = (u16, Option<usize>)> + Clone) -> Self {
        let all: u128 = weights.clone().map(|(weight, _)| u128::from(weight)).sum();
        let mut before = 0_u128;
        let end = |(weight, part)| {
            before = before.saturating_add(u128::from(weight));
            let end = before.saturating_mul(1 << 64).checked_div(all).unwrap_or(0);
            (u64::try_from(end).unwrap_or(u64::MAX), part)
        };
        Self(weights.filter(|(weight, _)| *weight > 0).map(end).collect())
    }

    fn at(&self, hash: u64) -> Option<usize> {
        // The greatest hash of all is the last part's.
        let found = self.0.iter().find(|(end, _)| hash < *end).or(self.0.last());
        found.and_then(|(_, part)| *part)
    }
}

impl Parts {
    /// `split` has two parts with an instance at least; `endpoints` and `weights` stand in its order.
    pub(super) fn new(
        policy: Policy,
        weights: &[u32],
        endpoints: &[Arc<Endpoint>],
        turn: &Arc<AtomicU64>,
        split: &[SplitShare],
    ) -> Self {
        let (mut start, mut parts, mut drawn) = (0_usize, Vec::new(), Vec::new());
        for one in split {
            let end = start.saturating_add(one.usable);
            let own = weights.get(start..end).zip(endpoints.get(start..end));
            let picker = own.filter(|(own, _)| !own.is_empty()).map(|(weights, endpoints)| {
                // A rotation of its own, which goes on elsewhere each time that it is built anew.
                let turn = Arc::new(AtomicU64::new(mix(turn.fetch_add(1, Ordering::Relaxed))));
                Picker::new(policy, weights, endpoints, &turn)
            });
            drawn.push((one.part.weight, picker.is_some().then_some(parts.len())));
            parts.extend(picker.map(|picker| Part { start, end, picker }));
            start = end;
        }
        let usable = drawn.iter().copied().filter(|(_, part)| part.is_some());
        Self { all: Drawn::new(drawn.iter().copied()), usable: Drawn::new(usable), parts: parts.into() }
    }

    /// The part of a roll.
    fn draw(&self, roll: u64) -> Option<usize> {
        let hash = mix(roll ^ SALT);
        self.all.at(hash).or_else(|| self.usable.at(mix(hash)))
    }

    pub(super) fn pick(&self, loads: &[Arc<Load>], roll: u64, now: Option<Instant>) -> usize {
        let part = self.draw(roll).and_then(|at| self.parts.get(at));
        part.map_or(0, |part| part.start.saturating_add(part.picker.pick(part.of(loads), roll, now)))
    }

    pub(super) fn peek(&self, roll: u64) -> usize {
        let part = self.draw(roll).and_then(|at| self.parts.get(at));
        part.map_or(0, |part| part.start.saturating_add(part.picker.peek(roll)))
    }

    /// The place of one that `fits`: of the roll's part, or else of one after it.
    pub(super) fn pick_one_that(
        &self,
        (endpoints, loads): (&[Arc<Endpoint>], &[Arc<Load>]),
        roll: u64,
        now: Option<Instant>,
        fits: &dyn Fn(&Endpoint) -> bool,
    ) -> Option<usize> {
        let first = self.draw(roll).unwrap_or(0);
        let (before, after) = self.parts.split_at_checked(first)?;
        after.iter().chain(before).find_map(|part| {
            let place = part.picker.pick_one_that((part.of(endpoints), part.of(loads)), roll, now, fits)?;
            Some(part.start.saturating_add(place))
        })
    }
}

impl Part {
    /// Its own of what stands in the order of the endpoints.
    fn of<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        all.get(self.start..self.end).unwrap_or_default()
    }
}
