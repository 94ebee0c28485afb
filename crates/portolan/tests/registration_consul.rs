//! Registrations on a real Consul: what the keeper promises, with the agent's own normalisation, checks and timing.
//!
//! Each test starts an agent of its own and ends it. A missing Consul fails these tests.

#[path = "support/consul.rs"]
mod support;

use std::{sync::Arc, time::Duration};

use portolan::{
    Address, Check, Config, Discovery, Instance, Kind, Registration, RegistrationHandle,
    RegistrationState as State, Registry, ServiceId, Status, Weights,
    registry::{
        AgentInfo, Answer, CatalogQuery, Definition, Registered, Reply, Report, ServiceQuery, ServiceTags,
        consul::{Consul, ConsulConfig},
    },
};
use support::{Agent, Failure};
use tokio::time::timeout;

/// Longer than a sweep and its repair take by far: a deadline, not a measure.
const LONG: Duration = Duration::from_secs(30);

struct Rig {
    agent: Agent,
    consul: Arc<Consul>,
    discovery: Discovery,
}

async fn rig(way: fn(&Agent) -> Result<ConsulConfig, Failure>) -> Result<Rig, Failure> {
    let agent = Agent::start().await?;
    let consul = Arc::new(Consul::new(way(&agent)?));
    let registry: Arc<dyn Registry> = Arc::<Consul>::clone(&consul);
    let discovery = Discovery::with_registry(registry, Config::default());
    Ok(Rig { agent, consul, discovery })
}

/// Waits until the catalogue, too, shows that it is sick: the agent brings it there a moment later.
async fn wait_sick(consul: &Consul) -> Result<(), Failure> {
    let sick = async {
        let mut query = ServiceQuery::new("web".parse()?);
        loop {
            let answer = consul.service(&query).await?;
            if answer.value.iter().all(|one| one.status == Status::Critical) {
                return Ok::<(), portolan::Error>(());
            }
            query = query.block(answer.meta.index, LONG);
        }
    };
    Ok(timeout(LONG, sick).await??)
}

/// A Consul on which nothing can be registered.
#[derive(Debug)]
struct NoSend(Arc<Consul>);

impl Registry for NoSend {
    fn describe(&self) -> String {
        self.0.describe()
    }

    fn service<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<Instance>>>> {
        self.0.service(query)
    }

    fn services<'a>(&'a self, query: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>> {
        self.0.services(query)
    }

    fn agent(&self) -> Reply<'_, AgentInfo> {
        self.0.agent()
    }

    fn registered<'a>(&'a self, ids: &'a [ServiceId]) -> Reply<'a, Vec<Registered>> {
        self.0.registered(ids)
    }

    fn register<'a>(&'a self, definition: &'a Definition) -> Reply<'a, ()> {
        let what = format!("{:?} was sent", definition.id);
        Box::pin(async { Err(portolan::Error::registry(Kind::Rejected, what)) })
    }

    fn deregister<'a>(&'a self, id: &'a ServiceId) -> Reply<'a, ()> {
        self.0.deregister(id)
    }

    fn report<'a>(&'a self, report: &'a Report) -> Reply<'a, ()> {
        self.0.report(report)
    }

    fn maintenance<'a>(&'a self, id: &'a ServiceId, reason: Option<&'a str>) -> Reply<'a, ()> {
        self.0.maintenance(id, reason)
    }
}

/// Every field that is compared, with all kinds of checks.
fn full() -> Registration {
    Registration::http("web", 8080)
        .id("web-1")
        .address(Address::Given("127.0.0.1".into()))
        .tags(["b", "a", "b"])
        .meta("k", "v")
        .version("1.2.3")
        .weights(Weights { passing: 10, warning: 0 })
        .check(Check::tcp())
        .check(Check::ttl(Duration::from_secs(15)))
        .check(Check::ttl(Duration::from_secs(15)))
}

fn ttl() -> Registration {
    Registration::ttl("web", 8080).id("web-1").address(Address::Given("127.0.0.1".into()))
}

