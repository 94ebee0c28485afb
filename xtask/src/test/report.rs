//! Reads what `cargo test` says: which tests there are, and how each ended. PURE: text in, [`Results`] out.
//!
//! A test is named by where it lives and its path: `portolan::resolve::tests::name` (unit tests of a package),
//! `contract::name` (a file under `tests/`), `portolan::doc::Resolver::pick` (a doc test; `portolan::doc` for
//! the crate's own page). Several of one name are one: it passed when all of them did.
//!
//! Never: counts a test that was ignored, or one whose end it did not see, as passed.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use crate::project::{Package, Target};

/// What a run of `cargo test` came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Results {
    pub(crate) tests: BTreeMap<String, Ended>,
    pub(crate) count: Count,
}

/// How a test ended; the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ended {
    Passed,
    Ignored,
    Failed,
}

/// How many tests ended how, as their own summaries say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Count {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

/// What is in `said`, the output of `cargo test` in this workspace.
pub(crate) fn read(said: &str, packages: &[Package]) -> Results {
    let mut results = Results::default();
    let mut place = String::new();
    for line in said.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix("Running ") {
            if let Some(found) = binary(header, packages) {
                place = found;
            }
        } else if let Some(package) = line.strip_prefix("Doc-tests ") {
            place = format!("{}::doc", package_of_lib(package, packages));
        } else if let Some(summary) = line.strip_prefix("test result: ") {
            results.count.add(Count { passed: number(summary, "passed"), failed: number(summary, "failed") });
        } else if let Some((name, ended)) = line.strip_prefix("test ").and_then(one_test) {
            let name = full_name(&place, name);
            let known = results.tests.entry(name).or_insert(ended);
            *known = ended.max(*known);
        }
    }
    results
}

/// `unittests src/lib.rs (target/debug/deps/portolan-0a1b)` or `tests/contract.rs (…)`: where its tests live.
fn binary(header: &str, packages: &[Package]) -> Option<String> {
    let (source, file) = header.strip_suffix(')')?.rsplit_once(" (")?;
    let (name, _hash) = Path::new(file).file_stem()?.to_str()?.rsplit_once('-')?;
    let source = source.strip_prefix("unittests ").unwrap_or(source);
    let fits = |target: &&Target| target.name.replace('-', "_") == name && target.src_path.ends_with(source);
    let (package, target) =
        packages.iter().find_map(|package| Some((package, package.targets.iter().find(fits)?)))?;
    let own = target.kind.iter().any(|kind| matches!(kind.as_str(), "lib" | "bin" | "proc-macro"));
    Some(if own { package.name.clone() } else { target.name.clone() })
}

fn package_of_lib(lib: &str, packages: &[Package]) -> String {
    let is_it = |target: &Target| {
        target.kind.iter().any(|kind| kind == "lib") && target.name.replace('-', "_") == lib
    };
    let found = packages.iter().find(|package| package.targets.iter().any(is_it));
    found.map_or_else(|| lib.to_owned(), |package| package.name.clone())
}

/// `path::name ... ok`, with what a harness may put in between and after.
fn one_test(line: &str) -> Option<(&str, Ended)> {
    let (name, ended) = line.rsplit_once(" ... ")?;
    let ended = match ended.split([' ', ',']).next()? {
        "ok" => Ended::Passed,
        "ignored" => Ended::Ignored,
        "FAILED" => Ended::Failed,
        _ => return None,
    };
    Some((name, ended))
}

fn full_name(place: &str, name: &str) -> String {
    if !place.ends_with("::doc") {
        return format!("{place}::{name}");
    }
    // `crates/portolan/src/lib.rs - Resolver::pick (line 12) - compile`: lines move, so the item names it.
    let name = name.split_once(" (line").map_or(name, |(before, _)| before);
    match name.split_once(" - ").map(|(_, item)| item.trim()).filter(|item| !item.is_empty()) {
        Some(item) => format!("{place}::{item}"),
        None => place.to_owned(),
    }
}

fn number(summary: &str, of: &str) -> usize {
    let words: Vec<&str> = summary.split([' ', ';']).filter(|word| !word.is_empty()).collect();
    let found = words.windows(2).find_map(|pair| match pair {
        [number, word] if *word == of => number.parse().ok(),
        _ => None,
    });
    found.unwrap_or(0)
}

#[cfg(test)]
mod tests;
