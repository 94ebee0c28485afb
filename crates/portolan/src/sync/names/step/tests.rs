//! A test for each rule, and a property against a model registry that restarts, forgets, fails and is busy.
#![expect(clippy::arithmetic_side_effects, reason = "a test's own small numbers")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{sync::rules::BETWEEN_ESCALATIONS, testing::list};

const ROLL: u64 = u64::MAX / 2;
const WAIT: Duration = Duration::from_secs(30);
const HOLD: Duration = Duration::from_secs(10);

fn settings() -> Settings {
    crate::ViewConfig::default().wait(WAIT).max_stale(Some(Duration::from_secs(10))).hold(HOLD).settings()
}

/// A machine with a clock of its own.
struct Bench {
    state: State,
    now: Instant,
    last: Option<Arc<Catalog>>,
}

impl Bench {
    fn new() -> Self {
        let now = tokio::time::Instant::now().into_std();
        let mut bench = Self { state: State::new(Catalog::nothing(None), settings(), now), now, last: None };
        assert_eq!(bench.give(Input::Start).next, ask(None, Consistency::Stale));
        bench
    }

    /// A machine that follows `services` at `index`.
    fn following(services: &str, index: u64) -> Self {
        let mut bench = Self::new();
        assert_eq!(bench.answer(services, index).next, follow(index));
        bench
    }

    fn give(&mut self, input: Input) -> Turn {
        let turn = self.state.on(input, self.now, ROLL);
        if let Some(next) = &turn.publish {
            self.last = Some(Arc::clone(next));
        }
        turn
    }

    fn answer(&mut self, services: &str, index: u64) -> Turn {
        self.give(Input::Answer(list(services, index)))
    }

    fn fail(&mut self, kind: Kind) -> Turn {
        self.give(Input::Failed { kind, text: "no".into() })
    }

    /// Confirmed and held names.
    fn shown(&self) -> (String, String) {
        let names = |list: &ServiceTags| list.keys().map(AsRef::as_ref).collect::<Vec<_>>().join(" ");
        let last = self.last.as_ref().unwrap();
        (names(last.services()), names(last.held()))
    }
}

fn ask(block: Option<Block>, consistency: Consistency) -> Next {
    Next::Ask(Ask { block, consistency })
}

fn follow(index: u64) -> Next {
    ask(Some(Block { index, wait: WAIT }), Consistency::Stale)
}

fn shows(confirmed: &str, held: &str) -> (String, String) {
    (confirmed.to_owned(), held.to_owned())
}

#[test]
fn the_first_read_does_not_wait_and_the_next_waits_on_its_index() {
    let mut bench = Bench::new();
    assert_eq!(bench.answer("consul web", 7).next, follow(7));
    assert_eq!(bench.answer("consul db web", 9).next, follow(9));
    assert_eq!(bench.shown(), shows("consul db web", ""));
}

#[test]
fn a_missing_or_zero_index_is_one() {
    let mut bench = Bench::new();
    let mut zero = list("web", 1);
    zero.meta.index = 0;
    assert_eq!(bench.give(Input::Answer(zero)).next, follow(1));
}

#[test]
fn the_same_index_confirms_and_waits_again_and_equal_content_keeps_its_allocation() {
    let mut bench = Bench::following("web:a,b", 7);
    let before = bench.last.clone().unwrap();
    bench.now += WAIT;
    assert_eq!(bench.answer("web:a,b", 7).next, follow(7));
    let after = bench.last.clone().unwrap();
    assert!(Arc::ptr_eq(&before.services, &after.services));
    assert_eq!(after.freshness.confirmed, Some(bench.now));
}

