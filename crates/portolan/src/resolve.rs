//! From a view to one instance: filter, prefer, then pick. A lookup does no I/O, takes no lock, reads no clock, allocates nothing.
//!
//! In:  a view's snapshots, and what the caller asked for. Out: picks, or the typed answer why there is none.
//!
//! A [`Resolver`] owns a selection behind an atomic pointer. Its task builds the next one when the view publishes; a
//! consumer that watches through the resolver is told of a change after picks follow it, never before.
//!
//! Never: builds on a reader's path; fails because the registry did; loses the reason for "none".
//!
//! Proof: `resolve/tests.rs`, `resolve/pick/tests.rs`; the cost in BENCHMARKS.md.

use std::{
    fmt,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    error::Error,
    model::{Identity, ServiceName, Split},
    snapshot::{Keep, Reader, Snapshot, Writer},
    sync::{Bound, Consumer, Interest},
};

mod call;
mod cell;
mod decide;
mod endpoint;
mod ewma;
pub(crate) mod expr;
mod load;
mod loads;
mod none;
mod outlier;
mod pick;
mod prefer;
mod refresh;
mod retry;
mod rising;
mod select;
mod selection;
mod sift;
mod stage;
mod task;
mod wants;

pub use call::{Attempt, CallError, Failed};
use cell::Cell;
pub use endpoint::{Endpoint, FailureKind, Pick};
pub(crate) use loads::Loads;
pub use none::{LeftOut, NoInstance, PastBound, WantedVersion};
pub use outlier::Ejection;
use pick::key_roll;
pub use prefer::{Locality, Prefer, Share, Tier};
use retry::Account;
pub use retry::{GaveUp, Retry, RetryBudget};
pub use select::{Exclusion, OnStale, Panic, Policy, Select, Warning};
pub use selection::Mark;
pub(crate) use selection::why_none;
use stage::Stage;
pub(crate) use stage::{Files, Origin, User};
pub(crate) use task::KeepCurrent;
use task::Task;
pub use wants::SplitShare;

/// Picks instances of one service, by one filter and one policy. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Resolver {
    inner: Arc<Inner>,
}

struct Inner {
    cell: Arc<Cell>,
    reader: Reader,
    /// What was set by [`Resolver::set_split`].
    split: watch::Sender<Option<Split>>,
    /// By these a view knows that a resolver stands on it.
    _users: Vec<Arc<User>>,
    /// The service's account of retries.
    account: Arc<Account>,
    /// And how old it lets what is known become.
    _bounds: Vec<Bound>,
    _stop: DropGuard,
}

/// A resolver, as long as somebody else keeps it.
#[derive(Clone, Debug)]
pub(crate) struct WeakResolver(Weak<Inner>);

impl WeakResolver {
    /// The resolver, if it is there still.
    pub(crate) fn upgrade(&self) -> Option<Resolver> {
        self.0.upgrade().map(|inner| Resolver { inner })
    }

    /// Whether it is there still.
    pub(crate) fn lives(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// Somebody who follows a resolver, and by it all its views: it goes on for as long, held otherwise or not.
struct Follows {
    resolver: Resolver,
    _views: Vec<Consumer>,
}

impl Keep for Follows {}

impl fmt::Debug for Follows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Follows").field(&self.resolver).finish()
    }
}

/// Everything a resolver knows, for a person.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The snapshot that the choice was made from, or a newer one.
    pub snapshot: Arc<Snapshot>,
    /// The instances that can be picked.
    pub usable: Vec<Arc<Endpoint>>,
    /// The others, each with its reason.
    pub left_out: Vec<LeftOut>,
    /// Those of the usable that are picked though something speaks against them, and what: in a panic, the sick.
    pub picked_anyway: Vec<LeftOut>,
    /// What each of the usable gets by the preferences, in their order; empty without preferences, and in a panic.
    pub shares: Vec<Share>,
    /// The parts of the split that holds, and how they stand; the usable stand in their order. Empty without a split, and
    /// for a list that somebody gave.
    pub parts: Vec<SplitShare>,
    /// Whether picks are ordinary ones at present.
    pub mark: Mark,
    /// The answer that a pick gets, when it gets none.
    pub none: Option<NoInstance>,
}

