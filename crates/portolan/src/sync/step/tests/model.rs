//! Law 1 as a property: a view against a model registry that restarts, forgets, lags and fails, with users who wish and
//! doubt, caches that remember, and a machine that sleeps.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What may happen to a registry, or to a view.
#[derive(Clone, Debug)]
enum Fault {
    Put(u8, u16),
    Remove(u8),
    /// A new life: the index starts over, with or without the data.
    Restart {
        wiped: bool,
    },
    /// The next reads fail.
    Fail(u8),
    /// A follower that lags answers once: what it says is old.
    Lag,
    Wish,
    Invalidate,
    Suspend(u64),
    /// A cache tells what was true when something last happened.
    Remember,
    Nothing,
}

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => (0u8..8, 0u16..3).prop_map(|(id, tag)| Fault::Put(id, tag)),
        3 => (0u8..8).prop_map(Fault::Remove),
        1 => any::<bool>().prop_map(|wiped| Fault::Restart { wiped }),
        1 => (1u8..4).prop_map(Fault::Fail),
        1 => Just(Fault::Lag),
        1 => Just(Fault::Wish),
        1 => Just(Fault::Invalidate),
        1 => (0u64..100).prop_map(Fault::Suspend),
        1 => Just(Fault::Remember),
        1 => Just(Fault::Nothing),
    ]
}

/// A registry that a test can break.
struct Model {
    instances: BTreeMap<u8, u16>,
    index: u64,
    /// A connection does not outlive its registry.
    life: u32,
    fails: u8,
    old: Option<(BTreeMap<u8, u16>, u64)>,
}

impl Model {
    fn apply(&mut self, fault: &Fault) {
        let before = (self.instances.clone(), self.index);
        match fault {
            Fault::Put(id, tag) => {
                self.instances.insert(*id, *tag);
                self.index += 1;
            }
            Fault::Remove(id) => {
                self.index += u64::from(self.instances.remove(id).is_some());
            }
            Fault::Restart { wiped } => {
                if *wiped {
                    self.instances.clear();
                }
                self.index = 1 + self.index / 10;
                self.life += 1;
                self.fails = self.fails.max(1);
                self.old = None; // whoever lagged in the old life is not asked again
            }
            Fault::Fail(times) => self.fails = *times,
            Fault::Lag => self.old = Some(before),
            _ => {}
        }
    }

    fn truth(&self) -> Vec<Arc<Instance>> {
        instances_of(&self.instances)
    }

    /// Answers a read; `None` while it would keep the caller waiting.
    fn read(&mut self, ask: Ask, life: u32, waited: bool) -> Option<Input> {
        if self.fails > 0 {
            self.fails -= 1;
            return Some(refused());
        }
        if life != self.life {
            return Some(refused());
        }
        if ask.consistency == Consistency::Stale
            && let Some((instances, index)) = self.old.take()
        {
            return Some(Input::Answer(Answer::new(instances_of(&instances), index.max(1))));
        }
        let new = ask.block.is_none_or(|block| self.index > block.index);
        (new || waited).then(|| Input::Answer(Answer::new(self.truth(), self.index.max(1))))
    }

    /// Answers a read that another one is open beside; failures are for that one.
    fn read_aside(&self) -> Input {
        Input::Aside(if self.fails > 0 {
            Err((Kind::Unreachable, "refused".into()))
        } else {
            Ok(Answer::new(self.truth(), self.index.max(1)))
        })
    }
}

fn refused() -> Input {
    Input::Failed { kind: Kind::Unreachable, text: "refused".into() }
}

fn instances_of(instances: &BTreeMap<u8, u16>) -> Vec<Arc<Instance>> {
    let build =
        |(id, tag): (&u8, &u16)| Arc::new(instance(*id).with_meta([("tag", tag.to_string().as_str())]));
    instances.iter().map(build).collect()
}

/// A view with its clock, between the model and the faults.
struct View {
    state: State,
    now: Instant,
    start: Instant,
    next: Next,
    /// The life of the registry in which the open read began.
    life: u32,
    aside: Option<Instant>,
    asks: u32,
    wishes: u64,
    served: u64,
    shown: Option<Arc<Snapshot>>,
    /// What was true when something last happened.
    remembered: (Vec<Arc<Instance>>, Instant),
}

impl View {
    fn new() -> Self {
        let now = tokio::time::Instant::now().into_std();
        let nothing = Snapshot::nothing(ServiceName::new("web").unwrap());
        let settings = Settings { reconcile: Some(Duration::from_secs(4)), ..settings() };
        let mut view = Self {
            state: State::new(nothing, settings, now),
            now,
            start: now,
            next: Next::Sleep,
            life: 0,
            aside: None,
            asks: 0,
            wishes: 0,
            served: 0,
            shown: None,
            remembered: (Vec::new(), now),
        };
        view.give(Input::Start, 0);
        view
    }

