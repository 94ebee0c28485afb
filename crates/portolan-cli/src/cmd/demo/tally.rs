//! What the demo counts: requests, tries, and how long the caller took to know. PURE; every figure is measured.
//!
//! In:  each request's tries and end, each act, and what the caller's view says, with the time since the start.
//! Out: totals, a rate for each instance, and a story for each act.
//!
//! Never: guesses; calls a request fine that no instance answered.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, time::Duration};

/// One request of the caller, from the first pick to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The instances that were tried, in order, with when, and why it failed there.
    pub(crate) tries: Vec<Try>,
    /// Why nobody served it; `None`: served.
    pub(crate) lost: Option<String>,
}

/// One attempt at one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Try {
    pub(crate) id: String,
    /// When it was picked.
    pub(crate) picked: Duration,
    /// When it had ended.
    pub(crate) ended: Duration,
    pub(crate) failed: Option<String>,
}

/// What an act was, for its story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Killed(String),
    Left(String),
    Deployed { new: String, old: String },
    RegistryStopped,
    RegistryStarted,
}

/// What followed an act. The times are since the start of the demo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Story {
    pub(crate) subject: Subject,
    pub(crate) at: Duration,
    /// Tries that failed at its instance.
    pub(crate) failed_tries: u64,
    pub(crate) first_failed: Option<Duration>,
    /// The last pick of the instance that goes.
    pub(crate) last_pick: Option<Duration>,
    /// The first pick of the instance that comes.
    pub(crate) first_pick: Option<Duration>,
    /// When the view said so.
    pub(crate) known: Option<Duration>,
    /// Requests answered from this act until the next.
    pub(crate) served: u64,
    /// Requests that nobody answered from this act until the next.
    pub(crate) lost: u64,
}

impl Story {
    fn new(subject: Subject, at: Duration) -> Self {
        Self {
            subject,
            at,
            failed_tries: 0,
            first_failed: None,
            last_pick: None,
            first_pick: None,
            known: None,
            served: 0,
            lost: 0,
        }
    }

    fn goes(&self, id: &str) -> bool {
        match &self.subject {
            Subject::Killed(old) | Subject::Left(old) | Subject::Deployed { old, .. } => old == id,
            Subject::RegistryStopped | Subject::RegistryStarted => false,
        }
    }

    fn comes(&self, id: &str) -> bool {
        matches!(&self.subject, Subject::Deployed { new, .. } if new == id)
    }
}

/// Picks of one instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Picks {
    total: u64,
    /// In this second, and in the whole second before it.
    second: u64,
    now: u64,
    before: u64,
}

impl Picks {
    fn roll(&mut self, second: u64) {
        if second > self.second {
            self.before = if second == self.second.saturating_add(1) { self.now } else { 0 };
            self.now = 0;
            self.second = second;
        }
    }
}

/// All that was counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) served: u64,
    /// Requests that needed a second instance.
    pub(crate) retried: u64,
    /// Requests that no instance answered though one was alive.
    pub(crate) lost: u64,
    /// Requests that no instance could have answered, for none was alive.
    pub(crate) hopeless: u64,
    pub(crate) stories: Vec<Story>,
    /// Why requests were lost, the first few.
    pub(crate) reasons: Vec<String>,
    picks: BTreeMap<String, Picks>,
}

/// How many reasons are kept.
const REASONS: usize = 5;

impl Tally {
    /// An act begins.
    pub(crate) fn act(&mut self, subject: Subject, at: Duration) {
        self.stories.push(Story::new(subject, at));
    }

    /// A request has ended, while `alive` instances were alive.
    pub(crate) fn request(&mut self, request: &Request, alive: usize) {
        self.sent = self.sent.saturating_add(1);
        if request.tries.len() > 1 {
            self.retried = self.retried.saturating_add(1);
        }
        for one in &request.tries {
            self.attempt(one);
        }
        let served = request.lost.is_none();
        if let Some(story) = self.stories.last_mut() {
            let count = if served { &mut story.served } else { &mut story.lost };
            *count = count.saturating_add(1);
        }
        match &request.lost {
            None => self.served = self.served.saturating_add(1),
            Some(_) if alive == 0 => self.hopeless = self.hopeless.saturating_add(1),
            Some(reason) => {
                self.lost = self.lost.saturating_add(1);
                if self.reasons.len() < REASONS {
                    self.reasons.push(reason.clone());
                }
            }
        }
    }

    fn attempt(&mut self, one: &Try) {
        let picks = self.picks.entry(one.id.clone()).or_default();
        picks.roll(one.picked.as_secs());
        picks.total = picks.total.saturating_add(1);
        picks.now = picks.now.saturating_add(1);
        for story in &mut self.stories {
            if one.picked < story.at {
                continue;
            }
            if story.comes(&one.id) {
                story.first_pick = Some(story.first_pick.map_or(one.picked, |first| first.min(one.picked)));
            }
            if story.goes(&one.id) {
                story.last_pick = story.last_pick.max(Some(one.picked));
                if one.failed.is_some() {
                    story.failed_tries = story.failed_tries.saturating_add(1);
                    let first = story.first_failed.map_or(one.ended, |first| first.min(one.ended));
                    story.first_failed = Some(first);
                }
            }
        }
    }

