//! The caller's bound on age, fail-over between datacentres, and an operator's list: what picks get, how it is marked,
//! and that consumers are told each change of it once.

use super::*;
use crate::{
    Config, Discovery, ViewConfig,
    snapshot::Changes,
    sync::Mode,
    testing::{Scripted, answer},
};

const SECOND: Duration = Duration::from_secs(1);

async fn pass(seconds: u32) {
    tokio::time::sleep(SECOND * seconds).await;
}

fn bound(on_stale: OnStale) -> Select {
    Select::default().max_age(SECOND * 30, on_stale)
}

fn ids(changes: &[Arc<Instance>]) -> Vec<u16> {
    changes.iter().map(|one| one.port - 1000).collect()
}

fn told(changes: &Changes) -> (Vec<u16>, Vec<u16>) {
    (ids(&changes.added), ids(&changes.removed))
}

fn picked(resolver: &Resolver) -> (u16, Mark) {
    let pick = resolver.pick().unwrap();
    (pick.port - 1000, pick.mark())
}

#[tokio::test(start_paused = true)]
async fn past_the_bound_picks_are_marked_stale_until_the_first_fresh_proof() {
    let (mut writers, resolver, _tasks) =
        resolver_over([live(&[instance(1)], &[])], bound(OnStale::ServeStale));
    let early = resolver.pick().unwrap();
    pass(29).await;
    assert_eq!(picked(&resolver), (1, Mark::Ordinary));
    pass(2).await;
    assert_eq!(picked(&resolver), (1, Mark::Stale));
    assert_eq!((early.mark(), resolver.explain().mark), (Mark::Stale, Mark::Stale), "also one picked before");
    writers[0].publish(Arc::new(live(&[instance(1)], &[])));
    pass(1).await;
    assert_eq!(picked(&resolver), (1, Mark::Ordinary));
    pass(28).await;
    assert_eq!(picked(&resolver), (1, Mark::Ordinary), "the bound counts from the newest proof");
    pass(2).await;
    assert_eq!(picked(&resolver), (1, Mark::Stale));
}

#[tokio::test(start_paused = true)]
async fn without_a_bound_age_changes_nothing() {
    let (_writers, resolver, _tasks) = resolver_over([live(&[instance(1)], &[])], Select::default());
    pass(100_000).await;
    assert_eq!(picked(&resolver), (1, Mark::Ordinary));
}

#[tokio::test(start_paused = true)]
async fn what_the_registry_admits_counts_towards_the_bound() {
    let admitting = |seconds: u32| {
        let mut snapshot = live(&[instance(1)], &[]);
        Arc::make_mut(&mut snapshot.freshness).admitted = SECOND * seconds;
        snapshot
    };
    let (mut writers, resolver, _tasks) = resolver_over([admitting(20)], bound(OnStale::ServeStale));
    pass(9).await;
    assert_eq!(picked(&resolver).1, Mark::Ordinary);
    pass(2).await;
    assert_eq!(picked(&resolver).1, Mark::Stale);
    writers[0].publish(Arc::new(admitting(31)));
    pass(1).await;
    assert_eq!(picked(&resolver).1, Mark::Stale, "it was too old when it came");
}

#[tokio::test(start_paused = true)]
async fn past_the_bound_a_pick_fails_by_a_typed_answer_if_the_caller_chose_so() {
    let (mut writers, resolver, _tasks) = resolver_over([live(&[instance(1)], &[])], bound(OnStale::Fail));
    let mut watch = resolver.watch();
    assert_eq!(told(&watch.changed().await.unwrap()), (vec![1], vec![]));
    let passed = tokio::time::Instant::now().into_std() + SECOND * 30;
    pass(29).await;
    assert!(resolver.pick().is_ok());
    pass(2).await;
    let none = resolver.pick().unwrap_err();
    let NoInstance::TooOld { why, .. } = &none else { panic!("{none:?}") };
    assert_eq!((why.max_age, why.since, &*why.error), (Some(SECOND * 30), passed, ""));
    let failure =
        Failure { kind: Kind::Unreachable, text: "connection refused".into(), since: passed, count: 3 };
    let mut failing = (*resolver.snapshot()).clone();
    failing.failure = Some(failure);
    writers[0].publish(Arc::new(failing));
    pass(1).await;
    assert_eq!(
        resolver.pick().unwrap_err().to_string(),
        "web: what is known is older than max_age (30s), and reads fail: connection refused; mend that, allow more \
         age, or choose another on_stale"
    );
    assert_eq!(resolver.snapshot().instances().len(), 1, "what is known is still shown, with its age");
    writers[0].publish(Arc::new(live(&[instance(1)], &[])));
    pass(1).await;
    assert_eq!(picked(&resolver), (1, Mark::Ordinary));
    let nothing = tokio::time::timeout(SECOND, watch.changed()).await;
    assert!(nothing.is_err(), "no instance came or went: {nothing:?}");
}

