//! Definitions of health checks: what the registry's agent runs, or waits to hear, to know an instance's health. PURE.
//!
//! In:  a kind and its settings, with the defaults people know. Out: a definition that has been checked.
//!
//! Never: sends anything; guesses a target. A path is completed with the instance's address when it is registered.
//!
//! Rules from Consul: website/content/docs/reference/service/health-check.mdx, agent/structs/check_type.go.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::Duration;

use crate::{
    duration::format_duration,
    error::{Error, Kind},
    model::{CheckId, Status},
};

/// How often HTTP and TCP checks run unless set: 10 s.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
/// How long one run may take unless set: 5 s.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a TTL check stays as reported unless set: 30 s.
pub const DEFAULT_TTL: Duration = Duration::from_secs(30);
/// How long an instance may be critical before it is removed, unless set: 10 min, more than any usual outage.
pub const DEFAULT_DEREGISTER_AFTER: Duration = Duration::from_secs(600);

/// One health check of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// Its id. `None`: `service:ID`, with `:N` when there are several, as Consul numbers them.
    pub id: Option<CheckId>,
    /// Its name for people. `None`: `Service 'NAME' check`, as Consul names it.
    pub name: Option<String>,
    /// What is checked, and how.
    pub kind: CheckKind,
    /// The status until it has run. `None`: critical, as in Consul.
    pub initial: Option<Status>,
    /// Passing runs in a row before it is passing. Default 0: the first one counts.
    pub success_before_passing: u16,
    /// Failed runs in a row before it is warning. Default 0: no warning stage.
    pub failures_before_warning: u16,
    /// Failed runs in a row before it is critical. Default 0: the first one counts.
    pub failures_before_critical: u16,
    /// How long it may be critical before the instance is removed; at least 1 min. `None`: never. Default 10 min.
    pub deregister_after: Option<Duration>,
}

/// The kinds of checks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckKind {
    /// The agent sends a GET: 2xx is passing, 429 is warning, anything else is critical.
    Http {
        /// A path on the instance's own address (`/health`), or a whole URL.
        target: String,
        /// From one run to the next. Default 10 s.
        interval: Duration,
        /// How long a run may take. Default 5 s.
        timeout: Duration,
    },
    /// The agent opens a connection.
    Tcp {
        /// `host:port`. `None`: the instance's own address.
        target: Option<String>,
        /// From one run to the next. Default 10 s.
        interval: Duration,
        /// How long a run may take. Default 5 s.
        timeout: Duration,
    },
    /// The service reports its health itself; silence for the TTL is critical. Portolan sends the reports.
    Ttl {
        /// How long a report holds. At least 1 s; default 30 s.
        ttl: Duration,
    },
}

impl Check {
    fn of(kind: CheckKind) -> Self {
        Self {
            id: None,
            name: None,
            kind,
            initial: None,
            success_before_passing: 0,
            failures_before_warning: 0,
            failures_before_critical: 0,
            deregister_after: Some(DEFAULT_DEREGISTER_AFTER),
        }
    }

    /// An HTTP check of a path on the instance's own address (`/health`), or of a whole URL, each 10 s.
    #[must_use]
    pub fn http(target: impl Into<String>) -> Self {
        Self::of(CheckKind::Http {
            target: target.into(),
            interval: DEFAULT_INTERVAL,
            timeout: DEFAULT_TIMEOUT,
        })
    }

    /// A TCP check of the instance's own address, each 10 s.
    #[must_use]
    pub fn tcp() -> Self {
        Self::of(CheckKind::Tcp { target: None, interval: DEFAULT_INTERVAL, timeout: DEFAULT_TIMEOUT })
    }

    /// A TCP check of `host:port`, each 10 s.
    #[must_use]
    pub fn tcp_at(target: impl Into<String>) -> Self {
        Self::of(CheckKind::Tcp {
            target: Some(target.into()),
            interval: DEFAULT_INTERVAL,
            timeout: DEFAULT_TIMEOUT,
        })
    }

    /// A TTL check: the service reports, and Portolan sends the reports at a third of `ttl`.
    #[must_use]
    pub fn ttl(ttl: Duration) -> Self {
        Self::of(CheckKind::Ttl { ttl })
    }

