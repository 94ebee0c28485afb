//! `/v1/txn`: several operations on keys, nodes, services and checks, all of them or none.
//!
//! In:  operations. Out: rows, or which operations failed and why (409). Those that only read change nothing, wait for no
//! disk, and say how new their answer is.
//!
//! Never: carries out a part; shows a key that its caller may not read.
//!
//! Rules from Consul 1.21: agent/txn_endpoint.go, agent/consul/txn_endpoint.go. Proof: `tests/keys/`, beside a real Consul.

use axum::response::Response;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{
    call::Call,
    decode::{Decoded, fields, map, text},
    kv::{LARGEST, may_change},
    reply::{Done, Outcome, Refusal, value},
    rights::Rights,
};
use crate::{
    acl::{Access, Resource},
    config::Limits,
    core::Core,
    durable::Written,
    encode::{TxnErrorJson, TxnJson, TxnReadJson, TxnResultJson, from_base64},
    state::{
        kv::{KvFailed, KvOp, Verb},
        rows::Text,
        txn::{Deed, Op, OpFailed, Shown},
    },
};

/// How many operations one transaction may have (Consul: `maxTxnOps`).
const MOST: usize = 128;

const BEGIN: &str = "Failed to parse body";

pub(super) fn most(limits: &Limits) -> (usize, &'static str) {
    let setting = "https://developer.hashicorp.com/docs/agent/config/config-files#txn_max_req_len";
    (LARGEST.min(limits.max_body), setting)
}

fn failed(why: impl std::fmt::Display) -> Refusal {
    Refusal::bad(format!("{BEGIN}: {why}"))
}

mod catalog;

use catalog::Kind;

/// One operation as it is given.
enum Given {
    Kv(GivenKv),
    Catalog(catalog::Given),
}

/// One on a key: what it does may be nothing that is known.
struct GivenKv {
    verb: Result<Verb, String>,
    op: KvOp,
}

fn verb(word: &str) -> Option<Verb> {
    Some(match word {
        "set" => Verb::Set,
        "cas" => Verb::Cas,
        "lock" => Verb::Lock,
        "unlock" => Verb::Unlock,
        "delete" => Verb::Delete,
        "delete-cas" => Verb::DeleteCas,
        "delete-tree" => Verb::DeleteTree,
        "get" => Verb::Get,
        "get-or-empty" => Verb::GetOrEmpty,
        "get-tree" => Verb::GetTree,
        "check-index" => Verb::CheckIndex,
        "check-session" => Verb::CheckSession,
        "check-not-exists" => Verb::CheckNotExists,
        _ => return None,
    })
}

fn unsigned(field: &str, value: &Value) -> Decoded<u64> {
    let wrong = || failed(format!("json: cannot unmarshal {value} into field {field} of type uint64"));
    value.as_u64().ok_or_else(wrong)
}

fn bytes(value: &Value) -> Decoded<Vec<u8>> {
    let Value::String(text) = value else {
        return Err(failed("json: cannot unmarshal a value into field KV.Value of type []uint8"));
    };
    from_base64(text).map_err(|at| failed(format!("illegal base64 data at input byte {at}")))
}

impl Given {
    fn only_reads(&self) -> bool {
        match self {
            Self::Kv(given) => given.verb.as_ref().map_or(true, |verb| verb.only_reads()),
            Self::Catalog(given) => given.op.deed == Deed::Get,
        }
    }

    fn into_op(self) -> Op {
        match self {
            Self::Kv(given) => Op::Kv(given.op),
            Self::Catalog(given) => Op::Catalog(given.op),
        }
    }
}

