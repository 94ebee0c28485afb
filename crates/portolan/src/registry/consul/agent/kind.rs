//! The fields that each kind of check has in a registration. PURE.
//!
//! In:  a kind. Out: its fields in the body; those at their default stay unset.
//!
//! Never: sets a field that the kind does not have.
//!
//! Rules from Consul: agent/structs/check_type.go `CheckType`, whose `H2PingUseTLS` is true unless it is sent.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::super::wire::RegisterCheck;
use crate::{
    check::{CheckKind, CheckTls},
    duration::format_duration,
};

/// Fills in what `kind` is made of; the text says what is missing.
pub(super) fn put<'a>(body: &mut RegisterCheck<'a>, kind: &'a CheckKind) -> Result<(), String> {
    match kind {
        CheckKind::Http { target, method, headers, body: sent, tls } => {
            body.http = Some(target);
            body.method = method.as_deref();
            body.header = Some(headers).filter(|headers| !headers.is_empty());
            body.body = Some(sent.as_str()).filter(|sent| !sent.is_empty());
            trust(body, tls.as_ref());
        }
        CheckKind::Tcp { target, tls } => {
            body.tcp = Some(whole("TCP", target.as_deref())?);
            body.tcp_use_tls = tls.is_some();
            trust(body, tls.as_ref());
        }
        CheckKind::Udp { target } => body.udp = Some(whole("UDP", target.as_deref())?),
        CheckKind::Grpc { target, service, tls } => {
            let target = whole("gRPC", target.as_deref())?;
            let whole = if service.is_empty() { target.into() } else { format!("{target}/{service}").into() };
            body.grpc = Some(whole);
            body.grpc_use_tls = tls.is_some();
            trust(body, tls.as_ref());
        }
        CheckKind::H2Ping { target, tls } => {
            body.h2_ping = Some(whole("H2 ping", target.as_deref())?);
            body.h2_ping_use_tls = tls.is_none().then_some(false);
            trust(body, tls.as_ref());
        }
        CheckKind::Ttl { ttl } => body.ttl = Some(format_duration(*ttl)),
        CheckKind::Alias { node, service } => {
            body.alias_node = node.as_deref();
            body.alias_service = service.as_ref().map(|id| id.as_str());
        }
        CheckKind::Script { args } => body.script_args = args,
        CheckKind::OsService { name } => body.os_service = Some(name),
        CheckKind::Docker { container, args, shell } => {
            body.docker_container_id = Some(container);
            body.script_args = args;
            body.shell = shell.as_deref();
        }
    }
    Ok(())
}

fn whole<'a>(kind: &str, target: Option<&'a str>) -> Result<&'a str, String> {
    target.ok_or_else(|| format!("no {kind} target; give host:port"))
}

fn trust<'a>(body: &mut RegisterCheck<'a>, tls: Option<&'a CheckTls>) {
    if let Some(tls) = tls {
        body.tls_skip_verify = tls.skip_verify;
        body.tls_server_name = tls.server_name.as_deref();
    }
}
