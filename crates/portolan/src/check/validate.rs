//! What is wrong with a check, and what is only odd. PURE.
//!
//! In:  a check as it was written. Out: the first field that cannot be, with what to write instead; warnings.
//!
//! Never: lets a check through that an agent would run in vain, or refuse.
//!
//! Rules from Consul: agent/structs/check_type.go `Validate`, agent/checks/check.go `MinInterval`, agent/agent.go
//! `addCheck` (deregister-after is raised to its least).
//! Proof: `check/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, time::Duration};

use super::{Check, CheckKind, CheckTls, LEAST_DEREGISTER_AFTER};
use crate::{
    duration::format_duration,
    error::{Error, Kind},
    model::Status,
};

impl Check {
    /// Checks what can be checked before an address is known.
    ///
    /// # Errors
    /// [`Kind::Config`], naming the field under `field` (for example `check[1].interval`).
    pub fn validate(&self, field: &str) -> Result<(), Error> {
        if let Some(setting) = self.misplaced {
            return wrong(field, setting, self.kind.as_str(), "checks have no such setting; leave it out");
        }
        self.kind.validate(field)?;
        if self.kind.is_run() {
            schedule(field, self.interval, self.timeout)?;
        }
        if self.initial == Some(Status::Maintenance) {
            let problem = "is no status of a check; use passing, warning or critical";
            return wrong(field, "status", "maintenance", problem);
        }
        if self.failures_before_warning > self.failures_before_critical && self.failures_before_critical > 0 {
            let found = self.failures_before_warning.to_string();
            let problem = "is over failures_before_critical; lower it";
            return wrong(field, "failures_before_warning", &found, problem);
        }
        if self.deregister_after.is_some_and(|after| after.is_zero()) {
            return wrong(field, "deregister_after", "0s", "is no time; use 1m or more, or none for never");
        }
        Ok(())
    }

    /// What is allowed, but hardly meant: a text each, naming the field under `field`.
    pub(crate) fn warnings(&self, field: &str) -> Vec<String> {
        let mut found = Vec::new();
        if self.kind.is_run() && self.timeout > self.interval {
            let [timeout, interval] = [self.timeout, self.interval].map(format_duration);
            found
                .push(format!("{field}.timeout: {timeout} is over the interval, {interval}: runs come late"));
        }
        if let Some(after) = self.deregister_after.filter(|after| *after < LEAST_DEREGISTER_AFTER) {
            let after = format_duration(after);
            found.push(format!("{field}.deregister_after: {after} is under 1m, Consul's least: 1m is used"));
        }
        found
    }
}

impl CheckKind {
    fn validate(&self, field: &str) -> Result<(), Error> {
        match self {
            Self::Http { target, method, headers, tls, .. } => {
                http_target(field, target)?;
                http_request(field, method.as_deref(), headers)?;
                if tls.is_some() && target.starts_with("http://") {
                    return wrong(field, "tls", target, "is not TLS; write https://, or leave tls out");
                }
            }
            Self::Tcp { target, .. } => target_of(field, "tcp", target.as_deref())?,
            Self::Udp { target } => target_of(field, "udp", target.as_deref())?,
            Self::H2Ping { target, .. } => target_of(field, "h2ping", target.as_deref())?,
            Self::Grpc { target, service, .. } => {
                target_of(field, "grpc", target.as_deref())?;
                if service.contains(char::is_control) {
                    return wrong(
                        field,
                        "grpc",
                        service,
                        "holds a control character; give the service's name",
                    );
                }
            }
            Self::Ttl { ttl } if *ttl < Duration::from_secs(1) => {
                let problem = "is under 1s; use 1s or more (15s is usual)";
                return wrong(field, "ttl", &format_duration(*ttl), problem);
            }
            Self::Ttl { .. } => {}
            Self::Alias { node, service } => {
                if node.as_ref().is_some_and(String::is_empty) || (node.is_none() && service.is_none()) {
                    return wrong(field, "alias", "", "names neither a service nor a node; give one");
                }
            }
            Self::Script { args } => program(field, args)?,
            Self::OsService { name } => named(field, "os_service", name)?,
            Self::Docker { container, args, .. } => {
                named(field, "docker_container_id", container)?;
                program(field, args)?;
            }
        }
        self.trust().map_or(Ok(()), |tls| server_name(field, tls))
    }

