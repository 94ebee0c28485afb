//! How an instance comes in maintenance and leaves through it.

use super::*;
use crate::register::Drain;

fn short() -> Drain {
    Drain::default().settle(2 * SECOND).deadline(10 * SECOND)
}

#[tokio::test(start_paused = true)]
async fn a_drain_hides_it_gives_callers_time_lets_requests_end_and_removes_it() {
    let rig = rig();
    let handle = rig.keeper.register(&ttl()).await.unwrap();
    handle.wait_healthy(SECOND).await.unwrap();
    let began = Instant::now();
    let in_flight = async {
        assert_eq!(began.elapsed(), 2 * SECOND, "callers had their time");
        assert_eq!(rig.status("web").await, Some(Status::Maintenance), "it is hidden, and still there");
        pass(5 * SECOND).await;
        assert_eq!(rig.status("web").await, Some(Status::Maintenance));
    };
    handle.drain(short(), in_flight).await.unwrap();
    assert_eq!(began.elapsed(), 7 * SECOND);
    assert_eq!(rig.status("web").await, None);
    // Its health was reported until the end: the check did not fail behind the maintenance.
    assert!(rig.registry.reports.load(SeqCst) >= 1);
}

#[tokio::test(start_paused = true)]
async fn requests_that_do_not_end_are_waited_for_until_the_deadline() {
    let rig = rig();
    let handle = rig.keeper.register(&web()).await.unwrap();
    let began = Instant::now();
    handle.drain(short(), std::future::pending()).await.unwrap();
    assert_eq!((began.elapsed(), rig.status("web").await), (12 * SECOND, None));
}

