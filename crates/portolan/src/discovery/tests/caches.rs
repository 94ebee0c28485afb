//! What a program sees of its caches: a start in an outage, marked and with the true age, and otherwise nothing.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use super::*;
use crate::{
    cache::{Cache, Reach},
    resolve::OnStale,
    snapshot::Source,
    testing::{Mode, Shelf},
};

const SECOND: Duration = Duration::from_secs(1);

/// The clock on the wall: runs with the paused clock, and can be set.
#[derive(Clone)]
struct Wall {
    start: Instant,
    seconds: Arc<AtomicU64>,
}

impl Wall {
    fn new() -> Self {
        Self { start: Instant::now(), seconds: Arc::new(AtomicU64::new(1_700_000_000)) }
    }

    fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    fn back(&self, seconds: u64) {
        self.seconds.fetch_sub(seconds, Ordering::SeqCst);
    }

    fn config(&self, cache: CacheConfig) -> Config {
        let wall = self.clone();
        let read = move || {
            let at = SECOND * u32::try_from(wall.seconds.load(Ordering::SeqCst)).unwrap();
            SystemTime::UNIX_EPOCH + at + wall.start.elapsed()
        };
        Config::default().seed(1).cache(cache.time_of_day(read))
    }

    fn on(&self, registry: &Arc<Scripted>, caches: &[&Arc<Shelf>]) -> Discovery {
        let cache = caches.iter().fold(CacheConfig::default().cluster("test"), |config, shelf| {
            config.cache(Arc::clone(*shelf) as Arc<dyn Cache>)
        });
        Discovery::with_registry(Arc::<Scripted>::clone(registry), self.config(cache))
    }

    fn on_disk(&self, registry: &Arc<Scripted>, place: &Path) -> Discovery {
        let config = self.config(CacheConfig::default().disk(place));
        Discovery::with_registry(Arc::<Scripted>::clone(registry), config)
    }
}

fn shelf(reach: Reach) -> Arc<Shelf> {
    Arc::new(Shelf::new(reach))
}

fn down() -> Arc<Scripted> {
    Scripted::new((0..1000).map(|_| Err(Kind::Unreachable)))
}

/// One run of a program that sees these instances, and closes.
async fn run(discovery: Discovery) {
    discovery.service("web").await.unwrap();
    discovery.close(SECOND * 5).await.unwrap();
}

fn age(resolver: &Resolver) -> Duration {
    resolver.watch().snapshot().freshness().age(Instant::now().into_std()).unwrap()
}

