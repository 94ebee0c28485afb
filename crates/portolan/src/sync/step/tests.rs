//! A test for each rule; in `tests/model.rs` a property against a model registry that restarts, forgets and fails.
#![expect(clippy::arithmetic_side_effects, reason = "a test's own small numbers")]

use super::*;
use crate::{
    ViewConfig,
    model::Identity,
    snapshot::{Freshness, Hidden, Source},
    sync::{Suspicion, rules::BETWEEN_ESCALATIONS},
};

const ROLL: u64 = u64::MAX / 2;
const WAIT: Duration = Duration::from_secs(30);
const HOLD: Duration = Duration::from_secs(10);

fn settings() -> Settings {
    Settings {
        wait: WAIT,
        max_stale: Some(Duration::from_secs(10)),
        hold: HOLD,
        reconcile: None,
        idle: None,
        ..ViewConfig::default().settings()
    }
}

fn instance(id: u8) -> Instance {
    Instance::new(Identity::new("dc1", "n1", &format!("web-{id}")), "web", "10.0.0.1", 1000 + u16::from(id))
}

fn answer(ids: &[u8], index: u64) -> Answer<Vec<Arc<Instance>>> {
    Answer::new(ids.iter().map(|id| Arc::new(instance(*id))).collect(), index)
}

/// A machine with a clock of its own.
struct Bench {
    state: State,
    now: Instant,
    last: Option<Arc<Snapshot>>,
}

impl Bench {
    fn new() -> Self {
        let now = tokio::time::Instant::now().into_std();
        Self::set(settings(), now)
    }

    fn set(settings: Settings, now: Instant) -> Self {
        let nothing = Snapshot::nothing(ServiceName::new("web").unwrap());
        let mut bench = Self { state: State::new(nothing, settings, now), now, last: None };
        assert_eq!(bench.give(Input::Start).next, ask(None, Consistency::Stale));
        bench
    }

    /// A machine that follows `ids` at `index`.
    fn following(ids: &[u8], index: u64) -> Self {
        let mut bench = Self::new();
        assert_eq!(bench.give(Input::Answer(answer(ids, index))).next, follow(index));
        bench
    }

    fn give(&mut self, input: Input) -> Turn {
        let turn = self.state.on(input, self.now, ROLL);
        if let Some(next) = &turn.publish {
            self.last = Some(Arc::clone(next));
        }
        turn
    }

    fn answer(&mut self, ids: &[u8], index: u64) -> Turn {
        self.give(Input::Answer(answer(ids, index)))
    }

    fn fail(&mut self, kind: Kind) -> Turn {
        self.give(Input::Failed { kind, text: "no".into() })
    }

    fn shown(&self) -> (Vec<u16>, Vec<u16>) {
        let ports = |list: &[Arc<Instance>]| list.iter().map(|one| one.port - 1000).collect();
        let last = self.last.as_ref().unwrap();
        (ports(last.instances()), ports(last.held()))
    }
}

fn ask(block: Option<Block>, consistency: Consistency) -> Next {
    Next::Ask(Ask { block, consistency })
}

fn follow(index: u64) -> Next {
    ask(Some(Block { index, wait: settings().jittered_wait(ROLL) }), Consistency::Stale)
}

#[test]
fn b1_the_first_read_does_not_wait_and_the_next_waits_on_its_index() {
    let mut bench = Bench::new();
    assert_eq!(bench.answer(&[1], 7).next, follow(7));
    assert_eq!(bench.answer(&[1], 9).next, follow(9));
}

#[test]
fn b3_a_return_is_no_proof_of_change() {
    let mut bench = Bench::following(&[1, 2], 7);
    let before = bench.last.clone().unwrap();
    bench.now += WAIT;
    bench.answer(&[1, 2], 8);
    let after = bench.last.clone().unwrap();
    assert!(Arc::ptr_eq(&before.instances, &after.instances), "equal content keeps its allocation");
    assert!(after.freshness.confirmed > before.freshness.confirmed, "but it is a newer proof");
}

