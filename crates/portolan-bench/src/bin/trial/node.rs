//! Registries as processes: a Consul, or the embedded registry, that can be killed, stopped and started again.
//!
//! In:  where it listens and what it is. Out: a child process, and signals to it.
//!
//! Never: outlives its [`Node`]; signals any other process.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use portolan::{
    ConsulConfig, Registry as _, ServiceName,
    registry::{CatalogQuery, Consistency, ServiceQuery, consul::Consul},
};
use portolan_server::{Limits, Server, ServerConfig};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::cpu;

/// How long a registry may take until it answers.
const START: Duration = Duration::from_secs(90);
/// How often one that is not there yet is asked.
const AGAIN: Duration = Duration::from_millis(20);

/// What runs.
#[derive(Clone, Debug)]
enum Kind {
    Embedded,
    /// The command `portolan serve`, with its data on disk.
    Kept {
        command: PathBuf,
        /// Its node's name.
        node: String,
    },
    Consul {
        binary: PathBuf,
        config: Value,
    },
}

/// One registry.
#[derive(Debug)]
pub(crate) struct Node {
    kind: Kind,
    http: SocketAddr,
    files: TempDir,
    child: Option<Child>,
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            tracing::error!(error = format!("{error:#}"), "a registry could not be ended");
        }
    }
}

/// The embedded registry, until killed.
pub(crate) async fn be_the_registry(addr: SocketAddr) -> anyhow::Result<()> {
    // Crowds come from this one machine.
    let limits = Limits::default().max_connections_per_address(None);
    let server = Server::bind(ServerConfig::default().http_addr(addr).limits(limits)).await?;
    server.run(std::future::pending()).await;
    Ok(())
}

