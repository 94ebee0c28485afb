//! One registration in the table: its machine, and what is known of it besides.
//!
//! In:  what sweeps found. Out: the call that is due, with what is to be sent.
//!
//! Never: sends a status that was not the last one known; ends a maintenance that somebody else began.
//!
//! Proof: `table/tests.rs`, and `keeper/tests.rs`.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use tokio::sync::watch;

use super::{Job, Node};
use crate::{
    model::{CheckId, ServiceId, Status},
    register::{
        RegistrationState,
        drift::{self, Held},
        heartbeat::Beat,
        step::{Effect, Input, Machine, Reason, is_own},
    },
    registry::{Definition, Registered},
};

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) number: u64,
    pub(super) definition: Arc<Definition>,
    pub(super) machine: Machine,
    pub(super) beats: Vec<Beat>,
    pub(super) state: watch::Sender<RegistrationState>,
    /// The agent that it was sent to, where that is known.
    pub(super) home: Option<Node>,
    /// Its dead predecessors were looked for.
    pub(super) succeeded: bool,
    /// The last that a sweep has seen of it.
    seen: Seen,
}

#[derive(Debug, Default)]
struct Seen {
    statuses: BTreeMap<CheckId, Status>,
    /// Why somebody else has taken it out of service.
    maintenance: Option<String>,
    /// Its tags, where they belong to the catalogue.
    tags: Option<Vec<String>>,
}

impl Slot {
    pub(super) fn new(
        number: u64,
        definition: Arc<Definition>,
        machine: Machine,
        beats: Vec<Beat>,
        state: watch::Sender<RegistrationState>,
    ) -> Self {
        let seen = Seen::default();
        Self { number, definition, machine, beats, state, home: None, succeeded: false, seen }
    }

    pub(super) fn id(&self) -> &ServiceId {
        &self.definition.id
    }

    /// The call that is due. `agent` is who answered last.
    pub(super) fn take_call(&mut self, now: Instant, agent: Option<&Node>) -> Option<Job> {
        let definition = || Arc::clone(&self.definition);
        Some(match self.machine.take(now)? {
            Effect::Send(reason) => Job::Send(Box::new(self.to_send(reason)), reason),
            Effect::Look => Job::Look(definition()),
            Effect::Search => {
                let unknown = || Node::from("");
                let (home, agent) = (self.home.clone(), agent.cloned());
                Job::Search(definition(), home.unwrap_or_else(unknown), agent.unwrap_or_else(unknown))
            }
            Effect::Announce => Job::Announce(self.id().clone()),
            Effect::Maintain => Job::Maintain(self.id().clone()),
            Effect::Remove => Job::Remove(definition()),
        })
    }

    /// A repair says of each check what was known of it last: an instance that was healthy is not critical until its
    /// check has run again. And one that an operator took out of service stays out.
    fn to_send(&self, reason: Reason) -> Definition {
        let mut definition = (*self.definition).clone();
        if !self.machine.is_shut() {
            definition.maintenance = None;
        }
        if reason != Reason::New {
            for check in &mut definition.checks {
                let said = self.beats.iter().find(|beat| *beat.check() == check.id).map(Beat::status);
                check.check.initial =
                    said.or_else(|| self.seen.statuses.get(&check.id).copied()).or(check.check.initial);
            }
            definition.maintenance = definition.maintenance.or_else(|| self.seen.maintenance.clone());
        }
        if let (Reason::Drift, Some(tags)) = (reason, &self.seen.tags) {
            definition.tags.clone_from(tags);
        }
        definition
    }

    /// Takes in what a sweep found under its id. `agent`: who was asked, if that is known.
    pub(super) fn swept(&mut self, found: Option<&Registered>, agent: Option<&Node>, now: Instant) -> Input {
        let Some(found) = found else {
            // Where nobody knows who took it, the catalogue may.
            let elsewhere = agent.is_some_and(|agent| match &self.home {
                Some(home) => home != agent,
                None => self.machine.is_touched(),
            });
            return if elsewhere { Input::OtherAgent } else { Input::SweepMissing };
        };
        let held = drift::compare(&self.definition, found);
        if !matches!(held, Held::Foreign(_) | Held::Critical(_)) {
            self.remember(found);
            if found.maintenance().is_some_and(is_own) {
                self.machine.lift(now);
            }
        }
        if held == Held::Same {
            self.home = match (self.home.take(), agent) {
                // Behind a load balancer it may be another that was asked for its name: the next sweep asks again.
                (Some(home), Some(agent)) if home != *agent => None,
                (home, agent) => home.or_else(|| agent.cloned()),
            };
        }
        Input::SweepFound(held)
    }

    fn remember(&mut self, found: &Registered) {
        for check in &self.definition.checks {
            if let Some(known) = found.checks.get(check.id.as_str()) {
                self.seen.statuses.insert(check.id.clone(), known.status);
            }
        }
        // Until it is announced, the maintenance is our own.
        let operator = found.maintenance().filter(|reason| self.machine.is_open() && !is_own(reason));
        self.seen.maintenance = operator.map(str::to_owned);
        if self.definition.enable_tag_override && found.enable_tag_override {
            self.seen.tags = Some(found.tags.clone());
        }
    }
}
