//! Uses and wishes, modes, comparing, and what a clock that stood still does.

use super::*;
use crate::sync::Mode;

const SECOND: Duration = Duration::from_secs(1);
const NOBODY: Uses = Uses { used: false, followed: false };
const SOMEBODY: Uses = Uses { used: true, followed: false };
const FOLLOWER: Uses = Uses { used: true, followed: true };

fn bench(settings: Settings, ids: &[u8], index: u64) -> (Bench, Turn) {
    let mut bench = Bench::set(settings, tokio::time::Instant::now().into_std());
    let turn = bench.answer(ids, index);
    (bench, turn)
}

fn rest(bench: &Bench, turn: &Turn) -> Duration {
    let Next::RestUntil(until) = turn.next else { panic!("no rest: {turn:?}") };
    until - bench.now
}

fn proof(ids: &[u8], index: u64) -> Input {
    Input::Aside(Ok(answer(ids, index)))
}

#[test]
fn a_poll_rests_give_or_take_a_tenth_and_reads_without_an_index() {
    let polls = Settings { mode: Mode::poll(), ..settings() };
    let (mut bench, turn) = bench(polls, &[1], 7);
    let pause = rest(&bench, &turn);
    assert!((27..=33).contains(&pause.as_secs()), "{pause:?}");
    bench.now += pause;
    assert_eq!(bench.give(Input::Timer).next, ask(None, Consistency::Stale));
    assert_eq!(bench.answer(&[1], 5).next, ask(None, Consistency::Stale), "a lower index: once more");
}

#[test]
fn on_demand_an_answer_is_good_for_its_time_and_the_next_use_reads() {
    let demand = Settings { mode: Mode::on_demand(), ..settings() };
    let (mut bench, turn) = bench(demand, &[1], 7);
    assert_eq!(rest(&bench, &turn), SECOND * 30);
    bench.now += SECOND * 30;
    // A use before the time was over is no reason to read.
    bench.state.uses(SOMEBODY, bench.now);
    assert_eq!(bench.give(Input::Timer).next, Next::Sleep);
    bench.now += SECOND * 3600;
    assert_eq!(bench.give(Input::Used).next, ask(None, Consistency::Stale));
    // An absence is good for less.
    let turn = bench.answer(&[], 8);
    assert_eq!(rest(&bench, &turn), SECOND * 5);
    // Whoever follows it uses it all the time.
    bench.now += SECOND * 5;
    bench.state.uses(FOLLOWER, bench.now);
    assert_eq!(bench.give(Input::Timer).next, ask(None, Consistency::Stale));
}

#[test]
fn on_demand_a_failed_read_is_repeated_for_those_who_still_ask() {
    let demand = Settings { mode: Mode::on_demand(), ..settings() };
    let (mut bench, _) = bench(demand, &[1], 7);
    bench.now += SECOND * 30;
    bench.state.uses(NOBODY, bench.now);
    bench.give(Input::Timer);
    bench.give(Input::Used);
    let turn = bench.fail(Kind::Unreachable);
    bench.now += rest(&bench, &turn);
    bench.state.uses(SOMEBODY, bench.now);
    assert_eq!(bench.give(Input::Timer).next, ask(None, Consistency::Stale));
    let turn = bench.fail(Kind::Unreachable);
    bench.now += rest(&bench, &turn);
    bench.state.uses(NOBODY, bench.now);
    assert_eq!(bench.give(Input::Timer).next, Next::Sleep);
    assert_eq!(bench.shown(), (vec![1], vec![]), "nothing is dropped");
}

