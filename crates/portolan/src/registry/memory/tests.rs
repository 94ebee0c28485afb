//! The rules of CONSUL's indexes, blocking reads and TTL checks, on the in-process registry.

use std::future::Future;

use tokio::{task::JoinSet, time::advance};

use super::*;
use crate::{
    check::Check,
    model::Weights,
    registry::{CheckDefinition, CheckOutput},
};

const SECOND: Duration = Duration::from_secs(1);

fn id(text: &str) -> ServiceId {
    text.parse().unwrap()
}

fn query(name: &str) -> ServiceQuery {
    ServiceQuery::new(name.parse().unwrap())
}

fn definition(id: &str, name: &str) -> Definition {
    Definition::new(id.parse().unwrap(), name.parse().unwrap(), "10.0.0.1", 80)
}

fn checked(id: &str, name: &str, check: Check) -> Definition {
    let mut definition = definition(id, name);
    let check_id = format!("service:{id}").parse().unwrap();
    definition.checks = vec![CheckDefinition::new(check_id, "a check", check)];
    definition
}

fn ttl(id: &str) -> Definition {
    checked(id, "web", Check::ttl(10 * SECOND).deregister_after(Some(60 * SECOND)))
}

fn report(id: &str, status: Status) -> Report {
    Report::new(format!("service:{id}").parse().unwrap(), status, "said")
}

async fn index_of(memory: &Memory, name: &str) -> u64 {
    memory.service(&query(name)).await.unwrap().meta.index
}

async fn status_of(memory: &Memory, name: &str) -> Option<Status> {
    memory.service(&query(name)).await.unwrap().value.first().map(|instance| instance.status)
}

/// Starts a blocking read and lets it come to its wait.
async fn waiting<F>(tasks: &mut JoinSet<F::Output>, read: F)
where
    F: Future<Output: Send> + Send + 'static,
{
    tasks.spawn(read);
    tokio::task::yield_now().await;
}

fn blocking(
    memory: &Memory,
    name: &str,
    index: u64,
) -> impl Future<Output = Result<Answer<Vec<Arc<Instance>>>, Error>> + use<> {
    let (memory, query) = (memory.clone(), query(name).block(index, 60 * SECOND));
    async move { memory.service(&query).await }
}

