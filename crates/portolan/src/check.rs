//! Definitions of health checks: what the registry's agent runs, or waits to hear, to know an instance's health. PURE.
//!
//! In:  a kind and its settings, with the defaults people know. Out: a definition that has been checked.
//!
//! Never: sends anything; guesses a target. A path, or a target that is left out, is completed with the instance's
//! address when it is registered.
//!
//! Rules from Consul: website/content/docs/reference/service/health-check.mdx, agent/structs/check_type.go.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, time::Duration};

use crate::model::{CheckId, ServiceId, Status};

mod kind;
mod validate;

/// How often checks run unless set: 10 s.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
/// How long one run may take unless set: 5 s.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a TTL check stays as reported unless set: 30 s.
pub const DEFAULT_TTL: Duration = Duration::from_secs(30);
/// How long an instance may be critical before it is removed, unless set: 10 min, more than any usual outage.
pub const DEFAULT_DEREGISTER_AFTER: Duration = Duration::from_secs(600);
/// The least time an instance is critical before it is removed: 1 min. Less is raised to it, as in Consul.
pub const LEAST_DEREGISTER_AFTER: Duration = Duration::from_secs(60);

/// One health check of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// Its id. `None`: `service:ID`, with `:N` when there are several, as Consul numbers them.
    pub id: Option<CheckId>,
    /// Its name for people. `None`: `Service 'NAME' check`, as Consul names it.
    pub name: Option<String>,
    /// A word to people about it, which the registry keeps. Default none.
    pub notes: Option<String>,
    /// What is checked, and how.
    pub kind: CheckKind,
    /// From one run to the next, at least 1 s; default 10 s. TTL and alias checks have none.
    pub interval: Duration,
    /// How long a run may take; default 5 s. TTL and alias checks have none.
    pub timeout: Duration,
    /// The status until it has run. `None`: critical, as in Consul.
    pub initial: Option<Status>,
    /// Passing runs in a row before it is passing. Default 0: the first one counts.
    pub success_before_passing: u16,
    /// Failed runs in a row before it is warning. Default 0: no warning stage.
    pub failures_before_warning: u16,
    /// Failed runs in a row before it is critical. Default 0: the first one counts.
    pub failures_before_critical: u16,
    /// How long it may be critical before the instance is removed. `None`: never. Default 10 min; less than 1 min is
    /// raised to 1 min, with a warning in the log.
    pub deregister_after: Option<Duration>,
    /// The first setting that this kind does not have; [`Check::validate`] refuses it.
    misplaced: Option<&'static str>,
}

/// The kinds of checks. A target of `None` is the instance's own address and port.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckKind {
    /// The agent sends a request: 2xx is passing, 429 is warning, anything else is critical.
    Http {
        /// A path on the instance's own address (`/health`), or a whole URL.
        target: String,
        /// The method. `None`: `GET`.
        method: Option<String>,
        /// Headers that are sent, each with its values; `Host` replaces the target's.
        headers: BTreeMap<String, Vec<String>>,
        /// The body that is sent. Default empty.
        body: String,
        /// With a path: over TLS. With an `https://` URL: what is believed there; `None` is the default.
        tls: Option<CheckTls>,
    },
    /// The agent opens a connection.
    Tcp {
        /// `host:port`.
        target: Option<String>,
        /// The TLS handshake is part of it. Consul: since 1.17.
        tls: Option<CheckTls>,
    },
    /// The agent sends a datagram: only a refusal is critical; silence is passing. Consul: since 1.12.
    Udp {
        /// `host:port`.
        target: Option<String>,
    },
    /// The agent asks the gRPC health service (`grpc.health.v1.Health/Check`): serving is passing.
    Grpc {
        /// `host:port`.
        target: Option<String>,
        /// The service asked about; empty: the server as a whole.
        service: String,
        /// Over TLS.
        tls: Option<CheckTls>,
    },
    /// The agent sends an HTTP/2 ping. Consul: since 1.10.
    H2Ping {
        /// `host:port`.
        target: Option<String>,
        /// Over TLS; `None`: HTTP/2 without it, by prior knowledge.
        tls: Option<CheckTls>,
    },
    /// The service reports its health itself; silence for the TTL is critical. Portolan sends the reports.
    Ttl {
        /// How long a report holds. At least 1 s; default 30 s.
        ttl: Duration,
    },
    /// It is as healthy as another service or node: critical where that has a critical check, and so on.
    Alias {
        /// The other's node. `None`: the agent's own.
        node: Option<String>,
        /// The other instance, by id. `None`: the node itself.
        service: Option<ServiceId>,
    },
    /// The agent runs a program: exit code 0 is passing, 1 is warning, anything else is critical.
    ///
    /// The agent refuses it unless its operator allows it (`enable_script_checks`).
    Script {
        /// The program and its arguments. No shell reads them.
        args: Vec<String>,
    },
    /// The agent asks the operating system's service manager. It is passed on: the embedded registry refuses it.
    OsService {
        /// The service's name there.
        name: String,
    },
    /// The agent runs a program in a Docker container, as a script check does. It is passed on: the embedded registry
    /// refuses it.
    Docker {
        /// The container's id.
        container: String,
        /// The program and its arguments.
        args: Vec<String>,
        /// The shell that Consul may run it by. `None`: the agent's choice.
        shell: Option<String>,
    },
}

/// What is believed of the other side's certificate. Default: what the agent trusts, for the target's host.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CheckTls {
    /// Any certificate will do.
    pub skip_verify: bool,
    /// The name that the certificate must hold. `None`: the target's host.
    pub server_name: Option<String>,
}

