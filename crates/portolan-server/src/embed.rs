//! The registry inside a program: the library's [`Registry`] straight on the state, without a socket.
//!
//! In:  queries and definitions of the library. Out: what the HTTP interface would answer, in the library's types.
//!
//! Never: behaves otherwise than the same registry over HTTP; the contract suite runs on both.

use std::{sync::Arc, time::Duration};

use portolan::{
    Error, Instance, Kind, NodeName, Registry, ServiceId, Status,
    registry::{
        AgentInfo, Answer, AnswerMeta, Block, CatalogQuery, Consistency, Definition, NodeDefinition,
        NodePart, Registered, Reply, Report, ServiceQuery, ServiceTags,
    },
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

mod convert;

use crate::{
    check, complete,
    config::ServerConfig,
    core::{Core, INTERFACE_VERSION, NotDone},
    durable,
    state::{CheckScope, Command, Key, Narrow, OtherChecks, Refused, State, cut},
};

/// The pause before a task that panicked is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// A registry in this process, for tests and for programs that carry their own. Clones share it.
#[derive(Clone, Debug)]
pub struct Embedded {
    core: Arc<Core>,
    /// `None` beside a [`Server`](crate::Server), which runs them.
    _tasks: Option<Arc<JoinSet<()>>>,
}

impl Embedded {
    /// Starts a registry: its clock and its check runners are tasks of the current runtime until the last clone is
    /// dropped. `http_addr` and the limits of connections mean nothing here.
    ///
    /// # Errors
    /// [`Kind::Config`]: a setting is out of range, `data_dir` is set, or there is no tokio runtime.
    pub fn start(config: ServerConfig) -> Result<Self, Error> {
        config.validate()?;
        if config.data_dir.is_some() {
            return Err(Error::config(
                "data_dir: an embedded registry keeps nothing on disk; use Server::bind, and Server::embedded",
            ));
        }
        tokio::runtime::Handle::try_current().map_err(|cause| {
            Error::config("embedded registry: there is no tokio runtime here; start it inside of one")
                .caused_by(cause)
        })?;
        let core = Arc::new(Core::new(config));
        let tasks = Some(Arc::new(background(&core)));
        Ok(Self { core, _tasks: tasks })
    }

    pub(crate) fn beside(core: Arc<Core>) -> Self {
        Self { core, _tasks: None }
    }

    fn our_datacenter(&self, datacenter: Option<&str>) -> Result<(), Error> {
        match datacenter {
            Some(other) if *other != *self.core.config.datacenter => {
                Err(self.failed(Kind::Unavailable, format!("No path to datacenter {other:?}")))
            }
            _ => Ok(()),
        }
    }

    fn failed(&self, kind: Kind, what: impl std::fmt::Display) -> Error {
        Error::registry(kind, format!("{}: {what}", self.describe()))
    }

    async fn wait(&self, key: &Key, block: Option<Block>) -> Result<(), Error> {
        let full = |_| self.failed(Kind::Busy, "too many watchers; raise max_watchers");
        self.core.wait(key, block).await.map_err(full)
    }

    async fn apply(&self, command: Command) -> Result<(), Error> {
        let written = self.core.apply(command).map_err(|why| {
            let kind = match &why {
                NotDone::Refused(
                    Refused::UnknownService(_)
                    | Refused::UnknownCheck(_)
                    | Refused::NoSuchService(_)
                    | Refused::NotTtl(_),
                ) => Kind::NotFound,
                NotDone::Refused(
                    Refused::OrphanCheck { .. } | Refused::Acl(_) | Refused::Session(_) | Refused::Query(_),
                ) => Kind::Rejected,
                NotDone::NotKept(_) => Kind::Unavailable,
            };
            self.failed(kind, why)
        })?;
        self.core.kept(written).await.map_err(|why| self.failed(Kind::Unavailable, why))
    }

    async fn read_service(&self, query: &ServiceQuery) -> Result<Answer<Vec<Arc<Instance>>>, Error> {
        self.our_datacenter(query.datacenter.as_deref())?;
        let name = query.service.as_str();
        let key = Key::service(name);
        self.wait(&key, query.block).await?;
        let (index, entries) =
            self.core.look(|state| (state.index(&key), state.entries(name, &Narrow::default())));
        let datacenter = &self.core.config.datacenter;
        let instances = entries
            .iter()
            .map(|entry| Arc::new(convert::instance(entry, datacenter, query.output)))
            .collect();
        Ok(answer(instances, index, query.consistency))
    }

    async fn read_services(&self, query: &CatalogQuery) -> Result<Answer<ServiceTags>, Error> {
        self.our_datacenter(query.datacenter.as_deref())?;
        self.wait(&Key::Services, query.block).await?;
        let (index, names) = self
            .core
            .look(|state: &State| (state.index(&Key::Services), state.service_names(&Narrow::default())));
        let names = names.into_iter().map(|(name, tags)| (name, tags.into_iter().collect())).collect();
        Ok(answer(names, index, query.consistency))
    }

    async fn put(&self, definition: &Definition) -> Result<(), Error> {
        let (service, checks) = convert::definition(definition, self.core.config.scripts())
            .map_err(|why| self.failed(Kind::Rejected, why))?;
        complete::sound(&service).map_err(|why| self.failed(Kind::Rejected, why))?;
        let (service, checks) = complete::service(service, checks);
        let service = Box::new(service);
        self.apply(Command::RegisterService { service, checks, others: OtherChecks::Remove }).await
    }

    /// Waits until what is held of an id is other than it was.
    async fn changed(&self, id: &ServiceId, wait: Duration) -> Result<(), Error> {
        let look = || {
            let mut held = self.held(std::slice::from_ref(id)).pop();
            // Consul's hash is of the instance without its checks.
            held.iter_mut().for_each(|one| one.checks.clear());
            held
        };
        let Some(before) = look() else {
            return Err(self.failed(Kind::NotFound, format!("unknown service id {id:?}")));
        };
        let key = Key::service(&before.name);
        loop {
            // Before the look, so that no change between the two is missed.
            let index = self.core.look(|state| state.index(&key));
            if look().as_ref() != Some(&before) {
                return Ok(());
            }
            self.wait(&key, Some(Block { index, wait })).await?;
        }
    }

    fn held_node(&self, name: &NodeName) -> Result<Option<NodeDefinition>, Error> {
        let name = name.as_str();
        let found =
            self.core.look(|state| Some((state.node(name)?, state.node_checks(name, &Narrow::default()))));
        let Some(((node, services), checks)) = found else { return Ok(None) };
        convert::node(&node, &services, &checks).map(Some)
    }

    async fn put_part(&self, part: &NodeDefinition) -> Result<(), Error> {
        let entry = convert::catalog_entry(part).map_err(|why| self.failed(Kind::Rejected, why))?;
        self.apply(Command::CatalogRegister(Box::new(entry))).await
    }

    fn held(&self, ids: &[ServiceId]) -> Vec<Registered> {
        let found = |id: &ServiceId| {
            self.core.look(|state| {
                let row = state.agent_service(id.as_str())?;
                Some((row, state.checks_of_agent_service(id.as_str(), CheckScope::Own)))
            })
        };
        ids.iter()
            .filter_map(|id| {
                let (row, checks) = found(id)?;
                Some(convert::registered(id, &row, &checks))
            })
            .collect()
    }
}

fn answer<T>(value: T, index: u64, consistency: Consistency) -> Answer<T> {
    let mut meta = AnswerMeta::new(index);
    meta.known_leader = Some(true);
    meta.last_contact = Some(Duration::ZERO);
    meta.consistency = Some(consistency);
    Answer::new(value, index).with_meta(meta)
}

impl Registry for Embedded {
    fn describe(&self) -> String {
        format!("embedded registry of node {}", self.core.config.node)
    }

    fn watches(&self) -> Option<usize> {
        // A read that waits is a task in this process, not a connection.
        Some(usize::MAX)
    }

    fn service<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<Instance>>>> {
        Box::pin(self.read_service(query))
    }

    fn services<'a>(&'a self, query: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>> {
        Box::pin(self.read_services(query))
    }

    fn agent(&self) -> Reply<'_, AgentInfo> {
        let config = &self.core.config;
        Box::pin(async move { Ok(AgentInfo::new(&config.node, &config.datacenter, INTERFACE_VERSION)) })
    }

    fn registered<'a>(&'a self, ids: &'a [ServiceId]) -> Reply<'a, Vec<Registered>> {
        Box::pin(async move { Ok(self.held(ids)) })
    }

    fn tether<'a>(&'a self, id: &'a ServiceId, wait: Duration) -> Reply<'a, ()> {
        Box::pin(async move {
            // That the time is over is as good an end as any.
            timeout(wait, self.changed(id, wait)).await.unwrap_or(Ok(()))
        })
    }

    fn register<'a>(&'a self, definition: &'a Definition) -> Reply<'a, ()> {
        Box::pin(self.put(definition))
    }

    fn deregister<'a>(&'a self, id: &'a ServiceId) -> Reply<'a, ()> {
        Box::pin(async move {
            match self.apply(Command::DeregisterService { id: id.as_str().into() }).await {
                // Removing what is not there is fine.
                Err(error) if error.kind() != Kind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            }
        })
    }

    fn report<'a>(&'a self, report: &'a Report) -> Reply<'a, ()> {
        Box::pin(async move {
            let status = convert::health(report.status).ok_or_else(|| {
                let word = Status::Maintenance;
                self.failed(
                    Kind::Rejected,
                    format!("{word} is no status of a check; use passing, warning or critical"),
                )
            })?;
            let (check, output) = (report.check.as_str().into(), cut(&report.output));
            self.apply(Command::Report { check, status, output }).await
        })
    }

    fn maintenance<'a>(&'a self, id: &'a ServiceId, reason: Option<&'a str>) -> Reply<'a, ()> {
        Box::pin(async move {
            let service = Some(id.as_str().into());
            self.apply(Command::Maintenance { service, reason: reason.map(Into::into) }).await
        })
    }

    fn catalog_node<'a>(&'a self, node: &'a NodeName) -> Reply<'a, Option<NodeDefinition>> {
        Box::pin(async move { self.held_node(node) })
    }

    fn catalog_register<'a>(&'a self, part: &'a NodeDefinition) -> Reply<'a, ()> {
        Box::pin(self.put_part(part))
    }

    fn catalog_deregister<'a>(&'a self, node: &'a NodeName, part: &'a NodePart) -> Reply<'a, ()> {
        Box::pin(async move {
            let (service, check) = match part {
                NodePart::Node => (None, None),
                NodePart::Service(id) => (Some(id.as_str().into()), None),
                NodePart::Check(id) => (None, Some(id.as_str().into())),
                _ => return Err(self.failed(Kind::Rejected, "such a part of a node cannot be taken out")),
            };
            self.apply(Command::CatalogDeregister { node: node.as_str().into(), service, check }).await
        })
    }
}

/// The tasks of a registry: its clock, its check runners, and the writer of its disk. They end when it stops, or with the set.
pub(crate) fn background(core: &Arc<Core>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let clock = Arc::clone(core);
    tasks.spawn(supervise("clock", move || {
        let core = Arc::clone(&clock);
        async move { core.keep_time().await }
    }));
    let checks = Arc::clone(core);
    if let Some(disk) = &core.disk {
        let (writer, guard) = (Arc::clone(core), disk.writer());
        tasks.spawn(async move {
            let _ends_with_it = guard;
            supervise("writer", move || durable::run(Arc::clone(&writer))).await;
        });
    }
    tasks.spawn(supervise("checks", move || check::run(Arc::clone(&checks))));
    tasks
}

pub(crate) async fn supervise<F>(name: &'static str, make: impl Fn() -> F + Send)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let mut one = JoinSet::new();
        one.spawn(make());
        match one.join_next().await {
            Some(Err(failed)) if failed.is_panic() => {
                tracing::error!(task = name, %failed, "a task panicked and is started again; please report this bug");
                sleep(RESTART_PAUSE).await;
            }
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests;
