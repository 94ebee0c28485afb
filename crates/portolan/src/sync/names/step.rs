//! Decides what the watch of the list of services does next. PURE: no I/O, no clock, no task, nothing random.
//!
//! In:  [`Input`]: an answer, an error, a timer, a use after a sleep. Each comes with `now`, which never goes back.
//! Out: [`Turn`]: what to publish, and what to do: ask, rest, or sleep until somebody uses it. The loop in
//! `sync/names.rs` obeys and adds nothing.
//!
//! The rules are those of a view (`sync/step.rs`), and one more. The list has one index, which moves with any change of
//! any service, so most answers hold nothing new. Each such answer makes the gap before the next read longer, up to a
//! second; from there on the list is read without waiting, so that the gap follows what a read really costs.
//!
//! Never: publishes an answer whose index went down without reading again from zero; believes a sudden loss after a
//! reconnect without asking once more; drops what is known because of an error; asks without a rate.
//!
//! Rules from Consul 1.21: website/content/api-docs/features/blocking.mdx, agent/consul/state/catalog.go `Services`.
//! Proof: `step/tests.rs`, a test for each rule and a property against a model registry.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::known::Known;
use crate::{
    error::Kind,
    registry::{Answer, AnswerMeta, Block, Consistency, ServiceTags},
    snapshot::{Catalog, Failure},
    sync::{
        rate::Rate,
        rules::{self, Escalations, Rests},
        step::{Ask, Settings},
    },
};

/// The gap after the first answer in a row that was woken for nothing; twice as long after each further one.
const FIRST_GAP: Duration = Duration::from_millis(250);
/// No such gap is longer: a new service is noticed no later than this. (What a read costs may ask for more.)
const LONGEST_GAP: Duration = Duration::from_secs(1);
/// After so many in a row, waiting is for nothing: the next read does not wait.
const FRUITLESS: u32 = 3;
/// A list that nobody used for so long is followed no more, until somebody does.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// What happened.
#[derive(Debug)]
pub(crate) enum Input {
    /// The loop begins.
    Start,
    /// The read that was asked for came back.
    Answer(Answer<ServiceTags>),
    /// It failed.
    Failed { kind: Kind, text: Arc<str> },
    /// The rest is over.
    Timer,
    /// Somebody uses the list after a sleep.
    Woken,
}

/// What to do about it.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The newest list, if anything about it differs from the last.
    pub(crate) publish: Option<Arc<Catalog>>,
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
    /// Come back with [`Input::Woken`] when somebody uses the list.
    Sleep,
}

/// What an operator wants to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The index went down.
    IndexWentBack { had: u64, got: u64 },
    /// An answer is of an earlier state, or lost too much, to be believed at once.
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
    /// After a start, an error, a sleep or a lower index: the answer may come from another life of the registry.
    Anew,
    /// The last answer was suspect: this one, from the leader, is believed.
    Confirm,
    /// The last answer was too old: this one is from the leader.
    Escalate,
}

/// The state of one watch.
#[derive(Debug)]
pub(crate) struct State {
    settings: Settings,
    why: Why,
    /// The index to wait on; 0: do not wait.
    index: u64,
    /// The highest index that was believed; a lower one is another life of the registry.
    believed: u64,
    asked: Instant,
    /// Whether the read that was asked for may wait.
    waits: bool,
    rate: Rate,
    /// Answers in a row whose index moved though nothing differs.
    fruitless: u32,
    /// No read before this.
    not_before: Instant,
    /// When somebody was last seen to use the list.
    used: Instant,
    known: Known,
    escalations: Escalations,
    rests: Rests,
    catalog: Catalog,
}

impl State {
    /// A watch that knows what `known` tells: nothing, or what it knew before it was started again.
    pub(crate) fn new(known: Catalog, settings: Settings, now: Instant) -> Self {
        Self {
            settings,
            why: Why::Anew,
            index: 0,
            believed: known.freshness.index,
            asked: now,
            waits: false,
            rate: Rate::new(now),
            fruitless: 0,
            not_before: now,
            used: now,
            known: Known::new(&known, now),
            escalations: Escalations::default(),
            rests: Rests::default(),
            catalog: known,
        }
    }

    /// Somebody used the list lately, or holds a handle to it.
    pub(crate) fn used(&mut self, now: Instant) {
        self.used = now;
    }

    /// Takes in what happened, and says what to do. Call it with answers in the order in which they were asked for.
    pub(crate) fn on(&mut self, input: Input, now: Instant, roll: u64) -> Turn {
        match input {
            Input::Start | Input::Timer => self.ask(now),
            Input::Woken => {
                self.used = now;
                self.ask_from_zero(Why::Anew, now, None)
            }
            Input::Failed { kind, text } => self.failed(kind, text, now, roll),
            Input::Answer(answer) => {
                self.rate.done(self.asked, now, self.waits);
                self.judge(answer, now)
            }
        }
    }

