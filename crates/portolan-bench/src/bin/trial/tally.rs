//! What the library measured of itself: a recorder behind the `metrics` facade, for a few names.
//!
//! In:  what the library records. Out: counts, and the times of reports.
//!
//! Never: costs the program that is tried more than a few atomic additions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Each place holds times up to an eighth of a doubling above the place before it.
const PLACES: usize = 256;
const EACH_DOUBLING: f64 = 8.0;

/// Times from a microsecond on, by their order of size.
#[derive(Debug)]
pub(crate) struct Times {
    places: Vec<AtomicU64>,
    longest: AtomicU64,
}

impl Default for Times {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(), longest: AtomicU64::new(0) }
    }
}

impl HistogramFn for Times {
    fn record(&self, seconds: f64) {
        let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.longest.fetch_max(nanos, Ordering::Relaxed);
        let above = (0..PLACES - 1).find(|place| time <= upper(*place));
        if let Some(place) = self.places.get(above.unwrap_or(PLACES - 1)) {
            place.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn upper(place: usize) -> Duration {
    let doublings = u32::try_from(place).map_or(f64::INFINITY, f64::from) / EACH_DOUBLING;
    Duration::try_from_secs_f64(1e-6 * doublings.exp2()).unwrap_or(Duration::MAX)
}

impl Times {
    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.places.iter().for_each(|place| place.store(0, Ordering::Relaxed));
        self.longest.store(0, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.places.iter().map(|place| place.load(Ordering::Relaxed)).sum()
    }

    /// So many of a hundred took no longer; a ninth part too long at most.
    pub(crate) fn percent(&self, percent: u64) -> Duration {
        let wanted = (self.count() * percent).div_ceil(100);
        let mut seen = 0;
        for (number, place) in self.places.iter().enumerate() {
            seen += place.load(Ordering::Relaxed);
            if seen >= wanted {
                return upper(number);
            }
        }
        Duration::ZERO
    }

    pub(crate) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest.load(Ordering::Relaxed))
    }
}

/// The reports, and all calls to the registry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// How long each report took.
    pub(crate) reports: Arc<Times>,
    /// Reports that were not answered with a yes.
    pub(crate) refused: Arc<AtomicU64>,
    /// All calls.
    pub(crate) calls: Arc<AtomicU64>,
}

impl Tally {
    /// A tally of all that this process records from here on.
    ///
    /// # Errors
    /// When something else records already.
    pub(crate) fn begin() -> anyhow::Result<Self> {
        let tally = Self::default();
        metrics::set_global_recorder(tally.clone()).map_err(|taken| anyhow::anyhow!("a tally: {taken}"))?;
        Ok(tally)
    }

    pub(crate) fn clear(&self) {
        self.reports.clear();
        self.refused.store(0, Ordering::Relaxed);
        self.calls.store(0, Ordering::Relaxed);
    }
}

impl Recorder for Tally {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let fine = || key.labels().any(|label| label.key() == "outcome" && label.value() == "ok");
        match key.name() {
            "portolan_check_reports_total" if !fine() => Counter::from_arc(Arc::clone(&self.refused)),
            "portolan_registry_requests_total" => Counter::from_arc(Arc::clone(&self.calls)),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match key.name() {
            "portolan_check_report_seconds" => Histogram::from_arc(Arc::clone(&self.reports)),
            _ => Histogram::noop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_again_by_their_share() {
        let times = Times::default();
        for millis in 1..=100u32 {
            times.record(f64::from(millis) / 1e3);
        }
        times.record(f64::NAN);
        assert_eq!((times.count(), times.longest()), (101, Duration::from_millis(100)));
        for (percent, least) in [(50, 50), (99, 99)] {
            let found = times.percent(percent);
            let least = Duration::from_millis(least);
            assert!(found >= least && found <= least * 6 / 5, "{percent} %: {found:?}");
        }
        times.clear();
        assert_eq!((times.count(), times.percent(50)), (0, upper(0)));
    }
}
