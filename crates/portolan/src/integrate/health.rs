//! A health endpoint as a service of HTTP requests, for whichever trait of services is wanted.
//!
//! In:  an `http::Request`, of which only the head is looked at. Out: an `http::Response`; never an error.
//!
//! Proof: `tests/health_endpoint.rs`.

use std::{convert::Infallible, pin::Pin};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;

use crate::{HealthEndpoint, HealthResponse};

/// The answer to one request, on its way.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;

/// A [`HealthEndpoint`] as a service: `tower::Service` with the feature `tower`, `hyper::service::Service` with the
/// feature `hyper`. A path that is not one of the endpoint's gets 404.
///
/// Clones share the endpoint and its probes.
#[derive(Clone, Debug)]
pub struct HealthService {
    endpoint: HealthEndpoint,
}

impl HealthEndpoint {
    /// This endpoint as a service of HTTP requests. Features `tower` and `hyper`.
    #[must_use]
    pub fn service(&self) -> HealthService {
        HealthService { endpoint: self.clone() }
    }
}

impl HealthService {
    /// Reads the request at once, so that it need not live on, and answers when the probes have.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Answering {
        let uri = request.uri();
        let target = uri.path_and_query().map_or_else(|| uri.path(), |target| target.as_str());
        // A value that is no text names nothing that is known.
        let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        let route = self.endpoint.route(request.method().as_str(), target, accept);
        let endpoint = self.endpoint.clone();
        Box::pin(async move { Ok(response(endpoint.reply(route).await)) })
    }
}

fn response(answer: HealthResponse) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer.body));
    // The codes are those of `HealthReport::code`, and 404 and 405: all of them are codes.
    *response.status_mut() =
        http::StatusCode::from_u16(answer.code).unwrap_or(http::StatusCode::SERVICE_UNAVAILABLE);
    for (name, value) in answer.headers {
        let name = header::HeaderName::from_static(name);
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}
