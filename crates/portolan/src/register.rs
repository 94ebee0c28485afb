//! Registrations: an instance that is in the registry for as long as its handle lives, or the handle says why not.
//!
//! In:  a [`Registration`]. Out: a [`RegistrationHandle`] with a public state. The keeper behind it registers, reports,
//! compares, repairs and removes, for all handles in one task.
//!
//! Never: blocks in `Drop`; gives up; takes the id of an instance that works elsewhere.
//!
//! Beside it, and for a program that is asked rather than reports: `health_endpoint`.
//!
//! Consul's rules stand in the modules below: `define` (what is sent), `drift` (what is compared), `step` (what is done
//! next), `heartbeat` (when health is reported), `table` (all of it together), `keeper` (the calls).
//!
//! Proof: `register/keeper/tests.rs` and the contract suite.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::DropGuard;

pub use self::external::{ExternalCheck, ExternalNode, ExternalService};
pub use self::health_endpoint::{
    Finding, HealthConfig, HealthEndpoint, HealthReport, HealthResponse, HealthView, Probe,
};
pub use self::health_fn::HealthFn;
pub use self::{
    drain::Drain,
    spec::{Address, Registration},
    state::{DrainStep, RegistrationState},
};
pub(crate) use self::{keeper::Keeper, step::STARTING};
use crate::{
    backoff::Backoff,
    error::{Error, Kind},
    model::{Instance, ServiceId, Status},
    registry::{Answer, CheckOutput, Definition, Registry as _, ServiceQuery},
};

mod address;
mod define;
mod drain;
mod drift;
mod due;
pub(crate) mod external;
mod health_endpoint;
mod health_fn;
mod heartbeat;
mod keeper;
mod spec;
mod state;
mod step;
mod table;

/// How long a blocking read of the catalogue waits.
const WAIT: Duration = Duration::from_secs(30);
/// The least time between two reads of the catalogue.
const GAP: Duration = Duration::from_millis(100);
/// The rests between reads that failed.
const READING: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));

/// How registrations are kept.
#[derive(Clone, Debug)]
pub(crate) struct KeeperSettings {
    /// From one look at what the agent holds to the next, give or take a quarter. 5 s.
    pub(crate) sweep: Duration,
    /// How long `register` waits for the first word. 5 s.
    pub(crate) first: Duration,
    /// How long one call to the agent may take; reports have a limit of their own. 5 s.
    pub(crate) call: Duration,
    /// How long `close` waits until the instance is gone. 10 s.
    pub(crate) close: Duration,
    /// Where random numbers come from.
    pub(crate) seed: u64,
}

impl Default for KeeperSettings {
    fn default() -> Self {
        let five = Duration::from_secs(5);
        Self { sweep: five, first: five, call: five, close: 2 * five, seed: 0 }
    }
}

/// Keeps one instance registered. Dropping it signals that the instance is to be removed, without a drain;
/// [`close`](Self::close) drains it, and waits until it is gone.
#[derive(Debug)]
#[must_use = "the instance is removed when the handle is dropped"]
pub struct RegistrationHandle {
    keeper: Keeper,
    number: u64,
    definition: Arc<Definition>,
    state: watch::Receiver<RegistrationState>,
    /// Ends the health function, if there is one, when it is dropped.
    health: ArcSwapOption<DropGuard>,
}

impl Drop for RegistrationHandle {
    fn drop(&mut self) {
        self.keeper.close_one(&self.definition.id, self.number);
    }
}

impl RegistrationHandle {
    fn new(
        keeper: Keeper,
        number: u64,
        definition: Arc<Definition>,
        state: watch::Receiver<RegistrationState>,
    ) -> Self {
        Self { keeper, number, definition, state, health: ArcSwapOption::empty() }
    }

    /// The handle once there is a first word about it, or when `limit` has passed; an error where no retry can help.
    async fn first_word(mut self, limit: Duration) -> Result<Self, Error> {
        match settle(&mut self.state, limit, |state| *state != RegistrationState::Pending).await {
            RegistrationState::Refused {
                kind: kind @ (Kind::Config | Kind::Rejected | Kind::Conflict),
                reason,
            } => Err(Error::new(kind, reason)),
            _ => Ok(self),
        }
    }

    /// Its id on the agent.
    #[must_use]
    pub fn id(&self) -> &ServiceId {
        &self.definition.id
    }

    /// What is registered, with everything filled in.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Where it stands now.
    #[must_use]
    pub fn state(&self) -> RegistrationState {
        self.state.borrow().clone()
    }

