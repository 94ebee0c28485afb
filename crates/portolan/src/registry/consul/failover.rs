//! Decides which of several addresses the reads go to. PURE.
//!
//! In:  how reads at an address end. Out: the address for the next one, and whether a read may wait there for what is
//! beyond an index.
//!
//! ```text
//! first ── failures in a row ─▶ next ── failures in a row ─▶ … ─▶ first
//!   ▲                            │ minutes later, when the first answers again
//!   └────────────────────────────┘
//! ```
//!
//! Never: lets a read wait at an address on an index that another address gave: the stream of changes would go on with a
//! part missing and nobody would know; moves for the failure of a read that was sent before the last move.
//!
//! Proof: `failover/tests.rs`; over sockets, `tests/transport/failover.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{error::Kind, roll::jitter};

/// Failures in a row before the reads move. One may be a connection that was cut.
const BEFORE_MOVING: u32 = 2;
/// The first address is tried again after this time, and up to twice as long: many processes that moved together do not
/// come back together.
const BEFORE_RETURN: Duration = Duration::from_secs(150);
/// The indexes of so many questions are kept. One that is forgotten costs its view a read from zero.
const QUESTIONS: usize = 100_000;

/// Where the reads go.
#[derive(Debug)]
pub(super) struct Failover {
    addresses: usize,
    current: usize,
    /// How often the reads moved.
    moves: u64,
    /// At the present address, in a row.
    failures: u32,
    return_at: Option<Instant>,
    /// What the present address gave, by question, since the reads moved there.
    given: BTreeMap<String, u64>,
}

/// An address, and the reads' stay there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stay {
    /// Which address.
    pub(super) at: usize,
    moves: u64,
}

impl Failover {
    /// Reads go to the first of `addresses`.
    pub(super) fn new(addresses: usize) -> Self {
        Self { addresses, current: 0, moves: 0, failures: 0, return_at: None, given: BTreeMap::new() }
    }

    /// Where the next read goes.
    pub(super) fn stay(&self) -> Stay {
        Stay { at: self.current, moves: self.moves }
    }

    /// Whether a read may wait for what comes after an index: only where that index was given.
    pub(super) fn may_wait(&self, question: &str, index: u64) -> bool {
        self.moves == 0 || self.given.get(question).is_some_and(|given| *given >= index)
    }

    /// A read was answered with this index.
    pub(super) fn answered(&mut self, stay: Stay, question: &str, index: u64) {
        if stay != self.stay() {
            return;
        }
        self.failures = 0;
        // Before the first move there is nothing to mix up, and nothing to remember.
        if self.moves > 0 {
            if self.given.len() >= QUESTIONS {
                self.given.clear();
            }
            let given = self.given.entry(question.to_owned()).or_insert(index);
            *given = index.max(*given);
        }
    }

    /// A read failed. `far`: it was about another datacentre, which the address may know no way to though it is well.
    /// Gives the address that the reads move to, if they do.
    pub(super) fn failed(
        &mut self,
        stay: Stay,
        kind: Kind,
        far: bool,
        now: Instant,
        roll: u64,
    ) -> Option<usize> {
        let counts = match kind {
            Kind::Unreachable => true,
            Kind::Timeout | Kind::Unavailable => !far,
            _ => false,
        };
        if !counts || stay != self.stay() || self.addresses < 2 {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures < BEFORE_MOVING {
            return None;
        }
        let next = self.current.saturating_add(1);
        Some(self.move_to(if next < self.addresses { next } else { 0 }, now, roll))
    }

    /// Whether it is time to see whether the first address answers again. Asking takes the turn: the next comes as much
    /// later.
    pub(super) fn tries_first(&mut self, now: Instant, roll: u64) -> bool {
        let due = self.return_at.is_some_and(|at| now >= at);
        if due {
            self.return_at = rest(now, roll);
        }
        due
    }

    /// The first address answered. Gives whether the reads move.
    pub(super) fn first_is_back(&mut self, now: Instant, roll: u64) -> bool {
        let moves = self.current != 0;
        if moves {
            self.move_to(0, now, roll);
        }
        moves
    }

    fn move_to(&mut self, next: usize, now: Instant, roll: u64) -> usize {
        self.current = next;
        self.moves = self.moves.saturating_add(1);
        self.failures = 0;
        self.given.clear();
        self.return_at = if next == 0 { None } else { rest(now, roll) };
        next
    }
}

fn rest(now: Instant, roll: u64) -> Option<Instant> {
    now.checked_add(BEFORE_RETURN.saturating_add(jitter(roll, BEFORE_RETURN)))
}

#[cfg(test)]
mod tests;
