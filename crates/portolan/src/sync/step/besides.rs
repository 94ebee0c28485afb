//! What happens to a view besides its reads: what caches remember, who uses it, who wishes, a clock that stood still.
//! PURE, a part of the machine in `step.rs`.
//!
//! Never: drops an open watch because somebody wishes; lets a copy replace what is newer; forgets an instance.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Ask, Doing, Event, Next, Outcome, State, Turn, Uses, Why, marks::Read, reconcile::differences};
use crate::{
    model::Instance,
    registry::{Answer, AnswerMeta, Consistency},
    snapshot::{Failure, Snapshot, Source},
    sync::{known::Known, rules},
};

impl State {
    /// Takes in who used the view since the last input. Call it before [`State::on`].
    pub(crate) fn uses(&mut self, uses: Uses, now: Instant) {
        self.uses = uses;
        if uses.used {
            self.used = now;
        }
    }

    /// What its users bear as age: the next read waits at most half of it, so that one proof may be lost.
    pub(crate) fn bound(&mut self, tightest: Option<Duration>) {
        self.bound = tightest;
    }

    /// How long a blocking read waits.
    pub(super) fn wait(&self) -> Duration {
        let wait = self.settings.jittered_wait(self.roll);
        self.bound.map_or(wait, |bound| wait.min(bound.checked_div(2).unwrap_or(wait)))
    }

    /// Takes in what a cache remembers, if it is better than what is known: there is nothing live of this run, or it is
    /// older. Says what to publish. Whatever goes on goes on.
    pub(crate) fn remember(&mut self, cached: Snapshot, now: Instant) -> Option<Arc<Snapshot>> {
        let known = &self.snapshot.freshness;
        let newer = match (cached.freshness.age(now), known.age(now)) {
            (Some(cached), Some(known)) => cached < known,
            (cached, known) => cached.is_some() && known.is_none(),
        };
        // What was called out of date is still newer than a copy of it.
        let worse = !newer || self.wishes.is_doubted() && known.source != Source::Nothing;
        if worse || cached.service != self.snapshot.service {
            return None;
        }
        // Its index is of some life of the registry: an empty answer below it is to be confirmed first.
        self.marks.remember(cached.freshness.index, cached.freshness.streaming);
        self.reconcile.forget();
        self.known = Known::new(&Snapshot { held: Arc::default(), ..cached.clone() }, now);
        self.snapshot.instances = self.known.confirmed();
        self.snapshot.held = self.known.held();
        self.snapshot.hidden = cached.hidden;
        self.snapshot.last_seen = self.snapshot.last_seen.max(cached.last_seen);
        self.snapshot.freshness = cached.freshness;
        self.admit_doubt();
        Some(self.publish())
    }

    pub(super) fn wake(&mut self, now: Instant) -> Turn {
        self.used = now;
        if self.doing != Doing::Asleep {
            return Turn::next(Next::GoOn);
        }
        if self.is_on_demand() {
            return self.ask(now);
        }
        // Whatever happened meanwhile was not watched.
        let turn = self.ask_from_zero(Why::Anew, now);
        Turn { event: Some(Event::Awake), ..turn }
    }

    pub(super) fn wished(&mut self, wish: u64, now: Instant) -> Turn {
        self.wishes.want(wish);
        match self.doing {
            Doing::Waiting => self.start_aside(now),
            Doing::Reading => Turn::next(Next::GoOn),
            Doing::Resting | Doing::BackingOff | Doing::Content => self.ask(now),
            Doing::Asleep => self.wake(now),
        }
    }

    /// A watch is not dropped for a wish: cancelled waits cost the servers (hashicorp/consul#8524, #9647).
    fn start_aside(&mut self, now: Instant) -> Turn {
        if !self.wishes.start_aside() {
            return Turn::next(Next::GoOn);
        }
        let at = self.rate.next(now);
        self.rate.start(at);
        let aside = Some((at, Ask { block: None, consistency: Consistency::Default }));
        Turn { aside, ..Turn::next(Next::GoOn) }
    }

    pub(super) fn aside(&mut self, result: Outcome, now: Instant) -> Turn {
        let shows_the_same = |answer: &Answer<Vec<Arc<Instance>>>| {
            !self.marks.is_below(answer.meta.index, Read::Plain)
                && differences(&self.snapshot.instances, &answer.value).is_empty()
        };
        let is_proof = result.as_ref().is_ok_and(shows_the_same);
        let (served, publish) = match result {
            Ok(answer) if is_proof => (self.wishes.end_aside(None), self.prove(&answer.meta, now)),
            Ok(_) => {
                // It may be newer or older than what the watch is about to tell: only the one line of reads can say.
                self.wishes.void_aside();
                let waits = self.doing == Doing::Waiting;
                return if waits { self.ask_from_zero(Why::Wish, now) } else { Turn::next(Next::GoOn) };
            }
            Err((kind, text)) => {
                let failure = Failure { kind, text, since: now, count: 1 };
                (self.wishes.end_aside(Some(&failure)), None)
            }
        };
        let turn = if self.doing == Doing::Waiting { self.start_aside(now) } else { Turn::next(Next::GoOn) };
        Turn { publish, served, ..turn }
    }

    /// A read showed exactly what is known: it is as new as that read, if that is newer.
    pub(super) fn prove(&mut self, meta: &AnswerMeta, now: Instant) -> Option<Arc<Snapshot>> {
        let mut proof = rules::freshness(meta, now);
        proof.index = self.snapshot.freshness.index;
        if self.wishes.is_doubted() || proof.age(now) >= self.snapshot.freshness.age(now) {
            return None;
        }
        self.snapshot.freshness = Arc::new(proof);
        Some(self.publish())
    }

    pub(super) fn invalidated(&mut self, wish: u64, now: Instant) -> Turn {
        self.wishes.doubt(wish);
        self.admit_doubt();
        let turn = match self.doing {
            _ if !self.is_on_demand() && self.doing != Doing::Asleep => self.wished(wish, now),
            Doing::Content => self.lapse(now),
            _ => Turn::next(Next::GoOn),
        };
        Turn { publish: Some(self.publish()), ..turn }
    }

    /// What was called out of date is older than any bound until it is read again.
    pub(super) fn admit_doubt(&mut self) {
        if self.wishes.is_doubted() && self.snapshot.freshness.source != Source::Nothing {
            Arc::make_mut(&mut self.snapshot.freshness).admitted = Duration::MAX;
        }
    }

    /// The clock stood still for `gap` while the world went on; connections may be dead without a word.
    pub(super) fn suspended(&mut self, gap: Duration, now: Instant) -> Turn {
        let freshness = Arc::make_mut(&mut self.snapshot.freshness);
        if freshness.confirmed.is_some() {
            freshness.admitted = freshness.admitted.saturating_add(gap);
        }
        let turn = match self.doing {
            Doing::Asleep => Turn::next(Next::GoOn),
            Doing::Content if self.is_on_demand() => self.lapse(now),
            _ => self.ask_from_zero(Why::Anew, now),
        };
        Turn { publish: Some(self.publish()), ..turn }
    }
}
