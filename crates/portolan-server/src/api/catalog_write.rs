//! `/v1/catalog/register` and `deregister`: nodes elsewhere, whose checks nobody runs.
//!
//! In:  a node with perhaps a service and checks. Out: one command.
//!
//! Rules from Consul: agent/consul/catalog_endpoint.go `nodePreApply`, `servicePreApply`, `checkPreApply`: what is
//! missing is a 500 there, since the servers find it.
//! Never: touches what the agent itself answers for.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    call::{Call, fits},
    decode::{Decoded, fields, list, map, object, pairs, text, truth},
    definition::{check_service, common_field, mesh, weights},
    reply::{Done, Outcome, Refusal, value},
    rights::Rights,
};
use crate::{
    acl::{Access, Resource, secret::is_uuid},
    complete::{addressable, check_meta},
    core::Core,
    state::{
        CatalogCheck, CatalogEntry, Command, Narrow, cut,
        rows::{CheckFacts, Health, NodeRow, NodeSpec, ServiceSpec, Text},
    },
};

mod would_do;

pub(super) fn register(core: &Core, call: &Call) -> Outcome<Done> {
    let (entry, datacenter) = entry(&object(&call.body)?)?;
    our_datacenter(core, &datacenter)?;
    let service = entry.service.iter().flat_map(|service| [&*service.name, &*service.id]);
    let checks = entry.checks.iter().map(|check| &*check.facts.id);
    fits(core, [&*entry.node.name].into_iter().chain(service).chain(checks))?;
    may_register(core, &call.rights(core)?, &entry)?;
    let written = core.apply(Command::CatalogRegister(Box::new(entry)))?;
    Ok(Done::new(written, value(&true, call.layout())?))
}

/// Refuses what the caller may not write (Consul: agent/consul/catalog_endpoint.go `servicePreApply`,
/// `vetRegisterWithACL`): the service, a node that is new or other than it was, the service whose place it takes, and
/// each check.
fn may_register(core: &Core, rights: &Rights, entry: &CatalogEntry) -> Decoded<()> {
    if matches!(rights, Rights::All) {
        return Ok(());
    }
    let name = &entry.node.name;
    let there = core.look(|state| state.node(name));
    let is_same = |(node, _): &(Arc<NodeRow>, _)| entry.skip_node_update || node.spec == entry.node;
    if let Some(service) = &entry.service {
        rights.write_service(&service.name)?;
    }
    if !there.as_ref().is_some_and(is_same) {
        rights.write_node(name)?;
    }
    let service_there = |id: &str| {
        let rows = there.iter().flat_map(|(_, services)| services);
        rows.map(|row| &row.spec).find(|spec| *spec.id == *id)
    };
    if let Some(other) = entry.service.as_ref().and_then(|service| service_there(&service.id)) {
        rights.write_service(&other.name)?;
    }
    for check in &entry.checks {
        let Some(id) = &check.service else {
            rights.write_node(name)?;
            continue;
        };
        let own = entry.service.as_ref().filter(|service| service.id == *id);
        // One that speaks for nothing is refused by the command.
        if let Some(service) = own.or_else(|| service_there(id)) {
            rights.write_service(&service.name)?;
        }
    }
    Ok(())
}

/// The same for a removal (`vetDeregisterWithACL`): who may write the node may remove all that is on it.
fn may_deregister(
    core: &Core,
    rights: &Rights,
    node: &str,
    service: Option<&str>,
    check: Option<&str>,
) -> Decoded<()> {
    if rights.allow(Resource::Node, node, Access::Write) {
        return Ok(());
    }
    let unknown = |what: &str, id: &str| Refusal::internal(format!("Unknown {what} '{id}'"));
    if let Some(id) = service {
        let there = core.look(|state| state.node(node));
        let mut rows = there.iter().flat_map(|(_, services)| services);
        let row = rows.find(|row| *row.spec.id == *id).ok_or_else(|| unknown("service", id))?;
        return rights.write_service(&row.spec.name);
    }
    if let Some(id) = check {
        let checks = core.look(|state| state.node_checks(node, &Narrow::default()));
        let row = checks.iter().find(|row| *row.facts.id == *id).ok_or_else(|| unknown("check", id))?;
        return rights.write_check(row.facts.of.as_ref().map(|of| &of.name), node);
    }
    rights.write_node(node)
}

