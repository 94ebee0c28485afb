//! What is made once for each instance, such as a connection: kept while the instance is there, and dropped when it is
//! gone.
//!
//! In:  endpoints, and how something is made for one. Out: what was made for it, or is made now.
//!
//! Never: takes a lock for what is there; keeps what was made for another address; outlives those who use it.
//!
//! Proof: `instances/tests.rs`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
};

use arc_swap::ArcSwap;

use crate::{
    model::Identity,
    resolve::{Endpoint, Resolver},
    snapshot::{Reader, Snapshot},
    tasks::Tasks,
};

/// One thing for each instance. Clones share them.
#[derive(Debug)]
pub(super) struct PerInstance<T> {
    resolver: Resolver,
    made: Arc<Made<T>>,
    tasks: Tasks,
}

impl<T> Clone for PerInstance<T> {
    fn clone(&self) -> Self {
        Self { resolver: self.resolver.clone(), made: Arc::clone(&self.made), tasks: self.tasks.clone() }
    }
}

type Map<T> = BTreeMap<Identity, Entry<T>>;

/// Made for this address and port.
#[derive(Clone, Debug)]
struct Entry<T> {
    authority: Arc<str>,
    thing: T,
}

#[derive(Debug)]
struct Made<T> {
    current: ArcSwap<Map<T>>,
    #[expect(clippy::disallowed_types, reason = "cold path: when an instance is new, and when one is gone")]
    changing: std::sync::Mutex<Watching>,
}

/// Whether somebody follows the view, to drop what was made for those that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watching {
    NotYet,
    Begun,
}

impl<T: Clone + Send + Sync + 'static> PerInstance<T> {
    pub(super) fn new(resolver: &Resolver) -> Self {
        let made = Made { current: ArcSwap::default(), changing: Watching::NotYet.into() };
        Self { resolver: resolver.clone(), made: Arc::new(made), tasks: Tasks::new() }
    }

    pub(super) fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// What was made for this instance, or is made now. To be called on a runtime.
    ///
    /// # Errors
    /// That of `make`.
    pub(super) fn get<E>(&self, endpoint: &Endpoint, make: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let is_for = |entry: &&Entry<T>| is_at(endpoint, &entry.authority);
        if let Some(entry) = self.made.current.load().get(&endpoint.identity).filter(is_for) {
            return Ok(entry.thing.clone());
        }
        let mut changing = self.made.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut map = Map::clone(&self.made.current.load());
        if let Some(entry) = map.get(&endpoint.identity).filter(is_for) {
            return Ok(entry.thing.clone()); // made by another while this one waited
        }
        let thing = make()?;
        // One that has gone since it was picked would not be dropped again.
        if identities(&self.resolver.snapshot()).any(|there| *there == endpoint.identity) {
            let entry = Entry { authority: endpoint.authority().into(), thing: thing.clone() };
            map.insert(endpoint.identity.clone(), entry);
            self.made.current.store(Arc::new(map));
            if *changing == Watching::NotYet {
                *changing = Watching::Begun;
                self.watch();
            }
        }
        Ok(thing)
    }

    /// How many there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.made.current.load().len()
    }

    fn watch(&self) {
        let (reader, made) = (self.resolver.watch(), Arc::clone(&self.made));
        self.tasks.spawn("instances", move || follow(reader.clone(), Arc::clone(&made)));
    }
}

async fn follow<T: Clone>(mut reader: Reader, made: Arc<Made<T>>) {
    while reader.changed().await.is_ok() {
        let _changing = made.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut map = Map::clone(&made.current.load());
        let had = map.len();
        // Within the lock, so that nothing is made meanwhile for one that is gone in a newer snapshot.
        let snapshot = reader.snapshot();
        let there: BTreeSet<&Identity> = identities(&snapshot).collect();
        map.retain(|identity, _| there.contains(identity));
        if map.len() < had {
            made.current.store(Arc::new(map));
        }
    }
}

fn identities(snapshot: &Snapshot) -> impl Iterator<Item = &Identity> {
    snapshot.instances().iter().chain(snapshot.held()).map(|instance| &instance.identity)
}

/// Whether this is the instance's authority, without making that.
fn is_at(endpoint: &Endpoint, authority: &str) -> bool {
    let Some((host, port)) = authority.rsplit_once(':') else { return false };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    *host == *endpoint.address && port.parse() == Ok(endpoint.port)
}

#[cfg(test)]
mod tests;
