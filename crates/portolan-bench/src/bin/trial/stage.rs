//! What a trial plays on: services that are kept registered, a Discovery that watches them, threads that look them up.
//!
//! In:  a node, and where the Discovery is to look (the node, or a proxy before it). Out: when the views noticed, and
//! when they equalled what the registry must hold.
//!
//! The trial knows what must be registered, so views are compared with that, not with another read.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use anyhow::bail;
use portolan::{
    Address, Config, ConsulConfig, Discovery, Registration, RegistrationHandle, RegistrationState,
    Registry as _, Resolver, ServiceName,
    registry::{ServiceQuery, consul::Consul},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    crowd::{Crowd, Tally},
    node::Node,
};

/// How often views are looked at: the error of every time that is told.
const LOOK: Duration = Duration::from_millis(5);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How big it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) services: usize,
    pub(crate) instances: u16,
    pub(crate) threads: u32,
    /// Lookups a second, by all threads.
    pub(crate) rate: u32,
}

/// Which proof counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// An open read that goes on proves nothing new, and is not asked to.
    Any,
    /// Only a read that was answered after this.
    After(Instant),
}

/// The stage.
pub(crate) struct Stage {
    pub(crate) names: Vec<String>,
    /// Instance ids by service: what must be registered.
    expected: BTreeMap<String, BTreeSet<String>>,
    owners: Discovery,
    handles: BTreeMap<String, RegistrationHandle>,
    pub(crate) seeker: Discovery,
    resolvers: Vec<Resolver>,
}

impl Stage {
    /// Registers everything at `owner`, and warms a Discovery that looks at `looks_at`.
    ///
    /// # Errors
    /// When something is not registered, or not seen, in time.
    pub(crate) async fn new(size: Size, owner: SocketAddr, seeker: Config) -> anyhow::Result<Self> {
        let owners = Discovery::new(at(owner)?);
        let mut stage = Self {
            names: (0..size.services).map(|number| format!("service-{number:04}")).collect(),
            expected: BTreeMap::new(),
            owners,
            handles: BTreeMap::new(),
            seeker: Discovery::new(seeker),
            resolvers: Vec::new(),
        };
        for name in stage.names.clone() {
            for number in 0..size.instances {
                stage.register(&name, number).await?;
            }
        }
        stage.registered().await?;
        stage.warm().await?;
        Ok(stage)
    }

    async fn warm(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.resolvers.clear();
        for name in &self.names {
            let resolver = loop {
                match self.seeker.service(name).await {
                    Ok(resolver) => break resolver,
                    Err(error) if error.is_retryable() && begun.elapsed() < PATIENCE => sleep(LOOK).await,
                    Err(error) => return Err(error.into()),
                }
            };
            self.resolvers.push(resolver);
        }
        self.converged(Instant::now(), Proof::Any).await?;
        Ok(())
    }

    /// Puts one more instance under the owners' care; it is expected from now on.
    pub(crate) async fn register(&mut self, name: &str, number: u16) -> anyhow::Result<()> {
        let id = format!("{name}-{number}");
        let registration =
            Registration::new(name, 8000 + number).id(&id).address(Address::Given("127.0.0.1".to_owned()));
        let handle = self.owners.register(registration).await?;
        self.handles.insert(id.clone(), handle);
        self.expected.entry(name.to_owned()).or_default().insert(id);
        Ok(())
    }

    /// Takes one out again, and waits until no view names it.
    pub(crate) async fn deregister(&mut self, name: &str, number: u16, crowd: &Crowd) -> anyhow::Result<()> {
        let id = format!("{name}-{number}");
        if let Some(handle) = self.handles.remove(&id) {
            handle.remove().await?;
        }
        if let Some(ids) = self.expected.get_mut(name) {
            ids.remove(&id);
        }
        self.converged(Instant::now(), Proof::Any).await?;
        crowd.deregistered(&id);
        Ok(())
    }

