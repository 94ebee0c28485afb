//! How a registration ends: drained, or at once. PURE: a part of the machine.
//!
//! In:  the word to leave, how calls ended. Out: the phases from draining to gone.
//!
//! Never: overtakes a send that is under way, which the agent might take after the removal; counts as gone what the
//! catalogue still shows, unless it goes on to show it.
//!
//! Proof: `step/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use super::{Closing, Look, Machine, Phase, VERIFYING, after, drain::Draining};
use crate::{backoff::Backoff, error::Kind};

/// The rests between removals that failed.
const LEAVING: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));
/// How often a removal is tried.
pub(super) const REMOVALS: u32 = 6;
/// How often the catalogue is asked whether it is gone there too. One that takes its id and place meanwhile cannot be
/// told from it.
pub(super) const VANISHING: u32 = 5;

impl Machine {
    pub(super) fn close(&mut self, how: Closing, now: Instant) {
        // There is no way back, nor from the quick way to the careful one.
        if self.closing != Closing::Now {
            self.closing = how;
        }
        self.leave_if_closing(now);
    }

    pub(super) fn leave_if_closing(&mut self, now: Instant) {
        // A send that is under way is awaited first: the agent might take it after the removal.
        let busy = matches!(
            self.phase,
            Phase::Sending { .. } | Phase::Leaving { .. } | Phase::Vanishing { .. } | Phase::Gone
        );
        if busy {
            return;
        }
        self.phase = match (self.closing, self.phase) {
            (Closing::No, _) | (Closing::Drain(_), Phase::Draining(_)) => return,
            (Closing::Drain(settle), _) => Phase::Draining(Draining::new(self.touched, settle, now)),
            (Closing::Now, _) if self.touched => Phase::Leaving { at: now, tries: 0, removing: false },
            (Closing::Now, _) => Phase::Gone,
        };
        self.refusal = None;
        self.epoch = self.epoch.wrapping_add(1);
    }

    pub(super) fn removed(&mut self, now: Instant) {
        if let Phase::Leaving { .. } = self.phase {
            self.phase = Phase::Vanishing { at: now, looks: 0, asking: false };
        }
    }

    /// The agent does not hold it any more; a catalogue that does not answer is not waited for.
    pub(super) fn vanish(&mut self, look: Look, now: Instant, roll: u64) {
        let Phase::Vanishing { looks, .. } = self.phase else { return };
        let looks = looks.saturating_add(1);
        let there = matches!(look, Look::Usable | Look::Unusable);
        self.phase = if there && looks < VANISHING {
            Phase::Vanishing { at: after(now, VERIFYING.rest(looks, roll)), looks, asking: false }
        } else {
            Phase::Gone
        };
    }

    pub(super) fn remove_failed(&mut self, kind: Kind, text: &str, now: Instant, roll: u64) {
        let Phase::Leaving { tries, .. } = self.phase else { return };
        let tries = tries.saturating_add(1);
        self.phase = if tries >= REMOVALS {
            self.refusal = Some((kind, format!("it could not be removed in {tries} tries: {text}")));
            Phase::Gone
        } else {
            Phase::Leaving { at: after(now, LEAVING.rest(tries, roll)), tries, removing: false }
        };
    }
}
