//! `cargo xtask mutants`: small changes to the pure files of the library, to see that its unit tests notice each.
//!
//! In:  the files whose header says pure, or those named by `--file`; `crates/portolan-sim/mutants.toml`, the mutants that
//! are known to survive, each with its reason. Out: a table; 1 when under 95 % are caught, or one survives unexplained.
//!
//! Never: counts a mutant that does not build; takes a survivor for explained because another one in its file is.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::{Ending, project::Project, tools};

/// Where the files are.
const SOURCES: &str = "crates/portolan/src";
/// The survivors with their reasons.
const KNOWN: &str = "crates/portolan-sim/mutants.toml";
/// Of a hundred mutants, so many must be caught.
const SHARE: usize = 95;

#[derive(Debug, Default, Deserialize)]
struct Known {
    #[serde(default)]
    survivor: Vec<Survivor>,
}

/// A mutant that no test can tell, or need not.
#[derive(Debug, Deserialize)]
struct Survivor {
    /// As the tool names it, without line and column: these move.
    mutant: String,
    why: String,
}

/// How the mutants of a run ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ends {
    caught: usize,
    timeout: usize,
    unviable: usize,
    missed: Vec<String>,
}

/// `cargo xtask mutants [--file PATH]… [--shard K/N]`.
///
/// # Errors
/// When the tool cannot be built, or does not run the tests as they are.
pub(crate) fn command(project: &Project, words: &[&str]) -> Result<Ending> {
    let mut files = Vec::new();
    let mut shard = None;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match (*word, words.next()) {
            ("--file", Some(file)) => files.push(PathBuf::from(file)),
            ("--shard", Some(part)) => shard = Some(*part),
            (other, _) => return Ok(Ending::WrongUse(format!("mutants does not take `{other}` so"))),
        }
    }
    if files.is_empty() {
        files = pure(&project.root, &project.root.join(SOURCES))?;
    }
    let out = project.target.join("mutants");
    fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let tool = tools::MUTANTS.get(project)?;
    let mut run = project.run(&tool).words("mutants --package portolan --no-shuffle --output").word(&out);
    for file in &files {
        run = run.word("--file").word(file);
    }
    if let Some(part) = shard {
        run = run.word("--shard").word(part);
    }
    let said = run.words("-- --lib").tee()?;
    // 2: some were missed; 3: some took too long. Both are told below.
    if !matches!(said.status.code(), Some(0 | 2 | 3)) {
        bail!("cargo-mutants ended with {}; see what it says above", said.status);
    }
    let ends = read(&out.join("mutants.out"))?;
    let known = project.root.join(KNOWN);
    let text = fs::read_to_string(&known).with_context(|| known.display().to_string())?;
    let known: Known = toml::from_str(&text).with_context(|| known.display().to_string())?;
    Ok(conclude(&ends, &known, files.len()))
}

/// The files under `place` whose header says PURE, as paths from `root`; tests are not mutated.
fn pure(root: &Path, place: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(place).with_context(|| place.display().to_string())?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(pure(root, &path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && is_pure(&fs::read_to_string(&path)?)
        {
            found.push(path.strip_prefix(root).unwrap_or(&path).to_owned());
        }
    }
    found.sort();
    Ok(found)
}

fn is_pure(text: &str) -> bool {
    text.lines().take_while(|line| line.starts_with("//!")).any(|line| line.contains("PURE"))
}

fn read(place: &Path) -> Result<Ends> {
    let list = |name: &str| -> Result<Vec<String>> {
        let path = place.join(name);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(text.lines().map(without_place).collect())
    };
    Ok(Ends {
        caught: list("caught.txt")?.len(),
        timeout: list("timeout.txt")?.len(),
        unviable: list("unviable.txt")?.len(),
        missed: list("missed.txt")?,
    })
}

/// `a.rs:20:5: replace …` is `a.rs: replace …`.
fn without_place(line: &str) -> String {
    let Some((place, what)) = line.split_once(": ") else { return line.to_owned() };
    let file = place.split(':').next().unwrap_or(place);
    format!("{file}: {what}")
}

fn conclude(ends: &Ends, known: &Known, files: usize) -> Ending {
    let noticed = ends.caught.saturating_add(ends.timeout);
    let all = noticed.saturating_add(ends.missed.len());
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Survivor { mutant, why } in &known.survivor {
        reasons.entry(mutant).or_default().push(why);
    }
    let mut unexplained = 0_usize;
    println!("\n{:<8} {:>8} {:>8} {:>8} {:>8}", "files", "caught", "timeout", "missed", "unviable");
    println!(
        "{files:<8} {:>8} {:>8} {:>8} {:>8}\n",
        ends.caught,
        ends.timeout,
        ends.missed.len(),
        ends.unviable
    );
    for missed in &ends.missed {
        // Each reason is for one mutant: of two alike, two are needed.
        let why = reasons.get_mut(missed.as_str()).and_then(Vec::pop).filter(|why| !why.is_empty());
        unexplained = unexplained.saturating_add(usize::from(why.is_none()));
        println!(
            "survives: {missed}\n          {}",
            why.unwrap_or("NO REASON in crates/portolan-sim/mutants.toml")
        );
    }
    let enough = noticed.saturating_mul(100) >= all.saturating_mul(SHARE);
    println!("{noticed} of {all} mutants noticed; {unexplained} survive without a reason");
    if enough && unexplained == 0 { Ending::Well } else { Ending::Failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(mutants: &[&str]) -> Known {
        let survivor = |mutant: &&str| Survivor { mutant: (*mutant).to_owned(), why: "equal".to_owned() };
        Known { survivor: mutants.iter().map(survivor).collect() }
    }

    #[test]
    fn a_survivor_needs_a_reason_of_its_own_and_most_must_be_caught() {
        let ends = |caught, missed: &[&str]| Ends {
            caught,
            missed: missed.iter().map(|one| (*one).to_owned()).collect(),
            ..Ends::default()
        };
        let well = |ends: &Ends, known: &Known| matches!(conclude(ends, known, 1), Ending::Well);
        assert!(well(&ends(19, &["a.rs: x"]), &known(&["a.rs: x"])));
        assert!(!well(&ends(18, &["a.rs: x"]), &known(&["a.rs: x"])), "under 95 %");
        assert!(!well(&ends(40, &["a.rs: x", "a.rs: x"]), &known(&["a.rs: x"])), "one reason for two");
        assert!(!well(&ends(40, &["a.rs: y"]), &known(&["a.rs: x"])));
    }

    #[test]
    fn a_mutant_is_known_wherever_it_moves() {
        assert_eq!(without_place("a/b.rs:20:5: replace f -> u64 with 0"), "a/b.rs: replace f -> u64 with 0");
        assert!(is_pure("//! Decides. PURE.\nuse std;") && !is_pure("//! Decides.\n// PURE\n"));
    }
}
