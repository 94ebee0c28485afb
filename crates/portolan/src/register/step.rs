//! Decides what one registration does next. PURE: no I/O, no clock, no task, no lock.
//!
//! In:  [`Input`]: what a sweep of the agent found, how a call ended, a close. Each comes with `now` and a random number.
//! Out: [`Machine::take`] hands out the next call once it is due; [`Machine::state`] is what the handle shows.
//!
//! ```text
//! Looking --missing, differs--> Waiting --take--> Sending --sent--> Verifying --seen--> Kept
//!    |  \__ foreign: refused       ^------ failed ----/   ^              \--not seen--> Kept (unverified)
//!    \-------------- same --------------------------------|                             |
//!                                  ^------------- missing, differs, lost --------------/
//! any --drain--> Draining --close--> Leaving --removed--> Vanishing --gone from the catalogue--> Gone
//! another agent answers: Searching --lives on the first: refused; does not: as missing
//! ```
//!
//! Never: sends before a sweep has said what the agent holds under the id; sends what is unchanged; takes an id from an
//! instance that works elsewhere; registers twice what lives on another agent; repairs without a rest when the last
//! repair did not hold; gives up while its handle lives.
//!
//! Proof: `step/tests.rs`: a row for each rule, and a property test against a model agent.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use self::drain::Draining;
pub(crate) use self::{
    gate::{DRAINING, Gate, STARTING, is_own},
    input::{Effect, Input, Look, Reason},
};
use super::{DrainStep, RegistrationState};
use crate::{backoff::Backoff, error::Kind};

/// The rests between sends that failed or did not hold.
const SENDING: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
/// The rests between looks into the catalogue: the agent brings it there within milliseconds, or not at all.
const VERIFYING: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
/// How often the catalogue is asked before the instance counts as unverified.
const LOOKS: u32 = 6;
/// After how many failed sweeps in a row it is said that the agent cannot be seen.
const BLIND: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Looking,
    Waiting { until: Instant, reason: Reason },
    Sending { reason: Reason },
    Verifying { at: Instant, looks: u32, asking: bool },
    Kept,
    Searching { at: Instant, asking: bool },
    Draining(Draining),
    Leaving { at: Instant, tries: u32, removing: bool },
    Vanishing { at: Instant, looks: u32, asking: bool },
    Gone,
}

/// Whether it is to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    No,
    /// So that no caller notices, who has so long to see it.
    Drain(Duration),
    Now,
}

/// One registration.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    phase: Phase,
    /// Sends that failed or did not hold, since a sweep last found it as sent.
    failures: u32,
    /// Sweeps that failed in a row.
    blind: u32,
    /// The difference that was repaired last, and how often.
    drift: Option<(String, u32)>,
    /// Why it is being registered again, and since when.
    repair: Option<(String, Instant)>,
    refusal: Option<(Kind, String)>,
    /// The agent may hold it because of us.
    touched: bool,
    verified: bool,
    /// Another instance has taken its id, and may not have passed its check yet.
    displaced: bool,
    closing: Closing,
    gate: Gate,
    /// Rises with each step that makes the answer of an older sweep worthless.
    epoch: u64,
}

impl Machine {
    /// A registration that nothing is known of. Epochs count from `epoch`, so that no two machines share one.
    pub(crate) fn new(epoch: u64, gate: Gate) -> Self {
        Self {
            phase: Phase::Looking,
            failures: 0,
            blind: 0,
            drift: None,
            repair: None,
            refusal: None,
            touched: false,
            verified: false,
            displaced: false,
            closing: Closing::No,
            gate,
            epoch,
        }
    }

