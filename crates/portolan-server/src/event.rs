//! Events that were fired: the last of them, in memory.
//!
//! In:  an event. Out: those that are remembered, oldest first; a number that tells whether anything came.
//!
//! Never: remembers more than [`REMEMBERED`], or anything beyond the end of the process.
//!
//! Rules from Consul 1.21: agent/user_event.go (`eventBuf`), agent/event_endpoint.go (`uuidToUint64`).

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError},
};

use bytes::Bytes;

/// How many events are remembered.
const REMEMBERED: usize = 256;

/// An event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) payload: Bytes,
    pub(crate) node_filter: String,
    pub(crate) service_filter: String,
    pub(crate) tag_filter: String,
    /// Its place among all.
    pub(crate) time: u64,
}

impl Event {
    /// The number that its id makes: what a watcher of events compares.
    pub(crate) fn index(&self) -> u64 {
        let bits = self.id.bytes().filter_map(|byte| char::from(byte).to_digit(16));
        let bits = bits.fold(0_u128, |bits, digit| (bits << 4) | u128::from(digit));
        let low = u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
        low ^ u64::try_from(bits >> 64).unwrap_or_default()
    }
}

/// The last events.
#[derive(Debug, Default)]
pub(crate) struct Events {
    #[expect(clippy::disallowed_types, reason = "held for one copy of a few hundred Arcs")]
    last: std::sync::Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    of: VecDeque<Arc<Event>>,
    time: u64,
}

impl Events {
    /// Remembers an event; the oldest goes where there is no more room.
    pub(crate) fn add(&self, mut event: Event) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.time = last.time.saturating_add(1);
        event.time = last.time;
        if last.of.len() >= REMEMBERED {
            last.of.pop_front();
        }
        last.of.push_back(Arc::new(event));
    }

    /// All that are remembered, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<Event>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).of.iter().map(Arc::clone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str) -> Event {
        let (name, payload) = ("deploy".to_owned(), Bytes::new());
        let (node_filter, service_filter, tag_filter) = Default::default();
        Event { id: id.to_owned(), name, payload, node_filter, service_filter, tag_filter, time: 0 }
    }

    #[test]
    fn the_number_of_an_event_is_made_from_both_halves_of_its_id() {
        // Seen from Consul 1.21.4.
        assert_eq!(event("44c95821-9c3c-d14a-9675-ebb7aca801d7").index(), 15_185_209_501_227_995_293);
        assert_eq!(event("").index(), 0);
    }

    #[test]
    fn the_oldest_goes_first() {
        let events = Events::default();
        for _ in 0..=REMEMBERED {
            events.add(event(""));
        }
        let all = events.all();
        assert_eq!((all.len(), all[0].time, all[REMEMBERED - 1].time), (256, 2, 257));
    }
}
