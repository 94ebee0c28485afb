//! Has cargo-mutants itself try the mutants that could not be embedded: it builds the library anew for each.
//!
//! In:  the names of the mutants that are done already. Out: how each other one ended.
//!
//! In two passes: all meet the quick tests, and those that these miss meet all tests.
//!
//! Never: counts a mutant of the first pass as missed; tries again one that hung.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::{
    build::{FLAGS, TARGET},
    drive::{End, SLOW},
};
use crate::{project::Project, run::Run, tools};

/// One way through the mutants.
#[derive(Clone, Copy, Debug)]
enum Pass {
    /// Every mutant, against the quick tests.
    Quick,
    /// What the first one missed, against all tests.
    Whole,
}

/// The lists that the tool writes, and how the mutants in each ended.
const LISTS: [(&str, End); 4] = [
    ("caught.txt", End::Caught),
    ("timeout.txt", End::Timeout),
    ("missed.txt", End::Missed),
    ("unviable.txt", End::Unviable),
];
/// What the tool's `--iterate` leaves out, beside what it caught or could not build the last time.
const DONE: &str = "previously_caught.txt";

/// How each mutant of these files ended that is not done, by its name. Takes `CARGO_MUTANTS_JOBS` from the environment, as
/// the tool does.
///
/// # Errors
/// When the tool cannot be built, or ends as it does not when it has tried all.
pub(crate) fn rest(project: &Project, files: &[PathBuf], done: &[&str]) -> Result<Vec<(String, End)>> {
    let place = project.target.join("mutants");
    let lists = place.join("mutants.out");
    fs::create_dir_all(&lists).with_context(|| lists.display().to_string())?;
    for (list, _) in LISTS {
        fs::write(lists.join(list), "").with_context(|| list.to_owned())?;
    }
    spare(&lists, done)?;
    Pass::Quick.run(project, &place, files)?;
    let mut ends = read(&lists)?;
    if ends.iter().any(|(_, end)| *end == End::Missed) {
        ends.retain(|(_, end)| *end != End::Missed);
        let done: Vec<&str> =
            done.iter().copied().chain(ends.iter().map(|(name, _)| name.as_str())).collect();
        spare(&lists, &done)?;
        Pass::Whole.run(project, &place, files)?;
        ends.extend(read(&lists)?);
    }
    Ok(ends)
}

impl Pass {
    fn run(self, project: &Project, out: &Path, files: &[PathBuf]) -> Result<()> {
        let mut run = project
            .run(tools::MUTANTS.get(project)?)
            // What the library depends on is built once, beside what was built with optimisation: here a build costs more than a run.
            .env("CARGO_TARGET_DIR", out.join(TARGET))
            .env("RUSTFLAGS", FLAGS)
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .env("RUST_BACKTRACE", "0")
            .env("PROPTEST_MAX_SHRINK_ITERS", "0")
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true");
        if let Self::Quick = self {
            run = run.env("PROPTEST_CASES", "8");
        }
        // `--cargo-arg`: the tests of the library alone are built, not only run. They passed before any mutant lived.
        run = run
            .words("mutants --package portolan --no-shuffle --baseline skip --iterate --cargo-arg=--lib")
            .words("--cargo-arg=--all-features --output")
            .word(out);
        let run = files.iter().fold(run, |run, file| run.word("--file").word(file));
        self.limited(run).tee().and_then(|said| match said.status.code() {
            // 2: some were missed; 3: some took too long. Both are told in the end.
            Some(0 | 2 | 3) => Ok(()),
            _ => bail!("cargo-mutants ended with {}; see what it says above", said.status),
        })
    }

    /// The quick tests take two seconds, and twenty where others build: what takes ninety hangs.
    fn limited(self, run: Run) -> Run {
        match self {
            Self::Quick => {
                SLOW.iter().fold(run.words("--timeout 90 -- --"), |run, slow| run.words("--skip").word(*slow))
            }
            Self::Whole => run.words("--timeout 600"),
        }
    }
}

/// Has the tool leave these out.
fn spare(lists: &Path, done: &[&str]) -> Result<()> {
    let path = lists.join(DONE);
    let text: String = done.iter().map(|name| format!("{name}\n")).collect();
    fs::write(&path, text).with_context(|| path.display().to_string())
}

fn read(lists: &Path) -> Result<Vec<(String, End)>> {
    let mut all = Vec::new();
    for (list, end) in LISTS {
        let path = lists.join(list);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        all.extend(text.lines().map(|name| (name.to_owned(), end)));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_is_told_what_is_done_and_its_lists_are_read() {
        let lists = tempfile::tempdir().unwrap();
        spare(lists.path(), &["a.rs:1:2: x", "a.rs:3:4: y"]).unwrap();
        let done = fs::read_to_string(lists.path().join(DONE)).unwrap();
        assert_eq!(done, "a.rs:1:2: x\na.rs:3:4: y\n");
        assert!(read(lists.path()).is_err(), "no list is no empty list");
        for (list, _) in LISTS {
            fs::write(lists.path().join(list), format!("{list}\n")).unwrap();
        }
        let read = read(lists.path()).unwrap();
        assert_eq!(read.len(), 4);
        assert!(read.contains(&("unviable.txt".to_owned(), End::Unviable)));
    }
}
