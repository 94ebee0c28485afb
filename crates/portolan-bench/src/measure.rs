//! The measuring loop: cases in turn, many short rounds, on one thread and on two.
//!
//! In:  cases, each a way to make a loop around one operation. Out: the least and the median time of an operation,
//! and how many allocations it makes.
//!
//! A slice counts only if no thread lost its processor meanwhile, and if two threads ran at the same time nearly
//! throughout: else one would have had what they share to itself, and would tell of no contention at all.
#![expect(clippy::disallowed_methods, reason = "to measure time is what this file is for")]

use std::{
    fmt,
    hint::{black_box, spin_loop},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Runs one operation so many times.
pub(crate) type Body = Box<dyn FnMut(u64) + Send>;

/// Something to measure.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Makes the loop of one thread, given that thread's number.
    make: Box<dyn Fn(usize) -> Body>,
}

/// What a case stands for in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What is judged.
    Portolan,
    /// What people use instead, whole.
    #[cfg_attr(not(any(feature = "peers", test)), expect(dead_code, reason = "the peers are left out"))]
    Peer,
    /// What people write by hand from ready parts.
    ByHand,
    /// What the machine can do: no filter, no policy, no health, no change.
    Limit,
}

impl Case {
    /// A case by the operation that each thread repeats; `make` is given the thread's number.
    pub(crate) fn new<F, R>(kind: Kind, name: impl Into<String>, make: impl Fn(usize) -> F + 'static) -> Self
    where
        F: FnMut() -> R + Send + 'static,
    {
        let make = move |thread| {
            let mut alone = Alone(make(thread));
            let body: Body = Box::new(move |times| alone.repeat(times));
            body
        };
        Self { name: name.into(), kind, make: Box::new(make) }
    }
}

/// An operation with its thread's own state (dice, a place in a list), on cache lines that no other thread writes.
#[repr(align(256))]
struct Alone<F>(F);

impl<F, R> Alone<F>
where
    F: FnMut() -> R,
{
    fn repeat(&mut self, times: u64) {
        for _ in 0..times {
            black_box((self.0)());
        }
    }
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) rounds: u32,
    /// How long one case runs in one round, after a while of warming up.
    pub(crate) slice: Duration,
}

/// Nanoseconds an operation takes on each thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) least: f64,
    pub(crate) median: f64,
    /// From how many undisturbed slices.
    pub(crate) rounds: usize,
}

/// A measured case.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// On one thread; `None` when no slice was undisturbed.
    pub(crate) one: Option<Figure>,
    /// On two threads, each.
    pub(crate) two: Option<Figure>,
    /// Allocations by one operation.
    pub(crate) allocations: f64,
}

/// What the cases of a group look into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One service of so many instances, by a handle.
    Handle(u16),
    /// So many services, by name.
    Names(usize),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handle(instances) => write!(f, "{instances} instances"),
            Self::Names(services) => write!(f, "{services} services by name"),
        }
    }
}

/// Cases that look into the same thing, measured.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) scope: Scope,
    pub(crate) cases: Vec<Measured>,
}

/// A case on its way: its loops and what they took so far.
struct Running {
    name: String,
    kind: Kind,
    bodies: Vec<Body>,
    slice: Duration,
    warm: u64,
    times: u64,
    times_two: u64,
    one: Vec<f64>,
    two: Vec<f64>,
    allocations: f64,
}

/// Measures all cases of all groups, in turn in each round.
pub(crate) fn all(groups: &[(Scope, Vec<Case>)], pace: Pace) -> Vec<Group> {
    let start = |(scope, cases): &(Scope, Vec<Case>)| {
        (*scope, cases.iter().map(|case| Running::new(case, pace.slice)).collect::<Vec<_>>())
    };
    let mut running: Vec<_> = groups.iter().map(start).collect();
    for _ in 0..pace.rounds {
        running.iter_mut().flat_map(|(_, cases)| cases).for_each(Running::round);
    }
    let measured = |(scope, cases): (Scope, Vec<Running>)| Group {
        scope,
        cases: cases.into_iter().map(Running::measured).collect(),
    };
    running.into_iter().map(measured).collect()
}

