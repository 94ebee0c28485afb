//! The rate holds over every span, retries stay a share, and what is not sent costs nothing.
#![expect(clippy::arithmetic_side_effects, reason = "a test's own small numbers")]

use proptest::prelude::*;

use super::*;

const ALLOWANCE: Allowance =
    Allowance { per_second: 500, burst: 100, retries_per_second: 10, retry_percent: 20 };

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How many are sent within `span`, each as soon as it may be.
fn sent(budget: &mut Budget, attempt: Attempt, start: Instant, span: Duration) -> u32 {
    let (mut now, mut count) = (start, 0);
    while now < start + span {
        match budget.take(attempt, now) {
            Ok(()) => {
                count += 1;
                assert!(count < 100_000, "what gives without end is no budget");
            }
            Err(later) => {
                assert!(later > now, "to ask again at once would be a loop");
                now = later;
            }
        }
    }
    count
}

#[test]
fn a_burst_and_then_the_rate() {
    let start = now();
    let mut budget = Budget::new(ALLOWANCE, start);
    assert_eq!(sent(&mut budget, Attempt::First, start, Duration::from_nanos(1)), 100);
    let mut budget = Budget::new(ALLOWANCE, start);
    assert_eq!(sent(&mut budget, Attempt::First, start, Duration::from_secs(10)), 100 + 4_999);
}

#[test]
fn after_an_outage_they_come_in_at_the_rate_and_not_in_a_burst() {
    let start = now();
    let mut budget = Budget::new(ALLOWANCE, start);
    budget.empty(start);
    assert_eq!(sent(&mut budget, Attempt::First, start, Duration::from_millis(1)), 0);
    assert_eq!(sent(&mut budget, Attempt::First, start, Duration::from_millis(1_001)), 500);
}

#[test]
fn emptying_twice_delays_no_more_than_once() {
    let start = now();
    let mut budget = Budget::new(ALLOWANCE, start);
    budget.empty(start);
    budget.empty(start);
    assert!(budget.take(Attempt::First, start + Duration::from_millis(2)).is_ok());
}

#[test]
fn retries_are_ten_a_second_and_what_successes_earn() {
    let start = now();
    let mut budget = Budget::new(ALLOWANCE, start);
    assert_eq!(sent(&mut budget, Attempt::Retry, start, Duration::from_nanos(1)), 10);
    (0..100).for_each(|_| budget.succeeded());
    assert_eq!(sent(&mut budget, Attempt::Retry, start, Duration::from_nanos(1)), 20);
    assert!(budget.take(Attempt::Retry, start).is_err());
    assert!(budget.take(Attempt::First, start).is_ok(), "what is new is not held up by retries");
}

#[test]
fn successes_are_not_saved_up_for_ever() {
    let start = now();
    let mut budget = Budget::new(Allowance { burst: 10_000, ..ALLOWANCE }, start);
    (0..1_000_000).for_each(|_| budget.succeeded());
    assert_eq!(sent(&mut budget, Attempt::Retry, start, Duration::from_nanos(1)), 10 + 100);
}

#[test]
fn a_retry_that_is_refused_costs_no_request() {
    let start = now();
    let mut budget = Budget::new(ALLOWANCE, start);
    assert_eq!((0..1_000).filter(|_| budget.take(Attempt::Retry, start).is_ok()).count(), 10);
    assert_eq!(sent(&mut budget, Attempt::First, start, Duration::from_nanos(1)), 90);
}

#[test]
fn what_comes_back_is_there_at_once() {
    for attempt in [Attempt::First, Attempt::Retry] {
        let start = now();
        let mut budget = Budget::new(ALLOWANCE, start);
        while budget.take(attempt, start).is_ok() {}
        budget.give_back(attempt);
        assert!(budget.take(attempt, start).is_ok(), "{attempt:?}");
        assert!(budget.take(attempt, start).is_err(), "{attempt:?}: and only that");
    }
}

#[test]
fn settings_of_nothing_still_let_something_through() {
    let start = now();
    let nothing = Allowance { per_second: 0, burst: 0, retries_per_second: 0, retry_percent: 0 };
    let mut budget = Budget::new(nothing, start);
    assert_eq!(sent(&mut budget, Attempt::First, start, Duration::from_millis(3_500)), 4);
}

proptest! {
    #[test]
    fn never_more_than_the_burst_and_the_rate_and_what_comes_back_is_there_again(
        wishes in prop::collection::vec((0..20u64, any::<bool>(), any::<bool>()), 1..600)
    ) {
        let start = now();
        let mut budget = Budget::new(Allowance { per_second: 100, burst: 20, ..ALLOWANCE }, start);
        let (mut now, mut sent, mut retries) = (start, 0u32, 0u32);
        for (pause, retry, back) in wishes {
            now += Duration::from_millis(pause);
            let attempt = if retry { Attempt::Retry } else { Attempt::First };
            if budget.take(attempt, now).is_ok() {
                if back {
                    budget.give_back(attempt);
                } else {
                    sent += 1;
                    retries += u32::from(retry);
                }
            }
        }
        let spent = now.duration_since(start).as_secs_f64();
        prop_assert!(f64::from(sent) <= 20.0 + 100.0 * spent + 0.001, "{} in {} s", sent, spent);
        prop_assert!(f64::from(retries) <= 10.0 + 10.0 * spent + 1.001, "{} retries in {} s", retries, spent);
        // A second later nothing is missing: neither leaked by what came back, nor gained.
        let later = now + Duration::from_secs(1);
        let full = (0..100).filter(|_| budget.take(Attempt::First, later).is_ok()).count();
        prop_assert_eq!(full, 20);
    }
}
