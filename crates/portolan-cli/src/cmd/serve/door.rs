//! The flags of `portolan serve` for what others may reach: HTTPS, names, limits.
//!
//! In:  flags. Out: the same in the server's settings, or which flag is wrong.
//!
//! Never: serves without the TLS that was asked for.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args as ClapArgs;
use portolan_server::{Https, Limits, ServerConfig};

use super::address;
use crate::exit::Usage;

/// What the limits are, for the help.
pub(super) const LIMITS: &str = "\
Limits for --limit, with their defaults: max_connections=16384, max_connections_per_address=200 (or off), max_body=1048576,
max_bodies=268435456 (of all requests at once), max_head=131072, max_headers=100, max_name=512 (bytes), max_watchers=262144
(blocking queries that wait), header_timeout=10s, body_timeout=30s, write_timeout=30s, idle_timeout=2m.";

#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Access")]
pub(super) struct DoorArgs {
    /// Where to listen for HTTPS too; HTTP stays where --http-addr says. SIGHUP has the certificates read again.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address, requires_all = ["tls_cert", "tls_key"])]
    pub(super) https_addr: Option<SocketAddr>,
    /// The certificate of HTTPS, and those between it and the authority's: a PEM file.
    #[arg(long, value_name = "FILE", requires = "https_addr")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key: a PEM file.
    #[arg(long, value_name = "FILE", requires = "https_addr")]
    tls_key: Option<PathBuf>,
    /// Who signs the certificates that clients must show over HTTPS: a PEM file. Without it they need none.
    #[arg(long, value_name = "FILE", requires = "https_addr")]
    tls_client_ca: Option<PathBuf>,
    /// A host name, beside its own, under which it may be asked, and whose web pages may ask it: `*.DOMAIN` for all in a
    /// domain, `*` for any. May be given more than once.
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// A limit for clients, as in `max_body=4194304`; may be given more than once.
    #[arg(long, value_name = "NAME=VALUE")]
    limit: Vec<String>,
}

impl DoorArgs {
    /// # Errors
    /// A limit that there is not, or that is out of range.
    pub(super) fn apply(&self, config: ServerConfig) -> Result<ServerConfig, Usage> {
        let mut limits = Limits::default();
        for given in &self.limit {
            set(&mut limits, given)?;
        }
        limits.validate().map_err(|error| Usage(format!("--limit: {error}")))?;
        let https = self.https_addr.zip(self.tls_cert.as_ref().zip(self.tls_key.as_ref()));
        let https = https
            .map(|(addr, (cert, key))| Https::new(addr, cert, key).client_ca(self.tls_client_ca.clone()));
        Ok(config.https(https).allowed_hosts(self.allow_host.clone()).limits(limits))
    }
}

fn set(limits: &mut Limits, given: &str) -> Result<(), Usage> {
    let wrong = |why: &str| Usage(format!("--limit {given}: {why}"));
    let (name, value) =
        given.split_once('=').ok_or_else(|| wrong("write NAME=VALUE, as in max_body=4194304"))?;
    let number = || value.parse::<usize>().map_err(|_cause| wrong("the value is not a whole number"));
    let time = || -> Result<Duration, Usage> {
        portolan::parse_duration(name, value)
            .map_err(|_cause| wrong("the value is not a duration, as in 10s"))
    };
    match name {
        "max_connections" => limits.max_connections = number()?,
        "max_connections_per_address" => {
            limits.max_connections_per_address = if value == "off" { None } else { Some(number()?) };
        }
        "max_body" => limits.max_body = number()?,
        "max_bodies" => limits.max_bodies = number()?,
        "max_head" => limits.max_head = number()?,
        "max_headers" => limits.max_headers = number()?,
        "max_name" => limits.max_name = number()?,
        "max_watchers" => limits.max_watchers = number()?,
        "header_timeout" => limits.header_timeout = time()?,
        "body_timeout" => limits.body_timeout = time()?,
        "write_timeout" => limits.write_timeout = time()?,
        "idle_timeout" => limits.idle_timeout = time()?,
        _ => return Err(wrong("there is no such limit; `portolan serve --help` names them")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(given: &[&str]) -> Result<Limits, String> {
        let limit = given.iter().map(|&limit| limit.to_owned()).collect();
        let config = DoorArgs { limit, ..DoorArgs::default() }.apply(ServerConfig::default());
        config.map(|config| config.limits).map_err(|usage| usage.0)
    }

    #[test]
    fn a_limit_is_set_by_its_name() {
        let set = limits(&["max_body=2048", "max_connections_per_address=off", "idle_timeout=5m"]).unwrap();
        let expected = Limits::default()
            .max_body(2048)
            .max_connections_per_address(None)
            .idle_timeout(Duration::from_secs(300));
        assert_eq!(set, expected);
    }

    #[test]
    fn a_limit_that_is_wrong_is_named() {
        for (given, says) in [
            ("max_body", "--limit max_body: write NAME=VALUE"),
            ("max_bodi=1", "--limit max_bodi=1: there is no such limit"),
            ("max_body=much", "--limit max_body=much: the value is not a whole number"),
            ("max_body=off", "--limit max_body=off: the value is not a whole number"),
            ("max_body=1", "--limit: max_body: 1 is out of range; use 1024 to"),
            ("idle_timeout=5", "--limit idle_timeout=5: the value is not a duration"),
        ] {
            let error = limits(&[given]).unwrap_err();
            assert!(error.starts_with(says), "{given}: {error}");
        }
    }

    #[test]
    fn every_limit_that_the_help_names_is_there_at_its_default() {
        let names: Vec<_> = LIMITS.split([' ', '\n']).filter(|word| word.contains('=')).collect();
        assert_eq!(names.len(), 12);
        for given in names {
            assert_eq!(limits(&[given.trim_end_matches([',', '.'])]).unwrap(), Limits::default(), "{given}");
        }
    }
}
