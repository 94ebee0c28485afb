//! Three Consul servers and a client agent, each at a loopback address of its own; the leader is killed, stopped, cut off.
//!
//! In:  a Consul. Out: a row for each: what lookups through the client agent saw, and how long after the leader was
//! lost a new registration was in every view.

use std::{net::Ipv4Addr, path::Path, time::Duration};

use anyhow::Context as _;
use portolan::{Registry as _, ServiceName, registry::ServiceQuery};
use rustix::process::Signal;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    Setting, link,
    link::Cut,
    node::Node,
    scenes::Scene,
    stage::{Proof, Size, Stage, at, back},
    table::{Table, perhaps, time},
};

/// How long a cluster may take until it has a leader.
const ELECTION: Duration = Duration::from_secs(90);

/// Ports are the usual ones: the addresses differ, and the namespace is ours alone. Without one, they may be taken.
const HTTP: u16 = 8500;

/// The cluster.
struct Cluster {
    servers: Vec<Node>,
    client: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Killed,
    Stopped,
    CutOff,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Killed => "the leader: kill -9, started again later",
            Self::Stopped => "the leader: SIGSTOP, then SIGCONT",
            Self::CutOff => "the leader: cut off from all others, then healed",
        }
    }
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 10 + number)
}

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let mut table = Table::new(&[
        "what happens",
        "trouble lasts",
        "a new leader after",
        "an instance registered then is in all views after",
        "in a bare watch after",
        "all views right, after it is over",
        "lookups",
        "failed",
        "oldest answer",
    ]);
    for what in [What::Killed, What::Stopped, What::CutOff] {
        if what == What::CutOff && !link::is_alone() {
            table
                .note("The leader could not be cut off: that needs a network namespace (root, unshare, ip).");
            continue;
        }
        println!("   {}", what.name());
        play(what, setting, &mut table).await.context(what.name())?;
    }
    Ok(table)
}

async fn play(what: What, setting: &Setting, table: &mut Table) -> anyhow::Result<()> {
    let size = Size { services: 40, instances: 3, threads: 4, rate: 1_000 };
    let mut cluster = Cluster::start(setting.consul()?).await?;
    let mut stage = Stage::new(size, cluster.client.http(), at(cluster.client.http())?).await?;
    let crowd = stage.crowd(size);
    let name = stage.names.first().cloned().unwrap_or_default();
    stage.deregister(&name, 0, &crowd).await?;
    let leader = cluster.leader().await?;
    let trouble = setting.time(30, 15);

    let begun = Instant::now();
    let cut = cluster.lose(what, leader)?;
    stage.register(&name, 9).await?;
    let id = format!("{name}-9");
    let bare = bare_watch(&cluster.client, &name, &id);
    let bare = async { bare.await.map(|()| begun.elapsed()) };
    let (elected, seen, bare) = tokio::join!(
        cluster.elected_without(leader, begun),
        stage.converged(begun, Proof::Any),
        timeout(ELECTION, bare),
    );
    let (elected, seen, bare) = (elected?, seen?, bare.ok().transpose()?);
    sleep(trouble.saturating_sub(begun.elapsed())).await;
    drop(cut);
    cluster.mend(what, leader)?;
    let over = back(&cluster.client, &name).await?;
    stage.register(&name, 10).await?;
    let converged = Some(stage.converged(over, Proof::Any).await?);
    let scene = Scene { lasted: over.duration_since(begun), noticed: [None, None], converged };
    let tally = stage.end(crowd).await?;
    table.row([
        what.name().to_owned(),
        time(scene.lasted),
        time(elected),
        time(seen),
        perhaps(bare),
        perhaps(scene.converged),
        tally.made.to_string(),
        tally.failed.to_string(),
        time(tally.oldest),
    ]);
    if let Some(wrong) = tally.wrong() {
        table.must(false, format!("{}: {wrong}", what.name()));
    }
    Ok(())
}

