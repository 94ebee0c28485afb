//! What is under way at once, and whose answer counts.

use proptest::prelude::*;

use super::*;
use crate::{
    check::Check,
    error::{Error, Kind},
    model::Status,
    register::step::Look,
    registry::{CheckDefinition, Registered, RegisteredCheck},
};

const SECOND: Duration = Duration::from_secs(1);

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "any instant will do as the start")]
    Instant::now()
}

fn definition(id: &str) -> Arc<Definition> {
    let mut definition = Definition::new(id.parse().unwrap(), "web".parse().unwrap(), "10.0.0.1", 80);
    let check = Check::ttl(6 * SECOND);
    definition.checks =
        vec![CheckDefinition::new(format!("service:{id}").parse().unwrap(), "a check", check)];
    Arc::new(definition)
}

fn table_of(count: usize, now: Instant) -> Table {
    let mut table = Table::new(Rolls::new(7), 5 * SECOND);
    for n in 0..count {
        let inserted = table.insert(definition(&format!("web-{n}")), now);
        assert!(matches!(inserted, Insert::Done(..)), "{inserted:?}");
    }
    table
}

fn the_sweep(jobs: Vec<Job>) -> Vec<(ServiceId, u64)> {
    let mut asked = jobs.into_iter().filter_map(|job| match job {
        Job::Sweep { asked, .. } => Some(asked),
        _ => None,
    });
    asked.next().expect("a sweep is due")
}

fn swept(asked: Vec<(ServiceId, u64)>, outcome: Result<Vec<Registered>, Error>) -> Done {
    Done::Swept { asked, outcome, who: None }
}

fn id(n: usize) -> ServiceId {
    format!("web-{n}").parse().unwrap()
}

/// All of them on the agent, with the first reports due.
fn registered(count: usize, now: Instant) -> Table {
    let mut table = table_of(count, now);
    let asked = the_sweep(table.take(now));
    table.done(swept(asked, Ok(Vec::new())), now);
    let mut sent = 0;
    while sent < count {
        let jobs = table.take(now);
        // The tether has a place of its own.
        let counted = jobs.len() - tethers(&jobs);
        assert!(!jobs.is_empty() && counted <= CALLS + REPORTS, "{counted}");
        for job in jobs {
            let done = match job {
                Job::Send(definition, _) => {
                    sent += 1;
                    Done::Called(definition.id, Input::Sent)
                }
                Job::Look(definition) => Done::Looked(definition.id.clone(), Look::Usable, Vec::new()),
                Job::Report { id, report, .. } => Done::Reported { id, check: report.check, outcome: Ok(()) },
                Job::Tether(_) => continue,
                other => panic!("not due: {other:?}"),
            };
            table.done(done, now);
        }
    }
    table
}

#[test]
fn one_sweep_asks_for_all() {
    let now = start();
    let mut table = table_of(100, now);
    assert_eq!(table.deadline(), Some(now));
    let jobs = table.take(now);
    assert_eq!(jobs.len(), 1);
    assert_eq!(the_sweep(jobs).len(), 100);
    assert!(table.take(now).is_empty(), "one at a time");
}

#[test]
fn so_many_sends_are_under_way_at_once_and_no_more() {
    let now = start();
    let mut table = table_of(100, now);
    let asked = the_sweep(table.take(now));
    table.done(swept(asked, Ok(Vec::new())), now);
    assert_eq!(table.take(now).len(), CALLS);
    assert!(table.take(now).is_empty());
    let next = table.deadline().unwrap();
    assert!(next > now, "only the next sweep, not what cannot be begun: the loop would spin");
    table.done(Done::Called(id(0), Input::SendFailed(Kind::Busy, String::new())), now);
    assert_eq!(table.take(now).len(), 1, "a place is free");
}

#[test]
fn so_many_reports_are_under_way_at_once_and_the_longest_overdue_come_first() {
    let now = start();
    let mut table = registered(100, now);
    let later = now + 60 * SECOND;
    let reports = |jobs: Vec<Job>| jobs.into_iter().filter(|job| matches!(job, Job::Report { .. })).count();
    assert_eq!(reports(table.take(later)), REPORTS);
    assert_eq!(reports(table.take(later)), 0);
}

