//! Consul's HTTP interface: one table of endpoints, and what all of them have in common.
//!
//! In:  requests. Out: what a Consul 1.21 would answer: status, headers, body, and its words for what is wrong.
//!
//! An endpoint parses a [`Call`], turns it into one command or one question, and encodes the reply. What is not in
//! [`ENDPOINTS`] is not there yet: 404, as for any path that Consul does not know.
//!
//! Never: panics on a request; ignores a parameter that would change the answer (`filter` is refused); reads a body
//! beyond its limit or for longer than its time.
//!
//! Rules from Consul: agent/http.go, agent/http_register.go.
//! Proof: `tests/http.rs`.

use std::{future::Future, pin::Pin, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::Response,
    routing::{MethodRouter, any},
};
use http::{HeaderValue, Method, StatusCode, header};

mod agent;
mod agent_checks;
mod agent_health;
mod call;
mod catalog;
mod catalog_write;
mod check_definition;
mod decode;
mod definition;
mod health;
mod own;
mod reply;
mod status;

use {
    call::Call,
    reply::{Done, Outcome, Refusal},
};

use crate::{core::Core, faults};

type Later = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// How an endpoint does its work.
#[derive(Clone, Copy)]
enum Run {
    /// It never waits.
    Now(fn(&Core, &Call) -> Outcome),
    /// It changes something: answered once the disk has it.
    Write(fn(&Core, &Call) -> Outcome<Done>),
    /// It may wait for a change.
    Wait(fn(Arc<Core>, Call) -> Later),
}

/// One row of the interface. A path that ends in `/` takes what follows as a name or an id.
#[derive(Clone, Copy)]
struct Endpoint {
    method: Verb,
    path: &'static str,
    run: Run,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    Put,
    Delete,
}

const fn get(path: &'static str, run: fn(&Core, &Call) -> Outcome) -> Endpoint {
    Endpoint { method: Verb::Get, path, run: Run::Now(run) }
}

const fn watch(path: &'static str, run: fn(Arc<Core>, Call) -> Later) -> Endpoint {
    Endpoint { method: Verb::Get, path, run: Run::Wait(run) }
}

const fn put(path: &'static str, run: fn(&Core, &Call) -> Outcome<Done>) -> Endpoint {
    Endpoint { method: Verb::Put, path, run: Run::Write(run) }
}

/// Everything that is answered.
const ENDPOINTS: &[Endpoint] = &[
    get("/v1/agent/self", agent::about),
    get("/v1/agent/members", agent::members),
    get("/v1/agent/services", agent::services),
    watch("/v1/agent/service/", agent::service),
    put("/v1/agent/service/register", agent::register),
    put("/v1/agent/service/deregister/", agent::deregister),
    put("/v1/agent/service/maintenance/", agent::service_maintenance),
    put("/v1/agent/maintenance", agent::node_maintenance),
    get("/v1/agent/checks", agent_checks::checks),
    put("/v1/agent/check/register", agent_checks::register),
    put("/v1/agent/check/deregister/", agent_checks::deregister),
    put("/v1/agent/check/pass/", agent_checks::pass),
    put("/v1/agent/check/warn/", agent_checks::warn),
    put("/v1/agent/check/fail/", agent_checks::fail),
    put("/v1/agent/check/update/", agent_checks::update),
    get("/v1/agent/health/service/id/", agent_health::by_id),
    get("/v1/agent/health/service/name/", agent_health::by_name),
    get("/v1/catalog/datacenters", catalog::datacenters),
    put("/v1/catalog/register", catalog_write::register),
    put("/v1/catalog/deregister", catalog_write::deregister),
    watch("/v1/catalog/nodes", catalog::nodes),
    watch("/v1/catalog/services", catalog::services),
    watch("/v1/catalog/service/", catalog::service),
    watch("/v1/catalog/node/", catalog::node),
    watch("/v1/catalog/node-services/", catalog::node_services),
    watch("/v1/health/service/", health::service),
    watch("/v1/health/node/", health::node),
    watch("/v1/health/checks/", health::checks),
    watch("/v1/health/state/", health::state),
    get("/v1/status/leader", status::leader),
    get("/v1/status/peers", status::peers),
    get("/v1/portolan/backup", own::backup),
    Endpoint { method: Verb::Put, path: RESTORE, run: Run::Wait(own::restore) },
    get(faults::ENDPOINT, own::show_faults),
    Endpoint { method: Verb::Put, path: faults::ENDPOINT, run: Run::Now(own::set_faults) },
    Endpoint { method: Verb::Delete, path: faults::ENDPOINT, run: Run::Now(own::clear_faults) },
];

/// Where bodies may be as long as a backup.
const RESTORE: &str = "/v1/portolan/restore";

/// The whole interface.
pub(crate) fn router(core: &Arc<Core>) -> Router {
    let mut router = Router::new();
    for of_path in ENDPOINTS.chunk_by(|one, other| one.path == other.path) {
        let Some(Endpoint { path, .. }) = of_path.first() else { continue };
        router = router.route(path, serve(core, of_path));
        if path.ends_with('/') {
            router = router.route(&format!("{path}{{*rest}}"), serve(core, of_path));
        }
    }
    router.fallback(unknown)
}

/// `of_path`: the endpoints of one path, which differ in their method.
fn serve(core: &Arc<Core>, of_path: &'static [Endpoint]) -> MethodRouter {
    let core = Arc::clone(core);
    any(move |request: Request| answer(Arc::clone(&core), of_path, request))
}

async fn answer(core: Arc<Core>, of_path: &'static [Endpoint], request: Request) -> Response {
    if let Some(elsewhere) = call::misplaced(request.uri()) {
        return elsewhere;
    }
    let mut response = match of_path.iter().find(|endpoint| endpoint.method.is(request.method())) {
        None => other_method(of_path, request.method()),
        Some(endpoint) => {
            let done = match Call::read(&core, endpoint.path, request).await {
                Ok(call) => match endpoint.run {
                    Run::Now(run) => run(&core, &call),
                    Run::Write(run) => written(&core, run(&core, &call)).await,
                    Run::Wait(run) => run(core, call).await,
                },
                Err(refusal) => Err(refusal),
            };
            done.unwrap_or_else(Refusal::into_response)
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert("x-consul-default-acl-policy", HeaderValue::from_static("allow"));
    response
}

/// What was done is told once it is on disk.
async fn written(core: &Core, done: Outcome<Done>) -> Outcome {
    let Done { response, written } = done?;
    core.kept(written).await?;
    Ok(response)
}

impl Verb {
    fn is(self, method: &Method) -> bool {
        method.as_str() == self.as_str()
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// The answer to a method that the path does not have, and to `OPTIONS`.
fn other_method(of_path: &[Endpoint], method: &Method) -> Response {
    let mut response = if *method == Method::OPTIONS {
        reply::empty()
    } else {
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("method {method} not allowed")).into_response()
    };
    let allow = of_path
        .iter()
        .fold("OPTIONS".to_owned(), |allow, endpoint| format!("{allow},{}", endpoint.method.as_str()));
    if let Ok(allow) = HeaderValue::try_from(allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

async fn unknown(request: Request) -> Response {
    if let Some(elsewhere) = call::misplaced(request.uri()) {
        return elsewhere;
    }
    let text = "Invalid URL path: not a recognized HTTP API endpoint\n";
    Refusal::new(StatusCode::NOT_FOUND, text).into_response()
}

/// A response without a body.
fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