#[tokio::test(start_paused = true)]
async fn only_a_change_moves_an_index_and_only_that_of_its_service() {
    let memory = Memory::new();
    assert_eq!(index_of(&memory, "web").await, 1, "an unknown service");
    memory.register(&definition("web-1", "web")).await.unwrap();
    memory.register(&definition("db-1", "db")).await.unwrap();
    let (web, db) = (index_of(&memory, "web").await, index_of(&memory, "db").await);
    assert_eq!((web, db, memory.index()), (2, 3, 3));

    memory.register(&definition("web-1", "web")).await.unwrap();
    memory.deregister(&id("nobody")).await.unwrap();
    assert_eq!(memory.index(), 3, "the same definition again, and removing what is not there");

    let mut heavier = definition("web-1", "web");
    heavier.weights = Weights { passing: 5, warning: 0 };
    memory.register(&heavier).await.unwrap();
    assert_eq!((index_of(&memory, "web").await, index_of(&memory, "db").await), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn an_absent_service_has_the_index_of_the_last_extinction() {
    let memory = Memory::new();
    for name in ["web-1", "web-2"] {
        memory.register(&definition(name, "web")).await.unwrap();
    }
    memory.deregister(&id("web-1")).await.unwrap();
    assert_eq!(index_of(&memory, "other").await, 1, "one is left, so nothing is extinct");
    memory.deregister(&id("web-2")).await.unwrap();
    assert_eq!((index_of(&memory, "web").await, index_of(&memory, "other").await), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn an_id_that_changes_its_service_leaves_the_old_one() {
    let memory = Memory::new();
    memory.register(&definition("a", "web")).await.unwrap();
    memory.register(&definition("a", "db")).await.unwrap();
    assert_eq!(status_of(&memory, "web").await, None);
    assert_eq!(status_of(&memory, "db").await, Some(Status::Passing));
}

#[tokio::test(start_paused = true)]
async fn a_blocking_read_returns_on_a_change_of_its_service_and_not_on_another() {
    let memory = Memory::new();
    memory.register(&definition("web-1", "web")).await.unwrap();
    let mut reads = JoinSet::new();
    waiting(&mut reads, blocking(&memory, "web", 2)).await;

    memory.register(&definition("db-1", "db")).await.unwrap();
    tokio::task::yield_now().await;
    assert!(reads.try_join_next().is_none(), "another service's change wakes nobody");

    memory.register(&definition("web-2", "web")).await.unwrap();
    let answer = reads.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!((answer.value.len(), answer.meta.index), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn a_blocking_read_ends_with_its_wait_and_says_the_same() {
    let memory = Memory::new();
    let began = Instant::now();
    let answer = blocking(&memory, "web", 7).await.unwrap();
    assert_eq!(
        (answer.value.len(), answer.meta.index),
        (0, 1),
        "an index beyond ours waits, then tells the true one"
    );
    assert_eq!(began.elapsed(), 60 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_blocking_read_of_an_absent_service_wakes_when_it_comes() {
    let memory = Memory::new();
    let mut reads = JoinSet::new();
    waiting(&mut reads, blocking(&memory, "web", 1)).await;
    memory.register(&definition("web-1", "web")).await.unwrap();
    assert_eq!(reads.join_next().await.unwrap().unwrap().unwrap().value.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_ttl_check_that_is_silent_turns_critical_and_its_instance_goes_in_the_end() {
    let memory = Memory::new();
    memory.register(&ttl("web-1")).await.unwrap();
    assert_eq!(status_of(&memory, "web").await, Some(Status::Critical), "nothing reported yet");
    memory.report(&report("web-1", Status::Passing)).await.unwrap();
    advance(9 * SECOND).await;
    memory.report(&report("web-1", Status::Passing)).await.unwrap();
    advance(9 * SECOND).await;
    assert_eq!(status_of(&memory, "web").await, Some(Status::Passing), "a report starts the time anew");
    let index = index_of(&memory, "web").await;

    let answer = blocking(&memory, "web", index).await.unwrap();
    assert_eq!(answer.value[0].status, Status::Critical, "an open read sees it expire");
    advance(60 * SECOND).await;
    assert_eq!(status_of(&memory, "web").await, None, "critical for as long as it may be");
}

#[tokio::test(start_paused = true)]
async fn a_report_without_news_moves_no_index() {
    let memory = Memory::new();
    memory.register(&ttl("web-1")).await.unwrap();
    memory.report(&report("web-1", Status::Passing)).await.unwrap();
    let index = memory.index();
    memory.report(&report("web-1", Status::Passing)).await.unwrap();
    assert_eq!(memory.index(), index);
}

#[tokio::test(start_paused = true)]
async fn a_report_for_what_is_no_ttl_check_is_not_found() {
    let memory = Memory::new();
    memory.register(&checked("web-1", "web", Check::http("http://10.0.0.1/health"))).await.unwrap();
    for check in ["web-1", "nobody"] {
        let error = memory.report(&report(check, Status::Passing)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "{error}");
    }
    assert_eq!(status_of(&memory, "web").await, Some(Status::Passing), "nobody runs it: it passes at once");
    let check = "service:web-1".parse().unwrap();
    memory.set_check(&check, Status::Warning, "slow").unwrap();
    assert_eq!(status_of(&memory, "web").await, Some(Status::Warning));
    let kept = memory.service(&query("web").output(CheckOutput::Keep)).await.unwrap();
    assert_eq!(&*kept.value[0].checks[0].output, "slow");
}

#[tokio::test(start_paused = true)]
async fn a_check_that_stays_keeps_its_status_and_others_start_anew() {
    let memory = Memory::new();
    let http = |path: &str| checked("web-1", "web", Check::http(path).starting(Status::Critical));
    memory.register(&http("http://h/a")).await.unwrap();
    memory.set_check(&"service:web-1".parse().unwrap(), Status::Passing, "").unwrap();
    memory.register(&http("http://h/b")).await.unwrap();
    assert_eq!(status_of(&memory, "web").await, Some(Status::Passing));
    memory.wipe();
    memory.register(&http("http://h/b")).await.unwrap();
    assert_eq!(status_of(&memory, "web").await, Some(Status::Critical));
}

#[tokio::test]
async fn maintenance_that_was_ended_by_hand_is_no_difference_to_a_definition_without_it() {
    let memory = Memory::new();
    let mut begun = definition("web-1", "web");
    begun.maintenance = Some("starting".into());
    memory.register(&begun).await.unwrap();
    memory.maintenance(&id("web-1"), None).await.unwrap();
    let before = index_of(&memory, "web").await;
    memory.register(&definition("web-1", "web")).await.unwrap();
    assert_eq!(index_of(&memory, "web").await, before);
    memory.register(&begun).await.unwrap();
    assert!(index_of(&memory, "web").await > before, "it begins anew");
}

#[tokio::test(start_paused = true)]
async fn maintenance_is_a_check_of_its_own() {
    let memory = Memory::new();
    memory.register(&definition("web-1", "web")).await.unwrap();
    memory.maintenance(&id("web-1"), Some("new disk")).await.unwrap();
    assert_eq!(status_of(&memory, "web").await, Some(Status::Maintenance));
    let held = memory.registered(&[id("web-1"), id("nobody")]).await.unwrap();
    assert_eq!(held.len(), 1, "an id that it does not hold is left out");
    assert_eq!(held[0].checks["_service_maintenance:web-1"].status, Status::Maintenance);
    memory.maintenance(&id("web-1"), None).await.unwrap();
    assert_eq!(status_of(&memory, "web").await, Some(Status::Passing));
    let error = memory.maintenance(&id("nobody"), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn while_it_cannot_be_reached_every_call_fails_open_reads_too() {
    let memory = Memory::new();
    let mut reads = JoinSet::new();
    waiting(&mut reads, blocking(&memory, "web", 1)).await;
    memory.set_reachable(false);
    let error = reads.join_next().await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert_eq!(memory.agent().await.unwrap_err().kind(), Kind::Unreachable);
    assert_eq!(memory.register(&ttl("web-1")).await.unwrap_err().kind(), Kind::Unreachable);
    memory.set_reachable(true);
    assert_eq!(status_of(&memory, "web").await, None, "what failed was not done");
}

#[tokio::test(start_paused = true)]
async fn services_have_the_tags_of_their_instances_sorted() {
    let memory = Memory::new();
    for (id, tags) in [("web-1", ["green", "blue"]), ("web-2", ["blue", "amber"])] {
        let mut definition = definition(id, "web");
        definition.tags = tags.map(str::to_owned).to_vec();
        memory.register(&definition).await.unwrap();
    }
    let mut query = CatalogQuery { block: Some(Block { index: 3, wait: SECOND }), ..CatalogQuery::default() };
    let all = memory.services(&query).await.unwrap();
    let tags: Vec<&str> = all.value["web"].iter().map(|tag| &**tag).collect();
    assert_eq!(tags, ["amber", "blue", "green"]);
    query.datacenter = Some("dc9".into());
    assert_eq!(memory.services(&query).await.unwrap_err().kind(), Kind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_long_output_is_cut_between_characters() {
    let memory = Memory::new();
    memory.register(&ttl("web-1")).await.unwrap();
    let long = format!("x{}", "ü".repeat(4096));
    let report = Report::new("service:web-1".parse().unwrap(), Status::Passing, long);
    memory.report(&report).await.unwrap();
    let held = memory.registered(&[id("web-1")]).await.unwrap();
    assert_eq!(held[0].checks["service:web-1"].output.len(), 4095);
}

#[test]
fn a_step_that_changed_nothing_wakes_nobody_and_an_extinction_wakes_all_that_are_absent() {
    let now = Instant::now().into_std();
    let mut catalog = Catalog::new();
    assert!(catalog.deregister(&id("web-1")).is_empty());
    let first = catalog.register(&definition("web-1", "web"), now);
    assert!(!first.is_empty() && !first.extinction);
    assert!(catalog.register(&definition("web-1", "web"), now).is_empty(), "the same again");
    let last = catalog.deregister(&id("web-1"));
    assert!(!last.is_empty() && last.extinction);
    assert!(!Changes { extinction: true, ..Changes::default() }.is_empty());
}

#[test]
fn the_next_deadline_is_the_soonest_of_all_checks_and_none_without_one() {
    let now = Instant::now().into_std();
    let mut catalog = Catalog::new();
    catalog.register(&definition("db-1", "db"), now);
    assert_eq!(catalog.next_deadline(), None);
    let passing = |id: &str, ttl| checked(id, "web", Check::ttl(ttl).starting(Status::Passing));
    catalog.register(&passing("web-1", 10 * SECOND), now);
    catalog.register(&passing("web-2", 20 * SECOND), now);
    assert_eq!(catalog.next_deadline(), now.checked_add(10 * SECOND));
    catalog.deregister(&id("web-1"));
    let _silent = catalog.settle(now.checked_add(10 * SECOND).unwrap());
    assert_eq!(catalog.next_deadline(), now.checked_add(20 * SECOND));
}

#[test]
fn silence_changes_what_is_seen_and_is_told_with_what_was_said_last() {
    let now = Instant::now().into_std();
    let at = |seconds: u32| now.checked_add(seconds * SECOND).unwrap();
    let said = |catalog: &Catalog| {
        let instances = catalog.instances(&"web".parse().unwrap());
        instances
            .iter()
            .flat_map(|one| &one.checks)
            .map(|check| (check.status, check.output.to_string()))
            .next()
    };
    let mut catalog = Catalog::new();
    catalog.register(&ttl("web-1"), now);
    let tell = |catalog: &mut Catalog, status, output: &str| {
        let report = Report::new("service:web-1".parse().unwrap(), status, output);
        !catalog.report(&report, Reporter::Service, now).unwrap().is_empty()
    };
    assert!(tell(&mut catalog, Status::Passing, "well"));
    assert!(!tell(&mut catalog, Status::Passing, "well"), "the same again");
    assert!(tell(&mut catalog, Status::Passing, "very well"), "another output");
    assert!(tell(&mut catalog, Status::Warning, "very well"), "another status");
    assert!(catalog.settle(at(9)).is_empty());
    assert!(!catalog.settle(at(10)).is_empty());
    assert_eq!(said(&catalog), Some((Status::Critical, "TTL expired (last output: very well)".to_owned())));
    // What says itself that it is critical is not silenced by its silence.
    tell(&mut catalog, Status::Critical, "on fire");
    assert!(catalog.settle(at(20)).is_empty());
    assert_eq!(said(&catalog), Some((Status::Critical, "on fire".to_owned())));
    assert_eq!(catalog.next_deadline(), Some(at(70)), "when it is removed");
}

#[test]
fn of_several_checks_the_silent_one_is_seen_wherever_it_stands() {
    let now = Instant::now().into_std();
    for silent in 0..3 {
        let mut web = definition("web-1", "web");
        let check = |at: u32| {
            let ttl = if at == silent { 10 * SECOND } else { 100 * SECOND };
            let check = Check::ttl(ttl).starting(Status::Passing);
            CheckDefinition::new(format!("check-{at}").parse().unwrap(), "a check", check)
        };
        web.checks = (0..3).map(check).collect();
        let mut catalog = Catalog::new();
        catalog.register(&web, now);
        assert!(!catalog.settle(now.checked_add(10 * SECOND).unwrap()).is_empty(), "{silent}");
    }
}

#[test]
fn each_kind_of_check_is_held_under_its_word() {
    let now = Instant::now().into_std();
    let mut catalog = Catalog::new();
    for (check, word) in [(Check::http("/h"), "http"), (Check::tcp(), "tcp"), (Check::ttl(SECOND), "ttl")] {
        catalog.register(&checked("web-1", "web", check), now);
        let held = catalog.registered(&[id("web-1")]);
        assert_eq!(&*held[0].checks["service:web-1"].kind, word);
    }
}
