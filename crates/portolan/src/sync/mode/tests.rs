//! The settings at the edges of what is allowed, and how long an answer is good.

use std::sync::Arc;

use super::*;
use crate::{model::ServiceName, snapshot::Freshness, testing::instance};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn on_demand_an_answer_is_good_for_its_time_and_an_absence_for_less() {
    let start = tokio::time::Instant::now().into_std();
    let at = |seconds: u32| start.checked_add(SECOND * seconds).unwrap();
    let nothing = Snapshot::nothing(ServiceName::new("web").unwrap());
    let known = || Freshness { confirmed: Some(start), ..Freshness::nothing() };
    let absent = Snapshot { freshness: Arc::new(known()), ..nothing.clone() };
    let there = Snapshot { instances: [Arc::new(instance(1))].into(), ..absent.clone() };
    let held = Snapshot { held: [Arc::new(instance(1))].into(), ..absent.clone() };
    let mode = Mode::on_demand_after(SECOND * 30, SECOND * 5);
    for (name, snapshot, seconds, good) in [
        ("never read", &nothing, 0, false),
        ("absent", &absent, 4, true),
        ("absent, too long", &absent, 5, false),
        ("there", &there, 29, true),
        ("there, too long", &there, 30, false),
        ("held", &held, 29, true),
        ("held, too long", &held, 30, false),
    ] {
        assert_eq!(mode.is_good(snapshot, at(seconds)), good, "{name}");
        assert!(Mode::Watch.is_good(snapshot, at(seconds)), "a watch is always good: {name}");
    }
}

#[test]
fn only_on_demand_has_a_time_to_live() {
    assert_eq!(Mode::on_demand().ttl(), Some(SECOND * 30));
    assert_eq!((Mode::Watch.ttl(), Mode::poll().ttl()), (None, None));
}

#[test]
fn the_rest_is_that_of_the_mode() {
    let on_demand = Mode::on_demand();
    for (mode, is_absent, roll, rest) in [
        (Mode::Watch, false, 0, None),
        (Mode::poll(), false, 0, Some(SECOND * 27)),
        (Mode::poll(), true, u64::MAX, Some(SECOND * 33)),
        (on_demand, false, 7, Some(SECOND * 30)),
        (on_demand, true, 7, Some(SECOND * 5)),
    ] {
        assert_eq!(mode.rest(is_absent, roll), rest, "{mode:?} {is_absent} {roll}");
    }
}

#[test]
fn a_time_is_from_a_second_to_a_day() {
    let (day, moment) = (SECOND * 24 * 3600, Duration::from_nanos(1));
    for mode in [
        Mode::Watch,
        Mode::poll_every(SECOND),
        Mode::poll_every(day),
        Mode::on_demand(),
        Mode::on_demand_after(day, SECOND),
    ] {
        mode.check().unwrap();
    }
    for (mode, says) in [
        (Mode::poll_every(SECOND / 2), "view.mode.every: 500ms is not from 1s to 24h"),
        (Mode::poll_every(day + moment), "view.mode.every: 24h0m0.000000001s"),
        (Mode::on_demand_after(Duration::ZERO, SECOND), "view.mode.ttl: 0s"),
        (Mode::on_demand_after(SECOND, day + SECOND), "view.mode.absent_ttl: 24h0m1s"),
    ] {
        let error = mode.check().unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().starts_with(says), "{error}");
    }
}

#[test]
fn a_share_is_from_zero_to_one_and_a_loss_is_of_some() {
    let suspicion = Suspicion::default();
    for suspicion in [suspicion, suspicion.share(0.0), suspicion.share(1.0), suspicion.at_least(1)] {
        suspicion.check().unwrap();
    }
    for (suspicion, says) in [
        (suspicion.share(-0.1), "view.suspicion.share: -0.1 is not from 0 to 1"),
        (suspicion.share(1.1), "view.suspicion.share: 1.1"),
        (suspicion.share(f64::NAN), "view.suspicion.share: NaN"),
        (suspicion.at_least(0), "view.suspicion.at_least: 0"),
    ] {
        let error = suspicion.check().unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().starts_with(says), "{error}");
    }
    let other = suspicion.at_least(9).share(0.9).confirm(Confirm::Off);
    assert_eq!(other, Suspicion { at_least: 9, share: 0.9, confirm: Confirm::Off });
}
