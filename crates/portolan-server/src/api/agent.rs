//! `/v1/agent/…`: the agent's own instances, and who the agent is.
//!
//! In:  calls. Out: commands, or what the agent holds.
//!
//! Rules from Consul: agent/agent_endpoint.go. Proof: `tests/http.rs`.
//! Never: answers for instances of other nodes.

mod stats;

use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::{
    Later,
    call::{Call, fits},
    decode::object,
    definition::{self, mesh, mesh::Sidecar},
    filter,
    reply::{Done, Outcome, Refusal, body, empty, value},
    rights::Rights,
};
use crate::{
    acl::{Access, Resource},
    core::{Core, INTERFACE_VERSION},
    encode::{AgentServiceJson, ById, Layout, json as encode},
    state::{
        Command, Key, OtherChecks, Refused, SERVER_PORT,
        rows::{CheckSpec, ServiceRow, ServiceSpec, Text},
    },
};

pub(super) fn about(core: &Core, call: &Call) -> Outcome {
    let config = &core.config;
    call.rights(core)?.require(Resource::Agent, &config.node, Access::Read)?;
    let member = member(core);
    value(
        &json!({
            "Config": {
                "Datacenter": config.datacenter,
                "PrimaryDatacenter": config.datacenter,
                "NodeName": config.node,
                "NodeID": &*core.node_id,
                // Who really answers; the version is that of the interface.
                "Revision": concat!("portolan-", env!("CARGO_PKG_VERSION")),
                "Server": true,
                "Version": INTERFACE_VERSION,
                "BuildDate": "1970-01-01T00:00:01Z",
            },
            "DebugConfig": {},
            "Coord": null,
            "Member": member,
            "Stats": stats::told(core),
            "Meta": { "consul-network-segment": "", "consul-version": INTERFACE_VERSION },
        }),
        call.layout(),
    )
}

fn member(core: &Core) -> serde_json::Value {
    let config = &core.config;
    json!({
        "Name": config.node,
        "Addr": config.node_address().to_string(),
        "Port": 8301,
        "Tags": {
            "acls": if config.acl_enabled { "1" } else { "0" },
            "build": format!("{INTERFACE_VERSION}:portolan"),
            "dc": config.datacenter,
            "id": &*core.node_id,
            "port": SERVER_PORT.to_string(),
            "raft_vsn": "3",
            "role": "consul",
            "segment": "",
            "vsn": "2",
            "vsn_max": "3",
            "vsn_min": "2",
        },
        "Status": 1,
        "ProtocolMin": 1,
        "ProtocolMax": 5,
        "ProtocolCur": 2,
        "DelegateMin": 2,
        "DelegateMax": 5,
        "DelegateCur": 4,
    })
}

pub(super) fn members(core: &Core, call: &Call) -> Outcome {
    // `consul members` asks for the segment `_all` unless told otherwise (Consul: agent/agent_endpoint.go `AgentMembers`).
    if call.param("segment").is_some_and(|segment| !matches!(segment, "" | "_all")) {
        return Err(Refusal::internal("Network segments are not supported in this version of Consul"));
    }
    let rights = call.rights(core)?;
    let seen = rights.see_node(&core.config.node);
    let members = filter::members(call, seen.then(|| member(core)).into_iter().collect())?;
    let mut response = value(&members, call.layout())?;
    rights.tell(!seen, &mut response);
    Ok(response)
}

pub(super) fn services(core: &Core, call: &Call) -> Outcome {
    let rights = call.rights(core)?;
    let mut rows = core.look(|state| state.agent_services());
    let all = rows.len();
    rows.retain(|row| rights.see_service(&row.spec.name));
    let hidden = rows.len() < all;
    let rows = filter::services(call, rows)?;
    let shown = rows
        .iter()
        .map(|row| (&*row.spec.id, AgentServiceJson::new(&row.spec, &core.config.datacenter)))
        .collect();
    let mut response = value(&ById(shown), call.layout())?;
    rights.tell(hidden, &mut response);
    Ok(response)
}

/// What changes when anything of an instance does. FNV-1a, 64 bits: opaque to clients, and not for security.
fn hash(content: &[u8]) -> String {
    let hash = content.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

pub(super) fn service(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let id = call.rest.as_str();
        let wait = call.wait()?;
        let unknown = || Refusal::new(StatusCode::NOT_FOUND, format!("unknown service ID: {id}"));
        let may_see =
            |row: &ServiceRow| call.rights(&core)?.require(Resource::Service, &row.spec.name, Access::Read);
        // A token that is not there is refused before what it asks for is looked for.
        call.rights(&core)?;
        let mut current = core.look(|state| state.agent_service(id));
        if let Some(row) = &current {
            may_see(row)?;
        }
        if let (Some(row), Some(known)) = (&current, call.param("hash")) {
            let content =
                encode(&AgentServiceJson::new(&row.spec, &core.config.datacenter), Layout::Compact)?;
            if hash(&content) == known {
                let key = Key::AgentService(id.into());
                let same = |now: Option<_>| now.is_some_and(|now| Arc::ptr_eq(&now, row));
                core.wait_while(&key, wait, |state| same(state.agent_service(id)))
                    .await
                    .map_err(Refusal::from)?;
                current = core.look(|state| state.agent_service(id));
            }
        }
        let row = current.ok_or_else(unknown)?;
        may_see(&row)?;
        let shown = || AgentServiceJson::new(&row.spec, &core.config.datacenter);
        let hash = hash(&encode(&shown(), Layout::Compact)?);
        let mut response = body(encode(&shown().hashed(&hash), call.layout())?);
        if let Ok(hash) = HeaderValue::from_str(&hash) {
            response.headers_mut().insert("x-consul-contenthash", hash);
        }
        Ok(response)
    })
}

