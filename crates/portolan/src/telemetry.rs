//! Every metric, span and event of the library, in one place: dashboards depend on their names.
//!
//! The library only names and records; the program chooses where they go (the [`metrics`] and [`tracing`] facades). Metrics
//! are named as Prometheus has them. Fields of spans are OpenTelemetry's where it has one (semantic conventions, HTTP);
//! `otel.kind` and `otel.status_code` are what `tracing-opentelemetry` reads. What is ours alone begins with `portolan.`.
//!
//! Cost: a warm lookup records nothing. Picks and peeks are counted in plain atomics beside the resolver, which count what
//! is in flight anyway, and its task folds them in each ten seconds; [`Endpoint::trace`](crate::Endpoint::trace) is for who
//! wants an event of one lookup. A span that nobody listens to costs the look at one flag.
//!
//! Bounded: services, datacentres, probes and caches are labels; instances are not. They are fields of spans and logs.
//!
//! Never: a label with an instance in it; a metric recorded on the path of a warm lookup.
//!
//! Proof: `telemetry/tests.rs` (each record in the code is as it is listed here), `tests/metrics.rs`, and the command's
//! `tests/telemetry.rs` (docs/metrics.md and the dashboards).

use std::{fmt::Display, time::Duration};

use tracing::{
    Span,
    field::{Empty, debug, display},
};

use crate::{duration::format_duration, model::Instance};

/// What is measured: name, kind and meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, as Prometheus shows it.
    pub name: &'static str,
    /// How it moves.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells, the values of its labels, and when to worry.
    pub meaning: &'static str,
}

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by size, their sum and their number.
    Histogram,
}

impl Metric {
    /// The unit, as the name tells it; `None`: a plain number.
    #[must_use]
    pub fn unit(&self) -> Option<&'static str> {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(unit))
    }
}

impl MetricKind {
    /// One word, as Prometheus has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A span, or an event in the span of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Its name.
    pub name: &'static str,
    /// The names of its fields.
    pub fields: &'static [&'static str],
    /// What it is of.
    pub meaning: &'static str,
}

