//! When reads move, when they return, and on which indexes they may wait.

use proptest::prelude::*;

use super::*;

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn fail(failover: &mut Failover, kind: Kind) -> Option<usize> {
    let stay = failover.stay();
    failover.failed(stay, kind, false, now(), 0)
}

#[test]
fn two_failures_in_a_row_move_the_reads_to_the_next_address_and_round_again() {
    let mut failover = Failover::new(3);
    let moved: Vec<_> = (0..6).filter_map(|_| fail(&mut failover, Kind::Unreachable)).collect();
    assert_eq!(moved, [1, 2, 0]);
    fail(&mut failover, Kind::Unreachable);
    let stay = failover.stay();
    failover.answered(stay, "web", 7);
    assert_eq!(fail(&mut failover, Kind::Unreachable), None, "not in a row");
}

#[test]
fn only_what_another_address_may_do_better_moves_them() {
    for (kind, far, moves) in [
        (Kind::Unreachable, false, true),
        (Kind::Timeout, false, true),
        (Kind::Unavailable, false, true),
        (Kind::Unreachable, true, true),
        (Kind::Timeout, true, false),
        (Kind::Unavailable, true, false),
        (Kind::Denied, false, false),
        (Kind::NotFound, false, false),
        (Kind::Busy, false, false),
        (Kind::Malformed, false, false),
    ] {
        let mut failover = Failover::new(2);
        for _ in 0..2 {
            let stay = failover.stay();
            failover.failed(stay, kind, far, now(), 0);
        }
        assert_eq!(failover.stay().at, usize::from(moves), "{kind:?} {far}");
    }
}

#[test]
fn one_address_has_nowhere_to_move_to() {
    let mut failover = Failover::new(1);
    assert!((0..100).all(|_| fail(&mut failover, Kind::Unreachable).is_none()));
    assert!(failover.may_wait("web", 7));
}

#[test]
fn each_question_is_remembered_by_itself_after_a_move_and_none_before() {
    let mut failover = Failover::new(2);
    failover.answered(failover.stay(), "web", 7);
    assert!(failover.given.is_empty(), "before the first move there is nothing to mix up");
    for _ in 0..2 {
        fail(&mut failover, Kind::Unreachable);
    }
    failover.answered(failover.stay(), "web", 7);
    failover.answered(failover.stay(), "db", 9);
    assert!(failover.may_wait("web", 7) && failover.may_wait("db", 9));
    // Forgotten is safe: the next read does not wait, and is remembered.
    for at in 0..QUESTIONS {
        failover.answered(failover.stay(), &at.to_string(), 1);
    }
    assert!(failover.given.len() <= QUESTIONS && !failover.may_wait("web", 7));
}

#[test]
fn after_a_move_an_index_counts_only_where_it_was_given() {
    let mut failover = Failover::new(2);
    let first = failover.stay();
    failover.answered(first, "web", 7);
    assert!(failover.may_wait("web", 7), "before the first move there is but one");
    assert_eq!((0..2).filter_map(|_| fail(&mut failover, Kind::Timeout)).count(), 1);
    assert!(!failover.may_wait("web", 7));
    // An answer of the first that comes late is not one of the second.
    failover.answered(first, "web", 8);
    assert!(!failover.may_wait("web", 7));
    let second = failover.stay();
    failover.answered(second, "web", 9);
    assert!(failover.may_wait("web", 9) && !failover.may_wait("web", 10) && !failover.may_wait("db", 1));
    // And on the way back it is the same.
    assert!(failover.first_is_back(now(), 0));
    assert!(!failover.may_wait("web", 9));
}

#[test]
fn failures_that_come_late_from_the_address_before_move_nothing() {
    let mut failover = Failover::new(3);
    let first = failover.stay();
    for _ in 0..64 {
        failover.failed(first, Kind::Unreachable, false, now(), 0);
    }
    assert_eq!(failover.stay().at, 1);
}

#[test]
fn the_first_is_tried_again_after_minutes_once_at_a_time() {
    for (roll, seconds) in [(0, 150), (u64::MAX, 300)] {
        let (start, second) = (now(), Duration::from_secs(1));
        let mut failover = Failover::new(2);
        assert!(!failover.tries_first(start + 3_600 * second, roll), "it is there");
        for _ in 0..2 {
            let stay = failover.stay();
            failover.failed(stay, Kind::Timeout, false, start, roll);
        }
        assert!(!failover.tries_first(start + (seconds - 1) * second, roll));
        assert!(failover.tries_first(start + (seconds + 1) * second, roll));
        assert!(!failover.tries_first(start + (seconds + 2) * second, roll), "somebody does already");
        assert!(failover.first_is_back(start + (seconds + 2) * second, roll));
        assert!(!failover.tries_first(start + 3_600 * second, roll));
        assert_eq!(failover.stay().at, 0);
    }
}

proptest! {
    #[test]
    fn no_read_ever_waits_on_an_index_of_another_address(
        steps in prop::collection::vec((0..4u8, 0..3usize, 1..50u64), 1..200)
    ) {
        let mut failover = Failover::new(3);
        // What a view holds: an index, and the stay in which it was given.
        let mut held: Vec<Option<(Stay, u64)>> = vec![None; 3];
        for (what, view, index) in steps {
            let (stay, question) = (failover.stay(), view.to_string());
            let wait = held.get(view).copied().flatten();
            if let Some((from, waits_on)) = wait
                && failover.may_wait(&question, waits_on)
            {
                prop_assert_eq!(from, stay);
            }
            match what {
                0 => drop(failover.failed(stay, Kind::Timeout, false, now(), 0)),
                1 => drop(failover.first_is_back(now(), 0)),
                _ => {
                    failover.answered(stay, &question, index);
                    if let Some(slot) = held.get_mut(view) {
                        *slot = Some((stay, index));
                    }
                }
            }
        }
    }
}
