//! A rolling restart through the adapters: instances served by that of axum, a caller over that of reqwest.
//!
//! In:  a Consul. Out: a row for each registry, each way to restart, with retries and without: requests, and how many of
//! them failed.
//!
//! Each instance is a process with a connection kept for its callers. It is asked to end (SIGTERM), and drains; or it is
//! killed (SIGKILL), which closes its listener and cuts every connection, while the registry shows it as passing until
//! its next check, 1 s later at most.
//!
//! Never: leaves an instance behind.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use axum::{Router, routing::get};
use portolan::{
    Discovery, Drain, HealthConfig, HealthEndpoint, Registration, Resolver, Retry, Snapshot, Status,
    integrate::{
        axum::{Serve, asked_to_stop},
        reqwest::Client,
    },
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::{
    process::{Child, Command},
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    Setting,
    node::{Node, free_port},
    rolling::{Tally, call},
    stage::at,
    table::{Table, time},
};

/// How long a request may take, with its retries.
const LIMIT: Duration = Duration::from_secs(1);
/// How long anything else may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often an instance is checked, and how long callers have to see that it leaves.
const SECOND: Duration = Duration::from_secs(1);
/// How long an instance thinks about an answer.
const WORK: Duration = Duration::from_millis(5);
/// The caller's requests go on for so long before and after the restarts.
const MARGIN: Duration = Duration::from_secs(2);

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let mut table = Table::new(&[
        "registry",
        "restarted by",
        "retries",
        "instances",
        "took",
        "requests",
        "failed",
        "the first",
    ]);
    let count = if setting.short { 6 } else { 20 };
    for registry in ["embedded", "Consul"] {
        for (way, signal) in [("SIGTERM: drained", Signal::TERM), ("kill -9", Signal::KILL)] {
            for retries in ["yes", "no"] {
                println!("   {registry}: {way}, retries: {retries}");
                let node = match registry {
                    "embedded" => Node::embedded().await?,
                    _ => Node::consul(setting.consul()?, json!({})).await?,
                };
                let retry = Retry::default().within(LIMIT);
                let retry = if retries == "yes" { retry } else { retry.tries(1) };
                let (took, tally) = restart_all(&node, signal, retry, count).await?;
                println!("   {registry}: {} of {} requests failed", tally.failed, tally.sent);
                if retries == "yes" || signal == Signal::TERM {
                    let text =
                        format!("{registry}, {way}, retries {retries}: {} requests failed", tally.failed);
                    table.must(tally.failed == 0, text);
                }
                table.row([
                    registry.to_owned(),
                    way.to_owned(),
                    retries.to_owned(),
                    count.to_string(),
                    time(took),
                    tally.sent.to_string(),
                    tally.failed.to_string(),
                    tally.first.unwrap_or_else(|| "-".to_owned()),
                ]);
            }
        }
    }
    Ok(table)
}

/// Starts the instances and the caller, restarts one after the other, and says how long that took.
async fn restart_all(
    node: &Node,
    signal: Signal,
    retry: Retry,
    count: usize,
) -> anyhow::Result<(Duration, Tally)> {
    let discovery = Discovery::new(at(node.http())?);
    let web = discovery.service("web").await?;
    let mut instances = Vec::new();
    for _ in 0..count {
        instances.push(Instance::start(node.http(), free_port(Ipv4Addr::LOCALHOST)?)?);
    }
    for instance in &instances {
        instance.ready(&web).await?;
    }
    let client = Client::new(&discovery)?.retry(retry);
    let (stop, stopped) = oneshot::channel();
    let mut caller = JoinSet::new();
    let send = move || {
        let client = client.clone();
        async move { one(&client).await }
    };
    caller.spawn(call(send, stopped));
    sleep(MARGIN).await;
    let begun = Instant::now();
    let mut renewed = Vec::new();
    for mut instance in instances {
        instance.end(signal).await?;
        let next = Instance::start(node.http(), instance.port)?;
        next.ready(&web).await?;
        renewed.push(next);
    }
    let took = begun.elapsed();
    sleep(MARGIN).await;
    // The caller listens for as long as it calls.
    let _heard = stop.send(());
    let tally = caller.join_next().await.context("the caller is gone")??;
    for mut instance in renewed {
        instance.end(Signal::KILL).await?;
    }
    discovery.close(PATIENCE).await?;
    Ok((took, tally))
}

/// One request, to whom the adapter picks.
async fn one(client: &Client) -> anyhow::Result<()> {
    let answer = client.get("http://web/").send().await?;
    let status = answer.status();
    let body = answer.text().await?;
    if status != 200 || body != "served" {
        bail!("{status}: {body:?}");
    }
    Ok(())
}

/// A process that the adapter serves.
struct Instance {
    child: Child,
    pid: Pid,
    port: u16,
}

impl Drop for Instance {
    fn drop(&mut self) {
        // What has ended already is what is wanted.
        let _gone = self.child.start_kill();
    }
}

impl Instance {
    fn start(registry: SocketAddr, port: u16) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--served", &registry.to_string(), &format!("127.0.0.1:{port}")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().context("an instance does not start")?;
        let id = child.id().context("it runs")?;
        let pid = Pid::from_raw(id.try_into()?).context("no process id")?;
        Ok(Self { child, pid, port })
    }

    /// Returns once callers may choose it.
    async fn ready(&self, web: &Resolver) -> anyhow::Result<()> {
        let pid = self.pid.as_raw_nonzero().to_string();
        let there = |known: &Snapshot| {
            let is_this = |one: &portolan::Instance| one.meta.get("pid").is_some_and(|found| **found == *pid);
            known.instances().iter().any(|one| is_this(one) && one.status == Status::Passing)
        };
        web.watch().wait_until(there, PATIENCE).await.context("an instance was not ready in time")?;
        Ok(())
    }

    /// Returns once the process is gone.
    async fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        kill_process(self.pid, signal)?;
        timeout(PATIENCE, self.child.wait()).await.context("an instance did not end")??;
        Ok(())
    }
}

/// An instance, until SIGTERM.
pub(crate) async fn be_served(registry: SocketAddr, addr: SocketAddr) -> anyhow::Result<()> {
    let discovery = Discovery::new(at(registry)?);
    let health = HealthEndpoint::open(HealthConfig::default())?;
    let answer = || async {
        sleep(WORK).await;
        "served"
    };
    let web = Registration::new("web", addr.port())
        .meta("pid", std::process::id().to_string())
        .check(health.check().every(SECOND).timeout(SECOND));
    let serve = Serve::new(web, Router::new().route("/", get(answer))).health(health);
    let drain = Drain::default().settle(SECOND).deadline(5 * SECOND);
    serve.drain(drain).run(&discovery, addr, asked_to_stop()).await?;
    Ok(discovery.close(PATIENCE).await?)
}
