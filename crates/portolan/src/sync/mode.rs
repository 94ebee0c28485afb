//! When a view reads, and what it doubts: the settings that a program chooses. PURE: types, and no behaviour but bounds.
//!
//! Never: means "off" by zero.

use std::time::{Duration, Instant};

use crate::{
    duration::format_duration,
    error::{Error, Kind},
    roll::jitter,
    snapshot::Snapshot,
};

/// The classic time to live of a lookup.
const TTL: Duration = Duration::from_secs(30);
/// The classic time to live of an absence: what is not there may come at any moment.
const ABSENT_TTL: Duration = Duration::from_secs(5);
/// The shortest and the longest of these times.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// When a view reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mode {
    /// A read is always open and returns when something changes: the view is as new as the registry. The default.
    #[default]
    Watch,
    /// It reads in full at a pace, used or not.
    #[non_exhaustive]
    Poll {
        /// The time between an answer and the next read, give or take a tenth. 1 s to 24 h.
        every: Duration,
    },
    /// It reads again at the first lookup after what it knows has grown old. A lookup itself never waits: it gets what is
    /// known, with its age, and starts the read; [`Discovery::service`](crate::Discovery::service) waits for it.
    #[non_exhaustive]
    OnDemand {
        /// How long an answer is good. 1 s to 24 h.
        ttl: Duration,
        /// How long "there is none" is good. 1 s to 24 h.
        absent_ttl: Duration,
    },
}

impl Mode {
    /// A full read each 30 s.
    #[must_use]
    pub fn poll() -> Self {
        Self::poll_every(TTL)
    }

    /// A full read at this pace.
    #[must_use]
    pub fn poll_every(every: Duration) -> Self {
        Self::Poll { every }
    }

    /// The classic cache: an answer is good for 30 s, an absence for 5 s; the next lookup reads again.
    #[must_use]
    pub fn on_demand() -> Self {
        Self::on_demand_after(TTL, ABSENT_TTL)
    }

    /// A cache with these times to live.
    #[must_use]
    pub fn on_demand_after(ttl: Duration, absent_ttl: Duration) -> Self {
        Self::OnDemand { ttl, absent_ttl }
    }

    /// Whether what is known is good enough to be looked up: only on demand is it ever not.
    pub(crate) fn is_good(self, snapshot: &Snapshot, now: Instant) -> bool {
        let Self::OnDemand { ttl, absent_ttl } = self else { return true };
        let is_absent = snapshot.instances.is_empty() && snapshot.held.is_empty();
        let good = if is_absent { absent_ttl } else { ttl };
        snapshot.freshness.age(now).is_some_and(|age| age < good)
    }

    /// How old what is known may be until it counts as stale, whatever a caller bears.
    pub(crate) fn ttl(self) -> Option<Duration> {
        match self {
            Self::OnDemand { ttl, .. } => Some(ttl),
            _ => None,
        }
    }

    /// How long an answer is good, by a roll. `None`: the next read follows at once.
    pub(super) fn rest(self, is_absent: bool, roll: u64) -> Option<Duration> {
        match self {
            Self::Watch => None,
            Self::Poll { every } => Some(every.mul_f64(0.9).saturating_add(jitter(roll, every.mul_f64(0.2)))),
            Self::OnDemand { absent_ttl, .. } if is_absent => Some(absent_ttl),
            Self::OnDemand { ttl, .. } => Some(ttl),
        }
    }

    /// # Errors
    /// [`Kind::Config`], naming the setting, what was found and what is allowed.
    pub(crate) fn check(self) -> Result<(), Error> {
        let bounded = |name: &str, found: Duration| {
            if (SHORTEST..=LONGEST).contains(&found) {
                return Ok(());
            }
            let what = format!("view.mode.{name}: {} is not from 1s to 24h", format_duration(found));
            Err(Error::new(Kind::Config, what))
        };
        match self {
            Self::Watch => Ok(()),
            Self::Poll { every } => bounded("every", every),
            Self::OnDemand { ttl, absent_ttl } => {
                bounded("ttl", ttl)?;
                bounded("absent_ttl", absent_ttl)
            }
        }
    }
}

/// What loss is too sudden to be believed at once, when it comes after a break: a start, an error, a lower index. A loss
/// on a healthy stream is always believed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Suspicion {
    /// A loss among fewer instances than these is believed: one of two going is an ordinary day. Default 4.
    pub at_least: usize,
    /// A loss of more than this share of them is doubted. 0 to 1; default 0.5.
    pub share: f64,
    /// Who is asked about it.
    pub confirm: Confirm,
}

/// Who is asked whether a sudden loss is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Confirm {
    /// The leader, after it has asked the other servers.
    #[default]
    Consistent,
    /// The leader.
    Leader,
    /// Nobody: it is believed at once.
    Off,
}

impl Default for Suspicion {
    fn default() -> Self {
        Self { at_least: 4, share: 0.5, confirm: Confirm::default() }
    }
}

impl Suspicion {
    /// A loss among fewer instances than these is believed.
    #[must_use]
    pub fn at_least(mut self, instances: usize) -> Self {
        self.at_least = instances;
        self
    }

    /// A loss of more than this share of them is doubted.
    #[must_use]
    pub fn share(mut self, share: f64) -> Self {
        self.share = share;
        self
    }

    /// Who is asked about it.
    #[must_use]
    pub fn confirm(mut self, confirm: Confirm) -> Self {
        self.confirm = confirm;
        self
    }

    /// # Errors
    /// [`Kind::Config`], naming the setting, what was found and what is allowed.
    pub(crate) fn check(self) -> Result<(), Error> {
        if !(0.0..=1.0).contains(&self.share) {
            let what = format!("view.suspicion.share: {} is not from 0 to 1; 0.5 is the default", self.share);
            return Err(Error::new(Kind::Config, what));
        }
        if self.at_least == 0 {
            let what = "view.suspicion.at_least: 0 is not a number of instances; 4 is the default";
            return Err(Error::new(Kind::Config, what));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
