//! Dependencies from end to end on a registry in memory: the graph as it is followed, and readiness in the right order.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{
    Config,
    depend::{OnLoss, Stage},
    model::Status,
    register::{HealthConfig, HealthEndpoint, Probe},
    registry::{Registry as _, memory::Memory},
    resolve::NoInstance,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn discovery(memory: &Memory) -> Discovery {
    Discovery::with_registry(Arc::new(memory.clone()), Config::default().seed(1))
}

fn needing(name: &str, needs: &str) -> Registration {
    Registration::ttl(name, 80).id(format!("{name}-1")).needs(needs.parse::<Needs>().unwrap())
}

fn at(name: &str) -> ServiceAt {
    name.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_graph_is_read_and_followed_as_services_come_change_and_go() {
    let memory = Memory::new();
    let discovery = discovery(&memory);
    let web = discovery.register(needing("web", "api, cache?")).await.unwrap();
    let followed = discovery.dependencies().await.unwrap();
    let wait = |want: fn(&Graph) -> bool| followed.wait_until(want, MINUTE);
    wait(|graph| graph.edges(&at("web")).len() == 2 && graph.unmet().count() == 2).await.unwrap();
    let api = discovery.register(needing("api", "db@^14")).await.unwrap();
    let db = discovery.register(needing("db", "").version("14.1.0")).await.unwrap();
    wait(|graph| graph.unmet().count() == 1 && graph.leads(&at("web"), &at("db"))).await.unwrap();
    // Read at once, it is the same.
    let read = discovery.read_dependencies(MINUTE).await.unwrap();
    assert_eq!(read, *followed.current());
    memory.set_check(&"service:db-1".parse().unwrap(), Status::Critical, "down").unwrap();
    wait(|graph| graph.unmet().any(|(from, one)| *from == at("api") && one.to == at("db"))).await.unwrap();
    drop((web, api, db));
    wait(|graph| graph.nodes().all(|(_, node)| !node.is_there())).await.unwrap();
    discovery.close(SECOND).await.unwrap();
    assert_eq!(discovery.read_dependencies(MINUTE).await.unwrap_err().kind(), Kind::Closed);
    let mut followed = followed;
    while followed.changed().await.is_ok() {}
}

#[tokio::test(start_paused = true)]
async fn the_tasks_of_a_handle_end_with_it_and_share_the_views_of_lookups() {
    let memory = Memory::new();
    let discovery = discovery(&memory);
    let db = discovery.register(needing("db", "")).await.unwrap();
    discovery.service("db").await.unwrap();
    let before = discovery.inner.tasks.running();
    let readiness = discovery.readiness(&needing("web", "db"), ReadyConfig::default()).unwrap();
    readiness.ready(MINUTE).await.unwrap();
    assert_eq!(discovery.inner.tasks.running(), before + 3, "the graph, the readiness, and a view of web");
    drop(readiness);
    // The view goes too, once nobody has used it for long.
    tokio::time::sleep(60 * MINUTE).await;
    assert!(discovery.inner.tasks.running() <= before);
    drop(db);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_told_with_its_reason_when_the_time_is_over() {
    let memory = Memory::new();
    let discovery = discovery(&memory);
    let db = discovery.register(needing("db", "").version("13.0.0")).await.unwrap();
    let web = needing("web", "db@^14, nobody, cache?");
    let readiness = discovery.readiness(&web, ReadyConfig::default()).unwrap();
    let late = readiness.ready(10 * SECOND).await.unwrap_err();
    assert_eq!(late.kind(), Kind::Timeout);
    assert_eq!(
        late.to_string(),
        "web: not ready within 10s: db@^14: 1 known, 1 healthy, 0 match ^14; nobody: nobody: the registry knows no \
         instance; is the name right, and is one registered?"
    );
    let none = readiness.state().needs[1].none.clone();
    assert!(matches!(none, Some(NoInstance::NeverSeen { .. })), "{none:?}");
    // What waits with a registration is removed when it waits in vain.
    let late = discovery.register_when_ready(web, &readiness, SECOND).await.unwrap_err();
    assert_eq!(late.kind(), Kind::Timeout);
    tokio::time::sleep(MINUTE).await;
    assert!(memory.registered(&["web-1".parse().unwrap()]).await.unwrap().is_empty(), "it is not there");
    drop(db);
    memory.set_reachable(false);
    let other = discovery.readiness(&needing("web", "elsewhere"), ReadyConfig::default()).unwrap();
    let late = other.ready(MINUTE).await.unwrap_err().to_string();
    assert!(
        late.contains("elsewhere: the registry has not answered, and nothing is known from before: "),
        "{late}"
    );
}

/// Starts services all at once, each as its own program, and tells in which order they came into service.
async fn started(memory: &Memory, services: &[(&'static str, &str)], on_loss: OnLoss) -> Vec<&'static str> {
    let (order, mut starts) = (Arc::new(AtomicUsize::new(0)), tokio::task::JoinSet::new());
    for &(name, needs) in services {
        let (discovery, registration) = (discovery(memory), needing(name, needs));
        let order = Arc::clone(&order);
        starts.spawn(async move {
            let readiness =
                discovery.readiness(&registration, ReadyConfig::default().on_loss(on_loss)).unwrap();
            let handle = discovery.register_when_ready(registration, &readiness, 10 * MINUTE).await.unwrap();
            let place = order.fetch_add(1, Ordering::SeqCst);
            handle.wait_healthy(MINUTE).await.unwrap();
            (place, name, discovery, readiness, handle)
        });
    }
    let mut done = Vec::new();
    while let Some(ended) = starts.join_next().await {
        done.push(ended.unwrap());
    }
    // Once all run, nobody is taken out again by the others.
    tokio::time::sleep(5 * MINUTE).await;
    for (_, name, _, readiness, _) in &done {
        assert_eq!(readiness.state().stage, Stage::Ready, "{name}: {}", readiness.state().missing_text());
    }
    done.sort_by_key(|(place, ..)| *place);
    done.iter().map(|(_, name, ..)| *name).collect()
}

#[tokio::test(start_paused = true)]
async fn five_services_started_at_once_in_the_wrong_order_come_in_the_right_one() {
    let five = [("web", "api, cache?"), ("api", "auth, db"), ("auth", "db"), ("db", "disk!"), ("disk", "")];
    let order = started(&Memory::new(), &five, OnLoss::FailOpen).await;
    assert_eq!(order, ["disk", "db", "auth", "api", "web"]);
}

#[tokio::test(start_paused = true)]
async fn a_cycle_of_three_starts_and_stays() {
    for on_loss in [OnLoss::FailOpen, OnLoss::FailClosed] {
        let cycle = [("d", "a"), ("a", "b"), ("b", "c"), ("c", "a, c")];
        let order = started(&Memory::new(), &cycle, on_loss).await;
        assert_eq!((order.len(), order[3]), (4, "d"), "who is outside of it waits for its health");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cycle_that_names_its_own_datacentre_is_one_too() {
    let memory = Memory::new();
    let datacenter = memory.agent().await.unwrap().datacenter;
    let [one, other] = ["b", "a"].map(|name| format!("{datacenter}/{name}"));
    let order = started(&memory, &[("a", &one), ("b", &other)], OnLoss::FailClosed).await;
    assert_eq!(order.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_flaps_for_a_minute_is_not_seen_and_one_that_stays_away_is() {
    let memory = Memory::new();
    let discovery = discovery(&memory);
    let db = discovery.register(needing("db", "")).await.unwrap();
    let check = "service:db-1".parse().unwrap();
    let config = ReadyConfig::default().on_loss(OnLoss::FailClosed);
    let mut readiness = discovery.readiness(&needing("web", "db"), config).unwrap();
    readiness.ready(MINUTE).await.unwrap();
    let changes = readiness.changed().await.unwrap();
    assert_eq!((changes.before, changes.now.stage, changes.met.len()), (Stage::Waiting, Stage::Ready, 1));
    drop(db.report(Status::Passing, ""));
    for second in 0..60 {
        let status = if second % 2 == 0 { Status::Critical } else { Status::Passing };
        memory.set_check(&check, status, "flaps").unwrap();
        tokio::time::sleep(SECOND).await;
        assert!(readiness.is_ready(), "after {second} s");
    }
    let silent = timeout(Duration::from_millis(1), readiness.changed()).await;
    assert!(silent.is_err(), "{silent:?}");
    // Held critical, it is lost after 10 s.
    drop(db.report(Status::Critical, "down"));
    let begun = tokio::time::Instant::now();
    let changes = readiness.changed().await.unwrap();
    assert_eq!((changes.now.stage, changes.lost.len()), (Stage::NotReady, 1));
    assert!((10..=12).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert!(!readiness.is_ready());
    drop(db.report(Status::Passing, ""));
    let changes = readiness.changed().await.unwrap();
    assert_eq!(changes.met.len(), 1, "met again, and held until 30 s are over");
    readiness.ready(MINUTE).await.unwrap();
    assert!((40..=43).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_health_endpoint_fails_until_all_is_there_and_stays_open_when_something_is_lost() {
    let memory = Memory::new();
    let discovery = discovery(&memory);
    for (on_loss, after_loss) in [(OnLoss::FailOpen, 200), (OnLoss::FailClosed, 503)] {
        let config = ReadyConfig::default().on_loss(on_loss);
        let readiness = discovery.readiness(&needing("web", "db"), config).unwrap();
        let probe = Probe::needs("needs", &readiness);
        let health = HealthEndpoint::open(HealthConfig::default().probe(probe)).unwrap();
        let code = async |path| health.respond("GET", path, None).await.code;
        tokio::time::sleep(SECOND).await;
        let answer = health.respond("GET", "/readyz", None).await;
        assert_eq!((answer.code, code("/livez").await), (503, 200), "a restart would not mend it");
        assert!(answer.body.contains("needs: fail, db: "), "{}", answer.body);
        let db = discovery.register(needing("db", "")).await.unwrap();
        readiness.ready(MINUTE).await.unwrap();
        assert_eq!((code("/readyz").await, code("/health").await), (200, 200));
        db.close().await.unwrap();
        tokio::time::sleep(MINUTE).await;
        assert_eq!(code("/readyz").await, after_loss);
        assert_ne!(readiness.state().missing().count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_settings_are_refused_before_anything_is_followed() {
    let memory = Memory::new();
    let discovery = discovery(&memory);
    let long = ReadyConfig::default().hold(2 * 60 * MINUTE);
    let error = discovery.readiness(&needing("web", "db"), long).unwrap_err();
    assert!(error.to_string().starts_with("ready.hold: "), "{error}");
    let both = needing("web", "db").meta("portolan-needs", "api");
    assert_eq!(discovery.readiness(&both, ReadyConfig::default()).unwrap_err().kind(), Kind::Config);
    assert_eq!(discovery.inner.tasks.running(), 0);
}