impl GivenKv {
    fn read(given: &Map<String, Value>) -> Decoded<Self> {
        let mut word = Text::from("");
        let mut op = KvOp::new(Verb::Get, "");
        fields(given, |name, value| {
            match name {
                "verb" => word = text("KV.Verb", value)?,
                "key" => op.key = text("KV.Key", value)?,
                "value" => op.value = bytes(value)?.into(),
                "flags" => op.flags = unsigned("KV.Flags", value)?,
                "index" => op.index = unsigned("KV.Index", value)?,
                "session" => op.session = text("KV.Session", value)?,
                "namespace" | "partition" => drop(text("KV.Namespace", value)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let verb = verb(&word).ok_or_else(|| word.to_string());
        if let Ok(verb) = verb {
            op.verb = verb;
        }
        Ok(Self { verb, op })
    }
}

impl GivenKv {
    fn refused(&self, core: &Core, rights: &Rights) -> Option<String> {
        let Self { verb, op } = self;
        let is_delayed = || core.look(|state| state.kv_is_delayed(&op.key, Instant::now().into_std()));
        match verb {
            _ if op.key.is_empty() && *verb != Ok(Verb::DeleteTree) => Some("Must provide key".to_owned()),
            Err(word) => Some(format!("unknown KV operation: {word}")),
            Ok(verb) => match may_change(rights, *verb, &op.key) {
                Err(refusal) => Some(refusal.text().to_owned()),
                Ok(()) if *verb == Verb::Lock && is_delayed() => {
                    Some(KvFailed::Delayed(Text::clone(&op.key)).to_string())
                }
                Ok(()) => None,
            },
        }
    }
}

/// The operations of a body. One that says nothing is none, as in Consul.
fn operations(body: &[u8]) -> Decoded<Vec<Given>> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(failed("EOF"));
    }
    let list = match Value::deserialize(&mut serde_json::Deserializer::from_slice(body)) {
        Ok(Value::Array(list)) => list,
        Ok(Value::Null) => Vec::new(),
        Ok(Value::Object(_)) => {
            return Err(failed("json: cannot unmarshal object into Go value of type api.TxnOps"));
        }
        Ok(_) => return Err(failed("json: cannot unmarshal a value into Go value of type api.TxnOps")),
        Err(error) if error.is_eof() => return Err(failed("unexpected EOF")),
        Err(error) => return Err(failed(error)),
    };
    let count = list.len();
    if count > MOST {
        let text = format!("Transaction contains too many operations ({count} > {MOST})");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text));
    }
    let mut operations = Vec::new();
    for one in &list {
        fields(map("TxnOp", one)?, |name, value| {
            match name {
                "kv" => operations.push(Given::Kv(GivenKv::read(map("KV", value)?)?)),
                "node" => operations.push(of_catalog(Kind::Node, value)?),
                "service" => operations.push(of_catalog(Kind::Service, value)?),
                "check" => operations.push(of_catalog(Kind::Check, value)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
    }
    Ok(operations)
}

fn of_catalog(kind: Kind, value: &Value) -> Decoded<Given> {
    catalog::Given::read(kind, map("TxnOp", value)?).map(Given::Catalog)
}

/// What is wrong with operations before any is carried out.
fn refused(core: &Core, rights: &Rights, given: &[Given]) -> Vec<TxnErrorJson> {
    let what = |given: &Given| match given {
        Given::Kv(given) => given.refused(core, rights),
        Given::Catalog(given) => given.refused(core, rights),
    };
    let errors = given.iter().enumerate().map(|(op_index, given)| (op_index, what(given)));
    errors.filter_map(|(op_index, what)| Some(TxnErrorJson { op_index, what: what? })).collect()
}

/// How new the answer of a transaction is that only reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It changed something.
    Nothing,
    /// It was refused before it was looked at.
    Unread,
    Read {
        filtered: bool,
    },
}

fn answer(
    (core, call): (&Core, &Call),
    results: Option<&[Shown]>,
    errors: Vec<TxnErrorJson>,
    told: Told,
) -> Outcome<Response> {
    let read = match told {
        Told::Nothing => None,
        Told::Unread => Some((false, false)),
        Told::Read { filtered } => Some((true, filtered)),
    };
    let body = TxnJson {
        results: results.map(|results| {
            results.iter().map(|shown| TxnResultJson::new(shown, &core.config.datacenter)).collect()
        }),
        errors: Some(errors).filter(|errors| !errors.is_empty()),
        read: read.map(|(known_leader, filtered)| TxnReadJson {
            index: u64::from(known_leader),
            last_contact: 0,
            known_leader,
            consistency_level: "",
            not_modified: false,
            backend: 0,
            filtered,
        }),
    };
    let mut response = value(&body, call.layout())?;
    if body.errors.is_some() {
        *response.status_mut() = StatusCode::CONFLICT;
    }
    if let Some((known_leader, _)) = read {
        let known_leader = if known_leader { "true" } else { "false" };
        response.headers_mut().insert("x-consul-knownleader", HeaderValue::from_static(known_leader));
        response.headers_mut().insert("x-consul-lastcontact", HeaderValue::from_static("0"));
    }
    Ok(response)
}

fn told(failed: Vec<(usize, OpFailed)>) -> Vec<TxnErrorJson> {
    let told = |(op_index, why): (usize, OpFailed)| TxnErrorJson { op_index, what: why.to_string() };
    failed.into_iter().map(told).collect()
}

/// Leaves out what the caller may not read, and says whether there was any.
fn leave_visible(rights: &Rights, shown: &mut Vec<Shown>) -> bool {
    let before = shown.len();
    shown.retain(|shown| match shown {
        Shown::Kv(shown) => rights.allow(Resource::Key, &shown.row.name, Access::Read),
        Shown::Node(row) => rights.see_node(&row.spec.name),
        Shown::Service { node, row } => rights.see_node(node) && rights.see_service(&row.spec.name),
        Shown::Check(row) => rights.see_check(row),
    });
    shown.len() < before
}

pub(super) fn put(core: &Core, call: &Call) -> Outcome<Done> {
    let rights = call.rights(core)?;
    let given = operations(&call.body).map_err(|refusal| refusal.reworded("Request decode failed", BEGIN))?;
    let only_reads = given.iter().all(Given::only_reads);
    if only_reads {
        drop(call.read_options(core)?);
    }
    call.check_datacenter(core)?;
    let errors = refused(core, &rights, &given);
    if !errors.is_empty() {
        let told = if only_reads { Told::Unread } else { Told::Nothing };
        return Ok(Done::new(Written::NOTHING, answer((core, call), None, errors, told)?));
    }
    let ops: Vec<Op> = given.into_iter().map(Given::into_op).collect();
    let (reply, written) = if only_reads {
        (core.look(|state| state.txn_read(&ops)), Written::NOTHING)
    } else {
        core.apply_txn(ops)?
    };
    let told_read = |filtered| if only_reads { Told::Read { filtered } } else { Told::Nothing };
    let response = match reply {
        Err(failed) => answer((core, call), None, told(failed), told_read(false))?,
        Ok(mut shown) => {
            let filtered = leave_visible(&rights, &mut shown);
            answer((core, call), Some(&shown), Vec::new(), told_read(filtered))?
        }
    };
    Ok(Done::new(written, response))
}
