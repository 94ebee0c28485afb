//! A Consul that is gone for a minute under a thousand lookups a second; and programs that start meanwhile.
//!
//! In:  a Consul with 200 services. Out: what eight threads saw meanwhile, and when the views were right again: of a
//! program that ran on, and of one that started in the outage from its disk, or from Redis with its disk empty.
//!
//! A program that starts is a new Discovery in this process: it shares nothing with the old one but the cache.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use portolan::{CacheConfig, Config, Source};
use serde_json::json;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::{
    Setting,
    node::{Node, free_port},
    scenes::{HEAD, Scene, tell},
    stage::{Proof, Size, Stage, at, back},
    table::{Table, time},
};

/// A change is saved within five seconds; so much before the outage nothing changes any more.
const SETTLED: Duration = Duration::from_secs(7);
const SIZE: Size = Size { services: 200, instances: 3, threads: 8, rate: 1_000 };

/// What becomes of the program in the outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    RunsOn,
    StartsFromDisk,
    StartsFromRedis,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::RunsOn => "the program runs on",
            Self::StartsFromDisk => "the program starts again meanwhile, from its disk",
            Self::StartsFromRedis => "the program starts again meanwhile, from Redis, its disk empty",
        }
    }
}

/// A Redis that keeps nothing, ended when dropped.
struct Redis(Child, SocketAddr);

impl Redis {
    async fn start() -> anyhow::Result<Self> {
        let port = free_port(Ipv4Addr::LOCALHOST)?;
        let mut command = Command::new("redis-server");
        command.args([
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--port",
            &port.to_string(),
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("redis-server does not start; is it installed?")?;
        let redis = Self(child, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        for _ in 0..500 {
            if TcpStream::connect(redis.1).await.is_ok() {
                return Ok(redis);
            }
            sleep(Duration::from_millis(20)).await;
        }
        bail!("redis-server does not listen at {}", redis.1)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            tracing::error!(%error, "redis-server could not be ended");
        }
    }
}

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let mut table = Table::new(HEAD);
    for program in [Program::RunsOn, Program::StartsFromDisk, Program::StartsFromRedis] {
        if !setting.wants(program.name()) {
            continue;
        }
        println!("   {}", program.name());
        one(program, setting, &mut table).await.context(program.name())?;
    }
    Ok(table)
}

async fn one(program: Program, setting: &Setting, table: &mut Table) -> anyhow::Result<()> {
    let mut node = Node::consul(setting.consul()?, json!({})).await?;
    let redis = match program {
        Program::StartsFromRedis => Some(Redis::start().await?),
        _ => None,
    };
    let (before, after) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let config = |disk: &tempfile::TempDir| -> anyhow::Result<Config> {
        let mut cache = CacheConfig::default().disk(disk.path()).cluster("trial");
        if let Some(Redis(_, addr)) = &redis {
            cache = cache.redis(&format!("redis://{addr}"))?;
        }
        Ok(at(node.http())?.cache(cache))
    };
    let mut stage = Stage::new(SIZE, node.http(), config(&before)?).await?;
    let mut crowd = stage.crowd(SIZE);
    for name in stage.names.iter().step_by(10).cloned().collect::<Vec<_>>() {
        stage.deregister(&name, 0, &crowd).await?;
    }
    sleep(SETTLED).await;

    let gone = setting.time(60, 15);
    let again = config(if program == Program::StartsFromDisk { &before } else { &after })?;
    let begun = Instant::now();
    node.kill()?;
    crowd.registry_is_gone();
    let noticed = stage.noticed(begun, gone / 3).await;
    sleep((gone / 3).saturating_sub(begun.elapsed())).await;
    let mut first = crate::crowd::Tally::default();
    if program != Program::RunsOn {
        let (told, started) = stage.restart(&mut crowd, again, SIZE).await?;
        first = told;
        let sources = stage.sources();
        table.note(format!(
            "{}: all {} services known {} after its start; they came from {sources:?}.",
            program.name(),
            SIZE.services,
            time(started)
        ));
        let wanted = if program == Program::StartsFromDisk { Source::Disk } else { Source::Shared };
        table.must(sources.iter().eq([&wanted.to_string()]), format!("{}: {sources:?}", program.name()));
    }
    sleep(gone.saturating_sub(begun.elapsed())).await;
    crowd.registry_may_answer();
    let launched = Instant::now();
    node.launch()?;
    let over = back(&node, stage.names.first().map_or("", String::as_str)).await?;
    let (converged, last) = stage.last_converged(over, Proof::After(launched)).await?;
    table.note(format!("{}: the last view that was right again: {last}.", program.name()));
    let mut tally = stage.end(crowd).await?;
    tally.add(first);
    let scene = Scene { lasted: over.duration_since(begun), noticed, converged: Some(converged) };
    let name = format!("Consul killed; 1,000 lookups/s, 200 services, 8 threads; {}", program.name());
    tell(table, &name, &scene, &tally);
    Ok(())
}
