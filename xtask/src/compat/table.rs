//! What the programs said, judged and laid out. PURE: lines in, rows and text out.
//!
//! Never: takes an assertion that was made on one registry alone for one that held.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::known::{self, KNOWN, Known};

/// One run of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ran {
    registry: String,
    version: Option<String>,
    /// Each assertion, and why it failed.
    checks: BTreeMap<String, Option<String>>,
    /// Of the program as a whole: it hung, or broke.
    broken: Option<&'static str>,
}

/// How a client did on one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    registry: String,
    held: usize,
    of: usize,
    lacks: Vec<String>,
    failures: Vec<String>,
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    client: String,
    version: String,
    cells: Vec<Cell>,
}

impl Ran {
    /// Reads what a program said. `ended_well` is None where it ran into its limit.
    pub(super) fn read(registry: String, said: &str, ended_well: Option<bool>) -> Self {
        let (mut version, mut checks) = (None, BTreeMap::new());
        for line in said.lines() {
            if let Some(name) = line.strip_prefix("ok ") {
                // The same name twice: one that failed stays so.
                checks.entry(name.to_owned()).or_insert(None);
            } else if let Some(failed) = line.strip_prefix("failed ") {
                let (name, why) = failed.split_once(" -- ").unwrap_or((failed, "without a reason"));
                checks.insert(name.to_owned(), Some(why.to_owned()));
            } else if let Some(text) = line.strip_prefix("version ") {
                version = Some(text.to_owned());
            }
        }
        let failed = checks.values().any(Option::is_some);
        let broken = match ended_well {
            None => Some("it was not over within its limit"),
            Some(true) if failed => Some("it ended with 0 though an assertion failed"),
            Some(false) if !failed => Some("it ended with an error though no assertion failed"),
            Some(_) if checks.is_empty() => Some("it asserted nothing"),
            Some(_) => None,
        };
        Self { registry, version, checks, broken }
    }

    fn judged(&self, client: &str, all: &BTreeSet<&String>, known: &[Known]) -> Cell {
        let known: BTreeMap<&str, &str> =
            known::of(known, client, &self.registry).map(|known| (known.check, known.why)).collect();
        let (mut held, mut lacks, mut failures) = (0_usize, Vec::new(), Vec::new());
        for name in all {
            match (self.checks.get(*name), known.get(name.as_str())) {
                (Some(None), None) => held = held.saturating_add(1),
                (Some(None), Some(_)) => {
                    failures
                        .push(format!("{name}: holds, and known.rs says that it does not: remove it there"));
                }
                (Some(Some(_)), Some(why)) => lacks.push(format!("{name}: {why}")),
                (Some(Some(why)), None) => failures.push(format!("{name}: {why}")),
                (None, _) => failures.push(format!("{name}: was not asserted")),
            }
        }
        failures.extend(self.broken.map(str::to_owned));
        Cell { registry: self.registry.clone(), held, of: all.len(), lacks, failures }
    }
}

impl Row {
    /// A client's runs, side by side.
    pub(super) fn judged(client: &str, ran: &[Ran]) -> Self {
        Self::judged_by(client, ran, KNOWN)
    }

    fn judged_by(client: &str, ran: &[Ran], known: &[Known]) -> Self {
        let all: BTreeSet<&String> = ran.iter().flat_map(|ran| ran.checks.keys()).collect();
        let cells = ran.iter().map(|ran| ran.judged(client, &all, known)).collect();
        let version = ran.iter().find_map(|ran| ran.version.clone());
        Self { client: client.to_owned(), version: version.unwrap_or_else(|| "?".to_owned()), cells }
    }

    /// One whose client could not be installed.
    pub(super) fn not_to_be_had(client: &str, registries: [String; 2], why: &str) -> Self {
        let failed = |registry| Cell {
            registry,
            held: 0,
            of: 0,
            lacks: Vec::new(),
            failures: vec![format!("not to be had: {why}")],
        };
        Self { client: client.to_owned(), version: "?".to_owned(), cells: registries.map(failed).into() }
    }
}

/// The table, and under it what a registry lacks.
pub(super) fn markdown(rows: &[Row]) -> String {
    let names: Vec<&str> = rows
        .first()
        .map(|row| row.cells.iter().map(|cell| cell.registry.as_str()).collect())
        .unwrap_or_default();
    let mut text = format!(
        "| client | version | {} |\n| --- | --- |{}\n",
        names.join(" | "),
        " --- |".repeat(names.len())
    );
    let mut lacks = String::new();
    for Row { client, version, cells } in rows {
        let held = cells.iter().map(|cell| format!("{} of {}", cell.held, cell.of));
        let _always_fits =
            writeln!(text, "| {client} | {version} | {} |", held.collect::<Vec<_>>().join(" | "));
        for cell in cells {
            for lacking in &cell.lacks {
                let _always_fits = writeln!(lacks, "- {}, {client}: {lacking}", cell.registry);
            }
        }
    }
    if !lacks.is_empty() {
        text.push_str("\nWhat is missing from the full count:\n\n");
        text.push_str(&lacks);
    }
    text
}

/// Everything that failed, a line each.
pub(super) fn failures(rows: &[Row]) -> Vec<String> {
    let mut lines = Vec::new();
    for Row { client, cells, .. } in rows {
        for cell in cells {
            lines.extend(
                cell.failures.iter().map(|why| format!("FAILED {client} on {}: {why}", cell.registry)),
            );
        }
    }
    lines
}

/// How many assertions held, and how many failures there are.
pub(super) fn count(rows: &[Row]) -> (usize, usize) {
    let cells = || rows.iter().flat_map(|row| &row.cells);
    (cells().map(|cell| cell.held).sum(), cells().map(|cell| cell.failures.len()).sum())
}

#[cfg(test)]
mod tests;
