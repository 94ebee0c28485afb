//! What the TTL checks of an instance report: a word of its handle, or what a function finds again and again.
//!
//! In:  that word; the function, how often it is called, how long it may take. Out: a finding of each run, to the keeper.
//!
//! One that hangs is critical at its deadline, and dropped; one that panics is critical. Either is called again an interval
//! after it was called last, so it recovers by itself.
//!
//! Never: is called again while an earlier call still holds a thread; outlives its handle; catches up on calls it missed.
//!
//! Proof: `health_fn/tests.rs`.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    RegistrationHandle,
    health_endpoint::{Call, DEFAULT_DEADLINE, Finding, LONGEST_DEADLINE, call_of, once},
};
use crate::{
    check::CheckKind,
    duration::format_duration,
    error::{Error, Kind},
    model::{ServiceName, Status},
    registry::Definition,
    telemetry,
};

/// The range of an interval that is set.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);
const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);

/// A function that says how an instance is, for [`RegistrationHandle::report_with`].
///
/// It returns what a [`Probe`](super::Probe) may return: a [`Finding`], or a `Result` whose error is critical. A run that
/// takes longer than the deadline is critical and is dropped; one that panics is critical; the next run shows whether it
/// is well again.
///
/// ```
/// use std::time::Duration;
///
/// use portolan::HealthFn;
///
/// # async fn ping() -> std::io::Result<()> { Ok(()) }
/// let health = HealthFn::new(ping).every(Duration::from_secs(3)).deadline(Duration::from_millis(500));
/// ```
#[derive(Clone)]
#[must_use = "a health function does nothing until it is given to `report_with`"]
pub struct HealthFn {
    call: Call,
    every: Option<Duration>,
    deadline: Duration,
}

impl fmt::Debug for HealthFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthFn")
            .field("every", &self.every)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl HealthFn {
    /// The function is called for each run; what it returns becomes a [`Finding`], an error a critical one.
    ///
    /// It must not block its thread: what blocks belongs into `tokio::task::spawn_blocking`.
    pub fn new<F, R>(call: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output: Into<Finding>> + Send + 'static,
    {
        Self { call: call_of(call), every: None, deadline: DEFAULT_DEADLINE }
    }

    /// How often it is called, from begin to begin; a run that takes longer puts off the next. 100 ms to 1 h; default: a
    /// third of the shortest TTL.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = Some(interval);
        self
    }

    /// How long a run may take until it counts as critical. 1 ms to 1 min; default 2 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The function for this instance; `None` when that has no TTL check.
    pub(super) fn checked(self, definition: &Definition) -> Result<Option<Runs>, Error> {
        let wrong = |what: String| Err(Error::new(Kind::Config, format!("health function: {what}")));
        if self.deadline < Duration::from_millis(1) || self.deadline > LONGEST_DEADLINE {
            let found = format_duration(self.deadline);
            return wrong(format!("deadline: {found} is not from 1ms to 1m; 2s is usual"));
        }
        if let Some(every) = self.every.filter(|every| *every < LEAST_INTERVAL || *every > LONGEST_INTERVAL) {
            let found = format_duration(every);
            return wrong(format!("every: {found} is not from 100ms to 1h; a third of the TTL is usual"));
        }
        let ttls = definition.checks.iter().filter_map(|check| match check.check.kind {
            CheckKind::Ttl { ttl } => Some(ttl),
            _ => None,
        });
        let Some(ttl) = ttls.min() else { return Ok(None) };
        let every = self.every.unwrap_or(ttl / 3).max(LEAST_INTERVAL);
        let service = definition.name.clone();
        Ok(Some(Runs { call: self.call, every, deadline: self.deadline, service }))
    }
}

impl RegistrationHandle {
    /// Reports the health of its TTL checks: at once, and with each heartbeat until the next call. A health function that
    /// was given to [`report_with`](Self::report_with) ends.
    ///
    /// # Errors
    /// [`Kind::Config`] when it has no TTL check, or for [`Status::Maintenance`], which is no health.
    pub fn report(&self, status: Status, output: &str) -> Result<(), Error> {
        if status == Status::Maintenance {
            let what = "report: maintenance is no health; report passing, warning or critical";
            return Err(Error::new(Kind::Config, what));
        }
        self.health.store(None);
        if self.keeper.say(self.id(), self.number, status, output) {
            return Ok(());
        }
        Err(self.no_ttl("report"))
    }

