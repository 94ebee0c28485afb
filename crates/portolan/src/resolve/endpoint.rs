//! An instance as a caller gets it: with its freshness, its load, and a guard that counts a request and takes its outcome.
//!
//! In:  picks, and what came of them. Out: counts that the other picks go by. Never: a request that is in flight for ever;
//! one that is counted as a success because nobody said what came of it.

use std::{
    fmt,
    ops::Deref,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;

use super::{load::Load, selection::Mark};
use crate::{
    model::{Instance, SplitPart},
    snapshot::Freshness,
    telemetry,
};

/// What is true of all endpoints of a selection alike, changed in place by the resolver's task: an answer that only
/// confirms ten thousand instances makes none of them anew, and an endpoint that somebody keeps goes on to say the truth.
#[derive(Debug)]
pub(super) struct About(ArcSwap<State>);

/// Freshness and mark, changed together.
#[derive(Debug)]
struct State {
    freshness: Arc<Freshness>,
    mark: Mark,
}

impl About {
    pub(super) fn new(freshness: Arc<Freshness>, mark: Mark) -> Self {
        Self(ArcSwap::from_pointee(State { freshness, mark }))
    }

    pub(super) fn tell(&self, freshness: &Arc<Freshness>, mark: Mark) {
        let now = self.0.load();
        if now.mark != mark || !Arc::ptr_eq(&now.freshness, freshness) {
            self.0.store(Arc::new(State { freshness: Arc::clone(freshness), mark }));
        }
    }

    pub(super) fn freshness(&self) -> Arc<Freshness> {
        Arc::clone(&self.0.load().freshness)
    }

    pub(super) fn mark(&self) -> Mark {
        self.0.load().mark
    }
}

/// An instance that can be picked. Dereferences to the [`Instance`].
#[derive(Debug)]
pub struct Endpoint {
    instance: Arc<Instance>,
    about: Arc<About>,
    pub(super) load: Arc<Load>,
    /// Its part of all weights.
    share: f32,
    part: Option<Arc<SplitPart>>,
}

impl Endpoint {
    pub(super) fn new(instance: &Arc<Instance>, about: &Arc<About>, load: Arc<Load>, share: f32) -> Self {
        Self { instance: Arc::clone(instance), about: Arc::clone(about), load, share, part: None }
    }

    /// The same in a part of a split.
    pub(super) fn in_part(mut self, part: Option<Arc<SplitPart>>) -> Self {
        self.part = part;
        self
    }

    /// Has its line of the cache brought near while something else is waited for.
    #[inline]
    pub(super) fn fetch(&self) {
        std::hint::black_box(self.share);
    }

    /// How many requests it may have in flight, when each may have so many percent of its share of all.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; as saturates")]
    pub(super) fn bound(&self, percent: u32) -> u32 {
        let all = self.load.all_bounded().saturating_add(1) as f32;
        let bound = all * self.share * percent as f32 / 100.0;
        (bound.ceil() as u32).max(1)
    }

    /// The instance as the registry tells it, to keep.
    #[must_use]
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// Age, source and index of what is known about it: as they were when it was picked, or newer.
    #[must_use]
    pub fn freshness(&self) -> Arc<Freshness> {
        self.about.freshness()
    }

    /// Whether this is an ordinary pick: as it was when it was picked, or newer.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.about.mark()
    }

    /// Its share of the picks by weights, preferences and split, when it was chosen from: 0 to 1. By load or by a key it
    /// may get other than that; one that others are preferred to has 0.
    #[must_use]
    pub fn share(&self) -> f32 {
        self.share
    }

    /// The part of the split that it was picked from; `None` without a split.
    #[must_use]
    pub fn part(&self) -> Option<&SplitPart> {
        self.part.as_deref()
    }

    /// Whether it was ejected, and is tried with one request at a time.
    #[must_use]
    pub fn is_on_trial(&self) -> bool {
        self.load.is_on_trial()
    }

    /// Adds an event to the span of the caller, at level debug: what was picked, from which source what is known of it
    /// is, and how old that is. A lookup makes no event by itself: this reads a clock, and costs more than the pick.
    pub fn trace(&self) {
        if tracing::enabled!(tracing::Level::DEBUG) {
            let freshness = self.freshness();
            telemetry::lookup(&self.instance, freshness.source, freshness.age(now()));
        }
    }

    /// How many picks of it are alive now, in this process.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.load.in_flight()
    }
}

impl Deref for Endpoint {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        &self.instance
    }
}

