//! Measures Portolan beside its peers and beside what the machine can do, in one process, so that ratios hold.
//!
//! In:  what to measure, from the command line. Out: tables for a person, and rows for a program (`--json`).
//!
//! Each round runs every case once, one after another, on one thread and then on two: a slow moment of the machine
//! meets all of them. The least and the median over all rounds are kept. Allocations are counted apart.
//!
//! Peers are behind the feature `peers`; without it, Portolan is compared with the limits alone.
//!
//! Never: compares figures of two runs; leaves out a target that is not met.
#![expect(clippy::print_stdout, reason = "its tables are what it is for")]

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::Parser;

mod answer;
mod body;
mod dependencies;
mod fixture;
mod handle;
mod limits;
mod measure;
mod name;
#[cfg(feature = "peers")]
mod peers;
mod report;
mod table;
mod walk;

use fixture::Fixture;
use measure::{Pace, Scope};

/// Measures lookups against peers and against the limit of the machine.
#[derive(Debug, Parser)]
struct Options {
    /// Write the rows to this file, as a JSON list.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure only groups whose name holds this text: "100 instances", "by name", …
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Record metrics, as Prometheus' exporter does: to compare with a run that records none.
    #[arg(long)]
    recorder: bool,
    /// A few short rounds: to see that it works, not to quote.
    #[arg(long)]
    quick: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if options.recorder {
        let _handle = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
        portolan::telemetry::describe();
    }
    let pace = if options.quick {
        Pace { rounds: 5, slice: Duration::from_micros(200) }
    } else {
        Pace { rounds: 100, slice: Duration::from_micros(400) }
    };
    let scopes = [Scope::Handle(3), Scope::Handle(100), Scope::Handle(10_000), Scope::Names(fixture::NAMES)];
    let wanted = |scope: &Scope| options.filter.as_ref().is_none_or(|text| scope.to_string().contains(text));
    let fixture = Fixture::new()?;
    let mut groups = Vec::new();
    for scope in scopes.into_iter().filter(wanted) {
        let cases = match scope {
            Scope::Handle(instances) => handle::cases(&fixture, instances)?,
            Scope::Names(_) => name::cases(&fixture)?,
        };
        groups.push((scope, cases));
    }
    let groups = measure::all(&groups, pace);
    for group in &groups {
        println!("{}", report::table(group));
    }
    let mut rows = report::rows(&groups);
    let title = format!("an answer of {} instances", answer::INSTANCES);
    if options.filter.as_ref().is_none_or(|text| title.contains(text)) {
        let answer = answer::rows(if options.quick { 4 } else { 40 })?;
        println!("{}", report::plain_table(&title, &answer));
        rows.extend(answer);
    }
    let title = format!("a table by key over {} instances", table::INSTANCES);
    if options.filter.as_ref().is_none_or(|text| title.contains(text)) {
        let table = table::rows(&fixture, if options.quick { 4 } else { 40 })?;
        println!("{}", report::plain_table(&title, &table));
        rows.extend(table);
    }
    let title = format!("a graph of {} services", dependencies::SERVICES);
    if options.filter.as_ref().is_none_or(|text| title.contains(text)) {
        let graph = dependencies::rows(&fixture, if options.quick { 4 } else { 200 })?;
        println!("{}", report::plain_table(&title, &graph));
        rows.extend(graph);
    }
    println!("{}", report::verdict(&rows));
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&rows)?;
        std::fs::write(path, text + "\n").with_context(|| format!("--json {}", path.display()))?;
    }
    fixture.close()
}
