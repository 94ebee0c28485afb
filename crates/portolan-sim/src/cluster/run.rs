//! One run: some programs, each with a `Discovery` of its own, send requests to the same instances, in virtual time.
//!
//! ```text
//! start ─▶ warm-up: all is well ─▶ scenes, counted ─▶ what is under way ends
//! ```
//!
//! In:  a plan and a cell. Out: figures. All on one thread; the clock goes from event to event by hand, and everything that
//! an event wakes runs before it goes on.
//!
//! Never: closed loops: requests come whether those before them were answered or not.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use portolan::{
    Check, CheckId, Config, Discovery, Exclusion, Failed, FailureKind, Mark, Policy, Registry, Resolver,
    Retry, Status,
    registry::{CheckDefinition, Definition, memory::Memory},
};
use tokio::{
    task::{JoinSet, LocalSet, yield_now},
    time::{Instant, advance, sleep, timeout},
};

use super::{
    draw::exponential,
    figures::{Count, Figures, Judged, Load, Tally},
    fleet::{Answer, Event, Fleet, tell},
    plan::{Cell, Change, Mode, OUTAGE, Plan, select, zone},
    watcher::Watcher,
};
use crate::chance::Chance;

const SERVICE: &str = "web";
/// The clock makes no longer steps than this: timers that fall between would come late.
const STEP: Duration = Duration::from_millis(1);

/// What all tasks of a run share.
struct Stage {
    plan: Plan,
    mode: Mode,
    /// Whether the policy goes by keys.
    by_key: bool,
    start: Instant,
    fleet: RefCell<Fleet>,
    tally: RefCell<Tally>,
}

/// One program.
struct Caller {
    resolver: Resolver,
    _discovery: Discovery,
    watcher: RefCell<Watcher>,
    load: RefCell<Load>,
    /// Each request has a key of its own, where the policy goes by keys.
    next_key: std::cell::Cell<u64>,
}

/// Runs one cell on a runtime of its own.
///
/// # Errors
/// When there is no runtime, or the registry in this process refuses what it must not.
pub(super) fn run(plan: &Plan, cell: &Cell) -> Result<Figures> {
    let callers = cell.scenario.callers.unwrap_or(plan.callers);
    let plan = &Plan { callers, ..plan.clone() };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true);
    // As in `play.rs`.
    #[cfg(tokio_unstable)]
    runtime.rng_seed(tokio::runtime::RngSeed::from_bytes(&plan.seed.to_le_bytes()));
    let runtime = runtime.build().context("no runtime")?;
    runtime.block_on(LocalSet::new().run_until(Box::pin(play(plan, cell))))
}

async fn play(plan: &Plan, cell: &Cell) -> Result<Figures> {
    let memory = Memory::new();
    for place in 0..plan.instances {
        memory.register(&definition(place)?).await?;
    }
    let mut chance = Chance::new(plan.seed);
    let mut callers = Vec::new();
    for number in 0..plan.callers {
        callers.push(Rc::new(caller(plan, cell, &memory, (number, chance.next())).await?));
    }
    let mut arrivals: Vec<Chance> = callers.iter().map(|_| chance.split()).collect();
    let (fleet, tally) = (Fleet::new(plan, chance.split()).into(), Tally::default().into());
    let by_key = cell.contender.policy == Policy::Maglev;
    let stage = Stage { plan: plan.clone(), mode: cell.mode, by_key, start: Instant::now(), fleet, tally };
    let stage = Rc::new(stage);
    for (number, scene) in cell.scenario.scenes.iter().enumerate() {
        stage.note(plan.warm_up.saturating_add(scene.after), Event::Scene(number));
    }
    for (number, chance) in arrivals.iter_mut().enumerate() {
        stage.note(exponential(chance, plan.gap()), Event::Arrival(number));
    }
    let mut tasks = JoinSet::new();
    while let Some(event) = stage.next(&mut tasks).await? {
        let now = stage.now();
        match event {
            Event::Arrival(number) => {
                let (Some(caller), Some(chance)) = (callers.get(number), arrivals.get_mut(number)) else {
                    continue;
                };
                if now < plan.end() {
                    tasks.spawn_local(request(Rc::clone(&stage), Rc::clone(caller)));
                    stage.note(now.saturating_add(exponential(chance, plan.gap())), Event::Arrival(number));
                }
            }
            Event::Scene(number) => {
                if let Some(scene) = cell.scenario.scenes.get(number) {
                    happens(&stage, &memory, scene.becomes, scene.to)?;
                }
            }
            Event::Done(place, reply) => stage.fleet.borrow_mut().done(place, reply, now),
            Event::Answer(reply, answer) => tell(reply, answer),
        }
        // What this has woken runs at this moment, not at that of the next event.
        yield_now().await;
    }
    drop(tasks);
    let judged = judged(&callers);
    Ok(stage.tally.take().figures(judged))
}

