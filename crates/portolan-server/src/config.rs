//! The registry's settings, with their defaults, checked once where the user still is.
//!
//! In:  what the command or a test sets. Out: values that are in range.
//!
//! Never: reads the environment or a file; that is the command's part.

use std::{
    hash::{BuildHasher, Hasher},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use portolan::{Error, registry::consul::Tls};

mod dns;
mod hosts;
mod https;
mod limits;

pub(crate) use hosts::Hosts;
pub use {dns::Dns, https::Https, limits::Limits};

use crate::{
    acl::{
        DefaultPolicy,
        secret::{Secret, is_uuid},
    },
    faults::Faults,
};

/// What a script check is refused with, in Consul's words.
pub(crate) const NO_SCRIPTS: &str = "Scripts are disabled on this agent from remote calls; to enable, configure \
    'enable_script_checks' to true";

/// Whether checks may run programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scripts {
    Allowed,
    Refused,
}

/// Settings of the embedded registry.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Where to listen for HTTP. Default `127.0.0.1:8500`; port 0 takes any free one.
    pub http_addr: SocketAddr,
    /// Where to listen for HTTPS, and with which certificates. `None`, the default: nowhere.
    pub https: Option<Https>,
    /// How DNS is answered. `None`, the default: not at all.
    pub dns: Option<Dns>,
    /// The host names, beside those that are always its own, under which the registry may be asked, and whose web pages may
    /// ask it: a name, `*.` before a domain for all in it, or `*` for any. Its own are IP addresses, `localhost`, and the
    /// node's name; over HTTPS also the name for which the client verified the certificate. Default: no others.
    pub allowed_hosts: Vec<String>,
    /// What clients may take: connections, sizes, times.
    pub limits: Limits,
    /// Where what must last is kept: one process at a time. `None`, the default: in memory only, and forgotten at the end.
    pub data_dir: Option<PathBuf>,
    /// The datacenter's name: lower case letters, digits, `-` and `_`. Default `dc1`.
    pub datacenter: String,
    /// The name of the agent's node. Default `portolan`.
    pub node: String,
    /// The address of the agent's node, which instances without one of their own have. `None`: the address listened
    /// on, or 127.0.0.1 where that is "any".
    pub advertise: Option<IpAddr>,
    /// What chance is drawn from: jitter of waits and of check runs, the node's id. `None`: new each time.
    pub seed: Option<u64>,
    /// How many health checks run at once; others wait for a place. 1 to 65,536; default 256.
    pub max_checks: usize,
    /// Whether script checks are accepted. Default no: whoever may register could run any program as this user. On unix
    /// systems only: elsewhere it is refused.
    pub enable_script_checks: bool,
    /// What checks over TLS trust. `None`, the default: the system's root certificates.
    pub check_tls: Option<Tls>,
    /// How long open requests may take to end when the registry stops. Up to 5 min; default 5 s.
    pub grace: Duration,
    /// Whether callers over HTTP need rights, by Consul's ACLs. Default no: whoever can connect may do everything. The
    /// program that carries the registry ([`Embedded`](crate::Embedded)) needs none.
    pub acl_enabled: bool,
    /// What a caller may do where no rule says. Default [`DefaultPolicy::Deny`] (Consul's is to allow).
    pub acl_default_policy: DefaultPolicy,
    /// A token that may do everything, there from the start. `None`, the default: it is made by `PUT /v1/acl/bootstrap`.
    pub acl_initial_management: Option<Secret>,
    /// What goes wrong on purpose, over HTTP. `None`, the default: nothing.
    pub faults: Option<Faults>,
    /// Whether whoever can connect may show and change the faults at `/v1/portolan/faults`. Default no.
    pub faults_endpoint: bool,
    /// Called with the span of each request that somebody listens to, and the request's headers: what traces sets its parent
    /// from `traceparent` there. `None`, the default: a span begins its own trace.
    pub adopt_span: Option<AdoptSpan>,
    /// Whether the page `/ui/` is there, and `/` leads to it. Default no; `portolan serve` asks for it.
    pub ui: bool,
}

