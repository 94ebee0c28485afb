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
//! any --close--> Leaving --removed--> Gone
//! ```
//!
//! Never: sends before a sweep has said what the agent holds under the id; sends what is unchanged; takes an id from an
//! instance that works elsewhere; repairs without a rest when the last repair did not hold; gives up while its handle
//! lives.
//!
//! Proof: `step/tests.rs`: a row for each rule, and a property test against a model agent.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

pub(crate) use self::input::{Effect, Input, Reason};
use super::{RegistrationState, drift::Held};
use crate::{backoff::Backoff, error::Kind};

/// The rests between sends that failed or did not hold.
const SENDING: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
/// The rests between looks into the catalogue: the agent brings it there within milliseconds, or not at all.
const VERIFYING: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
/// How often the catalogue is asked before the instance counts as unverified.
const LOOKS: u32 = 6;
/// The rests between removals that failed.
const LEAVING: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));
/// How often a removal is tried.
const REMOVALS: u32 = 6;
/// How often the same difference is repaired before it is refused.
const REPAIRS: u32 = 2;
/// After how many failed sweeps in a row it is said that the agent cannot be seen.
const BLIND: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Looking,
    Waiting { until: Instant, reason: Reason },
    Sending { reason: Reason },
    Verifying { at: Instant, looks: u32, asking: bool },
    Kept,
    Leaving { at: Instant, tries: u32, removing: bool },
    Gone,
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
    /// Why it is being registered again.
    repair: Option<String>,
    refusal: Option<(Kind, String)>,
    /// The agent may hold it because of us.
    touched: bool,
    verified: bool,
    closing: bool,
    /// Rises with each step that makes the answer of an older sweep worthless.
    epoch: u64,
}

