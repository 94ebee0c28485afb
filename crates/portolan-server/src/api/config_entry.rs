//! `/v1/config…`: settings of the mesh, of which there are none.
//!
//! In:  kinds and names. Out: no entries; refusals of those that are to be kept.
//!
//! Differs from Consul: with the mesh off it still keeps what would count if it were on; here that is refused, since nothing
//! would ever look at it.
//! Never: says that an entry was kept.
//!
//! Rules from Consul 1.21: agent/config_endpoint.go, agent/structs/config_entry.go. Proof: `tests/differential/`.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::{
    Later,
    call::Call,
    connect,
    decode::object_of,
    reply::{Done, Outcome, Refusal, freshness_of_keys, value},
};
use crate::{core::Core, durable::Written};

/// All kinds that Consul knows (agent/structs/config_entry.go `AllConfigEntryKinds`).
const KINDS: [&str; 19] = [
    "service-defaults",
    "proxy-defaults",
    "service-router",
    "service-splitter",
    "service-resolver",
    "ingress-gateway",
    "terminating-gateway",
    "service-intentions",
    "mesh",
    "exported-services",
    "sameness-group",
    "api-gateway",
    "bound-api-gateway",
    "file-system-certificate",
    "inline-certificate",
    "http-route",
    "tcp-route",
    "control-plane-request-limit",
    "jwt-provider",
];

const BEGIN: &str = "Request decoding failed";

fn unknown(kind: &str) -> String {
    format!("invalid config entry kind: {kind}")
}

pub(super) fn get(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        call.for_anyone();
        let (kind, name) =
            call.rest.split_once('/').map_or((&*call.rest, None), |(kind, name)| (kind, Some(name)));
        if !kind.is_empty() && !KINDS.contains(&kind) {
            return Err(Refusal::internal(unknown(kind)));
        }
        connect::nothing_new(&core, &call).await?;
        let mut response = match name {
            None => value(&Value::Array(Vec::new()), call.layout())?,
            Some(name) => {
                let text = format!("Config entry not found for {kind:?} / {name:?}");
                Refusal::new(StatusCode::NOT_FOUND, text).into_response()
            }
        };
        freshness_of_keys(response.headers_mut(), 1);
        Ok(response)
    })
}

/// Refuses a comparison with what is no index.
fn compared(call: &Call) -> Outcome<Option<u64>> {
    let Some(text) = call.param("cas").filter(|text| !text.is_empty()) else { return Ok(None) };
    let wrong = |_cause| Refusal::internal(format!("strconv.ParseUint: parsing {text:?}: invalid syntax"));
    text.parse().map(Some).map_err(wrong)
}

pub(super) fn put(core: &Core, call: &Call) -> Outcome<Done> {
    call.for_anyone();
    let entry = object_of(BEGIN, &call.body)?;
    let kind = entry.iter().find(|(name, _)| *name == "Kind" || *name == "kind").map(|(_, kind)| kind);
    let missing =
        || Refusal::bad(format!("{BEGIN}: Payload does not contain a kind/Kind key at the top level"));
    let kind = kind.ok_or_else(missing)?.as_str().unwrap_or_default();
    if !KINDS.contains(&kind) {
        return Err(Refusal::bad(format!("{BEGIN}: {}", unknown(kind))));
    }
    compared(call)?;
    call.check_datacenter(core)?;
    if kind == "service-intentions" {
        return Err(connect::off());
    }
    Err(Refusal::internal(format!(
        "{kind} is a setting of the mesh, which this registry does not have: it is not kept"
    )))
}

pub(super) fn remove(core: &Core, call: &Call) -> Outcome<Done> {
    call.for_anyone();
    let Some((kind, name)) =
        call.rest.split_once('/').filter(|(kind, name)| !kind.is_empty() && !name.is_empty())
    else {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "Must provide both a kind and name to delete"));
    };
    if !KINDS.contains(&kind) {
        return Err(Refusal::bad(unknown(kind)));
    }
    let was_compared = compared(call)?.is_some();
    call.check_datacenter(core)?;
    tracing::debug!(kind, name, "a config entry that is not there was removed");
    let said = if was_compared { Value::Bool(true) } else { Value::Object(serde_json::Map::new()) };
    Ok(Done::new(Written::NOTHING, value(&said, call.layout())?))
}