async fn reach(handle: &mut RegistrationHandle, wanted: impl Fn(&State) -> bool) -> Result<State, Failure> {
    let reached = async {
        while !wanted(&handle.state()) {
            handle.changed().await?;
        }
        Ok::<State, portolan::Error>(handle.state())
    };
    Ok(timeout(LONG, reached).await.map_err(|late| format!("{late}: {:?}", handle.state()))??)
}

/// The next state that is `Registered`, after something else happened.
async fn registered_again(handle: &mut RegistrationHandle) -> Result<(), Failure> {
    let again = async {
        while handle.changed().await? != State::Registered {}
        Ok::<(), portolan::Error>(())
    };
    Ok(timeout(LONG, again).await.map_err(|late| format!("{late}: {:?}", handle.state()))??)
}

#[tokio::test]
async fn what_consul_makes_of_a_definition_is_no_difference() -> Result<(), Failure> {
    let rig = rig(Agent::tls).await?;
    let mut handle = rig.discovery.register(full()).await?;
    reach(&mut handle, |state| *state == State::Registered).await?;
    // Another process with the same registration: had Consul made a difference, it would have to be sent.
    let strict = Discovery::with_registry(Arc::new(NoSend(Arc::clone(&rig.consul))), Config::default());
    let mut taken_over = strict.register(full()).await?;
    reach(&mut taken_over, |state| *state == State::Registered).await?;
    let held = rig.consul.registered(&[handle.id().clone()]).await?;
    assert_eq!((held.len(), held[0].checks.len()), (1, 4));
    handle.close().await?;
    assert!(rig.consul.registered(&["web-1".parse()?]).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_instance_is_healthy_comes_back_when_it_is_lost_or_changed_and_goes_when_closed()
-> Result<(), Failure> {
    let rig = rig(Agent::plain).await?;
    let mut handle = rig.discovery.register(ttl()).await?;
    handle.wait_healthy(LONG).await?;
    reach(&mut handle, |state| *state == State::Registered).await?;

    rig.consul.deregister(handle.id()).await?;
    registered_again(&mut handle).await?;
    handle.wait_healthy(LONG).await?;

    let mut other = handle.definition().clone();
    other.tags = vec!["theirs".into()];
    rig.consul.register(&other).await?;
    registered_again(&mut handle).await?;
    assert!(rig.consul.registered(&[handle.id().clone()]).await?[0].tags.is_empty());

    handle.report(Status::Critical, "no disk")?;
    let told = async {
        while rig.consul.registered(&[handle.id().clone()]).await?[0].status() != Status::Critical {
            tokio::task::yield_now().await;
        }
        Ok::<(), portolan::Error>(())
    };
    timeout(LONG, told).await??;
    wait_sick(&rig.consul).await?;
    let error = handle.wait_healthy(Duration::from_secs(2)).await.err().ok_or("critical is not healthy")?;
    assert_eq!(error.kind(), Kind::Timeout);
    assert!(error.to_string().contains("no disk"), "{error}");
    handle.close().await?;
    rig.discovery.close(LONG).await?;
    assert!(rig.consul.registered(&["web-1".parse()?]).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_id_that_is_alive_elsewhere_is_a_conflict_and_an_agent_that_is_not_there_leaves_it_pending()
-> Result<(), Failure> {
    let rig = rig(Agent::socket).await?;
    let held = rig.discovery.register(ttl()).await?;
    held.wait_healthy(LONG).await?;
    let other = Discovery::with_registry(Arc::new(Consul::new(rig.agent.socket()?)), Config::default());
    let elsewhere = Registration::ttl("web", 9999).id("web-1").address(Address::Given("127.0.0.1".into()));
    let error = other.register(elsewhere).await.err().ok_or("the id is taken")?;
    assert_eq!(error.kind(), Kind::Conflict, "{error}");

    let Rig { agent, discovery, .. } = rig;
    drop(agent);
    let late = other.register(ttl().id("web-2")).await?;
    assert_eq!(late.state(), State::Pending);
    drop((held, late, discovery));
    Ok(())
}