impl Machine {
    /// A registration that nothing is known of. Epochs count from `epoch`, so that no two machines share one.
    pub(crate) fn new(epoch: u64) -> Self {
        Self {
            phase: Phase::Looking,
            failures: 0,
            blind: 0,
            drift: None,
            repair: None,
            refusal: None,
            touched: false,
            verified: false,
            closing: false,
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
            Phase::Waiting { reason, .. } | Phase::Sending { reason } => reason == Reason::Drift,
            Phase::Looking | Phase::Leaving { .. } | Phase::Gone => false,
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.phase == Phase::Gone
    }

    /// When [`take`](Self::take) has something next; `None`: only an input can change that.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting { until, .. } => Some(until),
            Phase::Verifying { at, asking: false, .. } | Phase::Leaving { at, removing: false, .. } => {
                Some(at)
            }
            _ => None,
        }
    }

    /// The call that is due, which counts as begun.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Effect> {
        self.deadline().filter(|at| *at <= now)?;
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
                Some(Effect::Verify)
            }
            Phase::Leaving { removing, .. } => {
                *removing = true;
                Some(Effect::Remove)
            }
            _ => None,
        }
    }

    pub(crate) fn on(&mut self, input: Input, now: Instant, roll: u64) {
        match input {
            Input::SweepFound(held) => self.found(held, now, roll),
            Input::SweepMissing => self.missing("the agent does not have it any more", now, roll),
            Input::Lost => self.missing("the agent does not know its check any more", now, roll),
            Input::SweepFailed(kind, text) => self.sweep_failed(kind, text),
            Input::Sent => self.sent(now),
            Input::SendFailed(kind, text) => self.send_failed(kind, text, now, roll),
            Input::Seen => self.seen(),
            Input::NotSeen => self.not_seen(now, roll),
            Input::Close => self.close(now),
            Input::Removed => self.phase = Phase::Gone,
            Input::RemoveFailed(kind, text) => self.remove_failed(kind, &text, now, roll),
            Input::Restarted => self.restarted(now),
        }
    }

    fn found(&mut self, held: Held, now: Instant, roll: u64) {
        self.blind = 0;
        match (self.phase, held) {
            (Phase::Leaving { .. } | Phase::Gone | Phase::Sending { .. }, _) => {}
            (_, Held::Same) => self.found_same(now),
            (Phase::Looking, Held::Differs(_)) => self.wait(Reason::New, now),
            (Phase::Looking | Phase::Waiting { reason: Reason::New, .. }, Held::Foreign(text)) => {
                let text = format!("id: it is held by another instance that works ({text}); use another id");
                self.refusal = Some((Kind::Conflict, text));
                self.phase = Phase::Looking;
                self.touched = false;
            }
            (Phase::Waiting { .. }, _) => {}
            (Phase::Verifying { .. } | Phase::Kept, Held::Differs(text) | Held::Foreign(text)) => {
                self.drifted(text, now, roll);
            }
        }
    }

    fn found_same(&mut self, now: Instant) {
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

    fn drifted(&mut self, text: String, now: Instant, roll: u64) {
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

    fn missing(&mut self, why: &str, now: Instant, roll: u64) {
        self.blind = 0;
        match self.phase {
            Phase::Looking => self.wait(Reason::New, now),
            Phase::Verifying { .. } | Phase::Kept => {
                self.repair_for(Reason::Missing, why.to_owned(), now, roll);
            }
            // It was to be changed, and now it is not there at all.
            Phase::Waiting { until, reason: Reason::Drift } => {
                self.phase = Phase::Waiting { until, reason: Reason::Missing };
            }
            Phase::Waiting { .. } | Phase::Sending { .. } | Phase::Leaving { .. } | Phase::Gone => {}
        }
    }

    /// At once the first time; after a rest when the last repair did not hold.
    fn repair_for(&mut self, reason: Reason, why: String, now: Instant, roll: u64) {
        self.refusal = None;
        self.verified = false;
        self.repair = Some(why);
        self.epoch = self.epoch.wrapping_add(1);
        let until = after(now, SENDING.rest(self.failures, roll));
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Waiting { until, reason };
    }

    fn wait(&mut self, reason: Reason, now: Instant) {
        self.refusal = None;
        self.phase = Phase::Waiting { until: now, reason };
    }

    fn sweep_failed(&mut self, kind: Kind, text: String) {
        self.blind = self.blind.saturating_add(1);
        let final_word = !retryable(kind);
        match self.phase {
            Phase::Looking if final_word => self.refusal = Some((kind, text)),
            Phase::Kept | Phase::Verifying { .. } if self.blind >= BLIND => {
                self.repair = Some(format!("the agent does not say whether it has it: {text}"));
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

    fn seen(&mut self) {
        if let Phase::Verifying { .. } = self.phase {
            self.phase = Phase::Kept;
            self.verified = true;
            self.repair = None;
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

    fn close(&mut self, now: Instant) {
        self.closing = true;
        self.leave_if_closing(now);
    }

    fn leave_if_closing(&mut self, now: Instant) {
        // A send that is under way is awaited first: the agent might take it after the removal.
        let busy = matches!(self.phase, Phase::Sending { .. } | Phase::Leaving { .. } | Phase::Gone);
        if self.closing && !busy {
            self.refusal = None;
            self.epoch = self.epoch.wrapping_add(1);
            self.phase = if self.touched {
                Phase::Leaving { at: now, tries: 0, removing: false }
            } else {
                Phase::Gone
            };
        }
    }

    fn remove_failed(&mut self, kind: Kind, text: &str, now: Instant, roll: u64) {
        let Phase::Leaving { tries, .. } = self.phase else { return };
        let tries = tries.saturating_add(1);
        self.phase = if tries >= REMOVALS {
            self.refusal = Some((kind, format!("it could not be removed in {tries} tries: {text}")));
            Phase::Gone
        } else {
            Phase::Leaving { at: after(now, LEAVING.rest(tries, roll)), tries, removing: false }
        };
    }

    fn restarted(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Sending { reason } => self.phase = Phase::Waiting { until: now, reason: *reason },
            Phase::Verifying { asking, .. } => *asking = false,
            Phase::Leaving { removing, .. } => *removing = false,
            _ => {}
        }
        self.leave_if_closing(now);
    }

    /// What the handle shows.
    pub(crate) fn state(&self) -> RegistrationState {
        if let Some((kind, reason)) = &self.refusal {
            return RegistrationState::Refused { kind: *kind, reason: reason.clone() };
        }
        match self.phase {
            Phase::Gone => RegistrationState::Gone,
            _ if self.closing => RegistrationState::Draining,
            _ => match (&self.repair, self.phase) {
                (Some(reason), _) => RegistrationState::Repairing { reason: reason.clone() },
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

mod input;

#[cfg(test)]
mod tests;