impl Resolver {
    /// A resolver over views, one for each datacentre of `select`, and the work that keeps it current: run that on a
    /// task.
    pub(crate) fn new(
        origins: Vec<Origin>,
        select: Select,
        here: Arc<Locality>,
        files: Files,
        seed: u64,
        stop: CancellationToken,
    ) -> (Self, impl Fn() -> KeepCurrent + Send + 'static) {
        let interests = origins.iter().map(|origin| Arc::clone(&origin.interest)).collect();
        let bound = |origin: &Origin| select.max_age.map(|max_age| origin.interest.bound(max_age));
        let bounds = origins.iter().filter_map(bound).collect();
        let users = origins.iter().map(|origin| Arc::clone(&origin.user)).collect();
        let account = account_of(&origins);
        let (split, set) = watch::channel(None);
        let mut stage = Stage::new(origins, select.clone(), here, (files, set), seed);
        let first = stage.shows(tokio::time::Instant::now().into_std());
        let writer = Writer::new(Arc::clone(&first.snapshot));
        let reader = writer.reader();
        let service = first.snapshot.service().clone();
        let select = Arc::new(select);
        let cell = Arc::new(Cell::new(service, select, first.selection, first.settled, seed, interests));
        let stop_view = stop.clone();
        let inner = Inner {
            cell: Arc::clone(&cell),
            reader,
            split,
            _users: users,
            account,
            _bounds: bounds,
            _stop: stop.drop_guard(),
        };
        let writer = Arc::new(tokio::sync::Mutex::new(writer));
        let cell = Arc::downgrade(&cell);
        let make = move || {
            let (stage, writer) = (stage.clone(), Arc::clone(&writer));
            let task = Task { cell: Weak::clone(&cell), stage, writer, stop: stop_view.clone() };
            Box::pin(task.run()) as KeepCurrent
        };
        (Self { inner: Arc::new(inner) }, make)
    }

