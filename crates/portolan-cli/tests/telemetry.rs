//! What is measured and traced is told alike everywhere: in the code, in docs/metrics.md, on the dashboard, in the alert rules.
//!
//! `PORTOLAN_WRITE=1 cargo test -p portolan-cli --test telemetry` writes the tables of docs/metrics.md anew.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use portolan::telemetry::{Metric, MetricKind, Traced};
use portolan_server::telemetry as server;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// What the dashboard leaves out, each with the reason.
const NOT_SHOWN: &[(&str, &str)] = &[];

/// What queries may name beside metrics and their labels: PromQL's own words, and what a scrape adds.
const WORDS: [&str; 13] = [
    "sum",
    "max",
    "min",
    "by",
    "rate",
    "increase",
    "histogram_quantile",
    "and",
    "or",
    "on",
    "le",
    "job",
    "instance",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn metrics() -> Vec<Metric> {
    portolan::telemetry::METRICS.iter().chain(server::METRICS).copied().collect()
}

fn of_metrics(metrics: &[Metric]) -> String {
    let mut table =
        "| metric | type | unit | labels | meaning |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for metric in metrics {
        let (name, kind, unit) = (metric.name, metric.kind.as_str(), metric.unit().unwrap_or(""));
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (labels, meaning) = (labels.join(", "), metric.meaning.trim().replace('|', "\\|"));
        table.push_str(&format!("| `{name}` | {kind} | {unit} | {labels} | {meaning} |\n"));
    }
    table
}

fn of_traced(traced: &[Traced]) -> String {
    let mut table = "| span or event | fields | meaning |\n| --- | --- | --- |\n".to_owned();
    for Traced { name, fields, meaning } in traced {
        let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
        table.push_str(&format!("| `{name}` | {} | {} |\n", fields.join(", "), meaning.trim()));
    }
    table
}

/// The text with what stands between the marks of `name` replaced.
fn with_table(text: &str, name: &str, table: &str) -> Outcome<String> {
    let (begin, end) = (format!("<!-- table: {name} -->\n"), "<!-- end -->");
    let (before, rest) = text.split_once(&begin).ok_or_else(|| format!("docs/metrics.md has no {begin}"))?;
    let (_, after) = rest.split_once(end).ok_or("docs/metrics.md: a table has no end")?;
    Ok(format!("{before}{begin}{table}{end}{after}"))
}

#[test]
fn the_tables_of_the_docs_are_those_of_the_code() -> Outcome {
    let path = root().join("docs/metrics.md");
    let text = fs::read_to_string(&path)?;
    let mut current = text.clone();
    for (name, table) in [
        ("library", of_metrics(portolan::telemetry::METRICS)),
        ("registry", of_metrics(server::METRICS)),
        ("library traces", of_traced(portolan::telemetry::TRACED)),
        ("registry traces", of_traced(server::TRACED)),
    ] {
        current = with_table(&current, name, &table)?;
    }
    if std::env::var_os("PORTOLAN_WRITE").is_some() {
        return Ok(fs::write(&path, current)?);
    }
    let line = text.lines().zip(current.lines()).find(|(had, wanted)| had != wanted);
    assert!(text == current, "docs/metrics.md is not current, PORTOLAN_WRITE=1 writes it: {line:#?}");
    Ok(())
}

#[test]
fn no_two_metrics_have_one_name() {
    let metrics = metrics();
    let names: BTreeSet<&str> = metrics.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), metrics.len());
}

/// The queries of the dashboard, with the titles of their panels.
fn shown() -> Outcome<Vec<(String, String)>> {
    let text = fs::read_to_string(root().join("dashboards/portolan.json"))?;
    let dashboard: serde_json::Value = serde_json::from_str(&text)?;
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().ok_or("a dashboard has panels")? {
        let title = panel["title"].as_str().ok_or("a panel has a title")?;
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push((title.to_owned(), target["expr"].as_str().ok_or("a target has a query")?.to_owned()));
        }
    }
    Ok(found)
}

/// The queries of the rules, with the names of the alerts.
fn alerted() -> Outcome<Vec<(String, String)>> {
    let text = fs::read_to_string(root().join("dashboards/alerts.yml"))?;
    let mut found = Vec::new();
    let mut alert = "";
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            alert = name;
        } else if let Some(query) = line.strip_prefix("expr: ") {
            let query = query.strip_prefix('\'').and_then(|query| query.strip_suffix('\''));
            found.push((alert.to_owned(), query.ok_or("a query stands in single quotes")?.to_owned()));
        }
    }
    Ok(found)
}

