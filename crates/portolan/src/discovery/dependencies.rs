//! Who needs whom, and whether a service has what it needs: the handles, and the tasks behind them.
//!
//! In:  a registration with needs, or nothing. Out: the graph, read once or followed; a [`Readiness`].
//!
//! Never: follows a service by a view of its own where there is one; goes on when the last handle is dropped.
//!
//! Proof: `dependencies/tests.rs`; on a real Consul and the embedded registry, the command's `tests/deps.rs`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Discovery;
use crate::{
    depend::{
        Graph, Need, Needs, Open, Readiness, ReadyConfig, Roots, ServiceAt, Subject, follow, keep_ready,
    },
    error::{Error, Kind},
    model::ServiceName,
    register::{Registration, RegistrationHandle},
    resolve::{Origin, Select, User},
    snapshot::{Keep, Latest, Reader, Writer},
    sync::Consumer,
};

mod read;

/// The graph of dependencies, followed for as long as a handle lives. Clones follow on their own.
#[derive(Clone, Debug)]
pub struct Dependencies {
    latest: Latest<Graph>,
    _stop: Arc<DropGuard>,
    /// Keeps the list awake.
    _list: Arc<Consumer>,
}

impl Dependencies {
    /// The newest graph. No I/O, and no lock that a writer can hold.
    #[must_use]
    pub fn current(&self) -> Arc<Graph> {
        self.latest.current()
    }

    /// Waits until there is a graph that this handle has not told of, and tells it. One who is slow gets the newest. The
    /// first call tells what is there already.
    ///
    /// # Errors
    /// [`Kind::Closed`] once the discovery is closed and everything was told.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn changed(&mut self) -> Result<Arc<Graph>, Error> {
        self.latest.changed().await
    }

    /// Waits until `want` accepts the graph, and returns it.
    ///
    /// # Errors
    /// [`Kind::Timeout`] after `within`; [`Kind::Closed`] once the discovery is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn wait_until(
        &self,
        want: impl Fn(&Graph) -> bool,
        within: Duration,
    ) -> Result<Arc<Graph>, Error> {
        let mut latest = self.latest.clone();
        let search = async {
            loop {
                let graph = latest.current();
                if want(&graph) {
                    return Ok(graph);
                }
                latest.changed().await?;
            }
        };
        timeout(within, search).await.unwrap_or_else(|late| {
            let what = format!("dependencies: what was waited for did not come within {within:?}");
            Err(Error::new(Kind::Timeout, what).caused_by(late))
        })
    }
}

/// Somebody who follows a view for the graph: it is in use, and stays awake, for as long.
#[derive(Debug)]
struct Follows {
    _view: Arc<User>,
    _awake: Consumer,
}

impl Keep for Follows {}

