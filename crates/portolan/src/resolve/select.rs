//! Which instances a resolver may pick, and by which policy. PURE.
//!
//! In:  an instance and what the caller asked for. Out: usable, or the first reason why not.
//!
//! Never: picks what is critical or in maintenance; hides why an instance is left out.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    expr::Filter,
    prefer::{self, Prefer},
};
use crate::{
    duration::format_duration,
    error::Error,
    model::{Requirement, Split},
};

mod doubt;
mod exclusion;
mod refuse;

pub use doubt::{OnStale, Panic, Warning};
pub use exclusion::Exclusion;
pub(super) use refuse::has_tag;

/// How one of the usable instances is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Policy {
    /// Two at random, by weight; of these the one with fewer requests in flight. The default. A peek takes the first.
    #[default]
    PowerOfTwo,
    /// Two at random, by weight; of these the one whose next request is thought to take less: by the peak of its latency,
    /// which is forgotten over some 10 s, times the requests in flight, as Finagle's. It goes by what
    /// [`Pick::success`](crate::Pick::success) and [`Pick::failure`](crate::Pick::failure) report. A pick reads the clock
    /// under this policy, and only under this. A peek takes the first.
    PeakEwma,
    /// At random, by weight.
    Random,
    /// In turn, smoothly by weight.
    RoundRobin,
    /// By a key, and over all keys by weight: the same key goes to the same instance, in every process, and few keys move
    /// when an instance comes or goes; see [`Resolver::pick_by_key`](crate::Resolver::pick_by_key). Without a key at
    /// random, by weight. The table takes 256 KiB up to 655 instances, 4 MB at 10,000, and 20 MB at most.
    Maglev,
}

/// What a resolver is to choose from, and how. The default: all passing instances, power of two choices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Select {
    /// Tags that an instance must all have, compared without case as Consul does.
    pub tags: Vec<Arc<str>>,
    /// Pairs that an instance's meta must all have.
    pub meta: BTreeMap<Arc<str>, Arc<str>>,
    /// A condition in Consul's language of filters, beside tags and meta. `None`, the default: none.
    pub filter: Option<Filter>,
    /// Which versions an instance may have; one that tells none, or none that can be read, is left out. `latest` means
    /// the newest of which an instance can be picked, among those with the tags and the meta that are asked for; while
    /// none can be, the newest that is known. `None`, the default: any, or none.
    pub version: Option<Requirement>,
    /// Which versions will do while no instance of `version`, or of any part of the split, is healthy: before a panic,
    /// before held instances, and before another datacentre. Picks are marked
    /// [`Mark::OtherVersion`](crate::Mark::OtherVersion).
    pub version_fallback: Option<Requirement>,
    /// How requests are shared between versions, of those that `version` lets. It can be changed later by
    /// [`Resolver::set_split`](crate::Resolver::set_split), and an operator's file stands above both:
    /// [`Config::splits`](crate::Config::splits).
    pub split: Option<Split>,
    /// Whether instances in warning may be picked, at their warning weight.
    pub warning: Warning,
    /// How one is chosen.
    pub policy: Policy,
    /// What is preferred among those that can be picked, the most important first; at most 8. Not in a panic, and not
    /// among instances that a list names.
    pub prefer: Vec<Prefer>,
    /// Another datacentre than the agent's own.
    pub datacenter: Option<Arc<str>>,
    /// Datacentres to turn to, in this order, while those before have no usable instance. Each is a view of its own,
    /// which is followed all the time. Picks from them are marked [`Mark::Failover`](crate::Mark::Failover).
    pub fallback_datacenters: Vec<Arc<str>>,
    /// When so few instances are healthy that their checks are doubted rather than they.
    pub panic: Panic,
    /// How old the newest proof may be. Past it, `on_stale` says what happens. `None`, the default: any age.
    pub max_age: Option<Duration>,
    /// What picks get once what is known is older than `max_age`.
    pub on_stale: OnStale,
    /// How many picks of one instance may be alive at once: an instance that has so many is passed over. `None`, the
    /// default: any number. At least 1.
    pub max_in_flight: Option<u32>,
    /// How many percent of its share of all requests in flight an instance may have, before the next request, or key, goes
    /// on to another: 125 lets one have a quarter more than the mean. For [`Policy::Maglev`], where one key may be hot; the
    /// others spread by themselves. 100 to 10,000; `None`, the default: any number. As Envoy's `hash_balance_factor`, after
    /// Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2018).
    pub bounded_load: Option<u32>,
    /// Over this time an instance that has just become usable comes to its whole share, from a tenth of it. `None`, the
    /// default: it has it at once. 1 s to 1 h. As Envoy's slow start, with the share growing evenly.
    pub slow_start: Option<Duration>,
}

