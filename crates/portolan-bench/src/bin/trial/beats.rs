//! Ten thousand TTL registrations of one process on the embedded registry: what they cost, and whether a check expires.
//!
//! In:  the embedded registry in a process of its own. Out: processor time of both processes, reports a second, how long
//! a report takes.
//!
//! That no check expired is read from the registry: a check that did, were it for a moment, has another `ModifyIndex`.

use std::{collections::BTreeMap, net::SocketAddr, sync::atomic::Ordering, time::Duration};

use anyhow::Context as _;
use portolan::{
    Address, Check, Config, ConsulConfig, Discovery, Registration, RegistrationHandle,
    registry::consul::Http2,
};
use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    Setting, cpu,
    node::{Node, exchange},
    table::{Table, time},
    tally::Tally,
};

const REGISTRATIONS: usize = 10_000;
/// Instances of one service.
const EACH: usize = 100;
const TTL: Duration = Duration::from_secs(15);
/// How long it takes until all is registered and reported once.
const PATIENCE: Duration = Duration::from_secs(120);

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let mut table = Table::new(&[
        "to the registry",
        "TTL checks of 15 s",
        "all registered after",
        "watched for",
        "reports a second",
        "other calls a second",
        "a report takes: median, 99 %, longest",
        "processor: this process, the registry (cores)",
        "expired or changed: in the TTL before, while watched",
    ]);
    let tally = Tally::begin()?;
    let minute = Duration::from_secs(60);
    let plain = |config: ConsulConfig| config;
    let http2 = |config: ConsulConfig| config.http2(Http2::PriorKnowledge);
    one("HTTP/1.1", plain, &tally, setting.time(600, 60), &mut table).await?;
    one("HTTP/2", http2, &tally, minute, &mut table).await?;
    Ok(table)
}

async fn one(
    name: &str,
    set: impl FnOnce(ConsulConfig) -> ConsulConfig,
    tally: &Tally,
    watched: Duration,
    table: &mut Table,
) -> anyhow::Result<()> {
    println!("   {name}");
    let node = Node::embedded().await?;
    let consul = set(ConsulConfig::default().address(format!("http://{}", node.http()))?);
    let discovery = Discovery::new(Config::default().consul(consul));
    let begun = Instant::now();
    let handles = register(&discovery).await?;
    let first = settled(node.http(), begun).await?;
    let registered = begun.elapsed();
    // From here on nothing is new.
    sleep(TTL).await;
    let before = checks(node.http()).await?;
    tally.clear();
    let (since, ours, theirs) = (Instant::now(), cpu::of("self")?, node.cpu()?);
    sleep(watched).await;
    let (passed, ours, theirs) =
        (since.elapsed(), cpu::of("self")?.saturating_sub(ours), node.cpu()?.saturating_sub(theirs));
    let (reports, calls) = (tally.reports.count(), tally.calls.load(Ordering::Relaxed));
    let refused = tally.refused.load(Ordering::Relaxed);
    let after = checks(node.http()).await?;
    let differing = |old: &BTreeMap<String, u64>, new: &BTreeMap<String, u64>| {
        old.iter().filter(|(id, index)| new.get(*id) != Some(index)).count()
    };
    let (early, changed) = (differing(&first, &before), differing(&before, &after));
    let a_second = |count: u64| format!("{:.1}", count as f64 / passed.as_secs_f64());
    table.row([
        name.to_owned(),
        before.len().to_string(),
        time(registered),
        time(passed),
        a_second(reports),
        a_second(calls.saturating_sub(reports)),
        [tally.reports.percent(50), tally.reports.percent(99), tally.reports.longest()].map(time).join(", "),
        format!("{:.2}, {:.2}", cpu::share(ours, passed), cpu::share(theirs, passed)),
        format!("{early}, {changed}"),
    ]);
    table.must(
        early + changed == 0,
        format!(
            "{name}: {early} checks expired or changed in the {} before, {changed} while watched",
            time(TTL)
        ),
    );
    table.must(refused == 0, format!("{name}: {refused} reports failed"));
    // A check that is not reported in time expires; so many reports at least there must have been.
    let least = passed.as_secs_f64() / TTL.as_secs_f64() * REGISTRATIONS as f64;
    table.must(reports as f64 >= least, format!("{name}: only {reports} reports"));
    drop(handles);
    // Not part of what is tried: what is left goes with the registry.
    drop(discovery.close(Duration::from_secs(60)).await);
    Ok(())
}

/// All at once, as a program that starts does.
async fn register(discovery: &Discovery) -> anyhow::Result<Vec<RegistrationHandle>> {
    let mut under_way = JoinSet::new();
    for number in 0..REGISTRATIONS {
        let discovery = discovery.clone();
        under_way.spawn(async move {
            let instance = Registration::new(format!("beats-{:03}", number / EACH), 8000)
                .id(format!("beats-{number:05}"))
                .address(Address::Given("127.0.0.1".to_owned()))
                .check(Check::ttl(TTL));
            discovery.register(instance).await
        });
    }
    let mut handles = Vec::with_capacity(REGISTRATIONS);
    while let Some(done) = under_way.join_next().await {
        handles.push(done??);
    }
    Ok(handles)
}

/// Every check with its index, once all of them pass.
async fn settled(addr: SocketAddr, begun: Instant) -> anyhow::Result<BTreeMap<String, u64>> {
    loop {
        let critical = exchange(addr, "GET", "/v1/health/state/critical", "").await?;
        let found = checks(addr).await?;
        if critical.trim() == "[]" && found.len() == REGISTRATIONS {
            return Ok(found);
        }
        let (count, late) = (found.len(), begun.elapsed() > PATIENCE);
        anyhow::ensure!(!late, "{count} checks are there, and not all of them pass");
        sleep(Duration::from_millis(250)).await;
    }
}

/// The index of every check of ours.
async fn checks(addr: SocketAddr) -> anyhow::Result<BTreeMap<String, u64>> {
    let body = exchange(addr, "GET", "/v1/health/state/any", "").await?;
    let all: Vec<Value> = serde_json::from_str(&body)?;
    let ours =
        all.iter().filter(|check| check["ServiceID"].as_str().is_some_and(|id| id.starts_with("beats-")));
    ours.map(|check| {
        let id = check["CheckID"].as_str().context("a check without an id")?;
        let index = check["ModifyIndex"].as_u64().context("a check without an index")?;
        Ok((id.to_owned(), index))
    })
    .collect()
}
