//! `cargo xtask sim --planted`: bugs that are put into a copy of the product, to show that the simulation finds them.
//!
//! In:  `crates/portolan-sim/planted/NN-name.patch`: what the bug is, then a patch as `git diff` writes it. A line `Test:
//! FILTER` in what it is: not the simulation is to find it, for it has none of that, but a test of the library of such a
//! name, or with `Test: PACKAGE FILTER` of that package. Out: a table: each bug, the law that found it, after how many seeds; or the test.
//!
//! Never: touches the checkout; calls a bug found when it was not built; passes over a patch that no longer applies.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    Ending,
    project::Project,
    run::Run,
    sim::{self, SIM},
};

/// Where the patches are.
const PATCHES: &str = "crates/portolan-sim/planted";
/// Seeds after which a bug counts as missed.
const SEEDS: u32 = 3_000;

/// A bug, and what became of it.
#[derive(Debug)]
struct Row {
    name: String,
    end: End,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The law that broke, and how, after so many seeds.
    Found {
        seeds: u64,
        law: String,
    },
    /// The test that failed.
    Tested(String),
    Missed,
    DoesNotApply(String),
    DoesNotBuild,
}

/// `cargo xtask sim --planted [NAME]`.
///
/// # Errors
/// When there is no such patch, or the copy cannot be made.
pub(crate) fn command(project: &Project, wanted: Option<&str>) -> Result<Ending> {
    let patches = patches(&project.root.join(PATCHES), wanted)?;
    let place = project.target.join("planted");
    let copy = place.join("tree");
    let mut rows = Vec::new();
    for patch in &patches {
        rows.push(plant(project, &copy, &place.join("target"), patch)?);
    }
    copy_tree(project, &copy)?; // so that what is left there has no bug in it
    println!("\n{}", table(&rows));
    let found = rows.iter().filter(|row| matches!(row.end, End::Found { .. } | End::Tested(_))).count();
    println!("{found} of {} planted bugs found", rows.len());
    Ok(if found == rows.len() { Ending::Well } else { Ending::Failed })
}

fn patches(place: &Path, wanted: Option<&str>) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(place).with_context(|| place.display().to_string())?;
    let mut all: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    all.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    all.retain(|path| wanted.is_none_or(|wanted| name(path).contains(wanted)));
    all.sort();
    if all.is_empty() {
        bail!("no patch in {PATCHES} is named like `{}`", wanted.unwrap_or("*.patch"));
    }
    Ok(all)
}