    /// Hands a sweep's answer back with the epoch at which the sweep began; another epoch makes it stale.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether the agent holds the checks, as far as is known: their health can be reported.
    pub(crate) fn is_held(&self) -> bool {
        match self.phase {
            Phase::Verifying { .. } | Phase::Kept => true,
            // Its requests are in flight, and it is as healthy as before.
            Phase::Draining(_) => self.touched,
            Phase::Waiting { reason, .. } | Phase::Sending { reason } => reason == Reason::Drift,
            Phase::Looking
            | Phase::Searching { .. }
            | Phase::Leaving { .. }
            | Phase::Vanishing { .. }
            | Phase::Gone => false,
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing != Closing::No
    }

    /// Whether an agent may hold it because of us.
    pub(crate) fn is_touched(&self) -> bool {
        self.touched
    }

    /// Whether it is to be sent in maintenance, by its own word.
    pub(crate) fn is_shut(&self) -> bool {
        self.gate.is_shut()
    }

    /// Whether a maintenance that it is in is somebody else's.
    pub(crate) fn is_open(&self) -> bool {
        self.gate == Gate::Open
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.phase == Phase::Gone
    }

    /// It is in a maintenance of an earlier life under its id, which is to end.
    pub(crate) fn lift(&mut self, now: Instant) {
        self.gate.lift(now);
    }

    /// When [`take`](Self::take) has something next; `None`: only an input can change that.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next().into_iter().chain(self.gate_deadline()).min()
    }