    /// Waits until the state is another than the last one that this call returned; the newest, if there were several.
    ///
    /// # Errors
    /// [`Kind::Closed`] when no other state will come.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn changed(&mut self) -> Result<RegistrationState, Error> {
        match self.state.changed().await {
            Ok(()) => Ok(self.state.borrow_and_update().clone()),
            Err(cause) => Err(Error::new(Kind::Closed, "registration: it is gone").caused_by(cause)),
        }
    }

    /// Waits until the agent holds the instance ([`RegistrationState::Registered`] or
    /// [`Unverified`](RegistrationState::Unverified)).
    ///
    /// # Errors
    /// The kind and reason of [`RegistrationState::Refused`]; [`Kind::Timeout`] after `within`; [`Kind::Closed`] when it
    /// is being removed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn wait_registered(&self, within: Duration) -> Result<(), Error> {
        use RegistrationState as State;
        let settled = |state: &State| !matches!(state, State::Pending | State::Repairing { .. });
        let found = settle(&mut self.state.clone(), within, settled).await;
        match found {
            State::Registered | State::Unverified => Ok(()),
            State::Refused { kind, reason } => Err(Error::new(kind, reason)),
            State::Draining { .. } | State::Gone => {
                Err(Error::new(Kind::Closed, format!("registration: {:?} is being removed", self.id())))
            }
            State::Pending | State::Repairing { .. } => Err(self.late("registered", within, found.label())),
        }
    }

    /// Waits until the catalogue shows the instance as passing.
    ///
    /// # Errors
    /// [`Kind::Timeout`] after `within`, with what was seen last; [`Kind::Denied`] when the token may not read;
    /// [`Kind::Closed`] when it is being removed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn wait_healthy(&self, within: Duration) -> Result<(), Error> {
        let give_up = Instant::now() + within;
        let mut last = "not in the catalogue".to_owned();
        let mut state = self.state.clone();
        let leaving = |state: &RegistrationState| {
            matches!(state, RegistrationState::Draining { .. } | RegistrationState::Gone)
        };
        let outcome = tokio::select! {
            biased;
            // The value, or the end of the channel: both mean that it leaves.
            _left = async { state.wait_for(leaving).await.is_ok() } => {
                return Err(Error::new(Kind::Closed, format!("registration: {:?} is being removed", self.id())));
            }
            outcome = timeout_at(give_up, self.see_healthy(&mut last)) => outcome,
        };
        outcome.unwrap_or_else(|late| Err(self.late("healthy", within, &last).caused_by(late)))
    }

    async fn see_healthy(&self, last: &mut String) -> Result<(), Error> {
        let registry = self.keeper.registry();
        let mut query = ServiceQuery::new(self.definition.name.clone()).output(CheckOutput::Keep);
        let mut failures = 0u32;
        loop {
            match registry.service(&query).await {
                Ok(Answer { value, meta, .. }) => {
                    failures = 0;
                    let Some(found) = value.iter().find(|one| is_this(&self.definition, one)) else {
                        "not in the catalogue".clone_into(last);
                        query = next_read(query, meta.index);
                        tokio::time::sleep(GAP).await;
                        continue;
                    };
                    if found.status == Status::Passing {
                        return Ok(());
                    }
                    *last = describe(found);
                    query = next_read(query, meta.index);
                    tokio::time::sleep(GAP).await;
                }
                Err(error) if error.is_retryable() => {
                    failures = failures.saturating_add(1);
                    *last = error.chain();
                    query.block = None;
                    tokio::time::sleep(READING.limit(failures)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn late(&self, what: &str, within: Duration, last: &str) -> Error {
        let within = crate::format_duration(within);
        let id = self.id();
        Error::new(
            Kind::Timeout,
            format!("registration: {id:?} was not seen {what} in {within}; last: {last}"),
        )
    }

    /// Puts an instance into service that was registered [in maintenance](Registration::in_maintenance): now, or as soon as
    /// the agent holds it. The keeper goes on until it is done. Nothing for one that is in service.
    pub fn announce(&self) {
        self.keeper.announce(self.id(), self.number);
    }
}

/// The state once it is as wanted, or as it is after `limit`, or as it will stay.
async fn settle(
    state: &mut watch::Receiver<RegistrationState>,
    limit: Duration,
    wanted: impl FnMut(&RegistrationState) -> bool,
) -> RegistrationState {
    // What `wait_for` returns is a lock, which must not live on; and whatever ended the wait, the state tells.
    let _ended = timeout(limit, async { state.wait_for(wanted).await.is_ok() }).await;
    state.borrow_and_update().clone()
}

/// Whether the catalogue's instance is the one of this definition. The id alone is unique on its agent only.
fn is_this(definition: &Definition, one: &Instance) -> bool {
    let same_address = definition.address.is_empty() || *one.address == *definition.address;
    *one.identity.id == *definition.id.as_str() && one.port == definition.port && same_address
}

/// The next read: waits for a change, or starts over when the index went down.
fn next_read(mut query: ServiceQuery, index: u64) -> ServiceQuery {
    let went_down = query.block.is_some_and(|block| index < block.index);
    query.block = None;
    if went_down { query } else { query.block(index, WAIT) }
}

fn describe(found: &Instance) -> String {
    let worst = found.checks.iter().find(|check| check.status == found.status);
    match worst {
        Some(check) => format!("{}, check {:?} says {:?}", found.status, &*check.id, &*check.output),
        None => found.status.to_string(),
    }
}
