//! The typed answers, the filters, and that picks follow the view before anyone is told.

use std::time::Duration;

use super::{selection::Selection, *};
use crate::{
    error::Kind,
    model::{CheckScope, CheckState, Instance, Status, Weights},
    snapshot::{Failure, Freshness, Hidden, Source},
    testing::instance,
};

fn web() -> ServiceName {
    ServiceName::new("web").unwrap()
}

fn live(instances: &[Instance], held: &[Instance]) -> Snapshot {
    let arcs = |list: &[Instance]| list.iter().cloned().map(Arc::new).collect::<Arc<[_]>>();
    let freshness = Freshness {
        source: Source::Live,
        index: 7,
        confirmed: Some(tokio::time::Instant::now().into_std()),
        admitted: Duration::ZERO,
        streaming: false,
    };
    Snapshot {
        instances: arcs(instances),
        held: arcs(held),
        freshness: Arc::new(freshness),
        ..Snapshot::nothing(web())
    }
}

fn loads() -> Arc<Loads> {
    Arc::new(Loads::new(web(), Ejection::default(), RetryBudget::default(), endpoint::now()))
}

fn carried() -> selection::Carried {
    selection::Carried {
        loads: loads(),
        turn: Arc::default(),
        here: Arc::default(),
        rising: Arc::default(),
        split: None,
        now: endpoint::now(),
    }
}

fn build(snapshot: &Snapshot, select: &Select) -> Selection {
    build_at(snapshot, select, &Locality::default())
}

fn build_at(snapshot: &Snapshot, select: &Select, here: &Locality) -> Selection {
    let here = Arc::new(here.clone());
    let carried = selection::Carried { here, ..carried() };
    let carried = selection::Carried { split: select.split.clone(), ..carried };
    Selection::build(snapshot, select, &carried)
}

fn usable(selection: &Selection) -> Vec<u16> {
    selection.endpoints.iter().map(|endpoint| endpoint.port - 1000).collect()
}

fn sick(id: u16, status: Status) -> Instance {
    instance(id).with_checks(vec![CheckState::new("service:web", "", status, CheckScope::Service)])
}

#[test]
fn a_registry_that_is_silent_is_told_apart_from_one_that_fails() {
    for (error, says) in
        [("", "has not answered yet; try again"), ("refused", "nothing is known from before: refused")]
    {
        let none = NoInstance::Unreachable { service: web(), error: error.into() };
        assert!(none.to_string().contains(says), "{none}");
    }
}

#[test]
fn what_is_too_old_says_by_which_bound_and_why_nothing_newer_came() {
    for (max_age, error, bound, why) in [
        (Some(30), "", "is older than max_age (30s), ", "no newer proof has come yet"),
        (Some(30), "refused", "is older than max_age (30s), ", "reads fail: refused"),
        (None, "", "was declared void, ", "no newer proof has come yet"),
        (None, "refused", "was declared void, ", "reads fail: refused"),
    ] {
        let max_age = max_age.map(Duration::from_secs);
        let since = tokio::time::Instant::now().into_std();
        let why_too_old = PastBound { max_age, since, error: error.into() };
        let none = NoInstance::TooOld { service: web(), why: Arc::new(why_too_old) }.to_string();
        assert!(none.starts_with("web: what ") && none.contains(bound) && none.contains(why), "{none}");
    }
}

#[test]
fn five_answers_for_none() {
    let instant = tokio::time::Instant::now().into_std();
    let none = |snapshot: &Snapshot| build(snapshot, &Select::default()).none.unwrap();

    let nothing = Snapshot::nothing(web());
    assert!(matches!(none(&nothing), NoInstance::Unreachable { error, .. } if error.is_empty()));
    let failure = Failure { kind: Kind::Unreachable, text: "refused".into(), since: instant, count: 3 };
    let failing = Snapshot { failure: Some(failure), ..Snapshot::nothing(web()) };
    assert!(matches!(none(&failing), NoInstance::Unreachable { error, .. } if &*error == "refused"));

    assert!(matches!(none(&live(&[], &[])), NoInstance::NeverSeen { maybe_acl: false, .. }));
    let maybe = Snapshot { hidden: Hidden::Maybe, ..live(&[], &[]) };
    assert!(matches!(none(&maybe), NoInstance::NeverSeen { maybe_acl: true, .. }));
    let hidden = Snapshot { hidden: Hidden::Yes, ..live(&[], &[]) };
    assert!(matches!(none(&hidden), NoInstance::HiddenByAcl { .. }));
    let gone = Snapshot { last_seen: Some(instant), ..live(&[], &[]) };
    assert!(matches!(none(&gone), NoInstance::Gone { last_seen, .. } if last_seen == instant));

    let all_sick = live(&[sick(1, Status::Critical), sick(2, Status::Maintenance)], &[]);
    let NoInstance::NoneUsable { left_out, .. } = none(&all_sick) else { panic!("instances are known") };
    assert_eq!(left_out.len(), 2);
    let text = none(&all_sick).to_string();
    assert_eq!(
        text,
        "web: 2 known, 0 usable: web-1 critical by check \"service:web\", web-2 maintenance by check \"service:web\""
    );
}

