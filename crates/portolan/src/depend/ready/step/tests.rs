//! The rules of readiness, with a clock that the tests move.
#![expect(clippy::arithmetic_side_effects, reason = "the times of a test are small")]

use proptest::prelude::*;

use super::*;
use crate::depend::{ServiceAt, ready::Subject};

fn subject(needs: &str, on_loss: OnLoss) -> Subject {
    let needs: crate::depend::Needs = needs.parse().unwrap();
    let to = |need: Need| (need.clone(), ServiceAt::here(need.service().clone()));
    let config = ReadyConfig::default().on_loss(on_loss);
    Subject {
        me: "web".parse().unwrap(),
        needs: needs.into_iter().map(to).collect(),
        config,
        views: Default::default(),
    }
}

/// A machine, its clock, and what it has told.
struct Run {
    machine: Machine,
    now: Instant,
    begun: Instant,
    told: Vec<(u64, Event)>,
}

impl Run {
    fn new(needs: &str, on_loss: OnLoss) -> Self {
        let now = tokio::time::Instant::now().into_std();
        Self { machine: Machine::new(&subject(needs, on_loss)), now, begun: now, told: Vec::new() }
    }

    /// Shows which needs are there, from now on for so long; the machine is asked when it wants to be.
    fn show(&mut self, there: &[bool], millis: u64) {
        let lacks: Vec<Option<Lack>> =
            there.iter().map(|there| (!there).then_some(Lack::NotRegistered)).collect();
        let end = self.now + Duration::from_millis(millis);
        loop {
            let at = u64::try_from((self.now - self.begun).as_millis()).unwrap();
            let events = self.machine.on(&lacks, self.now);
            self.told.extend(events.into_iter().map(|event| (at, event)));
            match self.machine.due() {
                Some(due) if due < end => {
                    assert!(due > self.now, "it asks to be asked at once, again and again");
                    self.now = due;
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn stages(&self) -> Vec<(u64, Stage)> {
        let became = |(at, event): &(u64, Event)| match event {
            Event::Became(stage) => Some((at / 1000, *stage)),
            _ => None,
        };
        self.told.iter().filter_map(became).collect()
    }
}

#[test]
fn until_it_was_ready_once_what_is_seen_counts_at_once() {
    let mut run = Run::new("db, cache, log?", OnLoss::FailOpen);
    for there in [[false, true, false], [true, false, false], [false, true, false]] {
        run.show(&there, 100);
        assert_eq!(run.machine.stage, Stage::Waiting);
    }
    run.show(&[true, true, false], 100);
    assert_eq!(run.stages(), [(0, Stage::Ready)], "the optional one holds up nothing");
}

#[test]
fn a_service_that_needs_nothing_is_ready() {
    let mut run = Run::new("", OnLoss::FailClosed);
    run.show(&[], 1);
    assert_eq!(run.stages(), [(0, Stage::Ready)]);
    assert_eq!(run.machine.due(), None);
}

#[test]
fn a_need_that_is_lost_degrades_by_default_and_closes_on_request() {
    for (on_loss, lost) in [(OnLoss::FailOpen, Stage::Degraded), (OnLoss::FailClosed, Stage::NotReady)] {
        let mut run = Run::new("db", on_loss);
        run.show(&[true], 60_000);
        run.show(&[false], 60_000);
        run.show(&[true], 60_000);
        // Lost 10 s after it went, met 2 s after it came back, and 30 s between changes.
        assert_eq!(run.stages(), [(0, Stage::Ready), (70, lost), (122, Stage::Ready)]);
        assert_eq!(lost.is_ready(), on_loss == OnLoss::FailOpen);
    }
}

#[test]
fn two_changes_of_the_stage_are_thirty_seconds_apart() {
    let mut run = Run::new("db", OnLoss::FailClosed);
    run.show(&[true], 1_000);
    run.show(&[false], 12_000); // lost at 11 s, held until 30 s
    assert_eq!(run.stages(), [(0, Stage::Ready)]);
    run.show(&[false], 18_000);
    run.show(&[true], 60_000); // met at 33 s, held until 60 s
    assert_eq!(run.stages(), [(0, Stage::Ready), (30, Stage::NotReady), (60, Stage::Ready)]);
}

#[test]
fn a_need_for_the_start_is_not_looked_at_afterwards() {
    let mut run = Run::new("seed!, db", OnLoss::FailClosed);
    run.show(&[false, true], 1_000);
    assert_eq!(run.stages(), []);
    run.show(&[true, true], 60_000);
    run.show(&[false, true], 120_000);
    assert_eq!(run.stages(), [(1, Stage::Ready)]);
}

#[test]
fn a_need_that_flaps_each_second_changes_nothing() {
    let mut run = Run::new("db", OnLoss::FailClosed);
    run.show(&[true], 1_000);
    for second in 0..60 {
        run.show(&[second % 2 == 1], 1_000);
    }
    run.show(&[true], 60_000);
    assert_eq!(run.stages(), [(0, Stage::Ready)]);
    assert_eq!(run.told.len(), 2, "met once, ready once: {:?}", run.told);
}

#[test]
fn a_task_that_is_started_again_goes_on_from_what_was_told() {
    let subject = subject("db, log?", OnLoss::FailOpen);
    let mut run = Run::new("db, log?", OnLoss::FailOpen);
    run.show(&[true, false], 1_000);
    let told = run.machine.state(&[None, None]);
    let mut next = Machine::after(&subject, &told);
    assert_eq!(next.on(&[Some(Lack::NotSeen), None], run.now), [], "it waits for neither");
    assert_eq!(next.state(&[]).stage, Stage::Ready);
}

proptest! {
    #[test]
    fn however_it_flaps_changes_are_rare_and_in_the_end_it_is_as_it_is_seen(
        flaps in proptest::collection::vec((any::<bool>(), any::<bool>(), 1_u64..40_000), 1..80),
        last in any::<(bool, bool)>(), closed in any::<bool>(),
    ) {
        let on_loss = if closed { OnLoss::FailClosed } else { OnLoss::FailOpen };
        let mut run = Run::new("db, cache", on_loss);
        for (db, cache, millis) in flaps {
            run.show(&[db, cache], millis);
        }
        run.show(&[last.0, last.1], 60_000);
        let stages = run.told.iter().filter(|(_, event)| matches!(event, Event::Became(_)));
        let times: Vec<u64> = stages.map(|(at, _)| *at).collect();
        prop_assert!(times.windows(2).all(|two| two[1] - two[0] >= 30_000), "{:?}", times);
        let was_ready = !times.is_empty();
        let wanted = match (last, was_ready) {
            ((true, true), _) => Stage::Ready,
            (_, false) => Stage::Waiting,
            (_, true) if closed => Stage::NotReady,
            (_, true) => Stage::Degraded,
        };
        prop_assert_eq!(run.machine.stage, wanted);
        prop_assert_eq!(run.machine.due(), None);
        let seen: Vec<bool> = run.machine.state(&[None, None]).needs.iter().map(|one| one.met).collect();
        prop_assert_eq!(seen, [last.0, last.1]);
    }
}

#[test]
fn what_is_missing_is_what_is_required_and_not_met() {
    let state = |needs: &str, met: &[bool]| {
        let needs: crate::depend::Needs = needs.parse().unwrap();
        let needs = needs.into_iter().zip(met).map(|(need, met)| NeedState {
            need: need.clone(),
            met: *met,
            lack: (!met).then_some(Lack::NotRegistered),
            none: None,
        });
        let needs = needs.collect();
        ReadyState { service: "web".parse().unwrap(), stage: Stage::Waiting, needs }
    };
    let some = state("db, cache, log?", &[false, true, false]);
    let missing: Vec<String> = some.missing().map(|one| one.need.to_string()).collect();
    assert_eq!(missing, ["db"]);
    assert!(some.missing_text().starts_with("db: "), "{}", some.missing_text());
    assert_eq!(state("db, log?", &[true, false]).missing_text(), "nothing is missing");
}