impl CheckTls {
    /// A certificate that the agent trusts, for the target's host.
    #[must_use]
    pub fn verified() -> Self {
        Self::default()
    }

    /// Any certificate will do.
    #[must_use]
    pub fn unverified() -> Self {
        Self { skip_verify: true, server_name: None }
    }

    /// The name that the certificate must hold, and that the other side is told.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }
}

impl Check {
    /// A check of this kind, each 10 s where it is run.
    #[must_use]
    pub fn of(kind: CheckKind) -> Self {
        Self {
            id: None,
            name: None,
            notes: None,
            kind,
            interval: DEFAULT_INTERVAL,
            timeout: DEFAULT_TIMEOUT,
            initial: None,
            success_before_passing: 0,
            failures_before_warning: 0,
            failures_before_critical: 0,
            deregister_after: Some(DEFAULT_DEREGISTER_AFTER),
            misplaced: None,
        }
    }

    /// An HTTP check of a path on the instance's own address (`/health`), or of a whole URL, each 10 s.
    #[must_use]
    pub fn http(target: impl Into<String>) -> Self {
        Self::of(CheckKind::Http {
            target: target.into(),
            method: None,
            headers: BTreeMap::new(),
            body: String::new(),
            tls: None,
        })
    }

    /// An HTTP check over TLS, of a path on the instance's own address (`/health`) or of a whole `https://` URL.
    #[must_use]
    pub fn https(target: impl Into<String>) -> Self {
        Self::http(target).tls(CheckTls::verified())
    }

    /// A TCP check of the instance's own address, each 10 s.
    #[must_use]
    pub fn tcp() -> Self {
        Self::of(CheckKind::Tcp { target: None, tls: None })
    }

    /// A TCP check of `host:port`, each 10 s.
    #[must_use]
    pub fn tcp_at(target: impl Into<String>) -> Self {
        Self::tcp().at(target)
    }

    /// A UDP check of the instance's own address, each 10 s.
    #[must_use]
    pub fn udp() -> Self {
        Self::of(CheckKind::Udp { target: None })
    }

    /// A gRPC check of a service on the instance's own address, each 10 s; an empty name asks for the server as a whole.
    #[must_use]
    pub fn grpc(service: impl Into<String>) -> Self {
        Self::of(CheckKind::Grpc { target: None, service: service.into(), tls: None })
    }

    /// An HTTP/2 ping of the instance's own address without TLS, each 10 s.
    #[must_use]
    pub fn h2_ping() -> Self {
        Self::of(CheckKind::H2Ping { target: None, tls: None })
    }

    /// A TTL check: the service reports, and Portolan sends the reports at a third of `ttl`.
    #[must_use]
    pub fn ttl(ttl: Duration) -> Self {
        Self::of(CheckKind::Ttl { ttl })
    }

    /// As healthy as another instance on the agent's own node.
    #[must_use]
    pub fn alias_of(service: ServiceId) -> Self {
        Self::of(CheckKind::Alias { node: None, service: Some(service) })
    }

    /// As healthy as a node.
    #[must_use]
    pub fn alias_of_node(node: impl Into<String>) -> Self {
        Self::of(CheckKind::Alias { node: Some(node.into()), service: None })
    }

    /// A program that the agent runs, with its arguments, each 10 s. The agent must allow it.
    #[must_use]
    pub fn script<T: Into<String>>(args: impl IntoIterator<Item = T>) -> Self {
        Self::of(CheckKind::Script { args: args.into_iter().map(Into::into).collect() })
    }

    /// A service of the agent's operating system, each 10 s.
    #[must_use]
    pub fn os_service(name: impl Into<String>) -> Self {
        Self::of(CheckKind::OsService { name: name.into() })
    }

    /// A program that the agent runs in a Docker container, each 10 s. The agent must allow scripts.
    #[must_use]
    pub fn docker<T: Into<String>>(container: impl Into<String>, args: impl IntoIterator<Item = T>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Self::of(CheckKind::Docker { container: container.into(), args, shell: None })
    }

    /// From one run to the next; a TTL or alias check has none.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.interval = every;
        self
    }

    /// How long one run may take; a TTL or alias check has none.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Its id on the agent, in place of `service:ID`.
    #[must_use]
    pub fn with_id(mut self, id: CheckId) -> Self {
        self.id = Some(id);
        self
    }

    /// Its name for people.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// A word to people about it.
    #[must_use]
    pub fn with_notes(mut self, notes: impl Into<String>) -> Self {
        self.notes = Some(notes.into());
        self
    }

    /// The status until it has run.
    #[must_use]
    pub fn starting(mut self, status: Status) -> Self {
        self.initial = Some(status);
        self
    }

    /// Runs in a row that change the status: to passing, to warning, to critical. 0 means the first one does.
    #[must_use]
    pub fn thresholds(mut self, passing: u16, warning: u16, critical: u16) -> Self {
        self.success_before_passing = passing;
        self.failures_before_warning = warning;
        self.failures_before_critical = critical;
        self
    }

    /// How long it may be critical before the instance is removed; `None`: never.
    #[must_use]
    pub fn deregister_after(mut self, after: Option<Duration>) -> Self {
        self.deregister_after = after;
        self
    }

    /// Whether the service itself must report for it.
    #[must_use]
    pub fn is_ttl(&self) -> bool {
        matches!(self.kind, CheckKind::Ttl { .. })
    }
}

#[cfg(test)]
mod tests;
