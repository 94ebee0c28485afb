//! What an instance says of itself on a command line: the flags that `register` and `run` share.
//!
//! In:  flags. Out: a [`Registration`].
//!
//! Never: drops a flag in silence that no check has a use for.

use std::time::Duration;

use clap::Args;
use portolan::{
    Address, Check, CheckKind, CheckTls, Registration, ServiceId, Status, Weights, depend::Needs,
};

use crate::{
    config::{Pair, duration, version},
    exit::Usage,
};

mod check;

/// How checks are written, for `--help`.
pub(crate) const CHECKS: &str = "\
Checks, of the instance's own address where no other is given:
  http:/PATH http:URL https:/PATH   a GET; 2xx is passing, 429 warning
  tcp  tcp:HOST:PORT                a connection
  udp  udp:HOST:PORT                a datagram that is not refused
  grpc  grpc:[HOST:PORT][/SERVICE]  gRPC's health service
  h2ping  h2ping:HOST:PORT          an HTTP/2 ping
  ttl:DURATION                      the service reports, by PUT /v1/agent/check/pass/CHECK-ID
  alias:ID                          as healthy as another instance of the agent
  script:COMMAND                    the agent runs `sh -c COMMAND`: 0 is passing, 1 warning; it must allow it
  docker:CONTAINER:COMMAND          the same in a container
  os-service:NAME                   the agent asks the service manager of its system";

#[derive(Clone, Debug, Args)]
pub(crate) struct InstanceArgs {
    /// Where it can be reached: an address, `interface:NAME`, `node` for the address of the agent's node, or `auto`,
    /// which is the address that the way to the registry leaves from.
    #[arg(long, value_name = "auto|node|interface:NAME|ADDRESS", default_value = "auto")]
    address: Address,
    /// Its id on the agent. Default: name, host, port and a random part.
    #[arg(long)]
    id: Option<ServiceId>,
    /// What it needs, as in 'db@^14,cache?': see `portolan deps --help`. May be given several times.
    #[arg(long, value_name = "NEEDS")]
    needs: Vec<Needs>,
    /// A tag; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// A pair of its meta; may be given several times.
    #[arg(long = "meta", value_name = "KEY=VALUE")]
    meta: Vec<Pair>,
    /// Its version, kept as meta `version`.
    #[arg(long = "version", value_name = "VERSION", value_parser = version)]
    version: Option<semver::Version>,
    /// Its zone, kept as meta `zone`.
    #[arg(long)]
    zone: Option<String>,
    /// Its region, kept as meta `region`.
    #[arg(long)]
    region: Option<String>,
    /// Its share of requests against the others, 1 to 65535.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    weight: u16,
    /// A health check; may be given several times.
    #[arg(long = "check", value_name = "CHECK", value_parser = check::read, help_heading = "Checks")]
    pub(crate) checks: Vec<Check>,
    #[command(flatten)]
    settings: CheckArgs,
}

/// What is said for all checks.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Checks")]
struct CheckArgs {
    /// From one run of a check to the next, at least 1s. Default 10s.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    interval: Option<Duration>,
    /// How long a run may take. Default 5s.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// How long it may be critical before the agent removes it, at least 1m. Default 10m.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    deregister_after: Option<Duration>,
    /// The status until the first run: passing, warning or critical. Default critical.
    #[arg(long, value_name = "STATUS", value_parser = check::status)]
    initial: Option<Status>,
    /// Passing runs in a row before it is passing. Default: the first one counts.
    #[arg(long, value_name = "N", default_value_t, hide_default_value = true)]
    success_before_passing: u16,
    /// Failed runs in a row before it is warning. Default: no warning stage.
    #[arg(long, value_name = "N", default_value_t, hide_default_value = true)]
    failures_before_warning: u16,
    /// Failed runs in a row before it is critical. Default: the first one counts.
    #[arg(long, value_name = "N", default_value_t, hide_default_value = true)]
    failures_before_critical: u16,
    /// The method of HTTP checks, in place of GET.
    #[arg(long)]
    method: Option<String>,
    /// A header of HTTP checks; may be given several times.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = check::header)]
    headers: Vec<(String, String)>,
    /// TCP, gRPC and HTTP/2 checks go over TLS; HTTP checks say it themselves, by https.
    #[arg(long)]
    tls: bool,
    /// Checks over TLS take any certificate.
    #[arg(long)]
    tls_skip_verify: bool,
    /// The name that the certificate holds, for checks over TLS.
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,
}