#[test]
fn b18_an_earlier_state_of_the_registry_proves_nothing_and_raises_no_doubt() {
    for told in [&[1][..], &[1, 2]] {
        let compares = Settings { reconcile: Some(SECOND * 10), ..settings() };
        let (mut bench, _) = bench(compares, &[1], 7);
        bench.now += SECOND * 13;
        bench.answer(&[1], 7);
        bench.now += SECOND;
        let turn = bench.answer(told, 3);
        assert!(turn.publish.is_none(), "{told:?}: shows the past");
        bench.now += rest(&bench, &turn);
        assert_eq!(bench.give(Input::Timer).next, follow(7));
        assert_eq!(bench.answer(&[1], 7).next, follow(7), "{told:?}");
    }
    let mut bench = Bench::following(&[1], 7);
    bench.give(Input::Wished(1));
    let turn = bench.give(proof(&[1], 3));
    assert!(turn.publish.is_none() && turn.served.is_none());
    assert_eq!(turn.next, ask(None, Consistency::Default), "the line of reads is asked instead");
    assert_eq!(bench.answer(&[1], 3).next, ask(None, Consistency::Consistent));
    assert_eq!(bench.answer(&[1], 7).served, Some(Served { wish: 1, failure: None }));
}

#[test]
fn a_wish_reads_beside_the_open_watch_and_one_flight_is_enough() {
    let mut bench = Bench::following(&[1], 7);
    bench.now += SECOND;
    let turn = bench.give(Input::Wished(1));
    assert_eq!(turn.next, Next::GoOn, "complaint 10: the watch stays open");
    let (from, read) = turn.aside.unwrap();
    assert_eq!((from, read), (bench.now, Ask { block: None, consistency: Consistency::Default }));
    // Those who come while it is under way get one more, together.
    for wish in 2..9 {
        assert!(bench.give(Input::Wished(wish)).aside.is_none());
    }
    bench.now += SECOND;
    let turn = bench.give(proof(&[1], 7));
    assert_eq!(turn.served, Some(Served { wish: 1, failure: None }));
    assert_eq!(turn.publish.unwrap().freshness.confirmed, Some(bench.now), "a proof");
    assert!(turn.aside.is_some());
    bench.now += SECOND * 5;
    let turn = bench.give(proof(&[1], 7));
    assert_eq!(turn.served.unwrap().wish, 8);
    assert!(turn.aside.is_none());
}

#[test]
fn a_read_beside_the_watch_changes_nothing_itself() {
    let mut bench = Bench::following(&[1], 7);
    bench.give(Input::Wished(1));
    let turn = bench.give(proof(&[1, 2], 8));
    assert_eq!(turn.next, ask(None, Consistency::Default), "the line of reads is asked instead");
    assert!(turn.publish.is_none() && turn.served.is_none());
    let turn = bench.answer(&[1, 2], 8);
    assert_eq!((turn.next, turn.served.unwrap().wish), (follow(8), 1));
    assert_eq!(bench.shown(), (vec![1, 2], vec![]));
}

#[test]
fn a_read_that_was_under_way_serves_no_wish_and_a_failed_one_says_why() {
    let mut bench = Bench::new();
    assert_eq!(bench.give(Input::Wished(1)).next, Next::GoOn);
    let turn = bench.answer(&[1], 7);
    assert_eq!((turn.next, turn.served), (ask(None, Consistency::Default), None));
    let served = bench.fail(Kind::Busy).served.unwrap();
    assert_eq!((served.wish, served.failure.unwrap().kind), (1, Kind::Busy));
    // The next wish does not wait for the rest after an error.
    assert_eq!(bench.give(Input::Wished(2)).next, ask(None, Consistency::Stale));
    assert_eq!(bench.answer(&[1], 7).served, Some(Served { wish: 2, failure: None }));

    let mut bench = Bench::following(&[1], 7);
    bench.give(Input::Wished(1));
    let turn = bench.give(Input::Aside(Err((Kind::Timeout, "late".into()))));
    assert_eq!(turn.next, Next::GoOn, "the watch is not to blame");
    assert_eq!(turn.served.unwrap().failure.unwrap().kind, Kind::Timeout);
}