#[test]
fn b4_a_lower_index_reads_again_from_zero_and_its_content_is_not_used() {
    for (had, got, asks_from_zero) in [(9, 8, true), (9, 1, true), (9, 9, false), (9, 10, false)] {
        let mut bench = Bench::following(&[1, 2], had);
        let turn = bench.answer(&[3], got);
        let expected = if asks_from_zero { ask(None, Consistency::Stale) } else { follow(got) };
        assert_eq!(turn.next, expected, "had {had}, got {got}");
        assert_eq!(turn.publish.is_none(), asks_from_zero, "had {had}, got {got}");
        if asks_from_zero {
            assert_eq!(turn.event, Some(Event::IndexWentBack { had, got, times: 1 }));
            assert_eq!(bench.answer(&[1, 3], got).next, ask(None, Consistency::Consistent));
            assert_eq!(bench.answer(&[1, 3], got).next, follow(got));
            assert_eq!(bench.shown(), (vec![1, 3], vec![2]));
        }
    }
}

#[test]
fn b5_a_missing_or_zero_index_is_one() {
    let mut bench = Bench::new();
    let mut zero = answer(&[1], 1);
    zero.meta.index = 0;
    assert_eq!(bench.give(Input::Answer(zero)).next, follow(1));
    assert_eq!(Answer::new((), 0).meta.index, 1, "the edge says so too");
}

#[test]
fn b3_the_same_index_confirms_and_waits_again() {
    let mut bench = Bench::following(&[1], 7);
    bench.now += WAIT;
    let turn = bench.answer(&[1], 7);
    assert_eq!(turn.next, follow(7));
    assert_eq!(turn.publish.unwrap().freshness.confirmed, Some(bench.now));
}

#[test]
fn b7_an_absent_service_waits_and_does_not_spin() {
    let mut bench = Bench::new();
    assert_eq!(bench.answer(&[], 1).next, follow(1));
    assert_eq!(bench.answer(&[], 12).next, follow(12));
}

#[test]
fn b11_an_empty_answer_with_a_lower_index_is_confirmed_by_the_leader_and_then_held() {
    let mut bench = Bench::following(&[1, 2], 90);
    assert_eq!(bench.answer(&[], 3).next, ask(None, Consistency::Stale));
    let turn = bench.answer(&[], 3);
    assert_eq!(turn.next, ask(None, Consistency::Consistent));
    assert_eq!(turn.event, Some(Event::Suspect { had: 2, got: 0 }));
    assert!(turn.publish.is_none());
    assert_eq!(bench.answer(&[], 3).next, follow(3));
    assert_eq!(bench.shown(), (vec![], vec![1, 2]));

    // One returns, and is held no longer; the other's time ends though nothing else happens.
    bench.answer(&[1], 5);
    assert_eq!(bench.shown(), (vec![1], vec![2]));
    let ends = bench.state.deadline().unwrap();
    assert!(bench.state.expire(ends.checked_sub(Duration::from_millis(1)).unwrap()).is_none());
    let last = bench.state.expire(ends).unwrap();
    assert_eq!((last.instances().len(), last.held().len()), (1, 0));
    assert_eq!(bench.state.deadline(), None);
}

#[test]
fn b18_what_a_server_shows_while_it_replays_its_log_is_confirmed_by_the_leaders_first() {
    // Each an earlier state of the registry: 2 was not there yet, or 3 was still there, or will be there once more.
    for earlier in [&[1, 3][..], &[1], &[1, 2], &[1, 2, 3], &[3]] {
        let mut bench = Bench::following(&[1, 2], 90);
        bench.fail(Kind::Unreachable);
        bench.give(Input::Timer);
        let turn = bench.answer(earlier, 40);
        assert_eq!(turn.next, ask(None, Consistency::Consistent), "{earlier:?}");
        assert!(turn.publish.is_none(), "{earlier:?}");
        assert_eq!(bench.answer(&[1, 2], 90).next, follow(90));
        assert_eq!(bench.shown(), (vec![1, 2], vec![]), "{earlier:?}");
    }
    let mut gone = Bench::following(&[], 90);
    gone.fail(Kind::Unreachable);
    gone.give(Input::Timer);
    assert_eq!(
        gone.answer(&[1], 40).next,
        ask(None, Consistency::Consistent),
        "it came back only in the log"
    );

    let mut wished = Bench::following(&[1, 2], 90);
    wished.give(Input::Wished(1));
    let Next::Ask(_) = wished.give(Input::Aside(Ok(answer(&[1, 3], 40)))).next else { panic!() };
    assert_eq!(
        wished.answer(&[1, 3], 40).next,
        ask(None, Consistency::Consistent),
        "the leader itself may replay"
    );
}

