//! Decides what one view does next. PURE: no I/O, no clock, no task, nothing random.
//!
//! In:  [`Input`]: an answer, an error, a timer. Each comes with `now`, which never goes back, and a `roll`.
//! Out: [`Turn`]: what to publish, and what to do: ask, or rest until. The loop in `sync.rs` obeys and adds nothing.
//!
//! ```text
//! Start ─▶ Asking ── answer ──▶ publish ─▶ Asking (blocking)
//!           │  ▲  └─ lower index, or too much lost ─▶ Asking (at once, then from the leaders) ─▶ publish, held
//!     error ▼  │ timer
//!          Resting
//! ```
//!
//! Never: publishes an answer whose index went down without reading again from zero; believes a sudden loss after a
//! reconnect without asking once more; drops what is known because of an error; asks without a rate.
//!
//! Rules from Consul 1.21: website/content/api-docs/features/blocking.mdx, agent/blockingquery/blockingquery.go.
//! Proof: `step/tests.rs`, a test for each numbered rule of COMPATIBILITY.md, and a property against a model registry.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    known::Known,
    rate::Rate,
    rules::{self, Escalations},
};
use crate::{
    error::Kind,
    model::{Instance, ServiceName},
    registry::{Answer, AnswerMeta, Block, Consistency},
    snapshot::{Failure, Snapshot},
};

/// What a view is set to.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How long a blocking read waits.
    pub(crate) wait: Duration,
    /// How old the answering server's knowledge may be before the leader is asked. `None`: any age.
    pub(crate) max_stale: Option<Duration>,
    /// How long instances are kept that vanished in a way that is not to be believed at once.
    pub(crate) hold: Duration,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Input {
    /// The loop begins.
    Start,
    /// The read that was asked for came back.
    Answer(Answer<Vec<Arc<Instance>>>),
    /// It failed.
    Failed { kind: Kind, text: Arc<str> },
    /// The rest is over.
    Timer,
}

/// What to do about it.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The newest snapshot, if it differs in anything from the last.
    pub(crate) publish: Option<Arc<Snapshot>>,
    /// And then.
    pub(crate) next: Next,
    /// Something to count and to log.
    pub(crate) event: Option<Event>,
}

/// What the loop does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Read, and come back with the answer or the error.
    Ask(Ask),
    /// Come back with [`Input::Timer`] then.
    RestUntil(Instant),
}

/// One read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) block: Option<Block>,
    pub(crate) consistency: Consistency,
}

/// What an operator wants to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The index went down.
    IndexWentBack { had: u64, got: u64 },
    /// An answer lost too much to be believed at once.
    Suspect { had: usize, got: usize },
    /// Reads began to fail.
    Failing,
    /// Reads succeed again.
    Recovered,
}

/// Why the next read is asked for; decides how its answer is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// The stream goes on: the answer is as good as the last.
    Follow,
    /// After a start, an error or a lower index: the answer may come from another life of the registry.
    Anew,
    /// The last answer was suspect: this one, from the leader, is believed.
    Confirm,
    /// The last answer was too old: this one is from the leader.
    Escalate,
}

/// The state of one view.
#[derive(Debug)]
pub(crate) struct State {
    settings: Settings,
    why: Why,
    /// The index to wait on; 0: do not wait.
    index: u64,
    /// The highest index that was believed; a lower one is another life of the registry.
    believed: u64,
    asked: Instant,
    rate: Rate,
    known: Known,
    escalations: Escalations,
    snapshot: Snapshot,
}

impl State {
    /// A view of `service` that knows what `known` tells: nothing, or what it knew before it was started again.
    pub(crate) fn new(known: Snapshot, settings: Settings, now: Instant) -> Self {
        Self {
            settings,
            why: Why::Anew,
            index: 0,
            believed: known.freshness.index,
            asked: now,
            rate: Rate::new(now),
            known: Known::new(&known, now),
            escalations: Escalations::default(),
            snapshot: known,
        }
    }

    /// Takes in what happened, and says what to do. Call it with answers in the order in which they were asked for.
    pub(crate) fn on(&mut self, input: Input, now: Instant, roll: u64) -> Turn {
        match input {
            Input::Start | Input::Timer => self.ask(now),
            Input::Failed { kind, text } => self.failed(kind, text, now, roll),
            Input::Answer(answer) => {
                self.rate.done(self.asked, now, self.index > 0);
                self.judge(answer, now)
            }
        }
    }

