//! The trace of a request, handed on: W3C Trace Context, in HTTP's headers. PURE.
//!
//! In:  the headers of a request that came in. Out: `traceparent` and `tracestate` of one that goes out, as they were.
//!
//! Never: copies what is malformed; touches a trace that the outgoing request has already; makes one up.
//!
//! Rules: W3C Trace Context (Recommendation), sections 3.2 and 3.3. Proof: `trace/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// How many members a `tracestate` may have.
const MEMBERS: usize = 32;
/// How long a key and a value of it may be.
const LONGEST: usize = 256;

/// Hands the trace of a request that came in (`from`) on to one that goes out (`to`): its `traceparent`, and its
/// `tracestate` when that is well formed too.
///
/// Nothing is copied when there is no `traceparent`, when there are several, or when it is malformed; nor when `to` has
/// one already, such as that of a span of your own.
pub fn propagate(from: &HeaderMap, to: &mut HeaderMap) {
    let mut parents = from.get_all(&TRACEPARENT).iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else { return };
    if !is_parent(parent.as_bytes()) || to.contains_key(&TRACEPARENT) {
        return;
    }
    to.insert(TRACEPARENT, parent.clone());
    to.remove(&TRACESTATE);
    let states: Vec<&HeaderValue> = from.get_all(&TRACESTATE).iter().collect();
    if are_states(&states) {
        for state in states {
            to.append(TRACESTATE, state.clone());
        }
    }
}

/// `version-trace-parent-flags`, in lower-case hexadecimal; a later version may have more after them.
fn is_parent(value: &[u8]) -> bool {
    let mut parts = value.splitn(5, |byte| *byte == b'-');
    let mut next =
        |length: usize| parts.next().filter(|part| part.len() == length && part.iter().all(is_hex));
    let (Some(version), Some(trace), Some(parent), Some(_flags)) = (next(2), next(32), next(16), next(2))
    else {
        return false;
    };
    let is_zero = |part: &[u8]| part.iter().all(|byte| *byte == b'0');
    let has_more = parts.next().is_some();
    let is_version = version != b"ff" && (version != b"00" || !has_more);
    is_version && !is_zero(trace) && !is_zero(parent)
}

fn is_hex(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Members `key=value`, over all headers of the name; none of them twice.
fn are_states(values: &[&HeaderValue]) -> bool {
    let members = values.iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut keys = BTreeSet::new();
    for member in members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty()) {
        let mut halves = member.splitn(2, |byte| *byte == b'=');
        let (Some(key), Some(value)) = (halves.next(), halves.next()) else { return false };
        if !is_key(key) || !is_value(value) || !keys.insert(key) {
            return false;
        }
    }
    keys.len() <= MEMBERS
}

fn is_key(key: &[u8]) -> bool {
    let is_first = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    key.first().is_some_and(is_first)
        && key.len() <= LONGEST
        && key.iter().all(|byte| is_first(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@'))
}

fn is_value(value: &[u8]) -> bool {
    (1..=LONGEST).contains(&value.len())
        && value.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'='))
}

#[cfg(test)]
mod tests;