#[test]
fn a_sweep_that_began_before_a_send_says_nothing_about_it() {
    let now = start();
    let mut table = table_of(1, now);
    let asked = the_sweep(table.take(now));
    table.done(swept(asked, Ok(Vec::new())), now);
    let later = now + 10 * SECOND;
    let jobs = table.take(later);
    assert!(jobs.iter().any(|job| matches!(job, Job::Send(..))));
    let stale = the_sweep(jobs);
    table.done(Done::Called(id(0), Input::Sent), later);
    table.done(swept(stale, Ok(Vec::new())), later);
    let jobs = table.take(later);
    assert!(!jobs.iter().any(|job| matches!(job, Job::Send(..))), "{jobs:?}");
}

#[test]
fn one_that_comes_during_a_sweep_gets_one_of_its_own_right_after() {
    let now = start();
    let mut table = table_of(1, now);
    let asked = the_sweep(table.take(now));
    table.insert(definition("web-9"), now);
    assert!(table.take(now).is_empty());
    table.done(swept(asked, Ok(Vec::new())), now);
    assert_eq!(the_sweep(table.take(now)).len(), 2);
}

#[test]
fn a_handle_whose_id_has_passed_to_another_changes_nothing() {
    let now = start();
    let mut table = table_of(1, now);
    assert!(matches!(table.insert(definition("web-0"), now), Insert::Held));
    table.tell(&id(0), 1, Input::Close, now);
    assert!(table.is_empty());
    let Insert::Done(number, state) = table.insert(definition("web-0"), now) else { panic!("free") };
    table.tell(&id(0), 1, Input::Close, now);
    assert!(!table.say(&id(0), 1, (Status::Warning, ""), now));
    assert!(table.say(&id(0), number, (Status::Warning, ""), now));
    assert_eq!(*state.borrow(), RegistrationState::Pending);
}

#[test]
fn calls_that_were_lost_with_their_task_are_made_again() {
    let now = start();
    let mut table = registered(40, now);
    let later = now + 60 * SECOND;
    let lost = table.take(later).len();
    table.restarted(later);
    let again = table.take(later);
    assert_eq!(again.len(), lost, "{again:?}");
}

/// When the first call and the first report are due, by a look at every registration.
fn searched(table: &Table) -> (Option<Instant>, Option<Instant>) {
    let calls = table.slots.values().filter_map(|slot| slot.machine.deadline()).min();
    let held = table.slots.values().filter(|slot| slot.machine.is_held());
    (calls, held.flat_map(|slot| &slot.beats).filter_map(Beat::deadline).min())
}

/// A call that went well, or did not.
fn ended(job: Job, well: bool) -> Done {
    let failed = || Error::new(Kind::NotFound, "it was planted");
    let called = |id: ServiceId, good, bad| Done::Called(id, if well { good } else { bad });
    let text = String::new();
    match job {
        Job::Sweep { asked, .. } => swept(asked, if well { Ok(Vec::new()) } else { Err(failed()) }),
        Job::Tether(_) => Done::Untied(if well { Ok(()) } else { Err(failed()) }),
        Job::Search(lost, ..) => {
            called(lost.id.clone(), Input::LivesNowhere(text), Input::LivesThere("there".to_owned()))
        }
        Job::Announce(id) => called(id, Input::Announced(true), Input::Announced(false)),
        Job::Maintain(id) => called(id, Input::Maintained(Ok(())), Input::Maintained(Err(Kind::Busy))),
        Job::Evict(_) => Done::Evicted,
        Job::Send(sent, _) => called(sent.id, Input::Sent, Input::SendFailed(Kind::Busy, text)),
        Job::Look(seen) => {
            Done::Looked(seen.id.clone(), if well { Look::Usable } else { Look::Absent }, Vec::new())
        }
        Job::Remove(gone) => called(gone.id.clone(), Input::Removed, Input::RemoveFailed(Kind::Busy, text)),
        Job::Report { id, report, .. } => {
            let outcome = if well { Ok(()) } else { Err(failed()) };
            Done::Reported { id, check: report.check, outcome }
        }
    }
}

