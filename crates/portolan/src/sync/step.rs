//! Decides what one view does next. PURE: no I/O, no clock, no task, nothing random.
//!
//! In:  [`Input`]: an answer, an error, a timer, a use, a wish. Each comes with `now`, which never goes back, and a
//! `roll`. Out: [`Turn`]: what to publish, and what to do: ask, rest until, sleep. The loop in `sync.rs` obeys and adds
//! nothing.
//!
//! ```text
//! Start ─▶ Reading ── answer ──▶ publish ─▶ Waiting (a blocking read), or Resting (poll, on demand)
//!           │  ▲  └─ lower index, or too much lost ─▶ Reading (at once, then from the leaders) ─▶ publish, held
//!     error ▼  │ timer                   Waiting, Resting ── nobody uses it ──▶ Asleep ── a use ──▶ Reading
//!          Resting
//! ```
//!
//! Never: publishes an answer whose index went down without reading again from zero; believes a sudden loss after a
//! reconnect without asking once more; drops what is known because of an error; asks without a rate; lets anything but
//! the answers of its one line of reads change what is known: a read beside it may prove, and no more.
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
    mode::{Confirm, Mode},
    rate::Rate,
    rules::{self, Escalations, Rests},
};
use crate::{
    error::Kind,
    model::{Instance, ServiceName},
    registry::{Answer, AnswerMeta, Block, Consistency},
    roll::mix,
    snapshot::{Failure, Snapshot},
};

mod besides;
mod input;
mod marks;
mod reconcile;
mod wishes;

pub(crate) use input::{Ask, Event, Input, Next, Outcome, Served, Settings, Turn, Uses};
use marks::{Marks, Read};
pub(crate) use reconcile::Difference;
use reconcile::Reconcile;
use wishes::Wishes;

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
    /// Somebody wants to know what the leader has now.
    Wish,
    /// To compare what is known with what is there; changes nothing.
    Compare,
    /// They differ, and the watch did not bring it: the leader decides.
    Settle,
}

/// What the line of reads is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// A plain read is under way.
    Reading,
    /// A blocking read is open.
    Waiting,
    /// It will read when the timer comes: so soon it may not.
    Resting,
    /// It will read again when the timer comes: the last read failed.
    BackingOff,
    /// The last answer is good until the timer comes.
    Content,
    /// It will read when somebody uses the view.
    Asleep,
}

/// The state of one view.
#[derive(Clone, Debug)]
pub(crate) struct State {
    settings: Settings,
    why: Why,
    doing: Doing,
    /// The index to wait on; 0: do not wait.
    index: u64,
    marks: Marks,
    asked: Instant,
    rate: Rate,
    known: Known,
    escalations: Escalations,
    rests: Rests,
    reconcile: Reconcile,
    wishes: Wishes,
    uses: Uses,
    /// The tightest bound on age among its users.
    bound: Option<Duration>,
    used: Instant,
    roll: u64,
    snapshot: Snapshot,
}

impl State {
    /// A view of `service` that knows what `known` tells: nothing, or what it knew before it was started again.
    pub(crate) fn new(known: Snapshot, settings: Settings, now: Instant) -> Self {
        Self {
            why: Why::Anew,
            doing: Doing::Resting,
            index: 0,
            marks: Marks::new(known.freshness.index, known.freshness.streaming),
            asked: now,
            rate: Rate::new(now),
            known: Known::new(&known, now),
            escalations: Escalations::default(),
            rests: Rests::default(),
            reconcile: Reconcile::new(settings.reconcile),
            wishes: Wishes::default(),
            uses: Uses { used: true, followed: false },
            bound: None,
            used: now,
            roll: 0,
            settings,
            snapshot: known,
        }
    }

    /// Takes in what happened, and says what to do. Call it with answers in the order in which they were asked for.
    pub(crate) fn on(&mut self, input: Input, now: Instant, roll: u64) -> Turn {
        self.roll = roll;
        match input {
            Input::Start => self.ask(now),
            Input::Timer => self.timer(now),
            Input::Used => self.wake(now),
            Input::Wished(wish) => self.wished(wish, now),
            Input::Invalidated(wish) => self.invalidated(wish, now),
            Input::Suspended(gap) => self.suspended(gap, now),
            Input::Aside(result) => self.aside(result, now),
            Input::Failed { kind, text } => self.failed(kind, text, now),
            Input::Answer(answer) => {
                // What the read waited for the registry's return, or for its turn, is no cost of it.
                let sent = answer.meta.took.and_then(|took| now.checked_sub(took));
                self.rate.done(sent.unwrap_or(self.asked).max(self.asked), now, self.doing == Doing::Waiting);
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
            self.publish()
        })
    }

