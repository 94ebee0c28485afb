//! The reports of TTL checks: those of all registrations share their places and their order.
//!
//! In:  what a handle says of its health, how reports ended. Out: reports that are due, at most so many under way at once;
//! the news that the agent does not know a check.
//!
//! Never: reports for an instance that the agent does not hold.
//!
//! Proof: `table/tests.rs`.

use std::time::Instant;

use super::{Job, REPORTS, Slot, Table};
use crate::{
    error::{Error, Kind},
    model::{CheckId, ServiceId, Status},
    register::heartbeat::Beat,
};

impl Table {
    /// What the TTL checks of a registration report from now on; false when it has none.
    pub(crate) fn say(&mut self, id: &ServiceId, number: u64, said: (Status, &str), now: Instant) -> bool {
        self.tell_beats(id, number, |beat| beat.say(said.0, said.1, now))
    }

    /// The same, of a function that looks again and again; it is told at once only when its status is another one.
    pub(crate) fn found(&mut self, id: &ServiceId, number: u64, said: (Status, &str), now: Instant) -> bool {
        self.tell_beats(id, number, |beat| beat.found(said.0, said.1, now))
    }

    fn tell_beats(&mut self, id: &ServiceId, number: u64, tell: impl FnMut(&mut Beat)) -> bool {
        let Some(slot) = self.slots.get_mut(id).filter(|slot| slot.number == number) else { return false };
        slot.beats.iter_mut().for_each(tell);
        let reports = !slot.beats.is_empty();
        self.plan(id);
        reports
    }

    pub(super) fn take_reports(&mut self, now: Instant, jobs: &mut Vec<Job>) {
        while self.reports < REPORTS
            && let Some(id) = self.reports_due.first(now)
        {
            let job = self.slots.get_mut(&id).and_then(|slot| slot.take_report(now));
            self.plan(&id);
            let Some(job) = job else { break };
            self.reports = self.reports.saturating_add(1);
            jobs.push(job);
        }
    }

    /// Says so when reports begin to be late, and when none is any more: once for all, for an agent that is slow is slow to
    /// all of them.
    pub(super) fn note_late(&mut self, id: &ServiceId) {
        let late = self.slots.get(id).filter(|slot| slot.beats.iter().any(Beat::is_late));
        match late {
            Some(slot) if self.late.is_empty() => {
                let service = &slot.definition.name;
                tracing::warn!(
                    %service, %id,
                    "a health report was not acknowledged within half of its TTL: the agent is slow or refuses it, and \
                     the check may expire"
                );
                self.late.insert(id.clone());
            }
            Some(_) => drop(self.late.insert(id.clone())),
            None => {
                if self.late.remove(id) && self.late.is_empty() {
                    tracing::info!("health reports are acknowledged in time again");
                }
            }
        }
    }

    pub(super) fn reported(
        &mut self,
        id: &ServiceId,
        check: &CheckId,
        outcome: Result<(), Error>,
        now: Instant,
    ) {
        let roll = self.roll();
        let Some(slot) = self.slots.get_mut(id) else { return };
        let outcome = outcome.map_err(|error| {
            tracing::debug!(service = %slot.definition.name, %id, error = error.chain(), "a health report failed");
            error.kind()
        });
        let Some(beat) = slot.beats.iter_mut().find(|beat| beat.check() == check) else { return };
        beat.done(outcome, now, roll);
        let lost = outcome == Err(Kind::NotFound) && slot.machine.is_held();
        self.plan(id);
        if lost {
            // The agent lost it, or it is another agent: a sweep tells.
            self.sweep_now(now);
        }
    }
}

impl Slot {
    /// When its first report is due; `None` while the agent does not hold the checks, or every one is under way.
    pub(super) fn next_report(&self) -> Option<Instant> {
        self.beats.iter().filter_map(Beat::deadline).min().filter(|_| self.machine.is_held())
    }

    fn take_report(&mut self, now: Instant) -> Option<Job> {
        let next = self.next_report()?;
        let beat = self.beats.iter_mut().find(|beat| beat.deadline() == Some(next))?;
        let (report, within) = beat.take(now)?;
        let (id, service) = (self.definition.id.clone(), self.definition.name.clone());
        Some(Job::Report { id, service, report, within })
    }
}
