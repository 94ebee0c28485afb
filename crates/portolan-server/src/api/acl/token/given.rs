//! A token as a caller describes it.
//!
//! In:  a body. Out: what it says, checked; refusals in Consul's words.
//!
//! Rules from Consul 1.21: agent/consul/auth/token_writer.go; texts as seen from 1.21.4.
//! Never: takes a name that no service or node may have.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{
    acl::{secret::is_uuid, stamp::Stamp},
    api::{
        decode::{Decoded, duration, fields, list, map, not_yet, text, texts, truth},
        reply::Refusal,
    },
    core::Core,
    state::{
        acl::rows::{NodeIdentity, ServiceIdentity},
        rows::Text,
    },
};

/// How long a token that ends lives at least (Consul: the default of `ACLTokenMinExpirationTTL`).
const SHORTEST: Duration = Duration::from_secs(60);

pub(super) struct Given {
    pub(super) accessor: Text,
    pub(super) secret: Text,
    pub(super) description: Text,
    pub(super) policies: Vec<Link>,
    pub(super) services: Vec<ServiceIdentity>,
    pub(super) nodes: Vec<NodeIdentity>,
    pub(super) local: bool,
    /// How long it lives, or until when.
    ttl: Option<String>,
    life: Duration,
    end: Option<Stamp>,
}

/// A policy by id or, without one, by name.
pub(super) struct Link {
    id: Text,
    name: Text,
}

pub(super) fn is_accessor(text: &str) -> bool {
    is_uuid(text)
}

pub(super) fn sound_uuid(what: &str, id: &str) -> Decoded<()> {
    if is_uuid(id) {
        return Ok(());
    }
    Err(Refusal::internal(format!("{what}: index error: UUID must be 36 characters")))
}

/// The id of the policy that a link names. Whether one of that id is there is the state's to say.
pub(super) fn link_id(core: &Core, link: &Link) -> Decoded<Text> {
    if link.id.is_empty() {
        let row = core.look(|state| state.policy_named(&link.name));
        let no = || Refusal::internal(format!("No such ACL policy with name {:?}", &*link.name));
        return Ok(Text::clone(&row.ok_or_else(no)?.spec.id));
    }
    let what = format!("Error looking up policy for ID: {:?}: failed acl policy lookup", &*link.id);
    sound_uuid(&what, &link.id)?;
    Ok(Text::clone(&link.id))
}

impl Given {
    pub(super) fn read(body: &Map<String, Value>) -> Decoded<Self> {
        let empty = || Text::from("");
        let mut given = Self {
            accessor: empty(),
            secret: empty(),
            description: empty(),
            policies: Vec::new(),
            services: Vec::new(),
            nodes: Vec::new(),
            local: false,
            ttl: None,
            life: Duration::ZERO,
            end: None,
        };
        fields(body, |name, value| given.field(name, value))?;
        Ok(given)
    }

