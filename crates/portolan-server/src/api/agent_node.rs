//! `/v1/agent/…`, what is asked of the agent as a process: its version, its machine, and what moves a cluster.
//!
//! In:  calls. Out: what there is to tell of one process that is no member of a cluster.
//!
//! Differs from Consul: `host` tells what can be told without reading the machine; joining is refused, for there is nobody to
//! join; leaving ends the registry as a signal does, and nothing of its data goes.
//! Never: ends before what is under way was answered.
//!
//! Rules from Consul: agent/agent_endpoint.go `AgentVersion`, `AgentHost`, `AgentReload`, `AgentJoin`, `AgentLeave`.

use serde_json::json;

use super::{
    call::Call,
    reply::{Done, Outcome, Refusal, empty, value},
};
use crate::{
    acl::{Access, Resource},
    core::{Core, INTERFACE_VERSION},
    durable::Written,
};

fn require(core: &Core, call: &Call, resource: Resource, access: Access) -> Outcome<()> {
    call.rights(core)?.require(resource, &core.config.node, access)
}

pub(super) fn version(core: &Core, call: &Call) -> Outcome {
    require(core, call, Resource::Agent, Access::Read)?;
    let told = json!({
        "SHA": "",
        "BuildDate": "1970-01-01T00:00:01Z",
        "HumanVersion": INTERFACE_VERSION,
        "FIPS": "",
    });
    value(&told, call.layout())
}

pub(super) fn host(core: &Core, call: &Call) -> Outcome {
    require(core, call, Resource::Operator, Access::Read)?;
    let host = json!({
        "hostname": core.config.node,
        "os": std::env::consts::OS,
        "kernelArch": std::env::consts::ARCH,
    });
    let told = json!({
        "Memory": null,
        "CPU": [],
        "Host": host,
        "Disk": null,
        "CollectionTime": 0,
        "Errors": ["memory, processors and disks are not told by this registry"],
    });
    value(&told, call.layout())
}

/// There is no file to be read again.
pub(super) fn reload(core: &Core, call: &Call) -> Outcome<Done> {
    require(core, call, Resource::Agent, Access::Write)?;
    Ok(Done::new(Written::NOTHING, empty()))
}

/// Has the server end, once this is answered.
pub(super) fn leave(core: &Core, call: &Call) -> Outcome<Done> {
    require(core, call, Resource::Agent, Access::Write)?;
    tracing::info!("the registry was asked to leave: it ends");
    core.left.cancel();
    Ok(Done::new(Written::NOTHING, empty()))
}

pub(super) fn join(core: &Core, call: &Call) -> Outcome<Done> {
    require(core, call, Resource::Agent, Access::Write)?;
    Err(Refusal::internal("this registry is one process and joins no cluster"))
}

pub(super) fn force_leave(core: &Core, call: &Call) -> Outcome<Done> {
    call.rights(core)?.require(Resource::Operator, "", Access::Write)?;
    if call.rest == core.config.node {
        return Err(Refusal::internal("the registry's own node cannot be made to leave"));
    }
    Err(Refusal::internal(format!("agent: No node found with name '{}'", call.rest)))
}
