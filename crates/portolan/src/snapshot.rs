//! What a view knows at one moment, published whole: one writer, many readers, no lock on the way to it.
//!
//! In:  the snapshots that the step machine makes. Out: the newest one to whoever asks, and to each consumer every
//! difference from what it last saw, exactly once, however slow it is.
//!
//! Never: shows a mix of two moments; keeps a queue of changes, which could overflow; compares by less than
//! everything; frees a big snapshot on a reader's path.
//!
//! Proof: `snapshot/tests.rs`, tables and a property test with readers of any speed.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::{
    error::{Error, Kind},
    model::{Instance, ServiceName},
};

mod catalog;
mod diff;

pub(crate) use catalog::CatalogReader;
pub use catalog::{Catalog, CatalogChanges, Retagged};
pub use diff::Changes;

/// Where the newest knowledge came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Nowhere yet: no answer has come.
    Nothing,
    /// From the registry.
    Live,
    /// From the cache that the processes of a host or a cluster share.
    Shared,
    /// From this machine's disk: the last known good of an earlier run.
    Disk,
    /// From the list that the caller gave for the case that nothing fresh enough is known.
    Fallback,
    /// From an operator's file, which stands above everything else.
    Override,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Live => "live",
            Self::Shared => "shared",
            Self::Disk => "disk",
            Self::Fallback => "fallback",
            Self::Override => "override",
        })
    }
}

/// How fresh an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Freshness {
    /// Where it came from.
    pub source: Source,
    /// The registry's index for it; 0 before the first answer.
    pub index: u64,
    /// When the newest proof arrived here. `None` before the first answer.
    pub confirmed: Option<Instant>,
    /// How old it was then, by the registry's own word, or by that of the cache it came from. Apart from `confirmed`,
    /// for a proof may be older than this machine's clock.
    pub admitted: Duration,
    /// Whether the age that the registry admits is known to be empty words: Consul's streaming backend always says 0.
    pub streaming: bool,
}

impl Freshness {
    pub(crate) fn nothing() -> Self {
        Self {
            source: Source::Nothing,
            index: 0,
            confirmed: None,
            admitted: Duration::ZERO,
            streaming: false,
        }
    }

    /// How old the newest proof is at `now`; `None` before the first answer.
    ///
    /// Computed here, on demand: a lookup itself reads no clock.
    #[must_use]
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.confirmed.map(|confirmed| now.saturating_duration_since(confirmed).saturating_add(self.admitted))
    }
}

/// Whether access rules may stand between us and the instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// The registry says that nothing was hidden, or has no such rules.
    No,
    /// The registry does not say (before Consul 1.11), and a token or a default of deny may hide some.
    Maybe,
    /// The registry says that the token hid some.
    Yes,
}

/// The last failed read, kept until one succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Its class.
    pub kind: Kind,
    /// The error with its causes, on one line.
    pub text: Arc<str>,
    /// When reads began to fail.
    pub since: Instant,
    /// How many failed in a row.
    pub count: u32,
}

/// One service at one moment, unfiltered.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) service: ServiceName,
    pub(crate) datacenter: Option<Arc<str>>,
    pub(crate) instances: Arc<[Arc<Instance>]>,
    pub(crate) held: Arc<[Arc<Instance>]>,
    pub(crate) freshness: Arc<Freshness>,
    pub(crate) last_seen: Option<Instant>,
    pub(crate) hidden: Hidden,
    pub(crate) failure: Option<Failure>,
}

impl Snapshot {
    /// What is known before the first answer.
    pub(crate) fn nothing(service: ServiceName) -> Self {
        Self {
            service,
            datacenter: None,
            instances: Arc::default(),
            held: Arc::default(),
            freshness: Arc::new(Freshness::nothing()),
            last_seen: None,
            hidden: Hidden::No,
            failure: None,
        }
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// The datacentre that was asked; `None`: the agent's own, or none, for a list that was given.
    #[must_use]
    pub fn datacenter(&self) -> Option<&str> {
        self.datacenter.as_deref()
    }

    /// All instances that the registry has confirmed, of any health, ordered by identity.
    #[must_use]
    pub fn instances(&self) -> &[Arc<Instance>] {
        &self.instances
    }

    /// Instances that the registry has forgotten in a way that is not to be believed at once: kept for a while, and
    /// picked only when no confirmed one is left.
    #[must_use]
    pub fn held(&self) -> &[Arc<Instance>] {
        &self.held
    }

    /// Age, source and index.
    #[must_use]
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// Whether an answer has ever come, from wherever.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.freshness.source != Source::Nothing
    }

    /// When an instance was last in it. `None`: never.
    #[must_use]
    pub fn last_seen(&self) -> Option<Instant> {
        self.last_seen
    }

    /// Whether access rules may hide instances.
    #[must_use]
    pub fn hidden(&self) -> Hidden {
        self.hidden
    }

    /// The failure that reads meet at present; `None` while they succeed.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }
}

/// Where the newest value is. Shared by its writer and its readers.
type Cell<T = Snapshot> = ArcSwap<T>;

/// Publishes. Not `Clone`, and `&mut self`: two writers of one cell do not compile.
#[derive(Debug)]
pub(crate) struct Writer<T = Snapshot> {
    cell: Arc<Cell<T>>,
    /// Not in the cell: readers keep that alive, and learn of the end by the loss of this.
    version: watch::Sender<u64>,
    retired: Vec<Arc<T>>,
}

