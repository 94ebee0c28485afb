//! The list of all services at one moment, published whole like a [`Snapshot`](super::Snapshot): one writer, many
//! readers, no lock on the way to it.
//!
//! In:  the lists that the step machine makes. Out: the newest to whoever asks, and to each reader every difference
//! from what it last saw, exactly once, however slow it is.
//!
//! Never: keeps a queue of changes; wakes a reader for an answer that only confirms.
//!
//! Proof: `catalog/tests.rs`.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{Cell, Failure, Freshness, Hidden, Writer, closed};
use crate::{
    error::{Error, Kind},
    registry::ServiceTags,
};

mod diff;

pub use diff::{CatalogChanges, Retagged};

/// The names of all services of a datacenter, with the tags of their instances, at one moment.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub(crate) datacenter: Option<Arc<str>>,
    pub(crate) services: Arc<ServiceTags>,
    pub(crate) held: Arc<ServiceTags>,
    pub(crate) freshness: Freshness,
    pub(crate) hidden: Hidden,
    pub(crate) failure: Option<Failure>,
    /// Nobody used the list for long, so it is not followed until somebody does.
    pub(crate) asleep: bool,
}

impl Catalog {
    /// What is known before the first answer.
    pub(crate) fn nothing(datacenter: Option<Arc<str>>) -> Self {
        Self {
            datacenter,
            services: Arc::default(),
            held: Arc::default(),
            freshness: Freshness::nothing(),
            hidden: Hidden::No,
            failure: None,
            asleep: false,
        }
    }

    /// Whose services these are; `None`: those of the agent's own datacenter.
    #[must_use]
    pub fn datacenter(&self) -> Option<&str> {
        self.datacenter.as_deref()
    }

    /// The services that the registry has confirmed, by name, each with the union of its instances' tags. Healthy or
    /// not: a name is there while anything is registered under it. Consul's own, `consul`, is one of them.
    #[must_use]
    pub fn services(&self) -> &ServiceTags {
        &self.services
    }

    /// Services that the registry has forgotten in a way that is not to be believed at once: kept for a while.
    #[must_use]
    pub fn held(&self) -> &ServiceTags {
        &self.held
    }

    /// The tags of one service, confirmed or held; `None` when there is no such service.
    #[must_use]
    pub fn tags(&self, name: &str) -> Option<&[Arc<str>]> {
        self.services.get(name).or_else(|| self.held.get(name)).map(AsRef::as_ref)
    }

    /// Age, source and index.
    #[must_use]
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// Whether an answer has ever come.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.freshness.source != super::Source::Nothing
    }

    /// Whether access rules may hide services.
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

impl Writer<Catalog> {
    /// A reader that has seen nothing yet.
    pub(crate) fn catalog_reader(&self) -> CatalogReader {
        let mut version = self.version.subscribe();
        version.mark_changed(); // what is there already is news to a new reader
        let seen = Arc::new(Catalog::nothing(self.cell.load().datacenter.clone()));
        CatalogReader { cell: Arc::clone(&self.cell), version, seen }
    }
}

/// Reads the newest list, and tells what has changed since it last told. Clones are readers of their own.
#[derive(Clone, Debug)]
pub(crate) struct CatalogReader {
    cell: Arc<Cell<Catalog>>,
    version: watch::Receiver<u64>,
    seen: Arc<Catalog>,
}

impl CatalogReader {
    /// The newest list.
    pub(crate) fn current(&self) -> Arc<Catalog> {
        self.cell.load_full()
    }

    /// Waits until something differs from what was told last, and tells it.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: what was not returned is told by the next call.
    pub(crate) async fn changed(&mut self) -> Result<CatalogChanges, Error> {
        loop {
            let open = self.version.changed().await.is_ok();
            let now = self.current();
            let changes = CatalogChanges::between(&self.seen, &now);
            self.seen = now;
            if !changes.is_empty() {
                return Ok(changes);
            }
            if !open {
                return Err(closed());
            }
        }
    }

    /// Waits until `want` accepts the list, and returns it.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next call starts from the newest list.
    pub(crate) async fn wait_until(
        &self,
        want: impl Fn(&Catalog) -> bool,
        within: Duration,
    ) -> Result<Arc<Catalog>, Error> {
        let mut version = self.version.clone();
        version.mark_changed();
        let search = async {
            loop {
                let open = version.changed().await.is_ok();
                let now = self.current();
                if want(&now) {
                    return Ok(now);
                }
                if !open {
                    return Err(closed());
                }
            }
        };
        tokio::time::timeout(within, search).await.unwrap_or_else(|_late| {
            let what = format!("the list of services: what was waited for did not come within {within:?}");
            Err(Error::new(Kind::Timeout, what))
        })
    }
}

#[cfg(test)]
mod tests;
