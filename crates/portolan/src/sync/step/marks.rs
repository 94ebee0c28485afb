//! What was believed of the registry's index, and how often it went back. PURE.
//!
//! In:  the index of each answer, and whether it waited. Out: whether it comes from another life of the registry.
//!
//! Never: compares the index of a plain read with that of a watch where the two differ: under Consul's streaming
//! backend a watch has the index of the moment at which the agent began to follow the service (seen: 1.21).
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

/// Regressions are counted over this long.
const MINUTE: Duration = Duration::from_secs(60);

/// How an answer was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// To answer at once.
    Plain,
    /// To wait for a change.
    Blocking,
}

/// The index that was believed last, by the kind of read.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    plain: u64,
    blocking: u64,
    streaming: bool,
    counting_since: Option<Instant>,
    times: u32,
}

impl Marks {
    /// What an earlier run, or the loop before it was started again, believed.
    pub(super) fn new(index: u64, streaming: bool) -> Self {
        let plain = if streaming { 0 } else { index };
        Self { plain, blocking: index, streaming, counting_since: None, times: 0 }
    }

    /// Whether this index is below what was believed: another life of the registry.
    pub(super) fn is_below(&self, index: u64, read: Read) -> bool {
        let mark = match read {
            Read::Plain if self.streaming => self.plain,
            _ => self.plain.max(self.blocking),
        };
        index < mark
    }

    /// Whether this index may be below what was believed: it is, unless it comes from the other of two sources.
    pub(super) fn may_be_below(&self, index: u64) -> bool {
        index < self.plain.max(self.blocking)
    }

    /// This answer is believed.
    pub(super) fn believe(&mut self, index: u64, read: Read, streaming: bool) {
        match read {
            Read::Plain => (self.plain, self.blocking) = (index, 0),
            Read::Blocking => {
                self.streaming = streaming;
                self.blocking = index;
            }
        }
    }

    /// What a cache remembers was believed by somebody.
    pub(super) fn remember(&mut self, index: u64, streaming: bool) {
        if streaming {
            (self.blocking, self.streaming) = (self.blocking.max(index), true);
        } else {
            self.plain = self.plain.max(index);
        }
    }

    /// The index went back. Says how often it did within a minute.
    pub(super) fn went_back(&mut self, now: Instant) -> u32 {
        let over = |since: Instant| now.saturating_duration_since(since) >= MINUTE;
        if self.counting_since.is_none_or(over) {
            (self.counting_since, self.times) = (Some(now), 0);
        }
        self.times = self.times.saturating_add(1);
        self.times
    }

    /// What decides: the marks themselves.
    #[cfg(test)]
    pub(super) fn key(&self) -> (u64, u64) {
        (self.plain, self.blocking)
    }
}