#[test]
fn what_answers_in_the_place_of_a_held_instance_ends_its_hold() {
    let mut bench = Bench::following(&[1], 90);
    bench.answer(&[], 3);
    bench.answer(&[], 3);
    bench.answer(&[], 3);
    assert_eq!(bench.shown(), (vec![], vec![1]));
    let mut reborn = instance(1);
    reborn.identity = Identity::new("dc1", "n1", "web-1-another-life");
    bench.give(Input::Answer(Answer::new(vec![reborn.into()], 4)));
    assert_eq!(bench.shown(), (vec![1], vec![]));
}

#[test]
fn a_mass_loss_after_a_break_is_confirmed_and_one_on_a_healthy_stream_is_believed() {
    let mut broken = Bench::following(&[1, 2, 3, 4], 90);
    broken.fail(Kind::Unreachable);
    assert_eq!(broken.give(Input::Timer).next, ask(None, Consistency::Stale));
    assert_eq!(broken.answer(&[1], 95).next, ask(None, Consistency::Consistent));
    broken.answer(&[1], 95);
    assert_eq!(broken.shown(), (vec![1], vec![]), "the index went on, so the leader's word is the truth");

    let mut healthy = Bench::following(&[1, 2, 3, 4], 90);
    healthy.answer(&[], 91);
    assert_eq!(healthy.shown(), (vec![], vec![]), "deregistered on a healthy stream");

    let mut small = Bench::following(&[1, 2, 3], 90);
    small.fail(Kind::Unreachable);
    small.give(Input::Timer);
    small.answer(&[1], 95);
    assert_eq!(small.shown(), (vec![1], vec![]), "two of three is an ordinary day");
}

#[test]
fn a_hold_is_not_prolonged_by_further_resets() {
    let mut bench = Bench::following(&[1, 2], 90);
    for _ in 0..3 {
        bench.answer(&[], 3);
    }
    let ends = bench.state.deadline().unwrap();
    bench.answer(&[1], 4);
    for _ in 0..3 {
        bench.answer(&[], 1);
    }
    assert_eq!(bench.shown(), (vec![], vec![1, 2]));
    assert_eq!(bench.state.deadline(), Some(ends));
}

#[test]
fn an_error_keeps_what_is_known_rests_and_reads_from_zero() {
    for kind in
        [Kind::Unreachable, Kind::Timeout, Kind::Unavailable, Kind::Malformed, Kind::Busy, Kind::Denied]
    {
        let mut bench = Bench::following(&[1, 2], 7);
        let turn = bench.fail(kind);
        assert_eq!(turn.event, Some(Event::Failing));
        let Next::RestUntil(until) = turn.next else { panic!("{kind:?}: no rest") };
        assert!(until > bench.now, "{kind:?}");
        assert_eq!(bench.shown(), (vec![1, 2], vec![]), "{kind:?}");
        let failure = bench.last.as_ref().unwrap().failure().unwrap();
        assert_eq!((failure.kind, failure.count), (kind, 1));
        bench.now = until;
        assert_eq!(bench.give(Input::Timer).next, ask(None, Consistency::Stale));
        assert_eq!(bench.answer(&[1, 2], 7).event, Some(Event::Recovered));
        assert!(bench.last.as_ref().unwrap().failure().is_none());
    }
}

#[test]
fn e1_rests_grow_with_failures_and_a_refused_token_rests_longest() {
    let rest = |kind: Kind, failures: u32| {
        let mut bench = Bench::following(&[1], 7);
        let mut rest = Duration::ZERO;
        for _ in 0..failures {
            let Next::RestUntil(until) = bench.fail(kind).next else { panic!("no rest") };
            rest = until - bench.now;
        }
        rest
    };
    assert!(rest(Kind::Unreachable, 1) < Duration::from_millis(250));
    assert!(rest(Kind::Unreachable, 5) > rest(Kind::Unreachable, 2));
    assert!(rest(Kind::Unreachable, 50) <= Duration::from_secs(5));
    assert!(rest(Kind::Denied, 1) > rest(Kind::Busy, 1));
    assert!(rest(Kind::Busy, 1) > rest(Kind::Unreachable, 1));
}

