//! Places are never exceeded, kinds do not starve each other, and every call has a deadline.

use super::*;
use crate::{
    model::ServiceName,
    testing::{Scripted, answer, list},
};

/// The default of `request_timeout`.
const CALL: Duration = Duration::from_secs(10);

fn query(wait: Option<Duration>) -> ServiceQuery {
    let query = ServiceQuery::new(ServiceName::new("web").unwrap());
    match wait {
        Some(wait) => query.block(1, wait),
        None => query,
    }
}

#[test]
fn b2_a_blocking_read_gets_its_wait_a_sixteenth_and_time_to_travel() {
    assert_eq!(deadline(Duration::from_secs(160), CALL), Duration::from_secs(160 + 10 + 10));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_never_answers_ends_at_its_deadline() {
    let registry = Scripted::hanging();
    let guard = Guard::new(registry, 4, CALL);
    let error = guard.service(&query(None)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    assert!(error.to_string().contains("a scripted registry: no answer within 10s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_call_is_the_one_that_was_set() {
    for seconds in [1, 30] {
        let guard = Guard::new(Scripted::hanging(), 4, Duration::from_secs(seconds));
        let start = tokio::time::Instant::now();
        assert_eq!(guard.service(&query(None)).await.unwrap_err().kind(), Kind::Timeout);
        assert_eq!(start.elapsed(), Duration::from_secs(seconds));
    }
}

#[tokio::test(start_paused = true)]
async fn more_views_than_places_take_turns_and_never_exceed_them() {
    let registry = Scripted::new([Ok(answer(&[1], 1))]);
    registry.service(&query(None)).await.unwrap();
    let guard = Arc::new(Guard::new(Arc::<Scripted>::clone(&registry), 3, CALL));
    let start = tokio::time::Instant::now();
    let mut views = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let guard = Arc::clone(&guard);
        views.spawn(async move { guard.service(&query(Some(Duration::from_secs(30)))).await.map(|_| ()) });
    }
    while let Some(view) = views.join_next().await {
        view.unwrap().unwrap();
    }
    assert_eq!(registry.most_open.load(Ordering::SeqCst), 3);
    // Three whole waits happen side by side at most twice: at the start, before anybody queued, and at the end.
    assert!(start.elapsed() < Duration::from_secs(65), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn open_watches_do_not_starve_a_read() {
    let registry = Scripted::new([Ok(answer(&[1], 1))]);
    registry.service(&query(None)).await.unwrap();
    let guard = Arc::new(Guard::new(registry, 1, CALL));
    let mut watch = tokio::task::JoinSet::new();
    let other = Arc::clone(&guard);
    watch.spawn(async move { other.service(&query(Some(Duration::from_secs(600)))).await.map(|_| ()) });
    tokio::task::yield_now().await;
    assert!(guard.service(&query(None)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn watches_of_lists_take_the_places_of_watches_and_not_those_of_reads() {
    let registry = Scripted::new([Ok(answer(&[1], 1))]);
    registry.push_list(Ok(list("web", 1)));
    registry.services(&CatalogQuery::default()).await.unwrap();
    let guard = Arc::new(Guard::new(Arc::<Scripted>::clone(&registry), 2, CALL));
    let mut watches = tokio::task::JoinSet::new();
    for _ in 0..PLACES {
        let guard = Arc::clone(&guard);
        let block = Some(Block { index: 1, wait: Duration::from_secs(600) });
        watches.spawn(async move {
            guard.services(&CatalogQuery { block, ..CatalogQuery::default() }).await.map(|_| ())
        });
    }
    tokio::task::yield_now().await;
    assert_eq!(registry.most_open.load(Ordering::SeqCst), 2);
    assert!(guard.service(&query(None)).await.is_ok(), "a read has a place");
    while let Some(watch) = watches.join_next().await {
        watch.unwrap().unwrap();
    }
}
