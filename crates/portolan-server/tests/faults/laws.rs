//! Laws 1 to 3 over sockets: a few seconds of random faults from a seed, consumers of three speeds, then calm.
//!
//! On the embedded registry over HTTP/1.1 and HTTP/2, and on a real Consul behind the proxy. The registry is written
//! to on a way that has no faults, so that what must be seen is known.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use portolan::{
    Changes, Config, Discovery, Identity, Instance, Reader, Registry, Resolver, Select, ServiceId,
    ServiceName, Snapshot, Source, ViewConfig,
    registry::{
        Definition, ServiceQuery,
        consul::{Consul, ConsulConfig, Http2},
    },
};
use portolan_server::{
    ServerConfig,
    faults::{Faults, Plan, Proxy},
};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    client::{Try, start_with},
    consul::Agent,
};

const SERVICES: [&str; 4] = ["web", "api", "db", "mail"];
/// So many faults are wanted, and so many writes under them, at least and at most.
const WANTED: u64 = 25;
const WRITES: std::ops::RangeInclusive<u64> = 60..=300;
/// How long a write waits for its effect, before the next: most are seen, some are not.
const PACE: Duration = Duration::from_millis(60);
/// After the calm each view has this long; an open silence may last three seconds, a rest five.
const CONVERGED: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);

