//! The endpoint with its runs: once at a time, within the deadline, and nothing left behind. Time is paused where it matters.

use std::{
    sync::atomic::{AtomicU8, AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

use super::*;
use crate::{check::CheckKind, model::Status};

const SECOND: Duration = Duration::from_secs(1);

/// A probe that takes its time, and how often it has begun, and how often it goes on now.
#[derive(Clone, Default)]
struct Slow {
    begun: Arc<AtomicUsize>,
    alive: Arc<AtomicUsize>,
}

/// Counts itself while it lives.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Slow {
    fn probe(&self, name: &str, takes: Duration) -> Probe {
        let slow = self.clone();
        Probe::new(name, move || {
            slow.begun.fetch_add(1, Ordering::SeqCst);
            slow.alive.fetch_add(1, Ordering::SeqCst);
            let alive = Alive(Arc::clone(&slow.alive));
            async move {
                tokio::time::sleep(takes).await;
                drop(alive);
            }
        })
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }
}

fn open(probes: impl IntoIterator<Item = Probe>) -> HealthEndpoint {
    HealthEndpoint::open(probes.into_iter().fold(HealthConfig::default(), HealthConfig::probe)).unwrap()
}

async fn check(health: &HealthEndpoint) -> HealthReport {
    health.report(HealthView::Check).await
}

/// The outcome of one probe, and how long it took to learn it.
async fn one(health: &HealthEndpoint, name: &str) -> (Status, String, Duration) {
    let began = Instant::now();
    let report = check(health).await;
    let finding = report.probe(name).unwrap();
    (finding.status(), finding.output().to_owned(), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_hundred_requests_run_a_probe_once_and_its_finding_is_good_for_the_cache_time() {
    let slow = Slow::default();
    let health = open([slow.probe("a", SECOND / 2).cache(Some(3 * SECOND))]);
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let health = health.clone();
        requests.spawn(async move { check(&health).await.code() });
    }
    let began = Instant::now();
    assert_eq!(requests.join_all().await, vec![200; 100]);
    assert_eq!((slow.begun(), began.elapsed()), (1, SECOND / 2));

    tokio::time::advance(Duration::from_millis(2999)).await;
    assert_eq!(check(&health).await.code(), 200);
    assert_eq!(slow.begun(), 1, "it is good for 3 s after it was found");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(check(&health).await.code(), 200);
    assert_eq!(slow.begun(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_cache_each_request_runs_it_unless_it_joins_a_run() {
    let slow = Slow::default();
    let health = open([slow.probe("a", SECOND).cache(None)]);
    let _both = tokio::join!(check(&health), check(&health));
    assert_eq!(slow.begun(), 1);
    let _report = check(&health).await;
    assert_eq!(slow.begun(), 2);
}

#[tokio::test(start_paused = true)]
async fn probes_run_beside_each_other() {
    let slow = Slow::default();
    let health = open(["a", "b", "c"].map(|name| slow.probe(name, SECOND)));
    let began = Instant::now();
    assert_eq!(check(&health).await.status(), Status::Passing);
    assert_eq!((slow.begun(), began.elapsed()), (3, SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_is_critical_at_its_deadline_and_is_dropped() {
    let hangs = Slow::default();
    let health = open([
        hangs.probe("hangs", Duration::from_secs(3600)).deadline(SECOND),
        Probe::new("well", || async {}),
    ]);
    let late = "no answer within the deadline of 1s".to_owned();
    assert_eq!(one(&health, "hangs").await, (Status::Critical, late.clone(), SECOND));
    assert_eq!(check(&health).await.probe("well"), Some(&Finding::passing()));
    timeout(SECOND / 2, async {
        while hangs.alive() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(one(&health, "hangs").await, (Status::Critical, late.clone(), Duration::ZERO), "it is kept");
    tokio::time::advance(2 * SECOND).await;
    assert_eq!(one(&health, "hangs").await, (Status::Critical, late, SECOND), "and tried again");
    assert_eq!(hangs.begun(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_probe_that_holds_its_thread_is_late_and_no_second_one_begins_beside_it() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    #[expect(clippy::disallowed_types, reason = "a test's own: held on purpose")]
    let held = Arc::new(std::sync::Mutex::new(held));
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    let probe = Probe::new("blocks", move || {
        let (held, count) = (Arc::clone(&held), Arc::clone(&count));
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            // Blocks the worker until the test releases it, or has ended.
            held.lock().unwrap_or_else(PoisonError::into_inner).recv()
        }
    });
    // The other one takes its time, so that a second run would have begun before the next request.
    let other = Slow::default().probe("other", Duration::from_millis(20)).cache(None);
    let health = open([probe.deadline(Duration::from_millis(50)).cache(None), other]);
    for _ in 0..5 {
        assert_eq!(check(&health).await.code(), 503);
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }
    for _ in 0..1000 {
        release.send(()).unwrap(); // for all runs to come
    }
    let again = async { while check(&health).await.code() != 200 {} };
    timeout(Duration::from_secs(30), again).await.unwrap();
    assert!(begun.load(Ordering::SeqCst) > 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_critical_and_the_next_run_is_as_good_as_any() {
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let probe = Probe::new("odd", move || {
        let run = count.fetch_add(1, Ordering::SeqCst);
        assert_ne!(run, 0, "a secret: in the function");
        async move { assert_ne!(run, 1, "a secret: in its future") }
    });
    let health = open([probe.cache(None)]);
    let panicked = "the probe panicked; its message is in the program's log".to_owned();
    for _ in 0..2 {
        assert_eq!(one(&health, "odd").await, (Status::Critical, panicked.clone(), Duration::ZERO));
    }
    assert_eq!(one(&health, "odd").await, (Status::Passing, String::new(), Duration::ZERO));
    assert_eq!(runs.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_goes_away_takes_no_run_with_it() {
    let slow = Slow::default();
    let health = open([slow.probe("a", SECOND)]);
    timeout(SECOND / 2, check(&health)).await.unwrap_err();
    let began = Instant::now();
    assert_eq!(check(&health).await.status(), Status::Passing);
    assert_eq!((slow.begun(), began.elapsed()), (1, SECOND / 2), "the run went on");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_ends_the_runs() {
    let slow = Slow::default();
    let health = open([slow.probe("a", SECOND)]);
    timeout(SECOND / 2, check(&health)).await.unwrap_err();
    drop(health.clone());
    tokio::task::yield_now().await;
    assert_eq!(slow.alive(), 1, "a clone is left");
    drop(health);
    timeout(SECOND / 4, async {
        while slow.alive() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn liveness_asks_vital_probes_only_and_does_not_depend_on_readiness() {
    let (vital, required) = (Slow::default(), Slow::default());
    let health = open([
        vital.probe("loop", Duration::ZERO).vital(),
        required.probe("database", 60 * SECOND).deadline(SECOND),
        Probe::new("disk", || async { Finding::critical("full") }).informational(),
    ]);
    health.set_ready(false);
    let live = health.report(HealthView::Live).await;
    assert_eq!((live.code(), vital.begun(), required.begun()), (200, 1, 0));
    assert_eq!(live.probe("disk"), None);
    assert_eq!(health.report(HealthView::Ready).await.code(), 503);
    assert_eq!((vital.begun(), required.begun()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn readiness_is_the_programs_word_and_the_probes() {
    let status = Arc::new(AtomicU8::new(0));
    let told = Arc::clone(&status);
    let probe = Probe::new("queue", move || {
        let told = told.load(Ordering::SeqCst);
        async move {
            match told {
                0 => Finding::passing(),
                1 => Finding::warning("long"),
                _ => Finding::critical("full"),
            }
        }
    });
    let config = HealthConfig::default().starts_not_ready().probe(probe.cache(None));
    let health = HealthEndpoint::open(config).unwrap();
    for (ready, told, codes) in [
        (false, 0, [200, 503, 503]),
        (true, 0, [200, 200, 200]),
        (true, 1, [200, 200, 429]),
        (true, 2, [200, 503, 503]),
        (false, 1, [200, 503, 503]),
        (true, 0, [200, 200, 200]),
    ] {
        health.set_ready(ready);
        status.store(told, Ordering::SeqCst);
        assert_eq!(health.is_ready(), ready);
        let mut found = [0; 3];
        for (found, path) in found.iter_mut().zip(["/livez", "/readyz", "/health"]) {
            *found = health.respond("GET", path, None).await.code;
        }
        assert_eq!(found, codes, "ready {ready}, told {told}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_text_or_json_and_what_is_not_there_is_said() {
    let health = open([Probe::new("disk", || async { Finding::warning("91 %") }).informational()]);
    let text = health.respond("GET", "/health", Some("text/plain, text/*, */*")).await;
    assert_eq!((text.code, &*text.body), (429, "warn\ndisk: warn, 91 %\n"));
    assert!(text.headers.contains(&("content-type", "text/plain; charset=utf-8")));
    let json = health.respond("GET", "/health?format=json", None).await;
    assert!(json.headers.contains(&("content-type", "application/health+json")));
    let json: serde_json::Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!((&json["status"], &json["checks"]["disk"][0]["output"]), (&"warn".into(), &"91 %".into()));
    assert!(json["checks"]["disk"][0]["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(health.respond("GET", "/", None).await.code, 404);
    assert_eq!(health.respond("POST", "/health", None).await.code, 405);
}

#[test]
fn the_check_gives_the_slowest_probe_its_time() {
    for (deadline, timeout, interval) in [(2, 5, 10), (4, 5, 10), (5, 6, 10), (20, 21, 21)] {
        let probe = Probe::new("a", || async {}).deadline(deadline * SECOND);
        let config = HealthConfig::default().check_path("/status").probe(probe);
        let check = HealthEndpoint::open(config).unwrap().check();
        check.validate("check").unwrap();
        let (interval, timeout) = (interval * SECOND, timeout * SECOND);
        assert!(matches!(&check.kind, CheckKind::Http { target, .. } if target == "/status"), "{check:?}");
        assert_eq!((check.interval, check.timeout), (interval, timeout));
    }
}

#[test]
fn a_runtime_that_has_ended_leaves_no_run_under_way() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let go = Arc::new(Notify::new());
    let gate = Arc::clone(&go);
    let probe = Probe::new("a", move || {
        let gate = Arc::clone(&gate);
        async move { gate.notified().await }
    });
    let health = open([probe.cache(None)]);
    let first = runtime().unwrap();
    first.block_on(async { timeout(SECOND, check(&health)).await }).unwrap_err();
    // The first runtime is still there, but nobody drives it: whoever joins its run is told in time.
    let second = runtime().unwrap();
    let told = second.block_on(one(&health, "a"));
    assert_eq!((told.0, told.2), (Status::Critical, 3 * SECOND), "{}", told.1);
    drop(first);
    go.notify_one();
    assert_eq!(second.block_on(one(&health, "a")).0, Status::Passing);
}
