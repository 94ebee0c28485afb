//! Views in a real Redis: found again after a restart in an outage; and a server that is away, or comes back empty, is
//! noticed by nobody.
//!
//! Each test starts a server of its own and ends it. A missing Redis fails these tests.

#[path = "support/redis.rs"]
mod support;

use std::{
    net::TcpListener,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use portolan::{
    CacheConfig, Config, Discovery, Error, Kind, Registration, Registry, Resolver, ServiceId, Source,
    cache::{Cache, CacheKey, CacheReply, Reach, Redis},
    registry::{
        AgentInfo, Answer, CatalogQuery, Definition, Registered, Reply, Report, ServiceQuery, ServiceTags,
        memory::Memory,
    },
};
use support::{Failure, Server};

type Outcome = Result<(), Failure>;

/// Under `start_wait`, so that a start which waited for a cache to the end fails its test.
const SOON: Duration = Duration::from_secs(4);
/// For what a retry of the library's must come round to.
const PATIENCE: Duration = Duration::from_secs(60);

/// A registry in this process that can be away.
#[derive(Debug)]
struct Switched {
    memory: Memory,
    up: AtomicBool,
}

impl Switched {
    /// One that is up and holds this service.
    async fn with(port: u16) -> Result<Arc<Self>, Error> {
        let switched = Self { memory: Memory::new(), up: AtomicBool::new(true) };
        let own = Discovery::with_registry(Arc::new(switched.memory.clone()), Config::default());
        let address = Registration::new("web", port).address(portolan::Address::Given("10.0.0.1".into()));
        switched.memory.register(&own.define(&address).await?).await?;
        Ok(Arc::new(switched))
    }

    /// The same, but away.
    async fn away(port: u16) -> Result<Arc<Self>, Error> {
        let switched = Self::with(port).await?;
        switched.up.store(false, Ordering::SeqCst);
        Ok(switched)
    }

    fn when_up<'a, T: Send + 'a>(&'a self, reply: Reply<'a, T>) -> Reply<'a, T> {
        if self.up.load(Ordering::SeqCst) {
            return reply;
        }
        Box::pin(std::future::ready(Err(Error::registry(Kind::Unreachable, "switched off"))))
    }
}

impl Registry for Switched {
    fn describe(&self) -> String {
        "a registry with a switch".to_owned()
    }

    fn service<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<portolan::Instance>>>> {
        self.when_up(self.memory.service(query))
    }

    fn services<'a>(&'a self, query: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>> {
        self.when_up(self.memory.services(query))
    }

    fn agent(&self) -> Reply<'_, AgentInfo> {
        self.when_up(self.memory.agent())
    }

    fn registered<'a>(&'a self, ids: &'a [ServiceId]) -> Reply<'a, Vec<Registered>> {
        self.when_up(self.memory.registered(ids))
    }

    fn register<'a>(&'a self, definition: &'a Definition) -> Reply<'a, ()> {
        self.when_up(self.memory.register(definition))
    }

    fn deregister<'a>(&'a self, id: &'a ServiceId) -> Reply<'a, ()> {
        self.when_up(self.memory.deregister(id))
    }

    fn report<'a>(&'a self, report: &'a Report) -> Reply<'a, ()> {
        self.when_up(self.memory.report(report))
    }

    fn maintenance<'a>(&'a self, id: &'a ServiceId, reason: Option<&'a str>) -> Reply<'a, ()> {
        self.when_up(self.memory.maintenance(id, reason))
    }
}

fn config(redis: &str) -> Result<CacheConfig, Error> {
    CacheConfig::default().cluster("test").redis(redis)
}

fn on(registry: &Arc<Switched>, cache: CacheConfig) -> Discovery {
    Discovery::with_registry(Arc::<Switched>::clone(registry), Config::default().cache(cache))
}

/// The same, with a clock that stands at so many minutes of a day in the past.
fn dated(cache: CacheConfig, minutes: u64) -> CacheConfig {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + minutes * 60);
    cache.time_of_day(move || at)
}