#[test]
fn e1_what_asks_for_patience_once_after_an_outage_gets_it_once() {
    for (kind, most) in [(Kind::Busy, 1), (Kind::Denied, 5), (Kind::Unavailable, 5)] {
        let mut bench = Bench::following(&[1], 7);
        for _ in 0..12 {
            bench.fail(Kind::Unreachable);
        }
        let rest = |bench: &mut Bench, times: u32| {
            let mut rest = Duration::ZERO;
            for _ in 0..times {
                let Next::RestUntil(until) = bench.fail(kind).next else { panic!("{kind:?}: no rest") };
                rest = until - bench.now;
            }
            rest
        };
        let once = rest(&mut bench, 1);
        assert!(once <= Duration::from_secs(most), "{kind:?}: {once:?}");
        // Whoever answers in turn so and otherwise is not asked the more often for it.
        bench.fail(Kind::Timeout);
        assert!(kind == Kind::Unavailable || rest(&mut bench, 1) > once, "{kind:?}: and again");
        assert!(kind == Kind::Unavailable || rest(&mut bench, 9) > Duration::from_secs(20), "{kind:?}");
        bench.now += Duration::from_secs(60);
        bench.give(Input::Timer);
        bench.answer(&[1], 8);
        assert_eq!(rest(&mut bench, 1), rest(&mut Bench::following(&[1], 7), 1), "an answer ends it");
    }
}

#[test]
fn c3_reads_are_stale_by_default_and_a_too_stale_answer_asks_the_leader_once() {
    let stale = |ids: &[u8], index, seconds| {
        let mut answer = answer(ids, index);
        answer.meta.last_contact = Some(Duration::from_secs(seconds));
        answer.meta.known_leader = Some(true);
        Input::Answer(answer)
    };
    let mut bench = Bench::following(&[1], 7);
    let turn = bench.give(stale(&[2], 8, 11));
    assert_eq!(turn.next, ask(None, Consistency::Default));
    assert!(turn.publish.is_none());
    assert_eq!(bench.answer(&[3], 9).next, follow(9));
    assert_eq!(bench.shown(), (vec![3], vec![]));
    // So soon again it is taken for what it is, and its age says so.
    assert_eq!(bench.give(stale(&[4], 10, 12)).next, follow(10));
    let age = bench.last.as_ref().unwrap().freshness.age(bench.now).unwrap();
    assert_eq!(age, Duration::from_secs(12));
    bench.now += BETWEEN_ESCALATIONS;
    assert_eq!(bench.give(stale(&[4], 10, 12)).next, ask(None, Consistency::Default));
}

#[test]
fn c3_without_a_leader_a_stale_answer_is_what_there_is() {
    let mut bench = Bench::following(&[1], 7);
    let mut stale = answer(&[1, 2], 8);
    stale.meta.last_contact = Some(Duration::from_secs(100));
    stale.meta.known_leader = Some(false);
    assert_eq!(bench.give(Input::Answer(stale)).next, follow(8));
    assert_eq!(bench.shown(), (vec![1, 2], vec![]));
}

#[test]
fn c3_the_age_of_an_agents_cache_counts() {
    let mut bench = Bench::new();
    let mut cached = answer(&[1], 7);
    cached.meta.cache_age = Some(Duration::from_secs(3));
    bench.give(Input::Answer(cached));
    let freshness = bench.last.as_ref().unwrap().freshness();
    assert_eq!(freshness.age(bench.now), Some(Duration::from_secs(3)));
}

#[test]
fn c4_streaming_says_that_the_age_means_nothing() {
    let mut bench = Bench::new();
    let mut streamed = answer(&[1], 7);
    streamed.meta.streaming = true;
    streamed.meta.last_contact = Some(Duration::ZERO);
    bench.give(Input::Answer(streamed));
    assert!(bench.last.as_ref().unwrap().freshness.streaming);
}

