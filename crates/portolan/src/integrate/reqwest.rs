//! reqwest: a client whose hosts are services.
//!
//! In:  a request to `http://SERVICE/path`. Out: the answer of an instance, or why there is none.
//!
//! Never: asks DNS for a service; changes a `Host` header that the caller has set; sends a body twice that it cannot
//! clone.
//!
//! Proof: `portolan-server`'s `tests/adapters/reqwest.rs`, `cargo xtask trial adapters`.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use reqwest::{Body, IntoUrl, Request, Response, Url};

use super::{
    RequestError,
    outcome::{self, Bad, Blame, Tried},
    trace::propagate,
};
use crate::{
    discovery::Discovery,
    error::Error,
    resolve::{Attempt, Failed, FailureKind, Retry},
};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// A client whose hosts are services: `http://web/path` goes to an instance of `web`. Feature `reqwest`.
///
/// Each request is picked, timed and reported on its own, also on a connection that is kept. It is tried elsewhere when
/// that does no harm ([`Retry`]): GET, HEAD, OPTIONS, TRACE, PUT and DELETE (RFC 9110), what the caller says may be sent
/// twice, and whatever did not reach an instance; with a body that cannot be cloned (a stream) it is tried once. An
/// answer of 429, 500, 502, 503 or 504 counts as a failure of its instance; the last one is returned.
///
/// The instance gets `Host: web`, as the URL has it, unless the request has a `Host` of its own. The scheme stays: with
/// `https` the certificate has to be for the instance's address. A port in the URL is not used. URLs make names lower
/// case.
///
/// ```no_run
/// use portolan::{Config, Discovery, integrate::reqwest::Client};
///
/// # async fn get() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(&Discovery::new(Config::from_env()?))?;
/// let answer = client.get("http://web/path").send().await?;
/// println!("{}", answer.text().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    discovery: Discovery,
    inner: reqwest::Client,
    retry: Retry,
    suffix: Option<Arc<str>>,
}

impl Client {
    /// With a client of reqwest that uses no proxy and follows no redirect. A connection may take 5 s to come about.
    ///
    /// # Errors
    /// When reqwest cannot set up its TLS.
    pub fn new(discovery: &Discovery) -> reqwest::Result<Self> {
        // A redirect to the name of a service would be looked up in DNS.
        let redirect = reqwest::redirect::Policy::none();
        let builder = reqwest::Client::builder().no_proxy().redirect(redirect).connect_timeout(CONNECT);
        Ok(Self::over(discovery, builder.build()?))
    }

    /// Over a client of your own, with its TLS and its limits. It must not follow redirects to names of services, nor
    /// send requests to instances through a proxy.
    #[must_use]
    pub fn over(discovery: &Discovery, inner: reqwest::Client) -> Self {
        Self { discovery: discovery.clone(), inner, retry: Retry::default(), suffix: None }
    }

    /// How requests are tried again. The time that it sets holds to the end of the answer's body.
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

