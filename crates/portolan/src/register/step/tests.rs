//! A row for each rule, and a model agent that is wiped, cut off and meddled with at random.
#![expect(clippy::arithmetic_side_effects, reason = "a test's numbers are small")]

use proptest::prelude::*;

use super::*;
use crate::{register::drift::Held, roll::Rolls};

const SECOND: Duration = Duration::from_secs(1);
const MIDDLE: u64 = u64::MAX / 2;

/// A machine with a clock of its own.
struct Run {
    machine: Machine,
    now: Instant,
}

impl Run {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "any instant will do as the start")]
        Self { machine: Machine::new(0, Gate::Open), now: Instant::now() }
    }

    fn on(mut self, input: Input) -> Self {
        self.machine.on(input, self.now, MIDDLE);
        self
    }

    fn all(self, inputs: impl IntoIterator<Item = Input>) -> Self {
        inputs.into_iter().fold(self, Self::on)
    }

    fn takes(mut self, effect: Effect) -> Self {
        assert_eq!(self.machine.take(self.now), Some(effect), "{:?}", self.machine);
        assert_eq!(self.machine.take(self.now), None, "one call at a time");
        self
    }

    fn rests(mut self, rest: Duration) -> Self {
        assert_eq!(self.machine.take(self.now), None, "{:?}", self.machine);
        let due = self.machine.deadline().expect("something is due");
        assert_eq!(due - self.now, rest, "{:?}", self.machine);
        self.now = due;
        self
    }

    fn is(self, state: &str) -> Self {
        assert_eq!(self.machine.state().label(), state, "{:?}", self.machine);
        self
    }

    /// On the agent and in the catalogue.
    fn registered() -> Self {
        Self::new()
            .on(Input::SweepMissing)
            .takes(Effect::Send(Reason::New))
            .on(Input::Sent)
            .takes(Effect::Look)
            .on(seen())
            .is("registered")
    }
}

fn differs(text: &str) -> Input {
    Input::SweepFound(Held::Differs(text.to_owned()))
}

fn foreign() -> Input {
    Input::SweepFound(Held::Foreign("port: 80 was sent, the agent holds 81".to_owned()))
}

fn same() -> Input {
    Input::SweepFound(Held::Same)
}

fn seen() -> Input {
    Input::Looked(Look::Usable)
}

fn unseen() -> Input {
    Input::Looked(Look::Absent)
}

fn failed(kind: Kind) -> Input {
    Input::SendFailed(kind, "said the agent".to_owned())
}

#[test]
fn nothing_is_sent_before_a_sweep_has_told_what_is_there() {
    let mut run = Run::new().is("pending");
    assert_eq!((run.machine.take(run.now), run.machine.deadline()), (None, None));
    Run::new().on(same()).takes(Effect::Look).on(seen()).is("registered");
    Run::new().on(differs("a")).takes(Effect::Send(Reason::New));
    Run::new().on(Input::SweepMissing).takes(Effect::Send(Reason::New));
}

#[test]
fn an_id_that_works_elsewhere_is_refused_until_it_is_free() {
    let run = Run::new().on(foreign()).is("refused");
    assert_eq!(run.machine.deadline(), None);
    let RegistrationState::Refused { kind, reason } = run.machine.state() else { panic!("refused") };
    assert_eq!(kind, Kind::Conflict);
    assert!(reason.starts_with("id: it is held by another instance"), "{reason}");
    run.on(foreign()).is("refused").on(Input::SweepMissing).takes(Effect::Send(Reason::New)).is("pending");
    // It was taken while our first send rested.
    let run = Run::new().on(Input::SweepMissing).takes(Effect::Send(Reason::New)).on(failed(Kind::Timeout));
    let run = run.on(foreign()).is("refused");
    assert_eq!(run.machine.deadline(), None, "it is not taken away from them");
    run.on(Input::Close).is("gone");
}

