//! What a registration makes of what a sweep found under its id. PURE: a part of the machine.
//!
//! In:  the same, something else, or another instance. Out: kept, repaired, or refused.
//!
//! Never: takes an id from an instance that works, or back from one that has taken it: two that repair would fight.
//!
//! Proof: `step/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::Instant;

use super::{LOOKS, Machine, Phase, Reason};
use crate::{error::Kind, register::drift::Held};

impl Machine {
    pub(super) fn found(&mut self, held: Held, now: Instant, roll: u64) {
        self.blind = 0;
        match (self.phase, held) {
            (
                Phase::Draining(_)
                | Phase::Leaving { .. }
                | Phase::Vanishing { .. }
                | Phase::Gone
                | Phase::Sending { .. },
                _,
            ) => {}
            (_, Held::Same) => self.found_same(now),
            // It is ours already: another agent answered for a while.
            (Phase::Looking, Held::Differs(text)) if self.touched => self.drifted(text, now, roll),
            (Phase::Looking, Held::Differs(_)) => self.wait(Reason::New, now),
            (_, Held::Foreign(text)) => self.taken(&text),
            // It was ours. Whoever has it now came later, and two that repair would fight.
            (Phase::Verifying { .. } | Phase::Kept, Held::Critical(text)) => {
                self.displaced = true;
                self.taken(&text);
            }
            // Said anew: a sweep that was refused since may have put its own reason there.
            (Phase::Looking, Held::Critical(text)) if self.displaced => self.taken(&text),
            (Phase::Looking, Held::Critical(_)) => self.wait(Reason::New, now),
            (Phase::Waiting { .. } | Phase::Searching { .. }, _) => {}
            (Phase::Verifying { .. } | Phase::Kept, Held::Differs(text)) => self.drifted(text, now, roll),
        }
    }

    pub(super) fn taken(&mut self, text: &str) {
        let text = format!("id: it is held by another instance ({text}); use another id");
        self.refusal = Some((Kind::Conflict, text));
        self.phase = Phase::Looking;
        self.touched = false;
        self.verified = false;
    }

    pub(super) fn found_same(&mut self, now: Instant) {
        self.displaced = false;
        self.refusal = None;
        self.failures = 0;
        self.drift = None;
        match self.phase {
            Phase::Kept if self.verified => self.repair = None,
            // One look a sweep: it may still come, but it is no reason to ask all the time.
            Phase::Kept => {
                self.phase = Phase::Verifying { at: now, looks: LOOKS.saturating_sub(1), asking: false }
            }
            Phase::Verifying { .. } => {}
            _ => {
                self.touched = true;
                self.phase = Phase::Verifying { at: now, looks: 0, asking: false };
            }
        }
    }
}
