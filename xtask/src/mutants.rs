//! `cargo xtask mutants`: small changes to the pure files of the library, to see that its unit tests notice each.
//!
//! In:  the files whose header says pure, or those named by `--file`; `crates/portolan-sim/mutants.toml`, the mutants that
//! are known to survive, each with its reason. Out: a table; 1 when under 95 % are caught, or one survives unexplained.
//!
//! In two passes: all mutants meet the quick tests, and those that these miss meet all tests. What a part of the tests
//! catches, all of them catch; so the verdict is that of all tests, in a third of the time.
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

/// One way through the mutants.
#[derive(Clone, Copy, Debug)]
enum Pass {
    /// Every mutant, against the quick tests.
    Quick,
    /// What the first one missed, against all tests.
    Whole,
}

/// What the first pass leaves out: the tests that take more than nine tenths of the time that all take; and those of the
/// loops beside the machines, which wait for ever where a machine is wrong, though a test of its own says so at once.
const SLOW: [&str; 9] = [
    "discovery::",
    "register::keeper::",
    "resolve::tests::bounds::",
    "sync::tests::",
    "sync::names::tests::",
    "sync::probe::tests::",
    "five_thousand_views_on_64_places",
    "every_order_of_a_few_events",
    "ten_thousand_instances_are_all_reached",
];

/// How the mutants of a pass, or of both, ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ends {
    caught: usize,
    timeout: usize,
    unviable: usize,
    missed: Vec<String>,
}

/// `cargo xtask mutants [--file PATH]…`. Takes `CARGO_MUTANTS_JOBS` from the environment, as the tool does.
///
/// # Errors
/// When the tool cannot be built, or does not run the tests as they are.
pub(crate) fn command(project: &Project, words: &[&str]) -> Result<Ending> {
    let mut files = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match (*word, words.next()) {
            ("--file", Some(file)) => files.push(PathBuf::from(file)),
            (other, _) => return Ok(Ending::WrongUse(format!("mutants does not take `{other}` so"))),
        }
    }
    if files.is_empty() {
        files = pure(&project.root, &project.root.join(SOURCES))?;
    }
    let known = project.root.join(KNOWN);
    let text = fs::read_to_string(&known).with_context(|| known.display().to_string())?;
    let known: Known = toml::from_str(&text).with_context(|| known.display().to_string())?;
    let mut ends = Pass::Quick.run(project, &files)?;
    if !ends.missed.is_empty() {
        ends = ends.then(Pass::Whole.run(project, &files)?);
    }
    Ok(conclude(&ends, &known, files.len()))
}

impl Pass {
    fn run(self, project: &Project, files: &[PathBuf]) -> Result<Ends> {
        let out = project.target.join("mutants");
        fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
        let lists = out.join("mutants.out");
        let mut run = project
            .run(tools::MUTANTS.get(project)?)
            // Nobody debugs a mutant, reads its backtrace, or wants the smallest case that shows it; and what made
            // one fail must not be tried on the next.
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .env("RUST_BACKTRACE", "0")
            .env("PROPTEST_MAX_SHRINK_ITERS", "0")
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true");
        if let Self::Quick = self {
            run = run.env("PROPTEST_CASES", "8");
        }
        // `--cargo-arg`: the tests of the library alone are built, not only run.
        run = run.words("mutants --package portolan --no-shuffle --cargo-arg=--lib --output").word(&out);
        for file in files {
            run = run.word("--file").word(file);
        }
        match self {
            // The quick tests take two seconds: what takes thirty hangs.
            Self::Quick => {
                run = run.words("--timeout 30 -- --");
                for slow in SLOW {
                    run = run.words("--skip").word(slow);
                }
            }
            Self::Whole => {
                spare_what_hung(&lists)?;
                run = run.words("--iterate --timeout 180");
            }
        }
        let said = run.tee()?;
        // 2: some were missed; 3: some took too long. Both are told in the end.
        if !matches!(said.status.code(), Some(0 | 2 | 3)) {
            bail!("cargo-mutants ended with {}; see what it says above", said.status);
        }
        read(&lists)
    }
}

/// The tool's `--iterate` leaves out what was caught or did not build, and what this list names. A mutant that hung
/// is noticed; to see it hang again would only take time.
fn spare_what_hung(lists: &Path) -> Result<()> {
    fs::copy(lists.join("timeout.txt"), lists.join("previously_caught.txt"))
        .with_context(|| lists.display().to_string())?;
    Ok(())
}

impl Ends {
    /// With the pass that tried again what this one missed, and nothing else.
    fn then(self, next: Self) -> Self {
        Self {
            caught: self.caught.saturating_add(next.caught),
            timeout: self.timeout.saturating_add(next.timeout),
            unviable: self.unviable.saturating_add(next.unviable),
            missed: next.missed,
        }
    }
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
    fn the_second_pass_decides_what_the_first_one_missed_and_nothing_else() {
        let ends = |caught, timeout, unviable, missed: &[&str]| Ends {
            caught,
            timeout,
            unviable,
            missed: missed.iter().map(|one| (*one).to_owned()).collect(),
        };
        let first = ends(90, 2, 5, &["a.rs: x", "a.rs: y", "b.rs: z"]);
        assert_eq!(first.then(ends(1, 1, 0, &["b.rs: z"])), ends(91, 3, 5, &["b.rs: z"]));
    }

    #[test]
    fn what_hung_once_is_not_tried_again() {
        let lists = tempfile::tempdir().unwrap();
        fs::write(lists.path().join("timeout.txt"), "a.rs:1:2: x\n").unwrap();
        spare_what_hung(lists.path()).unwrap();
        let spared = fs::read_to_string(lists.path().join("previously_caught.txt")).unwrap();
        assert_eq!(spared, "a.rs:1:2: x\n");
    }

    #[test]
    fn a_mutant_is_known_wherever_it_moves() {
        assert_eq!(without_place("a/b.rs:20:5: replace f -> u64 with 0"), "a/b.rs: replace f -> u64 with 0");
        assert!(is_pure("//! Decides. PURE.\nuse std;") && !is_pure("//! Decides.\n// PURE\n"));
    }
}
