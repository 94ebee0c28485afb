//! Holds `claims.toml` against the tests: no law, feature or complaint without a test that ran and passed.
//!
//! In:  `claims.toml`, the README's feature table, and how the tests of the last run ended.
//! Out: a line for each thing that is wrong, with what to do.
//!
//! Which claims there must be: `law-1` to `law-8`, `complaint-1` to `complaint-25`, and one for each row of the
//! README's table whose first column is headed `Feature`: `feature-` and the row's first cell in lower case, with
//! `-` for all that is no letter or digit. A claim names its `tests`, or the issue that brings them
//! (`planned = "issue 6"`), or both.
//!
//! Never: takes a test that was ignored, or that the last run did not have, for a proof.

use std::io::Write as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::{
    Ending,
    project::Project,
    test::report::{Ended, Results},
};

const LAWS: usize = 8;
const COMPLAINTS: usize = 25;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    #[serde(default)]
    claim: Vec<Claim>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    id: String,
    says: String,
    #[serde(default)]
    tests: Vec<String>,
    planned: Option<String>,
}

/// How tests ended, by the step that ran them.
type Kept = BTreeMap<String, BTreeMap<String, Ended>>;

/// `cargo xtask claims`.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn command(project: &Project) -> Result<Ending> {
    Ok(if check(project)? == 0 { Ending::Well } else { Ending::Failed })
}

/// `cargo xtask claims --list-tests`.
///
/// # Errors
/// When there was no run yet, or its record cannot be read.
pub(crate) fn list_tests(project: &Project) -> Result<Ending> {
    let tests = known(project)?;
    let mut out = std::io::stdout().lock();
    for (name, ended) in &tests {
        // `| head` has seen enough: no error.
        if writeln!(out, "{:<8}{name}", format!("{ended:?}").to_lowercase()).is_err() {
            return Ok(Ending::Well);
        }
    }
    println!("{} tests in the last run of `cargo xtask test tests doc-tests`", tests.len());
    Ok(Ending::Well)
}

/// Prints what is wrong, and gives how much it is.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn check(project: &Project) -> Result<usize> {
    let text = read(&project.root.join("claims.toml"))?;
    let claims: Claims = toml::from_str(&text).context("claims.toml")?;
    let readme = read(&project.root.join("README.md")).unwrap_or_default();
    let wrong = judge(&claims.claim, &readme, &known(project)?);
    wrong.iter().for_each(|line| println!("claims.toml: {line}"));
    let planned = claims.claim.iter().filter(|claim| claim.tests.is_empty()).count();
    let all = claims.claim.len();
    println!("{all} claims, {planned} of them only planned, {} to put right", wrong.len());
    Ok(wrong.len())
}

/// Keeps how the tests of one step ended, in place of what was known of that step.
///
/// # Errors
/// When the record cannot be written.
pub(crate) fn keep(project: &Project, step: &str, results: &Results) -> Result<()> {
    let file = record(project);
    // A record that cannot be read is of another version of this command: this run makes it anew.
    let mut kept: Kept =
        fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    kept.insert(step.to_owned(), results.tests.clone());
    fs::create_dir_all(project.keep()).with_context(|| project.keep().display().to_string())?;
    fs::write(&file, serde_json::to_vec_pretty(&kept)?).with_context(|| file.display().to_string())
}

fn known(project: &Project) -> Result<BTreeMap<String, Ended>> {
    let file = record(project);
    if !file.is_file() {
        bail!("no tests have run yet: run `cargo xtask test tests doc-tests` first");
    }
    let kept: Kept = serde_json::from_str(&read(&file)?)
        .with_context(|| format!("{}: remove it and run the tests again", file.display()))?;
    Ok(kept.into_values().flatten().collect())
}

fn record(project: &Project) -> PathBuf {
    project.keep().join("tests.json")
}

fn read(file: &std::path::Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| file.display().to_string())
}

/// What is wrong, a line each.
fn judge(claims: &[Claim], readme: &str, tests: &BTreeMap<String, Ended>) -> Vec<String> {
    let mut wrong = Vec::new();
    let features = features(readme);
    if features.is_empty() {
        wrong.push("README.md has no table whose first column is headed `Feature`; add it".to_owned());
    }
    let laws = (1..=LAWS).map(|number| format!("law-{number}"));
    let complaints = (1..=COMPLAINTS).map(|number| format!("complaint-{number}"));
    let mut missing: BTreeSet<String> = laws.chain(complaints).chain(features).collect();
    let expected = missing.clone();
    let mut seen = BTreeSet::new();
    for claim in claims {
        let id = &claim.id;
        missing.remove(id);
        if !seen.insert(id) {
            wrong.push(format!("{id} is there twice; make one of both"));
        } else if !expected.contains(id) {
            wrong.push(format!(
                "{id} is no law, no complaint and no row of README.md's table; remove or rename it"
            ));
        }
        judge_one(claim, tests, &mut wrong);
    }
    wrong.extend(missing.iter().map(|id| {
        format!(
            "{id} has no claim; add one that names its tests, or `planned = \"issue N\"` until there are some"
        )
    }));
    wrong
}

fn judge_one(claim: &Claim, tests: &BTreeMap<String, Ended>, wrong: &mut Vec<String>) {
    let Claim { id, says, tests: named, planned } = claim;
    if says.trim().is_empty() {
        wrong.push(format!("{id} does not say what it claims; write it in `says`"));
    }
    match planned.as_deref() {
        None if named.is_empty() => {
            wrong.push(format!("{id} has neither tests nor `planned = \"issue N\"`; give it one of them"));
        }
        Some(planned)
            if planned.strip_prefix("issue ").is_none_or(|number| number.parse::<u32>().is_err()) =>
        {
            wrong.push(format!("{id}: planned is {planned:?}; write it as \"issue 6\""));
        }
        _ => {}
    }
    for name in named {
        let what = match tests.get(name) {
            Some(Ended::Passed) => continue,
            Some(Ended::Ignored) => "was ignored; let it run",
            Some(Ended::Failed) => "failed; put it right",
            None => "did not run, or is not there; `cargo xtask claims --list-tests` names those that did",
        };
        wrong.push(format!("{id}: test {name} {what}"));
    }
}

/// The ids of the rows of the tables whose first column is headed `Feature`.
fn features(readme: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        let Some(row) = line.trim().strip_prefix('|') else {
            inside = false;
            continue;
        };
        let first = slug(row.split('|').next().unwrap_or_default());
        if first == "feature" {
            inside = true;
        } else if inside && !first.is_empty() {
            ids.push(format!("feature-{first}"));
        }
    }
    ids
}

/// A cell in lower case, with `-` for all that is no letter or digit; of a link, only its text.
fn slug(cell: &str) -> String {
    let text = match cell.split_once("](") {
        Some((text, rest)) => format!("{text} {}", rest.split_once(')').map_or("", |(_, after)| after)),
        None => cell.to_owned(),
    };
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests;
