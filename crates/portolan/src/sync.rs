//! One task a view: obeys the step machine, and adds nothing to it.
//!
//! In:  a registry behind its guard, and what is known already. Out: snapshots, through the view's writer.
//!
//! Never: decides; forgets what was known when it is started again after a panic; asks before the last read is over.
//!
//! Proof: `sync/tests.rs` with a scripted registry and paused time; the rules are proved in `sync/step/tests.rs`.

use std::{sync::Arc, time::Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    guard::Guard,
    model::{ServiceName, Status},
    registry::{CheckOutput, Recall, Registry, ServiceQuery},
    roll::Rolls,
    snapshot::{Reader, Snapshot, Writer},
    telemetry,
};

mod interest;
mod known;
mod names;
mod rate;
mod rules;
mod step;

pub(crate) use interest::{Consumer, Interest};
pub(crate) use names::follow_names;
pub(crate) use step::Settings;
use step::{Ask, Event, Input, Next, State, Turn};

/// What a view reads, and how.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) datacenter: Option<Arc<str>>,
    pub(crate) output: CheckOutput,
    pub(crate) settings: Settings,
}

/// What a view's loop alone may use; it outlives a panic of the loop.
#[derive(Debug)]
pub(crate) struct Ends {
    writer: Writer,
    remembered: mpsc::Receiver<Snapshot>,
}

impl Ends {
    /// The ends of a view that knows `first`, and the way in for what a cache remembers: the loop takes it when it is
    /// better than what is known.
    pub(crate) fn new(first: Snapshot) -> (Self, mpsc::Sender<Snapshot>) {
        let (remember, remembered) = mpsc::channel(1);
        (Self { writer: Writer::new(Arc::new(first)), remembered }, remember)
    }

    /// A reader that has seen nothing yet.
    pub(crate) fn reader(&self) -> Reader {
        self.writer.reader()
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Follows one service until `stop` is cancelled.
pub(crate) async fn follow(
    guard: Arc<Guard>,
    target: Target,
    ends: Arc<tokio::sync::Mutex<Ends>>,
    interest: Arc<Interest>,
    mut rolls: Rolls,
    stop: CancellationToken,
) {
    // Held for the life of this task: it is the one writer. A task that is started again finds it free.
    let mut ends = ends.lock().await;
    let Ends { writer, remembered } = &mut *ends;
    let mut state = State::new((*writer.current()).clone(), target.settings.clone(), now());
    let recall = Recall::new(rolls.next());
    let mut input = Input::Start;
    loop {
        let turn = state.on(input, now(), rolls.next());
        obey(&state, &turn, writer);
        let work = act(&guard, &target, &recall, state.service().clone(), turn.next);
        tokio::pin!(work);
        input = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(snapshot) = remembered.recv() => publish(state.remember(snapshot, now()), writer),
                input = &mut work => break input,
                () = at(state.deadline()) => publish(state.expire(now()), writer),
                () = interest.woken() => {}
            }
        };
    }
}

fn publish(next: Option<Arc<Snapshot>>, writer: &mut Writer) {
    if let Some(next) = next {
        writer.publish(next);
    }
}

async fn act(guard: &Guard, target: &Target, recall: &Recall, service: ServiceName, next: Next) -> Input {
    let Ask { block, consistency } = match next {
        Next::Ask(ask) => ask,
        Next::RestUntil(until) => {
            at(Some(until)).await;
            return Input::Timer;
        }
    };
    let mut query = ServiceQuery::new(service)
        .consistency(consistency)
        .datacenter(target.datacenter.clone())
        .output(target.output)
        .recall(recall.clone());
    query.block = block;
    match guard.service(&query).await {
        Ok(answer) => Input::Answer(answer),
        Err(error) => Input::Failed { kind: error.kind(), text: error.chain().into() },
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn obey(state: &State, turn: &Turn, writer: &mut Writer) {
    let service = state.service().as_str();
    if let Some(next) = &turn.publish {
        record(service, next, &writer.current());
    }
    publish(turn.publish.clone(), writer);
    match turn.event {
        Some(Event::IndexWentBack { had, got }) => {
            metrics::counter!(telemetry::INDEX_RESETS, "service" => service.to_owned()).increment(1);
            tracing::warn!(service, had, got, "the registry's index went back; reading anew");
        }
        Some(Event::Suspect { had, got }) => {
            metrics::counter!(telemetry::SUSPECT_ANSWERS, "service" => service.to_owned()).increment(1);
            tracing::warn!(service, had, got, "an answer after a break lost too much; asking the leader");
        }
        Some(Event::Failing) => {
            let why = turn.publish.as_ref().and_then(|snapshot| snapshot.failure());
            let error = why.map(|failure| failure.text.as_ref());
            tracing::warn!(service, error, "reads fail; lookups go on from what is known");
        }
        Some(Event::Recovered) => tracing::info!(service, "reads succeed again"),
        None => {}
    }
}

fn record(service: &str, next: &Snapshot, before: &Snapshot) {
    let label = service.to_owned();
    if let Some(failure) = next.failure() {
        let kind = telemetry::kind_label(failure.kind);
        metrics::counter!(telemetry::VIEW_FAILURES, "service" => label.clone(), "kind" => kind).increment(1);
        metrics::gauge!(telemetry::VIEW_UP, "service" => label).set(0.0);
        return;
    }
    let same = Arc::ptr_eq(&next.instances, &before.instances);
    let changed = if same { "false" } else { "true" };
    metrics::counter!(telemetry::VIEW_REFRESHES, "service" => label.clone(), "changed" => changed)
        .increment(1);
    metrics::gauge!(telemetry::VIEW_UP, "service" => label).set(1.0);
    if !same || !Arc::ptr_eq(&next.held, &before.held) {
        count_instances(service, next);
    }
}

fn count_instances(service: &str, snapshot: &Snapshot) {
    for status in [Status::Passing, Status::Warning, Status::Critical, Status::Maintenance] {
        let count = snapshot.instances().iter().filter(|instance| instance.status == status).count();
        set_instances(service, status.as_str(), count);
    }
    set_instances(service, "held", snapshot.held().len());
}

fn set_instances(service: &str, status: &'static str, count: usize) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    metrics::gauge!(telemetry::VIEW_INSTANCES, "service" => service.to_owned(), "status" => status)
        .set(f64::from(count));
}

#[cfg(test)]
mod tests;
