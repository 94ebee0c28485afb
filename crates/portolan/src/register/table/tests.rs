//! What is under way at once, and whose answer counts.

use super::*;
use crate::{check::Check, registry::CheckDefinition};

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
        Job::Sweep(asked) => Some(asked),
        _ => None,
    });
    asked.next().expect("a sweep is due")
}

fn id(n: usize) -> ServiceId {
    format!("web-{n}").parse().unwrap()
}

/// All of them on the agent, with the first reports due.
fn registered(count: usize, now: Instant) -> Table {
    let mut table = table_of(count, now);
    let asked = the_sweep(table.take(now));
    table.done(Done::Swept(asked, Ok(Vec::new())), now);
    let mut sent = 0;
    while sent < count {
        let jobs = table.take(now);
        assert!(!jobs.is_empty() && jobs.len() <= CALLS + REPORTS, "{}", jobs.len());
        for job in jobs {
            let done = match job {
                Job::Send(definition, _) => {
                    sent += 1;
                    Done::Called(definition.id, Input::Sent)
                }
                Job::Verify(definition) => Done::Called(definition.id.clone(), Input::Seen),
                Job::Report { id, report, .. } => Done::Reported { id, check: report.check, outcome: Ok(()) },
                Job::Sweep(_) | Job::Remove(_) => panic!("not due"),
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
    table.done(Done::Swept(asked, Ok(Vec::new())), now);
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
    table.done(Done::Swept(asked, Ok(Vec::new())), now);
    let later = now + 10 * SECOND;
    let jobs = table.take(later);
    assert!(jobs.iter().any(|job| matches!(job, Job::Send(..))));
    let stale = the_sweep(jobs);
    table.done(Done::Called(id(0), Input::Sent), later);
    table.done(Done::Swept(stale, Ok(Vec::new())), later);
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
    table.done(Done::Swept(asked, Ok(Vec::new())), now);
    assert_eq!(the_sweep(table.take(now)).len(), 2);
}

#[test]
fn a_handle_whose_id_has_passed_to_another_changes_nothing() {
    let now = start();
    let mut table = table_of(1, now);
    assert!(matches!(table.insert(definition("web-0"), now), Insert::Held));
    table.close(&id(0), 1, now);
    assert!(table.is_empty());
    let Insert::Done(number, state) = table.insert(definition("web-0"), now) else { panic!("free") };
    table.close(&id(0), 1, now);
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