    /// The view has caught up with the newest act that `which` accepts; how long it took, the first time.
    pub(crate) fn known(&mut self, which: impl Fn(&Subject) -> bool, now: Duration) -> Option<Duration> {
        let story = self.stories.iter_mut().rev().find(|story| which(&story.subject))?;
        if story.known.is_some() {
            return None;
        }
        story.known = Some(now);
        Some(now.saturating_sub(story.at))
    }

    /// Picks of an instance in all, and in the last whole second.
    pub(crate) fn picks(&self, id: &str, now: Duration) -> (u64, u64) {
        let Some(mut picks) = self.picks.get(id).copied() else { return (0, 0) };
        picks.roll(now.as_secs());
        (picks.total, picks.before)
    }

    /// Whether the demo showed what it promises: nothing lost, and the view came to know of everything.
    pub(crate) fn kept_its_word(&self) -> bool {
        self.sent > 0 && self.lost == 0 && self.stories.iter().all(|story| story.known.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn attempt(id: &str, at: u64, failed: bool) -> Try {
        let failed = failed.then(|| "connection refused".to_owned());
        Try { id: id.to_owned(), picked: ms(at), ended: ms(at.saturating_add(2)), failed }
    }

    fn served(tries: Vec<Try>) -> Request {
        Request { tries, lost: None }
    }

    #[test]
    fn a_retried_request_is_no_lost_one() {
        let mut tally = Tally::default();
        tally.request(&served(vec![attempt("a", 10, true), attempt("b", 12, false)]), 2);
        tally.request(&served(vec![attempt("a", 20, false)]), 2);
        let lost = Request { tries: vec![attempt("a", 30, true)], lost: Some("gone".to_owned()) };
        tally.request(&lost, 0);
        assert_eq!((tally.sent, tally.served, tally.retried, tally.lost, tally.hopeless), (3, 2, 1, 0, 1));
        assert!(tally.kept_its_word());
        tally.request(&lost, 1);
        assert_eq!((tally.sent, tally.lost), (4, 1));
        assert!(!tally.kept_its_word(), "a live instance could have served it");
    }

    #[test]
    fn a_story_counts_from_its_act_on() {
        let mut tally = Tally::default();
        tally.request(&served(vec![attempt("a", 90, false)]), 2);
        tally.act(Subject::Killed("a".to_owned()), ms(100));
        tally.request(&served(vec![attempt("a", 95, false)]), 1);
        tally.request(&served(vec![attempt("a", 110, true), attempt("b", 113, false)]), 1);
        tally.request(&served(vec![attempt("a", 105, true), attempt("b", 108, false)]), 1);
        assert_eq!(tally.known(|subject| *subject == Subject::Killed("b".to_owned()), ms(300)), None);
        assert!(!tally.kept_its_word(), "the view does not know yet");
        let killed = |subject: &Subject| matches!(subject, Subject::Killed(id) if id == "a");
        assert_eq!(tally.known(killed, ms(300)), Some(ms(200)));
        assert_eq!(tally.known(killed, ms(400)), None, "it is told once");
        let story = &tally.stories[0];
        assert_eq!(
            (story.failed_tries, story.first_failed, story.last_pick),
            (2, Some(ms(107)), Some(ms(110)))
        );
        assert_eq!((story.served, story.lost), (3, 0));
    }

    #[test]
    fn the_rate_is_that_of_the_last_whole_second() {
        let mut tally = Tally::default();
        for at in [100, 200, 1_100] {
            tally.request(&served(vec![attempt("a", at, false)]), 1);
        }
        assert_eq!(tally.picks("a", ms(1_500)), (3, 2));
        assert_eq!(tally.picks("a", ms(2_500)), (3, 1));
        assert_eq!(tally.picks("a", ms(3_500)), (3, 0));
        assert_eq!(tally.picks("b", ms(3_500)), (0, 0));
    }

    #[test]
    fn the_first_pick_of_a_new_instance_is_told() {
        let mut tally = Tally::default();
        tally.act(Subject::Deployed { new: "n".to_owned(), old: "o".to_owned() }, ms(100));
        tally.request(&served(vec![attempt("n", 150, false)]), 1);
        tally.request(&served(vec![attempt("n", 120, false)]), 1);
        tally.request(&served(vec![attempt("o", 130, false)]), 1);
        let story = &tally.stories[0];
        assert_eq!(
            (story.first_pick, story.last_pick, story.failed_tries),
            (Some(ms(120)), Some(ms(130)), 0)
        );
    }
}
