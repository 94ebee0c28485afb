//! `/v1/catalog/…`, the reading part, and what all blocking reads have in common.
//!
//! In:  a name and what narrows the answer. Out: the answer with its index, when it is newer than the one known.
//!
//! Never: encodes, or compresses, the same answer twice for two who wait for it, as long as it is kept.
//!
//! Rules from Consul: agent/catalog_endpoint.go, agent/blockingquery/blockingquery.go. Proof: `tests/http.rs`.

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

use bytes::Bytes;
use http::HeaderValue;
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::{
    Later,
    call::{Call, Read},
    reply::{Outcome, Refusal, body, freshness, gzipped, value},
};
use crate::{
    core::Core,
    encode::{ById, CatalogServiceJson, LEAST_GZIP, Layout, NodeJson, ServiceJson, gzip, json},
    state::{Key, Narrow, State, rows::Text},
};

/// Encodes what was found, with the name of the datacenter.
pub(super) type Encode<T> = fn(&T, &str, Layout) -> Result<Bytes, serde_json::Error>;

/// Waits if that was asked for, then answers with the body that belongs to the index.
pub(super) async fn answer<T>(
    core: &Core,
    call: &Call,
    read: &Read,
    key: &Key,
    look: impl Fn(&State, &Narrow) -> T,
    encode: Encode<T>,
) -> Outcome {
    core.wait(key, read.block).await?;
    let layout = call.layout();
    let rows = |state: &State| look(state, &read.narrow);
    let encode = |found: &T| encode(found, &core.config.datacenter, layout);
    // A node's meta moves the indexes of its services, but not those of the lists that it may narrow.
    let question = read.narrow.node_meta.is_empty().then(|| question(call, &read.narrow, layout));
    let (index, plain) = match &question {
        Some(question) => shared(core, question, key, rows, encode).await?,
        None => {
            let (index, found) = core.look(|state| (state.index(key), rows(state)));
            (index, encode(&found)?)
        }
    };
    let mut response = if call.takes_gzip && plain.len() >= LEAST_GZIP {
        gzipped(compressed(core, question.as_deref(), index, plain).await?)
    } else {
        body(plain)
    };
    let headers = response.headers_mut();
    freshness(headers, index, read.consistency);
    if read.cached {
        // The state is in this process: it is as new as any cache could be.
        headers.insert("x-cache", HeaderValue::from_static("HIT"));
        headers.insert("age", HeaderValue::from_static("0"));
    }
    Ok(response)
}

/// What is asked, in words that no other question has.
fn question(call: &Call, narrow: &Narrow, layout: Layout) -> String {
    let mut text = String::with_capacity(call.path.len().saturating_add(4));
    text.push_str(&call.path);
    // No path has this in it.
    text.push('\0');
    text.push_str(if layout == Layout::Pretty { "y" } else { "" });
    text.push_str(if narrow.passing { "p" } else { "" });
    for tag in &narrow.tags {
        let _infallible = write!(text, "\0{}:{tag}", tag.len());
    }
    text
}

/// The body of a question with its newest index: one that is there, or one that is encoded now, once for all who ask.
async fn shared<T>(
    core: &Core,
    question: &str,
    key: &Key,
    rows: impl Fn(&State) -> T,
    encode: impl Fn(&T) -> Result<Bytes, serde_json::Error>,
) -> Outcome<(u64, Bytes)> {
    let kept = |state: &State| {
        let index = state.index(key);
        core.bodies.get(question, index).map(|body| (index, body)).ok_or(index)
    };
    loop {
        if let Ok(kept) = core.look(kept) {
            return Ok(kept);
        }
        let worth_it = core.bodies.is_worth_waiting(question);
        let _claim = match worth_it.then(|| core.bodies.claim(question)).transpose() {
            Ok(claim) => claim,
            Err(encoded) => {
                encoded.await;
                continue;
            }
        };
        let (index, found) = match core.look(|state| kept(state).map_err(|index| (index, rows(state)))) {
            Ok(kept) => return Ok(kept),
            Err(found) => found,
        };
        let encoded = encode(&found)?;
        core.bodies.keep(question, index, &encoded);
        return Ok((index, encoded));
    }
}

