//! Two hundred registrations of one process on an agent that is wiped, beside a bare parallel registration of the same.
//!
//! In:  a registry. Out: a row: how long until the catalogue shows them all, by the keeper and without it.

use std::time::Duration;

use anyhow::bail;
use portolan::{Address, Discovery, Registration, RegistrationHandle};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::PATIENCE;
use crate::{
    node::{Node, exchange},
    stage::{at, back},
    table::{Table, time},
};

const COUNT: u16 = 200;
/// What the keeper may need to notice.
const NOTICE: Duration = Duration::from_secs(1);
/// At most so many times what a bare registration takes.
const MOST: f64 = 1.5;

pub(super) async fn wiped(registry: &str, mut node: Node, table: &mut Table) -> anyhow::Result<()> {
    println!("   {registry}: wiped under {COUNT} registrations");
    let bare = bare(&node).await?;
    again(&mut node, Duration::ZERO).await?;

    let discovery = Discovery::new(at(node.http())?);
    let mut handles: Vec<RegistrationHandle> = Vec::new();
    for number in 0..COUNT {
        let registration = Registration::ttl("web", 10_000 + number)
            .id(format!("web-{number}"))
            .address(Address::Given("127.0.0.1".to_owned()));
        handles.push(discovery.register(registration).await?);
    }
    all(&node, Instant::now()).await?;
    sleep(Duration::from_secs(7)).await;
    let over = again(&mut node, Duration::from_secs(10)).await?;
    let kept = all(&node, over).await?;
    let most = NOTICE + bare.mul_f64(MOST);
    table.row([
        registry.to_owned(),
        format!("kill -9, started again without its data, under {COUNT} registrations of one process"),
        "10 s".to_owned(),
        time(kept),
        "-".to_owned(),
        format!(
            "a bare parallel registration of the same: {}; 1 s and 1.5 times that: {}",
            time(bare),
            time(most)
        ),
    ]);
    table.must(kept <= most, format!("{registry}: {COUNT} were right after {kept:?}, not {most:?}"));
    Ok(discovery.close(Duration::from_secs(20)).await?)
}

/// Kills it, wipes it, starts it; gives when it was back.
async fn again(node: &mut Node, gone: Duration) -> anyhow::Result<Instant> {
    node.kill()?;
    node.wipe()?;
    sleep(gone).await;
    node.launch()?;
    back(node, "web").await
}

/// How long it takes to register all of them at once, by one request each, until the catalogue has them.
async fn bare(node: &Node) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut calls = JoinSet::new();
    for number in 0..COUNT {
        let id = format!("web-{number}");
        let check = json!({ "CheckID": format!("service:{id}"), "TTL": "30s", "Status": "passing" });
        let body = json!({ "ID": id, "Name": "web", "Address": "127.0.0.1", "Port": 10_000 + number, "Checks": [check] });
        let addr = node.http();
        calls.spawn(
            async move { exchange(addr, "PUT", "/v1/agent/service/register", &body.to_string()).await },
        );
    }
    while let Some(done) = calls.join_next().await {
        done??;
    }
    all(node, begun).await
}

/// How long after `since` the catalogue shows all of them as passing.
async fn all(node: &Node, since: Instant) -> anyhow::Result<Duration> {
    loop {
        let shown = node.get("/v1/health/service/web?passing").await.ok();
        let shown: Option<Value> = shown.map(|body| serde_json::from_str(&body)).transpose()?;
        let count = shown.as_ref().and_then(Value::as_array).map_or(0, Vec::len);
        if count == usize::from(COUNT) {
            return Ok(since.elapsed());
        }
        if since.elapsed() > PATIENCE {
            bail!("{count} of {COUNT} are there after {PATIENCE:?}");
        }
        sleep(Duration::from_millis(5)).await;
    }
}
