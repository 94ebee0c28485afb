//! `/v1/health/…`: instances with their checks, and checks alone.
//!
//! In:  a name and what narrows the answer. Out: rows with their index, when newer than the one known.
//!
//! Rules from Consul: agent/health_endpoint.go. Proof: `tests/http.rs`.
//! Differs from Consul: the indexes of `node` and `checks` are those of the node and of the service, not of all
//! checks, so that they do not move for others.
//! Never: sorts by distance beyond our own node, which comes first for `near`: no other has a place.

use std::sync::Arc;

use bytes::Bytes;

use super::{Later, call::Call, catalog::answer, reply::Refusal};
use crate::{
    core::Core,
    encode::{CheckJson, EntryJson, Layout, json},
    state::{
        Entry, Key, Narrow, State,
        rows::{CheckRow, Health},
    },
};

/// Which instances of a service are asked for.
type Pick = fn(&State, &str, &Narrow) -> Vec<Entry>;

pub(super) fn service(core: Arc<Core>, call: Call) -> Later {
    entries(core, call, State::entries)
}

/// What the mesh would reach it by.
pub(super) fn connect(core: Arc<Core>, call: Call) -> Later {
    entries(core, call, State::connected)
}

/// There are no gateways.
pub(super) fn ingress(core: Arc<Core>, call: Call) -> Later {
    entries(core, call, |_, _, _| Vec::new())
}

fn entries(core: Arc<Core>, call: Call, pick: Pick) -> Later {
    Box::pin(async move {
        let name = call.name("Missing service name")?;
        let mut read = call.read_options(&core)?;
        read.narrow.tags = call.all("tag").to_vec();
        read.narrow.passing = match call.param("passing") {
            None => false,
            Some("") => true,
            Some(word) => Call::flag(word).ok_or_else(|| Refusal::bad("Invalid value for ?passing"))?,
        };
        let look = |state: &State, narrow: &Narrow| pick(state, name, narrow);
        answer(&core, &call, &read, &Key::service(name), look, |entries, datacenter, layout| {
            let shown: Vec<_> = entries.iter().map(|entry| EntryJson::new(entry, datacenter)).collect();
            json(&shown, layout)
        })
        .await
    })
}

#[expect(clippy::ptr_arg, reason = "the shape that `answer` asks for")]
fn rows(checks: &Vec<Arc<CheckRow>>, _: &str, layout: Layout) -> Result<Bytes, serde_json::Error> {
    let shown: Vec<_> = checks.iter().map(|check| CheckJson::new(check)).collect();
    json(&shown, layout)
}

pub(super) fn node(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let name = call.name("Missing node name")?;
        let name = core.look(|state| state.node_called(name, false));
        let read = call.read_options(&core)?;
        let look = |state: &State, narrow: &Narrow| state.node_checks(&name, narrow);
        answer(&core, &call, &read, &Key::NodeChecks(Arc::clone(&name)), look, rows).await
    })
}

pub(super) fn checks(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let name = call.name("Missing service name")?;
        let read = call.read_options(&core)?;
        let look = |state: &State, narrow: &Narrow| state.service_checks(name, narrow);
        answer(&core, &call, &read, &Key::service(name), look, rows).await
    })
}

pub(super) fn state(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let word = call.name("Missing check state")?;
        let read = call.read_options(&core)?;
        let wanted = Health::of(&word.to_lowercase());
        let nonsense = wanted.is_none() && word != "any";
        let look = |state: &State, narrow: &Narrow| {
            if nonsense { Vec::new() } else { state.checks_in(wanted, narrow) }
        };
        answer(&core, &call, &read, &Key::Checks, look, rows).await
    })
}
