//! The laws of registrations that are judged where a call begins or arrives, or the agent does something by itself.
//!
//! In:  a call, the evidence of its id. Out: broken laws; what the call does to the agent.
//!
//! - Law 4: what is unchanged is not sent again; a repair shows nothing healthy as critical, and ends no operator's
//!   maintenance; the id of a working instance of somebody else is not taken, and nothing of somebody else's removed;
//!   what lives on the first agent is not sent to another; a check that is reported does not expire.
//! - Law 6 of calls: sends, removals and looks rest when they fail.
//!
//! Never: judges what the keeper could not know yet.

use std::time::Duration;

use portolan::{Status, registry::Definition};
use tokio::time::Instant;

use crate::{
    agency::{Agency, Verb, settle},
    agent::Happened,
    claim::Seen,
    stage::Inner,
};

/// Judges what the agent did by itself.
pub(crate) fn happened(inner: &mut Inner, happened: &Happened) {
    match happened {
        Happened::Reaped { id, at } => {
            inner.trace.note(format_args!("{id} was critical for long, and is reaped"));
            if let Some(claim) = inner.agency.claims.get_mut(id) {
                claim.stale();
                claim.trouble = claim.trouble.max(*at);
                claim.due = None;
            }
        }
        Happened::Silent { id, ttl, at } => {
            inner.trace.note(format_args!("{id}: its TTL of {ttl:?} passed"));
            let Agency { claims, reports_trouble, woke, .. } = &inner.agency;
            let Some(claim) = claims.get(id).filter(|claim| claim.open && claim.ours && !claim.unsure) else {
                return;
            };
            let quiet = *reports_trouble + *ttl * 2 + Duration::from_secs(5);
            let settled = claim.trouble + *ttl * 2 + Duration::from_secs(15);
            // Nobody reports while the clock stands, nor in the moment until that is noticed.
            let awake = *at > *woke + Duration::from_secs(2);
            if *at > quiet && *at > settled && awake {
                inner.broken(4, format!("{id}: its TTL of {ttl:?} passed, though nothing kept reports back"));
            }
        }
    }
}

/// A call begins: what its rate and what is known say about it.
pub(crate) fn begins(inner: &mut Inner, verb: Verb, id: &str, now: Instant) {
    settle(inner, now);
    let agency = &mut inner.agency;
    if verb == Verb::Look {
        // A removal looks too, twice: it has a rate of its own.
        let sweeps = agency.claims.get(id).is_some_and(|claim| claim.open);
        if sweeps && agency.looks.take(now, Duration::from_millis(200)) {
            inner.broken(6, "the agent is asked what it holds without a rest");
        }
        return;
    }
    let Some(claim) = agency.claims.get_mut(id) else { return };
    let empty = match verb {
        Verb::Send => claim.sends.take(now, Duration::from_secs(3)),
        Verb::Remove => claim.removals.take(now, Duration::from_secs(1)),
        _ => false,
    };
    let theirs = claim.theirs >= 2 || claim.theirs == 1 && claim.only_theirs;
    let streak = claim.streak;
    let unchanged = claim.settled || streak >= 2;
    let elsewhere = claim.elsewhere;
    if verb == Verb::Send {
        claim.only_theirs = false;
        claim.touched = true;
    }
    if empty {
        inner.broken(6, format!("{id}: {verb:?} without a rest"));
    } else if verb == Verb::Send && theirs {
        inner.broken(4, format!("{id}: sent, though looks found an instance of another that works"));
    } else if verb == Verb::Send && unchanged {
        let what = format!("{id}: sent again, though nothing has changed; {streak} looks in a row said so");
        inner.broken(4, what);
    } else if verb == Verb::Send && elsewhere && inner.agency.lives_on_the_first(id) {
        inner.broken(4, format!("{id}: sent to another agent, while it lives on the first"));
    }
}

/// A definition arrives at the agent.
pub(crate) fn takes(inner: &mut Inner, sent: &Definition, now: Instant) {
    let id = sent.id.as_str();
    let agency = &mut inner.agency;
    let before = agency.held(id);
    let new = |check: &str| before.is_none_or(|held| !held.checks.contains_key(check));
    let claim = agency.claims.get(id).filter(|claim| claim.ours);
    let unearned = claim.and_then(|claim| {
        sent.checks.iter().find(|check| {
            let was_well = if check.check.is_ttl() {
                claim.said != Status::Critical
            } else {
                claim.healthy.get(check.id.as_str()).is_some_and(|row| *row >= 2)
            };
            let shows = check.check.initial.unwrap_or(Status::Critical);
            was_well && shows == Status::Critical && new(check.id.as_str())
        })
    });
    let ended = claim.is_some_and(|claim| claim.maintained >= 2 && !claim.gated);
    if ended && sent.maintenance.is_none() {
        inner.broken(4, format!("{id}: a repair ends an operator's maintenance"));
        return;
    }
    if let Some(check) = unearned {
        let what = format!("{id}: a repair shows {} as critical, which it was not", check.id);
        inner.broken(4, what);
        return;
    }
    if let Some(claim) = agency.claims.get_mut(id) {
        claim.applied = claim.version;
    }
    let (agent, chance) = agency.agent();
    agent.register(sent, now, chance);
}

/// A removal arrives at the agent.
pub(crate) fn removes(inner: &mut Inner, id: &str, now: Instant) {
    let agency = &inner.agency;
    if let (Some(held), Some(claim)) = (agency.held(id), agency.claims.get(id)) {
        let just = |(at, seen): &(Instant, Seen)| {
            matches!(seen, Seen::Same | Seen::Differs) && *at + Duration::from_secs(6) >= now
        };
        if held.port != claim.port && !claim.told.as_ref().is_some_and(just) {
            inner.broken(4, format!("{id}: an instance of another was removed, and nobody had looked"));
            return;
        }
        let drained = claim.drained.is_some_and(|since| agency.trouble + Duration::from_secs(30) < since);
        if drained && held.port == claim.port && held.maintenance.is_none() {
            inner.broken(4, format!("{id}: it was to be drained, and is removed while callers choose it"));
            return;
        }
    }
    let agency = &mut inner.agency;
    if let Some(claim) = agency.claims.get_mut(id) {
        claim.stale();
        claim.ours = false;
        // What looks found well goes with it: what is sent under this id next is another instance.
        claim.healthy.clear();
    }
    let (agent, chance) = agency.agent();
    agent.deregister(id, now, chance);
}

/// A report found no check.
pub(crate) fn unknown(inner: &mut Inner, id: &str) {
    let Some(claim) = inner.agency.claims.get_mut(id) else { return };
    claim.stale();
    // A check that somebody took away from it is reported all the same; one of an instance that is gone is not.
    let told = claim.told.as_ref().filter(|(at, _)| claim.acked.is_none_or(|acked| acked < *at));
    // With what a look found, who the agent is has to be told too.
    let known = |at: Instant| at.elapsed() > Duration::from_secs(6);
    let gone = told.is_some_and(|(at, seen)| *seen == Seen::Missing && known(*at));
    claim.unknown = if gone { claim.unknown + 1 } else { 0 };
    if claim.unknown > 4 {
        inner.broken(4, format!("{id}: reported again and again, though looks did not find it"));
    }
}