impl<T> Writer<T> {
    pub(crate) fn new(first: Arc<T>) -> Self {
        let (version, _) = watch::channel(0);
        Self { cell: Arc::new(Cell::new(first)), version, retired: Vec::new() }
    }

    /// The newest value.
    pub(crate) fn current(&self) -> Arc<T> {
        self.cell.load_full()
    }

    /// Makes `next` the newest, and tells the readers.
    pub(crate) fn publish(&mut self, next: Arc<T>) {
        // The old one is dropped here, when no reader is left on it: freeing ten thousand instances is our work, not
        // that of the request which happened to hold it last.
        self.retired.push(self.cell.swap(next));
        self.retired.retain(|old| Arc::strong_count(old) > 1);
        self.version.send_modify(|version| *version = version.wrapping_add(1));
    }

    /// The same for what another writer has made, who frees it: two that each wait until they are its last owner would
    /// wait for each other, and keep every value for ever.
    pub(crate) fn relay(&mut self, next: Arc<T>) {
        drop(self.cell.swap(next));
        self.version.send_modify(|version| *version = version.wrapping_add(1));
    }
}

impl<T> Writer<T> {
    /// Whoever holds it finds the newest.
    pub(crate) fn latest(&self) -> Latest<T> {
        let mut version = self.version.subscribe();
        version.mark_changed(); // what is there already is news to a new reader
        Latest { cell: Arc::clone(&self.cell), version }
    }
}

/// The newest value, and when there is another. Clones are told on their own.
#[derive(Debug)]
pub(crate) struct Latest<T> {
    cell: Arc<Cell<T>>,
    version: watch::Receiver<u64>,
}

impl<T> Clone for Latest<T> {
    fn clone(&self) -> Self {
        Self { cell: Arc::clone(&self.cell), version: self.version.clone() }
    }
}

impl<T> Latest<T> {
    pub(crate) fn current(&self) -> Arc<T> {
        self.cell.load_full()
    }

    /// The next that was not told yet.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn changed(&mut self) -> Result<Arc<T>, Error> {
        self.version.changed().await.map_err(|gone| closed().caused_by(gone))?;
        Ok(self.current())
    }
}

impl Writer {
    /// A reader that has seen nothing yet.
    pub(crate) fn reader(&self) -> Reader {
        let mut version = self.version.subscribe();
        version.mark_changed(); // what is there already is news to a new reader
        let seen = Arc::new(Snapshot::nothing(self.cell.load().service.clone()));
        Reader { cell: Arc::clone(&self.cell), version, seen, _keeps: None }
    }
}

/// Reads the newest snapshot, and tells what has changed since it last told.
///
/// Clones are readers of their own, and start from what the original had seen.
#[derive(Clone, Debug)]
pub struct Reader {
    cell: Arc<Cell>,
    version: watch::Receiver<u64>,
    seen: Arc<Snapshot>,
    _keeps: Option<Arc<dyn Keep>>,
}

/// What lives as long as the readers that keep it: that they follow the view.
pub(crate) trait Keep: Send + Sync + fmt::Debug {}

impl Reader {
    /// The same; it and its clones keep `what` alive.
    pub(crate) fn keeping(self, what: Arc<dyn Keep>) -> Self {
        Self { _keeps: Some(what), ..self }
    }

    /// The newest snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.cell.load_full()
    }

    /// Waits until something differs from what this reader was told last, and tells it. The first call tells what is
    /// known already.
    ///
    /// A reader that was slow gets one set of changes from what it saw to what is now; it misses nothing that still
    /// differs. Answers that only confirm what is known wake nobody.
    ///
    /// # Errors
    /// [`Kind::Closed`] once the view is closed and everything was told.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: what was not returned is told by the next call.
    pub async fn changed(&mut self) -> Result<Changes, Error> {
        loop {
            let open = self.version.changed().await.is_ok();
            let now = self.snapshot();
            let changes = Changes::between(&self.seen, &now);
            self.seen = now;
            if !changes.is_empty() {
                return Ok(changes);
            }
            if !open {
                return Err(closed());
            }
        }
    }

    /// Waits until `want` accepts the snapshot, and returns it.
    ///
    /// # Errors
    /// [`Kind::Timeout`] after `within`; [`Kind::Closed`] once the view is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next call starts from the newest snapshot.
    pub async fn wait_until(
        &self,
        want: impl Fn(&Snapshot) -> bool,
        within: Duration,
    ) -> Result<Arc<Snapshot>, Error> {
        let mut version = self.version.clone();
        version.mark_changed();
        let search = async {
            loop {
                let open = version.changed().await.is_ok();
                let now = self.snapshot();
                if want(&now) {
                    return Ok(now);
                }
                if !open {
                    return Err(closed());
                }
            }
        };
        tokio::time::timeout(within, search).await.unwrap_or_else(|_late| {
            let what = format!("{}: what was waited for did not come within {within:?}", self.seen.service);
            Err(Error::new(Kind::Timeout, what))
        })
    }

    /// Waits for any publication, also one that only confirms. For the resolver's task.
    pub(crate) async fn published(&mut self) -> Result<Arc<Snapshot>, Error> {
        self.version.changed().await.map_err(|gone| closed().caused_by(gone))?;
        Ok(self.snapshot())
    }
}

fn closed() -> Error {
    Error::new(Kind::Closed, "the view is closed; its Discovery was closed or dropped")
}

#[cfg(test)]
mod tests;
