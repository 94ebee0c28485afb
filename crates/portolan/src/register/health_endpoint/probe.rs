//! What is probed, how long it may take and how long it is good for; and what it found. PURE.
//!
//! In:  a name, a function, settings. Out: a [`Probe`]; of each run of it a [`Finding`].
//!
//! Never: runs the function; keeps an output that is longer than Consul would.
//!
//! Rules from Consul: agent/checks/check.go (`DefaultBufSize`, 4 KiB of output). Names: draft-inadarei-api-health-check,
//! section 4 (`componentName:measurementName`).
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{error::Error as StdError, fmt, pin::Pin, sync::Arc, time::Duration};

use crate::{
    duration::format_duration,
    error::{Error, Kind},
    model::Status,
};

/// How long a run may take unless set: 2 s, so that the answer is there before the registry's own 5 s are over.
pub(in crate::register) const DEFAULT_DEADLINE: Duration = Duration::from_secs(2);
/// How long a finding is good for unless set: 1 s.
const DEFAULT_CACHE: Duration = Duration::from_secs(1);
/// The longest deadline. Whoever asks does not wait for longer.
pub(in crate::register) const LONGEST_DEADLINE: Duration = Duration::from_secs(60);
/// The longest cache time. What is older says little about now.
const LONGEST_CACHE: Duration = Duration::from_secs(3600);
/// The longest name, in bytes.
const NAME: usize = 255;
/// How much of an output is kept, in bytes.
const OUTPUT: usize = 4096;

/// A run of a probe.
pub(in crate::register) type Run = Pin<Box<dyn Future<Output = Finding> + Send>>;
/// What begins a run.
pub(in crate::register) type Call = Arc<dyn Fn() -> Run + Send + Sync>;

/// A function as it is kept: whatever it returns becomes a finding.
pub(in crate::register) fn call_of<F, R>(call: F) -> Call
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output: Into<Finding>> + Send + 'static,
{
    Arc::new(move || {
        let run = call();
        Box::pin(async move { run.await.into() })
    })
}

/// What one run of a [`Probe`] found: a status, a sentence about it, and a value if there is one.
///
/// The output is shown to everybody who may reach the endpoint, and in the registry: put no secret into it.
///
/// ```
/// use portolan::{Finding, Status};
///
/// let full = Finding::warning("91 % of the disk is used").observed(91.0, "percent");
/// assert_eq!(full.status(), Status::Warning);
/// let failed: Finding = Err::<(), _>("no route to the database").into();
/// assert_eq!((failed.status(), failed.output()), (Status::Critical, "no route to the database"));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a finding says how a component is"]
pub struct Finding {
    status: Status,
    output: String,
    observed: Option<(f64, String)>,
}

impl Finding {
    /// All is well.
    pub fn passing() -> Self {
        Self::new(Status::Passing, String::new())
    }

    /// It works, with a concern.
    pub fn warning(output: impl Into<String>) -> Self {
        Self::new(Status::Warning, output.into())
    }

    /// It does not work.
    pub fn critical(output: impl Into<String>) -> Self {
        Self::new(Status::Critical, output.into())
    }

    fn new(status: Status, mut output: String) -> Self {
        output.truncate(output.floor_char_boundary(OUTPUT));
        Self { status, output, observed: None }
    }

    /// What was measured, and in which unit (`"ms"`, `"percent"`); a value that is not finite is left out. Default: none.
    pub fn observed(mut self, value: f64, unit: impl Into<String>) -> Self {
        self.observed = value.is_finite().then(|| (value, unit.into()));
        self
    }

    /// Passing, warning or critical.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// What it said; at most 4 KiB, the rest is cut off.
    #[must_use]
    pub fn output(&self) -> &str {
        &self.output
    }

    pub(super) fn value(&self) -> Option<(f64, &str)> {
        self.observed.as_ref().map(|(value, unit)| (*value, &**unit))
    }
}

/// Nothing was found to be wrong: passing.
impl From<()> for Finding {
    fn from((): ()) -> Self {
        Self::passing()
    }
}