#[test]
fn an_id_that_is_dead_elsewhere_is_taken_over_and_one_that_was_taken_from_us_is_not_taken_back() {
    let critical = || Input::SweepFound(Held::Critical("port: 80 was sent, the agent holds 81".to_owned()));
    let run = Run::new().on(critical()).takes(Effect::Send(Reason::New)).on(critical());
    run.on(Input::Sent).takes(Effect::Look).on(seen()).is("registered");
    let run = Run::registered().on(critical()).is("refused").on(critical()).is("refused").on(foreign());
    assert_eq!((run.machine.deadline(), run.machine.is_held()), (None, false));
    let run = run.on(critical()).is("refused");
    run.on(Input::SweepMissing).takes(Effect::Send(Reason::New)).is("pending");
    // A sweep that is refused meanwhile says so, and no longer than it is the last.
    let run = Run::registered().on(critical());
    let run = run.on(Input::SweepFailed(Kind::Denied, "said the agent".to_owned())).on(critical());
    let RegistrationState::Refused { kind, .. } = run.machine.state() else { panic!("refused") };
    assert_eq!(kind, Kind::Conflict);
    Run::registered().on(foreign()).is("refused").on(Input::Close).is("gone");
    let run = Run::registered().on(critical()).on(same()).takes(Effect::Look).on(seen()).is("registered");
    run.on(Input::Close).takes(Effect::Remove);
}

#[test]
fn what_was_changed_while_another_agent_answered_is_repaired_as_ours() {
    let away = Run::registered().on(Input::OtherAgent).takes(Effect::Search);
    let away = away.on(Input::LivesThere("agent: another answers".to_owned())).is("refused");
    away.on(differs("a")).is("repairing").takes(Effect::Send(Reason::Drift));
}

#[test]
fn the_first_repair_is_at_once_and_one_that_does_not_hold_rests() {
    let lost_again = |run: Run| run.on(Input::SweepMissing).is("repairing");
    let sent =
        |run: Run| run.takes(Effect::Send(Reason::Missing)).on(Input::Sent).takes(Effect::Look).on(seen());
    let run = sent(lost_again(Run::registered())).is("registered");
    let run = sent(lost_again(run).rests(SECOND * 3 / 4));
    let run = sent(lost_again(run).rests(SECOND * 5 / 4));
    let run = sent(lost_again(run).rests(SECOND * 9 / 4));
    // A sweep that finds it as it was sent ends the row.
    sent(lost_again(run.on(same())));
}

#[test]
fn the_same_difference_after_two_repairs_is_refused_and_another_one_is_not() {
    let repaired = |run: Run, text: &str| {
        let mut run = run.on(differs(text)).is("repairing");
        run.now += 30 * SECOND;
        run.takes(Effect::Send(Reason::Drift)).on(Input::Sent).takes(Effect::Look).on(seen()).is("registered")
    };
    let run = repaired(repaired(Run::registered(), "a"), "a");
    repaired(run, "b");
    let run = repaired(repaired(Run::registered(), "a"), "a").on(differs("a")).is("refused");
    assert_eq!(run.machine.deadline(), None, "no fight");
    assert!(run.machine.is_held(), "its health is reported all the same");
    let run = run.on(differs("a")).is("refused").on(same()).is("registered");
    let run = repaired(run, "a");
    // Gone is another matter than changed.
    let run = repaired(run, "a").on(differs("a")).is("refused").on(Input::SweepMissing).is("repairing");
    assert!(run.machine.deadline().is_some());
}

#[test]
fn a_send_that_failed_rests_longer_each_time_and_a_refusal_longest() {
    let sending = || Run::new().on(Input::SweepMissing).takes(Effect::Send(Reason::New));
    for kind in [Kind::Unreachable, Kind::Timeout, Kind::Busy, Kind::Unavailable, Kind::Malformed] {
        let run = sending().on(failed(kind)).is("pending").rests(SECOND * 3 / 4);
        run.takes(Effect::Send(Reason::New)).on(failed(kind)).rests(SECOND * 5 / 4);
    }
    for kind in [Kind::Denied, Kind::Rejected, Kind::Config] {
        let run = sending().on(failed(kind)).is("refused").rests(30 * SECOND);
        run.takes(Effect::Send(Reason::New)).is("refused").on(Input::Sent).is("pending");
    }
}

