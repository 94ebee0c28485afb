//! Definitions of checks as they come in: read, and refused where Consul refuses them.
//!
//! In:  a JSON object. Out: a check that can be run, or a refusal in Consul's words.
//!
//! Differs from Consul: kinds of checks that are not run here yet are refused, instead of leaving the instance
//! critical for ever; an interval under a second is raised to one.
//! Never: lets half a definition through.
//!
//! Rules from Consul: agent/structs/check_type.go `Validate`, agent/structs/check_definition.go.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    decode::{Decoded, duration, fields, list, multi, not_yet, number, text},
    reply::Refusal,
};
use crate::{
    complete,
    state::{
        LEAST_DEREGISTER_AFTER,
        rows::{CheckSpec, Health, HttpProbe, Probe, Text},
    },
};

/// Where a check is defined: the two places differ in a few names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    InService,
    Alone,
}

/// Why a check is refused.
pub(super) enum Why {
    /// It is invalid.
    Invalid(String),
    /// Its status is no status.
    Status,
    /// It would run a command.
    Script,
}

impl Why {
    pub(super) fn in_service(self) -> Refusal {
        self.refusal("Status for checks must 'passing', 'warning', 'critical'")
    }

    pub(super) fn alone(self) -> Refusal {
        self.refusal("Bad check status")
    }

    fn refusal(self, status: &str) -> Refusal {
        match self {
            Self::Invalid(why) => Refusal::bad(format!("Invalid check: {why}")),
            Self::Status => Refusal::bad(status),
            Self::Script => Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
            ),
        }
    }
}

/// A check as it was written.
#[derive(Default)]
pub(super) struct RawCheck {
    pub(super) id: Words,
    pub(super) name: Words,
    pub(super) service: Words,
    notes: Words,
    status: Words,
    http: Words,
    method: Words,
    headers: BTreeMap<Text, Vec<Text>>,
    body: Words,
    tcp: Words,
    interval: Duration,
    timeout: Duration,
    ttl: Duration,
    deregister_after: Duration,
    success_before_passing: u32,
    failures_before_warning: u32,
    failures_before_critical: u32,
    script: bool,
    /// The first field that asks for a kind of check that is not run here.
    not_yet: Option<&'static str>,
}

/// Text that is empty unless given.
type Words = Option<Text>;

const NOT_RUN: [(&str, &str); 9] = [
    ("grpc", "GRPC"),
    ("h2ping", "H2PING"),
    ("udp", "UDP"),
    ("osservice", "OSService"),
    ("aliasnode", "AliasNode"),
    ("aliasservice", "AliasService"),
    ("dockercontainerid", "DockerContainerID"),
    ("tcpusetls", "TCPUseTLS"),
    ("proxyhttp", "ProxyHTTP"),
];

/// Fields that change nothing for the checks that are run here.
const WITHOUT_EFFECT: [&str; 10] = [
    "token",
    "shell",
    "grpcusetls",
    "h2pingusetls",
    "tlsservername",
    "tlsskipverify",
    "disableredirects",
    "outputmaxsize",
    "proxygrpc",
    "namespace",
];

impl RawCheck {
    pub(super) fn read(given: &Map<String, Value>, place: Given) -> Decoded<Self> {
        let mut raw = Self::default();
        fields(given, |name, value| raw.field(name, value, place))?;
        Ok(raw)
    }

    fn field(&mut self, name: &str, value: &Value, place: Given) -> Decoded<bool> {
        let count = |field: &str| -> Decoded<u32> {
            Ok(u32::try_from(number(field, value, 0, 65_535)?).unwrap_or_default())
        };
        match name {
            "checkid" => self.id = Some(text("CheckID", value)?),
            "id" if place == Given::Alone => self.id = Some(text("ID", value)?),
            "name" => self.name = Some(text("Name", value)?),
            "serviceid" => self.service = Some(text("ServiceID", value)?),
            "notes" => self.notes = Some(text("Notes", value)?),
            "status" => self.status = Some(text("Status", value)?),
            "http" => self.http = Some(text("HTTP", value)?),
            "method" => self.method = Some(text("Method", value)?),
            "header" => self.headers = multi("Header", value)?,
            "body" => self.body = Some(text("Body", value)?),
            "tcp" => self.tcp = Some(text("TCP", value)?),
            "interval" => self.interval = duration("Interval", value)?,
            "timeout" => self.timeout = duration("Timeout", value)?,
            "ttl" => self.ttl = duration("TTL", value)?,
            "deregistercriticalserviceafter" => {
                self.deregister_after = duration("DeregisterCriticalServiceAfter", value)?;
            }
            "successbeforepassing" => self.success_before_passing = count("SuccessBeforePassing")?,
            "failuresbeforewarning" => self.failures_before_warning = count("FailuresBeforeWarning")?,
            "failuresbeforecritical" => self.failures_before_critical = count("FailuresBeforeCritical")?,
            "args" | "scriptargs" => self.script |= !list("ScriptArgs", value)?.is_empty(),
            other => {
                if let Some((_, field)) = NOT_RUN.iter().find(|(name, _)| *name == other) {
                    if not_yet(field, value).is_err() {
                        self.not_yet = Some(field);
                    }
                    return Ok(true);
                }
                return Ok(WITHOUT_EFFECT.contains(&other));
            }
        }
        Ok(true)
    }

