//! How the registry answers DNS: where, for which domain, and for how long an answer is good.
//!
//! In:  what the command or a test sets. Out: values that are in range. PURE.
//!
//! Never: takes 0 for "no limit"; off is `None`.
//!
//! Names and defaults from Consul 1.21: `dns_config`, `recursors`, agent/config/default.go.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use portolan::Error;

use super::limits::{in_range, lasts};
use crate::dns::Name;

/// Settings of the DNS interface.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dns {
    /// Where to listen, on UDP and on TCP. Default `127.0.0.1:8600`; port 0 takes one that is free for both.
    pub addr: SocketAddr,
    /// The domain it answers for. Default `consul`.
    pub domain: String,
    /// A second domain with the same content. Default none.
    pub alt_domain: Option<String>,
    /// How long others may keep an answer about a node. Up to a week; default 0 s: not at all.
    pub node_ttl: Duration,
    /// How long others may keep an answer about a service, by its name; `db-*` stands for all that begin so, `*` for
    /// any. The longest that fits counts. Up to a week each; default none: not at all.
    pub service_ttl: BTreeMap<String, Duration>,
    /// Whether instances whose health is a warning are left out too. Default no: only critical ones are.
    pub only_passing: bool,
    /// How many records a client gets over UDP that does not say how much it can take (EDNS). 1 to 8; default 3.
    pub udp_answer_limit: usize,
    /// How many addresses an answer has at most. 1 to 4,096, `None`: all; default all.
    pub a_record_limit: Option<usize>,
    /// Whether an answer that was cut says so, so that the client asks again over TCP. Default no, as in Consul.
    pub enable_truncate: bool,
    /// Whether answers about nodes bring along the node's meta as TXT. Default yes.
    pub node_meta_txt: bool,
    /// Who is asked for what is not in the domain, in this order. Up to 16; default nobody: such questions are refused.
    pub recursors: Vec<SocketAddr>,
    /// How long each of them may take. 10 ms to 1 min; default 2 s.
    pub recursor_timeout: Duration,
    /// How many TCP connections are held at once; more are closed. 1 to 65,536; default 1,024, 100 from one address.
    pub max_connections: usize,
    /// How many questions wait for recursors at once; more fail. 1 to 16,384; default 512.
    pub max_recursions: usize,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 8600)),
            domain: "consul".to_owned(),
            alt_domain: None,
            node_ttl: Duration::ZERO,
            service_ttl: BTreeMap::new(),
            only_passing: false,
            udp_answer_limit: 3,
            a_record_limit: None,
            enable_truncate: false,
            node_meta_txt: true,
            recursors: Vec::new(),
            recursor_timeout: Duration::from_secs(2),
            max_connections: 1024,
            max_recursions: 512,
        }
    }
}

impl Dns {
    /// Where to listen.
    #[must_use]
    pub fn addr(mut self, addr: SocketAddr) -> Self {
        self.addr = addr;
        self
    }

