//! Measures the embedded registry beside a real Consul and beside what the machine can do, in one run, so that ratios hold.
//!
//! In:  the command `portolan`, a Consul, and what to measure. Out: a table for a person, and rows for a program (`--json`).
//!
//! Each server is a process of its own; its processor time is the system's account of that process alone.
//!
//! Never: compares figures of two runs; leaves out a target that is not met.
#![expect(clippy::print_stdout, reason = "its table is what it is for")]

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Parser;

mod canned;
mod cpu;
mod dns;
mod http;
mod load;
mod process;
mod reads;
mod row;
mod size;
mod traces;
mod watchers;
mod writes;

use process::{Process, Storage, What};

/// What can be measured, in this order.
const PARTS: [&str; 10] =
    ["memory", "durable", "reads", "dns", "watchers", "each", "size", "ephemeral", "deadlines", "tracing"];

/// Measures the embedded registry.
#[derive(Debug, Parser)]
struct Options {
    /// Write the rows to this file, as a JSON list.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The Consul to measure beside; without one, only what needs none is judged.
    #[arg(long, value_name = "FILE")]
    consul: Option<PathBuf>,
    /// The command `portolan`. Default: the one beside this program.
    #[arg(long, value_name = "FILE")]
    command: Option<PathBuf>,
    /// Measure only this part; again for more.
    #[arg(long, value_name = "PART", value_parser = PARTS)]
    part: Vec<String>,
    /// A tenth of everything: to see that it works, not to quote.
    #[arg(long)]
    quick: bool,
    /// A flag more for `portolan serve`, for example one that turns access rules on; again for more.
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    serve: Vec<String>,
    /// The token that every request to the registry has: then reads are held to the target with access rules.
    #[arg(long, value_name = "SECRET")]
    token: Option<String>,
    /// Be the bare hyper server, at this address, until killed.
    #[arg(long, hide = true, value_name = "ADDRESS:PORT")]
    canned: Option<SocketAddr>,
    /// How many bytes it says.
    #[arg(long, hide = true, default_value_t = 0)]
    bytes: usize,
}

/// What is measured, with what.
#[derive(Debug)]
pub(crate) struct Bench {
    options: Options,
    command: PathBuf,
    peer: String,
}

impl Bench {
    fn new(options: Options) -> anyhow::Result<Self> {
        let beside = || Some(std::env::current_exe().ok()?.with_file_name("portolan"));
        let command = options.command.clone().or_else(beside).filter(|path| path.is_file());
        let command =
            command.context("--command: there is no `portolan`; run `cargo xtask bench registry`")?;
        let peer = match &options.consul {
            Some(binary) => {
                let said = std::process::Command::new(binary).arg("version").output()?;
                let said = String::from_utf8_lossy(&said.stdout).into_owned();
                said.lines().next().unwrap_or_default().to_owned()
            }
            None => "no Consul".to_owned(),
        };
        Ok(Self { options, command, peer })
    }

    fn peer(&self) -> &str {
        &self.peer
    }

    fn has_token(&self) -> bool {
        self.options.token.is_some()
    }

    /// So many, or a tenth.
    fn size(&self, full: usize) -> usize {
        if self.options.quick { full / 10 } else { full }
    }

    fn rounds(&self) -> usize {
        if self.options.quick { 1 } else { 5 }
    }

    /// How long a server is read in one round.
    fn slice(&self) -> Duration {
        Duration::from_millis(if self.options.quick { 200 } else { 500 })
    }

    async fn portolan(&self, storage: Storage) -> anyhow::Result<Process> {
        let Options { serve, token, .. } = &self.options;
        let (command, flags, token) = (self.command.clone(), serve.clone(), token.clone());
        let environment = Vec::new();
        Process::start(What::Portolan { command, storage, flags, environment, token }).await
    }

    async fn consul(&self, storage: Storage) -> anyhow::Result<Option<Process>> {
        let Some(binary) = self.options.consul.clone() else { return Ok(None) };
        Ok(Some(Process::start(What::Consul { binary, storage, token: None }).await?))
    }

    /// A registry, and a Consul if there is one, which answer DNS.
    async fn with_dns(&self) -> anyhow::Result<(Process, Option<Process>)> {
        let (command, flags) = (self.command.clone(), self.options.serve.clone());
        let environment = Vec::new();
        let ours = What::Portolan { command, storage: Storage::Memory, flags, environment, token: None };
        let consul = match self.options.consul.clone() {
            None => None,
            Some(binary) => {
                Some(Process::with_dns(What::Consul { binary, storage: Storage::Memory, token: None }).await?)
            }
        };
        Ok((Process::with_dns(ours).await?, consul))
    }

    fn wants(&self, part: &str) -> bool {
        self.options.part.is_empty() || self.options.part.iter().any(|wanted| wanted == part)
    }

    /// Measures each part; one that fails does not take the others with it.
    async fn run(&self) -> (Vec<row::Row>, Vec<String>) {
        let (mut all, mut failed) = (Vec::new(), Vec::new());
        for part in PARTS.into_iter().filter(|part| self.wants(part)) {
            let mut rows = Vec::new();
            if let Err(error) = self.part(part, &mut rows).await {
                failed.push(format!("{part}: {error:#}"));
            }
            let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
            println!("### {part}\n\n{}\nload of the machine: {}\n", row::table(&rows), load.trim());
            all.extend(rows);
        }
        (all, failed)
    }

    async fn part(&self, part: &str, rows: &mut Vec<row::Row>) -> anyhow::Result<()> {
        match part {
            "memory" => writes::in_memory(self, rows).await,
            "durable" => writes::durable(self, rows).await,
            "reads" => reads::rows(self, rows).await,
            "dns" => dns::rows(self, rows).await,
            "watchers" => watchers::of_one(self, rows).await,
            "each" => watchers::of_each(self, rows).await,
            "size" => size::rows(self, rows).await,
            "tracing" => traces::rows(self, rows).await,
            "ephemeral" => size::ephemeral(rows).await,
            _ => {
                size::deadlines(rows);
                Ok(())
            }
        }
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(addr) = options.canned {
        return runtime.block_on(canned::serve(addr, options.bytes));
    }
    let json = options.json.clone();
    let bench = Bench::new(options)?;
    let (rows, failed) = runtime.block_on(Box::pin(bench.run()));
    if let Some(path) = json {
        let text = serde_json::to_string_pretty(&rows)?;
        std::fs::write(&path, text + "\n").with_context(|| format!("--json {}", path.display()))?;
    }
    anyhow::ensure!(failed.is_empty(), "not measured: {failed:#?}");
    Ok(())
}
