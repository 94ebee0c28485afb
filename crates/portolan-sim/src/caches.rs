//! The scripted caches: a disk and a cache that is shared, which outlive each program of a run.
//!
//! In:  loads and saves of the library. Out: what was saved, or something else, late, damaged, old, or never.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use portolan::{
    CacheConfig, Error, Kind,
    cache::{Cache, CacheKey, CacheReply, Reach},
};
use tokio::time::{Instant, sleep};

use crate::{chance::Chance, stage::Stage};

/// What is wrong with a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Trouble {
    #[default]
    None,
    Fails,
    Hangs,
    Slow(Duration),
    /// One bit of what it gives back is another one.
    Damages,
    /// It gives back what was there before the last save.
    Old,
    /// It says that it saved, and did not.
    Forgets,
}

/// What a cache holds: for each key the last value and the one before.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) trouble: Trouble,
    values: BTreeMap<String, (Vec<u8>, Option<Vec<u8>>)>,
}

impl Shelf {
    /// Whether it would give back what was saved last for this service.
    pub(crate) fn remembers(&self, service: &str) -> bool {
        let start = format!("{service}-");
        self.trouble == Trouble::None && self.values.keys().any(|key| key.starts_with(&start))
    }
}

/// One of the two caches, as the library sees it.
#[derive(Debug)]
pub(crate) struct Scripted {
    stage: Stage,
    reach: Reach,
}

impl Scripted {
    pub(crate) fn new(stage: &Stage, reach: Reach) -> Arc<Self> {
        Arc::new(Self { stage: stage.clone(), reach })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Shelf) -> T) -> T {
        let shared = self.reach == Reach::Shared;
        self.stage.with(|inner| look(if shared { &mut inner.shared } else { &mut inner.disk }))
    }

    async fn trouble(&self) -> Result<Trouble, Error> {
        let trouble = self.with(|shelf| shelf.trouble);
        match trouble {
            Trouble::Fails => Err(Error::registry(Kind::Unreachable, "scripted: the cache fails")),
            Trouble::Hangs => std::future::pending().await,
            Trouble::Slow(long) => {
                sleep(long).await;
                Ok(trouble)
            }
            _ => Ok(trouble),
        }
    }
}

impl Cache for Scripted {
    fn name(&self) -> &'static str {
        if self.reach == Reach::Shared { "shared" } else { "disk" }
    }

    fn reach(&self) -> Reach {
        self.reach
    }

    fn load<'a>(&'a self, key: &'a CacheKey) -> CacheReply<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let trouble = self.trouble().await?;
            let found = self.with(|shelf| shelf.values.get(&key.text()).cloned());
            let found = found.and_then(|(last, before)| match trouble {
                Trouble::Old => before,
                Trouble::Damages => Some(damaged(last)),
                _ => Some(last),
            });
            let (name, service) = (self.name(), &key.service);
            self.stage.note(format_args!("{name} loads {service}: {}, {trouble:?}", found.is_some()));
            Ok(found)
        })
    }

    fn save<'a>(&'a self, key: &'a CacheKey, value: &'a [u8], _: Duration) -> CacheReply<'a, ()> {
        Box::pin(async move {
            let trouble = self.trouble().await?;
            self.stage.note(format_args!("{} saves {}: {trouble:?}", self.name(), key.service));
            if trouble != Trouble::Forgets {
                self.with(|shelf| {
                    let slot = shelf.values.entry(key.text()).or_default();
                    let before = std::mem::replace(&mut slot.0, value.to_vec());
                    slot.1 = (!before.is_empty()).then_some(before);
                });
            }
            Ok(())
        })
    }
}

fn damaged(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 4;
    }
    bytes
}

/// No cache, a disk, a shared one, or both. Their clock on the wall runs with the virtual time, and may be set.
pub(crate) fn roll(stage: &Stage, chance: &mut Chance) -> CacheConfig {
    let (start, wall) = (Instant::now(), stage.clone());
    let mut config = CacheConfig::default().cluster("sim").time_of_day(move || {
        let skew = wall.with(|inner| inner.skew);
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + start.elapsed() + skew
    });
    if chance.one_in(2) {
        config = config.cache(Scripted::new(stage, Reach::Machine));
    }
    if chance.one_in(2) {
        config = config.cache(Scripted::new(stage, Reach::Shared));
    }
    config
}
