//! The law of what a registration is promised while its handle lives.
//!
//! In:  a handle's state, what the agent holds, the evidence of its id. Out: how it is broken.
//!
//! Law 4: it is on the agent as it was sent, at most one repair after the last trouble ended, or its state says why not; a
//! state never says `registered` for longer than a sweep while it is not true, nor before the catalogue was seen to show it.

use std::time::Duration;

use portolan::{Kind, RegistrationHandle, RegistrationState};
use tokio::time::Instant;

use crate::{agency::PROMPT, stage::Inner, troubles::OPERATOR};

/// The same while sweeps fail or hang: until it is said that the agent cannot be seen.
pub(crate) const BLIND: Duration = Duration::from_secs(32);
/// The longest rest, a sweep, calls that hung, and a breaker that probes.
pub(crate) const REPAIR: Duration = Duration::from_secs(60);
/// Without trouble for so long, nothing of it is left.
pub(crate) const SETTLED: Duration = Duration::from_secs(45);
/// A state without its moment, which no two runs share.
pub(crate) fn word(state: &RegistrationState) -> String {
    match state {
        RegistrationState::Repairing { reason, .. } => format!("Repairing: {reason}"),
        other => format!("{other:?}"),
    }
}

/// Law 4 of one handle.
pub(crate) fn judge(
    inner: &mut Inner,
    handle: &RegistrationHandle,
    lost: &mut Option<Instant>,
    ttl: Option<Duration>,
    now: Instant,
) -> Result<(), String> {
    use RegistrationState as State;
    let (sent, state, id) = (handle.definition(), handle.state(), handle.id().as_str());
    let agency = &mut inner.agency;
    let held = agency.held(id);
    let same = held.is_some_and(|held| held.is_as_sent(sent));
    let reported = held.and_then(|held| held.checks.values().find(|check| check.is_reported()));
    let reported = reported.map(|check| check.status);
    let reason = held.and_then(|held| held.maintenance.clone());
    // Also one that he set on an earlier instance of the same id, which this one took over.
    let operators = reason.as_deref() == Some(OPERATOR);
    let (all, woke) = (agency.trouble, agency.woke);
    // What was said while another agent answered was said there.
    let elsewhere = agency.is_elsewhere(id);
    let Some(claim) = agency.claims.get_mut(id) else { return Err("nobody knows its id".to_owned()) };
    let since = if same { None } else { Some(*lost.get_or_insert(now)) };
    *lost = since;
    // A moment ago it was right, whoever changes it again and again.
    let since = since
        .map(|since| claim.acked.max(claim.right).max(Some(woke)).map_or(since, |right| right.max(since)));
    let trouble = all.max(claim.trouble);
    let quiet = now.duration_since(trouble.min(now));
    if matches!(state, State::Gone | State::Draining { .. }) {
        return Err("it leaves, though nobody closed it".to_owned());
    }
    if state == State::Registered {
        let limit = since.map(|since| if all + SETTLED < since { PROMPT } else { BLIND });
        if let (Some(since), Some(limit)) = (since, limit)
            && now.duration_since(since) > limit
        {
            return Err(format!("it has not been on the agent so for {:?}", now.duration_since(since)));
        }
        if claim.shown.is_none() || claim.shown < claim.acked {
            return Err("the catalogue was not seen to show it since it was sent".to_owned());
        }
    }
    if claim.due.is_some_and(|due| due <= now) {
        claim.due = None;
        if !same {
            return Err("it was not put right within one repair".to_owned());
        }
    }
    if quiet <= REPAIR {
        return Ok(());
    }
    match state {
        State::Refused { kind: Kind::Conflict, .. } if !same => Ok(()),
        State::Registered if !same => Err("it is not on the agent as it was sent".to_owned()),
        State::Registered
            if !claim.operated
                && !operators
                && !elsewhere
                && reason.is_some() != (claim.gated && !claim.announced) =>
        {
            Err(format!("in maintenance: {reason:?}, which nobody wanted"))
        }
        State::Registered => match (ttl, reported) {
            (Some(_), Some(status)) if status != claim.said => {
                Err(format!("its TTL check is {status}, and it says that it is {}", claim.said))
            }
            _ => Ok(()),
        },
        _ => Err(format!("all has been well for {quiet:?}")),
    }
}
