//! Every field counts, every reader gets everything once, and slow readers lose nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::{CheckScope, CheckState, Identity, Status, Weights};

fn web() -> ServiceName {
    ServiceName::new("web").unwrap()
}

fn instance(id: u8, port: u16) -> Arc<Instance> {
    Arc::new(Instance::new(Identity::new("dc1", "n1", &format!("web-{id}")), "web", "10.0.0.1", port))
}

fn of(instances: &[Arc<Instance>], held: &[Arc<Instance>]) -> Arc<Snapshot> {
    let freshness = Freshness {
        source: Source::Live,
        index: 7,
        confirmed: None,
        admitted: Duration::ZERO,
        streaming: false,
    };
    Arc::new(Snapshot {
        instances: instances.into(),
        held: held.into(),
        freshness: Arc::new(freshness),
        ..Snapshot::nothing(web())
    })
}

#[test]
fn a_change_of_any_field_is_a_change() {
    let base = (*instance(1, 80)).clone();
    let check = CheckState::new("c", "c", Status::Passing, CheckScope::Service);
    let changed: Vec<Instance> = vec![
        Instance { address: "10.0.0.2".into(), ..base.clone() },
        Instance { port: 81, ..base.clone() },
        base.clone().with_tags(["blue"]),
        base.clone().with_meta([("k", "v")]),
        base.clone().with_weights(Weights { passing: 2, warning: 1 }),
        Instance { zone: Some("a".into()), ..base.clone() },
        Instance { region: Some("a".into()), ..base.clone() },
        Instance { version: Some(semver::Version::new(1, 0, 0)), ..base.clone() },
        base.clone().with_checks(vec![check.clone()]),
        base.clone().with_checks(vec![CheckState { status: Status::Warning, ..check }]),
        Instance { service: "web2".into(), ..base.clone() },
    ];
    let old = of(&[Arc::new(base)], &[]);
    for new in changed {
        let changes = Changes::between(&old, &of(&[Arc::new(new.clone())], &[]));
        assert_eq!(changes.updated.len(), 1, "{new:?}");
        assert!(changes.added.is_empty() && changes.removed.is_empty());
    }
}

#[test]
fn an_equal_instance_in_a_new_allocation_is_no_change() {
    assert!(Changes::between(&of(&[instance(1, 80)], &[]), &of(&[instance(1, 80)], &[])).is_empty());
}

#[test]
fn held_and_returned_are_told() {
    let (one, two) = (instance(1, 80), instance(2, 80));
    let both = of(&[Arc::clone(&one), Arc::clone(&two)], &[]);
    let lost = of(std::slice::from_ref(&one), std::slice::from_ref(&two));
    let changes = Changes::between(&both, &lost);
    assert_eq!((changes.held.len(), changes.removed.len()), (1, 0));
    let changes = Changes::between(&lost, &both);
    assert_eq!((changes.returned.len(), changes.added.len()), (1, 0));
    let changes = Changes::between(&lost, &of(&[one], &[]));
    assert_eq!((changes.removed.len(), changes.held.len()), (1, 0));
}

/// What is told next; a reader that is told nothing fails, and waits for ever no more.
async fn told(reader: &mut Reader) -> Result<Changes, Error> {
    tokio::time::timeout(Duration::from_secs(3600), reader.changed()).await.expect("nothing is told")
}

#[tokio::test(start_paused = true)]
async fn a_new_reader_is_told_what_is_there_and_then_only_news() {
    let mut writer = Writer::new(of(&[instance(1, 80)], &[]));
    let mut reader = writer.reader();
    assert_eq!(told(&mut reader).await.unwrap().added.len(), 1);
    writer.publish(of(&[instance(1, 80)], &[])); // confirms, changes nothing
    writer.publish(of(&[instance(1, 80), instance(2, 80)], &[]));
    let changes = told(&mut reader).await.unwrap();
    assert_eq!((changes.added.len(), changes.updated.len()), (1, 0));
    drop(writer);
    assert_eq!(told(&mut reader).await.unwrap_err().kind(), Kind::Closed);
}

#[tokio::test(start_paused = true)]
async fn wait_until_ends_at_its_deadline_and_sees_what_is_there() {
    let writer = Writer::new(of(&[instance(1, 80)], &[]));
    let reader = writer.reader();
    let second = Duration::from_secs(1);
    assert!(reader.wait_until(|snapshot| snapshot.instances().len() == 1, second).await.is_ok());
    let error = reader.wait_until(|snapshot| snapshot.instances().len() == 2, second).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
}

#[test]
fn the_writer_frees_a_snapshot_when_its_last_reader_has_gone() {
    let mut writer = Writer::new(of(&[instance(1, 80)], &[]));
    let kept = writer.current();
    let weak = Arc::downgrade(&kept);
    writer.publish(of(&[], &[]));
    assert_eq!(writer.retired.len(), 1, "a reader is still on it");
    drop(kept);
    assert!(weak.upgrade().is_some(), "the reader's drop did not free it");
    writer.publish(of(&[], &[]));
    assert!(weak.upgrade().is_none(), "the writer did");
}

/// Applies changes as a consumer would.
fn apply(picture: &mut BTreeMap<Identity, (Arc<Instance>, bool)>, changes: &Changes) {
    for added in &changes.added {
        let old = picture.insert(added.identity.clone(), (Arc::clone(added), false));
        assert!(old.is_none(), "added twice");
    }
    for (was, is) in &changes.updated {
        let (old, _) = picture.get_mut(&is.identity).expect("updated, but never added");
        assert_eq!(old, was, "told of an update from what it never saw");
        *old = Arc::clone(is);
    }
    for held in &changes.held {
        picture.insert(held.identity.clone(), (Arc::clone(held), true));
    }
    for returned in &changes.returned {
        picture.insert(returned.identity.clone(), (Arc::clone(returned), false));
    }
    for removed in &changes.removed {
        assert!(picture.remove(&removed.identity).is_some(), "removed, but never there");
    }
}

proptest! {
    /// Law 1 for consumers: whatever is published, and whenever a reader looks, applying what it is told gives
    /// exactly what is published.
    #[test]
    fn a_reader_of_any_speed_ends_with_the_truth(
        steps in proptest::collection::vec(
            (proptest::collection::btree_map(0u8..6, (1u16..3, any::<bool>()), 0..6), any::<bool>()), 1..12)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut writer = Writer::new(Arc::new(Snapshot::nothing(web())));
            let mut reader = writer.reader();
            let mut picture = BTreeMap::new();
            for (members, looks) in steps {
                let mut lists = (Vec::new(), Vec::new());
                for (id, (port, held)) in &members {
                    let list = if *held { &mut lists.1 } else { &mut lists.0 };
                    list.push(instance(*id, *port));
                }
                writer.publish(of(&lists.0, &lists.1));
                if looks {
                    look(&mut reader, &mut picture).await;
                }
            }
            look(&mut reader, &mut picture).await;
            let truth = writer.current();
            let expected: BTreeMap<_, _> = truth.instances.iter().map(|i| (i.identity.clone(), (Arc::clone(i), false)))
                .chain(truth.held.iter().map(|i| (i.identity.clone(), (Arc::clone(i), true)))).collect();
            prop_assert_eq!(picture, expected);
            Ok(())
        })?;
    }
}

/// Takes everything that can be had without waiting.
async fn look(reader: &mut Reader, picture: &mut BTreeMap<Identity, (Arc<Instance>, bool)>) {
    tokio::select! {
        biased;
        changes = reader.changed() => apply(picture, &changes.unwrap()),
        () = std::future::ready(()) => {}
    }
}
