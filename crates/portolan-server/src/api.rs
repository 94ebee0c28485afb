//! Consul's HTTP interface: one table of endpoints, and what all of them have in common.
//!
//! In:  requests. Out: what a Consul 1.21 would answer: status, headers, body, and its words for what is wrong.
//!
//! An endpoint parses a [`Call`], turns it into one command or one question, and encodes the reply. What is not in
//! [`ENDPOINTS`] is not there yet: 404, as for any path that Consul does not know.
//!
//! Never: panics on a request; ignores a parameter that would change the answer; reads a body beyond its limit or for
//! longer than its time.
//!
//! Rules from Consul: agent/http.go, agent/http_register.go.
//! Proof: `tests/http.rs`.

use std::{future::Future, pin::Pin, sync::Arc};

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

mod acl;
mod agent;
mod agent_checks;
mod agent_health;
mod agent_node;
mod call;
mod catalog;
mod catalog_write;
mod check_definition;
mod config_entry;
mod connect;
mod coordinate;
mod decode;
mod definition;
mod event;
mod filter;
mod health;
mod interface;
mod kv;
mod metrics;
mod operator;
mod own;
mod path;
mod query;
mod reply;
mod rights;
mod session;
mod snapshot;
mod status;
mod txn;
mod upload;
mod visible;

use {
    call::Call,
    reply::{Done, Outcome, Refusal},
};

pub(crate) use {
    interface::Interface,
    kv::{named, target},
};

use crate::{config::Limits, core::Core, faults};

type Later = Pin<Box<dyn Future<Output = Outcome> + Send>>;

const DEFAULT_POLICY: HeaderName = HeaderName::from_static("x-consul-default-acl-policy");

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
    /// How large its body may be, and which setting says so.
    most: fn(&Limits) -> (usize, &'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    Put,
    Post,
    Delete,
}

const fn get(path: &'static str, run: fn(&Core, &Call) -> Outcome) -> Endpoint {
    Endpoint { method: Verb::Get, path, run: Run::Now(run), most: of_any }
}

const fn watch(path: &'static str, run: fn(Arc<Core>, Call) -> Later) -> Endpoint {
    Endpoint { method: Verb::Get, path, run: Run::Wait(run), most: of_any }
}

const fn delete(path: &'static str, run: fn(&Core, &Call) -> Outcome<Done>) -> Endpoint {
    Endpoint { method: Verb::Delete, path, run: Run::Write(run), most: of_any }
}

const fn put(path: &'static str, run: fn(&Core, &Call) -> Outcome<Done>) -> Endpoint {
    Endpoint { method: Verb::Put, path, run: Run::Write(run), most: of_any }
}

const fn post(path: &'static str, run: fn(&Core, &Call) -> Outcome<Done>) -> Endpoint {
    Endpoint { method: Verb::Post, path, run: Run::Write(run), most: of_any }
}

fn of_any(limits: &Limits) -> (usize, &'static str) {
    (limits.max_body, "max_body")
}

fn of_a_backup(limits: &Limits) -> (usize, &'static str) {
    (limits.max_bodies / 2, "max_bodies")
}