    /// The domain it answers for.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = domain.into();
        self
    }

    /// A second domain with the same content.
    #[must_use]
    pub fn alt_domain(mut self, domain: Option<String>) -> Self {
        self.alt_domain = domain;
        self
    }

    /// How long others may keep an answer about a node.
    #[must_use]
    pub fn node_ttl(mut self, ttl: Duration) -> Self {
        self.node_ttl = ttl;
        self
    }

    /// How long others may keep an answer about a service, by its name or the beginning of it and `*`.
    #[must_use]
    pub fn service_ttl(mut self, ttls: BTreeMap<String, Duration>) -> Self {
        self.service_ttl = ttls;
        self
    }

    /// Whether instances whose health is a warning are left out too.
    #[must_use]
    pub fn only_passing(mut self, only: bool) -> Self {
        self.only_passing = only;
        self
    }

    /// How many records a client gets over UDP that does not say how much it can take.
    #[must_use]
    pub fn udp_answer_limit(mut self, most: usize) -> Self {
        self.udp_answer_limit = most;
        self
    }

    /// How many addresses an answer has at most; `None`: all.
    #[must_use]
    pub fn a_record_limit(mut self, most: Option<usize>) -> Self {
        self.a_record_limit = most;
        self
    }

    /// Whether an answer that was cut says so.
    #[must_use]
    pub fn enable_truncate(mut self, tell: bool) -> Self {
        self.enable_truncate = tell;
        self
    }

    /// Whether answers about nodes bring along the node's meta.
    #[must_use]
    pub fn node_meta_txt(mut self, bring: bool) -> Self {
        self.node_meta_txt = bring;
        self
    }

    /// Who is asked for what is not in the domain.
    #[must_use]
    pub fn recursors(mut self, recursors: Vec<SocketAddr>) -> Self {
        self.recursors = recursors;
        self
    }

    /// How long each recursor may take.
    #[must_use]
    pub fn recursor_timeout(mut self, limit: Duration) -> Self {
        self.recursor_timeout = limit;
        self
    }

    /// How many TCP connections are held at once.
    #[must_use]
    pub fn max_connections(mut self, most: usize) -> Self {
        self.max_connections = most;
        self
    }

    /// How many questions wait for recursors at once.
    #[must_use]
    pub fn max_recursions(mut self, most: usize) -> Self {
        self.max_recursions = most;
        self
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`Kind::Config`](portolan::Kind::Config), naming the setting, what was found and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        zone("dns.domain", &self.domain)?;
        if let Some(domain) = &self.alt_domain {
            zone("dns.alt_domain", domain)?;
        }
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let week = second.saturating_mul(7 * 24 * 3600);
        lasts("dns.node_ttl", self.node_ttl, Duration::ZERO..=week)?;
        for (name, ttl) in &self.service_ttl {
            lasts(&format!("dns.service_ttl {name:?}"), *ttl, Duration::ZERO..=week)?;
        }
        lasts("dns.recursor_timeout", self.recursor_timeout, Duration::from_millis(10)..=minute)?;
        for (name, found, range) in [
            ("dns.udp_answer_limit", self.udp_answer_limit, 1..=8),
            ("dns.a_record_limit", self.a_record_limit.unwrap_or(1), 1..=4096),
            ("dns.recursors", self.recursors.len(), 0..=16),
            ("dns.max_connections", self.max_connections, 1..=65_536),
            ("dns.max_recursions", self.max_recursions, 1..=16_384),
        ] {
            in_range(name, found, range)?;
        }
        if let Some(own) = self.recursors.iter().find(|recursor| **recursor == self.addr) {
            return Err(Error::config(format!(
                "dns.recursors: {own} is this registry's own address: it would ask itself; name another resolver"
            )));
        }
        Ok(())
    }
}

/// A domain leaves room for what stands before it, and is not where reverse lookups live.
fn zone(setting: &str, text: &str) -> Result<(), Error> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let name = Name::of_text(text).filter(|name| !name.is_root() && name.as_wire().len() <= 128);
    let reverse = text.trim_end_matches('.').to_ascii_lowercase();
    if name.is_none() || !text.bytes().all(plain) || reverse == "arpa" || reverse.ends_with(".arpa") {
        return Err(Error::config(format!(
            "{setting}: {text:?} is no domain to answer for; use, say, \"consul\" or \"dc.example\""
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named_with_what_is_allowed() {
        Dns::default().validate().unwrap();
        Dns::default().domain("dc.example.").validate().unwrap();
        let own = Dns::default().addr;
        let dns = Dns::default;
        let day = Duration::from_secs(24 * 3600);
        let ttls = BTreeMap::from([("web".to_owned(), day * 8)]);
        for (dns, says) in [
            (dns().domain(""), "dns.domain: \"\" is no domain"),
            (dns().domain("."), "dns.domain: \".\" is no domain"),
            (dns().domain("a..b"), "dns.domain: \"a..b\""),
            (dns().domain("in-addr.ARPA"), "dns.domain: \"in-addr.ARPA\""),
            (dns().alt_domain(Some("x y".to_owned())), "dns.alt_domain: \"x y\""),
            (dns().node_ttl(day * 8), "dns.node_ttl: 192h0m0s is out of range; use 0s to 168h0m0s"),
            (dns().service_ttl(ttls), "dns.service_ttl \"web\": 192h0m0s"),
            (dns().udp_answer_limit(0), "dns.udp_answer_limit: 0 is out of range; use 1 to 8"),
            (dns().a_record_limit(Some(0)), "dns.a_record_limit: 0"),
            (dns().recursors(vec![own]), "dns.recursors: 127.0.0.1:8600 is this registry's own"),
            (dns().recursor_timeout(Duration::ZERO), "dns.recursor_timeout: 0s"),
            (dns().max_connections(0), "dns.max_connections: 0"),
            (dns().max_recursions(0), "dns.max_recursions: 0"),
        ] {
            let error = dns.validate().unwrap_err();
            assert!(error.to_string().starts_with(says), "{error}");
        }
    }
}