    /// Lets a function say, again and again, how the instance is, until the handle is closed or dropped, or the next call
    /// of this or of [`report`](Self::report). Until its first run has ended the TTL checks report what they did before.
    ///
    /// Another status is reported at once, another output with the next heartbeat. It needs the Tokio runtime it is
    /// called in.
    ///
    /// ```
    /// use portolan::{Finding, HealthFn, RegistrationHandle};
    ///
    /// # async fn ping() -> std::io::Result<()> { Ok(()) }
    /// # fn waiting() -> usize { 0 }
    /// # fn example(web: &RegistrationHandle) -> Result<(), portolan::Error> {
    /// web.report_with(HealthFn::new(|| async {
    ///     match (ping().await, waiting()) {
    ///         (Err(error), _) => Finding::critical(format!("the database: {error}")),
    ///         (Ok(()), many @ 100..) => Finding::warning(format!("{many} requests wait")),
    ///         (Ok(()), _) => Finding::passing(),
    ///     }
    /// }))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Kind::Config`] when it has no TTL check, or a setting of the function is out of its range.
    pub fn report_with(&self, health: HealthFn) -> Result<(), Error> {
        let Some(runs) = health.checked(&self.definition)? else { return Err(self.no_ttl("report_with")) };
        self.health.store(None);
        let ends = self.keeper.say_by(&self.definition, self.number, runs);
        self.health.store(Some(Arc::new(ends)));
        Ok(())
    }

    fn no_ttl(&self, call: &str) -> Error {
        let id = self.id();
        let what = format!("{call}: {id:?} has no TTL check, or is gone; add one with Registration::ttl");
        Error::new(Kind::Config, what)
    }
}

/// A health function as it is run for one instance.
#[derive(Clone)]
pub(super) struct Runs {
    call: Call,
    every: Duration,
    deadline: Duration,
    service: ServiceName,
}

/// Runs the function until `over` is cancelled, or `say` tells that nobody listens any more.
pub(super) async fn run(
    runs: Arc<Runs>,
    say: Arc<impl Fn(&Finding) -> bool + Send + Sync>,
    over: CancellationToken,
) {
    // The task is made anew after a panic of its own; the status before that is forgotten, which costs a log line.
    let mut last = Status::Passing;
    loop {
        let began = Instant::now();
        let mut own = JoinSet::new();
        let Some(finding) = over.run_until_cancelled(runs.once(&mut own)).await else { return };
        if !say(&finding) {
            return;
        }
        if finding.status() != last {
            last = finding.status();
            runs.log(&finding);
        }
        // One that holds its thread goes on past its abort; until it ends, no other begins.
        let rest = async {
            own.shutdown().await;
            sleep_until(began + runs.every).await;
        };
        if over.run_until_cancelled(rest).await.is_none() {
            return;
        }
    }
}

impl Runs {
    async fn once(&self, own: &mut JoinSet<Finding>) -> Finding {
        let began = Instant::now();
        let (finding, failure) =
            once("the health function", Arc::clone(&self.call), self.deadline, own).await;
        let label = || self.service.to_string();
        metrics::histogram!(telemetry::HEALTH_FUNCTION_SECONDS, "service" => label()).record(began.elapsed());
        if let Some(reason) = failure {
            metrics::counter!(telemetry::HEALTH_FUNCTION_FAILURES, "service" => label(), "reason" => reason)
                .increment(1);
        }
        finding
    }

    fn log(&self, finding: &Finding) {
        let (service, status, output) = (&self.service, finding.status(), finding.output());
        if status == Status::Passing {
            tracing::info!(%service, "a health function finds its instance well again");
        } else {
            tracing::warn!(%service, %status, output, "a health function does not find its instance well");
        }
    }
}

#[cfg(test)]
mod tests;
