//! The loop: over a scripted registry, with paused time.

use super::*;
use crate::testing::{Scripted, answer};

fn streamed() -> AnswerMeta {
    let mut meta = AnswerMeta::new(9);
    (meta.streaming, meta.known_leader, meta.last_contact) = (true, Some(true), Some(Duration::ZERO));
    meta
}

fn plain() -> AnswerMeta {
    AnswerMeta { streaming: false, last_contact: Some(Duration::from_millis(100)), ..streamed() }
}

#[tokio::test(start_paused = true)]
async fn it_proves_while_streamed_answers_come_and_rests_otherwise() {
    let registry = Scripted::new([Ok(answer(&[], 1).with_meta(plain()))]);
    let guard = Arc::new(Guard::new(Arc::<Scripted>::clone(&registry), 4, Duration::from_secs(10)));
    let probe = Arc::new(Probe::new(Some("dc2".into()), None, crate::sync::now()));
    assert!(probe.begin() && !probe.begin(), "one task");
    let stop = CancellationToken::new();
    let mut task = tokio::task::JoinSet::new();
    task.spawn(prove(guard, Arc::clone(&probe), Rolls::new(1), stop.clone()));

    let asked = || registry.asked.lock().unwrap().len();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(asked(), 0, "nobody needs it");

    let wait = Duration::from_secs(30);
    let mut meta = streamed();
    probe.judge(&mut meta, wait, crate::sync::now());
    assert_eq!(meta.last_contact, Some(Duration::from_secs(600)), "nothing was proved in all that time");
    tokio::time::sleep(wait).await;
    assert!((5..=7).contains(&asked()), "each 5 s, give or take a tenth: {}", asked());
    let mut meta = streamed();
    probe.judge(&mut meta, wait, crate::sync::now());
    assert!(meta.last_contact < Some(Duration::from_secs(6)), "{meta:?}");
    let query = registry.asked.lock().unwrap()[0].clone();
    assert_eq!((query.service.as_str(), query.datacenter.as_deref()), (PROBED, Some("dc2")));

    tokio::time::sleep(Duration::from_secs(600)).await;
    let all = asked();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(asked(), all, "no streamed answer came for long");
    stop.cancel();
    assert!(task.join_next().await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_plain_answer_of_any_view_is_a_proof_for_all() {
    let probe = Probe::new(None, Some(Duration::from_secs(4)), crate::sync::now());
    assert_eq!(probe.pace, Duration::from_secs(2), "within the bound");
    tokio::time::sleep(Duration::from_secs(100)).await;
    probe.judge(&mut plain(), Duration::ZERO, crate::sync::now());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut meta = streamed();
    probe.judge(&mut meta, Duration::ZERO, crate::sync::now());
    assert_eq!(meta.last_contact, Some(Duration::from_millis(1100)));
}
