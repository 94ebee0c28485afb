//! The one error of the library: what went wrong, where, and what to do about it.
//!
//! In:  a [`Kind`], a sentence that names the field or the address and the fix, and the cause if there is one.
//! Out: `Display` gives that sentence without its cause; `source()` gives the cause, so a command prints the chain.
//!
//! Never: holds a secret; is used for "no instance to pick", which is an answer with a type of its own
//! ([`NoInstance`](crate::NoInstance)).

use std::{error::Error as StdError, fmt};

type Cause = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong. Opaque: ask it for its [`kind`](Error::kind), or whether a retry can help.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: Kind,
    what: String,
    cause: Option<Cause>,
}

/// The class of an [`Error`], for code that reacts to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A setting, a name or a definition is wrong; the text names the field and what is allowed. Never sent anywhere.
    Config,
    /// The registry could not be reached, or the connection broke.
    Unreachable,
    /// A deadline passed before the answer was there.
    Timeout,
    /// The registry refused the token (HTTP 403, 401).
    Denied,
    /// The registry does not know the service, check or endpoint (HTTP 404).
    NotFound,
    /// The registry asks for fewer requests or connections (HTTP 429, and 503).
    Busy,
    /// The registry failed to answer (HTTP 5xx), for example because it has no leader.
    Unavailable,
    /// The registry says that the request itself is wrong (HTTP 400, 405): a retry cannot help.
    Rejected,
    /// Reads go to another address of the registry now: what was waited for means nothing there, and is read anew.
    Moved,
    /// The answer was cut short, too large, or not what the interface promises.
    Malformed,
    /// The id, or the node, is held by another that is alive.
    Conflict,
    /// No instance can be picked; see [`NoInstance`](crate::NoInstance) for the reasons.
    NoInstance,
    /// The [`Discovery`](crate::Discovery) or the handle was closed.
    Closed,
}

impl Error {
    pub(crate) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { inner: Box::new(Inner { kind, what: what.into(), cause: None }) }
    }

    /// A wrong setting, name or definition. `what` names the field, what was found, and what is allowed.
    ///
    /// Public for implementations of [`Registry`](crate::Registry) outside this crate.
    #[must_use]
    pub fn config(what: impl Into<String>) -> Self {
        Self::new(Kind::Config, what)
    }

    /// An error of a [`Registry`](crate::Registry) implementation outside this crate.
    #[must_use]
    pub fn registry(kind: Kind, what: impl Into<String>) -> Self {
        Self::new(kind, what)
    }

    /// The same error with the error that led to it.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        self.inner.cause = Some(cause.into());
        self
    }

    /// The class of this error.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// Whether the same call may succeed later without a change by a person.
    ///
    /// A write that failed with a retryable error may have been applied: repeat it only if that does no harm.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.inner.kind {
            Kind::Unreachable
            | Kind::Timeout
            | Kind::Busy
            | Kind::Unavailable
            | Kind::Moved
            | Kind::Malformed
            | Kind::NoInstance => true,
            Kind::Config | Kind::Denied | Kind::NotFound | Kind::Rejected | Kind::Conflict | Kind::Closed => {
                false
            }
        }
    }

    /// This error and its causes on one line, outermost first.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut next = self.source();
        while let Some(cause) = next {
            line.push_str(": ");
            line.push_str(&cause.to_string());
            next = cause.source();
        }
        line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.what)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("what", &self.inner.what)
            .field("cause", &self.inner.cause)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_has_every_cause_and_the_text_only_its_own() {
        let cause = std::io::Error::other("connection refused");
        let error = Error::new(Kind::Unreachable, "http://127.0.0.1:8500: no connection").caused_by(cause);
        assert_eq!(error.to_string(), "http://127.0.0.1:8500: no connection");
        assert_eq!(error.chain(), "http://127.0.0.1:8500: no connection: connection refused");
        assert!(error.is_retryable());
    }
}