    pub(super) fn is_empty(&self) -> bool {
        [&self.id, &self.name, &self.notes, &self.status, &self.http, &self.tcp]
            .iter()
            .all(|text| text.is_none())
            && self.not_yet.is_none()
            && !self.script
            && self.interval.is_zero()
            && self.ttl.is_zero()
            && self.deregister_after.is_zero()
    }

    /// A check that can be run, with its id and name still open where they were not given.
    pub(super) fn into_spec(self) -> Result<CheckSpec, Why> {
        let invalid = |why: &str| Err(Why::Invalid(why.to_owned()));
        let given = |text: &Words| text.clone().filter(|text| !text.is_empty());
        let (http, tcp) = (given(&self.http), given(&self.tcp));
        let asks = self.script
            || http.is_some()
            || tcp.is_some()
            || self.not_yet.is_some_and(|f| f != "AliasNode" && f != "AliasService");
        if !self.interval.is_zero() && !self.ttl.is_zero() {
            return invalid("Interval and TTL cannot both be specified");
        }
        if asks && self.interval.is_zero() {
            return invalid("Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks");
        }
        if let Some(field) = self.not_yet {
            return Err(Why::Invalid(format!("{field} checks are not supported yet; use HTTP, TCP or TTL")));
        }
        if !asks && self.ttl.is_zero() {
            return invalid("TTL must be > 0 for TTL checks");
        }
        if self.failures_before_warning > self.failures_before_critical {
            return invalid("FailuresBeforeWarning can't be higher than FailuresBeforeCritical");
        }
        let initial = match given(&self.status) {
            None => None,
            Some(word) => Some(Health::of(&word).ok_or(Why::Status)?),
        };
        if self.script {
            return Err(Why::Script);
        }
        let id = given(&self.id).unwrap_or_default();
        complete::addressable("check ID", &id).map_err(Why::Invalid)?;
        let mut spec = CheckSpec::new(&id, &given(&self.name).unwrap_or_default(), self.probe(http, tcp)?);
        spec.notes = self.notes.unwrap_or_default();
        spec.initial = initial;
        spec.success_before_passing = self.success_before_passing;
        spec.failures_before_warning = self.failures_before_warning;
        spec.failures_before_critical = self.failures_before_critical;
        spec.deregister_after =
            (!self.deregister_after.is_zero()).then(|| self.deregister_after.max(LEAST_DEREGISTER_AFTER));
        Ok(spec)
    }

    fn probe(&self, http: Words, tcp: Words) -> Result<Probe, Why> {
        let (interval, timeout) =
            (self.interval.max(Duration::from_secs(1)), Some(self.timeout).filter(|t| !t.is_zero()));
        match (http, tcp) {
            (Some(url), _) => {
                complete::http_target(&url).map_err(Why::Invalid)?;
                let method = self.method.clone().filter(|method| !method.is_empty());
                let request = HttpProbe {
                    url,
                    method: method.unwrap_or_else(|| "GET".into()),
                    headers: self.headers.clone(),
                    body: self.body.clone().unwrap_or_default(),
                };
                complete::http_request(&request).map_err(Why::Invalid)?;
                Ok(Probe::Http { request: Arc::new(request), interval, timeout })
            }
            (None, Some(target)) => {
                complete::tcp_target(&target).map_err(Why::Invalid)?;
                Ok(Probe::Tcp { target, interval, timeout })
            }
            (None, None) => Ok(Probe::Ttl(self.ttl)),
        }
    }
}
