//! What is measured, as processes: the embedded registry, a Consul, and a bare hyper server with a canned body.
//!
//! In:  a program. Out: where it listens, the processor time that the system counts for it, its memory.
//!
//! Never: outlives its [`Process`]; measures itself.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    cpu::used_by,
    http::{Connection, request},
};

/// How long a start may take before it counts as none.
const START: Duration = Duration::from_secs(60);
/// How often one that is not there yet is asked.
const AGAIN: Duration = Duration::from_millis(1);
/// How many connections a client may hold at a Consul, whose own limit is 200.
const CONNECTIONS: u32 = 12_000;

/// What runs.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Portolan {
        command: PathBuf,
        storage: Storage,
        flags: Vec<String>,
        environment: Vec<(&'static str, String)>,
        token: Option<String>,
    },
    Consul {
        binary: PathBuf,
        storage: Storage,
        token: Option<String>,
    },
    /// A bare hyper server that answers everything with so many bytes.
    Canned {
        bytes: usize,
    },
}

/// Whether what it holds is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    Memory,
    Disk,
}

/// One process.
#[derive(Debug)]
pub(crate) struct Process {
    what: What,
    addr: SocketAddr,
    /// Where it answers DNS, if that is measured.
    dns: Option<u16>,
    files: TempDir,
    child: Option<Child>,
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.end(Signal::KILL) {
            tracing::error!(error = format!("{error:#}"), "a process could not be ended");
        }
    }
}

impl Process {
    /// Starts it, and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn start(what: What) -> anyhow::Result<Self> {
        Self::begin(what, None).await
    }

    /// The same, and it answers DNS.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn with_dns(what: What) -> anyhow::Result<Self> {
        Self::begin(what, Some(free_port()?)).await
    }

    async fn begin(what: What, dns: Option<u16>) -> anyhow::Result<Self> {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut process = Self { what, addr, dns, files: TempDir::new()?, child: None };
        process.again().await?;
        Ok(process)
    }

    /// Starts it again over what it left; says how long it took until it answered.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn again(&mut self) -> anyhow::Result<Duration> {
        let log = File::options().create(true).append(true).open(self.files.path().join("log"))?;
        let mut command = self.command()?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let begun = Instant::now();
        self.child = Some(command.spawn().context("a server does not start")?);
        while !self.answers().await {
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || begun.elapsed() > START {
                let log = std::fs::read_to_string(self.files.path().join("log"))?;
                let tail: Vec<&str> = log.lines().rev().take(12).collect();
                bail!("{:?} does not answer ({ended:?}); its log ends: {tail:#?}", self.what);
            }
            sleep(AGAIN).await;
        }
        Ok(begun.elapsed())
    }

    fn command(&self) -> anyhow::Result<Command> {
        let addr = self.addr.to_string();
        Ok(match &self.what {
            What::Portolan { command, storage, flags, environment, .. } => {
                let mut run = Command::new(command);
                run.args(["serve", "--http-addr", &addr, "--limit", "max_connections_per_address=off"]);
                run.args(flags).envs(environment.iter().map(|(name, value)| (name, value)));
                if let Some(port) = self.dns {
                    run.arg("--dns-addr").arg(format!("127.0.0.1:{port}"));
                }
                match storage {
                    Storage::Memory => run.arg("--ephemeral"),
                    Storage::Disk => run.arg("--data-dir").arg(self.files.path().join("data")),
                };
                run
            }
            What::Consul { binary, storage, .. } => {
                let file = self.files.path().join("consul.json");
                let mut config = json!({
                    "bind_addr": "127.0.0.1", "client_addr": "127.0.0.1", "disable_update_check": true,
                    "log_level": "err",
                    "limits": { "http_max_conns_per_client": CONNECTIONS },
                    "performance": { "raft_multiplier": 1 },
                    "ports": {
                        "http": self.addr.port(), "server": free_port()?, "serf_lan": free_port()?,
                        "serf_wan": -1, "dns": self.dns.map_or(-1, i32::from), "grpc": -1,
                    },
                });
                if *storage == Storage::Disk {
                    let more = [
                        ("server", json!(true)),
                        ("bootstrap_expect", json!(1)),
                        ("data_dir", json!(self.files.path().join("data"))),
                    ];
                    let object = config.as_object_mut().context("a config is an object")?;
                    object.extend(more.map(|(name, value)| (name.to_owned(), value)));
                }
                std::fs::write(&file, config.to_string())?;
                let mut run = Command::new(binary);
                run.arg("agent").arg("-config-file").arg(file);
                if *storage == Storage::Memory {
                    run.arg("-dev");
                }
                run
            }
            What::Canned { bytes } => {
                let mut run = Command::new(std::env::current_exe()?);
                run.args(["--canned", &addr, "--bytes", &bytes.to_string()]);
                run
            }
        })
    }

    async fn answers(&self) -> bool {
        let ask = async {
            let mut connection = Connection::open(self.addr).await?;
            connection.read(&self.request("GET", "/v1/status/leader", "")).await
        };
        // A Consul without a leader says `""`; a bare server may have been told to say nothing.
        let least = if matches!(self.what, What::Canned { .. }) { 0 } else { 3 };
        ask.await.is_ok_and(|(_, body)| body.len() >= least)
    }

    /// A request with the token that this one wants.
    pub(crate) fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let token = match &self.what {
            What::Portolan { token, .. } | What::Consul { token, .. } => token.as_deref(),
            What::Canned { .. } => None,
        };
        request(method, path, token, body)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it answers DNS.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn dns(&self) -> anyhow::Result<SocketAddr> {
        Ok((Ipv4Addr::LOCALHOST, self.dns.context("it answers no DNS")?).into())
    }

    fn id(&self) -> anyhow::Result<u32> {
        Ok(self.child.as_ref().context("it does not run")?.id())
    }

    /// The processor time that it has used.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        used_by(self.id()?)
    }

    /// Bytes of memory: now, and the most since [`Process::forget_peak`].
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let read = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_matches([':', ' ', '\t']).strip_suffix(" kB")?.parse::<f64>().ok()
        };
        let find = |name: &str| read(name).map(|kib| kib * 1024.0).with_context(|| format!("no {name}"));
        Ok(Memory { now: find("VmRSS")?, peak: find("VmHWM")? })
    }

    /// Lets the peak of its memory begin anew.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.id()?), "5")?)
    }

    /// Ends it by this signal.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub(crate) fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            let pid = Pid::from_raw(i32::try_from(child.id())?).context("no process id")?;
            kill_process(pid, signal)?;
            child.wait()?;
        }
        Ok(())
    }
}

/// Bytes of memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) now: f64,
    pub(crate) peak: f64,
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
