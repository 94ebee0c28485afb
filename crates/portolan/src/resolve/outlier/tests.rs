//! Who is ejected, for how long, and how it comes back.
#![expect(clippy::arithmetic_side_effects, reason = "a test's numbers are small")]

use proptest::prelude::*;

use super::*;

/// A view's instances, and a clock.
struct Bench {
    outliers: Outliers,
    settings: Ejection,
    samples: Vec<Sample>,
    now: Instant,
}

const SECOND: Duration = Duration::from_secs(1);

impl Bench {
    fn of(count: u32, settings: Ejection) -> Self {
        let sample = |serial| Sample { serial, row: 0, tally: Tally::default() };
        let now = super::super::endpoint::now();
        let mut bench =
            Self { outliers: Outliers::default(), settings, samples: (0..count).map(sample).collect(), now };
        assert_eq!(bench.judge(), []);
        bench
    }

    fn answers(&mut self, at: usize, count: u32, micros: u64) {
        let one = &mut self.samples[at];
        one.row = 0;
        one.tally.outcomes = one.tally.outcomes.wrapping_add(count);
        one.tally.spent = one.tally.spent.wrapping_add(micros * u64::from(count));
    }

    fn fails(&mut self, at: usize, count: u32) {
        let one = &mut self.samples[at];
        one.row += count;
        one.tally.outcomes = one.tally.outcomes.wrapping_add(count);
        one.tally.failures = one.tally.failures.wrapping_add(count);
    }

    /// As the loads do it: a gate that is set forgets the row.
    fn judge(&mut self) -> Vec<Change> {
        let changes = self.outliers.judge(&self.samples, &self.settings, self.now);
        for change in &changes {
            self.samples[change.at].row = 0;
        }
        changes
    }

    fn later(&mut self, seconds: u32) -> Vec<Change> {
        self.now += SECOND * seconds;
        self.judge()
    }

    /// Ejected at this moment, with the seconds that it lasts.
    fn ejected(&self, changes: &[Change]) -> Vec<(usize, u64)> {
        let seconds = |until: Instant| until.duration_since(self.now).as_secs();
        let ejected = changes.iter().filter_map(|change| match change.standing {
            Standing::Ejected(until) => Some((change.at, seconds(until))),
            _ => None,
        });
        ejected.collect()
    }
}

#[test]
fn failures_in_a_row_eject_at_once_and_a_success_between_them_does_not() {
    let mut bench = Bench::of(4, Ejection::default());
    bench.fails(2, 4);
    assert_eq!(bench.judge(), []);
    bench.answers(2, 1, 10);
    bench.fails(2, 4);
    assert_eq!(bench.judge(), []);
    bench.fails(2, 1);
    let changes = bench.judge();
    assert_eq!(bench.ejected(&changes), [(2, 10)]);
    assert_eq!(changes[0].why, Why::Row(5));
    assert_eq!(changes[0].why.to_string(), "5 failures in a row");
}

#[test]
fn after_its_time_it_is_tried_and_comes_back_when_the_tries_succeed() {
    let mut bench = Bench::of(4, Ejection::default());
    bench.fails(2, 5);
    bench.judge();
    assert_eq!(bench.outliers.next(&bench.settings), Some(bench.now + 10 * SECOND));
    assert_eq!(bench.later(9), []);
    let [change] = bench.later(1)[..] else { panic!("it is tried") };
    assert_eq!((change.at, change.standing, change.why), (2, Standing::Probing, Why::TimeOver));
    bench.answers(2, 2, 10);
    assert_eq!(bench.judge(), [], "two of three");
    bench.answers(2, 1, 10);
    let [change] = bench.judge()[..] else { panic!("it is back") };
    assert_eq!((change.at, change.standing, change.why), (2, Standing::Serving, Why::Recovered));
}

