//! What lies between the keeper and its agent: which agent answers, what is wrong with it at present, and the evidence of
//! each id for the laws of registrations.
//!
//! In:  faults, the passing of time. Out: what each call meets on its way there and back.
//!
//! Never: judges: `duties.rs` and `promises.rs` do.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use portolan::{Instance, Kind, ServiceId, Status, registry::Definition};
use tokio::time::Instant;

use crate::{
    agent::{Agent, Happened, Held, OWN, Processes},
    chance::Chance,
    claim::{Bucket, Claim, Found, Seen},
    duties,
    model::Model,
    stage::{Inner, Net},
    troubles::{self, Meddling},
};

/// From one sweep to the next at most, and the calls.
pub(crate) const PROMPT: Duration = Duration::from_millis(7_500);

/// What is asked of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// What does it hold of these ids?
    Look,
    Send,
    Remove,
    Report,
    Maintain,
    /// Of the catalogue: does it show what was registered?
    Read,
}

/// What is wrong with the agent, beside what is wrong with the way to the registry ([`Net`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Calls fail with this; health reports only when it says so.
    pub(crate) refuse: Option<(Kind, bool)>,
    pub(crate) hang: bool,
    /// Calls are done, and nobody is told.
    pub(crate) lose: bool,
    /// Of a hundred calls, so many fail: before they are done, or after.
    pub(crate) flaky: u64,
    pub(crate) slow: Duration,
    /// It does not run.
    pub(crate) down: bool,
    /// The token may not see what is in the catalogue.
    pub(crate) hidden: bool,
    /// The agent's own token may not write it there.
    pub(crate) denied: bool,
}

/// The agents, and what is between them and the library.
#[derive(Debug)]
pub(crate) struct Agency {
    agents: [Agent; 2],
    current: usize,
    /// What the catalogue shows of [`OWN`].
    pub(crate) catalogue: Model,
    pub(crate) processes: Processes,
    pub(crate) faults: Faults,
    pub(crate) chance: Chance,
    pub(crate) claims: BTreeMap<String, Claim>,
    /// What was sent last under each id.
    pub(crate) definitions: BTreeMap<String, Definition>,
    /// The program that runs; calls of an earlier one, which was killed, come to nothing.
    pub(crate) program: u64,
    /// The task that makes the next call panics.
    pub(crate) panics: bool,
    /// Somebody changes this instance again whenever it was put right.
    pub(crate) meddler: Option<(String, Meddling)>,
    /// When something was last wrong, and when something that holds up reports.
    pub(crate) trouble: Instant,
    pub(crate) reports_trouble: Instant,
    /// When the clock last jumped: nobody could do anything before.
    pub(crate) woke: Instant,
    /// When another agent than the first last answered.
    pub(crate) balanced: Instant,
    epoch: u64,
    pub(crate) looks: Bucket,
}

impl Agency {
    pub(crate) fn new(chance: Chance) -> Self {
        let now = Instant::now();
        Self {
            agents: [Agent::new("agent-1", now), Agent::new("agent-2", now)],
            current: 0,
            catalogue: Model::new(&OWN),
            processes: Processes::new(),
            faults: Faults::default(),
            chance,
            claims: BTreeMap::new(),
            definitions: BTreeMap::new(),
            program: 0,
            panics: false,
            meddler: None,
            trouble: now,
            reports_trouble: now,
            woke: now,
            balanced: now,
            epoch: 0,
            looks: Bucket::default(),
        }
    }

    /// The agent that answers.
    pub(crate) fn agent(&mut self) -> (&mut Agent, &mut Chance) {
        let Self { agents: [first, second], current, chance, .. } = self;
        (if *current == 0 { first } else { second }, chance)
    }

    pub(crate) fn held(&self, id: &str) -> Option<&Held> {
        let [first, second] = &self.agents;
        let agent = if self.current == 0 { first } else { second };
        agent.services.get(id)
    }

    /// What a call that waits at the agent sees; `None`: there is no agent.
    pub(crate) fn tie(&self, id: &str, epoch: u64) -> Option<Tie> {
        let [first, second] = &self.agents;
        let agent = if self.current == 0 { first } else { second };
        let held = agent.services.get(id).map(Held::plain);
        (!self.faults.down).then(|| ((agent.life(), epoch), held))
    }

    /// Whether the agent that does not answer holds this id too.
    pub(crate) fn is_elsewhere(&self, id: &str) -> bool {
        let [first, second] = &self.agents;
        let other = if self.current == 0 { second } else { first };
        other.services.contains_key(id)
    }

    pub(crate) fn lives_on_the_first(&self, id: &str) -> bool {
        let [first, _] = &self.agents;
        first.services.contains_key(id)
    }

