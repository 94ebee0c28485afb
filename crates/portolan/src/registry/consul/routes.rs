//! The addresses of a registry, with the connections to each: reads go where `failover.rs` says, all else to the first.
//!
//! In:  which call is to be sent, and how it ended. Out: the route for it.
//!
//! Never: sends a registration or a report to another agent than the first; resolves a name but for a new connection,
//! and then always anew.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    call::{Lane, Read},
    config::{Address, ConsulConfig},
    connect::Dial,
    failover::{Failover, Stay},
    pools::Pools,
};
use crate::{
    error::{Error, Kind},
    roll::Rolls,
    telemetry,
};

/// No read takes longer, whatever was set.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The way to one address.
pub(super) struct Route {
    /// What requests name: scheme and authority, and the path before each path.
    pub(super) base: Arc<str>,
    /// As messages name it.
    pub(super) shown: Arc<str>,
    endpoint: Option<String>,
    watches: Pools,
    calls: Pools,
    reports: Pools,
}

impl Route {
    fn new(config: &ConsulConfig, address: &Address) -> Self {
        let dial = Dial::new(config, address);
        let refused = Arc::default();
        let pool = |idle| Pools::new(config, address, &dial, idle, &refused);
        Self {
            base: address.base().into(),
            shown: address.shown().into(),
            endpoint: address.endpoint(),
            watches: pool(64),
            // As many as the guard lets run at once: a connection that is not kept is opened anew for the next call.
            calls: pool(32),
            reports: pool(16),
        }
    }

    pub(super) fn pools(&self, lane: Lane) -> &Pools {
        match lane {
            Lane::Watch => &self.watches,
            Lane::Call => &self.calls,
            Lane::Report => &self.reports,
        }
    }
}

/// A read on its way.
pub(super) struct Trip<'a> {
    routes: &'a Routes,
    read: &'a Read,
    stay: Stay,
    ends: Instant,
    over: bool,
}

/// All addresses.
pub(super) struct Routes {
    first: Route,
    others: Box<[Route]>,
    #[expect(clippy::disallowed_types, reason = "cold path: twice per request over the network")]
    reads: std::sync::Mutex<Reads>,
}

struct Reads {
    failover: Failover,
    rolls: Rolls,
}

impl Routes {
    pub(super) fn new(config: &ConsulConfig, seed: u64) -> Self {
        let others: Box<[Route]> = config.others.iter().map(|address| Route::new(config, address)).collect();
        let failover = Failover::new(others.len().saturating_add(1));
        let reads = Reads { failover, rolls: Rolls::new(seed) };
        Self { first: Route::new(config, &config.address), others, reads: reads.into() }
    }

    /// The agent that registrations go to.
    pub(super) fn first(&self) -> &Route {
        &self.first
    }

    pub(super) fn endpoint(&self) -> Option<String> {
        self.first.endpoint.clone()
    }

    /// All addresses, as messages name them.
    pub(super) fn shown(&self) -> String {
        let mut shown = self.first.shown.to_string();
        for (number, other) in self.others.iter().enumerate() {
            shown.push_str(if number == 0 { ", its reads also at " } else { ", " });
            shown.push_str(&other.shown);
        }
        shown
    }

    /// How many reads can wait side by side on the shared connections of the address that reads go to.
    pub(super) fn watches(&self) -> Option<usize> {
        self.route(self.with(|reads| reads.failover.stay())).watches.streams()
    }

    /// Where a read goes now; `limit` is when it is given up.
    ///
    /// # Errors
    /// [`Kind::Moved`] when it would wait on an index that another address gave.
    pub(super) fn travel<'a>(
        &'a self,
        read: &'a Read,
        index: Option<u64>,
        limit: Duration,
    ) -> Result<Trip<'a>, Error> {
        let (stay, ours) = self.with(|reads| {
            let ours = index.is_none_or(|index| reads.failover.may_wait(&read.question, index));
            (reads.failover.stay(), ours)
        });
        if ours {
            return Ok(Trip {
                routes: self,
                read,
                stay,
                ends: Instant::now() + limit.min(LONGEST),
                over: false,
            });
        }
        let what = format!(
            "{}: reads go to this address now, and an index of another means nothing here; {} is read anew",
            self.route(stay).shown,
            read.question
        );
        Err(Error::new(Kind::Moved, what))
    }

    fn answered(&self, read: &Read, stay: Stay, index: u64) {
        self.with(|reads| reads.failover.answered(stay, &read.question, index));
    }

    fn failed(&self, read: &Read, stay: Stay, kind: Kind, error: &dyn Fn() -> String) {
        let now = Instant::now().into_std();
        let moved = self.with(|Reads { failover, rolls }| {
            failover.failed(stay, kind, read.far, now, rolls.next()).map(|_to| failover.stay())
        });
        let Some(to) = moved else { return };
        let (from, to) = (&self.route(stay).shown, &self.route(to).shown);
        tracing::warn!(%from, %to, error = error(), "reads go to another address of the registry");
        count(to);
    }

    /// Whether somebody should see now whether the first address answers again.
    pub(super) fn tries_first(&self, now: std::time::Instant) -> bool {
        !self.others.is_empty()
            && self.with(|Reads { failover, rolls }| failover.tries_first(now, rolls.next()))
    }

    /// It does.
    pub(super) fn first_is_back(&self, now: std::time::Instant) {
        if self.with(|Reads { failover, rolls }| failover.first_is_back(now, rolls.next())) {
            let to = &self.first.shown;
            tracing::info!(%to, "reads go to the first address of the registry again");
            count(to);
        }
    }

    fn route(&self, stay: Stay) -> &Route {
        let other = stay.at.checked_sub(1).and_then(|number| self.others.get(number));
        other.unwrap_or(&self.first)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Reads) -> T) -> T {
        act(&mut self.reads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<'a> Trip<'a> {
    pub(super) fn route(&self) -> &'a Route {
        self.routes.route(self.stay)
    }

    /// It was answered with this index, or failed.
    pub(super) fn end(mut self, done: Result<u64, &Error>) {
        self.over = true;
        match done {
            Ok(index) => self.routes.answered(self.read, self.stay, index),
            Err(error) => self.routes.failed(self.read, self.stay, error.kind(), &|| error.chain()),
        }
    }
}

impl Drop for Trip<'_> {
    fn drop(&mut self) {
        // Whoever asked may give up in the same moment as we would: that too was a timeout, and not a change of mind.
        if !self.over && Instant::now() >= self.ends {
            self.routes.failed(self.read, self.stay, Kind::Timeout, &|| "no answer in time".to_owned());
        }
    }
}

fn count(to: &str) {
    metrics::counter!(telemetry::READS_MOVED, "to" => to.to_owned()).increment(1);
}