#[tokio::test(start_paused = true)]
async fn the_fallback_takes_over_past_the_bound_and_goes_again() {
    let fallback = || OnStale::fallback([instance(8), sick(9, Status::Passing)]);
    let select = bound(fallback()).tag("blue");
    let blue = || live(&[instance(1).with_tags(["blue"])], &[]);
    let (mut writers, resolver, _tasks) = resolver_over([blue()], select);
    let mut watch = resolver.watch();
    assert_eq!(told(&watch.changed().await.unwrap()), (vec![1], vec![]));
    pass(31).await;
    let pick = resolver.pick().unwrap();
    assert_eq!((pick.mark(), pick.freshness().source), (Mark::Fallback, Source::Fallback));
    assert_eq!(resolver.explain().usable.len(), 2, "whatever the filter");
    assert_eq!(told(&watch.changed().await.unwrap()), (vec![8, 9], vec![1]));
    writers[0].publish(Arc::new(blue()));
    assert_eq!(told(&watch.changed().await.unwrap()), (vec![1], vec![8, 9]));
    assert_eq!(picked(&resolver), (1, Mark::Ordinary));

    let (_writers, cold, _tasks) =
        resolver_over([Snapshot::nothing(web())], Select::default().on_stale(fallback()));
    assert_eq!(cold.pick().unwrap().mark(), Mark::Fallback, "nothing is known at all");
    let (_writers, empty, _tasks) = resolver_over([live(&[], &[])], Select::default().on_stale(fallback()));
    let none = empty.pick().unwrap_err();
    assert!(matches!(none, NoInstance::NeverSeen { .. }), "a fresh answer is an answer: {none:?}");
}

fn in_dc2(snapshot: Snapshot) -> Snapshot {
    Snapshot { datacenter: Some("dc2".into()), ..snapshot }
}

