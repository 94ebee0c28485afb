//! `cargo xtask sim`: the deterministic simulation of the library (`crates/portolan-sim`), its planted bugs, and the
//! exhaustive search over the step machine.
//!
//! In:  seeds, or a seed, or a planted bug. Out: what the simulation says; 1 when a law broke.
//!
//! Never: plays many seeds unoptimized, which is ten times slower; shares a target directory with other builds, whose flags
//! differ: `tokio_unstable` lets a seed decide the runtime's own chance too.

use std::path::Path;

use anyhow::Result;

use crate::{Ending, planted, project::Project, run::Run};

/// The crate of the simulation.
pub(crate) const SIM: &str = "portolan-sim";
/// What CI plays.
const IN_CI: &str = "--seeds 500";

/// `cargo xtask sim`.
///
/// # Errors
/// When it cannot be built.
pub(crate) fn command(project: &Project, words: &[&str]) -> Result<Ending> {
    match words {
        ["--exhaustive"] => exhaustive(project),
        ["--planted"] => planted::command(project, None),
        ["--planted", name] => planted::command(project, Some(name)),
        words => {
            let run = built(project)?;
            let run = words.iter().fold(run, |run, word| run.word(*word));
            Ok(if run.run().is_ok() { Ending::Well } else { Ending::Failed })
        }
    }
}

/// What CI plays: enough to see that nothing broke outright.
///
/// # Errors
/// When it cannot be built, or a law broke.
pub(crate) fn check(project: &Project) -> Result<()> {
    built(project)?.words(IN_CI).run()
}

/// Builds the simulation, and gives the program to run.
///
/// # Errors
/// When the build fails; Cargo has said why.
pub(crate) fn built(project: &Project) -> Result<Run> {
    let target = project.target.join("sim");
    build(&project.root, &target).words("--release").run()?;
    Ok(project.run(target.join("release").join(SIM)))
}

/// The same of a copy in which something was changed. Unoptimized: a change is built in a fraction of the time, and found
/// after a few seeds.
///
/// # Errors
/// As [`built`].
pub(crate) fn built_anew(project: &Project, root: &Path, target: &Path) -> Result<Run> {
    build(root, target).env("CARGO_PROFILE_DEV_DEBUG", "false").run()?;
    Ok(project.run(target.join("debug").join(SIM)))
}

fn build(root: &Path, target: &Path) -> Run {
    Run::new("cargo", root)
        .words(&format!("build --quiet --package {SIM} --target-dir"))
        .word(target)
        .env("RUSTFLAGS", "--cfg tokio_unstable")
}

/// Every order of events in a small scope, over the step machine: a unit test of the library, run optimized.
fn exhaustive(project: &Project) -> Result<Ending> {
    let said = project
        .cargo("test --release --package portolan --lib -- sync::step::explore --include-ignored --nocapture")
        .tee()?;
    let ran = said.text.lines().any(|line| line.starts_with("test sync::step::explore"));
    if !ran {
        println!("sim: no test of sync::step::explore ran");
    }
    Ok(if said.status.success() && ran { Ending::Well } else { Ending::Failed })
}
