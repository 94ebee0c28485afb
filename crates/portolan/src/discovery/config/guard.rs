//! How the registry is protected from this program: what a program can set of the guard.
//!
//! Never: lets a setting switch the protection off; a limit that is too low or too high for sense is refused.

use crate::{
    error::{Error, Kind},
    guard::{Allowance, Limits},
};

/// How the registry is protected from this program.
///
/// The defaults suit a process that follows up to some thousands of services. Health reports and registrations are not
/// limited by the budget of reads.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GuardConfig {
    /// Calls of one kind that fail in a row until no more are sent but a probe about once a second. 1 to 1,000;
    /// default 5.
    pub open_after: u32,
    /// Reads a second, in the long run. 1 to 100,000; default 500.
    pub requests_per_second: u32,
    /// Reads at once, after a time with fewer. 1 to 100,000; default 100.
    pub burst: u32,
    /// Reads a second that may repeat one that failed, without being earned. 1 to 100,000; default 50.
    pub retries_per_second: u32,
    /// How many more of them a hundred successful reads earn. 0 to 1,000; default 20.
    pub retry_percent: u32,
    /// Where more services are followed than reads can wait side by side (`connections`), those that were not used lately
    /// are read in turn: so many reads a second for all of them together. 1 to 10,000; default 50.
    pub turns_per_second: u32,
}

impl Default for GuardConfig {
    fn default() -> Self {
        let Limits { open_after, reads, turns_per_second, .. } = Limits::default();
        let Allowance { per_second, burst, retries_per_second, retry_percent } = reads;
        Self {
            open_after,
            requests_per_second: per_second,
            burst,
            retries_per_second,
            retry_percent,
            turns_per_second,
        }
    }
}

impl GuardConfig {
    /// Calls of one kind that fail in a row until no more are sent but a probe about once a second.
    #[must_use]
    pub fn open_after(mut self, failures: u32) -> Self {
        self.open_after = failures;
        self
    }

    /// Reads a second, in the long run.
    #[must_use]
    pub fn requests_per_second(mut self, requests: u32) -> Self {
        self.requests_per_second = requests;
        self
    }

    /// Reads at once, after a time with fewer.
    #[must_use]
    pub fn burst(mut self, requests: u32) -> Self {
        self.burst = requests;
        self
    }

    /// Reads a second that may repeat one that failed, without being earned.
    #[must_use]
    pub fn retries_per_second(mut self, retries: u32) -> Self {
        self.retries_per_second = retries;
        self
    }

    /// How many more retries a hundred successful reads earn.
    #[must_use]
    pub fn retry_percent(mut self, percent: u32) -> Self {
        self.retry_percent = percent;
        self
    }

    /// Reads a second for all services that are read in turn.
    #[must_use]
    pub fn turns_per_second(mut self, turns: u32) -> Self {
        self.turns_per_second = turns;
        self
    }

    pub(in super::super) fn limits(&self, seed: u64) -> Limits {
        let reads = Allowance {
            per_second: self.requests_per_second,
            burst: self.burst,
            retries_per_second: self.retries_per_second,
            retry_percent: self.retry_percent,
        };
        Limits { open_after: self.open_after, reads, turns_per_second: self.turns_per_second, seed }
    }

    /// # Errors
    /// [`Kind::Config`], naming the setting, what was found and what is allowed.
    pub(super) fn check(&self) -> Result<(), Error> {
        let usual = Self::default();
        for (name, found, allowed, default) in [
            ("open_after", self.open_after, 1..=1_000, usual.open_after),
            ("requests_per_second", self.requests_per_second, 1..=100_000, usual.requests_per_second),
            ("burst", self.burst, 1..=100_000, usual.burst),
            ("retries_per_second", self.retries_per_second, 1..=100_000, usual.retries_per_second),
            ("retry_percent", self.retry_percent, 0..=1_000, usual.retry_percent),
            ("turns_per_second", self.turns_per_second, 1..=10_000, usual.turns_per_second),
        ] {
            if !allowed.contains(&found) {
                let (least, most) = (allowed.start(), allowed.end());
                let what =
                    format!("guard.{name}: {found} is not from {least} to {most}; {default} is the default");
                return Err(Error::new(Kind::Config, what));
            }
        }
        Ok(())
    }
}
