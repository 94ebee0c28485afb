//! How new are the answers of a registry that does not say? PURE.
//!
//! In:  what answers say about themselves. Out: the newest proof that the servers are in touch with their leader, and
//! with it the age of an answer that says nothing true about it.
//!
//! Never: takes a streamed answer for a proof: its headers always say 0 (COMPATIBILITY.md, C4).
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use crate::registry::AnswerMeta;

/// At `at` a server had heard from its leader `admitted` before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    at: Instant,
    admitted: Duration,
}

impl Proof {
    /// What is taken for the first one: nothing was proved since then.
    pub(super) fn none_since(start: Instant) -> Self {
        Self { at: start, admitted: Duration::ZERO }
    }

    /// What this answer proves.
    pub(super) fn of(meta: &AnswerMeta, now: Instant) -> Option<Self> {
        let admitted = meta.last_contact.filter(|_| !meta.streaming && meta.known_leader == Some(true))?;
        Some(Self { at: now, admitted: admitted.saturating_add(meta.cache_age.unwrap_or_default()) })
    }

    fn age(self, now: Instant) -> Duration {
        now.saturating_duration_since(self.at).saturating_add(self.admitted)
    }

    /// The one of them that is younger.
    pub(super) fn or(self, other: Self, now: Instant) -> Self {
        if other.age(now) < self.age(now) { other } else { self }
    }

    /// Says in a streamed answer how new it may be at best.
    pub(super) fn fill(self, meta: &mut AnswerMeta, now: Instant) {
        if meta.streaming {
            let said = meta.last_contact.unwrap_or_default();
            meta.last_contact = Some(said.max(self.age(now)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(streaming: bool, known_leader: Option<bool>, last_contact: Option<u64>) -> AnswerMeta {
        let mut meta = AnswerMeta::new(7);
        meta.streaming = streaming;
        meta.known_leader = known_leader;
        meta.last_contact = last_contact.map(Duration::from_secs);
        meta
    }

    #[test]
    fn c4_only_a_plain_answer_with_a_leader_and_a_last_contact_is_a_proof() {
        let now = tokio::time::Instant::now().into_std();
        for (streaming, leader, contact, proves) in [
            (false, Some(true), Some(1), true),
            (true, Some(true), Some(0), false),
            (false, Some(false), Some(1), false),
            (false, None, Some(1), false),
            (false, Some(true), None, false),
        ] {
            let proof = Proof::of(&meta(streaming, leader, contact), now);
            assert_eq!(proof.is_some(), proves, "{streaming} {leader:?} {contact:?}");
        }
    }

    #[test]
    fn c4_a_streamed_answer_is_as_old_as_the_youngest_proof_and_another_is_left_alone() {
        let second = Duration::from_secs(1);
        let start = tokio::time::Instant::now().into_std();
        let at = |seconds: u32| start.checked_add(second.saturating_mul(seconds)).unwrap();
        let mut proof = Proof::none_since(start);
        let age = |proof: Proof, now| {
            let mut streamed = meta(true, Some(true), Some(0));
            proof.fill(&mut streamed, now);
            streamed.last_contact.unwrap()
        };
        assert_eq!(age(proof, at(20)), second.saturating_mul(20), "nothing was proved yet");
        let old = Proof::of(&meta(false, Some(true), Some(60)), at(20)).unwrap();
        proof = proof.or(old, at(20));
        assert_eq!(age(proof, at(20)), second.saturating_mul(20), "an older proof proves nothing");
        proof = proof.or(Proof::of(&meta(false, Some(true), Some(1)), at(20)).unwrap(), at(20));
        assert_eq!(age(proof, at(22)), second.saturating_mul(3));
        let mut plain = meta(false, Some(true), Some(0));
        proof.fill(&mut plain, at(22));
        assert_eq!(plain.last_contact, Some(Duration::ZERO));
    }
}
