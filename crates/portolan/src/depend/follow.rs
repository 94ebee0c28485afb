//! The graph, kept current by views: of all services, or of those that needs lead to.
//!
//! In:  the list of services, or roots; a way to a view of each; what the views say. Out: graphs, each published whole.
//!
//! A change of one service makes the next graph from the last one. What changes within 50 ms of a publication goes into
//! one graph, so that a busy catalogue costs at most 20 graphs a second.
//!
//! Never: builds on a reader's path; follows more services than there may be; takes a view that has not answered for one
//! that says that there is nothing.
//!
//! Proof: `discovery/dependencies/tests.rs`, on a registry in memory and in paused time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    MOST_SERVICES,
    graph::{Graph, ServiceAt},
};
use crate::{
    error::Error,
    model::{Instance, ServiceName},
    snapshot::{CatalogReader, Reader, Snapshot, Writer},
};

/// The least time between two graphs.
const PACE: Duration = Duration::from_millis(50);

/// The way to a view.
pub(crate) type Open = Arc<dyn Fn(&ServiceAt) -> Result<Reader, Error> + Send + Sync>;

/// Whose dependencies are followed.
#[derive(Clone, Debug)]
pub(crate) enum Roots {
    /// Those of all services on this list.
    All(CatalogReader),
    /// Those of these.
    These(BTreeSet<ServiceAt>),
}

/// What was said last of a service; `None`: nothing yet.
type Said = Option<Arc<[Arc<Instance>]>>;

struct Followed {
    said: Said,
    wait: AbortHandle,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.wait.abort();
    }
}

struct Follower {
    open: Open,
    views: BTreeMap<ServiceAt, Followed>,
    /// A wait for each view.
    waits: JoinSet<(ServiceAt, Option<Reader>)>,
    graph: Graph,
    crowded: bool,
}

/// Follows until `stop` is cancelled, or the list or all views are closed.
pub(crate) async fn follow(
    mut roots: Roots,
    open: Open,
    writer: Arc<tokio::sync::Mutex<Writer<Graph>>>,
    stop: CancellationToken,
) {
    // Held for the life of this task: it is the one writer. A task that is started again finds it free.
    let mut writer = writer.lock().await;
    let mut follower = Follower::new(open);
    let mut names = roots.now();
    loop {
        follower.want(&names);
        if *writer.current() != follower.graph {
            writer.publish(Arc::new(follower.graph.clone()));
        }
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => true,
            open = roots.changed() => { names = roots.now(); !open }
            Some(heard) = follower.waits.join_next() => { follower.hear(heard); false }
        };
        if ended || stop.run_until_cancelled(tokio::time::sleep(PACE)).await.is_none() {
            return;
        }
        while let Some(heard) = follower.waits.try_join_next() {
            follower.hear(heard);
        }
    }
}

impl Roots {
    fn now(&self) -> BTreeSet<ServiceAt> {
        match self {
            Self::All(list) => {
                let list = list.current();
                let names = list.services().keys().chain(list.held().keys());
                names.filter_map(|name| ServiceName::new(name).ok()).map(ServiceAt::here).collect()
            }
            Self::These(all) => all.clone(),
        }
    }

    /// Waits for other roots; whether there can be any.
    async fn changed(&mut self) -> bool {
        match self {
            Self::All(list) => list.changed().await.is_ok(),
            Self::These(_) => std::future::pending().await,
        }
    }
}

/// What a view says of its instances, once it has said something.
fn said(snapshot: &Snapshot) -> Said {
    let held = snapshot.instances().is_empty() && !snapshot.held().is_empty();
    snapshot.is_known().then(|| Arc::clone(if held { &snapshot.held } else { &snapshot.instances }))
}

impl Follower {
    fn new(open: Open) -> Self {
        let (views, waits, graph) = (BTreeMap::new(), JoinSet::new(), Graph::default());
        Self { open, views, waits, graph, crowded: false }
    }

    /// Opens views until all that the roots lead to are followed, and drops those of the others.
    fn want(&mut self, roots: &BTreeSet<ServiceAt>) {
        loop {
            let wanted = self.graph.reach(roots);
            let gone: Vec<ServiceAt> =
                self.views.keys().filter(|at| !wanted.contains(*at)).cloned().collect();
            for at in gone {
                self.views.remove(&at);
                self.graph = self.graph.with(&at, None);
            }
            let new: Vec<ServiceAt> = wanted.into_iter().filter(|at| !self.views.contains_key(at)).collect();
            let room = MOST_SERVICES.saturating_sub(self.views.len());
            if new.len() > room && !self.crowded {
                self.crowded = true;
                tracing::warn!(services = MOST_SERVICES, "there are more services than are followed");
            }
            let opened = new.into_iter().take(room).filter(|at| self.open(at)).count();
            if opened == 0 {
                return;
            }
        }
    }

    /// Follows one more service; whether that can be done.
    fn open(&mut self, at: &ServiceAt) -> bool {
        let reader = match (self.open)(at) {
            Ok(reader) => reader,
            Err(error) => {
                tracing::debug!(service = %at, error = error.chain(), "a service that is needed cannot be followed");
                return false;
            }
        };
        let known = reader.snapshot();
        let wait = self.wait(at.clone(), reader);
        self.views.insert(at.clone(), Followed { said: None, wait });
        self.take(at, &known);
        true
    }

    fn wait(&mut self, at: ServiceAt, mut reader: Reader) -> AbortHandle {
        self.waits.spawn(async move {
            let open = reader.published().await.is_ok();
            (at, open.then_some(reader))
        })
    }

    /// A wait has ended: the view has said something, or was closed.
    fn hear(&mut self, heard: Result<(ServiceAt, Option<Reader>), tokio::task::JoinError>) {
        // One that was aborted is of a view that is not wanted any more.
        let Ok((at, Some(reader))) = heard else { return };
        if !self.views.contains_key(&at) {
            return;
        }
        let now = reader.snapshot();
        let wait = self.wait(at.clone(), reader);
        if let Some(view) = self.views.get_mut(&at) {
            view.wait = wait;
        }
        self.take(&at, &now);
    }

    /// Takes in what a view says.
    fn take(&mut self, at: &ServiceAt, snapshot: &Snapshot) {
        let Some(view) = self.views.get_mut(at) else { return };
        let said = said(snapshot);
        let same = match (&view.said, &said) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        view.said.clone_from(&said);
        let home =
            said.iter().flat_map(|all| all.iter()).next().map(|one| Arc::clone(&one.identity.datacenter));
        match home.filter(|_| self.graph.home().is_none() && at.datacenter().is_none()) {
            // What names this datacentre means another service from now on.
            Some(home) => {
                let known =
                    self.views.iter().filter_map(|(at, view)| Some((at.clone(), view.said.as_deref()?)));
                self.graph = Graph::of(Some(&home), known);
            }
            None => self.graph = self.graph.with(at, said.as_deref()),
        }
    }
}
