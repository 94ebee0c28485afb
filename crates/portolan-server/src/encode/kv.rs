//! The JSON shapes of keys, sessions, transactions and events.
//!
//! In:  rows. Out: `Serialize`, in Consul's order of fields.
//!
//! Never: shows the value of a key in a transaction that did not ask for it.
//!
//! Rules from Consul 1.21: agent/structs/structs.go (`DirEntry`, `Session`), agent/structs/txn.go, agent/user_event.go.

use base64::{Engine as _, display::Base64Display, engine::general_purpose::STANDARD};
use serde::{Serialize, Serializer};

use super::{CheckJson, NodeJson, ServiceJson};
use crate::{
    event::Event,
    state::{kv::rows::KvRow, rows::Text, sessions::rows::SessionRow, txn::Shown},
};

/// Bytes as Go writes them: base64, and `null` where there is none.
struct BytesJson<'a>(&'a [u8]);

impl Serialize for BytesJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return serializer.serialize_none();
        }
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

/// Bytes from base64; the place of the first that is none where they are not.
pub(crate) fn from_base64(text: &str) -> Result<Vec<u8>, usize> {
    // As Go does, line ends are passed over.
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    STANDARD.decode(&text).map_err(|why| match why {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
        base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => text.len(),
    })
}

/// A key.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct KvJson<'a> {
    lock_index: u64,
    key: &'a str,
    flags: u64,
    value: BytesJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> KvJson<'a> {
    pub(crate) fn new(row: &'a KvRow) -> Self {
        Self {
            lock_index: row.lock_index,
            key: &row.name,
            flags: row.flags,
            value: BytesJson(&row.value),
            session: row.session.as_deref(),
            create_index: row.create,
            modify_index: row.modify,
        }
    }
}

/// One result of a transaction.
#[derive(Serialize)]
pub(crate) enum TxnResultJson<'a> {
    #[serde(rename = "KV")]
    Kv(KvJson<'a>),
    Node(NodeJson<'a>),
    Service(Box<ServiceJson<'a>>),
    Check(Box<CheckJson<'a>>),
}

impl<'a> TxnResultJson<'a> {
    pub(crate) fn new(shown: &'a Shown, datacenter: &'a str) -> Self {
        match shown {
            Shown::Kv(shown) => {
                let mut kv = KvJson::new(&shown.row);
                if !shown.with_value {
                    kv.value = BytesJson(&[]);
                }
                Self::Kv(kv)
            }
            Shown::Node(row) => Self::Node(NodeJson::new(row, datacenter)),
            Shown::Service { row, .. } => Self::Service(Box::new(ServiceJson::new(row))),
            Shown::Check(row) => Self::Check(Box::new(CheckJson::new(row))),
        }
    }
}

/// Why one operation of a transaction failed.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TxnErrorJson {
    pub(crate) op_index: usize,
    pub(crate) what: String,
}

/// What a transaction came to.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TxnJson<'a> {
    pub(crate) results: Option<Vec<TxnResultJson<'a>>>,
    pub(crate) errors: Option<Vec<TxnErrorJson>>,
    /// For one that only reads.
    #[serde(flatten)]
    pub(crate) read: Option<TxnReadJson>,
}

/// How new the answer of a transaction is that only reads.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TxnReadJson {
    pub(crate) index: u64,
    pub(crate) last_contact: u64,
    pub(crate) known_leader: bool,
    pub(crate) consistency_level: &'static str,
    pub(crate) not_modified: bool,
    pub(crate) backend: u64,
    #[serde(rename = "ResultsFilteredByACLs")]
    pub(crate) filtered: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceCheckJson<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    namespace: &'a str,
}

/// A session.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SessionJson<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    node: &'a str,
    lock_delay: u64,
    behavior: &'static str,
    #[serde(rename = "TTL")]
    ttl: &'a str,
    node_checks: Option<&'a [Text]>,
    service_checks: Option<Vec<ServiceCheckJson<'a>>>,
    #[serde(skip_serializing_if = "<[Text]>::is_empty")]
    checks: &'a [Text],
    create_index: u64,
    modify_index: u64,
}

impl<'a> SessionJson<'a> {
    pub(crate) fn new(row: &'a SessionRow) -> Self {
        let spec = &row.spec;
        let of_services = spec.service_checks.as_ref().map(|checks| {
            checks.iter().map(|check| ServiceCheckJson { id: &check.id, namespace: &check.namespace })
        });
        Self {
            id: &spec.id,
            name: &spec.name,
            node: &spec.node,
            lock_delay: u64::try_from(spec.lock_delay.as_nanos()).unwrap_or(u64::MAX),
            behavior: spec.behavior.as_str(),
            ttl: &spec.ttl_text,
            node_checks: spec.node_checks.as_deref(),
            service_checks: of_services.map(Iterator::collect),
            checks: &spec.checks,
            create_index: row.create,
            modify_index: row.modify,
        }
    }
}

/// An event.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EventJson<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    payload: BytesJson<'a>,
    node_filter: &'a str,
    service_filter: &'a str,
    tag_filter: &'a str,
    version: u8,
    #[serde(rename = "LTime")]
    time: u64,
}

impl<'a> EventJson<'a> {
    pub(crate) fn new(event: &'a Event) -> Self {
        Self {
            id: &event.id,
            name: &event.name,
            payload: BytesJson(&event.payload),
            node_filter: &event.node_filter,
            service_filter: &event.service_filter,
            tag_filter: &event.tag_filter,
            version: 1,
            time: event.time,
        }
    }
}
