//! What a definition says of the mesh: kept, completed as Consul completes it, and given back.
//!
//! In:  `Kind`, `Proxy`, `Connect`, `SocketPath`. Out: a [`Mesh`], a sidecar to register besides, refusals in Consul's words.
//!
//! Differs from Consul: what `MeshGateway`, `Expose` and other objects inside `Proxy` hold is given back as it was written.
//! Never: runs a proxy, or gives out a certificate.
//!
//! Rules from Consul 1.21: agent/structs/{connect_proxy_config,structs}.go, agent/sidecar_service.go.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use super::{
    super::{
        check_definition::{Given, RawCheck},
        decode::{Decoded, fields, list, map, text, truth},
        reply::Refusal,
    },
    common_field, invalid,
};
use crate::{
    complete,
    config::Scripts,
    state::rows::{Ask, CheckSpec, Mesh, Probe, ServiceSpec, Text},
};

const PROXY: [&str; 14] = [
    "DestinationServiceName",
    "DestinationServiceID",
    "LocalServiceAddress",
    "LocalServicePort",
    "LocalServiceSocketPath",
    "Mode",
    "TransparentProxy",
    "Config",
    "Upstreams",
    "MeshGateway",
    "Expose",
    "EnvoyExtensions",
    "MutualTLSMode",
    "AccessLogs",
];

const UPSTREAM: [&str; 14] = [
    "DestinationType",
    "DestinationNamespace",
    "DestinationPartition",
    "DestinationPeer",
    "DestinationName",
    "Datacenter",
    "LocalBindAddress",
    "LocalBindPort",
    "LocalBindSocketPath",
    "LocalBindSocketMode",
    "Config",
    "MeshGateway",
    "IngressHosts",
    "CentrallyConfigured",
];

/// What Consul puts behind the id and the name of a service for its sidecar.
pub(in crate::api) const SIDECAR: &str = "-sidecar-proxy";
const LISTENS_EVERY: Duration = Duration::from_secs(10);