#[test]
fn a_send_that_seemed_to_fail_and_did_not_is_not_repeated() {
    let run = Run::new().on(Input::SweepMissing).takes(Effect::Send(Reason::New)).on(failed(Kind::Timeout));
    run.on(same()).takes(Effect::Look).on(seen()).is("registered");
}

#[test]
fn the_catalogue_is_asked_a_few_times_and_then_once_a_sweep() {
    let mut run = Run::new().on(Input::SweepMissing).takes(Effect::Send(Reason::New)).on(Input::Sent);
    for _ in 1..LOOKS {
        run = run.takes(Effect::Look).on(unseen()).is("pending");
        run.now = run.machine.deadline().unwrap();
    }
    let run = run.takes(Effect::Look).on(unseen()).is("unverified");
    assert_eq!(run.machine.deadline(), None);
    let run = run.on(same()).is("pending").takes(Effect::Look).on(unseen()).is("unverified");
    run.on(same()).takes(Effect::Look).on(seen()).is("registered");
}

#[test]
fn a_sweep_between_two_looks_into_the_catalogue_hurries_nothing_and_begins_nothing_anew() {
    let mut run = Run::new().on(Input::SweepMissing).takes(Effect::Send(Reason::New)).on(Input::Sent);
    for look in 1..LOOKS {
        run = run.takes(Effect::Look).on(unseen());
        let due = run.machine.deadline().unwrap();
        run = run.on(same());
        assert_eq!(run.machine.deadline(), Some(due), "look {look}");
        run.now = due;
    }
    run.takes(Effect::Look).on(unseen()).is("unverified");
}

#[test]
fn one_failed_sweep_is_nothing_and_two_show() {
    let failed = || Input::SweepFailed(Kind::Unreachable, "no connection".to_owned());
    let run = Run::registered().on(failed()).is("registered").on(failed()).is("repairing");
    assert_eq!(run.machine.deadline(), None, "nothing is sent into the dark");
    run.on(same()).is("registered");
    Run::new().all([failed(), failed()]).is("pending");
    let denied = Input::SweepFailed(Kind::Denied, "token".to_owned());
    Run::new().on(denied.clone()).is("refused").on(Input::SweepMissing).is("pending");
    Run::registered().all([denied.clone(), denied]).is("repairing");
}

#[test]
fn closing_removes_what_the_agent_may_hold_and_nothing_else() {
    Run::new().on(Input::Close).is("gone");
    let run = Run::registered();
    assert!(!run.machine.is_closing() && run.on(Input::Close).machine.is_closing());
    Run::new().on(foreign()).on(Input::Close).is("gone");
    Run::new().on(Input::SweepMissing).on(Input::Close).is("gone");
    let sending = || {
        Run::new().on(Input::SweepMissing).takes(Effect::Send(Reason::New)).on(Input::Close).is("draining")
    };
    for ended in [Input::Sent, failed(Kind::Timeout), failed(Kind::Denied)] {
        let mut run = sending();
        assert_eq!(run.machine.take(run.now), None, "the send that is under way comes first");
        let run = run.on(ended).is("draining").takes(Effect::Remove).on(Input::Removed);
        run.is("draining").takes(Effect::Look).on(unseen()).is("gone");
    }
    Run::registered()
        .on(Input::Close)
        .takes(Effect::Remove)
        .on(Input::SweepMissing)
        .is("draining")
        .on(same())
        .is("draining");
}

