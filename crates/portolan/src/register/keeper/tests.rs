//! Registrations on the in-process registry, with a registry before it that a test can make slow, deaf or unwilling.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use super::*;
use crate::registry::Registry;
use crate::{
    check::Check,
    model::{CheckId, Instance, Status},
    register::{Address, DrainStep, RegistrationState as State},
    registry::{
        AgentInfo, Answer, CatalogQuery, Registered, Reply, Report, ServiceQuery, ServiceTags, memory::Memory,
    },
};

mod elsewhere;
mod leave;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Passes calls on to the in-process registry, counts them, and fails or delays those it is told to.
#[derive(Debug, Default)]
#[expect(clippy::disallowed_types, reason = "a test's script, changed between calls")]
struct Scripted {
    memory: Memory,
    registers: AtomicUsize,
    deregisters: AtomicUsize,
    reports: AtomicUsize,
    refuse: std::sync::Mutex<BTreeMap<&'static str, Kind>>,
    slow: std::sync::Mutex<Option<(CheckId, Duration)>>,
    blind_catalogue: AtomicBool,
    /// Another agent, which answers what is asked of the agent; the catalogue is the first one's.
    other: std::sync::Mutex<Option<Memory>>,
}

impl Scripted {
    fn refuse(&self, operation: &'static str, kind: Option<Kind>) {
        let mut refuse = self.refuse.lock().unwrap();
        match kind {
            Some(kind) => refuse.insert(operation, kind),
            None => refuse.remove(operation),
        };
    }

    fn agent(&self) -> Memory {
        self.other.lock().unwrap().clone().unwrap_or_else(|| self.memory.clone())
    }

    fn allowed(&self, operation: &'static str) -> Result<(), Error> {
        match self.refuse.lock().unwrap().get(operation) {
            Some(kind) => Err(Error::new(*kind, format!("{operation}: refused by the script"))),
            None => Ok(()),
        }
    }
}

impl Registry for Scripted {
    fn describe(&self) -> String {
        "a scripted registry".to_owned()
    }

    fn service<'a>(&'a self, query: &'a ServiceQuery) -> Reply<'a, Answer<Vec<Arc<Instance>>>> {
        if self.blind_catalogue.load(SeqCst) {
            return Box::pin(async { Ok(Answer::new(Vec::new(), 1)) });
        }
        self.memory.service(query)
    }

    fn services<'a>(&'a self, query: &'a CatalogQuery) -> Reply<'a, Answer<ServiceTags>> {
        self.memory.services(query)
    }

    fn agent(&self) -> Reply<'_, AgentInfo> {
        if let Err(refused) = self.allowed("agent") {
            return Box::pin(async { Err(refused) });
        }
        if self.other.lock().unwrap().is_some() {
            return Box::pin(async { Ok(AgentInfo::new("another", "dc1", "1")) });
        }
        self.memory.agent()
    }

    fn registered<'a>(&'a self, ids: &'a [ServiceId]) -> Reply<'a, Vec<Registered>> {
        Box::pin(async move {
            self.allowed("registered")?;
            self.agent().registered(ids).await
        })
    }

    fn register<'a>(&'a self, definition: &'a Definition) -> Reply<'a, ()> {
        Box::pin(async move {
            self.registers.fetch_add(1, SeqCst);
            self.allowed("register")?;
            self.agent().register(definition).await
        })
    }

    fn deregister<'a>(&'a self, id: &'a ServiceId) -> Reply<'a, ()> {
        Box::pin(async move {
            self.deregisters.fetch_add(1, SeqCst);
            self.allowed("deregister")?;
            self.agent().deregister(id).await
        })
    }

    fn report<'a>(&'a self, report: &'a Report) -> Reply<'a, ()> {
        Box::pin(async move {
            self.reports.fetch_add(1, SeqCst);
            let slow = self.slow.lock().unwrap().clone();
            if let Some((_, delay)) = slow.filter(|(check, _)| *check == report.check) {
                tokio::time::sleep(delay).await;
            }
            self.allowed("report")?;
            self.agent().report(report).await
        })
    }

    fn maintenance<'a>(&'a self, id: &'a ServiceId, reason: Option<&'a str>) -> Reply<'a, ()> {
        Box::pin(async move {
            self.allowed("maintenance")?;
            self.agent().maintenance(id, reason).await
        })
    }

    fn tether<'a>(&'a self, id: &'a ServiceId, wait: Duration) -> Reply<'a, ()> {
        Box::pin(async move { self.agent().tether(id, wait).await })
    }
}

