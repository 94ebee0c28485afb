//! The address of an agent, in the forms Consul's own client takes. PURE.
//!
//! In:  `http://host:port`, `https://host:port`, `unix:///path`, `host:port`, or a list of these. Out: where to connect, and what stands
//! before each path.
//!
//! Never: repeats a text that may hold a password.
//!
//! Rules from Consul: api/api.go `NewClient` (`CONSUL_HTTP_SSL` turns `http://` into `https://`, never the other way).
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use crate::error::{Error, Kind};

const FORMS: &str = "write \"http://host:port\", \"https://host:port\", \"unix:///path\" or \"host:port\"";

/// Each address has connections of its own.
const MOST: usize = 16;

/// Where an agent listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Address {
    place: Place,
    /// What requests name: scheme and authority, `http://localhost` for a socket, and the path before each path.
    base: Arc<str>,
    shown: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Network { scheme: Scheme, host: Arc<str> },
    Socket(Arc<PathBuf>),
}

/// Plain or over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Address {
    pub(super) fn local() -> Self {
        let base: Arc<str> = super::DEFAULT_ADDRESS.into();
        let place = Place::Network { scheme: Scheme::Http, host: "127.0.0.1".into() };
        Self { place, shown: Arc::clone(&base), base }
    }

    /// Reads an address; `least` is the scheme of a bare `host:port`, and HTTPS there turns `http://` into `https://`.
    pub(super) fn parse(field: &str, text: &str, least: Scheme) -> Result<Self, Error> {
        let text = text.trim();
        let (scheme, rest) = match text.split_once("://") {
            Some(("unix", path)) => return Self::socket(field, path),
            Some(("http", rest)) => (least, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some((other, _)) => {
                let what = format!("{field}: {:?} is not a scheme Consul knows; {FORMS}", cut(other));
                return Err(Error::new(Kind::Config, what));
            }
            None => (least, text),
        };
        if rest.contains('@') {
            let what = format!(
                "{field}: holds a user name or password; leave it out and use basic_auth (CONSUL_HTTP_AUTH)"
            );
            return Err(Error::new(Kind::Config, what));
        }
        let word = match scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        Self::network(scheme, &format!("{word}://{rest}")).ok_or_else(|| {
            Error::new(Kind::Config, format!("{field}: {:?} is not an address; {FORMS}", cut(text)))
        })
    }

    fn network(scheme: Scheme, url: &str) -> Option<Self> {
        let uri: http::Uri = url.parse().ok()?;
        let host = uri.host().filter(|host| !host.is_empty() && *host != "[]")?;
        if uri.query().is_some() || url.contains('#') || url.ends_with(':') {
            return None;
        }
        // `Uri` reads "host:99999" and "host:x" as an authority whose port is nothing.
        let authority = uri.authority()?.as_str();
        let port = authority.strip_prefix(host)?;
        if !port.is_empty() && !matches!(uri.port_u16(), Some(1..)) {
            return None;
        }
        let base: Arc<str> = url.trim_end_matches('/').into();
        let host = host.trim_start_matches('[').trim_end_matches(']').into();
        Some(Self { place: Place::Network { scheme, host }, shown: Arc::clone(&base), base })
    }

    fn socket(field: &str, path: &str) -> Result<Self, Error> {
        if !path.starts_with('/') || path.contains('\0') {
            let what = format!(
                "{field}: {:?} is not the path of a socket; write \"unix:///run/consul.sock\"",
                cut(path)
            );
            return Err(Error::new(Kind::Config, what));
        }
        let shown = format!("unix://{path}").into();
        Ok(Self { place: Place::Socket(Arc::new(path.into())), base: "http://localhost".into(), shown })
    }

    pub(in super::super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(in super::super) fn base(&self) -> &str {
        &self.base
    }

    pub(in super::super) fn scheme(&self) -> Scheme {
        match &self.place {
            Place::Network { scheme, .. } => *scheme,
            Place::Socket(_) => Scheme::Http,
        }
    }

    /// `host:port` as a socket is opened to it; `None` for a unix socket.
    pub(in super::super) fn endpoint(&self) -> Option<String> {
        let Place::Network { scheme, .. } = &self.place else { return None };
        let uri: http::Uri = self.base.parse().ok()?;
        let port = uri.port_u16().unwrap_or(if *scheme == Scheme::Https { 443 } else { 80 });
        Some(format!("{}:{port}", uri.host()?))
    }

    /// The host without brackets, for the name in a certificate.
    pub(in super::super) fn host(&self) -> &str {
        match &self.place {
            Place::Network { host, .. } => host,
            Place::Socket(_) => "localhost",
        }
    }

    pub(in super::super) fn socket_path(&self) -> Option<&Arc<PathBuf>> {
        match &self.place {
            Place::Network { .. } => None,
            Place::Socket(path) => Some(path),
        }
    }

    pub(in super::super) fn is_local(&self) -> bool {
        match &self.place {
            Place::Socket(_) => true,
            Place::Network { host, .. } => {
                host.eq_ignore_ascii_case("localhost")
                    || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

/// Reads a list of addresses: the first, and the others.
pub(super) fn list<T: AsRef<str>>(
    field: &str,
    texts: impl IntoIterator<Item = T>,
    least: Scheme,
) -> Result<(Address, Vec<Address>), Error> {
    let wrong = |what: &str| Err(Error::new(Kind::Config, format!("{field}: {what}")));
    let mut all: Vec<Address> = Vec::new();
    for text in texts {
        let next = Address::parse(field, text.as_ref(), least)?;
        if all.contains(&next) {
            return wrong(&format!("{} is there twice; name each address once", next.shown));
        }
        if all.len() >= MOST {
            return wrong(&format!("there are more than {MOST} addresses; name the nearest"));
        }
        all.push(next);
    }
    let mut all = all.into_iter();
    match all.next() {
        Some(first) => Ok((first, all.collect())),
        None => wrong(&format!("there is no address; {FORMS}")),
    }
}

/// As much of a text as a log line bears.
fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}