    /// Whether it holds what this program has registered under this id.
    pub(crate) fn holds(&self, id: &str, port: u16) -> bool {
        let ours = self.claims.get(id).is_some_and(|claim| claim.touched);
        // On another agent it may have been left behind, when nobody could know better.
        ours && !self.is_balanced() && self.held(id).is_some_and(|held| held.port == port)
    }

    /// Whether a removal may fail: something was wrong a moment ago.
    pub(crate) fn excuses_a_close(&self) -> bool {
        self.trouble.elapsed() < Duration::from_secs(60)
    }

    /// The program is told to end, and removes all it has registered.
    pub(crate) fn closing(&mut self) {
        self.claims.values_mut().for_each(|claim| claim.open = false);
    }

    /// The program has ended.
    pub(crate) fn forget(&mut self) {
        self.claims.clear();
        self.definitions.clear();
    }

    /// Something is, or was until now, wrong for every registration.
    pub(crate) fn disturbed(&mut self, now: Instant) {
        (self.trouble, self.reports_trouble) = (now, now);
        for claim in self.claims.values_mut() {
            claim.due = None;
            claim.elsewhere = false;
        }
    }

    /// What looks have told of every registration is worth nothing any more.
    pub(crate) fn all_stale(&mut self) {
        self.claims.values_mut().for_each(Claim::stale);
    }

    /// Whether another agent answers than the one that registrations went to, which lives.
    pub(crate) fn is_balanced(&self) -> bool {
        self.current > 0
    }

    /// From now on another agent answers, or the first again.
    pub(crate) fn balance(&mut self, other: bool, net: &Net, now: Instant) {
        let plain = self.faults == Faults::default() && !self.dulled(net);
        self.disturbed(now);
        let Self { agents: [first, _], claims, catalogue, current, .. } = self;
        *current = usize::from(other);
        let shown = |id: &str| {
            let mut all = OWN.iter().map(|name| catalogue.content(name).0);
            let is_it = |one: &Arc<Instance>| *one.identity.id == *id && *one.identity.node == *first.node();
            all.any(|content| content.iter().any(is_it))
        };
        for (id, claim) in claims {
            let lives = first.services.get(id).is_some_and(|held| held.port == claim.port);
            claim.elsewhere = other && plain && lives && claim.settled && claim.streak > 0 && shown(id);
            claim.stale();
        }
    }

    /// The agent's machine is gone, and all it held; another one takes its place.
    pub(crate) fn replace(&mut self, now: Instant) {
        self.disturbed(now);
        self.all_stale();
        let Self { agents: [first, _], catalogue, .. } = self;
        let before = first.node();
        *first = Agent::new(if before == "agent-1" { "agent-3" } else { "agent-1" }, now);
        for name in OWN {
            let (content, _) = catalogue.content(name);
            for one in content.iter().filter(|one| *one.identity.node == *before) {
                catalogue.set(name, &one.identity, None);
            }
        }
    }

    /// What a call meets on its way; `None`: nothing.
    fn met(&self, net: &Net, verb: Verb) -> Option<Meets> {
        let refused = self.faults.refuse.filter(|(_, reports)| (verb == Verb::Report) == *reports);
        let refused = refused.filter(|_| verb != Verb::Read).map(|(kind, _)| kind);
        let cut = net.refuse.filter(|kind| verb == Verb::Read || *kind == Kind::Unreachable);
        match self.faults.down.then_some(Kind::Unreachable).or(cut).or(refused) {
            Some(kind) => Some(Meets::Fails(kind)),
            None => (net.hang || self.faults.hang).then_some(Meets::Silence),
        }
    }

    fn dulled(&self, net: &Net) -> bool {
        let Net { refuse, hang, lose, flaky, slow, lie, half, stuck, replay, leaderless, .. } = net;
        let reads = *lie || *half || *leaderless || stuck.is_some() || replay.is_some();
        reads || refuse.is_some() || *hang || *lose || *flaky > 0 || !slow.is_zero()
    }
}