    fn field(&mut self, name: &str, value: &Value) -> Decoded<bool> {
        match name {
            "accessorid" => self.accessor = text("AccessorID", value)?,
            "secretid" => self.secret = text("SecretID", value)?,
            "description" => self.description = text("Description", value)?,
            "local" => self.local = truth("Local", value)?,
            "expirationttl" => self.live_for(value)?,
            "expirationtime" => {
                let end = text("ExpirationTime", value)?;
                let wrong = || {
                    Refusal::bad(format!(
                        "Request decode failed: {end:?} is not a time, as 2030-01-01T00:00:00Z"
                    ))
                };
                self.end = Some(Stamp::parse(&end).ok_or_else(wrong)?);
            }
            "policies" => {
                for link in list("Policies", value)? {
                    self.policies.push(linked(map("Policies", link)?)?);
                }
            }
            "serviceidentities" => {
                for identity in list("ServiceIdentities", value)? {
                    self.services.push(service(map("ServiceIdentities", identity)?)?);
                }
            }
            "nodeidentities" => {
                for identity in list("NodeIdentities", value)? {
                    self.nodes.push(node(map("NodeIdentities", identity)?)?);
                }
            }
            "roles" => not_yet("Roles", value)?,
            "templatedpolicies" => not_yet("TemplatedPolicies", value)?,
            "authmethod" => not_yet("AuthMethod", value)?,
            "createtime" | "hash" | "createindex" | "modifyindex" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn live_for(&mut self, value: &Value) -> Decoded<()> {
        let negative = match value {
            Value::String(text) => text.starts_with('-'),
            other => other.as_f64().is_some_and(|nanos| nanos < 0.0),
        };
        if negative {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            return Err(Refusal::internal(format!("Token Expiration TTL '{shown}' should be > 0")));
        }
        self.life = duration("ExpirationTTL", value)?;
        self.ttl = (!self.life.is_zero()).then(|| portolan::format_duration(self.life));
        Ok(())
    }

    /// When a token that is made `now` ends.
    pub(super) fn end(&self, now: Stamp) -> Decoded<Option<Stamp>> {
        let end = match (&self.ttl, self.end) {
            (Some(_), Some(_)) => {
                let text = "Token Expiration TTL and Expiration Time cannot both be set";
                return Err(Refusal::internal(text));
            }
            (None, None) => return Ok(None),
            (Some(_), None) => now.after(self.life),
            (None, Some(end)) => end,
        };
        if end <= now {
            return Err(Refusal::internal("ExpirationTime cannot be before CreateTime"));
        }
        let life = end.since(now);
        if life < SHORTEST {
            let [least, life] = [SHORTEST, life].map(portolan::format_duration);
            let text = format!("ExpirationTime cannot be less than {least} in the future (was {life})");
            return Err(Refusal::internal(text));
        }
        Ok(Some(end))
    }
}

fn linked(given: &Map<String, Value>) -> Decoded<Link> {
    let (mut id, mut name) = (Text::from(""), Text::from(""));
    fields(given, |field, value| {
        match field {
            "id" => id = text("Policies.ID", value)?,
            "name" => name = text("Policies.Name", value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Link { id, name })
}

/// A name as an identity may have it.
fn is_plain(name: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    name.len() <= 256 && ends(name.chars().next()) && ends(name.chars().last()) && name.chars().all(inner)
}

fn service(given: &Map<String, Value>) -> Decoded<ServiceIdentity> {
    let mut identity = ServiceIdentity { service: "".into(), datacenters: Vec::new() };
    fields(given, |field, value| {
        match field {
            "servicename" => identity.service = text("ServiceName", value)?,
            "datacenters" => identity.datacenters = texts("Datacenters", value)?.to_vec(),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if identity.service.is_empty() {
        return Err(Refusal::internal("Service identity is missing the service name field on this token"));
    }
    if !is_plain(&identity.service) {
        return Err(Refusal::internal(format!(
            "Service identity {:?} has an invalid name. Only lowercase alphanumeric characters, '-' and '_' are allowed",
            &*identity.service
        )));
    }
    Ok(identity)
}

fn node(given: &Map<String, Value>) -> Decoded<NodeIdentity> {
    let mut identity = NodeIdentity { node: "".into(), datacenter: "".into() };
    fields(given, |field, value| {
        match field {
            "nodename" => identity.node = text("NodeName", value)?,
            "datacenter" => identity.datacenter = text("Datacenter", value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if identity.node.is_empty() {
        return Err(Refusal::internal("Node identity is missing the node name field on this token"));
    }
    if identity.datacenter.is_empty() {
        return Err(Refusal::internal("Node identity is missing the datacenter field on this token"));
    }
    if !is_plain(&identity.node) {
        return Err(Refusal::internal(
            "Node identity has an invalid name. Only lowercase alphanumeric characters, '-' and '_' are allowed",
        ));
    }
    Ok(identity)
}