#[test]
fn each_filter_leaves_out_with_its_reason() {
    let base = || instance(1).with_tags(["Blue", "v1.2.0"]).with_meta([("team", "a"), ("version", "1.2.0")]);
    let snapshot = live(&[base()], &[]);
    let reason = |select: Select| build(&snapshot, &select).left_out.first().map(|left| left.why.to_string());
    let version = |text: &str| text.parse::<semver::Version>().unwrap();
    let filtered = |text: &str| Select::default().filter(text.parse().unwrap());
    for (select, expected) in [
        (Select::default(), None),
        (Select::default().tag("blue"), None),
        (Select::default().tag("blue").tag("green"), Some("lacks the tag \"green\"")),
        (Select::default().meta("team", "a"), None),
        (Select::default().meta("team", "b"), Some("has meta team=\"a\"")),
        (Select::default().meta("region", "b"), Some("lacks the meta key \"region\"")),
        (filtered("Service.Meta.team == a and Blue in Service.Tags"), None),
        (filtered("not Service.Meta.team == a"), Some("does not fit the filter not Service.Meta.team == a")),
        (Select::default().version(version("1.2.0")), None),
        (Select::default().version(version("1.3.0")), Some("is version 1.2.0")),
    ] {
        assert_eq!(reason(select.clone()).as_deref(), expected, "{select:?}");
    }
}

#[test]
fn warning_is_refused_by_default_and_allowed_at_its_weight() {
    let weak = sick(2, Status::Warning).with_weights(Weights { passing: 5, warning: 0 });
    let snapshot = live(&[instance(1), sick(3, Status::Warning), weak], &[]);
    assert_eq!(usable(&build(&snapshot, &Select::default())), [1]);
    let allowed = build(&snapshot, &Select::default().allow_warning());
    assert_eq!(usable(&allowed), [1, 3]);
    assert_eq!(allowed.left_out.first().unwrap().why, Exclusion::WeightZero);
}

#[test]
fn all_weights_zero_means_equal_shares_and_says_so() {
    let weightless = |id| instance(id).with_weights(Weights { passing: 0, warning: 0 });
    let selection = build(&live(&[weightless(1), weightless(2)], &[]), &Select::default());
    assert_eq!((usable(&selection), selection.quality), (vec![1, 2], Mark::AllWeightsZero));
    let by_key =
        build(&live(&[weightless(1), weightless(2)], &[]), &Select::default().policy(Policy::Maglev));
    let second =
        (0..=255_u64).filter(|roll| by_key.picker.pick(&by_key.loads, roll << 56, None) == 1).count();
    assert!((90..=166).contains(&second), "{second} of 256 rolls");
}

#[test]
fn held_instances_are_picked_only_when_no_confirmed_one_is_left() {
    let mixed = build(&live(&[instance(1)], &[instance(2)]), &Select::default());
    assert_eq!((usable(&mixed), mixed.quality), (vec![1], Mark::Ordinary));
    assert_eq!(mixed.left_out.first().unwrap().why, Exclusion::Held);
    let only_held = build(&live(&[], &[instance(2)]), &Select::default());
    assert_eq!((usable(&only_held), only_held.quality), (vec![2], Mark::Held));
    let sick_and_held = build(&live(&[sick(1, Status::Critical)], &[instance(2)]), &Select::default());
    assert_eq!((usable(&sick_and_held), sick_and_held.quality), (vec![2], Mark::Held));
}

fn resolver(first: Snapshot) -> (Writer, Resolver, tokio::task::JoinSet<()>) {
    let (mut writers, resolver, tasks) = resolver_over([first], Select::default());
    (writers.remove(0), resolver, tasks)
}

