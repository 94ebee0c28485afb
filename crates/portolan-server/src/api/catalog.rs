//! `/v1/catalog/…`, the reading part, and what all blocking reads have in common.
//!
//! In:  a name and what narrows the answer. Out: the answer with its index, when it is newer than the one known.
//!
//! Never: encodes, or compresses, the same answer twice for two who wait for it, as long as it is kept; tells a caller what
//! it may not see.
//!
//! Rules from Consul: agent/catalog_endpoint.go, agent/blockingquery/blockingquery.go. Proof: `tests/http.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

use bytes::Bytes;
use http::HeaderValue;
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::{
    Later,
    call::{Call, Read},
    filter::{Filter, Filtered},
    reply::{Outcome, Refusal, body, freshness, gzipped, value},
    rights::Rights,
    visible::Visible,
};
use crate::{
    core::Core,
    encode::{ById, CatalogServiceJson, LEAST_GZIP, Layout, NodeJson, ServiceJson, gzip, json},
    state::{Entry, Key, Narrow, State},
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
) -> Outcome
where
    T: Visible + Filtered,
{
    let filter = Filter::of(call)?;
    let mut rights = call.rights(core)?;
    if read.block.is_some() {
        core.wait(key, read.block).await?;
        // Whoever has waited may have lost them meanwhile.
        rights = call.rights(core)?;
    }
    let layout = call.layout();
    let rows = |state: &State| look(state, &read.narrow);
    let encode = |mut found: T| {
        let hidden = !rights.sees_all() && found.leave_visible(&rights);
        // After the rights, so that nobody learns by a filter what is hidden.
        filter.leave_fitting(&mut found, &core.config.datacenter);
        Ok((encode(&found, &core.config.datacenter, layout)?, hidden))
    };
    // A node's meta moves the indexes of its services, but not those of the lists that it may narrow.
    let keep = read.narrow.node_meta.is_empty() && filter.is_none();
    let question = keep.then(|| Question::new(call, &read.narrow, layout, &rights));
    let (index, plain, hidden) = match &question {
        Some(question) => shared(core, question, key, rows, encode).await?,
        None => {
            let (index, found) = core.look(|state| (state.index(key), rows(state)));
            let (plain, hidden) = encode(found)?;
            (index, plain, hidden)
        }
    };
    let mut response = if call.takes_gzip && plain.len() >= LEAST_GZIP {
        let question = question.as_ref().map(|question| question.words(hidden));
        gzipped(compressed(core, question, index, plain).await?)
    } else {
        body(plain)
    };
    rights.tell(hidden, &mut response);
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
struct Question {
    whole: String,
    /// Under which the answer is kept where something was left out of it; `None`: this caller sees all.
    less: Option<String>,
}

impl Question {
    fn new(call: &Call, narrow: &Narrow, layout: Layout, rights: &Rights) -> Self {
        let mut whole = String::with_capacity(call.path.len().saturating_add(4));
        whole.push_str(&call.path);
        // No path has this in it.
        whole.push('\0');
        whole.push_str(if layout == Layout::Pretty { "y" } else { "" });
        whole.push_str(if narrow.passing { "p" } else { "" });
        whole.push_str(if narrow.first.is_some() { "n" } else { "" });
        for tag in &narrow.tags {
            let _infallible = write!(whole, "\0{}:{tag}", tag.len());
        }
        let in_part = rights.name();
        if let Some(name) = &in_part {
            let _infallible = write!(whole, "\0@{name}");
        }
        let less = in_part.map(|_| format!("{whole}\0!"));
        Self { whole, less }
    }

    fn words(&self, hidden: bool) -> &str {
        self.less.as_deref().filter(|_| hidden).unwrap_or(&self.whole)
    }
}

/// The body of a question with its newest index, and whether something was left out: one that is there, or one that is
/// encoded now, once for all who ask.
async fn shared<T>(
    core: &Core,
    question: &Question,
    key: &Key,
    rows: impl Fn(&State) -> T,
    encode: impl Fn(T) -> Outcome<(Bytes, bool)>,
) -> Outcome<(u64, Bytes, bool)> {
    let kept = |state: &State| {
        let index = state.index(key);
        let get = |words: &str| core.bodies.get(words, index);
        let whole = get(&question.whole).map(|body| (index, body, false));
        whole.or_else(|| Some((index, get(question.less.as_deref()?)?, true))).ok_or(index)
    };
    loop {
        if let Ok(kept) = core.look(kept) {
            return Ok(kept);
        }
        let last = [Some(&question.whole), question.less.as_ref()];
        let worth_it = last.into_iter().flatten().any(|words| core.bodies.is_worth_waiting(words));
        let _claim = match worth_it.then(|| core.bodies.claim(&question.whole)).transpose() {
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
        let (encoded, hidden) = encode(found)?;
        core.bodies.keep(question.words(hidden), index, &encoded);
        return Ok((index, encoded, hidden));
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
    call.for_anyone();
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
        answer(&core, &call, &read, &Key::Services, State::instances_of_all, |found, _, layout| {
            let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for (_, row) in found {
                names.entry(&row.spec.name).or_default().extend(row.spec.tags.iter().map(|tag| &**tag));
            }
            json(&ById(names.into_iter().collect()), layout)
        })
        .await
    })
}

pub(super) fn service(core: Arc<Core>, call: Call) -> Later {
    entries(core, call, State::entries)
}

/// What the mesh would reach it by.
pub(super) fn connect(core: Arc<Core>, call: Call) -> Later {
    entries(core, call, State::connected)
}

/// There are no gateways.
pub(super) fn gateway_services(core: Arc<Core>, call: Call) -> Later {
    entries(core, call, |_, _, _| Vec::new())
}

fn entries(core: Arc<Core>, call: Call, pick: fn(&State, &str, &Narrow) -> Vec<Entry>) -> Later {
    Box::pin(async move {
        let name = call.name("Missing service name")?;
        let mut read = call.read_options(&core)?;
        read.narrow.tags = call.all("tag").to_vec();
        let look = |state: &State, narrow: &Narrow| pick(state, name, narrow);
        answer(&core, &call, &read, &Key::service(name), look, |entries, datacenter, layout| {
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
        let name = core.look(|state| state.node_called(name, true));
        let read = call.read_options(&core)?;
        let look = |state: &State, _: &Narrow| state.node(&name);
        answer(&core, &call, &read, &Key::Node(Arc::clone(&name)), look, |found, datacenter, layout| {
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
        let name = core.look(|state| state.node_called(name, true));
        let read = call.read_options(&core)?;
        let look = |state: &State, _: &Narrow| state.node(&name);
        answer(&core, &call, &read, &Key::Node(Arc::clone(&name)), look, |found, datacenter, layout| {
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
