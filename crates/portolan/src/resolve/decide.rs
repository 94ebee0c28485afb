//! What a resolver shows: an operator's list, one of its datacentres, the caller's fallback, or that all is too old. PURE.
//!
//! In:  how each datacentre stands, and the caller's bound, with `now`. Out: which is shown, how it is marked, and when
//! to look again if nothing is heard before.
//!
//! Never: shows what is past the bound without a mark; leaves a datacentre that can serve for a later one.
//!
//! Proof: `decide/tests.rs`, a table, and a property.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use super::{
    select::{OnStale, Select},
    selection::Mark,
};

/// How one datacentre stands.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// Whether an answer has ever come.
    pub(super) known: bool,
    /// Whether a start need not wait for more of it: the registry has answered, or has failed and a cache remembers.
    pub(super) answered: bool,
    /// Whether it has an instance to pick.
    pub(super) usable: bool,
    /// Whether it has one without a panic.
    pub(super) healthy: bool,
    /// When the newest proof came, and how old it was then.
    pub(super) proof: Option<(Instant, Duration)>,
    /// Since when what is known is void, if somebody declared it so and no read has succeeded since.
    pub(super) void: Option<Instant>,
    /// What the instances by themselves say of the picks.
    pub(super) quality: Mark,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// The operator's list.
    Override,
    /// This datacentre.
    View(usize),
    /// The caller's own list.
    Fallback,
    /// This datacentre, but no instance of it: the bound was passed then.
    TooOld(usize, Instant),
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) shown: Shown,
    pub(super) mark: Mark,
    /// Whether a caller who waits for the first answer has what it can get.
    pub(super) settled: bool,
    /// When a bound is passed next.
    pub(super) until: Option<Instant>,
}

/// Decides. `standings` has one for each datacentre, in the caller's order, and is never empty.
pub(super) fn decide(standings: &[Standing], forced: bool, select: &Select, now: Instant) -> Decision {
    if forced {
        return Decision { shown: Shown::Override, mark: Mark::Override, settled: true, until: None };
    }
    let ends: Vec<Option<Instant>> = standings.iter().map(|one| one.ends(select.max_age)).collect();
    let past: Vec<Option<Instant>> = ends.iter().map(|end| end.filter(|end| *end <= now)).collect();
    let until = ends.iter().flatten().filter(|end| **end > now).min().copied();
    let shown = which(standings, &past, &select.on_stale);
    let mark = match shown {
        Shown::View(at) => mark(standings, &past, at),
        Shown::TooOld(..) => Mark::Stale,
        Shown::Fallback => Mark::Fallback,
        Shown::Override => Mark::Override,
    };
    let all_answered = standings.iter().all(|one| one.answered);
    let settled = match shown {
        Shown::View(at) => {
            standings.get(at).is_some_and(|one| one.answered && (one.usable || all_answered))
                && past.get(at).is_some_and(Option::is_none)
        }
        _ => false,
    };
    Decision { shown, mark, settled, until }
}

fn which(standings: &[Standing], past: &[Option<Instant>], on_stale: &OnStale) -> Shown {
    let serves = |one: &Standing, past: &Option<Instant>| {
        one.usable && (past.is_none() || matches!(on_stale, OnStale::ServeStale))
    };
    let first = |wanted: fn(&Standing) -> bool| {
        standings.iter().zip(past).position(|(one, past)| wanted(one) && serves(one, past))
    };
    // One without a healthy instance has at most picks of a panic: a healthy one further away is better than these.
    if let Some(at) = first(|one| one.healthy).or_else(|| first(|_| true)) {
        return Shown::View(at);
    }
    let known = standings.first().is_some_and(|one| one.known);
    match (on_stale, past.first().copied().flatten()) {
        (OnStale::Fallback(_), Some(_)) => Shown::Fallback,
        (OnStale::Fallback(_), None) if !known => Shown::Fallback,
        (OnStale::Fail, Some(since)) => Shown::TooOld(0, since),
        // What is fresh, and what is served stale, is the answer, also when it is that there is none.
        _ => Shown::View(0),
    }
}

fn mark(standings: &[Standing], past: &[Option<Instant>], at: usize) -> Mark {
    let quality = standings.get(at).map_or(Mark::Ordinary, |one| one.quality);
    let stale = past.get(at).copied().flatten().map(|_| Mark::Stale);
    let elsewhere = (at > 0).then_some(Mark::Failover);
    // They are ordered by what a caller must know first.
    [stale, elsewhere].into_iter().flatten().fold(quality, Mark::min)
}

impl Standing {
    /// When what is known passes the bound, or has; `None`: never, or nothing is known that could.
    fn ends(&self, max_age: Option<Duration>) -> Option<Instant> {
        let by_age = max_age.zip(self.proof).and_then(|(max_age, (confirmed, admitted))| {
            match max_age.checked_sub(admitted) {
                Some(left) => confirmed.checked_add(left),
                // It was older than that already when it came.
                None => Some(confirmed),
            }
        });
        self.void.filter(|_| self.known).or(by_age)
    }
}

#[cfg(test)]
mod tests;