pub(super) fn register(core: &Core, call: &Call) -> Outcome<Done> {
    let given = object(&call.body)?;
    let (service, checks) = definition::service(&given, core.config.scripts())?;
    let sidecar = mesh::sidecar(&given, &service, core.config.scripts())?;
    fits(core, [&*service.name, &*service.id].into_iter().chain(checks.iter().map(|check| &*check.id)))?;
    let rights = call.rights(core)?;
    rights.write_service(&service.name)?;
    if let Some(there) = replaced(core, &rights, &service.id) {
        rights.write_service(&there.spec.name)?;
    }
    let sidecar = sidecar.map(|sidecar| with_port(core, &rights, sidecar)).transpose()?;
    let others = match call.param("replace-existing-checks") {
        Some("" | "true") => OtherChecks::Remove,
        _ => OtherChecks::Keep,
    };
    let mut written = core.apply(Command::RegisterService { service: Box::new(service), checks, others })?;
    if let Some((service, checks)) = sidecar {
        written = core.apply(Command::RegisterService { service: Box::new(service), checks, others })?;
    }
    Ok(Done::new(written, empty()))
}

/// A sidecar with its port, where the caller may register it.
fn with_port(core: &Core, rights: &Rights, sidecar: Sidecar) -> Outcome<(ServiceSpec, Vec<CheckSpec>)> {
    rights.write_service(sidecar.name())?;
    let taken = core.look(|state| state.agent_services());
    let had = taken.iter().find(|row| row.spec.id == *sidecar.id()).map(|row| row.spec.port);
    sidecar.complete(had, |port| taken.iter().any(|row| row.spec.port == port))
}

/// The instance that a change is about, where rights count.
fn replaced(core: &Core, rights: &Rights, id: &str) -> Option<Arc<ServiceRow>> {
    if matches!(rights, Rights::All) { None } else { core.look(|state| state.agent_service(id)) }
}

/// Refuses the change of an instance that the caller may not write; one that is not there is left to the command.
fn may_change(core: &Core, call: &Call, id: &str) -> Outcome<()> {
    let rights = call.rights(core)?;
    match replaced(core, &rights, id) {
        Some(there) => rights.write_service(&there.spec.name),
        None if matches!(rights, Rights::All) => Ok(()),
        None => Err(Refused::UnknownService(id.into()).into()),
    }
}

pub(super) fn deregister(core: &Core, call: &Call) -> Outcome<Done> {
    may_change(core, call, &call.rest)?;
    let mut written = core.apply(Command::DeregisterService { id: call.rest.as_str().into() })?;
    // What came with it goes with it.
    let sidecar = format!("{}{}", call.rest, mesh::SIDECAR);
    let came_with = |row: Arc<ServiceRow>| row.spec.mesh.as_ref().is_some_and(|mesh| mesh.is_sidecar);
    if core.look(|state| state.agent_service(&sidecar)).is_some_and(came_with) {
        written = core.apply(Command::DeregisterService { id: sidecar.into() })?;
    }
    Ok(Done::new(written, empty()))
}

pub(super) fn service_maintenance(core: &Core, call: &Call) -> Outcome<Done> {
    let id = call.name("Missing service ID")?;
    maintenance(core, call, Some(id.into()))
}

pub(super) fn node_maintenance(core: &Core, call: &Call) -> Outcome<Done> {
    maintenance(core, call, None)
}

fn maintenance(core: &Core, call: &Call, service: Option<Text>) -> Outcome<Done> {
    let enable = call.param("enable").ok_or_else(|| Refusal::bad("Missing value for enable"))?;
    let enable =
        Call::flag(enable).ok_or_else(|| Refusal::bad(format!("Invalid value for enable: {enable:?}")))?;
    match &service {
        Some(id) => may_change(core, call, id)?,
        None => call.rights(core)?.write_node(&core.config.node)?,
    }
    let reason = enable.then(|| call.param("reason").unwrap_or_default().into());
    let written = core.apply(Command::Maintenance { service, reason })?;
    Ok(Done::new(written, empty()))
}
