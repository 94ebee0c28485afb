//! Trials: the library on real registries that are killed, stopped, cut off, wiped and brought back, while threads look
//! services up at a steady rate.
//!
//! In:  names of trials, `--short`, and the Consul to use. Out: a table for each, ready for BENCHMARKS.md; exit code 1
//! when something that must hold did not.
//!
//! Each trial starts its own registries, on loopback, in a network namespace of its own where that is possible, and
//! ends them. `cargo xtask trial` runs it with the Consul that the tests use.
//!
//! Never: leaves a process behind; invents a figure: what could not be measured is a dash.
#![expect(clippy::print_stdout, reason = "a command talks to a person")]

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::bail;
use clap::Parser;

mod adapters;
mod beats;
mod checked;
mod checks;
mod churn;
mod cluster;
mod cpu;
mod crowd;
mod down;
mod exposed;
#[path = "../registry/http.rs"]
mod http;
mod killed;
mod lasting;
mod link;
mod many;
mod node;
mod others;
mod outage;
mod promises;
mod rolling;
mod scenes;
mod soak;
mod stage;
mod table;
mod tally;
mod versions;
mod write;

use table::Table;

/// What can be tried, and what it shows.
const TRIALS: &[(&str, &str)] = &[
    ("embedded", "the embedded registry killed, stopped, cut off, slow, resetting"),
    ("consul", "one Consul killed, wiped, restored from a snapshot, stopped, cut off, slow, resetting"),
    ("cluster", "three Consul servers and a client agent; the leader killed, stopped, cut off"),
    ("outage", "Consul gone for a minute under a thousand lookups a second"),
    ("write-to-pick", "from an acknowledged write to pick(), beside a bare blocking query"),
    ("many", "five thousand services watched: connections, and changes beside a dedicated watch"),
    ("down", "a registry gone for five minutes under a thousand views: requests and log lines"),
    (
        "promises",
        "what a keeper does after each fault: until the catalogue is right again, and what checks showed",
    ),
    ("killed", "kill -9 of a process: when its instances are critical, and when they are removed"),
    ("lasting", "kill -9 of `portolan serve` under 64 writers, 200 times: nothing acknowledged is lost"),
    ("exposed", "`portolan serve` under idle, dripping and greedy clients: what others wait, and its memory"),
    (
        "rolling",
        "twenty instances under `portolan run` restarted in turn, 500 requests a second: how many fail",
    ),
    (
        "adapters",
        "twenty instances served by the axum adapter restarted in turn, 500 requests a second by that of reqwest",
    ),
    (
        "versions",
        "2.0 beside 1.4 under 500 requests a second: a tenth of them, all, and back; shares, failures, time to effect",
    ),
    ("others", "instances registered by py-consul and by Consul's command: found by their version"),
    ("beats", "ten thousand TTL registrations of one process: processor time, and no check expires"),
    ("checks", "ten thousand HTTP checks each ten seconds: processor time, and none is late"),
    ("soak", "half an hour of changes under a thousand watchers: memory, errors, missed changes"),
    ("churn", "an hour of churn in simulated time: memory and tasks"),
];

/// Trials on real registries.
#[derive(Debug, Parser)]
struct Args {
    /// Which trials to run; all when none is named.
    names: Vec<String>,
    /// Shorter outages and smaller crowds.
    #[arg(long)]
    short: bool,
    /// Of the trials `embedded`, `consul` and `outage` only the rows whose name has this in it.
    #[arg(long, value_name = "TEXT")]
    row: Option<String>,
    /// How long the trial `soak` takes; 30 unless said, 2 in the short form.
    #[arg(long, value_name = "N")]
    minutes: Option<u32>,
    /// The Consul binary.
    #[arg(long, value_name = "FILE")]
    consul: Option<PathBuf>,
    /// A Python that has py-consul: for the trial `others`.
    #[arg(long, value_name = "FILE")]
    python: Option<PathBuf>,
    /// The command `portolan`. Default: the one beside this program.
    #[arg(long, value_name = "FILE")]
    command: Option<PathBuf>,
    /// Tell the trials, and end.
    #[arg(long)]
    list: bool,
    /// Be the embedded registry, at this address, until killed: a trial starts itself so.
    #[arg(long, hide = true, value_name = "ADDRESS:PORT")]
    registry: Option<std::net::SocketAddr>,
    /// Be an instance of a service, at this address, until killed.
    #[arg(long, hide = true, value_name = "ADDRESS:PORT")]
    instance: Option<std::net::SocketAddr>,
    /// Be an instance served by the axum adapter: the registry, and where to listen.
    #[arg(long, hide = true, num_args = 2, value_names = ["REGISTRY", "ADDRESS:PORT"])]
    served: Vec<std::net::SocketAddr>,
    /// Be a process with instances at the registry of this address, until killed.
    #[arg(long, hide = true, value_name = "ADDRESS:PORT")]
    service: Option<std::net::SocketAddr>,
    /// Be what is checked, on this port of every address, until killed.
    #[arg(long, hide = true, value_name = "PORT")]
    checked: Option<u16>,
}