#[test]
fn what_was_called_out_of_date_is_older_than_any_bound_until_a_later_read() {
    let age = |bench: &Bench| bench.last.as_ref().unwrap().freshness.age(bench.now);
    let mut bench = Bench::following(&[1], 7);
    assert!(bench.give(Input::Invalidated(1)).aside.is_some());
    assert_eq!(age(&bench), Some(Duration::MAX));
    // The open watch may return what it had found before; and a copy of what was known is no better.
    bench.answer(&[1, 2], 8);
    assert_eq!(age(&bench), Some(Duration::MAX));
    assert_eq!(bench.shown(), (vec![1, 2], vec![]), "nothing is dropped");
    let copy = Snapshot { instances: Arc::default(), ..Snapshot::clone(bench.last.as_ref().unwrap()) };
    let fresh = Freshness { admitted: Duration::ZERO, ..Freshness::clone(&copy.freshness) };
    assert!(bench.state.remember(Snapshot { freshness: fresh.into(), ..copy }, bench.now).is_none());
    bench.give(proof(&[1, 2], 8));
    assert_eq!(age(&bench), Some(Duration::ZERO));
}

#[test]
fn on_demand_what_is_out_of_date_is_read_at_the_next_use() {
    let demand = Settings { mode: Mode::on_demand(), ..settings() };
    let (mut bench, _) = bench(demand, &[1], 7);
    assert_eq!(bench.give(Input::Invalidated(1)).next, Next::Sleep);
    assert_eq!(bench.give(Input::Used).next, ask(None, Consistency::Stale));
    let turn = bench.answer(&[1], 7);
    assert_eq!(rest(&bench, &turn), SECOND * 30);
    assert_eq!(bench.last.as_ref().unwrap().freshness.age(bench.now), Some(Duration::ZERO));
}

#[test]
fn a_view_that_nobody_uses_rests_and_reads_anew_at_the_next_use() {
    let idle = Settings { idle: Some(SECOND * 900), ..settings() };
    let (mut bench, _) = bench(idle, &[1], 7);
    for _ in 0..29 {
        bench.now += SECOND * 30;
        bench.state.uses(NOBODY, bench.now);
        assert_eq!(bench.answer(&[1], 7).next, follow(7));
    }
    bench.now += SECOND * 30;
    let turn = bench.answer(&[1], 7);
    assert_eq!((turn.next, turn.event), (Next::Sleep, Some(Event::Dormant)));
    bench.now += SECOND * 3600;
    let age = bench.last.as_ref().unwrap().freshness.age(bench.now);
    assert_eq!(age, Some(SECOND * 3600), "it keeps what it knows, and says how old it is");
    let turn = bench.give(Input::Used);
    assert_eq!((turn.next, turn.event), (ask(None, Consistency::Stale), Some(Event::Awake)));
    // It was not watched: a sudden loss is confirmed.
    assert_eq!(bench.answer(&[], 3).next, ask(None, Consistency::Consistent));
}

#[test]
fn whoever_follows_a_view_keeps_it_awake_and_an_outage_does_not() {
    let idle = || Settings { idle: Some(SECOND * 900), ..settings() };
    let (mut bench, _) = bench(idle(), &[1], 7);
    bench.now += SECOND * 2000;
    bench.state.uses(FOLLOWER, bench.now);
    bench.now += SECOND * 2000;
    assert_eq!(bench.answer(&[1], 7).next, follow(7));

    let (mut bench, _) = self::bench(idle(), &[1], 7);
    bench.fail(Kind::Unreachable);
    bench.now += SECOND * 900;
    assert_eq!(bench.give(Input::Timer).next, Next::Sleep, "no read for nobody");
}

#[test]
fn after_a_suspend_what_is_known_is_older_and_everything_is_read_anew() {
    let mut bench = Bench::following(&[1], 7);
    let turn = bench.give(Input::Suspended(SECOND * 600));
    assert_eq!(turn.next, ask(None, Consistency::Stale), "the open watch may be dead without a word");
    let age = turn.publish.unwrap().freshness.age(bench.now);
    assert_eq!(age, Some(SECOND * 600));
}

