//! Where one answer is just good enough and the next one is not, and what a turn must still tell.

use super::*;
use crate::sync::{Mode, step::marks::Read, step::wishes::Wishes};

const SECOND: Duration = Duration::from_secs(1);

fn on_demand() -> (Bench, Turn) {
    let demand = Settings { mode: Mode::on_demand(), ..settings() };
    let mut bench = Bench::set(demand, tokio::time::Instant::now().into_std());
    let turn = bench.answer(&[1], 7);
    (bench, turn)
}

/// A view that compares every ten seconds, and has just begun to.
fn comparing(known: &[u8]) -> Bench {
    let compares = Settings { reconcile: Some(SECOND * 10), ..settings() };
    let mut bench = Bench::set(compares, tokio::time::Instant::now().into_std());
    bench.answer(known, 7);
    bench.now += SECOND * 13;
    assert_eq!(bench.answer(known, 7).next, ask(None, Consistency::Stale), "in full, without an index");
    bench
}

#[test]
fn on_demand_what_was_called_out_of_date_during_a_read_is_read_again_at_the_next_use() {
    let (mut bench, _) = on_demand();
    bench.now += SECOND * 30;
    bench.state.uses(Uses { used: true, followed: false }, bench.now);
    assert_eq!(bench.give(Input::Timer).next, Next::Sleep);
    assert_eq!(bench.give(Input::Used).next, ask(None, Consistency::Stale));
    bench.give(Input::Invalidated(1));
    assert_eq!(bench.answer(&[1], 8).next, Next::Sleep, "that read began before");
    assert_eq!(bench.give(Input::Used).next, ask(None, Consistency::Stale));
    assert!(matches!(bench.answer(&[1], 9).next, Next::RestUntil(_)), "this one serves");
}

#[test]
fn on_demand_a_clock_that_stood_still_is_no_reason_to_read_before_somebody_asks() {
    let (mut bench, turn) = on_demand();
    assert!(matches!(turn.next, Next::RestUntil(_)));
    assert_eq!(bench.give(Input::Suspended(SECOND * 600)).next, Next::Sleep);
    assert_eq!(bench.give(Input::Used).next, ask(None, Consistency::Stale));
}

#[test]
fn a_view_that_sleeps_sleeps_on_when_the_clock_stood_still() {
    let sleeps = Settings { idle: Some(SECOND * 60), ..settings() };
    let mut bench = Bench::set(sleeps, tokio::time::Instant::now().into_std());
    bench.answer(&[1], 7);
    bench.now += SECOND * 60;
    assert_eq!(bench.answer(&[1], 7).next, Next::Sleep);
    let turn = bench.give(Input::Suspended(SECOND * 600));
    assert_eq!(turn.next, Next::GoOn);
    assert_eq!(turn.publish.unwrap().freshness.age(bench.now), Some(SECOND * 600), "but it is older");
}

#[test]
fn a_poll_after_a_clock_that_stood_still_doubts_a_sudden_loss_as_after_any_break() {
    for breaks in [false, true] {
        let polls = Settings { mode: Mode::poll(), ..settings() };
        let mut bench = Bench::set(polls, tokio::time::Instant::now().into_std());
        bench.answer(&[1, 2, 3, 4], 7);
        if breaks {
            assert_eq!(bench.give(Input::Suspended(SECOND * 600)).next, ask(None, Consistency::Stale));
        } else {
            bench.now += SECOND * 40;
            assert_eq!(bench.give(Input::Timer).next, ask(None, Consistency::Stale));
        }
        let next = bench.answer(&[1], 9).next;
        assert_eq!(next == ask(None, Consistency::Consistent), breaks, "{next:?}");
    }
}

#[test]
fn the_last_instance_is_remembered_as_seen_when_it_was() {
    let mut bench = Bench::new();
    bench.answer(&[], 7);
    assert_eq!(bench.last.as_ref().unwrap().last_seen(), None, "none was ever there");
    let seen = bench.now;
    bench.answer(&[1], 8);
    assert_eq!(bench.last.as_ref().unwrap().last_seen(), Some(seen));
    bench.now += SECOND;
    bench.answer(&[], 9);
    assert_eq!(bench.last.as_ref().unwrap().last_seen(), Some(seen));
}

#[test]
fn a_comparison_as_old_as_is_allowed_is_a_proof_and_settles_nothing() {
    let mut bench = comparing(&[1]);
    bench.now += SECOND * 20;
    let mut old = answer(&[1], 7);
    old.meta.last_contact = settings().max_stale;
    let turn = bench.give(Input::Answer(old));
    assert_eq!(turn.publish.unwrap().freshness.age(bench.now), settings().max_stale);
}

#[test]
fn a_comparison_that_began_before_somebody_doubted_is_no_proof() {
    let mut bench = comparing(&[1]);
    bench.give(Input::Invalidated(1));
    bench.now += SECOND;
    let turn = bench.answer(&[1], 7);
    assert!(turn.publish.is_none(), "{turn:?}");
    assert_eq!(bench.last.as_ref().unwrap().freshness.age(bench.now), Some(Duration::MAX));
}

