//! The instances of a run, and what is due when.
//!
//! In:  requests, and the scenes of a scenario. Out: answers, each at its time. Time is that since the start of the run, to
//! the nanosecond: Tokio's own timers know milliseconds only, which is much against requests of ten.
//!
//! Never: takes chance or time from elsewhere.

use std::{collections::BTreeMap, time::Duration};

use portolan::FailureKind;
use tokio::sync::oneshot;

use super::{
    draw::exponential,
    plan::{Mood, Plan},
    queue::Queue,
};
use crate::chance::Chance;

/// What came of a request.
pub(super) type Answer = Result<(), FailureKind>;
type Reply = oneshot::Sender<Answer>;

/// What is due.
#[derive(Debug)]
pub(super) enum Event {
    /// The caller of this number has a request.
    Arrival(usize),
    /// The scene of this number begins.
    Scene(usize),
    /// A worker of this instance is done with a request.
    Done(usize, Reply),
    /// Somebody hears this, without a worker.
    Answer(Reply, Answer),
}

#[derive(Debug)]
struct Instance {
    queue: Queue<Reply>,
    mood: Mood,
}

#[derive(Debug)]
pub(super) struct Fleet {
    plan: Plan,
    instances: Vec<Instance>,
    chance: Chance,
    /// By time, and by the order in which they were noted.
    due: BTreeMap<(Duration, u64), Event>,
    noted: u64,
}

impl Fleet {
    pub(super) fn new(plan: &Plan, chance: Chance) -> Self {
        let instance = |_| Instance { queue: Queue::new(plan.workers), mood: Mood::Well };
        let instances = (0..plan.instances).map(instance).collect();
        Self { plan: plan.clone(), instances, chance, due: BTreeMap::new(), noted: 0 }
    }

    pub(super) fn note(&mut self, at: Duration, event: Event) {
        self.noted = self.noted.saturating_add(1);
        self.due.insert((at, self.noted), event);
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Option<Duration> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.due.pop_first().map(|(_, event)| event)
    }

    pub(super) fn becomes(&mut self, place: usize, mood: Mood) {
        if let Some(instance) = self.instances.get_mut(place) {
            instance.mood = mood;
        }
    }

    /// Sends a request to an instance. Its caller goes away by dropping what is given back.
    pub(super) fn send(&mut self, place: usize, now: Duration) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        let refused = now.saturating_add(self.plan.refusal);
        let Some(instance) = self.instances.get_mut(place) else {
            self.note(refused, Event::Answer(reply, Err(FailureKind::Connect)));
            return answer;
        };
        match instance.mood {
            Mood::Refuses => self.note(refused, Event::Answer(reply, Err(FailureKind::Connect))),
            Mood::Hangs => self.never_answered(reply, now),
            Mood::Fails(percent) if self.chance.below(100) < percent => {
                self.note(refused, Event::Answer(reply, Err(FailureKind::Answer)));
            }
            Mood::Well | Mood::Slow(_) | Mood::Pauses(..) | Mood::Fails(_) => {
                if let Some(reply) = instance.queue.comes(reply) {
                    self.begin(place, reply, now);
                }
            }
        }
        answer
    }

    /// A worker is done.
    pub(super) fn done(&mut self, place: usize, reply: Reply, now: Duration) {
        let Some(instance) = self.instances.get_mut(place) else { return };
        // What is under way when an instance is lost is lost with it.
        match instance.mood {
            Mood::Refuses => tell(reply, Err(FailureKind::Broken)),
            Mood::Hangs => self.never_answered(reply, now),
            Mood::Well | Mood::Slow(_) | Mood::Pauses(..) | Mood::Fails(_) => tell(reply, Ok(())),
        }
        let next = self.instances.get_mut(place).and_then(|one| one.queue.done(|waits| !waits.is_closed()));
        if let Some(next) = next {
            self.begin(place, next, now);
        }
    }

    fn begin(&mut self, place: usize, reply: Reply, now: Duration) {
        let takes = exponential(&mut self.chance, self.plan.service);
        let ends = match self.instances.get(place).map(|one| one.mood) {
            Some(Mood::Slow(times)) => now.saturating_add(takes.saturating_mul(times)),
            Some(Mood::Pauses(every, long)) => over_pauses(now, takes, every, long),
            _ => now.saturating_add(takes),
        };
        self.note(ends, Event::Done(place, reply));
    }

    /// The connection is forgotten when its caller has long gone.
    fn never_answered(&mut self, reply: Reply, now: Duration) {
        let then = now.saturating_add(self.plan.patience.saturating_mul(2));
        self.note(then, Event::Answer(reply, Err(FailureKind::Timeout)));
    }
}

/// When work of so long ends that is begun now, where nothing is done for the last `long` of each `every`.
fn over_pauses(now: Duration, takes: Duration, every: Duration, long: Duration) -> Duration {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let into = Duration::from_nanos(nanos(now).checked_rem(nanos(every)).unwrap_or(0));
    let works = every.saturating_sub(long);
    // What was done since this period began, were it all work; then each whole period of work has a pause behind it.
    let done = into.min(works).saturating_add(takes);
    let pauses = nanos(done).checked_div(nanos(works)).unwrap_or(0);
    let pauses = u32::try_from(pauses).unwrap_or(u32::MAX);
    now.saturating_sub(into).saturating_add(done).saturating_add(long.saturating_mul(pauses))
}

/// Answers, if somebody waits still.
pub(super) fn tell(reply: Reply, answer: Answer) {
    // A caller who has gone hears nothing, and that is all there is to it.
    reply.send(answer).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_waits_for_the_end_of_each_pause() {
        let ms = Duration::from_millis;
        for (now, takes, ends) in [
            (0, 10, 10),
            (4_000, 499, 4_499),
            (4_495, 10, 5_005),
            (4_600, 10, 5_010),
            (14_999, 1, 15_001),
            (4_495, 4_510, 10_005),
        ] {
            assert_eq!(over_pauses(ms(now), ms(takes), ms(5_000), ms(500)), ms(ends), "{now} {takes}");
        }
    }
}
