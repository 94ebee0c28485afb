//! Findings about checks: reaped soon, reported late, never at rest. PURE.
//!
//! In:  what was read and watched. Out: findings, and what could not be told of checks.
//!
//! Never: guesses a TTL; calls a check late before more than half of its TTL was watched.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, time::Duration};

use portolan::{Status, format_duration};

use super::{
    catalog::reap,
    finding::{Code, Finding, Unread},
    seen::{Check, Seen, Watched},
};

/// Below this an instance is removed too soon.
const SOON: Duration = Duration::from_secs(600);

pub(super) fn findings(seen: &Seen) -> Vec<Finding> {
    let mut found = reaped_soon(seen);
    found.extend(seen.checks.iter().filter_map(|check| late(check, ttl(seen, check)?, &seen.watched)));
    found.extend(flapping(&seen.watched));
    found
}

/// What cannot be told, and why.
pub(super) fn unread(seen: &Seen) -> Vec<Unread> {
    let mut list = Vec::new();
    let own = |check: &&Check| !check.service_id.is_empty();
    let silent = seen.checks.iter().filter(own).filter(|check| !is_defined(seen, check)).count();
    if silent > 0 {
        let what = format!("TTL and time of removal of {silent} checks");
        list.push(Unread::new(what, "Consul tells them for checks in the asked agent's configuration alone"));
    }
    if seen.watched.time.is_zero() {
        list.push(Unread::new("checks that flap, late heartbeats", "nothing was watched; give --for 30s"));
    }
    list
}

fn is_defined(seen: &Seen, check: &Check) -> bool {
    check.defined != Default::default()
        || (check.node == seen.agent.node && seen.agent.defined.contains_key(&check.id))
}

fn ttl(seen: &Seen, check: &Check) -> Option<Duration> {
    // Nobody reports what another agent runs here.
    let of_agent = seen.agent.defined.get(&check.id).filter(|_| check.node == seen.agent.node)?;
    of_agent.ttl.or(check.defined.ttl)
}

fn reaped_soon(seen: &Seen) -> Vec<Finding> {
    let mut by_service: BTreeMap<&str, (Duration, Vec<String>)> = BTreeMap::new();
    for check in seen.checks.iter().filter(|check| !check.service_id.is_empty()) {
        if let Some(time) = reap(seen, check).filter(|time| *time < SOON) {
            let (least, places) = by_service.entry(&check.service).or_insert((time, Vec::new()));
            *least = time.min(*least);
            places.push(check.place());
        }
    }
    let finding = |(service, (time, places)): (&str, (Duration, Vec<String>))| {
        let what = format!("{service}: removed after {} as critical", format_duration(time));
        Finding::new(Code::ShortReap, what, places)
    };
    by_service.into_iter().map(finding).collect()
}

/// The longest time without a report in what was watched; the truth may be longer, never shorter.
fn silence(reports: &[Duration], watched: Duration) -> Duration {
    let mut longest = Duration::ZERO;
    let mut last = Duration::ZERO;
    for at in reports.iter().chain([&watched]) {
        longest = longest.max(at.saturating_sub(last));
        last = *at;
    }
    longest
}

/// The TTL check whose report a line of the agent's log tells. Consul: agent/checks/check.go `CheckTTL.SetStatus`.
pub(super) fn reported(line: &str) -> Option<&str> {
    let (_, after) = line.split_once("Check status updated: check=")?;
    let (id, _status) = after.rsplit_once(" status=")?;
    Some(id.trim_matches('"'))
}

fn late(check: &Check, ttl: Duration, watched: &Watched) -> Option<Finding> {
    let heard = watched.heard.as_ref()?;
    let of_this = heard.reports.get(&check.id).map(Vec::as_slice).unwrap_or_default();
    let dead = check.status == Status::Critical && of_this.is_empty();
    let silent = silence(of_this, heard.time);
    if dead || silent.saturating_mul(2) <= ttl {
        return None;
    }
    let whole = Duration::from_millis(u64::try_from(silent.as_millis()).unwrap_or(u64::MAX));
    let (silent, ttl) = (format_duration(whole), format_duration(ttl));
    let what = format!("{}: no report for {silent}, its TTL is {ttl}", check.id);
    Some(Finding::new(Code::SlowHeartbeat, what, [check.place()]))
}

fn flapping(watched: &Watched) -> impl Iterator<Item = Finding> {
    let often = watched.changes.iter().filter(|(_, seen)| seen.len() > 1);
    let time = format_duration(Duration::from_secs(watched.time.as_secs().max(1)));
    often.map(move |(place, seen)| {
        let words: Vec<&str> = seen.iter().take(6).map(|status| status.as_str()).collect();
        let what = format!("{} changes in {time}: {}", seen.len(), words.join(", "));
        Finding::new(Code::FlappingCheck, what, [place.clone()])
    })
}

#[cfg(test)]
mod tests;