proptest! {
    #[test]
    fn what_is_due_next_is_what_a_look_at_all_would_find(
        steps in prop::collection::vec((0u8..9, 0usize..4, any::<bool>()), 0..120),
    ) {
        let mut now = start();
        let mut table = table_of(0, now);
        let mut numbers = BTreeMap::new();
        let mut under_way: Vec<Job> = Vec::new();
        for (step, n, well) in steps {
            let number = numbers.get(&n).copied().unwrap_or_default();
            match step {
                0 => {
                    if let Insert::Done(number, _) = table.insert(definition(&format!("web-{n}")), now) {
                        numbers.insert(n, number);
                    }
                }
                1 => table.tell(&id(n), number, Input::Close, now),
                2 => drop(table.say(&id(n), number, (Status::Warning, "slow"), now)),
                3 if n == 0 => {
                    under_way.clear();
                    table.restarted(now);
                }
                4 => now += Duration::from_millis(700),
                5 | 6 => under_way.extend(table.take(now)),
                _ if under_way.is_empty() => {}
                _ => {
                    let job = under_way.remove(n % under_way.len());
                    table.done(ended(job, well), now);
                }
            }
            prop_assert_eq!((table.calls_due.next(), table.reports_due.next()), searched(&table));
        }
    }
}

#[test]
fn each_check_of_an_instance_has_its_report() {
    let now = start();
    let mut both = Arc::unwrap_or_clone(definition("web-0"));
    let second = CheckDefinition::new("service:web-0:2".parse().unwrap(), "another", Check::ttl(9 * SECOND));
    both.checks.push(second);
    let mut table = table_of(0, now);
    table.insert(Arc::new(both), now);
    let asked = the_sweep(table.take(now));
    table.done(swept(asked, Ok(Vec::new())), now);
    table.take(now);
    table.done(Done::Called(id(0), Input::Sent), now);
    let reports = |jobs: Vec<Job>| jobs.into_iter().filter(|job| matches!(job, Job::Report { .. })).count();
    assert_eq!(reports(table.take(now)), 2);
}

fn tethers(jobs: &[Job]) -> usize {
    jobs.iter().filter(|job| matches!(job, Job::Tether(_))).count()
}

fn sweeps(jobs: &[Job]) -> usize {
    jobs.iter().filter(|job| matches!(job, Job::Sweep { .. })).count()
}

/// What an agent holds of so many, as they were sent.
fn held(count: usize) -> Vec<Registered> {
    let one = |n: usize| {
        let mut held = Registered::new(id(n), "web", "10.0.0.1", 80);
        let check = RegisteredCheck::new(Status::Passing, "ttl", "");
        held.checks.insert(format!("service:web-{n}"), check);
        held
    };
    (0..count).map(one).collect()
}

fn unreachable() -> Error {
    Error::new(Kind::Unreachable, "reset")
}

#[test]
fn a_call_waits_at_the_agent_once_it_holds_something_and_its_end_brings_a_sweep() {
    let now = start();
    let mut table = table_of(1, now);
    let asked = the_sweep(table.take(now));
    table.done(swept(asked, Ok(Vec::new())), now);
    assert_eq!(tethers(&table.take(now)), 0, "it holds nothing yet");
    table.done(Done::Called(id(0), Input::Sent), now);
    assert_eq!(tethers(&table.take(now)), 1);

    let later = now + 2 * SECOND;
    assert_eq!(sweeps(&table.take(later)), 0);
    table.done(Done::Untied(Err(unreachable())), later);
    let jobs = table.take(later);
    assert_eq!((tethers(&jobs), sweeps(&jobs)), (0, 1), "it is seen at once");
    // While the agent does not answer, nothing waits at it.
    table.done(swept(the_sweep(jobs), Err(unreachable())), later);
    let next = table.sweep_at.unwrap();
    assert!(next - later <= SECOND / 2, "its return is to be noticed soon: {:?}", next - later);
    let jobs = table.take(next);
    assert_eq!((tethers(&jobs), sweeps(&jobs)), (0, 1));
    table.done(swept(the_sweep(jobs), Ok(held(1))), next);
    assert_eq!(tethers(&table.take(next)), 1);
    // One that breaks at once tells nothing.
    table.done(Done::Untied(Err(unreachable())), next + SECOND / 2);
    let jobs = table.take(next + SECOND / 2);
    assert_eq!((tethers(&jobs), sweeps(&jobs)), (0, 0));
}