fn name(patch: &Path) -> String {
    patch.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn plant(project: &Project, copy: &Path, target: &Path, patch: &Path) -> Result<Row> {
    let name = name(patch);
    println!("\n== {name}");
    copy_tree(project, copy)?;
    let applied = Run::new("git", copy).words("apply --whitespace=nowarn").word(patch).tee()?;
    if !applied.status.success() {
        return Ok(Row { name, end: End::DoesNotApply(applied.text.trim().to_owned()) });
    }
    let text = fs::read_to_string(patch).with_context(|| patch.display().to_string())?;
    if let Some(filter) = filter(&text) {
        let (package, filter) = filter.split_once(' ').unwrap_or(("portolan", filter));
        return Ok(Row { name, end: tested(copy, target, package, filter)? });
    }
    let Ok(run) = sim::built_anew(project, copy, target) else {
        return Ok(Row { name, end: End::DoesNotBuild });
    };
    let said = run.words("--seeds").word(SEEDS.to_string()).tee()?;
    let end = if said.status.success() { End::Missed } else { verdict(&said.text) };
    Ok(Row { name, end })
}

/// The tests that are to find a bug, where the simulation is not.
fn filter(patch: &str) -> Option<&str> {
    let head = patch.lines().take_while(|line| !line.starts_with("diff "));
    head.filter_map(|line| line.strip_prefix("Test: ")).next()
}

fn tested(copy: &Path, target: &Path, package: &str, filter: &str) -> Result<End> {
    let tests = |more: &str| {
        let words = format!("test --quiet --package {package} --lib --target-dir");
        let run = Run::new("cargo", copy).words(&words).word(target);
        let run = run.env("CARGO_PROFILE_DEV_DEBUG", "false").env("RUSTFLAGS", "--cap-lints=allow");
        // What made one fail must not be left behind for the next.
        run.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true").words(more)
    };
    if !tests("--no-run").tee()?.status.success() {
        return Ok(End::DoesNotBuild);
    }
    let said = tests("").word(filter).tee()?;
    Ok(if said.status.success() { End::Missed } else { failed_test(&said.text) })
}

/// Reads `---- resolve::tests::one stdout ----`.
fn failed_test(text: &str) -> End {
    let named = |line: &str| Some(line.strip_prefix("---- ")?.strip_suffix(" stdout ----")?.to_owned());
    text.lines().find_map(named).map_or(End::Missed, End::Tested)
}

/// Reads `seed 17: law 3 broken: …`.
fn verdict(text: &str) -> End {
    let found = text.lines().find_map(|line| {
        let (seed, law) = line.strip_prefix("seed ")?.split_once(": ")?;
        Some((seed.parse::<u64>().ok()?, law.to_owned()))
    });
    match found {
        Some((seed, law)) => End::Found { seeds: seed.saturating_add(1), law },
        None => End::Missed,
    }
}

/// Copies what is needed to build the simulation, or the tests of the library. A file that did not change keeps its time,
/// so that Cargo builds only what a patch touched.
///
/// # Errors
/// When Git does not list the files, or one cannot be written.
pub(crate) fn copy_tree(project: &Project, copy: &Path) -> Result<()> {
    let kept = "Cargo.toml Cargo.lock README.md rustfmt.toml crates xtask";
    let listed =
        project.run("git").words("ls-files --cached --others --exclude-standard --").words(kept).output()?;
    // A repository of its own: `git apply` would else look for the checkout around it, and skip the files.
    if !copy.join(".git").exists() {
        fs::create_dir_all(copy).with_context(|| copy.display().to_string())?;
        Run::new("git", copy).words("init --quiet").run()?;
    }
    for file in listed.lines() {
        let (from, to) = (project.root.join(file), copy.join(file));
        let Ok(wanted) = fs::read(&from) else { continue }; // deleted, and not committed yet
        if fs::read(&to).is_ok_and(|there| there == wanted) {
            continue;
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        }
        fs::write(&to, wanted).with_context(|| to.display().to_string())?;
    }
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let line = |Row { name, end }: &Row| {
        let end = match end {
            End::Found { seeds, law } => format!("{seeds:>6}  {law}"),
            End::Tested(test) => format!("     -  the test {test}"),
            End::Missed => format!("     -  NOT FOUND in {SEEDS} seeds, or by the tests it names"),
            End::DoesNotApply(why) => {
                format!("     -  the patch does not apply to this {SIM}'s product: {why}")
            }
            End::DoesNotBuild => "     -  does not build".to_owned(),
        };
        format!("{name:<width$}  {end}\n")
    };
    let head = format!("{:<width$}   seeds  found by\n", "planted bug");
    std::iter::once(head).chain(rows.iter().map(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_names_the_law_and_counts_the_seeds() {
        let text =
            "seed 16: law 3 broken: web: says that it is 1s old\nreplay with: cargo xtask sim --seed SEED\n";
        let law = "law 3 broken: web: says that it is 1s old".to_owned();
        assert_eq!(verdict(text), End::Found { seeds: 17, law });
        assert_eq!(verdict("Killed\n"), End::Missed, "what is not a verdict is no find");
    }

    #[test]
    fn a_bug_that_names_a_test_is_found_by_it() {
        assert_eq!(filter("A bug.\nTest: resolve::\n\ndiff --git a/x b/x\n"), Some("resolve::"));
        assert_eq!(filter("A bug.\n\ndiff --git a/x b/x\nTest: no\n"), None);
        let said = "failures:\n\n---- resolve::tests::one stdout ----\nthread 'x' panicked\n";
        assert_eq!(failed_test(said), End::Tested("resolve::tests::one".to_owned()));
        assert_eq!(failed_test("error: could not run"), End::Missed);
    }

    #[test]
    fn the_table_says_what_was_not_found() {
        let row = |name: &str, end| Row { name: name.to_owned(), end };
        let rows =
            [row("01-a", End::Found { seeds: 3, law: "law 1 broken".to_owned() }), row("02-bb", End::Missed)];
        let expected = "planted bug   seeds  found by\n01-a        3  law 1 broken\n02-bb       -  NOT FOUND in 3000 seeds, or by the tests it names\n";
        assert_eq!(table(&rows), expected);
    }
}
