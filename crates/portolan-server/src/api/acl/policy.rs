//! `/v1/acl/policy…`: what tokens may be allowed.
//!
//! In:  a name, rules, an id. Out: one command, or policies.
//!
//! Rules from Consul 1.21: agent/acl_endpoint.go, agent/consul/acl_endpoint.go `PolicySet`; texts as seen from 1.21.4.
//! Never: takes rules that cannot be read.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use super::{content_hash, may_write, random_uuid, read};
use crate::{
    acl::{Access, policy::parse, secret::is_uuid},
    api::{
        Later,
        call::Call,
        decode::{Decoded, fields, object_of, text, texts},
        reply::{Done, Outcome, Refusal, value},
    },
    core::Core,
    state::{
        Command, Key,
        acl::{
            AclCommand,
            rows::{PolicyRow, PolicySpec},
        },
        rows::Text,
    },
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyJson<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    description: &'a str,
    /// A list tells none.
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<&'a str>,
    #[serde(skip_serializing_if = "Datacenters::is_left_out")]
    datacenters: Datacenters<'a>,
    hash: String,
    create_index: u64,
    modify_index: u64,
}

/// In a list `null` where there are none; elsewhere left out.
#[derive(Serialize)]
#[serde(untagged)]
enum Datacenters<'a> {
    Some(Vec<&'a str>),
    Null(Option<()>),
    LeftOut,
}

impl Datacenters<'_> {
    fn is_left_out(&self) -> bool {
        matches!(self, Self::LeftOut)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Whole,
    Listed,
}

fn shown(row: &PolicyRow, shape: Shape) -> Result<PolicyJson<'_>, serde_json::Error> {
    let spec = &row.spec;
    let datacenters: Vec<&str> = spec.datacenters.iter().map(|name| &**name).collect();
    Ok(PolicyJson {
        id: &spec.id,
        name: &spec.name,
        description: &spec.description,
        rules: (shape == Shape::Whole).then_some(&*spec.rules),
        hash: content_hash(&(&*spec.name, &*spec.description, &*spec.rules, &datacenters))?,
        datacenters: match shape {
            _ if !datacenters.is_empty() => Datacenters::Some(datacenters),
            Shape::Whole => Datacenters::LeftOut,
            Shape::Listed => Datacenters::Null(None),
        },
        create_index: row.create,
        modify_index: row.modify,
    })
}

pub(in crate::api) fn list(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let look = || {
            let rows = core.look(|state| state.policies());
            let listed: Result<Vec<_>, Refusal> =
                rows.iter().map(|row| Ok(serde_json::to_value(shown(row, Shape::Listed)?)?)).collect();
            listed
        };
        read(&core, &call, Key::Policies, Some(Access::Read), look).await
    })
}

fn found(row: Option<Arc<PolicyRow>>) -> Outcome<Arc<PolicyRow>> {
    row.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "Requested policy does not exist: ACL not found"))
}

pub(in crate::api) fn by_id(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let id = call.name("Missing policy ID")?;
        let look = || {
            sound_id(id)?;
            Ok(Owned(found(core.look(|state| state.policy(id)))?))
        };
        read(&core, &call, Key::Policies, Some(Access::Read), look).await
    })
}

pub(in crate::api) fn by_name(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let name = call.name("Missing policy Name")?;
        let look = || Ok(Owned(found(core.look(|state| state.policy_named(name)))?));
        read(&core, &call, Key::Policies, Some(Access::Read), look).await
    })
}

/// A row that is told whole.
struct Owned(Arc<PolicyRow>);

impl Serialize for Owned {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = shown(&self.0, Shape::Whole).map_err(serde::ser::Error::custom)?;
        shown.serialize(serializer)
    }
}

fn sound_id(id: &str) -> Decoded<()> {
    if is_uuid(id) {
        return Ok(());
    }
    Err(Refusal::internal("failed acl policy lookup: index error: UUID must be 36 characters"))
}

fn spec(call: &Call) -> Decoded<PolicySpec> {
    let empty = || Text::from("");
    let mut spec = PolicySpec {
        id: empty(),
        name: empty(),
        description: empty(),
        rules: empty(),
        datacenters: Vec::new(),
    };
    fields(&object_of("Policy decoding failed", &call.body)?, |name, value| {
        match name {
            "id" => spec.id = text("ID", value)?,
            "name" => spec.name = text("Name", value)?,
            "description" => spec.description = text("Description", value)?,
            "rules" => spec.rules = text("Rules", value)?,
            "datacenters" => spec.datacenters = texts("Datacenters", value)?.to_vec(),
            "hash" | "createindex" | "modifyindex" => {}
            _ => return Ok(false),
        }
        Ok(true)
    })
    .map_err(|refusal| refusal.reworded("Request decode failed", "Policy decoding failed"))?;
    Ok(spec)
}

fn sound(spec: &PolicySpec) -> Decoded<()> {
    if spec.name.is_empty() {
        return Err(Refusal::internal("Invalid Policy: no Name is set"));
    }
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
    };
    let parts: Vec<&str> = spec.name.split('/').collect();
    if parts.len() > 2 || !parts.iter().all(|each| part(each)) || spec.name.len() > 128 {
        return Err(Refusal::internal(
            "Invalid Policy: invalid Name. Only alphanumeric characters, a single '/', '-' and '_' are allowed",
        ));
    }
    parse(&spec.rules).map(drop).map_err(|bad| Refusal::internal(bad.to_string()))
}

pub(in crate::api) fn create(core: &Core, call: &Call) -> Outcome<Done> {
    let mut spec = spec(call)?;
    if !spec.id.is_empty() {
        return Err(Refusal::bad("Cannot specify the ID when creating a new policy"));
    }
    may_write(core, call)?;
    sound(&spec)?;
    spec.id = random_uuid()?.into();
    put(core, call, spec, AclCommand::CreatePolicy)
}

pub(in crate::api) fn update(core: &Core, call: &Call) -> Outcome<Done> {
    if call.rest.is_empty() {
        return create(core, call);
    }
    let mut spec = spec(call)?;
    if !spec.id.is_empty() && *spec.id != *call.rest {
        return Err(Refusal::bad("Policy ID in URL and payload do not match"));
    }
    may_write(core, call)?;
    sound_id(&call.rest)?;
    spec.id = call.rest.as_str().into();
    sound(&spec)?;
    put(core, call, spec, AclCommand::UpdatePolicy)
}

fn put(
    core: &Core,
    call: &Call,
    spec: PolicySpec,
    command: fn(Box<PolicySpec>) -> AclCommand,
) -> Outcome<Done> {
    let id = Text::clone(&spec.id);
    let written = core.apply(Command::Acl(command(Box::new(spec))))?;
    let row = found(core.look(|state| state.policy(&id)))?;
    Ok(Done::new(written, value(&shown(&row, Shape::Whole)?, call.layout())?))
}

pub(in crate::api) fn remove(core: &Core, call: &Call) -> Outcome<Done> {
    let id = call.name("Missing policy ID")?;
    may_write(core, call)?;
    sound_id(id)?;
    let written = core.apply(Command::Acl(AclCommand::RemovePolicy { id: id.into() }))?;
    Ok(Done::new(written, value(&true, call.layout())?))
}
