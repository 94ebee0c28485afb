//! When checks run, on a clock that the test moves.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails, as it should")]

use super::*;
use crate::state::rows::{Ask, CheckSpec};

const SECOND: Duration = Duration::from_secs(1);

fn order(id: &str, generation: u64, every: u32) -> Arc<ProbeOrder> {
    let ask = Ask::Tcp { target: "127.0.0.1:1".into(), tls: None };
    let probe = Probe::Run { ask, interval: SECOND * every, timeout: None };
    Arc::new(ProbeOrder { generation, spec: Arc::new(CheckSpec::new(id, id, probe)) })
}

fn start() -> (Schedule, Instant) {
    (Schedule::new(Chance::new(1)), tokio::time::Instant::now().into_std())
}

#[test]
fn the_first_run_is_within_the_interval_and_the_next_one_an_interval_after_it_began() {
    let (mut schedule, now) = start();
    schedule.set(&"a".into(), Some(order("a", 1, 10)), now);
    let first = schedule.next().unwrap();
    assert!(first >= now && first <= now + SECOND * 10);
    assert!(schedule.take(now).is_none() || first == now);
    let run = schedule.take(first).unwrap();
    assert_eq!((schedule.next(), schedule.take(first + SECOND * 100).is_none()), (None, true), "it runs");
    schedule.done(&run, first + SECOND * 3);
    assert_eq!(schedule.next(), Some(first + SECOND * 10));
    let run = schedule.take(first + SECOND * 10).unwrap();
    schedule.done(&run, first + SECOND * 35);
    assert_eq!(schedule.next(), Some(first + SECOND * 35), "missed runs are not caught up on");
}

#[test]
fn those_that_come_together_do_not_run_together() {
    let (mut schedule, now) = start();
    for n in 0..100 {
        let id = format!("c{n}");
        schedule.set(&id.as_str().into(), Some(order(&id, n, 10)), now);
    }
    let mut at = BTreeSet::new();
    while let Some(next) = schedule.next() {
        at.insert(next);
        schedule.take(next).unwrap();
    }
    assert!(at.len() > 90, "{}", at.len());
    // Over the whole interval: each tenth of it has some.
    for tenth in 0..10 {
        let (from, to) = (now + SECOND * tenth, now + SECOND * (tenth + 1));
        let there = at.range(from..to).count();
        assert!((2..=25).contains(&there), "{there} in second {tenth}");
    }
}

#[test]
fn a_check_that_changed_or_went_while_it_ran_is_not_put_back() {
    let (mut schedule, now) = start();
    schedule.set(&"a".into(), Some(order("a", 1, 10)), now);
    let late = now + SECOND * 10;
    let old = schedule.take(late).unwrap();
    schedule.set(&"a".into(), Some(order("a", 2, 10)), late);
    schedule.done(&old, late);
    assert_eq!(schedule.due.len(), 1);
    assert_eq!(schedule.take(late + SECOND * 10).unwrap().generation, 2);
    schedule.set(&"a".into(), None, late);
    schedule.done(&order("a", 2, 10), late);
    assert_eq!((schedule.due.len(), schedule.known.len()), (0, 0));
}
