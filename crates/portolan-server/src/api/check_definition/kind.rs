//! What a check is made of, as it comes in: which kind it is, and the fields that kinds have.
//!
//! In:  fields of a JSON object. Out: a probe, or what is wrong with it in Consul's words.
//!
//! Never: drops a field that changes what is run.
//!
//! Rules from Consul: agent/structs/check_type.go `Validate`, `Type`, and `UnmarshalJSON`, by which an H2 ping is over
//! TLS unless it says otherwise.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    super::decode::{Decoded, duration, multi, not_yet, text, texts, truth},
    Words, given,
};
use crate::{
    complete,
    state::rows::{Ask, HttpProbe, Probe, Text, Trust},
};

/// The fields of all kinds.
#[derive(Default)]
pub(super) struct RawKind {
    http: Words,
    method: Words,
    headers: BTreeMap<Text, Vec<Text>>,
    body: Words,
    disable_redirects: bool,
    tcp: Words,
    tcp_tls: bool,
    udp: Words,
    grpc: Words,
    grpc_tls: bool,
    h2_ping: Words,
    /// Unless given, an H2 ping is over TLS.
    h2_ping_tls: Option<bool>,
    alias_node: Words,
    alias_service: Words,
    args: Arc<[Text]>,
    docker: Words,
    os_service: Words,
    skip_verify: bool,
    server_name: Words,
    interval: Duration,
    timeout: Duration,
    ttl: Duration,
}

/// Fields that change nothing for the checks that are run here.
const WITHOUT_EFFECT: [&str; 5] = ["token", "shell", "outputmaxsize", "proxygrpc", "namespace"];

impl RawKind {
    /// Takes in a field; whether there is one of this name.
    pub(super) fn field(&mut self, name: &str, value: &Value) -> Decoded<bool> {
        match name {
            "http" => self.http = Some(text("HTTP", value)?),
            "method" => self.method = Some(text("Method", value)?),
            "header" => self.headers = multi("Header", value)?,
            "body" => self.body = Some(text("Body", value)?),
            "disableredirects" => self.disable_redirects = truth("DisableRedirects", value)?,
            "tcp" => self.tcp = Some(text("TCP", value)?),
            "tcpusetls" => self.tcp_tls = truth("TCPUseTLS", value)?,
            "udp" => self.udp = Some(text("UDP", value)?),
            "grpc" => self.grpc = Some(text("GRPC", value)?),
            "grpcusetls" => self.grpc_tls = truth("GRPCUseTLS", value)?,
            "h2ping" => self.h2_ping = Some(text("H2PING", value)?),
            "h2pingusetls" => self.h2_ping_tls = Some(truth("H2PingUseTLS", value)?),
            "aliasnode" => self.alias_node = Some(text("AliasNode", value)?),
            "aliasservice" => self.alias_service = Some(text("AliasService", value)?),
            "args" | "scriptargs" => self.args = texts("ScriptArgs", value)?,
            "dockercontainerid" => self.docker = Some(text("DockerContainerID", value)?),
            "osservice" => self.os_service = Some(text("OSService", value)?),
            "tlsskipverify" => self.skip_verify = truth("TLSSkipVerify", value)?,
            "tlsservername" => self.server_name = Some(text("TLSServerName", value)?),
            "interval" => self.interval = duration("Interval", value)?,
            "timeout" => self.timeout = duration("Timeout", value)?,
            "ttl" => self.ttl = duration("TTL", value)?,
            "proxyhttp" => not_yet("ProxyHTTP", value)?,
            other => return Ok(WITHOUT_EFFECT.contains(&other)),
        }
        Ok(true)
    }

    /// Whether nothing was given that makes it a check.
    pub(super) fn is_empty(&self) -> bool {
        self.asks().is_empty() && !self.is_alias() && self.interval.is_zero() && self.ttl.is_zero()
    }

    pub(super) fn is_script(&self) -> bool {
        !self.args.is_empty()
    }

    fn is_alias(&self) -> bool {
        given(&self.alias_node).is_some() || given(&self.alias_service).is_some()
    }