#[test]
fn what_the_agent_has_removed_is_gone_when_the_catalogue_says_so_or_does_not_say() {
    let removed = || Run::registered().on(Input::Close).takes(Effect::Remove).on(Input::Removed);
    for last in [Look::Absent, Look::Failed(Kind::Unreachable)] {
        let run = removed().takes(Effect::Look).on(Input::Looked(Look::Unusable)).is("draining");
        run.rests(Duration::from_micros(37_500)).takes(Effect::Look).on(Input::Looked(last)).is("gone");
    }
    let mut run = removed();
    for _ in 1..leave::VANISHING {
        run = run.takes(Effect::Look).on(seen()).is("draining");
        run.now = run.machine.deadline().unwrap();
    }
    run.takes(Effect::Look).on(seen()).is("gone");
}

#[test]
fn one_that_drains_is_hidden_first_and_stays_until_it_is_closed() {
    let drain = || Input::Drain(2 * SECOND);
    let draining = Run::registered().on(drain()).is("draining");
    assert!(draining.machine.is_held(), "its health is reported until the end");
    let hidden = draining
        .takes(Effect::Maintain)
        .on(Input::Maintained(Ok(())))
        .takes(Effect::Look)
        .on(Input::Looked(Look::Unusable))
        .rests(2 * SECOND);
    let step = |run: &Run| match run.machine.state() {
        RegistrationState::Draining { step } => step,
        other => panic!("{other:?}"),
    };
    let mut run = hidden;
    assert_eq!((step(&run), run.machine.take(run.now)), (DrainStep::Settling, None));
    assert_eq!((step(&run), run.machine.deadline()), (DrainStep::InFlight { hidden: true }, None));
    run.on(same()).on(drain()).is("draining").on(Input::Close).takes(Effect::Remove);
    // A send that is under way comes first; and what was never sent has nothing to hide.
    let sending =
        Run::new().on(Input::SweepMissing).takes(Effect::Send(Reason::New)).on(drain()).is("draining");
    sending.on(Input::Sent).is("draining").takes(Effect::Maintain);
    let run = Run::new().on(drain()).is("draining");
    assert_eq!(step(&run), DrainStep::InFlight { hidden: true });
    run.on(Input::Close).is("gone");
    Run::registered().on(Input::Close).on(drain()).takes(Effect::Remove);
}

#[test]
fn one_that_came_in_maintenance_is_announced_once_it_is_held() {
    let mut run = Run::new();
    run.machine = Machine::new(0, Gate::Shut);
    assert!(run.machine.is_shut() && !run.machine.is_open());
    let run = run.on(Input::SweepMissing).on(Input::Announce).takes(Effect::Send(Reason::New));
    assert!(!run.machine.is_shut(), "what is sent from now on is in service");
    let epoch = run.machine.epoch();
    let mut run = run.on(Input::Sent);
    assert_eq!(run.machine.take(run.now), Some(Effect::Announce), "beside the look into the catalogue");
    let run = run.takes(Effect::Look).on(seen()).on(Input::Announced(false));
    assert_ne!(run.machine.epoch(), epoch, "what a sweep saw before is not to be kept");
    let run = run.rests(Duration::from_micros(187_500)).takes(Effect::Announce);
    assert!(!run.machine.is_open());
    let run = run.on(Input::Restarted).takes(Effect::Announce).on(Input::Announced(true)).is("registered");
    assert!(run.machine.is_open());
    assert_eq!(run.on(Input::Announce).machine.deadline(), None, "once");
}

