//! `cargo xtask cluster`: a cluster in virtual time that judges pickers (`crates/portolan-sim/src/cluster.rs`).
//!
//! In:  nothing, `--short`, `--write`, or a seed. Out: what it says; 1 when a bar is broken, or `docs/pickers.md` or its
//! picture is not what was computed.
//!
//! Never: runs it unoptimized, which takes ten times as long.

use anyhow::Result;

use crate::{Ending, project::Project, sim};

/// `cargo xtask cluster`.
///
/// # Errors
/// When it cannot be built.
pub(crate) fn command(project: &Project, words: &[&str]) -> Result<Ending> {
    let run = sim::built(project)?.word("cluster");
    let run = words.iter().fold(run, |run, word| run.word(*word));
    Ok(if run.run().is_ok() { Ending::Well } else { Ending::Failed })
}

/// What CI runs: the bars.
///
/// # Errors
/// When it cannot be built, or a bar is broken.
pub(crate) fn check(project: &Project) -> Result<()> {
    sim::built(project)?.words("cluster --short").run()
}