#[test]
fn a_sweep_that_failed_is_told_to_one_that_took_a_step_meanwhile() {
    let now = start();
    let mut table = table_of(1, now);
    let asked = the_sweep(table.take(now));
    table.done(swept(asked, Ok(Vec::new())), now);
    assert!(table.take(now).iter().any(|job| matches!(job, Job::Send(..))));
    table.done(Done::Called(id(0), Input::Sent), now);
    table.looked(&id(0), Look::Usable, Vec::new(), now);
    let state = table.slots[&id(0)].state.subscribe();
    assert_eq!(*state.borrow(), RegistrationState::Registered);
    let mut later = now;
    for _ in 0..2 {
        later += 10 * SECOND;
        let mut asked = the_sweep(table.take(later));
        // Its machine has another epoch by the time the sweep ends.
        asked.iter_mut().for_each(|(_, epoch)| *epoch -= 1);
        table.done(swept(asked, Err(unreachable())), later);
    }
    assert!(matches!(*state.borrow(), RegistrationState::Repairing { .. }), "{:?}", *state.borrow());
}

#[test]
fn an_agent_that_refuses_is_not_pressed() {
    let now = start();
    let mut table = table_of(1, now);
    let asked = the_sweep(table.take(now));
    table.done(swept(asked, Err(Error::new(Kind::Denied, "token"))), now);
    assert_eq!(table.sweep_at, Some(now + 5 * SECOND));
}

#[test]
fn who_the_agent_is_is_asked_until_it_is_known_or_refused() {
    let now = start();
    let mut table = table_of(1, now);
    let who = |jobs: Vec<Job>| match jobs.into_iter().next() {
        Some(Job::Sweep { asked, who }) => (asked, who),
        other => panic!("a sweep is due: {other:?}"),
    };
    let (asked, asks) = who(table.take(now));
    assert!(asks);
    let denied = Some(Err(Error::new(Kind::Denied, "agent:read")));
    table.done(Done::Swept { asked, outcome: Ok(held(1)), who: denied }, now);
    let later = now + 10 * SECOND;
    let (asked, asks) = who(table.take(later));
    assert!(!asks, "it was refused");
    table.done(Done::Swept { asked, outcome: Ok(held(1)), who: Some(Ok("node-a".into())) }, later);
    assert_eq!(table.slots[&id(0)].home.as_deref(), Some("node-a"));
    let (asked, asks) = who(table.take(later + 10 * SECOND));
    assert!(!asks, "it is known");
    // The name may be another's than the list, behind a load balancer: it is asked for again.
    let other = Some(Ok("node-b".into()));
    table.done(Done::Swept { asked, outcome: Ok(held(1)), who: other }, later + 10 * SECOND);
    assert_eq!(table.slots[&id(0)].home, None);
    assert!(who(table.take(later + 20 * SECOND)).1);
}

#[test]
fn who_took_an_instance_is_not_known_when_no_sweep_has_told_since_the_agent_was_away() {
    let now = start();
    let mut table = table_of(1, now);
    let asked = the_sweep(table.take(now));
    table.done(Done::Swept { asked, outcome: Ok(Vec::new()), who: Some(Ok("node-a".into())) }, now);
    table.take(now);
    table.done(Done::Called(id(0), Input::SendFailed(Kind::Timeout, String::new())), now);
    let later = now + 10 * SECOND;
    let jobs = table.take(later);
    assert!(jobs.iter().any(|job| matches!(job, Job::Send(..))), "{jobs:?}");
    table.done(swept(the_sweep(jobs), Err(unreachable())), later);
    table.done(Done::Called(id(0), Input::Sent), later);
    assert_eq!(table.slots[&id(0)].home, None);
}

