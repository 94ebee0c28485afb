//! `/v1/agent/check…`: the agent's checks, and the reports of services about themselves.
//!
//! In:  calls. Out: commands, or the checks that the agent holds.
//!
//! Rules from Consul: agent/agent_endpoint.go `agentCheckUpdate`, `AgentRegisterCheck`. Proof: `tests/http.rs`.
//! Never: takes a report for a check that is not a TTL check.

use super::{
    call::{Call, fits},
    check_definition::{Given, RawCheck},
    decode::{fields, object, text},
    filter,
    reply::{Done, Outcome, Refusal, empty, value},
    rights::Rights,
};
use crate::{
    core::Core,
    encode::{ById, CheckJson},
    state::{
        Command, Refused, cut,
        rows::{Health, Text},
    },
};

pub(super) fn checks(core: &Core, call: &Call) -> Outcome {
    let rights = call.rights(core)?;
    let mut checks = core.look(|state| state.agent_checks());
    let all = checks.len();
    checks.retain(|check| match &check.row.facts.of {
        Some(of) => rights.see_service(&of.name),
        None => rights.see_node(&core.config.node),
    });
    let hidden = checks.len() < all;
    let checks = filter::checks(call, checks)?;
    let shown = checks.iter().map(|check| (&*check.row.facts.id, CheckJson::of_agent(check))).collect();
    let mut response = value(&ById(shown), call.layout())?;
    rights.tell(hidden, &mut response);
    Ok(response)
}

/// The check that a change is about, where rights count: the service that it speaks for, if any.
fn written(core: &Core, rights: &Rights, id: &str) -> Option<Option<Text>> {
    if matches!(rights, Rights::All) {
        return None;
    }
    let check = core.look(|state| state.agent_check_row(id))?;
    Some(check.facts.of.as_ref().map(|of| Text::clone(&of.name)))
}

/// Refuses the change of a check that the caller may not write.
fn may_change(core: &Core, call: &Call) -> Outcome<()> {
    let rights = call.rights(core)?;
    match written(core, &rights, &call.rest) {
        Some(service) => rights.write_check(service.as_ref(), &core.config.node),
        None if matches!(rights, Rights::All) => Ok(()),
        None => Err(Refused::UnknownCheck(call.rest.as_str().into()).into()),
    }
}

/// The same for one that is defined: for what it is to speak for, and for what stands under its id.
fn may_define(core: &Core, call: &Call, id: &str, service: Option<&Text>) -> Outcome<()> {
    let rights = call.rights(core)?;
    if matches!(rights, Rights::All) {
        return Ok(());
    }
    let of = match service {
        Some(id) => {
            let row = core.look(|state| state.agent_service(id));
            let row = row.ok_or_else(|| Refused::NoSuchService(Text::clone(id)))?;
            Some(Text::clone(&row.spec.name))
        }
        None => None,
    };
    rights.write_check(of.as_ref(), &core.config.node)?;
    match written(core, &rights, id) {
        Some(service) => rights.write_check(service.as_ref(), &core.config.node),
        None => Ok(()),
    }
}

pub(super) fn register(core: &Core, call: &Call) -> Outcome<Done> {
    let raw = RawCheck::read(&object(&call.body)?, Given::Alone)?;
    let name = raw.name.clone().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Refusal::bad("Missing check name"))?;
    let service = raw.service.clone().filter(|id| !id.is_empty());
    let mut check = raw.into_spec(core.config.scripts()).map_err(|why| why.alone())?;
    if check.id.is_empty() {
        check.id = name;
    }
    fits(core, [&*check.id])?;
    may_define(core, call, &check.id, service.as_ref())?;
    let written = core.apply(Command::RegisterCheck { check: Box::new(check), service })?;
    Ok(Done::new(written, empty()))
}

pub(super) fn deregister(core: &Core, call: &Call) -> Outcome<Done> {
    may_change(core, call)?;
    let written = core.apply(Command::DeregisterCheck { id: call.rest.as_str().into() })?;
    Ok(Done::new(written, empty()))
}

pub(super) fn pass(core: &Core, call: &Call) -> Outcome<Done> {
    noted(core, call, Health::Passing)
}

pub(super) fn warn(core: &Core, call: &Call) -> Outcome<Done> {
    noted(core, call, Health::Warning)
}

pub(super) fn fail(core: &Core, call: &Call) -> Outcome<Done> {
    noted(core, call, Health::Critical)
}

fn noted(core: &Core, call: &Call, status: Health) -> Outcome<Done> {
    report(core, call, status, call.param("note").unwrap_or_default())
}

fn report(core: &Core, call: &Call, status: Health, output: &str) -> Outcome<Done> {
    may_change(core, call)?;
    let check = call.rest.as_str().into();
    let written = core.apply(Command::Report { check, status, output: cut(output) })?;
    Ok(Done::new(written, empty()))
}

pub(super) fn update(core: &Core, call: &Call) -> Outcome<Done> {
    let (mut status, mut output) = ("".into(), "".into());
    fields(&object(&call.body)?, |name, value| {
        match name {
            "status" => status = text("Status", value)?,
            "output" => output = text("Output", value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let status =
        Health::of(&status).ok_or_else(|| Refusal::bad(format!("Invalid check status: '{status}'")))?;
    report(core, call, status, &output)
}