    /// When [`State::expire`] must be called, if nothing else happens before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.known.hold_ends()
    }

    /// Ends a hold whose time is over, whatever else goes on, and says what to publish.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Arc<Catalog>> {
        self.known.release(now).then(|| {
            self.catalog.held = self.known.held();
            Arc::new(self.catalog.clone())
        })
    }

    fn ask(&mut self, now: Instant) -> Turn {
        if now.saturating_duration_since(self.used) >= IDLE {
            return self.sleep();
        }
        let at = self.rate.next(now).max(self.not_before);
        if at > now {
            return Turn { publish: None, next: Next::RestUntil(at), event: None };
        }
        self.rate.start(now);
        self.asked = now;
        self.waits = self.index > 0 && self.fruitless < FRUITLESS;
        let block = self.waits.then_some(Block { index: self.index, wait: self.settings.wait });
        let consistency = match self.why {
            Why::Follow | Why::Anew => Consistency::Stale,
            Why::Confirm => Consistency::Consistent,
            Why::Escalate => Consistency::Default,
        };
        Turn { publish: None, next: Next::Ask(Ask { block, consistency }), event: None }
    }

    fn sleep(&mut self) -> Turn {
        self.catalog.asleep = true;
        Turn { publish: Some(Arc::new(self.catalog.clone())), next: Next::Sleep, event: None }
    }

    /// Asks again at once, without waiting for a change.
    fn ask_from_zero(&mut self, why: Why, now: Instant, event: Option<Event>) -> Turn {
        self.why = why;
        self.index = 0;
        self.fruitless = 0;
        self.not_before = now;
        Turn { event, ..self.ask(now) }
    }

    fn judge(&mut self, answer: Answer<ServiceTags>, now: Instant) -> Turn {
        let Answer { value: services, meta } = answer;
        let went_back = meta.index < self.believed;
        if self.why == Why::Follow && went_back {
            // A restored snapshot, another server, a bad follower: whatever it holds, it is not the next page of what
            // we read. Its content is not even looked at (Consul: features/blocking.mdx; hashicorp/consul#20790).
            let event = Event::IndexWentBack { had: self.believed, got: meta.index };
            return self.ask_from_zero(Why::Anew, now, Some(event));
        }
        let after_a_break = matches!(self.why, Why::Anew | Why::Escalate);
        if after_a_break && self.known.is_suspect(&services, went_back) {
            let event = Event::Suspect { had: self.known.len(), got: services.len() };
            return self.ask_from_zero(Why::Confirm, now, Some(event));
        }
        let from_any = matches!(self.why, Why::Follow | Why::Anew);
        if from_any && self.escalations.is_due(&meta, self.settings.max_stale, now) {
            return self.ask_from_zero(Why::Escalate, now, None);
        }
        self.accept(services, &meta, went_back, now)
    }

    fn accept(&mut self, services: ServiceTags, meta: &AnswerMeta, went_back: bool, now: Instant) -> Turn {
        // Losses that came with a lower index may be registrants that have not returned yet.
        let hold = (self.why == Why::Confirm && went_back).then_some(self.settings.hold);
        let recovered = self.catalog.failure.take().map(|_| Event::Recovered);
        self.rests.end();
        self.catalog.hidden = rules::hidden(meta, services.is_empty());
        let changed = self.known.replace(services, hold, now);
        let moved = self.why == Why::Follow && meta.index > self.index;
        self.fruitless = if moved && !changed { self.fruitless.saturating_add(1) } else { 0 };
        self.not_before = now.checked_add(gap(self.fruitless)).unwrap_or(now);
        self.why = Why::Follow;
        self.index = meta.index.max(1);
        self.believed = self.index;
        self.catalog.services = self.known.confirmed();
        self.catalog.held = self.known.held();
        self.catalog.freshness = rules::freshness(meta, now);
        self.catalog.asleep = false;
        // Taken before the next question: that may be to sleep, which says so itself.
        let news = Arc::new(self.catalog.clone());
        let turn = self.ask(now);
        Turn { publish: turn.publish.or(Some(news)), event: recovered, next: turn.next }
    }

    fn failed(&mut self, kind: Kind, text: Arc<str>, now: Instant, roll: u64) -> Turn {
        let before = self.catalog.failure.take();
        let event = before.is_none().then_some(Event::Failing);
        let (since, count) = before.map_or((now, 0), |failure| (failure.since, failure.count));
        let count = count.saturating_add(1);
        let pause = self.rests.after(kind, roll);
        self.catalog.failure = Some(Failure { kind, text, since, count });
        // What was missed meanwhile is learnt by reading anew: an old index may lie beyond what a restarted registry
        // has, and waiting on it would be waiting for nothing.
        self.why = Why::Anew;
        self.index = 0;
        self.fruitless = 0;
        let until = now.checked_add(pause).unwrap_or(now);
        Turn { publish: Some(Arc::new(self.catalog.clone())), next: Next::RestUntil(until), event }
    }
}

/// The gap after this many answers in a row that were woken for nothing.
fn gap(fruitless: u32) -> Duration {
    let Some(doublings) = fruitless.checked_sub(1) else { return Duration::ZERO };
    FIRST_GAP.saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(LONGEST_GAP)
}

#[cfg(test)]
mod tests;
