//! Places are never exceeded, kinds do not starve each other, every call has a deadline, and a registry that is away is
//! asked by one probe at a time.

use std::sync::atomic::Ordering;

use tokio::task::JoinSet;

use super::*;
use crate::{
    model::{CheckId, ServiceName, Status},
    registry::{CatalogQuery, Report},
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
    let mut views = JoinSet::new();
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
    let mut watch = JoinSet::new();
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
    let mut watches = JoinSet::new();
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

fn guard(registry: &Arc<Scripted>, limits: Limits) -> Arc<Guard> {
    Arc::new(Guard::with_limits(Arc::<Scripted>::clone(registry), 4, CALL, limits, Default::default()))
}

/// One whose breaker for reads of the agent's own datacentre is open.
async fn open(registry: &Arc<Scripted>) -> Arc<Guard> {
    let guard = guard(registry, Limits::default());
    for _ in 0..5 {
        registry.push(Err(Kind::Unreachable));
        guard.service(&query(None)).await.unwrap_err();
    }
    guard
}

fn asked(registry: &Scripted) -> usize {
    registry.asked.lock().unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn while_it_is_open_one_call_probes_and_the_others_say_what_they_wait_for() {
    let registry = Scripted::new([]);
    let guard = open(&registry).await;
    let mut waiting = JoinSet::new();
    // All probes fail, until long after the calls are given up.
    for _ in 0..50 {
        registry.push(Err(Kind::Unreachable));
        let guard = Arc::clone(&guard);
        waiting.spawn(async move { guard.service(&query(None)).await.unwrap_err() });
    }
    let start = tokio::time::Instant::now();
    let mut unsent = 0;
    while let Some(error) = waiting.join_next().await {
        let error = error.unwrap();
        if error.kind() == Kind::Unavailable {
            unsent += 1;
            let text = error.to_string();
            let says =
                "a scripted registry: not asked: it has not answered for 10s, at last: scripted; it is asked";
            assert!(text.starts_with(says), "{text}");
        }
    }
    assert_eq!(start.elapsed(), CALL);
    let probes = asked(&registry) - 5;
    assert_eq!(probes + unsent, 50);
    assert!((5..=20).contains(&probes), "{probes} probes in 10 s");
    let state = guard.state();
    assert!(
        matches!(&state.reads[0], (None, BreakerState::Open { error, .. }) if &**error == "scripted"),
        "{state:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_read_that_waits_is_no_probe_and_reads_anew_when_one_succeeded() {
    let registry = Scripted::new([]);
    let guard = open(&registry).await;
    registry.push(Ok(answer(&[], 1)));
    registry.push(Ok(answer(&[1], 7)));
    registry.push(Ok(answer(&[1], 8)));
    let done = guard.service(&query(Some(Duration::from_secs(30)))).await.unwrap();
    assert_eq!(done.meta.index, 7);
    tokio::time::advance(Duration::from_millis(1)).await;
    guard.service(&query(Some(Duration::from_secs(30)))).await.unwrap();
    let asked = registry.asked.lock().unwrap()[5..].to_vec();
    assert_eq!((asked[0].service.as_str(), asked[0].block), (PROBE, None));
    // A registry that came back without its data would wait for an index that it does not reach for long.
    assert_eq!((asked[1].service.as_str(), asked[1].block), ("web", None));
    assert_eq!((asked[2].service.as_str(), asked[2].block.is_some()), ("web", true));
    assert!(guard.state().is_up());
}

#[tokio::test(start_paused = true)]
async fn a_read_that_waits_for_the_registrys_return_says_so_in_time_though_it_probes() {
    let registry = Scripted::new([]);
    let guard = open(&registry).await;
    for _ in 0..100 {
        registry.push(Err(Kind::Unreachable));
    }
    let start = tokio::time::Instant::now();
    let waits = query(Some(Duration::from_secs(30)));
    let error = timeout(CALL * 2, guard.service(&waits)).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), start.elapsed()), (Kind::Unavailable, CALL));
    assert!(asked(&registry) > 5 + 5, "it is the one that probes");
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_the_registrys_return_is_sent_when_it_returns() {
    // More than there are places, and more at once than the budget lets out: most are not sent in the moment of the
    // return, and it comes just before all of them would be given up.
    let registry = Scripted::new([]);
    let guard = open(&registry).await;
    let mut waiting = JoinSet::new();
    for number in 0..200 {
        let guard = Arc::clone(&guard);
        let wait = (number % 2 == 0).then_some(Duration::from_millis(50));
        waiting.spawn(async move { guard.service(&query(wait)).await.map(drop) });
    }
    // The probe is under way: it hangs until there is an answer.
    tokio::time::sleep(Duration::from_millis(9_995)).await;
    registry.push(Ok(answer(&[1], 7)));
    let back = tokio::time::Instant::now();
    for done in waiting.join_all().await {
        assert!(done.is_ok(), "{done:?}");
    }
    assert!(back.elapsed() < CALL, "{:?}", back.elapsed());
    assert!(back.elapsed() >= Duration::from_millis(200), "no herd: {:?}", back.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_registry_that_comes_and_goes_ends_all_the_same() {
    let registry = Scripted::new([]);
    let guard = open(&registry).await;
    // It answers a probe, and then breaks what it is asked.
    for _ in 0..1_000 {
        registry.push(Ok(answer(&[1], 7)));
        (0..5).for_each(|_| registry.push(Err(Kind::Unreachable)));
    }
    let mut calls = JoinSet::new();
    for _ in 0..1_000 {
        let guard = Arc::clone(&guard);
        calls.spawn(async move { timeout(CALL * 4, guard.service(&query(None))).await.map(drop) });
    }
    assert!(calls.join_all().await.iter().all(Result::is_ok), "each within its deadlines");
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_caller_goes_away_makes_room_for_the_next() {
    let registry = Scripted::new([]);
    let guard = open(&registry).await;
    // No line in the script: the probe hangs, until its caller is gone.
    assert!(timeout(Duration::from_secs(5), guard.service(&query(None))).await.is_err());
    registry.push(Ok(answer(&[1], 7)));
    assert!(timeout(Duration::from_secs(5), guard.service(&query(None))).await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_datacentre_that_is_away_stops_neither_the_own_one_nor_registrations_nor_reports() {
    let registry = Scripted::new([]);
    let guard = guard(&registry, Limits::default());
    let far = query(None).datacenter(Some("dc2".into()));
    for _ in 0..5 {
        registry.push(Err(Kind::Unavailable));
        guard.service(&far).await.unwrap_err();
    }
    registry.push(Ok(answer(&[1], 7)));
    assert!(guard.service(&query(None)).await.is_ok());
    let start = tokio::time::Instant::now();
    // The script knows no other calls, and says so: they reach it.
    assert_eq!(guard.agent().await.unwrap_err().kind(), Kind::Rejected);
    let report = Report::new(CheckId::new("c").unwrap(), Status::Passing, "");
    assert_eq!(guard.report(&report).await.unwrap_err().kind(), Kind::Rejected);
    assert_eq!(start.elapsed(), Duration::ZERO);
    let state = guard.state();
    assert_eq!(state.reads.iter().map(|(_, state)| state.is_closed()).collect::<Vec<_>>(), [true, false]);
}

#[tokio::test(start_paused = true)]
async fn reads_keep_to_their_budget_and_reports_do_not_wait_for_it() {
    let reads = Allowance { per_second: 10, burst: 5, retries_per_second: 1, retry_percent: 0 };
    let registry = Scripted::new([Ok(answer(&[1], 7))]);
    let guard = guard(&registry, Limits { reads, ..Limits::default() });
    let start = tokio::time::Instant::now();
    for _ in 0..25 {
        guard.service(&query(None)).await.unwrap();
    }
    assert!(start.elapsed() >= Duration::from_secs(2), "five at once, and ten a second");
    let before = start.elapsed();
    let report = Report::new(CheckId::new("c").unwrap(), Status::Passing, "");
    for _ in 0..100 {
        guard.report(&report).await.unwrap_err();
    }
    assert_eq!(start.elapsed(), before);
    // Retries: one a second.
    let again = query(None).failed(Some(now()));
    for _ in 0..4 {
        guard.service(&again).await.unwrap();
    }
    assert!(start.elapsed() >= before + Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_used_up_is_an_error_that_names_the_setting() {
    let reads = Allowance { per_second: 1, burst: 1, retries_per_second: 1, retry_percent: 0 };
    let registry = Scripted::new([Ok(answer(&[1], 7))]);
    let guard = guard(&registry, Limits { reads, ..Limits::default() });
    let mut calls = JoinSet::new();
    for _ in 0..30 {
        let guard = Arc::clone(&guard);
        calls.spawn(async move { guard.service(&query(None)).await.map(drop) });
    }
    let done = calls.join_all().await;
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 11);
    let error = done.into_iter().find_map(Result::err).unwrap();
    assert_eq!(error.kind(), Kind::Busy);
    assert!(error.to_string().contains("guard.requests_per_second"), "{error}");
    assert!(guard.state().is_up(), "what was not sent says nothing about the registry");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_or_is_late_or_dropped_leaves_nothing_behind() {
    // Nothing comes back by itself: a token that leaks is missing in the end.
    let reads = Allowance { per_second: 1, burst: 400, retries_per_second: 1, retry_percent: 0 };
    let registry = Scripted::hanging();
    let guard = guard(&registry, Limits { reads, open_after: 1_000, ..Limits::default() });
    let (start, wait) = (tokio::time::Instant::now(), Duration::from_secs(30));
    for round in 0..50u64 {
        // Late: one read, and one that waits and hangs.
        let (read, watch) = (query(None), query(Some(wait)));
        let both = async { tokio::join!(guard.service(&read), guard.service(&watch)) };
        if round == 0 {
            let (read, watch) = both.await;
            assert_eq!((read.unwrap_err().kind(), watch.unwrap_err().kind()), (Kind::Timeout, Kind::Timeout));
        } else {
            // Dropped at any point: in line, in its place, on its way.
            assert!(timeout(Duration::from_millis(round), both).await.is_err());
        }
        // More than there are places, all dropped: some were sent, the others only waited.
        let mut many = JoinSet::new();
        for _ in 0..2 {
            let guard = Arc::clone(&guard);
            many.spawn(async move { guard.service(&query(Some(Duration::from_secs(30)))).await.is_ok() });
        }
        tokio::task::yield_now().await;
        many.shutdown().await;
    }
    // Failed.
    registry.push(Err(Kind::Rejected));
    assert_eq!(guard.service(&query(None)).await.unwrap_err().kind(), Kind::Rejected);
    assert_eq!(registry.open.load(Ordering::SeqCst), 0);
    assert_eq!(guard.state().taking_turns, 0);
    assert_eq!(guard.places.reads.available_permits(), PLACES);
    // All places of reads that wait are free: four are under way at once.
    let mut four = JoinSet::new();
    for _ in 0..4 {
        let guard = Arc::clone(&guard);
        four.spawn(async move { guard.service(&query(Some(Duration::from_secs(30)))).await.is_ok() });
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(registry.open.load(Ordering::SeqCst), 4);
    let sent = asked(&registry);
    assert!(sent < 400, "the budget was not the limit: {sent}");
    // What was not sent cost nothing: what is left, and what was sent, is all there was and came since.
    let left = (0..1_000).filter(|_| guard.purse.pay(None, now()).map(purse::Paid::spend).is_ok()).count();
    let earned = usize::try_from(start.elapsed().as_secs()).unwrap() + 1;
    assert!(
        (400..=400 + earned).contains(&(left + sent)),
        "{left} are left, {sent} were sent, {earned} came"
    );
}
