//! Every metric, span and field name, in one place: dashboards depend on them.
//!
//! The library only names and records; the program chooses where they go (the `metrics` and `tracing` facades).
//! Never: a label with an instance in it; a metric recorded on the path of a warm lookup. Lookups are counted in
//! plain atomics beside the resolver and folded in by its task.

/// Picks and peeks answered. Labels: `service`, `outcome` (`picked`, `none`). Folded in each ten seconds; peeks are an estimate, one in 256 counted.
pub(crate) const LOOKUPS: &str = "portolan_lookups_total";
/// Requests that failed, by what came next. Labels: `service`, `outcome` (`sent`: a retry; and for none: `tries`,
/// `not_idempotent`, `budget`, `deadline`, `no_instance`). `budget` at all: the service fails for many.
pub(crate) const RETRIES: &str = "portolan_retries_total";
/// Times an instance was ejected for what came of its requests. Labels: `service`, `reason` (`failures_in_a_row`,
/// `failing`, `slow`, `probe`). Steady growth: look at the instance that the log names.
pub(crate) const EJECTIONS: &str = "portolan_ejections_total";
/// Instances that are ejected now. Labels: `service`.
pub(crate) const EJECTED: &str = "portolan_ejected";
/// `service()` calls by whether the view was there. Labels: `service`, `result` (`hit`, `miss`). Hits are folded in
/// each ten seconds.
pub(crate) const VIEW_LOOKUPS: &str = "portolan_view_lookups_total";
/// Views that are followed, or kept for their next use. Growth without end: names are looked up that nobody needs twice.
pub(crate) const VIEWS: &str = "portolan_views";
/// Answers taken in by a view. Labels: `service`, `changed` (`true`, `false`).
pub(crate) const VIEW_REFRESHES: &str = "portolan_view_refreshes_total";
/// Reads that failed. Labels: `service`, `kind`. A few at a restart are normal; steady growth means an outage.
pub(crate) const VIEW_FAILURES: &str = "portolan_view_failures_total";
/// Answers whose index went down. Labels: `service`. More than one a minute: look at the servers.
pub(crate) const INDEX_RESETS: &str = "portolan_view_index_resets_total";
/// Answers of an earlier state, or that lost too much, which the leader confirmed first. Labels: `service`.
pub(crate) const SUSPECT_ANSWERS: &str = "portolan_view_suspect_answers_total";
/// Instances that a watch had missed or showed wrongly, as the leader's word showed. Labels: `service`. Any: the agent or
/// a server has a stuck cache; look at its log, and restart it if they go on.
pub(crate) const DIVERGENCES: &str = "portolan_view_divergences_total";
/// Whether a view rests because nobody uses it: 1 or 0. Labels: `service`.
pub(crate) const VIEW_DORMANT: &str = "portolan_view_dormant";
/// Instances in a view. Labels: `service`, `status`. `held` counts those kept though the registry forgot them.
pub(crate) const VIEW_INSTANCES: &str = "portolan_view_instances";
/// Whether a view's last read succeeded: 1 or 0. Labels: `service`.
pub(crate) const VIEW_UP: &str = "portolan_view_up";
/// Answers taken in by a watch of the list of services. Labels: `datacenter` (`local`: the agent's own), `changed`
/// (`true`, `false`). The list's index moves with any change of any service, so most change nothing.
pub(crate) const CATALOG_REFRESHES: &str = "portolan_catalog_refreshes_total";
/// Reads of the list of services that failed. Labels: `datacenter`, `kind`. Steady growth means an outage.
pub(crate) const CATALOG_FAILURES: &str = "portolan_catalog_failures_total";
/// Lists whose index went down. Labels: `datacenter`. More than one a minute: look at the servers.
pub(crate) const CATALOG_INDEX_RESETS: &str = "portolan_catalog_index_resets_total";
/// Lists of an earlier state, or that lost too much, which the leader confirmed first. Labels: `datacenter`.
pub(crate) const CATALOG_SUSPECT_ANSWERS: &str = "portolan_catalog_suspect_answers_total";
/// Services in the list. Labels: `datacenter`, `state` (`confirmed`, `held`).
pub(crate) const CATALOG_SERVICES: &str = "portolan_catalog_services";
/// Whether the last read of the list succeeded: 1 or 0. Labels: `datacenter`.
pub(crate) const CATALOG_UP: &str = "portolan_catalog_up";
/// Services that an operator's file forces. More than none for long: somebody forgot one.
pub(crate) const OVERRIDDEN: &str = "portolan_overrides_services";
/// Times the overrides file became wrong or unreadable; what it said before stays. Any: see the log for the line.
pub(crate) const OVERRIDES_REFUSED: &str = "portolan_overrides_refused_total";
/// Services whose requests an operator's file shares between versions. More than none for long: a canary that nobody ends.
pub(crate) const SPLIT: &str = "portolan_splits_services";
/// Times the splits file became wrong or unreadable; what it said before stays. Any: see the log for the line.
pub(crate) const SPLITS_REFUSED: &str = "portolan_splits_refused_total";
/// Views asked of a cache. Labels: `cache`, `outcome` (`hit`, `miss`, `error`, and for what is there but not used:
/// `damaged`, `not_ours`, `newer_format`, `other_key`, `unsigned`, `bad_signature`, `too_old`). `damaged` at all: look at
/// the disk; `bad_signature` at all: somebody else writes there. Asked at a view's start, and each 10 s while it fails.
pub(crate) const CACHE_LOADS: &str = "portolan_cache_loads_total";
/// Views given to a cache. Labels: `cache`, `outcome` (`ok`, `error`). Steady errors: a restart in an outage would begin
/// with nothing.
pub(crate) const CACHE_SAVES: &str = "portolan_cache_saves_total";
/// Whether a cache works: 1 or 0. Labels: `cache`. 0 for minutes: look at its disk or its server.
pub(crate) const CACHE_UP: &str = "portolan_cache_up";
/// How long a read that did not wait took, in seconds. Labels: `operation`.
pub(crate) const REQUEST_SECONDS: &str = "portolan_registry_request_seconds";
/// Calls to the registry. Labels: `operation`, `outcome` (`ok` or the kind of error).
pub(crate) const REQUESTS: &str = "portolan_registry_requests_total";
/// Where the circuit breaker of a kind of call stands: 0 closed (calls are sent), 1 half open (one probe), 2 open. Labels:
/// `calls` (`reads`, `writes`, `reports`), `datacenter` (empty: the agent's own). Not 0 for minutes: the registry is away.
pub(crate) const BREAKER_STATE: &str = "portolan_registry_breaker_state";
/// Times a breaker opened or closed. Labels: `calls`, `datacenter`, `to` (`open`, `closed`). More than a few an hour: the
/// registry answers now and then; look at its load.
pub(crate) const BREAKER_TRANSITIONS: &str = "portolan_registry_breaker_transitions_total";
/// Calls that were given up before they were sent: the breaker was open, or the budget used up. Labels: `calls`,
/// `datacenter`. Growth while the breaker is closed: raise the guard's limits, or follow fewer services.
pub(crate) const CALLS_NOT_SENT: &str = "portolan_registry_calls_not_sent_total";
/// Times the reads went over to another address of the registry. Labels: `to`. Any but the first: look at the first
/// address.
pub(crate) const READS_MOVED: &str = "portolan_registry_reads_moved_total";
/// Instances left out of an answer because a number in them is out of range. Any: look at who registers them.
pub(crate) const INSTANCES_UNREADABLE: &str = "portolan_registry_instances_unreadable_total";
/// How many registrations of this process are in each state. Labels: `service`, `state`.
pub(crate) const REGISTRATION_STATE: &str = "portolan_registration_state";
/// Times a need of a service of this process was met or lost. Labels: `service`, `to` (`met`, `lost`). `lost` at all: look at
/// what is needed; the log names it.
pub(crate) const NEEDS_CHANGED: &str = "portolan_needs_changed_total";
/// Whether a service of this process is ready by what it needs: 1 or 0. Labels: `service`.
pub(crate) const NEEDS_READY: &str = "portolan_needs_ready";
/// Times an instance was sent to the agent. Labels: `service`, `reason` (`new`, `missing`, `drift`).
pub(crate) const REGISTRATIONS: &str = "portolan_registrations_total";
/// Health reports sent for TTL checks. Labels: `service`, `outcome` (`ok` or the kind of error).
pub(crate) const REPORTS: &str = "portolan_check_reports_total";
/// How long a health report took from when it was sent, in seconds. Labels: `service`. Near a quarter of the TTL, where it
/// is given up and sent again: the agent is too slow.
pub(crate) const REPORT_SECONDS: &str = "portolan_check_report_seconds";
/// How long a run of a probe of the health endpoint took, in seconds; one that is late counts with its deadline. Labels:
/// `probe`. Near the deadline: raise it, or look at the component.
pub(crate) const HEALTH_PROBE_SECONDS: &str = "portolan_health_probe_seconds";
/// Runs of probes that were critical. Labels: `probe`, `reason` (`critical`: it said so, `deadline`, `panic`). `panic` at
/// all: a bug in the probe; see the log.
pub(crate) const HEALTH_PROBE_FAILURES: &str = "portolan_health_probe_failures_total";
/// How long a run of a registration's health function took, in seconds; one that is late counts with its deadline. Labels:
/// `service`. Near the deadline: raise it, or look at what it asks.
pub(crate) const HEALTH_FUNCTION_SECONDS: &str = "portolan_health_function_seconds";
/// Runs of health functions that were critical. Labels: `service`, `reason` (`critical`: it said so, `deadline`, `panic`).
/// `panic` at all: a bug in the function; see the log.
pub(crate) const HEALTH_FUNCTION_FAILURES: &str = "portolan_health_function_failures_total";
/// Tasks that panicked and were started again. Labels: `task`. Any is a bug: report it.
pub(crate) const TASK_PANICS: &str = "portolan_task_panics_total";

/// The span of one request to the registry, at level debug. Fields: `method`, `path`, `index`, `wait` of what was asked,
/// `status` of the answer.
pub(crate) const REQUEST_SPAN: &str = "registry_request";
/// The span of one try of a request to an instance, at level debug. Fields: `service`, `instance` (its id), `attempt` (from
/// 1), `age` of what was known of it.
pub(crate) const CALL_SPAN: &str = "request";

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
