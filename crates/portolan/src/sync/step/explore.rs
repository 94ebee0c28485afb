//! Every order of a few events, not a sample: an exhaustive search over the step machine and a model of a registry.
//!
//! Scope: two services with a view each, up to three instances a service, seven events (five in a debug build). From
//! every state that is reached, the world is left alone for a while: then each view must equal the registry (law 1), or
//! hold and equal it when the hold ends; at each read, the rate must have allowed it (law 6). States that differ in
//! nothing that matters are visited once: instants count from now, an index from the next lower one, and the two
//! services may change places.
#![expect(clippy::arithmetic_side_effects, reason = "a test's own small numbers")]

use std::{
    collections::{BTreeSet, HashSet},
    hash::{BuildHasher, Hash},
};

use foldhash::fast::FixedState;

use super::*;
use crate::{ViewConfig, model::Identity};

const ROLL: u64 = u64::MAX / 2;
const TICK: Duration = Duration::from_secs(2);
/// What is left alone for so long has nothing to hope for but its own reads: no wait ends.
const QUIET: u32 = 6;
const SERVICES: [usize; 2] = [0, 1];
/// Where an index starts over, and that of the snapshot that may be restored.
const LIE: u64 = 1;
const WIPED: u64 = 30;
const RESET: u64 = 60;
const SAVED: u64 = 100;
/// More changes than this cannot happen: two indexes further apart than that never meet.
const FAR: u64 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happens {
    /// An instance more.
    Add(usize),
    /// The first is gone.
    Remove(usize),
    /// The first differs.
    Change(usize),
    /// All servers restart with their data, and count anew.
    Reset,
    /// They restart with nothing.
    Wipe,
    /// A snapshot from before anything happened is restored while they run.
    Restore,
    /// The read under way fails.
    Fail(usize),
    /// The next answer that any server may give is empty, with a low index (hashicorp/consul#20790).
    Lie(usize),
    /// The answer to the read under way is made now, and arrives after whatever happens next.
    Slow(usize),
    /// Time goes by.
    Tick,
}

fn all() -> Vec<Happens> {
    use Happens::{Add, Change, Fail, Lie, Remove, Reset, Restore, Slow, Tick, Wipe};
    let mut all = vec![Tick, Reset, Wipe, Restore];
    for service in SERVICES {
        all.extend([Add, Remove, Change, Fail, Lie, Slow].map(|event| event(service)));
    }
    all
}

/// The instances of both services: place and tag.
type Data = [Vec<(u8, u8)>; 2];

fn saved() -> Data {
    [vec![(0, 0), (1, 0)], vec![(0, 0), (1, 0)]]
}

#[derive(Clone, Debug)]
struct World {
    data: Data,
    index: u64,
    now: Instant,
    elapsed: Duration,
    views: [View; 2],
}

#[derive(Clone, Debug)]
struct View {
    state: State,
    next: Next,
    asks: u32,
    lied_to: bool,
    /// What comes back at the next tick, whatever the registry has by then.
    late: Option<Late>,
    shown: Option<Arc<Snapshot>>,
}

#[derive(Clone, Debug)]
enum Late {
    Answer(Vec<(u8, u8)>, u64),
    Failure,
}

impl World {
    fn new(now: Instant) -> Self {
        let config = ViewConfig::default().reconcile(None).idle(None);
        let view = |_| {
            let nothing = Snapshot::nothing(ServiceName::new("web").unwrap());
            let state = State::new(nothing, config.settings(), now);
            View { state, next: Next::Sleep, asks: 0, lied_to: false, late: None, shown: None }
        };
        let mut world =
            Self { data: saved(), index: SAVED, now, elapsed: Duration::ZERO, views: SERVICES.map(view) };
        for service in SERVICES {
            world.give(service, Input::Start);
        }
        world
    }