#[tokio::test(start_paused = true)]
async fn another_datacentre_serves_while_the_first_has_none_and_each_change_is_told_once() {
    let select = Select::default().fallback_datacenter("dc2");
    let views = [live(&[instance(1)], &[]), in_dc2(live(&[instance(7)], &[]))];
    let (mut writers, resolver, _tasks) = resolver_over(views, select);
    let mut watch = resolver.watch();
    assert_eq!(told(&watch.changed().await.unwrap()), (vec![1], vec![]));
    assert_eq!(picked(&resolver), (1, Mark::Ordinary));
    assert_eq!(resolver.snapshot().datacenter(), None);

    writers[0].publish(Arc::new(live(&[sick(1, Status::Critical)], &[])));
    assert_eq!(told(&watch.changed().await.unwrap()), (vec![7], vec![1]));
    assert_eq!(picked(&resolver), (7, Mark::Failover));
    assert_eq!(resolver.explain().snapshot.datacenter(), Some("dc2"));
    // What changes in the datacentre that is not shown is not told, and nothing of it is lost for later.
    writers[0].publish(Arc::new(live(&[sick(1, Status::Critical), sick(2, Status::Critical)], &[])));
    writers[1].publish(Arc::new(in_dc2(live(&[instance(7), instance(8)], &[]))));
    assert_eq!(told(&watch.changed().await.unwrap()), (vec![8], vec![]));

    writers[0].publish(Arc::new(live(&[sick(1, Status::Critical), instance(2)], &[])));
    assert_eq!(told(&watch.changed().await.unwrap()), (vec![1, 2], vec![7, 8]));
    assert_eq!(picked(&resolver), (2, Mark::Ordinary));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_and_a_too_old_first_datacentre_are_passed_over() {
    let select = || bound(OnStale::Fail).fallback_datacenter("dc2");
    let dc2 = || in_dc2(live(&[instance(7)], &[]));
    let (_writers, resolver, _tasks) = resolver_over([Snapshot::nothing(web()), dc2()], select());
    assert_eq!(picked(&resolver), (7, Mark::Failover));
    assert!(resolver.settled(SECOND).await.is_ok());
    let (mut writers, resolver, _tasks) = resolver_over([live(&[instance(1)], &[]), dc2()], select());
    pass(20).await;
    writers[1].publish(Arc::new(dc2()));
    pass(11).await;
    assert_eq!(picked(&resolver), (7, Mark::Failover));
    pass(20).await;
    assert!(matches!(resolver.pick(), Err(NoInstance::TooOld { .. })), "all are too old");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_only_confirms_builds_no_endpoint_and_is_seen_by_those_there_are() {
    let first = live(&[instance(1), instance(2)], &[]);
    let (mut writer, resolver, _tasks) = resolver(first.clone());
    let early = resolver.pick().unwrap();
    pass(5).await;
    let confirmed = tokio::time::Instant::now().into_std();
    let mut freshness = (*first.freshness).clone();
    (freshness.index, freshness.confirmed) = (8, Some(confirmed));
    writer.publish(Arc::new(Snapshot { freshness: Arc::new(freshness), ..first.clone() }));
    let before = resolver.explain().usable;
    pass(1).await;
    let after = resolver.explain().usable;
    assert!(before.iter().zip(&after).all(|(before, after)| Arc::ptr_eq(before, after)));
    let fresh = early.freshness();
    assert_eq!((fresh.index, fresh.confirmed), (8, Some(confirmed)));
    assert_eq!(resolver.snapshot().freshness().index, 8);
}

fn discovery(registry: &Arc<Scripted>, view: ViewConfig) -> Discovery {
    Discovery::with_registry(Arc::<Scripted>::clone(registry), Config::default().seed(1).view(view))
}

#[tokio::test(start_paused = true)]
async fn a_view_brings_proofs_often_enough_for_the_tightest_bound_in_use() {
    let registry = Scripted::new([Ok(answer(&[1], 5))]);
    let discovery = discovery(&registry, ViewConfig::default());
    let last_wait = || registry.asked.lock().unwrap().last().unwrap().block.unwrap().wait;
    let strict = Select::default().max_age(SECOND * 10, OnStale::Fail);
    let web = discovery.service_with("web", strict).await.unwrap();
    let loose = discovery.service_with("web", bound(OnStale::Fail)).await.unwrap();
    for _ in 0..300 {
        pass(1).await;
        assert_eq!(picked(&web).1, Mark::Ordinary, "nothing changes, and nothing fails");
    }
    assert_eq!(last_wait(), SECOND * 5);
    drop(web);
    pass(60).await;
    assert_eq!(last_wait(), SECOND * 15);
    drop(loose);
    pass(60).await;
    assert!(last_wait() > SECOND * 26);
}

#[tokio::test(start_paused = true)]
async fn what_is_declared_void_is_stale_until_it_is_read_anew() {
    let registry = Scripted::new([Ok(answer(&[1], 5))]);
    let discovery = discovery(&registry, ViewConfig::default());
    let web = discovery.service("web").await.unwrap();
    let strict = discovery.service_with("web", Select::default().on_stale(OnStale::Fail)).await.unwrap();
    for _ in 0..20 {
        registry.push(Err(Kind::Unreachable));
    }
    web.invalidate();
    pass(1).await;
    assert_eq!(picked(&web), (1, Mark::Stale));
    let text = strict.pick().unwrap_err().to_string();
    assert!(text.starts_with("web: what was known was declared void, "), "{text}");
    pass(600).await;
    assert_eq!(picked(&web), (1, Mark::Ordinary), "the registry answers again");
    assert!(strict.pick().is_ok());
}

#[tokio::test(start_paused = true)]
async fn on_demand_a_failed_read_leaves_what_is_known_marked_stale() {
    let registry = Scripted::new([Ok(answer(&[1], 5))]);
    let discovery = discovery(&registry, ViewConfig::default().mode(Mode::on_demand()));
    assert_eq!(picked(&discovery.service("web").await.unwrap()).1, Mark::Ordinary);
    pass(31).await;
    registry.push(Err(Kind::Unreachable));
    assert_eq!(picked(&discovery.service("web").await.unwrap()), (1, Mark::Stale));
    pass(31).await;
    registry.push(Ok(answer(&[1], 6)));
    assert_eq!(
        picked(&discovery.service("web").await.unwrap()),
        (1, Mark::Ordinary),
        "it waits for the read"
    );
}
