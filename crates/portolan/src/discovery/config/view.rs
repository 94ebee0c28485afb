//! How views read: what a program can set of it.
//!
//! Never: accepts a value that the registry would refuse later; means "off" by zero.

use std::time::Duration;

use crate::{
    duration::format_duration,
    error::{Error, Kind},
    registry::CheckOutput,
    sync::{Mode, Settings, Suspicion},
};

/// Consul waits no longer. Consul: agent/consul/config.go `MaxQueryTime`.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// How a view reads.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ViewConfig {
    /// How long a blocking read waits for a change: also how old a proof grows while nothing changes. 1 s to 10 min;
    /// default 30 s.
    pub wait: Duration,
    /// How old the answering server's knowledge may be before the leader is asked, at a limited rate. `None`: any
    /// age. Default 10 s.
    pub max_stale: Option<Duration>,
    /// How long instances are kept that vanished in a way that is not to be believed at once. At most 1 min; default
    /// 10 s; zero: not at all.
    pub hold: Duration,
    /// Whether the output of checks is kept for people to read. Every new output is then a change. Default: dropped.
    pub check_output: CheckOutput,
    /// When the view reads. Default: a read is always open, and returns when something changes.
    pub mode: Mode,
    /// What loss is too sudden to be believed at once. Default: more than half of at least four, after a break.
    pub suspicion: Suspicion,
    /// How often what a watch has brought is compared with a full read, give or take a fifth: 10 s or more; `None`:
    /// never. Default 5 min.
    pub reconcile: Option<Duration>,
    /// How long a view is followed that nobody uses: 1 s or more; `None`: always. Default 15 min. It keeps what it
    /// knows, with its age, and reads anew at the next use.
    pub idle: Option<Duration>,
}

impl Default for ViewConfig {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(30),
            max_stale: Some(Duration::from_secs(10)),
            hold: Duration::from_secs(10),
            check_output: CheckOutput::Drop,
            mode: Mode::Watch,
            suspicion: Suspicion::default(),
            reconcile: Some(Duration::from_secs(5 * 60)),
            idle: Some(Duration::from_secs(15 * 60)),
        }
    }
}

impl ViewConfig {
    /// How long a blocking read waits.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How old the answering server's knowledge may be before the leader is asked.
    #[must_use]
    pub fn max_stale(mut self, bound: Option<Duration>) -> Self {
        self.max_stale = bound;
        self
    }

    /// How long instances are kept that vanished in a way that is not to be believed at once.
    #[must_use]
    pub fn hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// Whether the output of checks is kept.
    #[must_use]
    pub fn check_output(mut self, output: CheckOutput) -> Self {
        self.check_output = output;
        self
    }

    /// When the view reads.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// What loss is too sudden to be believed at once.
    #[must_use]
    pub fn suspicion(mut self, suspicion: Suspicion) -> Self {
        self.suspicion = suspicion;
        self
    }

    /// How often what a watch has brought is compared with a full read.
    #[must_use]
    pub fn reconcile(mut self, every: Option<Duration>) -> Self {
        self.reconcile = every;
        self
    }

    /// How long a view is followed that nobody uses.
    #[must_use]
    pub fn idle(mut self, after: Option<Duration>) -> Self {
        self.idle = after;
        self
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            mode: self.mode,
            wait: self.wait,
            max_stale: self.max_stale,
            suspicion: self.suspicion,
            hold: self.hold,
            reconcile: self.reconcile,
            idle: self.idle,
        }
    }

    /// # Errors
    /// [`Kind::Config`], naming the setting, what was found and what is allowed.
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |name: &str, found: Duration, allowed: &str| {
            let what = format!("view.{name}: {} is {allowed}", format_duration(found));
            Err(Error::new(Kind::Config, what))
        };
        if self.wait < Duration::from_secs(1) {
            return wrong("wait", self.wait, "under 1s; set 1s or more (30s is the default)");
        }
        if self.wait > LONGEST_WAIT {
            return wrong("wait", self.wait, "over Consul's limit; set 10m or less");
        }
        if self.hold > Duration::from_secs(60) {
            return wrong("hold", self.hold, "over 1m; instances that long forgotten are gone");
        }
        let short = |bound: Option<Duration>, least: u64| bound.filter(|it| it.as_secs() < least);
        if let Some(bound) = self.max_stale.filter(Duration::is_zero) {
            return wrong("max_stale", bound, "no age at all; set 1s or more, or None");
        }
        if let Some(every) = short(self.reconcile, 10) {
            return wrong("reconcile", every, "under 10s; set 10s or more (5m is the default), or None");
        }
        if let Some(after) = short(self.idle, 1) {
            return wrong("idle", after, "under 1s; set 1s or more (15m is the default), or None");
        }
        self.mode.check()?;
        self.suspicion.check()
    }
}