    /// The kinds that are run at an interval; there should be one.
    fn asks(&self) -> Vec<&'static str> {
        let has = |words: &Words| given(words).is_some();
        let docker = has(&self.docker) && self.is_script();
        [
            (has(&self.http), "HTTP"),
            (has(&self.tcp), "TCP"),
            (has(&self.udp), "UDP"),
            (has(&self.grpc), "GRPC"),
            (has(&self.h2_ping), "H2PING"),
            (has(&self.os_service), "OSService"),
            (docker, "DockerContainerID"),
            (self.is_script() && !docker, "ScriptArgs"),
        ]
        .into_iter()
        .filter_map(|(is, field)| is.then_some(field))
        .collect()
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        let asks = self.asks();
        let problem = if !self.interval.is_zero() && !self.ttl.is_zero() {
            "Interval and TTL cannot both be specified"
        } else if !asks.is_empty() && self.interval.is_zero() {
            "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks"
        } else if !asks.is_empty() && self.is_alias() {
            "Interval cannot be set for Alias checks"
        } else if self.is_alias() && !self.ttl.is_zero() {
            "TTL must be not be set for Alias checks"
        } else if asks.is_empty() && !self.is_alias() && self.ttl.is_zero() {
            "TTL must be > 0 for TTL checks"
        } else if let [one, other, ..] = *asks {
            return Err(format!("{one} and {other} are two kinds in one check; define a check for each"));
        } else if let ["OSService" | "DockerContainerID"] = *asks {
            return Err(format!("{} checks are not run by this registry; use another kind", asks.concat()));
        } else {
            return Ok(());
        };
        Err(problem.to_owned())
    }

    /// What is run; [`validate`](Self::validate) has found nothing wrong.
    pub(super) fn into_probe(self) -> Result<Probe, String> {
        let interval = self.interval.max(Duration::from_secs(1));
        let timeout = Some(self.timeout).filter(|timeout| !timeout.is_zero());
        if !self.asks().is_empty() {
            return Ok(Probe::Run { ask: self.into_ask()?, interval, timeout });
        }
        if self.is_alias() {
            return Ok(Probe::Alias { node: given(&self.alias_node), service: given(&self.alias_service) });
        }
        Ok(Probe::Ttl(self.ttl))
    }

    fn into_ask(self) -> Result<Ask, String> {
        let trust = Trust { skip_verify: self.skip_verify, server_name: given(&self.server_name) };
        let tls = |wanted: bool| wanted.then(|| trust.clone());
        if let Some(url) = given(&self.http) {
            complete::http_target(&url)?;
            let request = HttpProbe {
                url,
                method: given(&self.method).unwrap_or_else(|| "GET".into()),
                headers: self.headers,
                body: self.body.unwrap_or_default(),
                redirects: !self.disable_redirects,
                trust,
            };
            complete::http_request(&request)?;
            return Ok(Ask::Http(Arc::new(request)));
        }
        if let Some(target) = given(&self.tcp) {
            complete::host_port("TCP", &target)?;
            return Ok(Ask::Tcp { target, tls: tls(self.tcp_tls) });
        }
        if let Some(target) = given(&self.udp) {
            complete::host_port("UDP", &target)?;
            return Ok(Ask::Udp { target });
        }
        if let Some(whole) = given(&self.grpc) {
            let (target, service) = whole.split_once('/').unwrap_or((&whole, ""));
            complete::host_port("GRPC", target)?;
            let (target, service) = (target.into(), service.into());
            return Ok(Ask::Grpc { target, service, tls: tls(self.grpc_tls) });
        }
        if let Some(target) = given(&self.h2_ping) {
            complete::host_port("H2PING", &target)?;
            return Ok(Ask::H2Ping { target, tls: tls(self.h2_ping_tls.unwrap_or(true)) });
        }
        if self.args.first().is_none_or(|program| program.is_empty())
            || self.args.iter().any(|arg| arg.contains('\0'))
        {
            return Err("ScriptArgs: the first is no program, or one holds a zero byte".to_owned());
        }
        Ok(Ask::Script { args: self.args })
    }
}
