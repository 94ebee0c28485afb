//! The JSON shapes of the agent's own answers, which Consul writes otherwise than the catalogue's.
//!
//! In:  rows of the agent's node. Out: `Serialize`, in Consul's order of fields.
//!
//! Never: shows an index: the agent has none.
//!
//! Rules from Consul 1.21: api/agent.go (`AgentService`), api/health.go (`HealthCheckDefinition`).

use serde::Serialize;
use serde_json::Value;

use super::shapes::{ConnectJson, Empty, LocalityJson, PairsJson, TaggedJson, TagsJson, WeightsJson};
use crate::state::{
    AgentCheck,
    rows::{CheckFacts, Mesh, ServiceSpec},
};

/// An instance as the agent tells it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AgentServiceJson<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: TagsJson<'a>,
    meta: PairsJson<'a>,
    port: u16,
    address: &'a str,
    #[serde(skip_serializing_if = "TaggedJson::is_empty")]
    tagged_addresses: TaggedJson<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    socket_path: &'a str,
    weights: WeightsJson,
    enable_tag_override: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    locality: Option<LocalityJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_hash: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect: Option<ConnectJson>,
    datacenter: &'a str,
}

/// The kinds whose proxy the agent tells.
const PROXIES: [&str; 5] =
    ["connect-proxy", "mesh-gateway", "terminating-gateway", "ingress-gateway", "api-gateway"];

/// A proxy as the agent tells it: without some of what is empty.
fn proxy(mesh: &Mesh) -> Value {
    let told = if mesh.proxy.is_empty() { "{\"MeshGateway\":{},\"Expose\":{}}" } else { &*mesh.proxy };
    let mut told: Value = serde_json::from_str(told).unwrap_or_default();
    let drop_empty = |value: &mut Value, name: &str| {
        if let Some(fields) = value.as_object_mut()
            && fields.get(name).and_then(Value::as_str) == Some("")
        {
            fields.remove(name);
        }
    };
    drop_empty(&mut told, "Mode");
    for upstream in told.get_mut("Upstreams").and_then(Value::as_array_mut).into_iter().flatten() {
        drop_empty(upstream, "Datacenter");
    }
    told
}

impl<'a> AgentServiceJson<'a> {
    pub(crate) fn new(spec: &'a ServiceSpec, datacenter: &'a str) -> Self {
        let mesh = spec.mesh.as_deref();
        Self {
            kind: mesh.map_or("", |mesh| &mesh.kind),
            id: &spec.id,
            service: &spec.name,
            tags: TagsJson(&spec.tags),
            meta: PairsJson(&spec.meta),
            port: spec.port,
            address: &spec.address,
            tagged_addresses: TaggedJson(&spec.tagged),
            socket_path: mesh.map_or("", |mesh| &mesh.socket_path),
            weights: WeightsJson::new(spec),
            enable_tag_override: spec.enable_tag_override,
            locality: spec.locality.as_ref().map(LocalityJson::new),
            content_hash: None,
            proxy: mesh.filter(|mesh| PROXIES.contains(&&*mesh.kind)).map(proxy),
            connect: mesh.filter(|mesh| mesh.native).map(|mesh| ConnectJson::new(Some(mesh))),
            datacenter,
        }
    }

    /// The same with the hash of its content.
    pub(crate) fn hashed(mut self, hash: &'a str) -> Self {
        self.content_hash = Some(hash);
        self
    }
}

/// A check in `/agent/health/service`, where Consul has another shape.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HealthCheckJson<'a> {
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
    /// `null` when there is none.
    service_tags: Option<TagsJson<'a>>,
    r#type: &'static str,
    exposed_port: u16,
    definition: DefinitionJson,
    create_index: u64,
    modify_index: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DefinitionJson {
    interval: &'static str,
    timeout: &'static str,
    deregister_critical_service_after: &'static str,
    #[serde(rename = "HTTP")]
    http: &'static str,
    header: Option<Empty>,
    method: &'static str,
    body: &'static str,
    #[serde(rename = "TLSServerName")]
    tls_server_name: &'static str,
    #[serde(rename = "TLSSkipVerify")]
    tls_skip_verify: bool,
    #[serde(rename = "TCP")]
    tcp: &'static str,
    #[serde(rename = "TCPUseTLS")]
    tcp_use_tls: bool,
    #[serde(rename = "UDP")]
    udp: &'static str,
    #[serde(rename = "GRPC")]
    grpc: &'static str,
    #[serde(rename = "OSService")]
    os_service: &'static str,
    #[serde(rename = "GRPCUseTLS")]
    grpc_use_tls: bool,
}

const NO_DEFINITION: DefinitionJson = DefinitionJson {
    interval: "0s",
    timeout: "0s",
    deregister_critical_service_after: "0s",
    http: "",
    header: None,
    method: "",
    body: "",
    tls_server_name: "",
    tls_skip_verify: false,
    tcp: "",
    tcp_use_tls: false,
    udp: "",
    grpc: "",
    os_service: "",
    grpc_use_tls: false,
};

impl<'a> HealthCheckJson<'a> {
    pub(crate) fn new(check: &'a AgentCheck) -> Self {
        let CheckFacts { id, name, notes, status, of, .. } = &check.row.facts;
        let tags = of.as_ref().map(|of| &*of.tags).filter(|tags| !tags.is_empty());
        Self {
            node: &check.row.node,
            id,
            name,
            status: status.as_str(),
            notes,
            output: &check.output,
            service_id: of.as_ref().map_or("", |of| &of.id),
            service_name: of.as_ref().map_or("", |of| &of.name),
            service_tags: tags.map(TagsJson),
            r#type: "",
            exposed_port: 0,
            definition: NO_DEFINITION,
            create_index: 0,
            modify_index: 0,
        }
    }
}
