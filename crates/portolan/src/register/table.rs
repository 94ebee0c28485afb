//! All registrations on one agent: what is due for which of them, and who is told.
//!
//! In:  registrations, words of their handles, and how jobs ended ([`Done`]). Out: jobs that are due ([`Job`]), at most
//! so many under way at once; states, to the handles.
//!
//! Never: awaits; does what a registration has not decided ([`Machine`], [`Beat`]). It is kept behind a lock, so that
//! it survives a panic of the task that serves it.
//!
//! Proof: `table/tests.rs`, and `keeper/tests.rs`.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

pub(crate) use self::job::{Done, Insert, Job};
use super::{
    RegistrationState,
    drift::{self, Held},
    heartbeat::Beat,
    step::{Effect, Input, Machine, Reason},
};
use crate::{
    backoff::Backoff,
    error::{Error, Kind},
    model::{CheckId, ServiceId, ServiceName, Status},
    registry::{Definition, Registered},
    roll::{Rolls, jitter},
    telemetry,
};

/// How many sends, looks and removals are under way at once.
const CALLS: usize = 16;
/// How many reports are under way at once.
const REPORTS: usize = 32;
/// The rests between sweeps while they fail: shorter than the period, for a return is to be noticed soon.
const SWEEPING: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));
/// How far the epochs of two registrations are apart.
const EPOCHS: u64 = 1 << 32;

mod job;

#[derive(Debug)]
pub(crate) struct Table {
    slots: BTreeMap<ServiceId, Slot>,
    rolls: Rolls,
    period: Duration,
    sweep_at: Option<Instant>,
    sweeping: bool,
    /// Somebody asked for a sweep while one was under way, which may have begun too early to tell.
    sweep_again: bool,
    sweep_failures: u32,
    calls: usize,
    reports: usize,
    count: u64,
}

#[derive(Debug)]
struct Slot {
    number: u64,
    definition: Arc<Definition>,
    machine: Machine,
    beats: Vec<Beat>,
    /// The last status of each check that a sweep has seen.
    seen: BTreeMap<CheckId, Status>,
    state: watch::Sender<RegistrationState>,
}

