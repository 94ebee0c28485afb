//! Whatever snapshots and outcomes come, and however late a selection is built anew: a pick is one of the selection, of
//! those that the filter lets through, and none that is ejected while another has room; and what is known of an instance
//! is known of that address alone.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::resolve::{cell::Cell, load::OPEN, selection::Carried};

const SECOND: Duration = Duration::from_secs(1);

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    /// Instances by number, each with a status and one of two addresses; and those that are held.
    Publish(Vec<(u16, Status, u16)>, Vec<u16>),
    /// A pick that leaves out these, and what comes of it.
    Pick(u64, Vec<u16>, End),
    /// One of the picks that are alive ends.
    Finish(usize),
    Later(u32),
    /// The selection is built anew, as a resolver's task does it some time after.
    Rebuild,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Success,
    Failure,
    Cancelled,
    /// It goes on.
    Stays,
}

struct World {
    select: Select,
    carried: Carried,
    cell: Cell,
    /// What is published, and what the present selection was built from.
    newest: Snapshot,
    built: Snapshot,
    now: std::time::Instant,
    alive: Vec<Pick>,
    /// Requests in flight, by port.
    counts: BTreeMap<u16, u32>,
}

impl World {
    fn new(select: Select) -> Self {
        let carried = carried();
        let nothing = live(&[], &[]);
        let now = endpoint::now();
        let selection = Arc::new(Selection::build(&nothing, &select, &carried));
        let cell = Cell::new(web(), Arc::new(select.clone()), selection, true, 7, Box::default());
        let (newest, built) = (nothing.clone(), nothing);
        Self { select, carried, cell, newest, built, now, alive: Vec::new(), counts: BTreeMap::new() }
    }

    fn rebuild(&mut self) {
        self.built = self.newest.clone();
        let selection = Selection::build(&self.built, &self.select, &self.carried);
        self.cell.selection.store(Arc::new(selection));
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Publish(instances, held) => {
                let one = |(id, status, address): (u16, Status, u16)| {
                    let one = instance(id);
                    let tagged = if id % 3 == 0 { one } else { one.with_tags(["blue"]) };
                    let check = CheckState::new("service:web", "", status, CheckScope::Service);
                    Instance { port: 1000 + id + 100 * address, ..tagged.with_checks(vec![check]) }
                };
                let mut by_id: BTreeMap<u16, Instance> = BTreeMap::new();
                by_id.extend(instances.into_iter().map(|all| (all.0, one(all))));
                let held = held.into_iter().filter(|id| !by_id.contains_key(id));
                let held: Vec<Instance> = held.map(|id| one((id, Status::Passing, 0))).collect::<Vec<_>>();
                self.newest = live(&by_id.into_values().collect::<Vec<_>>(), &held[..held.len().min(1)]);
            }
            Step::Pick(roll, not, end) => self.pick(roll, &not, end)?,
            Step::Finish(at) if !self.alive.is_empty() => {
                let pick = self.alive.swap_remove(at % self.alive.len());
                self.ended(pick, End::Success);
            }
            Step::Later(seconds) => {
                self.now += SECOND * seconds;
                self.carried.loads.judge(self.now);
            }
            Step::Rebuild => self.rebuild(),
            Step::Finish(_) => {}
        }
        Ok(())
    }

    fn ended(&mut self, pick: Pick, end: End) {
        *self.counts.entry(pick.port).or_default() -= 1;
        match end {
            End::Success => pick.success(SECOND / 100),
            End::Failure => pick.failure(FailureKind::Answer),
            End::Cancelled | End::Stays => drop(pick),
        }
        self.carried.loads.judge(self.now);
    }

    fn pick(&mut self, roll: u64, not: &[u16], end: End) -> Result<(), TestCaseError> {
        let identities: Vec<Identity> = not.iter().map(|id| instance(*id).identity).collect();
        let not: Vec<&Identity> = identities.iter().collect();
        let selection = self.cell.selection.load_full();
        let cap = self.select.max_in_flight.unwrap_or(OPEN);
        // As it was before: (has room, may be picked, is wanted).
        let stands = |one: &Endpoint| {
            let room = one.load.in_flight() < cap;
            let open = selection.quality == Mark::Panic || one.load.gate() > one.load.in_flight();
            (room, room && open, room && open && !not.contains(&&one.identity))
        };
        let before: BTreeMap<u16, _> =
            selection.endpoints.iter().map(|one| (one.port, stands(one))).collect();
        let any = |part: fn(&(bool, bool, bool)) -> bool| before.values().any(part);
        let Ok(pick) = self.cell.pick(roll, &not) else {
            prop_assert!(!any(|one| one.0), "no pick, though one has room: {before:?}");
            return Ok(());
        };
        let known: Vec<&Arc<Instance>> = self.built.instances.iter().chain(&*self.built.held).collect();
        let Some(own) = known.iter().find(|one| one.port == pick.port && one.identity == pick.identity)
        else {
            return Err(TestCaseError::fail(format!("{pick:?} is not in the selection")));
        };
        let refused = self.select.refuses(own);
        let by_health =
            matches!(refused, Some(Exclusion::Unhealthy { status, .. }) if status != Status::Maintenance);
        let in_panic = selection.quality == Mark::Panic;
        prop_assert!(refused.is_none() || (in_panic && by_health), "{pick:?} is left out: {refused:?}");
        let (room, open, wanted) = before[&pick.port];
        prop_assert!(room, "{pick:?} is full");
        prop_assert!(open || !any(|one| one.1), "{pick:?} is ejected, and another has room: {before:?}");
        prop_assert!(wanted || !any(|one| one.2), "{pick:?} is excluded, and another has room: {before:?}");
        let count = self.counts.entry(pick.port).or_default();
        *count += 1;
        prop_assert_eq!(pick.in_flight(), *count, "what is known of {:?} is of that address", pick);
        match end {
            End::Stays => self.alive.push(pick),
            end => self.ended(pick, end),
        }
        Ok(())
    }
}

