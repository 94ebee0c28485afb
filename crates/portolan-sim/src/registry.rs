//! The scripted registry: answers reads from the model as Consul would, through whatever is wrong at the moment.
//!
//! In:  reads of the library. Out: answers, errors, silence; and a note of each for the laws.
//!
//! Rules from Consul 1.21: website/content/api-docs/features/{blocking,consistency}.mdx.

use std::{sync::Arc, time::Duration};

use portolan::{
    Error, Instance, Kind, Reader, Registry, ServiceId, Snapshot,
    registry::{
        AgentInfo, Answer, AnswerMeta, CatalogQuery, Consistency, Definition, Registered, Reply, Report,
        ServiceQuery, ServiceTags,
    },
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    agent::OWN,
    model::Content,
    stage::{Delivery, Inner, Stage},
};

/// How many deliveries of a service are remembered.
const REMEMBERED: usize = 64;
/// What can go wrong with a read by itself.
const KINDS: [Kind; 6] =
    [Kind::Unreachable, Kind::Busy, Kind::Unavailable, Kind::Malformed, Kind::Denied, Kind::Timeout];

/// Instances, as a read gives them.
pub(crate) type Instances = Vec<Arc<Instance>>;

/// The registry, as the library sees it. Its calls to the agent are in `calls.rs`.
#[derive(Debug)]
pub(crate) struct Scripted {
    pub(crate) stage: Stage,
    /// The program that it belongs to.
    program: u64,
}

/// The name under which a view is known here.
pub(crate) fn key(service: &str, datacenter: Option<&str>) -> String {
    datacenter.map_or_else(|| service.to_owned(), |datacenter| format!("{service}@{datacenter}"))
}

/// One read that is under way; counted until it is dropped.
struct Open<'a> {
    stage: &'a Stage,
    key: String,
    blocking: bool,
    asked: Instant,
    epoch: u64,
    number: u64,
    /// Whether it follows a failure.
    anew: bool,
    lie: bool,
    ended: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.stage.with(|inner| {
            inner.ended(&self.key, self.blocking, self.asked);
            if !self.ended {
                inner.reads(&self.key).given_up(self.blocking);
                inner.trace.note(format_args!("read {} #{} given up", self.key, self.number));
            }
        });
    }
}

/// What a read meets when it looks.
enum Look {
    /// An answer, and how much older it is than its headers say.
    Answer(Answer<Instances>, Duration),
    /// The same, and it is not true.
    Lie(Answer<Instances>),
    Fail(Kind),
    Silence,
    Wait,
}

/// What the dice say about one read.
struct Fate {
    out: Duration,
    back: Duration,
    /// A server adds up to a sixteenth to a wait.
    more: Duration,
    fails: Option<Kind>,
    /// A lie that does not wait.
    hasty: bool,
}

impl Fate {
    fn roll(inner: &mut Inner, wait: Duration) -> Self {
        let slow = u64::try_from(inner.net.slow.as_millis()).unwrap_or(u64::MAX);
        let chance = &mut inner.chance;
        let (out, back) = (chance.millis(0, 3 + slow / 4), chance.millis(1, 5 + slow));
        let sixteenth = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) / 16;
        let more = chance.millis(0, sixteenth);
        let fails = chance.below(100) < inner.net.flaky;
        let kind = chance.one_of(&KINDS).copied();
        Self { out, back, more, fails: kind.filter(|_| fails), hasty: chance.one_in(2) }
    }
}

impl Scripted {
    pub(crate) fn new(stage: &Stage) -> Self {
        Self { stage: stage.clone(), program: stage.with(|inner| inner.agency.program) }
    }

    /// Whether its program was killed.
    pub(crate) fn is_dead(&self) -> bool {
        self.stage.with(|inner| inner.agency.program != self.program)
    }

