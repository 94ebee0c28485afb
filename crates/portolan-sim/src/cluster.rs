//! `portolan-sim cluster`: a cluster in virtual time, which judges pickers: real `Discovery`s, the instances a model.
//!
//! | file | what it is |
//! | --- | --- |
//! | `plan.rs` | parameters, policies, scenarios; a new one is a row there |
//! | `run.rs` | one run: programs, requests, the clock |
//! | `fleet.rs`, `queue.rs`, `draw.rs` | the instances, their queues, their times |
//! | `figures.rs`, `watcher.rs`, `judge.rs` | what is counted, and what it must show |
//! | `page.rs`, `choice.md`, `plot.rs` | `docs/pickers.md` and `docs/pickers.svg` |
//!
//! In:  a seed. Out: a row for each run, the bars, and the page; 1 when a bar is broken or the committed page is another.
//!
//! Never: two runs at once: each thread of the library has rolls of its own, and their order would be of chance.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Args;

mod draw;
mod figures;
mod fleet;
mod judge;
mod page;
mod plan;
mod plot;
mod queue;
mod run;
mod watcher;

use judge::{Ran, judge};
use plan::{Plan, cells, few_cells};

/// How the pickers are judged.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only the runs that the bars need; of the page only the parameters are compared.
    #[arg(long)]
    short: bool,
    /// Writes the page and its picture, in place of comparing them.
    #[arg(long, conflicts_with_all = ["short", "seed"])]
    write: bool,
    /// Another seed; then nothing is compared but the bars.
    #[arg(long)]
    seed: Option<u64>,
    /// Where the page is.
    #[arg(long, default_value = "docs")]
    docs: PathBuf,
}

/// Runs all, and says how it ended.
pub(crate) fn command(options: &Options) -> ExitCode {
    match judged(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("cluster: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn judged(options: &Options) -> Result<bool> {
    let mut plan = Plan::default();
    plan.seed = options.seed.unwrap_or(plan.seed);
    let mut ran = Vec::new();
    for cell in if options.short { few_cells() } else { cells() } {
        let figures = run::run(&plan, &cell)?;
        let one = Ran { cell, figures };
        println!("{}", page::row(&one));
        ran.push(one);
    }
    let verdicts = judge(&ran);
    println!();
    for verdict in &verdicts {
        println!("{} {}", if verdict.holds { "ok    " } else { "BROKEN" }, verdict.what);
    }
    let holds = verdicts.iter().all(|verdict| verdict.holds);
    let files = [("pickers.md", page::page(&plan, &ran, &verdicts)), ("pickers.svg", plot::plot(&ran))];
    if options.write {
        fs::create_dir_all(&options.docs).with_context(|| options.docs.display().to_string())?;
        for (name, text) in &files {
            let file = options.docs.join(name);
            fs::write(&file, text).with_context(|| file.display().to_string())?;
            println!("wrote {}", file.display());
        }
        return Ok(holds);
    }
    if options.seed.is_some() {
        return Ok(holds);
    }
    let mut is_same = true;
    for (name, text) in &files {
        let file = options.docs.join(name);
        let committed = fs::read_to_string(&file).with_context(|| {
            format!("{}: cannot be read; `cargo xtask cluster --write` writes it", file.display())
        })?;
        let fits = if options.short {
            // A few runs have no page, but what it says of the parameters needs no run.
            *name != "pickers.md" || committed.starts_with(&page::head(&plan))
        } else {
            committed == *text
        };
        if !fits {
            println!("{} is not what was computed; `cargo xtask cluster --write` writes it", file.display());
            is_same = false;
        }
    }
    Ok(holds && is_same)
}