#[test]
fn another_agent_is_refused_while_it_lives_on_the_first_and_taken_when_it_does_not() {
    let lives = || Input::LivesThere("it lives there".to_owned());
    let gone = || Input::LivesNowhere("it is gone".to_owned());
    let searching = |run: Run| run.on(Input::OtherAgent).takes(Effect::Search);
    let run = searching(Run::registered()).on(Input::SweepMissing).on(lives()).is("refused");
    assert_eq!((run.machine.deadline(), run.machine.is_held()), (None, false));
    let run = searching(run).on(lives()).is("refused");
    let run = run.on(same()).is("pending").takes(Effect::Look).on(seen()).is("registered");
    let run = searching(run).on(Input::SearchFailed("no answer".to_owned())).is("repairing");
    let run = searching(run).on(gone()).is("repairing").takes(Effect::Send(Reason::Missing));
    run.on(Input::Sent).takes(Effect::Look).on(seen()).is("registered");
    searching(Run::registered())
        .on(Input::Restarted)
        .takes(Effect::Search)
        .on(Input::Close)
        .takes(Effect::Remove);
    let run = searching(Run::registered()).on(lives()).on(Input::SweepMissing);
    run.takes(Effect::Send(Reason::Missing)).is("repairing");
}

#[test]
fn a_repair_says_since_when_it_is_wrong() {
    let mut run = Run::registered();
    let since = run.now;
    run = run.on(Input::SweepMissing).takes(Effect::Send(Reason::Missing)).on(failed(Kind::Busy));
    run.now += 30 * SECOND;
    run = run.takes(Effect::Send(Reason::Missing)).on(Input::Sent).on(differs("tags"));
    let RegistrationState::Repairing { since: found, reason } = run.machine.state() else {
        panic!("repairing")
    };
    assert_eq!((found, reason.as_str()), (since, "tags"));
}

#[test]
fn a_removal_is_tried_a_bounded_number_of_times() {
    let mut run = Run::registered().on(Input::Close);
    for _ in 1..leave::REMOVALS {
        run =
            run.takes(Effect::Remove).on(Input::RemoveFailed(Kind::Busy, "later".to_owned())).is("draining");
        run.now = run.machine.deadline().unwrap();
    }
    let run = run.takes(Effect::Remove).on(Input::RemoveFailed(Kind::Busy, "later".to_owned())).is("refused");
    assert!(run.machine.is_gone());
}

#[test]
fn calls_that_were_lost_are_made_again() {
    let lost = |run: Run, effect| run.on(Input::Restarted).takes(effect);
    let run = Run::new().on(Input::SweepMissing).takes(Effect::Send(Reason::New));
    let run = lost(run, Effect::Send(Reason::New)).on(Input::Sent).takes(Effect::Look);
    let run = lost(run, Effect::Look).on(seen()).on(Input::Close).takes(Effect::Remove);
    let run = lost(run, Effect::Remove).on(Input::Removed).takes(Effect::Look);
    let run = lost(run, Effect::Look).on(unseen()).is("gone");
    run.on(Input::Restarted).is("gone");
    let run = Run::registered().on(Input::Drain(SECOND)).takes(Effect::Maintain);
    lost(run, Effect::Maintain);
}

#[test]
fn what_an_older_sweep_says_is_told_by_its_epoch() {
    let run = Run::new().on(Input::SweepMissing);
    let before = run.machine.epoch();
    let run = run.takes(Effect::Send(Reason::New));
    let while_sending = run.machine.epoch();
    let run = run.on(Input::Sent);
    assert!(before != while_sending && while_sending != run.machine.epoch());
    let kept = run.takes(Effect::Look).on(seen());
    let epoch = kept.machine.epoch();
    assert_ne!(kept.on(Input::SweepMissing).machine.epoch(), epoch);
}

/// What a model agent holds under our id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agent {
    Nothing,
    Ours,
    Changed,
    Elsewhere,
}

