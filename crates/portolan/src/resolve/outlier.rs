//! Which instances get no requests for a while, because those that they got went wrong: outlier ejection, and the way
//! back. PURE.
//!
//! In:  what came of the requests to each instance of a view, with `now`. Out: whose gate is to be set, and how.
//!
//! Each instance has a circuit breaker: closed (serving), open (ejected, each time for longer), half open (probing: one
//! request at a time). What opens it: failures in a row; and, each interval, failing more than the others, or being
//! slower than they, as Envoy's outlier detection (its "consecutive 5xx" and "success rate").
//!
//! Where all that serve fail in a row, their failures tell nothing of any one of them: who is out comes back, and nobody is
//! ejected for a row until an interval later. Else the half that is in when an outage ends would have to do the work of all.
//!
//! Never: ejects the last one, or more than the share that is set; forgets how often one was ejected while it goes on
//! to fail; judges one by what it did at another address.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use super::load::Tally;
use crate::duration::format_duration;

mod judge;
mod settings;

use judge::{Suspect, suspects};
pub use settings::Ejection;

/// One instance as it stands when all are judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Who it is: never used again for another.
    pub(super) serial: u32,
    /// Failures since its last success, or since its gate was set.
    pub(super) row: u32,
    pub(super) tally: Tally,
}

/// How an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It gets its share.
    Serving,
    /// It gets nothing until then.
    Ejected(Instant),
    /// It gets one request at a time.
    Probing,
}

/// A gate that is to be set: that of the sample at this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) at: usize,
    pub(super) standing: Standing,
    pub(super) why: Why,
}

/// Why a gate is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// So many failures in a row.
    Row(u32),
    /// So many percent failed, and of the others' so many.
    Failing { percent: u8, others: u8 },
    /// So many microseconds on average, and of the others the middle one so many.
    Slow { micros: u64, others: u64 },
    /// A request failed that was to show whether it is well again.
    ProbeFailed,
    /// Its time is over: it is tried.
    TimeOver,
    /// The tries succeeded.
    Recovered,
    /// All fail, so that it is no outlier.
    AllFail,
}

impl Why {
    /// The word for it, as a label.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Row(_) => "failures_in_a_row",
            Self::Failing { .. } => "failing",
            Self::Slow { .. } => "slow",
            Self::ProbeFailed => "probe",
            Self::TimeOver | Self::Recovered | Self::AllFail => "return",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(row) => write!(f, "{row} failures in a row"),
            Self::Failing { percent, others } => {
                write!(f, "{percent} % of its requests failed, {others} % of the others'")
            }
            Self::Slow { micros, others } => {
                let [own, others] = [micros, others].map(|micros| Duration::from_micros(*micros));
                let [own, others] = [own, others].map(format_duration);
                write!(f, "its requests took {own} on average, the middle one's {others}")
            }
            Self::ProbeFailed => f.write_str("it was tried again, and failed"),
            Self::TimeOver => f.write_str("its time is over, and it is tried with one request at a time"),
            Self::Recovered => f.write_str("the requests that tried it succeeded"),
            Self::AllFail => f.write_str("those that were not ejected fail too"),
        }
    }
}

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(super) struct Outliers {
    known: BTreeMap<u32, Known>,
    /// When the others were last compared.
    compared: Option<Instant>,
    /// Until then a row of failures tells nothing, for all had one.
    all_failed_until: Option<Instant>,
}

#[derive(Debug)]
struct Known {
    standing: Standing,
    /// How often it was ejected, less the intervals that it has served since.
    times: u32,
    /// At the last comparison, or when its standing changed.
    seen: Tally,
}

impl Outliers {
    /// Judges every instance of the view. What is not among the samples is gone, and forgotten.
    pub(super) fn judge(&mut self, samples: &[Sample], settings: &Ejection, now: Instant) -> Vec<Change> {
        let mut before = std::mem::take(&mut self.known);
        for one in samples {
            let fresh = || Known { standing: Standing::Serving, times: 0, seen: Tally::default() };
            let known = before.remove(&one.serial).unwrap_or_else(fresh);
            self.known.insert(one.serial, known);
        }
        let mut changes = self.returns(samples, settings, now);
        changes.extend(self.ejects(samples, settings, now));
        changes
    }

