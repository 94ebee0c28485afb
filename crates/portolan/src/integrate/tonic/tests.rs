//! Which name asks about what, and what a watch tells. Time is paused.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::time::{Instant, timeout};
use tonic::Code;

use super::*;
use crate::{Finding, HealthConfig, Probe};

type Stream = <GrpcHealth as Health>::WatchStream;

/// A database that can break, a cache that warns, and how often the database was asked.
#[derive(Clone, Default)]
struct Parts {
    broken: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Parts {
    fn health(&self, services: &[&str]) -> (HealthEndpoint, GrpcHealth) {
        let parts = self.clone();
        let database = Probe::new("database", move || {
            parts.asked.fetch_add(1, Ordering::SeqCst);
            let broken = parts.broken.load(Ordering::SeqCst);
            async move { if broken { Err("refused") } else { Ok(()) } }
        });
        let cache = Probe::new("cache", || async { Finding::warning("half full") });
        let config = HealthConfig::default().probe(database).probe(cache);
        let endpoint = HealthEndpoint::open(config).unwrap();
        let services = services.iter().map(|name| (*name).into()).collect();
        let watches = Arc::new(Semaphore::new(2));
        (endpoint.clone(), GrpcHealth { endpoint, services, watches })
    }
}

fn about(name: &str) -> Request<HealthCheckRequest> {
    Request::new(HealthCheckRequest { service: name.to_owned() })
}

async fn check(health: &GrpcHealth, name: &str) -> Result<ServingStatus, Code> {
    let answer = health.check(about(name)).await.map_err(|refused| refused.code())?;
    Ok(answer.into_inner().status())
}

async fn next(stream: &mut Stream) -> ServingStatus {
    poll_fn(|context| stream.as_mut().poll_next(context)).await.unwrap().unwrap().status()
}

#[tokio::test(start_paused = true)]
async fn each_name_is_answered_for_what_it_stands_for() {
    use ServingStatus::{NotServing, Serving};
    let parts = Parts::default();
    let (endpoint, health) = parts.health(&["shop.v1.Cart"]);
    let names = ["", "shop.v1.Cart", "liveness", "readiness", "database", "cache"];
    for (broken, ready, expected) in [
        (false, true, [Serving; 6]),
        (true, true, [NotServing, NotServing, Serving, NotServing, NotServing, Serving]),
        (false, false, [NotServing, NotServing, Serving, NotServing, Serving, Serving]),
    ] {
        tokio::time::advance(Duration::from_secs(2)).await; // longer than a finding is good for
        parts.broken.store(broken, Ordering::SeqCst);
        endpoint.set_ready(ready);
        for (name, expected) in names.iter().zip(expected) {
            assert_eq!(check(&health, name).await, Ok(expected), "{name:?}, broken {broken}, ready {ready}");
        }
    }
    for unknown in ["shop.v1.Orders", "Database", " "] {
        assert_eq!(check(&health, unknown).await, Err(Code::NotFound), "{unknown:?}");
    }
    let refused = health.check(about(&"x".repeat(5000))).await.unwrap_err();
    assert!(refused.message().len() < 200, "{}", refused.message());
}

#[tokio::test(start_paused = true)]
async fn a_service_of_a_probes_name_is_the_whole() {
    let parts = Parts::default();
    parts.broken.store(true, Ordering::SeqCst);
    let (_endpoint, health) = parts.health(&["cache"]);
    assert_eq!(check(&health, "cache").await, Ok(ServingStatus::NotServing));
}

#[tokio::test(start_paused = true)]
async fn a_watch_tells_each_change_and_nothing_else() {
    let parts = Parts::default();
    let (endpoint, health) = parts.health(&[]);
    let mut whole = health.watch(about("")).await.unwrap().into_inner();
    assert_eq!(next(&mut whole).await, ServingStatus::Serving);
    assert!(timeout(30 * PACE, next(&mut whole)).await.is_err(), "nothing has changed");
    let asked = parts.asked.load(Ordering::SeqCst);
    assert!((30..=32).contains(&asked), "at its pace and no more: {asked}");

    parts.broken.store(true, Ordering::SeqCst);
    let began = Instant::now();
    assert_eq!(next(&mut whole).await, ServingStatus::NotServing);
    assert!(began.elapsed() <= PACE, "{:?}", began.elapsed());
    parts.broken.store(false, Ordering::SeqCst);
    assert_eq!(next(&mut whole).await, ServingStatus::Serving);
    // What the program says itself does not wait for the pace, and changes nothing for liveness.
    let mut alive = health.watch(about("liveness")).await.unwrap().into_inner();
    assert_eq!(next(&mut alive).await, ServingStatus::Serving);
    let began = Instant::now();
    endpoint.set_ready(false);
    assert_eq!(next(&mut whole).await, ServingStatus::NotServing);
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(timeout(3 * PACE, next(&mut alive)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_service_is_watched_and_more_watches_than_there_are_places_are_refused() {
    let (_endpoint, health) = Parts::default().health(&[]);
    let mut unknown = health.watch(about("nobody")).await.unwrap().into_inner();
    assert_eq!(next(&mut unknown).await, ServingStatus::ServiceUnknown);
    assert!(timeout(30 * PACE, next(&mut unknown)).await.is_err(), "it is told once");
    let other = health.watch(about("")).await.unwrap();
    let refused = health.watch(about("")).await.err().unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    drop(other);
    health.watch(about("")).await.unwrap();
}
