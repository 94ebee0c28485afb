//! Each way to open, to probe and to close; and that no history lets two probes run, or probes without a rest.
#![expect(clippy::arithmetic_side_effects, reason = "a test's own small numbers")]

use proptest::prelude::*;

use super::*;

const OPEN_AFTER: u32 = 5;
const SECOND: Duration = Duration::from_secs(1);

fn start() -> (Breaker, Instant) {
    (Breaker::new(OPEN_AFTER, RESTS), tokio::time::Instant::now().into_std())
}

fn call(breaker: &mut Breaker, kind: Kind, now: Instant) -> Option<Change> {
    breaker.began(Sent::Call);
    breaker.ended(Sent::Call, Outcome::of(kind), now, u64::MAX)
}

/// One that is open since `now`, and until the longest first rest is over.
fn open(now: Instant) -> Breaker {
    let mut breaker = Breaker::new(OPEN_AFTER, RESTS);
    for _ in 0..OPEN_AFTER {
        call(&mut breaker, Kind::Unreachable, now);
    }
    breaker
}

/// The probe that may be sent now.
fn probe(breaker: &mut Breaker, now: Instant) -> Sent {
    let Admission::Probe(number) = breaker.admit(now) else { panic!("{:?}", breaker.state()) };
    Sent::Probe(number)
}

#[test]
fn only_what_says_that_the_registry_is_away_opens_it() {
    for (kind, opens) in [
        (Kind::Unreachable, true),
        (Kind::Timeout, true),
        (Kind::Unavailable, true),
        (Kind::Busy, true),
        (Kind::Denied, false),
        (Kind::NotFound, false),
        (Kind::Rejected, false),
        (Kind::Malformed, false),
        (Kind::Conflict, false),
        (Kind::Moved, false),
        (Kind::Config, false),
        (Kind::Closed, false),
    ] {
        let (mut breaker, now) = start();
        let changes: Vec<_> = (0..20).filter_map(|_| call(&mut breaker, kind, now)).collect();
        assert_eq!(changes, if opens { vec![Change::Opened] } else { vec![] }, "{kind:?}");
    }
}

#[test]
fn it_opens_at_the_fifth_failure_and_an_answer_between_starts_the_count_anew() {
    let (mut breaker, now) = start();
    for _ in 0..4 {
        assert_eq!(call(&mut breaker, Kind::Timeout, now), None);
    }
    // A refused token is an answer of a registry that lives.
    assert_eq!(call(&mut breaker, Kind::Denied, now), None);
    for _ in 0..4 {
        assert_eq!(call(&mut breaker, Kind::Timeout, now), None);
    }
    assert_eq!(breaker.admit(now), Admission::Call);
    assert_eq!(call(&mut breaker, Kind::Timeout, now), Some(Change::Opened));
    assert!(matches!(breaker.admit(now), Admission::NotBefore(_)));
}

#[test]
fn it_opens_when_all_of_several_watches_break_at_once() {
    let broken = |open: u32, breaks: u32, apart: Duration| {
        let (mut breaker, mut now) = start();
        (0..open).for_each(|_| breaker.began(Sent::Watch));
        let mut changes = Vec::new();
        for _ in 0..breaks {
            changes.extend(breaker.ended(Sent::Watch, Outcome::Failed, now, 0));
            now += apart;
        }
        changes.len()
    };
    let at_once = Duration::ZERO;
    assert_eq!(broken(1, 1, at_once), 0, "one may be cut for a reason of its own");
    assert_eq!(broken(2, 2, at_once), 1);
    assert_eq!(broken(3, 2, at_once), 0, "one still waits");
    assert_eq!(broken(3, 3, at_once), 1);
    assert_eq!(broken(3, 3, 2 * SECOND), 0, "not together");
    assert_eq!(broken(1_000, 1_000, at_once), 1, "said once, after five of them");
}

#[test]
fn a_dropped_watch_is_no_break_and_leaves_the_set() {
    let (mut breaker, now) = start();
    (0..3).for_each(|_| breaker.began(Sent::Watch));
    assert_eq!(breaker.ended(Sent::Watch, Outcome::Nothing, now, 0), None);
    assert_eq!(breaker.ended(Sent::Watch, Outcome::Failed, now, 0), None);
    assert_eq!(breaker.ended(Sent::Watch, Outcome::Failed, now, 0), Some(Change::Opened));
}

#[test]
fn one_probe_after_the_rest_and_the_rests_grow_to_two_and_a_half_seconds() {
    let (_, mut now) = start();
    let mut breaker = open(now);
    let mut rests = Vec::new();
    for _ in 0..6 {
        let Admission::NotBefore(until) = breaker.admit(now) else { panic!("{:?}", breaker.state()) };
        rests.push((until - now).as_secs_f32());
        now = until;
        let probe = probe(&mut breaker, now);
        assert_eq!(breaker.admit(now), Admission::Probing, "the second waits for the first");
        assert_eq!(breaker.ended(probe, Outcome::Failed, now, u64::MAX), Some(Change::ProbeFailed));
    }
    assert_eq!(rests.iter().map(|rest| rest.round()).collect::<Vec<_>>(), [1.0, 1.0, 2.0, 3.0, 3.0, 3.0]);
    assert!(rests.iter().all(|rest| *rest <= 2.501), "{rests:?}");
}

