//! The subcommands, a file each, and what they share: how a registry is asked, and what is said when it does not answer.

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::anyhow;
use portolan::{Error, Kind, Registry, format_duration};
use tokio::time::{Instant, timeout};

pub(crate) mod backup;
pub(crate) mod checks;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod dependants;
pub(crate) mod deps;
pub(crate) mod discover;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod faults;
pub(crate) mod filter;
pub(crate) mod gc;
pub(crate) mod import;
pub(crate) mod instance;
pub(crate) mod maint;
pub(crate) mod man;
pub(crate) mod near;
pub(crate) mod outage;
pub(crate) mod register;
#[cfg(unix)]
pub(crate) mod run;
#[cfg(unix)]
pub(crate) mod scrape;
pub(crate) mod serve;
pub(crate) mod services;
pub(crate) mod signal;
pub(crate) mod ui;
pub(crate) mod versions;
pub(crate) mod watch;
pub(crate) mod why;

/// The longest a question may take, whatever deadlines lie below.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks a registry, and says what was tried and for how long when it does not answer.
///
/// # Errors
/// That of the registry; one of kind timeout when nothing came in 20 s.
pub(crate) async fn ask<T>(
    registry: &Arc<dyn Registry>,
    question: impl Future<Output = Result<T, Error>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    let answer = timeout(PATIENCE, question)
        .await
        .unwrap_or_else(|late| Err(Error::registry(Kind::Timeout, "no answer in time").caused_by(late)));
    answer.map_err(|error| explain(error, &registry.describe(), begun.elapsed()))
}

/// The error, with what was tried and what to do about it.
pub(crate) fn explain(error: Error, tried: &str, took: Duration) -> anyhow::Error {
    let took =
        format_duration(Duration::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1)));
    let hint = match error.kind() {
        Kind::Unreachable => {
            "start one with `portolan serve`, or name another with --registry or CONSUL_HTTP_ADDR"
        }
        Kind::Timeout | Kind::Busy | Kind::Unavailable => "look at its log, or try again",
        Kind::Malformed => "is that address a registry's HTTP interface?",
        Kind::Denied => "give a token that may do this with --token-file or CONSUL_HTTP_TOKEN",
        _ => return error.into(),
    };
    let chain = error.chain();
    let what = match error.kind() {
        Kind::Denied => format!("{tried} refused: {chain}; {hint}"),
        Kind::Malformed => format!("{tried} answered, but not as a registry does: {chain}; {hint}"),
        _ => format!("{tried} did not answer, tried for {took}: {chain}; {hint}"),
    };
    // The chain is in the text already, so the error below it is kept for its kind alone.
    anyhow!(Told { what, error })
}

/// What is said of an id that the agent does not hold.
pub(crate) fn held_by_another(id: &portolan::ServiceId, registry: &Arc<dyn Registry>) -> String {
    format!("{id}: the agent of {} holds no such id; it may be held by another agent", registry.describe())
}

/// An error whose causes are part of its text.
#[derive(Debug)]
pub(crate) struct Told {
    what: String,
    pub(crate) error: Error,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Told {}
