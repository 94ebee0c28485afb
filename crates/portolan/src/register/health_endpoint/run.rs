//! Runs one probe: within its deadline, and so that a panic or a hang in it is a finding.
//!
//! In:  a request's wish to know. Out: the finding of this run, of the one under way, or of the one before.
//!
//! The run is a task of the endpoint, so a caller that goes away takes nothing with it; the probe's own function runs in a
//! task below that, so that its panic ends there. What decides is `flight`. A registration's health function is run by the
//! same [`once`].
//!
//! Never: waits for a probe beyond its deadline; begins a run while an earlier one still holds a thread.
//!
//! Proof: `health_endpoint/tests.rs`.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time::{Instant, timeout, timeout_at},
};

use super::{
    flight::{Ask, Flight, Taken},
    probe::{Call, Finding, Probe},
};
use crate::{duration::format_duration, model::Status, telemetry};

/// How long beyond the deadline a finding may take to be told, before its runtime is taken for gone.
const GRACE: Duration = Duration::from_secs(1);

/// A probe, and where its runs stand.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) probe: Probe,
    flight: watch::Sender<Flight>,
}

/// The run that is to be waited for; 0 when none is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(u64);

impl Slot {
    pub(super) fn new(probe: Probe) -> Self {
        Self { probe, flight: watch::Sender::new(Flight::default()) }
    }

    /// Looks whether a finding is there, and begins a run in `runs` when none is good and none under way.
    pub(super) fn ask(self: &Arc<Self>, runs: impl FnOnce(Landing)) -> Ticket {
        let mut ask = Ask::Use;
        self.flight.send_if_modified(|flight| {
            ask = flight.ask(Instant::now().into_std(), self.probe.cache);
            false // nobody waits for a begin
        });
        match ask {
            Ask::Use => Ticket(0),
            Ask::Join(run) => Ticket(run),
            Ask::Begin(run) => {
                runs(Landing { slot: Arc::clone(self), run });
                Ticket(run)
            }
        }
    }

    /// The finding of the run that was asked for.
    pub(super) async fn told(&self, ticket: Ticket, asked: Instant) -> Taken {
        let mut flight = self.flight.subscribe();
        let told = async {
            // What it returns is a lock, which must not live on.
            let found = flight.wait_for(|flight| flight.has_told(ticket.0)).await;
            found.ok().and_then(|flight| flight.last().cloned())
        };
        let limit = asked + self.probe.deadline + GRACE;
        let found = timeout_at(limit, told).await.ok().flatten();
        found.unwrap_or_else(|| taken(Finding::critical("the probe is not run: its runtime has ended")))
    }

    fn tell(&self, run: u64, finding: Finding) {
        let mut before = None;
        let after = finding.status();
        let taken = taken(finding);
        let output = taken.finding.output().to_owned();
        self.flight.send_modify(|flight| before = flight.tell(run, taken));
        let probe = &*self.probe.name;
        match (before, after) {
            (None, _) => {}
            (Some(_), Status::Passing) => tracing::info!(probe, "a health probe passes again"),
            (Some(_), status) => tracing::warn!(probe, %status, output, "a health probe does not pass"),
        }
    }
}

/// A run that was begun. Whatever becomes of it, whoever waits for it is told, and the next may begin.
#[derive(Debug)]
pub(super) struct Landing {
    slot: Arc<Slot>,
    run: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let lost = taken(Finding::critical("the probe's run was cut off"));
        self.slot.flight.send_modify(|flight| {
            // One that has told what it found is not told again.
            flight.tell(self.run, lost);
            flight.end(self.run);
        });
    }
}

/// Runs the probe to its end. The finding is told at the deadline at the latest; the end may come later.
pub(super) async fn run(landing: Landing) {
    let Probe { name, call, deadline, .. } = landing.slot.probe.clone();
    let began = Instant::now();
    let mut own = JoinSet::new();
    let (finding, failure) = once("the probe", call, deadline, &mut own).await;
    let label = || name.to_string();
    metrics::histogram!(telemetry::HEALTH_PROBE_SECONDS, "probe" => label()).record(began.elapsed());
    if let Some(reason) = failure {
        metrics::counter!(telemetry::HEALTH_PROBE_FAILURES, "probe" => label(), "reason" => reason)
            .increment(1);
    }
    landing.slot.tell(landing.run, finding);
    // One that holds its thread goes on past its abort; until it ends, no other begins.
    own.shutdown().await;
}

/// Runs a function, named `what`, as a task of `own`: what it found, at the deadline at the latest, and what was wrong as
/// a label. One that is late still runs: whoever owns `own` ends it.
///
/// # Cancel safety
/// The task is in `own` then; nothing is lost but its finding.
pub(in crate::register) async fn once(
    what: &str,
    call: Call,
    deadline: Duration,
    own: &mut JoinSet<Finding>,
) -> (Finding, Option<&'static str>) {
    // The function is called in the task, too: it may panic before there is a future.
    own.spawn(async move { call().await });
    match timeout(deadline, own.join_next()).await {
        Ok(Some(Ok(finding))) => {
            let failed = finding.status() == Status::Critical;
            (finding, failed.then_some("critical"))
        }
        Ok(Some(Err(failed))) => (broken(what, &failed), Some("panic")),
        Ok(None) => (Finding::critical(format!("{what} was cut off")), Some("panic")),
        Err(_late) => {
            let deadline = format_duration(deadline);
            (Finding::critical(format!("no answer within the deadline of {deadline}")), Some("deadline"))
        }
    }
}

/// A panic's message may hold anything, and an output is shown to everybody: it stays in the program's own log.
fn broken(what: &str, failed: &JoinError) -> Finding {
    let how = if failed.is_panic() { "panicked; its message is in the program's log" } else { "was cut off" };
    Finding::critical(format!("{what} {how}"))
}

#[expect(clippy::disallowed_methods, reason = "the time of day is for people; nothing is decided by it")]
fn taken(finding: Finding) -> Taken {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Taken { finding, at: Instant::now().into_std(), time }
}
