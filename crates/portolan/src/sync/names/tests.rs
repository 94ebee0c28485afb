//! The loop obeys the machine: over a scripted registry, with paused time.

use std::time::Duration;

use super::*;
use crate::{
    error::Kind,
    registry::{Block, Consistency},
    snapshot::CatalogReader,
    testing::{Scripted, list},
};

struct Running {
    registry: Arc<Scripted>,
    reader: CatalogReader,
    interest: Arc<Interest>,
    stop: CancellationToken,
    task: tokio::task::JoinSet<()>,
}

fn run(registry: Arc<Scripted>) -> Running {
    let writer = Writer::new(Arc::new(Catalog::nothing(Some("dc2".into()))));
    let reader = writer.catalog_reader();
    let (stop, interest) = (CancellationToken::new(), Arc::<Interest>::default());
    let settings = crate::ViewConfig::default().max_stale(None).settings();
    let guard = Arc::new(Guard::new(Arc::<Scripted>::clone(&registry), 4, Duration::from_secs(10)));
    let writer = Arc::new(tokio::sync::Mutex::new(writer));
    let mut task = tokio::task::JoinSet::new();
    task.spawn(follow_names(guard, settings, Arc::clone(&interest), writer, Rolls::new(1), stop.clone()));
    Running { registry, reader, interest, stop, task }
}

fn names(list: &crate::registry::ServiceTags) -> String {
    list.keys().map(AsRef::as_ref).collect::<Vec<_>>().join(" ")
}

#[tokio::test(start_paused = true)]
async fn it_follows_the_list_through_errors_and_a_lower_index() {
    let registry = Scripted::new([]);
    registry.push_list(Err(Kind::Unreachable));
    registry.push_list(Ok(list("consul db web:x", 9)));
    let mut view = run(registry);
    let _user = view.interest.consume();
    assert_eq!(names(&view.reader.changed().await.unwrap().added), "consul db web");
    view.registry.push_list(Ok(list("consul db new web:x,y", 10)));
    let changes = view.reader.changed().await.unwrap();
    assert_eq!((names(&changes.added), changes.retagged.len()), ("new".into(), 1));
    // Another life of the registry: read again, and again from the leader.
    view.registry.push_list(Ok(list("consul", 2)));
    assert_eq!(names(&view.reader.changed().await.unwrap().held), "db new web");
    // The hold ends by itself, in the middle of a blocking read.
    assert_eq!(names(&view.reader.changed().await.unwrap().removed), "db new web");
    let asked = view.registry.asked_lists.lock().unwrap().clone();
    let shape: Vec<_> =
        asked.iter().map(|query| (query.block.map(|block| block.index), query.consistency)).collect();
    use Consistency::{Consistent, Stale};
    let expected = [
        (None, Stale),
        (None, Stale),
        (Some(9), Stale),
        (Some(10), Stale),
        (None, Stale),
        (None, Consistent),
    ];
    assert_eq!(shape[..6], expected);
    assert_eq!(asked[2].block, Some(Block { index: 9, wait: Duration::from_secs(30) }));
    assert!(asked.iter().all(|query| query.datacenter.as_deref() == Some("dc2")));
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_told_to_though_a_read_is_open() {
    let registry = Scripted::new([]);
    registry.push_list(Ok(list("web", 9)));
    let mut view = run(registry);
    view.reader.changed().await.unwrap();
    view.stop.cancel();
    view.task.join_next().await.unwrap().unwrap();
    assert_eq!(view.reader.changed().await.unwrap_err().kind(), Kind::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_unused_list_sleeps_and_a_use_wakes_it() {
    let registry = Scripted::new([]);
    registry.push_list(Ok(list("web", 9)));
    let mut view = run(registry);
    let user = view.interest.consume();
    view.reader.changed().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let anew = view.registry.asked_lists.lock().unwrap().iter().filter(|query| query.block.is_none()).count();
    assert_eq!(anew, 1, "it slept, and was read anew, though somebody follows it");
    drop(user);
    view.reader.wait_until(|now| now.asleep, Duration::from_secs(16 * 60)).await.unwrap();
    let asked = view.registry.asked_lists.lock().unwrap().len();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(view.registry.asked_lists.lock().unwrap().len(), asked, "it reads while nobody wants it");
    view.registry.push_list(Ok(list("db web", 12)));
    let _user = view.interest.consume();
    assert_eq!(names(&view.reader.changed().await.unwrap().added), "db");
    assert!(!view.reader.current().asleep);
}