    /// A GET.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// A POST. It is not sent twice, unless [`idempotent`](RequestBuilder::idempotent) says that this does no harm.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// A PUT.
    pub fn put(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// A DELETE.
    pub fn delete(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// A request with this method.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        let builder = self.inner.request(method, url);
        RequestBuilder { client: self.clone(), builder, trace: HeaderMap::new(), retry: self.retry }
    }

    /// Sends a finished request.
    ///
    /// # Errors
    /// [`RequestError`], which says what the last try met, and why there was no other.
    ///
    /// # Cancel safety
    /// Dropping the future drops the try that is under way; it counts as cancelled.
    pub async fn execute(&self, request: Request) -> Result<Response, RequestError<reqwest::Error>> {
        self.send(request, self.retry).await
    }

    async fn send(
        &self,
        mut request: Request,
        retry: Retry,
    ) -> Result<Response, RequestError<reqwest::Error>> {
        let service = outcome::service_of(request.url().host_str(), self.suffix.as_deref());
        let resolver = self.discovery.service(service.map_err(RequestError::Service)?).await;
        let resolver = resolver.map_err(RequestError::Service)?;
        keep_host(&mut request).map_err(RequestError::Service)?;
        let retry = outcome::retry_for(retry, request.method(), request.try_clone().is_some());
        let url = request.url().clone();
        let mut original = Some(request);
        let attempt = |attempt: Attempt| {
            // What cannot be cloned is tried once, so that it is there.
            let copy = original.as_ref().and_then(Request::try_clone).or_else(|| original.take());
            let url = &url;
            async move { self.once(&attempt, url, copy).await }
        };
        outcome::call(&resolver, retry, attempt).await
    }

    async fn once(
        &self,
        attempt: &Attempt,
        url: &Url,
        request: Option<Request>,
    ) -> Tried<Response, reqwest::Error> {
        let unsent = |error| Err(Failed::new(FailureKind::Connect, Bad::Error(error)));
        let there = match self.placed(url, attempt) {
            Ok(there) => there,
            Err(error) => return unsent(error),
        };
        let mut request = match request.map_or_else(|| self.inner.get("").build(), Ok) {
            Ok(request) => request,
            Err(error) => return unsent(error),
        };
        *request.url_mut() = there;
        if let Some(left) = attempt.time_left() {
            let own = request.timeout().copied();
            *request.timeout_mut() = Some(own.map_or(left, |own| own.min(left)));
        }
        let got = self.inner.execute(request).await;
        outcome::tried(got, |answer| outcome::kind_of_status(answer.status()), blame)
    }

    /// The URL with an instance in place of its service.
    fn placed(&self, url: &Url, endpoint: &crate::Endpoint) -> reqwest::Result<Url> {
        let base = format!("{}://{}/", url.scheme(), endpoint.authority());
        // By way of a request, for only so does reqwest tell what is wrong with an address.
        let mut there = self.inner.get(base).build()?.url().clone();
        there.set_path(url.path());
        there.set_query(url.query());
        Ok(there)
    }
}

/// Makes the host of the URL the `Host` header, unless there is one.
fn keep_host(request: &mut Request) -> Result<(), Error> {
    if request.headers().contains_key(header::HOST) {
        return Ok(());
    }
    let url = request.url();
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let host = HeaderValue::from_str(&host)
        .map_err(|cause| Error::config(format!("url: {host:?} is no host")).caused_by(cause))?;
    request.headers_mut().insert(header::HOST, host);
    Ok(())
}

fn blame(error: &reqwest::Error) -> Blame {
    if error.is_builder() || error.is_redirect() {
        return Blame::Caller;
    }
    match outcome::blame(error) {
        Blame::Instance(FailureKind::Broken) if error.is_timeout() => Blame::Instance(FailureKind::Timeout),
        blame => blame,
    }
}

/// A request in the making.
#[must_use = "nothing is sent before `send`"]
pub struct RequestBuilder {
    client: Client,
    builder: reqwest::RequestBuilder,
    trace: HeaderMap,
    retry: Retry,
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder").field("retry", &self.retry).finish_non_exhaustive()
    }
}

impl RequestBuilder {
    /// Everything else that reqwest's own builder can: `.with(|builder| builder.bearer_auth(token))`.
    pub fn with(mut self, change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder) -> Self {
        self.builder = change(self.builder);
        self
    }

    /// One more header.
    pub fn header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.with(|builder| builder.header(name, value))
    }

    /// The body.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.with(|builder| builder.body(body))
    }

    /// Says that this request may be sent twice without harm, whatever its method.
    pub fn idempotent(mut self) -> Self {
        self.retry = self.retry.idempotent();
        self
    }

    /// How this request is tried again, in place of what the client has.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Hands on the trace of the request that came in with these headers; see [`propagate`].
    pub fn traced(mut self, incoming: &HeaderMap) -> Self {
        propagate(incoming, &mut self.trace);
        self
    }

    /// Sends it.
    ///
    /// # Errors
    /// As [`Client::execute`]; [`RequestError::Caller`] when what was given makes no request.
    ///
    /// # Cancel safety
    /// As [`Client::execute`].
    pub async fn send(self) -> Result<Response, RequestError<reqwest::Error>> {
        let mut request = self.builder.build().map_err(RequestError::Caller)?;
        propagate(&self.trace, request.headers_mut());
        self.client.send(request, self.retry).await
    }
}
