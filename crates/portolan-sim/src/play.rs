//! One run: a script of faults and changes that its seed decides, over the real library with all its tasks.
//!
//! ```text
//! start ─▶ chaos ─▶ calm: all must converge ─▶ ordinary changes: each must be seen ─▶ (again, or idle) ─▶ close
//! ```
//!
//! In:  a seed. Out: [`Outcome`]: a hash of all that happened, and the first law that broke.
//!
//! Never: takes chance, time or order from anywhere but the seed.

use std::{sync::Arc, time::Duration};

use portolan::{Config, Discovery, Select, ViewConfig};
use tokio::{
    task::JoinSet,
    time::{Instant, advance, sleep, sleep_until},
};

use crate::{
    caches,
    chance::Chance,
    consumer::{Consumer, Pace},
    events,
    laws::Judge,
    registrants::Registrants,
    registry::Scripted,
    stage::{Broken, Stage},
    troubles,
    user::{User, Wish},
};

/// The services of a run.
const NAMES: [&str; 3] = ["web", "api", "db"];
/// The longest that anything may rest, wait for a turn or for a deadline, once all is well, beside its blocking read.
const PATIENCE: Duration = Duration::from_secs(150);
/// A round trip in calm, and the limit on the rate.
const PROMPT: Duration = Duration::from_millis(1_100);

/// After so long, every registration is as it should be, and that is judged.
const KEPT: Duration = Duration::from_secs(62);

/// The time between two looks at everything.
const STEP: Duration = Duration::from_millis(500);

/// How a run ended.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) hash: u64,
    pub(crate) broken: Option<Broken>,
    pub(crate) lines: Vec<String>,
    pub(crate) virtual_time: Duration,
}

/// The actors of a run.
pub(crate) struct Play {
    pub(crate) stage: Stage,
    pub(crate) discovery: Discovery,
    config: Config,
    pub(crate) chance: Chance,
    pub(crate) users: Vec<User>,
    pub(crate) keep: Registrants,
    consumers: Vec<Consumer>,
    judges: Vec<Judge>,
    tasks: JoinSet<()>,
    hold: Duration,
    wait: Duration,
    connections: usize,
    hired: u32,
}

/// Plays one seed on a runtime of its own.
pub(crate) fn play(seed: u64, keep_trace: bool) -> Result<Outcome, std::io::Error> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true);
    // The order in which `watch` wakes its receivers is of chance: from the seed, where Tokio lets us.
    #[cfg(tokio_unstable)]
    runtime.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_le_bytes()));
    let runtime = runtime.build()?;
    Ok(runtime.block_on(async {
        let start = Instant::now();
        let mut play = Play::new(seed, keep_trace);
        let stage = play.stage.clone();
        play.acts().await;
        play.end().await;
        let (hash, lines) = stage.with(|inner| (inner.trace.hash(), inner.trace.take()));
        Outcome { hash, broken: stage.verdict(), lines, virtual_time: start.elapsed() }
    }))
}

impl Play {
    fn new(seed: u64, keep_trace: bool) -> Self {
        let mut chance = Chance::new(seed);
        let connections = chance.one_of(&[1, 2, 4, 64]).copied().unwrap_or(4);
        let wait = chance.millis(1_000, 60_000);
        let hold = chance.one_of(&[0, 2, 10, 30]).map_or(Duration::ZERO, |secs| Duration::from_secs(*secs));
        let max_stale = chance.one_of(&[None, Some(1), Some(10)]).copied().flatten();
        let view = ViewConfig::default().wait(wait).hold(hold).max_stale(max_stale.map(Duration::from_secs));
        let keep = Registrants::new(chance.split());
        let stage = Stage::new(&NAMES, chance.split(), connections, keep_trace);
        let config = Config::default().view(view).connections(connections).seed(chance.next());
        // The machine's own clocks are no part of a run.
        let config = config.slept(|| Duration::ZERO).cache(caches::roll(&stage, &mut chance));
        let discovery = Discovery::with_registry(Arc::new(Scripted::new(&stage)), config.clone());
        stage.note(format_args!(
            "seed {seed}: wait {wait:?}, hold {hold:?}, max_stale {max_stale:?}, {connections} connections"
        ));
        let (users, consumers, judges, tasks) = (Vec::new(), Vec::new(), Vec::new(), JoinSet::new());
        let hired = 0;
        Self {
            stage,
            discovery,
            config,
            chance,
            users,
            keep,
            consumers,
            judges,
            tasks,
            hold,
            wait,
            connections,
            hired,
        }
    }