impl Select {
    /// Only instances with this tag, besides those asked for already.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Only instances whose meta has this pair, besides those asked for already.
    #[must_use]
    pub fn meta(mut self, key: &str, value: &str) -> Self {
        self.meta.insert(key.into(), value.into());
        self
    }

    /// Only instances that fit this expression, in place of one that was asked for already. It is evaluated here, whatever
    /// the registry: a filter does not narrow what wakes a view.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Only instances of these versions: a [`Requirement`], or one exact version.
    ///
    /// ```
    /// use portolan::{Requirement, Select};
    ///
    /// let two = Select::default().version("^2.1".parse::<Requirement>()?);
    /// let exactly = Select::default().version(semver::Version::new(1, 4, 2));
    /// # assert!(two.version.is_some() && exactly.version.is_some());
    /// # Ok::<(), portolan::RequirementError>(())
    /// ```
    #[must_use]
    pub fn version(mut self, version: impl Into<Requirement>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// These versions while none of those that are asked for is healthy.
    #[must_use]
    pub fn version_fallback(mut self, version: impl Into<Requirement>) -> Self {
        self.version_fallback = Some(version.into());
        self
    }

    /// How requests are shared between versions.
    ///
    /// A pick draws a part by its weight, then an instance of that part by the policy; preferences, and the weights of
    /// instances, count within the part. While a part has no instance that can be picked, its share goes to the others
    /// that have a weight, in proportion: [`Explanation::parts`](crate::Explanation::parts) shows it. A panic is declared
    /// over all parts together.
    ///
    /// By a key ([`Resolver::pick_by_key`](crate::Resolver::pick_by_key)) the key says which part: the parts are laid out
    /// in their order, so that when 95 and 5 become 90 and 10, the keys of that 5 % move, and no others. Keep their order.
    #[must_use]
    pub fn split(mut self, split: Split) -> Self {
        self.split = Some(split);
        self
    }

    /// Also instances in warning, at their warning weight.
    #[must_use]
    pub fn allow_warning(mut self) -> Self {
        self.warning = Warning::Allow;
        self
    }

    /// How one is chosen.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Prefer these, besides and after those that are preferred already.
    ///
    /// Each preference splits the instances into groups, and those after it split each of the groups again: the shares
    /// multiply. An instance that gets no share is left out as [`Exclusion::NotPreferred`]; a pick that excludes all
    /// others still reaches it.
    ///
    /// ```
    /// use portolan::{Prefer, Select};
    ///
    /// // In the region first, then in the zone; there the instances of the first rank before those of the second.
    /// let near = Select::default()
    ///     .prefer(Prefer::SameRegion)
    ///     .prefer(Prefer::same_zone())
    ///     .prefer(Prefer::priority("rank"));
    /// # assert_eq!(near.prefer.len(), 3);
    /// ```
    #[must_use]
    pub fn prefer(mut self, prefer: Prefer) -> Self {
        self.prefer.push(prefer);
        self
    }

    /// Instances of this datacentre in place of the agent's own.
    #[must_use]
    pub fn datacenter(mut self, datacenter: &str) -> Self {
        self.datacenter = Some(datacenter.into());
        self
    }

    /// Turn to this datacentre too, while those before it have no usable instance.
    #[must_use]
    pub fn fallback_datacenter(mut self, datacenter: &str) -> Self {
        self.fallback_datacenters.push(datacenter.into());
        self
    }

    /// When picks go to instances of any health.
    #[must_use]
    pub fn panic(mut self, panic: Panic) -> Self {
        self.panic = panic;
        self
    }

    /// How old the newest proof may be, and what picks get past that.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration, on_stale: OnStale) -> Self {
        self.max_age = Some(max_age);
        self.on_stale = on_stale;
        self
    }

