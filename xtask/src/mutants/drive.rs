//! Runs the tests once for each mutant that they were built with, as many at a time as there are cores.
//!
//! In:  the test binary and the numbers of the mutants. Out: [`End`] of each.
//!
//! In four stages, until one notices: the tests of its module, those of the module at the top, the quick tests of all,
//! all. What a part of the tests notices, all of them do; so the verdict is that of all, in a fraction of the time.
//!
//! Never: waits for a test that hangs, which is noticed; calls a mutant missed that did not meet all tests. A child stays in
//! the terminal's group, as everywhere here; no unit test starts one of its own, so to kill it is enough.

use std::{
    io::Read as _,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Stdio},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::{
    build::{ALIVE, Built},
    list::Mutant,
};
use crate::run::Run;

/// How a mutant ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Caught,
    Timeout,
    Missed,
    Unviable,
}

/// What is left out before the last stage: the tests that take more than nine tenths of the time that all take; and those of
/// the loops beside the machines, which wait for ever where a machine is wrong, though a test of its own says so at once.
pub(crate) const SLOW: [&str; 10] = [
    "discovery::",
    "register::keeper::",
    "resolve::tests::bounds::",
    "sync::tests::",
    "sync::names::tests::",
    "sync::probe::tests::",
    "alike::tests::whatever_differs",
    "five_thousand_views_on_64_places",
    "every_order_of_a_few_events",
    "ten_thousand_instances_are_all_reached",
];
/// Of these, what is in no loop's tests: a module meets all others of its own.
const SLOWEST: [&str; 2] = ["five_thousand_views_on_64_places", "every_order_of_a_few_events"];
/// A mutant that fills the memory ends, and is noticed, before others feel it. In KiB, where the shell can limit it.
const MEMORY: u32 = 8 << 20;

/// SIGKILL: how the kernel ends what has worked for too long.
const AT_LIMIT: i32 = 9;

/// A part of the tests.
#[derive(Debug, PartialEq, Eq)]
struct Stage {
    words: Vec<String>,
    /// Cases of each property.
    cases: &'static str,
    /// Seconds of work, after which it hangs: however busy the machine is, the tests take no more of these.
    work: u32,
    /// What waits and does not work ends here.
    limit: Duration,
}

fn stages(module: &str) -> [Stage; 4] {
    let top = module.split("::").next().unwrap_or(module);
    let stage = |only: Option<&str>, skipped: &[&str], cases, work: u32| {
        let only = only.map(|module| format!("{module}::"));
        let skipped = skipped.iter().flat_map(|test| ["--skip".to_owned(), (*test).to_owned()]);
        let limit = Duration::from_secs(4 * u64::from(work));
        Stage { words: only.into_iter().chain(skipped).collect(), cases, work, limit }
    };
    // The quick tests take two or three seconds, and all of them less than a minute.
    [
        stage(Some(module), &SLOWEST, "8", 12),
        stage(Some(top), &SLOW, "8", 20),
        stage(None, &SLOW, "8", 20),
        stage(None, &[], "64", 180),
    ]
}

/// Whether all tests pass while no mutant lives: else what they say of one means nothing.
///
/// # Errors
/// When they do not.
pub(crate) fn baseline(built: &Built) -> Result<()> {
    let [.., all] = stages("");
    let (end, said) = all.run(built, 0)?;
    if end != End::Missed {
        bail!("the tests do not pass while no mutant lives:\n{said}");
    }
    Ok(())
}

/// How each of the embedded mutants ended, with its number.
///
/// # Errors
/// When the tests cannot be started.
pub(crate) fn drive(built: &Built, mutants: &[Mutant]) -> Result<Vec<(usize, End)>> {
    let ids: Vec<usize> = built.embedded.iter().copied().collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, End)>> {
        let mut ends = Vec::new();
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            let Some(id) = ids.get(nth) else { return Ok(ends) };
            let mutant = mutants.get(id.saturating_sub(1)).context("a number without a mutant")?;
            let end = meet(built, *id, mutant)?;
            if end != End::Caught {
                println!("{end:?}: {}", mutant.name);
            }
            if nth.is_multiple_of(200) {
                println!("{nth} of {}", ids.len());
            }
            ends.push((*id, end));
        }
    };
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(ends) => all.extend(ends?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })
}

