//! `/v1/operator/…`: the cluster, as what there is of one: a single server that leads, votes and is well.
//!
//! In:  calls. Out: Consul's shapes with one row each; refusals of what would move a cluster.
//!
//! Differs from Consul: autopilot has no settings to change, for it has nobody to look after.
//! Never: says that something was changed which was not.
//!
//! Rules from Consul 1.21: agent/operator_endpoint.go, agent/consul/operator_raft_endpoint.go.
//! Proof: `tests/differential/`.

use axum::response::Response;
use serde_json::{Value, json};

use super::{
    call::Call,
    decode::{fields, object, object_of, text},
    reply::{Done, Outcome, Refusal, freshness, value},
    status::address,
};
use crate::{
    acl::{Access, Resource},
    core::{Core, INTERFACE_VERSION},
    state::{Key, Narrow},
};

/// The beginning of what Consul says of settings it cannot read.
const AUTOPILOT: &str = "Error parsing autopilot config";

fn require(core: &Core, call: &Call, access: Access) -> Outcome<()> {
    call.rights(core)?.require(Resource::Operator, "", access)
}

/// Reads the parameters of a read, and asks for the right to do it.
fn may_read(core: &Core, call: &Call) -> Outcome<()> {
    call.read_options(core)?;
    require(core, call, Access::Read)
}

pub(super) fn raft_configuration(core: &Core, call: &Call) -> Outcome {
    may_read(core, call)?;
    let told = json!({
        "Servers": [{
            "ID": &*core.node_id,
            "Node": core.config.node,
            "Address": address(core),
            "Leader": true,
            "ProtocolVersion": "3",
            "Voter": true,
            "LastIndex": core.look(|state| state.last_index()),
        }],
        "Index": 0,
    });
    value(&told, call.layout())
}

/// The only server there is cannot be taken out, and no other is there.
pub(super) fn raft_peer(core: &Core, call: &Call) -> Outcome<Done> {
    let given = |name| call.param(name).filter(|text| !text.is_empty());
    let said = match (given("id"), given("address")) {
        (None, None) => {
            let text =
                "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove";
            return Err(Refusal::bad(text));
        }
        (Some(_), Some(_)) => return Err(Refusal::bad("Must specify only one of ?id or ?address")),
        (Some(id), None) if *id == *core.node_id => None,
        (None, Some(ours)) if *ours == *address(core) => None,
        (Some(id), None) => Some(format!("id {id:?} was not found in the Raft configuration")),
        (None, Some(other)) => Some(format!("address {other:?} was not found in the Raft configuration")),
    };
    call.check_datacenter(core)?;
    require(core, call, Access::Write)?;
    Err(Refusal::internal(
        said.unwrap_or_else(|| "this registry is one server, which cannot be removed".to_owned()),
    ))
}

pub(super) fn transfer_leader(core: &Core, call: &Call) -> Outcome<Done> {
    call.check_datacenter(core)?;
    require(core, call, Access::Write)?;
    let said = match call.param("id").filter(|id| !id.is_empty()) {
        Some(id) if *id != *core.node_id => format!("Could not find address for server id {id}"),
        _ => "cannot find peer".to_owned(),
    };
    Err(Refusal::internal(said))
}

pub(super) fn autopilot_configuration(core: &Core, call: &Call) -> Outcome {
    may_read(core, call)?;
    let told = json!({
        "CleanupDeadServers": true,
        "LastContactThreshold": "200ms",
        "MaxTrailingLogs": 250,
        "MinQuorum": 0,
        "ServerStabilizationTime": "10s",
        "RedundancyZoneTag": "",
        "DisableUpgradeMigration": false,
        "UpgradeVersionTag": "",
        "CreateIndex": 1,
        "ModifyIndex": 1,
    });
    value(&told, call.layout())
}

pub(super) fn set_autopilot(core: &Core, call: &Call) -> Outcome<Done> {
    require(core, call, Access::Write)?;
    let known = [
        "cleanupdeadservers",
        "lastcontactthreshold",
        "maxtrailinglogs",
        "minquorum",
        "serverstabilizationtime",
        "redundancyzonetag",
        "disableupgrademigration",
        "upgradeversiontag",
        "createindex",
        "modifyindex",
    ];
    fields(&object_of(AUTOPILOT, &call.body)?, |name, _| Ok(known.contains(&name)))
        .map_err(|refusal| refusal.reworded("Request decode failed", AUTOPILOT))?;
    Err(Refusal::internal(
        "this registry is one server: there is nothing for autopilot to do, and nothing to set",
    ))
}

/// What autopilot says of the one server, under the names that both of its answers use.
fn server(core: &Core) -> Value {
    let index = core.look(|state| state.last_index());
    json!({
        "ID": &*core.node_id,
        "Name": core.config.node,
        "Address": address(core),
        "Version": INTERFACE_VERSION,
        "LastContact": "0s",
        "LastTerm": 1,
        "LastIndex": index,
        "Healthy": true,
        "StableSince": core.started.to_string(),
    })
}