fn our_datacenter(core: &Core, datacenter: &str) -> Decoded<()> {
    if datacenter.is_empty() || datacenter == core.config.datacenter {
        return Ok(());
    }
    Err(Refusal::internal("No path to datacenter"))
}

fn entry(given: &Map<String, Value>) -> Decoded<(CatalogEntry, Text)> {
    let empty = || Text::from("");
    let node = NodeSpec { name: empty(), id: empty(), address: empty(), tagged: None, meta: None };
    let mut entry = CatalogEntry { node, skip_node_update: false, service: None, checks: Vec::new() };
    let mut datacenter = empty();
    fields(given, |name, value| {
        match name {
            "id" => entry.node.id = text("ID", value)?,
            "node" => entry.node.name = text("Node", value)?,
            "address" => entry.node.address = text("Address", value)?,
            "taggedaddresses" => entry.node.tagged = Some(pairs("TaggedAddresses", value)?),
            "nodemeta" => entry.node.meta = Some(pairs("NodeMeta", value)?),
            "datacenter" => datacenter = text("Datacenter", value)?,
            "skipnodeupdate" => entry.skip_node_update = truth("SkipNodeUpdate", value)?,
            "service" => entry.service = Some(service(map("Service", value)?)?),
            "check" => entry.checks.push(of_its_kind(check(map("Check", value)?)?)),
            "checks" => {
                for value in list("Checks", value)? {
                    entry.checks.push(of_its_kind(check(map("Checks", value)?)?));
                }
            }
            "token" | "writerequest" | "locality" => {}
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    sound(&entry)?;
    Ok((entry, datacenter))
}

fn sound(entry: &CatalogEntry) -> Decoded<()> {
    let node = &entry.node;
    if node.name.is_empty() {
        return Err(Refusal::internal("Must provide node"));
    }
    addressable("node name", &node.name).map_err(Refusal::internal)?;
    if !node.id.is_empty() && !is_uuid(&node.id) {
        return Err(Refusal::internal(format!(
            "Bad node ID: uuid string is wrong length or form: {:?}",
            node.id
        )));
    }
    if node.address.is_empty() && !entry.skip_node_update {
        return Err(Refusal::internal("Must provide address if SkipNodeUpdate is not set"));
    }
    if let Some(meta) = &node.meta {
        check_meta(meta).map_err(|why| Refusal::internal(format!("Invalid node metadata: {why}")))?;
    }
    if let Some(service) = &entry.service {
        check_service(service, Refusal::internal)?;
    }
    for check in &entry.checks {
        addressable("check ID", &check.facts.id).map_err(Refusal::internal)?;
    }
    Ok(())
}

fn service(given: &Map<String, Value>) -> Decoded<ServiceSpec> {
    let mut spec = service_fields(given)?;
    is_named(&mut spec)?;
    Ok(spec)
}

/// A service as it is written, with a name or without.
pub(super) fn service_fields(given: &Map<String, Value>) -> Decoded<ServiceSpec> {
    let mut spec = ServiceSpec::new("", "");
    fields(given, |name, value| match name {
        "service" => {
            spec.name = text("Service.Service", value)?;
            Ok(true)
        }
        "createindex" | "modifyindex" | "raftindex" => Ok(true),
        // Those that an agent would refuse count as if they were not there, for a client that knows of none sends zeros (Consul:
        // agent/structs/structs.go `ToServiceNode`).
        "weights" => {
            (spec.passing_weight, spec.warning_weight) = weights(value)?.unwrap_or((1, 1));
            Ok(true)
        }
        other => common_field(&mut spec, other, value),
    })?;
    Ok(spec)
}

/// Refuses a service without a name; one without an id has the name for it.
pub(super) fn is_named(spec: &mut ServiceSpec) -> Decoded<()> {
    if spec.name.is_empty() {
        let id = if spec.id.is_empty() { "" } else { " when service ID is provided" };
        return Err(Refusal::internal(format!("Must provide service name (Service.Service){id}")));
    }
    if spec.id.is_empty() {
        spec.id = Text::clone(&spec.name);
    }
    mesh::sound(spec, Refusal::internal)
}

/// A check of which nothing is said.
pub(super) fn no_facts() -> CheckFacts {
    let empty = || Text::from("");
    CheckFacts {
        id: empty(),
        name: empty(),
        notes: empty(),
        status: Health::Critical,
        output: empty(),
        kind: empty(),
        interval: empty(),
        timeout: empty(),
        of: None,
        definition: None,
    }
}

/// The same with the kind that its definition says. In a transaction a Consul leaves it empty.
fn of_its_kind(mut check: CatalogCheck) -> CatalogCheck {
    if check.facts.kind.is_empty() {
        check.facts.kind = check.facts.definition.as_deref().map_or("", would_do::kind).into();
    }
    check
}

pub(super) fn check(given: &Map<String, Value>) -> Decoded<CatalogCheck> {
    let mut facts = no_facts();
    let empty = || Text::from("");
    let (mut service, mut status) = (empty(), empty());
    fields(given, |name, value| {
        match name {
            "checkid" => facts.id = text("CheckID", value)?,
            "name" => facts.name = text("Name", value)?,
            "notes" => facts.notes = text("Notes", value)?,
            "status" => status = text("Status", value)?,
            "output" => facts.output = cut(&text("Output", value)?),
            "type" => facts.kind = text("Type", value)?,
            "interval" => facts.interval = text("Interval", value)?,
            "timeout" => facts.timeout = text("Timeout", value)?,
            "serviceid" => service = text("ServiceID", value)?,
            "definition" => facts.definition = would_do::read(map("Definition", value)?)?,
            // Told by the service and the node themselves.
            "node" | "servicename" | "servicetags" | "exposedport" | "createindex" | "modifyindex"
            | "raftindex" | "namespace" | "partition" | "peername" => {}
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if !status.is_empty() {
        facts.status = Health::of(&status).ok_or_else(|| {
            Refusal::bad(format!("Invalid check status: '{status}'; use passing, warning or critical"))
        })?;
    }
    if facts.id.is_empty() {
        facts.id = Text::clone(&facts.name);
    }
    if facts.id.is_empty() {
        return Err(Refusal::internal("Must provide a CheckID or a Name for each check"));
    }
    Ok(CatalogCheck { facts, service: Some(service).filter(|id| !id.is_empty()) })
}

pub(super) fn deregister(core: &Core, call: &Call) -> Outcome<Done> {
    let [mut node, mut service, mut check, mut datacenter] = [const { "" }; 4].map(Text::from);
    fields(&object(&call.body)?, |name, value| {
        match name {
            "node" => node = text("Node", value)?,
            "serviceid" => service = text("ServiceID", value)?,
            "checkid" => check = text("CheckID", value)?,
            "datacenter" => datacenter = text("Datacenter", value)?,
            "address" | "token" | "writerequest" | "namespace" => {}
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    our_datacenter(core, &datacenter)?;
    if node.is_empty() {
        return Err(Refusal::internal("Must provide node"));
    }
    let rights = call.rights(core)?;
    let given = |text: Text| Some(text).filter(|text| !text.is_empty());
    let (service, check) = (given(service), given(check));
    may_deregister(core, &rights, &node, service.as_deref(), check.as_deref())?;
    let written = core.apply(Command::CatalogDeregister { node, service, check })?;
    Ok(Done::new(written, value(&true, call.layout())?))
}
