//! A channel of tonic over the instances of a service: they come and go, and each call goes to one that was picked for
//! it.
//!
//! In:  the calls of tonic's generated clients. Out: the answer of an instance, or a status that says why there is none.
//!
//! Each instance has a connection of its own, made at its first call and dropped when it is gone.
//!
//! Never: sends twice what may have been carried out, unless the caller says that this does no harm; waits for the
//! message of a stream before it sends it.
//!
//! Rules: gRPC, doc/statuscodes.md and doc/PROTOCOL-HTTP2.md; gRFC A6, by which a call whose head has come is not tried
//! again. Proof: `channel/tests.rs`, and `portolan-server`'s `tests/adapters/tonic.rs`.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Request, Response, request};
use tonic::{
    Code, ConnectError, Status,
    body::Body,
    transport::{self, Endpoint as Target},
};
use tower_service::Service;

use super::{body::Given, timeout};
use crate::{
    integrate::{
        RequestError,
        instances::PerInstance,
        outcome::{self, Bad, Blame, Tried},
    },
    resolve::{Attempt, CallError, Endpoint, Failed, FailureKind, Resolver, Retry},
};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// The deadline of a call.
const TIMEOUT: &str = "grpc-timeout";

type Connect = dyn Fn(&Endpoint) -> Result<Target, transport::Error> + Send + Sync;

/// A channel to a service: give it to a generated client in place of tonic's own. Feature `tonic`.
///
/// Each call goes to an instance of its own, and what came of it is reported: a connection that breaks, and the codes
/// `UNAVAILABLE`, `INTERNAL`, `RESOURCE_EXHAUSTED` and `DEADLINE_EXCEEDED`, as far as they come with the head of the
/// answer. A call is tried elsewhere when it did not reach an instance, or was refused unprocessed; another only when
/// [`idempotent`](Self::idempotent) names its method, or [`Retry::idempotent`] says it of all. A request that is a stream
/// is tried once, if not all of it is there at once.
///
/// A deadline (`grpc-timeout`) holds for all tries together, and each is told what is left.
///
/// ```no_run
/// use portolan::{Config, Discovery, integrate::tonic::Channel};
/// use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
///
/// # async fn ask() -> Result<(), Box<dyn std::error::Error>> {
/// let cart = Discovery::new(Config::from_env()?).service("cart").await?;
/// let channel = Channel::new(&cart).idempotent(["/grpc.health.v1.Health/Check"]);
/// let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Channel {
    channels: PerInstance<transport::Channel>,
    connect: Arc<Connect>,
    retry: Retry,
    idempotent: Arc<[Box<str>]>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Channel");
        f.field("service", self.channels.resolver().service())
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

impl Channel {
    /// Over plain HTTP/2; a connection may take 5 s to come about.
    #[must_use]
    pub fn new(resolver: &Resolver) -> Self {
        Self::connecting(resolver, |endpoint| {
            let target = Target::from_shared(format!("http://{}", endpoint.authority()))?;
            Ok(target.connect_timeout(CONNECT).tcp_nodelay(true))
        })
    }

    /// With a function that says how an instance is connected to, such as over TLS. It connects when the first call goes
    /// there.
    #[must_use]
    pub fn connecting(
        resolver: &Resolver,
        connect: impl Fn(&Endpoint) -> Result<Target, transport::Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            channels: PerInstance::new(resolver),
            connect: Arc::new(connect),
            retry: Retry::default(),
            idempotent: Arc::default(),
        }
    }

    /// How calls are tried again.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The methods that may be called twice without harm, by their paths: `/shop.v1.Cart/Get`.
    #[must_use]
    pub fn idempotent<T: Into<Box<str>>>(mut self, methods: impl IntoIterator<Item = T>) -> Self {
        self.idempotent = methods.into_iter().map(Into::into).collect();
        self
    }

    async fn send(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let (head, body) = request.into_parts();
        let mut given = Given::take(body)?;
        let mut retry = self.retry;
        let path = head.uri.path();
        retry.idempotent |= self.idempotent.iter().any(|method| **method == *path);
        if !given.can_be_repeated() {
            retry.tries = retry.tries.min(1);
        }
        let asked = head.headers.get(TIMEOUT).and_then(|value| timeout::parse(value.to_str().ok()?));
        // A deadline of nothing is over before it begins; the instance says so.
        let asked = asked.filter(|asked| !asked.is_zero());
        retry.within = [retry.within, asked].into_iter().flatten().min();
        let (this, head) = (&self, &head);
        let attempt = |attempt: Attempt| {
            let body = given.once();
            async move { this.once(&attempt, head, body).await }
        };
        outcome::call(self.channels.resolver(), retry, attempt).await.map_err(status)
    }

    async fn once(
        &self,
        attempt: &Attempt,
        head: &request::Parts,
        body: Body,
    ) -> Tried<Response<Body>, transport::Error> {
        let mut request = Request::from_parts(head.clone(), body);
        if let Some(left) = attempt.time_left()
            && let Ok(left) = HeaderValue::from_str(&timeout::format(left))
        {
            request.headers_mut().insert(TIMEOUT, left);
        }
        let connect = || Ok((self.connect)(attempt)?.connect_lazy());
        let channel = self.channels.get(attempt, connect);
        let mut channel = channel.map_err(|error| Failed::new(FailureKind::Connect, Bad::Error(error)))?;
        let got = async {
            poll_fn(|context| channel.poll_ready(context)).await?;
            channel.call(request).await
        };
        outcome::tried(got.await, kind_of, blame)
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

/// What the head of an answer says of its instance: gRPC's status where that comes at once, else HTTP's.
fn kind_of(answer: &Response<Body>) -> Option<FailureKind> {
    match Status::from_header_map(answer.headers()) {
        Some(status) => kind_of_code(status.code()),
        None => outcome::kind_of_status(answer.status()),
    }
}

fn kind_of_code(code: Code) -> Option<FailureKind> {
    match code {
        Code::Unavailable | Code::Internal => Some(FailureKind::Answer),
        Code::ResourceExhausted => Some(FailureKind::Overloaded),
        Code::DeadlineExceeded => Some(FailureKind::Timeout),
        _ => None,
    }
}

fn blame(error: &transport::Error) -> Blame {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if cause.is::<ConnectError>() {
            return Blame::Instance(FailureKind::Connect);
        }
        if cause.is::<tonic::TimeoutExpired>() {
            return Blame::Instance(FailureKind::Timeout);
        }
        next = cause.source();
    }
    outcome::blame(error)
}

/// The status that the caller gets for a call without an answer.
fn status(error: RequestError<transport::Error>) -> Status {
    let text = error.to_string();
    match error {
        RequestError::Service(_) => Status::unavailable(text),
        RequestError::Caller(error) => Status::from_error(error.into()),
        RequestError::Call(CallError::Config(_)) => Status::failed_precondition(text),
        RequestError::Call(CallError::TimedOut { .. }) => Status::deadline_exceeded(text),
        RequestError::Call(CallError::NoInstance(_)) => Status::unavailable(text),
        RequestError::Call(CallError::Failed { failed, .. }) => {
            let mut status = match failed.kind {
                FailureKind::Timeout => Status::deadline_exceeded(text),
                _ => Status::unavailable(text),
            };
            status.set_source(Arc::new(failed.error));
            status
        }
    }
}

#[cfg(test)]
mod tests;