/// The same with what one of them says besides.
fn server_with(core: &Core, more: &Value) -> Value {
    let mut server = server(core);
    if let (Some(server), Some(more)) = (server.as_object_mut(), more.as_object()) {
        server.extend(more.clone());
    }
    server
}

pub(super) fn autopilot_health(core: &Core, call: &Call) -> Outcome {
    may_read(core, call)?;
    let server = server_with(core, &json!({ "SerfStatus": "alive", "Leader": true, "Voter": true }));
    let told = json!({ "Healthy": true, "FailureTolerance": 0, "Servers": [server] });
    value(&told, call.layout())
}

pub(super) fn autopilot_state(core: &Core, call: &Call) -> Outcome {
    may_read(core, call)?;
    let more = json!({
        "NodeStatus": "alive",
        "ReadReplica": false,
        "Status": "leader",
        "Meta": { "consul-network-segment": "", "consul-version": INTERFACE_VERSION },
        "NodeType": "voter",
    });
    let told = json!({
        "Healthy": true,
        "FailureTolerance": 0,
        "OptimisticFailureTolerance": 0,
        "Servers": { (&*core.node_id): server_with(core, &more) },
        "Leader": &*core.node_id,
        "Voters": [&*core.node_id],
    });
    value(&told, call.layout())
}

/// There is no gossip, so there are no keys: said as by an agent whose gossip is not encrypted.
fn no_keyring(core: &Core, what: &str) -> Refusal {
    let (datacenter, node) = (&core.config.datacenter, &core.config.node);
    Refusal::internal(format!(
        "2 errors occurred:\n\t* {datacenter} (LAN) error: 1/1 nodes reported failure\n\t* {node}: {what} (encryption \
         not enabled)\n\n"
    ))
}

/// Reads what all requests about keys may say.
fn keyring_options(call: &Call) -> Outcome<()> {
    let wrong = |what: &str, of: &str, text: &str| {
        Refusal::bad(format!("Error parsing {what}: strconv.{of}: parsing {text:?}: invalid syntax"))
    };
    if let Some(text) = call.param("relay-factor").filter(|text| !text.is_empty()) {
        let factor: i64 = text.parse().map_err(|_cause| wrong("relay factor", "Atoi", text))?;
        if !(0..=5).contains(&factor) {
            return Err(Refusal::bad("Invalid relay-factor: Relay factor must be in range: [0, 5]"));
        }
    }
    match call.param("local-only").filter(|text| !text.is_empty()) {
        Some(text) if Call::flag(text).is_none() => Err(wrong("local-only", "ParseBool", text)),
        _ => Ok(()),
    }
}

pub(super) fn keyring(core: &Core, call: &Call) -> Outcome {
    keyring_options(call)?;
    call.rights(core)?.require(Resource::Keyring, "", Access::Read)?;
    Err(no_keyring(core, "Keyring is empty"))
}

pub(super) fn change_keyring(core: &Core, call: &Call) -> Outcome<Done> {
    keyring_options(call)?;
    fields(&object(&call.body)?, |name, value| match name {
        "key" => text("Key", value).map(|_| true),
        "token" => Ok(true),
        _ => Ok(false),
    })?;
    call.rights(core)?.require(Resource::Keyring, "", Access::Write)?;
    Err(no_keyring(core, "No keyring to modify"))
}

pub(super) fn usage(core: &Core, call: &Call) -> Outcome {
    let read = call.read_options(core)?;
    require(core, call, Access::Read)?;
    let all = Narrow::default();
    let (index, nodes, services, instances) = core.look(|state| {
        let index = state.index(&Key::Services).max(state.index(&Key::Nodes));
        (index, state.node_rows(&all).len(), state.service_names(&all).len(), state.instances_of_all(&all))
    });
    let kinds = ["api-gateway", "connect-proxy", "ingress-gateway", "mesh-gateway", "terminating-gateway"];
    let meshes = || instances.iter().filter_map(|(_, row)| row.spec.mesh.as_ref());
    let mut of_the_mesh: serde_json::Map<String, Value> = kinds
        .iter()
        .map(|kind| ((*kind).to_owned(), meshes().filter(|mesh| *mesh.kind == **kind).count().into()))
        .collect();
    of_the_mesh.insert("connect-native".to_owned(), meshes().filter(|mesh| mesh.native).count().into());
    // Those of the mesh and of Consul itself are not paid for.
    let billable = |row: &crate::state::rows::ServiceSpec| {
        &*row.name != "consul" && row.mesh.as_ref().is_none_or(|mesh| mesh.kind.is_empty())
    };
    let told = json!({
        "Usage": { (&core.config.datacenter): {
            "Services": services,
            "ServiceInstances": instances.len(),
            "ConnectServiceInstances": of_the_mesh,
            "BillableServiceInstances": instances.iter().filter(|(_, row)| billable(&row.spec)).count(),
            "Nodes": nodes,
        }},
        "Index": index,
        "LastContact": 0,
        "KnownLeader": true,
        "ConsistencyLevel": read.effective(),
        "NotModified": false,
        "Backend": 0,
        "ResultsFilteredByACLs": false,
    });
    let mut response: Response = value(&told, call.layout())?;
    freshness(response.headers_mut(), index, read.consistency);
    Ok(response)
}
