//! What is counted in a run, and what the counts say. PURE.
//!
//! In:  requests with how long they took and how they ended. Out: percentiles and shares. Never: a percentile of what
//! succeeded alone: who waits a second for a failure has waited.

use std::time::Duration;

/// What came of the requests of one run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    took: Vec<Duration>,
    failed: usize,
    /// Requests of a time that is looked at by itself, and the failures among them.
    after: (usize, usize),
}

impl Tally {
    pub(super) fn count(&mut self, took: Duration, is_well: bool) {
        self.took.push(took);
        self.failed += usize::from(!is_well);
    }

    pub(super) fn count_after(&mut self, is_well: bool) {
        self.after.0 += 1;
        self.after.1 += usize::from(!is_well);
    }

    pub(super) fn figures(mut self, judged: Judged) -> Figures {
        self.took.sort_unstable();
        let of = |permille| percentile(&self.took, permille);
        Figures {
            requests: self.took.len(),
            p50: of(500),
            p99: of(990),
            p999: of(999),
            failed: share(self.failed, self.took.len()),
            failed_after: share(self.after.1, self.after.0),
            judged,
        }
    }
}

/// The least of these, in order, that so many of a thousand do not exceed.
fn percentile(ordered: &[Duration], permille: usize) -> Duration {
    let rank = ordered.len().saturating_mul(permille).div_ceil(1_000).saturating_sub(1);
    ordered.get(rank).copied().unwrap_or_default()
}

fn share(part: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

/// What a run is judged by beside its times.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Judged {
    /// Picks of an instance that was ejected, or of one that was tried already.
    pub(super) against_ejection: u64,
    /// Picks of one that was tried after its ejection.
    pub(super) probes: u64,
    /// By caller.
    pub(super) loads: Vec<Load>,
}

/// What a caller asked for, and what reached the instances.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Load {
    /// Since its program began, and for how long.
    pub(super) life: Count,
    /// While nothing worked.
    pub(super) outage: Count,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Count {
    pub(super) offered: u64,
    pub(super) reached: u64,
    pub(super) seconds: f64,
}

impl Count {
    /// How many are allowed, with so many that were saved before.
    pub(super) fn allowed(&self, saved: f64) -> f64 {
        1.2 * self.offered as f64 + 10.0 * self.seconds + saved
    }

    pub(super) fn factor(&self) -> f64 {
        self.reached as f64 / (self.offered as f64).max(1.0)
    }
}

/// What the counts of one run say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) requests: usize,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) p999: Duration,
    /// From 0 to 1.
    pub(super) failed: f64,
    /// Of the requests after the outage.
    pub(super) failed_after: f64,
    pub(super) judged: Judged,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_least_that_so_many_do_not_exceed() {
        let ordered: Vec<Duration> = (1..=1_000).map(Duration::from_millis).collect();
        for (permille, expected) in [(500, 500), (990, 990), (999, 999), (1_000, 1_000), (0, 1)] {
            assert_eq!(percentile(&ordered, permille), Duration::from_millis(expected));
        }
        assert_eq!(percentile(&ordered[..10], 990), Duration::from_millis(10));
        assert_eq!(percentile(&ordered[..10], 500), Duration::from_millis(5));
        assert_eq!(percentile(&[], 990), Duration::ZERO);
    }

    #[test]
    fn failures_count_in_the_times_and_in_the_share() {
        let mut tally = Tally::default();
        for ms in 1..=100 {
            tally.count(Duration::from_millis(101 - ms), ms > 1);
            tally.count_after(ms % 4 == 0);
        }
        let figures = tally.figures(Judged::default());
        assert_eq!((figures.requests, figures.p99), (100, Duration::from_millis(99)));
        assert_eq!(
            (format!("{:.3}", figures.failed), format!("{:.3}", figures.failed_after)),
            ("0.010".to_owned(), "0.750".to_owned())
        );
        let none = Tally::default().figures(Judged::default());
        assert!(none.failed.abs() < 1e-9 && none.p50.is_zero());
    }

    #[test]
    fn the_load_that_is_allowed_is_a_fifth_more_and_ten_a_second() {
        let count = Count { offered: 1_000, reached: 1_300, seconds: 10.0 };
        assert!((count.allowed(5.0) - 1_305.0).abs() < 1e-9, "{}", count.allowed(5.0));
        assert!((count.factor() - 1.3).abs() < 1e-9);
    }
}
