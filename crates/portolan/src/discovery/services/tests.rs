//! One watch a datacenter, warm when it is returned, typed errors within the deadline, nothing left behind.

use tokio::time::Instant;

use super::*;
use crate::{
    Config,
    testing::{Scripted, list},
};

fn discovery(registry: &Arc<Scripted>) -> Discovery {
    Discovery::with_registry(Arc::<Scripted>::clone(registry), Config::default().seed(1))
}

fn scripted(services: &str) -> Arc<Scripted> {
    let registry = Scripted::new([]);
    registry.push_list(Ok(list(services, 5)));
    registry
}

#[tokio::test(start_paused = true)]
async fn the_list_is_warm_when_it_is_returned_and_shared_after() {
    let registry = scripted("consul web:blue");
    let discovery = discovery(&registry);
    let mut one = discovery.services().await.unwrap();
    let mut other = discovery.services().await.unwrap();
    assert_eq!(one.current().tags("web").unwrap(), [Arc::<str>::from("blue")]);
    assert_eq!(one.current().tags("db"), None);
    assert_eq!(one.current().freshness().index, 5);
    assert_eq!(one.changed().await.unwrap().added.len(), 2);
    registry.push_list(Ok(list("consul db web:blue", 6)));
    assert_eq!(one.changed().await.unwrap().added.len(), 1);
    assert_eq!(other.changed().await.unwrap().added.len(), 3, "each is told from what it saw");
    let mut clone = one.clone();
    registry.push_list(Ok(list("consul db", 7)));
    assert_eq!(clone.changed().await.unwrap().removed.len(), 1, "a clone goes on from where it was cloned");
    let anew = registry.asked_lists.lock().unwrap().iter().filter(|query| query.block.is_none()).count();
    assert_eq!(anew, 1, "one watch, however many ask");
}

#[tokio::test(start_paused = true)]
async fn each_datacenter_has_a_watch_of_its_own() {
    let registry = scripted("web");
    let discovery = discovery(&registry);
    discovery.services().await.unwrap();
    registry.push_list(Ok(list("db", 5)));
    let second = discovery.services_in("dc2").await.unwrap();
    assert_eq!(second.current().datacenter(), Some("dc2"));
    let asked: Vec<_> =
        registry.asked_lists.lock().unwrap().iter().map(|query| query.datacenter.clone()).collect();
    assert!(asked.contains(&None) && asked.contains(&Some("dc2".into())), "{asked:?}");
    assert_eq!(discovery.services_in("").await.unwrap_err().kind(), Kind::Config);
}

#[tokio::test(start_paused = true)]
async fn with_nothing_known_the_error_is_retryable_and_the_watch_goes_on() {
    let registry = Scripted::new([]);
    for _ in 0..4 {
        registry.push_list(Err(Kind::Unreachable));
    }
    let discovery = discovery(&registry);
    let start = Instant::now();
    let error = discovery.services().await.unwrap_err();
    assert!(error.is_retryable() && error.kind() == Kind::Unreachable, "{error:?}");
    assert!(
        error.to_string().contains("the list of services: nothing is known yet, after 4 failed"),
        "{error}"
    );
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    registry.push_list(Ok(list("web", 5)));
    assert!(discovery.services().await.unwrap().current().is_known());
    let silent = discovery_on_silence().services_in("dc9").await.unwrap_err();
    assert_eq!(silent.kind(), Kind::Timeout);
    assert!(silent.to_string().contains("\"dc9\": a scripted registry did not answer within 5s"), "{silent}");
}

fn discovery_on_silence() -> Discovery {
    discovery(&Scripted::hanging())
}

#[tokio::test(start_paused = true)]
async fn an_outage_leaves_what_is_known_and_is_shown() {
    let registry = scripted("web");
    let discovery = discovery(&registry);
    let services = discovery.services().await.unwrap();
    registry.push_list(Err(Kind::Unavailable));
    let failing = |now: &Catalog| now.failure().is_some();
    let now = services.wait_until(failing, Duration::from_secs(60)).await.unwrap();
    assert_eq!(now.failure().unwrap().kind, Kind::Unavailable);
    assert!(now.services().contains_key("web"));
}

#[tokio::test(start_paused = true)]
async fn after_a_sleep_the_list_is_read_anew_and_without_the_registry_it_is_what_was_known() {
    let registry = scripted("web");
    let discovery = discovery(&registry);
    let services = discovery.services().await.unwrap();
    let reader = services.reader.clone();
    drop(services);
    let asleep = |now: &Catalog| now.asleep;
    reader.wait_until(asleep, Duration::from_secs(16 * 60)).await.unwrap();
    registry.push_list(Ok(list("db", 8)));
    let services = discovery.services().await.unwrap();
    assert!(services.current().services().contains_key("db"), "not what it was before the sleep");
    drop(services);
    reader.wait_until(asleep, Duration::from_secs(16 * 60)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    for _ in 0..40 {
        registry.push_list(Err(Kind::Unreachable));
    }
    let services = discovery.services().await.unwrap();
    let (now, age) = (Instant::now().into_std(), Duration::from_secs(600));
    assert!(services.current().services().contains_key("db") && services.current().failure().is_some());
    assert!(services.current().freshness().age(now).unwrap() > age, "and the age says so");
}

#[tokio::test(start_paused = true)]
async fn close_ends_the_watch_and_says_so() {
    let registry = scripted("web");
    let discovery = discovery(&registry);
    let mut services = discovery.services().await.unwrap();
    discovery.close(Duration::from_secs(5)).await.unwrap();
    assert_eq!(registry.open.load(std::sync::atomic::Ordering::SeqCst), 0, "no read is left open");
    assert_eq!(services.changed().await.unwrap().added.len(), 1, "what was not told yet is told");
    assert_eq!(services.changed().await.unwrap_err().kind(), Kind::Closed);
    assert_eq!(discovery.services().await.unwrap_err().kind(), Kind::Closed);
}
