//! Lists that are walked side by side know what sorted maps know.
#![expect(clippy::arithmetic_side_effects, reason = "small numbers, of the tests' own")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::ServiceName;

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The same rules over sorted maps: slow, and plain to read.
#[derive(Debug, Default)]
struct Model {
    confirmed: BTreeMap<Identity, Arc<Instance>>,
    held: BTreeMap<Identity, Arc<Instance>>,
    hold_ends: Option<Instant>,
}

impl Model {
    fn is_mass_loss(&self, new: &[Arc<Instance>]) -> bool {
        let kept = new.iter().filter(|new| self.confirmed.contains_key(&new.identity)).count();
        let (had, lost) = (self.confirmed.len(), self.confirmed.len() - kept);
        had >= 4 && lost > had / 2
    }

    fn differs(&self, new: &[Arc<Instance>]) -> bool {
        let new: BTreeMap<_, _> = new.iter().map(|new| (new.identity.clone(), Arc::clone(new))).collect();
        new != self.confirmed
    }

    fn replace(&mut self, new: &[Arc<Instance>], hold: Option<Duration>, now: Instant) {
        let mut before = std::mem::take(&mut self.confirmed);
        self.confirmed = new.iter().map(|new| (new.identity.clone(), Arc::clone(new))).collect();
        before.retain(|identity, _| !self.confirmed.contains_key(identity));
        let lost = !before.is_empty();
        if hold.is_some() {
            self.held.append(&mut before);
        }
        let taken: Vec<_> = self.confirmed.values().map(|now| (Arc::clone(&now.address), now.port)).collect();
        self.held.retain(|identity, held| {
            !self.confirmed.contains_key(identity) && !taken.contains(&(Arc::clone(&held.address), held.port))
        });
        match hold {
            _ if self.held.is_empty() => self.hold_ends = None,
            Some(hold) if lost => self.hold_ends = self.hold_ends.or(Some(now + hold)),
            _ => {}
        }
        self.release(now);
    }

    fn release(&mut self, now: Instant) -> bool {
        if self.hold_ends.is_none_or(|ends| ends > now) {
            return false;
        }
        self.hold_ends = None;
        !std::mem::take(&mut self.held).is_empty()
    }
}

/// An instance by its number; `kind` is what changes about it, and where it is.
fn instance(number: u8, kind: u8) -> Arc<Instance> {
    let identity = Identity::new("dc1", "n", &format!("{number:02}"));
    let port = u16::from(number % 7) + u16::from(kind) * 7;
    Arc::new(Instance::new(identity, "web", "10.0.0.1", port))
}

#[derive(Clone, Debug)]
enum Step {
    Replace { new: Vec<(u8, u8)>, reuse: bool, turned: bool, hold: Option<u8> },
    Release,
    Later(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let new =
        proptest::collection::btree_map(0u8..14, 0u8..3, 0..14).prop_map(|map| map.into_iter().collect());
    let replace = (new, any::<bool>(), prop::bool::weighted(0.2), prop::option::of(0u8..9))
        .prop_map(|(new, reuse, turned, hold)| Step::Replace { new, reuse, turned, hold });
    prop_oneof![6 => replace, 1 => Just(Step::Release), 2 => (0u8..6).prop_map(Step::Later)]
}

fn same(list: &[Arc<Instance>], map: &BTreeMap<Identity, Arc<Instance>>) -> bool {
    list.len() == map.len() && list.iter().zip(map.values()).all(|(one, other)| one == other)
}

/// What an answer of these is: with `reuse`, unchanged instances come as the allocation that is known already.
fn answer(known: &Known, new: &[(u8, u8)], reuse: bool, turned: bool) -> Vec<Arc<Instance>> {
    let make = |(number, kind): &(u8, u8)| {
        let made = instance(*number, *kind);
        let known = find(&known.confirmed, &made.identity).filter(|known| reuse && **known == made);
        known.cloned().unwrap_or(made)
    };
    let mut list: Vec<_> = new.iter().map(make).collect();
    if turned {
        list.reverse();
    }
    list
}

proptest! {
    #[test]
    fn lists_know_what_maps_know(steps in proptest::collection::vec(step(), 1..20)) {
        let (mut known, mut model) = (Known::default(), Model::default());
        let mut at = now();
        for step in steps {
            let before = (known.confirmed(), known.held());
            match step {
                Step::Later(seconds) => at += Duration::from_secs(seconds.into()),
                Step::Release => prop_assert_eq!(known.release(at), model.release(at)),
                Step::Replace { new, reuse, turned, hold } => {
                    let new = answer(&known, &new, reuse, turned);
                    prop_assert_eq!(known.is_mass_loss(&new, Suspicion::default()), model.is_mass_loss(&new));
                    prop_assert_eq!(known.differs(&new), model.differs(&new));
                    let hold = hold.map(|seconds| Duration::from_secs(seconds.into()));
                    model.replace(&new, hold, at);
                    known.replace(new, hold, at);
                }
            }
            prop_assert!(same(&known.confirmed(), &model.confirmed), "{known:?} {model:?}");
            prop_assert!(same(&known.held(), &model.held), "{known:?} {model:?}");
            prop_assert_eq!((known.len(), known.hold_ends()), (model.confirmed.len(), model.hold_ends));
            // What did not change is the same allocation: each instance, and the whole list.
            for list in [(&before.0, known.confirmed()), (&before.1, known.held())] {
                prop_assert_eq!(Arc::ptr_eq(list.0, &list.1) || list.1.is_empty(), *list.0 == list.1 || list.1.is_empty());
            }
            for old in &*before.0 {
                if let Some(new) = find(&known.confirmed, &old.identity) {
                    prop_assert_eq!(Arc::ptr_eq(old, new), old == new);
                }
            }
        }
    }

    #[test]
    fn of_instances_with_one_identity_the_last_counts(new in proptest::collection::vec((0u8..5, 0u8..3), 0..12)) {
        let list: Vec<_> = new.iter().map(|(number, kind)| instance(*number, *kind)).collect();
        let map: BTreeMap<_, _> = list.iter().map(|one| (one.identity.clone(), Arc::clone(one))).collect();
        let mut known = Known::default();
        for _ in 0..2 {
            known.replace(list.clone(), None, now());
            prop_assert!(same(&known.confirmed(), &map));
        }
    }
}

#[test]
fn a_snapshot_in_no_order_is_put_in_order() {
    let mut snapshot = Snapshot::nothing(ServiceName::new("web").unwrap());
    snapshot.instances = [instance(2, 0), instance(1, 0)].into();
    let known = Known::new(&snapshot, now());
    assert_eq!(*known.confirmed(), [instance(1, 0), instance(2, 0)]);
    snapshot.instances = known.confirmed();
    assert!(Arc::ptr_eq(&Known::new(&snapshot, now()).confirmed(), &snapshot.instances));
}

#[test]
fn one_that_stands_before_a_known_one_it_should_follow_is_out_of_order() {
    let [first, second] = [instance(1, 0), instance(2, 0)];
    let known = [Arc::clone(&first), second];
    assert!(is_ordered(&known, &known));
    assert!(!is_ordered(&[first, instance(0, 0)], &known));
}
