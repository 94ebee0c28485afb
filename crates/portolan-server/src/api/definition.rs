//! Definitions of services as they come in: read, completed, and refused where Consul refuses them.
//!
//! In:  a JSON object. Out: a service with its checks, each with an id and a name; a refusal in Consul's words.
//!
//! Differs from Consul: a port is 0 to 65,535; an id that cannot be addressed is refused.
//! Never: lets half a definition through.
//!
//! Rules from Consul: agent/structs/{check_type,service_definition,structs}.go, agent/agent.go `addServiceInternal`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    check_definition::{Given, RawCheck},
    decode::{Decoded, fields, list, map, not_yet, number, pairs, port, text, texts, truth},
    reply::Refusal,
};
use crate::{
    complete,
    config::Scripts,
    state::rows::{CheckSpec, Locality, ServiceSpec, TaggedAddress, Text},
};

pub(super) mod mesh;

/// A service with its checks, as an agent is told.
pub(super) fn service(
    given: &Map<String, Value>,
    scripts: Scripts,
) -> Decoded<(ServiceSpec, Vec<CheckSpec>)> {
    let mut spec = ServiceSpec::new("", "");
    let (mut check, mut checks) = (None, Vec::new());
    fields(given, |name, value| {
        match name {
            "check" => check = Some(RawCheck::read(map("Check", value)?, Given::InService)?),
            "checks" => {
                for value in list("Checks", value)? {
                    checks.push(RawCheck::read(map("Checks", value)?, Given::InService)?);
                }
            }
            "name" => spec.name = text("Name", value)?,
            "token" => _ = text("Token", value)?,
            other => return common_field(&mut spec, other, value),
        }
        Ok(true)
    })?;
    if spec.name.is_empty() {
        return Err(Refusal::bad("Missing service name"));
    }
    if spec.id.is_empty() {
        spec.id = Text::clone(&spec.name);
    }
    check_service(&spec, Refusal::bad)?;
    mesh::sound(&mut spec, Refusal::bad)?;
    let raw: Vec<RawCheck> = check.filter(|check| !check.is_empty()).into_iter().chain(checks).collect();
    let checks = raw
        .into_iter()
        .map(|raw| raw.into_spec(scripts).map_err(|why| why.in_service()))
        .collect::<Decoded<Vec<_>>>()?;
    Ok(complete::service(spec, checks))
}

/// A field that a service has wherever it is defined.
pub(super) fn common_field(spec: &mut ServiceSpec, name: &str, value: &Value) -> Decoded<bool> {
    match name {
        "id" => spec.id = text("ID", value)?,
        "tags" => spec.tags = texts("Tags", value)?,
        "address" => spec.address = text("Address", value)?,
        "port" => spec.port = port("Port", value)?,
        "meta" => spec.meta = pairs("Meta", value)?,
        "enabletagoverride" => spec.enable_tag_override = truth("EnableTagOverride", value)?,
        "taggedaddresses" => spec.tagged = tagged(value)?,
        "weights" => (spec.passing_weight, spec.warning_weight) = weights(value)?.map_err(refused_weights)?,
        "locality" => spec.locality = Some(locality(value)?),
        "kind" | "socketpath" | "proxy" | "connect" => return mesh::field(spec, name, value),
        "namespace" | "partition" | "peername" => not_yet(name, value)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn tagged(value: &Value) -> Decoded<BTreeMap<Text, TaggedAddress>> {
    map("TaggedAddresses", value)?
        .iter()
        .map(|(tag, value)| {
            let mut tagged = TaggedAddress { address: "".into(), port: 0 };
            fields(map("TaggedAddresses", value)?, |name, value| {
                match name {
                    "address" => tagged.address = text("TaggedAddresses.Address", value)?,
                    "port" => tagged.port = port("TaggedAddresses.Port", value)?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
            Ok((tag.as_str().into(), tagged))
        })
        .collect()
}

fn refused_weights(problem: &'static str) -> Refusal {
    Refusal::bad(format!("Invalid Weights: {problem}"))
}

/// The weights while passing and while warning, or what is wrong with them.
pub(super) fn weights(value: &Value) -> Decoded<Result<(u16, u16), &'static str>> {
    let (mut passing, mut warning) = (0, 0);
    fields(map("Weights", value)?, |name, value| {
        match name {
            "passing" => passing = number("Weights.Passing", value, i64::MIN, i64::MAX)?,
            "warning" => warning = number("Weights.Warning", value, i64::MIN, i64::MAX)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let problem = if passing < 1 {
        "Passing must be greater than 0"
    } else if warning < 0 {
        "Warning must be greater or equal than 0"
    } else if let (Ok(passing), Ok(warning)) = (u16::try_from(passing), u16::try_from(warning)) {
        return Ok(Ok((passing, warning)));
    } else {
        "DNS Weight must be between 0 and 65535"
    };
    Ok(Err(problem))
}

/// What Consul says of definitions that its validation refuses (go-multierror).
pub(super) fn invalid(problems: &[&str]) -> String {
    let errors =
        if problems.len() == 1 { "1 error".to_owned() } else { format!("{} errors", problems.len()) };
    let lines: String = problems.iter().map(|problem| format!("\t* {problem}\n")).collect();
    format!("Validation failed: {errors} occurred:\n{lines}\n")
}

fn locality(value: &Value) -> Decoded<Locality> {
    let mut locality = Locality { region: "".into(), zone: "".into() };
    fields(map("Locality", value)?, |name, value| {
        match name {
            "region" => locality.region = text("Locality.Region", value)?,
            "zone" => locality.zone = text("Locality.Zone", value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if locality.region.is_empty() && !locality.zone.is_empty() {
        return Err(Refusal::bad(invalid(&["zone cannot be set without region"])));
    }
    Ok(locality)
}

/// What must hold of a service wherever it comes from.
pub(super) fn check_service(spec: &ServiceSpec, refuse: fn(String) -> Refusal) -> Decoded<()> {
    complete::sound(spec).map_err(refuse)
}