/// A view that compares every ten seconds, with a difference in doubt; its watch goes on.
fn doubting(known: &[u8], told: &[u8]) -> Bench {
    let compares = Settings { reconcile: Some(SECOND * 10), ..settings() };
    let (mut bench, turn) = bench(compares, known, 7);
    assert_eq!(turn.next, follow(7));
    bench.now += SECOND * 13;
    assert_eq!(bench.answer(known, 7).next, ask(None, Consistency::Stale), "in full, without an index");
    let turn = bench.answer(told, 8);
    assert_eq!((&turn.next, &turn.event), (&follow(7), &None), "the watch goes on from its own index");
    bench
}

#[test]
fn a_difference_that_the_watch_does_not_bring_is_settled_by_the_leader_and_told() {
    let mut bench = doubting(&[1, 2], &[1, 3]);
    assert_eq!(bench.shown(), (vec![1, 2], vec![]), "nothing is believed yet");
    assert_eq!(bench.answer(&[1, 2], 7).next, ask(None, Consistency::Consistent));
    let turn = bench.answer(&[1, 3], 9);
    let Some(Event::Diverged(missed)) = turn.event else { panic!("{turn:?}") };
    let ids: Vec<_> = missed.iter().map(|one| (&*one.identity.id, one.known.is_some())).collect();
    assert_eq!(ids, [("web-2", true), ("web-3", false)]);
    assert_eq!(turn.next, follow(9));
    assert_eq!(bench.shown(), (vec![1, 3], vec![]), "the leader is believed");
}

#[test]
fn a_change_between_the_comparison_and_the_watch_is_no_divergence() {
    // The full read was newer than the watch, which then brings the same.
    let mut newer = doubting(&[1], &[1, 2]);
    assert_eq!(newer.answer(&[1, 2], 8).next, follow(8));
    // The watch brings it, and more.
    let mut more = doubting(&[1], &[1, 2]);
    assert_eq!(more.answer(&[1, 2, 3], 9).next, follow(9));
    // It was undone before the watch returned: the leader is asked, and nothing was missed.
    let mut undone = doubting(&[1], &[1, 2]);
    assert_eq!(undone.answer(&[1], 9).next, ask(None, Consistency::Consistent));
    assert_eq!(undone.answer(&[1], 9).event, None);
    // The same, and the watch has not returned for it.
    let mut undone_twice = doubting(&[1, 2], &[1]);
    assert_eq!(undone_twice.answer(&[1, 2], 7).next, ask(None, Consistency::Consistent));
    assert_eq!(undone_twice.answer(&[1, 2], 7).event, None);
    // Another change comes just before the leader answers: what was in doubt was not missed.
    let mut later = doubting(&[1, 2], &[1]);
    later.answer(&[1, 2], 7);
    assert_eq!(later.answer(&[1, 2, 3], 9).event, None);
}

#[test]
fn a_comparison_that_finds_no_difference_is_a_proof() {
    let compares = Settings { reconcile: Some(SECOND * 10), ..settings() };
    let (mut bench, _) = bench(compares, &[1], 7);
    bench.now += SECOND * 13;
    bench.answer(&[1], 7);
    bench.now += SECOND;
    let turn = bench.answer(&[1], 7);
    assert_eq!(turn.publish.as_ref().unwrap().freshness.confirmed, Some(bench.now));
    bench.now += rest(&bench, &turn);
    assert_eq!(bench.give(Input::Timer).next, follow(7));
    // What is too old to be relied on raises no doubt.
    bench.now += SECOND * 13;
    assert_eq!(bench.answer(&[1], 7).next, ask(None, Consistency::Stale));
    let mut old = answer(&[1, 2], 9);
    old.meta.last_contact = Some(SECOND * 60);
    bench.give(Input::Answer(old));
    assert_eq!(bench.answer(&[1], 7).next, follow(7));
}