#[test]
fn one_that_fails_its_try_is_ejected_for_longer_each_time_up_to_a_limit_and_good_conduct_is_remembered() {
    let settings = Ejection::default().time(10 * SECOND, 35 * SECOND);
    let mut bench = Bench::of(4, settings);
    bench.fails(2, 5);
    let mut changes = bench.judge();
    for expected in [10, 20, 30, 35, 35] {
        assert_eq!(bench.ejected(&changes), [(2, expected)]);
        bench.later(u32::try_from(expected).unwrap());
        bench.fails(2, 1);
        changes = bench.judge();
    }
    assert_eq!(changes[0].why, Why::ProbeFailed);
    bench.later(35);
    bench.answers(2, 3, 10);
    bench.judge();
    // Six ejections, of which each interval of service takes back one.
    for _ in 0..4 {
        bench.later(10);
    }
    bench.fails(2, 5);
    let changes = bench.judge();
    assert_eq!(bench.ejected(&changes), [(2, 30)]);
}

#[test]
fn one_that_fails_more_than_the_others_is_ejected_at_the_end_of_the_interval() {
    for (own, others, expected) in
        [(30, 0, true), (19, 0, false), (60, 45, false), (60, 40, true), (20, 0, true)]
    {
        let mut bench = Bench::of(5, Ejection::default());
        for at in 0..5 {
            let failing = if at == 3 { own } else { others };
            bench.fails(at, failing);
            bench.answers(at, 100 - failing, 10);
        }
        assert_eq!(bench.later(9), []);
        let changes = bench.later(1);
        assert_eq!(!bench.ejected(&changes).is_empty(), expected, "{own} {others}");
        if expected {
            assert_eq!((changes.len(), changes[0].at), (1, 3));
            let why = format!("{own} % of its requests failed, {others} % of the others'");
            assert_eq!(changes[0].why.to_string(), why);
        }
        // What was is not counted again.
        let changes = bench.later(10);
        assert_eq!(bench.ejected(&changes), []);
    }
}

#[test]
fn few_requests_are_not_compared_nor_an_instance_without_others() {
    let mut bench = Bench::of(3, Ejection::default());
    bench.fails(0, 4);
    bench.answers(0, 45, 10);
    bench.answers(1, 100, 10);
    assert_eq!(bench.later(10), [], "49 of 50 requests");
    bench.fails(0, 4);
    bench.answers(0, 60, 10);
    bench.fails(0, 4);
    bench.answers(0, 10, 10);
    assert_eq!(bench.later(10), [], "nobody else had any");
}

#[test]
fn the_slow_are_ejected_where_that_is_asked_for() {
    for (settings, expected) in [
        (Ejection::default(), &[][..]),
        (Ejection::default().slower_times(Some(5)), &[(1, 10)][..]),
        (Ejection::default().slower_times(Some(11)), &[][..]),
    ] {
        let mut bench = Bench::of(4, settings);
        for (at, micros) in [(0, 10_000), (1, 100_000), (2, 11_000), (3, 49_000)] {
            bench.answers(at, 100, micros);
        }
        let changes = bench.later(10);
        assert_eq!(bench.ejected(&changes), expected);
        if let [change, ..] = changes[..] {
            let why = "its requests took 100ms on average, the middle one's 11ms";
            assert_eq!(change.why.to_string(), why);
        }
    }
    let mut both = Bench::of(5, Ejection::default().slower_times(Some(5)));
    for (at, micros) in [(0, 10_000), (1, 100_000), (2, 11_000), (3, 12_000), (4, 100_000)] {
        both.answers(at, 100, micros);
    }
    for _ in 0..25 {
        both.fails(3, 4);
        both.answers(3, 1, 12_000);
        both.fails(4, 4);
        both.answers(4, 1, 100_000);
    }
    let changes = both.later(10);
    let mut ejected: Vec<usize> = both.ejected(&changes).iter().map(|(at, _)| *at).collect();
    ejected.sort_unstable();
    assert_eq!(ejected, [3, 4], "those that fail first, each once, and two of five are as many as may be");
    let mut roomy = Bench::of(5, Ejection::default().slower_times(Some(5)).most_percent(60));
    roomy.samples.clone_from(&both.samples);
    let changes = roomy.later(10);
    let mut ejected: Vec<usize> = roomy.ejected(&changes).iter().map(|(at, _)| *at).collect();
    ejected.sort_unstable();
    assert_eq!(ejected, [1, 3, 4], "the slow one, beside those that fail");
    let mut two = Bench::of(2, Ejection::default().slower_times(Some(5)));
    two.answers(0, 100, 10_000);
    two.answers(1, 100, 100_000);
    let changes = two.later(10);
    assert_eq!(two.ejected(&changes), [(1, 10)], "of two the slow one");
}

