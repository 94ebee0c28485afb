//! Another agent behind the address, an agent that goes and comes, and a dead predecessor.

use super::*;

fn by_generated_id(port: u16) -> Registration {
    Registration::new("web", port).address(Address::Given("10.0.0.1".into()))
}

#[tokio::test(start_paused = true)]
async fn another_agent_is_refused_while_the_instance_lives_on_the_first() {
    let rig = rig();
    let mut handle = rig.keeper.register(&web()).await.unwrap();
    let other = Memory::new();
    *rig.registry.other.lock().unwrap() = Some(other.clone());
    let state = reach(&mut handle, |state| matches!(state, State::Refused { .. })).await;
    let State::Refused { kind: Kind::Conflict, reason } = state else { panic!("{state:?}") };
    assert!(reason.contains("\"another\"") && reason.contains("load balancer"), "{reason}");
    pass(MINUTE).await;
    assert_eq!(other.registered(&[handle.id().clone()]).await.unwrap(), [], "not registered twice");
    assert_eq!(rig.registers(), 1);
    *rig.registry.other.lock().unwrap() = None;
    reach(&mut handle, |state| *state == State::Registered).await;
    assert_eq!(rig.registers(), 1, "it was there all the time");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_knows_who_took_it_the_catalogue_tells_that_it_lives_on_another_node() {
    let rig = rig();
    rig.registry.refuse("agent", Some(Kind::Unavailable));
    let mut handle = rig.keeper.register(&web()).await.unwrap();
    pass(10 * SECOND).await;
    let other = Memory::new();
    *rig.registry.other.lock().unwrap() = Some(other.clone());
    rig.registry.refuse("agent", None);
    reach(&mut handle, |state| matches!(state, State::Refused { .. })).await;
    assert_eq!(other.registered(&[handle.id().clone()]).await.unwrap(), [], "not registered twice");
    *rig.registry.other.lock().unwrap() = None;
    reach(&mut handle, |state| *state == State::Registered).await;
    assert_eq!(rig.registers(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_was_replaced_gets_the_instance_once_the_first_one_has_not_got_it() {
    let rig = rig();
    let mut handle = rig.keeper.register(&web()).await.unwrap();
    let other = Memory::new();
    *rig.registry.other.lock().unwrap() = Some(other.clone());
    rig.memory().wipe();
    reach(&mut handle, |state| matches!(state, State::Repairing { .. } | State::Unverified)).await;
    pass(10 * SECOND).await;
    assert_eq!(other.registered(&[handle.id().clone()]).await.unwrap().len(), 1);
    assert_eq!(rig.registers(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_goes_is_noticed_at_once_and_its_return_within_two_seconds() {
    let rig = rig();
    let mut handle = rig.keeper.register(&web()).await.unwrap();
    pass(10 * SECOND).await;
    for _ in 0..20 {
        rig.memory().set_reachable(false);
        let away = Instant::now();
        let state = reach(&mut handle, |state| *state != State::Registered).await;
        assert!(matches!(state, State::Repairing { .. }), "{state:?}");
        assert!(away.elapsed() <= SECOND, "{:?}", away.elapsed());
        pass(MINUTE).await;
        rig.memory().wipe();
        rig.memory().set_reachable(true);
        let back = Instant::now();
        reach(&mut handle, |state| *state == State::Registered).await;
        assert!(back.elapsed() <= 2 * SECOND, "{:?}", back.elapsed());
        pass(MINUTE).await;
    }
    assert_eq!(rig.registers(), 21, "once each time");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_changes_is_repaired_before_the_next_sweep() {
    let rig = rig();
    let mut handle = rig.keeper.register(&web()).await.unwrap();
    pass(10 * SECOND).await;
    let mut other = handle.definition().clone();
    other.tags = vec!["theirs".into()];
    rig.memory().register(&other).await.unwrap();
    let began = Instant::now();
    registered_again(&mut handle).await;
    assert!(began.elapsed() < SECOND / 10, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_dead_predecessor_at_the_same_place_goes_and_a_neighbour_stays() {
    let rig = rig();
    let dead = rig.keeper.register(&by_generated_id(80)).await.unwrap();
    let neighbour = rig.keeper.register(&by_generated_id(81)).await.unwrap();
    let named = rig.keeper.register(&by_generated_id(80).id("web-by-hand")).await.unwrap();
    // A process after the first was killed, on the same registry.
    let after = KeeperSettings { seed: 8, ..KeeperSettings::default() };
    let other = Keeper::new(Arc::clone(rig.keeper.registry()), &rig.tasks, after);
    let ids = [&dead, &neighbour, &named].map(|handle| handle.id().clone());
    let successor = other.register(&by_generated_id(80)).await.unwrap();
    pass(Duration::from_millis(1)).await;
    let held = rig.memory().registered(&ids).await.unwrap();
    let left: Vec<&str> = held.iter().map(|held| held.id.as_str()).collect();
    assert_eq!(left, [ids[1].as_str(), ids[2].as_str()]);
    assert_eq!(successor.state(), State::Registered);
}

#[tokio::test(start_paused = true)]
async fn two_living_processes_at_one_place_do_not_fight() {
    let rig = rig();
    let mut first = rig.keeper.register(&by_generated_id(80)).await.unwrap();
    let after = KeeperSettings { seed: 8, ..KeeperSettings::default() };
    let other = Keeper::new(Arc::clone(rig.keeper.registry()), &rig.tasks, after);
    let second = other.register(&by_generated_id(80)).await.unwrap();
    registered_again(&mut first).await;
    pass(10 * MINUTE).await;
    assert_eq!((first.state(), second.state()), (State::Registered, State::Registered));
    assert_eq!(rig.registers(), 3, "taken over once, and back once");
}
