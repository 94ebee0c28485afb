//! The one handle a program holds: it owns every view, every registration and every task.
//!
//! In:  settings and a registry. Out: resolvers and registrations. Closing it ends every task within a deadline;
//! dropping the last clone cancels them.
//!
//! Never: does I/O in `new`; makes two views of one service; lets a task outlive it.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::{
    error::{Error, Kind},
    guard::{Guard, RegistryState},
    model::ServiceName,
    overrides::Overrides,
    register::{Keeper, KeeperSettings, Registration, RegistrationHandle, STARTING},
    registry::{Definition, Registry, consul::Consul},
    resolve::{Files, OnStale, Origin, Resolver, Select},
    roll::mix,
    snapshot::Snapshot,
    splits::Splits,
    tasks::Tasks,
    telemetry,
    watched::WatchedFile,
};

mod config;
mod dependencies;
mod dump;
mod external;
mod kept;
mod services;
mod suspend;
mod views;
#[cfg(unix)]
mod watchdog;

pub use config::{CacheConfig, Config, GuardConfig, ViewConfig};
pub use dependencies::Dependencies;
pub use dump::{Dump, ResolverDump, ViewDump};
use kept::Kept;
use services::Catalogs;
use views::{Begun, ViewKey, Views, Warm};

pub use services::Services;

/// The time in which tasks end that were told to.
const LAST_MOMENT: Duration = Duration::from_millis(500);
/// How often it is looked for views that nobody uses, at least.
const SWEEP: Duration = Duration::from_secs(60);

/// Service discovery for one program. Cheap to clone; clones share everything.
///
/// Keep it for as long as the program looks things up: when the last clone is dropped its tasks end, and resolvers stay
/// at what they knew, with an age that grows, while readers are told that the view is closed. A registration's handle
/// keeps the tasks alive too. Only [`close`](Self::close) removes registrations and waits for it.
#[derive(Clone)]
pub struct Discovery {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    guard: Arc<Guard>,
    /// `None` when views are kept nowhere.
    caches: Option<Kept>,
    keeper: Keeper,
    tasks: Tasks,
    seed: u64,
    /// Resolvers with the default selection by name: what a warm lookup reads.
    warm: Warm,
    views: Views,
    overrides: WatchedFile<Overrides>,
    splits: WatchedFile<Splits>,
    catalogs: Catalogs,
}

