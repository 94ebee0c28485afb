//! tower: changes for its balancers, a layer that sends requests to instances, and a health endpoint as a
//! `tower::Service`.
//!
//! Proof: `tests/health_endpoint.rs`, and what the files in `tower/` name.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower_service::Service;

use super::{Answering, HealthService};

mod discover;
mod layer;

pub use discover::Discovered;
pub use layer::{AtInstance, ToInstances, ToInstancesLayer};

impl<B> Service<Request<B>> for HealthService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answering {
        self.answer(&request)
    }
}
