//! `cargo xtask bench [registry|telemetry]`: runs the benchmarks, and prints each figure beside its peer and its target.
//!
//! In:  `target/bench.json`, or `target/bench-registry.json`: a list that `portolan-bench` writes. Out: a table; 1 when a
//! target is missed.
//!
//! Never: judges a figure itself: the benchmark that measured it knows its target.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::{
    Ending, consul,
    project::{BENCH, Project},
};

/// What a missed target does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    Fails,
    IsShown,
}

/// One figure.
#[derive(Debug, Deserialize)]
struct Figure {
    name: String,
    value: f64,
    unit: String,
    peer: Option<String>,
    peer_value: Option<f64>,
    ratio: Option<f64>,
    target: Option<Target>,
    met: Option<bool>,
}

/// What a figure must reach: a number in its unit, or words.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Target {
    Number(f64),
    Words(String),
}

/// `cargo xtask bench`.
///
/// # Errors
/// When a benchmark fails, or its figures cannot be read.
pub(crate) fn command(project: &Project, miss: Miss) -> Result<Ending> {
    let peers = project.package(BENCH).is_some_and(|package| package.features.contains_key("peers"));
    let features = if peers { "--features peers " } else { "" };
    let words = format!("run --release -p {BENCH} {features}-- --json");
    judged(project, "bench.json", miss, |file| project.cargo(&words).word(file).run())
}

/// `cargo xtask bench registry`: with the words that are its own.
///
/// # Errors
/// As [`command`], and when there is no Consul to measure beside.
pub(crate) fn registry(project: &Project, words: &[&str]) -> Result<Ending> {
    let consul = consul::find(project)?;
    println!("beside {}: {}", consul.version, consul.path.display());
    project.cargo(BUILD_COMMAND).run()?;
    let miss = if words.contains(&"--no-fail") { Miss::IsShown } else { Miss::Fails };
    judged(project, "bench-registry.json", miss, |file| {
        let run = project.cargo(&format!("run --release -p {BENCH} --bin registry -- --json"));
        let run = run.word(file).word("--consul").word(&consul.path);
        let own = words.iter().filter(|word| **word != "--no-fail");
        own.fold(run, |run, word| run.word(*word)).run()
    })
}

/// How often a pick is measured without a recorder and with one, in turns.
const TURNS: usize = 3;

/// `cargo xtask bench telemetry`: a pick with metrics recorded beside one without, and a read of the registry with tracing on
/// and off.
///
/// # Errors
/// As [`command`].
pub(crate) fn telemetry(project: &Project, words: &[&str]) -> Result<Ending> {
    project.cargo(BUILD_COMMAND).run()?;
    let quick = if words.contains(&"--quick") { " --quick" } else { "" };
    let mut without: Vec<Figure> = Vec::new();
    let mut with: Vec<Figure> = Vec::new();
    for _ in 0..TURNS {
        for (recorder, best) in [("", &mut without), (" --recorder", &mut with)] {
            let file = project.target.join("bench-telemetry.json");
            let run =
                project.cargo(&format!("run --release -p {BENCH} -- --filter 100{quick}{recorder} --json"));
            run.word(&file).run()?;
            for figure in figures(&file)? {
                match best.iter_mut().find(|had| had.name == figure.name) {
                    Some(had) => had.value = had.value.min(figure.value),
                    None => best.push(figure),
                }
            }
        }
    }
    for figure in &mut with {
        let plain = without.iter().find(|plain| plain.name == figure.name).map(|plain| plain.value);
        figure.peer = Some("no recorder".to_owned());
        figure.peer_value = plain;
        figure.ratio = plain.filter(|plain| *plain > 0.0).map(|plain| figure.value / plain);
    }
    println!("\nwith a recorder, the least of {TURNS} runs\n\n{}", table(&with));
    let run = project.cargo(&format!("run --release -p {BENCH} --bin registry -- --part tracing{quick}"));
    run.run()?;
    Ok(Ending::Well)
}

/// The command that is measured: with traces, which are off unless a collector is named.
const BUILD_COMMAND: &str = "build --release -p portolan-cli --features otlp";

fn figures(file: &Path) -> Result<Vec<Figure>> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    serde_json::from_str(&text).with_context(|| file.display().to_string())
}

/// Runs a benchmark that writes `name`, and judges what it wrote.
fn judged(
    project: &Project,
    name: &str,
    miss: Miss,
    run: impl FnOnce(&Path) -> Result<()>,
) -> Result<Ending> {
    let file = project.target.join(name);
    // The figures of an earlier run must not be taken for those of a run that wrote none.
    if file.exists() {
        fs::remove_file(&file).with_context(|| file.display().to_string())?;
    }
    run(&file)?;
    if !file.is_file() {
        bail!("{BENCH} ended well but wrote no {}", file.display());
    }
    let figures = figures(&file)?;
    println!("\n{}", table(&figures));
    let missed: Vec<&str> = figures
        .iter()
        .filter(|figure| figure.met == Some(false))
        .map(|figure| figure.name.as_str())
        .collect();
    let judged = figures.iter().filter(|figure| figure.met.is_some()).count();
    println!("{} figures in {}", figures.len(), file.display());
    if missed.is_empty() {
        println!("all {judged} targets met");
        return Ok(Ending::Well);
    }
    println!("{} of {judged} targets missed: {}", missed.len(), missed.join(", "));
    Ok(if miss == Miss::Fails { Ending::Failed } else { Ending::Well })
}

fn table(figures: &[Figure]) -> String {
    let mut rows =
        vec![["name", "value", "unit", "peer", "its value", "ratio", "target", "met"].map(str::to_owned)];
    for figure in figures {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), round);
        rows.push([
            figure.name.clone(),
            round(figure.value),
            figure.unit.clone(),
            figure.peer.clone().unwrap_or_else(|| "-".to_owned()),
            number(figure.peer_value),
            number(figure.ratio),
            match &figure.target {
                None => "-".to_owned(),
                Some(Target::Number(value)) => round(*value),
                Some(Target::Words(words)) => words.clone(),
            },
            figure.met.map_or("-", |met| if met { "yes" } else { "NO" }).to_owned(),
        ]);
    }
    let mut widths = [0; 8];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// Three figures are more than a shared machine can promise.
fn round(value: f64) -> String {
    let places = match value.abs() {
        size if size >= 100.0 || size.fract() < f64::EPSILON => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_printed_in_columns() {
        let text = r#"[
            {"name": "peek", "value": 13.25, "unit": "ns", "peer": "pingora", "peer_value": 140, "ratio": 0.0946,
             "target": 15, "met": true},
            {"name": "allocations of a pick", "value": 0, "unit": "", "peer": null, "peer_value": null, "ratio": null,
             "target": "none", "met": false}]"#;
        let figures: Vec<Figure> = serde_json::from_str(text).unwrap();
        let expected = "\
name                   value  unit  peer     its value  ratio  target  met
peek                   13.2   ns    pingora  140        0.09   15      yes
allocations of a pick  0            -        -          -      none    NO
";
        assert_eq!(table(&figures), expected);
    }
}
