//! Where a registration stands, for people and programs.
//!
//! In:  what its machine decided. Out: a state, its label, a line of the log.
//!
//! Never: repeats itself in the log: one line for each change.

use std::{fmt, time::Instant};

use crate::{
    error::Kind,
    model::{ServiceId, ServiceName},
};

/// Where a registration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrationState {
    /// Not on the agent yet: the agent has not answered, or the catalogue does not show it yet. The keeper goes on.
    Pending,
    /// The agent holds it as it was sent, and the catalogue shows it.
    Registered,
    /// The agent holds it, but the catalogue does not show it: the token may not let us see it there, or the agent's may
    /// not let it write.
    Unverified,
    /// It was lost or changed, or the agent does not answer; it is registered again as soon as it can be.
    Repairing {
        /// When it was found. A monotonic time.
        since: Instant,
        /// What was found.
        reason: String,
    },
    /// The registry or somebody else stands against it. The keeper looks again from time to time.
    Refused {
        /// The class of the error.
        kind: Kind,
        /// What stands against it, and what to do.
        reason: String,
    },
    /// It is being taken out.
    Draining {
        /// How far it has come.
        step: DrainStep,
    },
    /// It is not in the registry any more. The last state.
    Gone,
}

impl RegistrationState {
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Registered => "registered",
            Self::Unverified => "unverified",
            Self::Repairing { .. } => "repairing",
            Self::Refused { .. } => "refused",
            Self::Draining { .. } => "draining",
            Self::Gone => "gone",
        }
    }

    pub(super) fn log(&self, service: &ServiceName, id: &ServiceId) {
        let state = self.label();
        match self {
            Self::Refused { kind, reason } => {
                let kind = crate::telemetry::kind_label(*kind);
                tracing::error!(%service, %id, state, kind, reason, "registration");
            }
            Self::Repairing { reason, .. } => tracing::warn!(%service, %id, state, reason, "registration"),
            Self::Draining { step } => tracing::info!(%service, %id, state, %step, "registration"),
            Self::Unverified => tracing::warn!(%service, %id, state, "registration"),
            _ => tracing::info!(%service, %id, state, "registration"),
        }
    }
}

/// How far an instance has come that is being taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DrainStep {
    /// It is put into maintenance.
    Maintenance,
    /// It is to disappear from the catalogue's healthy list.
    Hiding,
    /// It is not on that list any more; callers have time to see it.
    Settling,
    /// Requests that are in flight may end.
    InFlight {
        /// No: it could not be taken off the healthy list, so callers may still choose it.
        hidden: bool,
    },
    /// It is removed from the agent and the catalogue.
    Removing,
}

impl fmt::Display for DrainStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Maintenance => "maintenance",
            Self::Hiding => "hiding",
            Self::Settling => "settling",
            Self::InFlight { hidden: true } => "in flight",
            Self::InFlight { hidden: false } => "in flight, still chosen",
            Self::Removing => "removing",
        })
    }
}
