//! What an agent checks and adds, whichever door a definition comes through: ids, names, tagged addresses.
//!
//! In:  a definition. Out: the same with everything filled in, or what is wrong with it.
//!
//! Never: changes what was given.
//!
//! Rules from Consul: agent/agent.go `addServiceInternal`, agent/structs/structs.go `IsValid` of addresses.

use std::net::IpAddr;

use http::Uri;

use crate::state::rows::{CheckSpec, HttpProbe, Pairs, ServiceSpec, TaggedAddress, Text};

/// A service with its tagged addresses, and its checks with ids and names.
pub(crate) fn service(mut spec: ServiceSpec, mut checks: Vec<CheckSpec>) -> (ServiceSpec, Vec<CheckSpec>) {
    if let Ok(ip) = spec.address.parse::<IpAddr>() {
        let tags = if ip.is_ipv4() { ["lan_ipv4", "wan_ipv4"] } else { ["lan_ipv6", "wan_ipv6"] };
        for tag in tags {
            let own = || TaggedAddress { address: Text::clone(&spec.address), port: spec.port };
            spec.tagged.entry(tag.into()).or_insert_with(own);
        }
    }
    let several = checks.len() > 1;
    for (place, check) in checks.iter_mut().enumerate() {
        if check.id.is_empty() {
            let id = &spec.id;
            check.id = if several {
                format!("service:{id}:{}", place.saturating_add(1)).into()
            } else {
                format!("service:{id}").into()
            };
        }
        if check.name.is_empty() {
            check.name = format!("Service '{}' check", spec.name).into();
        }
    }
    (spec, checks)
}

/// Whether a URL can be probed.
pub(crate) fn http_target(url: &str) -> Result<(), String> {
    let parsed = url.parse::<Uri>().ok();
    match parsed.as_ref().map(|uri| (uri.scheme_str(), uri.host())) {
        Some((Some("http" | "https"), Some(host))) if !host.is_empty() => Ok(()),
        _ => Err(format!("HTTP: {url:?} is not a URL; write \"http://host:port/path\"")),
    }
}

/// Whether the method and headers of a probe can be sent.
pub(crate) fn http_request(probe: &HttpProbe) -> Result<(), String> {
    if http::Method::from_bytes(probe.method.as_bytes()).is_err() {
        return Err(format!("Method: {:?} is not an HTTP method", probe.method));
    }
    for (name, values) in &probe.headers {
        let fine = http::HeaderName::from_bytes(name.as_bytes()).is_ok()
            && values.iter().all(|value| http::HeaderValue::from_str(value).is_ok());
        if !fine {
            return Err(format!("Header: {name:?} or its value cannot be sent"));
        }
    }
    Ok(())
}

/// Whether the target in `field` is `host:port`.
pub(crate) fn host_port(field: &str, target: &str) -> Result<(), String> {
    let port =
        target.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse().ok());
    match port {
        Some(1u16..) => Ok(()),
        _ => Err(format!("{field}: {target:?} is not \"host:port\" with a port from 1 to 65535")),
    }
}

/// What must hold of a service wherever it comes from.
pub(crate) fn sound(spec: &ServiceSpec) -> Result<(), String> {
    if spec.address.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified()) {
        return Err("Invalid service address".to_owned());
    }
    if spec.passing_weight < 1 {
        return Err("Invalid Weights: Passing must be greater than 0".to_owned());
    }
    addressable("service name", &spec.name)?;
    addressable("service ID", &spec.id)?;
    check_meta(&spec.meta).map_err(|why| format!("Invalid Service Meta: {why}"))
}

/// An id that no path can name could never be removed again.
pub(crate) fn addressable(what: &str, name: &str) -> Result<(), String> {
    let problem = if name.chars().any(char::is_control) {
        "holds a control character"
    } else if name.split('/').any(|part| matches!(part, "." | "..")) || name.contains("//") {
        "cannot stand in a URL's path"
    } else if name.starts_with('/') || name.ends_with('/') {
        "begins or ends with \"/\""
    } else if name.len() > 512 {
        "has more than 512 bytes"
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(64).collect();
    Err(format!("Invalid {what}: {shown:?} {problem}"))
}

pub(crate) fn check_meta(meta: &Pairs) -> Result<(), String> {
    if meta.len() > 64 {
        return Err("Node metadata cannot contain more than 64 key/value pairs".to_owned());
    }
    for (key, value) in meta {
        let problem = if key.is_empty() {
            "Key cannot be blank"
        } else if !key.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-') {
            "Key contains invalid characters"
        } else if key.len() > 128 {
            "Key is too long (limit: 128 characters)"
        } else if key.starts_with("consul-") {
            "Key prefix 'consul-' is reserved for internal use"
        } else if value.len() > 512 {
            "Value is too long (limit: 512 characters)"
        } else {
            continue;
        };
        return Err(format!("Couldn't load metadata pair ('{key}', '{value}'): {problem}"));
    }
    Ok(())
}