/// A picked instance, which counts as a request in flight while this lives.
///
/// Hold it until the request is over, and say then what came of it: [`success`](Self::success) or
/// [`failure`](Self::failure). Dropped without a word it counts as cancelled: neither well nor ill.
///
/// Dereferences to the [`Endpoint`], and so to the [`Instance`].
pub struct Pick {
    endpoint: Arc<Endpoint>,
    debts: Debts,
}

/// What the end of a pick owes besides the count of what is in flight, in one word, so that a pick is two: mostly nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Debts(u64);

impl Debts {
    const NONE: Self = Self(0);
    /// It counts among those that are bounded by each other.
    const BOUNDED: u64 = 1;
    /// The policy goes by latency: the upper 62 bits say when it was picked.
    const TIMED: u64 = 2;

    fn new(since: Option<u64>, bounded: bool) -> Self {
        let timed = since.map_or(0, |nanos| (nanos << 2) | Self::TIMED);
        Self(timed | u64::from(bounded))
    }

    /// When it was picked, as [`Load::nanos`] counts, where that was asked.
    fn since(self) -> Option<u64> {
        (self.0 & Self::TIMED != 0).then_some(self.0 >> 2)
    }

    fn without_time(self) -> Self {
        Self(self.0 & Self::BOUNDED)
    }

    fn is_bounded(self) -> bool {
        self.0 & Self::BOUNDED != 0
    }
}

/// What went wrong with a request, on the instance's part. What the caller did wrong (a 404, an invalid argument) is
/// [`Pick::success`]: the instance did its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// No connection came about: nothing was sent, so that any request may be sent elsewhere.
    Connect,
    /// The connection broke when something was sent already.
    Broken,
    /// No answer in time.
    Timeout,
    /// An answer that says that the instance cannot: HTTP's 500, 502, 504; gRPC's `INTERNAL`, `UNAVAILABLE`.
    Answer,
    /// An answer that says that it is too busy: HTTP's 429, 503; gRPC's `RESOURCE_EXHAUSTED`.
    Overloaded,
}

impl FailureKind {
    /// Whether the instance may have begun to do what it was asked.
    #[must_use]
    pub fn was_sent(self) -> bool {
        !matches!(self, Self::Connect)
    }

    /// One word, for spans.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Broken => "broken",
            Self::Timeout => "timeout",
            Self::Answer => "answer",
            Self::Overloaded => "overloaded",
        }
    }
}

impl Pick {
    /// One whose load counts it already.
    #[inline]
    pub(super) fn counted(endpoint: Arc<Endpoint>, since: Option<Instant>, bounded: bool) -> Self {
        let debts =
            if since.is_none() && !bounded { Debts::NONE } else { owed(&endpoint.load, since, bounded) };
        Self { endpoint, debts }
    }

    /// The instance, to keep beyond the pick: then it counts as no request.
    #[must_use]
    pub fn endpoint(&self) -> Arc<Endpoint> {
        Arc::clone(&self.endpoint)
    }

    /// The request was answered after `latency`, counted from the pick: a policy that goes by latency takes it for news of that
    /// moment, however much later this is said.
    #[inline]
    pub fn success(mut self, latency: Duration) {
        let load = &self.endpoint.load;
        load.succeeded(latency);
        if let Some(since) = self.debts.since() {
            load.took(latency, since);
            self.debts = self.debts.without_time();
        }
    }

    /// The request failed. Where failures make an ejection, this is what it goes by: see
    /// [`Ejection`](crate::Ejection).
    pub fn failure(mut self, kind: FailureKind) {
        let load = &self.endpoint.load;
        load.failed();
        if let Some(since) = self.debts.since() {
            let now = now();
            load.failed_after(after(load, since, now), now);
            self.debts = self.debts.without_time();
        }
        tracing::debug!(id = %self.endpoint.identity.id, ?kind, "a request failed");
    }

    #[cold]
    fn settle(&self) {
        let load = &self.endpoint.load;
        if let Some(since) = self.debts.since() {
            let now = now();
            load.given_up(after(load, since, now), now);
        }
        if self.debts.is_bounded() {
            load.end_bounded();
        }
    }
}

fn owed(load: &Load, since: Option<Instant>, bounded: bool) -> Debts {
    if bounded {
        load.begin_bounded();
    }
    Debts::new(since.map(|since| load.nanos(since)), bounded)
}

fn after(load: &Load, since: u64, now: Instant) -> Duration {
    Duration::from_nanos(load.nanos(now).saturating_sub(since))
}

impl Drop for Pick {
    #[inline]
    fn drop(&mut self) {
        if self.debts != Debts::NONE {
            self.settle();
        }
        self.endpoint.load.end();
    }
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Deref for Pick {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl fmt::Debug for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pick").field(&self.endpoint.instance.identity).finish()
    }
}