#[test]
fn what_the_watch_brought_is_shown_while_the_leader_is_asked_about_the_rest() {
    let mut bench = comparing(&[1, 2]);
    bench.answer(&[1, 3], 7);
    bench.now += SECOND;
    let turn = bench.answer(&[1, 2], 8);
    assert_eq!(turn.next, ask(None, Consistency::Consistent));
    let shown = turn.publish.unwrap();
    assert_eq!((shown.freshness.index, shown.freshness.confirmed), (8, Some(bench.now)));
}

#[test]
fn a_doubt_from_before_the_watch_broke_asks_nobody_afterwards() {
    let mut bench = comparing(&[1, 2]);
    bench.answer(&[1], 7);
    bench.fail(Kind::Unreachable);
    bench.now += SECOND;
    assert_eq!(bench.give(Input::Timer).next, ask(None, Consistency::Stale));
    assert_eq!(bench.answer(&[1, 2], 7).next, follow(7));
    assert_eq!(bench.answer(&[1, 2], 7).next, follow(7), "what is read in full is not in doubt");
}

#[test]
fn a_cache_is_better_only_if_it_is_newer_and_knows_something_and_holds_nothing() {
    let mut bench = Bench::new();
    let nothing = Snapshot::nothing(ServiceName::new("web").unwrap());
    assert!(bench.state.remember(nothing.clone(), bench.now).is_none(), "of nothing nothing is learnt");
    let freshness = Freshness {
        source: Source::Shared,
        index: 7,
        confirmed: Some(bench.now),
        admitted: SECOND,
        streaming: false,
    };
    let cached = Snapshot {
        instances: [Arc::new(instance(1))].into(),
        held: [Arc::new(instance(2))].into(),
        freshness: Arc::new(freshness),
        ..nothing
    };
    let shown = bench.state.remember(cached.clone(), bench.now).unwrap();
    assert_eq!((shown.instances().len(), shown.held().len()), (1, 0));
    assert!(bench.state.remember(cached, bench.now).is_none(), "as old as what is known");
}

#[test]
fn a_plain_read_is_measured_by_the_watch_unless_that_is_streamed() {
    for streaming in [false, true] {
        let mut marks = Marks::new(0, false);
        marks.believe(5, Read::Plain, false);
        marks.believe(9, Read::Blocking, streaming);
        let below = |index, read| marks.is_below(index, read);
        assert_eq!(
            (below(7, Read::Plain), below(4, Read::Plain)),
            (!streaming, true),
            "streamed: {streaming}"
        );
        assert_eq!((below(8, Read::Blocking), below(9, Read::Blocking)), (true, false));
    }
}

#[test]
fn a_comparison_is_due_four_fifths_to_six_fifths_of_its_time_after_the_last() {
    let start = tokio::time::Instant::now().into_std();
    for (roll, rest) in [(0, SECOND * 8), (u64::MAX, SECOND * 12)] {
        let mut reconcile = Reconcile::new(Some(SECOND * 10));
        assert!(!reconcile.is_due(start, roll), "the first read was in full");
        assert!(!reconcile.is_due(start + rest.saturating_sub(Duration::from_nanos(1)), roll));
        assert!(reconcile.is_due(start + rest, roll));
        assert!(!reconcile.is_due(start + rest, roll), "the next comes as much later");
    }
    assert!(!Reconcile::new(None).is_due(start, 0));
}

#[test]
fn a_read_that_failed_tells_those_it_was_for_and_leaves_the_later_ones_waiting() {
    let failure = Failure {
        kind: Kind::Unreachable,
        text: "no".into(),
        since: tokio::time::Instant::now().into_std(),
        count: 1,
    };
    for (later, still_wanted) in [(1, false), (2, true)] {
        let mut wishes = Wishes::default();
        wishes.want(1);
        wishes.start();
        wishes.want(later);
        let served = wishes.end(Some(&failure)).unwrap();
        assert_eq!((served.wish, served.failure.is_some()), (1, true));
        assert_eq!(wishes.is_wanted(), still_wanted, "{later}");
        wishes.start();
        let served = wishes.end(None).map(|served| (served.wish, served.failure));
        assert_eq!(served, still_wanted.then_some((later, None)));
        assert!(!wishes.is_wanted());
    }
}

#[test]
fn one_read_is_beside_the_open_one_and_the_next_after_it_has_ended_or_proved_nothing() {
    let mut wishes = Wishes::default();
    assert!(!wishes.start_aside(), "nobody wants it");
    wishes.want(1);
    assert!(wishes.is_unattended() && wishes.start_aside());
    assert!(!wishes.is_unattended() && !wishes.start_aside(), "one is enough");
    wishes.void_aside();
    assert!(wishes.is_unattended() && wishes.start_aside(), "it proved nothing");
    let served = wishes.end_aside(None).map(|served| served.wish);
    assert_eq!((served, wishes.is_wanted(), wishes.end_aside(None).is_none()), (Some(1), false, true));
}

#[test]
fn a_wait_is_at_most_half_of_what_the_users_bear_as_age() {
    let mut bench = Bench::following(&[1], 7);
    for (bound, wait) in [
        (Some(SECOND * 10), SECOND * 5),
        (Some(SECOND * 3600), settings().jittered_wait(ROLL)),
        (None, settings().jittered_wait(ROLL)),
    ] {
        bench.state.bound(bound);
        let next = bench.answer(&[1], 7).next;
        assert_eq!(next, ask(Some(Block { index: 7, wait }), Consistency::Stale), "{bound:?}");
    }
}