#[test]
fn after_a_standstill_everything_is_looked_at_and_every_report_is_due() {
    let now = start();
    let mut table = registered(3, now);
    for job in table.take(now) {
        if let Job::Report { id, report, .. } = job {
            table.done(Done::Reported { id, check: report.check, outcome: Ok(()) }, now);
        }
    }
    let soon = now + SECOND / 10;
    let due =
        |jobs: &[Job]| (sweeps(jobs), jobs.iter().filter(|job| matches!(job, Job::Report { .. })).count());
    assert_eq!(due(&table.take(soon)), (0, 0));
    table.suspended(soon);
    assert_eq!(due(&table.take(soon)), (1, 3));
}

#[test]
fn a_dead_predecessor_is_removed_once_and_never_one_of_ours() {
    let now = start();
    let mut table = table_of(2, now);
    let mut evicted = |look, before: &[usize]| {
        let before = before.iter().map(|n| id(*n)).collect();
        table.looked(&id(0), look, before, now);
        let jobs = table.take(now);
        jobs.into_iter().filter(|job| matches!(job, Job::Evict(_))).count()
    };
    assert_eq!(evicted(Look::Absent, &[7]), 0);
    assert_eq!(evicted(Look::Usable, &[1, 7, 8]), 2);
    assert_eq!(evicted(Look::Usable, &[9]), 0, "once");
    // However many there are, they wait for their places as all calls do.
    let many: Vec<usize> = (100..200).collect();
    let mut table = table_of(1, now);
    table.looked(&id(0), Look::Usable, many.iter().map(|n| id(*n)).collect(), now);
    let begun = |jobs: Vec<Job>| jobs.into_iter().filter(|job| matches!(job, Job::Evict(_))).count();
    assert_eq!((begun(table.take(now)), begun(table.take(now))), (CALLS, 0));
    table.done(Done::Evicted, now);
    assert_eq!(begun(table.take(now)), 1);
}

/// Counts the lines of this file at `info` or above.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::atomic::AtomicUsize>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().ends_with("table::reports") && *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn late_reports_are_warned_of_once_for_all_and_so_is_their_end() {
    let lines = Lines::default();
    let _logs = tracing::subscriber::set_default(lines.clone());
    let said = || lines.0.load(std::sync::atomic::Ordering::SeqCst);
    let mut now = start();
    let mut table = registered(20, now);
    // Every report is answered, for as long as `well` says so; then as long none is.
    let run = |table: &mut Table, now: &mut Instant, well: bool| {
        for _ in 0..40 {
            *now += SECOND / 4;
            for job in table.take(*now) {
                let well = well || !matches!(job, Job::Report { .. });
                let done = match ended(job, well) {
                    Done::Reported { id, check, outcome: Err(_) } => {
                        let late = Error::new(Kind::Timeout, "planted");
                        Done::Reported { id, check, outcome: Err(late) }
                    }
                    Done::Swept { asked, .. } => swept(asked, Err(Error::new(Kind::Timeout, "planted"))),
                    done => done,
                };
                table.done(done, *now);
            }
        }
    };
    run(&mut table, &mut now, true);
    assert_eq!((table.late.len(), said()), (0, 0));
    run(&mut table, &mut now, false);
    assert_eq!((table.late.len(), said()), (20, 1));
    run(&mut table, &mut now, true);
    assert_eq!((table.late.len(), said()), (0, 2));
    run(&mut table, &mut now, false);
    assert_eq!((table.late.len(), said()), (20, 3));
    let numbers: Vec<(ServiceId, u64)> =
        table.slots.iter().map(|(id, slot)| (id.clone(), slot.number)).collect();
    for (id, number) in numbers {
        table.tell(&id, number, Input::Close, now);
    }
    run(&mut table, &mut now, true);
    assert_eq!(
        (table.late.len(), table.is_empty(), said()),
        (0, true, 4),
        "those that are gone are not late"
    );
}
