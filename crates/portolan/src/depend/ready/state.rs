//! What is told of readiness: the stage, each need, and what differs between two moments. PURE.
//!
//! Never: tells less than what differs.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::sync::Arc;

use crate::{
    depend::graph::Lack,
    model::{Need, ServiceName},
    resolve::NoInstance,
};

/// How a service stands with what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Something required has not been there yet.
    Waiting,
    /// All that is required is there.
    Ready,
    /// It was ready, something required is lost, and it goes on ([`OnLoss::FailOpen`](super::OnLoss::FailOpen)).
    Degraded,
    /// It was ready, and something required is lost ([`OnLoss::FailClosed`](super::OnLoss::FailClosed)).
    NotReady,
}

impl Stage {
    /// Whether the service may be sent requests.
    #[must_use]
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded)
    }

    /// As a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::NotReady => "not ready",
        }
    }
}

/// One need.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NeedState {
    /// The need.
    pub need: Need,
    /// Whether it counts as met.
    pub met: bool,
    /// What it lacks as it was seen last; it may count as met for a while in spite of that.
    pub lack: Option<Lack>,
    /// Of a service without an instance: what the registry says of it.
    pub none: Option<NoInstance>,
}

/// How a service stands with what it needs, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadyState {
    /// Whose readiness it is.
    pub service: ServiceName,
    /// How it stands.
    pub stage: Stage,
    /// Each need, in the order of the declaration.
    pub needs: Vec<NeedState>,
}

impl ReadyState {
    /// Whether the service may be sent requests.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.stage.is_ready()
    }

    /// The required needs that are not met.
    pub fn missing(&self) -> impl Iterator<Item = &NeedState> {
        self.needs.iter().filter(|one| one.need.is_required() && !one.met)
    }

    /// The same as text: `db@^14: 2 known, 0 healthy; cache: no instance is registered`.
    #[must_use]
    pub fn missing_text(&self) -> String {
        let text = |one: &NeedState| match (&one.none, &one.lack) {
            (Some(none), _) => format!("{}: {none}", one.need),
            (None, Some(lack)) => format!("{}: {lack}", one.need),
            (None, None) => format!("{}: it is there, for less time than is asked for", one.need),
        };
        let all: Vec<String> = self.missing().map(text).collect();
        if all.is_empty() { "nothing is missing".to_owned() } else { all.join("; ") }
    }
}

/// What differs between two moments.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadyChanges {
    /// How it is now.
    pub now: Arc<ReadyState>,
    /// How it stood before.
    pub before: Stage,
    /// The needs that are met now, and were not.
    pub met: Vec<Need>,
    /// The needs that were met, and are not.
    pub lost: Vec<NeedState>,
}

impl ReadyChanges {
    /// `None`: nothing that is told.
    pub(super) fn between(before: &ReadyState, now: &Arc<ReadyState>) -> Option<Self> {
        let both = || before.needs.iter().zip(&now.needs);
        let met = both().filter(|(old, new)| !old.met && new.met).map(|(_, new)| new.need.clone()).collect();
        let lost = both().filter(|(old, new)| old.met && !new.met).map(|(_, new)| new.clone()).collect();
        let changes = Self { now: Arc::clone(now), before: before.stage, met, lost };
        let same = before.stage == now.stage && changes.met.is_empty() && changes.lost.is_empty();
        (!same).then_some(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_its_word_and_two_of_them_are_ready() {
        let all = [Stage::Waiting, Stage::Ready, Stage::Degraded, Stage::NotReady];
        assert_eq!(all.map(Stage::as_str), ["waiting", "ready", "degraded", "not ready"]);
        assert_eq!(all.map(Stage::is_ready), [false, true, true, false]);
    }

    #[test]
    fn what_differs_is_told_and_nothing_else() {
        let state = |stage, met: [bool; 2]| {
            let need = |(name, met): (&str, bool)| NeedState {
                need: name.parse().unwrap(),
                met,
                lack: None,
                none: None,
            };
            let needs = ["db", "cache"].into_iter().zip(met).map(need).collect();
            Arc::new(ReadyState { service: "web".parse().unwrap(), stage, needs })
        };
        let told = |before: &ReadyState, now: &Arc<ReadyState>| {
            let changes = ReadyChanges::between(before, now)?;
            assert_eq!((changes.before, &changes.now), (before.stage, now));
            let names = |all: &mut dyn Iterator<Item = String>| all.collect::<Vec<_>>().join(" ");
            let met = names(&mut changes.met.iter().map(ToString::to_string));
            let lost = names(&mut changes.lost.iter().map(|one| one.need.to_string()));
            Some(format!("+{met} -{lost}"))
        };
        let before = state(Stage::Ready, [true, false]);
        for (now, expected) in [
            (state(Stage::Ready, [true, false]), None),
            (state(Stage::Degraded, [true, false]), Some("+ -")),
            (state(Stage::Ready, [true, true]), Some("+cache -")),
            (state(Stage::Ready, [false, false]), Some("+ -db")),
            (state(Stage::NotReady, [false, true]), Some("+cache -db")),
        ] {
            assert_eq!(told(&before, &now).as_deref(), expected, "{now:?}");
        }
    }
}