#[test]
fn a_wake_up_without_a_difference_makes_the_gap_longer_up_to_a_second_and_then_polls() {
    let mut bench = Bench::following("web", 7);
    for (index, gap_ms) in [(8, 250), (9, 500), (10, 1000), (11, 1000), (12, 1000)] {
        let turn = bench.answer("web", index);
        assert_eq!(turn.next, Next::RestUntil(bench.now + Duration::from_millis(gap_ms)), "index {index}");
        bench.now += Duration::from_millis(gap_ms);
        let block = (index < 10).then_some(Block { index, wait: WAIT });
        assert_eq!(bench.give(Input::Timer).next, ask(block, Consistency::Stale), "index {index}");
    }
    // The catalogue is quiet again: so is the watch.
    assert_eq!(bench.answer("web", 12).next, follow(12));
    // A difference is no wake-up for nothing.
    let mut busy = Bench::following("web", 7);
    busy.answer("web", 8);
    busy.now += Duration::from_millis(250);
    busy.give(Input::Timer);
    assert_eq!(busy.answer("db web", 9).next, follow(9));
}

#[test]
fn the_gap_of_a_busy_catalogue_grows_with_what_a_read_costs() {
    let cost = Duration::from_millis(400);
    let mut bench = Bench::following("web", 7);
    let (start, mut reads, mut index) = (bench.now, 0, 7);
    let mut turn = bench.answer("web", 8);
    while bench.now - start < Duration::from_secs(60) {
        turn = match turn.next {
            Next::RestUntil(until) => {
                bench.now = until;
                bench.give(Input::Timer)
            }
            Next::Ask(_) => {
                reads += 1;
                index += 1;
                bench.now += cost;
                bench.answer("web", 8 + index)
            }
            Next::Sleep => panic!("a minute is not long"),
        };
    }
    // 0.4 s of cost and 2 s of rest each, but for the first few.
    assert!((24..=28).contains(&reads), "{reads} reads in a minute");
}

#[test]
fn a_lower_index_reads_again_from_zero_and_its_content_is_not_used() {
    for (had, got, asks_from_zero) in [(9, 8, true), (9, 1, true), (9, 9, false), (9, 10, false)] {
        let mut bench = Bench::following("db web", had);
        let turn = bench.answer("other", got);
        let expected = if asks_from_zero { ask(None, Consistency::Stale) } else { follow(got) };
        assert_eq!(turn.next, expected, "had {had}, got {got}");
        assert_eq!(turn.publish.is_none(), asks_from_zero, "had {had}, got {got}");
        if asks_from_zero {
            assert_eq!(turn.event, Some(Event::IndexWentBack { had, got }));
            assert_eq!(bench.answer("db new", got).next, ask(None, Consistency::Consistent));
            assert_eq!(bench.answer("db new", got).next, follow(got));
            assert_eq!(bench.shown(), shows("db new", "web"));
        }
    }
}

#[test]
fn a_list_that_lost_everything_but_the_registrys_own_with_a_lower_index_is_confirmed_and_then_held() {
    for wiped in ["consul", ""] {
        let mut bench = Bench::following("consul db web:x", 90);
        assert_eq!(bench.answer(wiped, 3).next, ask(None, Consistency::Stale));
        let turn = bench.answer(wiped, 3);
        assert_eq!(turn.next, ask(None, Consistency::Consistent));
        assert_eq!(turn.event, Some(Event::Suspect { had: 2, got: wiped.len() / 6 }));
        assert!(turn.publish.is_none());
        assert_eq!(bench.answer(wiped, 3).next, follow(3));
        let held = if wiped.is_empty() { "consul db web" } else { "db web" };
        assert_eq!(bench.shown(), shows(wiped, held));
        // One returns, and is held no longer; the others' time ends though nothing else happens.
        bench.answer("consul web:x", 5);
        assert_eq!(bench.shown(), shows("consul web", "db"));
        let ends = bench.state.deadline().unwrap();
        assert_eq!(ends, bench.now + HOLD);
        assert!(bench.state.expire(ends.checked_sub(Duration::from_millis(1)).unwrap()).is_none());
        let last = bench.state.expire(ends).unwrap();
        assert_eq!((last.services().len(), last.held().len()), (2, 0));
        assert_eq!(bench.state.deadline(), None);
    }
}

