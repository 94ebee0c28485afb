//! What the cases look into: a registry in memory, and a Discovery that is warm.
//!
//! In:  how many instances, how many names. Out: resolvers that follow a view, as in a program; nothing is faked
//! below the trait `Registry`.
//!
//! Never: changes anything while it is measured. Its blocking reads wait for ten minutes.

use std::{fmt, net::Ipv4Addr, sync::Arc, time::Duration};

use portolan::{
    Config, Discovery, Error, Identity, Instance, Kind, Policy, Registry, Resolver, Select, ServiceId,
    ViewConfig,
    registry::{
        AgentInfo, Answer, CatalogQuery, Definition, Registered, Reply, Report, ServiceQuery, ServiceTags,
    },
};
use tokio::runtime::Runtime;

/// How many services are looked up by name.
pub(crate) const NAMES: usize = 1_000;

/// A warm Discovery and the runtime of its tasks.
pub(crate) struct Fixture {
    runtime: Runtime,
    discovery: Discovery,
}

impl Fixture {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let quiet = ViewConfig::default().wait(Duration::from_secs(600));
        let config = Config::default().view(quiet).connections(10_000).seed(1);
        let discovery =
            runtime.block_on(async { Discovery::with_registry(Arc::new(ReadsOnly(Fixed)), config) });
        Ok(Self { runtime, discovery })
    }

    /// A resolver over a service of so many instances.
    pub(crate) fn resolver(&self, instances: u16, policy: Policy) -> anyhow::Result<Resolver> {
        self.resolver_by(instances, Select::default().policy(policy))
    }

    /// The same, by all that can be asked for.
    pub(crate) fn resolver_by(&self, instances: u16, select: Select) -> anyhow::Result<Resolver> {
        let name = format!("web-{instances}");
        Ok(self.runtime.block_on(self.discovery.service_with(&name, select))?)
    }

    /// A Discovery that is warm for all of these names.
    pub(crate) fn warm(&self, names: &[String]) -> anyhow::Result<Discovery> {
        for name in names {
            self.runtime.block_on(self.discovery.service(name))?;
        }
        Ok(self.discovery.clone())
    }

    pub(crate) fn close(self) -> anyhow::Result<()> {
        Ok(self.runtime.block_on(self.discovery.close(Duration::from_secs(5)))?)
    }
}

/// The names that are looked up; each stands for three instances.
pub(crate) fn names() -> Vec<String> {
    (0..NAMES).map(|number| format!("service-{number:04}-3")).collect()
}

/// Where the instance of this number is.
pub(crate) fn place(number: u16) -> (Ipv4Addr, u16) {
    let [high, low] = number.to_be_bytes();
    (Ipv4Addr::new(10, 1, high, low), 8_000 + number % 50_000)
}

/// What answers reads of one service.
pub(crate) trait Reads: Send + Sync + fmt::Debug + 'static {
    fn read<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<Instance>>>>;
}

/// A registry that answers reads of one service, and nothing else.
#[derive(Debug)]
pub(crate) struct ReadsOnly<R>(pub(crate) R);

/// Answers that never change. The number at the end of a service's name says how many instances it has.
#[derive(Debug)]
struct Fixed;

impl Reads for Fixed {
    fn read<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<Instance>>>> {
        Box::pin(async move {
            if let Some(block) = query.block {
                tokio::time::sleep(block.wait).await;
            }
            Ok(Answer::new(instances(query.service.as_str()), 1))
        })
    }
}

impl<R: Reads> Registry for ReadsOnly<R> {
    fn describe(&self) -> String {
        "a registry in memory that only answers reads".to_owned()
    }

    fn service<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<Instance>>>> {
        self.0.read(query)
    }

    fn services<'a>(&'a self, _: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>> {
        Box::pin(async { Err(unneeded()) })
    }

    fn agent(&self) -> Reply<'_, AgentInfo> {
        Box::pin(async { Ok(AgentInfo::new("node", "dc1", "1.21.4")) })
    }

    fn registered<'a>(&'a self, _: &'a [ServiceId]) -> Reply<'a, Vec<Registered>> {
        Box::pin(async { Err(unneeded()) })
    }

    fn register<'a>(&'a self, _: &'a Definition) -> Reply<'a, ()> {
        Box::pin(async { Err(unneeded()) })
    }

    fn deregister<'a>(&'a self, _: &'a ServiceId) -> Reply<'a, ()> {
        Box::pin(async { Err(unneeded()) })
    }

    fn report<'a>(&'a self, _: &'a Report) -> Reply<'a, ()> {
        Box::pin(async { Err(unneeded()) })
    }

    fn maintenance<'a>(&'a self, _: &'a ServiceId, _: Option<&'a str>) -> Reply<'a, ()> {
        Box::pin(async { Err(unneeded()) })
    }
}

fn unneeded() -> Error {
    Error::registry(Kind::Config, "the registry of the benchmark only answers reads of a service")
}

fn instances(service: &str) -> Vec<Arc<Instance>> {
    let count = service.rsplit('-').next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let instance = |number: u16| {
        let (address, port) = place(number);
        let identity = Identity::new("dc1", &format!("node-{}", number / 8), &format!("{service}-{number}"));
        let instance = Instance::new(identity, service, &address.to_string(), port);
        Arc::new(instance.with_tags(["http", "v1.4.2"]).with_meta([("zone", "eu-1a")]))
    };
    (0..count).map(instance).collect()
}
