//! How much is said of an outage, of a flapping registry, and of many views.

use super::*;

fn start() -> (Quiet, Instant) {
    let now = tokio::time::Instant::now().into_std();
    (Quiet::new(now), now)
}

#[test]
fn a_few_views_are_told_of_and_a_thousand_are_counted() {
    let (mut quiet, now) = start();
    assert_eq!((0..1_000).filter(|_| quiet.view(now)).count(), 5);
    assert!(quiet.view(now + EACH), "and one more later");
    assert!(quiet.opened(now + EACH));
    assert_eq!(quiet.closed(now + EACH), Some(995));
}

#[test]
fn in_an_outage_and_a_while_after_nothing_is_said_of_views() {
    let (mut quiet, now) = start();
    assert!(quiet.opened(now));
    let second = Duration::from_secs(1);
    assert!(!quiet.view(now + 300 * second));
    assert_eq!(quiet.closed(now + 301 * second), Some(1));
    assert!(!quiet.view(now + 330 * second));
    assert!(quiet.view(now + 331 * second));
}

#[test]
fn a_summary_each_minute_and_none_when_nothing_is_open() {
    let (mut quiet, now) = start();
    let second = Duration::from_secs(1);
    assert_eq!(quiet.summary(now + 600 * second), None);
    quiet.opened(now);
    let said: Vec<u32> = (1..=300).filter(|at| quiet.summary(now + *at * second).is_some()).collect();
    assert_eq!(said, [60, 120, 180, 240, 300]);
    quiet.closed(now + 301 * second);
    assert_eq!(quiet.summary(now + 400 * second), None);
}

#[test]
fn two_breakers_share_one_summary_and_the_second_keeps_the_outage() {
    let (mut quiet, now) = start();
    let second = Duration::from_secs(1);
    quiet.opened(now);
    quiet.opened(now + second);
    assert!(quiet.summary(now + 60 * second).is_some());
    assert!(quiet.summary(now + 61 * second).is_none());
    quiet.closed(now + 62 * second);
    assert!(!quiet.view(now + 200 * second), "one is still open");
}

#[test]
fn a_flapping_breaker_is_not_told_of_each_time_but_counted() {
    let (mut quiet, now) = start();
    let second = Duration::from_secs(1);
    let mut said = 0;
    for at in (0..300).step_by(2) {
        said += u32::from(quiet.opened(now + at * second));
        said += u32::from(quiet.closed(now + (at + 1) * second).is_some());
    }
    assert!((5..=20).contains(&said), "{said}");
}
