//! Threads that look services up at a steady rate, and judge each answer.
//!
//! In:  a way to look up by name, names, a rate. Out: how many lookups there were, how many failed, and which answers
//! said something that was not so.
//!
//! While the registry is known to be gone, an answer must be older than that: each one that claims to be younger is
//! counted, and so is each that names an instance which was gone before.
#![expect(clippy::disallowed_methods, reason = "threads outside of a runtime, which look at the clock")]

use std::{
    collections::BTreeSet,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use portolan::Discovery;

/// How long after the registry went an answer may still come out of it: what was on its way.
const ON_ITS_WAY: Duration = Duration::from_millis(250);

/// What the threads must know.
#[derive(Debug, Default)]
#[expect(clippy::disallowed_types, reason = "read a thousand times a second, written four times in a trial")]
struct Truth {
    stop: AtomicBool,
    gone_since: std::sync::Mutex<Option<Instant>>,
    deregistered: std::sync::Mutex<BTreeSet<String>>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) made: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
    /// Lookups while the registry was gone.
    pub(crate) in_outage: u64,
    /// Those of them that claimed to be younger than the outage.
    pub(crate) too_young: u64,
    /// Answers that named an instance that was deregistered before.
    pub(crate) named_gone: u64,
    /// The first of those: which, and what was said of it.
    pub(crate) first_gone: Option<String>,
    pub(crate) oldest: Duration,
    pub(crate) slowest: Duration,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.made += other.made;
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
        self.in_outage += other.in_outage;
        self.too_young += other.too_young;
        self.named_gone += other.named_gone;
        self.first_gone = self.first_gone.take().or(other.first_gone);
        self.oldest = self.oldest.max(other.oldest);
        self.slowest = self.slowest.max(other.slowest);
    }

    /// What of it must not be.
    pub(crate) fn wrong(&self) -> Option<String> {
        if let Some(why) = &self.first_failure {
            return Some(format!("{} of {} lookups failed; the first: {why}", self.failed, self.made));
        }
        if self.too_young > 0 {
            return Some(format!("{} answers claimed to be younger than the outage", self.too_young));
        }
        let first = self.first_gone.as_ref()?;
        Some(format!("{} answers named an instance that was gone; the first: {first}", self.named_gone))
    }
}

/// The threads.
#[derive(Debug)]
pub(crate) struct Crowd {
    truth: Arc<Truth>,
    threads: Vec<JoinHandle<Tally>>,
}

impl Crowd {
    /// Starts so many threads with so many lookups a second in all. Each name must be warm.
    pub(crate) fn start(discovery: &Discovery, names: &[String], threads: u32, rate: u32) -> Self {
        Self::with(Arc::new(Truth::default()), discovery, names, threads, rate)
    }

    /// Ends the threads, and starts others that look up elsewhere; says what the old ones saw.
    pub(crate) fn moved(
        &mut self,
        discovery: &Discovery,
        names: &[String],
        threads: u32,
        rate: u32,
    ) -> Tally {
        self.truth.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for thread in self.threads.drain(..) {
            all.add(thread.join().unwrap_or_else(panicked));
        }
        self.truth.stop.store(false, Ordering::Relaxed);
        *self = Self::with(Arc::clone(&self.truth), discovery, names, threads, rate);
        all
    }

    fn with(truth: Arc<Truth>, discovery: &Discovery, names: &[String], threads: u32, rate: u32) -> Self {
        let pause = Duration::from_secs(1) * threads / rate;
        let start = |thread: u32| {
            let (truth, discovery) = (Arc::clone(&truth), discovery.clone());
            let mut names = names.to_vec();
            let shift =
                names.len() * usize::try_from(thread).unwrap_or(0) / usize::try_from(threads).unwrap_or(1);
            names.rotate_left(shift);
            thread::spawn(move || look_up(&truth, &discovery, &names, pause))
        };
        let threads = (0..threads).map(start).collect();
        Self { truth, threads }
    }

    /// From now on the registry is gone.
    pub(crate) fn registry_is_gone(&self) {
        self.set_gone(Some(Instant::now()));
    }

    /// The registry may answer again.
    pub(crate) fn registry_may_answer(&self) {
        self.set_gone(None);
    }

    fn set_gone(&self, since: Option<Instant>) {
        *self.truth.gone_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// From now on no answer may name this instance.
    pub(crate) fn deregistered(&self, id: &str) {
        self.truth.deregistered.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
    }

    /// Ends the threads.
    pub(crate) fn stop(self) -> Tally {
        self.truth.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for thread in self.threads {
            all.add(thread.join().unwrap_or_else(panicked));
        }
        all
    }
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Tally {
    let first_failure = Some("a thread that looks up panicked".to_owned());
    Tally { failed: 1, first_failure, ..Tally::default() }
}

fn look_up(truth: &Truth, discovery: &Discovery, names: &[String], pause: Duration) -> Tally {
    let mut tally = Tally::default();
    let mut next = Instant::now();
    for name in names.iter().cycle() {
        if truth.stop.load(Ordering::Relaxed) {
            break;
        }
        next += pause;
        thread::sleep(next.saturating_duration_since(Instant::now()));
        one(truth, discovery, name, &mut tally);
    }
    tally
}

fn one(truth: &Truth, discovery: &Discovery, name: &str, tally: &mut Tally) {
    tally.made += 1;
    let gone_since = *truth.gone_since.lock().unwrap_or_else(PoisonError::into_inner);
    let begun = Instant::now();
    let picked = discovery.warm(name, portolan::Resolver::pick);
    tally.slowest = tally.slowest.max(begun.elapsed());
    let picked = match picked {
        Some(Ok(picked)) => picked,
        failed => {
            tally.failed += 1;
            let why =
                failed.and_then(Result::err).map_or_else(|| "not warm".to_owned(), |none| none.to_string());
            tally.first_failure.get_or_insert(format!("{name}: {why}"));
            return;
        }
    };
    let age = picked.freshness().age(begun).unwrap_or_default();
    tally.oldest = tally.oldest.max(age);
    if let Some(since) = gone_since {
        tally.in_outage += 1;
        let younger = age.saturating_add(ON_ITS_WAY) < begun.saturating_duration_since(since);
        tally.too_young += u64::from(younger);
    }
    let deregistered = truth.deregistered.lock().unwrap_or_else(PoisonError::into_inner);
    if deregistered.contains(&*picked.identity.id) {
        tally.named_gone += 1;
        let freshness = picked.freshness();
        tally.first_gone.get_or_insert_with(|| {
            let when = gone_since.map_or("with the registry there".to_owned(), |since| {
                format!("{:?} after the registry went", begun.saturating_duration_since(since))
            });
            let (id, source, index) = (&picked.identity.id, freshness.source, freshness.index);
            format!("{id}, {when}, from {source:?} at index {index}, {age:?} old")
        });
    }
}
