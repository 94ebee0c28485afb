//! The steps of `cargo xtask test`, in their order: what costs seconds before what costs minutes.
//!
//! Each says what it checks, and fails with the reason. [`STEPS`] is the whole list; a new check is a function here
//! and a row there.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{Context, Outcome, report};
use crate::{claims, cluster, compat, consul, debian, page, project, redis, sim, tidy, tools};

/// One thing to pass.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) when: When,
    pub(crate) run: fn(&mut Context) -> Result<Outcome>,
}

/// In which runs a step takes part, unless it is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    /// Only with `--quick`, in place of what is slower.
    Quick,
    Full,
}

#[rustfmt::skip]
pub(crate) const STEPS: &[Step] = &[
    Step { name: "format", what: "code is formatted", when: When::Always, run: format },
    Step { name: "tidy", what: "the rules of the house", when: When::Always, run: tidy },
    Step { name: "clippy", what: "lints are errors", when: When::Always, run: clippy },
    Step { name: "unit", what: "unit tests", when: When::Quick, run: unit },
    Step { name: "deny", what: "licences, sources, and who may use what", when: When::Full, run: deny },
    Step { name: "consul", what: "a Consul to test against", when: When::Full, run: find_consul },
    Step { name: "redis", what: "a Redis to test against", when: When::Full, run: find_redis },
    Step { name: "tests", what: "tests of all crates; examples and benchmarks build", when: When::Full, run: tests },
    Step { name: "sim", what: "500 simulated runs through faults, judged by the laws", when: When::Full, run: simulate },
    Step { name: "cluster", what: "pickers judged on a simulated cluster, the short form", when: When::Full, run: judge_pickers },
    Step { name: "features", what: "each feature alone", when: When::Full, run: features },
    Step { name: "doc-tests", what: "the code in the docs runs", when: When::Full, run: doc_tests },
    Step { name: "docs", what: "docs build without warnings", when: When::Full, run: docs },
    Step { name: "demo", what: "the demo on the embedded registry", when: When::Full, run: demo },
    Step { name: "demo-consul", what: "the demo on a real Consul", when: When::Full, run: demo_on_consul },
    Step { name: "alerts", what: "Prometheus takes the alert rules", when: When::Full, run: check_alerts },
    Step { name: "compat", what: "clients of Consul as they are, on a real Consul and on portolan serve", when: When::Full, run: clients },
    Step { name: "page", what: "the web page in a real browser, the short form", when: When::Full, run: look_at_page },
    Step { name: "claims", what: "each claim has a test that ran and passed", when: When::Full, run: check_claims },
];

fn format(context: &mut Context) -> Result<Outcome> {
    if context.project.cargo("fmt --all --check").run().is_err() {
        bail!("code is not formatted as rustfmt.toml says; run cargo fmt --all");
    }
    Ok(Outcome::Done)
}

fn tidy(context: &mut Context) -> Result<Outcome> {
    match tidy::check(&context.project)? {
        0 => Ok(Outcome::Done),
        found => bail!("{found} to put right, listed above"),
    }
}

fn clippy(context: &mut Context) -> Result<Outcome> {
    let project = &context.project;
    // The peers of the benchmarks are a feature, and too much to compile for a lint.
    let lints = "-- -D warnings";
    let but = project::BENCH;
    project
        .cargo(&format!("clippy --workspace --exclude {but} --all-targets --all-features {lints}"))
        .run()?;
    project.cargo(&format!("clippy -p {but} --all-targets {lints}")).run()?;
    Ok(Outcome::Done)
}

fn unit(context: &mut Context) -> Result<Outcome> {
    let said = context.project.cargo("test --workspace --lib --bins --no-fail-fast").tee()?;
    let results = report::read(&said.text, &context.project.packages);
    context.count(&results);
    end_of_tests(&said, &results)
}

fn deny(context: &mut Context) -> Result<Outcome> {
    let project = &context.project;
    let tool = tools::DENY.get(project)?;
    project.run(&tool).words("check bans licenses sources").run()?;
    let there = advisories().is_some_and(|place| has_database(&place));
    if there {
        project.run(&tool).words("--offline check advisories").run()?;
    } else {
        println!("advisories were not checked: no database here; `{} fetch db` gets it", tool.display());
    }
    Ok(Outcome::Done)
}

/// Where Cargo's tools keep databases of advisories.
fn advisories() -> Option<PathBuf> {
    let home = match std::env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".cargo"),
    };
    Some(home.join("advisory-dbs"))
}

/// A lock file alone, or a fetch that failed, is no database.
fn has_database(place: &Path) -> bool {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().join(".git")).any(|git| git.join("FETCH_HEAD").is_file())
}

fn find_consul(context: &mut Context) -> Result<Outcome> {
    context.consul()?;
    Ok(Outcome::Done)
}

fn find_redis(context: &mut Context) -> Result<Outcome> {
    context.redis()?;
    Ok(Outcome::Done)
}

/// What is tested beside the defaults: a feature that is left out here has no test that runs.
const FEATURES: &str = "--features portolan/redis,portolan/axum,portolan/health-server,portolan/reqwest,portolan/tonic,portolan/tower,portolan-cli/otlp";