#[test]
fn a_registry_that_held_only_its_own_has_nothing_to_lose() {
    let mut bench = Bench::following("consul", 90);
    for _ in 0..2 {
        bench.answer("consul", 3);
    }
    assert_eq!(bench.answer("consul", 3).next, follow(3));
    assert_eq!(bench.shown(), shows("consul", ""));
}

#[test]
fn a_mass_loss_after_a_break_is_confirmed_and_one_on_a_healthy_stream_is_believed() {
    let mut broken = Bench::following("a b c consul d", 90);
    broken.fail(Kind::Unreachable);
    assert_eq!(broken.give(Input::Timer).next, ask(None, Consistency::Stale));
    assert_eq!(broken.answer("a consul", 95).next, ask(None, Consistency::Consistent));
    assert_eq!(broken.shown(), shows("a b c consul d", ""));
    broken.answer("a consul", 95);
    assert_eq!(broken.shown(), shows("a consul", ""), "the index went on, so the leader's word is the truth");

    let mut healthy = Bench::following("a b c consul d", 90);
    healthy.answer("consul", 91);
    assert_eq!(healthy.shown(), shows("consul", ""), "deregistered on a healthy stream");

    let mut small = Bench::following("a b c consul", 90);
    small.fail(Kind::Unreachable);
    small.give(Input::Timer);
    small.answer("a consul", 95);
    assert_eq!(small.shown(), shows("a consul", ""), "two of three is an ordinary day, consul not counted");
}

#[test]
fn a_hold_is_not_prolonged_by_further_resets() {
    let mut bench = Bench::following("a b", 90);
    for _ in 0..3 {
        bench.answer("", 3);
    }
    let ends = bench.state.deadline().unwrap();
    bench.now += Duration::from_secs(2);
    bench.answer("a", 4);
    for _ in 0..3 {
        bench.answer("", 1);
    }
    assert_eq!(bench.shown(), shows("", "a b"));
    assert_eq!(bench.state.deadline(), Some(ends));
}

#[test]
fn an_error_keeps_what_is_known_rests_and_reads_from_zero() {
    for kind in
        [Kind::Unreachable, Kind::Timeout, Kind::Unavailable, Kind::Malformed, Kind::Busy, Kind::Denied]
    {
        let mut bench = Bench::following("db web", 7);
        let turn = bench.fail(kind);
        assert_eq!(turn.event, Some(Event::Failing));
        let Next::RestUntil(until) = turn.next else { panic!("{kind:?}: no rest") };
        let mut rests = Rests::default();
        assert_eq!(until, bench.now + rests.after(kind, ROLL), "{kind:?}");
        assert_eq!(bench.shown(), shows("db web", ""), "{kind:?}");
        let failure = bench.last.as_ref().unwrap().failure().unwrap();
        assert_eq!((failure.kind, failure.count), (kind, 1));
        bench.now = until;
        assert_eq!(bench.give(Input::Timer).next, ask(None, Consistency::Stale));
        let again = bench.fail(kind);
        assert_eq!(again.event, None, "an outage is told once");
        assert_eq!(again.next, Next::RestUntil(bench.now + rests.after(kind, ROLL)));
        bench.now += Duration::from_secs(60);
        bench.give(Input::Timer);
        assert_eq!(bench.answer("db web", 7).event, Some(Event::Recovered));
        assert!(bench.last.as_ref().unwrap().failure().is_none());
    }
}

