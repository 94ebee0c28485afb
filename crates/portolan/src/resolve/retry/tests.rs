//! When a request is tried again, and that an outage is not met with a storm.

use proptest::prelude::*;

use super::{super::endpoint::now, *};

const SECOND: Duration = Duration::from_secs(1);

fn account() -> (Account, Instant) {
    let start = now();
    (Account::new(RetryBudget::default(), start), start)
}

#[test]
fn each_reason_not_to_try_again_is_told() {
    let plain = Retry::default();
    let twice = Retry::default().idempotent().tries(2);
    let (sent, unsent) = (FailureKind::Timeout, FailureKind::Connect);
    let soon = now() + SECOND / 100;
    for (retry, tried, kind, deadline, expected) in [
        (plain, 1, unsent, None, None),
        (plain, 2, unsent, None, None),
        (plain, 3, unsent, None, Some(GaveUp::Tries)),
        (plain, 1, sent, None, Some(GaveUp::NotIdempotent)),
        (twice, 1, sent, None, None),
        (twice, 2, sent, None, Some(GaveUp::Tries)),
        (twice, 1, sent, Some(soon), Some(GaveUp::Deadline)),
        (twice, 1, sent, Some(soon + SECOND), None),
    ] {
        let (account, now) = account();
        let found = retry.again(tried, kind, &account, deadline, (now, u64::MAX)).err();
        assert_eq!(found, expected, "{retry:?} {tried} {kind:?}");
    }
    let kinds = [
        FailureKind::Connect,
        FailureKind::Broken,
        FailureKind::Timeout,
        FailureKind::Answer,
        FailureKind::Overloaded,
    ];
    assert_eq!(kinds.map(FailureKind::was_sent), [false, true, true, true, true]);
}

#[test]
fn what_is_not_done_is_not_paid_for() {
    let (account, now) = account();
    for _ in 0..100 {
        Retry::default().again(3, FailureKind::Connect, &account, None, (now, 0)).unwrap_err();
        Retry::default().again(1, FailureKind::Timeout, &account, None, (now, 0)).unwrap_err();
        Retry::default().again(1, FailureKind::Connect, &account, Some(now), (now, 0)).unwrap_err();
    }
    assert_eq!((0..100).filter(|_| account.pay(now)).count(), 10);
}

#[test]
fn ten_a_second_are_free_and_a_hundred_requests_earn_twenty() {
    let (account, start) = account();
    assert_eq!((0..100).filter(|_| account.pay(start)).count(), 10);
    assert_eq!((0..100).filter(|_| account.pay(start + SECOND / 2)).count(), 5);
    (0..100).for_each(|_| account.request());
    assert_eq!((0..100).filter(|_| account.pay(start + SECOND / 2)).count(), 20);
    (0..1_000_000).for_each(|_| account.request());
    assert_eq!((0..1_000).filter(|_| account.pay(start + SECOND / 2)).count(), 100, "ten seconds' worth");
}

#[test]
fn the_rest_before_a_retry_is_short_and_grows() {
    let retry = Retry::default().tries(100);
    let rest = |tried| {
        let (account, now) = account();
        retry.again(tried, FailureKind::Connect, &account, None, (now, u64::MAX)).unwrap()
    };
    let most = [1, 2, 3, 50].map(|tried| rest(tried).as_millis());
    assert!(most.iter().zip([25, 50, 100, 1_000]).all(|(found, most)| found.abs_diff(most) <= 1), "{most:?}");
}

#[test]
fn what_makes_no_sense_is_refused_and_quoted() {
    Retry::default().check().unwrap();
    for (retry, says) in [
        (Retry::default().tries(0), "retry.tries: 0 is not from 1 to 100"),
        (Retry::default().tries(101), "retry.tries: 101"),
        (Retry::default().within(Duration::ZERO), "retry.within: 0s is no time"),
        (Retry::default().each_within(Duration::ZERO), "retry.each_within: 0s is no time"),
    ] {
        let error = retry.check().unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
    for gave_up in [GaveUp::Tries, GaveUp::NotIdempotent, GaveUp::Budget, GaveUp::Deadline] {
        assert!(gave_up.to_string().contains("etry"), "it names the setting: {gave_up}");
    }
}

proptest! {
    #[test]
    fn an_outage_meets_the_offered_load_a_fifth_and_ten_a_second(
        per_second in 1u64..500, seconds in 1u64..60, before in 0u64..2_000,
    ) {
        let (account, start) = account();
        (0..before).for_each(|_| account.request());
        let mut retries = 0u64;
        for second in 0..seconds {
            let now = start + SECOND * u32::try_from(second).unwrap();
            for _ in 0..per_second {
                account.request();
                // Each fails, and is tried as often as it may.
                retries += (0..2).take_while(|_| account.pay(now)).count() as u64;
            }
        }
        let offered = per_second * seconds;
        // What was saved before, at most ten seconds' worth, is spent once.
        let saved = (before / 5).min(100);
        prop_assert!(retries <= offered / 5 + 10 * seconds + saved + 1, "{} of {}", retries, offered);
    }
}

#[test]
fn a_reason_to_give_up_has_a_word_for_a_label_and_names_the_setting() {
    for (why, label, names) in [
        (GaveUp::Tries, "tries", "Retry::tries"),
        (GaveUp::NotIdempotent, "not_idempotent", "Retry::idempotent"),
        (GaveUp::Budget, "budget", "Config::retry_budget"),
        (GaveUp::Deadline, "deadline", "Retry::within"),
        (GaveUp::NoInstance, "no_instance", "Resolver::explain"),
    ] {
        assert_eq!(why.label(), label);
        assert!(why.to_string().contains(names), "{why}");
    }
}
