//! Findings about the registry's answers: hidden, old, going back; its clock; how many connections it is held by. PURE.
//!
//! In:  what headers said, indexes in their order, clocks, sockets. Out: findings, and what headers did not say.
//!
//! Never: takes the rounding of a header for a difference.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use portolan::format_duration;

use super::{
    finding::{Code, Finding, Unread},
    seen::{Clock, Seen},
};

/// How long ago the answering server may have heard from the leader. The library reads again on the leader past 10 s;
/// a healthy follower stays under half a second.
const OLD: Duration = Duration::from_secs(1);
/// How far clocks may be apart.
const APART: Duration = Duration::from_secs(2);

pub(super) fn findings(seen: &Seen) -> Vec<Finding> {
    let leaderless = seen.answers.iter().filter(|(_, meta)| meta.known_leader == Some(false));
    let mut found: Vec<Finding> = places(leaderless.map(|(place, _)| place))
        .map(|places| Finding::new(Code::NoLeader, "no leader is known to the answering server", places))
        .into_iter()
        .collect();
    let hidden = seen.answers.iter().filter(|(_, meta)| meta.filtered_by_acls == Some(true));
    found.extend(places(hidden.map(|(place, _)| place)).map(|places| {
        let what = format!("{} answers leave out what the token may not see", places.len());
        Finding::new(Code::HiddenByAcl, what, places)
    }));
    found.extend(stale(seen));
    found.extend(went_back(&seen.indexes));
    found.extend(skew(&seen.clocks));
    found.extend(crowded(seen));
    found
}

/// Their names, each once; `None` where there is none.
fn places<'a>(all: impl Iterator<Item = &'a String>) -> Option<BTreeSet<&'a String>> {
    let names: BTreeSet<&String> = all.collect();
    (!names.is_empty()).then_some(names)
}

pub(super) fn unread(seen: &Seen) -> Option<Unread> {
    let silent = seen.answers.iter().filter(|(_, meta)| meta.maybe_acl).count();
    let why = "Consul before 1.11 does not say whether it left something out, so an empty answer may be a hidden one";
    (silent > 0).then(|| Unread::new(format!("whether the token hides something in {silent} answers"), why))
}

fn stale(seen: &Seen) -> Option<Finding> {
    let of = |place: &String, at: Option<Duration>| Some((at?, place.clone()));
    let old = seen.answers.iter().filter_map(|(place, meta)| of(place, meta.last_contact));
    let old: Vec<(Duration, String)> = old.filter(|(age, _)| *age > OLD).collect();
    let oldest = old.iter().map(|(age, _)| *age).max()?;
    let what = format!("the answering server last heard from the leader {} ago", format_duration(oldest));
    let places: BTreeSet<String> = old.into_iter().map(|(_, place)| place).collect();
    Some(Finding::new(Code::StaleReads, what, places))
}

fn went_back(indexes: &[(String, u64)]) -> Option<Finding> {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let mut back = BTreeMap::new();
    for (question, index) in indexes {
        if let Some(before) = last.insert(question, *index).filter(|before| before > index) {
            back.entry(question).or_insert((before, *index));
        }
    }
    let place =
        |(question, (before, after)): (&&String, &(u64, u64))| format!("{question}: {before}, then {after}");
    let places: Vec<String> = back.iter().map(place).collect();
    (!places.is_empty())
        .then(|| Finding::new(Code::IndexWentBack, "an index went back between two reads", places))
}

/// How far the clocks are apart at least, and whether the registry's is ahead.
fn apart(clock: &Clock) -> (Duration, bool) {
    // The header leaves out what is less than a second.
    let theirs_at_most = clock.theirs.saturating_add(Duration::from_secs(1));
    let ahead = clock.theirs.saturating_sub(clock.after);
    let behind = clock.before.saturating_sub(theirs_at_most);
    (ahead.max(behind), !ahead.is_zero())
}

fn skew(clocks: &[Clock]) -> Option<Finding> {
    // The least: a proxy's cache may give an old time once.
    let (least, ahead) = clocks.iter().map(apart).min()?;
    let word = if ahead { "ahead of" } else { "behind" };
    let seconds = format_duration(Duration::from_secs(least.as_secs()));
    let what = format!("the registry's clock is {seconds} {word} this machine's");
    (least > APART).then(|| Finding::new(Code::ClockSkew, what, ["the header Date"]))
}

fn crowded(seen: &Seen) -> Option<Finding> {
    let (load, limit) = (seen.load.as_ref()?, seen.agent.connections?);
    // Four fifths: what is left is soon taken by one more program.
    if load.connections.saturating_mul(5) < limit.saturating_mul(4) {
        return None;
    }
    let what = format!("{} of {limit} connections from {} are taken", load.connections, load.from);
    Some(Finding::new(Code::ConnectionsNearLimit, what, [load.to.clone()]))
}

#[cfg(test)]
mod tests;
