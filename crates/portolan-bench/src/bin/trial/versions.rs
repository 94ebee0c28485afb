//! A new version behind a caller: it comes beside the old one, gets a tenth of the requests, then all, and is stepped back.
//!
//! In:  a Consul. Out: a row for each registry and each step: requests, how many failed, which share the new version got and
//! which it was to get, and the time from the change to its effect.
//!
//! One caller is split, 500 requests a second; beside it one asks for `^1`, 100 a second, and must never meet another
//! version. A request is a GET on a connection of its own, without a retry. Instances live in this process, and are
//! registered and drained as any others.
//!
//! Never: takes for chance what five standard deviations do not explain.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use portolan::{Discovery, Registration, RegistrationHandle, Requirement, Resolver, Select, Split};
use serde_json::json;
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    Setting,
    node::{Node, exchange},
    rolling::answer,
    stage::at,
    table::{Table, perhaps, time},
};

/// From one request of the split caller to the next: 500 a second.
const PACE: Duration = Duration::from_millis(2);
/// And of the one that asks for `^1`.
const CAREFUL_PACE: Duration = Duration::from_millis(10);
/// How long a request may take.
const LIMIT: Duration = Duration::from_secs(1);
/// How long anything else may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Instances of each version.
const EACH: usize = 5;
/// How often an operator's file is looked at, and a moment to follow it.
const FILE_LIMIT: Duration = Duration::from_millis(2_500);
/// What is set from code must hold within this.
const CODE_LIMIT: Duration = Duration::from_millis(50);

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let mut table =
        Table::new(&["registry", "step", "in effect after", "requests", "failed", "to 2.0", "was to be"]);
    for registry in ["embedded", "Consul"] {
        let node = match registry {
            "embedded" => Node::embedded().await?,
            _ => Node::consul(setting.consul()?, json!({})).await?,
        };
        let folder = tempfile::tempdir()?;
        let splits = folder.path().join("splits");
        std::fs::write(&splits, "# nothing is split yet\n")?;
        steps(registry, &node, &splits, setting.time(20, 5), &mut table).await?;
    }
    Ok(table)
}

/// Brings the new version up, and shares the requests in one way after the other.
async fn steps(
    registry: &str,
    node: &Node,
    splits: &Path,
    step: Duration,
    table: &mut Table,
) -> anyhow::Result<()> {
    let discovery = Discovery::new(at(node.http())?.splits(splits));
    let (mut served, mut old, mut new) = (JoinSet::new(), Vec::new(), Vec::new());
    for _ in 0..EACH {
        old.push(instance(&discovery, "1.4.0", &mut served).await?);
    }
    let one: Requirement = "^1".parse()?;
    let split = Select::default().split(Split::all(one.clone()));
    let web = discovery.service_with("web", split).await?;
    let careful = discovery.service_with("web", Select::default().version(one)).await?;
    web.watch().wait_until(|known| known.instances().len() == EACH, PATIENCE).await?;
    let careful = Calls::begin(&careful, CAREFUL_PACE);
    let mut play = Play { registry, calls: Calls::begin(&web, PACE), web, step, table };

    // The deployment: one after the other comes, and the old ones stay, for there will be a step back.
    let begun = play.calls.counts();
    for _ in 0..EACH {
        new.push(instance(&discovery, "2.0.0", &mut served).await?);
        sleep(step / 10).await;
    }
    play.row("2.0 comes beside 1.4", None, play.calls.counts().since(begun), 0.0);
    for (name, text, share) in [
        ("90/10, from code", "90 ^1, 10 ^2", 0.1),
        ("0/100, from code", "0 ^1, 100 ^2", 1.0),
        ("back to 100/0, from code", "100 ^1, 0 ^2", 0.0),
    ] {
        let split: Split = text.parse()?;
        let set = |web: &Resolver| {
            web.set_split(Some(split));
            Ok(())
        };
        play.shares(name, set, share, CODE_LIMIT).await?;
    }
    for (name, text, share) in [
        ("90/10, by the file", "web = 90 ^1, 10 ^2", 0.1),
        ("stepped back, by the file", "web = 1 ^1, 0 ^2", 0.0),
    ] {
        let write = |_: &Resolver| {
            let beside = splits.with_extension("new");
            std::fs::write(&beside, text)?;
            Ok(std::fs::rename(&beside, splits)?)
        };
        play.shares(name, write, share, FILE_LIMIT).await?;
    }
    // The canary goes, drained, while nothing is sent to it, and with it some of those that all is sent to.
    let before = play.calls.counts();
    for handle in new.into_iter().chain(old.drain(..EACH / 2)) {
        handle.close().await?;
    }
    play.row("2.0 and two of 1.4 are drained", None, play.calls.counts().since(before), 0.0);
    let careful = careful.end().await?;
    play.row("all steps, asking for ^1", None, careful, 0.0);
    let all = play.calls.end().await?;
    table.must(all.failed == 0, format!("{registry}: {} of all requests failed", all.failed));
    discovery.close(PATIENCE).await?;
    Ok(())
}

/// The split caller, and where it is written down what became of its requests.
struct Play<'a> {
    registry: &'a str,
    web: Resolver,
    calls: Calls,
    step: Duration,
    table: &'a mut Table,
}

