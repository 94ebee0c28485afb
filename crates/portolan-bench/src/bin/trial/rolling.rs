//! A rolling restart under load: twenty instances, each under `portolan run`, behind one caller.
//!
//! In:  the command `portolan`, a Consul. Out: a row for each registry and each way to restart: requests, and how many of
//! them failed. A request is a GET on a connection of its own, to the instance that the library picked, without a retry.
//!
//! The instance is the simplest there is: it listens half a second after its start, answers after 5 ms, and ends at once
//! when it gets SIGTERM, whatever it was doing. So all that keeps requests from failing is that none is sent to it.
//!
//! Never: leaves an instance behind.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use portolan::{Discovery, Resolver};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::oneshot,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    Setting,
    node::{Node, exchange, free_port},
    stage::at,
    table::{Table, time},
};

/// From one request to the next: 500 a second.
const PACE: Duration = Duration::from_millis(2);
/// How long a request may take.
const LIMIT: Duration = Duration::from_secs(1);
/// How long anything else may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long an instance needs until it listens.
const START: Duration = Duration::from_millis(500);
/// How long an instance thinks about an answer.
const WORK: Duration = Duration::from_millis(5);
/// The caller's requests go on for so long before and after the restarts.
const MARGIN: Duration = Duration::from_secs(2);

/// How an instance is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Drained,
    ChildEnds,
    AllKilled,
}

impl Way {
    const ALL: [Self; 3] = [Self::Drained, Self::ChildEnds, Self::AllKilled];

    fn name(self) -> &'static str {
        match self {
            Self::Drained => "SIGTERM to `portolan run`: drained",
            Self::ChildEnds => "SIGTERM past it: no drain, the death is told at once",
            Self::AllKilled => "kill -9 of both: no drain, its successor on the port removes it",
        }
    }
}

/// The trial.
pub(crate) async fn trial(setting: &Setting) -> anyhow::Result<Table> {
    let mut table =
        Table::new(&["registry", "restarted by", "instances", "took", "requests", "failed", "the first"]);
    let command = setting.command()?;
    let count = if setting.short { 6 } else { 20 };
    for registry in ["embedded", "Consul"] {
        for way in Way::ALL {
            println!("   {registry}: {}", way.name());
            let node = match registry {
                "embedded" => Node::embedded().await?,
                _ => Node::consul(setting.consul()?, json!({})).await?,
            };
            let (took, tally) = restart_all(&command, &node, way, count).await?;
            table.row([
                registry.to_owned(),
                way.name().to_owned(),
                count.to_string(),
                time(took),
                tally.sent.to_string(),
                tally.failed.to_string(),
                tally.first.clone().unwrap_or_else(|| "-".to_owned()),
            ]);
            println!("   {registry}: {} of {} requests failed", tally.failed, tally.sent);
            if way == Way::Drained {
                let failed = tally.failed;
                table
                    .must(failed == 0, format!("{registry}: {failed} requests failed in spite of the drain"));
            }
        }
    }
    Ok(table)
}

/// Starts the instances and the caller, restarts one after the other, and says how long that took.
async fn restart_all(
    command: &Path,
    node: &Node,
    way: Way,
    count: usize,
) -> anyhow::Result<(Duration, Tally)> {
    let mut starting = JoinSet::new();
    for _ in 0..count {
        let port = free_port(Ipv4Addr::LOCALHOST)?;
        starting.spawn(Instance::start(command.to_owned(), node.http(), port));
    }
    let mut instances = Vec::new();
    while let Some(started) = starting.join_next().await {
        instances.push(started??);
    }
    let discovery = Discovery::new(at(node.http())?);
    let web = discovery.service("web").await?;
    let all = |known: &portolan::Snapshot| known.instances().len() == count;
    web.watch().wait_until(all, PATIENCE).await?;
    let (stop, stopped) = oneshot::channel();
    let mut caller = JoinSet::new();
    let send = move || {
        let web = web.clone();
        async move { one(&web).await }
    };
    caller.spawn(call(send, stopped));
    sleep(MARGIN).await;
    let begun = Instant::now();
    let mut renewed = Vec::new();
    for instance in instances {
        let port = instance.port;
        instance.end(way).await?;
        renewed.push(Instance::start(command.to_owned(), node.http(), port).await?);
    }
    let took = begun.elapsed();
    sleep(MARGIN).await;
    // The caller listens for as long as it calls.
    let _heard = stop.send(());
    let tally = caller.join_next().await.context("the caller is gone")??;
    for instance in renewed {
        instance.end(Way::AllKilled).await?;
    }
    discovery.close(PATIENCE).await?;
    Ok((took, tally))
}

