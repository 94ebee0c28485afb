//! Stands between Portolan and the registry, and protects the registry from us: a breaker and places for each kind of
//! call, a budget for all reads, and a deadline on every call.
//!
//! In:  calls of views, keepers and people. Out: the same calls: no more of each kind at once than it has places, none but
//! a probe while the registry is away, and no herd when it is back.
//!
//! Never: lets reads delay a heartbeat, for kinds share neither places nor breakers, and only reads have a budget; waits
//! without a deadline, but in a line in which everybody gets a turn.
//!
//! Consul allows 200 connections for each client address (`http_max_conns_per_client`), and closes more without a
//! word: hashicorp/consul#7527, #11030.
//!
//! Proof: `guard/tests.rs` and `tests/outage.rs`; the pure parts have their own.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::Semaphore,
    time::{Instant as Clock, timeout, timeout_at},
};

use self::{
    breaker::{Breaker, RESTS, SHORT_RESTS},
    lane::{Entry, Lane, Name, Wish},
    places::{Place, Places},
    purse::Purse,
    report::Reporter,
};
use crate::{
    duration::format_duration,
    error::{Error, Kind},
    model::{Instance, ServiceName, VersionSources},
    registry::{Answer, Block, Registry, Reply, ServiceQuery},
    roll::Rolls,
};

mod breaker;
mod budget;
mod calls;
mod lane;
mod limits;
mod places;
mod purse;
mod quiet;
mod report;
mod state;
mod turns;

pub(crate) use budget::{Allowance, Bucket};
pub(crate) use limits::Limits;
pub use state::{BreakerState, RegistryState};

/// How many calls of one kind run at once, but for reads that wait; the others wait for a place.
const PLACES: usize = 16;
/// The same for registrations: an agent that was wiped gets all of a process's again, which is faster side by side.
const WRITES: usize = 32;
/// Datacentres with a breaker of their own; reads of any more share one.
const DATACENTERS: usize = 64;
/// A name that nobody registers: reading it costs an agent next to nothing, and tells whether it answers.
const PROBE: &str = "portolan-probe";

/// A registry behind its guard. Views and keepers know no other.
#[derive(Debug)]
pub(crate) struct Guard {
    registry: Arc<dyn Registry>,
    /// How long a call may take that does not wait for a change; on top of the wait for one that does. Also how long
    /// one stands in line.
    call: Duration,
    limits: Limits,
    /// Where the versions of instances are looked for.
    versions: VersionSources,
    /// Reads that wait, where the registry does not know better: one connection each over plain HTTP.
    watches: usize,
    turns: Places,
    purse: Purse,
    reporter: Arc<Reporter>,
    #[expect(clippy::disallowed_types, reason = "cold path: once per request over the network")]
    reads: std::sync::Mutex<BTreeMap<Option<Arc<str>>, Arc<Lane>>>,
    writes: Lane,
    reports: Lane,
    places: Kinds,
}

/// The places of calls that do not wait for a change.
#[derive(Debug)]
struct Kinds {
    reads: Semaphore,
    /// Registrations and sweeps.
    writes: Semaphore,
    /// Health reports: late ones turn a healthy instance critical.
    reports: Semaphore,
}

impl Guard {
    /// The same with the default limits.
    #[cfg(test)]
    pub(crate) fn new(registry: Arc<dyn Registry>, watches: usize, call: Duration) -> Self {
        Self::with_limits(registry, watches, call, Limits::default(), VersionSources::default())
    }

