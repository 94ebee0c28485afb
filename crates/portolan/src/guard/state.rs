//! What the guard tells people about the registry. PURE: types.
//!
//! In:  the breakers. Out: where each stands, as data.

use std::{sync::Arc, time::Instant};

/// Where a circuit breaker stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerState {
    /// Calls are sent: the registry answers, or has not failed often enough in a row.
    Closed,
    /// Calls are not sent: they wait, or fail at once with what is written here.
    #[non_exhaustive]
    Open {
        /// The first failure of this outage.
        since: Instant,
        /// What the last failure said.
        error: Arc<str>,
        /// When one call is sent to see whether the registry is back.
        next_probe: Instant,
    },
    /// That one call is under way.
    #[non_exhaustive]
    HalfOpen {
        /// The first failure of this outage.
        since: Instant,
        /// What the last failure said.
        error: Arc<str>,
    },
}

impl BreakerState {
    /// Whether calls are sent.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// When the outage began; `None` when there is none.
    #[must_use]
    pub fn since(&self) -> Option<Instant> {
        match self {
            Self::Closed => None,
            Self::Open { since, .. } | Self::HalfOpen { since, .. } => Some(*since),
        }
    }

    /// What the registry, or the way to it, said last.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Closed => None,
            Self::Open { error, .. } | Self::HalfOpen { error, .. } => Some(error),
        }
    }

    /// The state's word: `closed`, `open` or `half_open`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
        }
    }
}

/// How the registry does, as the calls of this process see it: each kind of call has a breaker of its own, for an agent
/// without a leader refuses reads and still takes reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryState {
    /// Reads, for each datacentre that was asked for; `None` is the agent's own, and always there.
    pub reads: Vec<(Option<Arc<str>>, BreakerState)>,
    /// Registrations, and what the keeper asks of its agent.
    pub writes: BreakerState,
    /// Health reports.
    pub reports: BreakerState,
    /// Reads that take turns now, because there are more than may wait side by side: their views are as old as a turn
    /// of all of them takes.
    pub taking_turns: usize,
}

impl RegistryState {
    /// Whether calls of every kind are sent.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.writes.is_closed()
            && self.reports.is_closed()
            && self.reads.iter().all(|(_, state)| state.is_closed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_tells_its_word_and_what_it_knows_of_the_outage() {
        let since = tokio::time::Instant::now().into_std();
        let error: Arc<str> = "no leader".into();
        let open = BreakerState::Open { since, error: Arc::clone(&error), next_probe: since };
        let half_open = BreakerState::HalfOpen { since, error };
        for (state, word, outage) in [
            (BreakerState::Closed, "closed", None),
            (open, "open", Some((since, "no leader"))),
            (half_open, "half_open", Some((since, "no leader"))),
        ] {
            assert_eq!((state.as_str(), state.is_closed()), (word, outage.is_none()));
            assert_eq!(state.since().zip(state.error()), outage, "{word}");
        }
    }

    #[test]
    fn a_registry_is_up_when_calls_of_every_kind_are_sent() {
        let since = tokio::time::Instant::now().into_std();
        let state =
            |up| if up { BreakerState::Closed } else { BreakerState::HalfOpen { since, error: "".into() } };
        for (own, other, writes, reports) in [
            (true, true, true, true),
            (false, true, true, true),
            (true, false, true, true),
            (true, true, false, true),
            (true, true, true, false),
        ] {
            let registry = RegistryState {
                reads: vec![(None, state(own)), (Some("dc2".into()), state(other))],
                writes: state(writes),
                reports: state(reports),
                taking_turns: 0,
            };
            assert_eq!(registry.is_up(), own && other && writes && reports, "{registry:?}");
        }
    }
}
