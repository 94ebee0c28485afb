//! A check of a definition file. PURE.
//!
//! In:  an object. Out: a check, found to be right.
//!
//! Never: chooses between two kinds; drops a setting that the kind does not have; runs a check at a pace that nobody
//! gave (Consul demands an interval), or gives up later or sooner than Consul.
//!
//! Rules from Consul: agent/structs/check_type.go `Validate`, agent/checks/check.go (a run may take 10 s, a program
//! 30 s, unless it is said), agent/config/builder.go `checkVal`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, time::Duration};

use portolan::{Check, CheckId, CheckKind, CheckTls, Error, ServiceId, Status};
use serde_json::Value;

use super::fields::Fields;

/// How long a run may take unless it is said. Consul: agent/checks/check.go.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The same for a program. Consul: agent/checks/check.go `DefaultTimeout`.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(30);

/// What Consul takes and Portolan does not set, with what to do about it.
const LEFT_TO_CONSUL: [(&str, &str); 5] = [
    ("token", "a token does not belong into this file; give it with --token-file, and leave this out"),
    ("service_id", "a check of a service belongs to it; leave this out"),
    ("output_max_size", "Portolan leaves this at Consul's 4096; leave it out"),
    ("disable_redirects", "Portolan leaves this to Consul; leave it out"),
    ("namespace", "it goes with the registry: set CONSUL_NAMESPACE, and leave this out"),
];

pub(super) fn read(path: &str, value: &Value) -> Result<Check, Error> {
    let mut fields = Fields::of(path, value)?;
    let kind = kind(path, &mut fields)?;
    let program =
        matches!(kind, CheckKind::Script { .. } | CheckKind::Docker { .. } | CheckKind::OsService { .. });
    let mut check = settings(Check::of(kind).deregister_after(None), path, &mut fields)?;
    check = request(check, &mut fields)?;
    check = trust(check, path, &mut fields)?;
    schedule(&mut check, program, &mut fields)?;
    for (key, advice) in LEFT_TO_CONSUL {
        fields.leave(key, advice)?;
    }
    fields.finish("a check")?;
    check.validate(path)?;
    Ok(check)
}

/// What it checks: exactly one of the kinds.
fn kind(path: &str, fields: &mut Fields<'_>) -> Result<CheckKind, Error> {
    let mut given: Vec<(&str, CheckKind)> = Vec::new();
    if let Some(target) = fields.text("http")? {
        let headers = BTreeMap::new();
        given.push((
            "http",
            CheckKind::Http { target, method: None, headers, body: String::new(), tls: None },
        ));
    }
    if let Some(target) = fields.text("tcp")? {
        given.push(("tcp", CheckKind::Tcp { target: Some(target), tls: None }));
    }
    if let Some(target) = fields.text("udp")? {
        given.push(("udp", CheckKind::Udp { target: Some(target) }));
    }
    if let Some(whole) = fields.text("grpc")? {
        let (target, service) = whole.split_once('/').unwrap_or((&whole, ""));
        let (target, service) = (Some(target.to_owned()), service.to_owned());
        given.push(("grpc", CheckKind::Grpc { target, service, tls: None }));
    }
    if let Some(target) = fields.text("h2ping")? {
        given.push(("h2ping", CheckKind::H2Ping { target: Some(target), tls: None }));
    }
    if let Some(ttl) = fields.duration("ttl")? {
        given.push(("ttl", CheckKind::Ttl { ttl }));
    }
    let (node, service) = (fields.text("alias_node")?, fields.text("alias_service")?);
    if node.is_some() || service.is_some() {
        let service = service.map(ServiceId::new).transpose();
        let service = service.map_err(|wrong| fields.wrong("alias_service", &wrong.to_string()))?;
        given.push(("an alias", CheckKind::Alias { node, service }));
    }
    if let Some(name) = fields.text("os_service")? {
        given.push(("os_service", CheckKind::OsService { name }));
    }
    given.extend(program(fields)?);
    match (given.len(), given.pop()) {
        (0 | 1, Some((_, kind))) => Ok(kind),
        (_, None) => Err(Error::config(format!(
            "{path}: it checks nothing; give http, tcp, udp, grpc, h2ping, ttl, args, docker_container_id, os_service, \
             alias_service or alias_node"
        ))),
        (_, Some((last, _))) => {
            let others: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
            let others = others.join(", ");
            Err(Error::config(format!(
                "{path}: {others} and {last} are in one check; write a check for each"
            )))
        }
    }
}