    /// What picks get past [`max_age`](Self::max_age), or, a fallback, while nothing is known at all.
    #[must_use]
    pub fn on_stale(mut self, on_stale: OnStale) -> Self {
        self.on_stale = on_stale;
        self
    }

    /// How many picks of one instance may be alive at once.
    #[must_use]
    pub fn max_in_flight(mut self, requests: u32) -> Self {
        self.max_in_flight = Some(requests);
        self
    }

    /// How many percent of its share of all requests in flight an instance may have.
    #[must_use]
    pub fn bounded_load(mut self, percent: u32) -> Self {
        self.bounded_load = Some(percent);
        self
    }

    /// Over this time an instance that has just become usable comes to its whole share.
    #[must_use]
    pub fn slow_start(mut self, window: Duration) -> Self {
        self.slow_start = Some(window);
        self
    }

    /// The same for a list that somebody has chosen already: no filter, and no doubt about it.
    pub(super) fn of_a_list(&self) -> Self {
        let Self { policy, max_in_flight, bounded_load, .. } = *self;
        Self { policy, max_in_flight, bounded_load, panic: Panic::Off, ..Self::default() }
    }

    /// The datacentres in the order in which they are turned to; `None` is the agent's own.
    pub(crate) fn datacenters(&self) -> Vec<Option<Arc<str>>> {
        let others = self.fallback_datacenters.iter().map(|name| Some(Arc::clone(name)));
        std::iter::once(self.datacenter.clone()).chain(others).collect()
    }

    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config), naming the setting, what was found and what is allowed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = |what: String| Err(Error::config(what));
        prefer::check(&self.prefer)?;
        match self.panic {
            Panic::Below { percent, .. } if !(1..=100).contains(&percent) => {
                return wrong(format!(
                    "select.panic: {percent} percent is not from 1 to 100; 50 is the default"
                ));
            }
            Panic::Below { among: 0, .. } => {
                return wrong("select.panic: a share among 0 says nothing; set 1 or more".to_owned());
            }
            _ => {}
        }
        if let Some(bound) = self.max_age.filter(|bound| *bound < LEAST_AGE) {
            let found = format_duration(bound);
            return wrong(format!("select.max_age: {found} is under 1s; set 1s or more, or None"));
        }
        if let Some(window) = self.slow_start.filter(|window| !SLOW_STARTS.contains(window)) {
            let found = format_duration(window);
            return wrong(format!("select.slow_start: {found} is not from 1s to 1h; set that, or None"));
        }
        if let Some(percent) = self.bounded_load.filter(|percent| !(100..=10_000).contains(percent)) {
            return wrong(format!(
                "select.bounded_load: {percent} percent is not from 100 to 10000; 125 is usual"
            ));
        }
        if self.max_in_flight == Some(0) {
            return wrong(
                "select.max_in_flight: 0 would let nothing through; set 1 or more, or None".to_owned(),
            );
        }
        if matches!(&self.on_stale, OnStale::Fallback(list) if list.is_empty()) {
            return wrong(
                "select.on_stale: the fallback list is empty; give it an instance, or choose Fail".to_owned(),
            );
        }
        let all = self.datacenters();
        let twice =
            all.iter().enumerate().find(|(at, name)| all.iter().take(*at).any(|before| before == *name));
        if let Some((_, Some(name))) = twice {
            return wrong(format!("select.fallback_datacenters: {name:?} is named twice; leave one out"));
        }
        if all.len() > MOST_DATACENTERS {
            let count = self.fallback_datacenters.len();
            return wrong(format!(
                "select.fallback_datacenters: {count} are too many; each is a view; 15 are allowed"
            ));
        }
        Ok(())
    }
}

/// A bound below this asks for more reads than a view may make.
const LEAST_AGE: Duration = Duration::from_secs(1);
/// Below, an instance is not warm sooner than the tables are built; above, a restart takes a day.
const SLOW_STARTS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
/// The first and its fallbacks.
const MOST_DATACENTERS: usize = 16;

#[cfg(test)]
mod tests;
