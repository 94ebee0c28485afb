//! `portolan register` and `portolan deregister`: one instance, by hand or from a script.
//!
//! In:  flags. Out: one call to the agent, and the id on stdout.
//!
//! It registers once and ends: from then on the agent runs the checks. A service that shall come back by itself after
//! its agent lost it holds a registration of the library instead.

use std::time::Duration;

use clap::Args as ClapArgs;
use portolan::{
    Address, Check, Config, Registration, ServiceId, ServiceName, Status, Weights,
    registry::{Definition, Registered},
};
use tokio::time::Instant;

use super::{ask, explain};
use crate::{
    config::{Pair, RegistryArgs, Shell, duration, version},
    exit::{Exit, Usage},
    output,
};

const EXAMPLES: &str = "\
Examples:
  portolan register web --port 8080 --check http:/health
  portolan register db --port 5432 --address 10.0.0.7 --check tcp --tag primary --meta zone=eu-1
  portolan register job --port 9000 --id job-1 --check ttl:15s

Checks: http:/PATH or http:URL (a GET, 2xx is passing), tcp or tcp:HOST:PORT (a connection), ttl:DURATION (the service
reports, by PUT /v1/agent/check/pass/CHECK-ID). Without --check it is passing for as long as its node is.";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The service's name.
    name: ServiceName,
    /// The port it listens on.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Where it can be reached: an address, `interface:NAME`, or `auto`, which is the address that the way to the
    /// registry leaves from.
    #[arg(long, value_name = "auto|interface:NAME|ADDRESS", default_value = "auto")]
    address: Address,
    /// Its id on the agent. Default: name, host, port and a random part.
    #[arg(long)]
    id: Option<ServiceId>,
    /// A tag; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// A pair of its meta; may be given several times.
    #[arg(long = "meta", value_name = "KEY=VALUE")]
    meta: Vec<Pair>,
    /// Its version, kept as meta `version`.
    #[arg(long = "version", value_name = "VERSION", value_parser = version)]
    version: Option<semver::Version>,
    /// Its zone, kept as meta `zone`.
    #[arg(long)]
    zone: Option<String>,
    /// Its share of requests against the others, 0 to 65535.
    #[arg(long, default_value_t = 1)]
    weight: u16,
    /// A health check; may be given several times.
    #[arg(long = "check", value_name = "CHECK", value_parser = check, help_heading = "Checks")]
    checks: Vec<Check>,
    /// From one run of a check to the next, at least 1s. Default 10s.
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Checks")]
    interval: Option<Duration>,
    /// How long a run may take. Default 5s.
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Checks")]
    timeout: Option<Duration>,
    /// How long it may be critical before the agent removes it, at least 1m. Default 10m.
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Checks")]
    deregister_after: Option<Duration>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Reads `http:/health`, `tcp`, `tcp:host:port`, `ttl:15s`.