#[test]
fn no_more_than_the_share_is_ejected_the_worst_first() {
    for (count, percent, expected) in
        [(10, 50, 5), (10, 30, 3), (10, 1, 1), (10, 100, 9), (2, 50, 1), (3, 0, 0)]
    {
        let mut bench = Bench::of(count, Ejection::default().most_percent(percent));
        // The first is well.
        for at in 1..count {
            bench.fails(at as usize, 5 + at);
        }
        let changes = bench.judge();
        let mut ejected: Vec<usize> = bench.ejected(&changes).iter().map(|(at, _)| *at).collect();
        ejected.sort_unstable();
        let worst = (count - expected) as usize..count as usize;
        assert_eq!(ejected, worst.collect::<Vec<_>>(), "{count} {percent}");
        // The others go on to fail, and there is no room for them.
        for at in 1..count {
            bench.fails(at as usize, 5);
        }
        let more = bench.judge();
        assert_eq!(bench.ejected(&more), [], "{count} {percent}");
    }
}

#[test]
fn where_all_fail_nobody_is_an_outlier_and_who_fails_on_when_it_is_over_is_one() {
    for count in [2, 3, 10] {
        let mut bench = Bench::of(count, Ejection::default());
        // One after the other, as requests come.
        let mut out: Vec<usize> = Vec::new();
        for at in 0..count as usize {
            bench.fails(at, 5);
            for change in bench.judge() {
                match change.standing {
                    Standing::Serving => assert_eq!(change.why, Why::AllFail),
                    _ => assert_eq!(change.why, Why::Row(5)),
                }
                out.retain(|one| *one != change.at);
                out.extend((change.standing != Standing::Serving).then_some(change.at));
            }
        }
        assert_eq!(out, [0_usize; 0], "{count}: all are back");
        // The outage goes on; nobody is ejected, however long.
        for _ in 0..30 {
            for at in 0..count as usize {
                bench.fails(at, 5);
                assert_eq!(bench.judge(), [], "{count}");
            }
            bench.later(1);
        }
        // It ends, for all but the last.
        for at in 0..count as usize - 1 {
            bench.answers(at, 1, 10);
        }
        bench.fails(count as usize - 1, 5);
        assert_eq!(bench.later(9), [], "{count}: it may need a moment");
        bench.fails(count as usize - 1, 1);
        let changes = bench.later(1);
        assert_eq!(bench.ejected(&changes), [(count as usize - 1, 10)]);
    }
    let mut one = Bench::of(1, Ejection::default().most_percent(100));
    one.fails(0, 50);
    assert_eq!(one.judge(), [], "the only one");
}

#[test]
fn who_is_gone_is_forgotten_and_who_is_new_is_nobody_else() {
    let mut bench = Bench::of(3, Ejection::default());
    bench.fails(2, 5);
    bench.judge();
    bench.samples[2] = Sample { serial: 9, row: 0, tally: Tally::default() };
    assert_eq!(bench.judge(), []);
    assert!(bench.outliers.is_quiet(), "nobody is ejected now");
    assert_eq!(bench.later(20), []);
}

#[test]
fn counters_that_wrap_are_no_failures() {
    let mut bench = Bench::of(3, Ejection::default());
    for one in &mut bench.samples {
        one.tally = Tally { outcomes: u32::MAX - 50, failures: u32::MAX - 5, spent: u64::MAX - 5 };
    }
    bench.later(10);
    for at in 0..3 {
        bench.fails(at, 10);
        bench.answers(at, 90, 10);
    }
    assert_eq!(bench.later(10), []);
}