fn check_id(place: usize) -> Result<CheckId> {
    Ok(format!("web-{place}:http").parse()?)
}

fn definition(place: usize) -> Result<Definition> {
    // The port is the place, so that a pick says it.
    let port = u16::try_from(place).context("too many instances")?;
    let mut definition = Definition::new(format!("web-{place}").parse()?, SERVICE.parse()?, "10.0.0.1", port);
    definition.meta.insert("zone".to_owned(), zone(place).to_string());
    let check = Check::http("http://10.0.0.1/health");
    definition.checks.push(CheckDefinition::new(check_id(place)?, "health", check));
    Ok(definition)
}

async fn caller(plan: &Plan, cell: &Cell, memory: &Memory, (number, seed): (usize, u64)) -> Result<Caller> {
    let config = Config::default().seed(seed).ejection(cell.mode.ejection());
    // The machine's own clocks are no part of a run.
    let config = config.slept(|| Duration::ZERO);
    let discovery = Discovery::with_registry(Arc::new(memory.clone()), config);
    let resolver = discovery.service_with(SERVICE, select(cell.contender.policy, zone(number))).await?;
    let watcher = Watcher::new(plan.instances).into();
    let next_key = std::cell::Cell::new((number as u64) << 32);
    Ok(Caller { resolver, _discovery: discovery, watcher, load: RefCell::default(), next_key })
}

fn happens(stage: &Stage, memory: &Memory, change: Change, to: fn(usize) -> bool) -> Result<()> {
    for place in (0..stage.plan.instances).filter(|place| to(*place)) {
        match change {
            Change::Mood(mood) => stage.fleet.borrow_mut().becomes(place, mood),
            Change::Critical => memory.set_check(&check_id(place)?, Status::Critical, "no answer")?,
        }
    }
    Ok(())
}

fn judged(callers: &[Rc<Caller>]) -> Judged {
    let mut judged = Judged::default();
    for caller in callers {
        let watcher = caller.watcher.borrow();
        judged.against_ejection += watcher.against;
        judged.probes += watcher.probes;
        judged.loads.push(*caller.load.borrow());
    }
    judged
}

impl Stage {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn note(&self, at: Duration, event: Event) {
        self.fleet.borrow_mut().note(at, event);
    }

    /// Lets time pass until something is due. `None`: nothing is, and nothing is under way.
    async fn next(&self, tasks: &mut JoinSet<()>) -> Result<Option<Event>> {
        loop {
            while let Some(ended) = tasks.try_join_next() {
                ended.context("a request panicked")?;
            }
            let next = self.fleet.borrow().next();
            match next.map(|next| next.saturating_sub(self.now())) {
                Some(Duration::ZERO) => return Ok(self.fleet.borrow_mut().pop()),
                Some(rest) => advance(rest.min(STEP)).await,
                None if tasks.is_empty() => return Ok(None),
                None => sleep(STEP).await,
            }
        }
    }

    /// While nothing works, as the full outage has it.
    fn in_outage(&self, at: Duration) -> bool {
        let since = at.checked_sub(self.plan.warm_up);
        since.is_some_and(|since| since < OUTAGE)
    }

