//! `cargo xtask COMMAND`: what a contributor and CI run, in one place.
//!
//! In:  a command and its arguments. Out: each program that is run, what it says, and one clear last line; exit code
//! 0 when all is well, 1 when something was found or failed, 2 when the command line is wrong.
//!
//! Never: needs a tool that it neither installs nor names; starts a child that outlives a Ctrl-C (children stay in
//! the terminal's foreground group, so the signal reaches them too).
#![expect(clippy::print_stdout, reason = "a command talks to a person")]

mod bench;
mod book;
mod claims;
mod cluster;
mod compat;
mod consul;
mod debian;
mod filters;
mod fuzz;
mod mutants;
mod page;
mod planted;
mod power;
mod project;
mod redis;
mod reference;
mod run;
mod sim;
mod test;
mod tidy;
mod tools;
mod trial;

use std::process::ExitCode;

use anyhow::Result;

use crate::project::Project;

const USAGE: &str = "\
cargo xtask COMMAND

  test [STEP…]      everything a contributor must pass, cheap things first
                      --quick       format, tidy, clippy and unit tests only
                      --keep-going  run the later steps too after one has failed
                      --list        name the steps
  tidy              the rules of the house that no other tool checks
  reference         compare docs/reference/ with the code, and what documents name with what there is (tidy does too)
                      --write       write the pages instead
  book              build the book into target/book
  consul            find a Consul, or fetch Debian's into target/consul; prints its path
  redis             find a Redis, or fetch Debian's into target/redis; prints its path
  claims            check claims.toml against the tests of the last `cargo xtask test`
                      --list-tests  name the tests it knows, and how they ended
  bench             run the benchmarks and print them against their targets
                      --no-fail     exit 0 also when a target is missed
  bench registry    the embedded registry beside a Consul and a bare server: a quarter of an hour
                      --quick       a tenth of everything; --no-fail as above
                      --part P      memory, durable, reads, watchers, each, size, ephemeral, deadlines, tracing (again)
                      --serve FLAG  a flag more for `portolan serve`; --token S: the token of every request
  bench telemetry   a pick with metrics recorded beside one without; a read of the registry with tracing on and off
                      --quick       to see that it works
  sim               simulate the library through faults, and judge it by its laws (500 seeds)
                      --seeds N     so many runs; --from S: the first is this one
                      --seed S      one run with its whole trace
                      --planted [N] put bugs into a copy, and see that each is found
                      --exhaustive  every order of few events, over the step machine
  cluster           judge pickers on a cluster in virtual time, and compare docs/pickers.md with what comes out
                      --short       only what the bars need: seconds
                      --write       write the page and its picture instead
                      --seed S      the bars with another seed
  power             the embedded registry on a disk that fails and loses power (10,000 seeds): nothing acknowledged is lost
                      --seeds N     so many; --seed S plays one
  compat            clients of Consul as they are, on a real Consul and on `portolan serve`, and a table of them
                      --only NAME   this client; may be given more than once; --list names them
                      --portolan P  this binary, without building one
                      --write       put the table into COMPATIBILITY.md
  filters           generated filter expressions on the embedded registry and a real Consul (10,000): none may differ
                      --count N     so many; --seed S others
  page              the web page in a real Chromium, on the embedded registry and a real Consul; pictures in target/page
                      --short       one theme, without the thousand services: two minutes
  mutants           small changes to the PURE files: does a unit test notice each? (all in one build; a quarter of an hour)
                      --file PATH   only this file (again for more); its share is shown, and does not count
  trial [NAME…]     the library on real registries that are killed, stopped, cut off; minutes each
                      --short       shorter outages, smaller crowds
                      --minutes N   soak: so long
                      --row TEXT    embedded, consul, outage: only rows with TEXT in their name
                      --list        name the trials
  fuzz [TARGET]     run the fuzz targets, or one, guided by coverage
                      --seconds N   each for so long; 60 unless said

PORTOLAN_TEST_CONSUL names the Consul to test against, PORTOLAN_TEST_REDIS the Redis.
";

/// How a command ended.
enum Ending {
    Well,
    Failed,
    WrongUse(String),
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match dispatch(&args) {
        Ok(Ending::Well) => ExitCode::SUCCESS,
        Ok(Ending::Failed) => ExitCode::FAILURE,
        Ok(Ending::WrongUse(what)) => {
            println!("xtask: {what}\n\n{USAGE}");
            ExitCode::from(2)
        }
        Err(error) => {
            println!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[&str]) -> Result<Ending> {
    let Some((command, rest)) = args.split_first() else {
        return Ok(Ending::WrongUse("which command".to_owned()));
    };
    if matches!(*command, "help" | "-h" | "--help")
        || rest.iter().any(|word| matches!(*word, "-h" | "--help"))
    {
        println!("{USAGE}");
        return Ok(Ending::Well);
    }
    let project = Project::find()?;
    match (*command, rest) {
        ("test", words) => test::command(project, words),
        ("tidy", []) => tidy::command(&project),
        ("reference", words) => reference::command(&project, words),
        ("book", []) => book::command(&project),
        ("consul", []) => consul::command(&project),
        ("redis", []) => redis::command(&project),
        ("claims", []) => claims::command(&project),
        ("claims", ["--list-tests"]) => claims::list_tests(&project),
        ("trial", words) => trial::command(&project, words),
        ("bench", []) => bench::command(&project, bench::Miss::Fails),
        ("bench", ["--no-fail"]) => bench::command(&project, bench::Miss::IsShown),
        ("bench", ["registry", words @ ..]) => bench::registry(&project, words),
        ("bench", ["telemetry", words @ ..]) => bench::telemetry(&project, words),
        ("page", []) => page::command(&project, page::Form::Whole),
        ("page", ["--short"]) => page::command(&project, page::Form::Short),
        ("mutants", words) => mutants::command(&project, words),
        ("cluster", words) => cluster::command(&project, words),
        ("compat", words) => compat::command(&project, words),
        ("power", words) => power::command(&project, words),
        ("filters", words) => filters::command(&project, words),
        ("sim", words) => sim::command(&project, words),
        ("fuzz", words) => match fuzz::Order::of(words) {
            Ok(order) => fuzz::command(&project, &order),
            Err(what) => Ok(Ending::WrongUse(what)),
        },
        (name @ ("tidy" | "book" | "consul" | "redis" | "claims" | "bench" | "page"), words) => {
            Ok(Ending::WrongUse(format!("{name} does not take `{}`", words.join(" "))))
        }
        (name, _) => Ok(Ending::WrongUse(format!("there is no command `{name}`"))),
    }
}
