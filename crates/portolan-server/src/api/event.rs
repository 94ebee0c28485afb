//! `/v1/event/…`: words to whoever listens, remembered for a while.
//!
//! In:  a name, a payload, for whom it is. Out: the event; those that are remembered.
//!
//! Never: keeps an event on disk; takes one that Consul's gossip could not carry.
//!
//! Rules from Consul 1.21: agent/event_endpoint.go, agent/user_event.go. Proof: `tests/keys/`, beside a real Consul.

use std::{collections::BTreeSet, sync::Arc};

use http::{HeaderValue, StatusCode};
use regex::Regex;

use super::{
    Later,
    acl::random_uuid,
    call::Call,
    reply::{Done, Outcome, Refusal, value},
};
use crate::{
    acl::{Access, Resource},
    core::Core,
    durable::Written,
    encode::EventJson,
    event::Event,
    state::Key,
};

/// How large an event may be with all that is sent of it, in bytes (Serf: `UserEventSizeLimit`).
const LARGEST: usize = 512;
/// What of that its id and the names of its fields take.
const AROUND: usize = 72;
/// An event that no listener is shown (Consul: `remoteExecName`).
const REMOTE_EXEC: &str = "_rexec";

fn pattern(what: &str, text: &str) -> Outcome<Option<Regex>> {
    if text.is_empty() {
        return Ok(None);
    }
    let failed = |why| Refusal::internal(format!("Invalid {what} filter: error parsing regexp: {why}"));
    Regex::new(text).map(Some).map_err(failed)
}

/// Whether an event is for this agent.
fn is_for_us(core: &Core, event: &Event) -> Outcome<bool> {
    let node = pattern("node", &event.node_filter)?;
    let service = pattern("service", &event.service_filter)?;
    let tag = pattern("tag", &event.tag_filter)?;
    if node.is_some_and(|node| !node.is_match(&core.config.node)) {
        return Ok(false);
    }
    let Some(service) = service else { return Ok(true) };
    let services = core.look(|state| state.agent_services());
    Ok(services.iter().any(|row| {
        let tagged = |tag: &Regex| row.spec.tags.iter().any(|had| tag.is_match(had));
        service.is_match(&row.spec.id) && tag.as_ref().is_none_or(tagged)
    }))
}

pub(super) fn fire(core: &Core, call: &Call) -> Outcome<Done> {
    let rights = call.rights(core)?;
    let param = |name| call.param(name).unwrap_or_default().to_owned();
    let event = Event {
        name: call.name("Missing name")?.to_owned(),
        id: random_uuid()?,
        payload: call.body.clone(),
        node_filter: param("node"),
        service_filter: param("service"),
        tag_filter: param("tag"),
        time: 0,
    };
    if !event.tag_filter.is_empty() && event.service_filter.is_empty() {
        return Err(Refusal::internal("Cannot provide tag filter without service filter"));
    }
    let is_for_us = is_for_us(core, &event)?;
    call.check_datacenter(core)?;
    if !rights.allow(Resource::Event, &event.name, Access::Write) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "Permission denied"));
    }
    let texts = [&event.name, &event.node_filter, &event.service_filter, &event.tag_filter];
    let size = texts.iter().fold(event.payload.len(), |size, text| size.saturating_add(text.len()));
    if size.saturating_add(AROUND) > LARGEST {
        let text =
            "error broadcasting event: user event exceeds configured limit of 512 bytes before encoding";
        return Err(Refusal::internal(text));
    }
    let response = value(&EventJson::new(&event), call.layout())?;
    if is_for_us && event.name != REMOTE_EXEC {
        core.events.add(event);
        core.wake(&BTreeSet::from([Key::Events]));
    }
    Ok(Done::new(Written::NOTHING, response))
}

/// What a caller is shown: events, and the number that the last of them makes.
struct Shown {
    events: Vec<Arc<Event>>,
    index: u64,
}

pub(super) fn list(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let wait = call.wait()?;
        let known = call.index()?;
        let mut rights = call.rights(&core)?;
        let named = call.param("name").unwrap_or_default();
        let of_name = || {
            let mut events = core.events.all();
            events.retain(|event| named.is_empty() || event.name == *named);
            events
        };
        let index = |events: &[Arc<Event>]| events.last().map_or(1, |event| event.index());
        if known > 0 {
            // The number goes up and down: only the same one is waited out. Those that the caller may not see do not count.
            let same = || {
                let mut events = of_name();
                events.retain(|event| rights.allow(Resource::Event, &event.name, Access::Read));
                index(&events) == known
            };
            core.wait_while(&Key::Events, wait, |_state| same()).await?;
            rights = call.rights(&core)?;
        }
        let mut events = of_name();
        let before = events.len();
        events.retain(|event| rights.allow(Resource::Event, &event.name, Access::Read));
        let shown = Shown { index: index(&events), events };
        let json: Vec<_> = shown.events.iter().map(|event| EventJson::new(event)).collect();
        let mut response = value(&json, call.layout())?;
        rights.tell(shown.events.len() < before, &mut response);
        response.headers_mut().insert("x-consul-index", HeaderValue::from(shown.index));
        Ok(response)
    })
}