fn meet(built: &Built, id: usize, mutant: &Mutant) -> Result<End> {
    for stage in stages(&mutant.module()) {
        match stage.run(built, id)? {
            (End::Missed, _) => {}
            (end, _) => return Ok(end),
        }
    }
    Ok(End::Missed)
}

impl Stage {
    /// How the mutant ended, and what the tests said.
    fn run(&self, built: &Built, id: usize) -> Result<(End, String)> {
        let script =
            format!("ulimit -v {MEMORY} 2>/dev/null; ulimit -t {}; exec \"$0\" \"$@\" 2>&1", self.work);
        let run = Run::new("sh", &built.dir)
            .words("-c")
            .word(script)
            .word(&built.binary)
            .words("-q")
            // Nobody reads its backtrace, or wants the smallest case that shows it; and what made one fail must not be
            // tried on the next.
            .env("RUST_BACKTRACE", "0")
            .env("PROPTEST_MAX_SHRINK_ITERS", "0")
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
            .env("PROPTEST_CASES", self.cases)
            .env(ALIVE, id.to_string());
        let run = self.words.iter().fold(run, |run, word| run.word(word));
        let child = run.command().stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        ended(child.context("cannot start the tests")?, self.limit)
    }
}

/// Waits for a child that ends when it closes its output, and kills it at the limit.
fn ended(mut child: Child, limit: Duration) -> Result<(End, String)> {
    let mut output = child.stdout.take().context("the tests have no output")?;
    let (done, heard) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut said = Vec::new();
            // What cannot be read is not shown; how it ended is told by the child.
            let read = output.read_to_end(&mut said).map(|_| said);
            done.send(read)
        });
        let heard_in_time = heard.recv_timeout(limit);
        if let Err(RecvTimeoutError::Timeout) = heard_in_time {
            child.kill().context("cannot kill the tests")?;
        }
        let status = child.wait().context("cannot wait for the tests")?;
        Ok(match heard_in_time {
            Err(_) => (End::Timeout, format!("not over after {limit:?}")),
            Ok(said) => {
                let end = match (status.success(), status.signal()) {
                    (true, _) => End::Missed,
                    (false, Some(AT_LIMIT)) => End::Timeout,
                    (false, _) => End::Caught,
                };
                (end, String::from_utf8_lossy(&said.unwrap_or_default()).into_owned())
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::Path};

    use super::*;

    #[test]
    fn a_module_meets_its_own_tests_first_and_all_in_the_end() {
        let [module, top, quick, all] = stages("sync::step");
        assert_eq!(module.words.first().map(String::as_str), Some("sync::step::"));
        assert_eq!(top.words.first().map(String::as_str), Some("sync::"));
        assert_eq!(quick.words.first().map(String::as_str), Some("--skip"));
        assert_eq!(all.words, Vec::<String>::new(), "none is left out");
    }

    #[test]
    fn what_fails_or_hangs_is_noticed() {
        let end = |script: &str| {
            let run = Run::new("sh", Path::new("/")).words("-c").word(script);
            let child = run.command().stdout(Stdio::piped()).spawn().unwrap();
            ended(child, Duration::from_millis(500)).unwrap()
        };
        assert_eq!(end("echo well"), (End::Missed, "well\n".to_owned()));
        assert_eq!(end("exit 101"), (End::Caught, String::new()));
        assert_eq!(end("exec sleep 600").0, End::Timeout);
        assert_eq!(end("kill -KILL $$").0, End::Timeout, "as the kernel does at the limit of work");
    }

    #[test]
    fn the_tests_are_told_which_mutant_lives() {
        let dir = tempfile::tempdir().unwrap();
        let binary = dir.path().join("tests");
        fs::write(&binary, format!("#!/bin/sh\necho $*, ${ALIVE}, $PROPTEST_CASES >&2\n")).unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        let built = Built {
            binary,
            dir: dir.path().to_owned(),
            embedded: BTreeSet::new(),
            unviable: BTreeSet::new(),
        };
        let [module, ..] = stages("sync::step");
        let (end, said) = module.run(&built, 7).unwrap();
        assert_eq!(end, End::Missed);
        assert!(said.starts_with("-q sync::step:: --skip ") && said.ends_with(", 7, 8\n"), "{said}");
    }
}