/// One run of a program that sees a live registry, and closes.
async fn run(port: u16, cache: CacheConfig) -> Outcome {
    let discovery = on(&Switched::with(port).await?, cache);
    discovery.service("web").await?;
    Ok(discovery.close(PATIENCE).await?)
}

fn source(resolver: &Resolver) -> Source {
    resolver.watch().snapshot().freshness().source
}

/// The names of all keys.
async fn keys(server: &Server) -> Result<Vec<String>, Failure> {
    server.ask(&["KEYS", "*"]).await
}

#[tokio::test]
async fn a_restart_in_an_outage_starts_from_redis_with_the_disk_empty_and_converges() -> Outcome {
    let server = Server::start(None).await?;
    run(1001, config(&server.address())?).await?;
    let place = tempfile::tempdir()?;
    let registry = Switched::away(1002).await?;
    let discovery = on(&registry, config(&server.address())?.disk(place.path()));
    let web = tokio::time::timeout(SOON, discovery.service("web")).await??;
    assert_eq!((source(&web), web.pick()?.port), (Source::Shared, 1001));
    registry.up.store(true, Ordering::SeqCst);
    let live = |now: &portolan::Snapshot| now.freshness().source == Source::Live;
    web.watch().wait_until(live, PATIENCE).await?;
    discovery.close(PATIENCE).await?;

    let gone = on(&Switched::away(1003).await?, CacheConfig::default().cluster("test").disk(place.path()));
    let web = gone.service("web").await?;
    assert_eq!((source(&web), web.pick()?.port), (Source::Disk, 1002), "the disk has it too by now");
    Ok(())
}