    /// The service this view is of.
    pub(crate) fn service(&self) -> &ServiceName {
        &self.snapshot.service
    }

    fn publish(&self) -> Arc<Snapshot> {
        Arc::new(self.snapshot.clone())
    }

    /// Asks as soon as the rate allows; or sleeps, when nobody cares for the answer.
    fn ask(&mut self, now: Instant) -> Turn {
        if self.is_idle(now) {
            self.doing = Doing::Asleep;
            return Turn { event: Some(Event::Dormant), ..Turn::next(Next::Sleep) };
        }
        let at = self.rate.next(now);
        if at > now {
            return self.rest_until(at, Doing::Resting);
        }
        self.rate.start(now);
        self.asked = now;
        let watches = self.settings.mode == Mode::Watch && self.index > 0;
        if self.why == Why::Follow && self.wishes.is_unattended() {
            self.why = Why::Wish;
        } else if self.why == Why::Follow && watches && self.reconcile.is_due(now, mix(self.roll)) {
            self.why = Why::Compare;
        }
        let block =
            (self.why == Why::Follow && watches).then(|| Block { index: self.index, wait: self.wait() });
        if block.is_none() {
            self.wishes.start();
        }
        self.doing = if block.is_some() { Doing::Waiting } else { Doing::Reading };
        let consistency = match self.why {
            Why::Follow | Why::Anew | Why::Compare => Consistency::Stale,
            Why::Confirm if self.settings.suspicion.confirm == Confirm::Leader => Consistency::Default,
            Why::Confirm | Why::Settle => Consistency::Consistent,
            Why::Escalate | Why::Wish => Consistency::Default,
        };
        Turn::next(Next::Ask(Ask { block, consistency }))
    }

    /// Asks again at once, without waiting for a change.
    fn ask_from_zero(&mut self, why: Why, now: Instant) -> Turn {
        self.why = why;
        self.index = 0;
        self.ask(now)
    }

    fn rest_until(&mut self, until: Instant, doing: Doing) -> Turn {
        self.doing = doing;
        Turn::next(Next::RestUntil(until))
    }

    fn is_idle(&self, now: Instant) -> bool {
        let unused = now.saturating_duration_since(self.used);
        self.settings.idle.is_some_and(|idle| unused >= idle)
            && !self.is_on_demand()
            && !self.uses.followed
            && !self.wishes.is_wanted()
            && matches!(self.why, Why::Follow | Why::Anew)
    }

    /// What follows an answer that was accepted.
    fn go_on(&mut self, now: Instant) -> Turn {
        if self.wishes.is_unattended() {
            return self.ask(now);
        }
        let is_absent = self.known.len() == 0 && self.snapshot.held.is_empty();
        match self.settings.mode.rest(is_absent, self.roll) {
            None => self.ask(now),
            Some(_) if self.wishes.is_doubted() => self.lapse(now),
            Some(rest) => self.rest_until(later(now, rest), Doing::Content),
        }
    }

    fn timer(&mut self, now: Instant) -> Turn {
        match self.doing {
            Doing::Content => self.lapse(now),
            // On demand a failed read is repeated for those who still want to know.
            Doing::BackingOff if self.is_on_demand() && !self.uses.used => self.sleep(),
            _ => self.ask(now),
        }
    }

    /// What is known has grown old: read again, or wait for somebody who wants to know.
    fn lapse(&mut self, now: Instant) -> Turn {
        if self.is_on_demand() && !self.uses.followed { self.sleep() } else { self.ask(now) }
    }

    fn is_on_demand(&self) -> bool {
        matches!(self.settings.mode, Mode::OnDemand { .. })
    }

    fn sleep(&mut self) -> Turn {
        self.doing = Doing::Asleep;
        Turn::next(Next::Sleep)
    }

    fn judge(&mut self, answer: Answer<Vec<Arc<Instance>>>, now: Instant) -> Turn {
        let Answer { value: instances, meta } = answer;
        let read = if self.doing == Doing::Waiting { Read::Blocking } else { Read::Plain };
        if self.why == Why::Compare {
            return self.compare(&instances, &meta, now);
        }
        if self.why == Why::Follow && meta.index < self.index {
            // A restored snapshot, another server, a bad follower: whatever it holds, it is not the next page of what
            // we read. Its content is not even looked at (Consul: features/blocking.mdx; hashicorp/consul#20790).
            let times = self.marks.went_back(now);
            let event = Some(Event::IndexWentBack { had: self.index, got: meta.index, times });
            return Turn { event, ..self.ask_from_zero(Why::Anew, now) };
        }
        let went_back = self.marks.is_below(meta.index, read);
        let suspect = self.is_suspect(&instances, meta.index, went_back);
        if suspect && self.settings.suspicion.confirm != Confirm::Off {
            let event = Some(Event::Suspect { had: self.known.len(), got: instances.len() });
            return Turn { event, ..self.ask_from_zero(Why::Confirm, now) };
        }
        let from_any = matches!(self.why, Why::Follow | Why::Anew);
        if from_any && self.escalations.is_due(&meta, self.settings.max_stale, now) {
            return self.ask_from_zero(Why::Escalate, now);
        }
        // Losses that came with a lower index may be registrants that have not returned yet.
        let hold = ((suspect || self.why == Why::Confirm) && went_back).then_some(self.settings.hold);
        self.marks.believe(meta.index, read, meta.streaming);
        self.accept(instances, &meta, hold, now)
    }

