//! A declaration of needs as pairs of meta, so that it travels in the registration and any Consul keeps it. PURE.
//!
//! In:  needs, and the meta that a service has besides; or meta that anybody wrote. Out: the pairs; or the needs that can
//! be read, and what cannot.
//!
//! ```text
//! portolan-needs    = "db@^14; cache?"          as `need.rs` writes it; who writes it by hand may use commas
//! portolan-needs    = "db@^14; cac\"            over 512 bytes it is split; "\" at the end: it goes on in -2, -3, …
//! portolan-needs-2  = "he?"
//! ```
//!
//! Never: sends what Consul would refuse; loses the needs that can be read for one that cannot; takes a part for the
//! whole.
//!
//! Rules from Consul: agent/structs/structs.go (`metaMaxKeyPairs`, `metaKeyMaxLength`, `metaValueMaxLength`).
//! Proof: `declare/tests.rs`: a table, and a property that any declaration survives; on a real Consul,
//! `tests/contract/needs.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc};

use super::need::{Need, Needs, Piece, pieces, read};
use crate::{error::Error, model::Meta};

/// The key of meta under which a service declares its needs; the next ones are `portolan-needs-2`, `portolan-needs-3`, …
pub const NEEDS_KEY: &str = "portolan-needs";

/// How many pairs meta may hold. Consul: `metaMaxKeyPairs`.
const PAIRS: usize = 64;
/// How long a value may be, in bytes. Consul: `metaValueMaxLength`.
const VALUE: usize = 512;
/// What stands at the end of a value that goes on in the next.
const GOES_ON: char = '\\';
/// How much of an unreadable text is kept, in characters.
const SHOWN: usize = 80;

/// What an instance declares to need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Declared {
    /// What can be read.
    pub needs: Vec<Need>,
    /// What cannot.
    pub unreadable: Vec<UnreadableNeed>,
}

/// A part of a declaration that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnreadableNeed {
    /// Its text, as far as it is worth a line.
    pub text: Arc<str>,
    /// What is wrong with it.
    pub why: Arc<str>,
}

impl UnreadableNeed {
    fn new(text: &str, why: impl Into<Arc<str>>) -> Self {
        Self { text: text.chars().take(SHOWN).collect::<String>().into(), why: why.into() }
    }
}

fn key(part: usize) -> String {
    if part == 1 { NEEDS_KEY.to_owned() } else { format!("{NEEDS_KEY}-{part}") }
}

/// Which part of a declaration stands under a key, from 1.
fn part_of(key: &str) -> Option<usize> {
    match key.strip_prefix(NEEDS_KEY)? {
        "" => Some(1),
        rest => rest.strip_prefix('-')?.parse().ok().filter(|part| *part > 1),
    }
}

/// The pairs of a declaration, in order; none for no needs.
#[must_use]
pub fn encode(needs: &Needs) -> Vec<(String, String)> {
    let text = needs.to_string();
    let mut rest = text.as_str();
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let next = pairs.len().saturating_add(1);
        let whole = rest.len() <= VALUE;
        let end = if whole {
            rest.len()
        } else {
            rest.floor_char_boundary(VALUE.saturating_sub(GOES_ON.len_utf8()))
        };
        let (value, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        pairs.push((key(next), if whole { value.to_owned() } else { format!("{value}{GOES_ON}") }));
        rest = after;
    }
    pairs
}

/// The pairs of a declaration that goes with this meta.
///
/// # Errors
/// [`Kind::Config`](crate::Kind::Config) when there would be more than 64 pairs, or the meta has a declaration of its own,
/// or one that cannot be read; says by how much it is too long.
pub(crate) fn fit(needs: &Needs, meta: &BTreeMap<String, String>) -> Result<Vec<(String, String)>, Error> {
    let own = meta.keys().find(|key| part_of(key).is_some());
    if let Some(key) = own.filter(|_| !needs.is_empty()) {
        let what = format!("meta.{key}: this key is written from `needs`; leave one of them out");
        return Err(Error::config(what));
    }
    let declared = own.map(|_| decode(&meta_of(meta))).unwrap_or_default();
    if let Some(wrong) = declared.unreadable.first() {
        let what = format!("meta.{NEEDS_KEY}: {:?}: {}", &*wrong.text, wrong.why);
        return Err(Error::config(what));
    }
    let pairs = encode(needs);
    let all = meta.len().saturating_add(pairs.len());
    if !pairs.is_empty() && all > PAIRS {
        let bytes: usize = pairs.iter().map(|(_, value)| value.len()).sum();
        let (count, over) = (pairs.len(), all.saturating_sub(PAIRS));
        let what = format!(
            "needs: the declaration has {bytes} bytes and takes {count} pairs of meta, beside {} that are given: {all}, \
             and Consul allows {PAIRS}; take away {over} pairs of meta, or needs of {} bytes",
            meta.len(),
            over.saturating_mul(VALUE)
        );
        return Err(Error::config(what));
    }
    Ok(pairs)
}

/// The needs that meta declares, as far as they can be read.
pub(crate) fn needs_in(meta: &BTreeMap<String, String>) -> Needs {
    decode(&meta_of(meta)).needs.into_iter().collect()
}

fn meta_of(pairs: &BTreeMap<String, String>) -> Meta {
    pairs.iter().map(|(key, value)| (Arc::from(&**key), Arc::from(&**value))).collect()
}

/// What an instance with this meta declares.
#[must_use]
pub fn decode(meta: &Meta) -> Declared {
    let parts: BTreeMap<usize, &str> =
        meta.iter().filter_map(|(key, value)| Some((part_of(key)?, value.as_ref()))).collect();
    let mut declared = Declared::default();
    let Some(last) = parts.keys().next_back() else {
        return declared;
    };
    let (mut text, mut next, mut goes_on) = (String::new(), 1_usize, true);
    while let Some(part) = parts.get(&next).filter(|_| goes_on) {
        let (value, more) = part.strip_suffix(GOES_ON).map_or((*part, false), |value| (value, true));
        text.push_str(value);
        goes_on = more;
        next = next.saturating_add(1);
    }
    let mut found = pieces(&text);
    if goes_on {
        // It may have been cut in the middle of a need, which then reads as another one.
        let cut = found.pop().map_or("", |piece| piece.text);
        declared
            .unreadable
            .push(UnreadableNeed::new(cut, format!("{} is missing, in which it goes on", key(next))));
    } else if *last >= next {
        let stray = parts.get(last).copied().unwrap_or_default();
        let why = format!("it stands in {}, and what is before it does not go on", key(*last));
        declared.unreadable.push(UnreadableNeed::new(stray, why));
    }
    for Piece { place, text } in found {
        match read(text) {
            Ok(need) => declared.needs.push(need),
            Err(wrong) => declared.unreadable.push(UnreadableNeed::new(text, wrong.why(place))),
        }
    }
    declared
}

#[cfg(test)]
mod tests;
