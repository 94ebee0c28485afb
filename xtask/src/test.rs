//! `cargo xtask test`: everything a contributor must pass, cheap things first.
//!
//! In:  the names of steps, or none for all. Out: what each step runs and says, a table of the steps with their
//! seconds, and one line `N passed, N failed`.
//!
//! Never: goes on after a failure unless told; ends well when a step was not run.
//!
//! A new step is a function in `test/steps.rs` and a row of its `STEPS`.

pub(crate) mod report;
mod steps;

use std::time::{Duration, Instant};

use anyhow::Result;

use self::{
    report::Results,
    steps::{STEPS, Step, When},
};
use crate::{Ending, consul, project::Project, redis};

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// There was nothing to do; with the reason.
    Skipped(String),
}

/// What the steps of one run share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) project: Project,
    consul: Option<consul::Found>,
    redis: Option<redis::Found>,
    counted: report::Count,
}

impl Context {
    /// The Consul of this run; found, or fetched, when first asked for.
    ///
    /// # Errors
    /// As [`consul::find`].
    pub(crate) fn consul(&mut self) -> Result<consul::Found> {
        if let Some(found) = &self.consul {
            return Ok(found.clone());
        }
        let found = consul::find(&self.project)?;
        println!("Consul to test against: {}, {}", found.version, found.path.display());
        self.consul = Some(found.clone());
        Ok(found)
    }

    /// The Redis of this run; found, or fetched, when first asked for.
    ///
    /// # Errors
    /// As [`redis::find`].
    pub(crate) fn redis(&mut self) -> Result<redis::Found> {
        if let Some(found) = &self.redis {
            return Ok(found.clone());
        }
        let found = redis::find(&self.project)?;
        println!("Redis to test against: {}, {}", found.version, found.path.display());
        self.redis = Some(found.clone());
        Ok(found)
    }

