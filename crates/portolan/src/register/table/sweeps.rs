//! When the agent is asked what it holds, and what becomes of the answer.
//!
//! In:  how sweeps and the tether ended. Out: the sweep, the tether that is due; to each registration what was found of it.
//!
//! The tether is one call that waits at the agent: it breaks when the agent goes, so that this is noticed at once.
//!
//! Never: has two sweeps under way; believes one that began before the registration took its last step; sweeps without a
//! rest because a tether does not hold.
//!
//! Proof: `table/tests.rs`.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Job, Node, Slot, Table};
use crate::{
    backoff::Backoff,
    error::{Error, Kind},
    model::ServiceId,
    register::step::{Input, Look},
    registry::Registered,
    roll::jitter,
};

/// The rests between sweeps while they fail: shorter than the period, for a return is to be noticed soon. While the agent
/// is away, the breaker decides which of them are sent.
const SWEEPING: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_millis(500));
/// The least rest after a sweep that failed.
const LEAST: Duration = Duration::from_millis(50);
/// A tether that broke sooner tells nothing: something between us and the agent may cut what waits.
const HELD: Duration = Duration::from_secs(1);

/// The call that waits at the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tether {
    Off,
    Due(Instant),
    Tied(Instant),
}

impl Tether {
    pub(super) fn due(self) -> Option<Instant> {
        match self {
            Self::Due(at) => Some(at),
            Self::Off | Self::Tied(_) => None,
        }
    }

    /// Due from now on, unless it is tied.
    pub(super) fn or_due(self, now: Instant) -> Self {
        if self == Self::Off { Self::Due(now) } else { self }
    }
}

impl Table {
    pub(crate) fn sweep_now(&mut self, now: Instant) {
        self.sweep_again = self.sweeping;
        self.sweep_at = Some(now);
    }

    /// The clock stood still, so checks may have expired and more: everything is looked at, and every report is due.
    pub(crate) fn suspended(&mut self, now: Instant) {
        self.sweep_now(now);
        let ids: Vec<ServiceId> = self.slots.keys().cloned().collect();
        for id in ids {
            for beat in self.slots.get_mut(&id).into_iter().flat_map(|slot| &mut slot.beats) {
                beat.now(now);
            }
            self.plan(&id);
        }
    }

    pub(super) fn take_sweep(&mut self, now: Instant) -> Option<Job> {
        self.sweep_at.filter(|at| *at <= now && !self.sweeping)?;
        let staying = || self.slots.values().filter(|slot| !slot.machine.is_closing());
        let asked: Vec<_> = staying().map(|slot| (slot.id().clone(), slot.machine.epoch())).collect();
        if asked.is_empty() {
            self.sweep_at = None;
            return None;
        }
        let who = !self.nameless && staying().any(|slot| slot.home.is_none());
        self.sweeping = true;
        Some(Job::Sweep { asked, who })
    }

    pub(super) fn take_tether(&mut self, now: Instant) -> Option<Job> {
        self.tether.due().filter(|at| *at <= now)?;
        let kept = self.slots.values().find(|slot| slot.machine.is_held() && !slot.machine.is_closing());
        let id = kept.map(|slot| slot.id().clone());
        self.tether = if id.is_some() { Tether::Tied(now) } else { Tether::Off };
        id.map(Job::Tether)
    }

    pub(super) fn untied(&mut self, outcome: &Result<(), Error>, now: Instant) {
        let Tether::Tied(since) = std::mem::replace(&mut self.tether, Tether::Off) else { return };
        tracing::debug!(
            error = outcome.as_ref().err().map(Error::chain),
            "the call that waits at the agent ended"
        );
        if now.saturating_duration_since(since) >= HELD {
            self.sweep_now(now);
        }
    }

    pub(super) fn swept(
        &mut self,
        asked: &[(ServiceId, u64)],
        outcome: &Result<Vec<Registered>, Error>,
        who: Option<Result<Node, Error>>,
        now: Instant,
    ) {
        self.sweeping = false;
        let rest = self.rest_after(outcome, now);
        self.sweep_at = if self.sweep_again { Some(now) } else { now.checked_add(rest) };
        self.sweep_again = false;
        if outcome.is_err() {
            // Whoever answers next may be another.
            self.agent = None;
        }
        let agent = self.answered(who);
        let held: BTreeMap<&ServiceId, &Registered> =
            outcome.iter().flatten().map(|held| (&held.id, held)).collect();
        for (id, epoch) in asked {
            // What it found tells nothing of one that has taken a step since; that it failed does.
            let tells = |slot: &&mut Slot| outcome.is_err() || slot.machine.epoch() == *epoch;
            let Some(slot) = self.slots.get_mut(id).filter(tells) else { continue };
            let input = match outcome {
                Ok(_) => slot.swept(held.get(id).copied(), agent.as_ref(), now),
                Err(error) => Input::SweepFailed(error.kind(), error.chain()),
            };
            self.input(id, input, now);
        }
    }

    /// Who answered this sweep, as far as it said.
    fn answered(&mut self, who: Option<Result<Node, Error>>) -> Option<Node> {
        match who? {
            Ok(agent) => {
                self.nameless = false;
                self.agent = Some(Arc::clone(&agent));
                Some(agent)
            }
            Err(error) => {
                self.nameless = error.kind() == Kind::Denied;
                self.agent = None;
                None
            }
        }
    }

    fn rest_after(&mut self, outcome: &Result<Vec<Registered>, Error>, now: Instant) -> Duration {
        let roll = self.roll();
        match outcome {
            Ok(_) => {
                self.sweep_failures = 0;
                self.tether = self.tether.or_due(now);
                // From three quarters of the period to five: many processes do not sweep together.
                let quarter = self.period.checked_div(4).unwrap_or_default();
                self.period.saturating_sub(quarter).saturating_add(jitter(roll, quarter.saturating_mul(2)))
            }
            Err(error) => {
                if self.sweep_failures == 0 {
                    tracing::warn!(error = error.chain(), "the agent does not say what it holds");
                }
                self.sweep_failures = self.sweep_failures.saturating_add(1);
                // One that refuses needs a person, and is not to be pressed.
                let refused = matches!(error.kind(), Kind::Denied | Kind::Rejected | Kind::Config);
                let soon = SWEEPING.rest(self.sweep_failures, roll).max(LEAST);
                if refused { self.period } else { soon }
            }
        }
    }

    /// What the catalogue shows of a registration, and which dead ones were at its place before it.
    pub(super) fn looked(&mut self, id: &ServiceId, look: Look, before: Vec<ServiceId>, now: Instant) {
        let there = matches!(look, Look::Usable | Look::Unusable);
        let slot = self.slots.get_mut(id).filter(|slot| there && !slot.machine.is_closing());
        // Once: two that share a place on purpose, and a port, would remove each other for ever.
        if slot.is_some_and(|slot| !std::mem::replace(&mut slot.succeeded, true)) {
            let dead = before.into_iter().filter(|id| !self.slots.contains_key(id));
            self.evictions.extend(dead.collect::<Vec<_>>());
        }
        self.input(id, Input::Looked(look), now);
    }
}
