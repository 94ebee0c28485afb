//! The JSON shapes of prepared queries, and of what they find.
//!
//! In:  rows. Out: `Serialize`, in Consul's order of fields.
//!
//! Never: shows a token: that there is one, and no more.
//!
//! Rules from Consul 1.21: agent/structs/prepared_query.go.

use serde::Serialize;

use super::{EntryJson, shapes::PairsJson};
use crate::{
    acl::secret::HIDDEN,
    state::{
        Entry,
        prepared::rows::{QueryRow, QuerySpec, Wanted},
        rows::Text,
    },
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TemplateJson<'a> {
    r#type: &'static str,
    regexp: &'a str,
    remove_empty_tags: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailoverJson<'a> {
    skip_local_datacenter: bool,
    nearest_n: u32,
    datacenters: Option<&'a [Text]>,
    targets: Option<()>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WantedJson<'a> {
    service: &'a str,
    sameness_group: &'static str,
    failover: FailoverJson<'a>,
    include_all: bool,
    only_passing: bool,
    #[serde(rename = "IgnoreCheckIDs")]
    ignore_checks: Option<&'a [Text]>,
    near: &'a str,
    tags: Option<&'a [Text]>,
    node_meta: Option<PairsJson<'a>>,
    service_meta: Option<PairsJson<'a>>,
    connect: bool,
    peer: &'static str,
}

impl<'a> WantedJson<'a> {
    fn new(wanted: &'a Wanted) -> Self {
        let failover = &wanted.failover;
        Self {
            service: &wanted.service,
            sameness_group: "",
            failover: FailoverJson {
                skip_local_datacenter: failover.skip_local,
                nearest_n: failover.nearest,
                datacenters: failover.datacenters.as_deref(),
                targets: None,
            },
            include_all: false,
            only_passing: wanted.only_passing,
            ignore_checks: wanted.ignore_checks.as_deref(),
            near: &wanted.near,
            tags: wanted.tags.as_deref(),
            node_meta: wanted.node_meta.as_ref().map(PairsJson),
            service_meta: wanted.service_meta.as_ref().map(PairsJson),
            connect: wanted.connect,
            peer: "",
        }
    }
}

#[derive(Serialize)]
struct TtlJson<'a> {
    #[serde(rename = "TTL")]
    ttl: &'a str,
}

/// A prepared query.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct QueryJson<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    session: &'a str,
    token: &'static str,
    template: TemplateJson<'a>,
    service: WantedJson<'a>,
    #[serde(rename = "DNS")]
    dns: TtlJson<'a>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> QueryJson<'a> {
    pub(crate) fn new(row: &'a QueryRow) -> Self {
        Self::of(&row.spec, row)
    }

    /// A query as it is for a name, of one that is kept.
    pub(crate) fn of(spec: &'a QuerySpec, row: &QueryRow) -> Self {
        let template = spec.template.as_ref();
        Self {
            id: &spec.id,
            name: &spec.name,
            session: &spec.session,
            token: if spec.token.is_some() { HIDDEN } else { "" },
            template: TemplateJson {
                r#type: if template.is_some() { "name_prefix_match" } else { "" },
                regexp: template.map_or("", |template| &template.regexp),
                remove_empty_tags: template.is_some_and(|template| template.remove_empty_tags),
            },
            service: WantedJson::new(&spec.wanted),
            dns: TtlJson { ttl: &spec.ttl },
            create_index: row.create,
            modify_index: row.modify,
        }
    }
}

/// How new an answer is that says so in its body.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct FreshJson {
    index: u64,
    last_contact: u64,
    known_leader: bool,
    consistency_level: &'static str,
    not_modified: bool,
    backend: u64,
    #[serde(rename = "ResultsFilteredByACLs")]
    filtered: bool,
}

impl FreshJson {
    /// `level`: who answers.
    pub(crate) fn new(level: &'static str, filtered: bool) -> Self {
        Self {
            index: 1,
            last_contact: 0,
            known_leader: true,
            consistency_level: level,
            not_modified: false,
            backend: 0,
            filtered,
        }
    }
}

/// What a query found.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct FoundJson<'a> {
    service: &'a str,
    nodes: Vec<EntryJson<'a>>,
    #[serde(rename = "DNS")]
    dns: TtlJson<'a>,
    datacenter: &'a str,
    peer_name: &'static str,
    failovers: u64,
    #[serde(flatten)]
    fresh: FreshJson,
}

impl<'a> FoundJson<'a> {
    pub(crate) fn new(
        spec: &'a QuerySpec,
        found: &'a [Entry],
        datacenter: &'a str,
        fresh: FreshJson,
    ) -> Self {
        Self {
            service: &spec.wanted.service,
            nodes: found.iter().map(|entry| EntryJson::new(entry, datacenter)).collect(),
            dns: TtlJson { ttl: &spec.ttl },
            datacenter,
            peer_name: "",
            failovers: 0,
            fresh,
        }
    }
}

/// What a query stands for.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ExplainedJson<'a> {
    pub(crate) query: QueryJson<'a>,
    #[serde(flatten)]
    pub(crate) fresh: FreshJson,
}