#[derive(Clone, Debug)]
enum Fault {
    Wipe,
    /// Another agent, which holds nothing.
    Replace,
    Meddle,
    Steal,
    Down,
    Up,
    /// The next call is applied, and its answer is lost.
    LoseAnswer,
    HideFromCatalogue(bool),
    Refuse(Option<Kind>),
    Restart,
    Pass(u8),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Wipe),
        Just(Fault::Replace),
        Just(Fault::Meddle),
        Just(Fault::Steal),
        Just(Fault::Down),
        Just(Fault::Up),
        Just(Fault::LoseAnswer),
        any::<bool>().prop_map(Fault::HideFromCatalogue),
        prop_oneof![Just(None), Just(Some(Kind::Denied)), Just(Some(Kind::Busy))].prop_map(Fault::Refuse),
        Just(Fault::Restart),
        (1u8..40).prop_map(Fault::Pass),
    ]
}

/// A world of one agent and one machine, with sweeps each 5 s.
struct World {
    run: Run,
    rolls: Rolls,
    agent: Agent,
    up: bool,
    hidden: bool,
    lose: bool,
    /// Another agent answers than the one that held it.
    elsewhere: bool,
    maintenance: bool,
    refuse: Option<Kind>,
    sends: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let (run, rolls) = (Run::new(), Rolls::new(seed));
        Self {
            run,
            rolls,
            agent: Agent::Nothing,
            up: true,
            hidden: false,
            lose: false,
            elsewhere: false,
            maintenance: false,
            refuse: None,
            sends: 0,
        }
    }

    fn on(&mut self, input: Input) {
        let roll = self.rolls.next();
        self.run.machine.on(input, self.run.now, roll);
    }

    fn down() -> String {
        "down".to_owned()
    }

    /// One call, answered at once.
    fn call(&mut self, effect: Effect) {
        let lost = std::mem::take(&mut self.lose);
        let input = match effect {
            Effect::Send(_) if !self.up => Input::SendFailed(Kind::Unreachable, Self::down()),
            Effect::Send(_) => {
                self.sends += 1;
                match self.refuse {
                    Some(kind) => Input::SendFailed(kind, Self::down()),
                    None => {
                        self.agent = Agent::Ours;
                        if lost { Input::SendFailed(Kind::Timeout, Self::down()) } else { Input::Sent }
                    }
                }
            }
            Effect::Look | Effect::Maintain | Effect::Announce | Effect::Search if !self.up => {
                return self.unanswered(effect);
            }
            Effect::Look if self.hidden || self.agent != Agent::Ours => unseen(),
            Effect::Look if self.maintenance => Input::Looked(Look::Unusable),
            Effect::Look => seen(),
            Effect::Maintain if self.agent == Agent::Nothing => Input::Maintained(Err(Kind::NotFound)),
            Effect::Maintain => {
                self.maintenance = true;
                Input::Maintained(if lost { Err(Kind::Timeout) } else { Ok(()) })
            }
            Effect::Announce => Input::Announced(!lost),
            Effect::Search => Input::LivesNowhere("it is gone".to_owned()),
            Effect::Remove if !self.up => Input::RemoveFailed(Kind::Unreachable, Self::down()),
            Effect::Remove => {
                if self.agent != Agent::Elsewhere {
                    self.agent = Agent::Nothing;
                }
                if lost { Input::RemoveFailed(Kind::Timeout, Self::down()) } else { Input::Removed }
            }
        };
        self.on(input);
    }

    fn unanswered(&mut self, effect: Effect) {
        self.on(match effect {
            Effect::Maintain => Input::Maintained(Err(Kind::Unreachable)),
            Effect::Announce => Input::Announced(false),
            Effect::Search => Input::SearchFailed(Self::down()),
            _ => Input::Looked(Look::Failed(Kind::Unreachable)),
        });
    }

    fn sweep(&mut self) {
        let input = match self.agent {
            _ if !self.up => Input::SweepFailed(Kind::Unreachable, Self::down()),
            Agent::Nothing if self.elsewhere => Input::OtherAgent,
            Agent::Nothing => Input::SweepMissing,
            Agent::Ours => Input::SweepFound(Held::Same),
            Agent::Changed => differs("tags"),
            Agent::Elsewhere => foreign(),
        };
        self.on(input);
    }

    fn seconds(&mut self, seconds: u8) {
        for second in 0..seconds {
            if second % 5 == 0 {
                self.sweep();
            }
            // A machine that calls for ever at one instant would hang here.
            for _ in 0..20 {
                let Some(effect) = self.run.machine.take(self.run.now) else { break };
                self.call(effect);
            }
            self.run.now += SECOND;
        }
    }

    fn fault(&mut self, fault: &Fault) {
        match fault {
            Fault::Wipe => (self.agent, self.elsewhere) = (Agent::Nothing, false),
            Fault::Replace => (self.agent, self.elsewhere) = (Agent::Nothing, true),
            Fault::Meddle => self.agent = Agent::Changed,
            Fault::Steal => self.agent = Agent::Elsewhere,
            Fault::Down => self.up = false,
            Fault::Up => self.up = true,
            Fault::LoseAnswer => self.lose = true,
            Fault::HideFromCatalogue(hidden) => self.hidden = *hidden,
            Fault::Refuse(kind) => self.refuse = *kind,
            Fault::Restart => self.on(Input::Restarted),
            Fault::Pass(seconds) => self.seconds(*seconds),
        }
    }
}

