//! A request is sent to one instance, and tried at another when that fails.

use std::cell::{Cell, RefCell};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn two() -> Snapshot {
    live(&[instance(1), instance(2)], &[])
}

fn broken<T>(kind: FailureKind) -> Result<T, Failed<&'static str>> {
    Err(Failed::new(kind, "broken"))
}

#[tokio::test(start_paused = true)]
async fn a_retry_goes_to_the_other_instance_and_both_outcomes_are_counted() {
    let (_writer, resolver, _tasks) = resolver(two());
    // Fewer than the failures in a row that eject.
    for _ in 0..4 {
        let seen = RefCell::new(Vec::new());
        let answer = resolver.call(Retry::default(), |attempt| {
            seen.borrow_mut().push((attempt.number, attempt.port));
            assert_eq!(attempt.in_flight(), 1, "it is in flight while it is tried");
            async move {
                match attempt.number {
                    1 => broken(FailureKind::Connect),
                    _ => Ok(attempt.port),
                }
            }
        });
        let answer = answer.await.unwrap();
        let seen = seen.into_inner();
        let [(1, first), (2, second)] = seen[..] else { panic!("{seen:?}") };
        assert!(first != second && answer == second, "{seen:?}");
        tokio::time::sleep(SECOND).await;
    }
    let explained = resolver.explain();
    assert!(explained.usable.iter().all(|one| one.in_flight() == 0));
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_carried_out_is_not_sent_twice_unless_that_does_no_harm() {
    let (_writer, resolver, _tasks) = resolver(two());
    let error = resolver.call(Retry::default(), |_| async { broken::<()>(FailureKind::Answer) }).await;
    let error = error.unwrap_err();
    let failed = Failed::new(FailureKind::Answer, "broken");
    assert_eq!(error, CallError::Failed { failed, tries: 1, gave_up: GaveUp::NotIdempotent });
    assert!(
        error.to_string().starts_with("try 1 failed: broken; not tried again: it may have been"),
        "{error}"
    );
    let idempotent = Retry::default().idempotent();
    let error = resolver.call(idempotent, |_| async { broken::<()>(FailureKind::Answer) }).await;
    assert!(matches!(error, Err(CallError::Failed { tries: 3, gave_up: GaveUp::Tries, .. })), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn time_is_limited_for_each_try_and_for_all_of_them() {
    let (_writer, resolver, _tasks) = resolver(two());
    let start = tokio::time::Instant::now();
    let retry = Retry::default().idempotent().each_within(SECOND);
    let late = resolver.call(retry, |attempt| async move {
        assert_eq!(attempt.time_left(), Some(SECOND));
        std::future::pending::<Result<(), Failed<&str>>>().await
    });
    assert_eq!(late.await, Err(CallError::TimedOut { tries: 3, gave_up: GaveUp::Tries }));
    let took = start.elapsed();
    assert!((SECOND * 3..SECOND * 4).contains(&took), "{took:?}");
    let start = tokio::time::Instant::now();
    let retry = retry.within(SECOND * 3 / 2);
    let late = resolver.call(retry, |_| std::future::pending::<Result<(), Failed<&str>>>()).await;
    assert_eq!(late, Err(CallError::TimedOut { tries: 2, gave_up: GaveUp::Deadline }));
    assert_eq!(start.elapsed(), SECOND * 3 / 2);
}

#[tokio::test(start_paused = true)]
async fn without_an_instance_nothing_is_tried_and_senseless_settings_are_refused() {
    let (_writer, resolver, _tasks) = resolver(live(&[], &[]));
    let none = resolver.call(Retry::default(), |_| async { Ok::<_, Failed<&str>>(()) }).await;
    assert!(matches!(none, Err(CallError::NoInstance(NoInstance::NeverSeen { .. }))), "{none:?}");
    let never = resolver.call(Retry::default().tries(0), |_| async { Ok::<_, Failed<&str>>(()) }).await;
    let says = never.unwrap_err().to_string();
    assert_eq!(says, "retry.tries: 0 is not from 1 to 100; 3 is the default");
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_finds_nobody_left_tells_what_the_try_before_it_met() {
    let (writer, resolver, _tasks) = resolver(live(&[instance(1)], &[]));
    let writer = RefCell::new(writer);
    let error = resolver.call(Retry::default(), |_| {
        writer.borrow_mut().publish(Arc::new(live(&[], &[])));
        async { broken::<()>(FailureKind::Connect) }
    });
    let failed = Failed::new(FailureKind::Connect, "broken");
    let expected = CallError::Failed { failed, tries: 1, gave_up: GaveUp::NoInstance };
    assert_eq!(error.await.unwrap_err(), expected);
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_the_budget_ends_the_retries_of_all() {
    let (_writer, resolver, _tasks) = resolver(two());
    let sent = Cell::new(0_u32);
    let retry = Retry::default().idempotent();
    for _ in 0..1_000 {
        let send = |_| {
            sent.set(sent.get() + 1);
            async { broken::<()>(FailureKind::Connect) }
        };
        resolver.call(retry, send).await.unwrap_err();
    }
    let sent = sent.get();
    // Each retry rests for up to 50 ms, in which ten a second are earned besides.
    let seconds = 1 + 1_000 / 20;
    assert!((1_200..=1_200 + 10 * seconds).contains(&sent), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_leaves_nothing_in_flight() {
    let (_writer, resolver, _tasks) = resolver(live(&[instance(1)], &[]));
    let call = resolver.call(Retry::default(), |_| std::future::pending::<Result<(), Failed<&str>>>());
    assert!(tokio::time::timeout(SECOND, call).await.is_err());
    assert_eq!(resolver.pick().unwrap().in_flight(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_by_a_key_goes_where_the_key_says_and_its_retry_too() {
    let all: Vec<Instance> = (1..=9).map(instance).collect();
    let (_writers, resolver, _tasks) =
        resolver_over([live(&all, &[])], Select::default().policy(Policy::Maglev));
    let retry = Retry::default().idempotent();
    for key in [&b"a"[..], b"b", b"c"] {
        let first = resolver.pick_by_key(key).unwrap();
        let second = resolver.pick_by_key_excluding(key, &[&first.identity]).unwrap().port;
        let first = first.port;
        let ports = RefCell::new(Vec::new());
        let call = resolver.call_by_key(retry, key, |attempt| {
            ports.borrow_mut().push(attempt.port);
            async move { if attempt.number == 1 { broken(FailureKind::Broken) } else { Ok(()) } }
        });
        call.await.unwrap();
        assert_eq!(ports.into_inner(), [first, second]);
    }
}
