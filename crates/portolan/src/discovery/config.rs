//! What a program can set, with the defaults people know.
//!
//! Never: accepts a value that the registry would refuse later; means "off" by zero.

use std::{path::PathBuf, time::Duration};

use crate::{
    error::{Error, Kind},
    model::VersionSources,
    registry::consul::ConsulConfig,
    resolve::{Ejection, Locality, RetryBudget},
};

mod cache;
mod guard;
mod slept;
mod view;

pub use cache::CacheConfig;
pub use guard::GuardConfig;
pub use view::ViewConfig;

/// The settings of a [`Discovery`](super::Discovery).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where Consul is, and how to speak to it. Default: `http://127.0.0.1:8500`.
    pub consul: ConsulConfig,
    /// Where this program is, for those who prefer what is near: see [`Select::prefer`](crate::Select::prefer).
    /// Default: nothing is known.
    pub locality: Locality,
    /// Where the versions of instances are looked for: 1 to 8 places. Default: meta `version`, a tag `v1.2.3`, a tag
    /// `version=1.2.3`. What a cache remembers has the version that was read when it was kept.
    pub versions: VersionSources,
    /// How views read.
    pub view: ViewConfig,
    /// Where views are kept beyond the life of the process. Default: nowhere.
    pub cache: CacheConfig,
    /// How the registry is protected from this program.
    pub guard: GuardConfig,
    /// When an instance gets no requests for a while, because those that it got went wrong.
    pub ejection: Ejection,
    /// How many retries the requests of a service may cause together.
    pub retry_budget: RetryBudget,
    /// How long `service()` waits for the first answer. Default 5 s.
    pub start_wait: Duration,
    /// How many blocking reads may be open at once where each is a connection: over plain HTTP. Consul allows 200 for
    /// each client address. Over HTTPS with HTTP/2, reads share connections: there are never more than 64, and up to
    /// 8,192 reads. 1 to 10,000; default 64.
    pub connections: usize,
    /// A file in which an operator forces the instances of services, as a
    /// [`StaticList`](crate::registry::static_list::StaticList) is written: a line `web=10.0.0.1:80,10.0.0.2:80` each.
    /// It is looked at each 2 s; replace it whole (write another, and rename it). Picks of such a service are marked
    /// [`Mark::Override`](crate::Mark::Override); without its line the registry counts again. Default: none.
    pub overrides: Option<PathBuf>,
    /// A file in which an operator says how the requests of services are shared between versions, as [`Splits`] are
    /// written: a line `web = 95 ^1, 5 ^2` each. It is looked at each 2 s; replace it whole. A service that it names goes
    /// by it, whatever the program set: a split does not let versions through that [`Select::version`] refuses. Default:
    /// none.
    ///
    /// [`Splits`]: crate::Splits
    /// [`Select::version`]: crate::Select::version
    pub splits: Option<PathBuf>,
    /// Where all chance comes from. `None`: from the operating system; set it to replay a run.
    pub seed: Option<u64>,
    /// How long this machine has slept since it was started: when that grows, every view is read anew, and what it knows
    /// is older by as much. Default: as the system says; set it in a simulation.
    pub slept: fn() -> Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            consul: ConsulConfig::default(),
            locality: Locality::default(),
            versions: VersionSources::default(),
            view: ViewConfig::default(),
            cache: CacheConfig::default(),
            guard: GuardConfig::default(),
            ejection: Ejection::default(),
            retry_budget: RetryBudget::default(),
            start_wait: Duration::from_secs(5),
            connections: 64,
            overrides: None,
            splits: None,
            seed: None,
            slept: slept::slept,
        }
    }
}

impl Config {
    /// The defaults, with Consul's settings from the usual environment variables (`CONSUL_HTTP_ADDR` and the rest:
    /// see [`ConsulConfig::from_env`]), and where this program is ([`Locality::from_env`]).
    ///
    /// # Errors
    /// [`Kind::Config`], naming the variable, what was found, and what is allowed.
    pub fn from_env() -> Result<Self, Error> {
        Ok(Self::default().consul(ConsulConfig::from_env()?).locality(Locality::from_env()))
    }

    /// Where Consul is, and how to speak to it.
    #[must_use]
    pub fn consul(mut self, consul: ConsulConfig) -> Self {
        self.consul = consul;
        self
    }

    /// Where this program is.
    #[must_use]
    pub fn locality(mut self, locality: Locality) -> Self {
        self.locality = locality;
        self
    }

    /// Where the versions of instances are looked for, the place that is believed most first.
    #[must_use]
    pub fn versions(mut self, sources: VersionSources) -> Self {
        self.versions = sources;
        self
    }

    /// How views read.
    #[must_use]
    pub fn view(mut self, view: ViewConfig) -> Self {
        self.view = view;
        self
    }

    /// Where views are kept beyond the life of the process.
    #[must_use]
    pub fn cache(mut self, cache: CacheConfig) -> Self {
        self.cache = cache;
        self
    }

    /// How the registry is protected from this program.
    #[must_use]
    pub fn guard(mut self, guard: GuardConfig) -> Self {
        self.guard = guard;
        self
    }

    /// When an instance gets no requests for a while, because those that it got went wrong.
    #[must_use]
    pub fn ejection(mut self, ejection: Ejection) -> Self {
        self.ejection = ejection;
        self
    }