#[test]
fn h4_what_access_rules_hide_is_told() {
    for (filtered, maybe, ids, expected) in [
        (Some(true), false, &[][..], Hidden::Yes),
        (Some(true), false, &[1][..], Hidden::Yes),
        (Some(false), true, &[][..], Hidden::No),
        (None, true, &[][..], Hidden::Maybe),
        (None, true, &[1][..], Hidden::No),
        (None, false, &[][..], Hidden::No),
    ] {
        let mut bench = Bench::new();
        let mut answer = answer(ids, 7);
        answer.meta.filtered_by_acls = filtered;
        answer.meta.maybe_acl = maybe;
        bench.give(Input::Answer(answer));
        assert_eq!(bench.last.as_ref().unwrap().hidden(), expected, "{filtered:?} {maybe} {ids:?}");
    }
}

#[test]
fn a_machine_that_is_started_again_remembers_what_was_known() {
    let before = Bench::following(&[1, 2], 90);
    let now = before.now;
    let known = (*before.last.unwrap()).clone();
    let mut bench =
        Bench { state: State::new(known.clone(), settings(), now), now, last: Some(Arc::new(known)) };
    bench.give(Input::Start);
    assert_eq!(
        bench.answer(&[], 3).next,
        ask(None, Consistency::Consistent),
        "an older life is still noticed"
    );
}

#[test]
fn what_a_cache_remembers_is_taken_only_when_it_is_newer_than_what_is_known() {
    let second = Duration::from_secs(1);
    let cached = |ids: &[u8], source, confirmed: Instant, admitted| {
        let mut cached = Snapshot::nothing(ServiceName::new("web").unwrap());
        cached.instances = ids.iter().map(|id| Arc::new(instance(*id))).collect();
        let freshness =
            Freshness { source, index: 40, confirmed: Some(confirmed), admitted, streaming: false };
        cached.freshness = Arc::new(freshness);
        cached
    };
    let ago = |bench: &Bench, ago| bench.now.checked_sub(ago).unwrap();
    // Nothing is known: even an old one is better.
    let mut bench = Bench::new();
    let disk = cached(&[1, 2], Source::Disk, bench.now, second * 3600);
    let shown = bench.state.remember(disk, bench.now).unwrap();
    assert_eq!((shown.instances().len(), shown.freshness().source), (2, Source::Disk));
    assert_eq!(shown.freshness().age(bench.now), Some(second * 3600));
    // A newer one from the shared cache, but not an older one from disk after that.
    let shared = cached(&[2], Source::Shared, ago(&bench, second * 3), Duration::ZERO);
    assert!(bench.state.remember(shared, bench.now).is_some());
    let disk = cached(&[1, 2], Source::Disk, ago(&bench, second * 4), Duration::ZERO);
    assert!(bench.state.remember(disk, bench.now).is_none());
    // Its index counts: an empty answer below it is confirmed before it is believed, and held.
    assert_eq!(bench.answer(&[], 3).next, ask(None, Consistency::Consistent));
    bench.answer(&[], 3);
    assert_eq!(bench.shown(), (vec![], vec![2]));
    // Over a live answer only what is newer than it.
    let older = cached(&[1], Source::Shared, ago(&bench, second), Duration::ZERO);
    assert!(bench.state.remember(older, bench.now).is_none());
    bench.now += second * 20;
    let newer = cached(&[1], Source::Shared, ago(&bench, second), Duration::ZERO);
    assert!(bench.state.remember(newer, bench.now).is_some());
}

#[test]
fn each_wait_is_a_little_shorter_than_the_setting_so_that_renewals_do_not_line_up() {
    let mut bench = Bench::following(&[1], 7);
    let mut waits = Vec::new();
    for roll in [0, u64::MAX / 2, u64::MAX] {
        let turn = bench.state.on(Input::Answer(answer(&[1], 7)), bench.now, roll);
        let Next::Ask(Ask { block: Some(block), .. }) = turn.next else { panic!("{turn:?}") };
        waits.push(block.wait);
    }
    assert!(waits.is_sorted_by(|one, next| one > next), "{waits:?}");
    assert!(waits[0] <= WAIT && waits[2] >= WAIT * 9 / 10, "{waits:?}");
}