/// So many slices long a case runs before it is measured: until the caches hold its data and not the last one's.
const WARM: u32 = 8;
/// No slice has fewer operations: the threads' start, which is not quite at once, must not show.
const SHORTEST: u64 = 500;
/// Over so many operations allocations are counted: one in a few thousand still shows.
const COUNTED: u32 = 10_000;

impl Running {
    fn new(case: &Case, slice: Duration) -> Self {
        let mut bodies: Vec<Body> = (0..2).map(|thread| (case.make)(thread)).collect();
        let mut times = 1_000;
        let mut allocations = 0;
        if let Some(body) = bodies.first_mut() {
            body(times);
            allocations = allocation_counter::measure(|| body(u64::from(COUNTED))).count_total;
            loop {
                let from = Instant::now();
                body(times);
                if from.elapsed() >= slice {
                    break;
                }
                times += times / 4;
            }
        }
        let warm = times * u64::from(WARM);
        let allocations = as_number(allocations) / f64::from(COUNTED);
        Self {
            name: case.name.clone(),
            kind: case.kind,
            bodies,
            slice,
            warm,
            times,
            times_two: times,
            one: Vec::new(),
            two: Vec::new(),
            allocations,
        }
    }

    fn round(&mut self) {
        let warm = self.warm;
        let each = |took: Duration, times| took.as_secs_f64() * 1e9 / as_number(times);
        let one = self.bodies.get_mut(..1).unwrap_or_default();
        let alone = (0..TRIES).find_map(|_| together(one, warm, self.times));
        let both = (0..TRIES).find_map(|_| together(&mut self.bodies, warm, self.times_two));
        self.one.extend(alone.map(|took| each(took, self.times)));
        self.two.extend(both.map(|took| each(took, self.times_two)));
        // Contention makes a slice longer, and a long one is seldom undisturbed.
        if both.is_none_or(|took| took > self.slice * 2) {
            self.times_two = (self.times_two / 2).max(SHORTEST);
        }
    }

    fn measured(self) -> Measured {
        let figure = |mut took: Vec<f64>| {
            took.sort_by(f64::total_cmp);
            let (least, median) = took.first().zip(took.get(took.len() / 2))?;
            Some(Figure { least: *least, median: *median, rounds: took.len() })
        };
        let Self { name, kind, one, two, allocations, .. } = self;
        Measured { name, kind, one: figure(one), two: figure(two), allocations }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
fn as_number(count: u64) -> f64 {
    count as f64
}

/// So often a slice is tried, in hope of a moment when nobody disturbs it.
const TRIES: u32 = 4;

/// Of the time that any of the threads ran, so much must be time that all did.
const OVERLAP: f64 = 0.85;

/// Runs the loops at the same time; says how long the slowest took. `None` when one of them lost its processor to
/// another program meanwhile, or when they hardly met.
fn together(bodies: &mut [Body], warm: u64, times: u64) -> Option<Duration> {
    let (waiting, all) = (AtomicUsize::new(0), bodies.len());
    let run = |body: &mut Body| {
        body(warm);
        let before = disturbed();
        // Spun, for a sleeping thread would start late by more than is measured.
        waiting.fetch_add(1, Ordering::SeqCst);
        while waiting.load(Ordering::SeqCst) < all {
            spin_loop();
        }
        let from = Instant::now();
        body(times);
        let to = Instant::now();
        (disturbed() == before).then_some((from, to))
    };
    let spans: Vec<(Instant, Instant)> = thread::scope(|scope| {
        let threads: Vec<_> = bodies.iter_mut().map(|body| scope.spawn(|| run(body))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok().flatten()).collect()
    });
    let (starts, ends) = (spans.iter().map(|span| span.0), spans.iter().map(|span| span.1));
    let (first, last) = (starts.clone().min()?, ends.clone().max()?);
    let shared = ends.min()?.saturating_duration_since(starts.max()?);
    let whole = last.saturating_duration_since(first);
    let met = spans.len() == all && shared.as_secs_f64() >= OVERLAP * whole.as_secs_f64();
    met.then(|| spans.iter().map(|(from, to)| to.saturating_duration_since(*from)).max()).flatten()
}

/// How often this thread lost its processor to another. Linux says it; elsewhere every slice counts.
pub(crate) fn disturbed() -> Option<String> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    status.lines().find(|line| line.starts_with("nonvoluntary_ctxt_switches")).map(str::to_owned)
}