#[test]
fn what_makes_no_sense_is_refused_and_quoted() {
    Ejection::default().check().unwrap();
    Ejection::off().check().unwrap();
    assert_eq!(Ejection::off(), Ejection::default().most_percent(0));
    let ejection = Ejection::default;
    for (settings, says) in [
        (ejection().failures_in_a_row(0), "ejection.failures_in_a_row: 0 is not from 1 to 10000"),
        (ejection().worse_by_percent(Some(0)), "ejection.worse_by_percent: 0 is not from 1 to 100"),
        (ejection().slower_times(Some(1)), "ejection.slower_times: 1 is not from 2 to 1000"),
        (ejection().requests(0), "ejection.requests: 0 is not"),
        (ejection().most_percent(101), "ejection.most_percent: 101 is not from 0 to 100"),
        (ejection().probes(0), "ejection.probes: 0 is not from 1 to 1000"),
        (ejection().interval(SECOND / 2), "ejection.interval: 500ms is not from 1s to 1h0m0s"),
        (ejection().time(SECOND / 20, SECOND), "ejection.base: 50ms is not from 100ms"),
        (ejection().time(SECOND * 2, SECOND), "ejection.longest: 1s is not from 2s to 24h0m0s"),
    ] {
        let error = settings.check().unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
}

proptest! {
    #[test]
    fn whatever_comes_one_serves_no_more_than_the_share_is_out_and_who_is_out_comes_to_be_tried(
        count in 1u32..12, percent in 0u8..=100,
        steps in proptest::collection::vec((0usize..12, 0u32..9, 0u32..99, 0u64..99_999, 0u32..40), 1..60),
    ) {
        let settings = Ejection::default().most_percent(percent).slower_times(Some(3)).requests(20);
        let mut bench = Bench::of(count, settings);
        let mut gates = vec![Standing::Serving; count as usize];
        for (at, failures, answers, micros, seconds) in steps {
            let at = at % count as usize;
            bench.answers(at, answers, micros);
            bench.fails(at, failures);
            for change in bench.later(seconds) {
                prop_assert_ne!(gates[change.at], change.standing, "a change changes something");
                gates[change.at] = change.standing;
            }
            let out = gates.iter().filter(|gate| **gate != Standing::Serving).count();
            prop_assert!(out < count as usize);
            prop_assert!(out <= bench.settings.most_ejected(count as usize));
            for gate in &gates {
                if let Standing::Ejected(until) = gate {
                    prop_assert!(*until > bench.now);
                    prop_assert!(bench.outliers.next(&bench.settings) <= Some(*until));
                }
            }
        }
    }
}

#[test]
fn a_reason_has_a_word_for_a_label_and_a_sentence_for_a_person() {
    for (why, label, says) in [
        (Why::Row(5), "failures_in_a_row", "5 failures in a row"),
        (
            Why::Failing { percent: 40, others: 3 },
            "failing",
            "40 % of its requests failed, 3 % of the others'",
        ),
        (
            Why::Slow { micros: 90_000, others: 1_500 },
            "slow",
            "its requests took 90ms on average, the middle one's 1.5ms",
        ),
        (Why::ProbeFailed, "probe", "it was tried again, and failed"),
        (Why::TimeOver, "return", "its time is over, and it is tried with one request at a time"),
        (Why::Recovered, "return", "the requests that tried it succeeded"),
        (Why::AllFail, "return", "those that were not ejected fail too"),
    ] {
        assert_eq!((why.label(), why.to_string()), (label, says.to_owned()));
    }
}

#[test]
fn the_next_look_is_a_comparison_where_none_is_ejected_and_none_where_there_is_nobody() {
    let bench = Bench::of(3, Ejection::default());
    assert_eq!(bench.outliers.next(&bench.settings), Some(bench.now + bench.settings.interval));
    let nobody = Bench::of(0, Ejection::default());
    assert_eq!(nobody.outliers.next(&nobody.settings), None);
}

#[test]
fn one_that_failed_alone_is_ejected_as_soon_as_there_is_another() {
    let mut bench = Bench::of(1, Ejection::default());
    bench.fails(0, 5);
    assert_eq!(bench.judge(), [], "it is the last one");
    bench.samples.push(Sample { serial: 1, row: 0, tally: Tally::default() });
    bench.fails(0, 5);
    let changes = bench.judge();
    assert!(matches!(changes[..], [Change { at: 0, standing: Standing::Ejected(_), .. }]), "{changes:?}");
}
