//! What a check would do that comes through the catalogue: nobody here runs it, and whoever does reads it there.
//!
//! In:  a `Definition` as it is given. Out: the same as Consul tells it: what is empty left out, durations as Go writes them;
//! and the kind of check that it makes.
//!
//! Never: keeps a field that Consul does not know.
//!
//! Rules from Consul 1.21: agent/structs/structs.go `HealthCheckDefinition`, agent/structs/check_type.go `Type`.

use portolan::format_duration;
use serde_json::{Map, Value};

use crate::{
    api::decode::{Decoded, duration, fields, multi, number, text, texts, truth},
    state::rows::Text,
};

/// Reads a definition; `None`: it says nothing.
pub(super) fn read(given: &Map<String, Value>) -> Decoded<Option<Text>> {
    let mut told = Map::new();
    let mut put = |name: &str, value: Value, empty: bool| {
        if !empty {
            told.insert(name.to_owned(), value);
        }
    };
    fields(given, |name, value| {
        if let Some(name) = known(name, &TEXTS) {
            let text = text(name, value)?;
            put(name, Value::from(&*text), text.is_empty());
        } else if let Some(name) = known(name, &FLAGS) {
            let flag = truth(name, value)?;
            put(name, Value::Bool(flag), !flag);
        } else if let Some(name) = known(name, &DURATIONS) {
            let lasts = duration(name, value)?;
            put(name, Value::from(format_duration(lasts)), lasts.is_zero());
        } else {
            match name {
                "header" => put("Header", value.clone(), multi("Header", value)?.is_empty()),
                "scriptargs" => put("ScriptArgs", value.clone(), texts("ScriptArgs", value)?.is_empty()),
                "outputmaxsize" => {
                    let size = number("OutputMaxSize", value, 0, i64::MAX)?;
                    put("OutputMaxSize", Value::from(size), size == 0);
                }
                _ => return Ok(false),
            }
        }
        Ok(true)
    })?;
    Ok((!told.is_empty()).then(|| Value::Object(told).to_string().into()))
}

const TEXTS: [&str; 14] = [
    "HTTP",
    "TLSServerName",
    "Method",
    "Body",
    "TCP",
    "UDP",
    "DockerContainerID",
    "Shell",
    "OSService",
    "H2PING",
    "GRPC",
    "AliasNode",
    "AliasService",
    "Script",
];
const FLAGS: [&str; 5] = ["TLSSkipVerify", "DisableRedirects", "TCPUseTLS", "H2PingUseTLS", "GRPCUseTLS"];
const DURATIONS: [&str; 4] = ["Interval", "Timeout", "DeregisterCriticalServiceAfter", "TTL"];

fn known(plain: &str, names: &[&'static str]) -> Option<&'static str> {
    names.iter().copied().find(|name| name.eq_ignore_ascii_case(plain))
}

/// The kind of check that a definition makes; empty: none that is run.
pub(super) fn kind(definition: &str) -> &'static str {
    let told: Map<String, Value> = serde_json::from_str(definition).unwrap_or_default();
    let has = |name: &str| told.contains_key(name);
    let timed = |name: &str| has(name) && has("Interval");
    match () {
        () if timed("GRPC") => "grpc",
        () if timed("HTTP") => "http",
        () if has("TTL") => "ttl",
        () if timed("TCP") => "tcp",
        () if timed("UDP") => "udp",
        () if has("AliasNode") || has("AliasService") => "alias",
        () if timed("DockerContainerID") => "docker",
        () if timed("ScriptArgs") => "script",
        () if timed("H2PING") => "h2ping",
        () if timed("OSService") => "os_service",
        () => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_told_without_what_is_empty() {
        for (given, told, kind_of) in [
            ("{}", None, ""),
            (r#"{"HTTP":"","TTL":"0s","TLSSkipVerify":false,"Header":{}}"#, None, ""),
            (
                r#"{"http":"http://x","Interval":"10s","deregister_critical_service_after":"1m"}"#,
                Some(r#"{"DeregisterCriticalServiceAfter":"1m0s","HTTP":"http://x","Interval":"10s"}"#),
                "http",
            ),
            (r#"{"TCP":"a:1"}"#, Some(r#"{"TCP":"a:1"}"#), ""),
            (r#"{"TTL":30000000000}"#, Some(r#"{"TTL":"30s"}"#), "ttl"),
        ] {
            let read = read(&serde_json::from_str(given).unwrap());
            let read = read.unwrap_or_else(|refusal| panic!("{given}: {}", refusal.text()));
            assert_eq!(read.as_deref(), told, "{given}");
            assert_eq!(kind(read.as_deref().unwrap_or("{}")), kind_of, "{given}");
        }
        assert!(read(&serde_json::from_str(r#"{"Foo":1}"#).unwrap()).is_err());
    }
}