fn source(resolver: &Resolver) -> Source {
    resolver.watch().snapshot().freshness().source
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_an_outage_starts_from_disk_marked_with_its_age_and_converges() {
    let (wall, place) = (Wall::new(), tempfile::tempdir().unwrap());
    run(wall.on_disk(&Scripted::new([Ok(answer(&[1, 2], 5))]), place.path())).await;
    wall.pass(3600);
    let registry = Scripted::new((0..3).map(|_| Err(Kind::Unreachable)));
    let discovery = wall.on_disk(&registry, place.path());
    let start = Instant::now();
    let web = discovery.service("web").await.unwrap();
    assert!(start.elapsed() < SECOND, "the registry has failed: there is nothing to wait for");
    assert!(web.pick().is_ok());
    assert_eq!(source(&web), Source::Disk);
    assert!((SECOND * 3600..SECOND * 3602).contains(&age(&web)), "{:?}", age(&web));
    let mut reader = web.watch();
    assert_eq!(reader.changed().await.unwrap().added.len(), 2);

    tokio::time::advance(SECOND).await;
    assert!(age(&web) >= SECOND * 3601, "it grows");
    registry.push(Ok(answer(&[2, 3], 9)));
    let live = |now: &Snapshot| now.freshness().source == Source::Live;
    let now = reader.wait_until(live, SECOND * 60).await.unwrap();
    assert_eq!((now.instances().len(), now.freshness().index), (2, 9));
    let changes = reader.changed().await.unwrap();
    assert_eq!((changes.added.len(), changes.removed.len()), (1, 1), "told from what was remembered");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_went_back_makes_nothing_look_fresh() {
    let (wall, place) = (Wall::new(), tempfile::tempdir().unwrap());
    run(wall.on_disk(&Scripted::new([Ok(answer(&[1], 5))]), place.path())).await;
    wall.back(3600);
    let web = wall.on_disk(&down(), place.path()).service("web").await.unwrap();
    assert!(
        age(&web) >= SECOND * 7 * 24 * 3600,
        "an age that cannot be known is the greatest: {:?}",
        age(&web)
    );
}

#[tokio::test(start_paused = true)]
async fn an_age_runs_by_the_clock_that_never_goes_back() {
    let (wall, place) = (Wall::new(), tempfile::tempdir().unwrap());
    run(wall.on_disk(&Scripted::new([Ok(answer(&[1], 5))]), place.path())).await;
    wall.pass(100);
    let web = wall.on_disk(&down(), place.path()).service("web").await.unwrap();
    let before = age(&web);
    wall.back(90);
    assert_eq!(age(&web), before);
    wall.pass(10_000);
    assert_eq!(age(&web), before);
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_the_limit_is_not_used() {
    let (wall, place) = (Wall::new(), tempfile::tempdir().unwrap());
    run(wall.on_disk(&Scripted::new([Ok(answer(&[1], 5))]), place.path())).await;
    wall.pass(7 * 24 * 3600 + 1);
    let error = wall.on_disk(&down(), place.path()).service("web").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
}

#[tokio::test(start_paused = true)]
async fn a_silent_registry_is_waited_for_and_then_the_cache_answers() {
    let (wall, shelf) = (Wall::new(), shelf(Reach::Machine));
    run(wall.on(&Scripted::new([Ok(answer(&[1], 5))]), &[&shelf])).await;
    let start = Instant::now();
    let web = wall.on(&Scripted::hanging(), &[&shelf]).service("web").await.unwrap();
    assert_eq!((start.elapsed(), source(&web)), (SECOND * 5, Source::Disk));
}

#[tokio::test(start_paused = true)]
async fn a_live_answer_is_not_delayed_by_any_cache_and_not_replaced_by_it() {
    let wall = Wall::new();
    let (shared, disk) = (shelf(Reach::Shared), shelf(Reach::Machine));
    run(wall.on(&Scripted::new([Ok(answer(&[1], 5))]), &[&shared, &disk])).await;
    shared.set(Mode::Hangs);
    let start = Instant::now();
    let discovery = wall.on(&Scripted::new([Ok(answer(&[2], 6))]), &[&shared, &disk]);
    let web = discovery.service("web").await.unwrap();
    assert_eq!((start.elapsed(), source(&web)), (Duration::ZERO, Source::Live));
    tokio::time::sleep(SECOND).await; // the caches have answered, or are late
    assert_eq!((source(&web), web.pick().unwrap().port), (Source::Live, 1002));
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_hangs_costs_a_start_half_a_second_and_no_more() {
    let wall = Wall::new();
    let (shared, disk) = (shelf(Reach::Shared), shelf(Reach::Machine));
    run(wall.on(&Scripted::new([Ok(answer(&[1], 5))]), &[&disk])).await;
    shared.set(Mode::Hangs);
    let start = Instant::now();
    let web = wall.on(&down(), &[&shared, &disk]).service("web").await.unwrap();
    assert_eq!((start.elapsed(), source(&web)), (SECOND / 2, Source::Disk));
}

#[tokio::test(start_paused = true)]
async fn the_newest_proof_wins_and_of_equals_the_shared_one() {
    for (name, first, second, expected, id) in [
        ("shared is newer", [true, true], [true, false], Source::Shared, 2),
        ("disk is newer", [true, true], [false, true], Source::Disk, 2),
        ("both the same", [false, false], [true, true], Source::Shared, 2),
        ("shared is empty", [false, true], [false, false], Source::Disk, 1),
    ] {
        let wall = Wall::new();
        let (disk, shared) = (shelf(Reach::Machine), shelf(Reach::Shared));
        for (id, [to_shared, to_disk]) in [(1, first), (2, second)] {
            let both = [(to_shared, &shared), (to_disk, &disk)];
            let used: Vec<_> = both.into_iter().filter(|(used, _)| *used).map(|(_, shelf)| shelf).collect();
            if !used.is_empty() {
                run(wall.on(&Scripted::new([Ok(answer(&[id], 5))]), &used)).await;
            }
            wall.pass(60);
        }
        let web = wall.on(&down(), &[&disk, &shared]).service("web").await.unwrap();
        assert_eq!((source(&web), web.pick().unwrap().port), (expected, 1000 + id), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_process_learns_in_an_outage_is_taken_over() {
    let (wall, shared) = (Wall::new(), shelf(Reach::Shared));
    run(wall.on(&Scripted::new([Ok(answer(&[1], 5))]), &[&shared])).await;
    let discovery = wall.on(&down(), &[&shared]);
    let web = discovery.service("web").await.unwrap();
    tokio::time::sleep(SECOND * 60).await;
    run(wall.on(&Scripted::new([Ok(answer(&[2], 6))]), &[&shared])).await;
    let second = |now: &Snapshot| now.instances().iter().any(|instance| instance.port == 1002);
    let now = web.watch().wait_until(second, SECOND * 13).await.unwrap();
    assert_eq!(now.freshness().source, Source::Shared);
    let loads = shared.loads.load(Ordering::SeqCst);
    assert!(loads < 12, "each 8 to 12 s, not more: {loads}");
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_a_cache_while_the_registry_answers() {
    let (wall, shared) = (Wall::new(), shelf(Reach::Shared));
    let discovery = wall.on(&Scripted::new([Ok(answer(&[1], 5))]), &[&shared]);
    let web = discovery.service("web").await.unwrap();
    for _ in 0..600 {
        assert!(web.pick().is_ok() && discovery.service("web").await.is_ok());
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!(shared.loads.load(Ordering::SeqCst), 1, "the one at its start");
    let saves = shared.saves.lock().unwrap().clone();
    assert!((8..=14).contains(&saves.len()), "a newer proof about each minute: {}", saves.len());
    assert!(saves.iter().all(|(_, ttl)| *ttl <= SECOND * 7 * 24 * 3600));
}

#[tokio::test(start_paused = true)]
async fn many_changes_are_one_write_in_two_seconds_at_most() {
    let (wall, shared) = (Wall::new(), shelf(Reach::Shared));
    let registry = Scripted::new([Ok(answer(&[1], 5))]);
    let discovery = wall.on(&registry, &[&shared]);
    let web = discovery.service("web").await.unwrap();
    for change in 0..200u16 {
        registry.push(Ok(answer(&[change + 2], 6 + u64::from(change))));
        tokio::time::sleep(SECOND / 4).await;
    }
    let last = web.watch().snapshot();
    let saves = shared.saves.lock().unwrap().clone();
    assert!((5..=25).contains(&saves.len()), "{}", saves.len());
    assert!(saves.windows(2).all(|pair| pair[1].0 - pair[0].0 >= SECOND * 2));
    tokio::time::sleep(SECOND * 6).await;
    let web = wall.on(&down(), &[&shared]).service("web").await.unwrap();
    let there = web.watch().snapshot();
    assert_eq!(there.instances(), last.instances(), "the last change was written too");
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_fails_costs_nothing_and_is_given_all_when_it_is_back() {
    for mode in [Mode::Fails, Mode::Hangs] {
        let (wall, shared, disk) = (Wall::new(), shelf(Reach::Shared), shelf(Reach::Machine));
        shared.set(mode);
        let registry = Scripted::new([Ok(answer(&[1], 5))]);
        let discovery = wall.on(&registry, &[&shared, &disk]);
        let web = discovery.service("web").await.unwrap();
        tokio::time::sleep(SECOND * 60).await;
        assert!(web.pick().is_ok());
        assert_eq!(disk.values.lock().unwrap().len(), 1, "the other one is served");
        let tries = shared.saves.lock().unwrap().len();
        assert!((2..=6).contains(&tries), "each 10 to 20 s: {tries}");
        shared.set(Mode::Works);
        tokio::time::sleep(SECOND * 26).await;
        assert_eq!(shared.values.lock().unwrap().len(), 1);
        shared.set(mode);
        let start = Instant::now();
        discovery.close(SECOND * 2).await.unwrap();
        assert!(start.elapsed() <= SECOND * 2, "it does not hold up the end");
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_cache_remembers_the_others_are_given_with_its_own_age() {
    let wall = Wall::new();
    let (shared, disk) = (shelf(Reach::Shared), shelf(Reach::Machine));
    run(wall.on(&Scripted::new([Ok(answer(&[1], 5))]), &[&shared])).await;
    wall.pass(100);
    run(wall.on(&down(), &[&shared, &disk])).await;
    wall.pass(100);
    let web = wall.on(&down(), &[&disk]).service("web").await.unwrap();
    assert_eq!(source(&web), Source::Disk);
    assert!(age(&web) >= SECOND * 200, "{:?}", age(&web));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_file_is_set_aside_and_the_start_goes_on() {
    let (wall, place) = (Wall::new(), tempfile::tempdir().unwrap());
    run(wall.on_disk(&Scripted::new([Ok(answer(&[1], 5))]), place.path())).await;
    let file = std::fs::read_dir(place.path()).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let error = wall.on_disk(&down(), place.path()).service("web").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable, "as if nothing had been there");
    assert!(!file.exists() && file.with_extension("damaged").exists());
    run(wall.on_disk(&Scripted::new([Ok(answer(&[1], 5))]), place.path())).await;
    assert!(wall.on_disk(&down(), place.path()).service("web").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn only_what_was_signed_with_the_key_is_taken() {
    let (wall, shared) = (Wall::new(), shelf(Reach::Shared));
    let start = |registry: Arc<Scripted>, key: Option<&str>| {
        let mut cache = CacheConfig::default().cluster("test").cache(Arc::<Shelf>::clone(&shared));
        if let Some(key) = key {
            cache = cache.signing_key(key).unwrap();
        }
        Discovery::with_registry(registry, wall.config(cache))
    };
    let ours = Some("a key that nobody guesses");
    for (writer, reader, taken) in [
        (ours, ours, true),
        (ours, None, true),
        (None, None, true),
        (None, ours, false),
        (Some("a key of somebody else"), ours, false),
    ] {
        run(start(Scripted::new([Ok(answer(&[1], 5))]), writer)).await;
        let found = start(down(), reader).service("web").await;
        assert_eq!(found.is_ok(), taken, "{writer:?} {reader:?}");
        wall.pass(1);
    }
}

#[tokio::test(start_paused = true)]
async fn views_of_other_clusters_and_datacentres_are_not_mixed() {
    let (wall, shared) = (Wall::new(), shelf(Reach::Shared));
    run(wall.on(&Scripted::new([Ok(answer(&[1], 5))]), &[&shared])).await;
    let cache = CacheConfig::default().cluster("other").cache(Arc::<Shelf>::clone(&shared));
    let other = Discovery::with_registry(down(), wall.config(cache));
    assert!(other.service("web").await.is_err());
    let elsewhere = Select::default().datacenter("dc2");
    assert!(wall.on(&down(), &[&shared]).service_with("web", elsewhere).await.is_err());
    assert!(wall.on(&down(), &[&shared]).service("web").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_cannot_be_used_is_refused_at_the_first_call() {
    let (wall, place) = (Wall::new(), tempfile::tempdir().unwrap());
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    let registry = Scripted::new([]);
    let discovery = wall.on_disk(&registry, &file);
    let says = format!("cache.directory: {} cannot be written", file.display());
    let registered = discovery.register(Registration::http("web", 80)).await.err();
    for error in [discovery.service("web").await.err(), registered, discovery.check().await.err()] {
        let error = error.unwrap();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().starts_with(&says), "{error}");
    }
    assert!(registry.asked.lock().unwrap().is_empty());
    std::fs::remove_file(&file).unwrap();
    discovery.check().await.unwrap(); // put right, and asked again

    let cache = CacheConfig::default().cache(shelf(Reach::Shared));
    let error = Discovery::with_registry(registry, wall.config(cache)).check().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(
        error.to_string().starts_with("cache.cluster: is not set, but others share the cache shelf"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_bound_above_the_age_limit_is_refused_by_name() {
    let (wall, disk) = (Wall::new(), shelf(Reach::Machine));
    let cache = || CacheConfig::default().age_limit(SECOND * 600);
    let week = Select::default().max_age(SECOND * 601, OnStale::Fail);
    let with = |cache| Discovery::with_registry(Scripted::new([Ok(answer(&[1], 5))]), wall.config(cache));
    let kept = with(cache().cache(disk));
    for error in
        [kept.service_with("web", week.clone()).await.err(), kept.service_now("web", week.clone()).err()]
    {
        let error = error.unwrap();
        assert_eq!(error.kind(), Kind::Config);
        let says = "select.max_age: 10m1s is above cache.age_limit (10m0s)";
        assert!(error.to_string().starts_with(says), "{error}");
    }
    assert!(with(cache()).service_with("web", week).await.is_ok(), "nothing is kept, so nothing contradicts");
}
