//! A token as JSON, in Consul's order of fields.
//!
//! In:  a token, and what stands for its secret. Out: `Serialize`.
//!
//! Rules from Consul 1.21: agent/structs/acl.go `ACLToken`, `ACLTokenListStub`.
//! Never: knows a secret by itself.

use serde::Serialize;

use crate::{
    api::acl::content_hash,
    state::acl::{ANONYMOUS, ANONYMOUS_SECRET, TokenView},
};

#[derive(Serialize)]
struct LinkJson<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "Name")]
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceJson<'a> {
    service_name: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    datacenters: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeJson<'a> {
    node_name: &'a str,
    datacenter: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TokenJson<'a> {
    /// The secret once more, after a bootstrap.
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(rename = "AccessorID")]
    accessor: &'a str,
    #[serde(rename = "SecretID")]
    secret: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policies: Vec<LinkJson<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    service_identities: Vec<ServiceJson<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    node_identities: Vec<NodeJson<'a>>,
    local: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_time: Option<String>,
    create_time: String,
    hash: String,
    create_index: u64,
    modify_index: u64,
}

impl<'a> TokenJson<'a> {
    pub(super) fn new(view: &'a TokenView, secret: &'a str) -> Result<Self, serde_json::Error> {
        let spec = &view.row.spec;
        let policies = view.policies.iter().map(|(id, name)| LinkJson { id, name }).collect();
        let services = spec.services.iter().map(|identity| ServiceJson {
            service_name: &identity.service,
            datacenters: identity.datacenters.iter().map(|name| &**name).collect(),
        });
        let nodes = spec
            .nodes
            .iter()
            .map(|identity| NodeJson { node_name: &identity.node, datacenter: &identity.datacenter });
        let mut shown = Self {
            id: None,
            accessor: "",
            secret: "",
            description: &spec.description,
            policies,
            service_identities: services.collect(),
            node_identities: nodes.collect(),
            local: spec.local,
            expiration_time: None,
            create_time: String::new(),
            hash: String::new(),
            create_index: 0,
            modify_index: 0,
        };
        // Of what it may do alone, as in Consul: tokens that may do the same have the same.
        shown.hash = content_hash(&shown)?;
        let public = *spec.accessor == *ANONYMOUS;
        (shown.accessor, shown.secret) = (&spec.accessor, if public { ANONYMOUS_SECRET } else { secret });
        shown.expiration_time = spec.expires.map(|end| end.to_string());
        shown.create_time = spec.created.to_string();
        (shown.create_index, shown.modify_index) = (view.row.create, view.row.modify);
        Ok(shown)
    }
}

/// A token that is told later, with what stands for its secret.
pub(super) struct Told {
    view: TokenView,
    secret: String,
}

impl Told {
    pub(super) fn new(view: TokenView, secret: impl Into<String>) -> Self {
        Self { view, secret: secret.into() }
    }
}

impl Serialize for Told {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = TokenJson::new(&self.view, &self.secret);
        shown.map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}
