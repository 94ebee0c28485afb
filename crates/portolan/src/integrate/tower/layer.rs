//! A layer that sends each HTTP request to an instance: picked, timed, reported, and tried elsewhere.
//!
//! In:  a request without a place. Out: the answer of an instance, by way of a service that reaches one.
//!
//! Never: sends twice what may have been carried out, unless its method or the caller says that this does no harm.
//!
//! Proof: `portolan-server`'s `tests/adapters/tower.rs`.

use std::{
    convert::Infallible,
    error::Error as StdError,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, Uri, header, uri};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    integrate::{RequestError, instances::PerInstance, outcome},
    resolve::{Attempt, Endpoint, Resolver, Retry},
};

/// Wraps a client of HTTP, so that each request goes to an instance of a service: the client gets it with the instance
/// in its URL. Feature `tower`.
#[derive(Clone, Debug)]
pub struct ToInstancesLayer {
    resolver: Resolver,
    retry: Retry,
}

impl ToInstancesLayer {
    /// For the instances of this service.
    #[must_use]
    pub fn new(resolver: &Resolver) -> Self {
        Self { resolver: resolver.clone(), retry: Retry::default() }
    }

    /// How requests are tried again.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

impl<S> Layer<S> for ToInstancesLayer
where
    S: Clone + Send + Sync + 'static,
{
    type Service = ToInstances<AtInstance<S>>;

    fn layer(&self, inner: S) -> Self::Service {
        let at = move |endpoint: &Endpoint| AtInstance {
            inner: inner.clone(),
            authority: endpoint.authority().parse().ok(),
        };
        ToInstances::new(&self.resolver, at).retry(self.retry)
    }
}

/// A service that sends each HTTP request to an instance, by way of what a function makes for it. Feature `tower`.
///
/// What is made is made once for each instance, cloned for each request, and dropped when the instance is gone. A request
/// is tried elsewhere when that does no harm ([`Retry`]): GET, HEAD, OPTIONS, TRACE, PUT and DELETE (RFC 9110), and
/// whatever did not reach an instance. An answer of 429, 500, 502, 503 or 504 counts as a failure of its instance; the
/// last one is returned. The time that the retry sets ends with the head of the answer.
///
/// Each request has the [`Attempt`] in its extensions: the instance, the number of the try, and the deadline.
pub struct ToInstances<S> {
    made: PerInstance<S>,
    make: Arc<dyn Fn(&Endpoint) -> S + Send + Sync>,
    retry: Retry,
}

impl<S> Clone for ToInstances<S> {
    fn clone(&self) -> Self {
        Self { made: self.made.clone(), make: Arc::clone(&self.make), retry: self.retry }
    }
}

impl<S> fmt::Debug for ToInstances<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToInstances").field("retry", &self.retry).finish_non_exhaustive()
    }
}

impl<S: Clone + Send + Sync + 'static> ToInstances<S> {
    /// For the instances of this service; `make` makes what reaches one.
    pub fn new(resolver: &Resolver, make: impl Fn(&Endpoint) -> S + Send + Sync + 'static) -> Self {
        Self { made: PerInstance::new(resolver), make: Arc::new(make), retry: Retry::default() }
    }

    /// How requests are tried again.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

impl<S, B, R> Service<Request<B>> for ToInstances<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: StdError + Send + 'static,
    B: Clone + Send + Sync + 'static,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = RequestError<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, RequestError<S::Error>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Which instance has to be ready is known when there is a request.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let retry = outcome::retry_for(this.retry, request.method(), true);
            let (this, request) = (&this, &request);
            let attempt = |attempt: Attempt| async move {
                let Ok(mut service) = this.made.get(&attempt, || Ok::<_, Infallible>((this.make)(&attempt)));
                let mut request = request.clone();
                request.extensions_mut().insert(attempt);
                let sent = async {
                    poll_fn(|context| service.poll_ready(context)).await?;
                    service.call(request).await
                };
                let kind = |answer: &Response<R>| outcome::kind_of_status(answer.status());
                outcome::tried(sent.await, kind, |error| outcome::blame(error))
            };
            outcome::call(this.made.resolver(), retry, attempt).await
        })
    }
}

/// A client that sends to one instance whatever it is given; made by [`ToInstancesLayer`].
#[derive(Clone, Debug)]
pub struct AtInstance<S> {
    inner: S,
    /// `None`: the registry has an address that is none. The client says so.
    authority: Option<uri::Authority>,
}

impl<S, B> Service<Request<B>> for AtInstance<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let uri = request.uri();
        let host = uri.authority().and_then(|authority| authority.as_str().rsplit('@').next()?.parse().ok());
        let there = self.authority.clone().and_then(|authority| {
            let scheme = uri.scheme().cloned().unwrap_or(uri::Scheme::HTTP);
            let target = uri.path_and_query().cloned().unwrap_or_else(|| uri::PathAndQuery::from_static("/"));
            Uri::builder().scheme(scheme).authority(authority).path_and_query(target).build().ok()
        });
        *request.uri_mut() = there.unwrap_or_default();
        if let Some(host) = host {
            request.headers_mut().entry(header::HOST).or_insert(host);
        }
        self.inner.call(request)
    }
}
