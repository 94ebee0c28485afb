//! Reads a request and writes its answer: which question, in which form, under which code. PURE.
//!
//! In:  method, target, `Accept`. Out: a [`Route`], and with the report a [`HealthResponse`].
//!
//! Never: takes `*/*` for a wish for JSON: Consul sends it, and keeps the text as the check's output.
//!
//! Rules from Consul: agent/checks/check.go (`CheckHTTP` sends `Accept: text/plain, text/*, */*`).
//! Proof: `route/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::{
    combine::{HealthReport, HealthView},
    document::HEALTH_JSON,
};
use crate::error::{Error, Kind};

/// The longest path, in bytes.
const PATH: usize = 255;

/// Where each question is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    pub(crate) live: String,
    pub(crate) ready: String,
    pub(crate) check: String,
}

impl Default for Paths {
    fn default() -> Self {
        Self { live: "/livez".into(), ready: "/readyz".into(), check: "/health".into() }
    }
}

impl Paths {
    /// Looks at what can be wrong with them.
    pub(super) fn validate(&self) -> Result<(), Error> {
        let wrong = |what: String| Err(Error::new(Kind::Config, what));
        for (field, path) in [("live", &self.live), ("ready", &self.ready), ("check", &self.check)] {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
            if !path.starts_with('/') || path.len() > PATH || !path.chars().all(plain) {
                let shown: String = path.chars().take(64).collect();
                return wrong(format!(
                    "health.{field}_path: {shown:?} is not \"/\" and up to {PATH} of A-Z a-z 0-9 - . _ ~ /; write \
                     it as \"/health\""
                ));
            }
        }
        if self.live == self.ready || self.live == self.check || self.ready == self.check {
            let Self { live, ready, check } = self;
            return wrong(format!(
                "health.check_path: liveness, readiness and the check need paths of their own, not {live:?}, \
                 {ready:?} and {check:?}"
            ));
        }
        Ok(())
    }

    fn view(&self, path: &str) -> Option<HealthView> {
        match path {
            _ if path == self.live => Some(HealthView::Live),
            _ if path == self.ready => Some(HealthView::Ready),
            _ if path == self.check => Some(HealthView::Check),
            _ => None,
        }
    }
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
}

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Show(HealthView, Form),
    NotFound,
    WrongMethod,
}

impl Route {
    /// Reads a request. JSON is written when `Accept` names it, or with `?format=json`; text otherwise.
    pub(crate) fn of(paths: &Paths, method: &str, target: &str, accept: Option<&str>) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let Some(view) = paths.view(path) else { return Self::NotFound };
        if !matches!(method, "GET" | "HEAD") {
            return Self::WrongMethod;
        }
        let asked = query.split('&').any(|pair| pair == "format=json");
        let form = if asked || accept.is_some_and(names_json) { Form::Json } else { Form::Text };
        Self::Show(view, form)
    }
}

/// Whether an `Accept` header names JSON, and not to say that it is not wanted.
fn names_json(accept: &str) -> bool {
    accept.split(',').any(|one| {
        let mut words = one.split(';').map(str::trim);
        let kind = words.next().unwrap_or_default();
        let named = [HEALTH_JSON, "application/json"].iter().any(|json| kind.eq_ignore_ascii_case(json));
        let weight = words.find_map(|word| word.strip_prefix("q=").or_else(|| word.strip_prefix("Q=")));
        named && weight.and_then(|weight| weight.trim().parse().ok()) != Some(0.0f32)
    })
}

/// An answer over HTTP, for a server that Portolan has no adapter for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthResponse {
    /// The status code.
    pub code: u16,
    /// Names, in lower case, and values.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The body. A server leaves it out in its answer to HEAD.
    pub body: String,
}

impl HealthResponse {
    fn new(code: u16, kind: &'static str, body: String) -> Self {
        // An answer from a cache on the way would be one about another moment.
        Self { code, headers: vec![("content-type", kind), ("cache-control", "no-store")], body }
    }

    pub(super) fn of(report: &HealthReport, form: Form) -> Self {
        match form {
            Form::Text => Self::new(report.code(), TEXT, report.text()),
            Form::Json => Self::new(report.code(), HEALTH_JSON, report.json()),
        }
    }

    pub(super) fn not_found(paths: &Paths) -> Self {
        let Paths { live, ready, check } = paths;
        Self::new(404, TEXT, format!("health is at {check}, {ready} and {live}\n"))
    }

    pub(super) fn wrong_method() -> Self {
        let mut wrong = Self::new(405, TEXT, "health is asked for with GET or HEAD\n".to_owned());
        wrong.headers.push(("allow", "GET, HEAD"));
        wrong
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

#[cfg(test)]
mod tests;
