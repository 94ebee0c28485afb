//! Decides whether a service is ready. PURE: no I/O, no clock, no task.
//!
//! In:  what each need lacks as it is seen, with `now`. Out: events; the state; when to look again if nothing is seen
//! before.
//!
//! ```text
//! Waiting -- all required met --> Ready -- one lost --> Degraded (fail open), NotReady (fail closed)
//!                                   ^------- all met again ------|
//! ```
//!
//! Never: lets what flaps within `lost_after` be seen at all; changes the stage twice within `hold`; looks at a need that
//! was for the start only once the service has been ready; waits for an optional one.
//!
//! Proof: `step/tests.rs`: a table, and properties over any flapping.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use super::{
    Subject,
    config::{OnLoss, ReadyConfig},
    state::{NeedState, ReadyState, Stage},
};
use crate::{
    depend::graph::Lack,
    model::{Lasts, Need, ServiceName},
};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A need is met that was not.
    Met(Need),
    /// A need is lost that was met.
    Lost(Need, Lack),
    /// The stage is another one.
    Became(Stage),
}

/// A need, and how it counts.
#[derive(Clone, Debug)]
struct Watched {
    need: Need,
    met: bool,
    /// Since when it is seen otherwise than it counts.
    otherwise: Option<Instant>,
}

/// The readiness of one service.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    service: ServiceName,
    config: ReadyConfig,
    needs: Vec<Watched>,
    stage: Stage,
    /// When the stage changed last.
    changed: Option<Instant>,
}

impl Machine {
    pub(super) fn new(subject: &Subject) -> Self {
        let watched = |need: &Need| Watched { need: need.clone(), met: false, otherwise: None };
        Self {
            service: subject.me.service().clone(),
            config: subject.config,
            needs: subject.needs.iter().map(|(need, _)| watched(need)).collect(),
            stage: Stage::Waiting,
            changed: None,
        }
    }

    /// One that goes on from what another has published.
    pub(super) fn after(subject: &Subject, state: &ReadyState) -> Self {
        let mut machine = Self::new(subject);
        machine.stage = state.stage;
        for (watched, one) in machine.needs.iter_mut().zip(&state.needs) {
            watched.met = one.met;
        }
        machine
    }

    /// Takes in what each need lacks at `now`, which never goes back.
    pub(super) fn on(&mut self, lacks: &[Option<Lack>], now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        let waiting = self.stage == Stage::Waiting;
        for (watched, lack) in self.needs.iter_mut().zip(lacks) {
            if lack.is_none() == watched.met {
                watched.otherwise = None;
                continue;
            }
            let since = *watched.otherwise.get_or_insert(now);
            let bears = if waiting { Duration::ZERO } else { watched.bears(&self.config) };
            if now.saturating_duration_since(since) >= bears {
                watched.met = lack.is_none();
                watched.otherwise = None;
                events.push(match lack {
                    None => Event::Met(watched.need.clone()),
                    Some(lack) => Event::Lost(watched.need.clone(), lack.clone()),
                });
            }
        }
        let wanted = self.wanted();
        if wanted != self.stage && self.held_until().is_none_or(|until| until <= now) {
            self.stage = wanted;
            self.changed = Some(now);
            events.push(Event::Became(wanted));
        }
        events
    }

    /// Where the needs, as they count, put it.
    fn wanted(&self) -> Stage {
        let waiting = self.stage == Stage::Waiting;
        let counts =
            |one: &&Watched| one.need.is_required() && (waiting || one.need.lasts() == Lasts::Always);
        match (self.needs.iter().filter(counts).all(|one| one.met), waiting, self.config.on_loss) {
            (true, _, _) => Stage::Ready,
            (false, true, _) => Stage::Waiting,
            (false, false, OnLoss::FailOpen) => Stage::Degraded,
            (false, false, OnLoss::FailClosed) => Stage::NotReady,
        }
    }

    /// Until when the stage stays as it is.
    fn held_until(&self) -> Option<Instant> {
        self.changed?.checked_add(self.config.hold)
    }

    /// When to look again.
    pub(super) fn due(&self) -> Option<Instant> {
        let flips = self.needs.iter().filter_map(|one| one.otherwise?.checked_add(one.bears(&self.config)));
        let held = self.held_until().filter(|_| self.wanted() != self.stage);
        flips.chain(held).min()
    }

    /// What is told; `lacks` as they were seen last, or none where nothing has been seen yet.
    pub(super) fn state(&self, lacks: &[Option<Lack>]) -> ReadyState {
        let lacks = lacks.iter().cloned().chain(std::iter::repeat(Some(Lack::NotSeen)));
        let tell = |(one, lack): (&Watched, Option<Lack>)| NeedState {
            need: one.need.clone(),
            met: one.met,
            lack,
            none: None,
        };
        ReadyState {
            service: self.service.clone(),
            stage: self.stage,
            needs: self.needs.iter().zip(lacks).map(tell).collect(),
        }
    }
}

impl Watched {
    /// How long it may be seen otherwise before it counts so.
    fn bears(&self, config: &ReadyConfig) -> Duration {
        if self.met { config.lost_after } else { config.met_after }
    }
}

#[cfg(test)]
mod tests;
