//! Operations of a transaction on nodes, services and checks.
//!
//! In:  their JSON. Out: operations, or what is wrong with one, which is told of that operation alone.
//!
//! Never: lets an operation through that its caller may not carry out.
//!
//! Rules from Consul 1.21: agent/consul/txn_endpoint.go `preCheck`, `vetNodeTxnOp`, `vetServiceTxnOp`, `vetCheckTxnOp`.

use serde_json::{Map, Value};

use super::unsigned;
use crate::{
    acl::{Access, Resource, secret::is_uuid},
    api::{
        call::fits,
        catalog_write::{check, is_named, no_facts, service_fields},
        decode::{Decoded, fields, map, pairs, text},
        reply::Refusal,
        rights::Rights,
    },
    core::Core,
    state::{
        CatalogCheck, Narrow,
        rows::{NodeSpec, ServiceSpec, Text},
        txn::{CatalogOp, Deed, Thing},
    },
};

/// One operation as it is given.
pub(super) struct Given {
    /// The word of what is not known to be done, or what else is wrong.
    pub(super) wrong: Option<String>,
    pub(super) op: CatalogOp,
}

/// Of which kind the thing is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Node,
    Service,
    Check,
}

fn deed(word: &str) -> Option<Deed> {
    Some(match word {
        "get" => Deed::Get,
        "set" => Deed::Set,
        "cas" => Deed::Cas,
        "delete" => Deed::Delete,
        "delete-cas" => Deed::DeleteCas,
        _ => return None,
    })
}

/// What is told of an operation, where it could be read and cannot be carried out.
fn sound<T>(read: Decoded<T>, wrong: &mut Option<String>, otherwise: impl FnOnce() -> T) -> Decoded<T> {
    match read {
        Err(refusal) if refusal.is_internal() => {
            *wrong = Some(refusal.text().to_owned());
            Ok(otherwise())
        }
        read => read,
    }
}

impl Given {
    pub(super) fn read(kind: Kind, given: &Map<String, Value>) -> Decoded<Self> {
        let (mut word, mut node) = (Text::from(""), Text::from(""));
        let mut thing = Map::new();
        let (what, names_node) = match kind {
            Kind::Node => ("node", false),
            Kind::Service => ("service", true),
            Kind::Check => ("check", false),
        };
        fields(given, |name, value| {
            match name {
                "verb" => word = text("Verb", value)?,
                "node" if names_node => node = text("Node", value)?,
                name if name == what => thing = map(what, value)?.clone(),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let mut wrong = None;
        let deed = deed(&word).unwrap_or_else(|| {
            wrong = Some(format!("unknown {what} operation: {word}"));
            // What is not known may change something.
            Deed::Set
        });
        let index = take_index(&mut thing)?;
        let thing = match kind {
            Kind::Node => read_node(&thing, &mut wrong)?,
            Kind::Service => read_service(node, &thing, deed, &mut wrong)?,
            Kind::Check => read_check(&thing, &mut wrong)?,
        };
        Ok(Self { wrong, op: CatalogOp { deed, thing, index } })
    }

    /// What is wrong with it for this caller.
    pub(super) fn refused(&self, core: &Core, rights: &Rights) -> Option<String> {
        if let Some(wrong) = &self.wrong {
            return Some(wrong.clone());
        }
        if let Err(refusal) = fits(core, self.op.thing.called().names()) {
            return Some(refusal.text().to_owned());
        }
        if self.op.deed == Deed::Get || matches!(rights, Rights::All) {
            return None;
        }
        let may = match &self.op.thing {
            Thing::Node(spec) => rights.write_node(&spec.name),
            Thing::Service { node, spec } => may_write_service(core, rights, node, spec),
            Thing::Check { node, check } => {
                let there = core.look(|state| state.node_checks(node, &Narrow::default()));
                let there = there.iter().find(|row| row.facts.id == check.facts.id);
                let named = check.service.as_ref().and_then(|id| service_name(core, node, id));
                let of = there.and_then(|row| row.facts.of.as_ref()).map(|of| Text::clone(&of.name));
                rights.write_check(named.or(of).as_ref(), node)
            }
        };
        may.err().map(|refusal| refusal.text().to_owned())
    }
}

fn service_name(core: &Core, node: &str, id: &str) -> Option<Text> {
    let (_, rows) = core.look(|state| state.node(node))?;
    rows.iter().find(|row| *row.spec.id == *id).map(|row| Text::clone(&row.spec.name))
}

/// The service, and the one whose place it takes.
fn may_write_service(core: &Core, rights: &Rights, node: &str, spec: &ServiceSpec) -> Result<(), Refusal> {
    rights.require(Resource::Service, &spec.name, Access::Write)?;
    match service_name(core, node, &spec.id) {
        Some(name) => rights.write_service(&name),
        None => Ok(()),
    }
}

/// The index of the last change that is named, which is no part of a definition.
fn take_index(thing: &mut Map<String, Value>) -> Decoded<u64> {
    let is_index = |name: &str| name.replace('_', "").eq_ignore_ascii_case("modifyindex");
    let name = thing.keys().find(|name| is_index(name)).cloned();
    match name.and_then(|name| thing.remove(&name)) {
        None | Some(Value::Null) => Ok(0),
        Some(value) => unsigned("ModifyIndex", &value),
    }
}

fn read_node(given: &Map<String, Value>, wrong: &mut Option<String>) -> Decoded<Thing> {
    let empty = || Text::from("");
    let mut spec = NodeSpec { name: empty(), id: empty(), address: empty(), tagged: None, meta: None };
    fields(given, |name, value| {
        match name {
            "id" => spec.id = text("Node.ID", value)?,
            "node" => spec.name = text("Node.Node", value)?,
            "address" => spec.address = text("Node.Address", value)?,
            "taggedaddresses" => spec.tagged = Some(pairs("Node.TaggedAddresses", value)?),
            "meta" => spec.meta = Some(pairs("Node.Meta", value)?),
            "datacenter" | "createindex" | "partition" | "peername" | "locality" => {}
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if spec.name.is_empty() {
        wrong.get_or_insert_with(|| "Must provide node".to_owned());
    } else if !spec.id.is_empty() && !is_uuid(&spec.id) {
        wrong.get_or_insert_with(|| "Bad node ID: uuid string is wrong length".to_owned());
    }
    Ok(Thing::Node(spec))
}

fn read_service(
    node: Text,
    given: &Map<String, Value>,
    deed: Deed,
    wrong: &mut Option<String>,
) -> Decoded<Thing> {
    let mut spec = service_fields(given)?;
    // To look at one its id is enough.
    if deed != Deed::Get && wrong.is_none() {
        sound(is_named(&mut spec), wrong, || ())?;
    }
    Ok(Thing::Service { node, spec: Box::new(spec) })
}

fn read_check(given: &Map<String, Value>, wrong: &mut Option<String>) -> Decoded<Thing> {
    let is_node = |name: &str| name.eq_ignore_ascii_case("node");
    let node = given.iter().find(|(name, _)| is_node(name)).map(|(_, value)| text("Check.Node", value));
    let node = node.transpose()?.unwrap_or_else(|| "".into());
    let nothing = || CatalogCheck { facts: no_facts(), service: None };
    let check = sound(check(given), wrong, nothing)?;
    Ok(Thing::Check { node, check: Box::new(check) })
}