    fn happens(&mut self, event: Happens) {
        match event {
            Happens::Add(service) => self.change(service, |data| {
                let next = data.last().map_or(0, |last| last.0 + 1);
                if data.len() < 3 {
                    data.push((next % 5, 0));
                    data.sort_unstable();
                }
            }),
            Happens::Remove(service) => self.change(service, |data| drop(data.drain(..data.len().min(1)))),
            Happens::Change(service) => {
                self.change(service, |data| data.iter_mut().take(1).for_each(|one| one.1 ^= 1));
            }
            Happens::Reset => self.new_life(RESET),
            Happens::Wipe => {
                self.data = Data::default();
                self.new_life(WIPED);
            }
            Happens::Restore => {
                (self.data, self.index) = (saved(), SAVED);
                // Servers that restore a snapshot send every waiter away.
                for service in SERVICES {
                    let back = Late::Answer(self.data[service].clone(), self.index);
                    self.views[service].late = self.is_waiting(service).then_some(back);
                }
            }
            Happens::Fail(service) => self.views[service].late = Some(Late::Failure),
            Happens::Lie(service) => self.views[service].lied_to = true,
            Happens::Slow(service) => {
                let made = self.answer(service);
                let view = &mut self.views[service];
                if let (None, Some((data, index))) = (&view.late, made) {
                    view.late = Some(Late::Answer(data, index));
                }
            }
            Happens::Tick => self.tick(),
        }
    }

    fn change(&mut self, service: usize, how: impl FnOnce(&mut Vec<(u8, u8)>)) {
        let before = self.data.clone();
        how(&mut self.data[service]);
        if self.data != before {
            self.index += 1;
        }
    }

    /// No connection outlives its servers.
    fn new_life(&mut self, index: u64) {
        self.index = index;
        for view in &mut self.views {
            view.late = Some(Late::Failure);
        }
    }

    fn is_waiting(&self, service: usize) -> bool {
        matches!(self.views[service].next, Next::Ask(Ask { block: Some(_), .. }))
    }

    /// What the registry says to the read of this view, if it says anything yet.
    fn answer(&mut self, service: usize) -> Option<(Vec<(u8, u8)>, u64)> {
        let Next::Ask(ask) = self.views[service].next.clone() else { return None };
        if ask.consistency == Consistency::Stale && std::mem::take(&mut self.views[service].lied_to) {
            return Some((Vec::new(), LIE));
        }
        let new = ask.block.is_none_or(|block| self.index > block.index);
        new.then(|| (self.data[service].clone(), self.index))
    }

    fn give(&mut self, service: usize, input: Input) {
        let (now, view) = (self.now, &mut self.views[service]);
        let turn = view.state.on(input, now, ROLL);
        view.shown = turn.publish.or_else(|| view.shown.take());
        view.next = turn.next;
        view.asks += u32::from(matches!(view.next, Next::Ask(_)));
        let earned = u32::try_from(self.elapsed.as_millis() / 250).unwrap();
        assert!(view.asks <= 11 + earned, "law 6: {} reads in {:?}", view.asks, self.elapsed);
    }

    fn tick(&mut self) {
        for service in SERVICES {
            self.live(service);
        }
        self.now += TICK;
        self.elapsed += TICK;
        for view in &mut self.views {
            let ended = view.state.expire(self.now);
            view.shown = ended.or_else(|| view.shown.take());
        }
    }

    /// One view lives through a tick, while the registry does nothing by itself.
    fn live(&mut self, service: usize) {
        let (start, end) = (self.now, self.now + TICK);
        let began = self.elapsed;
        loop {
            let late = match self.views[service].next {
                Next::Ask(_) => self.views[service].late.take(),
                _ => None,
            };
            let input = match (late, self.views[service].next.clone()) {
                (Some(Late::Failure), _) => Input::Failed { kind: Kind::Unreachable, text: "cut".into() },
                (Some(Late::Answer(data, index)), _) => said(&data, index),
                (None, Next::RestUntil(until)) if until <= end => {
                    self.now = self.now.max(until);
                    self.elapsed = began + (self.now - start);
                    Input::Timer
                }
                (None, Next::Ask(_)) => match self.answer(service) {
                    Some((data, index)) => said(&data, index),
                    None => break,
                },
                _ => break,
            };
            self.give(service, input);
        }
        // Nothing was under way that could fail or be late.
        self.views[service].late = None;
        (self.now, self.elapsed) = (start, began);
    }