/// An error is critical, and its output is the error with its causes.
impl<E: Into<Box<dyn StdError + Send + Sync>>> From<Result<(), E>> for Finding {
    fn from(outcome: Result<(), E>) -> Self {
        outcome.map(|()| Self::passing()).into()
    }
}

/// An error is critical, and its output is the error with its causes.
impl<E: Into<Box<dyn StdError + Send + Sync>>> From<Result<Self, E>> for Finding {
    fn from(outcome: Result<Self, E>) -> Self {
        outcome.unwrap_or_else(|error| {
            let error = error.into();
            let mut output = error.to_string();
            let mut next = error.source();
            while let Some(cause) = next.filter(|_| output.len() < OUTPUT) {
                output.push_str(": ");
                output.push_str(&cause.to_string());
                next = cause.source();
            }
            Self::critical(output)
        })
    }
}

/// What a probe's findings count for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// At worst a warning.
    Informational,
    /// For readiness and the registry's check.
    Required,
    /// For liveness too.
    Vital,
}

/// One component that the health of the program depends on, and how it is looked at.
///
/// It runs only when somebody asks, at most once at a time however many ask, and its finding is good for the cache time.
/// A run that takes longer than the deadline is critical and is dropped; one that panics is critical.
///
/// ```
/// use std::time::Duration;
///
/// use portolan::{Finding, Probe};
///
/// # async fn ping() -> std::io::Result<()> { Ok(()) }
/// # fn used() -> f64 { 12.0 }
/// let database = Probe::new("database", ping).deadline(Duration::from_millis(500));
/// let disk = Probe::new("disk:utilization", || async {
///     match used() {
///         most if most > 90.0 => Finding::warning("nearly full").observed(most, "percent"),
///         some => Finding::passing().observed(some, "percent"),
///     }
/// })
/// .informational();
/// ```
#[derive(Clone)]
#[must_use = "a probe does nothing until it is given to `HealthConfig::probe`"]
pub struct Probe {
    pub(super) name: Arc<str>,
    pub(super) call: Call,
    pub(super) deadline: Duration,
    pub(super) cache: Option<Duration>,
    pub(super) weight: Weight,
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("name", &self.name)
            .field("deadline", &self.deadline)
            .field("cache", &self.cache)
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}

