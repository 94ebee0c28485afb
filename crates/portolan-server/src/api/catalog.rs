//! `/v1/catalog/…`, the reading part, and what all blocking reads have in common.
//!
//! In:  a name and what narrows the answer. Out: the answer with its index, when it is newer than the one known.
//!
//! Never: encodes the same answer twice for two who wait for it, as long as it is kept; tells a caller what it may not see.
//!
//! Rules from Consul: agent/catalog_endpoint.go, agent/blockingquery/blockingquery.go. Proof: `tests/http.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use http::HeaderValue;
use serde::Serialize;

use super::{
    Later,
    call::{Call, Read},
    reply::{Outcome, body, freshness, value},
    visible::Visible,
};
use crate::{
    core::Core,
    encode::{ById, CatalogServiceJson, Layout, NodeJson, ServiceJson, json},
    state::{Key, Narrow, State},
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
    T: Visible,
{
    let mut rights = call.rights(core)?;
    if read.block.is_some() {
        core.wait(key, read.block).await?;
        // Whoever has waited may have lost them meanwhile.
        rights = call.rights(core)?;
    }
    let layout = call.layout();
    let mut question = format!("{}?{:?}&{layout:?}", call.path, read.narrow);
    let in_part = rights.name();
    question.push_str(in_part.as_deref().unwrap_or_default());
    // Under which the answer is kept where something was left out of it.
    let less = in_part.map(|_| format!("{question}!"));
    // A node's meta moves the indexes of its services, but not those of the lists that it may narrow.
    let keep = read.narrow.node_meta.is_empty();
    let (index, found) = core.look(|state| {
        let index = state.index(key);
        let kept = |question: &str| if keep { core.bodies.get(question, index) } else { None };
        let whole = kept(&question).map(|body| (body, false));
        let kept = whole.or_else(|| Some((kept(less.as_deref()?)?, true)));
        (index, kept.ok_or_else(|| look(state, &read.narrow)))
    });
    let (bytes, hidden) = match found {
        Ok(kept) => kept,
        Err(mut found) => {
            let hidden = !rights.sees_all() && found.leave_visible(&rights);
            let encoded = encode(&found, &core.config.datacenter, layout)?;
            if keep {
                let question = less.as_ref().filter(|_| hidden).unwrap_or(&question);
                core.bodies.keep(question, index, &encoded);
            }
            (encoded, hidden)
        }
    };
    let mut response = body(bytes);
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
