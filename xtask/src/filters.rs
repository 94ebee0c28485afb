//! `cargo xtask filters`: generated filter expressions, judged by the embedded registry and by a real Consul.
//!
//! In:  how many, from which seed. Out: what the test of the server says; 1 when one expression is judged otherwise.
//!
//! Never: judges; `cargo xtask test` runs 500 of them.

use anyhow::Result;

use crate::{Ending, consul, project::Project};

/// The test that sends them.
const TEST: &str = "agree::generated_expressions_are_judged_as_a_real_consul_judges_them";
/// What issue 9 asks for.
const COUNT: &str = "10000";

/// `cargo xtask filters`.
///
/// # Errors
/// When it cannot be built, or there is no Consul.
pub(crate) fn command(project: &Project, words: &[&str]) -> Result<Ending> {
    let (mut count, mut seed) = (COUNT, "1");
    for pair in words.chunks(2) {
        match pair {
            ["--count", number] => count = number,
            ["--seed", number] => seed = number,
            pair => return Ok(Ending::WrongUse(format!("filters does not take `{}`", pair.join(" ")))),
        }
    }
    if let Some(wrong) = [count, seed].iter().find(|number| number.parse::<u32>().is_err()) {
        return Ok(Ending::WrongUse(format!("filters: {wrong:?} is not a number")));
    }
    let consul = consul::find(project)?;
    println!("{}, {}: {count} expressions from seed {seed}", consul.version, consul.path.display());
    let run =
        project.cargo("test --package portolan-server --test filters -- --nocapture --exact").word(TEST);
    let run = run.env(consul::VARIABLE, consul.path).env("PORTOLAN_FILTERS", count);
    let said = run.env("PORTOLAN_FILTERS_SEED", seed).tee()?;
    let ran = said.text.lines().any(|line| line.starts_with("test agree::"));
    if !ran {
        println!("filters: no test of the name {TEST} ran");
    }
    Ok(if said.status.success() && ran { Ending::Well } else { Ending::Failed })
}
