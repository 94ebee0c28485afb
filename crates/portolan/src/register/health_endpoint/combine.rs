//! Combines what the probes found into one answer: pass, warn or fail, for liveness, readiness or the registry. PURE.
//!
//! In:  the findings, what each counts for, and whether the program says that it is ready. Out: a [`HealthReport`], its
//! status and its status code.
//!
//! Never: lets an informational probe make more than a warning; lets readiness or what is required make a program dead.
//!
//! Rules from Consul: agent/checks/check.go (`CheckHTTP`: 2xx passing, 429 warning, all else critical).
//! Proof: `combine/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::sync::Arc;

use super::{
    document::{self, About},
    flight::Taken,
    probe::{Finding, Weight},
};
use crate::model::Status;

/// Which question about a program's health is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HealthView {
    /// Is it alive, or does it need a restart? Only vital probes count; `/livez` unless set.
    Live,
    /// May it be sent requests? Required probes and [`set_ready`](super::HealthEndpoint::set_ready) count; `/readyz`
    /// unless set. A warning is a yes: 200.
    Ready,
    /// What the registry's check sees: as for readiness, but a warning is 429; `/health` unless set.
    Check,
}

impl HealthView {
    /// Whether a probe of this weight counts at all.
    pub(super) fn looks_at(self, weight: Weight) -> bool {
        match self {
            Self::Live => weight == Weight::Vital,
            Self::Ready | Self::Check => true,
        }
    }
}

/// One probe in a report.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) name: Arc<str>,
    pub(super) weight: Weight,
    pub(super) taken: Taken,
}

/// An answer about a program's health, made at one moment.
#[derive(Clone, Debug)]
#[must_use = "a report answers the question that was asked"]
pub struct HealthReport {
    view: HealthView,
    status: Status,
    ready: bool,
    parts: Vec<Part>,
    about: Arc<About>,
}

impl HealthReport {
    pub(super) fn new(view: HealthView, ready: bool, parts: Vec<Part>, about: Arc<About>) -> Self {
        let ready = ready || view == HealthView::Live;
        let worst = parts.iter().map(|part| counted(part.weight, part.taken.finding.status())).max();
        let status = if ready { worst.unwrap_or(Status::Passing) } else { Status::Critical };
        Self { view, status, ready, parts, about }
    }

    /// Passing, warning or critical: the worst of what counts.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The HTTP status code: 200 when passing, 503 when critical; a warning is 429 for the registry's check, as Consul
    /// reads it, and 200 for liveness and readiness, where orchestrators read anything else as a no.
    #[must_use]
    pub fn code(&self) -> u16 {
        match (self.status, self.view) {
            (Status::Passing, _) | (Status::Warning, HealthView::Live | HealthView::Ready) => 200,
            (Status::Warning, HealthView::Check) => 429,
            (Status::Critical | Status::Maintenance, _) => 503,
        }
    }

    /// What the probe of this name found; `None` when the question does not look at it.
    #[must_use]
    pub fn probe(&self, name: &str) -> Option<&Finding> {
        self.parts.iter().find(|part| *part.name == *name).map(|part| &part.taken.finding)
    }

    /// For people and for the registry: the status, and a line for each probe that does not pass.
    #[must_use]
    pub fn text(&self) -> String {
        document::text(self.status, self.ready, &self.parts)
    }

    /// All of it as a document of the media type `application/health+json` (draft-inadarei-api-health-check).
    #[must_use]
    pub fn json(&self) -> String {
        document::json(self.status, self.ready, &self.parts, &self.about)
    }
}

/// What a finding counts for in the whole.
fn counted(weight: Weight, status: Status) -> Status {
    match (weight, status) {
        (Weight::Informational, Status::Critical | Status::Maintenance) => Status::Warning,
        _ => status,
    }
}

#[cfg(test)]
mod tests;
