//! `cargo xtask reference`: the pages under `docs/reference/` that are made from the code, and what the documents name.
//!
//! In:  the texts of the checkout. Out: the pages; for `tidy`, which page is not as the code is, and which command, flag,
//! setting, metric or endpoint a document names that there is not.
//!
//! What the commands are is read from `crates/portolan-cli/tests/cmd/help-*.trycmd`, which a test of the command compares with
//! what it says; settings and endpoints are read from the sources. So nothing need be compiled. The page of metrics is made and
//! checked by a test of the command.
//!
//! Never: writes a page unless asked; changes one that is not its own.

mod commands;
mod documents;
mod endpoints;
mod item;
mod metrics;
mod settings;
mod words;

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};

use crate::{Ending, project::Project, tidy};

/// The texts of the checkout, by their path from its root.
pub(crate) type Texts = BTreeMap<String, String>;

/// A document that says what is not so: the line, and what to do.
pub(crate) type Wrong = (String, usize, String);

/// The first line of each page that is made.
const MADE: &str = "<!-- Made by `cargo xtask reference --write` from the code; change it there. -->\n\n";

/// `cargo xtask reference`.
///
/// # Errors
/// When the files cannot be listed, or a page cannot be made or written.
pub(crate) fn command(project: &Project, words: &[&str]) -> Result<Ending> {
    let texts = tidy::texts(&project.root)?;
    match words {
        [] => {
            let wrong = check(&texts);
            wrong.iter().for_each(|(file, line, what)| println!("{file}:{line}: {what}"));
            Ok(if wrong.is_empty() { Ending::Well } else { Ending::Failed })
        }
        ["--write"] => {
            for (name, text) in pages(&texts).map_err(anyhow::Error::msg)? {
                let path = project.root.join(name);
                if let Some(dir) = path.parent() {
                    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
                }
                fs::write(&path, text).with_context(|| path.display().to_string())?;
                println!("written: {name}");
            }
            Ok(Ending::Well)
        }
        other => Ok(Ending::WrongUse(format!("reference does not take `{}`", other.join(" ")))),
    }
}

/// What is wrong: a page that is not as the code is, a document that names what there is not.
pub(crate) fn check(texts: &Texts) -> Vec<Wrong> {
    // A checkout without the command, as in a test of another rule, has nothing to compare with.
    if !texts.contains_key(commands::FIRST) {
        return Vec::new();
    }
    let made = match pages(texts) {
        Ok(made) => made,
        Err(what) => return vec![("xtask/src/reference.rs".to_owned(), 1, what)],
    };
    let mut wrong = Vec::new();
    for (name, text) in &made {
        if texts.get(*name) != Some(text) {
            let what = "is not as the code is: run `cargo xtask reference --write`".to_owned();
            wrong.push(((*name).to_owned(), 1, what));
        }
    }
    match documents::Known::of(texts) {
        Ok(known) => wrong.extend(documents::check(texts, &known)),
        Err(what) => wrong.push(("xtask/src/reference.rs".to_owned(), 1, what)),
    }
    wrong
}

/// All pages, by their path.
fn pages(texts: &Texts) -> Result<Vec<(&'static str, String)>, String> {
    let pages = [
        ("docs/reference/commands.md", commands::page(texts)?),
        ("docs/reference/settings.md", settings::page(texts)?),
        ("docs/reference/endpoints.md", endpoints::page(texts)?),
    ];
    Ok(pages.into_iter().map(|(name, text)| (name, format!("{MADE}{text}"))).collect())
}