    /// From one run to the next, for HTTP and TCP; a TTL check has none and keeps its TTL.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        match &mut self.kind {
            CheckKind::Http { interval, .. } | CheckKind::Tcp { interval, .. } => *interval = every,
            CheckKind::Ttl { .. } => {}
        }
        self
    }

    /// How long one run may take, for HTTP and TCP.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        match &mut self.kind {
            CheckKind::Http { timeout, .. } | CheckKind::Tcp { timeout, .. } => *timeout = limit,
            CheckKind::Ttl { .. } => {}
        }
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

    /// Checks what can be checked before an address is known.
    ///
    /// # Errors
    /// [`Kind::Config`], naming the field under `field` (for example `check[1].interval`).
    pub fn validate(&self, field: &str) -> Result<(), Error> {
        match &self.kind {
            CheckKind::Http { target, interval, timeout } => {
                http_target(field, target)?;
                schedule(field, *interval, *timeout)?;
            }
            CheckKind::Tcp { target, interval, timeout } => {
                if let Some(target) = target {
                    tcp_target(field, target)?;
                }
                schedule(field, *interval, *timeout)?;
            }
            CheckKind::Ttl { ttl } if *ttl < Duration::from_secs(1) => {
                return wrong(
                    field,
                    "ttl",
                    &format_duration(*ttl),
                    "is under 1s; use 1s or more (15s is usual)",
                );
            }
            CheckKind::Ttl { .. } => {}
        }
        if self.initial == Some(Status::Maintenance) {
            return wrong(
                field,
                "status",
                "maintenance",
                "is no status of a check; use passing, warning or critical",
            );
        }
        if self.failures_before_warning > self.failures_before_critical && self.failures_before_critical > 0 {
            let found = self.failures_before_warning.to_string();
            return wrong(
                field,
                "failures_before_warning",
                &found,
                "is over failures_before_critical; lower it",
            );
        }
        match self.deregister_after {
            Some(after) if after < Duration::from_secs(60) => wrong(
                field,
                "deregister_after",
                &format_duration(after),
                "is under 1m, Consul's least; use 1m or more",
            ),
            _ => Ok(()),
        }
    }
}

fn http_target(field: &str, target: &str) -> Result<(), Error> {
    let is_url = target.starts_with("http://") || target.starts_with("https://");
    if !(target.starts_with('/') || is_url) || target.contains(|c: char| c.is_control() || c == ' ') {
        return wrong(
            field,
            "http",
            target,
            "is neither a path such as \"/health\" nor an http:// or https:// URL",
        );
    }
    if is_url {
        let parsed = target.parse::<http::Uri>().map_err(|cause| {
            Error::new(
                Kind::Config,
                format!("{field}.http: {target:?} is not a URL; write \"http://host:port/path\""),
            )
            .caused_by(cause)
        })?;
        if parsed.host().is_none_or(str::is_empty) {
            return wrong(field, "http", target, "names no host; write \"http://host:port/path\"");
        }
    }
    Ok(())
}

fn tcp_target(field: &str, target: &str) -> Result<(), Error> {
    let port =
        target.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse().ok());
    match port {
        Some(1u16..) => Ok(()),
        _ => wrong(field, "tcp", target, "is not \"host:port\" with a port from 1 to 65535"),
    }
}

fn schedule(field: &str, interval: Duration, timeout: Duration) -> Result<(), Error> {
    if interval < Duration::from_secs(1) {
        return wrong(
            field,
            "interval",
            &format_duration(interval),
            "is under 1s, Consul's least; use 1s or more",
        );
    }
    if timeout.is_zero() {
        return wrong(field, "timeout", "0s", "leaves no time for an answer; use 1s or more");
    }
    Ok(())
}

fn wrong<T>(field: &str, name: &str, found: &str, problem: &str) -> Result<T, Error> {
    Err(Error::new(Kind::Config, format!("{field}.{name}: {found:?} {problem}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_people_know() {
        let check = Check::http("/health");
        let CheckKind::Http { interval, timeout, .. } = check.kind else { panic!("an HTTP check") };
        assert_eq!((interval, timeout), (Duration::from_secs(10), Duration::from_secs(5)));
        assert_eq!(check.deregister_after, Some(Duration::from_secs(600)));
        assert_eq!(check.initial, None);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_field() {
        let second = Duration::from_secs(1);
        for (check, says) in [
            (Check::http("health"), "c.http: \"health\" is neither a path"),
            (Check::http("/a b"), "c.http: \"/a b\" is neither a path"),
            (Check::http("/a\tb"), "c.http: \"/a\\tb\" is neither a path"),
            (Check::http("http://"), "c.http: \"http://\" is not a URL"),
            (Check::tcp_at("db"), "c.tcp: \"db\" is not \"host:port\""),
            (Check::tcp_at("db:0"), "c.tcp: \"db:0\""),
            (Check::tcp_at(":80"), "c.tcp: \":80\""),
            (Check::tcp().every(Duration::ZERO), "c.interval: \"0s\" is under 1s"),
            (Check::tcp().timeout(Duration::ZERO), "c.timeout: \"0s\""),
            (Check::ttl(Duration::from_millis(10)), "c.ttl: \"10ms\" is under 1s"),
            (Check::tcp().starting(Status::Maintenance), "c.status: \"maintenance\""),
            (Check::tcp().thresholds(0, 3, 2), "c.failures_before_warning: \"3\""),
            (Check::tcp().deregister_after(Some(second)), "c.deregister_after: \"1s\" is under 1m"),
        ] {
            let error = check.validate("c").unwrap_err();
            assert!(error.to_string().starts_with(says), "{error}");
        }
        for check in [
            Check::http("/h"),
            Check::http("https://a.b:1/x"),
            Check::tcp_at("[::1]:80"),
            Check::ttl(second),
            Check::tcp().every(second),
            Check::tcp().deregister_after(Some(second * 60)),
            Check::tcp().deregister_after(None),
            // A threshold of zero is none.
            Check::tcp().thresholds(0, 2, 3),
            Check::tcp().thresholds(0, 3, 3),
            Check::tcp().thresholds(0, 3, 0),
        ] {
            check.validate("c").unwrap();
        }
        assert!(Check::ttl(second).is_ttl() && !Check::tcp().is_ttl());
    }
}
