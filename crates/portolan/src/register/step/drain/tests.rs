//! A row for each way through a drain.
#![expect(clippy::arithmetic_side_effects, reason = "a test's numbers are small")]

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MIDDLE: u64 = u64::MAX / 2;

fn start() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// One that is in maintenance, and looks whether callers still see it.
fn hiding(now: Instant) -> Draining {
    let mut draining = Draining::new(true, 2 * SECOND, now);
    assert_eq!((draining.step(), draining.take(now)), (DrainStep::Maintenance, Some(Effect::Maintain)));
    draining.maintained(Ok(()), now, MIDDLE);
    assert_eq!((draining.step(), draining.take(now)), (DrainStep::Hiding, Some(Effect::Look)));
    assert_eq!(draining.take(now), None, "one call at a time");
    draining
}

#[test]
fn callers_have_their_time_after_the_healthy_list_is_without_it() {
    let now = start();
    let mut draining = hiding(now);
    draining.looked(Ok(true), now, MIDDLE);
    let again = draining.deadline().unwrap();
    assert_eq!(again - now, Duration::from_millis(15));
    assert_eq!((draining.take(now), draining.take(again)), (None, Some(Effect::Look)));
    draining.looked(Ok(false), again, MIDDLE);
    assert_eq!((draining.step(), draining.deadline()), (DrainStep::Settling, Some(again + 2 * SECOND)));
    draining.restarted(again + SECOND);
    assert_eq!(draining.deadline(), Some(again + 2 * SECOND), "nothing was lost");
    assert_eq!((draining.take(again + SECOND), draining.step()), (None, DrainStep::Settling));
    assert_eq!(draining.take(again + 2 * SECOND), None);
    assert_eq!((draining.step(), draining.deadline()), (DrainStep::InFlight { hidden: true }, None));
}

#[test]
fn what_the_agent_does_not_hold_is_looked_for_and_what_was_never_sent_is_not() {
    let now = start();
    let mut draining = Draining::new(true, SECOND, now);
    draining.take(now);
    draining.maintained(Err(Kind::NotFound), now, MIDDLE);
    assert_eq!(draining.take(now), Some(Effect::Look));
    assert_eq!(Draining::new(false, SECOND, now).step(), DrainStep::InFlight { hidden: true });
}

#[test]
fn a_refusal_ends_the_wait_and_says_that_callers_may_still_come() {
    let now = start();
    let mut draining = Draining::new(true, SECOND, now);
    draining.take(now);
    draining.maintained(Err(Kind::Denied), now, MIDDLE);
    assert_eq!((draining.step(), draining.deadline()), (DrainStep::InFlight { hidden: false }, None));
    let mut draining = hiding(now);
    draining.looked(Err(Kind::Denied), now, MIDDLE);
    assert_eq!((draining.step(), draining.deadline()), (DrainStep::InFlight { hidden: false }, None));
    let mut draining = hiding(now);
    draining.looked(Err(Kind::Unreachable), now, MIDDLE);
    assert_eq!(draining.step(), DrainStep::Hiding, "it is asked again");
}

#[test]
fn a_registry_that_is_away_is_asked_again_and_holds_nothing_up_for_longer_than_ten_seconds() {
    let now = start();
    let mut draining = Draining::new(true, SECOND, now);
    let (mut at, mut calls) = (now, 0);
    while let DrainStep::Maintenance = draining.step() {
        if draining.take(at).is_some() {
            calls += 1;
            draining.maintained(Err(Kind::Unreachable), at, MIDDLE);
        }
        at = draining.deadline().unwrap_or(at);
    }
    assert_eq!((at - now, draining.step()), (10 * SECOND, DrainStep::InFlight { hidden: false }));
    assert!((5..20).contains(&calls), "{calls}");
    // Also when a call does not come back.
    let mut draining = hiding(now);
    assert_eq!((draining.take(now + 9 * SECOND), draining.take(now + 10 * SECOND)), (None, None));
    assert_eq!(draining.step(), DrainStep::InFlight { hidden: false });
    draining.looked(Ok(false), now + 11 * SECOND, MIDDLE);
    draining.maintained(Ok(()), now + 11 * SECOND, MIDDLE);
    assert_eq!(draining.step(), DrainStep::InFlight { hidden: false }, "late answers change nothing");
}

#[test]
fn a_call_that_was_lost_with_its_task_is_made_again() {
    let now = start();
    let mut draining = hiding(now);
    draining.restarted(now);
    assert_eq!(draining.take(now), Some(Effect::Look));
}
