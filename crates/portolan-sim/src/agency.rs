//! What lies between the keeper and its agent: what is wrong with it at present, and the evidence of each id for the laws
//! of registrations, some of which are judged where a call begins or arrives.
//!
//! In:  the calls of the library as they begin, are applied and end; faults. Out: what each call meets; broken laws.
//!
//! - Law 4: what is unchanged is not sent again; a repair shows nothing healthy as critical; the id of a working instance
//!   of somebody else is not taken, and nothing of somebody else's removed; a check that is reported does not expire.
//! - Law 6 of calls: sends, removals and looks rest when they fail.
//!
//! Never: judges what the keeper could not know yet: an answer counts from when it arrived.

use std::{collections::BTreeMap, time::Duration};

use portolan::{Kind, ServiceId, Status, registry::Definition};
use tokio::time::Instant;

use crate::{
    agent::{Agent, Happened, Held, OWN, Processes},
    chance::Chance,
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

/// A limit on calls: a burst, then one each so often.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u32,
    filled: Option<Instant>,
}

impl Bucket {
    const BURST: u32 = 10;

    /// Says whether it was empty.
    fn take(&mut self, now: Instant, every: Duration) -> bool {
        let filled = *self.filled.get_or_insert(now);
        let earned = now.duration_since(filled).as_millis() / every.as_millis().max(1);
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(earned).min(Self::BURST);
        self.filled = Some(if self.left == Self::BURST { now } else { filled + every * earned });
        let empty = self.left == 0;
        self.left = self.left.saturating_sub(1);
        empty
    }
}

impl Default for Bucket {
    fn default() -> Self {
        Self { left: Self::BURST, filled: None }
    }
}

/// What a look found under an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Missing,
    Same,
    Differs,
    /// Another instance; whether it works.
    Foreign(bool),
}

/// The evidence of one id, from when its registration began.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    port: u16,
    /// A handle is there, and is not being closed.
    pub(crate) open: bool,
    /// What the service says of itself, when it reports.
    pub(crate) said: Status,
    /// When something happened to it last that is to be repaired.
    pub(crate) trouble: Instant,
    /// By when it is to be as sent again: nothing else was wrong when it was changed.
    pub(crate) due: Option<Instant>,
    /// The agent said that it holds it for us.
    ours: bool,
    /// The last send did not end well, and no look has told since.
    unsure: bool,
    /// Looks in a row that found it as sent, with nothing in between that could give a reason to send it.
    streak: u32,
    /// Rises when somebody else changes it, or when an answer may have been overtaken.
    version: u64,
    /// Every look found somebody else's instance that works.
    theirs: Option<bool>,
    /// Looks in a row that found a check not critical.
    healthy: BTreeMap<String, u32>,
    /// What the last look that was told found, and when.
    told: Option<(Instant, Seen)>,
    /// When the agent last said that it took it, and when the catalogue was last seen to show it.
    pub(crate) acked: Option<Instant>,
    pub(crate) shown: Option<Instant>,
    /// Reports in a row that found no check.
    unknown: u32,
    sends: Bucket,
    removals: Bucket,
}

impl Claim {
    pub(crate) fn new(port: u16, now: Instant) -> Self {
        Self {
            port,
            open: true,
            said: Status::Passing,
            trouble: now,
            due: None,
            ours: false,
            unsure: false,
            streak: 0,
            version: 0,
            theirs: None,
            healthy: BTreeMap::new(),
            told: None,
            acked: None,
            shown: None,
            unknown: 0,
            sends: Bucket::default(),
            removals: Bucket::default(),
        }
    }

    /// Whether it is of the instance on this port.
    pub(crate) fn is_at(&self, port: u16) -> bool {
        self.port == port
    }

    /// Somebody changed it, or may have: what looks have told is worth nothing any more.
    pub(crate) fn stale(&mut self) {
        self.streak = 0;
        self.version += 1;
    }
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
    reports_trouble: Instant,
    epoch: u64,
    looks: Bucket,
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

    /// Whether it holds what listens on this port, under whatever id.
    pub(crate) fn holds_at(&self, port: u16) -> bool {
        let [first, second] = &self.agents;
        let agent = if self.current == 0 { first } else { second };
        agent.services.values().any(|held| held.port == port)
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
        self.claims.values_mut().for_each(|claim| claim.due = None);
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
        if place == *current {
            happened = news;
        }
    }
    troubles::meddle_again(inner, now);
    happened.into_iter().for_each(|one| judge_happened(inner, &one));
}

fn judge_happened(inner: &mut Inner, happened: &Happened) {
    match happened {
        Happened::Reaped { id, at } => {
            inner.trace.note(format_args!("{id} was critical for long, and is reaped"));
            if let Some(claim) = inner.agency.claims.get_mut(id) {
                claim.stale();
                claim.trouble = claim.trouble.max(*at);
                claim.due = None;
            }
        }
        Happened::Silent { id, ttl, at } => {
            inner.trace.note(format_args!("{id}: its TTL of {ttl:?} passed"));
            let Agency { claims, reports_trouble, .. } = &inner.agency;
            let Some(claim) = claims.get(id).filter(|claim| claim.open && claim.ours && !claim.unsure) else {
                return;
            };
            let quiet = *reports_trouble + *ttl * 2 + Duration::from_secs(5);
            let settled = claim.trouble + *ttl * 2 + Duration::from_secs(15);
            if *at > quiet && *at > settled {
                inner.broken(4, format!("{id}: its TTL of {ttl:?} passed, though nothing kept reports back"));
            }
        }
    }
}