/// A script, or a program in a container.
fn program(fields: &mut Fields<'_>) -> Result<Option<(&'static str, CheckKind)>, Error> {
    let (args, same) = (fields.texts("args")?, fields.texts("script_args")?);
    if !args.is_empty() && !same.is_empty() {
        return Err(fields.wrong("script_args", "it is the same as args; leave one out"));
    }
    let args = if args.is_empty() { same } else { args };
    let (container, shell) = (fields.text("docker_container_id")?, fields.text("shell")?);
    match (container, shell) {
        (Some(container), shell) => {
            Ok(Some(("docker_container_id", CheckKind::Docker { container, args, shell })))
        }
        (None, Some(_)) => Err(fields.wrong("shell", "it is for docker_container_id only; leave it out")),
        (None, None) if args.is_empty() => Ok(None),
        (None, None) => Ok(Some(("args", CheckKind::Script { args }))),
    }
}

fn settings(mut check: Check, path: &str, fields: &mut Fields<'_>) -> Result<Check, Error> {
    let id = match (fields.text("id")?, fields.text("check_id")?) {
        (Some(_), Some(_)) => return Err(fields.wrong("check_id", "it is the same as id; leave one out")),
        (id, same) => id.or(same),
    };
    if let Some(id) = id {
        check = check.with_id(CheckId::new(id).map_err(|wrong| Error::config(format!("{path}: {wrong}")))?);
    }
    if let Some(name) = fields.text("name")? {
        check = check.named(name);
    }
    if let Some(notes) = fields.text("notes")? {
        check = check.with_notes(notes);
    }
    check.initial = match fields.text("status")?.as_deref() {
        None => None,
        Some("passing") => Some(Status::Passing),
        Some("warning") => Some(Status::Warning),
        Some("critical") => Some(Status::Critical),
        Some(other) => {
            let problem = format!("{other:?} is no status; use passing, warning or critical");
            return Err(fields.wrong("status", &problem));
        }
    };
    let mut count = |name| Ok::<_, Error>(fields.number(name)?.unwrap_or_default());
    let passing = count("success_before_passing")?;
    let (warning, critical) = (count("failures_before_warning")?, count("failures_before_critical")?);
    check = check.thresholds(passing, warning, critical);
    Ok(check.deregister_after(fields.duration("deregister_critical_service_after")?))
}

/// What is sent; the library refuses it for other kinds than HTTP.
fn request(mut check: Check, fields: &mut Fields<'_>) -> Result<Check, Error> {
    if let Some(method) = fields.text("method")? {
        check = check.method(method);
    }
    for (name, values) in fields.lists("header")? {
        for value in values {
            check = check.header(&name, value);
        }
    }
    match fields.text("body")? {
        Some(body) => Ok(check.body(body)),
        None => Ok(check),
    }
}

/// TLS: what a kind has it by, and what is believed there.
fn trust(check: Check, path: &str, fields: &mut Fields<'_>) -> Result<Check, Error> {
    let mut tls = CheckTls::default();
    tls.skip_verify = fields.flag("tls_skip_verify")?.unwrap_or_default();
    tls.server_name = fields.text("tls_server_name")?;
    let [tcp, grpc, ping] =
        [fields.flag("tcp_use_tls")?, fields.flag("grpc_use_tls")?, fields.flag("h2ping_use_tls")?];
    let plain = tls == CheckTls::default();
    let over_tls = match &check.kind {
        CheckKind::Http { target, .. } => target.starts_with("https://") && !plain,
        CheckKind::Tcp { .. } => tcp.unwrap_or_default(),
        CheckKind::Grpc { .. } => grpc.unwrap_or_default(),
        // Consul: true unless it is said.
        CheckKind::H2Ping { .. } => ping.unwrap_or(true),
        _ => false,
    };
    match (over_tls, plain) {
        (true, _) => Ok(check.tls(tls)),
        (false, true) => Ok(check),
        (false, false) => {
            let what =
                "tls_skip_verify and tls_server_name are for checks over TLS; leave them out, or ask for TLS";
            Err(Error::config(format!("{path}: {what}")))
        }
    }
}

fn schedule(check: &mut Check, program: bool, fields: &mut Fields<'_>) -> Result<(), Error> {
    let (interval, timeout) = (fields.duration("interval")?, fields.duration("timeout")?);
    if !check.kind.is_run() {
        let name = if interval.is_some() { "interval" } else { "timeout" };
        return match interval.or(timeout) {
            None => Ok(()),
            Some(_) => Err(fields.wrong(name, "a check that is not run has none; leave it out")),
        };
    }
    let Some(interval) = interval else {
        return Err(fields.wrong("interval", "it is missing; give how often it runs, as in \"10s\""));
    };
    check.interval = interval;
    check.timeout = timeout.unwrap_or(if program { PROGRAM_TIMEOUT } else { TIMEOUT });
    Ok(())
}
