//! What is said to a registration's machine, and what it asks for. PURE: words only.
//!
//! Proof: `step/tests.rs`.

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
    Verify,
    /// Remove the instance from the agent, if it is ours.
    Remove,
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
    /// The catalogue has it.
    Seen,
    /// The catalogue does not have it, or did not answer.
    NotSeen,
    /// The agent does not know a check of it.
    Lost,
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