/// A life of an agent and of the connections to it, and what it holds.
pub(crate) type Tie =
    (((&'static str, u64), u64), Option<(String, u16, Vec<String>, BTreeMap<String, String>)>);

/// What stands in a call's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meets {
    Fails(Kind),
    Silence,
}

/// What the dice say about one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    pub(crate) out: Duration,
    pub(crate) back: Duration,
    /// It does not get there.
    pub(crate) before: Option<Meets>,
    /// It does, and the answer does not come back.
    pub(crate) after: Option<Meets>,
    pub(crate) panics: bool,
}

/// What can go wrong with a call by itself.
const KINDS: [Kind; 6] =
    [Kind::Unreachable, Kind::Busy, Kind::Unavailable, Kind::Malformed, Kind::Denied, Kind::Timeout];

impl Fate {
    pub(crate) fn roll(inner: &mut Inner) -> Self {
        let Inner { agency, net, .. } = inner;
        let slow = agency.faults.slow.max(net.slow);
        let slow = u64::try_from(slow.as_millis()).unwrap_or(u64::MAX);
        let chance = &mut agency.chance;
        let (out, back) = (chance.millis(0, 3 + slow / 4), chance.millis(1, 5 + slow));
        let ill = chance.below(100) < agency.faults.flaky.max(net.flaky);
        let kind = chance.one_of(&KINDS).copied().unwrap_or(Kind::Unavailable);
        let how = if chance.one_in(4) { Meets::Silence } else { Meets::Fails(kind) };
        let late = chance.one_in(2);
        let panics = std::mem::take(&mut agency.panics);
        Self { out, back, before: (ill && !late).then_some(how), after: (ill && late).then_some(how), panics }
    }
}

/// Brings everything up to `now`, and judges what the agent did by itself.
pub(crate) fn settle(inner: &mut Inner, now: Instant) {
    let Inner { agency, net, .. } = inner;
    let faults = agency.faults;
    let cut = std::mem::replace(&mut agency.epoch, net.epoch) != net.epoch;
    if faults != Faults::default() || cut || agency.dulled(net) || agency.meddler.is_some() {
        let reports = agency.reports_trouble;
        agency.disturbed(now);
        let writes_only = Faults { refuse: None, ..faults } == Faults::default()
            && faults.refuse.is_some_and(|(_, reports)| !reports);
        if writes_only && !cut && !agency.dulled(net) {
            agency.reports_trouble = reports;
        }
    }
    if agency.is_balanced() {
        (agency.trouble, agency.reports_trouble, agency.balanced) = (now, now, now);
    }
    let Agency { agents, current, chance, catalogue, processes, .. } = agency;
    let mut happened = Vec::new();
    for (place, agent) in agents.iter_mut().enumerate() {
        if place == *current && faults.down {
            continue;
        }
        let news = agent.settle(processes, now);
        if !news.is_empty() {
            agent.touch(now, chance);
        }
        if !faults.denied {
            agent.sync(catalogue, now, chance);
        }
        // What is silent on an agent that nobody reaches is no news; that it is gone from there is.
        let here = place == *current;
        happened.extend(news.into_iter().filter(|one| here || matches!(one, Happened::Reaped { .. })));
    }
    troubles::meddle_again(inner, now);
    happened.into_iter().for_each(|one| duties::happened(inner, &one));
}

impl Agency {
    /// What stands in the way of a call that arrives.
    pub(crate) fn stops(&self, net: &Net, verb: Verb, fate: &Fate) -> Option<Meets> {
        self.met(net, verb).or(fate.before)
    }

    /// What becomes of the answer.
    pub(crate) fn swallows(&self, net: &Net, fate: &Fate, epoch: u64) -> Option<Meets> {
        if net.lose || self.faults.lose {
            return Some(Meets::Silence);
        }
        fate.after.or((net.epoch != epoch).then_some(Meets::Fails(Kind::Unreachable)))
    }

    /// What is found under these ids now, and which of their checks are well.
    pub(crate) fn look(&self, ids: &[ServiceId]) -> Vec<Found> {
        let found = ids.iter().map(|id| {
            let id = id.as_str();
            let claim = self.claims.get(id);
            let held = self.held(id);
            let seen = match (held, claim) {
                (Some(held), Some(claim)) if held.port != claim.port => {
                    Seen::Foreign(held.status() != Status::Critical)
                }
                (Some(held), _) => match self.definitions.get(id) {
                    Some(sent) if held.is_as_sent(sent) => Seen::Same,
                    _ => Seen::Differs,
                },
                (None, _) => Seen::Missing,
            };
            let checks = held.iter().flat_map(|held| &held.checks);
            let well = checks.map(|(id, check)| (id.clone(), check.status != Status::Critical));
            let version = claim.map_or(0, |claim| claim.version);
            let maintained = held.is_some_and(|held| held.maintenance.is_some());
            Found { id: id.to_owned(), seen, well: well.collect(), maintained, version }
        });
        found.collect()
    }

    /// A look was told.
    pub(crate) fn looked(&mut self, found: Vec<Found>, now: Instant) {
        for one in found {
            if let Some(claim) = self.claims.get_mut(&one.id) {
                claim.looked(one, now);
            }
        }
    }

    /// The catalogue was seen to show these.
    pub(crate) fn showed<'a>(&mut self, ids: impl Iterator<Item = (&'a str, u16)>, now: Instant) {
        for (id, port) in ids {
            if let Some(claim) = self.claims.get_mut(id).filter(|claim| claim.port == port) {
                claim.shown = Some(now);
            }
        }
    }
}