#[test]
fn what_is_suspect_can_be_set_and_asked_of_the_leader_or_of_nobody() {
    let lost = |suspicion: Suspicion| {
        let settings = Settings { suspicion, ..settings() };
        let mut bench = Bench::set(settings, tokio::time::Instant::now().into_std());
        bench.answer(&[1, 2, 3], 90);
        bench.fail(Kind::Unreachable);
        bench.give(Input::Timer);
        bench.answer(&[1, 2], 95).next
    };
    assert_eq!(lost(Suspicion::default()), follow(95));
    let strict = Suspicion::default().at_least(2).share(0.3);
    assert_eq!(lost(strict), ask(None, Consistency::Consistent));
    assert_eq!(lost(strict.confirm(Confirm::Leader)), ask(None, Consistency::Default));
    assert_eq!(lost(strict.confirm(Confirm::Off)), follow(95));
}

#[test]
fn an_index_that_goes_back_again_and_again_is_counted() {
    let mut bench = Bench::following(&[1], 90);
    for times in 1..=4 {
        let event = bench.answer(&[1], 80).event;
        assert_eq!(event, Some(Event::IndexWentBack { had: 90, got: 80, times }));
        bench.answer(&[1], 90);
        bench.now += Duration::from_secs(5);
    }
    bench.now += Duration::from_secs(60);
    let event = bench.answer(&[1], 80).event;
    assert_eq!(event, Some(Event::IndexWentBack { had: 90, got: 80, times: 1 }), "a new minute");
}

#[test]
fn c4_a_plain_read_under_streaming_has_a_lower_index_and_that_is_no_other_life() {
    let streamed = |ids: &[u8], index| {
        let mut answer = answer(ids, index);
        answer.meta.streaming = true;
        Input::Answer(answer)
    };
    let mut bench = Bench::following(&[1, 2], 20);
    bench.give(streamed(&[1, 2], 500));
    bench.fail(Kind::Unreachable);
    bench.now += Duration::from_secs(5);
    bench.give(Input::Timer);
    assert_eq!(bench.answer(&[], 21).next, ask(None, Consistency::Consistent), "it may be from before");
    assert_eq!(bench.answer(&[], 21).next, follow(21));
    assert_eq!(bench.shown(), (vec![], vec![]), "all went while it was away: no hold");

    let mut wiped = Bench::following(&[1, 2], 20);
    wiped.give(streamed(&[1, 2], 500));
    wiped.fail(Kind::Unreachable);
    wiped.now += Duration::from_secs(5);
    wiped.give(Input::Timer);
    assert_eq!(wiped.answer(&[], 3).next, ask(None, Consistency::Consistent), "below the last plain one");
}

#[test]
fn b6_whatever_it_is_told_a_view_reads_ten_times_in_a_burst_and_then_four_times_a_second() {
    // Changes without end, an index that goes back each time, and users who wish without end.
    for told in 0..3u64 {
        let mut bench = Bench::following(&[1], 90);
        let (start, mut asks, mut round) = (bench.now, 2u32, 0u64);
        let mut next = follow(90);
        while bench.now < start + Duration::from_secs(20) {
            round += 1;
            let turn = match next {
                Next::RestUntil(until) => {
                    bench.now = until;
                    bench.give(Input::Timer)
                }
                _ if told == 0 => bench.answer(&[1], 90 + round),
                _ if told == 1 => bench.answer(&[1], 10 + round % 2),
                _ => {
                    bench.give(Input::Wished(round));
                    bench.answer(&[1], 90)
                }
            };
            asks += u32::from(matches!(turn.next, Next::Ask(_)));
            next = turn.next;
            let earned = u32::try_from(bench.now.duration_since(start).as_millis() / 250).unwrap();
            assert!(asks <= 11 + earned, "{told}: {asks} reads in {:?}", bench.now - start);
        }
        assert!(asks >= 80, "{told}: and no fewer than it may: {asks}");
    }
}

mod edges;
mod model;
mod wishes;
