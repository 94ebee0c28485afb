//! `cargo xtask power`: the embedded registry on a disk that fails and loses power, for many seeds.
//!
//! In:  how many seeds, or one. Out: what the test of the server says; 1 when something acknowledged was lost.
//!
//! Never: judges; plays many seeds unoptimized.

use anyhow::Result;

use crate::{Ending, project::Project};

/// The test that plays the seeds.
const TEST: &str = "durable::tests::what_was_acknowledged_survives_power_loss_at_any_moment";
/// What issue 8 asks for.
const SEEDS: &str = "10000";

/// `cargo xtask power`.
///
/// # Errors
/// When it cannot be built.
pub(crate) fn command(project: &Project, words: &[&str]) -> Result<Ending> {
    let (name, value) = match words {
        [] => ("PORTOLAN_POWER_SEEDS", SEEDS),
        ["--seeds", seeds] => ("PORTOLAN_POWER_SEEDS", *seeds),
        ["--seed", seed] => ("PORTOLAN_POWER_SEED", *seed),
        words => return Ok(Ending::WrongUse(format!("power does not take `{}`", words.join(" ")))),
    };
    if value.parse::<u64>().is_err() {
        return Ok(Ending::WrongUse(format!("power: {value:?} is not a number")));
    }
    let run = project.cargo("test --release --package portolan-server --lib -- --exact").word(TEST);
    let said = run.env(name, value).tee()?;
    let ran = said.text.lines().any(|line| line.starts_with("test durable::"));
    if !ran {
        println!("power: no test of the name {TEST} ran");
    }
    Ok(if said.status.success() && ran { Ending::Well } else { Ending::Failed })
}
