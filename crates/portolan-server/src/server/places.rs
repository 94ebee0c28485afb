//! How many connections there are: in all, and from each address.
//!
//! In:  the address of one that was accepted. Out: a [`Place`], or that there is none.
//!
//! Never: counts one address twice, as IPv4 and as IPv6 that stands for it; keeps an address that has no connection.
//!
//! Rules from Consul: agent/agent.go, go-connlimit: `http_max_conns_per_client`.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, PoisonError},
};

use crate::config::Limits;

/// All connections.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    most_of_one: usize,
    #[expect(clippy::disallowed_types, reason = "cold path: held for a search in a map, once a connection")]
    held: std::sync::Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    of: BTreeMap<IpAddr, usize>,
}

/// One connection's, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        let most_of_one = limits.max_connections_per_address.unwrap_or(usize::MAX);
        Arc::new(Self { most: limits.max_connections, most_of_one, held: Default::default() })
    }

    /// A place for a connection from `address`; `None` when it has as many as it may, or all are taken.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = held.of.get(&address).copied().unwrap_or_default();
        if held.all >= self.most || of_one >= self.most_of_one {
            return None;
        }
        held.all = held.all.saturating_add(1);
        held.of.insert(address, of_one.saturating_add(1));
        Some(Place { places: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all = held.all.saturating_sub(1);
        if let Some(count) = held.of.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.of.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_places_and_no_more_and_gives_them_back() {
        let limits = Limits::default().max_connections(3).max_connections_per_address(Some(2));
        let places = Places::new(&limits);
        let [one, mapped, other] =
            ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap());
        let held = [places.take(one).unwrap(), places.take(mapped).unwrap()];
        assert!(places.take(one).is_none(), "as IPv6 it is the same address");
        let last = places.take(other).unwrap();
        assert!(places.take(other).is_none(), "three in all");
        drop((held, last));
        assert!(places.held.lock().unwrap().of.is_empty());
        assert!(places.take(one).is_some());
    }

    #[test]
    fn without_a_limit_one_address_may_have_them_all() {
        let limits = Limits::default().max_connections(300).max_connections_per_address(None);
        let places = Places::new(&limits);
        let held: Vec<_> = (0..301).map_while(|_| places.take("192.0.2.1".parse().unwrap())).collect();
        assert_eq!(held.len(), 300);
    }
}
