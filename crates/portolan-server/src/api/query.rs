//! `/v1/query…`: prepared queries: kept, told, carried out, explained.
//!
//! In:  definitions, ids and names. Out: one command; queries; instances, shuffled, the nearest node first.
//!
//! Differs from Consul: there is one datacenter, so that failover is kept and told, and never needed. Of a token in a query
//! its hash is kept, and it is shown to nobody.
//! Never: shows a query, or what it finds, to whoever may not read it.
//!
//! Rules from Consul 1.21: agent/prepared_query_endpoint.go, agent/consul/prepared_query_endpoint.go.
//! Proof: `tests/differential/`.

use std::sync::Arc;

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{
    Later,
    acl::random_uuid,
    call::Call,
    reply::{Done, Outcome, Refusal, empty, freshness, value},
    rights::Rights,
    visible::Visible,
};
use crate::{
    acl::{Access, Resource, secret::is_uuid},
    core::Core,
    encode::{ExplainedJson, FoundJson, FreshJson, QueryJson},
    state::{
        Command, Entry, Key,
        prepared::{
            QueryCommand,
            rows::{QueryRow, QuerySpec},
        },
    },
};

mod definition;

/// How far down the node that is asked for is looked for, to be put first.
const NEAR: usize = 10;

#[derive(Serialize)]
struct Created<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
}

/// What follows the id or name in a path.
enum Wanted<'a> {
    Query(&'a str),
    Execute(&'a str),
    Explain(&'a str),
}

fn wanted(call: &Call) -> Wanted<'_> {
    let rest = call.rest.as_str();
    match (strip(rest, "execute"), strip(rest, "explain")) {
        (Some(name), _) => Wanted::Execute(name),
        (_, Some(name)) => Wanted::Explain(name),
        _ => Wanted::Query(rest),
    }
}

/// What stands before a last part; the part alone is of the query without a name.
fn strip<'a>(rest: &'a str, part: &str) -> Option<&'a str> {
    let name = rest.strip_suffix(part)?;
    if name.is_empty() { Some(name) } else { name.strip_suffix('/') }
}

fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "Query not found")
}

fn sound_id(id: &str) -> Outcome<()> {
    if is_uuid(id) {
        return Ok(());
    }
    Err(Refusal::internal("failed prepared query lookup: index error: UUID must be 36 characters"))
}

fn may_write(rights: &Rights, spec: &QuerySpec) -> Outcome<()> {
    match spec.ruled_by() {
        Some(name) => rights.require(Resource::Query, name, Access::Write),
        None => Ok(()),
    }
}

pub(super) fn create(core: &Core, call: &Call) -> Outcome<Done> {
    let mut given = definition::read(&call.body)?;
    call.check_datacenter(core)?;
    if !given.spec.id.is_empty() {
        return Err(Refusal::internal("ID must be empty when creating a new prepared query"));
    }
    may_write(&call.rights(core)?, &given.spec)?;
    given.sound()?;
    let id = random_uuid()?;
    given.spec.id = id.as_str().into();
    let written = core.apply(Command::Query(QueryCommand::Put(Box::new(given.spec))))?;
    Ok(Done::new(written, value(&Created { id: &id }, call.layout())?))
}

/// The query that is to be changed, where the caller may do that.
fn to_change(core: &Core, rights: &Rights, id: &str) -> Outcome<Arc<QueryRow>> {
    sound_id(id)
        .map_err(|refusal| Refusal::internal(format!("Prepared Query lookup failed: {}", refusal.text())))?;
    let gone = || Refusal::internal(format!("Cannot modify non-existent prepared query: '{id}'"));
    let row = core.look(|state| state.query(id)).ok_or_else(gone)?;
    may_write(rights, &row.spec)?;
    Ok(row)
}

/// What is carried out and explained is only read.
fn read_only(call: &Call) -> Option<Done> {
    if matches!(wanted(call), Wanted::Query(_)) {
        return None;
    }
    call.for_anyone();
    let text = format!("method {} not allowed", call.method);
    let mut response = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, text).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
    Some(Done::new(crate::durable::Written::NOTHING, response))
}

pub(super) fn update(core: &Core, call: &Call) -> Outcome<Done> {
    if let Some(refused) = read_only(call) {
        return Ok(refused);
    }
    // One without a body says nothing of the query, and so is told whether there is one.
    let body: &[u8] = if call.body.is_empty() { b"{}" } else { &call.body };
    let mut given = definition::read(body)?;
    call.check_datacenter(core)?;
    let rights = call.rights(core)?;
    may_write(&rights, &given.spec)?;
    to_change(core, &rights, &call.rest)?;
    given.sound()?;
    given.spec.id = call.rest.as_str().into();
    let written = core.apply(Command::Query(QueryCommand::Put(Box::new(given.spec))))?;
    Ok(Done::new(written, empty()))
}

pub(super) fn remove(core: &Core, call: &Call) -> Outcome<Done> {
    if let Some(refused) = read_only(call) {
        return Ok(refused);
    }
    call.check_datacenter(core)?;
    to_change(core, &call.rights(core)?, &call.rest)?;
    let written = core.apply(Command::Query(QueryCommand::Remove { id: call.rest.as_str().into() }))?;
    Ok(Done::new(written, empty()))
}

