//! The loads of one view's instances, shared by its resolvers, and the judge over them.
//!
//! In:  who is in a selection; outcomes, by the loads. Out: the load of each; gates that are set, told to every resolver
//! of the view. Whichever resolver's task is woken judges for all.
//!
//! A load outlives a change of the instance's definition; a new address or port starts it anew. Never: an entry for what
//! nobody holds any more.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Instant,
};

use tokio::sync::{Notify, watch};

use super::{
    load::{Load, ON_TRIAL, OPEN},
    outlier::{Change, Ejection, Outliers, Sample, Standing},
    retry::{Account, RetryBudget},
};
use crate::{
    model::{Identity, Instance, ServiceName},
    telemetry,
};

/// Who an instance is to a client, and where: a new place is a new process, whose load starts at nothing.
type Place = (Identity, Arc<str>, u16);

/// The loads of one view's instances.
#[derive(Debug)]
pub(crate) struct Loads {
    service: ServiceName,
    settings: Ejection,
    signal: Arc<Signal>,
    /// The service's account of retries.
    account: Arc<Account>,
    #[expect(
        clippy::disallowed_types,
        reason = "cold path: when a selection is built, and when outcomes are judged"
    )]
    cold: std::sync::Mutex<Cold>,
    /// How often a gate was set.
    generation: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Cold {
    by_place: BTreeMap<Place, Weak<Load>>,
    serial: u32,
    outliers: Outliers,
    /// How many ejected ones the metrics have been told of.
    told: usize,
}

/// By this a load tells that it should be judged, and knows the time.
#[derive(Debug)]
pub(super) struct Signal {
    base: Instant,
    row_allowed: u32,
    wake: Notify,
    /// Whether there were outcomes since the instances were last compared.
    used: AtomicBool,
    bounded: Line,
}

/// On a cache line of its own: it is written by each pick that is bounded, and what stands beside it is read by all.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line(AtomicU32);

impl Signal {
    pub(super) fn new(base: Instant, row_allowed: u32) -> Self {
        Self {
            base,
            row_allowed,
            wake: Notify::new(),
            used: AtomicBool::new(false),
            bounded: Line::default(),
        }
    }

    /// A moment in milliseconds; it wraps.
    #[inline]
    pub(super) fn stamp(&self, now: Instant) -> u32 {
        stamp(self.nanos(now))
    }

    /// The same in nanoseconds.
    #[inline]
    pub(super) fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.base).as_nanos()).unwrap_or(u64::MAX)
    }

    /// How many requests are in flight to all instances, of those that are bounded by each other.
    pub(super) fn bounded(&self) -> &AtomicU32 {
        &self.bounded.0
    }

    /// So many failures in a row are too many.
    pub(super) fn row_allowed(&self) -> u32 {
        self.row_allowed
    }

    /// Has the instances judged without delay.
    pub(super) fn judge_now(&self) {
        self.wake.notify_one();
    }

    /// Says that there was an outcome: once until the instances are compared.
    pub(super) fn mark_used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
            self.wake.notify_one();
        }
    }
}

/// A moment in nanoseconds, in milliseconds; it wraps.
#[expect(clippy::cast_possible_truncation, reason = "it wraps, and is compared as it does")]
#[inline]
pub(super) fn stamp(nanos: u64) -> u32 {
    (nanos / 1_000_000) as u32
}

impl Loads {
    pub(crate) fn new(service: ServiceName, settings: Ejection, budget: RetryBudget, now: Instant) -> Self {
        let row = if settings.most_percent == 0 { u32::MAX } else { settings.failures_in_a_row };
        Self {
            service,
            settings,
            signal: Arc::new(Signal::new(now, row)),
            account: Arc::new(Account::new(budget, now)),
            cold: Cold::default().into(),
            generation: watch::Sender::new(0),
        }
    }

