//! From an acknowledged write to `pick()`, beside a bare blocking query on the same registry in the same run.
//!
//! In:  a registry and one service. Out: the median of both times, from the moment a write was sent and from that at
//! which it was acknowledged, and their ratio.
//!
//! Both are woken by their own read of the same change; neither looks in a loop. A registry answers those who wait in the
//! order in which they asked, one after the other, which is worth more than what is measured: so each is the first of the
//! two every other time.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use portolan::{Discovery, Registry as _, Resolver, ServiceName, registry::ServiceQuery};
use serde_json::json;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    Setting,
    node::{Node, exchange},
    stage::at,
    table::{Table, median, time},
};

/// More than a quarter of a second: a view reads four times a second when much changes.
const PAUSE: Duration = Duration::from_millis(300);
/// Time enough for the view to ask before the bare query.
const LATER: Duration = Duration::from_millis(30);
/// How long a change may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// At most so many times what the bare query takes.
const MOST: f64 = 1.1;

/// The newest version that was seen, and when.
type Seen = watch::Receiver<(u32, Instant)>;

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let mut table = Table::new(&[
        "registry",
        "writes",
        "bare query, from sent / acknowledged",
        "`pick()`, from sent / acknowledged",
        "ratio, from sent / acknowledged",
    ]);
    let writes = if setting.short { 40 } else { 200 };
    let node = Node::embedded().await?;
    one("embedded", &node, writes, &mut table).await?;
    drop(node);
    let node = Node::consul(setting.consul()?, json!({})).await?;
    one("Consul", &node, writes, &mut table).await?;
    Ok(table)
}

/// Writes a version of the one instance.
pub(crate) async fn write(addr: SocketAddr, service: &str, version: u32) -> anyhow::Result<()> {
    let body = json!({
        "Node": "elsewhere", "Address": "127.0.0.1", "SkipNodeUpdate": version > 0,
        "Service": {
            "ID": format!("{service}-0"), "Service": service, "Address": "127.0.0.1", "Port": 8000,
            "Meta": { "round": version.to_string() },
        },
    });
    exchange(addr, "PUT", "/v1/catalog/register", &body.to_string()).await.map(drop)
}

async fn one(registry: &str, node: &Node, writes: u32, table: &mut Table) -> anyhow::Result<()> {
    write(node.http(), "web", 0).await?;
    let discovery = Discovery::new(at(node.http())?);
    let resolver = discovery.service("web").await?;
    let mut tasks = JoinSet::new();
    let (tell_pick, mut pick) = watch::channel((0, Instant::now()));
    let (tell_bare, mut bare) = watch::channel((0, Instant::now()));
    tasks.spawn(picks(resolver, tell_pick));
    tasks.spawn(bare_queries(node.client()?, tell_bare));
    let mut times = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for version in 1..=writes {
        sleep(PAUSE).await;
        let sent = Instant::now();
        write(node.http(), "web", version).await?;
        let acknowledged = Instant::now();
        let (bare, pick) = (reached(&mut bare, version).await?, reached(&mut pick, version).await?);
        for (list, took) in times.iter_mut().zip([
            bare.duration_since(sent),
            bare.saturating_duration_since(acknowledged),
            pick.duration_since(sent),
            pick.saturating_duration_since(acknowledged),
        ]) {
            list.push(took);
        }
    }
    tasks.shutdown().await;
    discovery.close(PATIENCE).await?;
    let [bare_sent, bare_acked, pick_sent, pick_acked] = times.map(|list| median(list).unwrap_or_default());
    let ratio = |pick: Duration, bare: Duration| pick.as_secs_f64() / bare.as_secs_f64().max(1e-9);
    let (from_sent, from_acked) = (ratio(pick_sent, bare_sent), ratio(pick_acked, bare_acked));
    table.row([
        registry.to_owned(),
        writes.to_string(),
        format!("{} / {}", time(bare_sent), time(bare_acked)),
        format!("{} / {}", time(pick_sent), time(pick_acked)),
        format!("{from_sent:.2} / {from_acked:.2}"),
    ]);
    // A query that is woken before the writer has its answer makes a ratio of noise.
    let judged = if bare_acked > Duration::from_micros(200) { from_acked } else { from_sent };
    table.must(judged <= MOST, format!("{registry}: {judged:.2} times a bare blocking query, not {MOST}"));
    Ok(())
}

async fn reached(seen: &mut Seen, version: u32) -> anyhow::Result<Instant> {
    let found = timeout(PATIENCE, seen.wait_for(|(newest, _)| *newest >= version)).await;
    Ok(found.with_context(|| format!("version {version} was not seen"))??.1)
}

async fn picks(resolver: Resolver, tell: watch::Sender<(u32, Instant)>) {
    let mut reader = resolver.watch();
    while reader.changed().await.is_ok() {
        let round = |picked: &portolan::Endpoint| picked.meta.get("round").and_then(|text| text.parse().ok());
        if let Ok(Some(version)) = resolver.peek(round) {
            tell.send_replace((version, Instant::now()));
        }
    }
}

async fn bare_queries(client: portolan::registry::consul::Consul, tell: watch::Sender<(u32, Instant)>) {
    let Ok(service) = ServiceName::new("web") else { return };
    let query = ServiceQuery::new(service);
    let mut index = 0;
    loop {
        let asked =
            if index == 0 { query.clone() } else { query.clone().block(index, Duration::from_secs(30)) };
        let Ok(answer) = client.service(&asked).await else {
            index = 0;
            sleep(PAUSE).await;
            continue;
        };
        index = answer.meta.index;
        let version = answer.value.first().and_then(|one| one.meta.get("round")?.parse().ok());
        if let Some(version) = version {
            tell.send_replace((version, Instant::now()));
            if version % 2 == 0 {
                sleep(LATER).await;
            }
        }
    }
}