/// A resolver over views that know these snapshots.
fn resolver_over(
    first: impl IntoIterator<Item = Snapshot>,
    select: Select,
) -> (Vec<Writer>, Resolver, tokio::task::JoinSet<()>) {
    resolver_with(first, select, loads)
}

/// The same, with the loads that each view has.
fn resolver_with(
    first: impl IntoIterator<Item = Snapshot>,
    select: Select,
    loads: impl Fn() -> Arc<Loads>,
) -> (Vec<Writer>, Resolver, tokio::task::JoinSet<()>) {
    let writers: Vec<_> = first.into_iter().map(|first| Writer::new(Arc::new(first))).collect();
    let origin = |writer: &Writer| Origin {
        reader: writer.reader(),
        loads: loads(),
        interest: Arc::default(),
        user: Arc::default(),
    };
    let files = Files {
        overrides: watch::Sender::default().subscribe(),
        splits: watch::Sender::default().subscribe(),
    };
    let stop = CancellationToken::new();
    let (origins, here) =
        (writers.iter().map(origin).collect(), Arc::new(Locality::default().node("n1").zone("a")));
    let (resolver, work) = Resolver::new(origins, select, here, files, 1, stop);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(work());
    (writers, resolver, tasks)
}

#[tokio::test(start_paused = true)]
async fn picks_follow_a_change_before_a_consumer_is_told() {
    let (mut writer, resolver, _tasks) = resolver(live(&[instance(1)], &[]));
    let mut watch = resolver.watch();
    watch.changed().await.unwrap();
    for id in 2..20 {
        writer.publish(Arc::new(live(&[instance(id)], &[])));
        watch.changed().await.unwrap();
        assert_eq!(resolver.pick().unwrap().port, 1000 + id, "told of a change that picks do not follow");
    }
}

/// A view and its resolvers share each snapshot: were both to keep it until the other has let go, none would ever go.
#[tokio::test(start_paused = true)]
async fn snapshots_that_nobody_reads_any_more_are_freed() {
    let (mut writer, resolver, _tasks) = resolver(live(&[instance(1)], &[]));
    let mut watch = resolver.watch();
    watch.changed().await.unwrap();
    let mut published = Vec::new();
    for id in 2..50 {
        let next = Arc::new(live(&[instance(id)], &[]));
        published.push(Arc::downgrade(&next));
        writer.publish(next);
        watch.changed().await.unwrap();
    }
    let kept = published.iter().filter(|one| one.strong_count() > 0).count();
    assert!(kept <= 3, "{kept} of {} are kept", published.len());
}

#[tokio::test(start_paused = true)]
async fn a_load_outlives_a_changed_definition_and_not_a_new_place() {
    let (mut writer, resolver, _tasks) = resolver(live(&[instance(1)], &[]));
    let mut watch = resolver.watch();
    watch.changed().await.unwrap();
    let pick = resolver.pick().unwrap();
    assert_eq!(pick.in_flight(), 1);
    writer.publish(Arc::new(live(&[instance(1).with_tags(["new"])], &[])));
    watch.changed().await.unwrap();
    let second = resolver.pick().unwrap();
    assert_eq!((second.tags.len(), second.in_flight(), pick.in_flight()), (1, 2, 2));
    drop(second);
    assert_eq!(pick.in_flight(), 1);
    let mut moved = instance(1);
    moved.port = 9;
    writer.publish(Arc::new(live(&[moved], &[])));
    watch.changed().await.unwrap();
    assert_eq!(resolver.pick().unwrap().in_flight(), 1);
}

#[tokio::test(start_paused = true)]
async fn excluded_instances_are_picked_only_when_there_is_no_other() {
    let (_writer, resolver, _tasks) = resolver(live(&[instance(1), instance(2)], &[]));
    let (one, two) = (instance(1).identity, instance(2).identity);
    assert!((0..200).all(|_| resolver.pick_excluding(&[&one]).unwrap().identity == two));
    assert!(resolver.pick_excluding(&[&one, &two]).is_ok());
}

