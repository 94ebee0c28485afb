//! The page `/ui/`: files that are a part of the program, and how a browser gets them.
//!
//! In:  a request. Out: a file, that it has not changed, or that it is not there; `None` for what is none of the page's.
//!
//! The files are `ui/*.html`, `*.css`, `*.js` and `*.svg`, as they are: there is no build step. What they ask the registry is
//! its public interface, so they work before a real Consul, too ([`pass`]).
//!
//! Never: reads the disk; lets a browser run or load what is not from here; has one use an old file without asking.
//!
//! Proof: `ui/tests.rs`, `tests/http/page.rs`, and in a browser `cargo xtask page`.

use std::{collections::BTreeMap, sync::LazyLock};

use axum::{body::Body, response::Response};
use http::{HeaderValue, Method, Request, StatusCode, header};
use xxhash_rust::xxh3::xxh3_64;

use crate::config::ServerConfig;

pub(crate) mod pass;

/// Where the page is.
const PLACE: &str = "/ui/";

/// What a browser may do with it: run and load what is here, ask here, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! files {
    ($($kind:ident: $($name:literal),+;)+) => {
        &[$($(($name, $kind, include_bytes!(concat!("ui/", $name)).as_slice())),+),+]
    };
}

/// Name, type, bytes.
const FILES: &[(&str, &str, &[u8])] = files! {
    HTML: "index.html";
    CSS: "page.css", "parts.css";
    SVG: "icon.svg";
    JS: "act.js", "api.js", "changes.js", "checks.js", "dialog.js", "dom.js", "graph-data.js", "graph.js", "health.js",
        "instance.js", "keys.js", "layout.js", "list.js", "live.js", "main.js", "needs.js", "node.js", "nodes.js", "pace.js",
        "pulse.js", "route.js", "search.js", "service-data.js", "service.js", "services.js", "status.js", "store.js",
        "theme.js", "token.js", "version.js", "words.js";
};

/// A file as it is sent.
struct File {
    kind: &'static str,
    bytes: &'static [u8],
    /// From its bytes: the same file has the same one in every process.
    tag: HeaderValue,
}

static BY_NAME: LazyLock<BTreeMap<&'static str, File>> = LazyLock::new(|| {
    let file = |&(name, kind, bytes): &(&'static str, &'static str, &'static [u8])| {
        let tag = HeaderValue::try_from(format!("\"{:016x}\"", xxh3_64(bytes))).ok()?;
        Some((name, File { kind, bytes, tag }))
    };
    FILES.iter().filter_map(file).collect()
});

/// The page's answer, where the page is wanted and the request is for it.
pub(crate) fn answer<B>(config: &ServerConfig, request: &Request<B>) -> Option<Response> {
    if config.ui { file(request) } else { None }
}

/// The answer to a request for the page; `None`: it is for something else.
fn file<B>(request: &Request<B>) -> Option<Response> {
    let path = request.uri().path();
    // As Consul does (agent/http.go `Index`).
    if path == "/" || path == "/ui" {
        return Some(moved());
    }
    let name = path.strip_prefix(PLACE)?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "the page is only read: GET or HEAD\n");
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET,HEAD"));
        return Some(refused);
    }
    let name = if name.is_empty() { "index.html" } else { name };
    let Some(file) = BY_NAME.get(name) else {
        return Some(plain(StatusCode::NOT_FOUND, "the page has no such file; it is at /ui/\n"));
    };
    let known = request.headers().get_all(header::IF_NONE_MATCH).iter();
    Some(if known.filter_map(|value| value.to_str().ok()).any(|tags| has(tags, file)) {
        dressed(file, StatusCode::NOT_MODIFIED, Body::empty())
    } else {
        dressed(file, StatusCode::OK, Body::from(file.bytes))
    })
}

/// Whether one of the tags that a browser knows is the file's (RFC 9110, section 13.1.2: `W/` makes no difference here).
fn has(tags: &str, file: &File) -> bool {
    let own = file.tag.to_str().unwrap_or_default();
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == own)
}

fn dressed(file: &File, status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
    headers.insert(header::ETAG, file.tag.clone());
    // Kept, and asked for each time: after an upgrade no file is older than the others.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

fn moved() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(PLACE));
    response
}

fn plain(status: StatusCode, text: impl Into<Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests;