    /// Adds to the line at the end.
    pub(crate) fn count(&mut self, results: &Results) {
        self.counted.add(results.count);
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    quick: bool,
    keep_going: bool,
    list: bool,
    names: Vec<String>,
}

/// One row of the table at the end.
#[derive(Debug)]
struct Row {
    step: &'static Step,
    end: End,
    took: Duration,
}

#[derive(Debug)]
enum End {
    Done,
    Skipped(String),
    Failed,
    NotRun,
}

/// `cargo xtask test`.
///
/// # Errors
/// None of its own: a step that fails is printed, and makes the command end with 1.
pub(crate) fn command(project: Project, words: &[&str]) -> Result<Ending> {
    let plan = match plan(words) {
        Ok(plan) => plan,
        Err(what) => return Ok(Ending::WrongUse(what)),
    };
    if plan.list {
        STEPS.iter().for_each(|step| println!("{:<12} {}", step.name, step.what));
        return Ok(Ending::Well);
    }
    let steps: Vec<&'static Step> = STEPS.iter().filter(|step| plan.wants(step)).collect();
    let mut context = Context { project, consul: None, redis: None, counted: report::Count::default() };
    let rows = run_all(&steps, &mut context, plan.keep_going);
    Ok(conclude(&rows, context.counted))
}

fn plan(words: &[&str]) -> Result<Plan, String> {
    let mut plan = Plan::default();
    for word in words {
        match *word {
            "--quick" => plan.quick = true,
            "--keep-going" => plan.keep_going = true,
            "--list" => plan.list = true,
            name if STEPS.iter().any(|step| step.name == name) => plan.names.push(name.to_owned()),
            other => {
                let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
                return Err(format!(
                    "test has no step or flag `{other}`; the steps are {}",
                    known.join(", ")
                ));
            }
        }
    }
    if plan.quick && !plan.names.is_empty() {
        return Err("name steps or say --quick, not both".to_owned());
    }
    Ok(plan)
}

impl Plan {
    fn wants(&self, step: &Step) -> bool {
        if !self.names.is_empty() {
            return self.names.iter().any(|name| name == step.name);
        }
        match step.when {
            When::Always => true,
            When::Quick => self.quick,
            When::Full => !self.quick,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a person is told how long each step took")]
fn run_all(steps: &[&'static Step], context: &mut Context, keep_going: bool) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut failed = false;
    for step in steps {
        if failed && !keep_going {
            rows.push(Row { step, end: End::NotRun, took: Duration::ZERO });
            continue;
        }
        println!("\n== {}: {}", step.name, step.what);
        let started = Instant::now();
        let failed_tests = context.counted.failed;
        let end = match (step.run)(context) {
            Ok(Outcome::Done) => End::Done,
            Ok(Outcome::Skipped(why)) => {
                println!("skipped: {why}");
                End::Skipped(why)
            }
            Err(error) => {
                println!("{}: failed: {error:#}", step.name);
                failed = true;
                // Without a failed test it is a failure all the same, and a reader of the last line must see it.
                if context.counted.failed == failed_tests {
                    context.counted.failed = failed_tests.saturating_add(1);
                }
                End::Failed
            }
        };
        rows.push(Row { step, end, took: started.elapsed() });
    }
    rows
}

fn conclude(rows: &[Row], counted: report::Count) -> Ending {
    println!("\n{:<12} {:<8} {:>7}", "step", "result", "seconds");
    for Row { step, end, took } in rows {
        let (word, why) = match end {
            End::Done => ("ok", ""),
            End::Skipped(why) => ("skipped", why.as_str()),
            End::Failed => ("FAILED", ""),
            End::NotRun => ("not run", ""),
        };
        println!("{}", format!("{:<12} {word:<8} {:>7.1}  {why}", step.name, took.as_secs_f64()).trim_end());
    }
    println!();
    let failed: Vec<&Row> = rows.iter().filter(|row| matches!(row.end, End::Failed)).collect();
    for Row { step, .. } in &failed {
        println!("{} failed; run it alone with: cargo xtask test {}", step.name, step.name);
    }
    println!("{} passed, {} failed", counted.passed, counted.failed);
    if failed.is_empty() { Ending::Well } else { Ending::Failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Vec<&'static str> {
        let plan = plan(words).unwrap();
        STEPS.iter().filter(|step| plan.wants(step)).map(|step| step.name).collect()
    }

    #[test]
    fn quick_runs_the_cheap_steps_and_the_unit_tests() {
        assert_eq!(names(&["--quick"]), ["format", "tidy", "clippy", "unit"]);
    }

    #[test]
    fn everything_is_the_default_and_claims_come_last() {
        let all = names(&[]);
        assert!(!all.contains(&"unit") && all.contains(&"tests"), "{all:?}");
        assert_eq!(all.last(), Some(&"claims"));
    }

    #[test]
    fn named_steps_run_alone_and_an_unknown_one_is_refused_with_the_names() {
        assert_eq!(names(&["clippy", "unit"]), ["clippy", "unit"]);
        let what = plan(&["clipy"]).unwrap_err();
        assert!(what.contains("`clipy`") && what.contains("clippy"), "{what}");
        assert!(plan(&["--quick", "clippy"]).is_err());
    }

    fn row(end: End) -> Row {
        Row { step: &STEPS[0], end, took: Duration::ZERO }
    }

    fn breaks(_: &mut Context) -> Result<Outcome> {
        anyhow::bail!("as planned")
    }

    fn finds_a_failed_test(context: &mut Context) -> Result<Outcome> {
        context.counted.failed += 1;
        breaks(context)
    }

    static BREAKS: Step = Step { name: "breaks", what: "", when: When::Full, run: breaks };
    static FINDS: Step = Step { name: "finds", what: "", when: When::Full, run: finds_a_failed_test };

    #[test]
    fn a_failed_step_stops_the_run_and_counts_once() {
        for (keep_going, ended, count) in [(false, 1, 1), (true, 3, 3)] {
            let project = Project { root: "/".into(), target: "/".into(), packages: Vec::new() };
            let mut context =
                Context { project, consul: None, redis: None, counted: report::Count::default() };
            let rows = run_all(&[&BREAKS, &FINDS, &BREAKS], &mut context, keep_going);
            assert_eq!(rows.iter().filter(|row| matches!(row.end, End::Failed)).count(), ended);
            assert_eq!(context.counted.failed, count);
        }
    }

    #[test]
    fn a_failed_step_fails_the_run() {
        let count = report::Count { passed: 3, failed: 0 };
        assert!(matches!(conclude(&[row(End::Done), row(End::Skipped(String::new()))], count), Ending::Well));
        assert!(matches!(conclude(&[row(End::Failed), row(End::NotRun)], count), Ending::Failed));
    }
}