/// `portolan run` with its child.
struct Instance {
    run: Child,
    _said: Lines<BufReader<ChildStderr>>,
    _out: Lines<BufReader<ChildStdout>>,
    /// The child's process.
    pid: Pid,
    port: u16,
}

impl Drop for Instance {
    fn drop(&mut self) {
        // What has ended already is what is wanted.
        let _gone = self.run.start_kill();
        let _gone = kill_process(self.pid, Signal::KILL);
    }
}

impl Instance {
    /// Returns once it is ready: the catalogue shows it as passing.
    async fn start(command: PathBuf, registry: SocketAddr, port: u16) -> anyhow::Result<Self> {
        let mut run = Command::new(command);
        run.args(["run", "--name", "web", "--address", "127.0.0.1", "--wait-healthy", "--drain", "5s"]);
        run.args(["--check", "http:/health", "--interval", "1s", "--timeout", "1s", "--settle", "1s"]);
        run.args(["--port", &port.to_string()]);
        run.args(["--registry", &format!("http://{registry}"), "--"]);
        run.arg(std::env::current_exe()?).args(["--instance", &format!("127.0.0.1:{port}")]);
        run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut run = run.spawn().context("`portolan run` does not start")?;
        let mut out = BufReader::new(run.stdout.take().context("stdout is piped")?).lines();
        let mut said = BufReader::new(run.stderr.take().context("stderr is piped")?).lines();
        let ready = async {
            let pid = out.next_line().await?.context("the instance said nothing")?;
            let mut lines = Vec::new();
            while let Some(line) = said.next_line().await? {
                if line.ends_with(": ready") {
                    return Ok(pid);
                }
                lines.push(line);
            }
            bail!("`portolan run` ended before it was ready: {lines:?}")
        };
        let pid = timeout(PATIENCE, ready).await.context("an instance was not ready in time")??;
        let pid = Pid::from_raw(pid.trim().parse()?).context("no process id")?;
        Ok(Self { run, _said: said, _out: out, pid, port })
    }

    /// Ends it; returns once both processes are gone.
    async fn end(mut self, way: Way) -> anyhow::Result<()> {
        let run = self.run.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)).context("it runs")?;
        match way {
            Way::Drained => kill_process(run, Signal::TERM)?,
            Way::ChildEnds => kill_process(self.pid, Signal::TERM)?,
            Way::AllKilled => {
                kill_process(run, Signal::KILL)?;
                kill_process(self.pid, Signal::KILL)?;
            }
        }
        timeout(PATIENCE, self.run.wait()).await.context("`portolan run` did not end")??;
        Ok(())
    }
}

/// What became of the requests.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sent: usize,
    pub(crate) failed: usize,
    /// Why the first failed.
    pub(crate) first: Option<String>,
}

/// Sends requests at their pace until it is told to stop, and waits for the last.
pub(crate) async fn call<A>(send: impl Fn() -> A, mut stop: oneshot::Receiver<()>) -> Tally
where
    A: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut tally = Tally::default();
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = &mut stop => break,
            Some(ended) = under_way.join_next() => tally.count(ended),
            _ = pace.tick() => {
                under_way.spawn(send());
            }
        }
    }
    while let Some(ended) = under_way.join_next().await {
        tally.count(ended);
    }
    tally
}

impl Tally {
    fn count(&mut self, ended: Result<anyhow::Result<()>, tokio::task::JoinError>) {
        self.sent += 1;
        let failed = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => format!("{error:#}"),
            Err(error) => error.to_string(),
        };
        self.failed += 1;
        self.first.get_or_insert(failed);
    }
}

/// One request, to whom the library picks.
async fn one(web: &Resolver) -> anyhow::Result<()> {
    let pick = web.pick()?;
    let addr: SocketAddr = pick.authority().parse()?;
    let answer = timeout(LIMIT, exchange(addr, "GET", "/", "")).await.context("no answer in 1 s")??;
    if answer != addr.port().to_string() {
        bail!("{addr} answered {answer:?}");
    }
    Ok(())
}

/// An instance, until SIGTERM: it answers with its port.
pub(crate) async fn be_an_instance(addr: SocketAddr) -> anyhow::Result<()> {
    println!("{}", std::process::id());
    sleep(START).await;
    let listener = TcpListener::bind(addr).await?;
    let mut answers = JoinSet::new();
    loop {
        let (stream, _from) = listener.accept().await?;
        while answers.try_join_next().is_some() {}
        answers.spawn(answer(stream, addr.port()));
    }
}

/// Answers one request with a port.
pub(crate) async fn answer(mut stream: TcpStream, port: u16) -> std::io::Result<()> {
    let mut request = [0_u8; 1024];
    if stream.read(&mut request).await? == 0 {
        return Ok(());
    }
    sleep(WORK).await;
    let body = port.to_string();
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).await
}