/// The same body compressed, once for all who ask for it so.
async fn compressed(core: &Core, question: Option<&str>, index: u64, plain: Bytes) -> Outcome<Bytes> {
    let failed = |why: String| Refusal::internal(format!("the answer could not be compressed: {why}"));
    let Some(question) = question else { return gzip(&plain).map_err(|why| failed(why.to_string())) };
    let question = format!("{question}\0gzip");
    loop {
        if let Some(kept) = core.bodies.get(&question, index) {
            return Ok(kept);
        }
        match core.bodies.claim(&question) {
            Ok(_claim) => {
                // On a thread that may be busy: milliseconds for each megabyte.
                let done =
                    spawn_blocking(move || gzip(&plain)).await.map_err(|why| failed(why.to_string()))?;
                let small = done.map_err(|why| failed(why.to_string()))?;
                core.bodies.keep(&question, index, &small);
                return Ok(small);
            }
            Err(encoded) => encoded.await,
        }
    }
}

pub(super) fn datacenters(core: &Core, call: &Call) -> Outcome {
    value(&[&core.config.datacenter], call.layout())
}

pub(super) fn nodes(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let read = call.read_options(&core)?;
        answer(&core, &call, &read, &Key::Nodes, State::node_rows, |rows, datacenter, layout| {
            let shown: Vec<_> = rows.iter().map(|row| NodeJson::new(row, datacenter)).collect();
            json(&shown, layout)
        })
        .await
    })
}

pub(super) fn services(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let read = call.read_options(&core)?;
        answer(&core, &call, &read, &Key::Services, State::service_names, |names, _, layout| {
            let tags = |of: &BTreeSet<Text>| of.iter().map(|tag| tag.to_string()).collect::<Vec<_>>();
            json(&ById(names.iter().map(|(name, of)| (&**name, tags(of))).collect()), layout)
        })
        .await
    })
}

pub(super) fn service(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let name = call.name("Missing service name")?;
        let mut read = call.read_options(&core)?;
        read.narrow.tags = call.all("tag").to_vec();
        let look = |state: &State, narrow: &Narrow| state.entries(name, narrow);
        answer(&core, &call, &read, &Key::Service(name.into()), look, |entries, datacenter, layout| {
            let shown: Vec<_> =
                entries.iter().map(|entry| CatalogServiceJson::new(entry, datacenter)).collect();
            json(&shown, layout)
        })
        .await
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeServicesJson<'a, S> {
    node: Option<NodeJson<'a>>,
    services: S,
}

pub(super) fn node(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let name = call.name("Missing node name")?;
        let read = call.read_options(&core)?;
        let look = |state: &State, _: &Narrow| state.node(name);
        answer(&core, &call, &read, &Key::Node(name.into()), look, |found, datacenter, layout| {
            let shown = found.as_ref().map(|(node, services)| NodeServicesJson {
                node: Some(NodeJson::new(node, datacenter)),
                services: ById(services.iter().map(|row| (&*row.spec.id, ServiceJson::new(row))).collect()),
            });
            json(&shown, layout)
        })
        .await
    })
}

pub(super) fn node_services(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let name = call.name("Missing node name")?;
        let read = call.read_options(&core)?;
        let look = |state: &State, _: &Narrow| state.node(name);
        answer(&core, &call, &read, &Key::Node(name.into()), look, |found, datacenter, layout| {
            let shown = NodeServicesJson {
                node: found.as_ref().map(|(node, _)| NodeJson::new(node, datacenter)),
                services: found.as_ref().map(|(_, services)| {
                    services.iter().map(|row| ServiceJson::new(row)).collect::<Vec<_>>()
                }),
            };
            json(&shown, layout)
        })
        .await
    })
}
