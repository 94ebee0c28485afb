//! What is simulated: the parameters, the policies, the scenarios, and which of them meet. PURE.
//!
//! A new policy is a line of [`POLICIES`]; a new scenario is a row of [`SCENARIOS`], and its bars and tables follow.
//!
//! In:  nothing. Out: tables. Never: a number that the page does not tell.

use std::time::Duration;

use portolan::{Ejection, Policy, Select};

/// The numbers of a run. All cells have the same.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) instances: usize,
    /// Each instance serves so many requests at once; the others wait, first come, first served.
    pub(super) workers: usize,
    pub(super) callers: usize,
    /// The mean of the time that a request takes of a worker.
    pub(super) service: Duration,
    /// What is offered, in percent of what the instances can do while all are well.
    pub(super) load_percent: u32,
    /// All is well for so long, and nothing is counted.
    pub(super) warm_up: Duration,
    /// Then so long is counted.
    pub(super) counted: Duration,
    /// A caller waits no longer for one try.
    pub(super) patience: Duration,
    /// How long it takes to be refused.
    pub(super) refusal: Duration,
}

/// For so long the registry calls an instance passing that is gone: the time of a health check.
pub(super) const UNNOTICED: Duration = Duration::from_secs(30);
/// How long a full outage lasts.
pub(super) const OUTAGE: Duration = Duration::from_secs(25);
const SLOWER: u32 = 10;
const FAILING_PERCENT: u64 = 30;
const ZONES: usize = 3;

/// A pause so long, so often.
const PAUSES: Mood = Mood::Pauses(Duration::from_secs(2), Duration::from_millis(500));

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 6,
            instances: 20,
            workers: 4,
            callers: 4,
            service: Duration::from_millis(10),
            load_percent: 60,
            warm_up: Duration::from_secs(5),
            counted: Duration::from_secs(60),
            patience: Duration::from_secs(1),
            refusal: Duration::from_millis(1),
        }
    }
}

impl Plan {
    /// The mean time between two requests of one caller.
    pub(super) fn gap(&self) -> Duration {
        let at_once = self.instances.saturating_mul(self.workers) as f64;
        let share = at_once * f64::from(self.load_percent) / 100.0 / self.callers as f64;
        self.service.div_f64(share)
    }

    pub(super) fn per_second(&self) -> f64 {
        self.callers as f64 / self.gap().as_secs_f64()
    }

    pub(super) fn end(&self) -> Duration {
        self.warm_up.saturating_add(self.counted)
    }
}

/// A policy under a name.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) name: &'static str,
    pub(super) policy: Policy,
    /// Of its bars, on a light ground and on a dark one.
    pub(super) colour: &'static str,
}

/// Who is compared.
pub(super) const POLICIES: &[Contender] = &[
    Contender { name: "power of two", policy: Policy::PowerOfTwo, colour: "#3b82c4" },
    Contender { name: "peak EWMA", policy: Policy::PeakEwma, colour: "#1f9e77" },
    Contender { name: "random", policy: Policy::Random, colour: "#d98a1e" },
    Contender { name: "round robin", policy: Policy::RoundRobin, colour: "#c46a9f" },
    Contender { name: "Maglev by key, bounded", policy: Policy::Maglev, colour: "#7a6fbe" },
];

/// What a caller uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// `Resolver::pick`, no ejection, each request once.
    Bare,
    /// The same with ejection.
    Ejecting,
    /// `Resolver::call`, with ejection and the budget of retries.
    Calling,
}

pub(super) const MODES: &[Mode] = &[Mode::Bare, Mode::Ejecting, Mode::Calling];

impl Mode {
    pub(super) fn ejection(self) -> Ejection {
        match self {
            Self::Bare => Ejection::off(),
            // The defaults, and the slow too, which a program must ask for.
            Self::Ejecting | Self::Calling => Ejection::default().slower_times(Some(5)),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bare => "picks alone",
            Self::Ejecting => "with ejection",
            Self::Calling => "with ejection and retries",
        }
    }
}

/// What a caller asks for. Preferences by zone belong here: instance `n` and caller `n` are in zone `n % 3`.
pub(super) fn select(policy: Policy, _zone: usize) -> Select {
    let select = Select::default().policy(policy);
    // As who uses it should: keys are not all alike.
    if policy == Policy::Maglev { select.bounded_load(BOUND) } else { select }
}

/// In percent of its share, under Maglev.
const BOUND: u32 = 125;

/// The zone of the instance, or the caller, of this number.
pub(super) fn zone(number: usize) -> usize {
    number % ZONES
}

