//! `cargo xtask fuzz`: each parser against any bytes, guided by which code they reach.
//!
//! In:  the targets of `fuzz/Cargo.toml`, or one of them, and for how long. Out: what libFuzzer says; 1 when a target
//! found something, with the input in `target/fuzz/found`.
//!
//! The compiler's own coverage counters are switched on as cargo-fuzz does it. They need no nightly toolchain; only
//! the sanitizers of memory do, and without `unsafe` there is nothing for them to find here.
//!
//! Never: writes into the checkout; what was learnt in one run (`target/fuzz/learnt`) is where the next begins.

use std::fs;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::{Ending, project::Project, run::Run};

/// How long each target runs, unless said.
const SECONDS: u32 = 60;

/// The counters and comparisons that libFuzzer is guided by. Source: cargo-fuzz, `src/project.rs`.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks";

/// The part of `fuzz/Cargo.toml` that is read.
#[derive(Debug, Deserialize)]
struct Manifest {
    bin: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
}

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// `None`: all.
    target: Option<String>,
    seconds: u32,
}

impl Order {
    /// `[TARGET] [--seconds N]`.
    ///
    /// # Errors
    /// What is wrong with the words.
    pub(crate) fn of(words: &[&str]) -> Result<Self, String> {
        let mut order = Self { target: None, seconds: SECONDS };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--seconds" => {
                    let count = words.next().and_then(|count| count.parse().ok()).filter(|count| *count > 0);
                    order.seconds = count.ok_or("fuzz --seconds takes a number, at least 1")?;
                }
                flag if flag.starts_with('-') => return Err(format!("fuzz does not take `{flag}`")),
                name if order.target.is_none() => order.target = Some(name.to_owned()),
                more => return Err(format!("fuzz takes one target; `{more}` is a second")),
            }
        }
        Ok(order)
    }
}

/// `cargo xtask fuzz`.
///
/// # Errors
/// When the targets cannot be built, or there is none of that name.
pub(crate) fn command(project: &Project, order: &Order) -> Result<Ending> {
    let manifest = project.root.join("fuzz/Cargo.toml");
    let text = fs::read_to_string(&manifest).with_context(|| manifest.display().to_string())?;
    let Manifest { bin } = toml::from_str(&text).with_context(|| manifest.display().to_string())?;
    let names: Vec<&str> = bin.iter().map(|target| target.name.as_str()).collect();
    let wanted: Vec<&str> =
        names.iter().copied().filter(|name| order.target.as_ref().is_none_or(|want| want == name)).collect();
    if wanted.is_empty() {
        bail!("there is no target {:?}; there are {}", order.target, names.join(", "));
    }
    let host = host(project)?;
    let built = project.target.join("fuzz");
    // With a target named, flags are for what is fuzzed alone, not for what runs while it is built.
    project
        .cargo("build --release --manifest-path fuzz/Cargo.toml --target")
        .word(&host)
        .word("--target-dir")
        .word(&built)
        .env("RUSTFLAGS", FLAGS)
        .run()?;
    let mut clean = true;
    for name in wanted {
        let (learnt, found) = (built.join("learnt").join(name), built.join("found").join(name));
        for folder in [&learnt, &found] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let fuzzed = Run::new(built.join(&host).join("release").join(name), &project.root)
            .words("-max_len=8192 -timeout=10 -print_final_stats=1 -verbosity=1")
            .word(format!("-rss_limit_mb={}", memory(name)))
            .word(format!("-max_total_time={}", order.seconds))
            .word(format!("-artifact_prefix={}/", found.display()))
            .word("-dict=fuzz/json.dict")
            .word(&learnt)
            .word(format!("fuzz/seeds/{name}"))
            .tee()?;
        println!(
            "fuzz {name}: {}",
            if fuzzed.status.success() { "nothing found" } else { "FOUND SOMETHING" }
        );
        clean &= fuzzed.status.success();
    }
    Ok(if clean { Ending::Well } else { Ending::Failed })
}

/// How many MiB a target may use. A page of redb says itself how long it is, up to 4 GiB, and is read before it is checked: so a
/// damaged file may cost that much until it is refused.
fn memory(target: &str) -> u32 {
    if target == "store" { 10_240 } else { 2048 }
}

/// The triple of this machine.
fn host(project: &Project) -> Result<String> {
    let said = Run::new("rustc", &project.root).words("-vV").output()?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_a_target_and_a_time() {
        let order = |target: Option<&str>, seconds| Ok(Order { target: target.map(str::to_owned), seconds });
        assert_eq!(Order::of(&[]), order(None, SECONDS));
        assert_eq!(Order::of(&["raw", "--seconds", "5"]), order(Some("raw"), 5));
        assert_eq!(Order::of(&["--seconds", "7"]), order(None, 7));
        for wrong in [&["--seconds"][..], &["--seconds", "0"], &["--seconds", "x"], &["--fast"], &["a", "b"]]
        {
            assert!(Order::of(wrong).is_err(), "{wrong:?}");
        }
    }
}