impl Node {
    /// The embedded registry in a process of its own.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn embedded() -> anyhow::Result<Self> {
        let http = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(Ipv4Addr::LOCALHOST)?));
        let mut node = Self { kind: Kind::Embedded, http, files: TempDir::new()?, child: None };
        node.start().await?;
        Ok(node)
    }

    /// The registry with its data on disk, as `portolan serve` runs it; not started yet.
    ///
    /// # Errors
    /// When there is no place for its files.
    pub(crate) fn kept(command: PathBuf) -> anyhow::Result<Self> {
        let http = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(Ipv4Addr::LOCALHOST)?));
        let kind = Kind::Kept { command, node: "trial".to_owned() };
        Ok(Self { kind, http, files: TempDir::new()?, child: None })
    }

    /// A Consul server that is a cluster of its own, on free ports, with its data on disk.
    ///
    /// # Errors
    /// When it does not start, or has no leader in time.
    pub(crate) async fn consul(binary: &Path, more: Value) -> anyhow::Result<Self> {
        let ip = Ipv4Addr::LOCALHOST;
        let mut config = json!({
            "node_name": "trial",
            "server": true,
            "bootstrap_expect": 1,
            "ports": {
                "http": free_port(ip)?, "server": free_port(ip)?, "serf_lan": free_port(ip)?,
                "serf_wan": -1, "dns": -1, "grpc": -1,
            },
        });
        merge(&mut config, more);
        let mut node = Self::member(binary, ip, config)?;
        node.start().await?;
        Ok(node)
    }

    /// A Consul as `config` has it, at this address, not started yet.
    ///
    /// # Errors
    /// When its version cannot be told.
    pub(crate) fn member(binary: &Path, ip: Ipv4Addr, mut config: Value) -> anyhow::Result<Self> {
        let files = TempDir::new()?;
        let own = json!({
            "bind_addr": ip.to_string(),
            "client_addr": ip.to_string(),
            "data_dir": files.path().join("data"),
            "disable_update_check": true,
            "leave_on_terminate": false,
            // As a production cluster is set; 5 is Consul's default.
            "performance": { "raft_multiplier": 1 },
        });
        merge(&mut config, own);
        if minor(binary)? >= 14 {
            merge(&mut config, json!({ "ports": { "grpc_tls": -1 } }));
        }
        let port = config.pointer("/ports/http").and_then(Value::as_u64).unwrap_or(8500);
        let http = SocketAddr::from((ip, u16::try_from(port)?));
        Ok(Self { kind: Kind::Consul { binary: binary.to_owned(), config }, http, files, child: None })
    }

    /// Where it listens.
    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    /// The processor time that it has used since it was started.
    ///
    /// # Errors
    /// When it does not run, or the system does not tell.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        cpu::of(&self.pid()?.to_string())
    }

    /// Its process.
    ///
    /// # Errors
    /// When it does not run.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.child.as_ref().context("it does not run")?.id())
    }

    /// The memory that it holds, in bytes.
    ///
    /// # Errors
    /// As [`Node::cpu`].
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/status", self.child.as_ref().context("it does not run")?.id());
        let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmRSS")?;
        Ok(kib.parse::<u64>()? * 1024)
    }

    /// A client of its own, past every proxy.
    pub(crate) fn client(&self) -> anyhow::Result<Consul> {
        let config = ConsulConfig::default().address(format!("http://{}", self.http))?;
        Ok(Consul::new(config.request_timeout(Duration::from_secs(2))))
    }

    /// A file of its own.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Starts it, and waits until it answers as one that has a leader.
    ///
    /// # Errors
    /// When it ends instead, or does not answer in time; the text has the end of its log.
    pub(crate) async fn start(&mut self) -> anyhow::Result<()> {
        self.launch()?;
        self.answers().await
    }

    /// Starts it, and does not wait.
    ///
    /// # Errors
    /// When there is no such program.
    pub(crate) fn launch(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.file("log"))?;
        let mut command = match &self.kind {
            Kind::Embedded => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["--registry", &self.http.to_string()]);
                command
            }
            Kind::Kept { command, node } => {
                let mut command = Command::new(command);
                command.args(["serve", "--http-addr", &self.http.to_string(), "--node", node, "--data-dir"]);
                command.arg(self.file("data")).args(["--limit", "max_connections_per_address=off"]);
                command
            }
            Kind::Consul { binary, config } => {
                let path = self.file("consul.json");
                std::fs::write(&path, config.to_string())?;
                let mut command = Command::new(binary);
                command.args(["agent", "-config-file"]).arg(path);
                command
            }
        };
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().context("a registry does not start")?);
        Ok(())
    }

    /// Waits until it answers a consistent read of its own list.
    ///
    /// # Errors
    /// When it ends, or does not answer in time.
    pub(crate) async fn answers(&mut self) -> anyhow::Result<()> {
        let client = self.client()?;
        let is_consul = matches!(self.kind, Kind::Consul { .. });
        let begun = Instant::now();
        loop {
            let mut query = CatalogQuery::default();
            query.consistency = Consistency::Default;
            let asked = timeout(Duration::from_secs(2), client.services(&query)).await;
            if asked.is_ok_and(|answer| answer.is_ok_and(|list| !is_consul || !list.value.is_empty())) {
                return Ok(());
            }
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || begun.elapsed() > START {
                let log = std::fs::read_to_string(self.file("log"))?;
                let tail: Vec<&str> = log.lines().rev().take(12).collect();
                bail!("{} does not answer ({ended:?}); its log ends: {tail:#?}", self.http);
            }
            sleep(AGAIN).await;
        }
    }

    /// Ends it as a power cut would.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Stops it where it is (SIGSTOP), or lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it does not run.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid()?)?).context("no process id")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Gives it another node name, from its next start on.
    ///
    /// # Errors
    /// When it has none that could be given.
    pub(crate) fn rename(&mut self, name: &str) -> anyhow::Result<()> {
        match &mut self.kind {
            Kind::Consul { config, .. } => merge(config, json!({ "node_name": name })),
            Kind::Kept { node, .. } => name.clone_into(node),
            Kind::Embedded => bail!("it has no name of its own"),
        }
        Ok(())
    }

    /// Removes its data. It must not run.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub(crate) fn wipe(&self) -> anyhow::Result<()> {
        let data = self.file("data");
        if data.exists() {
            std::fs::remove_dir_all(data)?;
        }
        Ok(())
    }

    /// Runs the command `consul` against it.
    ///
    /// # Errors
    /// When that fails, with what it said.
    pub(crate) async fn command(&self, words: &[&str]) -> anyhow::Result<()> {
        let Kind::Consul { binary, .. } = &self.kind else { bail!("not a Consul") };
        let mut command = tokio::process::Command::new(binary);
        command.args(words).env("CONSUL_HTTP_ADDR", self.http.to_string());
        let said = command.output().await?;
        if !said.status.success() {
            bail!("consul {}: {}", words.join(" "), String::from_utf8_lossy(&said.stderr));
        }
        Ok(())
    }

    /// The body of an answer.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<String> {
        exchange(self.http, "GET", path, "").await
    }

    /// Whether it answers a read that only a leader can answer.
    pub(crate) async fn has_leader(&self, name: &str) -> anyhow::Result<bool> {
        let query = ServiceQuery::new(ServiceName::new(name)?).consistency(Consistency::Default);
        Ok(timeout(Duration::from_secs(2), self.client()?.service(&query))
            .await
            .is_ok_and(|read| read.is_ok()))
    }
}

/// One request on a connection of its own; the body of what is answered, with status 200.
///
/// # Errors
/// When there is no such answer.
pub(crate) async fn exchange(
    addr: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
) -> anyhow::Result<String> {
    let (status, head, body) = answer(addr, method, path, body).await?;
    if status != 200 {
        bail!("{method} {path}: {head} {body}");
    }
    Ok(body)
}

/// The same with any answer: its status, its head and its body.
///
/// # Errors
/// When there is no whole answer.
pub(crate) async fn answer(
    addr: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
) -> anyhow::Result<(u16, String, String)> {
    let mut stream = TcpStream::connect(addr).await?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {addr}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without an end of its head")?;
    let status = head.split(' ').nth(1).context("an answer without a status")?.parse()?;
    Ok((status, head.to_owned(), body.to_owned()))
}

/// Sets what `more` has, in objects all the way down.
fn merge(config: &mut Value, more: Value) {
    match (config, more) {
        (Value::Object(config), Value::Object(more)) => {
            for (key, value) in more {
                merge(config.entry(key).or_insert(Value::Null), value);
            }
        }
        (config, more) => *config = more,
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port(ip: Ipv4Addr) -> anyhow::Result<u16> {
    Ok(TcpListener::bind((ip, 0))?.local_addr()?.port())
}

fn minor(binary: &Path) -> anyhow::Result<u32> {
    let said = Command::new(binary).arg("version").output().with_context(|| binary.display().to_string())?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let minor = said.split_once("v1.").and_then(|(_, rest)| rest.split('.').next()?.parse().ok());
    minor.with_context(|| format!("--consul: cannot tell the version from {said:?}"))
}
