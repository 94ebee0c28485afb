//! What one client, and all of them together, may take of the registry: each limit with its default and range.
//!
//! In:  what the command or a test sets. Out: values that are in range. PURE.
//!
//! Never: takes 0 for "no limit"; off is `None`.

use std::{ops::RangeInclusive, time::Duration};

use portolan::{Error, format_duration};

/// Limits for those who connect. What is over one gets the status that Consul gives: 413, 429, 431.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many connections are held at once; more get a 429, over TLS a close. 1 to 1,000,000; default 16,384.
    pub max_connections: usize,
    /// How many of them one address holds. 1 to 1,000,000, `None`: no limit of its own; default 200. Consul:
    /// `limits.http_max_conns_per_client`.
    pub max_connections_per_address: Option<usize>,
    /// The largest body of a request, in bytes; more get a 413. 1 KiB to 1 GiB; default 1 MiB.
    pub max_body: usize,
    /// How many bytes of bodies are held at once, of all requests; more get a 429. At least `max_body`, up to 64 GiB;
    /// default 256 MiB.
    pub max_bodies: usize,
    /// The largest head of a request, in bytes: its line and its headers; more get a 431. 8 KiB to 1 MiB; default 128 KiB. Over
    /// HTTP/2, where one connection has a thousand requests, at most 16 KiB.
    pub max_head: usize,
    /// How many headers a request has; more get a 431. 8 to 10,000; default 100.
    pub max_headers: usize,
    /// The longest name or id, in bytes; a longer one gets a 400. 64 to 65,536; default 512.
    pub max_name: usize,
    /// How many blocking queries wait at once; more get a 429. 1 to 10,000,000; default 262,144.
    pub max_watchers: usize,
    /// How long a client may take for a request's head once it has begun, and for TLS. 1 s to 1 h; default 10 s.
    pub header_timeout: Duration,
    /// How long a client may take for a request's body. 1 s to 1 h; default 30 s.
    pub body_timeout: Duration,
    /// How long a client may leave an answer unread, without a byte of it taken. 1 s to 1 h; default 30 s.
    pub write_timeout: Duration,
    /// How long a connection over HTTP/1.1 may be idle, between once and twice this. 1 s to 1 h; default 2 min, more than HTTP
    /// clients keep idle connections for: they close first, and no request meets a closing one.
    pub idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 16_384,
            max_connections_per_address: Some(200),
            max_body: 1 << 20,
            max_bodies: 256 << 20,
            max_head: 128 << 10,
            max_headers: 100,
            max_name: 512,
            max_watchers: 262_144,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
        }
    }
}

impl Limits {
    /// How many connections are held at once.
    #[must_use]
    pub fn max_connections(mut self, most: usize) -> Self {
        self.max_connections = most;
        self
    }

    /// How many connections one address holds; `None`: as many as there are.
    #[must_use]
    pub fn max_connections_per_address(mut self, most: Option<usize>) -> Self {
        self.max_connections_per_address = most;
        self
    }

    /// The largest body of a request, in bytes.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// How many bytes of bodies are held at once.
    #[must_use]
    pub fn max_bodies(mut self, bytes: usize) -> Self {
        self.max_bodies = bytes;
        self
    }

    /// The largest head of a request, in bytes.
    #[must_use]
    pub fn max_head(mut self, bytes: usize) -> Self {
        self.max_head = bytes;
        self
    }

    /// How many headers a request has.
    #[must_use]
    pub fn max_headers(mut self, most: usize) -> Self {
        self.max_headers = most;
        self
    }

    /// The longest name or id, in bytes.
    #[must_use]
    pub fn max_name(mut self, bytes: usize) -> Self {
        self.max_name = bytes;
        self
    }

    /// How many blocking queries wait at once.
    #[must_use]
    pub fn max_watchers(mut self, most: usize) -> Self {
        self.max_watchers = most;
        self
    }

    /// How long a client may take for a request's head once it has begun.
    #[must_use]
    pub fn header_timeout(mut self, limit: Duration) -> Self {
        self.header_timeout = limit;
        self
    }

    /// How long a client may take for a request's body.
    #[must_use]
    pub fn body_timeout(mut self, limit: Duration) -> Self {
        self.body_timeout = limit;
        self
    }

    /// How long a client may leave an answer unread.
    #[must_use]
    pub fn write_timeout(mut self, limit: Duration) -> Self {
        self.write_timeout = limit;
        self
    }

    /// How long a connection over HTTP/1.1 may be idle.
    #[must_use]
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = limit;
        self
    }

    /// Checks every limit against its range.
    ///
    /// # Errors
    /// [`Kind::Config`](portolan::Kind::Config), naming the limit, what was found and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        let per_address = self.max_connections_per_address.unwrap_or(1);
        for (name, found, range) in [
            ("max_connections", self.max_connections, 1..=1_000_000),
            ("max_connections_per_address", per_address, 1..=1_000_000),
            ("max_body", self.max_body, 1024..=1 << 30),
            ("max_bodies", self.max_bodies, self.max_body..=64 << 30),
            ("max_head", self.max_head, 8 << 10..=1 << 20),
            ("max_headers", self.max_headers, 8..=10_000),
            ("max_name", self.max_name, 64..=65_536),
            ("max_watchers", self.max_watchers, 1..=10_000_000),
        ] {
            in_range(name, found, range)?;
        }
        let hour = Duration::from_secs(3600);
        for (name, found) in [
            ("header_timeout", self.header_timeout),
            ("body_timeout", self.body_timeout),
            ("write_timeout", self.write_timeout),
            ("idle_timeout", self.idle_timeout),
        ] {
            lasts(name, found, Duration::from_secs(1)..=hour)?;
        }
        Ok(())
    }
}

pub(super) fn in_range(name: &str, found: usize, range: RangeInclusive<usize>) -> Result<(), Error> {
    if range.contains(&found) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    Err(Error::config(format!("{name}: {found} is out of range; use {least} to {most}")))
}

pub(super) fn lasts(name: &str, found: Duration, range: RangeInclusive<Duration>) -> Result<(), Error> {
    if range.contains(&found) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    let [found, least, most] = [found, least, most].map(format_duration);
    Err(Error::config(format!("{name}: {found} is out of range; use {least} to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_out_of_range_is_named_with_what_is_allowed() {
        Limits::default().validate().unwrap();
        let limits = Limits::default;
        for (limits, says) in [
            (limits().max_body(0), "max_body: 0 is out of range; use 1024 to"),
            (limits().max_body(1 << 29), "max_bodies: 268435456 is out of range; use 536870912 to"),
            (limits().max_watchers(0), "max_watchers: 0"),
            (limits().max_connections_per_address(Some(0)), "max_connections_per_address: 0"),
            (limits().max_head(100), "max_head: 100 is out of range; use 8192 to 1048576"),
            (limits().max_headers(1), "max_headers: 1 "),
            (limits().max_name(1), "max_name: 1 "),
            (limits().header_timeout(Duration::ZERO), "header_timeout: 0s is out of range; use 1s to 1h0m0s"),
            (limits().write_timeout(Duration::from_secs(3601)), "write_timeout: 1h0m1s"),
        ] {
            let error = limits.validate().unwrap_err();
            assert!(error.to_string().starts_with(says), "{error}");
        }
    }
}