fn check(text: &str) -> Result<Check, Usage> {
    let (kind, target) = text.split_once(':').unwrap_or((text, ""));
    let check = match (kind, target) {
        ("http", "") => Check::http("/health"),
        // `http://host/path` is what people write first.
        ("http", rest) if rest.starts_with("//") => Check::http(text),
        ("https", rest) if rest.starts_with("//") => Check::http(text),
        ("http", target) => Check::http(target),
        ("tcp", "") => Check::tcp(),
        ("tcp", target) => Check::tcp_at(target),
        ("ttl", "") => Check::ttl(portolan::check::DEFAULT_TTL),
        ("ttl", target) => Check::ttl(duration(target).map_err(|error| Usage(error.to_string()))?),
        _ => {
            return Err(Usage("write http:/PATH, http:URL, tcp, tcp:HOST:PORT or ttl:DURATION".to_owned()));
        }
    };
    check.validate("check").map_err(|error| Usage(error.to_string()))?;
    Ok(check)
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  portolan deregister web-1\n\nIt ends with 1 when the agent holds no such id."
)]
pub(crate) struct DeregisterArgs {
    /// The id on the agent, as `register` printed it.
    id: ServiceId,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(args: Args, shell: &Shell) -> anyhow::Result<Exit> {
    let discovery = args.registry.discovery(Config::default())?;
    let registry = discovery.registry();
    let begun = Instant::now();
    let defined = discovery.define(&registration(&args)).await;
    let definition = defined.map_err(|error| explain(error, &registry.describe(), begun.elapsed()))?;
    let id = &definition.id;
    let held = ask(&registry, registry.registered(std::slice::from_ref(id))).await?;
    if let Some(other) = held.first().filter(|held| is_alive_elsewhere(&definition, held)) {
        let place = format!("{}:{}", other.address, other.port);
        anyhow::bail!(
            "--id: {id} is held by an instance at {place} that works; give another id, or deregister that one"
        );
    }
    ask(&registry, registry.register(&definition)).await?;
    output::print(&format!("{id}\n"))?;
    for check in definition.checks.iter().filter(|check| check.check.is_ttl()) {
        let url = format!("/v1/agent/check/pass/{}", check.id);
        shell.hint(&format!("{id}: it is critical until the service reports, by PUT {url}"));
    }
    Ok(Exit::Fine)
}

/// The flags as the library takes them.
fn registration(args: &Args) -> Registration {
    let weights = Weights { passing: args.weight, ..Weights::default() };
    let mut registration = Registration::new(args.name.as_str(), args.port)
        .address(args.address.clone())
        .tags(args.tags.iter().cloned())
        .weights(weights);
    for pair in &args.meta {
        registration = registration.meta(&pair.key, &pair.value);
    }
    if let Some(id) = &args.id {
        registration = registration.id(id.as_str());
    }
    if let Some(version) = &args.version {
        registration = registration.version(version.to_string());
    }
    if let Some(zone) = &args.zone {
        registration = registration.zone(zone);
    }
    registration.checks(args.checks.iter().map(|check| scheduled(check.clone(), args)))
}

/// A check with what was said for all of them.
fn scheduled(mut check: Check, args: &Args) -> Check {
    if let Some(interval) = args.interval {
        check = check.every(interval);
    }
    if let Some(timeout) = args.timeout {
        check = check.timeout(timeout);
    }
    match args.deregister_after {
        Some(after) => check.deregister_after(Some(after)),
        None => check,
    }
}

/// Whether the id belongs to another instance that is not known to be dead.
fn is_alive_elsewhere(ours: &Definition, held: &Registered) -> bool {
    let same_place = (&*held.address, held.port) == (ours.address.as_str(), ours.port);
    !same_place && held.status() != Status::Critical
}

pub(crate) async fn deregister(args: DeregisterArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let registry = args.registry.open()?;
    let ids = [args.id];
    let held = ask(&registry, registry.registered(&ids)).await?;
    let [id] = &ids;
    if held.is_empty() {
        shell.hint(&format!(
            "{id}: the agent of {} holds no such id; it may be held by another agent",
            registry.describe()
        ));
        return Ok(Exit::No);
    }
    ask(&registry, registry.deregister(id)).await?;
    Ok(Exit::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_read_as_people_write_them() {
        for (text, expected) in [
            ("http:/health", Some(Check::http("/health"))),
            ("http", Some(Check::http("/health"))),
            ("http:http://127.0.0.1:1/x", Some(Check::http("http://127.0.0.1:1/x"))),
            ("http://127.0.0.1:1/x", Some(Check::http("http://127.0.0.1:1/x"))),
            ("https://a.b/", Some(Check::http("https://a.b/"))),
            ("tcp", Some(Check::tcp())),
            ("tcp:[::1]:80", Some(Check::tcp_at("[::1]:80"))),
            ("ttl:15s", Some(Check::ttl(Duration::from_secs(15)))),
            ("ttl:15", None),
            ("ttl:1ms", None),
            ("tcp:db", None),
            ("http:health", None),
            ("grpc:x", None),
            ("", None),
        ] {
            assert_eq!(check(text).ok(), expected, "{text:?}");
        }
    }
}