impl Table {
    pub(crate) fn new(rolls: Rolls, period: Duration) -> Self {
        Self {
            slots: BTreeMap::new(),
            rolls,
            period,
            sweep_at: None,
            sweeping: false,
            sweep_again: false,
            sweep_failures: 0,
            calls: 0,
            reports: 0,
            count: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.rolls.next()
    }

    pub(crate) fn insert(&mut self, definition: Arc<Definition>, now: Instant) -> Insert {
        if let Some(slot) = self.slots.get(&definition.id) {
            return if slot.machine.is_closing() {
                Insert::Leaving(slot.state.subscribe())
            } else {
                Insert::Held
            };
        }
        self.count = self.count.wrapping_add(1);
        let number = self.count;
        let (state, receiver) = watch::channel(RegistrationState::Pending);
        count_state(&definition.name, &RegistrationState::Pending, 1.0);
        let beats = definition.checks.iter().filter_map(|check| Beat::of(check, now)).collect();
        let machine = Machine::new(number.wrapping_mul(EPOCHS));
        let id = definition.id.clone();
        self.slots.insert(id, Slot { number, definition, machine, beats, seen: BTreeMap::new(), state });
        self.sweep_now(now);
        Insert::Done(number, receiver)
    }

    /// The handle was closed or dropped. Another one may hold the id by now, with another number.
    pub(crate) fn close(&mut self, id: &ServiceId, number: u64, now: Instant) {
        if self.slots.get(id).is_some_and(|slot| slot.number == number) {
            self.input(id, Input::Close, now);
        }
    }

    pub(crate) fn close_all(&mut self, now: Instant) -> Vec<watch::Receiver<RegistrationState>> {
        let states = self.slots.values().map(|slot| slot.state.subscribe()).collect();
        let ids: Vec<ServiceId> = self.slots.keys().cloned().collect();
        for id in ids {
            self.input(&id, Input::Close, now);
        }
        states
    }

    /// What the TTL checks of a registration report from now on; false when it has none.
    pub(crate) fn say(&mut self, id: &ServiceId, number: u64, said: (Status, &str), now: Instant) -> bool {
        let Some(slot) = self.slots.get_mut(id).filter(|slot| slot.number == number) else { return false };
        for beat in &mut slot.beats {
            beat.say(said.0, said.1, now);
        }
        !slot.beats.is_empty()
    }

    /// The calls that were under way are lost: their task was started anew.
    pub(crate) fn restarted(&mut self, now: Instant) {
        (self.calls, self.reports, self.sweeping) = (0, 0, false);
        for beat in self.slots.values_mut().flat_map(|slot| &mut slot.beats) {
            beat.restarted();
        }
        let ids: Vec<ServiceId> = self.slots.keys().cloned().collect();
        for id in ids {
            self.input(&id, Input::Restarted, now);
        }
        self.sweep_now(now);
    }

    fn sweep_now(&mut self, now: Instant) {
        self.sweep_again = self.sweeping;
        self.sweep_at = Some(now);
    }

    /// The jobs that are due, which count as begun. The longest overdue come first.
    pub(crate) fn take(&mut self, now: Instant) -> Vec<Job> {
        let mut jobs = Vec::new();
        if let Some(sweep) = self.take_sweep(now) {
            jobs.push(sweep);
        }
        let mut due: Vec<(Instant, ServiceId)> = self
            .slots
            .iter()
            .filter_map(|(id, slot)| Some((slot.machine.deadline()?, id.clone())))
            .filter(|(at, _)| *at <= now)
            .collect();
        due.sort_unstable();
        for (_, id) in due.into_iter().take(CALLS.saturating_sub(self.calls)) {
            if let Some(job) = self.slots.get_mut(&id).and_then(|slot| slot.take_call(now)) {
                self.calls = self.calls.saturating_add(1);
                jobs.push(job);
                self.publish(&id);
            }
        }
        self.take_reports(now, &mut jobs);
        jobs
    }

    fn take_sweep(&mut self, now: Instant) -> Option<Job> {
        self.sweep_at.filter(|at| *at <= now && !self.sweeping)?;
        let ids: Vec<_> = self
            .slots
            .iter()
            .filter(|(_, slot)| !slot.machine.is_closing())
            .map(|(id, slot)| (id.clone(), slot.machine.epoch()))
            .collect();
        if ids.is_empty() {
            self.sweep_at = None;
            return None;
        }
        self.sweeping = true;
        Some(Job::Sweep(ids))
    }

    fn take_reports(&mut self, now: Instant, jobs: &mut Vec<Job>) {
        let mut due: Vec<(Instant, &mut Beat, &Definition)> = Vec::new();
        for slot in self.slots.values_mut().filter(|slot| slot.machine.is_held()) {
            for beat in &mut slot.beats {
                if let Some(at) = beat.deadline().filter(|at| *at <= now) {
                    due.push((at, beat, &slot.definition));
                }
            }
        }
        due.sort_unstable_by_key(|(at, ..)| *at);
        for (_, beat, definition) in due.into_iter().take(REPORTS.saturating_sub(self.reports)) {
            if let Some((report, within)) = beat.take(now) {
                self.reports = self.reports.saturating_add(1);
                let (id, service) = (definition.id.clone(), definition.name.clone());
                jobs.push(Job::Report { id, service, report, within });
            }
        }
    }

    /// When [`take`](Self::take) has something next; `None`: only a call that ends, or a handle, can change that.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let sweep = self.sweep_at.filter(|_| !self.sweeping);
        let calls = self.slots.values().filter_map(|slot| slot.machine.deadline());
        let calls = calls.min().filter(|_| self.calls < CALLS);
        let held = self.slots.values().filter(|slot| slot.machine.is_held());
        let reports = held.flat_map(|slot| &slot.beats).filter_map(Beat::deadline).min();
        let reports = reports.filter(|_| self.reports < REPORTS);
        sweep.into_iter().chain(calls).chain(reports).min()
    }

    /// Takes in how a call ended.
    pub(crate) fn done(&mut self, done: Done, now: Instant) {
        match done {
            Done::Swept(asked, outcome) => self.swept(&asked, &outcome, now),
            Done::Called(id, input) => {
                self.calls = self.calls.saturating_sub(1);
                self.input(&id, input, now);
            }
            Done::Reported { id, check, outcome } => {
                self.reports = self.reports.saturating_sub(1);
                self.reported(&id, &check, outcome, now);
            }
        }
    }

