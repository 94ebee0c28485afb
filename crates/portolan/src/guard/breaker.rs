//! Decides whether calls to a registry are sent at all: a circuit breaker for one kind of call. PURE.
//!
//! In:  how calls end, each with `now` and a `roll`. Out: whether the next one may be sent, and what changed.
//!
//! ```text
//! Closed ── failures in a row, or every open watch broke ─▶ Open (refuses, rests)
//!   ▲                                                       │  ▲
//!   │ any success                            rest is over   ▼  │ the probe failed, or was dropped
//!   └────────────────────────────────────────────────── HalfOpen (one probe)
//! ```
//!
//! Never: opens because of an answer of a registry that lives (a refused token, an unknown name); lets two probes run
//! at once; probes without a jittered rest, so that the processes of a cluster do not probe in step.
//!
//! Proof: `breaker/tests.rs`, a table for each way to open and to close, and a property.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use crate::{backoff::Backoff, error::Kind};

/// The rests between probes. Their mean soon is 1.25 s, so that less than one probe a second is sent; the longest, and
/// a view's own rest, are what a lookup is behind at most when the registry is back.
pub(super) const RESTS: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_millis(2_500));
/// The same for registrations: one that was lost is to be right within 2 s of the agent's return.
pub(super) const SHORT_RESTS: Backoff =
    Backoff::new(Duration::from_millis(500), Duration::from_millis(1_250));
/// Watches that break within this time break together.
const TOGETHER: Duration = Duration::from_secs(1);
/// Fewer watches say nothing when all of them break: one connection may have been cut for a reason of its own.
const A_SET: u32 = 2;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The registry answered, be it with a refusal.
    Alive,
    /// It did not, or said that it cannot.
    Failed,
    /// Nothing was learnt: the caller went away, or nothing could be sent.
    Nothing,
}

impl Outcome {
    /// What an error says about the registry.
    pub(super) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Unreachable | Kind::Timeout | Kind::Unavailable | Kind::Busy => Self::Failed,
            Kind::Moved | Kind::Config | Kind::Closed | Kind::NoInstance => Self::Nothing,
            Kind::Denied | Kind::NotFound | Kind::Rejected | Kind::Malformed | Kind::Conflict => Self::Alive,
        }
    }
}

/// Whether a call may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// As every call.
    Call,
    /// As the one that finds out whether the registry is back: the probe of this number.
    Probe(u64),
    /// Ask again then.
    NotBefore(Instant),
    /// Ask again when the probe that runs has ended.
    Probing,
}

/// What a call is to the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// A call that is answered at once.
    Call,
    /// A read that waits for a change.
    Watch,
    /// The call that was admitted as the [`Admission::Probe`] of this number.
    Probe(u64),
}

/// What a call's end changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// From closed to open.
    Opened,
    /// From half open back to open.
    ProbeFailed,
    /// The registry is back; it was away since then.
    Closed {
        /// The first failure.
        since: Instant,
    },
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Admits.
    Closed,
    /// Refuses until then.
    Open {
        /// The first failure.
        since: Instant,
        /// The next probe.
        until: Instant,
    },
    /// A probe runs.
    HalfOpen {
        /// The first failure.
        since: Instant,
    },
}

/// A circuit breaker.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    open_after: u32,
    rests: Backoff,
    state: State,
    /// In a row, with no success between.
    failures: u32,
    failing_since: Option<Instant>,
    /// Watches that are open now.
    watches: u32,
    /// Watches that broke together, and when the first did.
    broke: u32,
    broke_at: Option<Instant>,
    /// Probes that failed since it opened.
    probes: u32,
    /// The number of the last probe: one that is left from an outage before this one decides nothing.
    last_probe: u64,
}

impl Breaker {
    /// One that opens after this many failures in a row, and rests so between probes.
    pub(super) fn new(open_after: u32, rests: Backoff) -> Self {
        Self {
            open_after,
            rests,
            state: State::Closed,
            failures: 0,
            failing_since: None,
            watches: 0,
            broke: 0,
            broke_at: None,
            probes: 0,
            last_probe: 0,
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Whether a call may be sent now. After [`Admission::Probe`], [`ended`](Self::ended) must be told of a
    /// [`Sent::Probe`], whatever becomes of it.
    pub(super) fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            State::Closed => Admission::Call,
            State::HalfOpen { .. } => Admission::Probing,
            State::Open { until, .. } if now < until => Admission::NotBefore(until),
            State::Open { since, .. } => {
                self.state = State::HalfOpen { since };
                self.last_probe = self.last_probe.wrapping_add(1);
                Admission::Probe(self.last_probe)
            }
        }
    }

    /// A call is sent.
    pub(super) fn began(&mut self, sent: Sent) {
        if sent == Sent::Watch {
            self.watches = self.watches.saturating_add(1);
        }
    }

    /// A call that [`began`](Self::began), or a probe, has ended.
    pub(super) fn ended(&mut self, sent: Sent, outcome: Outcome, now: Instant, roll: u64) -> Option<Change> {
        if sent == Sent::Watch {
            self.watches = self.watches.saturating_sub(1);
        }
        match outcome {
            Outcome::Alive => self.alive(),
            Outcome::Failed => self.failed(sent, now, roll),
            Outcome::Nothing if self.is_the_probe(sent) => self.rest_again(now, roll),
            Outcome::Nothing => None,
        }
    }

    fn alive(&mut self) -> Option<Change> {
        let before = std::mem::replace(&mut self.state, State::Closed);
        self.failures = 0;
        self.failing_since = None;
        self.broke = 0;
        self.broke_at = None;
        self.probes = 0;
        match before {
            State::Closed => None,
            State::Open { since, .. } | State::HalfOpen { since } => Some(Change::Closed { since }),
        }
    }

    fn failed(&mut self, sent: Sent, now: Instant, roll: u64) -> Option<Change> {
        let since = *self.failing_since.get_or_insert(now);
        self.failures = self.failures.saturating_add(1);
        if sent == Sent::Watch {
            self.count_broken(now);
        }
        match self.state {
            State::Closed if self.failures >= self.open_after || self.all_broke() => {
                self.state = State::Open { since, until: self.rest(now, roll) };
                Some(Change::Opened)
            }
            State::HalfOpen { .. } if self.is_the_probe(sent) => self.rest_again(now, roll),
            // One that was sent before the breaker opened tells nothing new.
            State::Closed | State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    fn is_the_probe(&self, sent: Sent) -> bool {
        sent == Sent::Probe(self.last_probe)
    }

    fn count_broken(&mut self, now: Instant) {
        let together = self.broke_at.is_some_and(|first| now.saturating_duration_since(first) <= TOGETHER);
        if together {
            self.broke = self.broke.saturating_add(1);
        } else {
            self.broke = 1;
            self.broke_at = Some(now);
        }
    }

    fn all_broke(&self) -> bool {
        self.watches == 0 && self.broke >= A_SET
    }

    fn rest_again(&mut self, now: Instant, roll: u64) -> Option<Change> {
        let State::HalfOpen { since } = self.state else { return None };
        self.probes = self.probes.saturating_add(1);
        self.state = State::Open { since, until: self.rest(now, roll) };
        Some(Change::ProbeFailed)
    }

    fn rest(&self, now: Instant, roll: u64) -> Instant {
        now.checked_add(self.rests.rest(self.probes.saturating_add(1), roll)).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests;