    fn trust(&self) -> Option<&CheckTls> {
        match self {
            Self::Http { tls, .. }
            | Self::Tcp { tls, .. }
            | Self::Grpc { tls, .. }
            | Self::H2Ping { tls, .. } => tls.as_ref(),
            _ => None,
        }
    }
}

fn http_target(field: &str, target: &str) -> Result<(), Error> {
    let is_url = target.starts_with("http://") || target.starts_with("https://");
    if !(target.starts_with('/') || is_url) || target.contains(|c: char| c.is_control() || c == ' ') {
        return wrong(
            field,
            "http",
            target,
            "is neither a path such as \"/health\" nor an http:// or https:// URL",
        );
    }
    if is_url {
        let parsed = target.parse::<http::Uri>().map_err(|cause| {
            Error::new(
                Kind::Config,
                format!("{field}.http: {target:?} is not a URL; write \"http://host:port/path\""),
            )
            .caused_by(cause)
        })?;
        if parsed.host().is_none_or(str::is_empty) {
            return wrong(field, "http", target, "names no host; write \"http://host:port/path\"");
        }
    }
    Ok(())
}

fn http_request(
    field: &str,
    method: Option<&str>,
    headers: &BTreeMap<String, Vec<String>>,
) -> Result<(), Error> {
    if let Some(method) = method.filter(|method| http::Method::from_bytes(method.as_bytes()).is_err()) {
        return wrong(field, "method", method, "is no HTTP method; use GET, HEAD, POST, …");
    }
    for (name, values) in headers {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            return wrong(field, "header", name, "is no name of a header; use letters, digits and -");
        }
        if values.iter().any(|value| http::HeaderValue::from_str(value).is_err()) {
            // The value may be a secret.
            return wrong(
                field,
                "header",
                name,
                "has a value that cannot be sent; take out control characters",
            );
        }
    }
    Ok(())
}

fn target_of(field: &str, name: &str, target: Option<&str>) -> Result<(), Error> {
    let Some(target) = target else { return Ok(()) };
    let port =
        target.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse().ok());
    let odd = |c: char| c.is_control() || c == ' ' || c == '/';
    match port {
        Some(1u16..) if !target.contains(odd) => Ok(()),
        _ => wrong(field, name, target, "is not \"host:port\" with a port from 1 to 65535"),
    }
}

fn server_name(field: &str, tls: &CheckTls) -> Result<(), Error> {
    match &tls.server_name {
        Some(name) if name.is_empty() || name.contains(|c: char| c.is_control() || " /:".contains(c)) => {
            wrong(field, "tls_server_name", name, "is no host name; write the one in the certificate")
        }
        _ => Ok(()),
    }
}

fn program(field: &str, args: &[String]) -> Result<(), Error> {
    match args.first() {
        None => wrong(field, "args", "", "names no program; give it first, then its arguments"),
        Some(first) if first.is_empty() => wrong(field, "args", "", "names no program; give it first"),
        Some(_) if args.iter().any(|arg| arg.contains('\0')) => {
            wrong(field, "args", "\\0", "cannot be passed to a program; take it out")
        }
        Some(_) => Ok(()),
    }
}

fn named(field: &str, name: &str, value: &str) -> Result<(), Error> {
    if value.is_empty() || value.contains(char::is_control) {
        return wrong(field, name, value, "is no name; give the one it has");
    }
    Ok(())
}

fn schedule(field: &str, interval: Duration, timeout: Duration) -> Result<(), Error> {
    if interval < Duration::from_secs(1) {
        return wrong(
            field,
            "interval",
            &format_duration(interval),
            "is under 1s, Consul's least; use 1s or more",
        );
    }
    if timeout.is_zero() {
        return wrong(field, "timeout", "0s", "leaves no time for an answer; use 1s or more");
    }
    Ok(())
}

fn wrong<T>(field: &str, name: &str, found: &str, problem: &str) -> Result<T, Error> {
    Err(Error::new(Kind::Config, format!("{field}.{name}: {found:?} {problem}")))
}