fn tests(context: &mut Context) -> Result<Outcome> {
    run_tests(context, "tests", "test --workspace --all-targets --no-fail-fast")
}

fn doc_tests(context: &mut Context) -> Result<Outcome> {
    run_tests(context, "doc-tests", "test --workspace --doc --no-fail-fast")
}

/// Runs tests against the Consul and the Redis, and keeps how each ended, for the claims.
fn run_tests(context: &mut Context, kind: &str, words: &str) -> Result<Outcome> {
    let (consul, redis) = (context.consul()?, context.redis()?);
    let mut cargo = context.project.cargo(words).words(FEATURES);
    cargo = cargo.env(consul::VARIABLE, consul.path).env(redis::VARIABLE, redis.path);
    let said = cargo.tee()?;
    let results = report::read(&said.text, &context.project.packages);
    context.count(&results);
    claims::keep(&context.project, kind, &results)?;
    end_of_tests(&said, &results)
}

fn end_of_tests(said: &crate::run::Said, results: &report::Results) -> Result<Outcome> {
    if said.status.success() {
        return Ok(Outcome::Done);
    }
    let failed = results.tests.iter().filter(|(_, ended)| **ended == report::Ended::Failed);
    let failed: Vec<&str> = failed.map(|(name, _)| name.as_str()).collect();
    if failed.is_empty() {
        bail!("cargo test ended with {} and no failed test: see what it says above", said.status);
    }
    bail!("{} failed: {}", failed.len(), failed.join(", "))
}

fn simulate(context: &mut Context) -> Result<Outcome> {
    sim::check(&context.project)?;
    Ok(Outcome::Done)
}

fn judge_pickers(context: &mut Context) -> Result<Outcome> {
    cluster::check(&context.project)?;
    Ok(Outcome::Done)
}

fn features(context: &mut Context) -> Result<Outcome> {
    let project = &context.project;
    let but = project::BENCH;
    if !project.packages.iter().any(|package| package.name != but && package.has_features()) {
        return Ok(Outcome::Skipped("no crate has an optional feature".to_owned()));
    }
    let tool = tools::HACK.get(project)?;
    // Resolver 3 keeps the features of dev-dependencies out of `check`, so their removal from the manifests, which
    // would be left half done by a Ctrl-C at a bad moment, is not asked for.
    project.run(&tool).words(&format!("hack check --each-feature --workspace --exclude {but}")).run()?;
    Ok(Outcome::Done)
}

fn docs(context: &mut Context) -> Result<Outcome> {
    let project = &context.project;
    project.cargo("doc --workspace --no-deps").words(FEATURES).env("RUSTDOCFLAGS", "-D warnings").run()?;
    Ok(Outcome::Done)
}

fn demo(context: &mut Context) -> Result<Outcome> {
    if let Some(why) = no_demo(context) {
        return Ok(Outcome::Skipped(why));
    }
    context.project.cargo("run --release -- demo").run()?;
    Ok(Outcome::Done)
}

fn demo_on_consul(context: &mut Context) -> Result<Outcome> {
    if let Some(why) = no_demo(context) {
        return Ok(Outcome::Skipped(why));
    }
    let consul = context.consul()?;
    let agent = consul::Agent::start(&context.project, &consul)?;
    context.project.cargo("run --release -- demo --registry").word(agent.url()).run()?;
    Ok(Outcome::Done)
}

fn look_at_page(context: &mut Context) -> Result<Outcome> {
    let consul = context.consul()?;
    page::check(&context.project, &consul, page::Form::Short)?;
    Ok(Outcome::Done)
}

/// Why the demo cannot run: the command does not have one yet.
fn no_demo(context: &Context) -> Option<String> {
    let commands = context.project.root.join("crates/portolan-cli/src/cmd");
    let there = commands.join("demo.rs").is_file();
    (!there).then(|| "the command has no demo yet".to_owned())
}

fn check_alerts(context: &mut Context) -> Result<Outcome> {
    let project = &context.project;
    let tool = debian::program(project, "prometheus", "usr/bin/promtool", "promtool")?;
    project.run(&tool).words("check rules dashboards/alerts.yml").run()?;
    Ok(Outcome::Done)
}

fn clients(context: &mut Context) -> Result<Outcome> {
    let consul = context.consul()?;
    let (passed, failed) = compat::check(&context.project, consul)?;
    context.count(&report::Results { count: report::Count { passed, failed }, ..report::Results::default() });
    match failed {
        0 => Ok(Outcome::Done),
        failed => bail!("{failed} assertions of clients failed, listed above"),
    }
}

fn check_claims(context: &mut Context) -> Result<Outcome> {
    match claims::check(&context.project)? {
        0 => Ok(Outcome::Done),
        found => bail!("{found} to put right in claims.toml or its tests, listed above"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_advisories_is_one_that_was_fetched() {
        let place = tempfile::tempdir().unwrap();
        assert!(!has_database(place.path()) && !has_database(&place.path().join("none")));
        let git = place.path().join("advisory-db-1/.git");
        std::fs::create_dir_all(&git).unwrap();
        assert!(!has_database(place.path()), "nothing was fetched into it");
        std::fs::write(git.join("FETCH_HEAD"), "").unwrap();
        assert!(has_database(place.path()));
    }
}