#[test]
fn a_too_stale_list_asks_the_leader_once_and_then_is_taken_for_what_it_is() {
    let stale = |services: &str, index, seconds| {
        let mut answer = list(services, index);
        answer.meta.last_contact = Some(Duration::from_secs(seconds));
        answer.meta.known_leader = Some(true);
        Input::Answer(answer)
    };
    let mut bench = Bench::following("a", 7);
    let turn = bench.give(stale("b", 8, 11));
    assert_eq!(turn.next, ask(None, Consistency::Default));
    assert!(turn.publish.is_none());
    assert_eq!(bench.answer("c", 9).next, follow(9));
    assert_eq!(bench.give(stale("d", 10, 12)).next, follow(10));
    let age = bench.last.as_ref().unwrap().freshness.age(bench.now).unwrap();
    assert_eq!(age, Duration::from_secs(12));
    bench.now += BETWEEN_ESCALATIONS;
    assert_eq!(bench.give(stale("d", 10, 12)).next, ask(None, Consistency::Default));
}

#[test]
fn what_nobody_used_for_fifteen_minutes_sleeps_until_somebody_does() {
    assert_eq!(IDLE.as_secs(), 900);
    let mut bench = Bench::following("a b c d", 7);
    bench.now += IDLE.checked_sub(Duration::from_secs(1)).unwrap();
    assert_eq!(bench.answer("a b c d", 7).next, follow(7));
    bench.state.used(bench.now);
    bench.now += Duration::from_secs(30);
    assert_eq!(bench.answer("a b c d", 7).next, follow(7), "it was used");
    bench.now += IDLE;
    assert_eq!(bench.answer("a b c d", 7).next, Next::Sleep);
    assert!(bench.last.as_ref().unwrap().asleep);
    bench.now += IDLE;
    assert_eq!(bench.give(Input::Woken).next, ask(None, Consistency::Stale));
    // Nobody looked while it slept, so a mass loss is confirmed as after any break.
    assert_eq!(bench.answer("a", 70).next, ask(None, Consistency::Consistent));
    bench.answer("a", 70);
    assert!(!bench.last.as_ref().unwrap().asleep);
    // Also in an outage: nobody is there to want the next try.
    bench.fail(Kind::Unreachable);
    bench.now += IDLE;
    assert_eq!(bench.give(Input::Timer).next, Next::Sleep);
}

#[test]
fn a_machine_that_is_started_again_remembers_what_was_known() {
    let before = Bench::following("a b", 90);
    let known = (*before.last.unwrap()).clone();
    let now = before.now;
    let mut bench =
        Bench { state: State::new(known.clone(), settings(), now), now, last: Some(Arc::new(known)) };
    bench.give(Input::Start);
    assert_eq!(
        bench.answer("", 3).next,
        ask(None, Consistency::Consistent),
        "an older life is still noticed"
    );
}

/// What a registry may go through.
#[derive(Clone, Debug)]
enum Fault {
    Put(u8, u8),
    Remove(u8),
    /// Something else changed, and the index moves, so many times with the next pauses.
    Busy,
    /// A new life: the index starts over, with or without the data.
    Restart {
        wiped: bool,
    },
    /// The next reads fail.
    Fail(u8),
    /// A follower that lags answers once: what it says is old.
    Lag,
    Nothing,
}

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => (0u8..8, 0u8..3).prop_map(|(name, tag)| Fault::Put(name, tag)),
        3 => (0u8..8).prop_map(Fault::Remove),
        4 => Just(Fault::Busy),
        1 => any::<bool>().prop_map(|wiped| Fault::Restart { wiped }),
        1 => (1u8..4).prop_map(Fault::Fail),
        1 => Just(Fault::Lag),
        1 => Just(Fault::Nothing),
    ]
}

/// A registry that a test can break.
struct Model {
    services: BTreeMap<u8, BTreeSet<u8>>,
    index: u64,
    fails: u8,
    old: Option<(ServiceTags, u64)>,
}