const fn own(
    method: Verb,
    path: &'static str,
    run: Run,
    most: fn(&Limits) -> (usize, &'static str),
) -> Endpoint {
    Endpoint { method, path, run, most }
}

/// Everything that is answered.
const ENDPOINTS: &[Endpoint] = &[
    get("/v1/agent/self", agent::about),
    get("/v1/agent/members", agent::members),
    get("/v1/agent/version", agent_node::version),
    get("/v1/agent/host", agent_node::host),
    get("/v1/agent/metrics", metrics::metrics),
    put("/v1/agent/reload", agent_node::reload),
    put("/v1/agent/leave", agent_node::leave),
    put("/v1/agent/join/", agent_node::join),
    put("/v1/agent/force-leave/", agent_node::force_leave),
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
    watch("/v1/catalog/connect/", catalog::connect),
    watch("/v1/catalog/gateway-services/", catalog::gateway_services),
    watch("/v1/health/service/", health::service),
    watch("/v1/health/connect/", health::connect),
    watch("/v1/health/ingress/", health::ingress),
    watch("/v1/health/node/", health::node),
    watch("/v1/health/checks/", health::checks),
    watch("/v1/health/state/", health::state),
    get("/v1/status/leader", status::leader),
    get("/v1/status/peers", status::peers),
    get("/v1/operator/raft/configuration", operator::raft_configuration),
    delete("/v1/operator/raft/peer", operator::raft_peer),
    post("/v1/operator/raft/transfer-leader", operator::transfer_leader),
    get("/v1/operator/autopilot/configuration", operator::autopilot_configuration),
    put("/v1/operator/autopilot/configuration", operator::set_autopilot),
    get("/v1/operator/autopilot/health", operator::autopilot_health),
    get("/v1/operator/autopilot/state", operator::autopilot_state),
    get("/v1/operator/keyring", operator::keyring),
    post("/v1/operator/keyring", operator::change_keyring),
    put("/v1/operator/keyring", operator::change_keyring),
    delete("/v1/operator/keyring", operator::change_keyring),
    get("/v1/operator/usage", operator::usage),
    put("/v1/acl/bootstrap", acl::token::bootstrap),
    watch("/v1/acl/policies", acl::policy::list),
    put("/v1/acl/policy", acl::policy::create),
    watch("/v1/acl/policy/name/", acl::policy::by_name),
    watch("/v1/acl/policy/", acl::policy::by_id),
    put("/v1/acl/policy/", acl::policy::update),
    delete("/v1/acl/policy/", acl::policy::remove),
    watch("/v1/acl/tokens", acl::token::list),
    put("/v1/acl/token", acl::token::create),
    watch("/v1/acl/token/self", acl::token::own),
    watch("/v1/acl/token/", acl::token::by_accessor),
    put("/v1/acl/token/", acl::token::update),
    delete("/v1/acl/token/", acl::token::remove),
    watch("/v1/kv/", kv::get),
    Endpoint { most: kv::most, ..put("/v1/kv/", kv::put) },
    delete("/v1/kv/", kv::delete),
    put("/v1/session/create", session::create),
    put("/v1/session/destroy/", session::destroy),
    put("/v1/session/renew/", session::renew),
    watch("/v1/session/info/", session::info),
    watch("/v1/session/node/", session::of_node),
    watch("/v1/session/list", session::all),
    Endpoint { most: txn::most, ..put("/v1/txn", txn::put) },
    watch("/v1/query", query::list),
    post("/v1/query", query::create),
    watch("/v1/query/", query::get),
    put("/v1/query/", query::update),
    delete("/v1/query/", query::remove),
    put("/v1/event/fire/", event::fire),
    watch("/v1/event/list", event::list),
    get("/metrics", own::metrics),
    get("/v1/coordinate/datacenters", coordinate::datacenters),
    watch("/v1/coordinate/nodes", coordinate::nodes),
    watch("/v1/coordinate/node/", coordinate::node),
    put("/v1/coordinate/update", coordinate::update),
    put("/v1/config", config_entry::put),
    watch("/v1/config/", config_entry::get),
    delete("/v1/config/", config_entry::remove),
    get("/v1/connect/ca/roots", connect::read),
    get("/v1/connect/ca/configuration", connect::read),
    put("/v1/connect/ca/configuration", connect::change),
    get("/v1/connect/intentions", connect::read),
    post("/v1/connect/intentions", connect::create_intention),
    get("/v1/connect/intentions/check", connect::check),
    get("/v1/connect/intentions/match", connect::matching),
    get("/v1/connect/intentions/exact", connect::check),
    put("/v1/connect/intentions/exact", connect::put_exact),
    delete("/v1/connect/intentions/exact", connect::remove_exact),
    get("/v1/connect/intentions/", connect::read),
    put("/v1/connect/intentions/", connect::change),
    delete("/v1/connect/intentions/", connect::remove),
    get("/v1/agent/connect/ca/roots", connect::read),
    get("/v1/agent/connect/ca/leaf/", connect::read),
    post("/v1/agent/connect/authorize", connect::authorize),
    get("/v1/discovery-chain/", connect::discovery_chain),
    post("/v1/discovery-chain/", connect::compile_chain),
    watch("/v1/exported-services", connect::none),
    watch("/v1/peerings", connect::none),
    get("/v1/peering/", connect::peering),
    delete("/v1/peering/", connect::remove_peering),
    get("/v1/portolan/backup", own::backup),
    own(Verb::Put, "/v1/portolan/restore", Run::Wait(own::restore), of_a_backup),
    own(Verb::Get, "/v1/snapshot", Run::Wait(snapshot::save), of_any),
    own(Verb::Put, "/v1/snapshot", Run::Wait(snapshot::restore), of_a_backup),
    get(faults::ENDPOINT, own::show_faults),
    own(Verb::Put, faults::ENDPOINT, Run::Now(own::set_faults), of_any),
    own(Verb::Delete, faults::ENDPOINT, Run::Now(own::clear_faults), of_any),
];

/// Method and path of all of them, in their order.
pub(crate) fn endpoints() -> impl Iterator<Item = (&'static str, &'static str)> {
    ENDPOINTS.iter().map(|endpoint| (endpoint.method.as_str(), endpoint.path))
}

/// The endpoints about rules, which are not there where there are none.
const ABOUT_RULES: &str = "/v1/acl/";

/// `of_path`: the endpoints of one path, which differ in their method.
async fn answer(core: Arc<Core>, of_path: &'static [Endpoint], request: Request) -> Response {
    if let Some(elsewhere) = path::misplaced(request.uri()) {
        return elsewhere;
    }
    let default_policy = core.config.shown_default_policy();
    let mut response = match of_path.iter().find(|endpoint| endpoint.method.is(request.method())) {
        Some(endpoint) => run(core, endpoint, request).await.unwrap_or_else(Refusal::into_response),
        None => other_method(of_path, request.method()),
    };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert(DEFAULT_POLICY, HeaderValue::from_static(default_policy));
    response
}

async fn run(core: Arc<Core>, endpoint: &Endpoint, request: Request) -> Outcome {
    if endpoint.path.starts_with(ABOUT_RULES) && !core.config.acl_enabled {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "ACL support disabled"));
    }
    let most = (endpoint.most)(&core.config.limits);
    let call = Call::read(&core, endpoint.path, most, request).await?;
    let asked = call.asked();
    let done = match endpoint.run {
        Run::Now(run) => run(&core, &call),
        Run::Write(run) => written(&core, run(&core, &call)).await,
        Run::Wait(run) => run(core, call).await,
    };
    // One that forgot to ask tells nobody anything; a test goes through all of them.
    if done.is_ok() && !asked.yet() {
        tracing::error!(endpoint = endpoint.path, "an endpoint asked for no right; please report this bug");
        return Err(Refusal::internal("this endpoint asked for no right; please report this bug"));
    }
    done
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
            Self::Post => "POST",
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

fn unknown(request: &Request) -> Response {
    if let Some(elsewhere) = path::misplaced(request.uri()) {
        return elsewhere;
    }
    let path = request.uri().path();
    // Go's mux sends on to the path with a `/` that is there.
    if ENDPOINTS.iter().any(|endpoint| endpoint.path.strip_suffix('/') == Some(path)) {
        return path::elsewhere(&format!("{path}/"), request.uri().query());
    }
    let text = if path.starts_with("/v1/") {
        "Invalid URL path: not a recognized HTTP API endpoint\n"
    } else {
        "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n"
    };
    Refusal::new(StatusCode::NOT_FOUND, text).into_response()
}

/// A response without a body.
fn bare(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
