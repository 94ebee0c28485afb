//! Decides when the health of one TTL check is reported, and what is said. PURE.
//!
//! In:  what the service says of itself, how reports ended, `now`. Out: the report that is due.
//!
//! A report is due a third of the TTL after the last one at the latest, and at the earliest a quarter after it, so that
//! many instances do not report together; each may take a quarter. So two may be lost before the check turns critical. One
//! that was not acknowledged within half of the TTL, in however many tries, is late: the next may be too late.
//!
//! Never: has two reports of one check under way, which could arrive in the wrong order; ends.
//!
//! Proof: `heartbeat/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use crate::{
    backoff::Backoff,
    check::CheckKind,
    error::Kind,
    model::{CheckId, Status},
    registry::{CheckDefinition, Report},
    roll,
};

/// The reports of one TTL check.
#[derive(Clone, Debug)]
pub(crate) struct Beat {
    check: CheckId,
    ttl: Duration,
    status: Status,
    output: String,
    next: Instant,
    under_way: bool,
    /// What was said has changed since the report that is under way began.
    changed: bool,
    failures: u32,
    /// When the report was due that is not acknowledged yet.
    waits_since: Option<Instant>,
    late: bool,
}

impl Beat {
    /// The reports of a check; `None` unless it is a TTL check. It reports passing unless its definition says how it
    /// starts.
    pub(crate) fn of(check: &CheckDefinition, now: Instant) -> Option<Self> {
        let CheckKind::Ttl { ttl } = check.check.kind else { return None };
        Some(Self {
            check: check.id.clone(),
            ttl,
            status: check.check.initial.unwrap_or(Status::Passing),
            output: String::new(),
            next: now,
            under_way: false,
            changed: false,
            failures: 0,
            waits_since: None,
            late: false,
        })
    }

    pub(crate) fn check(&self) -> &CheckId {
        &self.check
    }

    pub(crate) fn status(&self) -> Status {
        self.status
    }

    /// When a report is due; `None` while one is under way.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (!self.under_way).then_some(self.next)
    }

    /// The report that is due, and how long it may take. It counts as begun.
    pub(crate) fn take(&mut self, now: Instant) -> Option<(Report, Duration)> {
        let due = self.deadline().filter(|at| *at <= now)?;
        self.waits_since.get_or_insert(due);
        self.under_way = true;
        self.changed = false;
        Some((Report::new(self.check.clone(), self.status, self.output.clone()), quarter(self.ttl)))
    }

    /// What the reports say from now on; the first of them goes out at once.
    pub(crate) fn say(&mut self, status: Status, output: &str, now: Instant) {
        self.status = status;
        output.clone_into(&mut self.output);
        self.changed = true;
        self.next = now;
    }

    /// What the reports say from now on. Another status goes out at once; another output with the next report, so that a
    /// value in it which always differs costs nothing.
    pub(crate) fn found(&mut self, status: Status, output: &str, now: Instant) {
        if self.status == status {
            output.clone_into(&mut self.output);
        } else {
            self.say(status, output, now);
        }
    }

    /// A report is due now: the check has just been registered.
    pub(crate) fn now(&mut self, now: Instant) {
        self.next = now;
        self.waits_since = None;
        // One that is under way may have reached the check before it was registered again.
        self.changed = true;
    }

    /// How a report ended.
    pub(crate) fn done(&mut self, outcome: Result<(), Kind>, now: Instant, roll: u64) {
        self.under_way = false;
        let waited = self.waits_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let late = waited > half(self.ttl);
        let rest = match outcome {
            _ if self.changed => Duration::ZERO,
            Ok(()) => {
                self.failures = 0;
                third(self.ttl)
                    .saturating_sub(roll::jitter(roll, third(self.ttl).saturating_sub(quarter(self.ttl))))
            }
            Err(_) => {
                self.failures = self.failures.saturating_add(1);
                // Soon, for silence turns it critical; but not at once, for the agent may be in trouble.
                let base = self.ttl.checked_div(32).unwrap_or_default();
                base.saturating_add(Backoff::new(base, quarter(self.ttl)).rest(self.failures, roll))
                    .min(third(self.ttl))
            }
        };
        // After a failure even news waits a moment: the agent may refuse every report at once.
        let rest = if outcome.is_err() { rest.max(Duration::from_millis(20)) } else { rest };
        self.next = now.checked_add(rest).unwrap_or(now);
        // A failure says nothing about a report before it.
        self.late = late || (self.late && outcome.is_err());
        if outcome.is_ok() {
            self.waits_since = None;
        }
    }

    /// Whether the newest report was acknowledged late, or is late already.
    pub(crate) fn is_late(&self) -> bool {
        self.late
    }

    /// The report that was under way is lost with its task.
    pub(crate) fn restarted(&mut self) {
        self.under_way = false;
    }
}

fn quarter(ttl: Duration) -> Duration {
    ttl.checked_div(4).unwrap_or_default()
}

fn half(ttl: Duration) -> Duration {
    ttl.checked_div(2).unwrap_or_default()
}

fn third(ttl: Duration) -> Duration {
    ttl.checked_div(3).unwrap_or_default()
}

#[cfg(test)]
mod tests;
