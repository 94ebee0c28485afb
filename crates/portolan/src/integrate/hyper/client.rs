//! A client whose hosts are services, over the pool of hyper-util.
//!
//! In:  a request to `http://SERVICE/path`. Out: the answer of an instance, or why there is none.
//!
//! The pool keeps connections by authority, so that each request goes to the instance that was picked for it, and what
//! comes of it is reported of that one. A connector that resolved names would be asked once a connection, and know nothing
//! of the requests on it.
//!
//! Never: asks DNS for a service; changes a `Host` header that the caller has set.
//!
//! Proof: `portolan-server`'s `tests/adapters/hyper.rs`.

use std::{error::Error as _, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header, uri};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use crate::{
    discovery::Discovery,
    error::Error,
    integrate::{
        RequestError,
        outcome::{self, Blame, Tried},
    },
    resolve::{Attempt, Failed, FailureKind, Retry},
};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// Any cause of a failure.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A client of HTTP whose hosts are services: `http://web/path` goes to an instance of `web`. Feature `hyper`.
///
/// Each request is picked, timed and reported on its own, also on a connection that is kept. It is tried elsewhere when
/// that does no harm ([`Retry`]): GET, HEAD, OPTIONS, TRACE, PUT and DELETE (RFC 9110), and whatever did not reach an
/// instance. An answer of 429, 500, 502, 503 or 504 counts as a failure of its instance; the last one is returned.
///
/// The instance gets `Host: web`, as the URL has it, unless the request has a `Host` of its own. The scheme stays: with
/// `https` the connector has to make TLS, and the certificate has to be for the instance's address.
///
/// Clones share the connections. For TLS, HTTP/2 and other limits give your own client to [`over`](Self::over).
#[derive(Clone, Debug)]
pub struct Client<B, C = HttpConnector> {
    discovery: Discovery,
    inner: legacy::Client<C, B>,
    retry: Retry,
    suffix: Option<Arc<str>>,
}

impl<B> Client<B>
where
    B: Body + Clone + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Cause>,
{
    /// Over plain HTTP/1.1; a connection may take 5 s to come about.
    #[must_use]
    pub fn new(discovery: &Discovery) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        Self::over(discovery, builder.pool_timer(TokioTimer::new()).build(connector))
    }
}

impl<B, C> Client<B, C>
where
    B: Body + Clone + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Cause>,
    C: legacy::connect::Connect + Clone + Send + Sync + 'static,
{
    /// Over a client of your own.
    #[must_use]
    pub fn over(discovery: &Discovery, inner: legacy::Client<C, B>) -> Self {
        Self { discovery: discovery.clone(), inner, retry: Retry::default(), suffix: None }
    }

    /// How requests are tried again. The time that it sets ends with the head of the answer.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Only hosts below this are services, such as `web.service.consul` with `service.consul`; others are refused.
    #[must_use]
    pub fn suffix(mut self, suffix: &str) -> Self {
        self.suffix = Some(suffix.trim_matches('.').into());
        self
    }

    /// Sends a request to an instance of the service that its URL names.
    ///
    /// # Errors
    /// [`RequestError`], which says what the last try met, and why there was no other.
    ///
    /// # Cancel safety
    /// Dropping the future drops the try that is under way; it counts as cancelled.
    pub async fn request(
        &self,
        mut request: Request<B>,
    ) -> Result<Response<Incoming>, RequestError<legacy::Error>> {
        let service = outcome::service_of(request.uri().host(), self.suffix.as_deref());
        let resolver = self.discovery.service(service.map_err(RequestError::Service)?).await;
        let resolver = resolver.map_err(RequestError::Service)?;
        keep_host(&mut request).map_err(RequestError::Service)?;
        let retry = outcome::retry_for(self.retry, request.method(), true);
        let request = &request;
        let attempt = |attempt: Attempt| async move { self.once(&attempt, request.clone()).await };
        outcome::call(&resolver, retry, attempt).await
    }

    /// Sends a request once, to this instance, and reads its answer: at most `most` bytes of it. For a caller of
    /// [`Resolver::call`](crate::Resolver::call) who judges answers himself: one that is cut short is a failure here, and
    /// can be tried elsewhere. Whatever the URL names as its host is the `Host` that the instance gets; where it names none,
    /// that is its address.
    ///
    /// # Errors
    /// [`Failed`]: no answer, one that is cut short or too long, or one whose status says that the instance cannot.
    ///
    /// # Cancel safety
    /// Dropping the future drops the request.
    pub async fn send_to(
        &self,
        attempt: &Attempt,
        mut request: Request<B>,
        most: usize,
    ) -> Result<Response<Bytes>, Failed<Cause>> {
        let wrong = |error: Error| Failed::new(FailureKind::Connect, error.into());
        keep_host(&mut request).map_err(wrong)?;
        let answer = match self.once(attempt, request).await {
            Ok(Ok(answer)) => answer,
            // Of the caller's making: but whoever sends by hand is told by the error which it is.
            Ok(Err(error)) => return Err(Failed::new(FailureKind::Broken, error.into())),
            Err(Failed { kind, error: outcome::Bad::Error(error) }) => {
                return Err(Failed::new(kind, error.into()));
            }
            Err(Failed { kind, error: outcome::Bad::Answer(answer) }) => {
                return Err(Failed::new(kind, format!("the answer is {}", answer.status()).into()));
            }
        };
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, most).collect().await.map_err(|error| {
            let what = match error.downcast::<LengthLimitError>() {
                Ok(_) => format!("the answer has more than {most} bytes").into(),
                Err(error) => error,
            };
            Failed::new(FailureKind::Broken, what)
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    async fn once(
        &self,
        attempt: &Attempt,
        mut request: Request<B>,
    ) -> Tried<Response<Incoming>, legacy::Error> {
        let there = placed(request.uri(), attempt);
        // Without one hyper-util says what is wrong with the request.
        let has_address = there.is_some();
        *request.uri_mut() = there.unwrap_or_default();
        let got = self.inner.request(request).await;
        outcome::tried(
            got,
            |answer| outcome::kind_of_status(answer.status()),
            |error| match outcome::blame(error) {
                _ if !has_address => Blame::Instance(FailureKind::Connect),
                // The pool's own, before any connection: what was asked cannot be sent.
                Blame::Instance(FailureKind::Broken) if error.source().is_none() => Blame::Caller,
                blame => blame,
            },
        )
    }
}

/// The URL with an instance in place of its service; `None` when the registry has an address that is none.
pub(in crate::integrate) fn placed(uri: &Uri, endpoint: &crate::Endpoint) -> Option<Uri> {
    let authority: uri::Authority = endpoint.authority().parse().ok()?;
    let scheme = uri.scheme().cloned().unwrap_or(uri::Scheme::HTTP);
    let target = uri.path_and_query().cloned().unwrap_or_else(|| uri::PathAndQuery::from_static("/"));
    Uri::builder().scheme(scheme).authority(authority).path_and_query(target).build().ok()
}

/// Makes the host of the URL the `Host` header, unless there is one.
pub(in crate::integrate) fn keep_host<B>(request: &mut Request<B>) -> Result<(), Error> {
    if request.headers().contains_key(header::HOST) {
        return Ok(());
    }
    let Some(authority) = request.uri().authority() else { return Ok(()) };
    // Without what names a user, which is nobody's business but that of the one who is asked to authorize.
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    let host = HeaderValue::from_str(host)
        .map_err(|cause| Error::config(format!("url: {host:?} is no host")).caused_by(cause))?;
    request.headers_mut().insert(header::HOST, host);
    Ok(())
}
