//! All caches of one program as one: asked together, bounded in time, and never believed without a check.
//!
//! In:  keys, and what views know. Out: the best of what the caches hold; a failure costs a metric, and one line in the
//! log when a cache begins to fail.
//!
//! Never: lets one cache hold up another, or any of them a start for longer than [`LONGEST_LOAD`]; reports each failure
//! of a cache that is away.

use std::{
    cmp::Reverse,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::{
    sync::OnceCell,
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{
    Cache, CacheKey, Reach,
    saved::{Saved, Signer, Unusable},
};
use crate::{
    error::{Error, Kind},
    snapshot::{Snapshot, Source},
    telemetry,
};

/// What a start may lose to a cache that does not answer.
pub(crate) const LONGEST_LOAD: Duration = Duration::from_millis(500);
/// How long a cache may take to keep a value.
pub(super) const LONGEST_SAVE: Duration = Duration::from_secs(5);
/// How long a cache must have worked until it is said to work again.
const STEADY: Duration = Duration::from_secs(10);
/// From how many instances on a value is read and written where work may take its time: below it takes a millisecond.
const MANY: usize = 1000;
/// About how long the value of so many instances is, in bytes.
const MANY_BYTES: usize = 256 * 1024;

/// The clock on the wall. A test, or a simulation, has one of its own.
#[derive(Clone)]
pub(crate) struct TimeOfDay(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl TimeOfDay {
    pub(crate) fn new(read: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The time since 1970; before that it is zero.
    fn wall(&self) -> Duration {
        (self.0)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}

impl fmt::Debug for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TimeOfDay")
    }
}

/// The caches of one program.
#[derive(Debug)]
pub(crate) struct Caches {
    all: Vec<Arc<Watched>>,
    signer: Option<Arc<Signer>>,
    age_limit: Duration,
    time_of_day: TimeOfDay,
    checked: OnceCell<()>,
    /// Set when the program closes: until when what is not saved yet may be.
    farewell: OnceLock<Instant>,
}

/// What one of the caches remembers of a view.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its place among the caches.
    pub(crate) place: usize,
    /// When the registry confirmed it, by the clock on the wall; zero when that cannot be true.
    proof: Duration,
    reach: Reach,
    pub(crate) snapshot: Snapshot,
    /// The way it came there.
    pub(crate) way: Vec<Source>,
}

impl Caches {
    pub(crate) fn new(
        caches: &[Arc<dyn Cache>],
        signer: Option<Arc<Signer>>,
        age_limit: Duration,
        time_of_day: TimeOfDay,
    ) -> Self {
        let all = caches.iter().map(|cache| Arc::new(Watched::new(Arc::clone(cache)))).collect();
        let (checked, farewell) = Default::default();
        Self { all, signer, age_limit, time_of_day, checked, farewell }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Asks each whether it can be used; once it was told so, never again.
    ///
    /// # Errors
    /// What the first says that cannot; one that does not answer may yet come back, and is not waited for.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        let all = || async {
            for watched in &self.all {
                if let Ok(said) = timeout(LONGEST_SAVE, watched.cache.check()).await {
                    said?;
                }
            }
            Ok(())
        };
        self.checked.get_or_try_init(all).await.copied()
    }

    /// The program closes: what is not saved yet may be until then.
    pub(crate) fn close(&self, until: Instant) {
        // Closed twice: the first end counts.
        let _first = self.farewell.set(until);
    }

    /// Until when what is not saved yet may be; `None` while the program does not close.
    pub(crate) fn farewell(&self) -> Option<Instant> {
        self.farewell.get().copied()
    }

    /// Asks all for what they remember, at most [`LONGEST_LOAD`] each and at the same time. The newest proof comes
    /// first; of equals, that of a cache that is shared, and of these the one that was named first.
    pub(crate) async fn load(self: &Arc<Self>, key: &CacheKey) -> Vec<Found> {
        let mut asked = JoinSet::new();
        for place in 0..self.len() {
            let (caches, key) = (Arc::clone(self), key.clone());
            asked.spawn(async move { caches.load_from(place, key).await });
        }
        let mut found: Vec<Found> = Vec::new();
        while let Some(answer) = asked.join_next().await {
            // One that panicked has said so on its way; the others still remember.
            found.extend(answer.ok().flatten());
        }
        found.sort_by_key(|found| (Reverse(found.proof), found.reach == Reach::Machine, found.place));
        found
    }

    async fn load_from(self: Arc<Self>, place: usize, key: CacheKey) -> Option<Found> {
        let watched = Arc::clone(self.all.get(place)?);
        let cache = Arc::clone(&watched.cache);
        let answer = timeout(LONGEST_LOAD, cache.load(&key)).await.unwrap_or_else(|_late| Err(late(&*cache)));
        let bytes = match answer {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                watched.loaded("miss", None);
                return None;
            }
            Err(error) => {
                watched.loaded("error", Some(&error));
                return None;
            }
        };
        let (caches, reach) = (Arc::clone(&self), cache.reach());
        let wanted = key.clone();
        let many = bytes.len() > MANY_BYTES;
        let read = off_the_runtime(many, move || caches.read(place, reach, &bytes, &wanted)).await?;
        match read {
            Ok(found) => {
                watched.loaded("hit", None);
                Some(found)
            }
            Err(why) => {
                watched.loaded(why.as_str(), None);
                tracing::warn!(
                    cache = cache.name(),
                    service = key.service.as_str(),
                    why = why.as_str(),
                    "a cached view cannot be used"
                );
                if why.is_damage()
                    && let Ok(Err(error)) = timeout(LONGEST_LOAD, cache.set_aside(&key)).await
                {
                    watched.failed(&error);
                }
                None
            }
        }
    }

    fn read(&self, place: usize, reach: Reach, bytes: &[u8], key: &CacheKey) -> Result<Found, Unusable> {
        let saved = Saved::decode(bytes, key, self.signer.as_deref())?;
        let wall = self.time_of_day.wall();
        let age = saved.age(wall, self.age_limit)?;
        let snapshot = saved.snapshot(reach.source(), age, Instant::now().into_std(), wall);
        Ok(Found { place, proof: saved.believable_proof(wall), reach, snapshot, way: saved.way })
    }

    /// Gives `snapshot`, which came here by `way`, to the caches at `places`. Says which of them could not take it.
    pub(crate) async fn save(
        self: &Arc<Self>,
        key: &CacheKey,
        snapshot: &Arc<Snapshot>,
        way: &[Source],
        places: &[usize],
    ) -> Vec<usize> {
        let Some(age) = snapshot.freshness.age(Instant::now().into_std()) else { return Vec::new() };
        let Some(ttl) = self.age_limit.checked_sub(age).filter(|ttl| !ttl.is_zero()) else {
            return Vec::new(); // nobody would take it from there
        };
        let (caches, of, by) = (Arc::clone(self), Arc::clone(snapshot), way.to_vec());
        let wanted = key.clone();
        let many = snapshot.instances.len() > MANY;
        let written = off_the_runtime(many, move || caches.write(&wanted, &of, &by)).await;
        let bytes: Arc<[u8]> = match written.flatten() {
            Some(Ok(bytes)) => bytes.into(),
            Some(Err(error)) => {
                let (service, error) = (key.service.as_str(), error.chain());
                tracing::warn!(service, error, "a view is too much for a cache");
                return Vec::new();
            }
            None => return Vec::new(),
        };
        let mut asked = JoinSet::new();
        for place in places.iter().copied() {
            let Some(watched) = self.all.get(place).cloned() else { continue };
            let (key, bytes) = (key.clone(), Arc::clone(&bytes));
            asked.spawn(async move { (place, watched.save(&key, &bytes, ttl).await) });
        }
        let mut refused = places.to_vec();
        while let Some(answer) = asked.join_next().await {
            if let Ok((place, true)) = answer {
                refused.retain(|other| *other != place);
            }
        }
        refused
    }

    fn write(&self, key: &CacheKey, snapshot: &Snapshot, way: &[Source]) -> Option<Result<Vec<u8>, Error>> {
        let saved = Saved::of(snapshot, key, Instant::now().into_std(), self.time_of_day.wall())?;
        Some(saved.after(way).encode(self.signer.as_deref()))
    }
}

