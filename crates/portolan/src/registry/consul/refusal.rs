//! Turns an answer that is not 200 into an error: its kind, and a text that says what to do. PURE.
//!
//! In:  the request, the status, the body. Out: an [`Error`].
//!
//! Never: repeats more of a body than its first line, cut to 200 characters; shows a token.
//!
//! Rules from Consul: agent/http.go `handleErr`, agent/acl.go, agent/consul/rate/handler.go; CONSUL errors in
//! COMPATIBILITY.md, E1 and on.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use http::StatusCode;

use crate::error::{Error, Kind};

/// How much of a body's first line a message repeats, in characters.
const SHOWN: usize = 200;

pub(super) fn refused(request: &str, status: StatusCode, body: &[u8]) -> Error {
    let text = String::from_utf8_lossy(body);
    let kind = kind(status, &text);
    let line = first_line(&text);
    let mut what = format!("{request}: {}", status.as_u16());
    if !line.is_empty() {
        what.push_str(": ");
        what.push_str(line.trim_end().trim_end_matches('.'));
    }
    if let Some(advice) = advice(kind, status, &text) {
        what.push_str("; ");
        what.push_str(advice);
    }
    Error::new(kind, what)
}

/// `it begins with "…"; `, of a body that is not what it should be; nothing of an empty one.
pub(super) fn begins(body: &[u8]) -> String {
    // More than a line's worth is not looked at, so that a character may be cut at the end.
    let start = body.trim_ascii_start();
    let text = String::from_utf8_lossy(start.get(..SHOWN.saturating_mul(4)).unwrap_or(start));
    match first_line(&text).trim_end() {
        "" => String::new(),
        line => format!("it begins with {line:?}; "),
    }
}

fn first_line(text: &str) -> String {
    let line = text.trim_start().lines().next().unwrap_or_default();
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect()
}

fn kind(status: StatusCode, text: &str) -> Kind {
    match status.as_u16() {
        401 | 403 | 407 => Kind::Denied,
        // Consul's own pages stand under /ui/, and nothing is asked there.
        400..500 if is_page(text) => Kind::Malformed,
        404 => Kind::NotFound,
        429 | 503 => Kind::Busy,
        408 => Kind::Unavailable,
        // Consul before 1.11 answers 500 where newer versions answer 404 (agent/agent.go updateTTLCheck).
        500 if unknown_check(text) => Kind::NotFound,
        // A filter that the agent cannot read stays unreadable: 500 before Consul 1.10, 400 since.
        500 if text.starts_with("Failed to create boolean expression evaluator") => Kind::Rejected,
        // Some builds refuse a service name that DNS cannot carry, with a 500 (seen on a 1.21.4).
        500 if text.contains("contains invalid characters") => Kind::Rejected,
        500.. => Kind::Unavailable,
        _ => Kind::Rejected,
    }
}

/// Whether it is a web page: of a proxy, or of another product.
fn is_page(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(14).collect();
    ["<!doctype html", "<html"].iter().any(|words| start.to_ascii_lowercase().starts_with(words))
}

fn unknown_check(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["does not have associated ttl", "unknown check", "unknown service"]
        .iter()
        .any(|words| text.contains(words))
}

fn advice(kind: Kind, status: StatusCode, text: &str) -> Option<&'static str> {
    match kind {
        Kind::Denied => Some("check the token and its policies"),
        Kind::Malformed => Some("that is a web page; check that the address is a Consul agent's"),
        Kind::Busy if text.contains("too many concurrent connections") => {
            Some("raise the agent's limits.http_max_conns_per_client, or reach it over https")
        }
        Kind::Busy if status == StatusCode::TOO_MANY_REQUESTS && text.trim().is_empty() => Some(
            "the agent's limit is reached; likely limits.http_max_conns_per_client or its request rate limit",
        ),
        Kind::Rejected if status.is_redirection() => {
            Some("redirects are not followed; give the address it leads to")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