    /// Whether an answer is not to be believed before the leaders have confirmed it.
    ///
    /// One from before what is known: a server that was started again shows every state of its past while it replays its
    /// log, and calls itself the leader meanwhile (seen: Consul 1.8.7). Where its index cannot tell, its content must. Or
    /// one that loses too much at once, after a break.
    fn is_suspect(&self, instances: &[Arc<Instance>], index: u64, went_back: bool) -> bool {
        let after_a_break = matches!(self.why, Why::Anew | Why::Escalate);
        let earlier = went_back || self.marks.may_be_below(index) && self.known.differs(instances);
        earlier && (after_a_break || self.why == Why::Wish)
            || after_a_break && self.known.is_mass_loss(instances, self.settings.suspicion)
    }

    /// The watch goes on from its own index, whatever this read shows.
    fn compare(&mut self, instances: &[Arc<Instance>], meta: &AnswerMeta, now: Instant) -> Turn {
        let bound = self.settings.max_stale;
        // An old answer may lack what the watch has brought since, and prove what has long changed.
        let is_old = meta.last_contact.is_some_and(|age| bound.is_some_and(|bound| age > bound))
            || self.marks.is_below(meta.index, Read::Plain);
        let same = !is_old && self.reconcile.compare(&self.snapshot.instances, instances);
        let publish = if same { self.prove(meta, now) } else { None };
        self.why = Why::Follow;
        Turn { publish, ..self.ask(now) }
    }

    fn accept(
        &mut self,
        instances: Vec<Arc<Instance>>,
        meta: &AnswerMeta,
        hold: Option<Duration>,
        now: Instant,
    ) -> Turn {
        let hidden = rules::hidden(meta, instances.is_empty());
        let missed = if self.why == Why::Settle { self.reconcile.missed(&instances) } else { Vec::new() };
        let recovered = self.snapshot.failure.take().map(|_| Event::Recovered);
        self.rests.end();
        let served = if self.doing == Doing::Reading { self.wishes.end(None) } else { None };
        let watched = self.doing == Doing::Waiting;
        self.known.replace(instances, hold, now);
        self.why = Why::Follow;
        self.index = meta.index.max(1);
        self.snapshot.instances = self.known.confirmed();
        self.snapshot.held = self.known.held();
        self.snapshot.hidden = hidden;
        if self.known.len() > 0 {
            self.snapshot.last_seen = Some(now);
        }
        self.snapshot.freshness = Arc::new(rules::freshness(meta, now));
        self.admit_doubt();
        let publish = Some(self.publish());
        if watched && self.reconcile.is_left(&self.snapshot.instances) {
            return Turn { publish, served, event: recovered, ..self.ask_from_zero(Why::Settle, now) };
        }
        let event = if missed.is_empty() { recovered } else { Some(Event::Diverged(missed)) };
        let turn = self.go_on(now);
        Turn { publish, served, event: event.or(turn.event), ..turn }
    }

    fn failed(&mut self, kind: Kind, text: Arc<str>, now: Instant) -> Turn {
        let before = self.snapshot.failure.take();
        let event = before.is_none().then_some(Event::Failing);
        let (since, count) = before.map_or((now, 0), |failure| (failure.since, failure.count));
        let pause = self.rests.after(kind, self.roll);
        let failure = Failure { kind, text, since, count: count.saturating_add(1) };
        let served = if self.doing == Doing::Reading { self.wishes.end(Some(&failure)) } else { None };
        self.snapshot.failure = Some(failure);
        self.reconcile.forget();
        // What was missed meanwhile is learnt by reading anew: an old index may lie beyond what a restarted registry
        // has, and waiting on it would be waiting for nothing.
        self.why = Why::Anew;
        self.index = 0;
        let rest = self.rest_until(later(now, pause), Doing::BackingOff);
        Turn { publish: Some(self.publish()), event, served, ..rest }
    }
}

fn later(now: Instant, rest: Duration) -> Instant {
    now.checked_add(rest).unwrap_or(now)
}

#[cfg(test)]
mod explore;
#[cfg(test)]
mod tests;
