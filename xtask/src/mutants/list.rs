//! Which mutants there are: cargo-mutants makes them up, and only lists them here.
//!
//! In:  files of the library; what `cargo mutants --list --json` writes. Out: [`Mutant`]s, in the tool's order; which files
//! say that they are pure.
//!
//! Never: makes up a mutant of its own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::SOURCES;
use crate::{project::Project, tools};

/// A small change to the code.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Mutant {
    /// From the root of the checkout.
    pub(crate) file: String,
    /// With its place: `a.rs:20:5: replace …`.
    pub(crate) name: String,
    pub(crate) genre: Genre,
    /// What stands there instead; empty where something is deleted.
    pub(crate) replacement: String,
    pub(crate) span: Span,
    /// None where it is in no function.
    pub(crate) function: Option<Function>,
}

/// The function that a mutant is in.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Function {
    /// `-> Duration`, or nothing.
    pub(crate) return_type: String,
}

/// What kind of change it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) enum Genre {
    /// A function gives this value at once.
    FnValue,
    BinaryOperator,
    /// It is left out.
    UnaryOperator,
    /// It is left out.
    MatchArm,
    MatchArmGuard,
    /// It is left out, where `..` stands for it.
    StructField,
    /// One that this command does not know: the tool tries it.
    #[serde(other)]
    Other,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Span {
    pub(crate) start: Place,
}

/// Both from 1, in characters.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Mutant {
    /// Where its file is among the modules: `sync::step`.
    pub(crate) fn module(&self) -> String {
        module(&self.file)
    }
}

/// `crates/portolan/src/sync/step.rs` is `sync::step`.
pub(crate) fn module(file: &str) -> String {
    let inside = file.strip_prefix(SOURCES).unwrap_or(file).trim_start_matches('/');
    inside.trim_end_matches(".rs").replace('/', "::")
}

/// The mutants of these files.
///
/// # Errors
/// When the tool cannot be built, or writes what this command cannot read.
pub(crate) fn of(project: &Project, files: &[PathBuf]) -> Result<Vec<Mutant>> {
    let run = project.run(tools::MUTANTS.get(project)?).words("mutants --package portolan --list --json");
    let run = files.iter().fold(run, |run, file| run.word("--file").word(file));
    serde_json::from_str(&run.output()?)
        .context("cargo-mutants lists its mutants as this command cannot read")
}

/// The files under `place` whose header says PURE, as paths from `root`; tests are not mutated.
///
/// # Errors
/// When one cannot be read.
pub(crate) fn pure(root: &Path, place: &Path) -> Result<Vec<PathBuf>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_pure_where_its_header_says_so() {
        assert!(is_pure("//! Decides. PURE.\nuse std;") && !is_pure("//! Decides.\n// PURE\n"));
    }

    #[test]
    fn what_the_tool_lists_is_read_and_what_it_may_list_one_day_too() {
        let text = r#"[{"file": "crates/portolan/src/sync/step.rs", "function": null, "genre": "FnValue",
            "name": "crates/portolan/src/sync/step.rs:3:5: replace f -> u8 with 1", "package": "portolan",
            "replacement": "1", "span": {"end": {"column": 6, "line": 4}, "start": {"column": 5, "line": 3}}},
            {"file": "a.rs", "genre": "Loop", "name": "a.rs:1:1: x", "replacement": "", "span": {"start": {"column": 1, "line": 1}}}]"#;
        let mutants: Vec<Mutant> = serde_json::from_str(text).unwrap();
        assert_eq!(mutants.iter().map(|one| one.genre).collect::<Vec<_>>(), [Genre::FnValue, Genre::Other]);
        assert_eq!(mutants.first().map(Mutant::module).as_deref(), Some("sync::step"));
    }
}
