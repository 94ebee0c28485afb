//! `cargo xtask mutants`: small changes to the pure files of the library, to see that its unit tests notice each.
//!
//! In:  the files whose header says pure, or those named by `--file`; `crates/portolan-sim/mutants.toml`, the mutants that
//! are known to survive, each with its reason. Out: a table; 1 when under 95 % are noticed, or one survives unexplained.
//!
//! cargo-mutants lists the mutants (`list`). All that compile so are written into one copy of the sources (`schema`), which
//! is built once (`build`), and the tests run once for each (`drive`): a run is much cheaper than a build. The others go to
//! cargo-mutants, which builds each (`tool`), but those whose error says already that this cannot be done. `verdict` judges
//! them together.
//!
//! Never: leaves out a mutant of the tool's list; judges one without all unit tests.

mod build;
mod drive;
mod list;
mod schema;
mod tool;
mod verdict;

use std::path::PathBuf;

use anyhow::{Result, bail};

use self::{
    drive::End,
    list::Mutant,
    verdict::{Known, Scope},
};
use crate::{Ending, project::Project};

/// Where the files are.
const SOURCES: &str = "crates/portolan/src";
/// The survivors with their reasons.
const KNOWN: &str = "crates/portolan-sim/mutants.toml";

/// `cargo xtask mutants [--file PATH]…`.
///
/// # Errors
/// When the tool cannot be built, or the tests do not pass as they are.
pub(crate) fn command(project: &Project, words: &[&str]) -> Result<Ending> {
    let mut files = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match (*word, words.next()) {
            ("--file", Some(file)) => files.push(PathBuf::from(file)),
            (other, _) => return Ok(Ending::WrongUse(format!("mutants does not take `{other}` so"))),
        }
    }
    let scope = if files.is_empty() { Scope::All } else { Scope::Some };
    if files.is_empty() {
        files = list::pure(&project.root, &project.root.join(SOURCES))?;
    }
    let known = Known::read(&project.root.join(KNOWN))?;
    let mutants = list::of(project, &files)?;
    if mutants.is_empty() {
        bail!("cargo-mutants finds no mutant in {files:?}");
    }
    let built = build::build(project, &mutants)?;
    println!(
        "{} of {} mutants are built into the tests at once; {} compile nowhere",
        built.embedded.len(),
        mutants.len(),
        built.unviable.len()
    );
    drive::baseline(&built)?;
    let mut ends = Vec::new();
    let unviable = built.unviable.iter().map(|id| (*id, End::Unviable));
    for (id, end) in drive::drive(&built, &mutants)?.into_iter().chain(unviable) {
        ends.extend(mutants.get(id.saturating_sub(1)).map(|mutant| (mutant.name.clone(), end)));
    }
    if ends.len() < mutants.len() {
        let done: Vec<&str> = ends.iter().map(|(name, _)| name.as_str()).collect();
        let rest = tool::rest(project, &files, &done)?;
        ends.extend(rest);
    }
    whole(&mutants, &ends)?;
    let (text, ending) = verdict::conclude(&ends, &known, scope);
    println!("\n{text}");
    Ok(ending)
}

/// Every mutant that was listed has one end.
fn whole(mutants: &[Mutant], ends: &[(String, End)]) -> Result<()> {
    let mut listed: Vec<&str> = mutants.iter().map(|mutant| mutant.name.as_str()).collect();
    let mut ended: Vec<&str> = ends.iter().map(|(name, _)| name.as_str()).collect();
    listed.sort_unstable();
    ended.sort_unstable();
    if listed != ended {
        bail!("of {} mutants that were listed, {} ended; see above", listed.len(), ended.len());
    }
    Ok(())
}