    fn next(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting { until, .. } => Some(until),
            Phase::Verifying { at, asking: false, .. }
            | Phase::Searching { at, asking: false }
            | Phase::Leaving { at, removing: false, .. }
            | Phase::Vanishing { at, asking: false, .. } => Some(at),
            Phase::Draining(draining) => draining.deadline(),
            _ => None,
        }
    }

    fn gate_deadline(&self) -> Option<Instant> {
        let held = matches!(self.phase, Phase::Verifying { .. } | Phase::Kept);
        self.gate.deadline().filter(|_| held)
    }

    /// The call that is due, which counts as begun. With none, it may have come to its next step.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Effect> {
        if self.gate_deadline().is_some() && self.gate.take(now) {
            // What a sweep saw before is not to be kept.
            self.epoch = self.epoch.wrapping_add(1);
            return Some(Effect::Announce);
        }
        self.next().filter(|at| *at <= now)?;
        match &mut self.phase {
            Phase::Waiting { reason, .. } => {
                let reason = *reason;
                self.touched = true;
                self.phase = Phase::Sending { reason };
                self.epoch = self.epoch.wrapping_add(1);
                Some(Effect::Send(reason))
            }
            Phase::Verifying { asking, .. } => {
                *asking = true;
                Some(Effect::Look)
            }
            Phase::Searching { asking, .. } => {
                *asking = true;
                Some(Effect::Search)
            }
            Phase::Draining(draining) => draining.take(now),
            Phase::Leaving { removing, .. } => {
                *removing = true;
                Some(Effect::Remove)
            }
            Phase::Vanishing { asking, .. } => {
                *asking = true;
                Some(Effect::Look)
            }
            _ => None,
        }
    }

    pub(crate) fn on(&mut self, input: Input, now: Instant, roll: u64) {
        match input {
            Input::SweepFound(held) => self.found(held, now, roll),
            Input::SweepMissing => self.missing("the agent does not have it any more".to_owned(), now, roll),
            Input::OtherAgent => self.other_agent(now),
            Input::LivesThere(text) => self.lives_there(text),
            Input::LivesNowhere(text) => self.lives_nowhere(text, now, roll),
            Input::SearchFailed(text) => self.search_failed(text, now),
            Input::SweepFailed(kind, text) => self.sweep_failed(kind, text, now),
            Input::Sent => self.sent(now),
            Input::SendFailed(kind, text) => self.send_failed(kind, text, now, roll),
            Input::Looked(look) => self.looked(look, now, roll),
            Input::Announce => self.gate.announce(now),
            Input::Announced(done) => self.gate.lifted(done, now, roll),
            Input::Drain(settle) => self.close(Closing::Drain(settle), now),
            Input::Maintained(outcome) => {
                if let Phase::Draining(draining) = &mut self.phase {
                    draining.maintained(outcome, now, roll);
                }
            }
            Input::Close => self.close(Closing::Now, now),
            Input::Removed => self.removed(now),
            Input::RemoveFailed(kind, text) => self.remove_failed(kind, &text, now, roll),
            Input::Restarted => self.restarted(now),
        }
    }

    fn sweep_failed(&mut self, kind: Kind, text: String, now: Instant) {
        self.blind = self.blind.saturating_add(1);
        let final_word = !retryable(kind);
        match self.phase {
            Phase::Looking if final_word => self.refusal = Some((kind, text)),
            Phase::Kept | Phase::Verifying { .. } if self.blind >= BLIND => {
                self.repair_since(format!("the agent does not say whether it has it: {text}"), now);
            }
            _ => {}
        }
    }

    fn sent(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Sending { .. }) {
            return;
        }
        self.epoch = self.epoch.wrapping_add(1);
        self.refusal = None;
        self.phase = Phase::Verifying { at: now, looks: 0, asking: false };
        self.leave_if_closing(now);
    }

    fn send_failed(&mut self, kind: Kind, text: String, now: Instant, roll: u64) {
        let Phase::Sending { reason } = self.phase else { return };
        self.epoch = self.epoch.wrapping_add(1);
        self.failures = self.failures.saturating_add(1);
        let rest = if retryable(kind) {
            SENDING.rest(self.failures, roll)
        } else {
            self.refusal = Some((kind, text));
            // Only a person can help, so there is no hurry; but nobody has to restart the service afterwards.
            SENDING.limit(u32::MAX)
        };
        self.phase = Phase::Waiting { until: after(now, rest), reason };
        self.leave_if_closing(now);
    }

    fn looked(&mut self, look: Look, now: Instant, roll: u64) {
        match (&mut self.phase, look) {
            (Phase::Verifying { .. }, Look::Usable | Look::Unusable) => {
                self.phase = Phase::Kept;
                self.verified = true;
                self.repair = None;
            }
            (Phase::Verifying { .. }, Look::Absent | Look::Failed(_)) => self.not_seen(now, roll),
            (Phase::Draining(draining), look) => {
                let usable = match look {
                    Look::Failed(kind) => Err(kind),
                    look => Ok(look == Look::Usable),
                };
                draining.looked(usable, now, roll);
            }
            (Phase::Vanishing { .. }, look) => self.vanish(look, now, roll),
            _ => {}
        }
    }

    fn not_seen(&mut self, now: Instant, roll: u64) {
        let Phase::Verifying { looks, .. } = self.phase else { return };
        let looks = looks.saturating_add(1);
        self.phase = if looks >= LOOKS {
            self.repair = None;
            Phase::Kept
        } else {
            Phase::Verifying { at: after(now, VERIFYING.rest(looks, roll)), looks, asking: false }
        };
    }

    fn restarted(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Sending { reason } => self.phase = Phase::Waiting { until: now, reason: *reason },
            Phase::Verifying { asking, .. } => *asking = false,
            Phase::Searching { asking, .. } => *asking = false,
            Phase::Draining(draining) => draining.restarted(now),
            Phase::Leaving { removing, .. } => *removing = false,
            Phase::Vanishing { asking, .. } => *asking = false,
            _ => {}
        }
        self.gate.restarted();
        self.leave_if_closing(now);
    }

    /// What the handle shows.
    pub(crate) fn state(&self) -> RegistrationState {
        if let Some((kind, reason)) = &self.refusal {
            return RegistrationState::Refused { kind: *kind, reason: reason.clone() };
        }
        match self.phase {
            Phase::Gone => RegistrationState::Gone,
            Phase::Draining(draining) => RegistrationState::Draining { step: draining.step() },
            _ if self.is_closing() => RegistrationState::Draining { step: DrainStep::Removing },
            _ => match (&self.repair, self.phase) {
                (Some((reason, since)), _) => {
                    RegistrationState::Repairing { since: *since, reason: reason.clone() }
                }
                (None, Phase::Kept | Phase::Verifying { .. }) if self.verified => {
                    RegistrationState::Registered
                }
                (None, Phase::Kept) => RegistrationState::Unverified,
                (None, _) => RegistrationState::Pending,
            },
        }
    }
}

/// Whether the same send may succeed without a person.
fn retryable(kind: Kind) -> bool {
    match kind {
        Kind::Config | Kind::Denied | Kind::NotFound | Kind::Rejected | Kind::Conflict => false,
        Kind::Unreachable
        | Kind::Timeout
        | Kind::Busy
        | Kind::Unavailable
        | Kind::Malformed
        | Kind::Moved
        | Kind::NoInstance
        | Kind::Closed => true,
    }
}

fn after(now: Instant, rest: Duration) -> Instant {
    now.checked_add(rest).unwrap_or(now)
}

mod drain;
mod elsewhere;
mod found;
mod gate;
mod input;
mod leave;
mod repair;

#[cfg(test)]
mod tests;