impl Discovery {
    /// Discovery on the Consul that `config` names.
    ///
    /// No I/O: the first lookup connects.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let consul = Consul::new(config.consul.clone());
        let kept = Kept::new(&config.cache, consul.describe(), Some(&config.consul));
        Self::build(Arc::new(consul), config, kept)
    }

    /// Discovery on any registry: an in-process one for tests, the embedded one, or one of your own.
    ///
    /// Of `config.consul` only the request timeout counts then: it bounds the calls to any registry.
    #[must_use]
    pub fn with_registry(registry: Arc<dyn Registry>, config: Config) -> Self {
        let kept = Kept::new(&config.cache, registry.describe(), None);
        Self::build(registry, config, kept)
    }

    fn build(registry: Arc<dyn Registry>, config: Config, caches: Option<Kept>) -> Self {
        let seed = config.seed.unwrap_or_else(|| RandomState::new().hash_one("portolan"));
        let (call, limits) = (config.consul.call_limit(), config.guard.limits(mix(!seed)));
        let versions = config.versions.clone();
        let guard = Arc::new(Guard::with_limits(registry, config.connections, call, limits, versions));
        let tasks = Tasks::new();
        let settings = KeeperSettings { seed: mix(seed), ..KeeperSettings::default() };
        let keeper = Keeper::new(Arc::clone(&guard), &tasks, settings);
        let inner = Inner {
            guard,
            caches,
            keeper,
            tasks,
            seed,
            warm: ArcSwap::default(),
            views: Views::new(seed),
            overrides: WatchedFile::new(config.overrides.clone()),
            splits: WatchedFile::new(config.splits.clone()),
            catalogs: Catalogs::new(seed),
            config,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The resolver of a service with the default selection: all passing instances, power of two choices.
    ///
    /// The first call for a service starts its view and waits for the first answer, at most `start_wait` (5 s). Every
    /// later call returns at once, with the same resolver; on demand ([`Mode`](crate::Mode)) it reads first what has
    /// grown old. Where the registry has failed, or is silent all that time, and a cache remembers the service, it
    /// returns that, marked with its source and its true age; the view goes on trying.
    ///
    /// # Errors
    /// [`Kind::Config`] for a bad name or setting. [`Kind::Unreachable`], [`Kind::Timeout`] or another kind of the
    /// registry's when nothing is known yet: the view goes on trying, so calling again is all there is to do.
    /// [`Kind::Closed`] after [`close`](Self::close).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the view it started goes on, and the next call finds it.
    pub async fn service(&self, name: &str) -> Result<Resolver, Error> {
        if let Some(found) = self.warm(name, Resolver::found_again) {
            found.read_if_old(self.inner.config.view.mode, self.inner.config.start_wait).await;
            return Ok(found);
        }
        let resolver = self.service_with(name, Select::default()).await?;
        let mut kept = resolver.clone();
        self.inner.warm.rcu(|map| {
            let mut map = HashMap::clone(map);
            // Two first callers at once: both get the resolver that was there first.
            kept = map.entry(resolver.service().clone()).or_insert_with(|| resolver.clone()).clone();
            map
        });
        Ok(kept)
    }

    /// A resolver of its own, with its own filter and policy, over the view that all resolvers of the service share.
    ///
    /// Keep it: each call makes a new one, which costs a task.
    ///
    /// # Errors
    /// As [`service`](Self::service).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the view it started goes on.
    pub async fn service_with(&self, name: &str, select: Select) -> Result<Resolver, Error> {
        self.check().await?;
        let has_fallback = matches!(select.on_stale, OnStale::Fallback(_));
        let origins = self.origins(name, &select)?;
        metrics::counter!(telemetry::VIEW_LOOKUPS, "service" => name.to_owned(), "result" => "miss")
            .increment(1);
        let resolver = self.resolver(origins.clone(), select);
        if let Err(late) = resolver.settled(self.inner.config.start_wait).await {
            let known = has_fallback || origins.iter().any(|origin| origin.reader.snapshot().is_known());
            if let (true, Some(first)) = (late.kind() == Kind::Closed || !known, origins.first()) {
                return Err(self.why_not(&first.reader.snapshot(), late));
            }
        }
        Ok(resolver)
    }

    /// A resolver at once, warm or not: until the first answer its picks say that nothing is known yet.
    ///
    /// # Errors
    /// [`Kind::Config`] for a bad name or setting; [`Kind::Closed`] after [`close`](Self::close).
    pub fn service_now(&self, name: &str, select: Select) -> Result<Resolver, Error> {
        let origins = self.origins(name, &select)?;
        Ok(self.resolver(origins, select))
    }

    /// Registers an instance, and keeps it registered until the handle is closed or dropped.
    ///
    /// Returns once the agent has answered, or after 5 s: with the registry down, or a token that it refuses, the
    /// handle's [state](crate::RegistrationState) says so, and the keeper goes on trying.
    ///
    /// # Errors
    /// [`Kind::Config`] when the registration is wrong; [`Kind::Conflict`] when its id is held by another instance that
    /// works; [`Kind::Rejected`] when the registry says that it can never be; [`Kind::Unreachable`] when an automatic
    /// address cannot be found; [`Kind::Closed`] after [`close`](Self::close).
    ///
    /// # Cancel safety
    /// Dropping the future removes an instance that was registered already.
    pub async fn register(&self, registration: Registration) -> Result<RegistrationHandle, Error> {
        self.check().await?;
        self.inner.keeper.register(&registration).await
    }

    /// Registers an instance in maintenance, so that nobody chooses it, and puts it into service when `ready` has ended:
    /// its caches are warm, its own dependencies are there.
    ///
    /// The keeper goes on until it is in service; [`wait_healthy`](RegistrationHandle::wait_healthy) waits for that.
    ///
    /// # Errors
    /// As [`register`](Self::register).
    ///
    /// # Cancel safety
    /// As [`register`](Self::register), also while `ready` goes on.
    pub async fn announce_when(
        &self,
        registration: Registration,
        ready: impl Future<Output = ()>,
    ) -> Result<RegistrationHandle, Error> {
        let given = registration.maintenance.is_some();
        let registration = if given { registration } else { registration.in_maintenance(STARTING) };
        let handle = self.register(registration).await?;
        ready.await;
        handle.announce();
        Ok(handle)
    }

    /// Checks the settings, and whether the caches that they name can be used. The first lookup and the first
    /// registration do so too; call it where a program reads its settings, to fail there.
    ///
    /// # Errors
    /// [`Kind::Config`], naming the setting, what was found and what is allowed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next call checks.
    pub async fn check(&self) -> Result<(), Error> {
        self.inner.config.check()?;
        match &self.inner.caches {
            Some(kept) => kept.check().await,
            None => Ok(()),
        }
    }

    /// Lets `look` see the resolver of a service that [`service`](Self::service) has been called for. No wait, no
    /// lock, no allocation: this is the lookup by name for a hot path.
    pub fn warm<R>(&self, name: &str, look: impl FnOnce(&Resolver) -> R) -> Option<R> {
        self.inner.warm.load().get(name).map(look)
    }

    /// The definition that [`register`](Self::register) would send, with everything filled in: for a tool that sends
    /// it once by [`registry`](Self::registry), and does not keep it.
    ///
    /// # Errors
    /// [`Kind::Config`] when the registration is wrong; [`Kind::Unreachable`] when an automatic address cannot be found.
    ///
    /// # Cancel safety
    /// Nothing is sent, so nothing is lost.
    pub async fn define(&self, registration: &Registration) -> Result<Definition, Error> {
        self.inner.keeper.define(registration).await
    }

    /// The registry, with the places and deadlines that all its users share.
    #[must_use]
    pub fn registry(&self) -> Arc<dyn Registry> {
        Arc::clone(&self.inner.guard) as Arc<dyn Registry>
    }

    /// How the registry does, as the calls of this program see it: where its circuit breakers stand. Lookups go on
    /// from what is known, whatever this says.
    #[must_use]
    pub fn registry_state(&self) -> RegistryState {
        self.inner.guard.state()
    }

    /// Removes every registration from its agent, then ends every task. Nothing is drained: close the handles before, and
    /// no caller notices.
    ///
    /// # Errors
    /// [`Kind::Timeout`] when an instance was still registered, or a task still ran, after `within`; the tasks are
    /// aborted then. Another kind when the agent refused to remove one time after time.
    ///
    /// # Cancel safety
    /// Dropping the future aborts the tasks that have not ended yet.
    pub async fn close(&self, within: Duration) -> Result<(), Error> {
        let give_up = Instant::now() + within;
        // Else a name that was looked up before would still be found, with a view that nobody follows any more.
        self.inner.warm.store(Arc::default());
        let removed = self.inner.keeper.close(within).await;
        // Ending the tasks gets a moment even when the agent used up the time: nothing may outlive this.
        let now = Instant::now();
        let rest = give_up.saturating_duration_since(now).max(LAST_MOMENT);
        if let Some(kept) = &self.inner.caches {
            // A cache that does not answer must not make tasks look as if they had not ended.
            kept.close(now + rest - LAST_MOMENT / 5);
        }
        let ended = self.inner.tasks.close(rest).await;
        removed.and(ended)
    }

    fn why_not(&self, snapshot: &Snapshot, late: Error) -> Error {
        let Some(failure) = snapshot.failure() else {
            if late.kind() == Kind::Closed {
                return late;
            }
            let (service, wait) = (snapshot.service(), self.inner.config.start_wait);
            let what = format!("{service}: {} did not answer within {wait:?}", self.inner.guard.describe());
            return Error::new(Kind::Timeout, what).caused_by(late);
        };
        let what = format!(
            "{}: nothing is known yet, after {} failed reads: {}",
            snapshot.service(),
            failure.count,
            failure.text
        );
        Error::new(failure.kind, what)
    }

    /// The views that a resolver with this selection stands on.
    fn origins(&self, name: &str, select: &Select) -> Result<Vec<Origin>, Error> {
        let service = ServiceName::new(name)?;
        self.inner.config.check()?;
        select.check()?;
        self.inner.config.cache.check_select(select)?;
        if self.inner.tasks.is_closed() {
            return Err(Error::new(Kind::Closed, format!("{service}: this Discovery was closed")));
        }
        let Inner { views, guard, tasks, config, overrides, splits, caches, .. } = &*self.inner;
        overrides.open(tasks)?;
        splits.open(tasks)?;
        let origin = |datacenter| {
            let start = |begun: Begun| views::start(begun, guard, tasks, &config.view, caches.as_ref());
            let key = ViewKey { service: service.clone(), datacenter };
            views.origin(key, config, tasks, start)
        };
        let origins = select.datacenters().into_iter().map(origin).collect();
        if views.begin_to_sweep() {
            self.sweep();
            let (inner, slept, stop) = (Arc::downgrade(&self.inner), config.slept, tasks.stop());
            tasks.spawn("clock", move || suspend::watch_the_clock(Weak::clone(&inner), slept, stop.clone()));
        }
        Ok(origins)
    }

    /// Starts the task that forgets views which nobody uses.
    fn sweep(&self) {
        let Some(idle) = self.inner.config.view.idle else { return };
        let (inner, stop) = (Arc::downgrade(&self.inner), self.inner.tasks.stop());
        self.inner.tasks.spawn("sweep", move || {
            let (inner, stop) = (Weak::clone(&inner), stop.clone());
            async move {
                let pace = (idle / 4).min(SWEEP);
                while stop.run_until_cancelled(tokio::time::sleep(pace)).await.is_some() {
                    let Some(inner) = inner.upgrade() else { return };
                    inner.views.sweep(&inner.warm, idle, views::now());
                }
            }
        });
    }

    fn resolver(&self, origins: Vec<Origin>, mut select: Select) -> Resolver {
        // On demand, what is older than it is good for is shown as stale where no caller's bound says more.
        select.max_age = select.max_age.or(self.inner.config.view.mode.ttl());
        let stop = self.inner.tasks.stop();
        let files =
            Files { overrides: self.inner.overrides.subscribe(), splits: self.inner.splits.subscribe() };
        let here = Arc::new(self.inner.config.locality.clone());
        let (resolver, work) = Resolver::new(origins, select, here, files, self.inner.seed, stop);
        self.inner.tasks.spawn("resolver", work);
        self.inner.views.note(&resolver);
        resolver
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery").field("registry", &self.inner.guard.describe()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
