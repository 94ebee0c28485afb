//! kill -9 of `portolan serve` at any moment while it is written to: what it acknowledged is there when it starts again.
//!
//! In:  the command. Out: how many writes were acknowledged, how many were open when it was killed, how long it took to
//! start again; and what was lost, half applied, or at a lower index: nothing.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    net::SocketAddr,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    Setting,
    node::{Node, answer},
    table::{Table, median, time},
};

const WRITERS: usize = 64;
/// Each writer's own instances: what becomes of them nobody else changes.
const IDS: u64 = 4;
/// The longest that one life is written to.
const LIFE: Duration = Duration::from_millis(300);
const AGAIN: Duration = Duration::from_millis(1);
/// How long a start may take before it counts as none.
const START: Duration = Duration::from_secs(20);

/// A port, which every part of the instance repeats; `None`: it is not there.
type Version = Option<u64>;
/// What each instance may be: what was acknowledged last, and what was asked for since.
type MayBe = BTreeMap<String, Vec<Version>>;

/// What all lives came to.
#[derive(Debug, Default)]
struct Sum {
    acknowledged: usize,
    open: usize,
    starts: Vec<Duration>,
    index: u64,
    wrong: Vec<String>,
}

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let rounds = if setting.short { 10 } else { 200 };
    let mut node = Node::kept(setting.command()?)?;
    let (mut known, mut sum) = (MayBe::new(), Sum::default());
    for _ in 0..rounds {
        let begun = Instant::now();
        node.launch()?;
        let (index, body) = first_answer(node.http(), begun).await?;
        sum.starts.push(begun.elapsed());
        judge(index, &body, &mut known, &mut sum)?;
        round(&mut node, &mut known, &mut sum).await?;
    }
    node.start().await?;
    let (index, body) = look(node.http()).await?;
    judge(index, &body, &mut known, &mut sum)?;

    let mut table = Table::new(&[
        "kills",
        "writers",
        "acknowledged",
        "open when killed",
        "start: median",
        "start: longest",
    ]);
    let counts = [rounds, WRITERS, sum.acknowledged, sum.open].map(|count| count.to_string());
    let longest = sum.starts.iter().copied().max();
    let starts = [median(sum.starts), longest].map(|start| start.map_or_else(|| "-".to_owned(), time));
    table.row(counts.into_iter().chain(starts));
    table.must(sum.open > 0, "no write was open at any kill");
    table.must(sum.acknowledged > rounds * 10, "hardly anything was acknowledged");
    sum.wrong.into_iter().for_each(|what| table.must(false, what));
    Ok(table)
}

/// Writes until it is killed.
async fn round(node: &mut Node, known: &mut MayBe, sum: &mut Sum) -> anyhow::Result<()> {
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let mut own = MayBe::new();
        for id in (0..IDS).map(|n| format!("w{number}-{n}")) {
            let may_be = known.remove(&id).unwrap_or_else(|| vec![None]);
            own.insert(id, may_be);
        }
        writers.spawn(write(node.http(), own));
    }
    let life = LIFE.mul_f64((RandomState::new().hash_one(sum.starts.len()) % 1_000) as f64 / 1_000.0);
    let over = Instant::now() + life;
    while Instant::now() < over {
        sleep(AGAIN.max(life / 20)).await;
        // What a reader was shown counts too. A read that is late is no loss.
        if let Ok(Ok((index, _))) = timeout(LIFE, look(node.http())).await {
            sum.index = sum.index.max(index);
        }
    }
    node.kill()?;
    while let Some(writer) = writers.join_next().await {
        let (own, acknowledged) = writer?;
        sum.acknowledged += acknowledged;
        sum.open += own.values().filter(|may_be| may_be.len() > 1).count();
        known.extend(own);
    }
    Ok(())
}

/// One writer, until the registry is gone.
async fn write(addr: SocketAddr, mut own: MayBe) -> (MayBe, usize) {
    let dice = RandomState::new();
    let mut acknowledged = 0;
    for step in 0_u64.. {
        let roll = dice.hash_one(step);
        let Some((id, may_be)) = own.iter_mut().nth(usize::try_from(roll % IDS).unwrap_or(0)) else { break };
        let version = Some(1 + (roll >> 8) % 60_000).filter(|_| roll % 5 != 0);
        may_be.push(version);
        let (path, body) = match version {
            Some(version) => ("/v1/agent/service/register".to_owned(), definition(id, version).to_string()),
            None => (format!("/v1/agent/service/deregister/{id}"), String::new()),
        };
        match answer(addr, "PUT", &path, &body).await {
            // One that is not there is as good as removed.
            Ok((200 | 404, ..)) => {
                acknowledged += 1;
                *may_be = vec![version];
            }
            Ok(_) | Err(_) => break,
        }
    }
    (own, acknowledged)
}

fn definition(id: &str, version: u64) -> Value {
    json!({
        "Name": "lasting", "ID": id, "Port": version, "Meta": { "version": version.to_string() },
        "Check": { "CheckID": format!("check:{id}"), "TTL": "1h", "Notes": version.to_string() },
    })
}

async fn look(addr: SocketAddr) -> anyhow::Result<(u64, String)> {
    let (status, head, body) = answer(addr, "GET", "/v1/health/service/lasting", "").await?;
    if status != 200 {
        bail!("{status}: {body}");
    }
    let index = head.lines().find_map(|line| line.strip_prefix("X-Consul-Index: "));
    Ok((index.context("no index")?.trim().parse()?, body))
}

async fn first_answer(addr: SocketAddr, begun: Instant) -> anyhow::Result<(u64, String)> {
    loop {
        match look(addr).await {
            Ok(answer) => return Ok(answer),
            Err(error) if begun.elapsed() > START => return Err(error.context("it does not start again")),
            Err(_) => sleep(AGAIN).await,
        }
    }
}

fn judge(index: u64, body: &str, known: &mut MayBe, sum: &mut Sum) -> anyhow::Result<()> {
    let entries: Vec<Value> = serde_json::from_str(body)?;
    let mut held: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in &entries {
        let text = |path: &str| entry.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let version = entry.pointer("/Service/Port").and_then(Value::as_u64).unwrap_or(0);
        let says = version.to_string();
        let checks = entry.pointer("/Checks").and_then(Value::as_array);
        let checks = checks.into_iter().flatten().filter(|check| check["ServiceID"] != "");
        let notes: Vec<&Value> = checks.map(|check| &check["Notes"]).collect();
        if text("/Service/Meta/version") != says || notes != [&Value::from(says.as_str())] {
            sum.wrong.push(format!("half applied: {entry}"));
        }
        held.insert(text("/Service/ID"), version);
    }
    for (id, may_be) in known {
        let is = held.get(id.as_str()).copied();
        if !may_be.contains(&is) {
            sum.wrong.push(format!("{id} is {is:?}, and may be one of {may_be:?}"));
        }
        *may_be = vec![is];
    }
    if index < sum.index {
        sum.wrong.push(format!("the index is {index}, and {} was shown", sum.index));
    }
    sum.index = index;
    Ok(())
}
