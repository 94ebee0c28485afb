//! What every watch of the registry obeys, whatever it reads: how long to rest, what to doubt, when to ask the leader.
//! PURE.
//!
//! In:  what an answer says about itself, or the class of an error. Out: a verdict.
//!
//! Never: remembers anything but when the leader was last asked, and what failed since the last answer.
//!
//! Rules from Consul 1.21: website/content/api-docs/features/blocking.mdx and consistency.mdx.
//! Proof: the tests of the machines that use them (`step/tests.rs`).
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use super::mode::Suspicion;
use crate::{
    backoff::Backoff,
    error::Kind,
    registry::AnswerMeta,
    snapshot::{Freshness, Hidden, Source},
};

/// How long a watch waits before it tries again, by class of error. The cap is what it may be behind when the registry
/// is back: a handful of low rolls reach it within seconds.
const AFTER_ERROR: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
/// The registry asked for fewer requests.
const AFTER_BUSY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// A person must mend it; asking often helps nobody.
const AFTER_DENIED: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(60));
/// Stale answers beyond the bound are repeated on the leader, but no more often than this: strict bounds would turn
/// cheap reads into load on the leader just when it has too much (Consul: features/consistency.mdx).
pub(super) const BETWEEN_ESCALATIONS: Duration = Duration::from_secs(10);

/// How long a watch rests after its failures: longer with each since the last answer that asked for such a rest.
///
/// Counted apart, for a registry that was away for a minute, and then asks for patience once, has asked for it once: a
/// view that rested as if it were the tenth time would be right half a minute after all others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Rests {
    errors: u32,
    busy: u32,
    denied: u32,
}

impl Rests {
    /// The rest after one more failure, of this kind.
    pub(super) fn after(&mut self, kind: Kind, roll: u64) -> Duration {
        let (backoff, count) = match kind {
            Kind::Denied => (AFTER_DENIED, &mut self.denied),
            Kind::Busy => (AFTER_BUSY, &mut self.busy),
            _ => (AFTER_ERROR, &mut self.errors),
        };
        *count = count.saturating_add(1);
        backoff.rest(*count, roll)
    }

    /// There was an answer.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }
}

/// Whether losing `lost` of `had` is too much to be believed at once after a break.
pub(super) fn is_mass_loss(had: usize, lost: usize, suspicion: Suspicion) -> bool {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    had >= suspicion.at_least && number(lost) > number(had) * suspicion.share
}

/// How fresh an answer is that was accepted now.
pub(super) fn freshness(meta: &AnswerMeta, now: Instant) -> Freshness {
    Freshness {
        source: Source::Live,
        index: meta.index.max(1),
        confirmed: Some(now),
        admitted: meta.last_contact.unwrap_or_default().saturating_add(meta.cache_age.unwrap_or_default()),
        streaming: meta.streaming,
    }
}

/// Whether access rules may hide something from this answer.
pub(super) fn hidden(meta: &AnswerMeta, is_empty: bool) -> Hidden {
    match meta.filtered_by_acls {
        Some(true) => Hidden::Yes,
        Some(false) => Hidden::No,
        None if is_empty && meta.maybe_acl => Hidden::Maybe,
        None => Hidden::No,
    }
}

/// Remembers when the leader was last asked because an answer was too old.
#[derive(Clone, Debug, Default)]
pub(super) struct Escalations {
    last: Option<Instant>,
}

impl Escalations {
    /// Whether this answer, from any server, is too old by `bound`, and the leader may be asked for a newer one. If so,
    /// it counts as asked.
    pub(super) fn is_due(&mut self, meta: &AnswerMeta, bound: Option<Duration>, now: Instant) -> bool {
        let (Some(bound), Some(age)) = (bound, meta.last_contact) else { return false };
        let lately = self.last.is_some_and(|at| now.saturating_duration_since(at) < BETWEEN_ESCALATIONS);
        // Without a leader there is nobody to ask: the stale answer is what there is, and its age says so.
        let due = age > bound && meta.known_leader != Some(false) && !lately;
        if due {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_as_old_as_the_bound_asks_nobody_and_an_older_one_asks_once_in_a_while() {
        let second = Duration::from_secs(1);
        let start = tokio::time::Instant::now().into_std();
        let at = |after: Duration| start.checked_add(after).unwrap();
        let mut escalations = Escalations::default();
        let aged = |age| AnswerMeta { last_contact: Some(age), ..AnswerMeta::new(1) };
        let leaderless = AnswerMeta { known_leader: Some(false), ..aged(second * 9) };
        for (name, meta, bound, now, due) in [
            ("no bound", aged(second * 9), None, start, false),
            ("no age", AnswerMeta::new(1), Some(second), start, false),
            ("nobody to ask", leaderless, Some(second), start, false),
            ("as old as it may be", aged(second), Some(second), start, false),
            ("older", aged(second * 2), Some(second), start, true),
            (
                "again, too soon",
                aged(second * 2),
                Some(second),
                at(BETWEEN_ESCALATIONS.saturating_sub(second)),
                false,
            ),
            ("again", aged(second * 2), Some(second), at(BETWEEN_ESCALATIONS), true),
        ] {
            assert_eq!(escalations.is_due(&meta, bound, now), due, "{name}");
        }
    }
}