    async fn read(&self, query: &ServiceQuery) -> Result<Answer<Instances>, Error> {
        let (mut open, fate) = self.open(query);
        sleep(fate.out).await;
        let wait = query.block.map(|block| block.wait.saturating_add(fate.more));
        let until = wait.map(|wait| Instant::now() + wait);
        let (outcome, hidden) = loop {
            // Before the look, so that no change between the two is missed.
            let rung = self.stage.bell().notified();
            let over = until.is_none_or(|until| Instant::now() >= until);
            match self.stage.with(|inner| look(inner, query, &open, &fate, over)) {
                Look::Answer(answer, hidden) => break (Ok(answer), hidden),
                Look::Lie(answer) => {
                    open.lie = true;
                    break (Ok(answer), Duration::ZERO);
                }
                Look::Fail(kind) => break (Err(kind), Duration::ZERO),
                Look::Silence => std::future::pending().await,
                Look::Wait => {}
            }
            tokio::select! {
                biased;
                () = rung => {}
                () = sleep_until(until.unwrap_or_else(Instant::now)) => {}
            }
        };
        let made = Instant::now();
        sleep(fate.back).await;
        let lost = self.stage.with(|inner| inner.net.lose || inner.net.epoch != open.epoch && fate.hasty);
        if lost {
            std::future::pending::<()>().await;
        }
        let unsaid = made.elapsed() + hidden;
        self.stage.with(|inner| conclude(inner, &mut open, outcome.as_ref(), unsaid));
        outcome.map_err(|kind| Error::registry(kind, format!("scripted: {kind:?}")))
    }

    fn open(&self, query: &ServiceQuery) -> (Open<'_>, Fate) {
        let key = key(query.service.as_str(), query.datacenter.as_deref());
        self.stage.with(|inner| {
            let wait = query.block.map_or(Duration::ZERO, |block| block.wait);
            inner.started(&key, query.block.is_some());
            inner.waits(&key, wait);
            let (number, anew) = (inner.reads(&key).started, inner.reads(&key).failed.is_some());
            let block = query.block.map(|block| (block.index, block.wait));
            inner.trace.note(format_args!("read {key} #{number} {:?} {block:?}", query.consistency));
            let fate = Fate::roll(inner, wait);
            let epoch = inner.net.epoch;
            let (blocking, asked) = (query.block.is_some(), Instant::now());
            (
                Open {
                    stage: &self.stage,
                    key,
                    blocking,
                    asked,
                    epoch,
                    number,
                    anew,
                    lie: false,
                    ended: false,
                },
                fate,
            )
        })
    }
}

fn look(inner: &mut Inner, query: &ServiceQuery, open: &Open<'_>, fate: &Fate, over: bool) -> Look {
    let net = &inner.net;
    if net.epoch != open.epoch {
        return Look::Fail(Kind::Unreachable);
    }
    if let Some(kind) = net.refuse.or(fate.fails) {
        return Look::Fail(kind);
    }
    if net.hang {
        return Look::Silence;
    }
    let stale = query.consistency == Consistency::Stale;
    if net.leaderless && !stale {
        return Look::Fail(Kind::Unavailable);
    }
    if net.lie && stale {
        let ready = query.block.is_none() || fate.hasty || over;
        return if ready { lie(Vec::new(), 1) } else { Look::Wait };
    }
    if net.half && stale && query.block.is_none() {
        let (content, index) = inner.model.content(&open.key);
        if content.len() >= 4 {
            return lie(content.iter().take(content.len() / 3).cloned().collect(), index);
        }
    }
    if stale && let Some((content, index)) = replayed(inner, open) {
        let ready = query.block.is_none_or(|block| index > block.index) || over;
        return if ready { lie(content.to_vec(), index) } else { Look::Wait };
    }
    let net = &inner.net;
    let stuck = net.stuck.as_ref().filter(|_| stale);
    let (content, index) =
        stuck.map_or_else(|| inner.model.content(&open.key), |stuck| stuck.content(&open.key));
    if query.block.is_some_and(|block| index <= block.index) && !over {
        return Look::Wait;
    }
    let lag = stuck.map_or(Duration::ZERO, |stuck| stuck.at.elapsed());
    let mut meta = AnswerMeta::new(index);
    meta.known_leader = Some(!(net.leaderless && stale));
    meta.last_contact = Some(if net.streaming { Duration::ZERO } else { lag });
    meta.streaming = net.streaming;
    let hidden = if net.streaming { lag } else { Duration::ZERO };
    Look::Answer(Answer::new(content.to_vec(), index).with_meta(meta), hidden)
}

/// A state of its past that a server shows while it replays its log; `None` once it is through.
fn replayed(inner: &mut Inner, open: &Open<'_>) -> Option<(Content, u64)> {
    let place = inner.net.replay?;
    let shown = inner.model.logged(place).map(|moment| moment.content(&open.key));
    let on = usize::try_from(inner.chance.below(4)).unwrap_or(1);
    inner.net.replay = shown.is_some().then_some(place + on);
    shown
}