fn statuses() -> impl Strategy<Value = Status> {
    prop_oneof![4 => Just(Status::Passing), 1 => Just(Status::Warning), 2 => Just(Status::Critical),
        1 => Just(Status::Maintenance)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ends = prop_oneof![2 => Just(End::Success), 5 => Just(End::Failure), 1 => Just(End::Cancelled),
        2 => Just(End::Stays)];
    let publish =
        (prop::collection::vec((1u16..8, statuses(), 0u16..2), 0..8), prop::collection::vec(1u16..8, 0..2))
            .prop_map(|(instances, held)| Step::Publish(instances, held));
    let picks = (any::<u64>(), prop::collection::vec(1u16..8, 0..3), ends)
        .prop_map(|(roll, not, end)| Step::Pick(roll, not, end));
    let step = prop_oneof![1 => publish, 20 => picks, 2 => any::<usize>().prop_map(Step::Finish),
        2 => (0u32..15).prop_map(Step::Later), 4 => Just(Step::Rebuild)];
    prop::collection::vec(step, 1..200)
}

fn selects() -> impl Strategy<Value = Select> {
    let policies = prop_oneof![
        Just(Policy::PowerOfTwo),
        Just(Policy::PeakEwma),
        Just(Policy::Random),
        Just(Policy::RoundRobin),
        Just(Policy::Maglev)
    ];
    let panics = prop_oneof![Just(Panic::Off), Just(Panic::default())];
    (policies, panics, any::<bool>(), any::<bool>(), prop::option::of(1u32..3)).prop_map(
        |(policy, panic, blue, warning, cap)| {
            let select = Select { max_in_flight: cap, ..Select::default().policy(policy).panic(panic) };
            let select = if blue { select.tag("blue") } else { select };
            if warning { select.allow_warning() } else { select }
        },
    )
}

proptest! {
    #[test]
    fn no_pick_is_outside_the_selection_or_left_out_or_ejected_while_another_has_room(
        select in selects(), steps in steps(),
    ) {
        let mut world = World::new(select);
        world.step(Step::Publish((1..8).map(|id| (id, Status::Passing, 0)).collect(), Vec::new()))?;
        world.rebuild();
        for step in steps {
            world.step(step)?;
        }
    }
}