    /// The service's account of retries.
    pub(super) fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }

    /// The loads of these instances, in their order: those there are, and new ones.
    pub(super) fn of<'a>(&self, instances: impl Iterator<Item = &'a Arc<Instance>>) -> Vec<Arc<Load>> {
        let mut cold = self.cold.lock().unwrap_or_else(PoisonError::into_inner);
        let Cold { by_place, serial, .. } = &mut *cold;
        by_place.retain(|_, load| load.strong_count() > 0);
        let mut load = |instance: &Arc<Instance>| {
            let place = (instance.identity.clone(), Arc::clone(&instance.address), instance.port);
            let slot = by_place.entry(place).or_default();
            slot.upgrade().unwrap_or_else(|| {
                *serial = serial.wrapping_add(1);
                let fresh = Arc::new(Load::new(*serial, Arc::clone(&self.signal)));
                *slot = Arc::downgrade(&fresh);
                fresh
            })
        };
        instances.map(&mut load).collect()
    }

    /// Tells of the next gate that is set.
    pub(super) fn follow(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Waits until somebody should judge.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next call tells of it.
    pub(super) async fn asked_to_judge(&self) {
        self.signal.wake.notified().await;
    }

    /// Judges what came of the requests, and sets the gates. Says when to do so again, if nobody asks for it before.
    pub(super) fn judge(&self, now: Instant) -> Option<Instant> {
        if self.settings.most_percent == 0 {
            return None;
        }
        let mut cold = self.cold.lock().unwrap_or_else(PoisonError::into_inner);
        let Cold { by_place, outliers, told, .. } = &mut *cold;
        let used = self.signal.used.load(Ordering::Relaxed);
        if !used && outliers.is_quiet() {
            return None;
        }
        let live: Vec<(&Place, Arc<Load>)> =
            by_place.iter().filter_map(|(place, load)| Some((place, load.upgrade()?))).collect();
        let sample = |(_, load): &(&Place, Arc<Load>)| Sample {
            serial: load.serial(),
            row: load.row(),
            tally: load.tally(),
        };
        let samples: Vec<Sample> = live.iter().map(sample).collect();
        if outliers.is_due(&self.settings, now) {
            self.signal.used.store(false, Ordering::Relaxed);
        }
        let changes = outliers.judge(&samples, &self.settings, now);
        for change in &changes {
            let Some((place, load)) = live.get(change.at) else { continue };
            load.set_gate(match change.standing {
                Standing::Serving => OPEN,
                Standing::Probing => ON_TRIAL,
                Standing::Ejected(_) => 0,
            });
            self.tell(place, change, now);
        }
        let next = outliers.next(&self.settings).filter(|_| used || !outliers.is_quiet());
        let ejected = live.iter().filter(|(_, load)| load.is_ejected()).count();
        // Also when one went that was ejected: nothing changed then but that.
        let is_news = std::mem::replace(told, ejected) != ejected;
        drop(cold);
        if is_news {
            let ejected = u32::try_from(ejected).unwrap_or(u32::MAX);
            metrics::gauge!(telemetry::EJECTED, "service" => self.service.as_str().to_owned())
                .set(f64::from(ejected));
        }
        if !changes.is_empty() {
            self.generation.send_modify(|generation| *generation = generation.wrapping_add(1));
        }
        next
    }

    fn tell(&self, (identity, address, port): &Place, change: &Change, now: Instant) {
        let service = &self.service;
        let Standing::Ejected(until) = change.standing else {
            tracing::debug!(%service, id = %identity.id, why = %change.why, "an ejected instance is taken back");
            return;
        };
        let time = until.saturating_duration_since(now);
        tracing::warn!(
            %service, id = %identity.id, %address, port, why = %change.why, ?time,
            "an instance is ejected: it gets no requests for a while"
        );
        let count = metrics::counter!(
            telemetry::EJECTIONS, "service" => service.as_str().to_owned(), "reason" => change.why.label()
        );
        count.increment(1);
    }
}
