//! The instances of a service as a stream of changes, for the balancers of tower.
//!
//! In:  the changes of a resolver's view. Out: `Change::Insert` and `Change::Remove`, by identity.
//!
//! Never: inserts again what is defined as before, for a balancer would forget its load; inserts what cannot be picked.
//!
//! Proof: `discover/tests.rs`, and `portolan-server`'s `tests/adapters/tower.rs`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use tower::discover::Change;

use crate::{
    error::{Error, Kind},
    model::{Identity, Instance},
    resolve::{Endpoint, Resolver},
    snapshot::Reader,
};

type News = Pin<Box<dyn Future<Output = (Reader, bool)> + Send>>;

/// The usable instances of a service as they come and go: a `tower::discover::Discover` that never fails, with what
/// `make` makes for each. It ends when the `Discovery` is closed. Feature `tower`.
///
/// An instance is inserted anew when its definition changes (its address, tags or meta), not when its health does. A
/// balancer of tower reports no outcomes; for ejection and retries see [`ToInstances`](super::ToInstances).
pub struct Discovered<F> {
    resolver: Resolver,
    make: F,
    known: BTreeMap<Identity, Arc<Instance>>,
    waiting: VecDeque<Next>,
    news: Option<News>,
}

enum Next {
    Insert(Arc<Endpoint>),
    Remove(Identity),
}

impl<F> fmt::Debug for Discovered<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovered").field("resolver", &self.resolver).finish_non_exhaustive()
    }
}

impl Resolver {
    /// The usable instances as a stream of changes for tower's balancers, with what `make` makes for each. Feature
    /// `tower`.
    pub fn discover<S, F: FnMut(&Endpoint) -> S>(&self, make: F) -> Discovered<F> {
        let news = Some(next(self.watch()));
        Discovered { resolver: self.clone(), make, known: BTreeMap::new(), waiting: VecDeque::new(), news }
    }
}

fn next(mut reader: Reader) -> News {
    Box::pin(async move {
        // It tells of its end only.
        let open = !reader.changed().await.is_err_and(|error| error.kind() == Kind::Closed);
        (reader, open)
    })
}

impl<F> Discovered<F> {
    /// Lines up what differs from what was told.
    fn compare(&mut self) {
        let usable = self.resolver.explain().usable;
        let there: BTreeSet<&Identity> = usable.iter().map(|one| &one.identity).collect();
        let gone: Vec<Identity> =
            self.known.keys().filter(|identity| !there.contains(identity)).cloned().collect();
        for identity in gone {
            self.known.remove(&identity);
            self.waiting.push_back(Next::Remove(identity));
        }
        for endpoint in usable {
            let old = self.known.insert(endpoint.identity.clone(), Arc::clone(endpoint.instance()));
            if old.is_none_or(|old| !is_defined_alike(&old, endpoint.instance())) {
                self.waiting.push_back(Next::Insert(endpoint));
            }
        }
    }
}

/// Whether two instances differ in their health at most.
fn is_defined_alike(one: &Instance, other: &Instance) -> bool {
    one.address == other.address
        && one.port == other.port
        && one.tags == other.tags
        && one.meta == other.meta
        && one.weights == other.weights
}

impl<S, F> Stream for Discovered<F>
where
    F: FnMut(&Endpoint) -> S + Unpin,
{
    type Item = Result<Change<Identity, S>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.waiting.pop_front() {
                Some(Next::Insert(endpoint)) => {
                    let made = (self.make)(&endpoint);
                    return Poll::Ready(Some(Ok(Change::Insert(endpoint.identity.clone(), made))));
                }
                Some(Next::Remove(identity)) => return Poll::Ready(Some(Ok(Change::Remove(identity)))),
                None => {}
            }
            let Some(news) = &mut self.news else { return Poll::Ready(None) };
            let (reader, open) = ready!(news.as_mut().poll(context));
            self.news = open.then(|| next(reader));
            if open {
                self.compare();
            }
        }
    }
}