/// Names in a query, each with what stands before it. What is in quotes is none, nor is a variable or a number.
fn names(query: &str) -> Vec<(String, String)> {
    let (mut found, mut before, mut word, mut quoted) = (Vec::new(), String::new(), String::new(), false);
    for c in query.chars().chain([' ']) {
        if !quoted && (c.is_ascii_alphanumeric() || c == '_' || c == '$') {
            word.push(c);
            continue;
        }
        if word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
            found.push((before.clone(), word.clone()));
        }
        before.push_str(&word);
        before.push(c);
        word.clear();
        quoted ^= c == '"';
    }
    found
}

/// The metrics of a query; or what in it is none, and no label of one.
fn used(query: &str, metrics: &[Metric]) -> Result<BTreeSet<&'static str>, String> {
    let mut used = BTreeSet::new();
    let mut labels: BTreeSet<&str> = BTreeSet::new();
    let mut others = Vec::new();
    for (before, word) in names(query) {
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
        let metric = metrics.iter().find(|metric| match metric.kind {
            MetricKind::Histogram => of_histogram == Some(metric.name),
            MetricKind::Counter | MetricKind::Gauge => word == metric.name,
        });
        let Some(metric) = metric else {
            others.push(word);
            continue;
        };
        let is_rate = ["rate(", "increase("].iter().any(|function| before.ends_with(function));
        if metric.kind != MetricKind::Gauge && !is_rate {
            return Err(format!("{word} only grows: its rate says something"));
        }
        used.insert(metric.name);
        labels.extend(metric.labels);
    }
    match others.iter().find(|word| !labels.contains(word.as_str()) && !WORDS.contains(&word.as_str())) {
        Some(word) => Err(format!("{word} is neither a metric nor a label of one that is asked for")),
        None if used.is_empty() => Err("it asks for no metric".to_owned()),
        None => Ok(used),
    }
}

#[test]
fn each_query_names_metrics_and_labels_that_there_are() -> Outcome {
    let metrics = metrics();
    let (shown, alerted) = (shown()?, alerted()?);
    assert!(shown.len() > 50 && alerted.len() > 20, "{} and {}", shown.len(), alerted.len());
    for (of, query) in shown.iter().chain(&alerted) {
        if let Err(wrong) = used(query, &metrics) {
            panic!("{of}: {wrong}: {query}");
        }
    }
    Ok(())
}

#[test]
fn each_metric_is_on_the_dashboard_or_left_out_for_a_reason() -> Outcome {
    let metrics = metrics();
    let mut on = BTreeSet::new();
    for (_, query) in shown()? {
        on.extend(used(&query, &metrics)?);
    }
    for metric in &metrics {
        let left_out = NOT_SHOWN.iter().any(|(name, _)| *name == metric.name);
        assert_ne!(on.contains(metric.name), left_out, "{}: on the dashboard, or in NOT_SHOWN", metric.name);
    }
    let strange: Vec<_> =
        NOT_SHOWN.iter().filter(|(name, _)| metrics.iter().all(|metric| metric.name != *name)).collect();
    assert!(strange.is_empty(), "left out, and not there: {strange:?}");
    Ok(())
}

#[test]
fn a_wrong_query_is_found() {
    let metrics = metrics();
    for (query, wrong) in [
        ("sum by (service) (rate(portolan_lookups_total[5m]))", None),
        (
            "histogram_quantile(0.9, sum by (le) (rate(portolan_registry_request_seconds_bucket{operation=\"x\"}[5m])))",
            None,
        ),
        ("sum(rate(portolan_lookups_totl[5m]))", Some("portolan_lookups_totl")),
        ("sum by (node) (rate(portolan_lookups_total[5m]))", Some("node")),
        ("sum(portolan_lookups_total)", Some("only grows")),
        ("rate(portolan_registry_request_seconds[5m])", Some("portolan_registry_request_seconds")),
        ("1 + 1", Some("no metric")),
    ] {
        match (used(query, &metrics), wrong) {
            (Ok(_), None) => {}
            (Err(told), Some(wrong)) => assert!(told.contains(wrong), "{query}: {told}"),
            (other, wrong) => panic!("{query}: {other:?}, and not {wrong:?}"),
        }
    }
}