#[tokio::test]
async fn a_value_expires_and_stands_under_its_prefix() -> Outcome {
    let server = Server::start(None).await?;
    let redis = Redis::new(&server.address())?.prefix("fleet/");
    let cache = CacheConfig::default().cluster("test").age_limit(Duration::from_secs(600));
    run(1001, cache.cache(Arc::new(redis))).await?;
    let keys = keys(&server).await?;
    assert!(keys.len() == 1 && keys[0].starts_with("fleet/web-"), "{keys:?}");
    let left: i64 = server.ask(&["PTTL", &keys[0]]).await?;
    assert!((1..=600_000).contains(&left), "{left}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_empty_is_noticed_by_nobody() -> Outcome {
    let mut server = Server::start(None).await?;
    let discovery = on(&Switched::with(1001).await?, config(&server.address())?);
    let web = discovery.service("web").await?;
    server.kill()?;
    assert_eq!((source(&web), web.pick()?.port), (Source::Live, 1001));
    assert_eq!(discovery.service("web").await?.pick()?.port, 1001);
    web.watch().wait_until(|now| now.failure().is_none(), SOON).await?;
    server.again().await?;
    assert!(keys(&server).await?.is_empty());
    discovery.close(PATIENCE).await?;
    let web = on(&Switched::away(1002).await?, config(&server.address())?).service("web").await?;
    assert_eq!((source(&web), web.pick()?.port), (Source::Shared, 1001), "saved over a new connection");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_gone_delays_no_start_and_no_end() -> Outcome {
    let place = tempfile::tempdir()?;
    run(1001, CacheConfig::default().cluster("test").disk(place.path())).await?;
    let refuses = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let silent = TcpListener::bind("127.0.0.1:0")?; // connections are made, and nothing is ever said
    for port in [refuses, silent.local_addr()?.port()] {
        let cache = || Ok::<_, Error>(config(&format!("redis://127.0.0.1:{port}"))?.disk(place.path()));
        let discovery = on(&Switched::away(1002).await?, cache()?);
        let web = tokio::time::timeout(SOON, discovery.service("web")).await??;
        assert_eq!((source(&web), web.pick()?.port), (Source::Disk, 1001));
        let discovery = on(&Switched::with(1003).await?, cache()?);
        let web = tokio::time::timeout(SOON, discovery.service("web")).await??;
        assert_eq!((source(&web), web.pick()?.port), (Source::Live, 1003));
        discovery.close(SOON).await?; // no error: every task has ended in time
        run(1001, CacheConfig::default().cluster("test").disk(place.path())).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_newer_of_disk_and_redis_wins() -> Outcome {
    let server = Server::start(None).await?;
    let place = tempfile::tempdir()?;
    let both = || Ok::<_, Error>(config(&server.address())?.disk(place.path()));
    run(1001, dated(both()?, 1)).await?;
    run(1002, dated(config(&server.address())?, 2)).await?;
    // A cache that takes over 500 ms is left out of a start and asked again: so this waits for what stays. That the newest
    // comes first when all answer is shown with scripted caches.
    let known = async |cache, wanted| {
        // Held until the answer: a view ends with its Discovery.
        let discovery = on(&Switched::away(1).await?, cache);
        let web = discovery.service("web").await?;
        let snapshot = web.watch().wait_until(|now| now.freshness().source == wanted, PATIENCE).await?;
        Ok::<_, Failure>(snapshot.instances().iter().map(|one| one.port).collect::<Vec<_>>())
    };
    assert_eq!(known(dated(both()?, 3), Source::Shared).await?, [1002]);
    run(1003, dated(CacheConfig::default().cluster("test").disk(place.path()), 4)).await?;
    assert_eq!(known(dated(both()?, 5), Source::Disk).await?, [1003]);
    Ok(())
}

#[tokio::test]
async fn a_password_is_used_and_a_missing_one_stops_nobody() -> Outcome {
    let server = Server::start(Some("hunter2")).await?;
    run(1001, config(&server.bare_address())?).await?;
    assert!(keys(&server).await?.is_empty());
    run(1001, config(&server.address())?).await?;
    assert_eq!(keys(&server).await?.len(), 1);
    Ok(())
}

/// Keeps what it is given, with the keys.
#[derive(Debug, Default)]
struct Spy(Given);

#[expect(clippy::disallowed_types, reason = "a test's own")]
type Given = Arc<std::sync::Mutex<Vec<(CacheKey, Vec<u8>)>>>;

impl Cache for Spy {
    fn name(&self) -> &'static str {
        "spy"
    }

    fn reach(&self) -> Reach {
        Reach::Machine
    }

    fn load<'a>(&'a self, _: &'a CacheKey) -> CacheReply<'a, Option<Vec<u8>>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn save<'a>(&'a self, key: &'a CacheKey, value: &'a [u8], _: Duration) -> CacheReply<'a, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((key.clone(), value.to_vec()));
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn a_newer_value_of_another_process_stays_and_what_is_no_value_does_no_harm() -> Outcome {
    let server = Server::start(None).await?;
    let redis = Redis::new(&server.address())?;
    let spy = Spy::default();
    let given = Arc::clone(&spy.0);
    let spy: Arc<dyn Cache> = Arc::new(spy);
    for port in [1001, 1002] {
        let cache = CacheConfig::default().cluster("test").cache(Arc::clone(&spy));
        run(port, dated(cache, port.into())).await?;
    }
    let given = given.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let [(key, older), .., (_, newer)] = &given[..] else { return Err("two were saved".into()) };
    redis.save(key, newer, PATIENCE).await?;
    redis.save(key, older, PATIENCE).await?;
    assert_eq!(redis.load(key).await?.as_ref(), Some(newer));

    let name = &keys(&server).await?[0];
    let () = server.ask(&["SET", name, "no view"]).await?;
    let none = on(&Switched::away(1).await?, config(&server.address())?).service("web").await;
    assert_eq!(none.err().map(|error| error.kind()), Some(Kind::Unreachable));
    let () = server.ask(&["DEL", name]).await?;
    let () = server.ask(&["LPUSH", name, "a list"]).await?;
    assert!(redis.load(key).await.is_err() && redis.save(key, newer, PATIENCE).await.is_err());
    assert_eq!(
        on(&Switched::with(1003).await?, config(&server.address())?).service("web").await?.pick()?.port,
        1003
    );
    Ok(())
}