    /// Waits until the agent has every registration.
    pub(crate) async fn registered(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !self.handles.values().all(|handle| handle.state() == RegistrationState::Registered) {
            if begun.elapsed() > PATIENCE {
                bail!("not everything was registered within {PATIENCE:?}");
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Drops the Discovery that looks, and makes another; says what lookups saw until then, and how long the new one
    /// took until it knew every service.
    ///
    /// # Errors
    /// When one is not known in time.
    pub(crate) async fn restart(
        &mut self,
        crowd: &mut Crowd,
        config: Config,
        size: Size,
    ) -> anyhow::Result<(Tally, Duration)> {
        self.resolvers.clear();
        let begun = Instant::now();
        self.seeker = Discovery::new(config);
        // All at once, as a program starts: each waits a while for the registry before it takes what is remembered.
        let mut starting = JoinSet::new();
        for name in self.names.clone() {
            let seeker = self.seeker.clone();
            starting.spawn(async move {
                loop {
                    match seeker.service(&name).await {
                        Err(error) if error.is_retryable() && begun.elapsed() < PATIENCE => sleep(LOOK).await,
                        ended => return ended,
                    }
                }
            });
        }
        while let Some(started) = starting.join_next().await {
            self.resolvers.push(started??);
        }
        let took = begun.elapsed();
        let order = |resolver: &Resolver| resolver.service().as_str().to_owned();
        self.resolvers.sort_by_key(order);
        Ok((crowd.moved(&self.seeker, &self.names, size.threads, size.rate), took))
    }

    /// Where the views know what they know from.
    pub(crate) fn sources(&self) -> BTreeSet<String> {
        self.resolvers.iter().map(|one| one.snapshot().freshness().source.to_string()).collect()
    }

    pub(crate) fn crowd(&self, size: Size) -> Crowd {
        Crowd::start(&self.seeker, &self.names, size.threads, size.rate)
    }

    /// How long after `since` the first view, and the last, said that reads fail. `None`: not within `most`.
    pub(crate) async fn noticed(&self, since: Instant, most: Duration) -> [Option<Duration>; 2] {
        let mut first = None;
        while since.elapsed() < most {
            let failing = self.resolvers.iter().filter(|one| one.snapshot().failure().is_some()).count();
            if failing > 0 {
                first.get_or_insert(since.elapsed());
            }
            if failing == self.resolvers.len() {
                return [first, Some(since.elapsed())];
            }
            sleep(LOOK).await;
        }
        [first, None]
    }

    /// Waits until every view equals what must be registered and reads without failures, by this proof; says how long
    /// after `since` that was.
    ///
    /// # Errors
    /// When it does not come to be; the text names what differs.
    pub(crate) async fn converged(&self, since: Instant, proof: Proof) -> anyhow::Result<Duration> {
        Ok(self.last_converged(since, proof).await?.0)
    }

    /// The same; and what the view that was right last had been until then.
    ///
    /// # Errors
    /// As [`converged`](Self::converged).
    pub(crate) async fn last_converged(
        &self,
        since: Instant,
        proof: Proof,
    ) -> anyhow::Result<(Duration, String)> {
        let mut open: Vec<&Resolver> = self.resolvers.iter().collect();
        let mut last = String::new();
        loop {
            open.retain(|resolver| self.differs(resolver, proof).is_some());
            let Some(first) = open.first() else { return Ok((since.elapsed(), last)) };
            last = self.differs(first, proof).unwrap_or(last);
            if since.elapsed() > PATIENCE {
                bail!("{} views have not converged within {PATIENCE:?}; {last}", open.len());
            }
            sleep(LOOK).await;
        }
    }

    /// How long after `since` the view of this service equalled what must be registered.
    ///
    /// # Errors
    /// When it does not come to be.
    pub(crate) async fn seen(&self, name: &str, since: Instant) -> anyhow::Result<Duration> {
        let place = self.names.iter().position(|one| one == name);
        let Some(resolver) = place.and_then(|place| self.resolvers.get(place)) else {
            bail!("no service {name}")
        };
        while self.content_differs(resolver) {
            if since.elapsed() > PATIENCE {
                bail!("{name}: a change was not seen within {PATIENCE:?}");
            }
            sleep(LOOK).await;
        }
        Ok(since.elapsed())
    }

    /// How long after `since` the view of this service names what the registry holds: held instances are not in that.
    ///
    /// # Errors
    /// When it does not come to be.
    pub(crate) async fn equals(
        &self,
        direct: &Consul,
        name: &str,
        since: Instant,
    ) -> anyhow::Result<Duration> {
        let query = ServiceQuery::new(ServiceName::new(name)?);
        let place = self.names.iter().position(|one| one == name);
        let Some(resolver) = place.and_then(|place| self.resolvers.get(place)) else {
            bail!("no service {name}")
        };
        loop {
            let answer = direct.service(&query).await?.value;
            let holds: BTreeSet<&str> = answer.iter().map(|one| &*one.identity.id).collect();
            let known = resolver.snapshot();
            if known.instances().iter().map(|one| &*one.identity.id).collect::<BTreeSet<_>>() == holds {
                return Ok(since.elapsed());
            }
            if since.elapsed() > PATIENCE {
                bail!("{name}: the view does not equal the registry within {PATIENCE:?}");
            }
            sleep(LOOK).await;
        }
    }

    fn content_differs(&self, resolver: &Resolver) -> bool {
        let known = resolver.snapshot();
        let seen: BTreeSet<&str> = known.instances().iter().map(|one| &*one.identity.id).collect();
        let expected = self.expected.get(resolver.service().as_str());
        !expected.is_some_and(|expected| seen.iter().eq(expected.iter())) || !known.held().is_empty()
    }

    fn differs(&self, resolver: &Resolver, proof: Proof) -> Option<String> {
        let known = resolver.snapshot();
        let proved = match proof {
            Proof::Any => true,
            Proof::After(from) => known.freshness().confirmed.is_some_and(|at| at >= from.into_std()),
        };
        let same = proved && known.failure().is_none() && !self.content_differs(resolver);
        (!same).then(|| {
            let instances: Vec<&str> = known.instances().iter().map(|one| &*one.identity.id).collect();
            let failure = known.failure().map(|failure| (&failure.text, failure.kind, failure.count));
            let held = known.held().len();
            format!("{} has {instances:?}, {held} held, failure in a row {failure:?}", resolver.service())
        })
    }

    /// Ends it all.
    ///
    /// # Errors
    /// When a task did not end.
    pub(crate) async fn end(self, crowd: Crowd) -> anyhow::Result<Tally> {
        let tally = crowd.stop();
        self.seeker.close(Duration::from_secs(5)).await?;
        // The registry may be in any state: what could not be removed goes with it.
        drop(self.owners.close(Duration::from_secs(5)).await);
        Ok(tally)
    }
}

/// Settings for a Discovery that looks there.
pub(crate) fn at(addr: SocketAddr) -> anyhow::Result<Config> {
    Ok(Config::default().consul(ConsulConfig::default().address(format!("http://{addr}"))?))
}

/// Waits until the node answers as a leader again, and gives that moment.
pub(crate) async fn back(node: &Node, name: &str) -> anyhow::Result<Instant> {
    let begun = Instant::now();
    while !node.has_leader(name).await? {
        if begun.elapsed() > PATIENCE {
            bail!("{} did not come back within {PATIENCE:?}", node.http());
        }
        sleep(LOOK).await;
    }
    Ok(Instant::now())
}
