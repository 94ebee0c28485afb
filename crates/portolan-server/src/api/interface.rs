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
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{body::Body, response::Response};
use http::Request;
use hyper::body::{Body as _, Incoming};
use tower_service::Service;

use super::{ENDPOINTS, Endpoint, answer, unknown};
use crate::{core::Core, ui};

/// The whole interface; clones share it.
#[derive(Clone)]
pub(crate) struct Interface {
    core: Arc<Core>,
    /// The endpoints of each path, which differ in their method.
    endpoints: Arc<BTreeMap<&'static str, &'static [Endpoint]>>,
}

impl Interface {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        let of_path = ENDPOINTS.chunk_by(|one, other| one.path == other.path);
        let endpoints = of_path.filter_map(|of_path| Some((of_path.first()?.path, of_path))).collect();
        Self { core: Arc::clone(core), endpoints: Arc::new(endpoints) }
    }

    /// The answer to a request.
    pub(super) fn ask(&self, request: Request<Body>) -> impl Future<Output = Response> + Send + use<> {
        let of_path = self.endpoints(request.uri().path());
        let core = Arc::clone(&self.core);
        async move {
            match of_path {
                Some(of_path) => answer(core, of_path, request).await,
                None => ui::answer(&core.config, &request).unwrap_or_else(|| unknown(&request)),
            }
        }
    }

    fn endpoints(&self, path: &str) -> Option<&'static [Endpoint]> {
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
        let answered = self.ask(request);
        Box::pin(async move { Ok(answered.await) })
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
            assert_eq!(interface.endpoints(path).map(|of_path| of_path[0].path), found, "{path}");
        }
    }
}