    fn is_over(&self) -> bool {
        self.stage.verdict().is_some()
    }

    async fn acts(&mut self) {
        for _ in 0..self.chance.below(12) {
            events::change(self);
        }
        for _ in 0..self.keep.chance.below(4) {
            self.keep.hire(&self.stage, &self.discovery);
        }
        for _ in 0..=self.chance.below(2) {
            self.hire_user();
        }
        let acts = 1 + self.chance.below(3);
        for act in 0..acts {
            self.stage.note(format_args!("act {act}"));
            self.chaos().await;
            if self.is_over() || self.chance.one_in(8) {
                return; // closed in the middle of it
            }
            self.calm().await;
            self.ordinary_day().await;
            if self.is_over() {
                return;
            }
            if self.chance.one_in(3) {
                self.idle().await;
            }
            if self.chance.one_in(2) {
                self.restart().await;
            }
            if self.is_over() {
                return;
            }
        }
    }

    async fn chaos(&mut self) {
        for _ in 0..self.chance.below(40) {
            events::event(self);
            if self.keep.chance.one_in(2) {
                troubles::event(self);
            }
            let most = self.chance.one_of(&[3, 50, 500, 5_000, 40_000]).copied().unwrap_or(50);
            let pause = self.chance.millis(0, most);
            self.pass(pause).await;
            if self.is_over() {
                return;
            }
        }
    }

    /// Lets time pass, then looks at everything.
    async fn pass(&mut self, pause: Duration) {
        if self.chance.one_in(60) {
            self.stage.note(format_args!("the clock jumps by {pause:?}"));
            self.stage.with(|inner| inner.agency.woke = Instant::now() + pause);
            advance(pause).await;
            self.stage.with(|inner| {
                inner.agency.woke = Instant::now();
                inner.agency.disturbed(Instant::now());
            });
            sleep(Duration::from_millis(2)).await; // what is due runs now
        } else {
            // Looked at often enough that nothing comes and goes between two looks.
            let end = Instant::now() + pause;
            while Instant::now() + STEP < end && !self.is_over() {
                sleep(STEP).await;
                self.look();
            }
            sleep_until(end).await;
        }
        self.look();
    }

    fn look(&mut self) {
        self.judges.iter_mut().for_each(|judge| judge.look(&self.stage));
        self.users.iter().for_each(|user| user.look(&self.stage));
        self.keep.look(&self.stage);
    }

    /// All faults end; law 1 for every view.
    async fn calm(&mut self) {
        events::mend(&self.stage);
        let calm = Instant::now();
        self.stage.with(|inner| inner.begin_calm());
        self.stage.note(format_args!("calm"));
        let mut open: Vec<usize> = (0..self.judges.len()).collect();
        let give_up = calm + PATIENCE + self.wait + self.wait / 16 + self.turn() * 4;
        // A suspicious answer is confirmed by two more reads, and each may have to wait for its turn.
        let settle = (PROMPT + self.turn()) * 3;
        while !open.is_empty() && !self.is_over() {
            sleep(Duration::from_millis(500)).await;
            self.look();
            let (stage, judges) = (&self.stage, &self.judges);
            open.retain(|place| {
                let Some(judge) = judges.get(*place) else { return false };
                if !judge.has_heard(stage, settle + judge.rest(stage)) {
                    return true;
                }
                if let Err(what) = judge.equals_the_registry(stage) {
                    stage.broken(1, format!("{} after calm: {what}", judge.key()));
                }
                false
            });
            if Instant::now() > give_up && !open.is_empty() {
                self.stage.broken(1, format!("a view was not read within {PATIENCE:?} of calm"));
            }
        }
        self.consumers.iter().for_each(|consumer| consumer.judge(&self.stage));
        if self.keep.chance.one_in(2) {
            self.pass_calmly(KEPT).await;
        }
    }