impl Discovery {
    /// Who needs whom, as all services declare it, followed: the list of services, a view of each, and of those in other
    /// datacentres that they need. Each view is one that lookups share.
    ///
    /// It waits for the list, at most `start_wait` (5 s), and not for the services: until a view has answered, its service
    /// is not known in the graph. For a single look, see [`read_dependencies`](Self::read_dependencies).
    ///
    /// # Errors
    /// As [`services`](Self::services).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn dependencies(&self) -> Result<Dependencies, Error> {
        let (list, awake) = self.services().await?.into_parts();
        let (latest, stop) = self.follow_graph(Roots::All(list));
        Ok(Dependencies { latest, _stop: Arc::new(stop.drop_guard()), _list: awake })
    }

    /// Who needs whom, as all services declare it, read now and once: the list of services, each of them, and those in
    /// other datacentres that they need.
    ///
    /// A service of another datacentre that cannot be read is not known in the graph, and logged.
    ///
    /// # Errors
    /// [`Kind::Timeout`] after `within`, and another kind when the registry refused or failed a read; [`Kind::Closed`]
    /// after [`close`](Self::close).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn read_dependencies(&self, within: Duration) -> Result<Graph, Error> {
        self.inner.config.check()?;
        self.open_for_dependencies()?;
        let late = |late| {
            let what = format!("dependencies: not all services were read within {within:?}; allow more time");
            Error::new(Kind::Timeout, what).caused_by(late)
        };
        timeout(within, read::read(&self.inner.guard)).await.map_err(late)?
    }

    /// Whether all is there that `registration` says it needs, followed from now on: the services that it needs, and those
    /// that these need, so that a cycle is seen. At once; nothing is known at first.
    ///
    /// # Errors
    /// [`Kind::Config`] for a wrong setting or registration; [`Kind::Closed`] after [`close`](Self::close).
    pub fn readiness(&self, registration: &Registration, config: ReadyConfig) -> Result<Readiness, Error> {
        registration.validate()?;
        config.check()?;
        self.inner.config.check()?;
        self.open_for_dependencies()?;
        let needs: Needs = registration.needs_declared()?;
        let to = |need: Need| {
            let service = need.service().clone();
            let to = need.datacenter().map(|name| ServiceAt::elsewhere(name, service.clone()));
            (need, to.unwrap_or_else(|| ServiceAt::here(service)))
        };
        let needs: Arc<[(Need, ServiceAt)]> = needs.into_iter().map(to).collect();
        let roots: BTreeSet<ServiceAt> = needs.iter().map(|(_, to)| to.clone()).collect();
        let me = ServiceAt::here(ServiceName::new(&registration.name)?);
        // Its own instances tell which datacentre this is, and what they declare.
        let all = roots.iter().cloned().chain([me.clone()]).collect();
        let (graph, stop) = self.follow_graph(Roots::These(all));
        let open = self.open();
        let views = roots.into_iter().filter_map(|at| Some((at.clone(), open(&at).ok()?))).collect();
        let subject = Subject { me, needs, config, views: Arc::new(views) };
        let writer = Writer::new(Arc::new(subject.at_first()));
        let latest = writer.latest();
        let writer = Arc::new(tokio::sync::Mutex::new(writer));
        let ended = stop.clone();
        self.inner.tasks.spawn("readiness", move || {
            keep_ready(subject.clone(), graph.clone(), Arc::clone(&writer), ended.clone())
        });
        Ok(Readiness::new(latest, stop.drop_guard()))
    }

    /// Registers an instance in maintenance, so that nobody chooses it and everybody sees that it comes, and puts it into
    /// service once all is there that it needs.
    ///
    /// # Errors
    /// As [`register`](Self::register); [`Kind::Timeout`] when something was still missing after `within`: it is removed
    /// then.
    ///
    /// # Cancel safety
    /// Dropping the future removes an instance that was registered already.
    pub async fn register_when_ready(
        &self,
        registration: Registration,
        readiness: &Readiness,
        within: Duration,
    ) -> Result<RegistrationHandle, Error> {
        let registration = match registration.maintenance {
            Some(_) => registration,
            None => registration.in_maintenance(WAITING),
        };
        let handle = self.register(registration).await?;
        readiness.ready(within).await?;
        handle.announce();
        Ok(handle)
    }

    fn open_for_dependencies(&self) -> Result<(), Error> {
        if self.inner.tasks.is_closed() {
            return Err(Error::new(Kind::Closed, "dependencies: this Discovery was closed; make a new one"));
        }
        Ok(())
    }

    /// Follows a graph on a task of its own, until the token is cancelled.
    fn follow_graph(&self, roots: Roots) -> (Latest<Graph>, CancellationToken) {
        let writer = Writer::new(Arc::new(Graph::default()));
        let latest = writer.latest();
        let (open, stop) = (self.open(), self.inner.tasks.stop());
        let (writer, ended) = (Arc::new(tokio::sync::Mutex::new(writer)), stop.clone());
        self.inner.tasks.spawn("dependencies", move || {
            follow(roots.clone(), Arc::clone(&open), Arc::clone(&writer), ended.clone())
        });
        (latest, stop)
    }

    /// The way to a view of each service. It does not keep the discovery.
    fn open(&self) -> Open {
        let inner = Arc::downgrade(&self.inner);
        Arc::new(move |at| {
            let closed = || Error::new(Kind::Closed, "dependencies: this Discovery was dropped");
            let discovery = Self { inner: inner.upgrade().ok_or_else(closed)? };
            discovery.reader_of(at)
        })
    }

    fn reader_of(&self, at: &ServiceAt) -> Result<Reader, Error> {
        let select = Select::default();
        let select = match at.datacenter() {
            Some(name) => select.datacenter(name),
            None => select,
        };
        let origin: Option<Origin> = self.origins(at.service().as_str(), &select)?.into_iter().next();
        let Some(Origin { reader, interest, user, .. }) = origin else {
            return Err(Error::config(format!(
                "dependencies: {at} has no view to follow; please report this bug"
            )));
        };
        Ok(reader.keeping(Arc::new(Follows { _view: user, _awake: interest.consume() })))
    }
}

/// The note of the maintenance in which an instance waits for what it needs.
const WAITING: &str = "waits for what it needs";

#[cfg(test)]
mod tests;
