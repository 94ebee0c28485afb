//! What came of an HTTP request, and whether it may be sent twice: the rules that all adapters share. PURE but for
//! [`call`], which hands a request to the resolver.
//!
//! In:  methods, status codes, errors of connections with their causes. Out: kinds of failure, or that it was none.
//!
//! Never: takes for unsent what may have been carried out; blames an instance for what the caller gave.
//!
//! Rules: RFC 9110, section 9.2.2 (idempotent methods); RFC 9113, section 8.7 (what was refused, or is past a GOAWAY,
//! was not processed); [`FailureKind`]. Proof: `outcome/tests.rs`.

use std::{error::Error as StdError, fmt, io};

#[cfg(any(feature = "hyper", feature = "reqwest", feature = "tower"))]
use http::Method;
use http::StatusCode;

use crate::{
    error::Error,
    resolve::{Attempt, CallError, Failed, FailureKind, Resolver, Retry},
};

/// Why a request to a service has no answer. An answer that says 503 is an answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum RequestError<E> {
    /// The request names no service, or nothing is known of the service yet: see its kind.
    Service(Error),
    /// What the caller gave failed, such as the body of the request. No instance is blamed, and it is not tried again.
    Caller(E),
    /// No instance, or none that answered.
    Call(CallError<E>),
}

impl<E: fmt::Display> fmt::Display for RequestError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(error) => error.fmt(f),
            Self::Caller(_) => {
                f.write_str("what the caller gave makes no request, or failed while it was sent")
            }
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for RequestError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Service(error) => error.source(),
            Self::Caller(error) => Some(error),
            Self::Call(error) => error.source(),
        }
    }
}

/// How a try ended that failed: the caller gets the answer all the same when there is no other try.
#[derive(Debug)]
pub(super) enum Bad<R, E> {
    Answer(Box<R>),
    Error(E),
}

/// Who is to blame for an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    Caller,
    Instance(FailureKind),
}

/// What an attempt says: an answer, or an error that is the caller's own; or a failure of the instance.
pub(super) type Tried<R, E> = Result<Result<R, E>, Failed<Bad<R, E>>>;

/// Sends through the resolver; a bad answer that is not tried again is an answer.
pub(super) async fn call<R, E, Sent>(
    resolver: &Resolver,
    retry: Retry,
    attempt: impl FnMut(Attempt) -> Sent,
) -> Result<R, RequestError<E>>
where
    Sent: Future<Output = Tried<R, E>>,
{
    let error = match resolver.call(retry, attempt).await {
        Ok(answer) => return answer.map_err(RequestError::Caller),
        Err(CallError::Failed { failed: Failed { kind, error }, tries, gave_up }) => match error {
            Bad::Answer(answer) => return Ok(*answer),
            Bad::Error(error) => CallError::Failed { failed: Failed::new(kind, error), tries, gave_up },
        },
        Err(CallError::NoInstance(none)) => CallError::NoInstance(none),
        Err(CallError::TimedOut { tries, gave_up }) => CallError::TimedOut { tries, gave_up },
        Err(CallError::Config(what)) => CallError::Config(what),
    };
    Err(RequestError::Call(error))
}

/// What an attempt says of what it got.
pub(super) fn tried<R, E>(
    got: Result<R, E>,
    kind: impl FnOnce(&R) -> Option<FailureKind>,
    blame: impl FnOnce(&E) -> Blame,
) -> Tried<R, E> {
    match got {
        Ok(answer) => match kind(&answer) {
            None => Ok(Ok(answer)),
            Some(kind) => Err(Failed::new(kind, Bad::Answer(Box::new(answer)))),
        },
        Err(error) => match blame(&error) {
            Blame::Caller => Ok(Err(error)),
            Blame::Instance(kind) => Err(Failed::new(kind, Bad::Error(error))),
        },
    }
}

/// The settings for a request with this method, which can be sent again or not.
#[cfg(any(feature = "hyper", feature = "reqwest", feature = "tower"))]
pub(super) fn retry_for(retry: Retry, method: &Method, can_be_repeated: bool) -> Retry {
    let retry = if is_idempotent(method) { retry.idempotent() } else { retry };
    if can_be_repeated { retry } else { retry.tries(retry.tries.min(1)) }
}

/// Whether requests with this method may be sent twice without harm.
#[cfg(any(feature = "hyper", feature = "reqwest", feature = "tower"))]
fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE].contains(method)
}

/// What an answer with this status says of its instance; `None`: that it did its work.
pub(super) fn kind_of_status(status: StatusCode) -> Option<FailureKind> {
    match status.as_u16() {
        500 | 502 | 504 => Some(FailureKind::Answer),
        429 | 503 => Some(FailureKind::Overloaded),
        _ => None,
    }
}

/// What an error says, by the first of its causes that is known.
pub(super) fn blame(error: &(dyn StdError + 'static)) -> Blame {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(blame) = blame_of_one(error) {
            return blame;
        }
        next = error.source();
    }
    Blame::Instance(FailureKind::Broken)
}

fn blame_of_one(error: &(dyn StdError + 'static)) -> Option<Blame> {
    use hyper_util::client::legacy;
    let kind = if error.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect) {
        FailureKind::Connect
    } else if let Some(error) = error.downcast_ref::<hyper::Error>() {
        if error.is_user() {
            return Some(Blame::Caller);
        }
        // Canceled: it was still waiting for its turn on a connection that ended.
        match (error.is_canceled(), error.is_timeout()) {
            (true, _) => FailureKind::Connect,
            (_, true) => FailureKind::Timeout,
            _ => return None,
        }
    } else if error.downcast_ref::<h2::Error>().is_some_and(was_not_processed) {
        FailureKind::Connect
    } else {
        match error.downcast_ref::<io::Error>()?.kind() {
            io::ErrorKind::ConnectionRefused => FailureKind::Connect,
            io::ErrorKind::TimedOut => FailureKind::Timeout,
            _ => return None,
        }
    };
    Some(Blame::Instance(kind))
}

fn was_not_processed(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    // h2 gives this to the streams past the last that the peer has taken; the others go on.
    let past_the_last = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
    error.is_remote() && (refused || past_the_last)
}

/// The service that a host names: all of it, or what stands before `.suffix`.
#[cfg(any(feature = "hyper", feature = "reqwest"))]
pub(super) fn service_of<'a>(host: Option<&'a str>, suffix: Option<&str>) -> Result<&'a str, Error> {
    let host = host
        .filter(|host| !host.is_empty())
        .ok_or_else(|| Error::config("url: it names no host; write it as http://SERVICE/path"))?;
    let Some(suffix) = suffix else { return Ok(host) };
    let name = host.strip_suffix(suffix).and_then(|rest| rest.strip_suffix('.'));
    name.ok_or_else(|| {
        Error::config(format!(
            "url: {host:?} is no service, for it does not end in \".{suffix}\"; send it with a client of your own"
        ))
    })
}

#[cfg(test)]
mod tests;
