//! From a path to its endpoint, for every request of every connection.
//!
//! In:  a request. Out: the answer of the endpoint whose path it is, or begins with where that ends in `/`; the longest
//! such path counts.
//!
//! Never: costs more than a search in a map: a read of one small service is a dozen microseconds in all.
//!
//! Proof: `tests/http/`.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{body::Body, response::Response};
use http::Request;
use hyper::body::{Body as _, Incoming};
use tower_service::Service;

use super::{ENDPOINTS, Endpoint, answer, unknown};
use crate::core::Core;

/// The whole interface; clones share it.
#[derive(Clone)]
pub(crate) struct Interface {
    core: Arc<Core>,
    endpoints: Arc<BTreeMap<&'static str, Endpoint>>,
}

impl Interface {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        let endpoints = ENDPOINTS.iter().map(|endpoint| (endpoint.path, *endpoint)).collect();
        Self { core: Arc::clone(core), endpoints: Arc::new(endpoints) }
    }

    fn endpoint(&self, path: &str) -> Option<Endpoint> {
        let mut path = path;
        loop {
            if let Some(found) = self.endpoints.get(path) {
                return Some(*found);
            }
            // What stands behind the last `/` is a name, or a part of one.
            let (parent, _) = path.trim_end_matches('/').rsplit_once('/')?;
            path = path.get(..=parent.len())?;
        }
    }
}

impl Service<Request<Incoming>> for Interface {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        // Most have none, and then it need not be kept on the heap.
        let request = request.map(|body| if body.is_end_stream() { Body::empty() } else { Body::new(body) });
        let Some(endpoint) = self.endpoint(request.uri().path()) else {
            let answered: Ready<Result<Response, Infallible>> = ready(Ok(unknown(&request)));
            return Box::pin(answered);
        };
        let core = Arc::clone(&self.core);
        Box::pin(async move { Ok(answer(core, endpoint, request).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;

    #[test]
    fn the_longest_path_that_is_there_answers() {
        let interface = Interface::new(&Arc::new(Core::new(ServerConfig::default())));
        for (path, found) in [
            ("/v1/health/service/web", Some("/v1/health/service/")),
            ("/v1/health/service/a/b/", Some("/v1/health/service/")),
            ("/v1/health/service/", Some("/v1/health/service/")),
            ("/v1/agent/service/register", Some("/v1/agent/service/register")),
            ("/v1/agent/service/register/x", Some("/v1/agent/service/")),
            ("/v1/agent/services", Some("/v1/agent/services")),
            ("/v1/agent/services/", None),
            ("/v1/health/service", None),
            ("/v1/health", None),
            ("/", None),
            ("", None),
            ("*", None),
        ] {
            assert_eq!(interface.endpoint(path).map(|endpoint| endpoint.path), found, "{path}");
        }
    }
}