/// What puts the span of a request into the trace that its headers name.
pub type AdoptSpan = fn(&tracing::Span, &http::HeaderMap);

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            http_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 8500)),
            https: None,
            dns: None,
            allowed_hosts: Vec::new(),
            limits: Limits::default(),
            data_dir: None,
            datacenter: "dc1".to_owned(),
            node: "portolan".to_owned(),
            advertise: None,
            seed: None,
            max_checks: 256,
            enable_script_checks: false,
            check_tls: None,
            grace: Duration::from_secs(5),
            acl_enabled: false,
            acl_default_policy: DefaultPolicy::Deny,
            acl_initial_management: None,
            faults: None,
            faults_endpoint: false,
            adopt_span: None,
            ui: false,
        }
    }
}

impl ServerConfig {
    /// Where to listen for HTTP.
    #[must_use]
    pub fn http_addr(mut self, addr: SocketAddr) -> Self {
        self.http_addr = addr;
        self
    }

    /// Where to listen for HTTPS; `None`: nowhere.
    #[must_use]
    pub fn https(mut self, https: Option<Https>) -> Self {
        self.https = https;
        self
    }

    /// How DNS is answered; `None`: not at all.
    #[must_use]
    pub fn dns(mut self, dns: Option<Dns>) -> Self {
        self.dns = dns;
        self
    }

    /// Under which host names, beside its own, the registry may be asked.
    #[must_use]
    pub fn allowed_hosts(mut self, names: Vec<String>) -> Self {
        self.allowed_hosts = names;
        self
    }

    /// What clients may take.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where what must last is kept; `None`: nowhere.
    #[must_use]
    pub fn data_dir(mut self, dir: Option<PathBuf>) -> Self {
        self.data_dir = dir;
        self
    }

    /// The datacenter's name.
    #[must_use]
    pub fn datacenter(mut self, name: impl Into<String>) -> Self {
        self.datacenter = name.into();
        self
    }

