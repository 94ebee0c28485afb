//! One kind of call to one registry, behind its breaker: waits where the breaker refuses, probes when it is time, and says
//! what changed.
//!
//! In:  calls. Out: an [`Entry`] for each that may be sent, or an error that says since when the registry is silent, what
//! it said last, and when it is asked next.
//!
//! Never: decides (`breaker.rs` and `budget.rs` do); lets one that came later in before one that waits; waits longer than
//! a call may take: once for the registry's return, and once more for its turn after it.
//!
//! Those that wait stand in line, and only the first deals with the breaker: a registry that returns wakes one, not a
//! thousand.

use std::{
    pin::pin,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Semaphore, watch},
    time::{Instant as Clock, sleep_until, timeout_at},
};

use super::{
    breaker::{Admission, Breaker, Change, Outcome, Sent, State},
    purse::{Paid, Purse},
    report::Reporter,
    state::BreakerState,
};
use crate::{
    duration::format_duration,
    error::{Error, Kind},
    roll::Rolls,
};

/// Nobody waits longer in line, whatever was set.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What a lane is for, as a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// `reads`, `writes` or `reports`.
    pub(super) kind: &'static str,
    /// For reads: of which datacentre; `None`: the agent's own.
    pub(super) datacenter: Option<Arc<str>>,
}

/// One kind of call, behind its breaker.
#[derive(Debug)]
pub(super) struct Lane {
    name: Name,
    #[expect(clippy::disallowed_types, reason = "cold path: a few times per request over the network")]
    inner: std::sync::Mutex<Inner>,
    /// The first in line holds the one permit.
    line: Semaphore,
    /// Whether the breaker refuses. Told at each change, also from open to half open and back.
    refuses: watch::Sender<bool>,
    reporter: Arc<Reporter>,
}

#[derive(Debug)]
struct Inner {
    breaker: Breaker,
    rolls: Rolls,
    /// What the last failure said.
    error: Arc<str>,
    closed_at: Option<Instant>,
    tally: Tally,
}

/// What an outage came to so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Calls that were not sent.
    pub(super) unsent: u64,
    /// Calls that found out that it still lasts.
    pub(super) probes: u64,
}

/// What a call asks of a lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    /// When it began to wait.
    pub(super) since: Clock,
    /// How long it is ready to wait.
    pub(super) limit: Duration,
    /// What pays for it; `None`: nothing has to.
    pub(super) purse: Option<&'a Purse>,
    /// When the same call failed before, if it did.
    pub(super) failed: Option<Instant>,
}

impl Wish<'_> {
    /// When it is given up.
    pub(super) fn ends(&self) -> Clock {
        self.since.checked_add(self.limit.min(LONGEST)).unwrap_or(self.since)
    }
}

/// The right to send one call. Dropped without [`Entry::end`], nothing was learnt from it.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    lane: &'a Lane,
    sent: Sent,
    /// What was paid, until the call is sent.
    paid: Option<Paid<'a>>,
    /// Whether the breaker waits for its end.
    counts: bool,
}

impl Lane {
    pub(super) fn new(name: Name, breaker: Breaker, rolls: Rolls, reporter: Arc<Reporter>) -> Self {
        let inner = Inner { breaker, rolls, error: "".into(), closed_at: None, tally: Tally::default() };
        let refuses = watch::Sender::new(false);
        Self { name, inner: inner.into(), line: Semaphore::new(1), refuses, reporter }
    }

    /// Waits until a call may be sent.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when the breaker refused for as long as the call was ready to wait; [`Kind::Busy`] when
    /// the budget of reads was used up for as long.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line; nothing was sent.
    pub(super) async fn enter<'a>(&'a self, wish: Wish<'a>) -> Result<Entry<'a>, Error> {
        let mut line = pin!(self.first_in_line(wish));
        if let Ok(entry) = timeout_at(wish.ends(), &mut line).await {
            return Ok(entry);
        }
        // The registry is back, and it is still in line: from now on it waits for its turn.
        if let Some(closed) = self.returned_at(wish.since.into_std()) {
            let wish = Wish { since: closed.into(), ..wish };
            if let Ok(entry) = timeout_at(wish.ends(), line).await {
                return Ok(entry);
            }
        }
        Err(self.not_sent(wish.limit))
    }

    async fn first_in_line<'a>(&'a self, wish: Wish<'a>) -> Entry<'a> {
        // The line is never closed; if it were, everybody would be first.
        let _first = self.line.acquire().await.ok();
        let mut changes = self.refuses.subscribe();
        loop {
            let until = match self.ask(wish) {
                Ok(entry) => return entry,
                Err(until) => until,
            };
            tokio::select! {
                biased;
                changed = changes.changed() => drop(changed),
                () = at(until) => {}
            }
        }
    }