/// A call begins: what its rate and what is known say about it.
pub(crate) fn begins(inner: &mut Inner, verb: Verb, id: &str, now: Instant) {
    settle(inner, now);
    let agency = &mut inner.agency;
    if verb == Verb::Look {
        // A removal looks too, twice: it has a rate of its own.
        let sweeps = agency.claims.get(id).is_some_and(|claim| claim.open);
        if sweeps && agency.looks.take(now, Duration::from_millis(400)) {
            inner.broken(6, "the agent is asked what it holds without a rest");
        }
        return;
    }
    let Some(claim) = agency.claims.get_mut(id) else { return };
    let empty = match verb {
        Verb::Send => claim.sends.take(now, Duration::from_secs(3)),
        Verb::Remove => claim.removals.take(now, Duration::from_secs(1)),
        _ => false,
    };
    let (streak, theirs) = (claim.streak, claim.theirs == Some(true));
    if verb == Verb::Send {
        claim.theirs = Some(false);
    }
    if empty {
        inner.broken(6, format!("{id}: {verb:?} without a rest"));
    } else if verb == Verb::Send && theirs {
        inner.broken(4, format!("{id}: sent, though every look found an instance of another that works"));
    } else if verb == Verb::Send && streak >= 2 {
        inner.broken(4, format!("{id}: sent again, though {streak} looks in a row found it as it was sent"));
    }
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
            Found { id: id.to_owned(), seen, well: well.collect(), version }
        });
        found.collect()
    }

    /// A look was told.
    pub(crate) fn looked(&mut self, found: Vec<Found>, now: Instant) {
        for Found { id, seen, well, version } in found {
            let Some(claim) = self.claims.get_mut(&id) else { continue };
            if seen == Seen::Same && claim.version == version {
                claim.streak += 1;
                claim.unsure = false;
                claim.ours |= claim.streak >= 2;
            } else {
                claim.streak = 0;
            }
            claim.theirs = Some(seen == Seen::Foreign(true) && claim.theirs != Some(false));
            if !matches!(seen, Seen::Foreign(_)) {
                for (check, well) in well {
                    let row = claim.healthy.entry(check).or_default();
                    *row = if well { *row + 1 } else { 0 };
                }
            }
            claim.told = Some((now, seen));
        }
    }

    /// How a send ended, for the library; `false` also when it gave up waiting.
    pub(crate) fn sent(&mut self, id: &str, taken: bool, now: Instant) {
        let Some(claim) = self.claims.get_mut(id) else { return };
        if taken {
            claim.ours = true;
            claim.unsure = false;
            claim.unknown = 0;
            claim.acked = Some(now);
        } else {
            claim.stale();
            claim.unsure = true;
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

/// What a look found, to be told when its answer arrives.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    id: String,
    seen: Seen,
    well: Vec<(String, bool)>,
    version: u64,
}

/// A definition arrives at the agent.
pub(crate) fn takes(inner: &mut Inner, sent: &Definition, now: Instant) {
    let id = sent.id.as_str();
    let agency = &mut inner.agency;
    let before = agency.held(id);
    let new = |check: &str| before.is_none_or(|held| !held.checks.contains_key(check));
    let claim = agency.claims.get(id).filter(|claim| claim.ours);
    let unearned = claim.and_then(|claim| {
        sent.checks.iter().find(|check| {
            let was_well = if check.check.is_ttl() {
                claim.said != Status::Critical
            } else {
                claim.healthy.get(check.id.as_str()).is_some_and(|row| *row >= 2)
            };
            let shows = check.check.initial.unwrap_or(Status::Critical);
            was_well && shows == Status::Critical && new(check.id.as_str())
        })
    });
    if let Some(check) = unearned {
        let what = format!("{id}: a repair shows {} as critical, which it was not", check.id);
        inner.broken(4, what);
        return;
    }
    let (agent, chance) = agency.agent();
    agent.register(sent, now, chance);
}

/// A removal arrives at the agent.
pub(crate) fn removes(inner: &mut Inner, id: &str, now: Instant) {
    let agency = &inner.agency;
    if let (Some(held), Some(claim)) = (agency.held(id), agency.claims.get(id)) {
        let just = |(at, seen): &(Instant, Seen)| {
            matches!(seen, Seen::Same | Seen::Differs) && *at + Duration::from_secs(6) >= now
        };
        if held.port != claim.port && !claim.told.as_ref().is_some_and(just) {
            inner.broken(4, format!("{id}: an instance of another was removed, and nobody had looked"));
            return;
        }
    }
    let agency = &mut inner.agency;
    if let Some(claim) = agency.claims.get_mut(id) {
        claim.stale();
        claim.ours = false;
    }
    let (agent, chance) = agency.agent();
    agent.deregister(id, now, chance);
}

/// A report found no check.
pub(crate) fn unknown(inner: &mut Inner, id: &str) {
    let Some(claim) = inner.agency.claims.get_mut(id) else { return };
    claim.stale();
    claim.unknown += 1;
    if claim.unknown > 4 {
        inner.broken(4, format!("{id}: reported again and again, though the agent does not know the check"));
    }
}