    /// When to judge again, if no failure asks for it before: when one is to be tried, or the others are to be compared.
    pub(super) fn next(&self, settings: &Ejection) -> Option<Instant> {
        let ejected = self.known.values().filter_map(|known| match known.standing {
            Standing::Ejected(until) => Some(until),
            _ => None,
        });
        let interval = self.compared.and_then(|last| last.checked_add(settings.interval));
        ejected.chain(interval.filter(|_| !self.known.is_empty())).min()
    }

    /// Whether none is ejected, nor tried.
    pub(super) fn is_quiet(&self) -> bool {
        self.known.values().all(|known| known.standing == Standing::Serving)
    }

    /// Whether the others are to be compared.
    pub(super) fn is_due(&self, settings: &Ejection, now: Instant) -> bool {
        self.compared.is_none_or(|last| now.saturating_duration_since(last) >= settings.interval)
    }

    /// Those whose time is over are tried; those that were tried are judged by what came of it.
    fn returns(&mut self, samples: &[Sample], settings: &Ejection, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        for (at, one) in samples.iter().enumerate() {
            let Some(known) = self.known.get_mut(&one.serial) else { continue };
            let came = one.tally.since(known.seen);
            let (standing, why) = match known.standing {
                Standing::Ejected(until) if until <= now => (Standing::Probing, Why::TimeOver),
                Standing::Probing if came.failures > 0 => (known.eject(settings, now), Why::ProbeFailed),
                Standing::Probing if came.outcomes >= settings.probes => (Standing::Serving, Why::Recovered),
                _ => continue,
            };
            known.standing = standing;
            known.seen = one.tally;
            changes.push(Change { at, standing, why });
        }
        changes
    }

    fn ejects(&mut self, samples: &[Sample], settings: &Ejection, now: Instant) -> Vec<Change> {
        let due = self.is_due(settings, now);
        let serving: Vec<(usize, Sample, Tally)> = samples
            .iter()
            .enumerate()
            .filter_map(|(at, one)| {
                let known = self.known.get(&one.serial)?;
                let serves = known.standing == Standing::Serving;
                serves.then(|| (at, *one, one.tally.since(known.seen)))
            })
            .collect();
        let mut found = suspects(&serving, settings, due);
        if due {
            self.next_interval(samples, now);
        }
        if samples.len() > 1 && serving.iter().all(|(_, one, _)| one.row >= settings.failures_in_a_row) {
            self.all_failed_until = now.checked_add(settings.interval);
            return self.all_return(samples);
        }
        if self.all_failed_until.is_some_and(|until| now < until) {
            found.retain(|suspect| !matches!(suspect.why, Why::Row(_)));
        }
        let out = samples.len().saturating_sub(serving.len());
        let room = settings.most_ejected(samples.len()).saturating_sub(out);
        // The last one goes on, however it does.
        let room = room.min(serving.len().saturating_sub(1));
        let mut changes = Vec::new();
        for Suspect { at, why } in found.into_iter().take(room) {
            let Some(one) = samples.get(at) else { continue };
            let Some(known) = self.known.get_mut(&one.serial) else { continue };
            known.standing = known.eject(settings, now);
            known.seen = one.tally;
            changes.push(Change { at, standing: known.standing, why });
        }
        changes
    }

    fn all_return(&mut self, samples: &[Sample]) -> Vec<Change> {
        let mut changes = Vec::new();
        for (at, one) in samples.iter().enumerate() {
            let Some(known) = self.known.get_mut(&one.serial) else { continue };
            if known.standing != Standing::Serving {
                (known.standing, known.seen) = (Standing::Serving, one.tally);
                changes.push(Change { at, standing: Standing::Serving, why: Why::AllFail });
            }
        }
        changes
    }

    fn next_interval(&mut self, samples: &[Sample], now: Instant) {
        self.compared = Some(now);
        for one in samples {
            let Some(known) = self.known.get_mut(&one.serial) else { continue };
            if known.standing == Standing::Serving {
                known.seen = one.tally;
                known.times = known.times.saturating_sub(1);
            }
        }
    }
}

impl Known {
    /// Ejected from now on: for the base time at first, and longer each time.
    fn eject(&mut self, settings: &Ejection, now: Instant) -> Standing {
        self.times = self.times.saturating_add(1);
        let time = settings.base.saturating_mul(self.times).min(settings.longest);
        Standing::Ejected(now.checked_add(time).unwrap_or(now))
    }
}

#[cfg(test)]
mod tests;
