//! The work that keeps a resolver current: one task each, which obeys the stage and adds nothing to it.
//!
//! In:  news of the views, an operator's table, a bound that passes. Out: the selection that picks read, then the
//! snapshot that consumers are told of: never in the other order. Lookups are folded into the metrics.
//!
//! Never: builds on a reader's path; frees a selection on one.

use std::{
    pin::Pin,
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{
    cell::Cell,
    selection::Selection,
    stage::{Shows, Stage},
};
use crate::{snapshot::Writer, telemetry};

/// How often lookups are folded into the metrics, and how soon a view learns that it is in use still.
const FOLD: Duration = Duration::from_secs(10);

/// The work that keeps a resolver current.
pub(crate) type KeepCurrent = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Task {
    pub(super) cell: Weak<Cell>,
    pub(super) stage: Stage,
    pub(super) writer: Arc<tokio::sync::Mutex<Writer>>,
    pub(super) stop: CancellationToken,
}

impl Task {
    pub(super) async fn run(mut self) {
        let writer = Arc::clone(&self.writer);
        let mut writer = writer.lock().await;
        let mut old = Old::default();
        let mut fold = tokio::time::interval(FOLD);
        fold.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.stage.take_in().await;
            let Some(cell) = self.cell.upgrade() else { return };
            let shows = self.stage.shows(tokio::time::Instant::now().into_std());
            let until = shows.until;
            show(&cell, shows, &mut writer, &mut old);
            drop(cell);
            let goes_on = loop {
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => break false,
                    goes_on = self.stage.news() => break goes_on,
                    () = at(until) => break true,
                    _ = fold.tick() => {
                        let Some(cell) = self.cell.upgrade() else { return };
                        old.forget();
                        old.fold(&cell);
                        cell.used.store(false, Ordering::Relaxed);
                    }
                }
            };
            if !goes_on {
                if let Some(cell) = self.cell.upgrade() {
                    old.fold(&cell);
                }
                return;
            }
        }
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn show(cell: &Arc<Cell>, shows: Shows, writer: &mut Writer, old: &mut Old) {
    if !Arc::ptr_eq(&cell.selection.load(), &shows.selection) {
        old.count_picks(cell);
        old.retire(cell.selection.swap(shows.selection));
        old.forget();
    }
    let settles = cell.settled.swap(shows.settled, Ordering::Release) != shows.settled;
    if settles || !Arc::ptr_eq(&writer.current(), &shows.snapshot) {
        writer.relay(shows.snapshot);
    }
}

/// What is left of selections that went: those that somebody reads still, and picks that the metrics do not know of.
#[derive(Default)]
struct Old {
    retired: Vec<Arc<Selection>>,
    untold: u64,
}

impl Old {
    /// Frees selections here when the last reader has left them, not on that reader's path.
    fn forget(&mut self) {
        self.retired.retain(|old| Arc::strong_count(old) > 1);
    }

    /// One that the stage may bring back is here once, however often it goes.
    fn retire(&mut self, gone: Arc<Selection>) {
        if !self.retired.iter().any(|old| Arc::ptr_eq(old, &gone)) {
            self.retired.push(gone);
        }
    }

    /// Takes in the picks of the endpoints of the present selection: before it goes, and with it their loads.
    fn count_picks(&mut self, cell: &Cell) {
        let selection = cell.selection.load();
        let retried = selection.passed_over.iter().map(|one| &one.endpoint);
        let all = selection.endpoints.iter().chain(retried);
        let untold = all.map(|one| u64::from(one.load.untold_picks())).sum();
        self.untold = self.untold.saturating_add(untold);
    }

    fn fold(&mut self, cell: &Cell) {
        self.count_picks(cell);
        let counts = &*cell.counts;
        let picked = std::mem::take(&mut self.untold).saturating_add(counts.peeks.swap(0, Ordering::Relaxed));
        let none = counts.nones.swap(0, Ordering::Relaxed);
        let found = counts.found.swap(0, Ordering::Relaxed);
        let service = || cell.service.as_str().to_owned();
        let count = |outcome, by| {
            metrics::counter!(telemetry::LOOKUPS, "service" => service(), "outcome" => outcome).increment(by);
        };
        count("picked", picked);
        count("none", none);
        metrics::counter!(telemetry::VIEW_LOOKUPS, "service" => service(), "result" => "hit")
            .increment(found);
    }
}