macro_rules! measured {
    ($($(#[doc = $doc:literal])+ $kind:ident $name:ident = $text:literal, [$($label:literal),*];)+) => {
        $($(#[doc = $doc])+ pub(crate) const $name: &str = $text;)+

        /// Every metric of the library.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $text,
            kind: MetricKind::$kind,
            labels: &[$($label),*],
            meaning: concat!($($doc),+),
        }),+];

        /// The names in the code, in the same order.
        #[cfg(test)]
        const CONSTANTS: &[&str] = &[$(stringify!($name)),+];
    };
}

measured! {
    /// Picks and peeks answered. Labels: `service`, `outcome` (`picked`, `none`). Folded in each ten seconds; peeks are an estimate, one in 256 counted.
    Counter LOOKUPS = "portolan_lookups_total", ["service", "outcome"];
    /// Requests that failed, by what came next. Labels: `service`, `outcome` (`sent`: a retry; and for none: `tries`,
    /// `not_idempotent`, `budget`, `deadline`, `no_instance`). `budget` at all: the service fails for many.
    Counter RETRIES = "portolan_retries_total", ["service", "outcome"];
    /// Times an instance was ejected for what came of its requests. Labels: `service`, `reason` (`failures_in_a_row`,
    /// `failing`, `slow`, `probe`). Steady growth: look at the instance that the log names.
    Counter EJECTIONS = "portolan_ejections_total", ["service", "reason"];
    /// Instances that are ejected now. Labels: `service`.
    Gauge EJECTED = "portolan_ejected", ["service"];
    /// `service()` calls by whether the view was there. Labels: `service`, `result` (`hit`, `miss`). Hits are folded in
    /// each ten seconds.
    Counter VIEW_LOOKUPS = "portolan_view_lookups_total", ["service", "result"];
    /// Views that are followed, or kept for their next use. Growth without end: names are looked up that nobody needs twice.
    Gauge VIEWS = "portolan_views", [];
    /// Answers taken in by a view. Labels: `service`, `changed` (`true`, `false`).
    Counter VIEW_REFRESHES = "portolan_view_refreshes_total", ["service", "changed"];
    /// Reads that failed. Labels: `service`, `kind`. A few at a restart are normal; steady growth means an outage.
    Counter VIEW_FAILURES = "portolan_view_failures_total", ["service", "kind"];
    /// Answers whose index went down. Labels: `service`. More than one a minute: look at the servers.
    Counter INDEX_RESETS = "portolan_view_index_resets_total", ["service"];
    /// Answers of an earlier state, or that lost too much, which the leader confirmed first. Labels: `service`.
    Counter SUSPECT_ANSWERS = "portolan_view_suspect_answers_total", ["service"];
    /// Instances that a watch had missed or showed wrongly, as the leader's word showed. Labels: `service`. Any: the agent or
    /// a server has a stuck cache; look at its log, and restart it if they go on.
    Counter DIVERGENCES = "portolan_view_divergences_total", ["service"];
    /// Whether a view rests because nobody uses it: 1 or 0. Labels: `service`.
    Gauge VIEW_DORMANT = "portolan_view_dormant", ["service"];
    /// Instances in a view. Labels: `service`, `status`. `held` counts those kept though the registry forgot them.
    Gauge VIEW_INSTANCES = "portolan_view_instances", ["service", "status"];
    /// Whether a view's last read succeeded: 1 or 0. Labels: `service`.
    Gauge VIEW_UP = "portolan_view_up", ["service"];
    /// Answers taken in by a watch of the list of services. Labels: `datacenter` (`local`: the agent's own), `changed`
    /// (`true`, `false`). The list's index moves with any change of any service, so most change nothing.
    Counter CATALOG_REFRESHES = "portolan_catalog_refreshes_total", ["datacenter", "changed"];
    /// Reads of the list of services that failed. Labels: `datacenter`, `kind`. Steady growth means an outage.
    Counter CATALOG_FAILURES = "portolan_catalog_failures_total", ["datacenter", "kind"];
    /// Lists whose index went down. Labels: `datacenter`. More than one a minute: look at the servers.
    Counter CATALOG_INDEX_RESETS = "portolan_catalog_index_resets_total", ["datacenter"];
    /// Lists of an earlier state, or that lost too much, which the leader confirmed first. Labels: `datacenter`.
    Counter CATALOG_SUSPECT_ANSWERS = "portolan_catalog_suspect_answers_total", ["datacenter"];
    /// Services in the list. Labels: `datacenter`, `state` (`confirmed`, `held`).
    Gauge CATALOG_SERVICES = "portolan_catalog_services", ["datacenter", "state"];
    /// Whether the last read of the list succeeded: 1 or 0. Labels: `datacenter`.
    Gauge CATALOG_UP = "portolan_catalog_up", ["datacenter"];
    /// Services that an operator's file forces. More than none for long: somebody forgot one.
    Gauge OVERRIDDEN = "portolan_overrides_services", [];
    /// Times the overrides file became wrong or unreadable; what it said before stays. Any: see the log for the line.
    Counter OVERRIDES_REFUSED = "portolan_overrides_refused_total", [];
    /// Services whose requests an operator's file shares between versions. More than none for long: a canary that nobody ends.
    Gauge SPLIT = "portolan_splits_services", [];
    /// Times the splits file became wrong or unreadable; what it said before stays. Any: see the log for the line.
    Counter SPLITS_REFUSED = "portolan_splits_refused_total", [];
    /// Views asked of a cache. Labels: `cache`, `outcome` (`hit`, `miss`, `error`, and for what is there but not used:
    /// `damaged`, `not_ours`, `newer_format`, `other_key`, `unsigned`, `bad_signature`, `too_old`). `damaged` at all: look at
    /// the disk; `bad_signature` at all: somebody else writes there. Asked at a view's start, and each 10 s while it fails.
    Counter CACHE_LOADS = "portolan_cache_loads_total", ["cache", "outcome"];
    /// Views given to a cache. Labels: `cache`, `outcome` (`ok`, `error`). Steady errors: a restart in an outage would begin
    /// with nothing.
    Counter CACHE_SAVES = "portolan_cache_saves_total", ["cache", "outcome"];
    /// Whether a cache works: 1 or 0. Labels: `cache`. 0 for minutes: look at its disk or its server.
    Gauge CACHE_UP = "portolan_cache_up", ["cache"];
    /// How long a read that did not wait took, in seconds. Labels: `operation`.
    Histogram REQUEST_SECONDS = "portolan_registry_request_seconds", ["operation"];
    /// Calls to the registry. Labels: `operation`, `outcome` (`ok` or the kind of error).
    Counter REQUESTS = "portolan_registry_requests_total", ["operation", "outcome"];
    /// Where the circuit breaker of a kind of call stands: 0 closed (calls are sent), 1 half open (one probe), 2 open. Labels:
    /// `calls` (`reads`, `writes`, `reports`), `datacenter` (empty: the agent's own). Not 0 for minutes: the registry is away.
    Gauge BREAKER_STATE = "portolan_registry_breaker_state", ["calls", "datacenter"];
    /// Times a breaker opened or closed. Labels: `calls`, `datacenter`, `to` (`open`, `closed`). More than a few an hour: the
    /// registry answers now and then; look at its load.
    Counter BREAKER_TRANSITIONS = "portolan_registry_breaker_transitions_total", ["calls", "datacenter", "to"];
    /// Calls that were given up before they were sent: the breaker was open, or the budget used up. Labels: `calls`,
    /// `datacenter`. Growth while the breaker is closed: raise the guard's limits, or follow fewer services.
    Counter CALLS_NOT_SENT = "portolan_registry_calls_not_sent_total", ["calls", "datacenter"];
    /// Times the reads went over to another address of the registry. Labels: `to`. Any but the first: look at the first
    /// address.
    Counter READS_MOVED = "portolan_registry_reads_moved_total", ["to"];
    /// Instances left out of an answer because a number in them is out of range. Any: look at who registers them.
    Counter INSTANCES_UNREADABLE = "portolan_registry_instances_unreadable_total", [];
    /// How many registrations of this process are in each state. Labels: `service`, `state`.
    Gauge REGISTRATION_STATE = "portolan_registration_state", ["service", "state"];
    /// Times a need of a service of this process was met or lost. Labels: `service`, `to` (`met`, `lost`). `lost` at all: look at
    /// what is needed; the log names it.
    Counter NEEDS_CHANGED = "portolan_needs_changed_total", ["service", "to"];
    /// Whether a service of this process is ready by what it needs: 1 or 0. Labels: `service`.
    Gauge NEEDS_READY = "portolan_needs_ready", ["service"];
    /// Times an instance was sent to the agent. Labels: `service`, `reason` (`new`, `missing`, `drift`).
    Counter REGISTRATIONS = "portolan_registrations_total", ["service", "reason"];
    /// Health reports sent for TTL checks. Labels: `service`, `outcome` (`ok` or the kind of error).
    Counter REPORTS = "portolan_check_reports_total", ["service", "outcome"];
    /// How long a health report took from when it was sent, in seconds. Labels: `service`. Near a quarter of the TTL, where it
    /// is given up and sent again: the agent is too slow.
    Histogram REPORT_SECONDS = "portolan_check_report_seconds", ["service"];
    /// How long a run of a probe of the health endpoint took, in seconds; one that is late counts with its deadline. Labels:
    /// `probe`. Near the deadline: raise it, or look at the component.
    Histogram HEALTH_PROBE_SECONDS = "portolan_health_probe_seconds", ["probe"];
    /// Runs of probes that were critical. Labels: `probe`, `reason` (`critical`: it said so, `deadline`, `panic`). `panic` at
    /// all: a bug in the probe; see the log.
    Counter HEALTH_PROBE_FAILURES = "portolan_health_probe_failures_total", ["probe", "reason"];
    /// How long a run of a registration's health function took, in seconds; one that is late counts with its deadline. Labels:
    /// `service`. Near the deadline: raise it, or look at what it asks.
    Histogram HEALTH_FUNCTION_SECONDS = "portolan_health_function_seconds", ["service"];
    /// Runs of health functions that were critical. Labels: `service`, `reason` (`critical`: it said so, `deadline`, `panic`).
    /// `panic` at all: a bug in the function; see the log.
    Counter HEALTH_FUNCTION_FAILURES = "portolan_health_function_failures_total", ["service", "reason"];
    /// Tasks that panicked and were started again. Labels: `task`. Any is a bug: report it.
    Counter TASK_PANICS = "portolan_task_panics_total", ["task"];
}

/// Tells the recorder that is installed what each metric means: call it once that has been done. Without it the metrics come
/// all the same, and without a word.
pub fn describe() {
    for metric in METRICS {
        let (name, meaning) = (metric.name, metric.meaning.trim_start());
        match metric.kind {
            MetricKind::Counter => metrics::describe_counter!(name, meaning),
            MetricKind::Gauge => metrics::describe_gauge!(name, meaning),
            MetricKind::Histogram => metrics::describe_histogram!(name, meaning),
        }
    }
}

/// The span of one request to the registry.
pub(crate) const REQUEST_SPAN: &str = "registry_request";
/// The span of one try of a request to an instance.
pub(crate) const CALL_SPAN: &str = "request";

/// Every span and event of the library beside its log, all at level debug.
pub const TRACED: &[Traced] = &[
    Traced {
        name: REQUEST_SPAN,
        fields: &[
            "otel.kind",
            "http.request.method",
            "url.path",
            "server.address",
            "http.response.status_code",
            "error.type",
            "otel.status_code",
            "portolan.operation",
            "portolan.index",
            "portolan.wait",
        ],
        meaning: "One request to the registry. `portolan.operation` is what it is for, as in the metrics; `portolan.index` and \
            `portolan.wait` are those of a blocking query; `error.type` is the kind of error.",
    },
    Traced {
        name: CALL_SPAN,
        fields: &[
            "otel.kind",
            "server.address",
            "server.port",
            "error.type",
            "otel.status_code",
            "portolan.service",
            "portolan.instance",
            "portolan.attempt",
            "portolan.source",
            "portolan.age",
        ],
        meaning: "One try of a request to an instance, by `Resolver::call` or an adapter. `portolan.attempt` counts from 1; \
            `portolan.source` and `portolan.age` tell where what is known of the instance is from, and how old it is.",
    },
    Traced {
        name: "lookup",
        fields: &[
            "message",
            "server.address",
            "server.port",
            "portolan.service",
            "portolan.instance",
            "portolan.source",
            "portolan.age",
        ],
        meaning: "An event in the caller's span, by `Endpoint::trace`: what was picked, and how fresh it is. A lookup alone \
            makes none.",
    },
];

/// The span of a request to the registry, with the index and the wait of a blocking query; what comes of it is recorded by
/// [`answered`] and [`failed`].
pub(crate) fn request_span(
    operation: &'static str,
    method: &http::Method,
    path: &str,
    block: Option<(u64, Duration)>,
) -> Span {
    tracing::debug_span!(
        REQUEST_SPAN,
        otel.kind = "client",
        http.request.method = method.as_str(),
        url.path = path,
        server.address = Empty,
        http.response.status_code = Empty,
        error.type = Empty,
        otel.status_code = Empty,
        portolan.operation = operation,
        portolan.index = block.map(|(index, _)| index),
        portolan.wait = block.map(|(_, wait)| display(format_duration(wait))),
    )
}

/// The span of the request that is under way; where nobody listens to those, not that of the caller.
fn current_request() -> Span {
    let span = Span::current();
    let is_ours = span.metadata().is_some_and(|metadata| metadata.name() == REQUEST_SPAN);
    if is_ours { span } else { Span::none() }
}

/// Which address the request that is under way goes to.
pub(crate) fn sent_to(address: &str) {
    current_request().record("server.address", address);
}

/// The status of its answer.
pub(crate) fn answered(status: http::StatusCode) {
    current_request().record("http.response.status_code", status.as_u16());
}

/// What was asked for did not come.
pub(crate) fn failed(span: &Span, kind: &'static str) {
    span.record("error.type", kind).record("otel.status_code", "ERROR");
}

/// The span of one try of a request to an instance. `freshness`, source and age, is asked only where somebody listens.
pub(crate) fn call_span<S: Display>(
    instance: &Instance,
    attempt: u32,
    freshness: impl FnOnce() -> (S, Option<Duration>),
) -> Span {
    let span = tracing::debug_span!(
        CALL_SPAN,
        otel.kind = "client",
        server.address = &*instance.address,
        server.port = instance.port,
        error.type = Empty,
        otel.status_code = Empty,
        portolan.service = &*instance.service,
        portolan.instance = &*instance.identity.id,
        portolan.attempt = attempt,
        portolan.source = Empty,
        portolan.age = Empty,
    );
    if !span.is_disabled() {
        let (source, age) = freshness();
        span.record("portolan.source", display(source)).record("portolan.age", debug(age));
    }
    span
}

/// The event of one lookup.
pub(crate) fn lookup(instance: &Instance, source: impl Display, age: Option<Duration>) {
    tracing::debug!(
        server.address = &*instance.address,
        server.port = instance.port,
        portolan.service = &*instance.service,
        portolan.instance = &*instance.identity.id,
        portolan.source = %source,
        portolan.age = ?age,
        "lookup"
    );
}

/// The word of an error's kind, as a label.
pub(crate) fn kind_label(kind: crate::error::Kind) -> &'static str {
    use crate::error::Kind;
    match kind {
        Kind::Config => "config",
        Kind::Unreachable => "unreachable",
        Kind::Timeout => "timeout",
        Kind::Denied => "denied",
        Kind::NotFound => "not_found",
        Kind::Busy => "busy",
        Kind::Unavailable => "unavailable",
        Kind::Rejected => "rejected",
        Kind::Moved => "moved",
        Kind::Malformed => "malformed",
        Kind::Conflict => "conflict",
        Kind::NoInstance => "no_instance",
        Kind::Closed => "closed",
    }
}

#[cfg(test)]
mod tests;
