//! The mesh and its peers, which are off: `/v1/connect/…`, `/v1/agent/connect/…`, `/v1/discovery-chain/…`, `/v1/peering…`,
//! `/v1/exported-services`.
//!
//! In:  calls. Out: that there is none, as a Consul says it whose mesh is off; what is wrong with a request before that.
//!
//! Never: answers as if there were a mesh.
//!
//! Rules from Consul 1.21: agent/connect_ca_endpoint.go, agent/intentions_endpoint.go, agent/discovery_chain_endpoint.go,
//! agent/peering_endpoint.go, with `connect { enabled = false }`. Proof: `tests/differential/`.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::{
    Later,
    call::Call,
    decode::object,
    reply::{Done, Outcome, Refusal, empty, freshness_of_keys, value},
};
use crate::{core::Core, durable::Written, state::Key};

/// There is no mesh.
pub(super) fn off() -> Refusal {
    Refusal::internal("Connect must be enabled in order to use this endpoint")
}

/// Waits where a caller waits for a change of what never changes.
pub(super) async fn nothing_new(core: &Core, call: &Call) -> Outcome<()> {
    if let Some(block) = call.read_options(core)?.block {
        core.wait_while(&Key::Queries, block.wait, |_state| true).await?;
    }
    Ok(())
}

fn required<'a>(call: &'a Call, name: &str) -> Outcome<&'a str> {
    let missing = || Refusal::internal(format!("required query parameter '{name}' not set"));
    call.param(name).filter(|text| !text.is_empty()).ok_or_else(missing)
}

pub(super) fn read(_: &Core, call: &Call) -> Outcome {
    call.for_anyone();
    call.index()?;
    call.wait()?;
    Err(off())
}

pub(super) fn change(_: &Core, call: &Call) -> Outcome<Done> {
    call.for_anyone();
    object(&call.body)?;
    Err(off())
}

pub(super) fn create_intention(core: &Core, call: &Call) -> Outcome<Done> {
    change(core, call).map_err(|refusal| match refusal.text().strip_prefix("Request decode failed") {
        Some(rest) => Refusal::internal(format!("Failed to decode request body{rest}")),
        None => refusal,
    })
}

/// Removes without a body.
pub(super) fn remove(_: &Core, call: &Call) -> Outcome<Done> {
    call.for_anyone();
    Err(off())
}

pub(super) fn check(core: &Core, call: &Call) -> Outcome {
    call.for_anyone();
    required(call, "source")?;
    required(call, "destination")?;
    read(core, call)
}

pub(super) fn matching(core: &Core, call: &Call) -> Outcome {
    call.for_anyone();
    if !matches!(required(call, "by")?, "source" | "destination") {
        return Err(Refusal::internal("'by' parameter must be one of 'source' or 'destination'"));
    }
    required(call, "name")?;
    read(core, call)
}

/// The two ends that name an intention.
fn ends(call: &Call) -> Outcome<()> {
    call.for_anyone();
    required(call, "source")?;
    required(call, "destination").map(drop)
}

pub(super) fn put_exact(core: &Core, call: &Call) -> Outcome<Done> {
    ends(call)?;
    change(core, call)
}

pub(super) fn remove_exact(core: &Core, call: &Call) -> Outcome<Done> {
    ends(call)?;
    remove(core, call)
}

pub(super) fn authorize(_: &Core, call: &Call) -> Outcome<Done> {
    call.for_anyone();
    let given = object(&call.body)?;
    let target = given.get("Target").and_then(Value::as_str).unwrap_or_default();
    if target.is_empty() {
        return Err(Refusal::bad("Target service must be specified"));
    }
    Err(off())
}

fn chain(call: &Call) -> Outcome<()> {
    call.for_anyone();
    call.name("Missing chain name").map(drop)
}

pub(super) fn discovery_chain(core: &Core, call: &Call) -> Outcome {
    chain(call)?;
    read(core, call)
}

pub(super) fn compile_chain(core: &Core, call: &Call) -> Outcome<Done> {
    chain(call)?;
    change(core, call).map_err(|refusal| refusal.reworded("Request decode failed", "Request decoding failed"))
}

/// What is shared with peers, and the peers: neither is there.
pub(super) fn none(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        call.for_anyone();
        nothing_new(&core, &call).await?;
        let mut response = value(&Value::Array(Vec::new()), call.layout())?;
        freshness_of_keys(response.headers_mut(), 1);
        Ok(response)
    })
}

pub(super) fn peering(core: &Core, call: &Call) -> Outcome {
    call.for_anyone();
    let name = call.name("Must specify a name to fetch.")?;
    call.check_datacenter(core)?;
    Err(Refusal::new(StatusCode::NOT_FOUND, format!("Peering not found for {name:?}")))
}

/// One that is not there is gone.
pub(super) fn remove_peering(core: &Core, call: &Call) -> Outcome<Done> {
    call.for_anyone();
    call.name("Must specify a name to delete.")?;
    call.check_datacenter(core)?;
    Ok(Done::new(Written::NOTHING, empty()))
}