/// A blocking query of its own on the same agent, asked again at once, until it has the instance.
async fn bare_watch(agent: &Node, service: &str, id: &str) -> anyhow::Result<()> {
    let client = agent.client()?;
    let query = ServiceQuery::new(ServiceName::new(service)?);
    let mut index = 0;
    loop {
        let asked =
            if index == 0 { query.clone() } else { query.clone().block(index, Duration::from_secs(30)) };
        match client.service(&asked).await {
            Ok(answer) if answer.value.iter().any(|one| *one.identity.id == *id) => return Ok(()),
            Ok(answer) => index = answer.meta.index,
            Err(_) => {
                index = 0;
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

impl Cluster {
    async fn start(binary: &Path) -> anyhow::Result<Self> {
        let join: Vec<String> = (0..3).map(|number| address(number).to_string()).collect();
        let member = |number: u8, server: bool| {
            let mut config = json!({
                "node_name": if server { format!("server-{number}") } else { "client".to_owned() },
                "server": server,
                "retry_join": join.clone(),
                "retry_interval": "1s",
                "ports": { "http": HTTP, "dns": -1, "grpc": -1, "serf_wan": -1 },
            });
            if server && let Some(fields) = config.as_object_mut() {
                fields.insert("bootstrap_expect".to_owned(), json!(3));
            }
            Node::member(binary, address(number), config)
        };
        let mut servers = vec![member(0, true)?, member(1, true)?, member(2, true)?];
        let mut client = member(3, false)?;
        for server in &mut servers {
            server.launch()?;
        }
        client.launch()?;
        for server in &mut servers {
            server.answers().await?;
        }
        client.answers().await?;
        let cluster = Self { servers, client };
        cluster.joined().await?;
        Ok(cluster)
    }

    /// Waits until the catalogue has all four nodes: the client can serve before it has joined everybody.
    async fn joined(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let found = self.client.get("/v1/catalog/nodes").await.unwrap_or_default();
            if found.matches("\"Address\"").count() == 4 || begun.elapsed() > ELECTION {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The place of the leader among the servers.
    async fn leader(&self) -> anyhow::Result<usize> {
        let said = self.client.get("/v1/status/leader").await?;
        let is =
            |number: &usize| said.contains(&format!("\"{}:", address(u8::try_from(*number).unwrap_or(9))));
        (0..self.servers.len()).find(is).with_context(|| format!("no server is the leader: {said}"))
    }

    fn lose(&mut self, what: What, leader: usize) -> anyhow::Result<Option<Cut>> {
        let server = self.servers.get_mut(leader).context("no such server")?;
        match what {
            What::Killed => server.kill()?,
            What::Stopped => server.signal(Signal::STOP)?,
            What::CutOff => return Cut::off(address(u8::try_from(leader)?)).map(Some),
        }
        Ok(None)
    }

    fn mend(&mut self, what: What, leader: usize) -> anyhow::Result<()> {
        let server = self.servers.get_mut(leader).context("no such server")?;
        match what {
            What::Killed => server.launch(),
            What::Stopped => server.signal(Signal::CONT),
            What::CutOff => Ok(()),
        }
    }

    /// How long after `since` the servers that are left had another leader, and could read with it.
    async fn elected_without(&self, lost: usize, since: Instant) -> anyhow::Result<Duration> {
        let left = self.servers.get((lost + 1) % self.servers.len()).context("no server is left")?;
        let gone = address(u8::try_from(lost)?).to_string();
        while since.elapsed() < ELECTION {
            let said = timeout(Duration::from_secs(2), left.get("/v1/status/leader")).await;
            let other =
                said.is_ok_and(|said| said.is_ok_and(|said| said.contains(':') && !said.contains(&gone)));
            if other && left.client()?.services(&Default::default()).await.is_ok() {
                return Ok(since.elapsed());
            }
            sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("no new leader within {ELECTION:?}")
    }
}
