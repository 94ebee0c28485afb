//! One task a list of services: obeys the step machine, and adds nothing to it.
//!
//! In:  a registry behind its guard, what is known already, and whether anybody uses it. Out: lists, through the
//! writer.
//!
//! Never: decides; forgets what was known when it is started again after a panic; asks before the last read is over.
//!
//! Proof: `names/tests.rs` with a scripted registry and paused time; the rules are proved in `names/step/tests.rs`.

use std::{sync::Arc, time::Instant};

use tokio_util::sync::CancellationToken;

use super::{
    interest::Interest,
    step::{Ask, Settings},
};
use crate::{
    guard::Guard,
    registry::{CatalogQuery, Registry},
    roll::Rolls,
    snapshot::{Catalog, Writer},
    telemetry,
};

mod known;
mod step;

use step::{Event, Input, Next, State, Turn};

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Follows the list of services of the writer's datacenter until `stop` is cancelled.
pub(crate) async fn follow_names(
    guard: Arc<Guard>,
    settings: Settings,
    interest: Arc<Interest>,
    writer: Arc<tokio::sync::Mutex<Writer<Catalog>>>,
    mut rolls: Rolls,
    stop: CancellationToken,
) {
    // Held for the life of this task: it is the one writer. A task that is started again finds it free.
    let mut writer = writer.lock().await;
    let first = (*writer.current()).clone();
    let datacenter = first.datacenter.clone();
    let mut state = State::new(first, settings, now());
    let mut input = Input::Start;
    loop {
        if interest.take_used() {
            state.used(now());
        }
        let turn = state.on(input, now(), rolls.next());
        obey(&turn, datacenter.as_deref(), &mut writer);
        let work = act(&guard, &interest, datacenter.clone(), turn.next);
        tokio::pin!(work);
        input = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                input = &mut work => break input,
                () = at(state.deadline()) => {
                    if let Some(next) = state.expire(now()) {
                        record(datacenter.as_deref(), &next, &writer.current());
                        writer.publish(next);
                    }
                }
            }
        };
    }
}

async fn act(guard: &Guard, interest: &Interest, datacenter: Option<Arc<str>>, next: Next) -> Input {
    let Ask { block, consistency } = match next {
        Next::Ask(ask) => ask,
        Next::RestUntil(until) => {
            at(Some(until)).await;
            return Input::Timer;
        }
        Next::Sleep => {
            // A wake-up may be left from long ago: it is the use that counts.
            while !interest.take_used() {
                interest.woken().await;
            }
            return Input::Woken;
        }
    };
    let query = CatalogQuery { datacenter, consistency, block };
    match guard.services(&query).await {
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

fn label(datacenter: Option<&str>) -> String {
    datacenter.unwrap_or("local").to_owned()
}

fn obey(turn: &Turn, datacenter: Option<&str>, writer: &mut Writer<Catalog>) {
    if let Some(next) = &turn.publish {
        record(datacenter, next, &writer.current());
        writer.publish(Arc::clone(next));
    }
    match turn.event {
        Some(Event::IndexWentBack { had, got }) => {
            metrics::counter!(telemetry::CATALOG_INDEX_RESETS, "datacenter" => label(datacenter))
                .increment(1);
            tracing::warn!(datacenter, had, got, "the catalogue's index went back; reading anew");
        }
        Some(Event::Suspect { had, got }) => {
            metrics::counter!(telemetry::CATALOG_SUSPECT_ANSWERS, "datacenter" => label(datacenter))
                .increment(1);
            tracing::warn!(
                datacenter,
                had,
                got,
                "a list after a break is of an earlier state, or lost too much; asking the leader"
            );
        }
        Some(Event::Failing) => {
            let why = turn.publish.as_ref().and_then(|catalog| catalog.failure());
            let error = why.map(|failure| failure.text.as_ref());
            tracing::warn!(datacenter, error, "reads of the list of services fail; what was known stands");
        }
        Some(Event::Recovered) => tracing::info!(datacenter, "reads of the list of services succeed again"),
        None => {}
    }
}

/// Counts what `next` is: a failure, an answer, or neither.
fn record(datacenter: Option<&str>, next: &Catalog, before: &Catalog) {
    if let Some(failure) = next.failure() {
        if before.failure().map(|failure| failure.count) == Some(failure.count) {
            return;
        }
        let kind = telemetry::kind_label(failure.kind);
        metrics::counter!(telemetry::CATALOG_FAILURES, "datacenter" => label(datacenter), "kind" => kind)
            .increment(1);
        metrics::gauge!(telemetry::CATALOG_UP, "datacenter" => label(datacenter)).set(0.0);
    } else if next.freshness.confirmed != before.freshness.confirmed {
        let same = Arc::ptr_eq(&next.services, &before.services);
        let changed = if same { "false" } else { "true" };
        metrics::counter!(telemetry::CATALOG_REFRESHES, "datacenter" => label(datacenter), "changed" => changed)
            .increment(1);
        metrics::gauge!(telemetry::CATALOG_UP, "datacenter" => label(datacenter)).set(1.0);
    }
    for (state, list) in [("confirmed", next.services()), ("held", next.held())] {
        let count = u32::try_from(list.len()).unwrap_or(u32::MAX);
        metrics::gauge!(telemetry::CATALOG_SERVICES, "datacenter" => label(datacenter), "state" => state)
            .set(f64::from(count));
    }
}

#[cfg(test)]
mod tests;
