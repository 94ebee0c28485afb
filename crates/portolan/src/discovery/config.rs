//! What a program can set, with the defaults people know.
//!
//! Never: accepts a value that the registry would refuse later; means "off" by zero.

use std::time::Duration;

use crate::{
    duration::format_duration,
    error::{Error, Kind},
    registry::{CheckOutput, consul::ConsulConfig},
    sync::Settings,
};

/// Consul waits no longer. Consul: agent/consul/config.go `MaxQueryTime`.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// The settings of a [`Discovery`](super::Discovery).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where Consul is, and how to speak to it. Default: `http://127.0.0.1:8500`.
    pub consul: ConsulConfig,
    /// How views read.
    pub view: ViewConfig,
    /// How long `service()` waits for the first answer. Default 5 s.
    pub start_wait: Duration,
    /// How many blocking reads may be open at once; each is a connection over plain HTTP, and Consul allows 200 for
    /// each client address. 1 to 10,000; default 64.
    pub connections: usize,
    /// Where all chance comes from. `None`: from the operating system; set it to replay a run.
    pub seed: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            consul: ConsulConfig::default(),
            view: ViewConfig::default(),
            start_wait: Duration::from_secs(5),
            connections: 64,
            seed: None,
        }
    }
}

impl Config {
    /// The defaults, with Consul's settings from the usual environment variables (`CONSUL_HTTP_ADDR` and the rest:
    /// see [`ConsulConfig::from_env`]).
    ///
    /// # Errors
    /// [`Kind::Config`], naming the variable, what was found, and what is allowed.
    pub fn from_env() -> Result<Self, Error> {
        Ok(Self::default().consul(ConsulConfig::from_env()?))
    }

    /// Where Consul is, and how to speak to it.
    #[must_use]
    pub fn consul(mut self, consul: ConsulConfig) -> Self {
        self.consul = consul;
        self
    }

    /// How views read.
    #[must_use]
    pub fn view(mut self, view: ViewConfig) -> Self {
        self.view = view;
        self
    }

    /// How long `service()` waits for the first answer.
    #[must_use]
    pub fn start_wait(mut self, wait: Duration) -> Self {
        self.start_wait = wait;
        self
    }

    /// How many blocking reads may be open at once.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Where all chance comes from.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// # Errors
    /// [`Kind::Config`], naming the setting, what was found and what is allowed.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.view.check()?;
        if !(1..=10_000).contains(&self.connections) {
            let what = format!("connections: {} is not from 1 to 10000; 64 is the default", self.connections);
            return Err(Error::new(Kind::Config, what));
        }
        Ok(())
    }
}

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
}

impl Default for ViewConfig {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(30),
            max_stale: Some(Duration::from_secs(10)),
            hold: Duration::from_secs(10),
            check_output: CheckOutput::Drop,
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

    pub(super) fn settings(&self) -> Settings {
        Settings { wait: self.wait, max_stale: self.max_stale, hold: self.hold }
    }

    fn check(&self) -> Result<(), Error> {
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
        match self.max_stale {
            Some(bound) if bound.is_zero() => {
                wrong("max_stale", bound, "no age at all; set 1s or more, or None")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_accepted_and_what_is_wrong_is_named() {
        Config::default().check().unwrap();
        let view = ViewConfig::default;
        let second = Duration::from_secs(1);
        for (config, says) in [
            (
                Config::default().view(view().wait(second * 660)),
                "view.wait: 11m0s is over Consul's limit; set 10m or less",
            ),
            (Config::default().view(view().wait(second / 2)), "view.wait: 500ms is under 1s"),
            (Config::default().view(view().hold(second * 61)), "view.hold: 1m1s"),
            (Config::default().view(view().max_stale(Some(Duration::ZERO))), "view.max_stale: 0s"),
            (Config::default().connections(0), "connections: 0 is not from 1 to 10000"),
        ] {
            let error = config.check().unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.to_string().starts_with(says), "{error}");
        }
    }
}
