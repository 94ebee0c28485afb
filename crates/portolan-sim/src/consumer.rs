//! A consumer of changes: keeps a picture of a service from what it is told, and nothing else.
//!
//! In:  a resolver's reader. Out: broken laws: a change that is told twice, or does not fit the picture; a picture that
//! differs from the snapshot it came to; a change that is told before picks follow it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use portolan::{Changes, Identity, Instance, Reader, Resolver, Snapshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{chance::Chance, stage::Stage};

/// What a consumer believes: each instance, and whether it is held.
type Picture = BTreeMap<Identity, (Arc<Instance>, bool)>;

/// How a consumer behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Takes each change at once.
    Prompt,
    /// Sleeps between changes.
    Slow,
    /// Gives up waiting now and then, and asks again.
    Impatient,
}

/// A consumer, as the script sees it.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) key: String,
    /// Whether it waits for a change, and has handled the last.
    waits: Arc<AtomicBool>,
    #[expect(clippy::disallowed_types, reason = "one thread")]
    picture: Arc<std::sync::Mutex<Picture>>,
    view: Reader,
    pub(crate) stop: CancellationToken,
}

/// The part of a consumer that runs.
struct Running {
    stage: Stage,
    number: u32,
    key: String,
    resolver: Option<Resolver>,
    reader: Reader,
    pace: Pace,
    chance: Chance,
    waits: Arc<AtomicBool>,
    #[expect(clippy::disallowed_types, reason = "one thread")]
    picture: Arc<std::sync::Mutex<Picture>>,
}

impl Consumer {
    /// A consumer of this resolver's view, and the work that it is: run that on a task.
    pub(crate) fn new(
        stage: &Stage,
        (key, number): (&str, u32),
        resolver: &Resolver,
        pace: Pace,
        mut chance: Chance,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let reader = resolver.watch();
        let (waits, picture, stop) = (Arc::default(), Arc::default(), CancellationToken::new());
        let consumer = Self {
            key: key.to_owned(),
            waits: Arc::clone(&waits),
            picture: Arc::clone(&picture),
            view: reader.clone(),
            stop: stop.clone(),
        };
        // Some keep only the reader: their resolver may go while they follow.
        let resolver = chance.one_in(2).then(|| resolver.clone());
        let (stage, key) = (stage.clone(), key.to_owned());
        let running = Running { stage, number, key, resolver, reader, pace, chance, waits, picture };
        (consumer, async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = running.run() => {}
            }
        })
    }

    /// Law 1: one that waits has been told everything. To be asked when all has been still for a moment.
    pub(crate) fn judge(&self, stage: &Stage) {
        if !self.waits.load(Ordering::Relaxed) {
            return;
        }
        let picture = self.picture.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *picture != painted(&self.view.snapshot()) {
            drop(picture);
            stage.broken(1, format!("{}: a consumer waits, and has not been told what changed", self.key));
        }
    }
}

impl Running {
    async fn run(mut self) {
        loop {
            self.waits.store(true, Ordering::Relaxed);
            let patience = match self.pace {
                Pace::Impatient => self.chance.millis(0, 3_000),
                Pace::Prompt | Pace::Slow => Duration::from_secs(1 << 30),
            };
            let told = timeout(patience, self.reader.changed()).await;
            self.waits.store(false, Ordering::Relaxed);
            match told {
                Ok(Ok(changes)) => self.take(&changes),
                Ok(Err(_closed)) => {
                    self.stage.note(format_args!("consumer {} of {}: closed", self.number, self.key));
                    return;
                }
                Err(_late) => {}
            }
            if self.pace == Pace::Slow {
                let most = if self.chance.one_in(4) { 60_000 } else { 3_000 };
                let nap = self.chance.millis(1, most);
                sleep(nap).await;
            }
        }
    }

    fn take(&self, changes: &Changes) {
        let told = [
            changes.added.len(),
            changes.updated.len(),
            changes.removed.len(),
            changes.held.len(),
            changes.returned.len(),
        ];
        self.stage.note(format_args!("consumer {} of {}: {told:?}", self.number, self.key));
        let mut picture = self.picture.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fits = apply(&mut picture, changes);
        let now = self.reader.snapshot();
        let same = *picture == painted(&now);
        drop(picture);
        if let Err(what) = fits {
            self.stage.broken(1, format!("{}: {what}", self.key));
        }
        if !same {
            self.stage.broken(1, format!("{}: a consumer's picture is not the snapshot", self.key));
        }
        if let Some(resolver) = &self.resolver {
            self.picks_follow(resolver, &now);
        }
    }

    /// Whoever is told of a change finds that picks follow it.
    fn picks_follow(&self, resolver: &Resolver, told: &Snapshot) {
        let explanation = resolver.explain();
        let usable = explanation.usable.iter().map(|endpoint| endpoint.instance());
        let known: BTreeMap<_, _> = usable
            .chain(explanation.left_out.iter().map(|left| &left.instance))
            .map(|instance| (instance.identity.clone(), Arc::clone(instance)))
            .collect();
        let told: BTreeMap<_, _> =
            painted(told).into_iter().map(|(identity, (instance, _))| (identity, instance)).collect();
        if known != told {
            let what = format!("{}: a consumer was told of a change before picks followed it", self.key);
            self.stage.broken(1, what);
        }
    }
}

fn painted(snapshot: &Snapshot) -> Picture {
    let confirmed = snapshot.instances().iter().map(|one| (one, false));
    let held = snapshot.held().iter().map(|one| (one, true));
    confirmed.chain(held).map(|(one, held)| (one.identity.clone(), (Arc::clone(one), held))).collect()
}

/// Puts changes into a picture; says what does not fit.
fn apply(picture: &mut Picture, changes: &Changes) -> Result<(), &'static str> {
    if changes.is_empty() {
        return Err("a consumer was woken for nothing");
    }
    for new in &changes.added {
        if picture.insert(new.identity.clone(), (Arc::clone(new), false)).is_some() {
            return Err("an instance was added that was told before");
        }
    }
    for gone in &changes.removed {
        if picture.remove(&gone.identity).is_none() {
            return Err("an instance was removed that was never told");
        }
    }
    for back in &changes.returned {
        match picture.get_mut(&back.identity) {
            Some((_, held)) if *held => *held = false,
            _ => return Err("an instance returned that was not held"),
        }
    }
    for (old, new) in &changes.updated {
        match picture.get_mut(&new.identity) {
            Some((there, _)) if there == old && old != new => *there = Arc::clone(new),
            _ => return Err("an update does not fit what was told before, or changes nothing"),
        }
    }
    for held in &changes.held {
        let place = picture.entry(held.identity.clone()).or_insert_with(|| (Arc::clone(held), false));
        if place.1 {
            return Err("an instance was told as held twice");
        }
        *place = (Arc::clone(held), true);
    }
    Ok(())
}
