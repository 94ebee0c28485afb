//! What all actors of one run share: the registry's truth, what is wrong with the way to it, what was delivered, and
//! the first law that broke.
//!
//! In:  events of the script, reads of the library. Out: conditions for the reads, evidence for the laws.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError},
    time::Duration,
};

use portolan::{Kind, Reader};
use tokio::{sync::Notify, time::Instant};

use crate::{
    agency::Agency,
    caches::Shelf,
    chance::Chance,
    model::{Content, Model, Moment},
    trace::Trace,
};

/// A law that did not hold, and how.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) law: u8,
    pub(crate) what: String,
}

/// What is wrong between the library and the registry at present.
#[derive(Debug, Default)]
pub(crate) struct Net {
    /// New reads fail with this.
    pub(crate) refuse: Option<Kind>,
    /// New reads never answer.
    pub(crate) hang: bool,
    /// Answers are made, and lost on their way.
    pub(crate) lose: bool,
    /// Of a hundred reads, so many fail with one kind or another.
    pub(crate) flaky: u64,
    /// How long answers may take on their way.
    pub(crate) slow: Duration,
    /// Stale reads get an empty answer with a low index.
    pub(crate) lie: bool,
    /// Stale reads that do not wait get a third of the instances.
    pub(crate) half: bool,
    /// The server that answers stale reads has heard nothing since.
    pub(crate) stuck: Option<Moment>,
    /// The server was started again and replays its log: stale reads are shown this state of its past, then later ones.
    pub(crate) replay: Option<usize>,
    /// There is no leader: reads that need one fail.
    pub(crate) leaderless: bool,
    /// The streaming backend: ages are always 0, true or not.
    pub(crate) streaming: bool,
    /// Connections of an earlier number are cut.
    pub(crate) epoch: u64,
}

/// An answer that reached the library.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    pub(crate) at: Instant,
    /// How much older it is than its own words say: its way here, and what a streaming backend does not admit.
    pub(crate) unsaid: Duration,
}

/// The reads of one service.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// The newest ones last; only some are kept.
    pub(crate) delivered: Vec<Delivery>,
    /// When a lie was last told that nobody could have seen through, for too little was known; and the lie.
    pub(crate) excused: Option<(Instant, Content)>,
    /// The most that an answer was ever older than it said.
    pub(crate) unsaid: Duration,
    /// The last end, when it was an error.
    pub(crate) failed: Option<Instant>,
    /// When a read that began after the calm was first answered.
    pub(crate) heard: Option<Instant>,
    /// How long the last read took that did not wait for a change.
    pub(crate) cost: Duration,
    pub(crate) open: usize,
    pub(crate) started: u64,
    /// A bucket of reads, in thousandths, and when it was filled last.
    bucket: Option<(u64, Instant)>,
}

/// The longest first rest after a failure that is not the registry's to ask for, and a little more.
const FIRST_REST: Duration = Duration::from_millis(210);

/// Reads that come after a failure.
#[derive(Debug, Default)]
struct Again {
    /// How often a first rest was so many milliseconds long.
    rests: BTreeMap<u128, u32>,
    last: Option<(Instant, String)>,
    times: u32,
    /// How many came at the very moment of another view's.
    together: u32,
}

/// Everything that is shared.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) model: Model,
    pub(crate) net: Net,
    /// The agents of registrations, and what is wrong with them.
    pub(crate) agency: Agency,
    pub(crate) chance: Chance,
    pub(crate) trace: Trace,
    pub(crate) reads: BTreeMap<String, Reads>,
    /// One reader of each view: what the library knows, for the judge of lies.
    pub(crate) views: BTreeMap<String, Reader>,
    pub(crate) disk: Shelf,
    pub(crate) shared: Shelf,
    /// How far the clock on the wall has been set forward.
    pub(crate) skew: Duration,
    pub(crate) broken: Option<Broken>,
    pub(crate) calm: Instant,
    pub(crate) open_blocking: usize,
    pub(crate) open_plain: usize,
    pub(crate) most_open: usize,
    at_once: (Option<Instant>, u32),
    again: Again,
    /// The last wait that a read asked for, whose it was, and how many others in a row asked for the same.
    renewal: (Duration, String, u32),
}

/// A handle on it. One thread runs a whole seed: the lock is never contended.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    #[expect(clippy::disallowed_types, reason = "one thread; held for a few lines")]
    inner: Arc<std::sync::Mutex<Inner>>,
    /// Rings at every change; not a `watch`, whose wake-ups come in an order of chance.
    bell: Arc<Notify>,
}

impl Stage {
    pub(crate) fn new(names: &[&str], mut chance: Chance, most_open: usize, keep_trace: bool) -> Self {
        let inner = Inner {
            model: Model::new(names),
            net: Net::default(),
            agency: Agency::new(chance.split()),
            chance,
            trace: Trace::new(keep_trace),
            reads: BTreeMap::new(),
            views: BTreeMap::new(),
            disk: Shelf::default(),
            shared: Shelf::default(),
            skew: Duration::ZERO,
            broken: None,
            calm: Instant::now(),
            open_blocking: 0,
            open_plain: 0,
            most_open,
            at_once: (None, 0),
            again: Again::default(),
            renewal: Default::default(),
        };
        Self { inner: Arc::new(inner.into()), bell: Arc::default() }
    }

    /// Looks or changes; never across an await.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes, and wakes every read that waits for a change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let out = self.with(change);
        self.bell.notify_waiters();
        out
    }

    /// Rings at every change.
    pub(crate) fn bell(&self) -> &Notify {
        &self.bell
    }

    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        self.with(|inner| inner.trace.note(what));
    }

    /// Keeps the first law that broke.
    pub(crate) fn broken(&self, law: u8, what: impl Into<String>) {
        self.with(|inner| inner.broken(law, what));
    }

    pub(crate) fn verdict(&self) -> Option<Broken> {
        self.with(|inner| inner.broken.clone())
    }
}