/// Takes in a field about the mesh.
pub(super) fn field(spec: &mut ServiceSpec, name: &str, value: &Value) -> Decoded<bool> {
    let mesh = Arc::make_mut(spec.mesh.get_or_insert_default());
    match name {
        "kind" => mesh.kind = text("Kind", value)?,
        "socketpath" => mesh.socket_path = text("SocketPath", value)?,
        "proxy" if is_empty(value) => {}
        "proxy" => {
            let proxy = proxy(map("Proxy", value)?)?;
            mesh.destination =
                proxy.get("DestinationServiceName").and_then(Value::as_str).unwrap_or("").into();
            mesh.proxy = Value::Object(proxy).to_string().into();
        }
        "connect" => {
            // Consul does not mind fields here that it does not know.
            fields(map("Connect", value)?, |name, value| {
                if name == "native" {
                    mesh.native = truth("Connect.Native", value)?;
                }
                Ok(true)
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// The same under the names that Consul gives back, without what is empty.
fn canonical(given: &Map<String, Value>, names: &[&str]) -> Decoded<Map<String, Value>> {
    let mut out = Map::new();
    fields(given, |plain, value| {
        let Some(name) = names.iter().find(|name| name.eq_ignore_ascii_case(plain)) else { return Ok(false) };
        if !is_empty(value) {
            out.insert((*name).to_owned(), value.clone());
        }
        Ok(true)
    })?;
    Ok(out)
}

fn proxy(given: &Map<String, Value>) -> Decoded<Map<String, Value>> {
    let mut proxy = canonical(given, &PROXY)?;
    for name in ["DestinationServiceName", "DestinationServiceID", "LocalServiceAddress", "Mode"] {
        if let Some(value) = proxy.get(name) {
            text(name, value)?;
        }
    }
    if let Some(given) = proxy.get("Upstreams") {
        let mut upstreams = Vec::new();
        for one in list("Upstreams", given)? {
            let mut upstream = canonical(map("Upstreams", one)?, &UPSTREAM)?;
            for (name, value) in
                [("DestinationType", json!("service")), ("Datacenter", json!("")), ("MeshGateway", json!({}))]
            {
                upstream.entry(name).or_insert(value);
            }
            upstreams.push(Value::Object(upstream));
        }
        proxy.insert("Upstreams".to_owned(), Value::Array(upstreams));
    }
    for (name, value) in [("Mode", json!("")), ("MeshGateway", json!({})), ("Expose", json!({}))] {
        proxy.entry(name).or_insert(value);
    }
    Ok(proxy)
}

/// Refuses a proxy that speaks for nobody, and leaves out what says nothing.
pub(in crate::api) fn sound(spec: &mut ServiceSpec, refuse: fn(String) -> Refusal) -> Decoded<()> {
    let Some(mesh) = spec.mesh.take_if(|mesh| **mesh != Mesh::default()) else {
        spec.mesh = None;
        return Ok(());
    };
    let mut problems = Vec::new();
    if mesh.is_connect_proxy() {
        match mesh.destination.trim() {
            "" => {
                problems.push("Proxy.DestinationServiceName must be non-empty for Connect proxy services");
            }
            "*" => {
                problems
                    .push("Proxy.DestinationServiceName must not be a wildcard for Connect proxy services");
            }
            _ => {}
        }
        if spec.port == 0 && mesh.socket_path.is_empty() {
            problems.push("Port or SocketPath must be set for a connect-proxy");
        }
        if mesh.native {
            problems.push("A Proxy cannot also be Connect Native, only typical services");
        }
    }
    spec.mesh = Some(mesh);
    if problems.is_empty() { Ok(()) } else { Err(refuse(invalid(&problems))) }
}

/// A sidecar that is registered with its service. It still lacks a port where none was given.
pub(in crate::api) struct Sidecar {
    spec: ServiceSpec,
    checks: Vec<CheckSpec>,
    of: Text,
}

/// The sidecar that a whole definition asks for besides its service.
pub(in crate::api) fn sidecar(
    given: &Map<String, Value>,
    parent: &ServiceSpec,
    scripts: Scripts,
) -> Decoded<Option<Sidecar>> {
    let mut asked = None;
    fields(given, |name, value| {
        if name == "connect" {
            fields(map("Connect", value)?, |name, value| {
                if name == "sidecarservice" {
                    asked = Some(map("Connect.SidecarService", value)?.clone());
                }
                Ok(true)
            })?;
        }
        Ok(true)
    })?;
    asked.map(|asked| sidecar_of(&asked, parent, scripts)).transpose()
}

fn sidecar_of(given: &Map<String, Value>, parent: &ServiceSpec, scripts: Scripts) -> Decoded<Sidecar> {
    let (id, name) = (format!("{}{SIDECAR}", parent.id), format!("{}{SIDECAR}", parent.name));
    let mut spec = ServiceSpec::new(&name, &id);
    spec.tags = Arc::clone(&parent.tags);
    spec.meta = parent.meta.clone();
    spec.address = Text::clone(&parent.address);
    let mut raw = Vec::new();
    fields(given, |name, value| {
        match name {
            "id" => {
                let why = "SidecarService can't specify an ID as it is always derived from the parent";
                return Err(Refusal::bad(format!("Invalid SidecarService: {why}")));
            }
            "name" => spec.name = text("Name", value)?,
            "check" => raw.push(RawCheck::read(map("Check", value)?, Given::InService)?),
            "checks" => {
                for value in list("Checks", value)? {
                    raw.push(RawCheck::read(map("Checks", value)?, Given::InService)?);
                }
            }
            other => return common_field(&mut spec, other, value),
        }
        Ok(true)
    })?;
    let mesh = Arc::make_mut(spec.mesh.get_or_insert_default());
    let mut told: Map<String, Value> = serde_json::from_str(&mesh.proxy).unwrap_or_default();
    if mesh.destination.is_empty() {
        mesh.destination = Text::clone(&parent.name);
    }
    told.insert("DestinationServiceName".to_owned(), json!(&*mesh.destination));
    for (field, value) in [
        ("DestinationServiceID", json!(&*parent.id)),
        ("LocalServiceAddress", json!("127.0.0.1")),
        ("LocalServicePort", json!(parent.port)),
    ] {
        told.entry(field).or_insert(value);
    }
    mesh.proxy = Value::Object(proxy(&told)?).to_string().into();
    mesh.kind = "connect-proxy".into();
    mesh.is_sidecar = true;
    let checks = raw.into_iter().map(|raw| raw.into_spec(scripts).map_err(|why| why.in_service()));
    Ok(Sidecar { checks: checks.collect::<Decoded<_>>()?, spec, of: Text::clone(&parent.id) })
}

impl Sidecar {
    pub(in crate::api) fn id(&self) -> &Text {
        &self.spec.id
    }

    pub(in crate::api) fn name(&self) -> &Text {
        &self.spec.name
    }

    /// The same with a port, unless it has one: the one it had, or the first of Consul's range that is free.
    pub(in crate::api) fn complete(
        mut self,
        had: Option<u16>,
        taken: impl Fn(u16) -> bool,
    ) -> Decoded<(ServiceSpec, Vec<CheckSpec>)> {
        if self.spec.port == 0 {
            let free = had.or_else(|| (21_000..=21_255).find(|port| !taken(*port)));
            let none = "none left in its configured range [21000, 21255]";
            self.spec.port = free.ok_or_else(|| {
                Refusal::bad(format!("Invalid SidecarService: unable to allocate port for sidecar: {none}"))
            })?;
        }
        if self.checks.is_empty() {
            let address = if self.spec.address.is_empty() { "127.0.0.1" } else { &self.spec.address };
            let target = format!("{address}:{}", self.spec.port).into();
            let ask = Ask::Tcp { target, tls: None };
            let listens = Probe::Run { ask, interval: LISTENS_EVERY, timeout: None };
            let follows = Probe::Alias { node: None, service: Some(Text::clone(&self.of)) };
            let aliasing = format!("Connect Sidecar Aliasing {}", self.of);
            self.checks = vec![
                CheckSpec::new("", "Connect Sidecar Listening", listens),
                CheckSpec::new("", &aliasing, follows),
            ];
        }
        sound(&mut self.spec, Refusal::bad)?;
        Ok(complete::service(self.spec, self.checks))
    }
}
