//! `cargo xtask tidy`: the rules of the house that neither the compiler nor clippy checks.
//!
//! In:  every file of the checkout that git knows or would add. Out: `file:line: what, and what to do`, a line each.
//!
//! Never: changes a file; runs a program but `git ls-files`.
//!
//! The rules are in `tidy/rust.rs` (Rust files), `tidy/layers.rs` (who may use whom, by the tables in
//! `tidy/arrows.rs`), `tidy/text.rs` (links, paths of a machine) and `reference.rs` (what documents name). Each has its proof
//! in its `tests.rs`.

mod arrows;
mod layers;
mod paths;
mod rust;
mod source;
mod text;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result};

use self::{paths::named, source::Source};
use crate::{Ending, project::Project, reference, run::Run};

/// Something to put right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// From the root of the checkout.
    file: String,
    line: usize,
    /// What is wrong, and what to do.
    what: String,
}

impl Finding {
    fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into() }
    }
}

/// `cargo xtask tidy`.
///
/// # Errors
/// When the files cannot be listed.
pub(crate) fn command(project: &Project) -> Result<Ending> {
    Ok(if check(project)? == 0 { Ending::Well } else { Ending::Failed })
}

/// Prints what is to put right, and gives how much it is.
///
/// # Errors
/// When the files cannot be listed.
pub(crate) fn check(project: &Project) -> Result<usize> {
    let files = files(&project.root)?;
    let found = look_at(&project.root, &files);
    found.iter().for_each(|Finding { file, line, what }| println!("{file}:{line}: {what}"));
    println!("tidy: {} files, {} to put right", files.len(), found.len());
    Ok(found.len())
}

/// The files of the checkout, by their path from its root.
fn files(root: &Path) -> Result<Vec<String>> {
    let list = Run::new("git", root).words("ls-files -z --cached --others --exclude-standard").output();
    let list = list.context("tidy looks at the files that git knows: it needs git, and a checkout")?;
    let names: BTreeSet<&str> = list.split('\0').filter(|name| !name.is_empty()).collect();
    // A file that was removed but is still in the index is not there to look at.
    Ok(names.into_iter().filter(|name| root.join(name).is_file()).map(str::to_owned).collect())
}

/// The texts of the checkout, by their path from its root.
///
/// # Errors
/// When the files cannot be listed.
pub(crate) fn texts(root: &Path) -> Result<BTreeMap<String, String>> {
    Ok(read(root, &files(root)?))
}

fn read(root: &Path, files: &[String]) -> BTreeMap<String, String> {
    let read = |name: &String| Some((name.clone(), fs::read_to_string(root.join(name)).ok()?));
    // What is no text has no rules.
    files.iter().filter_map(read).collect()
}

/// What is wrong in these files.
fn look_at(root: &Path, files: &[String]) -> Vec<Finding> {
    let texts = read(root, files);
    let sources: BTreeMap<&str, Source> = texts
        .iter()
        .filter(|(name, _)| name.ends_with(".rs"))
        .map(|(name, text)| (name.as_str(), Source::of(text)))
        .collect();
    let tests = rust::test_files(&sources);
    let lib = sources.get(format!("{}lib.rs", arrows::LIBRARY).as_str());
    let exports = lib.map(|lib| layers::exports(&named(&lib.outside))).unwrap_or_default();

    let mut found = Vec::new();
    for (name, text) in &texts {
        found.extend(text::check(root, name, text));
        found.extend(layers::check_manifest(name, text));
        let Some(source) = sources.get(name.as_str()) else { continue };
        let only_tests = tests.contains(name.as_str());
        found.extend(rust::check(name, text, source, only_tests));
        if !only_tests {
            found.extend(layers::check(name, &named(&source.outside), &exports));
        }
    }
    let documents = reference::check(&texts).into_iter();
    found.extend(documents.map(|(file, line, what)| Finding { file, line, what }));
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_by_file_and_line() {
        let root = tempfile::tempdir().unwrap();
        let files = [
            ("crates/portolan/src/lib.rs", "//! Front door.\npub use sync::View;\n"),
            (
                "crates/portolan/src/registry.rs",
                "//! A seam.\n\nuse crate::View;\n#[cfg(test)]\nmod script;\n",
            ),
            ("crates/portolan/src/registry/script.rs", "//! For tests.\nuse crate::sync::View;\n"),
            ("README.md", "See [this](docs/none.md).\n"),
        ];
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let names: Vec<String> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
        let found = look_at(root.path(), &names);
        let places: Vec<(&str, usize)> =
            found.iter().map(|found| (found.file.as_str(), found.line)).collect();
        assert_eq!(places, [("README.md", 1), ("crates/portolan/src/registry.rs", 3)], "{found:?}");
    }
}
