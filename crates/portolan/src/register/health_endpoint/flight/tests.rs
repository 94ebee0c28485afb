//! The rules of a probe's runs, one by one, and any order of requests and ends.

use proptest::prelude::*;

use super::*;

const CACHE: Option<Duration> = Some(Duration::from_secs(1));

fn start() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn taken(finding: Finding, at: Instant) -> Taken {
    Taken { finding, at, time: Duration::ZERO }
}

#[test]
fn the_first_request_begins_a_run_and_the_others_join_it() {
    let (mut flight, now) = (Flight::default(), start());
    assert_eq!(flight.ask(now, CACHE), Ask::Begin(1));
    assert_eq!(flight.ask(now, CACHE), Ask::Join(1));
    assert_eq!(flight.ask(now + Duration::from_secs(9), None), Ask::Join(1));
    assert!(!flight.has_told(1));
}

#[test]
fn a_finding_is_used_for_the_cache_time_and_not_for_longer() {
    let now = start();
    for (cache, later, expected) in [
        (1000, 0, Ask::Use),
        (1000, 999, Ask::Use),
        (1000, 1000, Ask::Begin(2)),
        (1, 0, Ask::Use),
        (1, 1, Ask::Begin(2)),
    ] {
        let mut flight = Flight::default();
        flight.ask(now, CACHE);
        flight.tell(1, taken(Finding::passing(), now));
        flight.end(1);
        let found = flight.ask(now + Duration::from_millis(later), Some(Duration::from_millis(cache)));
        assert_eq!(found, expected, "cache {cache} ms, {later} ms later");
    }
}

#[test]
fn without_a_cache_each_request_begins_a_run() {
    let (mut flight, now) = (Flight::default(), start());
    for run in 1..4 {
        assert_eq!(flight.ask(now, None), Ask::Begin(run));
        flight.tell(run, taken(Finding::passing(), now));
        flight.end(run);
    }
}

#[test]
fn a_run_that_goes_on_past_its_finding_lets_no_other_begin_and_nobody_wait() {
    let (mut flight, now) = (Flight::default(), start());
    flight.ask(now, CACHE);
    flight.tell(1, taken(Finding::critical("late"), now));
    let later = now + Duration::from_secs(3600);
    assert_eq!(flight.ask(later, CACHE), Ask::Use, "it is known to be late, however long ago");
    flight.end(1);
    assert_eq!(flight.ask(later, CACHE), Ask::Begin(2));
}

#[test]
fn a_change_of_status_is_told_once_and_an_old_finding_never() {
    let (mut flight, now) = (Flight::default(), start());
    let mut tell = |run, finding| flight.tell(run, taken(finding, now));
    assert_eq!(tell(1, Finding::passing()), None, "well as before");
    assert_eq!(tell(2, Finding::critical("a")), Some(Status::Passing));
    assert_eq!(tell(3, Finding::critical("b")), None);
    assert_eq!(tell(2, Finding::passing()), None, "a later run has told");
    assert_eq!(tell(4, Finding::warning("c")), Some(Status::Critical));
    assert_eq!(flight.last().map(|last| last.finding.output()), Some("c"));
}

#[test]
fn a_clock_that_goes_back_uses_what_is_known() {
    let (mut flight, early) = (Flight::default(), start());
    let now = early + Duration::from_secs(60);
    flight.ask(now, CACHE);
    flight.tell(1, taken(Finding::passing(), now));
    flight.end(1);
    assert_eq!(flight.ask(early, CACHE), Ask::Use);
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Ask,
    Tell,
    End,
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Ask),
        2 => Just(Event::Tell),
        2 => Just(Event::End),
        1 => (0u64..2000).prop_map(Event::Pass),
    ]
}

proptest! {
    /// A model beside it: which run is under way, and how old the newest finding is.
    #[test]
    fn in_any_order_one_run_is_under_way_and_no_answer_is_older_than_the_cache_time(
        events in prop::collection::vec(event(), 0..60)
    ) {
        let mut flight = Flight::default();
        let mut now = start();
        let (mut running, mut told_of_running, mut found_at) = (None, false, None);
        for event in events {
            match (event, running) {
                (Event::Ask, _) => match flight.ask(now, CACHE) {
                    Ask::Begin(run) => {
                        prop_assert!(running.is_none(), "two at a time");
                        running = Some(run);
                        told_of_running = false;
                    }
                    Ask::Join(run) => prop_assert!(running == Some(run) && !told_of_running),
                    Ask::Use => {
                        let young = found_at.is_some_and(|at| now.duration_since(at) < Duration::from_secs(1));
                        prop_assert!(young || (running.is_some() && told_of_running));
                    }
                },
                (Event::Tell, Some(run)) if !told_of_running => {
                    flight.tell(run, taken(Finding::passing(), now));
                    told_of_running = true;
                    found_at = Some(now);
                    prop_assert!(flight.has_told(run));
                }
                (Event::End, Some(run)) if told_of_running => {
                    flight.end(run);
                    running = None;
                }
                (Event::Pass(ms), _) => now = now.checked_add(Duration::from_millis(ms)).unwrap(),
                _ => {}
            }
        }
    }
}