/// Answers with queries, once there is something newer than what the caller knows.
async fn told(
    core: &Core,
    call: &Call,
    look: impl Fn(&Rights) -> Outcome<(Vec<Arc<QueryRow>>, bool)> + Send,
) -> Outcome {
    let read = call.read_options(core)?;
    let mut rights = call.rights(core)?;
    if read.block.is_some() {
        core.wait(&Key::Queries, read.block).await?;
        rights = call.rights(core)?;
    }
    let index = core.look(|state| state.index(&Key::Queries));
    let (rows, hidden) = look(&rights)?;
    let shown: Vec<_> = rows.iter().map(|row| QueryJson::new(row)).collect();
    let mut response = value(&shown, call.layout())?;
    freshness(response.headers_mut(), index, read.consistency);
    rights.tell(hidden, &mut response);
    Ok(response)
}

pub(super) fn list(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let seen = |rights: &Rights, row: &QueryRow| match row.spec.ruled_by() {
            Some(name) => rights.allow(Resource::Query, name, Access::Read),
            None => rights.allow(Resource::Acl, "", Access::Write),
        };
        told(&core, &call, |rights| {
            let mut rows = core.look(|state| state.query_list());
            let before = rows.len();
            rows.retain(|row| seen(rights, row));
            let hidden = rows.len() < before;
            Ok((rows, hidden))
        })
        .await
    })
}

pub(super) fn get(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        match wanted(&call) {
            Wanted::Execute(name) => execute(&core, &call, name),
            Wanted::Explain(name) => explain(&core, &call, name),
            Wanted::Query(id) => {
                let look = |rights: &Rights| -> Outcome<(Vec<Arc<QueryRow>>, bool)> {
                    sound_id(id)?;
                    let row = core.look(|state| state.query(id)).ok_or_else(not_found)?;
                    // Whoever knows the id of one without a name may see it.
                    if let Some(name) = row.spec.ruled_by() {
                        rights.require(Resource::Query, name, Access::Read)?;
                    }
                    Ok((vec![row], false))
                };
                told(&core, &call, look).await
            }
        }
    })
}

fn explain(core: &Core, call: &Call, name: &str) -> Outcome {
    let read = call.read_options(core)?;
    let rights = call.rights(core)?;
    let (row, spec) = core.look(|state| state.query_for(name)).ok_or_else(not_found)?;
    match spec.ruled_by() {
        Some(name) => rights.require(Resource::Query, name, Access::Read)?,
        None => rights.require(Resource::Acl, "", Access::Write)?,
    }
    let shown =
        ExplainedJson { query: QueryJson::of(&spec, &row), fresh: FreshJson::new(read.effective(), false) };
    let mut response = value(&shown, call.layout())?;
    freshness(response.headers_mut(), 1, read.consistency);
    Ok(response)
}

fn execute(core: &Core, call: &Call, name: &str) -> Outcome {
    let limit = limit(call)?;
    let connect = connect(call)?;
    let read = call.read_options(core)?;
    let own = call.rights(core)?;
    let (_, mut spec) = core.look(|state| state.query_for(name)).ok_or_else(not_found)?;
    let rights = match &spec.token {
        Some(token) => Rights::of(core, token)?,
        None => own,
    };
    spec.wanted.connect |= connect;
    let mut found = core.look(|state| state.query_entries(&spec.wanted));
    let hidden = !rights.sees_all() && found.leave_visible(&rights);
    arrange(
        core,
        &mut found,
        call.param("near").filter(|near| !near.is_empty()).unwrap_or(&spec.wanted.near),
    );
    found.truncate(limit);
    let fresh = FreshJson::new(read.effective(), hidden);
    let mut response: Response =
        value(&FoundJson::new(&spec, &found, &core.config.datacenter, fresh), call.layout())?;
    let headers = response.headers_mut();
    freshness(headers, 1, read.consistency);
    if call.param("cached").is_some() {
        headers.insert("x-cache", HeaderValue::from_static("HIT"));
        headers.insert("age", HeaderValue::from_static("0"));
    }
    rights.tell(hidden, &mut response);
    Ok(response)
}

/// In any order, so that those who take the first do not all take the same; but for the node that is asked for.
fn arrange(core: &Core, found: &mut [Entry], near: &str) {
    let mut chance = core.chance();
    for last in (1..found.len()).rev() {
        let bound = u64::try_from(last).unwrap_or(u64::MAX).saturating_add(1);
        let at = chance.next().checked_rem(bound).and_then(|at| usize::try_from(at).ok());
        found.swap(at.unwrap_or(last), last);
    }
    let near = if near == "_agent" { core.config.node.as_str() } else { near };
    let is_near = |entry: &Entry| entry.node.spec.name.eq_ignore_ascii_case(near);
    if let Some(at) = found.iter().take(NEAR).position(is_near) {
        found.swap(0, at);
    }
}

/// How many instances are wanted at most.
fn limit(call: &Call) -> Outcome<usize> {
    let Some(text) = call.param("limit").filter(|text| !text.is_empty()) else { return Ok(usize::MAX) };
    let number: i64 = text.parse().map_err(|_cause| {
        Refusal::internal(format!("Bad limit: strconv.Atoi: parsing {text:?}: invalid syntax"))
    })?;
    Ok(usize::try_from(number).ok().filter(|most| *most > 0).unwrap_or(usize::MAX))
}

fn connect(call: &Call) -> Outcome<bool> {
    let Some(text) = call.param("connect").filter(|text| !text.is_empty()) else { return Ok(false) };
    Call::flag(text).ok_or_else(|| {
        let said =
            format!("Error parsing 'connect' value: strconv.ParseBool: parsing {text:?}: invalid syntax");
        Refusal::internal(said)
    })
}
