//! Health functions on the in-process registry, on a paused clock.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst};

use super::*;
use crate::{
    check::Check,
    guard::Guard,
    register::{Address, Keeper, KeeperSettings, Registration},
    registry::{CheckOutput, Registry as _, ServiceQuery, memory::Memory},
    tasks::Tasks,
};

const SECOND: Duration = Duration::from_secs(1);

struct Rig {
    registry: Arc<Memory>,
    tasks: Tasks,
    web: RegistrationHandle,
}

impl Rig {
    /// One instance with a TTL of 6 s: it is asked each 2 s.
    async fn new() -> Self {
        Self::with(Registration::new("web", 8080).check(Check::ttl(6 * SECOND))).await
    }

    async fn with(registration: Registration) -> Self {
        let (registry, tasks) = (Arc::new(Memory::new()), Tasks::new());
        let guard = Arc::new(Guard::new(Arc::<Memory>::clone(&registry), 4, 10 * SECOND));
        let keeper = Keeper::new(guard, &tasks, KeeperSettings::default());
        let registration = registration.id("web-1").address(Address::Given("10.0.0.1".into()));
        let web = keeper.register(&registration).await.unwrap();
        Self { registry, tasks, web }
    }

    /// The status and output of its check, as the registry has them.
    async fn seen(&self) -> (Status, String) {
        let query = ServiceQuery::new("web".parse().unwrap()).output(CheckOutput::Keep);
        let found = self.registry.service(&query).await.unwrap().value;
        let check = found.first().and_then(|web| web.checks.first()).expect("it is registered");
        (check.status, check.output.to_string())
    }
}

/// Time for what is due to be done, and for nothing more.
async fn settle() {
    pass(Duration::from_millis(5)).await;
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// What a function does when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Mood {
    Well,
    Slow,
    Ill,
    Hangs,
    Panics,
}

#[derive(Debug, Default)]
struct Moody {
    mood: AtomicU8,
    calls: AtomicUsize,
}

impl Moody {
    fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, SeqCst);
    }

    fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }
}

fn function(moody: &Arc<Moody>) -> HealthFn {
    let moody = Arc::clone(moody);
    HealthFn::new(move || {
        let moody = Arc::clone(&moody);
        async move {
            let call = moody.calls.fetch_add(1, SeqCst);
            let is = |mood: Mood| moody.mood.load(SeqCst) == mood as u8;
            if is(Mood::Hangs) {
                std::future::pending::<()>().await;
            }
            assert!(!is(Mood::Panics), "planted");
            if is(Mood::Slow) {
                return Ok(Finding::warning("slow"));
            }
            if is(Mood::Ill) { Err("no route") } else { Ok(Finding::warning(format!("call {call}"))) }
        }
    })
}

