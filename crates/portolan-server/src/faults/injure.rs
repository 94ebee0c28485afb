//! One request with its fault: asks the registry, or not, and hurts the answer.
//!
//! In:  a fault, a request, and the way to the registry. Out: what the client gets; [`Broken`] when it gets nothing.
//!
//! A lie is told at once: the registry is asked without `index` and `wait`, so that a blocking query is not held up.
//!
//! Never: touches a request that has no fault.
//!
//! Proof: `tests/faults/words.rs`.
//!
//! Words of the refusals from Consul: agent/http.go, agent/consul/rate/handler.go, agent/structs/errors.go.

use std::{fmt, future::Future, time::Duration};

use axum::{
    body::{Body, to_bytes},
    response::Response,
};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    hurt::{End, Hurt},
    rule::Fault,
};

/// The largest answer that is held to be hurt.
const LARGEST: usize = 256 << 20;
/// How long silence lasts, until the connection is reset.
const SILENCE: Duration = Duration::from_secs(600);

/// There is no answer: the connection ends.
#[derive(Debug)]
pub(crate) struct Broken(pub(super) String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

/// Answers a request that `fault` hits, if any. Cancelling `cut` resets the connection.
pub(crate) async fn answer<B, F>(
    fault: Option<Fault>,
    mut request: Request<B>,
    cut: &CancellationToken,
    ask: impl FnOnce(Request<B>) -> F,
) -> Result<Response, Broken>
where
    F: Future<Output = Result<Response, Broken>>,
{
    let Some(fault) = fault else { return ask(request).await };
    match fault {
        Fault::Denied | Fault::TooMany | Fault::NoLeader | Fault::Unavailable => return Ok(refusal(fault)),
        Fault::Reset => return Err(broken(cut)),
        Fault::Silence => {
            sleep(SILENCE).await;
            return Err(broken(cut));
        }
        Fault::Delay(time) => {
            let answer = ask(request).await;
            sleep(time).await;
            return answer;
        }
        Fault::Drip(_) => {}
        _ => at_once(request.uri_mut()),
    }
    let (head, body) = ask(request).await?.into_parts();
    let bytes = to_bytes(body, LARGEST).await.map_err(|error| Broken(error.to_string()))?;
    let mut response = Response::from_parts(head, Body::empty());
    response.headers_mut().remove(header::TRANSFER_ENCODING);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    hurt(fault, &mut response, bytes, cut);
    Ok(response)
}

fn broken(cut: &CancellationToken) -> Broken {
    cut.cancel();
    Broken("a fault on purpose".to_owned())
}

/// Consul's refusals, in its words.
fn refusal(fault: Fault) -> Response {
    let (status, text) = match fault {
        Fault::Denied => (StatusCode::FORBIDDEN, "Permission denied: token lacks permission 'service:read'"),
        Fault::TooMany => (
            StatusCode::TOO_MANY_REQUESTS,
            "rate limit exceeded, try again later or against a different server",
        ),
        Fault::Unavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "rate limit exceeded for operation that can only be performed by the leader, try again later",
        ),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "No cluster leader"),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// Takes out what would make the registry wait for a change.
fn at_once(uri: &mut Uri) {
    let Some(query) = uri.query() else { return };
    let stays =
        |pair: &&str| !["index", "wait", "hash"].contains(&pair.split('=').next().unwrap_or_default());
    let query: Vec<&str> = query.split('&').filter(stays).collect();
    let path =
        if query.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), query.join("&")) };
    let mut parts = std::mem::take(uri).into_parts();
    // What was a path and a query without some pairs still is one.
    parts.path_and_query = path.parse().ok();
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

fn hurt(fault: Fault, response: &mut Response, bytes: Bytes, cut: &CancellationToken) {
    let half = bytes.slice(..bytes.len() / 2);
    let headers = response.headers_mut();
    let body = match fault {
        Fault::LowerIndex => {
            lower(headers, |index| index / 2);
            Body::from(bytes)
        }
        Fault::Empty => nothing(&bytes),
        Fault::EmptyLower => {
            lower(headers, |_| 1);
            nothing(&bytes)
        }
        Fault::Drip(pause) => Body::new(Hurt::dripping(bytes, pause)),
        Fault::ResetMidway => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len().max(1)));
            Body::new(Hurt::new(half, End::Reset(cut.clone())))
        }
        Fault::StallMidway => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len().max(1)));
            Body::new(Hurt::new(half, End::Stall))
        }
        Fault::Truncate => Body::from(half),
        Fault::Malformed => Body::from([half.as_ref(), b"}{\"", bytes.slice(half.len()..).as_ref()].concat()),
        Fault::WrongType => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
            Body::from("<html><body>Sign in to use this network.</body></html>")
        }
        Fault::CutGzip => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Body::from(cut_gzip(&bytes))
        }
        Fault::DuplicateHeaders => {
            twice(headers);
            Body::from(bytes)
        }
        Fault::GarbageHeaders => {
            garbage(headers);
            Body::from(bytes)
        }
        // Those above were answered without the registry.
        _ => Body::from(bytes),
    };
    *response.body_mut() = body;
}

/// No entries, in the form of the answer that has some.
fn nothing(bytes: &Bytes) -> Body {
    Body::from(if bytes.first() == Some(&b'{') { "{}" } else { "[]" })
}

const INDEX: HeaderName = HeaderName::from_static("x-consul-index");

fn lower(headers: &mut HeaderMap, by: impl FnOnce(u64) -> u64) {
    let index = headers.get(INDEX).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(index) = index {
        headers.insert(INDEX, HeaderValue::from(by(index).max(1)));
    }
}

fn is_consuls(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-consul-")
}

fn twice(headers: &mut HeaderMap) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| is_consuls(name)).cloned().collect();
    for name in names {
        let other = if name == INDEX { HeaderValue::from(1) } else { HeaderValue::from_static("7") };
        headers.append(name, other);
    }
}

fn garbage(headers: &mut HeaderMap) {
    let values = headers.iter_mut().filter(|(name, _)| is_consuls(name));
    for (number, (_, value)) in (0_u8..).zip(values) {
        *value = match number % 4 {
            0 => HeaderValue::from_static("-1"),
            1 => HeaderValue::from_static("banana"),
            2 => HeaderValue::from_static("184467440737095516160"),
            _ => HeaderValue::from_bytes(b"\xff\xfe").unwrap_or(HeaderValue::from_static("")),
        };
    }
}

/// A gzip member of one stored block (RFC 1952, RFC 1951 section 3.2.4) of which the second half is missing.
fn cut_gzip(bytes: &Bytes) -> Bytes {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let mut out = BytesMut::new();
    out.put_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1]);
    out.put_u16_le(length);
    out.put_u16_le(!length);
    out.put_slice(&bytes.slice(..usize::from(length / 2)));
    out.freeze()
}
