//! `/v1/acl/token…` and `/v1/acl/bootstrap`: who may do what.
//!
//! In:  policies and identities, an accessor, a secret. Out: one command, or tokens.
//!
//! Rules from Consul 1.21: agent/acl_endpoint.go, agent/consul/auth/token_writer.go; texts as seen from 1.21.4.
//! Never: shows a secret but to the one who made the token or shows it itself.

use std::sync::Arc;

use http::StatusCode;

use super::{may_write, random_uuid, read};
use crate::{
    acl::{
        Access,
        secret::{HIDDEN, Secret},
        stamp::Stamp,
    },
    api::{
        Later,
        call::Call,
        decode::{Decoded, fields, object_of, text},
        reply::{Done, Outcome, Refusal, value},
    },
    core::{Core, calendar},
    state::{
        Command, Key,
        acl::{AclCommand, GLOBAL_MANAGEMENT, TokenView, rows::TokenSpec},
        rows::Text,
    },
};

mod given;
mod shown;

use {
    given::{Given, is_accessor, link_id, sound_uuid},
    shown::{TokenJson, Told},
};

fn gone() -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "token does not exist: ACL not found")
}

fn unsupported(call: &Call, params: &[&str]) -> Decoded<()> {
    match params.iter().find(|param| call.param(param).is_some()) {
        Some(param) => Err(Refusal::bad(format!("?{param} is not supported yet; leave it out"))),
        None => Ok(()),
    }
}

pub(in crate::api) fn list(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        unsupported(&call, &["role", "authmethod", "servicename"])?;
        let look = || {
            let policy = call.param("policy").filter(|id| !id.is_empty());
            policy.map_or(Ok(()), |id| sound_uuid("failed acl token lookup", id))?;
            let tokens = core.look(|state| state.tokens(calendar()));
            let wanted = |view: &TokenView| {
                policy.is_none_or(|wanted| view.policies.iter().any(|(id, _)| **id == *wanted))
            };
            let tokens = tokens.into_iter().filter(wanted);
            Ok(tokens.map(|view| Told::new(view, HIDDEN)).collect::<Vec<_>>())
        };
        read(&core, &call, Key::Tokens, Some(Access::Read), look).await
    })
}

pub(in crate::api) fn by_accessor(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        let accessor = call.name("Missing token AccessorID")?;
        unsupported(&call, &["expanded"])?;
        let look = || {
            sound_uuid("failed acl token lookup", accessor)?;
            let view = core.look(|state| state.token(accessor, calendar())).ok_or_else(gone)?;
            Ok(Told::new(view, HIDDEN))
        };
        read(&core, &call, Key::Tokens, Some(Access::Read), look).await
    })
}

pub(in crate::api) fn own(core: Arc<Core>, call: Call) -> Later {
    Box::pin(async move {
        unsupported(&call, &["expanded"])?;
        // Whoever shows a secret may read what it is: no right is needed.
        if call.token.is_none() {
            call.for_anyone();
            return Err(gone());
        }
        let look = || {
            let secret = call.token.as_ref().ok_or_else(gone)?;
            let view = core.look(|state| state.token_of(&secret.hash(), calendar())).ok_or_else(gone)?;
            Ok(Told::new(view, secret.reveal()))
        };
        read(&core, &call, Key::Tokens, None, look).await
    })
}

fn given(call: &Call) -> Decoded<Given> {
    let body = object_of("Token decoding failed", &call.body)?;
    Given::read(&body).map_err(|refusal| refusal.reworded("Request decode failed", "Token decoding failed"))
}

pub(in crate::api) fn bootstrap(core: &Core, call: &Call) -> Outcome<Done> {
    call.for_anyone();
    let mut wished = Text::from("");
    if !call.body.iter().all(u8::is_ascii_whitespace) {
        fields(&object_of("Request decode failed", &call.body)?, |name, value| {
            let known = name == "bootstrapsecret";
            if known {
                wished = text("BootstrapSecret", value)?;
            }
            Ok(known)
        })?;
    }
    let secret = secret(&wished)?;
    let mut spec = TokenSpec::new(&secret, &random_uuid()?, calendar());
    spec.description = "Bootstrap Token (Global Management)".into();
    spec.policies = vec![GLOBAL_MANAGEMENT.into()];
    put(core, call, spec, &secret, AclCommand::Bootstrap, Tell::WithId)
}

/// The secret that is wished for, or a new one.
fn secret(wished: &str) -> Decoded<Secret> {
    if wished.is_empty() {
        return Ok(Secret::new(random_uuid()?));
    }
    if !is_accessor(wished) {
        return Err(Refusal::internal("Invalid Token: SecretID - not a valid UUID"));
    }
    Ok(Secret::new(wished))
}

