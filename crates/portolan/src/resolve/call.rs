//! A request to a service: picked, sent, its outcome reported, and tried elsewhere when it failed.
//!
//! In:  what sends one request to one instance. Out: its answer, or why there is none. The sending is the caller's: this
//! picks, counts, times and decides.
//!
//! Never: sends to the instance that failed while there is another; goes on after the deadline; a retry storm.

use std::{
    fmt,
    ops::Deref,
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::Instrument;

use super::{
    Resolver,
    endpoint::{Endpoint, FailureKind, now},
    none::NoInstance,
    pick::key_roll,
    retry::{GaveUp, Retry},
};
use crate::{model::Identity, telemetry};

/// One try: the instance to send to. Dereferences to the [`Endpoint`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// Where to send.
    pub endpoint: Arc<Endpoint>,
    /// Which try this is, from 1.
    pub number: u32,
    /// When the time for all tries, or for this one, is over: to be passed on.
    pub deadline: Option<Instant>,
}

impl Attempt {
    /// How much time is left; `None`: any.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(now()))
    }
}

impl Deref for Attempt {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

/// A try that failed, on the instance's part: what may succeed elsewhere. What the caller did wrong is an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed<E> {
    /// What kind of failure it is, for the ejection and the retry.
    pub kind: FailureKind,
    /// The error.
    pub error: E,
}

impl<E> Failed<E> {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, error: E) -> Self {
        Self { kind, error }
    }
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError<E> {
    /// There is no instance to send it to.
    NoInstance(NoInstance),
    /// The last try failed.
    Failed {
        /// How it failed.
        failed: Failed<E>,
        /// How often it was tried.
        tries: u32,
        /// Why it was not tried again.
        gave_up: GaveUp,
    },
    /// The last try was not over in time.
    TimedOut {
        /// How often it was tried.
        tries: u32,
        /// Why it was not tried again.
        gave_up: GaveUp,
    },
    /// The settings of the retry make no sense: which, what was found, and what is allowed.
    Config(Arc<str>),
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInstance(none) => none.fmt(f),
            Self::Failed { failed, tries, gave_up } => {
                write!(f, "try {tries} failed: {}; not tried again: {gave_up}", failed.error)
            }
            Self::TimedOut { tries, gave_up } => {
                write!(f, "try {tries} was not over in time; not tried again: {gave_up}")
            }
            Self::Config(what) => f.write_str(what),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for CallError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed { failed, .. } => Some(&failed.error),
            Self::NoInstance(_) | Self::TimedOut { .. } | Self::Config(_) => None,
        }
    }
}

impl Resolver {
    /// Sends a request: `attempt` sends it once, to the instance that it is given. When that fails, it is tried again
    /// elsewhere, as `retry` says and the service's [`RetryBudget`](crate::RetryBudget) allows.
    ///
    /// Each try runs in a span `request` with the fields `service`, `instance`, `attempt` and `age`.
    ///
    /// # Errors
    /// [`CallError`], which says what the last try met, and why there was no other.
    ///
    /// # Cancel safety
    /// Dropping the future drops the try that is under way; it counts as cancelled.
    pub async fn call<T, E, F, Sent>(&self, retry: Retry, attempt: F) -> Result<T, CallError<E>>
    where
        F: FnMut(Attempt) -> Sent,
        Sent: Future<Output = Result<T, Failed<E>>>,
    {
        self.send(retry, None, attempt).await
    }

    /// The same by a key, as [`pick_by_key`](Self::pick_by_key) picks: where it is tried again, the key says where.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    /// As [`call`](Self::call).
    pub async fn call_by_key<T, E, F, Sent>(
        &self,
        retry: Retry,
        key: &[u8],
        attempt: F,
    ) -> Result<T, CallError<E>>
    where
        F: FnMut(Attempt) -> Sent,
        Sent: Future<Output = Result<T, Failed<E>>>,
    {
        self.send(retry, Some(key_roll(key)), attempt).await
    }

    async fn send<T, E, F, Sent>(
        &self,
        retry: Retry,
        key: Option<u64>,
        mut attempt: F,
    ) -> Result<T, CallError<E>>
    where
        F: FnMut(Attempt) -> Sent,
        Sent: Future<Output = Result<T, Failed<E>>>,
    {
        retry.check().map_err(|error| CallError::Config(error.to_string().into()))?;
        let account = self.account();
        account.request();
        let start = now();
        let last = retry.within.and_then(|within| start.checked_add(within));
        let mut not: Vec<Identity> = Vec::new();
        let mut before = None;
        let mut tries = 0_u32;
        loop {
            let excluded: Vec<&Identity> = not.iter().collect();
            let roll = key.unwrap_or_else(|| self.roll());
            let pick = match (self.inner.cell.pick(roll, &excluded), before.take()) {
                (Ok(pick), _) => pick,
                (Err(none), None) => return Err(CallError::NoInstance(none)),
                // What the try before this one met says more than that there is nobody left.
                (Err(_), Some(failed)) => return Err(self.given_up(failed, tries, GaveUp::NoInstance)),
            };
            tries = tries.saturating_add(1);
            let begun = now();
            let own = retry.each_within.and_then(|each| begun.checked_add(each));
            let deadline = [last, own].into_iter().flatten().min();
            let sent = attempt(Attempt { endpoint: pick.endpoint(), number: tries, deadline });
            let span =
                telemetry::call_span(&pick, tries, || (pick.freshness().source, pick.freshness().age(begun)));
            let sent = sent.instrument(span.clone());
            let failed = match in_time(deadline, sent).await {
                Some(Ok(answer)) => {
                    pick.success(now().saturating_duration_since(begun));
                    return Ok(answer);
                }
                Some(Err(failed)) => Some(failed),
                None => None,
            };
            let kind = failed.as_ref().map_or(FailureKind::Timeout, |failed| failed.kind);
            telemetry::failed(&span, kind.label());
            not.push(pick.identity.clone());
            pick.failure(kind);
            let chance = (now(), self.roll());
            match retry.again(tries, kind, account, last, chance) {
                Ok(rest) => {
                    self.count_retry("sent");
                    before = Some(failed);
                    tokio::time::sleep(rest).await;
                }
                Err(gave_up) => return Err(self.given_up(failed, tries, gave_up)),
            }
        }
    }

    fn given_up<E>(&self, failed: Option<Failed<E>>, tries: u32, gave_up: GaveUp) -> CallError<E> {
        self.count_retry(gave_up.label());
        match failed {
            Some(failed) => CallError::Failed { failed, tries, gave_up },
            None => CallError::TimedOut { tries, gave_up },
        }
    }

    fn count_retry(&self, outcome: &'static str) {
        let service = self.service().as_str().to_owned();
        metrics::counter!(telemetry::RETRIES, "service" => service, "outcome" => outcome).increment(1);
    }
}

async fn in_time<T>(deadline: Option<Instant>, sent: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline.into(), sent).await.ok(),
        None => Some(sent.await),
    }
}
