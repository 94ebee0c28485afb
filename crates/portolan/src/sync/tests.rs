//! The loop obeys the machine: over a scripted registry, with paused time.

use std::time::Duration;

use super::*;
use crate::{
    error::Kind,
    model::ServiceName,
    registry::{Block, Consistency},
    snapshot::{Freshness, Source},
    testing::{Scripted, answer},
};

struct Running {
    registry: Arc<Scripted>,
    reader: Reader,
    remember: mpsc::Sender<Snapshot>,
    stop: CancellationToken,
    task: tokio::task::JoinSet<()>,
}

fn run(registry: Arc<Scripted>) -> Running {
    let (ends, remember) = Ends::new(Snapshot::nothing(ServiceName::new("web").unwrap()));
    let reader = ends.reader();
    let stop = CancellationToken::new();
    let settings = Settings { wait: Duration::from_secs(30), max_stale: None, hold: Duration::from_secs(10) };
    let target = Target { datacenter: Some("dc2".into()), output: CheckOutput::Drop, settings };
    let guard = Arc::new(Guard::new(Arc::<Scripted>::clone(&registry), 4, Duration::from_secs(10)));
    let mut task = tokio::task::JoinSet::new();
    let (ends, interest) = (Arc::new(ends.into()), Arc::default());
    task.spawn(follow(guard, target, ends, interest, Rolls::new(1), stop.clone()));
    Running { registry, reader, remember, stop, task }
}

#[tokio::test(start_paused = true)]
async fn it_follows_a_service_through_errors_and_a_lower_index() {
    let mut view = run(Scripted::new([Err(Kind::Unreachable), Ok(answer(&[1, 2], 9))]));
    assert_eq!(view.reader.changed().await.unwrap().added.len(), 2);
    view.registry.push(Ok(answer(&[1, 2, 3], 10)));
    assert_eq!(view.reader.changed().await.unwrap().added.len(), 1);
    // Another life of the registry: read again, and again from the leader.
    view.registry.push(Ok(answer(&[], 2)));
    assert_eq!(view.reader.changed().await.unwrap().held.len(), 3);
    // The hold ends by itself, in the middle of a blocking read.
    assert_eq!(view.reader.changed().await.unwrap().removed.len(), 3);
    let asked = view.registry.asked.lock().unwrap().clone();
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
    assert_eq!(asked[0].datacenter.as_deref(), Some("dc2"));
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_told_to_though_a_read_is_open() {
    let mut view = run(Scripted::new([Ok(answer(&[1], 9))]));
    view.reader.changed().await.unwrap();
    view.stop.cancel();
    view.task.join_next().await.unwrap().unwrap();
    assert_eq!(view.reader.changed().await.unwrap_err().kind(), Kind::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_error_leaves_what_is_known_and_is_shown() {
    let mut view = run(Scripted::new([Ok(answer(&[1], 9)), Err(Kind::Busy)]));
    view.reader.changed().await.unwrap();
    let failing =
        view.reader.wait_until(|now| now.failure().is_some(), Duration::from_secs(5)).await.unwrap();
    assert_eq!(failing.instances().len(), 1);
    assert_eq!(failing.failure().unwrap().kind, Kind::Busy);
}

#[tokio::test(start_paused = true)]
async fn what_a_cache_remembers_is_shown_while_the_registry_is_silent() {
    let mut view = run(Scripted::hanging());
    let mut cached = Snapshot::nothing(ServiceName::new("web").unwrap());
    cached.instances = answer(&[1], 9).value.into();
    let mut freshness = Freshness { source: Source::Disk, index: 9, ..Freshness::nothing() };
    freshness.confirmed = Some(now());
    cached.freshness = Arc::new(freshness);
    view.remember.send(cached).await.unwrap();
    assert_eq!(view.reader.changed().await.unwrap().added.len(), 1);
    assert_eq!(view.reader.snapshot().freshness().source, Source::Disk);
    // A cache that is done with it changes nothing.
    drop(view.remember);
    assert!(view.reader.wait_until(|now| now.failure().is_some(), Duration::from_secs(60)).await.is_ok());
}
