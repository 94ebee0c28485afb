//! The processes of the demo's instances: started, killed, asked to leave, and all ended in the end.
//!
//! In:  orders. Out: each process's end. Each process has a task that owns it, so that a signal cannot reach another
//! process which has got its number.
//!
//! Never: leaves a process behind: they end when their task is dropped, and by themselves when our end of their stdin
//! is closed.

use std::{collections::BTreeMap, ffi::OsStr, path::PathBuf, process::Stdio, time::Duration};

use anyhow::Context;
use portolan::ServiceName;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

use super::{screen::Process, script::Spec};
use crate::config::RegistryArgs;

/// How long all of them may take to leave at the end.
const GOODBYE: Duration = Duration::from_secs(4);

/// All instances there are and were.
#[derive(Debug)]
pub(crate) struct Fleet {
    program: PathBuf,
    service: ServiceName,
    registry: RegistryArgs,
    url: String,
    members: BTreeMap<String, Member>,
    tasks: JoinSet<(String, String)>,
}

#[derive(Debug)]
struct Member {
    spec: Spec,
    process: Process,
    orders: mpsc::Sender<Order>,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Kill,
    Leave,
}

impl Fleet {
    /// # Errors
    /// The path of this program is not known.
    pub(crate) fn new(service: ServiceName, registry: RegistryArgs, url: String) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find the path of this program")?;
        Ok(Self { program, service, registry, url, members: BTreeMap::new(), tasks: JoinSet::new() })
    }

    /// Starts an instance.
    ///
    /// # Errors
    /// The process cannot be started.
    pub(crate) fn start(&mut self, spec: Spec) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        let words = [
            "demo-instance",
            "--service",
            self.service.as_str(),
            "--id",
            &spec.id,
            "--zone",
            spec.zone,
            "--version",
            spec.version,
            "--registry",
            &self.url,
        ];
        command.args(words.map(OsStr::new));
        self.registry.pass_on(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        // A group of its own: Ctrl-C is for the demo, which then ends its instances in order.
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.program.display()))?;
        let (orders, inbox) = mpsc::channel(4);
        self.tasks.spawn(own(spec.id.clone(), child, inbox));
        self.members.insert(spec.id.clone(), Member { spec, process: Process::Running, orders });
        Ok(())
    }

    /// Sends SIGKILL.
    pub(crate) fn kill(&mut self, id: &str) {
        self.order(id, Order::Kill, Process::Killed);
    }

    /// Sends SIGTERM.
    pub(crate) fn leave(&mut self, id: &str) {
        self.order(id, Order::Leave, Process::Leaving);
    }

    fn order(&mut self, id: &str, order: Order, process: Process) {
        if let Some(member) = self.members.get_mut(id)
            && member.process.is_alive()
            && member.orders.try_send(order).is_ok()
        {
            member.process = process;
        }
    }

    /// Waits for the next process to end: its id, and why, when nobody had asked it to.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn ended(&mut self) -> (String, Option<String>) {
        let Some(ended) = self.tasks.join_next().await else {
            return std::future::pending().await;
        };
        let (id, how) = ended.unwrap_or_else(|lost| (String::new(), lost.to_string()));
        let Some(member) = self.members.get_mut(&id) else { return (id, Some(how)) };
        match member.process {
            Process::Running => member.process = Process::Died,
            Process::Leaving => member.process = Process::Left,
            Process::Killed | Process::Left | Process::Died => {}
        }
        let unasked = member.process == Process::Died;
        (id, unasked.then_some(how))
    }

    /// Every instance that was ever started, in the order of their ids, with what its process does.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&Spec, Process)> {
        self.members.values().map(|member| (&member.spec, member.process))
    }

    /// How many can serve.
    pub(crate) fn alive(&self) -> usize {
        self.members.values().filter(|member| member.process.is_alive()).count()
    }

    /// Ends all: asks them to leave, and kills those that do not in time.
    pub(crate) async fn shutdown(&mut self) {
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            self.leave(&id);
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(GOODBYE, all).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

/// Owns a process until it has ended: carries out orders, keeps the last line it said.
async fn own(id: String, mut child: Child, mut inbox: mpsc::Receiver<Order>) -> (String, String) {
    // Held until the process has ended: to it, the end of this pipe is the end of the demo.
    let _stdin = child.stdin.take();
    let mut lines = child.stderr.take().map(|stderr| BufReader::new(stderr).lines());
    let mut last = String::new();
    loop {
        let line = async {
            match &mut lines {
                Some(lines) => lines.next_line().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = child.wait() => {
                let how = ended.map_or_else(|lost| lost.to_string(), |status| status.to_string());
                return (id, if last.is_empty() { how } else { format!("{how}: {last}") });
            }
            Some(order) = inbox.recv() => obey(order, &mut child),
            line = line => match line {
                Ok(Some(text)) => {
                    tracing::debug!(id, text, "an instance says");
                    last = text;
                }
                _ => lines = None,
            },
        }
    }
}

fn obey(order: Order, child: &mut Child) {
    let done = match order {
        Order::Kill => child.start_kill(),
        Order::Leave => terminate(child),
    };
    if let Err(cause) = done {
        tracing::debug!(%cause, "the process had ended before the signal");
    }
}

#[cfg(unix)]
fn terminate(child: &Child) -> std::io::Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    match pid {
        Some(pid) => kill_process(pid, Signal::TERM).map_err(Into::into),
        None => Ok(()),
    }
}

/// Where there is no SIGTERM, the process just ends.
#[cfg(not(unix))]
fn terminate(child: &mut Child) -> std::io::Result<()> {
    child.start_kill()
}
