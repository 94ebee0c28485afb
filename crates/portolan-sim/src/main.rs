//! Simulates the real `portolan::Discovery`, with all its tasks, through every fault there is, and judges it by the laws
//! of DESIGN.md at every step.
//!
//! A run is decided by its seed alone: one thread, paused time, a scripted registry, and all chance from the seed. So a
//! seed that fails once fails always:
//!
//! ```text
//! cargo xtask sim --seeds 10000        many runs; names the first seed that breaks a law
//! cargo xtask sim --seed 4711          one run with its whole trace: time, event, reads, what consumers are told
//! cargo xtask sim --planted            each bug of planted/ in a copy of the product: is it found, after how many?
//! ```
//!
//! | file | what it is |
//! | --- | --- |
//! | `play.rs` | one run: chaos, calm, ordinary days, idle times, close |
//! | `events.rs` | what can happen; a new fault is a row here and its effect in `registry.rs` |
//! | `registry.rs`, `model.rs` | the registry as the library sees it, and the truth behind it |
//! | `agent.rs`, `agency.rs`, `calls.rs` | an agent, what is between it and registrations, each call on its way |
//! | `claim.rs`, `duties.rs`, `promises.rs` | the evidence of each registration, and the judges of it |
//! | `troubles.rs` | what can happen to registrations; a new fault is a row here and its effect in `agency.rs` |
//! | `registrants.rs`, `plan.rs` | who registers, reports, leaves, comes back |
//! | `caches.rs` | a disk and a shared cache, which outlive each program of a run |
//! | `laws.rs`, `user.rs`, `consumer.rs`, `stage.rs` | the judges: of views, of picks, of changes, of reads |
//! | `cluster.rs`, `cluster/` | apart from the rest: pickers judged on a model of a cluster (`cargo xtask cluster`) |
//! | `planted/NN-name.patch` | bugs, each a patch to the product; a new one is a file there, nothing more |
//!
//! In:  seeds. Out: the laws that broke, with their seeds; exit code 1 if any. Never: takes time or chance from elsewhere.
#![expect(clippy::print_stdout, reason = "a command talks to a person")]

use std::{
    cell::RefCell,
    process::ExitCode,
    sync::{
        PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use clap::{Parser, Subcommand};

mod agency;
mod agent;
mod caches;
mod calls;
mod chance;
mod claim;
mod cluster;
mod consumer;
mod duties;
mod events;
mod laws;
mod model;
mod plan;
mod play;
mod promises;
mod registrants;
mod registry;
mod rests;
mod stage;
mod trace;
mod troubles;
mod user;

use play::Outcome;
use stage::Broken;

/// Simulates service discovery through faults, and judges it by its laws.
#[derive(Debug, Parser)]
struct Options {
    /// How many runs.
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// The seed of the first.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this run, with its whole trace.
    #[arg(long)]
    seed: Option<u64>,
    /// How many runs at once; each on a thread of its own. Default: as many as there are processors.
    #[arg(long)]
    threads: Option<usize>,
    /// Go on after a run that broke a law, and name them all.
    #[arg(long)]
    keep_going: bool,
    #[command(subcommand)]
    instead: Option<Instead>,
}

/// What is done in place of that.
#[derive(Debug, Subcommand)]
enum Instead {
    /// Judges pickers on a cluster in virtual time.
    Cluster(cluster::Options),
}

thread_local! {
    /// What a task of this thread's run said when it panicked: the library catches it and starts the task again.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(Instead::Cluster(options)) = &options.instead {
        return cluster::command(options);
    }
    std::panic::set_hook(Box::new(|panic| {
        PANIC.with(|said| said.borrow_mut().get_or_insert_with(|| panic.to_string()).len());
    }));
    match options.seed {
        Some(seed) => show(seed),
        None => run_all(&options),
    }
}

/// Plays a seed; what panicked in it breaks law 8.
fn played(seed: u64, keep_trace: bool) -> Outcome {
    let caught = std::panic::catch_unwind(|| play::play(seed, keep_trace));
    let said = PANIC.with(RefCell::take);
    let nothing = |what: String| Outcome {
        hash: 0,
        broken: Some(Broken { law: 8, what }),
        lines: Vec::new(),
        virtual_time: std::time::Duration::ZERO,
    };
    let mut outcome = match caught {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => nothing(format!("no runtime: {error}")),
        Err(_) => nothing("the run itself panicked".to_owned()),
    };
    if let Some(said) = said {
        outcome.broken =
            Some(Broken { law: 8, what: format!("a task panicked: {}", said.replace('\n', " ")) });
    }
    outcome
}

fn show(seed: u64) -> ExitCode {
    let outcome = played(seed, true);
    outcome.lines.iter().for_each(|line| println!("{line}"));
    println!("trace {:016x}, {:?} of virtual time", outcome.hash, outcome.virtual_time);
    let again = played(seed, false);
    if REPLAYS && again.hash != outcome.hash {
        println!("seed {seed}: a second run differs: something takes chance, time or order from elsewhere");
        return ExitCode::FAILURE;
    }
    match outcome.broken {
        None => {
            println!("seed {seed}: all laws held");
            ExitCode::SUCCESS
        }
        Some(Broken { law, what }) => {
            println!("seed {seed}: law {law} broken: {what}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the runtime's own chance comes from the seed too: `cargo xtask sim` builds it so.
const REPLAYS: bool = cfg!(tokio_unstable);
/// One run in so many is played twice, and the traces compared.
const TWICE: u64 = 50;

fn run_all(options: &Options) -> ExitCode {
    let threads = options.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let end = options.from.saturating_add(options.seeds);
    let (next, stop) = (AtomicU64::new(options.from), AtomicU64::new(end));
    let hours = AtomicU64::new(0);
    #[expect(clippy::disallowed_types, reason = "cold path: once per broken law")]
    let found = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.unwrap_or(1).max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let mut outcome = played(seed, false);
                    hours.fetch_add(outcome.virtual_time.as_secs(), Ordering::Relaxed);
                    let unlike = || played(seed, false).hash != outcome.hash;
                    if REPLAYS && outcome.broken.is_none() && seed.is_multiple_of(TWICE) && unlike() {
                        let what = "a second run of the seed differs".to_owned();
                        outcome.broken = Some(Broken { law: 0, what });
                    }
                    if let Some(broken) = outcome.broken {
                        found.lock().unwrap_or_else(PoisonError::into_inner).push((seed, broken));
                        if !options.keep_going {
                            // Earlier seeds are still finished, so that the first to fail is always the same.
                            stop.fetch_min(seed, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(seed, _)| *seed);
    if !options.keep_going {
        found.truncate(1);
    }
    for (seed, Broken { law, what }) in &found {
        println!("seed {seed}: law {law} broken: {what}");
    }
    let hours = hours.into_inner() / 3600;
    if found.is_empty() {
        println!(
            "{} seeds from {}: all laws held over {hours} hours of virtual time",
            options.seeds, options.from
        );
        return ExitCode::SUCCESS;
    }
    println!("replay with: cargo xtask sim --seed SEED");
    ExitCode::FAILURE
}
