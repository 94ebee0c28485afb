//! What the registry counts of itself, and under which names: dashboards depend on them.
//!
//! ```text
//! endpoints, disk, DNS, checks ── atomics ──▶ Figures ─┐
//! state, watchers, process ── looked at when asked ────┴─▶ gather ─▶ families ─▶ text (/metrics)
//! ```
//!
//! Each registry has figures of its own, not those of the process: a test, or a program, may carry several. Labels are
//! endpoints, statuses and the like, whose number is fixed when this is compiled; no name that a client chose is one. Names
//! of labels and fields are OpenTelemetry's where it has one.
//!
//! Cost: a request reads the clock twice and adds to three counters of its endpoint; all else is read when somebody asks.
//!
//! Never: holds the state while it writes a text; has a label whose values a client chooses.
//!
//! Proof: `telemetry/tests.rs`, `tests/http/metrics.rs`; the command's `tests/telemetry.rs` (docs and dashboards).

use portolan::telemetry::{Metric, MetricKind, Traced};
use tracing::{Span, field::Empty};

mod figures;
mod gather;
mod process;
mod text;

pub(crate) use {
    figures::{Figures, Held, Transport},
    gather::gather,
    text::{KIND, prometheus},
};

const fn counter(name: &'static str, labels: &'static [&'static str], meaning: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Counter, labels, meaning }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], meaning: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, labels, meaning }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], meaning: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Histogram, labels, meaning }
}

pub(crate) const INFO: Metric = gauge(
    "portolan_server_info",
    &["version", "datacenter", "node"],
    "1. Labels: `version` of portolan, `datacenter` and `node` of this registry.",
);
pub(crate) const REQUESTS: Metric = counter(
    "portolan_server_requests_total",
    &["http_request_method", "http_route", "http_response_status_code"],
    "Requests answered, without those refused for their Host or their headers. Labels: `http_request_method`, `http_route` (the endpoint's path; `other`: none of them), \
     `http_response_status_code` (`other`: one that is seldom). 5xx at all: see the log; 429: a client asks too much.",
);
pub(crate) const REQUEST_SECONDS: Metric = histogram(
    "portolan_server_request_seconds",
    &["http_request_method", "http_route"],
    "From the head of a request to the head of its answer, without blocking queries, whose length is the client's wish. \
     Labels: `http_request_method`, `http_route`. For writes the disk is in it: see portolan_server_disk_write_seconds.",
);
pub(crate) const CONNECTIONS: Metric = gauge(
    "portolan_server_connections",
    &[],
    "HTTP connections that are open. Near max_connections: raise it.",
);
pub(crate) const CONNECTIONS_REFUSED: Metric = counter(
    "portolan_server_connections_refused_total",
    &[],
    "HTTP connections refused because there were too many, in all or from one address. Any: look for a client that leaks them.",
);
pub(crate) const WAITERS: Metric = gauge(
    "portolan_server_waiters",
    &[],
    "Blocking queries that wait for a change. Near max_watchers: raise it, or more are refused with 429.",
);
pub(crate) const INDEX: Metric =
    gauge("portolan_server_index", &[], "The newest index: its rate is that of changes.");
pub(crate) const NODES: Metric = gauge("portolan_server_nodes", &[], "Nodes in the catalogue.");
pub(crate) const SERVICES: Metric =
    gauge("portolan_server_services", &[], "Names of services in the catalogue.");
pub(crate) const INSTANCES: Metric = gauge(
    "portolan_server_instances",
    &["status"],
    "Instances in the catalogue by the worst of their checks. Labels: `status` (`passing`, `warning`, `critical`, \
     `maintenance`). Critical ones that stay: `portolan gc` finds them.",
);
pub(crate) const CHECKS: Metric = gauge(
    "portolan_server_checks",
    &["status"],
    "Checks in the catalogue. Labels: `status` (`passing`, `warning`, `critical`).",
);
pub(crate) const PROBES: Metric = counter(
    "portolan_server_probes_total",
    &["status"],
    "Checks that were run. Labels: `status` that was found (`passing`, `warning`, `critical`). No growth while there are such \
     checks: they do not run.",
);
pub(crate) const DNS: Metric = counter(
    "portolan_server_dns_answers_total",
    &["network_transport", "rcode"],
    "Answers to DNS questions. Labels: `network_transport` (`udp`, `tcp`), `rcode` (`NOERROR`, `NXDOMAIN`, …). SERVFAIL at \
     all: a recursor does not answer.",
);
pub(crate) const DISK_WRITES: Metric = counter(
    "portolan_server_disk_writes_total",
    &["outcome"],
    "Groups of writes given to the disk, each synced. Labels: `outcome` (`ok`, `error`). Any error: no write is acknowledged \
     until the disk is well; see the log.",
);
pub(crate) const DISK_BYTES: Metric = counter(
    "portolan_server_disk_written_bytes_total",
    &[],
    "Bytes of the rows that were written; what the file's own order costs is not in it.",
);
pub(crate) const DISK_SECONDS: Metric = histogram(
    "portolan_server_disk_write_seconds",
    &[],
    "How long a group took until it was synced. Above 0.1 for long: the disk is too slow, or shared.",
);
pub(crate) const DISK_FILE: Metric =
    gauge("portolan_server_disk_file_bytes", &[], "The size of the registry's file; 0 without one.");
pub(crate) const MEMORY: Metric = gauge(
    "process_resident_memory_bytes",
    &[],
    "Memory of this process that is in RAM. Linux only, as the next two.",
);
pub(crate) const FILES: Metric = gauge("process_open_fds", &[], "File descriptors that are open.");
pub(crate) const CPU: Metric =
    counter("process_cpu_seconds_total", &[], "Time on processors, of user and system.");

/// Every metric of the embedded registry, as `/metrics` tells them.
pub const METRICS: &[Metric] = &[
    INFO,
    REQUESTS,
    REQUEST_SECONDS,
    CONNECTIONS,
    CONNECTIONS_REFUSED,
    WAITERS,
    INDEX,
    NODES,
    SERVICES,
    INSTANCES,
    CHECKS,
    PROBES,
    DNS,
    DISK_WRITES,
    DISK_BYTES,
    DISK_SECONDS,
    DISK_FILE,
    MEMORY,
    FILES,
    CPU,
];

/// The span of one request that is answered.
pub(crate) const SERVED_SPAN: &str = "http_request";

/// Every span of the embedded registry, at level debug.
pub const TRACED: &[Traced] = &[Traced {
    name: SERVED_SPAN,
    fields: &[
        "otel.kind",
        "http.request.method",
        "http.route",
        "url.path",
        "http.response.status_code",
        "otel.status_code",
    ],
    meaning: "One request that the registry answers, from its head to that of the answer; a blocking query with its wait. It \
        belongs to the trace of the client's `traceparent`.",
}];

/// The span of a request.
pub(crate) fn served_span(method: &http::Method, route: &'static str, path: &str) -> Span {
    tracing::debug_span!(
        SERVED_SPAN,
        otel.kind = "server",
        http.request.method = method.as_str(),
        http.route = route,
        url.path = path,
        http.response.status_code = Empty,
        otel.status_code = Empty,
    )
}

/// What was answered.
pub(crate) fn answered(span: &Span, status: http::StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

#[cfg(test)]
mod tests;
