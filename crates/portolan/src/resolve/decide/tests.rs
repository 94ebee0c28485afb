//! Each rule of what is shown, and that no order of events shows stale instances without a mark.

use proptest::prelude::*;

use super::*;
use crate::testing::instance;

const SECOND: Duration = Duration::from_secs(1);

fn start() -> Instant {
    later(tokio::time::Instant::now().into_std(), 1_000)
}

fn later(now: Instant, seconds: u64) -> Instant {
    now.checked_add(Duration::from_secs(seconds)).unwrap()
}

fn ago(now: Instant, seconds: u64) -> Instant {
    now.checked_sub(Duration::from_secs(seconds)).unwrap()
}

/// One that was confirmed `age` seconds before `now`; `None`: never.
fn standing(now: Instant, age: Option<u64>, usable: bool) -> Standing {
    Standing {
        known: age.is_some(),
        answered: age.is_some(),
        usable: usable && age.is_some(),
        healthy: usable && age.is_some(),
        proof: age.map(|age| (ago(now, age), Duration::ZERO)),
        void: None,
        quality: Mark::Ordinary,
    }
}

#[test]
fn what_is_shown_by_age_usable_and_choice() {
    let now = start();
    let fallback = || OnStale::fallback([instance(9)]);
    let too_old = |at, seconds| Shown::TooOld(at, ago(now, seconds));
    use Shown::{Fallback, View};
    let (fresh, old, none) = (Some(1), Some(50), None);
    for (first, second, on_stale, expected) in [
        ((fresh, true), (fresh, true), OnStale::Fail, (View(0), Mark::Ordinary)),
        ((fresh, false), (fresh, true), OnStale::Fail, (View(1), Mark::Failover)),
        ((fresh, false), (fresh, false), OnStale::Fail, (View(0), Mark::Ordinary)),
        ((fresh, false), (none, false), fallback(), (View(0), Mark::Ordinary)),
        ((old, true), (fresh, true), OnStale::ServeStale, (View(0), Mark::Stale)),
        ((old, true), (fresh, true), OnStale::Fail, (View(1), Mark::Failover)),
        ((old, true), (fresh, true), fallback(), (View(1), Mark::Failover)),
        ((old, false), (old, true), OnStale::ServeStale, (View(1), Mark::Stale)),
        ((old, true), (old, true), OnStale::Fail, (too_old(0, 20), Mark::Stale)),
        ((old, true), (fresh, false), OnStale::Fail, (too_old(0, 20), Mark::Stale)),
        ((old, true), (old, true), fallback(), (Fallback, Mark::Fallback)),
        ((none, false), (none, false), OnStale::Fail, (View(0), Mark::Ordinary)),
        ((none, false), (none, false), fallback(), (Fallback, Mark::Fallback)),
        ((none, false), (fresh, true), fallback(), (View(1), Mark::Failover)),
    ] {
        let case = format!("{first:?} {second:?} {on_stale:?}");
        let select = Select::default().max_age(SECOND * 30, on_stale);
        let standings = [standing(now, first.0, first.1), standing(now, second.0, second.1)];
        let decision = decide(&standings, false, &select, now);
        assert_eq!((decision.shown, decision.mark), expected, "{case}");
        assert_eq!(decide(&standings, true, &select, now).shown, Shown::Override, "{case}");
    }
}

#[test]
fn a_healthy_instance_further_away_is_better_than_a_panic_with_none() {
    let now = start();
    let sick = Standing { healthy: false, quality: Mark::Panic, ..standing(now, Some(0), true) };
    let few = Standing { quality: Mark::Panic, ..standing(now, Some(0), true) };
    let well = standing(now, Some(0), true);
    let shown = |all: &[Standing]| {
        let decision = decide(all, false, &Select::default(), now);
        (decision.shown, decision.mark)
    };
    assert_eq!(shown(&[sick.clone(), well.clone()]), (Shown::View(1), Mark::Failover));
    assert_eq!(shown(&[sick.clone(), sick.clone()]), (Shown::View(0), Mark::Panic));
    assert_eq!(
        shown(&[few, well]),
        (Shown::View(0), Mark::Panic),
        "one healthy instance keeps its datacentre"
    );
}

