//! The handle: warm when it returns, one view a service, typed errors within the deadline, nothing left behind.

use super::*;
use crate::{
    resolve::NoInstance,
    testing::{Scripted, answer},
};

mod caches;

fn discovery(registry: &Arc<Scripted>) -> Discovery {
    Discovery::with_registry(Arc::<Scripted>::clone(registry), Config::default().seed(1))
}

#[tokio::test(start_paused = true)]
async fn a_service_is_warm_when_it_is_returned_and_shared_after() {
    let registry = Scripted::new([Ok(answer(&[1, 2], 5))]);
    let discovery = discovery(&registry);
    assert!(discovery.warm("web", |_| ()).is_none());
    let web = discovery.service("web").await.unwrap();
    assert!(web.pick().is_ok());
    discovery.service("web").await.unwrap();
    assert!(discovery.warm("web", |web| web.peek(|one| one.port)).unwrap().is_ok());
    let views = registry.asked.lock().unwrap().iter().filter(|query| query.block.is_none()).count();
    assert_eq!(views, 1, "one view, however many ask");
}

#[tokio::test(start_paused = true)]
async fn with_nothing_known_the_error_is_retryable_and_the_view_goes_on() {
    let registry = Scripted::new((0..4).map(|_| Err(Kind::Unreachable)));
    let discovery = discovery(&registry);
    let start = Instant::now();
    let error = discovery.service("web").await.unwrap_err();
    assert!(error.is_retryable() && error.kind() == Kind::Unreachable, "{error:?}");
    assert!(error.to_string().contains("failed reads: scripted"), "{error}");
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    registry.push(Ok(answer(&[1], 5)));
    assert!(discovery.service("web").await.unwrap().pick().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_lookup_never_fails_because_the_registry_did() {
    let registry = Scripted::new([Ok(answer(&[1], 5))]);
    let discovery = discovery(&registry);
    let web = discovery.service("web").await.unwrap();
    for _ in 0..20 {
        registry.push(Err(Kind::Unreachable));
    }
    let failing = |now: &Snapshot| now.failure().is_some_and(|failure| failure.count > 5);
    web.watch().wait_until(failing, Duration::from_secs(600)).await.unwrap();
    assert!(web.pick().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_silent_registry_is_a_timeout() {
    let registry = Scripted::hanging();
    let error = discovery(&registry).service("web").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    assert!(error.to_string().contains("a scripted registry did not answer within 5s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_resolver_without_waiting_says_that_nothing_is_known_yet() {
    let registry = Scripted::new([Ok(answer(&[1], 5))]);
    let web = discovery(&registry).service_now("web", Select::default()).unwrap();
    assert!(matches!(web.pick(), Err(NoInstance::Unreachable { .. })));
}

#[tokio::test(start_paused = true)]
async fn close_ends_every_task_and_later_calls_say_so() {
    let registry = Scripted::new([Ok(answer(&[1], 5))]);
    let discovery = discovery(&registry);
    let web = discovery.service("web").await.unwrap();
    discovery.close(Duration::from_secs(5)).await.unwrap();
    assert_eq!(registry.open.load(std::sync::atomic::Ordering::SeqCst), 0, "no read is left open");
    assert!(web.pick().is_ok(), "what was known is still known");
    assert_eq!(discovery.service("db").await.unwrap_err().kind(), Kind::Closed);
    assert_eq!(discovery.service("web").await.unwrap_err().kind(), Kind::Closed, "also a name it knew");
}

#[tokio::test(start_paused = true)]
async fn on_demand_service_reads_what_has_grown_old_and_a_pick_never_waits() {
    let registry = Scripted::new([Ok(answer(&[1], 5))]);
    let config = Config::default().seed(1).view(ViewConfig::default().mode(crate::Mode::on_demand()));
    let discovery = Discovery::with_registry(Arc::<Scripted>::clone(&registry), config);
    let web = discovery.service("web").await.unwrap();
    let reads = || registry.asked.lock().unwrap().len();
    tokio::time::sleep(Duration::from_secs(29)).await;
    discovery.service("web").await.unwrap();
    assert_eq!(reads(), 1, "still good");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(reads(), 1, "nobody asked");
    registry.push(Ok(answer(&[1, 2], 9)));
    let again = discovery.service("web").await.unwrap();
    assert_eq!((reads(), again.snapshot().instances().len()), (2, 2), "read before it answered");
    // Called out of date, with the registry gone: what is known is still there, and says that it is old.
    web.invalidate();
    registry.push(Err(Kind::Unreachable));
    let kept = discovery.service("web").await.unwrap();
    assert!(kept.pick().is_ok());
    assert_eq!(kept.snapshot().freshness().age(Instant::now().into_std()), Some(Duration::MAX));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_gives_what_is_there_now_and_picks_follow_it() {
    let registry = Scripted::new([Ok(answer(&[1], 5))]);
    let discovery = discovery(&registry);
    let web = discovery.service("web").await.unwrap();
    let second = Duration::from_secs(1);
    tokio::time::sleep(second).await;
    let known = web.refresh(second).await.unwrap();
    assert_eq!(known.freshness().age(Instant::now().into_std()), Some(Duration::ZERO));
    registry.push(Err(Kind::Unavailable)); // for the watch
    registry.push(Err(Kind::Unavailable));
    let error = web.refresh(second * 5).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Unavailable), "{error:?}");
    assert!(web.pick().is_ok());
    discovery.close(second).await.unwrap();
    assert_eq!(web.refresh(second).await.unwrap_err().kind(), Kind::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_machine_reads_every_view_anew_and_no_age_hides_it() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static SLEPT: AtomicU64 = AtomicU64::new(5);
    let registry = Scripted::new([Ok(answer(&[1], 5))]);
    let config = Config::default().seed(1).slept(|| Duration::from_secs(SLEPT.load(Ordering::SeqCst)));
    let discovery = Discovery::with_registry(Arc::<Scripted>::clone(&registry), config);
    let web = discovery.service("web").await.unwrap();
    tokio::time::sleep(Duration::from_millis(3500)).await;
    let before = registry.asked.lock().unwrap().len();
    SLEPT.fetch_add(600, Ordering::SeqCst);
    // The registry is not back yet: what is known is told with its true age.
    (0..6).for_each(|_| registry.push(Err(Kind::Unreachable)));
    let age = |now: &Snapshot| now.freshness().age(Instant::now().into_std()).unwrap();
    let old = |now: &Snapshot| age(now) >= Duration::from_secs(600);
    web.watch().wait_until(old, Duration::from_secs(3)).await.unwrap();
    assert!(web.pick().is_ok());
    let fresh = |now: &Snapshot| age(now) < Duration::from_secs(1);
    web.watch().wait_until(fresh, Duration::from_secs(60)).await.unwrap();
    assert!(registry.asked.lock().unwrap()[before..].iter().any(|query| query.block.is_none()), "read anew");
}

#[tokio::test(start_paused = true)]
async fn a_bad_name_is_refused_before_anything_is_asked() {
    let registry = Scripted::new([]);
    let error = discovery(&registry).service("a/b").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(registry.asked.lock().unwrap().is_empty());
}
