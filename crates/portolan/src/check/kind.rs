//! Settings that some kinds of checks have and others do not, and what a kind is called. PURE.
//!
//! In:  a check and a setting. Out: the check with it; a setting that its kind does not have is remembered, for
//! [`Check::validate`] to refuse.
//!
//! Never: drops a setting in silence.
//!
//! Rules from Consul: agent/structs/check_type.go `Type`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::{Check, CheckKind, CheckTls};

impl Check {
    /// For HTTP: the method, in place of `GET`.
    #[must_use]
    pub fn method(mut self, name: impl Into<String>) -> Self {
        match &mut self.kind {
            CheckKind::Http { method, .. } => *method = Some(name.into()),
            _ => self.misplace("method"),
        }
        self
    }

    /// For HTTP: one more value of a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        match &mut self.kind {
            CheckKind::Http { headers, .. } => headers.entry(name.into()).or_default().push(value.into()),
            _ => self.misplace("header"),
        }
        self
    }

    /// For HTTP: the body that is sent.
    #[must_use]
    pub fn body(mut self, text: impl Into<String>) -> Self {
        match &mut self.kind {
            CheckKind::Http { body, .. } => *body = text.into(),
            _ => self.misplace("body"),
        }
        self
    }

    /// For HTTP, TCP, gRPC and HTTP/2 pings: over TLS, and what is believed of the certificate.
    #[must_use]
    pub fn tls(mut self, trust: CheckTls) -> Self {
        match &mut self.kind {
            CheckKind::Http { tls, .. }
            | CheckKind::Tcp { tls, .. }
            | CheckKind::Grpc { tls, .. }
            | CheckKind::H2Ping { tls, .. } => *tls = Some(trust),
            _ => self.misplace("tls"),
        }
        self
    }

    /// For TCP, UDP, gRPC and HTTP/2 pings: `host:port`, in place of the instance's own address.
    #[must_use]
    pub fn at(mut self, address: impl Into<String>) -> Self {
        match self.kind.place() {
            Some(target) => *target = Some(address.into()),
            None => self.misplace("target"),
        }
        self
    }

    /// For an alias: the other's node, in place of the agent's own.
    #[must_use]
    pub fn on_node(mut self, name: impl Into<String>) -> Self {
        match &mut self.kind {
            CheckKind::Alias { node, .. } => *node = Some(name.into()),
            _ => self.misplace("node"),
        }
        self
    }

    fn misplace(&mut self, setting: &'static str) {
        self.misplaced.get_or_insert(setting);
    }
}

impl CheckKind {
    /// Consul's word for it, as `Type` in its answers: `http`, `h2ping`, `os_service`, …
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Tcp { .. } => "tcp",
            Self::Udp { .. } => "udp",
            Self::Grpc { .. } => "grpc",
            Self::H2Ping { .. } => "h2ping",
            Self::Ttl { .. } => "ttl",
            Self::Alias { .. } => "alias",
            Self::Script { .. } => "script",
            Self::OsService { .. } => "os_service",
            Self::Docker { .. } => "docker",
        }
    }

    /// Whether the agent runs it at an interval.
    #[must_use]
    pub fn is_run(&self) -> bool {
        !matches!(self, Self::Ttl { .. } | Self::Alias { .. })
    }

    /// Whether it asks the instance's own port.
    pub(crate) fn asks_own_port(&self) -> bool {
        match self {
            Self::Http { target, .. } => target.starts_with('/'),
            Self::Tcp { target, .. }
            | Self::Udp { target }
            | Self::Grpc { target, .. }
            | Self::H2Ping { target, .. } => target.is_none(),
            _ => false,
        }
    }

    /// The same with a whole target, where it has one: `authority` is the instance's `host:port`.
    pub(crate) fn complete(&mut self, authority: String) {
        if let Self::Http { target, tls, .. } = self {
            if target.starts_with('/') {
                let scheme = if tls.is_some() { "https" } else { "http" };
                *target = format!("{scheme}://{authority}{target}");
            }
        } else if let Some(target) = self.place() {
            target.get_or_insert(authority);
        }
    }

    fn place(&mut self) -> Option<&mut Option<String>> {
        match self {
            Self::Tcp { target, .. }
            | Self::Udp { target }
            | Self::Grpc { target, .. }
            | Self::H2Ping { target, .. } => Some(target),
            _ => None,
        }
    }
}
