//! How a handle is closed: callers are told to stop before the instance goes.
//!
//! In:  a handle, and what tells that its requests have ended. Out: the handle's states, step by step; an end.
//!
//! Never: takes longer than the limits together; leaves the instance behind when the future is dropped.
//!
//! Rules: `step/drain.rs`. Proof: `keeper/tests/drain.rs`.

use std::{future::Future, time::Duration};

use tokio::time::timeout;

use super::{RegistrationHandle, RegistrationState, settle, state::DrainStep};
use crate::error::Error;

/// What a drain waits for besides the registry. The registry is waited for 10 s at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drain {
    /// How long callers have to see that the instance is not on the healthy list any more. Those that watch need
    /// milliseconds, those that ask by DNS the time that they keep an answer. Default 1 s.
    pub settle: Duration,
    /// How long requests may go on that are in flight. Default 30 s.
    pub deadline: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { settle: Duration::from_secs(1), deadline: Duration::from_secs(30) }
    }
}

impl Drain {
    /// The same with this [`settle`](Self::settle) time.
    #[must_use]
    pub fn settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// The same with this [`deadline`](Self::deadline).
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

impl RegistrationHandle {
    /// Takes the instance out so that no caller notices. 1. It is put into maintenance, so that callers stop choosing it.
    /// 2. It is gone from the catalogue's healthy list, and callers have had time to see that. 3. `in_flight` ends: the
    /// requests that are under way. 4. The agent does not hold it any more, and the catalogue does not show it.
    ///
    /// Each step is a [`RegistrationState::Draining`], and a line of the log. With the registry away it goes on after
    /// 10 s, and says that callers may still choose it.
    ///
    /// # Errors
    /// [`Kind::Timeout`](crate::Kind::Timeout) when the agent still holds it 10 s after its requests have ended; the keeper goes on trying for a
    /// while. The kind of the last failure when it has given up. Requests that had not ended in time are no error.
    ///
    /// # Cancel safety
    /// When the future is dropped, the instance is removed at once.
    pub async fn drain(self, drain: Drain, in_flight: impl Future<Output = ()>) -> Result<(), Error> {
        self.keeper.drain_one(self.id(), self.number, drain.settle);
        let mut state = self.state.clone();
        let ready = |state: &RegistrationState| {
            let in_flight = DrainStep::InFlight { hidden: true };
            let visible = DrainStep::InFlight { hidden: false };
            [in_flight, visible].map(|step| RegistrationState::Draining { step }).contains(state)
                || *state == RegistrationState::Gone
        };
        // The machine has limits of its own; this one is for a task that died.
        let limit = self.keeper.settings().close.saturating_mul(2).saturating_add(drain.settle);
        settle(&mut state, limit, ready).await;
        if timeout(drain.deadline, in_flight).await.is_err() {
            let (service, id) = (&self.definition.name, self.id());
            let seconds = drain.deadline.as_secs_f64();
            tracing::warn!(%service, %id, seconds, "requests were still in flight when the drain's deadline passed");
        }
        self.remove().await
    }

    /// [Drains](Self::drain) the instance with the defaults and without requests in flight, and waits until it is gone:
    /// the settle time of 1 s, and what the registry needs.
    ///
    /// # Errors
    /// As [`drain`](Self::drain).
    ///
    /// # Cancel safety
    /// As [`drain`](Self::drain).
    pub async fn close(self) -> Result<(), Error> {
        self.drain(Drain::default(), async {}).await
    }

    /// Removes the instance at once, while callers may still choose it, and waits until it is gone.
    ///
    /// # Errors
    /// As [`drain`](Self::drain).
    ///
    /// # Cancel safety
    /// The removal goes on when the future is dropped.
    pub async fn remove(self) -> Result<(), Error> {
        self.keeper.close_one(self.id(), self.number);
        let mut state = self.state.clone();
        let limit = self.keeper.settings().close;
        let gone = async { while state.changed().await.is_ok() {} };
        let late = timeout(limit, gone).await.err();
        match (self.state(), late) {
            (RegistrationState::Gone, _) => Ok(()),
            (RegistrationState::Refused { kind, reason }, _) => Err(Error::new(kind, reason)),
            (state, Some(late)) => Err(self.late("gone", limit, state.label()).caused_by(late)),
            (state, None) => Err(self.late("gone", limit, state.label())),
        }
    }
}