/// Reads that a view may start at once, and one that waited for its place while its right to the next was earned.
const BURST: u64 = 11;
/// Thousandths of a read that are earned in a millisecond: 4 a second.
const EARNED: u64 = 4;
/// More reads at one moment than any rule allows, whatever is wrong: the clock would never move.
const TOO_MANY_AT_ONCE: u32 = 2_000;

impl Inner {
    pub(crate) fn broken(&mut self, law: u8, what: impl Into<String>) {
        if self.broken.is_none() {
            let what = what.into();
            self.trace.note(format_args!("LAW {law} BROKEN: {what}"));
            self.broken = Some(Broken { law, what });
        }
    }

    pub(crate) fn reads(&mut self, key: &str) -> &mut Reads {
        self.reads.entry(key.to_owned()).or_default()
    }

    /// From now on all is well.
    pub(crate) fn begin_calm(&mut self) {
        self.calm = Instant::now();
        self.reads.values_mut().for_each(|reads| reads.heard = None);
    }

    /// The program ends, and another begins: it may read at once, and knows of no failure.
    pub(crate) fn next_program(&mut self) {
        self.views.clear();
        for reads in self.reads.values_mut() {
            (reads.bucket, reads.failed) = (None, None);
            reads.excused = None;
        }
    }

    /// A read starts: law 6.
    pub(crate) fn started(&mut self, key: &str, blocking: bool) {
        let now = Instant::now();
        let (open, most) = if blocking {
            self.open_blocking += 1;
            (self.open_blocking, self.most_open)
        } else {
            self.open_plain += 1;
            (self.open_plain, 16)
        };
        if open > most {
            self.broken(
                6,
                format!("{open} reads are open at once (blocking: {blocking}); {most} are allowed"),
            );
        }
        let rate_broken = self.reads(key).take_from_bucket(now);
        if rate_broken {
            self.broken(6, format!("{key}: more reads than 10 in a burst and 4 a second"));
        }
        match &mut self.at_once {
            (Some(at), count) if *at == now => *count += 1,
            other => *other = (Some(now), 0),
        }
        if self.reads(key).failed.is_some() {
            if blocking {
                self.broken(1, format!("{key}: waits for a change after a failure, without reading anew"));
            }
            self.reads_again(key);
        }
        if self.at_once.1 > TOO_MANY_AT_ONCE {
            self.broken(6, "reads without a pause");
        }
    }

    /// Reads that wait do not all end together: each waits for a time of its own. Turns are of one length.
    pub(crate) fn waits(&mut self, key: &str, wait: Duration) {
        if wait <= Duration::from_secs(1) {
            return;
        }
        let (last, other, row) = &mut self.renewal;
        if *last != wait {
            *row = 0;
        } else if other != key {
            *row += 1;
        }
        (*last, *other) = (wait, key.to_owned());
        if *row >= 4 {
            self.broken(6, format!("reads of several views wait for {wait:?} each: renewals line up"));
        }
    }

    /// Views that failed together do not come back together, time after time.
    fn reads_again(&mut self, key: &str) {
        let now = Instant::now();
        let rest = self.reads(key).failed.map_or(Duration::MAX, |failed| failed.elapsed());
        let Again { rests, last, times, together } = &mut self.again;
        if rest <= FIRST_REST {
            *rests.entry(rest.as_millis() / 2).or_default() += 1;
            let (most, all) = (rests.values().max().copied().unwrap_or(0), rests.values().sum::<u32>());
            if all >= 20 && most * 2 > all {
                self.broken(6, format!("{most} of {all} first rests after a failure were of one length"));
                return;
            }
        }
        *times += 1;
        if last.as_ref().is_some_and(|(at, other)| *at == now && other != key) {
            *together += 1;
        }
        *last = Some((now, key.to_owned()));
        if *together >= 6 && *together * 3 >= *times {
            let what =
                format!("{together} of {times} reads after a failure came at the moment of another view's");
            self.broken(6, what);
        }
    }

    pub(crate) fn ended(&mut self, key: &str, blocking: bool, asked: Instant) {
        if !blocking {
            self.reads(key).cost = asked.elapsed();
        }
        let open = if blocking { &mut self.open_blocking } else { &mut self.open_plain };
        *open = open.saturating_sub(1);
        self.reads(key).open -= 1;
    }
}

impl Reads {
    /// Says whether the bucket was empty.
    fn take_from_bucket(&mut self, now: Instant) -> bool {
        self.open += 1;
        self.started += 1;
        let (left, filled) = self.bucket.unwrap_or((BURST * 1000, now));
        let earned = u64::try_from(now.duration_since(filled).as_millis()).unwrap_or(u64::MAX);
        let left = left.saturating_add(earned.saturating_mul(EARNED)).min(BURST * 1000);
        self.bucket = Some((left.saturating_sub(1000), now));
        left < 1000
    }

    /// One that waited went from its place to another: the guard asks again, which is no read of the view's.
    pub(crate) fn given_up(&mut self, blocking: bool) {
        if let Some((left, _)) = self.bucket.as_mut().filter(|_| blocking) {
            *left = left.saturating_add(1000).min(BURST * 1000);
        }
    }

    /// The answer that arrived at this moment.
    pub(crate) fn delivered_at(&self, at: Instant) -> Option<Delivery> {
        self.delivered.iter().rev().find(|delivery| delivery.at == at).copied()
    }
}
