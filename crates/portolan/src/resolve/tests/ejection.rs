//! What callers report decides who gets the next request: ejection and its way back, caps, latency.

use super::*;
const SECOND: Duration = Duration::from_secs(1);

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

fn failed(pick: Pick) {
    pick.failure(FailureKind::Answer);
}

/// Picks until it gets this one: bounded, and by chance alone.
fn pick(resolver: &Resolver, port: u16) -> Pick {
    (0..10_000).filter_map(|_| resolver.pick().ok()).find(|pick| pick.port == port).unwrap()
}

fn gets_requests(resolver: &Resolver, port: u16) -> bool {
    (0..200).filter_map(|_| resolver.pick().ok()).any(|pick| pick.port == port)
}

fn ejected(resolver: &Resolver) -> Vec<u16> {
    let left_out = resolver.explain().left_out;
    left_out.iter().filter(|one| one.why == Exclusion::Ejected).map(|one| one.instance.port).collect()
}

/// Whatever is in flight: power of two would avoid the one that is held.
fn by_chance() -> Select {
    Select::default().policy(Policy::Random)
}

fn three() -> Snapshot {
    live(&[instance(1), instance(2), instance(3)], &[])
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_is_ejected_and_comes_back_by_one_request_at_a_time() {
    let (_writers, resolver, _tasks) = resolver_over([three()], by_chance());
    for _ in 0..5 {
        failed(pick(&resolver, 1002));
    }
    pass(SECOND / 10).await;
    assert_eq!(ejected(&resolver), [1002]);
    assert!(!gets_requests(&resolver, 1002));
    assert_eq!(resolver.peek(|one| one.mark()).unwrap(), Mark::Ordinary);
    pass(10 * SECOND).await;
    assert!(ejected(&resolver).is_empty());
    let probe = pick(&resolver, 1002);
    assert!(probe.is_on_trial());
    assert!(!gets_requests(&resolver, 1002), "one request at a time");
    probe.success(SECOND / 100);
    for _ in 0..2 {
        pick(&resolver, 1002).success(SECOND / 100);
    }
    pass(SECOND / 10).await;
    let held: Vec<Pick> = (0..3).map(|_| pick(&resolver, 1002)).collect();
    assert!(held[0].in_flight() == 3 && !held[0].is_on_trial());
}

#[tokio::test(start_paused = true)]
async fn a_gate_holds_before_the_selection_is_built_anew() {
    let snapshot = three();
    let carried = carried();
    let built = Selection::build(&snapshot, &Select::default(), &carried);
    let second = &built.endpoints[1];
    (0..5).for_each(|_| second.load.failed());
    carried.loads.judge(endpoint::now());
    assert!(!built.admits(second, &second.load) && built.admits(&built.endpoints[0], &built.loads[0]));
    assert!(built.admits_anyway(second));
}

#[tokio::test(start_paused = true)]
async fn a_row_is_judged_when_it_is_full_and_not_at_each_failure_after_it() {
    let carried = carried();
    let built = Selection::build(&three(), &Select::default(), &carried);
    let second = &built.endpoints[1].load;
    let asked = async || tokio::time::timeout(SECOND, carried.loads.asked_to_judge()).await.is_ok();
    second.failed();
    assert!(asked().await, "the first outcome has the next comparison planned");
    (0..3).for_each(|_| second.failed());
    assert!(!asked().await, "four in a row");
    second.failed();
    assert!(asked().await, "five");
    (0..100).for_each(|_| second.failed());
    assert!(!asked().await, "nobody judged it yet, and nothing is new");
}

#[tokio::test(start_paused = true)]
async fn where_all_that_a_filter_leaves_are_ejected_they_are_picked_and_marked() {
    let snapshot = live(&[instance(1), instance(2), instance(3).with_tags(["canary"])], &[]);
    let shared = loads();
    let shared = || Arc::clone(&shared);
    let (_all, every, _tasks) = resolver_with([snapshot.clone()], Select::default(), shared);
    let (_some, canary, _more) = resolver_with([snapshot], Select::default().tag("canary"), shared);
    for _ in 0..5 {
        failed(canary.pick().unwrap());
    }
    pass(SECOND / 10).await;
    assert_eq!(ejected(&every), [1003], "what one resolver learns, all know");
    let pick = canary.pick().unwrap();
    assert_eq!((pick.port, pick.mark()), (1003, Mark::Panic));
    assert_eq!(canary.explain().picked_anyway[0].why, Exclusion::Ejected);
}

#[tokio::test(start_paused = true)]
async fn a_new_place_begins_with_a_clean_sheet_and_the_old_one_does_not() {
    let (mut writers, resolver, _tasks) = resolver_over([three()], by_chance());
    for _ in 0..5 {
        failed(pick(&resolver, 1002));
    }
    pass(SECOND / 10).await;
    let retagged = instance(2).with_tags(["new"]);
    writers[0].publish(Arc::new(live(&[instance(1), retagged.clone(), instance(3)], &[])));
    pass(SECOND / 10).await;
    assert_eq!(ejected(&resolver), [1002], "another definition is no other process");
    let moved = Instance { port: 2002, ..retagged };
    writers[0].publish(Arc::new(live(&[instance(1), moved, instance(3)], &[])));
    pass(SECOND / 10).await;
    assert!(ejected(&resolver).is_empty());
    let held: Vec<Pick> = (0..3).map(|_| pick(&resolver, 2002)).collect();
    assert_eq!(held[0].in_flight(), 3, "and it is not on trial");
}

#[tokio::test(start_paused = true)]
async fn one_that_has_as_many_requests_as_it_may_is_passed_over_and_all_full_is_a_typed_answer() {
    let (_writers, resolver, _tasks) = resolver_over([three()], Select::default().max_in_flight(2));
    let mut held: Vec<Pick> = (0..6).map(|_| resolver.pick().unwrap()).collect();
    assert!(held.iter().all(|one| one.in_flight() == 2), "{held:?}");
    let none = resolver.pick().unwrap_err();
    let says = "web: 3 known, 0 usable: web-1 has 2 requests in flight, as many as max_in_flight allows";
    assert!(none.to_string().starts_with(says), "{none}");
    let gone = held.swap_remove(3).identity.clone();
    let pick = resolver.pick_excluding(&[&gone]).unwrap();
    assert_eq!(pick.identity, gone, "excluded, but the only one with room");
}

#[tokio::test(start_paused = true)]
async fn under_peak_ewma_the_slow_and_the_failing_get_few_requests() {
    let (_writers, resolver, _tasks) = resolver_over([three()], Select::default().policy(Policy::PeakEwma));
    let mut counts = [0_u32; 3];
    for _ in 0..1_000 {
        let pick = resolver.pick().unwrap();
        let at = usize::from(pick.port - 1001);
        counts[at] += 1;
        match at {
            0 => pick.success(SECOND / 100),
            1 => pick.success(SECOND),
            _ => pick.failure(FailureKind::Connect),
        }
        pass(SECOND / 100).await;
    }
    assert!(counts[0] > 950 && counts[1] > 0 && counts[2] > 0, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn under_peak_ewma_a_pick_that_is_dropped_late_tells_that_it_was_slow() {
    let two = live(&[instance(1), instance(2)], &[]);
    let (_writers, resolver, _tasks) = resolver_over([two], Select::default().policy(Policy::PeakEwma));
    let first = resolver.pick().unwrap();
    let slow = first.port;
    pass(SECOND).await;
    drop(first);
    for _ in 0..20 {
        let pick = resolver.pick().unwrap();
        assert_ne!(pick.port, slow);
        pick.success(SECOND / 100);
    }
}

#[tokio::test(start_paused = true)]
async fn the_only_instance_is_never_ejected() {
    let (_writer, resolver, _tasks) = resolver(live(&[instance(1)], &[]));
    for _ in 0..50 {
        failed(resolver.pick().unwrap());
        pass(SECOND).await;
    }
    assert!(ejected(&resolver).is_empty());
    assert_eq!(resolver.pick().unwrap().mark(), Mark::Ordinary);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_has_just_come_gets_a_growing_share() {
    let select = by_chance().slow_start(20 * SECOND);
    let two = live(&[instance(1), instance(2)], &[]);
    let (mut writers, resolver, _tasks) = resolver_over([two], select);
    pass(SECOND / 10).await;
    writers[0].publish(Arc::new(three()));
    pass(SECOND / 10).await;
    let share = || (0..4_000).filter(|_| resolver.pick().unwrap().port == 1003).count();
    // A tenth, a half, the whole of a share: of 2.1, 2.5 and 3. Six standard deviations wide.
    for (seconds, share_of_4000) in [(0, 190), (10, 800), (11, 1_333)] {
        pass(seconds * SECOND).await;
        let found = share();
        assert!(found.abs_diff(share_of_4000) < 180, "{found} of 4000, not about {share_of_4000}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hot_key_spreads_when_its_instance_has_more_than_its_bound() {
    let ten: Vec<Instance> = (1..=10).map(instance).collect();
    let maglev = Select::default().policy(Policy::Maglev);
    for (select, most) in [(maglev.clone(), 100), (maglev.bounded_load(125), 13)] {
        let (_writers, resolver, _tasks) = resolver_over([live(&ten, &[])], select);
        let first = resolver.pick_by_key(b"hot").unwrap().port;
        for _ in 0..10 {
            assert_eq!(resolver.pick_by_key(b"hot").unwrap().port, first, "one alone is within any bound");
        }
        let held: Vec<Pick> = (0..100).map(|_| resolver.pick_by_key(b"hot").unwrap()).collect();
        assert_eq!(held.iter().map(|one| one.in_flight()).max(), Some(most));
        drop(held);
        let again: Vec<u16> = (0..10).map(|_| resolver.pick_by_key(b"hot").unwrap().port).collect();
        assert_eq!(again, [first; 10], "what is over counts no more");
    }
}