    fn ask<'a>(&'a self, wish: Wish<'a>) -> Result<Entry<'a>, Option<Instant>> {
        let now = Clock::now().into_std();
        let mut inner = self.lock();
        match inner.breaker.admit(now) {
            Admission::NotBefore(until) => Err(Some(until)),
            Admission::Probing => Err(None),
            Admission::Probe(number) => {
                drop(inner);
                self.reporter.probing(&self.name);
                Ok(Entry { lane: self, sent: Sent::Probe(number), paid: None, counts: true })
            }
            Admission::Call => {
                // What failed before the registry was back is not repeated: it was told to wait, and comes in turn.
                let again =
                    wish.failed.filter(|failed| inner.closed_at.is_none_or(|closed| *failed > closed));
                drop(inner);
                let paid = wish.purse.map(|purse| purse.pay(again, now)).transpose().map_err(Some)?;
                Ok(Entry { lane: self, sent: Sent::Call, paid, counts: false })
            }
        }
    }

    /// Waits until the breaker refuses.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the state is asked first.
    pub(super) async fn refuses(&self) {
        if self.refuses.subscribe().wait_for(|refuses| *refuses).await.is_err() {
            // The sender is beside us, so this cannot be; a lane that nobody can close refuses nothing.
            std::future::pending::<()>().await;
        }
    }

    /// When the registry came back, if that was after `since`.
    pub(super) fn returned_at(&self, since: Instant) -> Option<Instant> {
        self.lock().closed_at.filter(|closed| *closed >= since)
    }

    /// Where the breaker stands, for people.
    pub(super) fn state(&self) -> BreakerState {
        let inner = self.lock();
        let error = Arc::clone(&inner.error);
        match inner.breaker.state() {
            State::Closed => BreakerState::Closed,
            State::Open { since, until } => BreakerState::Open { since, error, next_probe: until },
            State::HalfOpen { since } => BreakerState::HalfOpen { since, error },
        }
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    fn not_sent(&self, limit: Duration) -> Error {
        let now = Clock::now().into_std();
        let mut inner = self.lock();
        inner.tally.unsent = inner.tally.unsent.saturating_add(1);
        let (tally, error) = (inner.tally, Arc::clone(&inner.error));
        let state = inner.breaker.state();
        drop(inner);
        self.reporter.not_sent(&self.name, tally, now);
        let registry = self.reporter.registry();
        let ago = |since| format_duration(whole_millis(now.saturating_duration_since(since)));
        let limit = format_duration(limit);
        match state {
            State::Closed => {
                let what = format!(
                    "{registry}: not asked: for {limit} other reads used up what guard.requests_per_second and \
                     guard.retries_per_second allow; raise them, or follow fewer services"
                );
                Error::new(Kind::Busy, what)
            }
            State::Open { since, until } => {
                let next = format_duration(whole_millis(until.saturating_duration_since(now)));
                let what = format!(
                    "{registry}: not asked: it has not answered for {}, at last: {error}; it is asked again in {next}",
                    ago(since)
                );
                Error::new(Kind::Unavailable, what)
            }
            State::HalfOpen { since } => {
                let what = format!(
                    "{registry}: not asked: it has not answered for {}, at last: {error}; it is being asked now",
                    ago(since)
                );
                Error::new(Kind::Unavailable, what)
            }
        }
    }

    fn ended(&self, sent: Sent, outcome: Outcome, error: Option<&Error>) -> Option<Change> {
        let now = Clock::now().into_std();
        let mut inner = self.lock();
        let roll = inner.rolls.next();
        if let (Outcome::Failed, Some(error)) = (outcome, error) {
            inner.error = error.chain().into();
        }
        if matches!(sent, Sent::Probe(_)) {
            inner.tally.probes = inner.tally.probes.saturating_add(1);
        }
        let change = inner.breaker.ended(sent, outcome, now, roll);
        let tally = inner.tally;
        if let Some(Change::Closed { .. }) = change {
            inner.closed_at = Some(now);
            inner.tally = Tally::default();
        }
        let error = Arc::clone(&inner.error);
        drop(inner);
        if let Some(change) = change {
            self.reporter.changed(&self.name, change, tally, &error, now);
            self.refuses.send_replace(!matches!(change, Change::Closed { .. }));
        }
        change
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Entry<'a> {
    /// Whether this call finds out whether the registry is back. Such a one must not wait for a change.
    pub(super) fn is_probe(&self) -> bool {
        matches!(self.sent, Sent::Probe(_))
    }

    /// The call is sent now; `waits`: for a change.
    pub(super) fn begin(&mut self, waits: bool) {
        if waits && self.sent == Sent::Call {
            self.sent = Sent::Watch;
        }
        if let Some(paid) = self.paid.take() {
            paid.spend();
        }
        self.counts = true;
        self.lane.lock().breaker.began(self.sent);
    }

    /// The call has ended so.
    pub(super) fn end<T>(mut self, result: &Result<T, Error>, purse: Option<&Purse>) {
        self.counts = false;
        let error = result.as_ref().err();
        let outcome = error.map_or(Outcome::Alive, |error| Outcome::of(error.kind()));
        let change = self.lane.ended(self.sent, outcome, error);
        if let Some(purse) = purse {
            match change {
                Some(Change::Closed { .. }) => purse.empty(Clock::now().into_std()),
                _ if result.is_ok() => purse.succeeded(),
                _ => {}
            }
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if std::mem::take(&mut self.counts) {
            self.lane.ended(self.sent, Outcome::Nothing, None);
        }
    }
}

async fn at(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

/// Nobody wants to read nanoseconds.
fn whole_millis(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
