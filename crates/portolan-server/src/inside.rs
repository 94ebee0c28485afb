//! What the fuzz targets need of what is private here. No part of the interface: it changes without notice.
//!
//! In:  rules and names, packets; paths of keys; any bytes in the place of rows or of a backup. Out: what they come to. Never:
//! is used by anything but `fuzz/`.

pub use crate::dns::Packets;

use std::time::Instant;

use crate::{
    acl::{Access, DefaultPolicy, Resource, authorizer::Authorizer, policy},
    api,
    backup::{Checker, decoded, misplaced},
    config::ServerConfig,
    core::home,
    state::{Kept, Restored, RowKey, State},
};

/// What rules, as a policy has them, allow on each kind of thing of one name: to read, to list, to write. Empty where the
/// same policy twice is not that policy, which is a bug.
///
/// # Errors
/// What is wrong with the rules.
pub fn allowed(rules: &str, name: &str) -> Result<Vec<[bool; 3]>, String> {
    let rules = policy::parse(rules).map_err(|bad| bad.to_string())?;
    let once = Authorizer::new([&rules], DefaultPolicy::Deny);
    let twice = Authorizer::new([&rules, &rules], DefaultPolicy::Deny);
    if once != twice {
        return Ok(Vec::new());
    }
    let of = |resource| {
        [Access::Read, Access::List, Access::Write].map(|access| once.allows(resource, name, access))
    };
    Ok(Resource::ALL.map(of).into())
}

/// A state that begins with these rows, and one that takes them on while it lives: either refuses them, or both have the same.
///
/// # Errors
/// What is wrong with the rows.
///
/// # Panics
/// When the two differ, or what was taken is not written as it is read.
#[expect(clippy::panic, clippy::expect_used, reason = "a fuzz target fails by a panic")]
pub fn rows(rows: Vec<(u64, Vec<u8>)>, index: u64, now: Instant) -> Result<usize, String> {
    let rows = decoded(rows, index)?;
    let ours = || home(&ServerConfig::default(), "id".into());
    let again = rows.clone();
    let Restored { state, misfits, .. } = State::restore(rows, index, ours(), now);
    let mut living = State::new(ours(), now);
    match living.replace(again, index, now) {
        Ok(_) if misfits.is_empty() => {}
        Err(_) if !misfits.is_empty() => return Err(misplaced(&misfits)),
        other => panic!("a start and a restore disagree: {misfits:?} {other:?}"),
    }
    let keys = |state: &State| state.rows().into_iter().map(|(key, _)| key).collect::<Vec<RowKey>>();
    assert_eq!(keys(&state), keys(&living), "a start and a restore keep the same rows");
    for (_, row) in state.rows() {
        let bytes = row.encode().expect("what is held can be written");
        assert_eq!(Kept::decode(&bytes).as_ref().map(Kept::modify), Ok(row.modify()));
    }
    Ok(state.rows().len())
}

/// The same of a backup, whose sums are right.
///
/// # Errors
/// What is wrong with it.
pub fn backup(bytes: &[u8], now: Instant) -> Result<usize, String> {
    let mut checker = Checker::keeping();
    checker.push(bytes).map_err(|wrong| wrong.to_string())?;
    let (summary, found) = checker.into_rows().map_err(|wrong| wrong.to_string())?;
    rows(found, summary.index, now)
}

/// The key that a request's target names, and that name up to `separator` behind `prefix`.
pub fn key_named(target: &str, prefix: &str, separator: &str) -> Option<(String, String)> {
    api::named(target, prefix, separator)
}

/// The target that names a key.
pub fn key_target(name: &str) -> String {
    api::target(name)
}