    fn swept(&mut self, asked: &[(ServiceId, u64)], outcome: &Result<Vec<Registered>, Error>, now: Instant) {
        self.sweeping = false;
        let roll = self.roll();
        let rest = match outcome {
            Ok(_) => {
                self.sweep_failures = 0;
                // From three quarters of the period to five: many processes do not sweep together.
                let quarter = self.period.checked_div(4).unwrap_or_default();
                self.period.saturating_sub(quarter).saturating_add(jitter(roll, quarter.saturating_mul(2)))
            }
            Err(error) => {
                if self.sweep_failures == 0 {
                    tracing::warn!(error = error.chain(), "the agent does not say what it holds");
                }
                self.sweep_failures = self.sweep_failures.saturating_add(1);
                SWEEPING.rest(self.sweep_failures, roll).max(Duration::from_millis(50))
            }
        };
        self.sweep_at = if self.sweep_again { Some(now) } else { now.checked_add(rest) };
        self.sweep_again = false;
        for (id, epoch) in asked {
            let Some(slot) = self.slots.get_mut(id).filter(|slot| slot.machine.epoch() == *epoch) else {
                continue;
            };
            let input = match outcome {
                Ok(held) => slot.swept(held.iter().find(|held| held.id == *id)),
                Err(error) => Input::SweepFailed(error.kind(), error.chain()),
            };
            self.input(id, input, now);
        }
    }

    fn reported(&mut self, id: &ServiceId, check: &CheckId, outcome: Result<(), Error>, now: Instant) {
        let roll = self.roll();
        let Some(slot) = self.slots.get_mut(id) else { return };
        let outcome = outcome.map_err(|error| {
            tracing::debug!(service = %slot.definition.name, %id, error = error.chain(), "a health report failed");
            error.kind()
        });
        let Some(beat) = slot.beats.iter_mut().find(|beat| beat.check() == check) else { return };
        beat.done(outcome, now, roll);
        if outcome == Err(Kind::NotFound) && slot.machine.is_held() {
            self.input(id, Input::Lost, now);
        }
    }

    fn input(&mut self, id: &ServiceId, input: Input, now: Instant) {
        let roll = self.roll();
        let Some(slot) = self.slots.get_mut(id) else { return };
        let was_held = slot.machine.is_held();
        let sent = input == Input::Sent;
        slot.machine.on(input, now, roll);
        if sent || (!was_held && slot.machine.is_held()) {
            for beat in &mut slot.beats {
                beat.now(now);
            }
        }
        self.publish(id);
    }

    /// Tells the handle its state, and forgets a registration that is gone.
    fn publish(&mut self, id: &ServiceId) {
        let Some(slot) = self.slots.get(id) else { return };
        let next = slot.machine.state();
        let gone = slot.machine.is_gone();
        let service = &slot.definition.name;
        let old = slot.state.borrow().clone();
        if old != next {
            count_state(service, &old, -1.0);
            count_state(service, &next, 1.0);
            next.log(service, id);
        }
        if gone {
            count_state(service, &next, -1.0);
        }
        slot.state.send_if_modified(|state| {
            let changed = *state != next;
            *state = next;
            changed
        });
        if gone {
            self.slots.remove(id);
        }
    }
}

/// Counts, for a process may hold several registrations of one service.
fn count_state(service: &ServiceName, state: &RegistrationState, by: f64) {
    let service = service.to_string();
    metrics::gauge!(telemetry::REGISTRATION_STATE, "service" => service, "state" => state.label())
        .increment(by);
}

impl Slot {
    fn take_call(&mut self, now: Instant) -> Option<Job> {
        Some(match self.machine.take(now)? {
            Effect::Send(reason) => Job::Send(Box::new(self.to_send(reason)), reason),
            Effect::Verify => Job::Verify(Arc::clone(&self.definition)),
            Effect::Remove => Job::Remove(Arc::clone(&self.definition)),
        })
    }

    /// A repair says of each check what was known of it last: an instance that was healthy is not critical until its
    /// check has run again.
    fn to_send(&self, reason: Reason) -> Definition {
        let mut definition = (*self.definition).clone();
        if reason != Reason::New {
            for check in &mut definition.checks {
                let said = self.beats.iter().find(|beat| *beat.check() == check.id).map(Beat::status);
                check.check.initial =
                    said.or_else(|| self.seen.get(&check.id).copied()).or(check.check.initial);
            }
        }
        definition
    }

    fn swept(&mut self, found: Option<&Registered>) -> Input {
        let Some(found) = found else { return Input::SweepMissing };
        let held = drift::compare(&self.definition, found);
        if !matches!(held, Held::Foreign(_)) {
            for check in &self.definition.checks {
                if let Some(known) = found.checks.get(check.id.as_str()) {
                    self.seen.insert(check.id.clone(), known.status);
                }
            }
        }
        Input::SweepFound(held)
    }
}

#[cfg(test)]
mod tests;