/// Which instance each of a hundred keys gets.
fn by_key(resolver: &Resolver) -> Vec<Identity> {
    (0..100u8).map(|key| resolver.pick_by_key(&[key]).unwrap().identity.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_instance_keeps_its_keys_at_another_address() {
    let all = || (1..=5).map(instance).collect::<Vec<_>>();
    let select = Select::default().policy(Policy::Maglev);
    let (mut writers, resolver, _tasks) = resolver_over([live(&all(), &[])], select);
    let mut watch = resolver.watch();
    watch.changed().await.unwrap();
    let before = by_key(&resolver);
    assert!(all().iter().all(|one| before.contains(&one.identity)), "{before:?}");
    assert_eq!(by_key(&resolver), before, "a key's instance is the same each time");
    let mut moved = all();
    moved.reverse();
    (moved[0].address, moved[0].port) = ("10.9.9.9".into(), 9);
    writers[0].publish(Arc::new(live(&moved, &[])));
    watch.changed().await.unwrap();
    assert_eq!(resolver.snapshot().instances().iter().filter(|one| one.port == 9).count(), 1);
    assert_eq!(by_key(&resolver), before, "neither the address nor the order says who gets a key");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_excluded_goes_to_one_and_the_same_other() {
    let all: Vec<_> = (1..=9).map(instance).collect();
    let select = Select::default().policy(Policy::Maglev);
    let (_writers, resolver, _tasks) = resolver_over([live(&all, &[])], select);
    for key in 0..100u8 {
        let first = resolver.pick_by_key(&[key]).unwrap().identity.clone();
        let other = || resolver.pick_by_key_excluding(&[key], &[&first]).unwrap().identity.clone();
        assert!(other() != first && other() == other(), "key {key}");
    }
    let everyone: Vec<&Identity> = all.iter().map(|one| &one.identity).collect();
    assert!(resolver.pick_by_key_excluding(b"key", &everyone).is_ok());
}

#[tokio::test(start_paused = true)]
async fn under_other_policies_a_key_is_the_roll_or_nothing() {
    let all: Vec<_> = (1..=9).map(instance).collect();
    let picked = |policy: Policy| {
        let (writers, resolver, tasks) = resolver_over([live(&all, &[])], Select::default().policy(policy));
        let picked: Vec<_> =
            (0..18).map(|_| resolver.pick_by_key(b"key").unwrap().identity.clone()).collect();
        drop((writers, tasks));
        picked
    };
    for policy in [Policy::Random, Policy::PowerOfTwo, Policy::Maglev] {
        let picked = picked(policy);
        assert!(picked.iter().all(|one| *one == picked[0]), "{policy:?} {picked:?}");
    }
    let in_turn = picked(Policy::RoundRobin);
    assert!(all.iter().all(|one| in_turn.iter().filter(|other| **other == one.identity).count() == 2));
}

#[tokio::test(start_paused = true)]
async fn without_a_key_a_policy_by_key_is_random_and_without_an_instance_it_says_why() {
    let all: Vec<_> = (1..=3).map(instance).collect();
    let select = Select::default().policy(Policy::Maglev);
    let (mut writers, resolver, _tasks) = resolver_over([live(&all, &[])], select);
    let mut watch = resolver.watch();
    watch.changed().await.unwrap();
    let picks: Vec<u16> = (0..300).map(|_| resolver.pick().unwrap().port).collect();
    assert!((1001..=1003).all(|port| picks.iter().filter(|picked| **picked == port).count() > 60));
    writers[0].publish(Arc::new(live(&[], &[])));
    watch.changed().await.unwrap();
    assert!(matches!(resolver.pick_by_key(b"key"), Err(NoInstance::NeverSeen { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_resolver_ends_its_task() {
    let (_writer, resolver, mut tasks) = resolver(live(&[instance(1)], &[]));
    drop(resolver);
    tokio::time::timeout(Duration::from_secs(60), tasks.join_next()).await.unwrap().unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_says_how_fresh_it_is() {
    let (_writer, resolver, _tasks) = resolver(live(&[instance(1)], &[]));
    let pick = resolver.pick().unwrap();
    let confirmed = pick.freshness().confirmed.unwrap();
    let later = confirmed + Duration::from_secs(9);
    assert_eq!(pick.freshness().age(later), Some(Duration::from_secs(9)));
    assert_eq!((pick.freshness().source, pick.freshness().index), (Source::Live, 7));
    assert_eq!(resolver.peek(|one| one.freshness().index).unwrap(), 7);
}

mod bounds;
mod calls;
mod choices;
mod ejection;
mod panics;
mod prefers;
mod sifted;
mod splits;
mod versions;
