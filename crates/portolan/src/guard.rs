//! Stands between Portolan and the registry, and protects the registry from us: places for each kind of call, and a
//! deadline on every one.
//!
//! In:  calls of views, keepers and people. Out: the same calls, no more of each kind at once than it has places.
//!
//! Never: lets many views starve a heartbeat, for kinds do not share places; waits without a deadline once a call has
//! started. A view that finds all places taken gets its turn: those that hold one then wait a second, not thirty.
//!
//! Consul allows 200 connections for each client address (`http_max_conns_per_client`), and closes more without a
//! word: hashicorp/consul#7527, #11030.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use crate::{
    duration::format_duration,
    error::{Error, Kind},
    model::{Instance, ServiceId},
    registry::{
        AgentInfo, Answer, Block, CatalogQuery, Definition, Registered, Registry, Reply, Report,
        ServiceQuery, ServiceTags,
    },
};

/// How many calls of one kind run at once, but for blocking reads; the others wait for a place.
const PLACES: usize = 16;
/// How long a blocking read waits while other views wait for its place.
const TURN: Duration = Duration::from_secs(1);

/// A registry with places. Views and keepers know no other.
#[derive(Debug)]
pub(crate) struct Guard {
    registry: Arc<dyn Registry>,
    /// How long a call may take that does not wait for a change; on top of the wait for one that does.
    call: Duration,
    /// Blocking reads: one connection each over plain HTTP.
    watches: Semaphore,
    queued: AtomicUsize,
    /// Reads that do not wait.
    reads: Semaphore,
    /// Registrations and sweeps.
    writes: Semaphore,
    /// Health reports: late ones turn a healthy instance critical.
    reports: Semaphore,
}

impl Guard {
    /// A guard that lets `watches` blocking reads wait at once, and gives up a call after `call`.
    pub(crate) fn new(registry: Arc<dyn Registry>, watches: usize, call: Duration) -> Self {
        Self {
            registry,
            call,
            watches: Semaphore::new(watches.clamp(1, Semaphore::MAX_PERMITS)),
            queued: AtomicUsize::new(0),
            reads: Semaphore::new(PLACES),
            writes: Semaphore::new(PLACES),
            reports: Semaphore::new(PLACES),
        }
    }

    /// Makes a call that does not wait for a change, once there is a place for it.
    async fn place<T>(
        &self,
        places: &Semaphore,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let _place = take(places).await?;
        self.within(self.call, call).await
    }

    async fn within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        timeout(limit, call).await.unwrap_or_else(|_late| {
            let (registry, limit) = (self.describe(), format_duration(limit));
            let what =
                format!("{registry}: no answer within {limit}; see whether it runs and can be reached");
            Err(Error::new(Kind::Timeout, what))
        })
    }

    /// A place for a read that waits, and how long it may wait there: a short while only, while others queue.
    async fn turn(&self, block: Block) -> Result<(SemaphorePermit<'_>, Block), Error> {
        let queued = Queued::new(&self.queued);
        let place = take(&self.watches).await?;
        drop(queued);
        let crowded = self.queued.load(Ordering::Relaxed) > 0;
        let wait = if crowded { block.wait.min(TURN) } else { block.wait };
        Ok((place, Block { wait, ..block }))
    }

    async fn watch(&self, query: &ServiceQuery, block: Block) -> Result<Answer<Vec<Arc<Instance>>>, Error> {
        let (_place, block) = self.turn(block).await?;
        let query = query.clone().block(block.index, block.wait);
        self.within(deadline(block.wait, self.call), self.registry.service(&query)).await
    }

    async fn watch_list(&self, query: &CatalogQuery, block: Block) -> Result<Answer<ServiceTags>, Error> {
        let (_place, block) = self.turn(block).await?;
        let query = CatalogQuery { block: Some(block), ..query.clone() };
        self.within(deadline(block.wait, self.call), self.registry.services(&query)).await
    }
}

async fn take(places: &Semaphore) -> Result<SemaphorePermit<'_>, Error> {
    places
        .acquire()
        .await
        .map_err(|closed| Error::new(Kind::Closed, "the registry's guard is closed").caused_by(closed))
}

/// How long a blocking read may take: the server adds up to a sixteenth to the wait (Consul: agent/consul/config.go),
/// and then the answer has to travel.
fn deadline(wait: Duration, call: Duration) -> Duration {
    wait.saturating_add(wait / 16).saturating_add(call)
}

/// Counts one that waits for a place, until dropped.
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Registry for Guard {
    fn describe(&self) -> String {
        self.registry.describe()
    }

    fn endpoint(&self) -> Option<String> {
        self.registry.endpoint()
    }

    fn service<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<Instance>>>> {
        match query.block {
            Some(block) => Box::pin(self.watch(query, block)),
            None => Box::pin(self.place(&self.reads, self.registry.service(query))),
        }
    }

    fn services<'a>(&'a self, query: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>> {
        match query.block {
            Some(block) => Box::pin(self.watch_list(query, block)),
            None => Box::pin(self.place(&self.reads, self.registry.services(query))),
        }
    }

    fn agent(&self) -> Reply<'_, AgentInfo> {
        Box::pin(self.place(&self.writes, self.registry.agent()))
    }

    fn registered<'a>(&'a self, ids: &'a [ServiceId]) -> Reply<'a, Vec<Registered>> {
        Box::pin(self.place(&self.writes, self.registry.registered(ids)))
    }

    fn register<'a>(&'a self, definition: &'a Definition) -> Reply<'a, ()> {
        Box::pin(self.place(&self.writes, self.registry.register(definition)))
    }

    fn deregister<'a>(&'a self, id: &'a ServiceId) -> Reply<'a, ()> {
        Box::pin(self.place(&self.writes, self.registry.deregister(id)))
    }

    fn report<'a>(&'a self, report: &'a Report) -> Reply<'a, ()> {
        Box::pin(self.place(&self.reports, self.registry.report(report)))
    }

    fn maintenance<'a>(&'a self, id: &'a ServiceId, reason: Option<&'a str>) -> Reply<'a, ()> {
        Box::pin(self.place(&self.writes, self.registry.maintenance(id, reason)))
    }
}

#[cfg(test)]
mod tests;