impl Probe {
    /// A required probe of this name, unique in its endpoint: `component` or `component:measurement`. The function is
    /// called for each run; what it returns becomes a [`Finding`], an error a critical one.
    ///
    /// The function must not block its thread: what blocks belongs into `tokio::task::spawn_blocking`.
    pub fn new<F, R>(name: impl Into<String>, call: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output: Into<Finding>> + Send + 'static,
    {
        Self {
            name: name.into().into(),
            call: call_of(call),
            deadline: DEFAULT_DEADLINE,
            cache: Some(DEFAULT_CACHE),
            weight: Weight::Required,
        }
    }

    /// How long a run may take until it counts as critical. 1 ms to 1 min; default 2 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long a finding is good for, from when the run ended. Up to 1 h; default 1 s. `None`: each request runs it,
    /// unless it can join a run that is under way.
    pub fn cache(mut self, cache: Option<Duration>) -> Self {
        self.cache = cache;
        self
    }

    /// It is shown, but makes the whole a warning at worst.
    pub fn informational(mut self) -> Self {
        self.weight = Weight::Informational;
        self
    }

    /// It is required, and liveness depends on it too: only for what nothing but a restart mends, never for what is
    /// outside of the program. Without such a probe the program is alive for as long as it answers.
    pub fn vital(mut self) -> Self {
        self.weight = Weight::Vital;
        self
    }

    /// Looks at what can be wrong with it; `field` is its place in the settings.
    pub(super) fn validate(&self, field: &str) -> Result<(), Error> {
        let shown: String = self.name.chars().take(64).collect();
        let wrong = |what: String| Err(Error::new(Kind::Config, format!("{field}.{what}")));
        let parts = self.name.split(':');
        if self.name.len() > NAME || self.name.contains(char::is_control) || parts.clone().count() > 2 {
            return wrong(format!(
                "name: {shown:?} is not 1 to {NAME} bytes without control characters and with one \":\" at most; \
                 rename it"
            ));
        }
        if parts.into_iter().any(str::is_empty) {
            return wrong(format!(
                "name: {shown:?} has an empty part; write \"disk\" or \"disk:utilization\""
            ));
        }
        if self.deadline < Duration::from_millis(1) || self.deadline > LONGEST_DEADLINE {
            let found = format_duration(self.deadline);
            return wrong(format!("deadline: {found} of {shown:?} is not from 1ms to 1m; 2s is usual"));
        }
        match self.cache {
            Some(cache) if cache.is_zero() || cache > LONGEST_CACHE => {
                let found = format_duration(cache);
                wrong(format!("cache: {found} of {shown:?} is not up to 1h; 1s is usual, None keeps nothing"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(made: impl Into<Finding>) -> (Status, String) {
        let finding = made.into();
        (finding.status(), finding.output().to_owned())
    }

    #[test]
    fn what_a_probe_returns_becomes_a_finding_and_an_error_keeps_its_causes() {
        let cause = std::io::Error::other("connection refused");
        let error = Error::new(Kind::Unreachable, "the database is not there").caused_by(cause);
        let told = "the database is not there: connection refused";
        assert_eq!(of(()), (Status::Passing, String::new()));
        assert_eq!(of(Ok::<(), Error>(())), (Status::Passing, String::new()));
        assert_eq!(of(Err::<(), _>(error)), (Status::Critical, told.to_owned()));
        assert_eq!(of(Ok::<_, Error>(Finding::warning("slow"))), (Status::Warning, "slow".to_owned()));
        assert_eq!(of(Err::<Finding, _>("gone")), (Status::Critical, "gone".to_owned()));
    }

    #[test]
    fn an_output_is_cut_at_4_kib_and_between_characters() {
        let long = Finding::critical("é".repeat(3000));
        assert_eq!(long.output().len(), 4096);
        let odd = Finding::critical(format!("a{}", "é".repeat(3000)));
        assert_eq!(odd.output().len(), 4095, "half a character is left out");
    }

    #[test]
    fn a_probe_is_shown_by_its_settings() {
        let shown = format!("{:?}", Probe::new("disk", || async {}).informational());
        assert!(shown.starts_with("Probe { name: \"disk\", deadline: 2s, cache: "), "{shown}");
        assert!(shown.contains("weight: Informational"), "{shown}");
    }

    #[test]
    fn a_value_that_is_no_number_is_left_out() {
        assert_eq!(Finding::passing().observed(1.5, "ms").value(), Some((1.5, "ms")));
        for value in [f64::NAN, f64::INFINITY] {
            assert_eq!(Finding::passing().observed(value, "ms").value(), None);
        }
    }

    #[test]
    fn what_is_wrong_with_a_probe_is_named_with_its_field() {
        let probe = |name: &str| Probe::new(name, || async {});
        let ms = Duration::from_millis;
        for (probe, named) in [
            (probe(""), "probe[0].name: \"\" has an empty part"),
            (probe("disk:"), "probe[0].name: \"disk:\" has an empty part"),
            (probe("a:b:c"), "one \":\" at most"),
            (probe("a\nb"), "without control characters"),
            (probe(&"a".repeat(256)), "1 to 255 bytes"),
            (probe("a").deadline(Duration::ZERO), "probe[0].deadline: 0s of \"a\""),
            (probe("a").deadline(ms(60_001)), "from 1ms to 1m"),
            (probe("a").cache(Some(Duration::ZERO)), "probe[0].cache: 0s of \"a\""),
            (probe("a").cache(Some(ms(3_600_001))), "up to 1h"),
        ] {
            let error = probe.validate("probe[0]").unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.to_string().contains(named), "{error}: {named}");
        }
        for right in [
            probe("disk:utilization"),
            probe(&"a".repeat(255)),
            probe("a").deadline(ms(1)).cache(None),
            probe("a").deadline(ms(60_000)).cache(Some(ms(3_600_000))),
        ] {
            right.validate("probe[0]").unwrap();
        }
    }
}
