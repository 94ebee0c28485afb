//! The flags of `portolan serve` about DNS.
//!
//! In:  flags. Out: the same in the server's settings, or which flag is wrong.
//!
//! Never: listens where nobody asked for it: without `--dns-addr`, at Consul's own port and on the loopback alone, and only where
//! HTTP has Consul's own port too. So a second registry beside the first, in a test for example, meets nobody.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use clap::Args as ClapArgs;
use portolan_server::{Dns, ServerConfig};

use super::address;
use crate::exit::Usage;

/// The port of HTTP with which DNS is on unless it is asked for.
const HTTP_PORT: u16 = 8500;
/// The port of DNS everywhere else than here.
const DNS_PORT: u16 = 53;

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listen {
    Off,
    At(SocketAddr),
}

#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "DNS")]
pub(super) struct DnsArgs {
    /// Where to listen for DNS, on UDP and TCP; `off` for nowhere. Default: 127.0.0.1:8600 where HTTP is at port 8500, else off.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen)]
    dns_addr: Option<Listen>,
    /// The domain that it answers for.
    #[arg(long, value_name = "DOMAIN", default_value = "consul")]
    domain: String,
    /// A second domain with the same content.
    #[arg(long, value_name = "DOMAIN")]
    alt_domain: Option<String>,
    /// How long others may keep what they are told of a service, as in `web=10s`; `db-*` for all that begin so, `*` for any. May
    /// be given more than once; without it they may not.
    #[arg(long, value_name = "SERVICE=TTL", value_parser = ttl)]
    dns_ttl: Vec<(String, Duration)>,
    /// How long others may keep what they are told of a node.
    #[arg(long, value_name = "TTL", default_value = "0s", value_parser = duration)]
    dns_node_ttl: Duration,
    /// Leave out instances whose health is a warning too.
    #[arg(long)]
    dns_only_passing: bool,
    /// Tell clients when an answer over UDP was cut, so that they ask again over TCP.
    #[arg(long)]
    dns_enable_truncate: bool,
    /// Who is asked for what is not in the domain; may be given more than once. Without it such questions are refused.
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = recursor)]
    recursor: Vec<SocketAddr>,
    /// How long each of them may take.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    recursor_timeout: Duration,
}

fn listen(text: &str) -> Result<Listen, Usage> {
    if text == "off" { Ok(Listen::Off) } else { address(text).map(Listen::At) }
}

fn duration(text: &str) -> Result<Duration, Usage> {
    portolan::parse_duration("it", text).map_err(|_cause| Usage("write a duration, as in 10s".to_owned()))
}

fn ttl(text: &str) -> Result<(String, Duration), Usage> {
    let (name, ttl) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| Usage("write SERVICE=TTL, as in web=10s, or *=10s for all".to_owned()))?;
    Ok((name.to_lowercase(), duration(ttl)?))
}

fn recursor(text: &str) -> Result<SocketAddr, Usage> {
    let alone = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS_PORT));
    alone.or_else(|_| address(text))
}

impl DnsArgs {
    /// Where it listens, with HTTP there.
    pub(super) fn addr(&self, http: SocketAddr) -> Option<SocketAddr> {
        match self.dns_addr {
            Some(Listen::At(addr)) => Some(addr),
            None if http.port() == HTTP_PORT => Some(Dns::default().addr),
            None | Some(Listen::Off) => None,
        }
    }

    /// # Errors
    /// A setting that is out of range.
    pub(super) fn apply(&self, config: ServerConfig) -> Result<ServerConfig, Usage> {
        let Some(addr) = self.addr(config.http_addr) else { return Ok(config) };
        let dns = Dns::default()
            .addr(addr)
            .domain(&self.domain)
            .alt_domain(self.alt_domain.clone())
            .service_ttl(self.dns_ttl.iter().cloned().collect::<BTreeMap<_, _>>())
            .node_ttl(self.dns_node_ttl)
            .only_passing(self.dns_only_passing)
            .enable_truncate(self.dns_enable_truncate)
            .recursors(self.recursor.clone())
            .recursor_timeout(self.recursor_timeout);
        dns.validate().map_err(|error| Usage(error.to_string()))?;
        Ok(config.dns(Some(dns)))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        dns: DnsArgs,
    }

    fn dns(http: &str, flags: &[&str]) -> Result<Option<Dns>, String> {
        let flags = Flags::try_parse_from([&["serve"], flags].concat()).map_err(|error| error.to_string())?;
        let config = ServerConfig::default().http_addr(http.parse().unwrap());
        flags.dns.apply(config).map(|config| config.dns).map_err(|usage| usage.0)
    }

    #[test]
    fn it_is_on_where_http_is_at_its_own_port_and_where_it_is_asked_for() {
        let at = |http, flags: &[&str]| dns(http, flags).unwrap().map(|dns| dns.addr.to_string());
        assert_eq!(at("127.0.0.1:8500", &[]).as_deref(), Some("127.0.0.1:8600"));
        assert_eq!(at("0.0.0.0:8500", &[]).as_deref(), Some("127.0.0.1:8600"), "never to everybody unasked");
        assert_eq!(at("127.0.0.1:0", &[]), None);
        assert_eq!(at("127.0.0.1:8500", &["--dns-addr", "off"]), None);
        assert_eq!(at("127.0.0.1:0", &["--dns-addr", ":53"]).as_deref(), Some("0.0.0.0:53"));
    }

    #[test]
    fn flags_are_settings() {
        let flags = [
            "--domain=dc.example",
            "--alt-domain=consul",
            "--dns-ttl=Web=10s",
            "--dns-ttl=*=1m",
            "--dns-node-ttl=3s",
            "--dns-only-passing",
            "--dns-enable-truncate",
            "--recursor=192.0.2.1",
            "--recursor=[::1]:5353",
            "--recursor-timeout=500ms",
        ];
        let seconds = Duration::from_secs;
        let ttls = [("web".to_owned(), seconds(10)), ("*".to_owned(), seconds(60))];
        let expected = Dns::default()
            .domain("dc.example")
            .alt_domain(Some("consul".to_owned()))
            .service_ttl(ttls.into())
            .node_ttl(seconds(3))
            .only_passing(true)
            .enable_truncate(true)
            .recursors(vec!["192.0.2.1:53".parse().unwrap(), "[::1]:5353".parse().unwrap()])
            .recursor_timeout(Duration::from_millis(500));
        assert_eq!(dns("127.0.0.1:8500", &flags).unwrap(), Some(expected));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (flags, says) in [
            (&["--dns-ttl", "10s"][..], "write SERVICE=TTL"),
            (&["--dns-ttl", "web=soon"], "write a duration"),
            (&["--recursor", "resolver"], "write ADDRESS:PORT"),
            (&["--domain", "arpa"], "dns.domain: \"arpa\" is no domain"),
            (&["--recursor", "127.0.0.1:8600"], "dns.recursors: 127.0.0.1:8600 is this registry's own"),
        ] {
            let error = dns("127.0.0.1:8500", flags).unwrap_err();
            assert!(error.contains(says), "{flags:?}: {error}");
        }
    }
}