#[test]
fn any_success_closes_it_and_says_since_when_it_was_away() {
    for older in [Some(Sent::Call), Some(Sent::Watch), None] {
        let (_, now) = start();
        let mut breaker = open(now);
        let later = now + 60 * SECOND;
        let sent = older.unwrap_or_else(|| probe(&mut breaker, later));
        let change = breaker.ended(sent, Outcome::Alive, later, 0);
        assert_eq!(change, Some(Change::Closed { since: now }));
        assert_eq!(breaker.admit(later), Admission::Call);
        assert_eq!(call(&mut breaker, Kind::Timeout, later), None, "the count starts anew");
    }
}

#[test]
fn a_dropped_probe_leaves_the_place_to_the_next_after_a_rest() {
    let (_, now) = start();
    let mut breaker = open(now);
    let later = now + SECOND;
    let first = probe(&mut breaker, later);
    assert_eq!(breaker.ended(first, Outcome::Nothing, later, 0), Some(Change::ProbeFailed));
    let Admission::NotBefore(until) = breaker.admit(later) else { panic!("{:?}", breaker.state()) };
    assert!(until > later);
    assert_ne!(probe(&mut breaker, until), first);
}

#[test]
fn a_failure_of_an_older_call_neither_ends_the_probe_nor_the_rest() {
    let (_, now) = start();
    let mut breaker = open(now);
    let before = breaker.state();
    assert_eq!(call(&mut breaker, Kind::Timeout, now), None);
    assert_eq!(breaker.state(), before);
    let later = now + SECOND;
    probe(&mut breaker, later);
    assert_eq!(call(&mut breaker, Kind::Timeout, later), None);
    assert_eq!(breaker.admit(later), Admission::Probing);
}

#[test]
fn a_probe_that_is_left_from_the_outage_before_decides_nothing() {
    let (_, now) = start();
    let mut breaker = open(now);
    let old = probe(&mut breaker, now + SECOND);
    // An older call is answered, and then all fail again.
    breaker.ended(Sent::Call, Outcome::Alive, now + SECOND, 0);
    for _ in 0..OPEN_AFTER {
        call(&mut breaker, Kind::Timeout, now + SECOND);
    }
    probe(&mut breaker, now + 4 * SECOND);
    for outcome in [Outcome::Nothing, Outcome::Failed] {
        assert_eq!(breaker.ended(old, outcome, now + 4 * SECOND, 0), None);
        assert_eq!(breaker.admit(now + 8 * SECOND), Admission::Probing);
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Admit,
    End(usize, Outcome),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        1 => Just(Outcome::Alive),
        6 => Just(Outcome::Failed),
        1 => Just(Outcome::Nothing)
    ];
    prop_oneof![
        3 => Just(Step::Admit),
        3 => (0..8usize, outcome).prop_map(|(which, outcome)| Step::End(which, outcome)),
        1 => (1..1_500u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn one_probe_at_a_time_with_a_rest_between_and_no_history_keeps_it_open(
        steps in prop::collection::vec((step(), any::<u64>()), 1..200)
    ) {
        let (mut breaker, mut now) = start();
        let mut open: Vec<Sent> = Vec::new();
        let mut last_probe: Option<Instant> = None;
        let mut current: Option<Sent> = None;
        for (step, roll) in steps {
            match step {
                Step::Pass(millis) => now += Duration::from_millis(millis),
                Step::Admit => match breaker.admit(now) {
                    Admission::Call => {
                        let sent = if roll % 2 == 0 { Sent::Call } else { Sent::Watch };
                        breaker.began(sent);
                        open.push(sent);
                    }
                    Admission::Probe(number) => {
                        prop_assert!(current.is_none_or(|other| !open.contains(&other)));
                        if let Some(last) = last_probe {
                            prop_assert!(now.duration_since(last) >= Duration::from_millis(249));
                        }
                        breaker.began(Sent::Probe(number));
                        open.push(Sent::Probe(number));
                        current = Some(Sent::Probe(number));
                    }
                    Admission::Probing => prop_assert!(current.is_some_and(|probe| open.contains(&probe))),
                    Admission::NotBefore(until) => {
                        prop_assert!(until > now && until - now <= Duration::from_millis(2_501));
                    }
                },
                Step::End(which, outcome) if !open.is_empty() => {
                    let sent = open.remove(which % open.len());
                    if current == Some(sent) {
                        last_probe = Some(now);
                    }
                    let change = breaker.ended(sent, outcome, now, roll);
                    if outcome == Outcome::Alive {
                        prop_assert_eq!(breaker.state(), State::Closed);
                        (last_probe, current) = (None, None);
                    } else {
                        let closed = matches!(change, Some(Change::Closed { .. }));
                        prop_assert!(!closed, "closed by no success");
                    }
                }
                Step::End(..) => {}
            }
        }
        // Whatever happened: once all calls have ended, a probe goes out within a rest.
        for sent in open {
            breaker.ended(sent, Outcome::Nothing, now, 1);
        }
        let later = now + 3 * SECOND;
        prop_assert!(matches!(breaker.admit(later), Admission::Call | Admission::Probe(_)));
    }
}
