//! The laws of one view, judged from the outside at every step.
//!
//! In:  a resolver of the view, and the evidence on the stage. Out: the first law that broke, with what was seen.
//!
//! - Law 3: what is shown was true when its age says, its proof is an answer that really arrived, a failure is marked.
//! - Law 1: a view that fails asks again, after a rest that what failed asked for (`rests.rs`).
//! - Law 6 of holding: nothing is held longer than it was set to be.
//!
//! Law 1 is judged by `play.rs` once all is calm, law 5 by `user.rs`, law 6 of reads where they start, in `stage.rs`.

use std::{collections::BTreeSet, time::Duration};

use portolan::{Freshness, Resolver, Snapshot, Source};
use tokio::time::Instant;

use crate::{
    rests::Rests,
    stage::{Inner, Stage},
};

/// Between the end of a read and its publication no time passes; the clock has steps of a millisecond.
const GRAIN: Duration = Duration::from_millis(2);
/// A cache keeps times of day in whole steps.
const CACHE_GRAIN: Duration = Duration::from_secs(1);
/// A hold ends at its time; a view that is just busy is not late yet.
const HOLD_GRACE: Duration = Duration::from_secs(1);

/// Judges one view.
#[derive(Debug)]
pub(crate) struct Judge {
    key: String,
    /// Its own, so that the view is looked at for as long as there is a discovery.
    view: Resolver,
    hold: Duration,
    held_since: Option<Instant>,
    /// When what was shown last was true at the latest, by its own word.
    proof: Option<Instant>,
    rests: Rests,
}