/// A keeper on a scripted registry. Its tasks end with it.
struct Rig {
    registry: Arc<Scripted>,
    tasks: Tasks,
    keeper: Keeper,
}

fn rig() -> Rig {
    let registry = Arc::new(Scripted::default());
    let tasks = Tasks::new();
    let guard = Arc::new(Guard::new(Arc::<Scripted>::clone(&registry), 4, 10 * SECOND));
    let keeper = Keeper::new(guard, &tasks, KeeperSettings { seed: 7, ..KeeperSettings::default() });
    Rig { registry, tasks, keeper }
}

/// Waits until it is registered after something else; that it was repairing meanwhile may be seen or not.
async fn registered_again(handle: &mut RegistrationHandle) {
    while handle.changed().await.unwrap() != State::Registered {}
}

impl Rig {
    fn memory(&self) -> &Memory {
        &self.registry.memory
    }

    async fn status(&self, name: &str) -> Option<Status> {
        let query = ServiceQuery::new(name.parse().unwrap());
        self.memory().service(&query).await.unwrap().value.first().map(|one| one.status)
    }

    fn registers(&self) -> usize {
        self.registry.registers.load(SeqCst)
    }
}

fn web() -> Registration {
    Registration::http("web", 8080).id("web-1").address(Address::Given("10.0.0.1".into()))
}

fn ttl() -> Registration {
    Registration::ttl("web", 8080).id("web-1").address(Address::Given("10.0.0.1".into()))
}