    /// The name of the agent's node.
    #[must_use]
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.node = name.into();
        self
    }

    /// The address of the agent's node.
    #[must_use]
    pub fn advertise(mut self, addr: Option<IpAddr>) -> Self {
        self.advertise = addr;
        self
    }

    /// What chance is drawn from.
    #[must_use]
    pub fn seed(mut self, seed: Option<u64>) -> Self {
        self.seed = seed;
        self
    }

    /// How many health checks run at once.
    #[must_use]
    pub fn max_checks(mut self, most: usize) -> Self {
        self.max_checks = most;
        self
    }

    /// Whether script checks are accepted: then whoever may register can run any program as this user.
    #[must_use]
    pub fn enable_script_checks(mut self, allowed: bool) -> Self {
        self.enable_script_checks = allowed;
        self
    }

    /// What checks over TLS trust, in place of the system's root certificates.
    #[must_use]
    pub fn check_tls(mut self, tls: Option<Tls>) -> Self {
        self.check_tls = tls;
        self
    }

    /// How long open requests may take to end when the registry stops.
    #[must_use]
    pub fn grace(mut self, limit: Duration) -> Self {
        self.grace = limit;
        self
    }

    /// Whether callers need rights, by Consul's ACLs.
    #[must_use]
    pub fn acl_enabled(mut self, enabled: bool) -> Self {
        self.acl_enabled = enabled;
        self
    }

    /// What a caller may do where no rule says.
    #[must_use]
    pub fn acl_default_policy(mut self, policy: DefaultPolicy) -> Self {
        self.acl_default_policy = policy;
        self
    }

    /// A token that may do everything, there from the start.
    #[must_use]
    pub fn acl_initial_management(mut self, secret: Option<Secret>) -> Self {
        self.acl_initial_management = secret;
        self
    }

    /// What goes wrong on purpose, over HTTP: for tests of what reads from the registry.
    #[must_use]
    pub fn faults(mut self, faults: Option<Faults>) -> Self {
        self.faults = faults;
        self
    }

    /// What puts the spans of requests into the traces of those who ask.
    #[must_use]
    pub fn adopt_span(mut self, adopt: AdoptSpan) -> Self {
        self.adopt_span = Some(adopt);
        self
    }

    /// Whether whoever can connect may show and change the faults at `/v1/portolan/faults`.
    #[must_use]
    pub fn faults_endpoint(mut self, open: bool) -> Self {
        self.faults_endpoint = open;
        if open {
            self.faults.get_or_insert_default();
        }
        self
    }

    /// Whether the page `/ui/` is there.
    #[must_use]
    pub fn ui(mut self, there: bool) -> Self {
        self.ui = there;
        self
    }

    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`Kind::Config`](portolan::Kind::Config), naming the setting, what was found and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        let plain = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text
                    .bytes()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_')
        };
        if !plain(&self.datacenter) {
            return Err(Error::config(format!(
                "datacenter: {:?} is no name of a datacenter; use 1 to 64 of a-z, 0-9, - and _",
                self.datacenter
            )));
        }
        portolan::ServiceName::new(&self.node).map_err(|cause| {
            Error::config("node: this cannot be a node's name; use, say, the host's").caused_by(cause)
        })?;
        Hosts::new(&self.node, &self.allowed_hosts)?;
        self.limits.validate()?;
        self.dns.as_ref().map_or(Ok(()), Dns::validate)?;
        limits::in_range("max_checks", self.max_checks, 1..=65_536)?;
        limits::lasts("grace", self.grace, Duration::ZERO..=Duration::from_secs(300))?;
        if self.acl_initial_management.as_ref().is_some_and(|secret| !is_uuid(secret.reveal())) {
            return Err(Error::config(
                "acl_initial_management: it is not a UUID, whose 122 random bits nobody guesses; make one with uuidgen",
            ));
        }
        if self.enable_script_checks && !cfg!(unix) {
            return Err(Error::config(
                "enable_script_checks: script checks are run on unix systems only, where a program is ended with all \
                 that it started; leave it off",
            ));
        }
        Ok(())
    }

    /// The default as the header tells it.
    pub(crate) fn shown_default_policy(&self) -> &'static str {
        match self.acl_default_policy {
            DefaultPolicy::Deny if self.acl_enabled => "deny",
            DefaultPolicy::Deny | DefaultPolicy::Allow => "allow",
        }
    }

    pub(crate) fn scripts(&self) -> Scripts {
        if self.enable_script_checks { Scripts::Allowed } else { Scripts::Refused }
    }

    /// The address that the agent's node has.
    pub(crate) fn node_address(&self) -> IpAddr {
        let listened = self.http_addr.ip();
        let default = if listened.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { listened };
        self.advertise.unwrap_or(default)
    }

    /// The seed, or one that the operating system gives.
    pub(crate) fn seed_or_new(&self) -> u64 {
        self.seed.unwrap_or_else(|| std::hash::RandomState::new().build_hasher().finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named_with_what_is_allowed() {
        ServerConfig::default().validate().unwrap();
        let config = ServerConfig::default;
        for (config, says) in [
            (config().datacenter(""), "datacenter: \"\" is no name"),
            (config().datacenter("DC 1"), "datacenter: \"DC 1\""),
            (config().node("a/b"), "node: "),
            (config().max_checks(0), "max_checks: 0 is out of range; use 1 to"),
            (config().limits(Limits::default().max_body(0)), "max_body: 0 is out of range; use 1024 to"),
            (
                config().allowed_hosts(vec!["http://a".to_owned()]),
                "allowed_hosts: \"http://a\" is no host name",
            ),
            (config().grace(Duration::from_secs(301)), "grace: 5m1s"),
            (
                config().acl_initial_management(Some(Secret::new("root"))),
                "acl_initial_management: it is not a UUID",
            ),
        ] {
            let error = config.validate().unwrap_err();
            assert!(error.to_string().starts_with(says), "{error}");
        }
    }

    #[test]
    fn scripts_are_allowed_where_a_program_can_be_ended_with_all_that_it_started() {
        let allowed = ServerConfig::default().enable_script_checks(true).validate();
        assert_eq!(allowed.is_ok(), cfg!(unix), "{allowed:?}");
    }
}