#[test]
fn the_next_bound_is_the_soonest_that_is_not_passed_yet() {
    let now = start();
    let select = Select::default().max_age(SECOND * 30, OnStale::ServeStale);
    for (ages, until) in [
        (&[Some(10), Some(25), None][..], Some(5)),
        (&[Some(25), Some(10)], Some(5)),
        (&[Some(50), Some(10)], Some(20)),
        (&[Some(30), Some(10)], Some(20)),
        (&[Some(30)], None),
        (&[None], None),
    ] {
        let standings: Vec<Standing> = ages.iter().map(|age| standing(now, *age, true)).collect();
        let decision = decide(&standings, false, &select, now);
        assert_eq!(decision.until, until.map(|seconds| later(now, seconds)), "{ages:?}");
        assert_eq!(decide(&standings, false, &Select::default(), now).until, None, "no bound");
    }
}

#[test]
fn what_is_declared_void_is_past_every_bound() {
    let now = start();
    let void = Standing { void: Some(ago(now, 1)), ..standing(now, Some(50), true) };
    let shown = |select: &Select| {
        let decision = decide(std::slice::from_ref(&void), false, select, now);
        (decision.shown, decision.mark)
    };
    assert_eq!(shown(&Select::default()), (Shown::View(0), Mark::Stale));
    let fail = Select::default().on_stale(OnStale::Fail);
    assert_eq!(shown(&fail), (Shown::TooOld(0, ago(now, 1)), Mark::Stale));
}

#[test]
fn a_caller_waits_for_an_instance_or_for_every_datacentre() {
    let now = start();
    let (fresh, old, none) = (Some(1), Some(50), None);
    for (first, second, expected) in [
        ((fresh, true), (none, false), true),
        ((fresh, false), (none, false), false),
        ((fresh, false), (fresh, false), true),
        ((none, false), (fresh, true), true),
        ((none, false), (fresh, false), false),
        ((old, true), (none, false), false),
    ] {
        let select = Select::default().max_age(SECOND * 30, OnStale::ServeStale);
        let standings = [standing(now, first.0, first.1), standing(now, second.0, second.1)];
        assert_eq!(decide(&standings, false, &select, now).settled, expected, "{first:?} {second:?}");
    }
}

fn standings(now: Instant) -> impl Strategy<Value = Vec<Standing>> {
    let one = (proptest::option::of(0u64..90), any::<bool>(), any::<bool>(), proptest::option::of(0u64..3));
    let one = one.prop_map(move |(age, usable, healthy, void)| {
        let base = standing(now, age, usable);
        Standing { healthy: base.healthy && healthy, void: void.map(|seconds| ago(now, seconds)), ..base }
    });
    proptest::collection::vec(one, 1..5)
}

proptest! {
    #[test]
    fn nothing_past_the_bound_is_shown_as_ordinary(
        (standings, max_age, on_stale) in (
            standings(start()),
            proptest::option::of(1u64..60),
            prop_oneof![Just(OnStale::ServeStale), Just(OnStale::Fail), Just(OnStale::fallback([instance(9)]))],
        )
    ) {
        // Every proof lies at a whole second before one and the same moment.
        let now = standings.iter().filter_map(|one| one.proof).map(|(at, _)| at).max();
        let now = later(now.unwrap_or_else(start), 40);
        let select = Select { max_age: max_age.map(Duration::from_secs), on_stale, ..Select::default() };
        let decision = decide(&standings, false, &select, now);
        if let Shown::View(at) = decision.shown {
            let one = &standings[at];
            let past = one.ends(select.max_age).is_some_and(|end| end <= now);
            prop_assert_eq!(past && one.known, decision.mark == Mark::Stale);
            prop_assert!(!past || !one.usable || select.on_stale == OnStale::ServeStale);
            // Nothing changes before `until` by time alone.
            if let Some(until) = decision.until {
                prop_assert!(until > now);
                let before = decide(&standings, false, &select, until.checked_sub(Duration::from_nanos(1)).unwrap());
                prop_assert_eq!((before.shown, before.mark), (decision.shown, decision.mark));
            }
        }
    }
}