/// Waits for a state, on the paused clock, for an hour at most.
async fn reach(handle: &mut RegistrationHandle, wanted: impl Fn(&State) -> bool) -> State {
    let reached = async {
        while !wanted(&handle.state()) {
            handle.changed().await.unwrap();
        }
        handle.state()
    };
    timeout(60 * MINUTE, reached).await.expect("the state comes")
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_registered_when_register_returns_and_gone_when_close_does() {
    let rig = rig();
    let handle = rig.keeper.register(&web()).await.unwrap();
    assert_eq!(handle.state(), State::Registered);
    handle.wait_registered(SECOND).await.unwrap();
    handle.wait_healthy(SECOND).await.unwrap();
    assert_eq!(rig.status("web").await, Some(Status::Passing));
    handle.close().await.unwrap();
    assert_eq!(rig.status("web").await, None);
    rig.tasks.close(SECOND).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_unchanged_is_never_sent_again() {
    let rig = rig();
    let handle = rig.keeper.register(&web().tags(["b", "a"]).meta("k", "v")).await.unwrap();
    let index = rig.memory().index();
    pass(60 * MINUTE).await;
    assert_eq!((rig.registers(), rig.memory().index()), (1, index));
    assert_eq!(handle.state(), State::Registered);
}

#[tokio::test(start_paused = true)]
async fn what_the_agent_holds_already_is_taken_over_without_sending_it() {
    let rig = rig();
    let first = rig.keeper.register(&web()).await.unwrap();
    // Another process with the same definition: the one before it was killed.
    let other = Keeper::new(Arc::clone(rig.keeper.registry()), &rig.tasks, KeeperSettings::default());
    let second = other.register(&web()).await.unwrap();
    assert_eq!((second.state(), rig.registers()), (State::Registered, 1));
    drop((first, second));
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_back_within_one_sweep_of_a_wipe_with_the_status_it_had() {
    let rig = rig();
    let spec = web().checks([Check::http("/health").starting(Status::Critical)]);
    let mut handle = rig.keeper.register(&spec).await.unwrap();
    let check = handle.definition().checks[0].id.clone();
    assert_eq!(rig.status("web").await, Some(Status::Critical));
    rig.memory().set_check(&check, Status::Passing, "200 OK").unwrap();
    pass(7 * SECOND).await;

    rig.memory().wipe();
    let began = Instant::now();
    registered_again(&mut handle).await;
    assert!(began.elapsed() <= 7 * SECOND, "{:?}", began.elapsed());
    assert_eq!(
        rig.status("web").await,
        Some(Status::Passing),
        "its check has not run again, and it is not critical"
    );
    assert_eq!(rig.registers(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_changed_is_repaired_and_refused_when_it_does_not_hold() {
    let rig = rig();
    let mut handle = rig.keeper.register(&web()).await.unwrap();
    let mut other = handle.definition().clone();
    other.tags = vec!["theirs".into()];

    rig.registry.refuse("register", Some(Kind::Unavailable));
    rig.memory().register(&other).await.unwrap();
    let State::Repairing { reason, .. } =
        reach(&mut handle, |state| matches!(state, State::Repairing { .. })).await
    else {
        panic!("repairing")
    };
    assert!(reason.starts_with("tags: [] was sent, the agent holds [\"theirs\"]"), "{reason}");
    rig.registry.refuse("register", None);
    reach(&mut handle, |state| *state == State::Registered).await;
    assert!(rig.memory().registered(&[handle.id().clone()]).await.unwrap()[0].tags.is_empty());
    pass(10 * SECOND).await; // a sweep finds it as it was sent
    let before = rig.registers();

    let meddle = async {
        loop {
            rig.memory().register(&other).await.unwrap();
            pass(SECOND).await;
        }
    };
    let refused = tokio::select! {
        () = meddle => unreachable!("it goes on for ever"),
        state = reach(&mut handle, |state| matches!(state, State::Refused { .. })) => state,
    };
    let State::Refused { kind: Kind::Conflict, reason } = refused else { panic!("{refused:?}") };
    assert!(reason.starts_with("drift: tags: "), "{reason}");
    assert_eq!(rig.registers() - before, 2, "repaired twice");
    pass(10 * MINUTE).await;
    assert_eq!(rig.registers() - before, 2, "no fight");

    rig.memory().wipe();
    reach(&mut handle, |state| *state == State::Registered).await;
}

#[tokio::test(start_paused = true)]
async fn while_the_registry_is_down_a_registration_is_pending_and_comes_by_itself() {
    let rig = rig();
    rig.memory().set_reachable(false);
    let began = Instant::now();
    let mut handle = rig.keeper.register(&web()).await.unwrap();
    assert_eq!((handle.state(), began.elapsed()), (State::Pending, 5 * SECOND));
    let error = handle.wait_registered(SECOND).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    let error = handle.wait_healthy(SECOND).await.unwrap_err();
    assert!(error.to_string().contains("not reachable"), "{error}");
    pass(10 * MINUTE).await;
    rig.memory().set_reachable(true);
    let back = Instant::now();
    reach(&mut handle, |state| *state == State::Registered).await;
    assert!(back.elapsed() <= 6 * SECOND, "{:?}", back.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_answer_shows_in_the_state_until_it_does() {
    let rig = rig();
    let mut handle = rig.keeper.register(&web()).await.unwrap();
    rig.memory().set_reachable(false);
    let state = reach(&mut handle, |state| *state != State::Registered).await;
    assert!(
        matches!(&state, State::Repairing { reason, .. } if reason.contains("not reachable")),
        "{state:?}"
    );
    rig.memory().set_reachable(true);
    reach(&mut handle, |state| *state == State::Registered).await;
    assert_eq!(rig.registers(), 1, "it was there all the time");
}

#[tokio::test(start_paused = true)]
async fn what_no_retry_can_help_is_returned_and_a_denied_token_is_a_state() {
    let rig = rig();
    rig.registry.refuse("register", Some(Kind::Rejected));
    assert_eq!(rig.keeper.register(&web()).await.unwrap_err().kind(), Kind::Rejected);

    rig.registry.refuse("register", Some(Kind::Denied));
    let mut handle = rig.keeper.register(&web().id("web-2")).await.unwrap();
    assert!(matches!(handle.state(), State::Refused { kind: Kind::Denied, .. }), "{:?}", handle.state());
    assert_eq!(handle.wait_registered(SECOND).await.unwrap_err().kind(), Kind::Denied);
    let sent = rig.registers();
    pass(5 * MINUTE).await;
    assert!(rig.registers() - sent <= 10, "no hurry: {}", rig.registers() - sent);
    rig.registry.refuse("register", None);
    reach(&mut handle, |state| *state == State::Registered).await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_registration_is_returned_before_anything_is_sent() {
    let rig = rig();
    let error = rig.keeper.register(&web().meta("a.b", "c")).await.unwrap_err();
    assert_eq!((error.kind(), rig.registers()), (Kind::Config, 0));
    assert!(rig.keeper.shared.table().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_id_that_works_elsewhere_is_not_taken_and_a_critical_one_is() {
    let rig = rig();
    let elsewhere = || web().address(Address::Given("10.0.0.9".into()));
    let holder = Keeper::new(Arc::clone(rig.keeper.registry()), &rig.tasks, KeeperSettings::default());
    let held = holder.register(&elsewhere()).await.unwrap();
    let error = rig.keeper.register(&web()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains("use another id"), "{error}");
    pass(MINUTE).await;
    assert_eq!(rig.status("web").await, Some(Status::Passing), "the failed one removed nothing");
    assert_eq!(rig.registry.deregisters.load(SeqCst), 0);

    rig.memory().set_check(&held.definition().checks[0].id, Status::Critical, "").unwrap();
    let taken = rig.keeper.register(&web()).await.unwrap();
    assert_eq!(taken.state(), State::Registered);
    drop(held);
    pass(MINUTE).await;
    assert_eq!(rig.registry.deregisters.load(SeqCst), 0, "what somebody else has put there is not removed");
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_looked_at_is_not_removed() {
    let rig = rig();
    let ours = rig.keeper.register(&web()).await.unwrap();
    rig.memory().set_check(&ours.definition().checks[0].id, Status::Critical, "").unwrap();
    let successor = web().address(Address::Given("10.0.0.9".into()));
    let elsewhere = Keeper::new(Arc::clone(rig.keeper.registry()), &rig.tasks, KeeperSettings::default());
    let theirs = elsewhere.register(&successor).await.unwrap();
    rig.registry.refuse("registered", Some(Kind::Busy));
    drop(ours);
    pass(SECOND).await;
    assert_eq!(rig.registry.deregisters.load(SeqCst), 0, "nobody knows whose it is");
    rig.registry.refuse("registered", None);
    pass(MINUTE).await;
    assert_eq!(rig.registry.deregisters.load(SeqCst), 0, "it is another's");
    assert_eq!(theirs.state(), State::Registered);
}

#[tokio::test(start_paused = true)]
async fn two_handles_of_one_process_cannot_hold_one_id_but_one_can_follow_the_other() {
    let rig = rig();
    let first = rig.keeper.register(&web()).await.unwrap();
    assert_eq!(rig.keeper.register(&web()).await.unwrap_err().kind(), Kind::Conflict);
    drop(first);
    let second = rig.keeper.register(&web()).await.unwrap();
    assert_eq!(second.state(), State::Registered);
    pass(MINUTE).await;
    assert_eq!(rig.status("web").await, Some(Status::Passing));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_the_catalogue_does_not_show_is_unverified_and_not_sent_again() {
    let rig = rig();
    rig.registry.blind_catalogue.store(true, SeqCst);
    let mut handle = rig.keeper.register(&web()).await.unwrap();
    reach(&mut handle, |state| *state == State::Unverified).await;
    handle.wait_registered(SECOND).await.unwrap();
    pass(10 * MINUTE).await;
    assert_eq!((handle.state(), rig.registers()), (State::Unverified, 1));
    rig.registry.blind_catalogue.store(false, SeqCst);
    reach(&mut handle, |state| *state == State::Registered).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_is_removed_and_tried_again_a_bounded_number_of_times() {
    let rig = rig();
    drop(rig.keeper.register(&web()).await.unwrap());
    pass(SECOND).await;
    assert_eq!(rig.status("web").await, None);

    rig.registry.refuse("deregister", Some(Kind::Unavailable));
    drop(rig.keeper.register(&web()).await.unwrap());
    let before = rig.registry.deregisters.load(SeqCst);
    pass(60 * MINUTE).await;
    assert_eq!(rig.registry.deregisters.load(SeqCst) - before, 6);
    assert!(rig.keeper.shared.table().is_empty());
}

#[tokio::test(start_paused = true)]
async fn closing_the_tasks_removes_every_instance_first() {
    let rig = rig();
    let handles =
        [rig.keeper.register(&web()).await.unwrap(), rig.keeper.register(&web().id("web-2")).await.unwrap()];
    rig.tasks.close(5 * SECOND).await.unwrap();
    assert_eq!(rig.status("web").await, None);
    for handle in &handles {
        assert_eq!(handle.state(), State::Gone);
    }
    assert_eq!(rig.keeper.register(&web()).await.unwrap_err().kind(), Kind::Closed);
    assert_eq!(handles[0].report(Status::Passing, "").unwrap_err().kind(), Kind::Config);
}

#[tokio::test(start_paused = true)]
async fn closing_the_keeper_removes_every_instance_or_says_that_it_could_not() {
    let rig = rig();
    let handle = rig.keeper.register(&web()).await.unwrap();
    rig.memory().set_reachable(false);
    assert_eq!(rig.keeper.close(SECOND).await.unwrap_err().kind(), Kind::Timeout);
    assert_eq!(handle.state(), State::Draining { step: DrainStep::Removing });
    rig.memory().set_reachable(true);
    rig.keeper.close(10 * SECOND).await.unwrap();
    assert_eq!(rig.status("web").await, None);
}

#[tokio::test(start_paused = true)]
async fn closing_the_keeper_says_what_it_gave_up_on() {
    let rig = rig();
    let _handle = rig.keeper.register(&web()).await.unwrap();
    rig.registry.refuse("deregister", Some(Kind::Denied));
    let error = rig.keeper.close(10 * MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.to_string().starts_with("close: it could not be removed in 6 tries"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_ttl_check_passes_at_once_and_stays_so() {
    let rig = rig();
    let handle = rig.keeper.register(&ttl()).await.unwrap();
    handle.wait_healthy(SECOND).await.unwrap();
    let index = rig.memory().index();
    pass(60 * MINUTE).await;
    assert_eq!((rig.status("web").await, rig.memory().index()), (Some(Status::Passing), index));
    let reports = rig.registry.reports.load(SeqCst);
    assert!((360..=500).contains(&reports), "a third to a quarter of 30s: {reports}");
}

#[tokio::test(start_paused = true)]
async fn what_a_service_says_of_itself_is_reported_at_once_and_again() {
    let rig = rig();
    let handle = rig.keeper.register(&ttl()).await.unwrap();
    handle.wait_healthy(SECOND).await.unwrap();
    handle.report(Status::Warning, "slow disk").unwrap();
    pass(Duration::from_millis(1)).await;
    assert_eq!(rig.status("web").await, Some(Status::Warning));
    pass(10 * MINUTE).await;
    assert_eq!(rig.status("web").await, Some(Status::Warning));
    assert_eq!(handle.report(Status::Maintenance, "").unwrap_err().kind(), Kind::Config);
    let without = rig.keeper.register(&web().id("web-2")).await.unwrap();
    assert!(without.report(Status::Passing, "").unwrap_err().to_string().contains("no TTL check"));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_starts_critical_reports_so_until_told() {
    let rig = rig();
    let spec = ttl().checks([Check::ttl(30 * SECOND).starting(Status::Critical)]);
    let handle = rig.keeper.register(&spec).await.unwrap();
    pass(5 * MINUTE).await;
    assert_eq!(rig.status("web").await, Some(Status::Critical));
    let error = handle.wait_healthy(SECOND).await.unwrap_err();
    assert!(error.to_string().contains("last: critical, check \"service:web-1\" says"), "{error}");
    handle.report(Status::Passing, "ready").unwrap();
    handle.wait_healthy(SECOND).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_report_that_finds_no_check_brings_the_instance_back_before_the_next_sweep() {
    let rig = rig();
    let spec = ttl().checks([Check::ttl(SECOND)]);
    let mut handle = rig.keeper.register(&spec).await.unwrap();
    handle.wait_healthy(SECOND).await.unwrap();
    pass(6 * SECOND).await;
    rig.memory().wipe();
    let began = Instant::now();
    registered_again(&mut handle).await;
    assert!(began.elapsed() <= SECOND, "{:?}", began.elapsed());
    assert_eq!(rig.status("web").await, Some(Status::Passing));
}

#[tokio::test(start_paused = true)]
async fn one_slow_report_delays_no_other_and_failing_ones_go_on() {
    let rig = rig();
    let spec = |n: u32| ttl().id(format!("web-{n}")).checks([Check::ttl(6 * SECOND)]);
    let mut handles = Vec::new();
    for n in 0..20 {
        handles.push(rig.keeper.register(&spec(n)).await.unwrap());
    }
    *rig.registry.slow.lock().unwrap() = Some(("service:web-7".parse().unwrap(), 60 * MINUTE));
    pass(5 * MINUTE).await;
    let query = ServiceQuery::new("web".parse().unwrap());
    let found = rig.memory().service(&query).await.unwrap().value;
    let sick: Vec<&str> =
        found.iter().filter(|one| one.status != Status::Passing).map(|one| &*one.identity.id).collect();
    assert_eq!(sick, ["web-7"]);

    rig.registry.refuse("report", Some(Kind::Unavailable));
    *rig.registry.slow.lock().unwrap() = None;
    pass(10 * MINUTE).await;
    assert_eq!(rig.status("web").await, Some(Status::Critical));
    rig.registry.refuse("report", None);
    pass(4 * SECOND).await;
    let found = rig.memory().service(&query).await.unwrap().value;
    assert!(
        found.iter().all(|one| one.status == Status::Passing),
        "all report again within a third of the TTL"
    );
    assert_eq!(handles.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_of_the_agent_turns_no_ttl_check_critical() {
    let rig = rig();
    let handle = rig.keeper.register(&ttl()).await.unwrap();
    handle.wait_healthy(SECOND).await.unwrap();
    let index = rig.memory().index();
    for _ in 0..20 {
        rig.memory().set_reachable(false);
        pass(15 * SECOND).await;
        rig.memory().set_reachable(true);
        pass(15 * SECOND).await;
    }
    assert_eq!((rig.status("web").await, rig.memory().index()), (Some(Status::Passing), index));
}

#[tokio::test(start_paused = true)]
async fn the_default_id_tells_service_and_port_and_is_never_the_same() {
    let rig = rig();
    let spec = Registration::new("web", 8080);
    let (one, other) = (rig.keeper.register(&spec).await.unwrap(), rig.keeper.register(&spec).await.unwrap());
    assert_ne!(one.id(), other.id());
    assert!(one.id().as_str().starts_with("web-") && one.id().as_str().contains("-8080-"), "{}", one.id());
    assert_eq!(one.definition().address, "127.0.0.1", "in this process there is no other way");
}
