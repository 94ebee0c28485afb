//! hyper: a client whose hosts are services, and a health endpoint as a `hyper::service::Service`.
//!
//! Proof: `tests/health_endpoint.rs`, and what `hyper/client.rs` names.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::service::Service;

use super::{Answering, HealthService};

pub(super) mod client;

pub use client::{Cause, Client};

impl<B> Service<Request<B>> for HealthService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<B>) -> Answering {
        self.answer(&request)
    }
}
