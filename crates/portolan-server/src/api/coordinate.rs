//! `/v1/coordinate/…`: where nodes are in the network: the one node, in the middle of it.
//!
//! In:  calls. Out: the coordinate that a node has before it has met another.
//!
//! Differs from Consul: there is nobody to measure, so coordinates are the same always; those that are sent are checked, and
//! forgotten.
//! Never: shows the node to whoever may not see it.
//!
//! Rules from Consul 1.21: agent/coordinate_endpoint.go, agent/consul/coordinate_endpoint.go. Proof: `tests/differential/`.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    Later, bare,
    call::Call,
    decode::{fields, list, map, object, text},
    reply::{Done, Outcome, Refusal, empty, freshness_of_keys, value},
};
use crate::{
    acl::{Access, Resource},
    core::Core,
    durable::Written,
    state::{Key, rows::Text},
};

/// How many numbers the first part of a coordinate has (Serf: `coordinate.DefaultConfig`).
const DIMENSIONS: usize = 8;

fn coordinate(node: &str) -> Value {
    let place = json!({ "Vec": vec![0; DIMENSIONS], "Error": 1.5, "Adjustment": 0, "Height": 1e-05 });
    json!({ "Node": node, "Segment": "", "Coord": place })
}

/// Those of datacenters are of servers that others know, which there are none.
pub(super) fn datacenters(_: &Core, call: &Call) -> Outcome {
    call.for_anyone();
    value(&json!([]), call.layout())
}

pub(super) fn nodes(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move { told(&core, &call, None).await })
}

pub(super) fn node(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move { told(&core, &call, Some(&call.rest)).await })
}

async fn told(core: &Core, call: &Call, named: Option<&str>) -> Outcome {
    let read = call.read_options(core)?;
    let mut rights = call.rights(core)?;
    if read.block.is_some() {
        core.wait(&Key::Nodes, read.block).await?;
        rights = call.rights(core)?;
    }
    let ours = core.config.node.as_str();
    let is_asked = call.param("segment").is_none_or(str::is_empty)
        && named.is_none_or(|named| named.eq_ignore_ascii_case(ours));
    if named.is_some() && !is_asked {
        return Ok(bare(StatusCode::NOT_FOUND));
    }
    let is_seen = rights.see_node(ours);
    let shown: Vec<Value> = Some(coordinate(ours)).into_iter().filter(|_| is_asked && is_seen).collect();
    let mut response = value(&shown, call.layout())?;
    freshness_of_keys(response.headers_mut(), core.look(|state| state.index(&Key::Nodes)));
    rights.tell(is_asked && !is_seen, &mut response);
    Ok(response)
}

pub(super) fn update(core: &Core, call: &Call) -> Outcome<Done> {
    let mut node = Text::from("");
    let mut dimensions = 0;
    fields(&object(&call.body)?, |name, value| {
        match name {
            "node" => node = text("Node", value)?,
            "coord" => fields(map("Coord", value)?, |name, value| match name {
                "vec" => {
                    dimensions = list("Coord.Vec", value)?.len();
                    Ok(true)
                }
                "error" | "adjustment" | "height" => Ok(value.is_number()),
                _ => Ok(false),
            })?,
            "segment" | "datacenter" | "partition" | "writerequest" => {}
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    call.check_datacenter(core)?;
    // Consul 1.21.4 breaks the connection where there is none at all.
    if dimensions != DIMENSIONS {
        return Err(Refusal::internal("incompatible coordinate"));
    }
    call.rights(core)?.require(Resource::Node, &node, Access::Write)?;
    Ok(Done::new(Written::NOTHING, empty()))
}