/// Runs `work` here, or where it may block when there is much of it. `None` when the runtime ends meanwhile.
async fn off_the_runtime<T: Send + 'static>(
    much: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if much { tokio::task::spawn_blocking(work).await.ok() } else { Some(work()) }
}

fn late(cache: &dyn Cache) -> Error {
    Error::new(Kind::Timeout, format!("the cache {} did not answer in time", cache.name()))
}

/// A cache, and whether it works.
#[derive(Debug)]
struct Watched {
    cache: Arc<dyn Cache>,
    fails: AtomicBool,
    born: Instant,
    /// When it last failed, in milliseconds since `born`.
    failed_at: AtomicU64,
}

impl Watched {
    fn new(cache: Arc<dyn Cache>) -> Self {
        let (fails, failed_at) = Default::default();
        Self { cache, fails, born: Instant::now(), failed_at }
    }

    async fn save(&self, key: &CacheKey, bytes: &[u8], ttl: Duration) -> bool {
        let saved = timeout(LONGEST_SAVE, self.cache.save(key, bytes, ttl)).await;
        let saved = saved.unwrap_or_else(|_late| Err(late(&*self.cache)));
        self.count(telemetry::CACHE_SAVES, if saved.is_ok() { "ok" } else { "error" });
        match &saved {
            Ok(()) => self.worked(),
            Err(error) => self.failed(error),
        }
        saved.is_ok()
    }

    fn loaded(&self, outcome: &'static str, error: Option<&Error>) {
        self.count(telemetry::CACHE_LOADS, outcome);
        match error {
            Some(error) => self.failed(error),
            None => self.worked(),
        }
    }

    fn count(&self, metric: &'static str, outcome: &'static str) {
        metrics::counter!(metric, "cache" => self.cache.name(), "outcome" => outcome).increment(1);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn failed(&self, error: &Error) {
        self.failed_at.store(self.now(), Ordering::Relaxed);
        if !self.fails.swap(true, Ordering::Relaxed) {
            let (cache, error) = (self.cache.name(), error.chain());
            tracing::warn!(cache, error, "a cache fails; lookups go on without it");
        }
        self.set_up(0.0);
    }

    fn worked(&self) {
        if !self.fails.load(Ordering::Relaxed) {
            return self.set_up(1.0);
        }
        let since = self.now().saturating_sub(self.failed_at.load(Ordering::Relaxed));
        if u128::from(since) >= STEADY.as_millis() && self.fails.swap(false, Ordering::Relaxed) {
            tracing::info!(cache = self.cache.name(), "a cache works again");
            self.set_up(1.0);
        }
    }

    fn set_up(&self, up: f64) {
        metrics::gauge!(telemetry::CACHE_UP, "cache" => self.cache.name()).set(up);
    }
}
