//! Decides how an instance leaves so that no caller notices. PURE.
//!
//! In:  how calls ended, `now`. Out: the next call, and which step it is at.
//!
//! ```text
//! Maintenance ──▶ Hiding (until the catalogue's healthy list is without it) ──▶ Settling ──▶ InFlight ── close ──▶
//! ```
//!
//! Never: lets a registry that does not answer hold it up for longer than [`HIDING`]; ends requests that are in flight:
//! whoever drains says when they have ended.
//!
//! Proof: `step/drain/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use super::{Effect, after};
use crate::{backoff::Backoff, error::Kind, register::DrainStep};

/// How long it may take until callers are told to stop, all in all.
const HIDING: Duration = Duration::from_secs(10);
/// The rests between calls for maintenance that failed.
const ASKING: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(2));
/// The rests between looks into the catalogue.
const LOOKING: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Maintenance,
    Hiding,
    Settling,
    InFlight,
}

/// One drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Draining {
    at: At,
    /// When the step has something next.
    due: Instant,
    /// A call is under way.
    busy: bool,
    tries: u32,
    give_up: Instant,
    settle: Duration,
    /// Callers may still choose it.
    visible: bool,
}

impl Draining {
    /// Begins a drain. Callers have `settle` to see that it is gone; one that the agent cannot hold is not seen at all.
    pub(crate) fn new(held: bool, settle: Duration, now: Instant) -> Self {
        let at = if held { At::Maintenance } else { At::InFlight };
        Self { at, due: now, busy: false, tries: 0, give_up: after(now, HIDING), settle, visible: false }
    }

    pub(crate) fn step(&self) -> DrainStep {
        match self.at {
            At::Maintenance => DrainStep::Maintenance,
            At::Hiding => DrainStep::Hiding,
            At::Settling => DrainStep::Settling,
            At::InFlight => DrainStep::InFlight { hidden: !self.visible },
        }
    }

    /// When [`take`](Self::take) has something next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.at {
            At::Maintenance | At::Hiding if self.busy => Some(self.give_up),
            At::Maintenance | At::Hiding => Some(self.due.min(self.give_up)),
            At::Settling => Some(self.due),
            At::InFlight => None,
        }
    }

    /// The call that is due, which counts as begun. With none, it may have come to its next step.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Effect> {
        if self.deadline().is_none_or(|at| at > now) {
            return None;
        }
        match self.at {
            At::Maintenance | At::Hiding if now >= self.give_up => {
                self.go_on_visible();
                None
            }
            At::Maintenance => self.call(Effect::Maintain),
            At::Hiding => self.call(Effect::Look),
            At::Settling => {
                self.at = At::InFlight;
                None
            }
            At::InFlight => None,
        }
    }

    fn call(&mut self, effect: Effect) -> Option<Effect> {
        self.busy = true;
        Some(effect)
    }

    /// How the call for maintenance ended.
    pub(crate) fn maintained(&mut self, outcome: Result<(), Kind>, now: Instant, roll: u64) {
        if self.at != At::Maintenance {
            return;
        }
        self.busy = false;
        match outcome {
            // Not found: the agent does not hold it, so nobody will be sent to it for long.
            Ok(()) | Err(Kind::NotFound) => self.go_to(At::Hiding, now),
            Err(kind) if !super::retryable(kind) => self.go_on_visible(),
            Err(_) => self.again(ASKING, now, roll),
        }
    }

    /// What the catalogue's healthy list was seen to hold: `Ok(true)` when it still is on it.
    pub(crate) fn looked(&mut self, usable: Result<bool, Kind>, now: Instant, roll: u64) {
        if self.at != At::Hiding {
            return;
        }
        self.busy = false;
        match usable {
            Ok(false) => {
                self.at = At::Settling;
                self.due = after(now, self.settle);
            }
            Err(kind) if !super::retryable(kind) => self.go_on_visible(),
            Ok(true) | Err(_) => self.again(LOOKING, now, roll),
        }
    }

    /// The call that was under way is lost with its task.
    pub(crate) fn restarted(&mut self, now: Instant) {
        self.busy = false;
        if self.at != At::Settling {
            self.due = now;
        }
    }

    fn go_on_visible(&mut self) {
        (self.visible, self.at) = (true, At::InFlight);
    }

    fn go_to(&mut self, at: At, now: Instant) {
        (self.at, self.tries, self.due) = (at, 0, now);
    }

    fn again(&mut self, rests: Backoff, now: Instant, roll: u64) {
        self.tries = self.tries.saturating_add(1);
        self.due = after(now, rests.rest(self.tries, roll));
    }
}

#[cfg(test)]
mod tests;
