//! Paths: whether one is as it should be, and how it is written. PURE but for the answers.
//!
//! In:  a path as it was sent. Out: what it means; the answer that sends the client to the clean one, as Go's mux does.
//!
//! Never: takes a path that Consul would clean for another.
//!
//! Rules from Go: net/http `cleanPath`, net/url.

use axum::response::Response;
use http::{HeaderValue, StatusCode, Uri, header};

use super::bare;

/// The answer to a path that is not as it should be: 307 to the cleaned one (301 before 1.21), 400 where it cannot be printed.
pub(super) fn misplaced(uri: &Uri) -> Option<Response> {
    if is_plain(uri.path()) {
        return None;
    }
    let Some(path) = decode(uri.path(), Plus::IsPlus) else {
        return Some(bare(StatusCode::BAD_REQUEST));
    };
    if path.chars().any(char::is_control) {
        return Some(bare(StatusCode::BAD_REQUEST));
    }
    let clean = cleaned(&path);
    if clean == path {
        return None;
    }
    Some(elsewhere(&clean, uri.query()))
}

/// Sends on to another path.
pub(super) fn elsewhere(path: &str, query: Option<&str>) -> Response {
    let mut location = encode(path);
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    let Ok(value) = HeaderValue::try_from(&location) else { return bare(StatusCode::BAD_REQUEST) };
    let mut response = bare(StatusCode::TEMPORARY_REDIRECT);
    response.headers_mut().insert(header::LOCATION, value);
    response
}

/// Whether a path is as it should be at first sight, which nearly all are: nothing to decode, nothing to clean.
fn is_plain(path: &str) -> bool {
    let Some(parts) = path.strip_prefix('/') else { return false };
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'%';
    path.bytes().all(plain) && parts.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// A path without `//`, `.` and `..`; a `/` at its end stays.
fn cleaned(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut clean = String::from("/");
    clean.push_str(&parts.join("/"));
    if path.ends_with('/') && clean.len() > 1 {
        clean.push('/');
    }
    clean
}

/// A path as it stands in a URL (Go: net/url `EscapedPath`).
pub(super) fn encode(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~:@!$&'()*+,;=".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A path as it is meant; `None`: a bad escape, or no UTF-8.
pub(super) fn decoded(path: &str) -> Option<String> {
    decode(path, Plus::IsPlus)
}

/// What a `+` stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Plus {
    IsPlus,
    IsSpace,
}

/// Percent-decodes; `None` for a bad escape or what is no UTF-8.
pub(super) fn decode(text: &str, plus: Plus) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            b'+' if plus == Plus::IsSpace => out.push(b' '),
            byte => out.push(byte),
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, clean) in [
            ("/v1/kv//lead", "/v1/kv/lead"),
            ("/v1/a/../b", "/v1/b"),
            ("/v1/a/./b/", "/v1/a/b/"),
            ("/../..", "/"),
            ("/v1/a", "/v1/a"),
            ("/", "/"),
        ] {
            assert_eq!(cleaned(path), clean, "{path}");
            assert!(!is_plain(path) || path == clean, "{path}");
        }
    }
}