    /// When [`State::expire`] must be called, if nothing else happens before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.known.hold_ends()
    }

    /// Ends a hold whose time is over, whatever else goes on, and says what to publish.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Arc<Snapshot>> {
        self.known.release(now).then(|| {
            self.snapshot.held = self.known.held();
            Arc::new(self.snapshot.clone())
        })
    }

    /// Takes in what a cache remembers, if it is better than what is known: there is nothing live of this run, or it is
    /// older. Says what to publish. Whatever goes on goes on.
    pub(crate) fn remember(&mut self, cached: Snapshot, now: Instant) -> Option<Arc<Snapshot>> {
        let known = &self.snapshot.freshness;
        let newer = match (cached.freshness.age(now), known.age(now)) {
            (Some(cached), Some(known)) => cached < known,
            (cached, known) => cached.is_some() && known.is_none(),
        };
        if !newer || cached.service != self.snapshot.service {
            return None;
        }
        // Its index is of some life of the registry: an empty answer below it is to be confirmed first.
        self.believed = self.believed.max(cached.freshness.index);
        self.known = Known::new(&Snapshot { held: Arc::default(), ..cached.clone() }, now);
        self.snapshot.instances = self.known.confirmed();
        self.snapshot.held = self.known.held();
        self.snapshot.hidden = cached.hidden;
        self.snapshot.last_seen = self.snapshot.last_seen.max(cached.last_seen);
        self.snapshot.freshness = cached.freshness;
        Some(Arc::new(self.snapshot.clone()))
    }

    fn ask(&mut self, now: Instant) -> Turn {
        let at = self.rate.next(now);
        if at > now {
            return Turn { publish: None, next: Next::RestUntil(at), event: None };
        }
        self.rate.start(now);
        self.asked = now;
        let block = (self.index > 0).then_some(Block { index: self.index, wait: self.settings.wait });
        let consistency = match self.why {
            Why::Follow | Why::Anew => Consistency::Stale,
            Why::Confirm => Consistency::Consistent,
            Why::Escalate => Consistency::Default,
        };
        Turn { publish: None, next: Next::Ask(Ask { block, consistency }), event: None }
    }

    /// Asks again at once, without waiting for a change.
    fn ask_from_zero(&mut self, why: Why, now: Instant, event: Option<Event>) -> Turn {
        self.why = why;
        self.index = 0;
        Turn { event, ..self.ask(now) }
    }

    fn judge(&mut self, answer: Answer<Vec<Arc<Instance>>>, now: Instant) -> Turn {
        let Answer { value: instances, meta } = answer;
        let went_back = meta.index < self.believed;
        if self.why == Why::Follow && meta.index < self.index {
            // A restored snapshot, another server, a bad follower: whatever it holds, it is not the next page of what
            // we read. Its content is not even looked at (Consul: features/blocking.mdx; hashicorp/consul#20790).
            let event = Event::IndexWentBack { had: self.index, got: meta.index };
            return self.ask_from_zero(Why::Anew, now, Some(event));
        }
        let after_a_break = matches!(self.why, Why::Anew | Why::Escalate);
        if after_a_break && self.known.is_suspect(&instances, went_back) {
            let event = Event::Suspect { had: self.known.len(), got: instances.len() };
            return self.ask_from_zero(Why::Confirm, now, Some(event));
        }
        let from_any = matches!(self.why, Why::Follow | Why::Anew);
        if from_any && self.escalations.is_due(&meta, self.settings.max_stale, now) {
            return self.ask_from_zero(Why::Escalate, now, None);
        }
        self.accept(instances, &meta, went_back, now)
    }

    fn accept(
        &mut self,
        instances: Vec<Arc<Instance>>,
        meta: &AnswerMeta,
        went_back: bool,
        now: Instant,
    ) -> Turn {
        // Losses that came with a lower index may be registrants that have not returned yet.
        let hold = (self.why == Why::Confirm && went_back).then_some(self.settings.hold);
        let hidden = rules::hidden(meta, instances.is_empty());
        let recovered = self.snapshot.failure.take().map(|_| Event::Recovered);
        self.known.replace(instances, hold, now);
        self.why = Why::Follow;
        self.index = meta.index.max(1);
        self.believed = self.index;
        self.snapshot.instances = self.known.confirmed();
        self.snapshot.held = self.known.held();
        self.snapshot.hidden = hidden;
        if self.known.len() > 0 {
            self.snapshot.last_seen = Some(now);
        }
        self.snapshot.freshness = Arc::new(rules::freshness(meta, now));
        let publish = Some(Arc::new(self.snapshot.clone()));
        Turn { publish, event: recovered, ..self.ask(now) }
    }

    fn failed(&mut self, kind: Kind, text: Arc<str>, now: Instant, roll: u64) -> Turn {
        let before = self.snapshot.failure.take();
        let event = before.is_none().then_some(Event::Failing);
        let (since, count) = before.map_or((now, 0), |failure| (failure.since, failure.count));
        let pause = rules::rest(kind, count.saturating_add(1), roll);
        self.snapshot.failure = Some(Failure { kind, text, since, count: count.saturating_add(1) });
        // What was missed meanwhile is learnt by reading anew: an old index may lie beyond what a restarted registry
        // has, and waiting on it would be waiting for nothing.
        self.why = Why::Anew;
        self.index = 0;
        let until = now.checked_add(pause).unwrap_or(now);
        Turn { publish: Some(Arc::new(self.snapshot.clone())), next: Next::RestUntil(until), event }
    }

    /// The service this view is of.
    pub(crate) fn service(&self) -> &ServiceName {
        &self.snapshot.service
    }
}

#[cfg(test)]
mod tests;