pub(in crate::api) fn create(core: &Core, call: &Call) -> Outcome<Done> {
    let given = given(call)?;
    may_write(core, call)?;
    if !given.accessor.is_empty() && !is_accessor(&given.accessor) {
        return Err(Refusal::internal("Invalid Token: AccessorID - not a valid UUID"));
    }
    let secret = secret(&given.secret)?;
    let accessor =
        if given.accessor.is_empty() { random_uuid()?.into() } else { Text::clone(&given.accessor) };
    let spec = made(core, given, TokenSpec::new(&secret, &accessor, calendar()))?;
    put(core, call, spec, &secret, AclCommand::CreateToken, Tell::Plain)
}

/// A token as it was described.
fn made(core: &Core, given: Given, mut spec: TokenSpec) -> Decoded<TokenSpec> {
    spec.expires = given.end(spec.created)?;
    for link in &given.policies {
        let id = link_id(core, link)?;
        if !spec.policies.contains(&id) {
            spec.policies.push(id);
        }
    }
    (spec.description, spec.local) = (given.description, given.local);
    (spec.services, spec.nodes) = (given.services, given.nodes);
    Ok(spec)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tell {
    Plain,
    /// With the secret as `ID` besides, as Consul tells of a bootstrap.
    WithId,
}

fn put(
    core: &Core,
    call: &Call,
    spec: TokenSpec,
    secret: &Secret,
    command: fn(Box<TokenSpec>) -> AclCommand,
    tell: Tell,
) -> Outcome<Done> {
    let accessor = Text::clone(&spec.accessor);
    let written = core.apply(Command::Acl(command(Box::new(spec))))?;
    let view = core.look(|state| state.token(&accessor, calendar())).ok_or_else(gone)?;
    let mut told = TokenJson::new(&view, secret.reveal())?;
    if tell == Tell::WithId {
        told.id = Some(secret.reveal());
    }
    Ok(Done::new(written, value(&told, call.layout())?))
}

pub(in crate::api) fn update(core: &Core, call: &Call) -> Outcome<Done> {
    if let Some(accessor) = call.rest.strip_suffix("/clone") {
        return clone(core, call, accessor);
    }
    if call.rest.is_empty() {
        return create(core, call);
    }
    let given = given(call)?;
    if !given.accessor.is_empty() && *given.accessor != *call.rest {
        return Err(Refusal::bad("Token Accessor ID in URL and payload do not match"));
    }
    may_write(core, call)?;
    if !is_accessor(&call.rest) {
        return Err(Refusal::internal("AccessorID is not a valid UUID"));
    }
    let shown = Some(Secret::new(&*given.secret)).filter(|_| !given.secret.is_empty());
    // The state keeps the secret that the token has.
    let nothing = Secret::new("");
    let spec = made(core, given, TokenSpec::new(&nothing, &call.rest, calendar()))?;
    let command = AclCommand::UpdateToken { spec: Box::new(spec), secret: shown.as_ref().map(Secret::hash) };
    let written = core.apply(Command::Acl(command))?;
    let view = core.look(|state| state.token(&call.rest, calendar())).ok_or_else(gone)?;
    let told = TokenJson::new(&view, shown.as_ref().map_or(HIDDEN, Secret::reveal))?;
    Ok(Done::new(written, value(&told, call.layout())?))
}

fn clone(core: &Core, call: &Call, accessor: &str) -> Outcome<Done> {
    let given = given(call)?;
    may_write(core, call)?;
    let now: Stamp = calendar();
    let view = core.look(|state| state.token(accessor, now)).ok_or_else(gone)?;
    let secret = secret("")?;
    let fresh = TokenSpec::new(&secret, &random_uuid()?, now);
    let mut spec =
        TokenSpec { accessor: fresh.accessor, secret: fresh.secret, created: now, ..view.row.spec.clone() };
    // Links to what has gone are not handed on.
    spec.policies = view.policies.iter().map(|(id, _)| Text::clone(id)).collect();
    if !given.description.is_empty() {
        spec.description = given.description;
    }
    put(core, call, spec, &secret, AclCommand::CreateToken, Tell::Plain)
}

pub(in crate::api) fn remove(core: &Core, call: &Call) -> Outcome<Done> {
    let accessor = call.name("Missing token ID")?;
    may_write(core, call)?;
    if !is_accessor(accessor) {
        return Err(Refusal::internal("Token ID is missing or an invalid UUID"));
    }
    let written = core.apply(Command::Acl(AclCommand::RemoveToken { accessor: accessor.into() }))?;
    Ok(Done::new(written, value(&true, call.layout())?))
}