impl Play<'_> {
    /// Changes how requests are shared, waits for the effect, and counts for the time of a step.
    async fn shares(
        &mut self,
        name: &str,
        change: impl FnOnce(&Resolver) -> anyhow::Result<()>,
        share: f64,
        limit: Duration,
    ) -> anyhow::Result<()> {
        let changed = Instant::now();
        change(&self.web)?;
        let effect = effect(&self.web, share, changed).await?;
        let late = format!("{}, {name}: in effect after {}", self.registry, time(effect));
        self.table.must(effect <= limit, late);
        let before = self.calls.counts();
        sleep(self.step).await;
        self.row(name, Some(effect), self.calls.counts().since(before), share);
        Ok(())
    }

    fn row(&mut self, step: &str, effect: Option<Duration>, counts: Counts, share: f64) {
        let registry = self.registry;
        counts.judge(&format!("{registry}, {step}"), share, self.table);
        self.table.row([
            registry.to_owned(),
            step.to_owned(),
            perhaps(effect),
            counts.sent.to_string(),
            counts.failed.to_string(),
            format!("{:.2} %", counts.share() * 100.0),
            format!("{:.0} %", share * 100.0),
        ]);
        println!("   {registry}, {step}: {counts:?}");
    }
}

/// An instance in this process, which answers with its port; ready when the catalogue shows it as passing.
async fn instance(
    discovery: &Discovery,
    version: &str,
    served: &mut JoinSet<()>,
) -> anyhow::Result<RegistrationHandle> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let bound = listener.local_addr()?;
    served.spawn(async move {
        let mut answers = JoinSet::new();
        while let Ok((stream, _from)) = listener.accept().await {
            while answers.try_join_next().is_some() {}
            answers.spawn(answer(stream, bound.port()));
        }
    });
    let registration = Registration::ttl("web", bound.port()).listens_on(bound).version(version);
    let handle = discovery.register(registration).await?;
    handle.wait_healthy(PATIENCE).await?;
    Ok(handle)
}

/// How long after `changed` picks follow: the new version is to get this share.
async fn effect(web: &Resolver, share: f64, changed: Instant) -> anyhow::Result<Duration> {
    let share_now = || -> f64 {
        let parts = web.explain().parts;
        parts.iter().filter(|part| part.part.requirement.to_string() == "^2").map(|part| part.share).sum()
    };
    while (share_now() - share).abs() > 1e-6 {
        if changed.elapsed() > PATIENCE {
            bail!("the split had no effect within {PATIENCE:?}: {:?}", web.explain().parts);
        }
        sleep(Duration::from_micros(200)).await;
    }
    Ok(changed.elapsed())
}

/// What became of requests, and how many were sent to 2.0.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    sent: u64,
    failed: u64,
    new: u64,
}

impl Counts {
    fn since(self, before: Self) -> Self {
        Self {
            sent: self.sent - before.sent,
            failed: self.failed - before.failed,
            new: self.new - before.new,
        }
    }

    fn share(self) -> f64 {
        if self.sent == 0 { 0.0 } else { self.new as f64 / self.sent as f64 }
    }

    /// Notes what does not hold: a failure, a share that is not chance's, too few requests to tell.
    fn judge(self, what: &str, share: f64, table: &mut Table) {
        let (sent, new) = (self.sent as f64, self.new as f64);
        let bound = 5.0 * (sent * share * (1.0 - share)).sqrt();
        let first = || format!("{what}: {} of {} requests failed", self.failed, self.sent);
        table.must(self.failed == 0, first());
        table.must(self.sent > 0, format!("{what}: no request was sent"));
        table.must(
            (new - sent * share).abs() <= bound,
            format!("{what}: {new} of {sent} to 2.0, not {} within {bound:.0}", sent * share),
        );
    }
}

/// A caller, and what it counts: a request counts where it was sent, by the version of whom the library picked.
struct Calls {
    counted: Arc<Counted>,
    caller: JoinSet<()>,
}

#[derive(Default)]
struct Counted {
    sent: AtomicU64,
    failed: AtomicU64,
    new: AtomicU64,
    ends: AtomicBool,
}

impl Calls {
    fn begin(web: &Resolver, pace: Duration) -> Self {
        let counted = Arc::new(Counted::default());
        let mut caller = JoinSet::new();
        let (web, counts) = (web.clone(), Arc::clone(&counted));
        caller.spawn(async move {
            let mut pace = interval(pace);
            pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut under_way = JoinSet::new();
            while !counts.ends.load(Ordering::Relaxed) {
                pace.tick().await;
                while under_way.try_join_next().is_some() {}
                under_way.spawn(one(web.clone(), Arc::clone(&counts)));
            }
            while under_way.join_next().await.is_some() {}
        });
        Self { counted, caller }
    }

    fn counts(&self) -> Counts {
        let Counted { sent, failed, new, .. } = &*self.counted;
        let all = |count: &AtomicU64| count.load(Ordering::SeqCst);
        Counts { sent: all(sent), failed: all(failed), new: all(new) }
    }

    /// Ends the caller, and waits for its last request.
    async fn end(mut self) -> anyhow::Result<Counts> {
        self.counted.ends.store(true, Ordering::Relaxed);
        self.caller.join_next().await.context("the caller is gone")??;
        Ok(self.counts())
    }
}

async fn one(web: Resolver, counted: Arc<Counted>) {
    let sent = async {
        let pick = web.pick()?;
        counted.sent.fetch_add(1, Ordering::SeqCst);
        if pick.version.as_ref().is_some_and(|version| version.major == 2) {
            counted.new.fetch_add(1, Ordering::SeqCst);
        }
        let addr: SocketAddr = pick.authority().parse()?;
        let answer = timeout(LIMIT, exchange(addr, "GET", "/", "")).await.context("no answer in 1 s")??;
        if answer != addr.port().to_string() {
            bail!("{addr} answered {answer:?}");
        }
        Ok(())
    };
    let ended: anyhow::Result<()> = sent.await;
    if let Err(error) = ended {
        println!("   a request failed: {error:#}");
        counted.failed.fetch_add(1, Ordering::SeqCst);
    }
}