    async fn pass_calmly(&mut self, long: Duration) {
        let end = Instant::now() + long;
        while Instant::now() < end && !self.is_over() {
            sleep(STEP).await;
            self.look();
        }
    }

    /// How long a view may wait until its turn among the others comes.
    fn turn(&self) -> Duration {
        if self.connections >= NAMES.len() {
            return Duration::ZERO;
        }
        // Those that hold a place know of the crowd only from their next read on.
        let rounds = NAMES.len().div_ceil(self.connections);
        self.wait + self.wait / 16 + PROMPT * u32::try_from(rounds).unwrap_or(u32::MAX) * 2
    }

    /// All is well, and things change as they do: each change is seen at once, by everyone.
    async fn ordinary_day(&mut self) {
        for _ in 0..self.chance.below(6) {
            if self.is_over() {
                return;
            }
            let pause = self.chance.millis(0, 20_000);
            self.pass_calmly(pause).await;
            events::change(self);
            troubles::ordinary(self);
            let rest = self.judges.iter().map(|judge| judge.rest(&self.stage)).max();
            sleep(PROMPT + self.turn() + rest.unwrap_or_default()).await;
            self.look();
            for judge in &self.judges {
                if let Err(what) = judge.equals_the_registry(&self.stage) {
                    self.stage.broken(1, format!("{} on an ordinary day: {what}", judge.key()));
                }
            }
            self.consumers.iter().for_each(|consumer| consumer.judge(&self.stage));
        }
    }

    /// Nobody asks for anything, for long.
    async fn idle(&mut self) {
        let long = self.chance.millis(60_000, 3_600_000);
        self.stage.note(format_args!("idle for {long:?}"));
        sleep(long).await;
    }

    /// A user with a resolver, and a judge of its view if there is none yet.
    pub(crate) fn hire_user(&mut self) {
        let key = (*self.chance.one_of(&NAMES).unwrap_or(&"web")).to_owned();
        let wish = Wish::roll(&mut self.chance);
        let Ok(resolver) = self.discovery.service_now(&key, wish.select()) else {
            self.stage.broken(8, format!("{key}: no resolver, though nothing was closed"));
            return;
        };
        self.stage.note(format_args!("a resolver of {key}: {wish:?}"));
        let own = self.discovery.service_now(&key, Select::default());
        if let (Ok(own), true) = (own, self.judges.iter().all(|judge| judge.key() != key)) {
            self.judges.push(Judge::new(&self.stage, &key, own, self.hold));
        }
        self.users.push(User { key, resolver, wish });
    }

    /// A consumer of one of the resolvers.
    pub(crate) fn hire_consumer(&mut self) {
        let place = self.chance.place(self.users.len());
        let Some(user) = self.users.get(place) else { return };
        self.hired += 1;
        let pace =
            self.chance.one_of(&[Pace::Prompt, Pace::Slow, Pace::Impatient]).copied().unwrap_or(Pace::Slow);
        let name = (user.key.as_str(), self.hired);
        self.stage.note(format_args!("consumer {} of {}: {pace:?}", self.hired, user.key));
        let (consumer, work) = Consumer::new(&self.stage, name, &user.resolver, pace, self.chance.split());
        self.tasks.spawn(work);
        self.consumers.push(consumer);
    }

    /// One of the resolvers is dropped, or a consumer goes.
    pub(crate) fn dismiss(&mut self) {
        if self.chance.one_in(2) && self.users.len() > 1 {
            let place = self.chance.place(self.users.len());
            let user = self.users.swap_remove(place);
            self.stage.note(format_args!("a resolver of {} goes", user.key));
        } else if !self.consumers.is_empty() {
            let place = self.chance.place(self.consumers.len());
            let consumer = self.consumers.swap_remove(place);
            self.stage.note(format_args!("a consumer of {} goes", consumer.key));
            consumer.stop.cancel();
        }
    }
}

mod endings;