/// How an instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    /// Each request takes so many times as long.
    Slow(u32),
    /// It stands still for the second of these times in each of the first.
    Pauses(Duration, Duration),
    /// Of a hundred requests so many fail, at once.
    Fails(u64),
    /// Connections are refused, at once; what is under way breaks.
    Refuses,
    /// Nothing is answered.
    Hangs,
}

/// Something happens to some of the instances.
#[derive(Debug)]
pub(super) struct Scene {
    /// After the warm-up.
    pub(super) after: Duration,
    pub(super) to: fn(usize) -> bool,
    pub(super) becomes: Change,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Mood(Mood),
    /// The registry calls them critical.
    Critical,
}

#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) scenes: &'static [Scene],
    /// How many programs there are, if not as many as the plan says.
    pub(super) callers: Option<usize>,
}

impl Scenario {
    /// Whether there is a time after it, which is looked at by itself.
    pub(super) fn is_outage(&self) -> bool {
        self.name.starts_with(FULL_OUTAGE)
    }
}

fn first(place: usize) -> bool {
    place == 0
}

fn in_the_zone(place: usize) -> bool {
    zone(place) == 0
}

fn all(_: usize) -> bool {
    true
}

const fn at_once(to: fn(usize) -> bool, mood: Mood) -> Scene {
    Scene { after: Duration::ZERO, to, becomes: Change::Mood(mood) }
}

const NOTICED: Scene = Scene { after: UNNOTICED, to: in_the_zone, becomes: Change::Critical };

const LOST_AND_FOUND: &[Scene] =
    &[at_once(all, Mood::Refuses), Scene { after: OUTAGE, to: all, becomes: Change::Mood(Mood::Well) }];

pub(super) const SLOW: &str = "one slow";
pub(super) const FAILING: &str = "one failing";
pub(super) const FULL_OUTAGE: &str = "full outage";

/// What happens.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "all well", what: "Nothing happens.", scenes: &[], callers: None },
    Scenario {
        name: SLOW,
        what: "One instance becomes 10 times slower, and stays so.",
        scenes: &[at_once(first, Mood::Slow(SLOWER))],
        callers: None,
    },
    Scenario {
        name: "one pausing",
        what: "One instance stands still for 500 ms in each 2 s, as one that collects garbage, and stays so.",
        scenes: &[at_once(first, PAUSES)],
        callers: None,
    },
    Scenario {
        name: FAILING,
        what: "One instance fails 30 % of its requests, each after 1 ms, and stays so.",
        scenes: &[at_once(first, Mood::Fails(FAILING_PERCENT))],
        callers: None,
    },
    Scenario {
        name: "zone refuses",
        what: "A third of the instances (7) refuse connections, after 1 ms. The registry calls them critical after 30 s. \
               The others have to do 92 % of what they can.",
        scenes: &[at_once(in_the_zone, Mood::Refuses), NOTICED],
        callers: None,
    },
    Scenario {
        name: "zone hangs",
        what: "A third of the instances (7) answer nothing more: callers wait until their patience ends. The registry \
               calls them critical after 30 s.",
        scenes: &[at_once(in_the_zone, Mood::Hangs), NOTICED],
        callers: None,
    },
    Scenario {
        name: FULL_OUTAGE,
        what: "All instances refuse connections for 25 s, then all are well again. The registry calls them passing all \
               the time.",
        scenes: LOST_AND_FOUND,
        callers: None,
    },
    Scenario {
        name: "full outage, alone",
        what: "The same, where one program sends all of it: what it ejects is ejected for all.",
        scenes: LOST_AND_FOUND,
        callers: Some(1),
    },
];

/// One run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) scenario: &'static Scenario,
    pub(super) contender: &'static Contender,
    pub(super) mode: Mode,
}

/// All that is run: every scenario with every policy in every mode.
pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for scenario in SCENARIOS {
        for contender in POLICIES {
            cells.extend(MODES.iter().map(|mode| Cell { scenario, contender, mode: *mode }));
        }
    }
    cells
}

/// Those without which nothing could be judged.
pub(super) fn few_cells() -> Vec<Cell> {
    let needed = |cell: &Cell| {
        matches!(
            (cell.scenario.name, cell.contender.policy, cell.mode),
            (SLOW | FAILING, Policy::PeakEwma | Policy::RoundRobin, Mode::Bare)
                | (FAILING, Policy::RoundRobin, Mode::Ejecting)
                | (FULL_OUTAGE, Policy::PowerOfTwo, Mode::Calling)
        )
    };
    cells().into_iter().filter(needed).collect()
}
