//! The set of services, watched: what a gateway follows to know which services there are.
//!
//! In:  a datacenter. Out: a handle over the one watch that all callers share.
//!
//! Never: two watches of one datacenter; a watch that nobody used for 15 min goes on reading.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{Discovery, Inner};
use crate::{
    error::{Error, Kind},
    registry::Registry as _,
    roll::{Rolls, mix},
    snapshot::{Catalog, CatalogChanges, CatalogReader, Writer},
    sync::{self, Consumer, Interest},
};

/// The watches of lists, one a datacenter.
pub(super) struct Catalogs {
    #[expect(clippy::disallowed_types, reason = "cold path: once per handle")]
    cold: std::sync::Mutex<Cold>,
}

struct Cold {
    rolls: Rolls,
    watches: BTreeMap<Option<Arc<str>>, Watch>,
}

#[derive(Clone)]
struct Watch {
    reader: CatalogReader,
    interest: Arc<Interest>,
}

impl Catalogs {
    pub(super) fn new(seed: u64) -> Self {
        // A sequence of their own: what views roll does not depend on whether anybody watches the list.
        let rolls = Rolls::new(mix(!seed));
        Self { cold: Cold { rolls, watches: BTreeMap::new() }.into() }
    }
}

/// The services that there are, followed for as long as a handle lives (and 15 min longer).
///
/// ```
/// use std::sync::Arc;
///
/// use portolan::{Config, Discovery, Registration, registry::memory::Memory};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let discovery = Discovery::with_registry(Arc::new(Memory::new()), Config::default());
/// let mut services = discovery.services().await?;
/// let web = discovery.register(Registration::ttl("web", 8080)).await?;
/// let changes = services.changed().await?; // the next calls tell what comes and goes after that
/// assert!(changes.added.contains_key("web"));
/// assert!(services.current().tags("web").is_some()); // no I/O
/// # drop(web);
/// # Ok(())
/// # }
/// ```
///
/// Clones follow on their own, from what the original was told last.
#[derive(Clone)]
pub struct Services {
    reader: CatalogReader,
    /// Keeps the watch awake.
    _consumer: Arc<Consumer>,
}

impl Services {
    /// The list, and what keeps it awake.
    pub(super) fn into_parts(self) -> (CatalogReader, Arc<Consumer>) {
        (self.reader, self._consumer)
    }

    /// The newest list. No I/O, and no lock that a writer can hold.
    #[must_use]
    pub fn current(&self) -> Arc<Catalog> {
        self.reader.current()
    }

    /// Waits until a service came, went, or changed its tags since this handle told last, and tells it. The first call
    /// tells what is known already.
    ///
    /// A caller that was slow gets one set of changes from what it saw to what is now, and misses nothing that still
    /// differs. Changes of instances alone wake nobody.
    ///
    /// # Errors
    /// [`Kind::Closed`] once the discovery is closed and everything was told.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: what was not returned is told by the next call.
    pub async fn changed(&mut self) -> Result<CatalogChanges, Error> {
        self.reader.changed().await
    }

    /// Waits until `want` accepts the list, and returns it.
    ///
    /// # Errors
    /// [`Kind::Timeout`] after `within`; [`Kind::Closed`] once the discovery is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next call starts from the newest list.
    pub async fn wait_until(
        &self,
        want: impl Fn(&Catalog) -> bool,
        within: Duration,
    ) -> Result<Arc<Catalog>, Error> {
        self.reader.wait_until(want, within).await
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("current", &self.current()).finish_non_exhaustive()
    }
}

impl Discovery {
    /// The services of the agent's own datacenter, by name, with their tags: now, and as they come and go.
    ///
    /// The first call starts the watch and waits for the first answer, at most `start_wait` (5 s); all handles share
    /// it. It reads at most 4 times a second, and once a second while the catalogue is busy with other things.
    ///
    /// # Errors
    /// [`Kind::Config`] for a bad setting. [`Kind::Unreachable`], [`Kind::Timeout`] or another kind of the registry's
    /// when nothing is known yet: the watch goes on trying, so calling again is all there is to do. [`Kind::Closed`]
    /// after [`close`](Self::close).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the watch goes on, and the next call finds it.
    pub async fn services(&self) -> Result<Services, Error> {
        self.services_of(None).await
    }

    /// The same for another datacenter.
    ///
    /// # Errors
    /// As [`services`](Self::services); [`Kind::Config`] for an empty name; [`Kind::Unavailable`] when the registry
    /// knows no way to it.
    ///
    /// # Cancel safety
    /// As [`services`](Self::services).
    pub async fn services_in(&self, datacenter: &str) -> Result<Services, Error> {
        if datacenter.is_empty() {
            return Err(Error::config("datacenter: \"\" is no name; for the agent's own, call services()"));
        }
        self.services_of(Some(datacenter.into())).await
    }

    async fn services_of(&self, datacenter: Option<Arc<str>>) -> Result<Services, Error> {
        let inner = &self.inner;
        inner.config.check()?;
        if inner.tasks.is_closed() {
            return Err(Error::new(Kind::Closed, "the list of services: this Discovery was closed"));
        }
        let watch = inner.catalog_watch(datacenter);
        let services = Services { _consumer: Arc::new(watch.interest.consume()), reader: watch.reader };
        let awake = |catalog: &Catalog| catalog.is_known() && !catalog.asleep;
        if let Err(late) = services.wait_until(awake, inner.config.start_wait).await {
            let current = services.current();
            // What was known before a long sleep is known still: the handle is good, and the age says what it is.
            if late.kind() == Kind::Closed || !current.is_known() {
                return Err(inner.no_list(&current, late));
            }
        }
        Ok(services)
    }
}

impl Inner {
    fn catalog_watch(&self, datacenter: Option<Arc<str>>) -> Watch {
        let mut cold = self.catalogs.cold.lock().unwrap_or_else(PoisonError::into_inner);
        let Cold { rolls, watches } = &mut *cold;
        let watch = watches.entry(datacenter.clone()).or_insert_with(|| {
            let writer = Writer::new(Arc::new(Catalog::nothing(datacenter)));
            let watch = Watch { reader: writer.catalog_reader(), interest: Arc::default() };
            self.follow_list(writer, Arc::clone(&watch.interest), rolls.split());
            watch
        });
        watch.clone()
    }

    fn follow_list(&self, writer: Writer<Catalog>, interest: Arc<Interest>, rolls: Rolls) {
        let (guard, settings) = (Arc::clone(&self.guard), self.config.view.settings());
        let writer = Arc::new(tokio::sync::Mutex::new(writer));
        let stop = self.tasks.stop();
        self.tasks.spawn("services", move || {
            let (guard, interest, writer) = (Arc::clone(&guard), Arc::clone(&interest), Arc::clone(&writer));
            sync::follow_names(guard, settings.clone(), interest, writer, rolls.clone(), stop.clone())
        });
    }

    fn no_list(&self, current: &Catalog, late: Error) -> Error {
        let of = current.datacenter().map(|name| format!(" of datacenter {name:?}")).unwrap_or_default();
        match current.failure() {
            Some(failure) => {
                let (count, text) = (failure.count, &failure.text);
                let what = format!(
                    "the list of services{of}: nothing is known yet, after {count} failed reads: {text}"
                );
                Error::new(failure.kind, what)
            }
            None if late.kind() == Kind::Closed => late,
            None => {
                let (registry, wait) = (self.guard.describe(), self.config.start_wait);
                let what = format!("the list of services{of}: {registry} did not answer within {wait:?}");
                Error::new(Kind::Timeout, what).caused_by(late)
            }
        }
    }
}

#[cfg(test)]
mod tests;
