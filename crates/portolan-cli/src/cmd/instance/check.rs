//! Checks as they are written on a command line: a kind, a colon, what the kind needs. PURE.
//!
//! In:  `http:/health`, `tcp`, `grpc:10.0.0.7:50051/orders`, … Out: a check, found to be right.
//!
//! Never: takes a word that it does not know.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use portolan::{Check, ServiceId, Status};

use crate::{config::duration, exit::Usage};

const KINDS: &str = "write http:/PATH, http:URL, https:/PATH, tcp, udp, grpc, h2ping, each with :HOST:PORT for another \
                     address, ttl:DURATION, alias:ID, script:COMMAND, docker:CONTAINER:COMMAND or os-service:NAME";

pub(super) fn read(text: &str) -> Result<Check, Usage> {
    let (kind, target) = text.split_once(':').unwrap_or((text, ""));
    let check = match (kind, target) {
        ("http", "") => Check::http("/health"),
        // `http://host/path` is what people write first.
        ("http" | "https", rest) if rest.starts_with("//") => Check::http(text),
        ("http", target) => Check::http(target),
        ("https", "") => Check::https("/health"),
        ("https", target) => Check::https(target),
        ("tcp", "") => Check::tcp(),
        ("tcp", target) => Check::tcp_at(target),
        ("udp", "") => Check::udp(),
        ("udp", target) => Check::udp().at(target),
        ("h2ping", "") => Check::h2_ping(),
        ("h2ping", target) => Check::h2_ping().at(target),
        ("grpc", target) => match target.split_once('/').unwrap_or((target, "")) {
            ("", service) => Check::grpc(service),
            (target, service) => Check::grpc(service).at(target),
        },
        ("ttl", "") => Check::ttl(portolan::check::DEFAULT_TTL),
        ("ttl", target) => Check::ttl(duration(target).map_err(|error| Usage(error.to_string()))?),
        ("alias", id) => Check::alias_of(ServiceId::new(id).map_err(|error| Usage(error.to_string()))?),
        ("script", command) if !command.is_empty() => Check::script(["sh", "-c", command]),
        ("os-service", name) => Check::os_service(name),
        ("docker", rest) => match rest.split_once(':') {
            Some((container, command)) if !command.is_empty() => {
                Check::docker(container, ["sh", "-c", command])
            }
            _ => return Err(Usage("write docker:CONTAINER:COMMAND".to_owned())),
        },
        _ => return Err(Usage(KINDS.to_owned())),
    };
    check.validate("check").map_err(|error| Usage(error.to_string()))?;
    Ok(check)
}

/// A status of a check.
pub(super) fn status(text: &str) -> Result<Status, Usage> {
    match text {
        "passing" => Ok(Status::Passing),
        "warning" => Ok(Status::Warning),
        "critical" => Ok(Status::Critical),
        _ => Err(Usage("write passing, warning or critical".to_owned())),
    }
}

/// `NAME: VALUE`, as in a request.
pub(super) fn header(text: &str) -> Result<(String, String), Usage> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(Usage("write NAME: VALUE, as in --header 'Authorization: Bearer x'".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn checks_are_read_as_people_write_them() {
        let web = || ServiceId::new("web-1").unwrap();
        for (text, expected) in [
            ("http:/health", Some(Check::http("/health"))),
            ("http", Some(Check::http("/health"))),
            ("http:http://127.0.0.1:1/x", Some(Check::http("http://127.0.0.1:1/x"))),
            ("http://127.0.0.1:1/x", Some(Check::http("http://127.0.0.1:1/x"))),
            ("https://a.b/", Some(Check::http("https://a.b/"))),
            ("https:/x", Some(Check::https("/x"))),
            ("https", Some(Check::https("/health"))),
            ("tcp", Some(Check::tcp())),
            ("tcp:[::1]:80", Some(Check::tcp_at("[::1]:80"))),
            ("udp", Some(Check::udp())),
            ("udp:a:53", Some(Check::udp().at("a:53"))),
            ("grpc", Some(Check::grpc(""))),
            ("grpc:/pkg.Orders", Some(Check::grpc("pkg.Orders"))),
            ("grpc:a:1/pkg.Orders", Some(Check::grpc("pkg.Orders").at("a:1"))),
            ("grpc:a:1", Some(Check::grpc("").at("a:1"))),
            ("h2ping", Some(Check::h2_ping())),
            ("h2ping:a:1", Some(Check::h2_ping().at("a:1"))),
            ("ttl:15s", Some(Check::ttl(Duration::from_secs(15)))),
            ("alias:web-1", Some(Check::alias_of(web()))),
            ("script:test -e /run/up: x", Some(Check::script(["sh", "-c", "test -e /run/up: x"]))),
            ("os-service:sshd", Some(Check::os_service("sshd"))),
            ("docker:c1:true", Some(Check::docker("c1", ["sh", "-c", "true"]))),
            ("ttl:15", None),
            ("ttl:1ms", None),
            ("tcp:db", None),
            ("http:health", None),
            ("grpc:x", None),
            ("udp:x", None),
            ("alias", None),
            ("alias:a/b", None),
            ("script", None),
            ("docker:c1", None),
            ("os-service", None),
            ("carrier-pigeon", None),
            ("", None),
        ] {
            assert_eq!(read(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn headers_are_read_as_in_a_request() {
        let pair = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
        assert_eq!(header("Host: a:1").ok(), pair("Host", "a:1"));
        assert_eq!(header("x:").ok(), pair("x", ""));
        assert_eq!(header("no colon").ok(), None);
        assert_eq!(header(": x").ok(), None);
    }
}
