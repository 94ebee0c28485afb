//! What can happen to the registrations of a run: faults of the agent, somebody who meddles, services that come and go.
//!
//! To add a fault: a field of [`Faults`], its effect in `agency.rs`, and a row here. [`mend`] ends them all.

use portolan::{Kind, Weights};
use tokio::time::Instant;

use crate::{
    agency::{self, Faults},
    agent::{Held, OWN},
    chance::Chance,
    play::Play,
    stage::Inner,
};

/// What an agent says that refuses.
const REFUSALS: [Kind; 6] =
    [Kind::Denied, Kind::Busy, Kind::Unavailable, Kind::Unreachable, Kind::Malformed, Kind::Rejected];
/// The port of somebody else's instances.
const THEIRS: u16 = 7_000;

/// A change that somebody makes to an instance which is not theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meddling {
    TagAdded,
    TagsTurned,
    Meta,
    Weights,
    CheckRemoved,
    Port,
    Removed,
}

const ALL: [Meddling; 7] = [
    Meddling::TagAdded,
    Meddling::TagsTurned,
    Meddling::Meta,
    Meddling::Weights,
    Meddling::CheckRemoved,
    Meddling::Port,
    Meddling::Removed,
];

/// One event of a chaotic time.
pub(crate) fn event(play: &mut Play) {
    let Play { stage, discovery, keep, .. } = play;
    match keep.chance.below(28) {
        0..5 => keep.hire(stage, discovery),
        5 => keep.report(stage),
        6 => keep.announce(stage),
        7 => keep.sicken(stage),
        8..11 => keep.dismiss(stage, discovery),
        11 => keep.abort(stage),
        12..16 => fault(play),
        16 | 17 => agent_restarts(play),
        18 | 19 => meddle(play, false),
        20 => somebody_else(play),
        21 => meddle(play, true),
        22 => maintenance(play),
        23 => panics(play),
        24 => catalogue_loses(play),
        25 | 26 => another_agent(play),
        _ => {
            stage.note(format_args!("the agent is mended"));
            stage.with(mend);
        }
    }
}

/// One thing on an ordinary day, which is put right at once.
pub(crate) fn ordinary(play: &mut Play) {
    let Play { stage, discovery, keep, .. } = play;
    match keep.chance.below(8) {
        0 | 1 => keep.hire(stage, discovery),
        2 if keep.chance.one_in(2) => keep.announce(stage),
        2 => keep.report(stage),
        3 => keep.dismiss(stage, discovery),
        _ => {
            let Some(id) = keep.any(stage, true) else { return };
            let due = keep.due(&id);
            let what = keep.chance.one_of(&ALL).copied().unwrap_or(Meddling::Removed);
            stage.change(|inner| {
                let now = Instant::now();
                if meddled(inner, &id, what, now)
                    && let Some(claim) = inner.agency.claims.get_mut(&id)
                {
                    // What is under the id now is somebody else's, and is left to them.
                    if what == Meddling::Port {
                        return;
                    }
                    // A sweep finds what is changed; that it is gone, a report finds too.
                    let due = if what == Meddling::Removed { due } else { agency::PROMPT };
                    claim.due = Some(now + due);
                }
            });
        }
    }
}

/// Somebody changes an instance; says whether that changed anything.
fn meddled(inner: &mut Inner, id: &str, what: Meddling, now: Instant) -> bool {
    agency::settle(inner, now);
    let agency = &mut inner.agency;
    let (agent, chance) = agency.agent();
    let Some(held) = agent.services.get_mut(id) else { return false };
    match what {
        Meddling::TagAdded => held.tags.push("theirs".to_owned()),
        Meddling::TagsTurned => {
            let before = held.tags.clone();
            held.tags.reverse();
            if held.tags == before {
                return false;
            }
        }
        Meddling::Meta => drop(held.meta.insert("zone".to_owned(), "b".to_owned())),
        Meddling::Weights => held.weights = Weights { passing: 7, warning: 1 },
        Meddling::CheckRemoved => {
            if held.checks.pop_first().is_none() {
                return false;
            }
        }
        Meddling::Port => held.port = THEIRS,
        Meddling::Removed => drop(agent.services.remove(id)),
    }
    agent.touch(now, chance);
    if let Some(claim) = agency.claims.get_mut(id) {
        claim.stale();
        claim.trouble = now;
        // What was owed for a change before is owed no more.
        claim.due = None;
    }
    inner.trace.note(format_args!("somebody changes {id}: {what:?}"));
    true
}

/// The meddler does it again as soon as it was put right.
pub(crate) fn meddle_again(inner: &mut Inner, now: Instant) {
    let Some((id, what)) = inner.agency.meddler.take() else { return };
    let agency = &inner.agency;
    let right =
        agency.held(&id).zip(agency.definitions.get(&id)).is_some_and(|(held, sent)| held.is_as_sent(sent));
    if right {
        meddled(inner, &id, what, now);
    }
    inner.agency.meddler = Some((id, what));
}

fn meddle(play: &mut Play, again: bool) {
    let Play { stage, keep, .. } = play;
    let Some(id) = keep.any(stage, false) else { return };
    let what = keep.chance.one_of(&ALL).copied().unwrap_or(Meddling::Removed);
    stage.change(|inner| {
        let now = Instant::now();
        meddled(inner, &id, what, now);
        if again {
            inner.agency.meddler = Some((id, what));
            agency::settle(inner, now);
        }
    });
}

