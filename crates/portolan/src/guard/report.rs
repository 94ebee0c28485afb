//! Says what the breakers did: in the log, as much as `quiet.rs` allows, and as metrics.
//!
//! In:  changes, and calls that were not sent. Out: lines and numbers.
//!
//! Never: says the same for each of many.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use super::{
    breaker::Change,
    lane::{Name, Tally},
    quiet::Quiet,
};
use crate::{duration::format_duration, telemetry};

/// Says what happens to all breakers of a process.
#[derive(Debug)]
pub(super) struct Reporter {
    registry: String,
    #[expect(clippy::disallowed_types, reason = "cold path: only when something fails")]
    quiet: std::sync::Mutex<Quiet>,
}

impl Reporter {
    pub(super) fn new(registry: String, now: Instant) -> Arc<Self> {
        Arc::new(Self { registry, quiet: Quiet::new(now).into() })
    }

    pub(super) fn registry(&self) -> &str {
        &self.registry
    }

    /// Whether a line about one view is to be said.
    pub(super) fn view(&self, now: Instant) -> bool {
        self.quiet(|quiet| quiet.view(now))
    }

    pub(super) fn probing(&self, name: &Name) {
        gauge(name, 1.0);
    }

    /// A call was not sent.
    pub(super) fn not_sent(&self, name: &Name, tally: Tally, now: Instant) {
        metrics::counter!(telemetry::CALLS_NOT_SENT, "calls" => name.kind, "datacenter" => dc(name))
            .increment(1);
        self.sum_up(name, tally, now);
    }

    pub(super) fn changed(&self, name: &Name, change: Change, tally: Tally, error: &str, now: Instant) {
        let (registry, calls, datacenter) = (self.registry(), name.kind, name.datacenter.as_deref());
        match change {
            Change::Opened => {
                gauge(name, 2.0);
                count(name, "open");
                if self.quiet(|quiet| quiet.opened(now)) {
                    tracing::warn!(
                        registry,
                        calls,
                        datacenter,
                        error,
                        "the registry does not answer; lookups go on from what is known"
                    );
                }
            }
            Change::ProbeFailed => {
                gauge(name, 2.0);
                self.sum_up(name, tally, now);
            }
            Change::Closed { since } => {
                gauge(name, 0.0);
                count(name, "closed");
                if let Some(unsaid) = self.quiet(|quiet| quiet.closed(now)) {
                    let after = ago(since, now);
                    let Tally { unsent, probes } = tally;
                    tracing::info!(
                        registry,
                        calls,
                        datacenter,
                        after,
                        probes,
                        unsent,
                        unsaid,
                        "the registry answers again"
                    );
                }
            }
        }
    }

    fn sum_up(&self, name: &Name, tally: Tally, now: Instant) {
        let Some(unsaid) = self.quiet(|quiet| quiet.summary(now)) else { return };
        let (registry, calls, datacenter) = (self.registry(), name.kind, name.datacenter.as_deref());
        let Tally { unsent, probes } = tally;
        tracing::warn!(
            registry,
            calls,
            datacenter,
            probes,
            unsent,
            unsaid,
            "the registry still does not answer"
        );
    }

    fn quiet<T>(&self, act: impl FnOnce(&mut Quiet) -> T) -> T {
        act(&mut self.quiet.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn ago(since: Instant, now: Instant) -> String {
    let seconds = now.saturating_duration_since(since).as_secs();
    format_duration(Duration::from_secs(seconds))
}

fn dc(name: &Name) -> String {
    name.datacenter.as_deref().unwrap_or_default().to_owned()
}

fn gauge(name: &Name, value: f64) {
    metrics::gauge!(telemetry::BREAKER_STATE, "calls" => name.kind, "datacenter" => dc(name)).set(value);
}

fn count(name: &Name, to: &'static str) {
    metrics::counter!(telemetry::BREAKER_TRANSITIONS, "calls" => name.kind, "datacenter" => dc(name), "to" => to)
        .increment(1);
}