    /// Waits until picks get what can be got at the start: an instance, or the word of every datacentre that there is
    /// none.
    ///
    /// # Errors
    /// [`Kind::Timeout`](crate::Kind::Timeout) after `within`; [`Kind::Closed`](crate::Kind::Closed) once the views are
    /// closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(crate) async fn settled(&self, within: Duration) -> Result<(), Error> {
        let settled = || self.inner.cell.settled.load(Ordering::Acquire);
        if settled() {
            return Ok(());
        }
        self.inner.reader.wait_until(|_| settled(), within).await.map(drop)
    }

    /// A clone for a caller who looked it up by name again; counted here, and told to the metrics by the task.
    pub(crate) fn found_again(&self) -> Self {
        self.inner.cell.counts.found.fetch_add(1, Ordering::Relaxed);
        self.inner.cell.mark_used();
        self.clone()
    }

    /// One that does not keep it.
    pub(crate) fn downgrade(&self) -> WeakResolver {
        WeakResolver(Arc::downgrade(&self.inner))
    }

    /// What it was asked for.
    pub(crate) fn select(&self) -> Arc<Select> {
        Arc::clone(&self.inner.cell.select)
    }

    /// Whether somebody has used it since this was last asked, or holds it besides the one who asks.
    pub(crate) fn take_in_use(&self) -> bool {
        let used = self.inner.cell.used_lately.swap(false, Ordering::Relaxed);
        used || Arc::strong_count(&self.inner) > 1
    }

    fn account(&self) -> &Account {
        &self.inner.account
    }

    fn roll(&self) -> u64 {
        self.inner.cell.roll()
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        &self.inner.cell.service
    }

    /// Picks an instance to send a request to, and counts it as in flight until the pick is dropped.
    ///
    /// # Errors
    /// [`NoInstance`], which says why there is none.
    pub fn pick(&self) -> Result<Pick, NoInstance> {
        self.inner.cell.pick(self.roll(), &[])
    }

    /// Picks an instance that is none of `not`, as long as there is another; else one of them after all.
    ///
    /// # Errors
    /// [`NoInstance`], which says why there is none.
    pub fn pick_excluding(&self, not: &[&Identity]) -> Result<Pick, NoInstance> {
        self.inner.cell.pick(self.roll(), not)
    }

    /// Picks by a key, such as a session's or an entry's of a cache. Under [`Policy::Maglev`] one key goes to one instance,
    /// in every process that knows the same instances with the same weights, and over all keys each instance gets its
    /// share by weight. When one of N equal instances goes, its keys go to the others, and of theirs at most one in fifty
    /// moves. Nearly all move where the table grows: between 655 and 656 instances, 1,310 and 1,311, 10,000 and 10,001.
    /// An instance is known by its [`Identity`], so one that comes back at another address has its keys again.
    ///
    /// Under the other policies the key takes the place of chance: at random the same key gets the same instance until
    /// anything changes; power of two choices draws the same two, and takes the one with fewer requests in flight. Round
    /// robin ignores it.
    ///
    /// With a split ([`Select::split`]) the key says the part too.
    ///
    /// The key is hashed with XXH3-64 without a seed, in all versions of Portolan. Whoever can choose keys can choose
    /// them so that all go to one instance.
    ///
    /// # Errors
    /// [`NoInstance`], which says why there is none.
    pub fn pick_by_key(&self, key: &[u8]) -> Result<Pick, NoInstance> {
        self.pick_by_key_excluding(key, &[])
    }

    /// Picks by a key an instance that is none of `not`, as long as there is another; else one of them after all. Under
    /// [`Policy::Maglev`] the key says also which other one, so that a retry finds what the retry before it left there.
    ///
    /// # Errors
    /// [`NoInstance`], which says why there is none.
    pub fn pick_by_key_excluding(&self, key: &[u8], not: &[&Identity]) -> Result<Pick, NoInstance> {
        self.inner.cell.pick(key_roll(key), not)
    }

    /// Lets `look` see an instance chosen by weight, without counting it as in flight: the cheapest lookup.
    ///
    /// Power of two choices does not compare loads here: what peeks send is not in the counts that it would compare.
    ///
    /// # Errors
    /// [`NoInstance`], which says why there is none.
    pub fn peek<R>(&self, look: impl FnOnce(&Endpoint) -> R) -> Result<R, NoInstance> {
        self.inner.cell.peek(look)
    }

    /// Shares the requests of this resolver and its clones between versions from now on: a canary is begun, widened or
    /// stepped back. `None` goes back to [`Select::split`]. An operator's file stands above it
    /// ([`Config::splits`](crate::Config::splits)).
    ///
    /// Picks follow as soon as the resolver's task has built the next selection, which for thousands of instances takes
    /// some milliseconds.
    pub fn set_split(&self, split: Option<Split>) {
        self.inner.split.send_replace(split);
    }

    /// The newest snapshot that picks follow: all instances, of any health, and from which datacentre.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.cell.mark_used();
        self.inner.reader.snapshot()
    }

    /// A reader of its own, which has seen nothing yet. When it tells of a change, picks follow it already. While it
    /// lives the view is in use.
    #[must_use]
    pub fn watch(&self) -> Reader {
        let views = self.inner.cell.interests.iter().map(Interest::consume).collect();
        self.inner.reader.clone().keeping(Arc::new(Follows { resolver: self.clone(), _views: views }))
    }

    /// What can be picked, what cannot, and why.
    #[must_use]
    pub fn explain(&self) -> Explanation {
        let snapshot = self.snapshot();
        let selection = self.inner.cell.selection.load_full();
        Explanation {
            snapshot,
            usable: selection.endpoints.to_vec(),
            left_out: selection.left_out.to_vec(),
            picked_anyway: selection.picked_anyway.to_vec(),
            shares: selection.shares.to_vec(),
            parts: selection.parts.to_vec(),
            mark: selection.about.mark(),
            none: selection.none.clone(),
        }
    }
}

/// The first datacentre's is that of all: a service has one.
fn account_of(origins: &[Origin]) -> Arc<Account> {
    #[expect(clippy::indexing_slicing, reason = "a resolver stands on one view at least")]
    origins[0].loads.account()
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("service", &self.cell.service).finish_non_exhaustive()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("service", self.service()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
