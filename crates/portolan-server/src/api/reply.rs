//! How an endpoint answers: JSON, nothing, or a refusal in plain text.
//!
//! In:  values and texts. Out: responses with the headers that Consul sets.
//!
//! Never: ends a refusal with a line end; gives a write an index.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use portolan::registry::Consistency;
use serde::Serialize;

use crate::{
    core::NotDone,
    durable::{NotKept, Written},
    encode::{Layout, json},
    state::{Refused, acl::AclRefused},
    wait::Full,
};

/// What an endpoint comes to.
pub(super) type Outcome<T = Response> = Result<T, Refusal>;

/// A write that was carried out: how it is answered, once the disk has it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) response: Response,
    pub(super) written: Written,
}

impl Done {
    pub(super) fn new(written: Written, response: Response) -> Self {
        Self { response, written }
    }
}

/// A request that is not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    text: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// The request itself is wrong.
    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// What Consul answers where its servers, not its agent, refuse.
    pub(super) fn internal(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    /// The same as its servers would refuse it.
    pub(super) fn by_server(mut self) -> Self {
        self.status = StatusCode::INTERNAL_SERVER_ERROR;
        self
    }

    /// The same with another beginning, where it has this one.
    pub(super) fn reworded(mut self, begin: &str, other: &str) -> Self {
        if let Some(rest) = self.text.strip_prefix(begin) {
            self.text = format!("{other}{rest}");
        }
        self
    }

    /// Whether Consul's servers, not its agent, would refuse it so.
    pub(super) fn is_internal(&self) -> bool {
        self.status == StatusCode::INTERNAL_SERVER_ERROR
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.text));
        *response.status_mut() = self.status;
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
        response
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::UnknownService(_) | Refused::UnknownCheck(_) | Refused::NoSuchService(_) => {
                StatusCode::NOT_FOUND
            }
            Refused::Acl(AclRefused::Bootstrapped(_)) => StatusCode::FORBIDDEN,
            Refused::Acl(AclRefused::NoTokenToRemove | AclRefused::NoPolicyToRemove) => StatusCode::NOT_FOUND,
            Refused::NotTtl(_)
            | Refused::OrphanCheck { .. }
            | Refused::Acl(_)
            | Refused::Session(_)
            | Refused::Query(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, refused.to_string())
    }
}

impl From<NotKept> for Refusal {
    fn from(why: NotKept) -> Self {
        Self::internal(why.to_string())
    }
}

impl From<NotDone> for Refusal {
    fn from(why: NotDone) -> Self {
        match why {
            NotDone::Refused(refused) => refused.into(),
            NotDone::NotKept(why) => why.into(),
        }
    }
}

impl From<Full> for Refusal {
    fn from(Full: Full) -> Self {
        let text = "rate limit exceeded, try again later or against a different server";
        Self::new(StatusCode::TOO_MANY_REQUESTS, text)
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(format!("the answer could not be encoded: {error}"))
    }
}

// Names that are known when this is compiled cost an answer no search.
const INDEX: HeaderName = HeaderName::from_static("x-consul-index");
const KNOWN_LEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
const LAST_CONTACT: HeaderName = HeaderName::from_static("x-consul-lastcontact");
const CONSISTENCY: HeaderName = HeaderName::from_static("x-consul-effective-consistency");
const BACKEND: HeaderName = HeaderName::from_static("x-consul-query-backend");

/// How many headers an answer of the catalogue has at most.
const HEADERS: usize = 12;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A write that was carried out.
pub(super) fn empty() -> Response {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// A body that was encoded already.
pub(super) fn body(bytes: Bytes) -> Response {
    let mut response = Response::new(Body::from(bytes));
    // For all that an answer of the catalogue has: the map need not grow.
    response.headers_mut().reserve(HEADERS);
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// The same, compressed.
pub(super) fn gzipped(bytes: Bytes) -> Response {
    let mut response = body(bytes);
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response
}

/// A value as JSON.
pub(super) fn value(value: &impl Serialize, layout: Layout) -> Outcome {
    Ok(body(json(value, layout)?))
}

/// Who answers, in Consul's word.
pub(super) fn effective(consistency: Consistency) -> &'static str {
    match consistency {
        Consistency::Default => "leader",
        Consistency::Stale => "stale",
        Consistency::Consistent => "consistent",
    }
}

/// The headers that tell how new an answer of the catalogue is.
pub(super) fn freshness(headers: &mut HeaderMap, index: u64, consistency: Consistency) {
    headers.insert(INDEX, HeaderValue::from(index));
    headers.insert(KNOWN_LEADER, HeaderValue::from_static("true"));
    headers.insert(LAST_CONTACT, HeaderValue::from_static("0"));
    headers.insert(CONSISTENCY, HeaderValue::from_static(effective(consistency)));
    headers.insert(BACKEND, HeaderValue::from_static("blocking-query"));
}

/// The same for keys and sessions, which tell no consistency.
pub(super) fn freshness_of_keys(headers: &mut HeaderMap, index: u64) {
    freshness(headers, index, Consistency::Default);
    headers.remove("x-consul-effective-consistency");
}