    /// Law 1, from here.
    fn check(&self, path: &[Happens]) {
        let mut world = self.clone();
        for _ in 0..QUIET {
            world.tick();
        }
        for service in SERVICES {
            let view = &mut world.views[service];
            while let Some(ends) = view.state.deadline() {
                view.shown = view.state.expire(ends).or_else(|| view.shown.take());
            }
            let shown = view.shown.as_ref().expect("an answer has come");
            let truth = instances(&world.data[service]);
            assert_eq!(shown.instances(), truth, "law 1: service {service} after {path:?}");
            assert!(shown.held().is_empty(), "law 1: held for ever after {path:?}");
        }
    }

    /// Everything that decides what can still happen, in 128 bits.
    fn key(&self) -> u128 {
        let places = self.places();
        let place = |index: u64| places.binary_search_by_key(&index, |place| place.0).map(|at| places[at].1);
        let mut halves = SERVICES.map(|service| {
            let View { state, next, lied_to, late, .. } = &self.views[service];
            let listed = |list: Arc<[Arc<Instance>]>| -> Vec<(u16, bool)> {
                list.iter()
                    .map(|one| (one.port, one.meta.get("tag").is_some_and(|tag| &**tag == "1")))
                    .collect()
            };
            let rests = match next {
                Next::RestUntil(until) => Some(until.saturating_duration_since(self.now)),
                _ => None,
            };
            let ends = state.known.hold_ends().map(|ends| ends.saturating_duration_since(self.now));
            let late = late.as_ref().map(|late| match late {
                Late::Answer(data, index) => Some((data, place(*index))),
                Late::Failure => None,
            });
            let (plain, blocking) = state.marks.key();
            hash((
                (&self.data[service], lied_to, late, rests, ends),
                (state.why as u8, state.doing as u8, place(state.index), place(plain), place(blocking)),
                (listed(state.known.confirmed()), listed(state.known.held()), state.rate.key(self.now)),
                (state.snapshot.failure.is_some(), &state.rests),
            ))
        });
        halves.sort_unstable();
        hash((place(self.index), halves))
    }

    /// Each index that is of any account, and its place: as far above the next lower one as it is, or far.
    fn places(&self) -> Vec<(u64, u64)> {
        let mut all = BTreeSet::from([0, LIE, WIPED, RESET, SAVED, self.index]);
        for view in &self.views {
            let (plain, blocking) = view.state.marks.key();
            all.extend([view.state.index, plain, blocking]);
            if let Some(Late::Answer(_, index)) = view.late {
                all.insert(index);
            }
        }
        let mut place = 0;
        let mut last = 0;
        let mut next = |index: u64| {
            place += (index - last).min(FAR);
            last = index;
            (index, place)
        };
        all.into_iter().map(&mut next).collect()
    }
}

fn hash(what: impl Hash) -> u128 {
    let half = |seed| u128::from(FixedState::with_seed(seed).hash_one(&what));
    half(1) << 64 | half(2)
}

fn said(data: &[(u8, u8)], index: u64) -> Input {
    Input::Answer(Answer::new(instances(data), index))
}

fn instances(data: &[(u8, u8)]) -> Vec<Arc<Instance>> {
    let one = |(id, tag): &(u8, u8)| {
        let identity = Identity::new("dc1", "n1", &format!("web-{id}"));
        let instance = Instance::new(identity, "web", "10.0.0.1", 1000 + u16::from(*id));
        Arc::new(instance.with_meta([("tag", tag.to_string().as_str())]))
    };
    data.iter().map(one).collect()
}

#[test]
fn every_order_of_a_few_events_ends_in_the_truth() {
    let depth = if cfg!(debug_assertions) { 5 } else { 7 };
    let mut seen = HashSet::new();
    let mut layer = vec![(World::new(tokio::time::Instant::now().into_std()), Vec::new())];
    let (events, mut transitions) = (all(), 0u64);
    for level in 1..=depth {
        let mut next = Vec::new();
        for (world, path) in &layer {
            for event in &events {
                transitions += 1;
                let mut world = World::clone(world);
                world.happens(*event);
                if seen.insert(world.key()) {
                    let path: Vec<Happens> = path.iter().chain([event]).copied().collect();
                    world.check(&path);
                    if level < depth {
                        next.push((world, path));
                    }
                }
            }
        }
        #[expect(clippy::print_stdout, reason = "the number of states is what a person wants to see")]
        let () = println!("{level} events: {} states visited, {transitions} transitions tried", seen.len());
        layer = next;
    }
}
