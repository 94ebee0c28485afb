//! Decides when an instance that came in maintenance is announced: put into service. PURE.
//!
//! In:  the word of its service, how calls ended, `now`. Out: the call that is due.
//!
//! Never: gives up, for its service believes that it is in service; asks before the agent holds it.
//!
//! Proof: `step/gate/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use super::after;
use crate::backoff::Backoff;

/// Why an instance that drains is in maintenance, for people.
pub(crate) const DRAINING: &str = "draining: its service ends";
/// Why one is that was registered before it was ready, unless its service says why.
pub(crate) const STARTING: &str = "starting: its service is not ready yet";

/// Whether a maintenance was begun here. One that is still there belongs to a life before this one, which ended before it
/// was removed, or before it was announced.
pub(crate) fn is_own(reason: &str) -> bool {
    [DRAINING, STARTING].contains(&reason)
}

/// The rests between calls that failed.
const LIFTING: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));

/// Whether an instance is kept out of service by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It is in service, as far as we are asked.
    Open,
    /// It is sent in maintenance.
    Shut,
    /// Its maintenance is to end.
    Lifting {
        /// When the next call is due.
        due: Instant,
        /// Calls that failed.
        tries: u32,
        /// A call is under way.
        busy: bool,
    },
}

impl Gate {
    /// Whether it is to be sent in maintenance.
    pub(crate) fn is_shut(self) -> bool {
        self == Self::Shut
    }

    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Lifting { due, busy: false, .. } => Some(due),
            _ => None,
        }
    }

    /// Whether a call is due, which counts as begun.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        match self {
            Self::Lifting { due, busy, .. } if !*busy && *due <= now => {
                *busy = true;
                true
            }
            _ => false,
        }
    }

    /// The service can take requests now.
    pub(crate) fn announce(&mut self, now: Instant) {
        if self.is_shut() {
            *self = Self::lifting(now);
        }
    }

    /// It is in a maintenance of an earlier life, which is to end.
    pub(crate) fn lift(&mut self, now: Instant) {
        if *self == Self::Open {
            *self = Self::lifting(now);
        }
    }

    fn lifting(now: Instant) -> Self {
        Self::Lifting { due: now, tries: 0, busy: false }
    }

    /// How the call ended.
    pub(crate) fn lifted(&mut self, done: bool, now: Instant, roll: u64) {
        let Self::Lifting { tries, .. } = *self else { return };
        *self = if done {
            Self::Open
        } else {
            let tries = tries.saturating_add(1);
            Self::Lifting { due: after(now, LIFTING.rest(tries, roll)), tries, busy: false }
        };
    }

    /// The call that was under way is lost with its task.
    pub(crate) fn restarted(&mut self) {
        if let Self::Lifting { busy, .. } = self {
            *busy = false;
        }
    }
}

#[cfg(test)]
mod tests;