/// What a trial is run with.
#[derive(Clone, Debug)]
struct Setting {
    consul: Option<PathBuf>,
    python: Option<PathBuf>,
    command: Option<PathBuf>,
    short: bool,
    minutes: Option<u32>,
    row: Option<String>,
}

impl Setting {
    /// The command `portolan` to use.
    fn command(&self) -> anyhow::Result<PathBuf> {
        let beside = || Some(std::env::current_exe().ok()?.with_file_name("portolan"));
        let found = self.command.clone().or_else(beside).filter(|path| path.is_file());
        found.ok_or_else(|| {
            anyhow::anyhow!("--command: there is no `portolan`; build it, or run `cargo xtask trial`")
        })
    }

    /// The Consul to use.
    fn consul(&self) -> anyhow::Result<&PathBuf> {
        let missing =
            || anyhow::anyhow!("--consul: no binary was named; give one, or run `cargo xtask trial`");
        self.consul.as_ref().ok_or_else(missing)
    }

    /// The Python to use.
    fn python(&self) -> anyhow::Result<&PathBuf> {
        let missing = || {
            anyhow::anyhow!(
                "--python: none was named; give one that has py-consul, or run `cargo xtask trial`"
            )
        };
        self.python.as_ref().ok_or_else(missing)
    }

    /// Whether the row of this name is wanted.
    fn wants(&self, name: &str) -> bool {
        self.row.as_deref().is_none_or(|row| name.contains(row))
    }

    /// A time for the long form, and one for the short.
    fn time(&self, long: u64, short: u64) -> Duration {
        Duration::from_secs(if self.short { short } else { long })
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let ended = if let Some(addr) = args.registry {
        block_on(node::be_the_registry(addr)).map(|()| true)
    } else if let Some(addr) = args.instance {
        block_on(rolling::be_an_instance(addr)).map(|()| true)
    } else if let [registry, addr] = args.served[..] {
        block_on(adapters::be_served(registry, addr)).map(|()| true)
    } else if let Some(addr) = args.service {
        block_on(killed::be_the_service(addr)).map(|()| true)
    } else if let Some(port) = args.checked {
        block_on(checked::be_checked(port)).map(|()| true)
    } else if args.list {
        TRIALS.iter().for_each(|(name, what)| println!("{name:<14} {what}"));
        Ok(true)
    } else {
        trials(&args)
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("trial: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

/// Runs them in turn; says whether all that must hold did.
fn trials(args: &Args) -> anyhow::Result<bool> {
    for name in &args.names {
        if !TRIALS.iter().any(|(known, _)| known == name) {
            let known: Vec<&str> = TRIALS.iter().map(|(name, _)| *name).collect();
            bail!("there is no trial {name:?}; name some of {}", known.join(", "));
        }
    }
    if let Some(ended) = link::alone()? {
        return Ok(ended);
    }
    down::count_lines();
    let setting = Setting {
        consul: args.consul.clone(),
        python: args.python.clone(),
        command: args.command.clone(),
        short: args.short,
        minutes: args.minutes,
        row: args.row.clone(),
    };
    let mut all = true;
    for (name, what) in TRIALS {
        if !args.names.is_empty() && !args.names.iter().any(|wanted| wanted == name) {
            continue;
        }
        println!("== {name}: {what}");
        let ended = match *name {
            // It pauses the clock, which takes a runtime of its own.
            "churn" => churn::trial(&setting),
            name => block_on(Box::pin(run(name, setting.clone()))),
        };
        let table = match ended {
            Ok(table) => table,
            Err(error) => {
                println!("{name} could not be carried out: {error:#}\n");
                all = false;
                continue;
            }
        };
        println!("\n{table}");
        all &= table.holds();
    }
    Ok(all)
}

async fn run(name: &str, setting: Setting) -> anyhow::Result<Table> {
    match name {
        "embedded" => scenes::embedded(&setting).await,
        "consul" => scenes::consul(&setting).await,
        "outage" => outage::trial(&setting).await,
        "write-to-pick" => write::trial(&setting).await,
        "many" => many::trial(&setting).await,
        "beats" => beats::trial(&setting).await,
        "checks" => checks::trial(&setting).await,
        "down" => down::trial(&setting).await,
        "killed" => killed::trial(&setting).await,
        "exposed" => exposed::trial(&setting).await,
        "lasting" => lasting::trial(&setting).await,
        "promises" => promises::trial(&setting).await,
        "rolling" => rolling::trial(&setting).await,
        "adapters" => adapters::trial(&setting).await,
        "versions" => versions::trial(&setting).await,
        "others" => others::trial(&setting).await,
        "soak" => soak::trial(&setting).await,
        "cluster" => cluster::trial(&setting).await,
        other => bail!("{other} is in the list, and nowhere else"),
    }
}
