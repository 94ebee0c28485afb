//! The loop obeys the machine: over a scripted registry, with paused time.

use std::time::Duration;

use super::*;
use crate::{
    ViewConfig,
    error::Kind,
    model::ServiceName,
    registry::Consistency,
    snapshot::{Freshness, Source},
    testing::{Scripted, answer},
};

struct Running {
    registry: Arc<Scripted>,
    reader: Reader,
    remember: mpsc::Sender<Snapshot>,
    interest: Arc<Interest>,
    stop: CancellationToken,
    task: tokio::task::JoinSet<()>,
}

fn run(registry: Arc<Scripted>) -> Running {
    run_with(registry, ViewConfig::default())
}

fn run_with(registry: Arc<Scripted>, config: ViewConfig) -> Running {
    let (ends, remember) = Ends::new(Snapshot::nothing(ServiceName::new("web").unwrap()));
    let reader = ends.reader();
    let stop = CancellationToken::new();
    let settings = config.max_stale(None).settings();
    let probe = Arc::new(Probe::new(Some("dc2".into()), None, now()));
    let target = Target { datacenter: Some("dc2".into()), output: CheckOutput::Drop, settings, probe };
    let guard = Arc::new(Guard::new(Arc::<Scripted>::clone(&registry), 4, Duration::from_secs(10)));
    let mut task = tokio::task::JoinSet::new();
    let (ends, interest) = (Arc::new(ends.into()), Arc::<Interest>::default());
    let shared = Arc::clone(&interest);
    task.spawn(follow(guard, target, ends, interest, Rolls::new(1), stop.clone()));
    Running { registry, reader, remember, interest: shared, stop, task }
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
    let waited = asked[2].block.unwrap();
    assert!((Duration::from_secs(27)..=Duration::from_secs(30)).contains(&waited.wait), "{waited:?}");
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

#[tokio::test(start_paused = true)]
async fn callers_who_want_it_read_anew_share_one_read_and_the_watch_stays_open() {
    let mut view = run(Scripted::new([Ok(answer(&[1], 9))]));
    view.reader.changed().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = view.registry.asked.lock().unwrap().len();
    let mut together = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let interest = Arc::clone(&view.interest);
        together.spawn(async move { interest.granted(interest.wish()).await });
    }
    while let Some(read) = together.join_next().await {
        let read = read.unwrap().unwrap();
        assert_eq!(read.freshness.age(now()), Some(Duration::ZERO));
    }
    let asked = view.registry.asked.lock().unwrap().clone();
    let reads: Vec<_> = asked[before..].iter().map(|query| (query.block, query.consistency)).collect();
    assert_eq!(reads, [(None, Consistency::Default)]);
    assert_eq!(view.registry.open.load(std::sync::atomic::Ordering::SeqCst), 1, "the watch");
}

#[tokio::test(start_paused = true)]
async fn a_wish_on_a_view_that_closes_is_told_so() {
    let mut view = run(Scripted::hanging());
    let interest = Arc::clone(&view.interest);
    let mut waiting = tokio::task::JoinSet::new();
    waiting.spawn(async move { interest.granted(interest.wish()).await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    view.stop.cancel();
    view.task.join_next().await.unwrap().unwrap();
    assert_eq!(waiting.join_next().await.unwrap().unwrap().unwrap_err().kind, Kind::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_unused_view_has_no_read_open_until_somebody_uses_or_follows_it() {
    let open = |view: &Running| view.registry.open.load(std::sync::atomic::Ordering::SeqCst);
    let mut view = run(Scripted::new([Ok(answer(&[1], 9))]));
    view.reader.changed().await.unwrap();
    tokio::time::sleep(Duration::from_secs(14 * 60)).await;
    assert_eq!(open(&view), 1);
    tokio::time::sleep(Duration::from_secs(2 * 60)).await;
    let asked = view.registry.asked.lock().unwrap().len();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!((open(&view), view.registry.asked.lock().unwrap().len()), (0, asked), "no read at all");
    assert_eq!(view.reader.snapshot().instances().len(), 1, "what was known is still known");
    // What happened meanwhile is seen at the first use.
    view.registry.push(Ok(answer(&[1, 2], 12)));
    view.interest.used();
    assert_eq!(view.reader.changed().await.unwrap().added.len(), 1);
    // Whoever follows it keeps it awake.
    let follower = view.interest.consume();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(open(&view), 1);
    drop(follower);
    tokio::time::sleep(Duration::from_secs(16 * 60)).await;
    assert_eq!(open(&view), 0);
}

#[tokio::test(start_paused = true)]
async fn a_busy_caller_does_not_keep_the_loop_busy() {
    let config = ViewConfig::default().mode(Mode::on_demand());
    let mut view = run_with(Scripted::new([Ok(answer(&[1], 9))]), config);
    view.reader.changed().await.unwrap();
    // A use each millisecond for a minute: two reads, 30 s apart.
    for _ in 0..60_000 {
        view.interest.used();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(view.registry.asked.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_stood_still_ages_what_is_known_and_a_dead_watch_is_left() {
    let mut view = run(Scripted::new([Ok(answer(&[1], 9))]));
    view.reader.changed().await.unwrap();
    view.registry.push(Ok(answer(&[1, 2], 12)));
    view.reader.changed().await.unwrap();
    let before = view.registry.asked.lock().unwrap().len();
    view.interest.suspend(Duration::from_secs(600));
    tokio::time::sleep(Duration::from_millis(10)).await;
    let asked = view.registry.asked.lock().unwrap()[before..].to_vec();
    assert_eq!(asked[0].block, None, "read anew at once");
}

#[tokio::test(start_paused = true)]
async fn c4_a_streamed_answer_is_not_passed_off_as_fresh() {
    let mut view = run(Scripted::new([Ok(answer(&[1], 9))]));
    view.reader.changed().await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let mut streamed = answer(&[1, 2], 500);
    (streamed.meta.streaming, streamed.meta.last_contact) = (true, Some(Duration::ZERO));
    view.registry.push(Ok(streamed));
    view.reader.changed().await.unwrap();
    let age = view.reader.snapshot().freshness().age(now()).unwrap();
    assert!(age >= Duration::from_secs(20), "nothing was proved since the start: {age:?}");
}
