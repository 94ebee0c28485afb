//! The definition of a prepared query, as a body gives it.
//!
//! In:  JSON. Out: a query, checked as Consul's servers do; refusals in their words.
//!
//! Never: takes what it does not know, or what could not be carried out.
//!
//! Rules from Consul 1.21: agent/structs/prepared_query.go; agent/consul/prepared_query_endpoint.go `parseQuery`.

use serde_json::{Map, Value};

use crate::{
    acl::secret::{HIDDEN, Secret},
    api::{
        decode::{Decoded, fields, map, not_yet, number, object, pairs, text, texts, truth},
        reply::Refusal,
        session::no_duration,
    },
    complete::check_meta,
    state::{
        prepared::rows::{Failover, QuerySpec, Template, Wanted},
        rows::{Pairs, Text},
    },
};

/// A definition, before it is known whether it can be used.
pub(super) struct Given {
    pub(super) spec: QuerySpec,
    token: Text,
    /// Empty: it is none.
    template: Text,
    nearest: i64,
}

/// Reads a body.
pub(super) fn read(body: &[u8]) -> Decoded<Given> {
    let empty = || Text::from("");
    let wanted = Wanted {
        service: empty(),
        failover: Failover::default(),
        only_passing: false,
        ignore_checks: None,
        near: empty(),
        tags: None,
        node_meta: None,
        service_meta: None,
        connect: false,
    };
    let (id, name, session, ttl) = (empty(), empty(), empty(), empty());
    let spec = QuerySpec { id, name, session, token: None, template: None, wanted, ttl };
    let mut given = Given { spec, token: empty(), template: empty(), nearest: 0 };
    let mut template = Template { regexp: empty(), remove_empty_tags: false };
    fields(&object(body)?, |name, value| {
        match name {
            "id" => given.spec.id = text("ID", value)?,
            "name" => given.spec.name = text("Name", value)?,
            "session" => given.spec.session = text("Session", value)?,
            "token" => given.token = text("Token", value)?,
            "template" => given.template = read_template(&mut template, map("Template", value)?)?,
            "service" => given.service(map("Service", value)?)?,
            "dns" => fields(map("DNS", value)?, |name, value| {
                let is_ttl = name == "ttl";
                if is_ttl {
                    given.spec.ttl = text("DNS.TTL", value)?;
                }
                Ok(is_ttl)
            })?,
            "createindex" | "modifyindex" => {}
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    given.spec.template = Some(template).filter(|_| !given.template.is_empty());
    given.spec.token =
        Some(&given.token).filter(|token| !token.is_empty()).map(|token| Secret::new(&**token).hash());
    Ok(given)
}

/// Reads a template, and gives its type back.
fn read_template(template: &mut Template, value: &Map<String, Value>) -> Decoded<Text> {
    let mut kind = Text::from("");
    fields(value, |name, value| {
        match name {
            "type" => kind = text("Template.Type", value)?,
            "regexp" => template.regexp = text("Template.Regexp", value)?,
            "removeemptytags" => template.remove_empty_tags = truth("Template.RemoveEmptyTags", value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(kind)
}

impl Given {
    fn service(&mut self, value: &Map<String, Value>) -> Decoded<()> {
        let (wanted, nearest) = (&mut self.spec.wanted, &mut self.nearest);
        fields(value, |name, value| {
            match name {
                "service" => wanted.service = text("Service.Service", value)?,
                "failover" => failover(&mut wanted.failover, nearest, map("Service.Failover", value)?)?,
                "onlypassing" => wanted.only_passing = truth("Service.OnlyPassing", value)?,
                "ignorecheckids" => {
                    wanted.ignore_checks = Some(texts("Service.IgnoreCheckIDs", value)?.to_vec());
                }
                "near" => wanted.near = text("Service.Near", value)?,
                "tags" => wanted.tags = Some(texts("Service.Tags", value)?.to_vec()),
                "nodemeta" => wanted.node_meta = Some(pairs("Service.NodeMeta", value)?),
                "servicemeta" => wanted.service_meta = Some(pairs("Service.ServiceMeta", value)?),
                "connect" => wanted.connect = truth("Service.Connect", value)?,
                "includeall" => not_yet("Service.IncludeAll", value)?,
                "samenessgroup" => not_yet("Service.SamenessGroup", value)?,
                "peer" => not_yet("Service.Peer", value)?,
                _ => return Ok(false),
            }
            Ok(true)
        })
    }

    /// Refuses what the servers would.
    pub(super) fn sound(&mut self) -> Decoded<()> {
        let invalid = |why: String| Refusal::internal(format!("Invalid prepared query: {why}"));
        let spec = &mut self.spec;
        if spec.name.is_empty() && self.template.is_empty() && spec.session.is_empty() {
            return Err(invalid("Must be bound to a session".to_owned()));
        }
        if *self.token == *HIDDEN {
            let why = "it looks like a query definition with a redacted token was submitted";
            return Err(invalid(format!("Bad Token '{HIDDEN}', {why}")));
        }
        if spec.wanted.service.is_empty() {
            return Err(invalid("Must provide a Service name to query".to_owned()));
        }
        spec.wanted.failover.nearest = u32::try_from(self.nearest)
            .map_err(|_cause| invalid(format!("Bad NearestN '{}', must be >= 0", self.nearest)))?;
        let sound_meta = |what: &str, meta: &Option<Pairs>| {
            let checked = meta.as_ref().map_or(Ok(()), check_meta);
            checked.map_err(|why| invalid(format!("Invalid {what} filter: {why}")))
        };
        sound_meta("NodeMeta", &spec.wanted.node_meta)?;
        sound_meta("ServiceMeta", &spec.wanted.service_meta)?;
        sound_ttl(&spec.ttl).map_err(invalid)?;
        if !matches!(&*self.template, "" | "name_prefix_match") {
            let kind = &self.template;
            return Err(Refusal::internal(format!(
                "raft apply failed: failed compiling template: Bad Template.Type '{kind}'"
            )));
        }
        Ok(())
    }
}

fn failover(failover: &mut Failover, nearest: &mut i64, value: &Map<String, Value>) -> Decoded<()> {
    fields(value, |name, value| {
        match name {
            "skiplocaldatacenter" => {
                failover.skip_local = truth("Service.Failover.SkipLocalDatacenter", value)?;
            }
            "nearestn" => *nearest = number("Service.Failover.NearestN", value, i64::MIN, u32::MAX.into())?,
            "datacenters" => {
                failover.datacenters = Some(texts("Service.Failover.Datacenters", value)?.to_vec());
            }
            "targets" => not_yet("Service.Failover.Targets", value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })
}

fn sound_ttl(text: &str) -> Result<(), String> {
    let (negative, plain) = text.strip_prefix('-').map_or((false, text), |plain| (true, plain));
    if text.is_empty() {
        return Ok(());
    }
    match portolan::parse_duration("DNS.TTL", plain) {
        Ok(ttl) if negative && !ttl.is_zero() => Err(format!("DNS TTL '-{}', must be >=0", ttl.as_nanos())),
        Ok(_) => Ok(()),
        Err(_cause) => Err(format!("Bad DNS TTL '{text}': {}", no_duration(text))),
    }
}
