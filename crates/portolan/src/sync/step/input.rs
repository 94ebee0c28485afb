//! The words between the step machine and its loop: what happened, and what to do. PURE: types, no behaviour.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::reconcile::Difference;
use crate::{
    error::Kind,
    model::Instance,
    registry::{Answer, Block, Consistency},
    roll::jitter,
    snapshot::{Failure, Snapshot},
    sync::mode::{Mode, Suspicion},
};

/// What a view is set to.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// When it reads.
    pub(crate) mode: Mode,
    /// How long a blocking read waits at most.
    pub(crate) wait: Duration,
    /// How old the answering server's knowledge may be before the leader is asked. `None`: any age.
    pub(crate) max_stale: Option<Duration>,
    /// What loss is not believed at once.
    pub(crate) suspicion: Suspicion,
    /// How long instances are kept that vanished in a way that is not to be believed at once.
    pub(crate) hold: Duration,
    /// How often what is known is compared with a full read. `None`: never.
    pub(crate) reconcile: Option<Duration>,
    /// How long a view is followed that nobody uses. `None`: always.
    pub(crate) idle: Option<Duration>,
}

impl Settings {
    /// The wait of one blocking read: nine to ten tenths of the setting, so that many that began together do not go on
    /// together (hashicorp/consul-template#1013).
    pub(super) fn jittered_wait(&self, roll: u64) -> Duration {
        self.wait.saturating_sub(jitter(roll, self.wait.mul_f64(0.1)))
    }
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Input {
    /// The loop begins.
    Start,
    /// The read that was asked for came back.
    Answer(Answer<Vec<Arc<Instance>>>),
    /// It failed.
    Failed { kind: Kind, text: Arc<str> },
    /// The rest is over.
    Timer,
    /// Somebody used the view.
    Used,
    /// Somebody wants a read that starts after now: wishes up to this one were made.
    Wished(u64),
    /// Somebody says that what is known is out of date; it counts as a wish too, up to this one.
    Invalidated(u64),
    /// The read beside the open one came back.
    Aside(Outcome),
    /// The machine or the process slept, and the clock did not count this much of it.
    Suspended(Duration),
}

/// How a read ended.
pub(crate) type Outcome = Result<Answer<Vec<Arc<Instance>>>, (Kind, Arc<str>)>;

/// Who used the view since the last input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uses {
    /// Somebody did, or follows it.
    pub(crate) used: bool,
    /// Somebody follows it.
    pub(crate) followed: bool,
}

/// What to do about it.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The newest snapshot, if it differs in anything from the last.
    pub(crate) publish: Option<Arc<Snapshot>>,
    /// And then.
    pub(crate) next: Next,
    /// A read to make besides, not before its time; comes back as [`Input::Aside`].
    pub(crate) aside: Option<(Instant, Ask)>,
    /// Wishes that are fulfilled now.
    pub(crate) served: Option<Served>,
    /// Something to count and to log.
    pub(crate) event: Option<Event>,
}

impl Turn {
    /// Nothing but what comes next.
    pub(super) fn next(next: Next) -> Self {
        Self { publish: None, next, aside: None, served: None, event: None }
    }
}

/// Wishes up to `wish` have had their read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) wish: u64,
    /// Why it gave nothing.
    pub(crate) failure: Option<Failure>,
}

/// What the loop does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Go on with what is under way.
    GoOn,
    /// Read, and come back with the answer or the error. What was under way is dropped.
    Ask(Ask),
    /// Come back with [`Input::Timer`] then.
    RestUntil(Instant),
    /// Nothing, until somebody says something.
    Sleep,
}

/// One read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) block: Option<Block>,
    pub(crate) consistency: Consistency,
}

/// What an operator wants to know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The index went down; this often within a minute.
    IndexWentBack { had: u64, got: u64, times: u32 },
    /// An answer is of an earlier state, or lost too much, to be believed at once.
    Suspect { had: usize, got: usize },
    /// Reads began to fail.
    Failing,
    /// Reads succeed again.
    Recovered,
    /// The watch had missed these, says the leader.
    Diverged(Vec<Difference>),
    /// Nobody uses the view: it is no longer followed.
    Dormant,
    /// Somebody uses it again.
    Awake,
}