/// Somebody else takes an id, or leaves it.
fn somebody_else(play: &mut Play) {
    let Play { stage, keep, .. } = play;
    let Some(id) = keep.given() else { return };
    let (leaves, works) = (keep.chance.one_in(3), keep.chance.one_in(2));
    let name = keep.chance.one_of(&OWN).copied().unwrap_or("mail");
    stage.change(|inner| {
        let now = Instant::now();
        agency::settle(inner, now);
        let agency = &mut inner.agency;
        let (agent, chance) = agency.agent();
        if leaves {
            agent.services.retain(|other, held| *other != id || held.port != THEIRS);
        } else {
            agent.services.insert(id.clone(), Held::foreign(name, THEIRS, works, now));
        }
        agent.touch(now, chance);
        if let Some(claim) = agency.claims.get_mut(&id) {
            claim.stale();
            claim.trouble = now;
            claim.due = None;
        }
        let what = if leaves { "leaves" } else { "takes" };
        inner.trace.note(format_args!("somebody else {what} the id {id}; works: {works}"));
    });
}

fn agent_restarts(play: &mut Play) {
    let Play { stage, keep, .. } = play;
    let (with_data, stays_down) = (keep.chance.one_in(2), keep.chance.one_in(3));
    stage.change(|inner| {
        let now = Instant::now();
        agency::settle(inner, now);
        inner.agency.disturbed(now);
        inner.agency.all_stale();
        inner.agency.faults.down |= stays_down;
        let (agent, chance) = inner.agency.agent();
        agent.restart(with_data, now, chance);
        let what = if with_data { "with its data" } else { "without its data" };
        inner.trace.note(format_args!("the agent is started again, {what}; down: {stays_down}"));
    });
}

/// Another agent answers: beside the first, which lives, or in its place.
fn another_agent(play: &mut Play) {
    let Play { stage, keep, .. } = play;
    let (roll, now) = (keep.chance.below(3), Instant::now());
    stage.change(|inner| {
        agency::settle(inner, now);
        match roll {
            0 => inner.agency.replace(now),
            roll => inner.agency.balance(roll == 1, &inner.net, now),
        }
        inner.trace.note(format_args!("another agent answers: {roll}"));
    });
}

/// Why an operator takes an instance out of service.
pub(crate) const OPERATOR: &str = "the operator's reason";

/// An operator sets or lifts maintenance.
fn maintenance(play: &mut Play) {
    let Play { stage, keep, .. } = play;
    let Some(id) = keep.any(stage, false) else { return };
    let reason = keep.chance.one_in(2).then_some(OPERATOR);
    stage.with(|inner| {
        let now = Instant::now();
        agency::settle(inner, now);
        let (agent, chance) = inner.agency.agent();
        agent.maintenance(&id, reason, now, chance);
        if let Some(claim) = inner.agency.claims.get_mut(&id) {
            claim.operated = true;
            claim.maintained = 0;
        }
        inner.trace.note(format_args!("an operator: maintenance of {id}: {}", reason.is_some()));
    });
}

fn panics(play: &mut Play) {
    play.stage.with(|inner| {
        inner.agency.panics = true;
        inner.trace.note(format_args!("the next call panics"));
    });
}

/// The catalogue loses what it held, or goes back to an earlier state; the agents put it right in their time.
fn catalogue_loses(play: &mut Play) {
    let Play { stage, keep, .. } = play;
    let roll = keep.chance.below(4);
    stage.with(|inner| {
        inner.agency.disturbed(Instant::now());
        let catalogue = &mut inner.agency.catalogue;
        match roll {
            0 | 1 => catalogue.save(),
            2 => drop(catalogue.restore()),
            _ => catalogue.reset(false),
        }
        inner.trace.note(format_args!("the catalogue of registrations: {roll}"));
    });
}

fn fault(play: &mut Play) {
    let Play { stage, keep, .. } = play;
    let faults = roll_fault(&mut keep.chance);
    stage.change(|inner| {
        let now = Instant::now();
        agency::settle(inner, now);
        inner.agency.disturbed(now);
        let down = inner.agency.faults.down;
        inner.agency.faults = Faults { down, ..faults };
        inner.trace.note(format_args!("{faults:?}"));
    });
}

fn roll_fault(chance: &mut Chance) -> Faults {
    let (kind, reports) = (chance.one_of(&REFUSALS).copied().unwrap_or(Kind::Busy), chance.one_in(3));
    let mut faults = Faults::default();
    match chance.below(10) {
        0..3 => faults.refuse = Some((kind, reports)),
        3 => faults.hang = true,
        4 => faults.lose = true,
        5 | 6 => faults.flaky = chance.below(100),
        7 => faults.slow = chance.millis(10, 9_000),
        8 => faults.hidden = true,
        _ => faults.denied = true,
    }
    faults
}

/// All faults of the agent end.
pub(crate) fn mend(inner: &mut Inner) {
    agency::settle(inner, Instant::now());
    inner.agency.faults = Faults::default();
    if inner.agency.is_balanced() {
        inner.agency.balance(false, &inner.net, Instant::now());
    }
    inner.agency.meddler = None;
    inner.agency.panics = false;
}