proptest! {
    /// Law 4: while the handle lives, the instance is in the registry, or the state says why not.
    #[test]
    fn after_any_faults_the_promise_is_kept_or_the_state_says_why_not(
        seed: u64,
        faults in proptest::collection::vec(fault(), 0..60),
    ) {
        let mut world = World::new(seed);
        for fault in &faults {
            world.fault(fault);
        }
        world.fault(&Fault::Up);
        world.fault(&Fault::Refuse(None));
        world.fault(&Fault::HideFromCatalogue(false));
        world.seconds(120);
        let state = world.run.machine.state();
        match world.agent {
            Agent::Ours => prop_assert_eq!(state, RegistrationState::Registered),
            // Refused: somebody else holds it, or has changed it more often than we repair.
            _ => prop_assert_eq!(state.label(), "refused"),
        }
        let sends = world.sends;
        world.seconds(120);
        prop_assert_eq!(world.sends, sends, "what is unchanged is not sent again");
        world.fault(&Fault::Wipe);
        world.seconds(60);
        prop_assert_eq!((world.agent, world.run.machine.state()), (Agent::Ours, RegistrationState::Registered));
    }

    #[test]
    fn after_any_faults_a_drain_or_a_close_leaves_nothing_of_ours(
        seed: u64,
        drained: bool,
        faults in proptest::collection::vec(fault(), 0..40),
        late in proptest::collection::vec(fault(), 0..3),
    ) {
        let mut world = World::new(seed);
        for fault in &faults {
            world.fault(fault);
        }
        if drained {
            world.on(Input::Drain(SECOND));
            world.seconds(30);
            let settled = matches!(
                world.run.machine.state(),
                RegistrationState::Draining { step: DrainStep::InFlight { .. } }
            );
            prop_assert!(settled, "requests may end, whatever the registry does: {:?}", world.run.machine);
        }
        world.on(Input::Close);
        for fault in late.iter().filter(|fault| !matches!(fault, Fault::Meddle | Fault::Down)) {
            world.fault(fault);
        }
        world.fault(&Fault::Up);
        world.seconds(120);
        prop_assert!(world.run.machine.is_gone());
        prop_assert_eq!(world.run.machine.deadline(), None);
        if world.run.machine.state() == RegistrationState::Gone {
            prop_assert_ne!(world.agent, Agent::Ours);
        }
    }

    #[test]
    fn no_refusal_and_no_outage_is_answered_with_a_storm(seed: u64, denied: bool) {
        let mut world = World::new(seed);
        world.fault(&Fault::Refuse(Some(if denied { Kind::Denied } else { Kind::Busy })));
        for _ in 0..10 {
            world.seconds(60);
        }
        prop_assert!(world.sends <= 100, "{} in 10 min", world.sends);
    }
}