    /// A guard that lets `watches` reads wait at once, unless the registry can hold more, and gives up a call after
    /// `call`.
    pub(crate) fn with_limits(
        registry: Arc<dyn Registry>,
        watches: usize,
        call: Duration,
        limits: Limits,
        versions: VersionSources,
    ) -> Self {
        let now = now();
        let reporter = Reporter::new(registry.describe(), now);
        let mut rolls = Rolls::new(limits.seed);
        let mut lane = |kind, rests| {
            let name = Name { kind, datacenter: None };
            Lane::new(name, Breaker::new(limits.open_after, rests), rolls.split(), Arc::clone(&reporter))
        };
        let own = (None, Arc::new(lane("reads", RESTS)));
        let place = |places| Semaphore::new(places);
        Self {
            call,
            limits,
            versions,
            watches,
            turns: Places::new(watches, limits.turns_per_second, now),
            purse: Purse::new(limits.reads, now),
            reads: BTreeMap::from([own]).into(),
            writes: lane("writes", SHORT_RESTS),
            reports: lane("reports", SHORT_RESTS),
            places: Kinds { reads: place(PLACES), writes: place(WRITES), reports: place(PLACES) },
            reporter,
            registry,
        }
    }

    /// Where each breaker stands.
    pub(crate) fn state(&self) -> RegistryState {
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let reads = reads.values().map(|lane| (lane.name().datacenter.clone(), lane.state())).collect();
        RegistryState {
            reads,
            writes: self.writes.state(),
            reports: self.reports.state(),
            taking_turns: self.turns.sharing(),
        }
    }

    /// Whether a line about one view is to be said above debug: not while the registry is away, which is said once for
    /// all, and not more often than a person can read.
    pub(crate) fn says_of_a_view(&self) -> bool {
        self.reporter.view(now())
    }

    /// How many reads may wait at once.
    fn room(&self) -> usize {
        self.registry.watches().unwrap_or(self.watches)
    }

    /// The lane of the reads of a datacentre.
    fn lane(&self, datacenter: Option<&Arc<str>>) -> Arc<Lane> {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let mut datacenter = datacenter.cloned();
        if !reads.contains_key(&datacenter) && reads.len() >= DATACENTERS {
            datacenter = Some("others".into());
        }
        // Each lane has a sequence of its own, which the order of first use decides.
        let number = u64::try_from(reads.len()).unwrap_or(u64::MAX);
        let lane = reads.entry(datacenter.clone()).or_insert_with(|| {
            let rolls = Rolls::new(crate::roll::mix(self.limits.seed.wrapping_add(number)));
            let name = Name { kind: "reads", datacenter };
            let breaker = Breaker::new(self.limits.open_after, RESTS);
            Arc::new(Lane::new(name, breaker, rolls, Arc::clone(&self.reporter)))
        });
        Arc::clone(lane)
    }

    /// Makes a call that does not wait for a change, once there is a place for it and the breaker lets it.
    async fn call<T>(
        &self,
        lane: &Lane,
        places: &Semaphore,
        purse: Option<Retry<'_>>,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut wish = self.wish(Clock::now(), purse);
        let mut returned = None;
        let (_place, mut entry) = loop {
            let place = tokio::select! {
                biased;
                () = lane.refuses() => None,
                place = timeout_at(wish.ends(), places.acquire()) => Some(place),
            };
            let Some(place) = place else {
                // Waiting for a place says nothing about the registry. Waiting for its return does.
                let entry = lane.enter(wish).await?;
                if entry.is_probe() {
                    break (None, entry);
                }
                // What it waited for the return is no wait for a place: else whoever waited almost as long as it may
                // would be given up in the moment of the return. Once, for a registry may come and go.
                wish.since = *returned.get_or_insert_with(Clock::now);
                continue;
            };
            let place = place.map_err(|late| self.no_place(late))?.map_err(closed)?;
            break (Some(place), lane.enter(wish).await?);
        };
        entry.begin(false);
        let done = self.within(self.call, call).await;
        entry.end(&done, wish.purse);
        done
    }