impl InstanceArgs {
    /// The flags as the library takes them.
    ///
    /// # Errors
    /// A flag is wrong beside the others.
    pub(crate) fn registration(&self, name: &str, port: u16) -> anyhow::Result<Registration> {
        let weights = Weights { passing: self.weight, ..Weights::default() };
        let mut registration = Registration::new(name, port)
            .address(self.address.clone())
            .tags(self.tags.iter().cloned())
            .weights(weights)
            .needs(self.needs());
        for pair in &self.meta {
            registration = registration.meta(&pair.key, &pair.value);
        }
        if let Some(id) = &self.id {
            registration = registration.id(id.as_str());
        }
        if let Some(version) = &self.version {
            registration = registration.version(version.to_string());
        }
        if let Some(zone) = &self.zone {
            registration = registration.zone(zone);
        }
        if let Some(region) = &self.region {
            registration = registration.region(region);
        }
        let registration = registration.checks(self.settings.apply(&self.checks)?);
        registration.validate()?;
        Ok(registration)
    }

    /// All that it needs.
    pub(crate) fn needs(&self) -> Needs {
        self.needs.iter().flat_map(Needs::iter).cloned().collect()
    }
}

impl CheckArgs {
    fn apply(&self, checks: &[Check]) -> Result<Vec<Check>, Usage> {
        let all: Vec<Check> = checks.iter().map(|check| self.on(check.clone())).collect();
        let any = |has: fn(&CheckKind) -> bool| all.iter().any(|check| has(&check.kind));
        let is_http = |kind: &CheckKind| matches!(kind, CheckKind::Http { .. });
        let wrong = if (self.method.is_some() || !self.headers.is_empty()) && !any(is_http) {
            "--method and --header are for HTTP checks; add --check http:/PATH, or leave them out"
        } else if self.tls && !any(takes_tls) {
            "--tls is for TCP, gRPC and HTTP/2 checks; HTTP checks are written https:/PATH"
        } else if (self.tls_skip_verify || self.tls_server_name.is_some()) && !any(is_over_tls) {
            "--tls-skip-verify and --tls-server-name are for checks over TLS; add --tls, or write https:/PATH"
        } else if self.is_set() && all.is_empty() {
            "there is no check to set this for; give one with --check"
        } else {
            return Ok(all);
        };
        Err(Usage(wrong.to_owned()))
    }

    fn is_set(&self) -> bool {
        let counts =
            [self.success_before_passing, self.failures_before_warning, self.failures_before_critical];
        self.interval.or(self.timeout).or(self.deregister_after).is_some()
            || self.initial.is_some()
            || counts.iter().any(|count| *count > 0)
    }

    /// The check with what was said for all of its kind.
    fn on(&self, mut check: Check) -> Check {
        check.interval = self.interval.unwrap_or(check.interval);
        check.timeout = self.timeout.unwrap_or(check.timeout);
        check.deregister_after = self.deregister_after.or(check.deregister_after);
        check.initial = self.initial;
        check = check.thresholds(
            self.success_before_passing,
            self.failures_before_warning,
            self.failures_before_critical,
        );
        if matches!(check.kind, CheckKind::Http { .. }) {
            if let Some(method) = &self.method {
                check = check.method(method);
            }
            for (name, value) in &self.headers {
                check = check.header(name, value);
            }
        }
        if self.tls && takes_tls(&check.kind) {
            check = check.tls(CheckTls::verified());
        }
        if is_over_tls(&check.kind) {
            let mut tls = CheckTls::default();
            tls.skip_verify = self.tls_skip_verify;
            tls.server_name.clone_from(&self.tls_server_name);
            check = check.tls(tls);
        }
        check
    }
}

/// Whether it goes over TLS when it is asked to.
fn takes_tls(kind: &CheckKind) -> bool {
    matches!(kind, CheckKind::Tcp { .. } | CheckKind::Grpc { .. } | CheckKind::H2Ping { .. })
}

fn is_over_tls(kind: &CheckKind) -> bool {
    match kind {
        CheckKind::Http { target, tls, .. } => tls.is_some() || target.starts_with("https://"),
        CheckKind::Tcp { tls, .. } | CheckKind::Grpc { tls, .. } | CheckKind::H2Ping { tls, .. } => {
            tls.is_some()
        }
        _ => false,
    }
}
