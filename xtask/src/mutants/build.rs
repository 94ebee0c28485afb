//! Builds the unit tests of the library once, with all mutants in them that compile where they are embedded.
//!
//! In:  the mutants; the checkout. Out: [`Built`]: the test binary, and which mutants it has.
//!
//! Cargo checks the rewritten copy again and again: what an error is about is left out, until there is none. An error is
//! about the mutant whose text it points at, or else surrounds; a function that a constant calls stays constant. Where the
//! error would be the same in the tool's own change, the mutant is known not to compile at all.
//!
//! Never: touches the checkout; builds a text that still has an error; goes on when an error is about no mutant.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{
    SOURCES,
    list::{Genre, Mutant},
    schema::{self, Kind, Place, Rewritten},
};
use crate::{planted, project::Project, run::Run};

/// The number of the living mutant, for the tests that are built.
pub(crate) const ALIVE: &str = "PORTOLAN_MUTANT";
/// Where all mutants are built, under their place in the target directory.
pub(crate) const TARGET: &str = "target";
/// That a mutant has needless parentheses or an unused name is no news.
pub(crate) const FLAGS: &str = "--cap-lints=allow";
/// After so many rounds something is wrong: an error stays in sight until the one before it is gone, and seven do it.
const ROUNDS: usize = 30;

/// The tests, with mutants in them.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) binary: PathBuf,
    /// Where Cargo would run it.
    pub(crate) dir: PathBuf,
    /// By number, from 1 in the tool's order.
    pub(crate) embedded: BTreeSet<usize>,
    /// Those that compile nowhere.
    pub(crate) unviable: BTreeSet<usize>,
}

/// What is left out, and kept as it is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Spared {
    mutants: BTreeSet<usize>,
    /// Of these, those that compile nowhere.
    unviable: BTreeSet<usize>,
    constant: BTreeSet<String>,
}

