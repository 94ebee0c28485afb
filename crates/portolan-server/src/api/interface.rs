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
use tokio::time::Instant;
use tower_service::Service;
use tracing::Instrument as _;

use super::{ENDPOINTS, Endpoint, answer, unknown};
use crate::{core::Core, telemetry, ui};

/// The whole interface; clones share it.
#[derive(Clone)]
pub(crate) struct Interface {
    core: Arc<Core>,
    /// The endpoints of each path, which differ in their method, with the place of the first among all.
    endpoints: Arc<BTreeMap<&'static str, (usize, &'static [Endpoint])>>,
}

impl Interface {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        let mut endpoints = BTreeMap::new();
        let mut place: usize = 0;
        for of_path in ENDPOINTS.chunk_by(|one, other| one.path == other.path) {
            if let Some(first) = of_path.first() {
                endpoints.insert(first.path, (place, of_path));
            }
            place = place.saturating_add(of_path.len());
        }
        Self { core: Arc::clone(core), endpoints: Arc::new(endpoints) }
    }

    /// The answer to a request: traced, and counted.
    pub(super) fn ask(
        &self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response, Infallible>> + Send + use<> {
        let found = self.endpoints(request.uri().path());
        let core = Arc::clone(&self.core);
        let begun = Instant::now();
        let waits = request.uri().query().is_some_and(waits);
        let route = found.and_then(|(_, of_path)| of_path.first()).map_or("other", |first| first.path);
        let endpoint = found.and_then(|(place, of_path)| {
            let number = of_path.iter().position(|endpoint| endpoint.method.is(request.method()))?;
            place.checked_add(number)
        });
        let span = telemetry::served_span(request.method(), route, request.uri().path());
        if let Some(adopt) = core.config.adopt_span
            && !span.is_disabled()
        {
            adopt(&span, request.headers());
        }
        let of = span.clone();
        let asked = async move {
            let response = match found {
                Some((_, of_path)) => answer(Arc::clone(&core), of_path, request).await,
                None => ui::answer(&core.config, &request).unwrap_or_else(|| unknown(&request)),
            };
            let status = response.status();
            core.figures.answered(endpoint, status, (!waits).then(|| begun.elapsed()));
            telemetry::answered(&of, status);
            Ok(response)
        };
        asked.instrument(span)
    }

    fn endpoints(&self, path: &str) -> Option<(usize, &'static [Endpoint])> {
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

/// Whether it asks to wait for a change: by an index, or by a hash.
fn waits(query: &str) -> bool {
    query.split('&').any(|pair| pair.starts_with("index=") || pair.starts_with("hash="))
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
        // As it is: within another block it would stand in memory twice, for as long as a query waits.
        Box::pin(self.ask(request))
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
            assert_eq!(interface.endpoints(path).map(|(_, of_path)| of_path[0].path), found, "{path}");
        }
    }
}
