//! The JSON shapes of Consul's answers, over borrowed rows.
//!
//! In:  rows. Out: `Serialize`. The order of fields is Consul's, so that a person who compares sees no noise.
//!
//! Never: renames or adds; a `null`, an empty list and a missing field each stand where Consul has them.
//!
//! Rules from Consul 1.21: agent/structs/structs.go (`NodeService`, `HealthCheck`, `ServiceNode`), api/agent.go.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::state::{
    AgentCheck, Entry,
    rows::{
        CheckFacts, CheckRow, Locality, Mesh, NodeRow, Pairs, ServiceRow, ServiceSpec, TaggedAddress, Text,
    },
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeJson<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: Option<PairsJson<'a>>,
    meta: Option<PairsJson<'a>>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> NodeJson<'a> {
    pub(crate) fn new(row: &'a NodeRow, datacenter: &'a str) -> Self {
        let spec = &row.spec;
        Self {
            id: &spec.id,
            node: &spec.name,
            address: &spec.address,
            datacenter,
            tagged_addresses: spec.tagged.as_ref().map(PairsJson),
            meta: spec.meta.as_ref().map(PairsJson),
            create_index: row.create,
            modify_index: row.modify,
        }
    }
}

/// Pairs as an object.
pub(super) struct PairsJson<'a>(pub(super) &'a Pairs);

impl Serialize for PairsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (&**key, &**value)))
    }
}

pub(super) struct TagsJson<'a>(pub(super) &'a [Text]);

impl Serialize for TagsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|tag| &**tag))
    }
}

pub(super) struct TaggedJson<'a>(pub(super) &'a BTreeMap<Text, TaggedAddress>);

impl TaggedJson<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AddressJson<'a> {
    address: &'a str,
    port: u16,
}

impl Serialize for TaggedJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (tag, tagged) in self.0 {
            map.serialize_entry(&**tag, &AddressJson { address: &tagged.address, port: tagged.port })?;
        }
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WeightsJson {
    passing: u16,
    warning: u16,
}

impl WeightsJson {
    pub(super) fn new(spec: &ServiceSpec) -> Self {
        Self { passing: spec.passing_weight, warning: spec.warning_weight }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LocalityJson<'a> {
    region: &'a str,
    zone: &'a str,
}

impl<'a> LocalityJson<'a> {
    pub(super) fn new(locality: &'a Locality) -> Self {
        Self { region: &locality.region, zone: &locality.zone }
    }
}

#[derive(Serialize)]
pub(super) struct Empty {}

/// What a service that is no proxy says of proxies.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NoProxyJson {
    mode: &'static str,
    mesh_gateway: Empty,
    expose: Empty,
}

const NO_PROXY: NoProxyJson = NoProxyJson { mode: "", mesh_gateway: Empty {}, expose: Empty {} };

/// What an instance says of proxies.
struct ProxyJson<'a>(Option<&'a Mesh>);

