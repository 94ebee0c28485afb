//! How a registration that was lost or changed is repaired. PURE: a part of the machine.
//!
//! In:  what a sweep found wrong. Out: a send that is due at once the first time, and after a rest when the last one did
//! not hold.
//!
//! Never: fights for ever with somebody who changes it; forgets since when it is wrong.
//!
//! Proof: `step/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::Instant;

use super::{Machine, Phase, Reason, SENDING, after};
use crate::error::Kind;

/// How often the same difference is repaired before it is refused.
const REPAIRS: u32 = 2;

impl Machine {
    pub(super) fn drifted(&mut self, text: String, now: Instant, roll: u64) {
        let times = match &self.drift {
            Some((known, times)) if *known == text => *times,
            _ => 0,
        };
        if times >= REPAIRS {
            let reason = format!("drift: {text}, also after {times} repairs; find out who changes it");
            self.refusal = Some((Kind::Conflict, reason));
            self.phase = Phase::Kept;
            return;
        }
        self.drift = Some((text.clone(), times.saturating_add(1)));
        self.repair_for(Reason::Drift, text, now, roll);
    }

    pub(super) fn missing(&mut self, why: String, now: Instant, roll: u64) {
        self.blind = 0;
        self.displaced = false;
        match self.phase {
            Phase::Looking if !self.touched => self.wait(Reason::New, now),
            Phase::Looking | Phase::Verifying { .. } | Phase::Kept => {
                self.repair_for(Reason::Missing, why, now, roll);
            }
            // It was to be changed, and now it is not there at all.
            Phase::Waiting { until, reason: Reason::Drift } => {
                self.phase = Phase::Waiting { until, reason: Reason::Missing };
            }
            Phase::Waiting { .. }
            | Phase::Sending { .. }
            | Phase::Searching { .. }
            | Phase::Draining(_)
            | Phase::Leaving { .. }
            | Phase::Vanishing { .. }
            | Phase::Gone => {}
        }
    }

    /// At once the first time; after a rest when the last repair did not hold.
    pub(super) fn repair_for(&mut self, reason: Reason, why: String, now: Instant, roll: u64) {
        self.refusal = None;
        self.verified = false;
        self.repair_since(why, now);
        self.epoch = self.epoch.wrapping_add(1);
        let until = after(now, SENDING.rest(self.failures, roll));
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Waiting { until, reason };
    }

    /// It is to be repaired since it was first found to be wrong.
    pub(super) fn repair_since(&mut self, why: String, now: Instant) {
        let since = self.repair.as_ref().map_or(now, |(_, since)| *since);
        self.repair = Some((why, since));
    }

    pub(super) fn wait(&mut self, reason: Reason, now: Instant) {
        self.refusal = None;
        self.phase = Phase::Waiting { until: now, reason };
    }
}
