//! What a program can set of the ejection of instances. PURE.

use std::time::Duration;

use crate::{duration::format_duration, error::Error};

/// When an instance gets no requests for a while, because those that this process sent it went wrong.
///
/// It acts on what [`Pick::failure`](crate::Pick::failure) and [`Pick::success`](crate::Pick::success) report, and on
/// nothing else: a program that reports no outcomes ejects nobody. After its time an instance is tried with one request
/// at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ejection {
    /// Failures without a success between them that eject at once. 1 to 10,000; default 5.
    pub failures_in_a_row: u32,
    /// How often the instances are compared with each other. 1 s to 1 h; default 10 s.
    pub interval: Duration,
    /// Ejected in a comparison: one of whose requests so many percent more failed than of all others' together. `None`:
    /// they are not compared so. 1 to 100; default 20.
    pub worse_by_percent: Option<u8>,
    /// Ejected in a comparison: one whose requests took, on average, so many times as long as those of the middle one.
    /// `None`, the default: they are not compared so, for some may have the harder requests. 2 to 1,000.
    pub slower_times: Option<u32>,
    /// With fewer requests in an interval one is not compared. 1 to 1,000,000; default 50.
    pub requests: u32,
    /// How long one is ejected the first time; the second in a row it is twice that, and so on. 100 ms to 1 h; default
    /// 10 s.
    pub base: Duration,
    /// And never for longer than this. At least `base`, at most 24 h; default 5 min.
    pub longest: Duration,
    /// At most this part of a service's instances is ejected, but always one, and never the last. 0 to 100: 0 switches
    /// ejection off; default 50.
    pub most_percent: u8,
    /// So many requests, one after the other, must succeed before an instance gets its share again. 1 to 1,000; default
    /// 3.
    pub probes: u32,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            failures_in_a_row: 5,
            interval: Duration::from_secs(10),
            worse_by_percent: Some(20),
            slower_times: None,
            requests: 50,
            base: Duration::from_secs(10),
            longest: Duration::from_secs(300),
            most_percent: 50,
            probes: 3,
        }
    }
}

impl Ejection {
    /// No instance is ever ejected.
    #[must_use]
    pub fn off() -> Self {
        Self { most_percent: 0, ..Self::default() }
    }

    /// Failures without a success between them that eject at once.
    #[must_use]
    pub fn failures_in_a_row(mut self, failures: u32) -> Self {
        self.failures_in_a_row = failures;
        self
    }

    /// How often the instances are compared with each other.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How many percent more than the others' must fail; `None`: they are not compared so.
    #[must_use]
    pub fn worse_by_percent(mut self, percent: Option<u8>) -> Self {
        self.worse_by_percent = percent;
        self
    }

    /// How many times as long as the middle one's requests must take; `None`: they are not compared so.
    #[must_use]
    pub fn slower_times(mut self, times: Option<u32>) -> Self {
        self.slower_times = times;
        self
    }

    /// With fewer requests in an interval one is not compared.
    #[must_use]
    pub fn requests(mut self, requests: u32) -> Self {
        self.requests = requests;
        self
    }

    /// How long one is ejected the first time, and at most.
    #[must_use]
    pub fn time(mut self, base: Duration, longest: Duration) -> Self {
        self.base = base;
        self.longest = longest;
        self
    }

    /// At most this part of a service's instances is ejected.
    #[must_use]
    pub fn most_percent(mut self, percent: u8) -> Self {
        self.most_percent = percent;
        self
    }

    /// So many requests must succeed before an instance gets its share again.
    #[must_use]
    pub fn probes(mut self, probes: u32) -> Self {
        self.probes = probes;
        self
    }

    /// How many of so many may be ejected at once.
    pub(super) fn most_ejected(&self, of: usize) -> usize {
        match self.most_percent {
            0 => 0,
            percent => (of.saturating_mul(usize::from(percent)) / 100).max(1),
        }
    }

    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config), naming the setting, what was found and what is allowed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let percent = self.worse_by_percent.map_or(1, u32::from);
        for (name, found, least, most) in [
            ("failures_in_a_row", self.failures_in_a_row, 1, 10_000),
            ("worse_by_percent", percent, 1, 100),
            ("slower_times", self.slower_times.unwrap_or(2), 2, 1_000),
            ("requests", self.requests, 1, 1_000_000),
            ("most_percent", u32::from(self.most_percent), 0, 100),
            ("probes", self.probes, 1, 1_000),
        ] {
            if !(least..=most).contains(&found) {
                let what = format!("ejection.{name}: {found} is not from {least} to {most}");
                return Err(Error::config(what));
            }
        }
        let day = Duration::from_secs(86_400);
        let hour = Duration::from_secs(3_600);
        for (name, found, least, most) in [
            ("interval", self.interval, Duration::from_secs(1), hour),
            ("base", self.base, Duration::from_millis(100), hour),
            ("longest", self.longest, self.base, day),
        ] {
            if !(least..=most).contains(&found) {
                let [found, least, most] = [found, least, most].map(format_duration);
                return Err(Error::config(format!("ejection.{name}: {found} is not from {least} to {most}")));
            }
        }
        Ok(())
    }
}
