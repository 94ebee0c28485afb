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
    snapshot::{Failure, Reader, Snapshot, Writer},
    telemetry,
};

mod interest;
mod known;
mod mode;
mod names;
mod probe;
mod rate;
mod rules;
mod step;
mod suspend;

pub(crate) use interest::{Bound, Consumer, Interest};
use interest::{News, Told};
pub use mode::{Confirm, Mode, Suspicion};
pub(crate) use names::follow_names;
pub(crate) use probe::{Probe, prove};
pub(crate) use step::Settings;
use step::{Ask, Difference, Event, Input, Next, Outcome, Served, State, Turn, Uses};
pub(crate) use suspend::{Suspend, TICK as SUSPEND_TICK};

/// What a view reads, and how.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) datacenter: Option<Arc<str>>,
    pub(crate) output: CheckOutput,
    pub(crate) settings: Settings,
    pub(crate) probe: Arc<Probe>,
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
    let line = Line { guard, target, recall: Recall::new(rolls.next()), service: state.service().clone() };
    let mut told = Told::default();
    let mut input = Input::Start;
    let mut asker = Asker::default();
    let (work, aside) = (line.act(Next::Sleep, asker), line.beside(None, asker));
    tokio::pin!(work, aside);
    let mut asleep = false;
    loop {
        let uses = Uses { used: interest.take_used(), followed: interest.is_followed() };
        asker.note(uses, &input, now());
        state.uses(uses, now());
        state.bound(interest.tightest());
        let turn = state.on(input, now(), rolls.next());
        obey(&state, &turn, writer, &interest, &line.guard);
        if turn.next != Next::GoOn {
            asleep = turn.next == Next::Sleep;
            work.set(line.act(turn.next, asker));
        }
        if turn.aside.is_some() {
            aside.set(line.beside(turn.aside, asker));
        }
        input = loop {
            if let Some(news) = news(&interest, &mut told, asleep) {
                break news;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return interest.close(now()),
                Some(snapshot) = remembered.recv() => publish(state.remember(snapshot, now()), writer),
                input = &mut work => break input,
                result = &mut aside => {
                    aside.set(line.beside(None, asker));
                    break Input::Aside(result);
                }
                () = at(state.deadline()) => publish(state.expire(now()), writer),
                () = interest.woken() => {}
            }
        };
    }
}

/// What the users of the view say, as the machine hears it.
fn news(interest: &Interest, told: &mut Told, asleep: bool) -> Option<Input> {
    match interest.news(told) {
        Some(News::Wished(wish)) => Some(Input::Wished(wish)),
        Some(News::Invalidated(wish)) => Some(Input::Invalidated(wish)),
        Some(News::Suspended(gap)) => Some(Input::Suspended(gap)),
        // Awake, the loop asks now and then, and not at each lookup.
        None => (asleep && interest.take_used()).then_some(Input::Used),
    }
}

fn publish(next: Option<Arc<Snapshot>>, writer: &mut Writer) {
    if let Some(next) = next {
        writer.publish(next);
    }
}

/// What the guard is told of a view, to put its reads in order when not all can be sent.
#[derive(Clone, Copy, Default)]
struct Asker {
    used: Option<Instant>,
    failed: Option<Instant>,
}

impl Asker {
    fn note(&mut self, uses: Uses, input: &Input, now: Instant) {
        if uses.used || uses.followed {
            self.used = Some(now);
        }
        match input {
            Input::Failed { .. } => self.failed = Some(now),
            Input::Answer(_) => self.failed = None,
            _ => {}
        }
    }
}

/// What a view's reads have in common.
struct Line {
    guard: Arc<Guard>,
    target: Target,
    recall: Recall,
    service: ServiceName,
}

impl Line {
    async fn act(&self, next: Next, asker: Asker) -> Input {
        let ask = match next {
            Next::Ask(ask) => ask,
            Next::RestUntil(until) => {
                at(Some(until)).await;
                return Input::Timer;
            }
            Next::Sleep | Next::GoOn => std::future::pending().await,
        };
        match self.read(ask, asker).await {
            Ok(answer) => Input::Answer(answer),
            Err((kind, text)) => Input::Failed { kind, text },
        }
    }