#[tokio::test(start_paused = true)]
async fn another_status_is_reported_at_once_and_another_output_with_the_next_report() {
    let (rig, moody) = (Rig::new().await, Arc::new(Moody::default()));
    assert_eq!(rig.seen().await.0, Status::Passing);
    rig.web.report_with(function(&moody)).unwrap();
    settle().await;
    assert_eq!(rig.seen().await, (Status::Warning, "call 0".to_owned()));
    moody.set(Mood::Slow);
    pass(2 * SECOND).await;
    assert_eq!((moody.calls(), rig.seen().await), (2, (Status::Warning, "call 0".to_owned())));
    pass(2 * SECOND).await;
    assert_eq!(rig.seen().await, (Status::Warning, "slow".to_owned()), "a heartbeat has told it");
    moody.set(Mood::Ill);
    pass(2 * SECOND).await;
    assert_eq!(rig.seen().await, (Status::Critical, "no route".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_is_critical_at_its_deadline_and_recovers() {
    let (rig, moody) = (Rig::new().await, Arc::new(Moody::default()));
    moody.set(Mood::Hangs);
    rig.web.report_with(function(&moody).deadline(SECOND)).unwrap();
    pass(Duration::from_millis(990)).await;
    assert_eq!(rig.seen().await.0, Status::Passing);
    pass(Duration::from_millis(20)).await;
    assert_eq!(rig.seen().await, (Status::Critical, "no answer within the deadline of 1s".to_owned()));
    moody.set(Mood::Slow);
    pass(SECOND).await;
    assert_eq!(rig.seen().await, (Status::Warning, "slow".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn one_that_panics_is_critical_and_is_called_again() {
    let (rig, moody) = (Rig::new().await, Arc::new(Moody::default()));
    moody.set(Mood::Panics);
    rig.web.report_with(function(&moody)).unwrap();
    settle().await;
    let told = "the health function panicked; its message is in the program's log";
    assert_eq!(rig.seen().await, (Status::Critical, told.to_owned()));
    moody.set(Mood::Well);
    pass(2 * SECOND).await;
    assert_eq!(rig.seen().await, (Status::Warning, "call 1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn it_is_called_each_third_of_the_ttl_and_never_twice_at_once_nor_to_catch_up() {
    let (rig, moody) = (Rig::new().await, Arc::new(Moody::default()));
    rig.web.report_with(function(&moody)).unwrap();
    pass(61 * SECOND).await;
    assert_eq!(moody.calls(), 31);
    // Each run takes five intervals now.
    moody.set(Mood::Hangs);
    rig.web.report_with(function(&moody).deadline(10 * SECOND)).unwrap();
    pass(29 * SECOND).await;
    assert_eq!(moody.calls(), 31 + 3);
    rig.web.report_with(function(&moody).every(SECOND / 2).deadline(SECOND / 4)).unwrap();
    pass(Duration::from_millis(1_999)).await;
    assert_eq!(moody.calls(), 31 + 3 + 4);
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_handle_and_with_the_tasks() {
    for close in [false, true] {
        let (rig, moody) = (Rig::new().await, Arc::new(Moody::default()));
        rig.web.report_with(function(&moody)).unwrap();
        settle().await;
        assert!(Arc::strong_count(&moody) > 1);
        let handle = if close {
            rig.tasks.close(30 * SECOND).await.unwrap();
            Some(rig.web)
        } else {
            drop(rig.web);
            settle().await;
            None
        };
        assert_eq!((Arc::strong_count(&moody), moody.calls()), (1, 1), "close: {close}");
        drop(handle);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_speaks_last_is_heard() {
    let (rig, first) = (Rig::new().await, Arc::new(Moody::default()));
    rig.web.report_with(function(&first)).unwrap();
    settle().await;
    rig.web.report(Status::Critical, "by hand").unwrap();
    pass(20 * SECOND).await;
    assert_eq!(rig.seen().await, (Status::Critical, "by hand".to_owned()));
    assert_eq!(Arc::strong_count(&first), 1);
    let second = Arc::new(Moody::default());
    rig.web.report_with(function(&first)).unwrap();
    rig.web.report_with(function(&second)).unwrap();
    second.set(Mood::Slow);
    pass(20 * SECOND).await;
    assert_eq!(rig.seen().await, (Status::Warning, "slow".to_owned()));
    assert_eq!(Arc::strong_count(&first), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_named() {
    let none = Rig::with(Registration::http("web", 8080)).await;
    let refused = none.web.report_with(HealthFn::new(|| async {})).unwrap_err();
    let what = "report_with: \"web-1\" has no TTL check, or is gone; add one with Registration::ttl";
    assert_eq!((refused.kind(), refused.to_string().as_str()), (Kind::Config, what));
    let rig = Rig::new().await;
    let health = || HealthFn::new(|| async {});
    let ms = Duration::from_millis;
    for (health, named) in [
        (health().deadline(Duration::ZERO), "health function: deadline: 0s is not from 1ms to 1m"),
        (health().deadline(ms(60_001)), "from 1ms to 1m"),
        (health().every(ms(99)), "health function: every: 99ms is not from 100ms to 1h"),
        (health().every(ms(3_600_001)), "from 100ms to 1h"),
    ] {
        let refused = rig.web.report_with(health).unwrap_err();
        assert!(refused.kind() == Kind::Config && refused.to_string().contains(named), "{refused}: {named}");
    }
    rig.web.report_with(health().every(ms(100)).deadline(ms(60_000))).unwrap();
}
