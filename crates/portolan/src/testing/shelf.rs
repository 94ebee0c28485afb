//! A cache that does what a test tells it to.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    cache::{Cache, CacheKey, CacheReply, Reach},
    error::{Error, Kind},
};

/// How a shelf behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Works,
    Fails,
    Hangs,
}

/// Keeps values in this process.
#[derive(Debug)]
pub(crate) struct Shelf {
    reach: Reach,
    #[expect(clippy::disallowed_types, reason = "a test's own")]
    mode: std::sync::Mutex<Mode>,
    #[expect(clippy::disallowed_types, reason = "a test's own")]
    pub(crate) values: std::sync::Mutex<BTreeMap<String, Vec<u8>>>,
    pub(crate) loads: AtomicUsize,
    /// When each save came, and for how long its value was to be kept.
    #[expect(clippy::disallowed_types, reason = "a test's own")]
    pub(crate) saves: std::sync::Mutex<Vec<(Instant, Duration)>>,
}

impl Shelf {
    pub(crate) fn new(reach: Reach) -> Self {
        let (values, loads, saves) = Default::default();
        Self { reach, mode: Mode::Works.into(), values, loads, saves }
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    async fn behave(&self) -> Result<(), Error> {
        let mode = *self.mode.lock().unwrap();
        match mode {
            Mode::Works => Ok(()),
            Mode::Fails => Err(Error::new(Kind::Unreachable, "scripted")),
            Mode::Hangs => std::future::pending().await,
        }
    }
}

impl Cache for Shelf {
    fn name(&self) -> &'static str {
        "shelf"
    }

    fn reach(&self) -> Reach {
        self.reach
    }

    fn load<'a>(&'a self, key: &'a CacheKey) -> CacheReply<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            self.loads.fetch_add(1, Ordering::SeqCst);
            self.behave().await?;
            Ok(self.values.lock().unwrap().get(&key.text()).cloned())
        })
    }

    fn save<'a>(&'a self, key: &'a CacheKey, value: &'a [u8], ttl: Duration) -> CacheReply<'a, ()> {
        Box::pin(async move {
            self.saves.lock().unwrap().push((Instant::now(), ttl));
            self.behave().await?;
            self.values.lock().unwrap().insert(key.text(), value.to_vec());
            Ok(())
        })
    }
}