impl Model {
    fn apply(&mut self, fault: &Fault) {
        let before = (self.truth(), self.index);
        match fault {
            Fault::Put(name, tag) => {
                self.services.entry(*name).or_default().insert(*tag);
                self.index += 1;
            }
            Fault::Remove(name) => {
                if self.services.remove(name).is_some() {
                    self.index += 1;
                }
            }
            Fault::Busy => self.index += 3,
            Fault::Restart { wiped } => {
                if *wiped {
                    self.services.clear();
                }
                self.index = 1 + self.index / 10;
                self.fails = self.fails.max(1); // its connections break
                self.old = None; // and whoever lagged in the old life is not asked again
            }
            Fault::Fail(times) => self.fails = *times,
            Fault::Lag => self.old = Some(before),
            Fault::Nothing => {}
        }
    }

    fn truth(&self) -> ServiceTags {
        let one = |(name, tags): (&u8, &BTreeSet<u8>)| {
            (format!("s{name}").into(), tags.iter().map(|tag| format!("t{tag}").into()).collect())
        };
        self.services.iter().map(one).chain([("consul".into(), Vec::new())]).collect()
    }

    /// Answers a read; `None` while it would keep the caller waiting.
    fn read(&mut self, ask: Ask, waited: bool) -> Option<Input> {
        if self.fails > 0 {
            self.fails -= 1;
            return Some(Input::Failed { kind: Kind::Unreachable, text: "refused".into() });
        }
        if ask.consistency == Consistency::Stale
            && let Some((services, index)) = self.old.take()
        {
            return Some(Input::Answer(Answer::new(services, index)));
        }
        let new = ask.block.is_none_or(|block| self.index > block.index);
        (new || waited).then(|| Input::Answer(Answer::new(self.truth(), self.index)))
    }
}

proptest! {
    /// Law 1: after any finite run of faults the list equals the registry's, or says that it holds and equals it when
    /// the hold ends. And the rate: never more than ten reads and four a second.
    #[test]
    fn the_list_converges_after_any_faults(run in proptest::collection::vec((faults(), 0u64..3000), 0..60)) {
        let mut model = Model { services: BTreeMap::new(), index: 5, fails: 0, old: None };
        let start = tokio::time::Instant::now().into_std();
        let mut state = State::new(Catalog::nothing(None), settings(), start);
        let (mut now, mut asks, mut shown) = (start, 0u32, None);
        let mut turn = state.on(Input::Start, now, ROLL);
        // Less than one wait: what was missed must be learnt by reading, not by a wait that ends.
        let quiet = std::iter::repeat_n((Fault::Nothing, 2_000), 6);
        for (fault, pause) in run.into_iter().chain(quiet) {
            model.apply(&fault);
            let end = now + Duration::from_millis(pause);
            // The registry does nothing more until `end`; the watch does what it would.
            loop {
                if let Some(next) = turn.publish.take() { shown = Some(next); }
                let input = match turn.next.clone() {
                    Next::RestUntil(until) if until <= end => { now = now.max(until); Some(Input::Timer) }
                    Next::RestUntil(_) => None,
                    Next::Ask(ask) => model.read(ask, ask.block.is_some_and(|_| now + WAIT <= end)),
                    Next::Sleep => { prop_assert!(false, "it sleeps though it is used"); None }
                };
                let Some(input) = input else { break };
                asks += u32::from(!matches!(input, Input::Timer));
                state.used(now);
                turn = state.on(input, now, ROLL);
                let earned = u32::try_from(now.duration_since(start).as_millis() / 250).unwrap();
                prop_assert!(asks <= 11 + earned, "{asks} reads in {:?}", now.duration_since(start));
            }
            now = end;
        }
        if let Some(ends) = state.deadline() && let Some(next) = state.expire(now.max(ends)) {
            shown = Some(next);
        }
        prop_assert_eq!(state.deadline(), None, "a hold that ended goes on");
        let shown = shown.unwrap();
        prop_assert_eq!(shown.services(), &model.truth());
        prop_assert_eq!(shown.held().len(), 0);
    }
}
