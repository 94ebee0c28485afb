//! The counters of one registry.
//!
//! In:  what happened, from any task. Out: nothing, until they are gathered.
//!
//! Never: locks, allocates or searches by name where a request is answered.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::StatusCode;

use super::gather::Value;
use crate::state::rows::Health;

/// The upper bounds of a histogram: from a read of one small service to a disk that stands still.
pub(super) const BOUNDS: [Duration; 14] = [
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// The statuses that are told apart.
pub(super) const STATUSES: [u16; 14] = [200, 301, 307, 400, 401, 403, 404, 405, 408, 409, 413, 429, 500, 503];

/// How the answers to DNS questions end, by their number (RFC 1035).
pub(super) const RCODES: [&str; 6] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

/// Over what a DNS question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Times by their length.
#[derive(Debug, Default)]
pub(super) struct Times {
    counts: [Count; BOUNDS.len() + 1],
    nanos: Count,
}

impl Times {
    pub(super) fn record(&self, took: Duration) {
        let place = BOUNDS.partition_point(|bound| *bound < took);
        if let Some(count) = self.counts.get(place) {
            count.add(1);
        }
        self.nanos.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn value(&self) -> Value {
        let seconds = Duration::from_nanos(self.nanos.get()).as_secs_f64();
        Value::Times { counts: self.counts.iter().map(Count::get).collect(), seconds }
    }
}

/// Of one endpoint.
#[derive(Debug, Default)]
pub(super) struct OfEndpoint {
    /// By status, in the order of [`STATUSES`]; the last are all others.
    pub(super) statuses: [Count; STATUSES.len() + 1],
    pub(super) took: Times,
}

/// All that one registry counts.
#[derive(Debug)]
pub(crate) struct Figures {
    /// In the order of the endpoints; the last is of requests that are for none.
    pub(super) endpoints: Box<[OfEndpoint]>,
    pub(super) connections: Arc<AtomicU64>,
    pub(super) refused: Count,
    pub(super) probes: [Count; 3],
    pub(super) dns: [[Count; RCODES.len() + 1]; 2],
    pub(super) disk: OfDisk,
}

/// Of the disk.
#[derive(Debug, Default)]
pub(super) struct OfDisk {
    pub(super) written: Count,
    pub(super) failed: Count,
    pub(super) bytes: Count,
    pub(super) took: Times,
}

/// A connection that is counted while this lives.
#[derive(Debug)]
pub(crate) struct Held(Arc<AtomicU64>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Figures {
    /// `endpoints`: how many there are.
    pub(crate) fn new(endpoints: usize) -> Self {
        let endpoints = std::iter::repeat_with(OfEndpoint::default).take(endpoints.saturating_add(1));
        Self {
            endpoints: endpoints.collect(),
            connections: Arc::default(),
            refused: Count::default(),
            probes: Default::default(),
            dns: Default::default(),
            disk: OfDisk::default(),
        }
    }

    /// A request was answered. `endpoint`: which, or `None`: none of them; `took`: unless it may have waited for a change.
    pub(crate) fn answered(&self, endpoint: Option<usize>, status: StatusCode, took: Option<Duration>) {
        let of = match endpoint {
            Some(number) => self.endpoints.get(number),
            None => self.endpoints.last(),
        };
        let Some(of) = of else { return };
        let place = STATUSES.binary_search(&status.as_u16()).unwrap_or(STATUSES.len());
        if let Some(count) = of.statuses.get(place) {
            count.add(1);
        }
        if let Some(took) = took {
            of.took.record(took);
        }
    }

    /// A connection is open, until what this gives is dropped.
    pub(crate) fn connected(&self) -> Held {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Held(Arc::clone(&self.connections))
    }

    /// A connection had no place.
    pub(crate) fn refused(&self) {
        self.refused.add(1);
    }

    /// A check was run.
    pub(crate) fn probed(&self, found: Health) {
        let [passing, warning, critical] = &self.probes;
        let count = match found {
            Health::Passing => passing,
            Health::Warning => warning,
            Health::Critical => critical,
        };
        count.add(1);
    }

    /// A DNS question was answered with these bytes: the lower half of the fourth says how it ended.
    pub(crate) fn told_by_dns(&self, over: Transport, answer: &[u8]) {
        let [udp, tcp] = &self.dns;
        let of = match over {
            Transport::Udp => udp,
            Transport::Tcp => tcp,
        };
        let rcode = answer.get(3).map_or(usize::MAX, |byte| usize::from(byte & 0x0F));
        if let Some(count) = of.get(rcode).or(of.last()) {
            count.add(1);
        }
    }

    /// The disk has a group, or has not.
    pub(crate) fn written(&self, bytes: u64, took: Duration, ended: bool) {
        if ended {
            self.disk.written.add(1);
            self.disk.bytes.add(bytes);
            self.disk.took.record(took);
        } else {
            self.disk.failed.add(1);
        }
    }
}
