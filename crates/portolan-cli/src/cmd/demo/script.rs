//! What happens in the demo, and when. PURE: no clock, no process, no network.
//!
//! In:  how long the demo is, a seed, and whether the registry is ours to stop. Out: the instances to start with, and
//! each act when its time has come.
//!
//! Never: leaves fewer than four instances alive, so that a live one can always serve; touches one instance twice.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::VecDeque, time::Duration};

/// The shortest demo: each act needs a few seconds to be seen.
pub(crate) const SHORTEST: u64 = 20;
/// The longest: an hour.
pub(crate) const LONGEST: u64 = 3600;
/// How long our registry stays away. What follows leaves time to return: after so long an outage an instance's keeper
/// and the caller's view rest up to 5 s before they ask again.
const AWAY: Duration = Duration::from_secs(5);

/// An instance to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) id: String,
    pub(crate) zone: &'static str,
    pub(crate) version: &'static str,
}

/// Something that is done to the instances or to the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// The process gets SIGKILL: it cannot say goodbye.
    Kill(String),
    /// The process gets SIGTERM: it leaves as a good service does.
    Leave(String),
    /// A new instance comes; once it is healthy, the old one leaves.
    Deploy { new: Spec, old: String },
    /// The registry stops, and forgets everything.
    StopRegistry,
    /// It is started again on the same port, empty.
    StartRegistry,
    /// The demo is over.
    End,
}

/// Whose registry it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Started by the demo: it may be stopped.
    Ours,
    /// Somebody's: it is left alone.
    Theirs,
}

/// The acts to come, in order.
#[derive(Debug)]
pub(crate) struct Script {
    fleet: Vec<Spec>,
    acts: VecDeque<(Duration, Act)>,
}

impl Script {
    /// A script of `length` for instances called `PREFIX-1` and so on.
    pub(crate) fn new(prefix: &str, length: Duration, seed: u64, owner: Owner) -> Self {
        let fleet: Vec<Spec> = (1..=6_u8).map(|number| spec(prefix, number)).collect();
        // One of the first three is deployed anew, for they have the old version; the others are drawn.
        let mut chance = seed;
        let replaced = draw(&mut chance, 3);
        let others: Vec<usize> = (0..6).filter(|number| *number != replaced).collect();
        let killed = draw(&mut chance, others.len());
        let left = killed.saturating_add(1).saturating_add(draw(&mut chance, 4)) % 5;
        let id = |number: Option<&usize>| {
            number.and_then(|number| fleet.get(*number)).map(|spec| spec.id.clone()).unwrap_or_default()
        };
        let new = Spec { id: format!("{prefix}-7"), zone: zone(u8::from(replaced == 1)), version: "1.2.0" };
        let at = |percent: u32| length.saturating_mul(percent).checked_div(100).unwrap_or_default();
        let mut acts = VecDeque::from([
            (at(10), Act::Kill(id(others.get(killed)))),
            (at(19), Act::Leave(id(others.get(left)))),
            (at(28), Act::Deploy { new, old: id(Some(&replaced)) }),
        ]);
        if owner == Owner::Ours {
            let away = AWAY.min(at(17));
            acts.push_back((at(36), Act::StopRegistry));
            acts.push_back((at(36).saturating_add(away), Act::StartRegistry));
        }
        acts.push_back((length, Act::End));
        Self { fleet, acts }
    }

    /// The instances to start with.
    pub(crate) fn fleet(&self) -> &[Spec] {
        &self.fleet
    }

    /// When the next act is due.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.acts.front().map(|(at, _)| *at)
    }

    /// The next act whose time has come.
    pub(crate) fn due(&mut self, now: Duration) -> Option<Act> {
        self.acts.pop_front_if(|(at, _)| *at <= now).map(|(_, act)| act)
    }
}

fn spec(prefix: &str, number: u8) -> Spec {
    let version = if number <= 3 { "1.0.0" } else { "1.1.0" };
    Spec { id: format!("{prefix}-{number}"), zone: zone(number.wrapping_add(1) % 2), version }
}

fn zone(number: u8) -> &'static str {
    if number == 0 { "a" } else { "b" }
}

/// A number under `below`, by the generator of Steele, Lea and Flood ("splitmix64").
fn draw(state: &mut u64, below: usize) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let below = u64::try_from(below).unwrap_or(1).max(1);
    usize::try_from(mixed.checked_rem(below).unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(script: &mut Script) -> Vec<Act> {
        std::iter::from_fn(|| script.due(Duration::MAX)).collect()
    }

    #[test]
    fn acts_come_when_they_are_due_and_once() {
        let mut script = Script::new("web", Duration::from_secs(30), 1, Owner::Ours);
        assert_eq!(script.due(Duration::from_secs(2)), None);
        assert_eq!(script.next_at(), Some(Duration::from_secs(3)));
        assert!(matches!(script.due(Duration::from_secs(3)), Some(Act::Kill(_))));
        assert_eq!(script.due(Duration::from_secs(3)), None);
        assert_eq!(all(&mut script).last(), Some(&Act::End));
        assert_eq!(script.next_at(), None);
    }

    #[test]
    fn somebody_elses_registry_is_never_stopped() {
        let mut script = Script::new("web", Duration::from_secs(30), 1, Owner::Theirs);
        assert!(!all(&mut script).iter().any(|act| matches!(act, Act::StopRegistry | Act::StartRegistry)));
    }

    #[test]
    fn both_zones_have_both_versions() {
        let script = Script::new("web", Duration::from_secs(30), 1, Owner::Ours);
        let mut kinds: Vec<_> = script.fleet().iter().map(|spec| (spec.zone, spec.version)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), 4);
    }

    proptest! {
        #[test]
        fn no_instance_is_touched_twice(seed: u64, seconds in SHORTEST..LONGEST) {
            let mut script = Script::new("web", Duration::from_secs(seconds), seed, Owner::Ours);
            let mut touched = Vec::new();
            let mut last = Duration::ZERO;
            while let Some(at) = script.next_at() {
                prop_assert!(at > last);
                last = at;
                if let Some(Act::Kill(id) | Act::Leave(id) | Act::Deploy { old: id, .. }) = script.due(at) {
                    touched.push(id);
                }
            }
            touched.sort_unstable();
            touched.dedup();
            prop_assert_eq!(touched.len(), 3);
            for id in touched {
                prop_assert!(script.fleet().iter().any(|spec| spec.id == id));
            }
        }
    }
}
