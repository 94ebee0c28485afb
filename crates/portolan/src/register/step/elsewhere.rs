//! What a registration does when another agent answers than the one it was sent to. PURE: a part of the machine.
//!
//! In:  that another agent answers, and what the catalogue says of the first. Out: refused while it lives there, else as
//! one that was lost.
//!
//! Never: registers a second time what lives on the first agent: both would be shown, and only one would be kept.
//!
//! Proof: `step/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::Instant;

use super::{Machine, Phase};
use crate::error::Kind;

impl Machine {
    pub(super) fn other_agent(&mut self, now: Instant) {
        self.blind = 0;
        if matches!(self.phase, Phase::Looking | Phase::Verifying { .. } | Phase::Kept) {
            self.phase = Phase::Searching { asking: false, at: now };
            self.verified = false;
            self.epoch = self.epoch.wrapping_add(1);
        }
    }

    /// A sweep that meets the first agent again ends this.
    pub(super) fn lives_there(&mut self, text: String) {
        if let Phase::Searching { .. } = self.phase {
            self.refusal = Some((Kind::Conflict, text));
            self.phase = Phase::Looking;
        }
    }

    pub(super) fn lives_nowhere(&mut self, text: String, now: Instant, roll: u64) {
        if let Phase::Searching { .. } = self.phase {
            self.phase = Phase::Kept;
            self.missing(text, now, roll);
        }
    }

    /// The next sweep begins it anew.
    pub(super) fn search_failed(&mut self, text: String, now: Instant) {
        if let Phase::Searching { .. } = self.phase {
            self.repair_since(text, now);
            self.phase = Phase::Looking;
        }
    }
}