/// An answer as of a server that has just been started: empty with a low index, an earlier state, or of a third of the
/// instances.
fn lie(instances: Vec<Arc<Instance>>, index: u64) -> Look {
    let mut meta = AnswerMeta::new(index);
    meta.known_leader = Some(true);
    meta.last_contact = Some(Duration::ZERO);
    Look::Lie(Answer::new(instances, index).with_meta(meta))
}

/// Whether a view that knows this sees through the lie: it has a lower index, or loses too much at once; on a watch that
/// goes on, a loss is the truth.
fn is_seen_through(known: &Snapshot, lie: &Answer<Instances>, blocking: bool) -> bool {
    let had = known.instances().len();
    let told = |one: &&Arc<Instance>| lie.value.iter().any(|other| other.identity == one.identity);
    let lost = had - known.instances().iter().filter(told).count();
    !blocking && had >= 4 && lost > had / 2 || lie.meta.index < known.freshness().index
}

fn conclude(
    inner: &mut Inner,
    open: &mut Open<'_>,
    outcome: Result<&Answer<Instances>, &Kind>,
    unsaid: Duration,
) {
    open.ended = true;
    let now = Instant::now();
    match outcome {
        Ok(answer) => inner.trace.note(format_args!(
            "answer {} #{}: {} instances at {}, {:?} old",
            open.key,
            open.number,
            answer.value.len(),
            answer.meta.index,
            answer.meta.last_contact,
        )),
        Err(kind) => inner.trace.note(format_args!("error {} #{}: {kind:?}", open.key, open.number)),
    }
    let view = inner.views.get(&open.key).map(Reader::snapshot);
    let sees = |answer| view.is_some_and(|known| is_seen_through(&known, answer, open.blocking));
    let excused = outcome.ok().filter(|answer| open.lie && !sees(answer)).map(|answer| answer.value.clone());
    let calm = inner.calm;
    let reads = inner.reads(&open.key);
    if let Some(lie) = excused {
        reads.excused = Some((now, lie.into()));
    }
    reads.failed = outcome.is_err().then_some(now);
    if outcome.is_ok() {
        // A plain read of a view that does not fail may only compare: what it finds is judged when the watch returns.
        if open.asked >= calm && (open.blocking || open.anew) {
            reads.heard.get_or_insert(now);
        }
        reads.unsaid = reads.unsaid.max(unsaid);
        if reads.delivered.len() >= REMEMBERED {
            reads.delivered.drain(..REMEMBERED / 2);
        }
        reads.delivered.push(Delivery { at: now, unsaid });
    }
}

impl Registry for Scripted {
    fn describe(&self) -> String {
        "the simulated registry".to_owned()
    }

    fn service<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Instances>> {
        if OWN.contains(&query.service.as_str()) {
            return Box::pin(self.catalogue(query));
        }
        Box::pin(self.read(query))
    }

    fn services<'a>(&'a self, _: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>> {
        let what = "not part of the simulation";
        Box::pin(std::future::ready(Err(Error::registry(Kind::Rejected, what))))
    }

    fn agent(&self) -> Reply<'_, AgentInfo> {
        Box::pin(self.who())
    }

    fn registered<'a>(&'a self, ids: &'a [ServiceId]) -> Reply<'a, Vec<Registered>> {
        Box::pin(self.look(ids))
    }

    fn tether<'a>(&'a self, id: &'a ServiceId, wait: Duration) -> Reply<'a, ()> {
        Box::pin(self.tied(id, wait))
    }

    fn register<'a>(&'a self, definition: &'a Definition) -> Reply<'a, ()> {
        Box::pin(self.send(definition))
    }

    fn deregister<'a>(&'a self, id: &'a ServiceId) -> Reply<'a, ()> {
        Box::pin(self.remove(id))
    }

    fn report<'a>(&'a self, report: &'a Report) -> Reply<'a, ()> {
        Box::pin(self.tell(report))
    }

    fn maintenance<'a>(&'a self, id: &'a ServiceId, reason: Option<&'a str>) -> Reply<'a, ()> {
        Box::pin(self.maintain(id, reason))
    }
}