    /// Sends one try.
    fn send(&self, caller: &Caller, place: usize) -> impl Future<Output = Answer> + use<> {
        let now = self.now();
        caller.counts(self, now, |count| count.reached += 1);
        let answer = self.fleet.borrow_mut().send(place, now);
        async move { answer.await.unwrap_or(Err(FailureKind::Broken)) }
    }
}

impl Caller {
    fn key(&self) -> [u8; 8] {
        self.next_key.replace(self.next_key.get().wrapping_add(1)).to_be_bytes()
    }

    /// Counts for the time until the end of the outage, and for the outage.
    fn counts(&self, stage: &Stage, at: Duration, count: impl Fn(&mut Count)) {
        let mut load = self.load.borrow_mut();
        let outage_ends = stage.plan.warm_up.saturating_add(OUTAGE);
        if at < outage_ends {
            count(&mut load.life);
            load.life.seconds = outage_ends.as_secs_f64();
        }
        if stage.in_outage(at) {
            count(&mut load.outage);
            load.outage.seconds = OUTAGE.as_secs_f64();
        }
    }

    /// Sees who is ejected.
    fn looks(&self, mode: Mode) {
        if mode == Mode::Bare {
            return;
        }
        let explained = self.resolver.explain();
        let ejected = explained.left_out.iter().filter(|one| one.why == Exclusion::Ejected);
        self.watcher.borrow_mut().ejected(ejected.map(|one| usize::from(one.instance.port)));
    }

    fn picked(&self, endpoint: &portolan::Endpoint, mode: Mode) {
        self.looks(mode);
        // In a panic the ejected are better than none, and are picked as such.
        if endpoint.mark() != Mark::Panic {
            let (place, tried) = (usize::from(endpoint.port), endpoint.is_on_trial());
            self.watcher.borrow_mut().picked(place, endpoint.in_flight(), tried);
        }
    }
}

/// One request, from its arrival until its caller knows.
async fn request(stage: Rc<Stage>, caller: Rc<Caller>) {
    let came = stage.now();
    caller.counts(&stage, came, |count| count.offered += 1);
    let is_well = match stage.mode {
        Mode::Bare | Mode::Ejecting => once(&stage, &caller).await,
        Mode::Calling => called(&stage, &caller).await,
    };
    if came >= stage.plan.warm_up {
        let mut tally = stage.tally.borrow_mut();
        tally.count(stage.now().saturating_sub(came), is_well);
        if !stage.in_outage(came) {
            tally.count_after(is_well);
        }
    }
}

async fn once(stage: &Stage, caller: &Caller) -> bool {
    let resolver = &caller.resolver;
    let pick = if stage.by_key { resolver.pick_by_key(&caller.key()) } else { resolver.pick() };
    let Ok(pick) = pick else { return false };
    let place = usize::from(pick.port);
    caller.picked(&pick, stage.mode);
    let begun = stage.now();
    match timeout(stage.plan.patience, stage.send(caller, place)).await {
        Ok(Ok(())) => {
            pick.success(stage.now().saturating_sub(begun));
            true
        }
        Ok(Err(kind)) => {
            pick.failure(kind);
            false
        }
        Err(_) => {
            pick.failure(FailureKind::Timeout);
            false
        }
    }
}

async fn called(stage: &Stage, caller: &Caller) -> bool {
    let retry = Retry::default().idempotent().each_within(stage.plan.patience);
    let attempt = |attempt: portolan::Attempt| async move {
        let place = usize::from(attempt.port);
        caller.picked(&attempt.endpoint, stage.mode);
        let answer = stage.send(caller, place).await;
        answer.map_err(|kind| Failed::new(kind, kind))
    };
    if stage.by_key {
        return caller.resolver.call_by_key(retry, &caller.key(), attempt).await.is_ok();
    }
    caller.resolver.call(retry, attempt).await.is_ok()
}
