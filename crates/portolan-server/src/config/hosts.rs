//! Under which names the registry is asked, and whose pages may ask it. PURE.
//!
//! In:  a request's `Host`, `:authority` and `Origin`, and the name that the TLS handshake was for. Out: whether it is served;
//! else which name is foreign.
//!
//! A page in a browser can have its own name point at this machine (DNS rebinding), and then reads answers as if they were its
//! own; or it posts here from its own place. In the first case `Host` tells, in the second `Origin`. Addresses cannot be rebound.
//! Over HTTPS the browser compares the certificate with the name that it asks for, so that name cannot be rebound either.
//!
//! Never: guesses: what cannot be read as a host is foreign; shows more of a foreign name than a line holds.
//!
//! Rules from RFC 9110 section 7.2, RFC 9112 section 3.2 (one `Host`, in HTTP/1.1 always), RFC 6454 section 7. A missing,
//! second or unreadable `Host` is answered as by Go's net/http server.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderMap, StatusCode, Uri, Version, header};
use portolan::Error;

/// So much of a foreign name is shown.
const SHOWN: usize = 80;

/// Names that are served.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    /// In lower case, without a dot at the end.
    names: Vec<Box<str>>,
    /// What a name ends with, with its first dot.
    domains: Vec<Box<str>>,
    any: bool,
}

/// Why a request is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// There is no `Host`.
    Missing,
    /// There are several, or it cannot be read.
    Malformed,
    /// It is none of the registry's names.
    Host(String),
    /// It comes from a page of someone else.
    Origin(String),
}

impl Foreign {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Missing | Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Host(_) | Self::Origin(_) => StatusCode::FORBIDDEN,
        }
    }

    /// What the client is told.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Missing => "400 Bad Request: missing required Host header".to_owned(),
            Self::Malformed => "400 Bad Request: malformed Host header".to_owned(),
            Self::Host(name) => format!(
                "Host {name:?} is none of this registry's names, so a page under a rebound name could ask: ask it by its \
                 address, or allow the name with allowed_hosts (--allow-host)"
            ),
            Self::Origin(name) => format!(
                "Origin {name:?} is another's page, which may not ask this registry: allow its host with allowed_hosts \
                 (--allow-host)"
            ),
        }
    }
}

impl Hosts {
    /// The names of a node, and those that are allowed beside them.
    ///
    /// # Errors
    /// [`Kind::Config`](portolan::Kind::Config): one of `allowed` is no host name.
    pub(crate) fn new(node: &str, allowed: &[String]) -> Result<Self, Error> {
        let mut hosts = Self { names: vec![plain(node).into()], domains: Vec::new(), any: false };
        for given in allowed {
            let domain = given.strip_prefix('*');
            match domain {
                Some("") => hosts.any = true,
                Some(domain) if domain.strip_prefix('.').is_some_and(is_name) => {
                    hosts.domains.push(plain(domain).into())
                }
                None if is_name(given) => hosts.names.push(plain(given).into()),
                _ => {
                    return Err(Error::config(format!(
                        "allowed_hosts: {given:?} is no host name; write it without scheme and port, as in registry.example, \
                         *.example or *"
                    )));
                }
            }
        }
        Ok(hosts)
    }

    /// Whether a request is served. `certified`: the name for which the client verified our certificate.
    ///
    /// # Errors
    /// [`Foreign`]: what it is answered.
    pub(crate) fn check(
        &self,
        version: Version,
        uri: &Uri,
        headers: &HeaderMap,
        certified: Option<&str>,
    ) -> Result<(), Foreign> {
        let authority = uri.authority().map(http::uri::Authority::as_str);
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = match hosts.next() {
            Some(host) => Some(host.to_str().map_err(|_unprintable| Foreign::Malformed)?),
            None => None,
        };
        if hosts.next().is_some() {
            return Err(Foreign::Malformed);
        }
        for given in [authority, host].into_iter().flatten() {
            let name = host_of(given).ok_or(Foreign::Malformed)?;
            if !self.is_ours(name, certified) {
                return Err(Foreign::Host(shown(given)));
            }
        }
        let asked = match authority.or(host) {
            Some(asked) => asked,
            None if version <= Version::HTTP_10 => "",
            None => return Err(Foreign::Missing),
        };
        for origin in headers.get_all(header::ORIGIN) {
            let text = String::from_utf8_lossy(origin.as_bytes());
            if !self.may_ask(&text, asked) {
                return Err(Foreign::Origin(shown(&text)));
            }
        }
        Ok(())
    }

    fn is_ours(&self, name: &str, certified: Option<&str>) -> bool {
        if is_address(name) || self.any {
            return true;
        }
        let name = plain(name);
        let certified = certified.is_some_and(|certified| plain(certified) == name);
        certified || name == "localhost" || name.ends_with(".localhost") || self.is_named(&name)
    }

    fn is_named(&self, name: &str) -> bool {
        self.names.iter().any(|ours| **ours == *name)
            || self.domains.iter().any(|domain| name.ends_with(&**domain))
    }

    /// Whether a page of this origin may ask: one that came from here, or one that is allowed by name. An address is not
    /// enough, for anybody has one.
    fn may_ask(&self, origin: &str, asked: &str) -> bool {
        if self.any {
            return true;
        }
        let Some((_scheme, authority)) = origin.split_once("://") else { return false };
        if authority.eq_ignore_ascii_case(asked) {
            return true;
        }
        host_of(authority).is_some_and(|name| self.is_named(&plain(name)))
    }
}

/// The host in `host` or `host:port`.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, rest.strip_prefix(':').or(rest.is_empty().then_some("")))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, Some("")),
        },
    };
    let fine = port?.bytes().all(|digit| digit.is_ascii_digit()) && (is_name(host) || is_address(host));
    fine.then_some(host)
}

fn is_address(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

/// Whether it can stand in a URL as a host; by looks alone.
fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !text.is_empty() && text.len() <= 255 && text.bytes().all(fits)
}

fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn shown(name: &str) -> String {
    let mut shown: String = name.chars().take(SHOWN).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
