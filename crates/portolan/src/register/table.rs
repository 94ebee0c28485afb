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
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

pub(crate) use self::job::{Done, Insert, Job, Node};
use self::{slot::Slot, sweeps::Tether};
use super::{
    RegistrationState,
    due::Due,
    heartbeat::Beat,
    step::{Gate, Input, Machine},
};
use crate::{
    model::{ServiceId, ServiceName},
    registry::Definition,
    roll::Rolls,
    telemetry,
};

/// How many sends, looks and removals are under way at once: as many as the guard has places for them.
const CALLS: usize = 32;
/// How many reports are under way at once.
const REPORTS: usize = 32;
/// How far the epochs of two registrations are apart.
const EPOCHS: u64 = 1 << 32;

mod job;
mod reports;
mod slot;
mod sweeps;

#[derive(Debug)]
pub(crate) struct Table {
    slots: BTreeMap<ServiceId, Slot>,
    /// When each registration has a call to make, and a report: as [`plan`](Self::plan) found it last.
    calls_due: Due<ServiceId>,
    reports_due: Due<ServiceId>,
    rolls: Rolls,
    period: Duration,
    sweep_at: Option<Instant>,
    sweeping: bool,
    /// Somebody asked for a sweep while one was under way, which may have begun too early to tell.
    sweep_again: bool,
    sweep_failures: u32,
    tether: Tether,
    /// Who answered the last sweep, as far as it said.
    agent: Option<Node>,
    /// The agent does not say who it is.
    nameless: bool,
    /// Dead predecessors of ours.
    evictions: Vec<ServiceId>,
    calls: usize,
    reports: usize,
    /// Registrations with a report that is late.
    late: BTreeSet<ServiceId>,
    count: u64,
}

impl Table {
    pub(crate) fn new(rolls: Rolls, period: Duration) -> Self {
        Self {
            slots: BTreeMap::new(),
            calls_due: Due::new(),
            reports_due: Due::new(),
            rolls,
            period,
            sweep_at: None,
            sweeping: false,
            sweep_again: false,
            sweep_failures: 0,
            tether: Tether::Off,
            agent: None,
            nameless: false,
            evictions: Vec::new(),
            calls: 0,
            reports: 0,
            late: BTreeSet::new(),
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
        let gate = if definition.maintenance.is_some() { Gate::Shut } else { Gate::Open };
        let machine = Machine::new(number.wrapping_mul(EPOCHS), gate);
        let id = definition.id.clone();
        self.slots.insert(id.clone(), Slot::new(number, definition, machine, beats, state));
        self.plan(&id);
        self.sweep_now(now);
        Insert::Done(number, receiver)
    }

    /// A word of the handle with this number. Another one may hold the id by now.
    pub(crate) fn tell(&mut self, id: &ServiceId, number: u64, word: Input, now: Instant) {
        if self.slots.get(id).is_some_and(|slot| slot.number == number) {
            self.input(id, word, now);
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

    /// The calls that were under way are lost: their task was started anew.
    pub(crate) fn restarted(&mut self, now: Instant) {
        (self.calls, self.reports, self.sweeping, self.tether) = (0, 0, false, Tether::Off);
        for beat in self.slots.values_mut().flat_map(|slot| &mut slot.beats) {
            beat.restarted();
        }
        let ids: Vec<ServiceId> = self.slots.keys().cloned().collect();
        for id in ids {
            self.input(&id, Input::Restarted, now);
        }
        self.sweep_now(now);
    }

    /// The jobs that are due, which count as begun. The longest overdue come first.
    pub(crate) fn take(&mut self, now: Instant) -> Vec<Job> {
        let mut jobs = Vec::new();
        jobs.extend(self.take_sweep(now));
        jobs.extend(self.take_tether(now));
        while self.calls < CALLS
            && let Some(dead) = self.evictions.pop()
        {
            self.calls = self.calls.saturating_add(1);
            jobs.push(Job::Evict(dead));
        }
        while self.calls < CALLS
            && let Some(id) = self.calls_due.first(now)
        {
            let job = self.slots.get_mut(&id).and_then(|slot| slot.take_call(now, self.agent.as_ref()));
            self.publish(&id);
            // One that has only come to its next step has no call; the next round looks on.
            let Some(job) = job else { break };
            self.calls = self.calls.saturating_add(1);
            jobs.push(job);
        }
        self.take_reports(now, &mut jobs);
        jobs
    }

    /// Puts a registration where it belongs in the order of what is due: after each change of its machine or its beats.
    fn plan(&mut self, id: &ServiceId) {
        let slot = self.slots.get(id);
        self.calls_due.set(id, slot.and_then(|slot| slot.machine.deadline()));
        self.reports_due.set(id, slot.and_then(Slot::next_report));
        self.note_late(id);
    }

    /// When [`take`](Self::take) has something next; `None`: only a call that ends, or a handle, can change that.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let sweep = self.sweep_at.filter(|_| !self.sweeping);
        let calls = self.calls_due.next().filter(|_| self.calls < CALLS);
        let reports = self.reports_due.next().filter(|_| self.reports < REPORTS);
        sweep.into_iter().chain(self.tether.due()).chain(calls).chain(reports).min()
    }

    /// Takes in how a call ended.
    pub(crate) fn done(&mut self, done: Done, now: Instant) {
        match done {
            Done::Swept { asked, outcome, who } => self.swept(&asked, &outcome, who, now),
            Done::Untied(outcome) => self.untied(&outcome, now),
            Done::Looked(id, look, before) => {
                self.calls = self.calls.saturating_sub(1);
                self.looked(&id, look, before, now);
            }
            Done::Evicted => self.calls = self.calls.saturating_sub(1),
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

    fn input(&mut self, id: &ServiceId, input: Input, now: Instant) {
        let roll = self.roll();
        let Some(slot) = self.slots.get_mut(id) else { return };
        let was_held = slot.machine.is_held();
        let sent = input == Input::Sent;
        if sent && !was_held {
            slot.home.clone_from(&self.agent);
        }
        if sent {
            self.tether = self.tether.or_due(now);
        }
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
        self.plan(id);
    }
}

/// Counts, for a process may hold several registrations of one service.
fn count_state(service: &ServiceName, state: &RegistrationState, by: f64) {
    let service = service.to_string();
    metrics::gauge!(telemetry::REGISTRATION_STATE, "service" => service, "state" => state.label())
        .increment(by);
}

#[cfg(test)]
mod tests;