/// A line of `cargo --message-format=json`.
#[derive(Debug, Deserialize)]
struct Line {
    message: Option<Message>,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Message {
    level: String,
    message: String,
    code: Option<Code>,
    rendered: Option<String>,
    spans: Vec<Pointed>,
}

#[derive(Debug, Deserialize)]
struct Code {
    code: String,
}

#[derive(Debug, Deserialize)]
struct Pointed {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    is_primary: bool,
}

/// Embeds what can be, and builds.
///
/// # Errors
/// When the copy cannot be made, an error is about no mutant, or the build fails.
pub(crate) fn build(project: &Project, mutants: &[Mutant]) -> Result<Built> {
    let place = project.target.join("mutants");
    let tree = place.join("tree");
    planted::copy_tree(project, &tree)?;
    let root = tree.join(SOURCES).join("lib.rs");
    let text = fs::read_to_string(&root).with_context(|| root.display().to_string())?;
    fs::write(&root, text + &alive()).with_context(|| root.display().to_string())?;
    let cargo = |words: &str| {
        Run::new("cargo", &tree)
            .words(words)
            .words("--quiet --package portolan --all-features --lib --message-format=json --target-dir")
            .word(place.join(TARGET))
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            // It is built once and run some thousand times. What is checked as it runs is checked all the same.
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
            .env("RUSTFLAGS", FLAGS)
    };
    let mut spared = Spared::default();
    for round in 1..=ROUNDS {
        let files = rewrite(&project.root, mutants, &spared)?;
        for (file, rewritten) in &files {
            put(&tree.join(file), &rewritten.text)?;
        }
        let (well, said) = said(&cargo("check --profile test"))?;
        if well {
            let (well, said) = self::said(&cargo("test --no-run"))?;
            let binary = said.into_iter().find_map(|line| line.executable).filter(|_| well);
            let embedded = files.values().flat_map(|file| &file.places).flat_map(|place| place.ids.clone());
            return Ok(Built {
                binary: binary.context("cargo checked the tests, but could not build them")?,
                dir: tree.join("crates/portolan"),
                embedded: embedded.collect(),
                unviable: spared.unviable,
            });
        }
        let more = judge(&said, &files, mutants)?;
        println!(
            "round {round}: {} mutants do not compile here, {} functions must be constant",
            more.mutants.len(),
            more.constant.len()
        );
        spared.mutants.extend(more.mutants);
        spared.unviable.extend(more.unviable);
        spared.constant.extend(more.constant);
    }
    bail!("after {ROUNDS} rounds there are still mutants that do not compile")
}

/// What the rewritten text asks.
fn alive() -> String {
    format!(
        "
pub(crate) fn mutant() -> u32 {{
    static ALIVE: std::sync::LazyLock<u32> =
        std::sync::LazyLock::new(|| std::env::var({ALIVE:?}).ok().and_then(|text| text.parse().ok()).unwrap_or(0));
    *ALIVE
}}
"
    )
}

fn put(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// Each file that has mutants, with those that are not spared.
fn rewrite(root: &Path, mutants: &[Mutant], spared: &Spared) -> Result<BTreeMap<String, Rewritten>> {
    let mut files: BTreeMap<&str, Vec<(usize, &Mutant)>> = BTreeMap::new();
    for (id, mutant) in (1..).zip(mutants) {
        let of_file = files.entry(&mutant.file).or_default();
        if !spared.mutants.contains(&id) {
            of_file.push((id, mutant));
        }
    }
    let mut all = BTreeMap::new();
    for (file, mutants) in files {
        let path = root.join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let rewritten = schema::rewrite(&text, &mutants, &spared.constant);
        all.insert(file.to_owned(), rewritten.with_context(|| path.display().to_string())?);
    }
    Ok(all)
}

/// Whether it went well, and the lines that Cargo wrote for programs.
fn said(run: &Run) -> Result<(bool, Vec<Line>)> {
    println!("$ {}", run.shown());
    let output = run.command().stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok((output.status.success(), text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()))
}

/// What is to be left out, and kept as it is, for these errors to go.
fn judge(said: &[Line], files: &BTreeMap<String, Rewritten>, mutants: &[Mutant]) -> Result<Spared> {
    let is_error = |message: &&Message| message.level == "error" && !message.spans.is_empty();
    let errors: Vec<&Message> =
        said.iter().filter_map(|line| line.message.as_ref()).filter(is_error).collect();
    let mut spared = Spared::default();
    for kind in [Kind::Written, Kind::Around] {
        for error in &errors {
            match called_in_a_constant(&error.message).filter(|name| is_freed(name, files)) {
                Some(name) => drop(spared.constant.insert(name.to_owned())),
                None => {
                    let ids = about(error, kind, files);
                    if let [id] = ids[..]
                        && mutants.get(id.saturating_sub(1)).is_some_and(|mutant| is_its_own(error, mutant))
                    {
                        spared.unviable.insert(id);
                    }
                    spared.mutants.extend(ids);
                }
            }
        }
        // An original is wrong when what stands beside it is: it falls only when nothing else does.
        if spared != Spared::default() {
            return Ok(spared);
        }
    }
    let texts: Vec<&str> = errors.iter().filter_map(|error| error.rendered.as_deref()).collect();
    bail!("these errors are about no mutant:\n{}", texts.join("\n"))
}

fn is_freed(name: &str, files: &BTreeMap<String, Rewritten>) -> bool {
    files.values().any(|file| file.freed.contains(name))
}

/// "cannot call non-const associated function `Backoff::new` in constants" is about `new`.
fn called_in_a_constant(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("non-const ")?;
    let (path, _) = rest.split_once('`')?.1.split_once('`')?;
    path.rsplit("::").next()
}

/// The mutants whose text the error points at: where it points first, or else where it says why.
fn about(error: &Message, kind: Kind, files: &BTreeMap<String, Rewritten>) -> Vec<usize> {
    let mut spans: Vec<&Pointed> = error.spans.iter().collect();
    spans.sort_by_key(|span| !span.is_primary);
    let smallest = |span: &&Pointed| {
        let holds = |place: &&Place| place.bytes.start <= span.byte_start && span.byte_end <= place.bytes.end;
        let places = files.get(&span.file_name)?.places.iter().filter(|place| place.kind == kind);
        places.filter(holds).min_by_key(|place| place.bytes.len())
    };
    spans.iter().find_map(smallest).map(|place| place.ids.clone()).unwrap_or_default()
}

/// Whether the tool's own change has this error too. What a function gives is checked against the type that it says, at
/// `return` as at its end, unless the type is what the first of them makes it; and an operator that its operands do not have,
/// they have nowhere. All else may be for what stands beside it here.
fn is_its_own(error: &Message, mutant: &Mutant) -> bool {
    let code = error.code.as_ref().map_or("", |code| code.code.as_str());
    match mutant.genre {
        // E0015: a constant cannot ask which mutant lives.
        Genre::FnValue => {
            let says = mutant.function.as_ref().map(|function| function.return_type.as_str());
            code != "E0015" && says.is_some_and(|says| !says.contains("impl"))
        }
        Genre::BinaryOperator => matches!(code, "E0277" | "E0368" | "E0369"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> BTreeMap<String, Rewritten> {
        let place = |bytes, ids: &[usize], kind| Place { bytes, ids: ids.to_vec(), kind };
        let places = vec![
            place(10..20, &[1], Kind::Written),
            place(22..30, &[2], Kind::Written),
            place(5..35, &[1, 2], Kind::Written),
            place(5..60, &[1, 2], Kind::Around),
        ];
        let file = Rewritten { text: String::new(), places, freed: BTreeSet::from(["new".to_owned()]) };
        BTreeMap::from([("a.rs".to_owned(), file)])
    }

    fn error(message: &str, spans: &[(usize, usize)]) -> Line {
        let pointed = |(nth, (from, to)): (usize, &(usize, usize))| {
            format!(
                r#"{{"file_name": "a.rs", "byte_start": {from}, "byte_end": {to}, "is_primary": {}}}"#,
                nth == 0
            )
        };
        let spans: Vec<String> = spans.iter().enumerate().map(pointed).collect();
        let spans = spans.join(",");
        let text = format!(
            r#"{{"reason": "compiler-message",
                "message": {{"level": "error", "message": "{message}", "code": {{"code": "E0277"}}, "rendered": "{message}", "spans": [{spans}]}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn an_error_is_about_the_smallest_text_that_it_points_at() {
        for (spans, about) in [
            (&[(12, 14)][..], &[1][..]),
            (&[(5, 8)], &[1, 2]),          // the question itself, in a constant
            (&[(40, 42), (23, 24)], &[2]), // the original does not fit what stands before it
            (&[(40, 42)], &[1, 2]),
        ] {
            let found = judge(&[error("mismatched types", spans)], &files(), &[]).unwrap();
            assert_eq!(found.mutants, about.iter().copied().collect(), "{spans:?}");
        }
        // Beside an error that is about one, an original is not yet to blame.
        let both = [error("mismatched types", &[(40, 42)]), error("mismatched types", &[(12, 14)])];
        assert_eq!(judge(&both, &files(), &[]).unwrap().mutants, BTreeSet::from([1]));
        let nowhere = judge(&[error("mismatched types", &[(70, 71)])], &files(), &[]).unwrap_err();
        assert!(nowhere.to_string().ends_with("\nmismatched types"), "{nowhere}");
    }

    #[test]
    fn a_function_that_a_constant_calls_stays_constant() {
        let called = "cannot call non-const associated function `Backoff::new` in constants";
        let found = judge(&[error(called, &[(70, 71)])], &files(), &[]).unwrap();
        assert_eq!(found, Spared { constant: BTreeSet::from(["new".to_owned()]), ..Spared::default() });
        let asked = "cannot call non-const function `mutant` in constant functions";
        assert_eq!(judge(&[error(asked, &[(6, 8)])], &files(), &[]).unwrap().mutants, BTreeSet::from([1, 2]));
    }

    #[test]
    fn what_compiles_nowhere_is_known_by_its_error() {
        let mutant = |genre: &str, says: &str| -> Mutant {
            let text = format!(
                r#"{{"file": "a.rs", "name": "a.rs:1:1: x", "genre": "{genre}", "replacement": "",
                    "span": {{"start": {{"line": 1, "column": 1}}}}, "function": {{"return_type": "{says}"}}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        for (genre, says, unviable) in [
            ("FnValue", "-> Vec<u8>", true),
            ("FnValue", "-> impl Iterator<Item = u8>", false), // another value may have made the type
            ("BinaryOperator", "", true),
            ("UnaryOperator", "", false),
        ] {
            let found = judge(&[error("x", &[(12, 14)])], &files(), &[mutant(genre, says)]).unwrap();
            assert_eq!(found.unviable.contains(&1), unviable, "{genre} {says}");
            assert_eq!(found.mutants, BTreeSet::from([1]));
        }
    }
}