    /// The read beside the open one, if there is one to make.
    async fn beside(&self, aside: Option<(Instant, Ask)>, asker: Asker) -> Outcome {
        let Some((from, ask)) = aside else { return std::future::pending().await };
        at(Some(from)).await;
        self.read(ask, asker).await
    }

    async fn read(&self, ask: Ask, asker: Asker) -> Outcome {
        let mut query = ServiceQuery::new(self.service.clone())
            .consistency(ask.consistency)
            .datacenter(self.target.datacenter.clone())
            .output(self.target.output)
            .recall(self.recall.clone())
            .used(asker.used)
            .failed(asker.failed);
        query.block = ask.block;
        let answer = self.guard.service(&query).await;
        let mut answer = answer.map_err(|error| (error.kind(), error.chain().into()))?;
        self.target.probe.judge(&mut answer.meta, self.target.settings.wait, now());
        Ok(answer)
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn obey(state: &State, turn: &Turn, writer: &mut Writer, interest: &Interest, guard: &Guard) {
    let service = state.service().as_str();
    if let Some(next) = &turn.publish {
        record(service, next, &writer.current());
    }
    publish(turn.publish.clone(), writer);
    if let Some(Served { wish, failure }) = &turn.served {
        interest.grant(*wish, failure.clone().map_or_else(|| Ok(writer.current()), Err));
    }
    if let Some(event) = &turn.event {
        let failure = turn.publish.as_ref().and_then(|snapshot| snapshot.failure());
        count(service, event);
        // A missed change is a fault of its own, and never one of many.
        if matches!(event, Event::Diverged(_)) || guard.says_of_a_view() {
            tell(service, event, failure);
        } else {
            tracing::debug!(service, ?event, "what happens to many views at once");
        }
    }
}

fn count(service: &str, event: &Event) {
    let label = || service.to_owned();
    match event {
        Event::IndexWentBack { .. } => {
            metrics::counter!(telemetry::INDEX_RESETS, "service" => label()).increment(1);
        }
        Event::Suspect { .. } => {
            metrics::counter!(telemetry::SUSPECT_ANSWERS, "service" => label()).increment(1);
        }
        Event::Dormant => metrics::gauge!(telemetry::VIEW_DORMANT, "service" => label()).set(1.0),
        Event::Awake => metrics::gauge!(telemetry::VIEW_DORMANT, "service" => label()).set(0.0),
        Event::Failing | Event::Recovered | Event::Diverged(_) => {}
    }
}

fn tell(service: &str, event: &Event, failure: Option<&Failure>) {
    match event {
        Event::IndexWentBack { had, got, times } => match times {
            1 => tracing::warn!(service, had, got, "the registry's index went back; reading anew"),
            4 => {
                tracing::warn!(service, had, got, "the index goes back again and again; the servers disagree")
            }
            _ => tracing::debug!(service, had, got, "the registry's index went back; reading anew"),
        },
        Event::Suspect { had, got } => {
            tracing::warn!(
                service,
                had,
                got,
                "an answer after a break is of an earlier state, or lost too much; asking the leader"
            );
        }
        Event::Failing => {
            let error = failure.map(|failure| failure.text.as_ref());
            tracing::warn!(service, error, "reads fail; lookups go on from what is known");
        }
        Event::Recovered => tracing::info!(service, "reads succeed again"),
        Event::Diverged(missed) => diverged(service, missed),
        Event::Dormant => {
            tracing::info!(service, "nobody uses this view; it rests until somebody does");
        }
        Event::Awake => {
            tracing::info!(service, "this view is used again; reading anew");
        }
    }
}

/// How many instances a log line names.
const NAMED: usize = 5;

fn diverged(service: &str, missed: &[Difference]) {
    let count = u64::try_from(missed.len()).unwrap_or(u64::MAX);
    metrics::counter!(telemetry::DIVERGENCES, "service" => service.to_owned()).increment(count);
    let ids = |of: fn(&Difference) -> bool| -> Vec<&str> {
        missed.iter().filter(|one| of(one)).take(NAMED).map(|one| &*one.identity.id).collect()
    };
    let changed = ids(|one| one.known.is_some() && one.told.is_some());
    let only_known = ids(|one| one.told.is_none());
    let only_told = ids(|one| one.known.is_none());
    tracing::error!(
        service,
        count,
        ?changed,
        ?only_known,
        ?only_told,
        "the watch had missed changes, as a full read showed; the registry's answers to watches are not to be trusted"
    );
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