/// Every fault, but for `empty`: on a healthy stream nothing tells that lie from the truth until the next answer, so
/// lookups are promised nothing there.
const FAULTS: &str = "
    GET /v1/health/service/* lower-index 0.04
    GET /v1/health/service/* empty-lower 0.04
    GET /v1/health/service/* 403 0.005
    GET /v1/health/service/* 429 0.01
    GET /v1/health/service/* 500 0.02
    GET /v1/health/service/* 503 0.02
    GET /v1/health/service/* delay:50ms 0.05
    GET /v1/health/service/* drip:1ms 0.02
    GET /v1/health/service/* reset 0.03
    GET /v1/health/service/* reset-midway 0.03
    GET /v1/health/service/* silence 0.01
    GET /v1/health/service/* stall-midway 0.01
    GET /v1/health/service/* truncate 0.03
    GET /v1/health/service/* malformed 0.03
    GET /v1/health/service/* wrong-type 0.02
    GET /v1/health/service/* cut-gzip 0.02
    GET /v1/health/service/* duplicate-headers 0.03
    GET /v1/health/service/* garbage-headers 0.03";

/// What a consumer believes, from what it was told alone.
struct Consumer {
    reader: Reader,
    believes: BTreeMap<Identity, (Arc<Instance>, bool)>,
}

impl Consumer {
    fn new(resolver: &Resolver) -> Self {
        Self { reader: resolver.watch(), believes: BTreeMap::new() }
    }

    /// Takes the changes in; one that does not fit what was told before was told twice, or one before it never.
    fn told(&mut self, changes: Changes) -> Try {
        let key = |instance: &Arc<Instance>| instance.identity.clone();
        for new in changes.added {
            let before = self.believes.insert(key(&new), (new, false));
            expect(before.is_none(), "added twice")?;
        }
        for held in changes.held {
            let before = self.believes.insert(key(&held), (held, true));
            expect(before.is_none_or(|(_, was_held)| !was_held), "held twice")?;
        }
        for returned in changes.returned {
            let before = self.believes.get_mut(&key(&returned)).ok_or("returned, but never told")?;
            expect(std::mem::replace(&mut before.1, false), "returned twice")?;
        }
        for (old, new) in changes.updated {
            let before = self.believes.get_mut(&key(&new)).ok_or("updated, but never told")?;
            expect(before.0 == old || before.0 == new, "updated from what was never told")?;
            before.0 = new;
        }
        for gone in changes.removed {
            expect(self.believes.remove(&key(&gone)).is_some(), "removed twice")?;
        }
        Ok(())
    }

    /// Takes in what there is to be told, and compares with the view.
    async fn catch_up(&mut self, truth: &BTreeMap<Identity, Arc<Instance>>) -> Try {
        loop {
            let told: BTreeMap<_, _> =
                self.believes.iter().map(|(id, (one, _))| (id.clone(), Arc::clone(one))).collect();
            if told == *truth && self.believes.values().all(|(_, held)| !held) {
                return Ok(());
            }
            let changes = timeout(CONVERGED, self.reader.changed()).await??;
            self.told(changes)?;
        }
    }
}

fn expect(holds: bool, what: &str) -> Try {
    if holds { Ok(()) } else { Err(what.into()) }
}

fn definition(service: &str, number: u64, meta: u64) -> Try<Definition> {
    let id = ServiceId::new(format!("{service}-{number}"))?;
    let port = 8000 + u16::try_from(number)?;
    let mut definition = Definition::new(id, ServiceName::new(service)?, "127.0.0.1", port);
    definition.meta.insert("version".to_owned(), meta.to_string());
    Ok(definition)
}

async fn truth(registry: &dyn Registry, service: &str) -> Try<BTreeMap<Identity, Arc<Instance>>> {
    let answer = registry.service(&ServiceQuery::new(ServiceName::new(service)?)).await?;
    Ok(answer.value.into_iter().map(|one| (one.identity.clone(), one)).collect())
}

/// Looks up without a pause, on a thread of its own, until told to stop: (lookups, the first that failed).
fn look_up(resolvers: &[Resolver], stop: &AtomicBool) -> (u64, Option<String>) {
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        for resolver in resolvers {
            done += 1;
            let live = |known: Source| known == Source::Live;
            match resolver.peek(|one| live(one.freshness().source) && one.freshness().confirmed.is_some()) {
                Ok(true) => {}
                Ok(false) => return (done, Some(format!("{}: not live", resolver.service()))),
                Err(none) => return (done, Some(none.to_string())),
            }
        }
        std::thread::yield_now();
    }
    (done, None)
}

/// Runs it all. `direct` has no faults; `config` goes through them.
async fn laws(direct: Arc<dyn Registry>, config: ConsulConfig, faults: Faults, seed: u64) -> Try {
    for service in SERVICES {
        for number in 0..4 {
            direct.register(&definition(service, number, 0)?).await?;
        }
    }
    let config = config.request_timeout(SECOND);
    let view = ViewConfig::default().wait(SECOND);
    let discovery = Discovery::new(Config::default().consul(config).view(view).seed(seed));
    let mut resolvers = Vec::new();
    for service in SERVICES {
        let resolver = discovery.service_with(service, Select::default()).await?;
        resolver.watch().wait_until(|known| known.instances().len() == 4, CONVERGED).await?;
        resolvers.push(resolver);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (looking, until) = (resolvers.clone(), Arc::clone(&stop));
    let lookups = std::thread::spawn(move || look_up(&looking, &until));
    let mut slow: Vec<Consumer> = resolvers.iter().map(Consumer::new).collect();
    let mut last: Vec<Consumer> = resolvers.iter().map(Consumer::new).collect();
    let mut fast = JoinSet::new();
    let told = Arc::new(AtomicU64::new(0));
    for resolver in &resolvers {
        let (mut consumer, told) = (Consumer::new(resolver), Arc::clone(&told));
        fast.spawn(async move {
            // Ends with the view.
            while let Ok(changes) = consumer.reader.changed().await {
                consumer.told(changes).map_err(|wrong| wrong.to_string())?;
                told.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<Consumer, String>(consumer)
        });
    }
    faults.set(Plan::parse(FAULTS)?.seed(seed));
    trouble(&*direct, &mut slow, &faults, seed).await?;
    let injected = faults.injected();
    faults.clear();
    converge(&*direct, &resolvers).await?;
    for (service, consumers) in SERVICES.iter().zip(slow.iter_mut().zip(&mut last)) {
        let truth = truth(&*direct, service).await?;
        consumers.0.catch_up(&truth).await?;
        consumers.1.catch_up(&truth).await?;
    }
    stop.store(true, Ordering::Relaxed);
    let (done, failed) = lookups.join().map_err(|_panic| "the thread that looks up panicked")?;
    assert_eq!(failed, None, "seed {seed}, after {done} lookups");
    assert!(
        done > 1_000 && injected >= WANTED,
        "seed {seed}: {done} lookups, {injected} faults: too few to tell"
    );
    discovery.close(SECOND).await?;
    while let Some(consumer) = timeout(CONVERGED, fast.join_next()).await? {
        let mut consumer = consumer??;
        let service = consumer.reader.snapshot().service().as_str().to_owned();
        consumer.catch_up(&truth(&*direct, &service).await?).await?;
    }
    assert!(told.load(Ordering::Relaxed) > 20, "seed {seed}");
    Ok(())
}

/// Writes, each seen by a slow consumer or not; instance 0 of each service stays.
async fn trouble(direct: &dyn Registry, slow: &mut [Consumer], faults: &Faults, seed: u64) -> Try {
    for write in 0..*WRITES.end() {
        if write >= *WRITES.start() && faults.injected() >= WANTED {
            break;
        }
        let place = usize::try_from((write + seed) % 4)?;
        let service = SERVICES[place];
        let number = 1 + write / 4 % 5;
        if write % 3 == 2 {
            direct.deregister(&ServiceId::new(format!("{service}-{number}"))?).await?;
        } else {
            direct.register(&definition(service, number, write)?).await?;
        }
        if let Ok(changes) = timeout(PACE, slow[place].reader.changed()).await {
            slow[place].told(changes?)?;
        }
    }
    Ok(())
}

/// Waits until each view equals what the registry holds, is not held, and has an age that its reads bear out.
async fn converge(direct: &dyn Registry, resolvers: &[Resolver]) -> Try {
    for (service, resolver) in SERVICES.iter().zip(resolvers) {
        let truth = truth(direct, service).await?;
        let equal = |known: &Snapshot| {
            let seen = known.instances().iter().map(|one| (&one.identity, one));
            seen.eq(truth.iter()) && known.held().is_empty() && known.failure().is_none()
        };
        let seen = resolver.watch().wait_until(equal, CONVERGED).await;
        let seen = seen.map_err(|late| format!("{late}: {truth:#?}\n{:#?}", resolver.snapshot()))?;
        let age = seen.freshness().age(Instant::now().into_std()).ok_or("no age")?;
        assert!(age < CONVERGED, "{age:?}");
    }
    Ok(())
}

async fn on_the_embedded_registry(seed: u64, http2: Http2) -> Result<(), String> {
    let run = async {
        let faults = Faults::default();
        let registry = start_with(ServerConfig::default().faults(Some(faults.clone()))).await?;
        let config = ConsulConfig::default().address(format!("http://{}", registry.addr))?.http2(http2);
        laws(Arc::new(registry.embedded.clone()), config, faults, seed).await
    };
    run.await.map_err(|error| format!("seed {seed}, {http2:?}: {error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_laws_hold_on_the_embedded_registry() -> Try {
    let (a, b, c, d) = tokio::join!(
        on_the_embedded_registry(1, Http2::Negotiated),
        on_the_embedded_registry(2, Http2::Negotiated),
        on_the_embedded_registry(3, Http2::PriorKnowledge),
        on_the_embedded_registry(4, Http2::PriorKnowledge),
    );
    Ok(a.and(b).and(c).and(d)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_laws_hold_on_a_real_consul_behind_the_proxy() -> Try {
    let agent = Agent::start().await.map_err(|error| error.to_string())?;
    let plain = agent.plain().map_err(|error| error.to_string())?;
    let upstream: SocketAddr = plain.shown_address().trim_start_matches("http://").parse()?;
    let faults = Faults::default();
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], 0)), upstream, faults.clone()).await?;
    let through = ConsulConfig::default().address(format!("http://{}", proxy.addr()))?;
    laws(Arc::new(Consul::new(plain)), through, faults, 5).await
}
