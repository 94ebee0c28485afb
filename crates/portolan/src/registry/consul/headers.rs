//! Reads what an answer's headers say about it. PURE.
//!
//! In:  headers. Out: [`AnswerMeta`]. Each header is read by itself: an unreadable one costs only itself.
//!
//! Rules from Consul: api/api.go `parseQueryMeta`, agent/http.go `setIndex`, `setCacheMeta`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::Duration;

use http::HeaderMap;

use crate::registry::{AnswerMeta, Consistency};

/// Whether a token was sent with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Sent,
    None,
}

pub(super) fn read(headers: &HeaderMap, token: Token) -> AnswerMeta {
    let number = |name: &str| text(headers, name).and_then(|text| text.parse::<u64>().ok());
    let mut meta = AnswerMeta::new(number("x-consul-index").unwrap_or(1));
    meta.known_leader = truth(headers, "x-consul-knownleader");
    meta.last_contact = number("x-consul-lastcontact").map(Duration::from_millis);
    meta.consistency = match text(headers, "x-consul-effective-consistency") {
        Some("leader" | "default") => Some(Consistency::Default),
        Some("stale") => Some(Consistency::Stale),
        Some("consistent") => Some(Consistency::Consistent),
        _ => None,
    };
    meta.filtered_by_acls = truth(headers, "x-consul-results-filtered-by-acls");
    let deny = text(headers, "x-consul-default-acl-policy") == Some("deny");
    meta.maybe_acl = meta.filtered_by_acls.is_none() && (token == Token::Sent || deny);
    meta.streaming = text(headers, "x-consul-query-backend") == Some("streaming");
    meta.cache_age = number("age").map(Duration::from_secs);
    meta.translated = truth(headers, "x-consul-translate-addresses") == Some(true);
    meta
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn truth(headers: &HeaderMap, name: &str) -> Option<bool> {
    match text(headers, name)? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