impl Serialize for ProxyJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.filter(|mesh| !mesh.proxy.is_empty()) {
            None => NO_PROXY.serialize(serializer),
            Some(mesh) => {
                let told: serde_json::Value =
                    serde_json::from_str(&mesh.proxy).map_err(serde::ser::Error::custom)?;
                told.serialize(serializer)
            }
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ConnectJson {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    native: bool,
}

impl ConnectJson {
    pub(super) fn new(mesh: Option<&Mesh>) -> Self {
        Self { native: mesh.is_some_and(|mesh| mesh.native) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ServiceJson<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: TagsJson<'a>,
    address: &'a str,
    #[serde(skip_serializing_if = "TaggedJson::is_empty")]
    tagged_addresses: TaggedJson<'a>,
    /// `null` when there is none.
    meta: Option<PairsJson<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    port: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    socket_path: &'a str,
    weights: WeightsJson,
    enable_tag_override: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    locality: Option<LocalityJson<'a>>,
    proxy: ProxyJson<'a>,
    connect: ConnectJson,
    peer_name: &'static str,
    create_index: u64,
    modify_index: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(port: &u16) -> bool {
    *port == 0
}

impl<'a> ServiceJson<'a> {
    pub(crate) fn new(row: &'a ServiceRow) -> Self {
        let spec = &row.spec;
        let mesh = spec.mesh.as_deref();
        Self {
            kind: mesh.map_or("", |mesh| &mesh.kind),
            id: &spec.id,
            service: &spec.name,
            tags: TagsJson(&spec.tags),
            address: &spec.address,
            tagged_addresses: TaggedJson(&spec.tagged),
            meta: Some(&spec.meta).filter(|meta| !meta.is_empty()).map(PairsJson),
            port: spec.port,
            socket_path: mesh.map_or("", |mesh| &mesh.socket_path),
            weights: WeightsJson::new(spec),
            enable_tag_override: spec.enable_tag_override,
            locality: spec.locality.as_ref().map(LocalityJson::new),
            proxy: ProxyJson(mesh),
            connect: ConnectJson::new(mesh),
            peer_name: "",
            create_index: row.create,
            modify_index: row.modify,
        }
    }
}

/// An instance in `/catalog/service`: one flat object with its node.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CatalogServiceJson<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: Option<PairsJson<'a>>,
    node_meta: Option<PairsJson<'a>>,
    service_kind: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: TagsJson<'a>,
    service_address: &'a str,
    #[serde(skip_serializing_if = "TaggedJson::is_empty")]
    service_tagged_addresses: TaggedJson<'a>,
    service_weights: WeightsJson,
    /// `{}` when there is none.
    service_meta: PairsJson<'a>,
    service_port: u16,
    service_socket_path: &'a str,
    service_enable_tag_override: bool,
    service_proxy: ProxyJson<'a>,
    service_connect: ConnectJson,
    service_locality: Option<LocalityJson<'a>>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> CatalogServiceJson<'a> {
    pub(crate) fn new(entry: &'a Entry, datacenter: &'a str) -> Self {
        let (node, row) = (&entry.node.spec, &entry.service);
        let spec = &row.spec;
        let mesh = spec.mesh.as_deref();
        Self {
            id: &node.id,
            node: &node.name,
            address: &node.address,
            datacenter,
            tagged_addresses: node.tagged.as_ref().map(PairsJson),
            node_meta: node.meta.as_ref().map(PairsJson),
            service_kind: mesh.map_or("", |mesh| &mesh.kind),
            service_id: &spec.id,
            service_name: &spec.name,
            service_tags: TagsJson(&spec.tags),
            service_address: &spec.address,
            service_tagged_addresses: TaggedJson(&spec.tagged),
            service_weights: WeightsJson::new(spec),
            service_meta: PairsJson(&spec.meta),
            service_port: spec.port,
            service_socket_path: mesh.map_or("", |mesh| &mesh.socket_path),
            service_enable_tag_override: spec.enable_tag_override,
            service_proxy: ProxyJson(mesh),
            service_connect: ConnectJson::new(mesh),
            service_locality: spec.locality.as_ref().map(LocalityJson::new),
            create_index: row.create,
            modify_index: row.modify,
        }
    }
}

/// What a check would do, as its definition in the catalogue has it.
struct DefinitionJson<'a>(Option<&'a str>);

impl Serialize for DefinitionJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => Empty {}.serialize(serializer),
            Some(json) => {
                let told: serde_json::Value =
                    serde_json::from_str(json).map_err(serde::ser::Error::custom)?;
                told.serialize(serializer)
            }
        }
    }
}

/// A check in the catalogue.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CheckJson<'a> {
    node: &'a str,
    #[serde(rename = "CheckID")]
    id: &'a str,
    name: &'a str,
    status: &'static str,
    notes: &'a str,
    output: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: TagsJson<'a>,
    r#type: &'a str,
    interval: &'a str,
    timeout: &'a str,
    exposed_port: u16,
    definition: DefinitionJson<'a>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> CheckJson<'a> {
    pub(crate) fn new(row: &'a CheckRow) -> Self {
        let CheckFacts { id, name, notes, status, output, kind, interval, timeout, of, definition } =
            &row.facts;
        Self {
            node: &row.node,
            id,
            name,
            status: status.as_str(),
            notes,
            output,
            service_id: of.as_ref().map_or("", |of| &of.id),
            service_name: of.as_ref().map_or("", |of| &of.name),
            service_tags: TagsJson(of.as_ref().map_or(&[], |of| &of.tags)),
            r#type: kind,
            interval,
            timeout,
            exposed_port: 0,
            definition: DefinitionJson(definition.as_deref()),
            create_index: row.create,
            modify_index: row.modify,
        }
    }

    /// A check as the agent tells it: the newest output, no indexes.
    pub(crate) fn of_agent(check: &'a AgentCheck) -> Self {
        CheckJson { output: &check.output, create_index: 0, modify_index: 0, ..Self::new(&check.row) }
    }
}

/// Values as an object, by name.
pub(crate) struct ById<'a, V>(pub(crate) Vec<(&'a str, V)>);

impl<V: Serialize> Serialize for ById<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(id, value)| (id, value)))
    }
}

/// An instance in `/health/service`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EntryJson<'a> {
    node: NodeJson<'a>,
    service: ServiceJson<'a>,
    checks: Vec<CheckJson<'a>>,
}

impl<'a> EntryJson<'a> {
    pub(crate) fn new(entry: &'a Entry, datacenter: &'a str) -> Self {
        Self {
            node: NodeJson::new(&entry.node, datacenter),
            service: ServiceJson::new(&entry.service),
            checks: entry.checks.iter().map(|check| CheckJson::new(check)).collect(),
        }
    }
}
