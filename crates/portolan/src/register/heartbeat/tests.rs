//! When reports are due, and what they say.
#![expect(clippy::arithmetic_side_effects, reason = "a test's numbers are small")]

use proptest::prelude::*;

use super::*;
use crate::check::Check;

const TTL: Duration = Duration::from_secs(30);

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "any instant will do as the start")]
    Instant::now()
}

fn beat(check: Check, now: Instant) -> Option<Beat> {
    Beat::of(&CheckDefinition::new("service:web-1".parse().unwrap(), "a check", check), now)
}

fn ttl(now: Instant) -> Beat {
    beat(Check::ttl(TTL), now).unwrap()
}

#[test]
fn only_a_ttl_check_is_reported_and_the_first_report_is_passing_unless_told() {
    let now = start();
    assert!(beat(Check::tcp(), now).is_none());
    let (report, within) = ttl(now).take(now).unwrap();
    assert_eq!((report.status, report.check.as_str()), (Status::Passing, "service:web-1"));
    assert_eq!(within, TTL / 4, "less than the time to the next");
    let mut careful = beat(Check::ttl(TTL).starting(Status::Critical), now).unwrap();
    assert_eq!(careful.take(now).unwrap().0.status, Status::Critical);
}

#[test]
fn the_next_report_is_due_between_a_quarter_and_a_third_of_the_ttl() {
    let now = start();
    for (roll, rest) in [(0, TTL / 3), (u64::MAX, TTL / 4)] {
        let mut beat = ttl(now);
        beat.take(now).unwrap();
        assert_eq!(beat.deadline(), None, "never two at once");
        assert!(beat.take(now).is_none());
        beat.done(Ok(()), now, roll);
        assert_eq!(beat.deadline(), Some(now + rest));
    }
}

#[test]
fn what_is_said_while_a_report_is_under_way_goes_out_right_after_it() {
    let now = start();
    let mut beat = ttl(now);
    beat.take(now).unwrap();
    beat.say(Status::Warning, "slow", now);
    assert_eq!(beat.deadline(), None);
    beat.done(Ok(()), now, 0);
    let (report, _) = beat.take(now).unwrap();
    assert_eq!((report.status, report.output.as_str()), (Status::Warning, "slow"));
    beat.done(Ok(()), now, 0);
    assert_eq!(beat.deadline(), Some(now + TTL / 3));
}

#[test]
fn a_check_that_was_just_registered_is_reported_at_once() {
    let now = start();
    let later = now + TTL / 10;
    let mut beat = ttl(now);
    beat.take(now).unwrap();
    // The report under way may have met the check from before.
    beat.now(later);
    assert_eq!(beat.deadline(), None);
    beat.done(Ok(()), later, 0);
    assert_eq!(beat.deadline(), Some(later));
    beat.take(later).unwrap();
    beat.done(Ok(()), later, 0);
    beat.now(later + TTL / 10);
    assert_eq!(beat.deadline(), Some(later + TTL / 10));
}

#[test]
fn a_failed_report_is_repeated_soon_but_not_at_once() {
    let now = start();
    for news in [false, true] {
        let mut beat = ttl(now);
        for _ in 0..20 {
            let at = beat.deadline().unwrap();
            beat.take(at).unwrap();
            if news {
                beat.say(Status::Critical, "", at);
            }
            beat.done(Err(Kind::Unavailable), at, u64::MAX);
            let rest = beat.deadline().unwrap() - at;
            assert!(!rest.is_zero() && rest <= TTL / 3, "{rest:?}");
        }
    }
}

#[test]
fn half_the_ttl_itself_is_in_time() {
    for (waited, late) in [(TTL / 2, false), (TTL / 2 + Duration::from_nanos(1), true)] {
        let now = start();
        let mut beat = ttl(now);
        beat.take(now).unwrap();
        beat.done(Ok(()), now + waited, 0);
        assert_eq!(beat.is_late(), late, "{waited:?}");
    }
}

#[test]
fn a_report_that_is_not_acknowledged_within_half_the_ttl_is_late_until_one_is_in_time() {
    let start = start();
    let mut beat = ttl(start);
    let mut now = start;
    while now <= start + TTL / 2 {
        assert!(!beat.is_late(), "{:?}", now - start);
        beat.take(now).unwrap();
        beat.done(Err(Kind::Timeout), now, 0);
        now = beat.deadline().unwrap();
    }
    beat.take(now).unwrap();
    beat.done(Err(Kind::Timeout), now, 0);
    assert!(beat.is_late(), "it need not be acknowledged to be late");
    now = beat.deadline().unwrap();
    beat.take(now).unwrap();
    beat.done(Ok(()), now, 0);
    assert!(beat.is_late(), "it was acknowledged, too late");
    now = beat.deadline().unwrap();
    beat.take(now).unwrap();
    beat.done(Err(Kind::Timeout), now, 0);
    assert!(beat.is_late());
    now = beat.deadline().unwrap();
    beat.take(now).unwrap();
    beat.done(Ok(()), now, 0);
    assert!(!beat.is_late());
}

#[test]
fn a_report_of_a_check_that_was_registered_anew_waits_from_then_on() {
    let now = start();
    let mut beat = ttl(now);
    beat.take(now).unwrap();
    beat.done(Err(Kind::NotFound), now, 0);
    let later = now + 10 * TTL;
    beat.now(later);
    beat.take(later).unwrap();
    beat.done(Ok(()), later, 0);
    assert!(!beat.is_late());
}

proptest! {
    #[test]
    fn whatever_happens_the_next_report_is_within_a_third_of_the_ttl(
        ttl_seconds in 1u64..1_000_000,
        outcomes in proptest::collection::vec((any::<bool>(), any::<u64>(), any::<bool>()), 1..50),
    ) {
        let ttl = Duration::from_secs(ttl_seconds);
        let mut now = start();
        let mut beat = beat(Check::ttl(ttl), now).unwrap();
        for (fine, roll, news) in outcomes {
            now = beat.deadline().unwrap().max(now);
            let (_, within) = beat.take(now).unwrap();
            prop_assert!(within < ttl / 3 && !within.is_zero());
            if news {
                beat.say(Status::Warning, "", now);
            }
            beat.done(if fine { Ok(()) } else { Err(Kind::Timeout) }, now, roll);
            let next = beat.deadline().unwrap();
            prop_assert!(next >= now && next - now <= ttl / 3);
        }
    }
}
