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
    reply::{Done, Outcome, Refusal, empty, value},
};
use crate::{
    core::Core,
    encode::{ById, CheckJson},
    state::{Command, cut, rows::Health},
};

pub(super) fn checks(core: &Core, call: &Call) -> Outcome {
    let checks = core.look(|state| state.agent_checks());
    let shown = checks.iter().map(|check| (&*check.row.facts.id, CheckJson::of_agent(check))).collect();
    value(&ById(shown), call.layout())
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
    let written = core.apply(Command::RegisterCheck { check: Box::new(check), service })?;
    Ok(Done::new(written, empty()))
}

pub(super) fn deregister(core: &Core, call: &Call) -> Outcome<Done> {
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
