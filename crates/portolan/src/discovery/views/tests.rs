//! Views that nobody uses are forgotten with their tasks, and come back; views that somebody uses are not.

use super::*;
use crate::{
    Config, Discovery, Select,
    testing::{Scripted, answer},
};

const IDLE: Duration = Duration::from_secs(15 * 60);
const MINUTE: Duration = Duration::from_secs(60);

fn discovery() -> Discovery {
    Discovery::with_registry(Scripted::new([Ok(answer(&[1], 5))]), Config::default().seed(1))
}

fn views(discovery: &Discovery) -> usize {
    discovery.inner.views.cold.lock().unwrap().views.len()
}

fn running(discovery: &Discovery) -> usize {
    discovery.inner.tasks.running()
}

/// Long enough that what is idle is forgotten, and its tasks have ended.
async fn idle_time() {
    tokio::time::sleep(IDLE + 2 * MINUTE).await;
}

#[tokio::test(start_paused = true)]
async fn under_a_churn_of_names_views_and_tasks_stay_flat() {
    let discovery = discovery();
    let mut most = (0, 0);
    for round in 0..12 {
        for name in 0..20 {
            discovery.service(&format!("web-{round}-{name}")).await.unwrap().pick().unwrap();
        }
        tokio::time::sleep(IDLE / 2).await;
        most = (most.0.max(views(&discovery)), most.1.max(running(&discovery)));
    }
    assert!(
        most.0 <= 60 && most.1 <= 123,
        "three rounds live at most, with two tasks a view and three of the house: {most:?}"
    );
    idle_time().await;
    assert_eq!(
        (views(&discovery), running(&discovery)),
        (0, 3),
        "the sweep, the clock and the probe are left"
    );
    assert!(discovery.warm("web-11-0", |_| ()).is_none());
    assert!(discovery.service("web-11-0").await.unwrap().pick().is_ok(), "and it comes back");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_looked_up_stays_and_so_does_its_resolver() {
    let discovery = discovery();
    discovery.service("web").await.unwrap();
    discovery.service("db").await.unwrap();
    for _ in 0..60 {
        tokio::time::sleep(MINUTE).await;
        assert!(discovery.warm("web", |web| web.peek(|_| ()).is_ok()).unwrap());
    }
    assert_eq!(views(&discovery), 1);
    assert!(discovery.warm("db", |_| ()).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_held_resolver_and_a_reader_keep_their_view() {
    let discovery = discovery();
    let held = discovery.service_with("web", Select::default().tag("blue")).await.unwrap();
    let mut reader = discovery.service("db").await.unwrap().watch();
    reader.changed().await.unwrap();
    idle_time().await;
    idle_time().await;
    assert_eq!(views(&discovery), 2);
    let closed = tokio::time::timeout(MINUTE, reader.changed()).await;
    assert!(closed.is_err(), "it still waits: {closed:?}");
    drop((held, reader));
    idle_time().await;
    assert_eq!((views(&discovery), running(&discovery)), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_was_never_answered_is_forgotten_too() {
    let discovery = Discovery::with_registry(Scripted::hanging(), Config::default().seed(1));
    for name in 0..5 {
        assert!(discovery.service(&format!("no-{name}")).await.is_err());
    }
    idle_time().await;
    assert_eq!((views(&discovery), running(&discovery)), (0, 3));
}