    /// How many retries the requests of a service may cause together.
    #[must_use]
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        self.retry_budget = budget;
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

    /// A file in which an operator forces the instances of services.
    #[must_use]
    pub fn overrides(mut self, file: impl Into<PathBuf>) -> Self {
        self.overrides = Some(file.into());
        self
    }

    /// A file in which an operator shares the requests of services between versions.
    #[must_use]
    pub fn splits(mut self, file: impl Into<PathBuf>) -> Self {
        self.splits = Some(file.into());
        self
    }

    /// Where all chance comes from.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How long this machine has slept since it was started.
    #[must_use]
    pub fn slept(mut self, clock: fn() -> Duration) -> Self {
        self.slept = clock;
        self
    }

    /// # Errors
    /// [`Kind::Config`], naming the setting, what was found and what is allowed.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.locality.check()?;
        self.versions.check()?;
        self.view.check()?;
        self.cache.check(&self.view)?;
        self.guard.check()?;
        self.ejection.check()?;
        self.retry_budget.check()?;
        if !(1..=10_000).contains(&self.connections) {
            let what = format!("connections: {} is not from 1 to 10000; 64 is the default", self.connections);
            return Err(Error::new(Kind::Config, what));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_accepted_and_what_is_wrong_is_named() {
        Config::default().check().unwrap();
        let (view, cache) = (ViewConfig::default, CacheConfig::default);
        let second = Duration::from_secs(1);
        for (config, says) in [
            (
                Config::default().view(view().wait(second * 660)),
                "view.wait: 11m0s is over Consul's limit; set 10m or less",
            ),
            (Config::default().locality(Locality::default().node("")), "locality.node: \"\" is no node"),
            (Config::default().locality(Locality::default().zone("")), "locality.zone: \"\" is no zone"),
            (
                Config::default().locality(Locality::default().region("")),
                "locality.region: \"\" is no region",
            ),
            (Config::default().view(view().wait(second / 2)), "view.wait: 500ms is under 1s"),
            (Config::default().view(view().hold(second * 61)), "view.hold: 1m1s"),
            (Config::default().view(view().max_stale(Some(Duration::ZERO))), "view.max_stale: 0s"),
            (Config::default().cache(cache().age_limit(second)), "cache.age_limit: 1s is under 2m"),
            (
                Config::default().cache(cache().age_limit(second * 400)).view(view().wait(second * 300)),
                "cache.age_limit: 6m40s is under twice view.wait (5m0s)",
            ),
            (
                Config::default().cache(cache().age_limit(second * 40_000_000)),
                "cache.age_limit: 11111h6m40s is over 366 days",
            ),
            (Config::default().cache(cache().cluster("")), "cache.cluster: is empty"),
            (Config::default().view(view().reconcile(Some(second))), "view.reconcile: 1s is under 10s"),
            (Config::default().view(view().idle(Some(second / 2))), "view.idle: 500ms is under 1s"),
            (
                Config::default().view(view().mode(crate::Mode::poll_every(Duration::ZERO))),
                "view.mode.every: 0s is not from 1s to 24h",
            ),
            (
                Config::default().view(view().mode(crate::Mode::on_demand_after(second, second * 90_000))),
                "view.mode.absent_ttl: 25h0m0s is not",
            ),
            (
                Config::default().view(view().suspicion(crate::Suspicion::default().share(f64::NAN))),
                "view.suspicion.share: NaN is not from 0 to 1",
            ),
            (
                Config::default().versions(std::iter::empty().collect()),
                "versions: 0 places are not from 1 to 8",
            ),
            (Config::default().connections(0), "connections: 0 is not from 1 to 10000"),
        ] {
            is_refused(&config, says);
        }
    }

    fn is_refused(config: &Config, says: &str) {
        let error = config.check().unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().starts_with(says), "{error}");
    }

    #[test]
    fn what_is_wrong_with_how_requests_and_reads_are_limited_is_named() {
        let guard = GuardConfig::default;
        let guarded = |guard| Config::default().guard(guard);
        for (config, says) in [
            (
                Config::default().retry_budget(RetryBudget::default().percent(1_001)),
                "retry_budget.percent: 1001 is not from 0 to 1000",
            ),
            (
                Config::default().retry_budget(RetryBudget::default().per_second(0)),
                "retry_budget.per_second: 0 is not from 1 to 100000",
            ),
            (
                Config::default().ejection(Ejection::default().probes(0)),
                "ejection.probes: 0 is not from 1 to 1000",
            ),
            (guarded(guard().open_after(0)), "guard.open_after: 0 is not from 1 to 1000; 5 is the default"),
            (guarded(guard().requests_per_second(0)), "guard.requests_per_second: 0 is not from 1 to 100000"),
            (guarded(guard().burst(100_001)), "guard.burst: 100001 is not from 1 to 100000"),
            (guarded(guard().retries_per_second(0)), "guard.retries_per_second: 0 is not from 1"),
            (guarded(guard().retry_percent(1_001)), "guard.retry_percent: 1001 is not from 0 to 1000"),
            (guarded(guard().turns_per_second(0)), "guard.turns_per_second: 0 is not from 1 to 10000"),
        ] {
            is_refused(&config, says);
        }
    }
}