    /// Makes a read that waits for a change: in a place of its own, or in turn.
    async fn watch<'a, T>(
        &'a self,
        read: Waiting<'_>,
        ask: impl Fn(Option<Block>) -> Reply<'a, T>,
    ) -> Result<T, Error> {
        let lane = self.lane(read.datacenter);
        let came = now();
        // Since when it waits for the registry's return, and not for a place.
        let mut refused = None;
        loop {
            let place = tokio::select! {
                biased;
                () = lane.refuses() => None,
                place = self.turns.take(self.room(), read.used, read.block.wait) => Some(place),
            };
            let since = if place.is_some() { Clock::now() } else { *refused.get_or_insert_with(Clock::now) };
            let wish = self.wish(since, Some(Retry { purse: &self.purse, failed: read.failed }));
            let mut entry = lane.enter(wish).await?;
            if entry.is_probe() {
                // A read that waits would tell nothing until it ends.
                self.probe(entry, read.datacenter).await;
                continue;
            }
            let Some(place) = place else { continue };
            let wait = place.turn.map_or(read.block.wait, |turn| turn.min(read.block.wait));
            // What waited while the registry was away has an index from before. A registry that lost its data would
            // wait with it for what will not come: so this is read anew.
            let anew = lane.returned_at(came).is_some();
            let asked = ask((!anew).then_some(Block { wait, ..read.block }));
            entry.begin(!anew);
            if let Some(done) = self.unless_wanted(&place, deadline(wait, self.call), asked).await {
                entry.end(&done, wish.purse);
                return done;
            }
        }
    }

    /// What a read that waits came to; `None` when its place went to a reader that was used later.
    async fn unless_wanted<T>(
        &self,
        place: &Place<'_>,
        limit: Duration,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Option<Result<T, Error>> {
        tokio::select! {
            biased;
            done = self.within(limit, call) => Some(done),
            () = place.wanted() => None,
        }
    }

    /// Finds out whether the registry is back, by the cheapest read there is.
    async fn probe(&self, mut entry: Entry<'_>, datacenter: Option<&Arc<str>>) {
        entry.begin(false);
        let done = match ServiceName::new(PROBE) {
            Ok(name) => {
                let query = ServiceQuery::new(name).datacenter(datacenter.cloned());
                self.within(self.call, self.registry.service(&query)).await.map(drop)
            }
            Err(wrong) => Err(wrong),
        };
        entry.end(&done, Some(&self.purse));
    }

    /// A read, with how long it took from when it was sent: what it waited before says nothing about its cost.
    async fn timed(&self, query: &ServiceQuery) -> Result<Answer<Vec<Arc<Instance>>>, Error> {
        let sent = Clock::now();
        let mut answer = self.registry.service(query).await?;
        answer.meta.took = Some(sent.elapsed());
        self.versions.read_again(&mut answer.value);
        Ok(answer)
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

    fn wish<'a>(&self, since: Clock, retry: Option<Retry<'a>>) -> Wish<'a> {
        let failed = retry.and_then(|retry| retry.failed);
        Wish { since, limit: self.call, purse: retry.map(|retry| retry.purse), failed }
    }

    fn no_place(&self, late: tokio::time::error::Elapsed) -> Error {
        let (registry, limit) = (self.describe(), format_duration(self.call));
        let what = format!(
            "{registry}: not asked: {PLACES} calls of this kind are under way, and none ended within {limit}; the \
             registry is too slow"
        );
        Error::new(Kind::Timeout, what).caused_by(late)
    }
}

/// What pays for a read, and when the same read failed before.
#[derive(Clone, Copy)]
struct Retry<'a> {
    purse: &'a Purse,
    failed: Option<Instant>,
}

/// A read that waits for a change.
#[derive(Clone, Copy)]
struct Waiting<'a> {
    datacenter: Option<&'a Arc<str>>,
    block: Block,
    used: Option<Instant>,
    failed: Option<Instant>,
}

fn now() -> Instant {
    Clock::now().into_std()
}

fn closed(closed: tokio::sync::AcquireError) -> Error {
    Error::new(Kind::Closed, "the registry's guard is closed").caused_by(closed)
}

/// How long a blocking read may take: the server adds up to a sixteenth to the wait (Consul: agent/consul/config.go),
/// and then the answer has to travel.
fn deadline(wait: Duration, call: Duration) -> Duration {
    wait.saturating_add(wait / 16).saturating_add(call)
}

#[cfg(test)]
mod tests;