    fn give(&mut self, input: Input, life: u32) {
        let must_say = !matches!(input, Input::Wished(_) | Input::Invalidated(_) | Input::Aside(_));
        let turn = self.state.on(input, self.now, ROLL);
        assert!(!must_say || turn.next != Next::GoOn, "nothing is under way: {turn:?}");
        assert!(
            !matches!(turn.event, Some(Event::Diverged(_))),
            "this registry's watches miss nothing: {turn:?}"
        );
        self.shown = turn.publish.or_else(|| self.shown.take());
        self.served = self.served.max(turn.served.map_or(0, |served| served.wish));
        if let Some((from, ask)) = turn.aside {
            assert_eq!((self.aside, ask.block), (None, None), "one read beside the open one");
            self.aside = Some(from);
            self.asks += 1;
        }
        if turn.next != Next::GoOn {
            self.asks += u32::from(matches!(turn.next, Next::Ask(_)));
            (self.next, self.life) = (turn.next, life);
        }
        let earned = u32::try_from(self.now.duration_since(self.start).as_millis() / 250).unwrap();
        assert!(self.asks <= 12 + earned, "{} reads in {:?}", self.asks, self.now - self.start);
    }

    fn suffer(&mut self, fault: &Fault, model: &Model) {
        match fault {
            Fault::Wish => {
                self.wishes += 1;
                self.give(Input::Wished(self.wishes), model.life);
            }
            Fault::Invalidate => {
                self.wishes += 1;
                self.give(Input::Invalidated(self.wishes), model.life);
                let age = self.shown.as_ref().and_then(|shown| shown.freshness.age(self.now));
                assert!(age.is_none_or(|age| age == Duration::MAX), "{age:?}");
            }
            Fault::Suspend(seconds) => {
                self.give(Input::Suspended(Duration::from_secs(*seconds)), model.life);
            }
            Fault::Remember => {
                let mut cached = Snapshot::nothing(ServiceName::new("web").unwrap());
                cached.instances = self.remembered.0.clone().into();
                let mut freshness = Freshness { source: Source::Shared, index: 1, ..Freshness::nothing() };
                freshness.confirmed = Some(self.remembered.1);
                cached.freshness = Arc::new(freshness);
                self.shown = self.state.remember(cached, self.now).or_else(|| self.shown.take());
            }
            _ => {}
        }
    }

    /// Lives until `end`, while the registry does nothing by itself.
    fn live(&mut self, model: &mut Model, end: Instant) {
        loop {
            if let Some(from) = self.aside.filter(|from| *from <= end) {
                self.aside = None;
                self.now = self.now.max(from);
                self.give(model.read_aside(), model.life);
                continue;
            }
            let input = match self.next.clone() {
                Next::RestUntil(until) if until <= end => {
                    self.now = self.now.max(until);
                    Some(Input::Timer)
                }
                Next::RestUntil(_) | Next::Sleep | Next::GoOn => None,
                Next::Ask(ask) => {
                    let waited = ask.block.is_some_and(|block| self.now + block.wait <= end);
                    model.read(ask, self.life, waited)
                }
            };
            let Some(input) = input else { break };
            self.give(input, model.life);
        }
        self.now = end;
    }
}

proptest! {
    /// Law 1: after any finite run of faults a view equals the registry, or says that it holds and equals it when the
    /// hold ends. And the rate: never more than ten reads and four a second. And every wish is fulfilled or told why
    /// not, and no doubt is left.
    #[test]
    fn a_view_converges_after_any_faults(run in proptest::collection::vec((faults(), 0u64..3000), 0..60)) {
        let mut model = Model { instances: BTreeMap::new(), index: 5, life: 0, fails: 0, old: None };
        let mut view = View::new();
        // Less than one wait: what was missed must be learnt by reading, not by a wait that ends.
        let quiet = std::iter::repeat_n((Fault::Nothing, 2_000), 6);
        for (fault, pause) in run.into_iter().chain(quiet) {
            model.apply(&fault);
            view.suffer(&fault, &model);
            view.remembered = (model.truth(), view.now);
            let end = view.now + Duration::from_millis(pause);
            view.live(&mut model, end);
        }
        while let Some(ends) = view.state.deadline() {
            view.now = view.now.max(ends);
            view.shown = view.state.expire(view.now).or_else(|| view.shown.take());
        }
        let shown = view.shown.unwrap();
        let seen = shown.instances().to_vec();
        prop_assert_eq!(seen, model.truth());
        prop_assert_eq!(shown.held().len(), 0);
        prop_assert_eq!(view.served, view.wishes);
        prop_assert!(shown.freshness.age(view.now).unwrap() < Duration::from_secs(3600));
    }
}