#[tokio::test(start_paused = true)]
async fn each_step_of_a_drain_is_a_state() {
    let rig = rig();
    let handle = rig.keeper.register(&web()).await.unwrap();
    let mut state = handle.state.clone();
    let mut steps = Vec::new();
    let watching = async {
        while state.changed().await.is_ok() {
            steps.push(state.borrow_and_update().clone());
        }
    };
    let (drained, ()) = tokio::join!(handle.drain(short(), pass(SECOND)), watching);
    drained.unwrap();
    let shown: Vec<String> = steps
        .iter()
        .map(|state| match state {
            State::Draining { step } => step.to_string(),
            other => other.label().to_owned(),
        })
        .collect();
    // A reader that is slow sees the newest, so the first two may be missed here.
    let order = ["maintenance", "hiding", "settling", "in flight", "removing", "gone"];
    let places: Vec<_> = shown
        .iter()
        .map(|shown| order.iter().position(|step| step == shown).expect("a known step"))
        .collect();
    assert!(places.is_sorted(), "{shown:?}");
    for step in ["settling", "in flight", "gone"] {
        assert!(shown.iter().any(|shown| shown == step), "{step}: {shown:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_away_holds_a_drain_up_for_so_long_and_no_longer() {
    let rig = rig();
    let handle = rig.keeper.register(&web()).await.unwrap();
    rig.memory().set_reachable(false);
    let mut state = handle.state.clone();
    let began = Instant::now();
    let mut visible = None;
    let watching = async {
        while state.changed().await.is_ok() {
            if *state.borrow_and_update() == (State::Draining { step: DrainStep::InFlight { hidden: false } })
            {
                visible.get_or_insert(began.elapsed());
            }
        }
    };
    let (drained, ()) = tokio::join!(handle.drain(short(), pass(SECOND)), watching);
    assert_eq!(drained.unwrap_err().kind(), Kind::Unreachable, "it is not gone: the agent will reap it");
    assert_eq!(visible, Some(10 * SECOND), "said, and in time");
}

#[tokio::test(start_paused = true)]
async fn a_drain_whose_future_is_dropped_removes_the_instance() {
    let rig = rig();
    let handle = rig.keeper.register(&web()).await.unwrap();
    let late = timeout(SECOND, handle.drain(short(), std::future::pending())).await;
    assert!(late.is_err());
    pass(SECOND).await;
    assert_eq!(rig.status("web").await, None);
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_in_maintenance_is_never_seen_in_service_before_it_is_announced() {
    let rig = rig();
    let handle = rig.keeper.register(&web().in_maintenance("warming up")).await.unwrap();
    assert_eq!((handle.state(), rig.status("web").await), (State::Registered, Some(Status::Maintenance)));
    // A repair does not put it into service either.
    rig.memory().wipe();
    pass(10 * SECOND).await;
    assert_eq!(rig.status("web").await, Some(Status::Maintenance));
    let held = rig.memory().registered(&[handle.id().clone()]).await.unwrap();
    assert_eq!(held[0].maintenance(), Some("warming up"));

    rig.registry.refuse("maintenance", Some(Kind::Unavailable));
    handle.announce();
    pass(10 * SECOND).await;
    assert_eq!(rig.status("web").await, Some(Status::Maintenance));
    rig.registry.refuse("maintenance", None);
    pass(6 * SECOND).await;
    assert_eq!(rig.status("web").await, Some(Status::Passing));
    rig.memory().wipe();
    pass(10 * SECOND).await;
    assert_eq!(rig.status("web").await, Some(Status::Passing), "it stays in service");
    assert_eq!(rig.registers(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_repair_does_not_end_the_maintenance_that_an_operator_began() {
    let rig = rig();
    let mut handle = rig.keeper.register(&web()).await.unwrap();
    rig.memory().maintenance(handle.id(), Some("new disk")).await.unwrap();
    pass(10 * SECOND).await;
    for repair in 0..2 {
        let mut other = handle.definition().clone();
        other.tags = vec![format!("theirs-{repair}")];
        other.maintenance = Some("new disk".to_owned());
        rig.memory().register(&other).await.unwrap();
        registered_again(&mut handle).await;
        assert_eq!(rig.status("web").await, Some(Status::Maintenance), "repair {repair}");
        pass(10 * SECOND).await;
    }
    rig.memory().wipe();
    registered_again(&mut handle).await;
    let held = rig.memory().registered(&[handle.id().clone()]).await.unwrap();
    assert_eq!(held[0].maintenance(), Some("new disk"));
    // And one that he ended does not come back.
    rig.memory().maintenance(handle.id(), None).await.unwrap();
    pass(10 * SECOND).await;
    rig.memory().wipe();
    registered_again(&mut handle).await;
    assert_eq!(rig.status("web").await, Some(Status::Passing));
}

#[tokio::test(start_paused = true)]
async fn the_maintenance_of_an_earlier_life_ends_and_an_operators_does_not() {
    for (reason, ends) in
        [(crate::register::step::DRAINING, true), (crate::register::STARTING, true), ("disks", false)]
    {
        let rig = rig();
        let first = rig.keeper.register(&web()).await.unwrap();
        // It was killed while it drained, or before it was ready: what it said is still there.
        rig.memory().maintenance(first.id(), Some(reason)).await.unwrap();
        let other = Keeper::new(Arc::clone(rig.keeper.registry()), &Tasks::new(), KeeperSettings::default());
        let second = other.register(&web()).await.unwrap();
        second.wait_registered(SECOND).await.unwrap();
        pass(SECOND).await;
        let status = rig.status("web").await;
        assert_eq!(status == Some(Status::Passing), ends, "{reason}: {status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn tags_that_belong_to_the_catalogue_are_no_drift_and_survive_a_repair() {
    let rig = rig();
    let mut handle = rig.keeper.register(&web().tag("blue").enable_tag_override(true)).await.unwrap();
    let mut other = handle.definition().clone();
    other.tags = vec!["green".to_owned()];
    rig.memory().register(&other).await.unwrap();
    pass(MINUTE).await;
    assert_eq!((handle.state(), rig.registers()), (State::Registered, 1));
    other.meta.insert("k".to_owned(), "v".to_owned());
    rig.memory().register(&other).await.unwrap();
    registered_again(&mut handle).await;
    let held = rig.memory().registered(&[handle.id().clone()]).await.unwrap();
    assert_eq!((held[0].tags.as_slice(), held[0].meta.len()), (["green".to_owned()].as_slice(), 0));
}
