//! Where views are kept beyond the life of a process, and how long they are worth it.
//!
//! Never: takes a cache that would mix the views of two clusters; means "off" by zero.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::ViewConfig;
use crate::{
    cache::{Cache, Disk, Reach, Signer, TimeOfDay},
    duration::format_duration,
    error::{Error, Kind},
    resolve::Select,
};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// An age limit below this would be passed by what was saved a write ago.
const SHORTEST_LIMIT: Duration = Duration::from_secs(120);

/// Where views are kept beyond the life of a process: so that a program which starts while its registry is gone starts
/// from what was known last, marked, and with its age. Default: nowhere.
///
/// ```
/// use portolan::{CacheConfig, Config};
///
/// let config = Config::default().cache(CacheConfig::default().disk("/var/cache/web/portolan"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CacheConfig {
    /// How old a proof may be for a view to start from it. 2 min to 366 days, and at least twice `view.wait`; default
    /// 7 days.
    pub age_limit: Duration,
    /// The name of the cluster whose registry this is, in the keys of the caches. `None`: the registry's address, which
    /// for an agent on this machine is the same in every cluster; so a cache that machines share needs a name.
    pub cluster: Option<Arc<str>>,
    /// A name for what the token may see, in the keys of the caches. `None`: a hash of the token that the program starts
    /// with. Set it where tokens change by themselves, or a restart after a change would find nothing.
    pub scope: Option<Arc<str>>,
    pub(in crate::discovery) caches: Vec<Arc<dyn Cache>>,
    pub(in crate::discovery) signer: Option<Arc<Signer>>,
    pub(in crate::discovery) time_of_day: TimeOfDay,
}

impl Default for CacheConfig {
    #[expect(clippy::disallowed_methods, reason = "the system's clock is the default, and a setting")]
    fn default() -> Self {
        Self {
            age_limit: 7 * DAY,
            cluster: None,
            scope: None,
            caches: Vec::new(),
            signer: None,
            time_of_day: TimeOfDay::new(SystemTime::now),
        }
    }
}

impl CacheConfig {
    /// Keeps views in this directory too. It is made when it is not there; a directory that cannot be written is an
    /// error of the first `service()` or `register()`.
    #[must_use]
    pub fn disk(self, directory: impl AsRef<Path>) -> Self {
        self.cache(Arc::new(Disk::new(directory)))
    }

    /// Keeps views in the Redis or Valkey at `redis://[user:password@]host[:port][/database]` too. Processes that name
    /// the same cluster share what they know there.
    ///
    /// # Errors
    /// [`Kind::Config`] when the address is none of these.
    #[cfg(feature = "redis")]
    pub fn redis(self, address: &str) -> Result<Self, Error> {
        Ok(self.cache(Arc::new(crate::cache::Redis::new(address)?)))
    }

    /// Keeps views in this cache too: one with settings of its own, or one of your own.
    #[must_use]
    pub fn cache(mut self, cache: Arc<dyn Cache>) -> Self {
        self.caches.push(cache);
        self
    }

    /// How old a proof may be for a view to start from it.
    #[must_use]
    pub fn age_limit(mut self, limit: Duration) -> Self {
        self.age_limit = limit;
        self
    }

    /// The name of the cluster whose registry this is.
    #[must_use]
    pub fn cluster(mut self, name: &str) -> Self {
        self.cluster = Some(name.into());
        self
    }

    /// A name for what the token may see.
    #[must_use]
    pub fn scope(mut self, name: &str) -> Self {
        self.scope = Some(name.into());
        self
    }

    /// Signs what is saved with this key, and takes only what was signed with it (HMAC-SHA-256).
    ///
    /// # Errors
    /// [`Kind::Config`] for a key under 16 bytes.
    pub fn signing_key(mut self, key: impl AsRef<[u8]>) -> Result<Self, Error> {
        self.signer = Some(Arc::new(Signer::new(key.as_ref())?));
        Ok(self)
    }

    /// Where the time of day comes from, by which saved proofs are dated. Default: the system; set it to replay a run.
    #[must_use]
    pub fn time_of_day(mut self, read: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.time_of_day = TimeOfDay::new(read);
        self
    }

    /// A caller who is content with an older proof than the caches give would wait for what never comes.
    pub(in crate::discovery) fn check_select(&self, select: &Select) -> Result<(), Error> {
        let Some(max_age) = select.max_age.filter(|max_age| *max_age > self.age_limit) else { return Ok(()) };
        if self.caches.is_empty() {
            return Ok(());
        }
        let (max_age, limit) = (format_duration(max_age), format_duration(self.age_limit));
        let what = format!(
            "select.max_age: {max_age} is above cache.age_limit ({limit}), past which no start uses what is cached; \
             lower it, or raise cache.age_limit"
        );
        Err(Error::new(Kind::Config, what))
    }

    pub(super) fn check(&self, view: &ViewConfig) -> Result<(), Error> {
        let wrong = |what: String| Err(Error::new(Kind::Config, what));
        let limit = format_duration(self.age_limit);
        if self.age_limit < SHORTEST_LIMIT {
            return wrong(format!(
                "cache.age_limit: {limit} is under 2m; what is saved would be too old at once"
            ));
        }
        if self.age_limit > 366 * DAY {
            return wrong(format!("cache.age_limit: {limit} is over 366 days; set 7 days, the default"));
        }
        if self.age_limit < view.wait.saturating_mul(2) {
            let wait = format_duration(view.wait);
            return wrong(format!(
                "cache.age_limit: {limit} is under twice view.wait ({wait}), to which a proof ages while nothing changes"
            ));
        }
        if self.cluster.as_deref().is_some_and(str::is_empty) {
            return wrong("cache.cluster: is empty; name the cluster, or leave it unset".to_owned());
        }
        let shared = self.caches.iter().find(|cache| cache.reach() == Reach::Shared);
        if let (Some(cache), None) = (shared, &self.cluster) {
            return wrong(format!(
                "cache.cluster: is not set, but others share the cache {}; name the cluster, so that it does not mix \
                 the services of two",
                cache.name()
            ));
        }
        Ok(())
    }
}
