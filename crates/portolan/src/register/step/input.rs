//! What is said to a registration's machine, and what it asks for. PURE: words only.
//!
//! Proof: `step/tests.rs`.

use std::time::Duration;

use crate::{error::Kind, register::drift::Held};

/// Why an instance is sent to the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    New,
    Missing,
    Drift,
}

impl Reason {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Missing => "missing",
            Self::Drift => "drift",
        }
    }
}

/// A call that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Send the definition to the agent.
    Send(Reason),
    /// Look for the instance in the catalogue.
    Look,
    /// Look in the catalogue whether it lives on the agent that it was sent to before.
    Search,
    /// Put the instance into service.
    Announce,
    /// Take the instance out of service.
    Maintain,
    /// Remove the instance from the agent, if it is ours.
    Remove,
}

/// What the catalogue shows of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It is there, and callers may choose it.
    Usable,
    /// It is there, critical or in maintenance.
    Unusable,
    Absent,
    /// The catalogue did not say.
    Failed(Kind),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A sweep found this under our id.
    SweepFound(Held),
    /// A sweep found nothing under our id.
    SweepMissing,
    /// A sweep failed.
    SweepFailed(Kind, String),
    Sent,
    SendFailed(Kind, String),
    /// What the catalogue shows.
    Looked(Look),
    /// A sweep found nothing, on another agent than the one it was sent to.
    OtherAgent,
    /// It lives on the first agent; the text says what to do.
    LivesThere(String),
    /// It does not live on the first agent, which the text says.
    LivesNowhere(String),
    /// Nobody says whether it lives on the first agent.
    SearchFailed(String),
    /// The service is ready to take requests.
    Announce,
    /// Whether it was put into service.
    Announced(bool),
    /// It is to leave so that no caller notices, who has so long to see it.
    Drain(Duration),
    /// How taking it out of service ended.
    Maintained(Result<(), Kind>),
    /// The handle was closed or dropped.
    Close,
    Removed,
    RemoveFailed(Kind, String),
    /// Calls that were under way are lost: their task was started anew.
    Restarted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_word() {
        let words = [Reason::New, Reason::Missing, Reason::Drift].map(Reason::label);
        assert_eq!(words, ["new", "missing", "drift"]);
    }
}