impl Judge {
    pub(crate) fn new(stage: &Stage, key: &str, view: Resolver, hold: Duration) -> Self {
        stage.with(|inner| inner.views.insert(key.to_owned(), view.watch()));
        let rests = Rests::new(Instant::now().into_std());
        Self { key: key.to_owned(), view, hold, held_since: None, proof: None, rests }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Looks at the newest snapshot.
    pub(crate) fn look(&mut self, stage: &Stage) {
        let snapshot = self.view.snapshot();
        let found = stage.with(|inner| {
            ordered(&snapshot)
                .and_then(|()| proven(inner, &self.key, &snapshot))
                .and_then(|()| aged(inner, &self.key, &snapshot))
                .and_then(|()| marked(inner, &self.key, &snapshot))
        });
        let found = found.and_then(|()| self.held(&snapshot)).and_then(|()| self.forward(&snapshot));
        let found = found.and_then(|()| self.rested(stage, &snapshot));
        if let Err((law, what)) = found {
            stage.broken(law, format!("{}: {what}", self.key));
        }
    }

    fn held(&mut self, snapshot: &Snapshot) -> Result<(), (u8, String)> {
        let now = Instant::now();
        if snapshot.held().is_empty() {
            self.held_since = None;
            return Ok(());
        }
        let since = *self.held_since.get_or_insert(now);
        if now.duration_since(since) > self.hold + HOLD_GRACE {
            let count = snapshot.held().len();
            return Err((1, format!("{count} instances are held for longer than {:?}", self.hold)));
        }
        Ok(())
    }

    fn rested(&mut self, stage: &Stage, snapshot: &Snapshot) -> Result<(), (u8, String)> {
        let rate = self.rest(stage);
        let reads = stage.with(|inner| {
            let reads = inner.reads(&self.key);
            (reads.started, reads.open > 0)
        });
        self.rests.look(snapshot.failure(), reads, rate, Instant::now().into_std()).map_err(|what| (1, what))
    }

    /// What a cache remembers is taken only when it is newer than what is known.
    fn forward(&mut self, snapshot: &Snapshot) -> Result<(), (u8, String)> {
        let freshness = snapshot.freshness();
        let age = freshness.age(Instant::now().into_std());
        let proof = age.and_then(|age| Instant::now().checked_sub(age));
        let before = std::mem::replace(&mut self.proof, proof);
        let cached = matches!(freshness.source, Source::Disk | Source::Shared);
        match (before, proof) {
            (Some(before), Some(proof)) if cached && proof + CACHE_GRAIN < before => {
                let older = before.duration_since(proof);
                Err((3, format!("{:?} put {older:?} older knowledge in place of newer", freshness.source)))
            }
            _ => Ok(()),
        }
    }

    /// Whether the view holds what the registry holds, or says that it is in doubt.
    pub(crate) fn equals_the_registry(&self, stage: &Stage) -> Result<(), String> {
        let snapshot = self.view.snapshot();
        let (content, index) = stage.with(|inner| inner.model.content(&self.key));
        if *content == *snapshot.instances() {
            return Ok(());
        }
        Err(format!(
            "the registry holds {:?} at {index}, the view shows {:?} at {}, {} held",
            names(&content),
            names(snapshot.instances()),
            snapshot.freshness().index,
            snapshot.held().len(),
        ))
    }

    /// Whether a read that began after the calm has been answered, that long ago.
    pub(crate) fn has_heard(&self, stage: &Stage, ago: Duration) -> bool {
        let heard = stage.with(|inner| inner.reads(&self.key).heard);
        heard.is_some_and(|heard| heard.elapsed() >= ago)
    }

    /// The longest that the view may rest before its next read: 5 times what its last plain read cost, at most 15 s
    /// (DESIGN.md, "Rate").
    pub(crate) fn rest(&self, stage: &Stage) -> Duration {
        let cost = stage.with(|inner| inner.reads(&self.key).cost);
        (cost * 5).min(Duration::from_secs(15))
    }
}

/// The ids of instances, for a message.
pub(crate) fn names(instances: &[std::sync::Arc<portolan::Instance>]) -> Vec<String> {
    instances.iter().map(|one| format!("{}:{}:{}", one.identity.id, one.status, one.port)).collect()
}

fn ordered(snapshot: &Snapshot) -> Result<(), (u8, String)> {
    let identities: Vec<_> = snapshot.instances().iter().map(|one| &one.identity).collect();
    if !identities.is_sorted_by(|left, right| left < right) {
        return Err((1, format!("not ordered by identity: {:?}", names(snapshot.instances()))));
    }
    let confirmed: BTreeSet<_> = identities.into_iter().collect();
    if snapshot.held().iter().any(|held| confirmed.contains(&held.identity)) {
        return Err((1, "an instance is confirmed and held at once".to_owned()));
    }
    Ok(())
}

/// The proof that freshness names is an answer that arrived at that very moment.
fn proven(inner: &mut Inner, key: &str, snapshot: &Snapshot) -> Result<(), (u8, String)> {
    let freshness = snapshot.freshness();
    let Some(confirmed) = freshness.confirmed else {
        let quiet = freshness.source == Source::Nothing && snapshot.instances().is_empty();
        return if quiet { Ok(()) } else { Err((3, format!("{:?} without a proof", freshness.source))) };
    };
    if freshness.source != Source::Live {
        return Ok(());
    }
    let at = Instant::from_std(confirmed);
    let proof = inner.reads.values().find_map(|reads| reads.delivered_at(at));
    if proof.is_none() && inner.reads(key).delivered.first().is_none_or(|oldest| oldest.at <= at) {
        return Err((3, format!("confirmed {:?} ago, when no answer arrived", at.elapsed())));
    }
    Ok(())
}

/// What is shown was the truth when its age says, or later.
fn aged(inner: &mut Inner, key: &str, snapshot: &Snapshot) -> Result<(), (u8, String)> {
    let freshness: &Freshness = snapshot.freshness();
    let Some(age) = freshness.age(Instant::now().into_std()) else { return Ok(()) };
    if freshness.streaming {
        return Ok(()); // its words are marked as empty
    }
    let at = freshness.confirmed.map(Instant::from_std);
    let proof = at.and_then(|at| inner.reads(key).delivered_at(at));
    let unsaid = match freshness.source {
        Source::Live => proof.map_or(Duration::ZERO, |proof| proof.unsaid),
        // Of whichever answer it was that the cache got.
        _ => inner.reads(key).unsaid + CACHE_GRAIN,
    };
    let excused = inner.reads(key).excused.as_ref().filter(|(_, lie)| **lie == *snapshot.instances());
    let excused = excused.map(|(at, _)| *at);
    let last_true = inner.model.last_true(key, snapshot.instances()).max(excused);
    let Some(last_true) = last_true else {
        return Err((3, format!("shows what the registry never held: {:?}", names(snapshot.instances()))));
    };
    let truth = last_true.elapsed();
    if truth > age + unsaid + GRAIN {
        return Err((3, format!("says that it is {age:?} old, and was last true {truth:?} ago")));
    }
    Ok(())
}

/// A failed read shows, and shows no longer than it is the last.
fn marked(inner: &mut Inner, key: &str, snapshot: &Snapshot) -> Result<(), (u8, String)> {
    let Some(failed) = inner.reads(key).failed else { return Ok(()) };
    if snapshot.failure().is_none() && failed.elapsed() > GRAIN {
        return Err((3, format!("the last read failed {:?} ago, and nothing says so", failed.elapsed())));
    }
    Ok(())
}
