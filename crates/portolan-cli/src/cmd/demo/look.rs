//! Reads the caller's view: who is healthy in it, what it has come to know, and how to say so. PURE.
//!
//! In:  snapshots and changes. Out: sentences, and entries in the tally.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use portolan::{Changes, Instance, Snapshot, Status};

use super::{
    screen,
    setting::Setting,
    tally::{Subject, Tally},
};
use crate::output::Ink;

/// The view at one moment, and which instances run.
#[derive(Debug)]
pub(crate) struct Look<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) running: Vec<&'a String>,
}

impl Look<'_> {
    /// Enters into the tally what the view has come to know, and returns it with how long that took.
    pub(crate) fn known(&self, tally: &mut Tally, now: Duration) -> Vec<(Subject, Duration)> {
        let subjects: Vec<Subject> = tally
            .stories
            .iter()
            .filter(|story| story.known.is_none())
            .map(|story| story.subject.clone())
            .collect();
        let mut known = Vec::new();
        for subject in subjects {
            if self.knows(&subject, tally)
                && let Some(took) = tally.known(|other| *other == subject, now)
            {
                known.push((subject, took));
            }
        }
        known
    }

    fn knows(&self, subject: &Subject, tally: &Tally) -> bool {
        match subject {
            Subject::Killed(id) | Subject::Left(id) => !is_pickable(self.snapshot, id),
            Subject::Deployed { new, .. } => is_healthy(self.snapshot, new),
            Subject::RegistryStopped => self.snapshot.failure().is_some(),
            Subject::RegistryStarted => {
                let stop_was_known = tally
                    .stories
                    .iter()
                    .any(|story| story.subject == Subject::RegistryStopped && story.known.is_some());
                stop_was_known
                    && self.snapshot.failure().is_none()
                    && self.running.iter().all(|id| is_healthy(self.snapshot, id))
            }
        }
    }
}

/// Whether the view has the instance, confirmed and passing.
pub(crate) fn is_healthy(snapshot: &Snapshot, id: &str) -> bool {
    snapshot.instances().iter().any(|one| &*one.identity.id == id && one.status == Status::Passing)
}

fn is_pickable(snapshot: &Snapshot, id: &str) -> bool {
    let held = snapshot.held().iter().any(|one| &*one.identity.id == id && one.status == Status::Passing);
    held || is_healthy(snapshot, id)
}

/// What the view says of an instance; `None`: it does not know it.
pub(crate) fn status(snapshot: &Snapshot, id: &str) -> Option<Status> {
    let mut all = snapshot.instances().iter().chain(snapshot.held());
    all.find(|one| &*one.identity.id == id).map(|one| one.status)
}

/// Changes of the view in words.
pub(crate) fn lines(changes: &Changes) -> Vec<(String, Ink)> {
    let mut lines = Vec::new();
    let id = |one: &Instance| one.identity.id.to_string();
    for one in &changes.added {
        lines.push((format!("{} is new, {}", id(one), one.status), Ink::from(one.status)));
    }
    for (old, new) in changes.updated.iter().filter(|(old, new)| old.status != new.status) {
        lines.push((format!("{} is {}, was {}", id(new), new.status, old.status), Ink::from(new.status)));
    }
    for one in &changes.held {
        let text =
            format!("{} is held: the registry forgot it in a way that is not believed at once", id(one));
        lines.push((text, Ink::Doubtful));
    }
    for one in &changes.returned {
        lines.push((format!("{} is named by the registry again", id(one)), Ink::Good));
    }
    for one in &changes.removed {
        lines.push((format!("{} is gone", id(one)), Ink::Faint));
    }
    lines
}

/// What the view has noticed, in words.
pub(crate) fn noticed(subject: &Subject) -> String {
    match subject {
        Subject::Killed(id) => format!("{id} is not picked any more"),
        Subject::Left(id) => format!("{id} has left"),
        Subject::Deployed { new, .. } => format!("{new} is healthy"),
        Subject::RegistryStopped => "the registry does not answer; picks go on from what is known".to_owned(),
        Subject::RegistryStarted => "every instance has registered itself again".to_owned(),
    }
}

/// How fresh the view is, in words.
pub(crate) fn freshness(snapshot: &Snapshot, now: Instant) -> String {
    let freshness = snapshot.freshness();
    let Some(age) = freshness.age(now) else { return "nothing is known yet".to_owned() };
    let age = screen::length(age);
    match snapshot.failure() {
        Some(_) => format!("the registry does not answer; picks go on from what was confirmed {age} ago"),
        None => format!("{}, index {}, confirmed {age} ago", freshness.source, freshness.index),
    }
}

/// What to try by hand while the demo stays.
pub(crate) fn addresses(setting: &Setting, snapshot: &Snapshot) -> String {
    let (service, url) = (&setting.service, &setting.url);
    let mut text = format!(
        "\nStill running, until Ctrl-C. To try:\n  portolan discover {service} --registry {url}\n  portolan watch {service} --registry {url}\n  portolan why {service} --registry {url}\n"
    );
    for one in snapshot.instances() {
        text.push_str(&format!(
            "  curl http://{}/   # {}, {}\n",
            one.authority(),
            one.identity.id,
            one.status
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portolan::{
        CheckScope, CheckState, Config, Discovery, Identity, Registry, Resolver,
        registry::{Definition, memory::Memory},
    };

    use super::*;

    async fn register(memory: &Memory, id: &str) {
        let definition = Definition::new(id.parse().unwrap(), "web".parse().unwrap(), "10.0.0.1", 80);
        memory.register(&definition).await.unwrap();
    }

    async fn seen(web: &Resolver, want: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        web.watch().wait_until(want, Duration::from_secs(60)).await.unwrap()
    }

    /// What the view comes to know, with both instances running.
    fn known(snapshot: &Snapshot, tally: &mut Tally) -> Vec<Subject> {
        let running = ["web-1".to_owned(), "web-2".to_owned()];
        let look = Look { snapshot, running: running.iter().collect() };
        look.known(tally, Duration::from_secs(9)).into_iter().map(|(subject, _)| subject).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_is_back_when_everyone_has_returned_to_it() {
        let memory = Memory::new();
        register(&memory, "web-1").await;
        register(&memory, "web-2").await;
        let discovery = Discovery::with_registry(Arc::new(memory.clone()), Config::default().seed(1));
        let web = discovery.service("web").await.unwrap();
        let mut tally = Tally::default();
        tally.act(Subject::RegistryStopped, Duration::ZERO);
        assert_eq!(known(&web.snapshot(), &mut tally), []);

        memory.set_reachable(false);
        let away = seen(&web, |snapshot| snapshot.failure().is_some()).await;
        assert_eq!(known(&away, &mut tally), [Subject::RegistryStopped]);
        tally.act(Subject::RegistryStarted, Duration::from_secs(5));
        assert_eq!(known(&away, &mut tally), [], "the old picture is no proof");

        memory.wipe();
        memory.set_reachable(true);
        let empty = seen(&web, |snapshot| snapshot.failure().is_none()).await;
        assert_eq!(known(&empty, &mut tally), [], "nobody is back");
        register(&memory, "web-1").await;
        let half = seen(&web, |snapshot| is_healthy(snapshot, "web-1")).await;
        assert_eq!(known(&half, &mut tally), [], "one is missing");
        register(&memory, "web-2").await;
        let whole = seen(&web, |snapshot| is_healthy(snapshot, "web-2") && snapshot.held().is_empty()).await;
        assert_eq!(known(&whole, &mut tally), [Subject::RegistryStarted]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_instance_that_goes_is_known_when_it_cannot_be_picked() {
        let memory = Memory::new();
        register(&memory, "web-1").await;
        register(&memory, "web-2").await;
        let discovery = Discovery::with_registry(Arc::new(memory.clone()), Config::default().seed(1));
        let web = discovery.service("web").await.unwrap();
        let mut tally = Tally::default();
        tally.act(Subject::Left("web-1".to_owned()), Duration::ZERO);
        tally.act(Subject::Deployed { new: "web-3".to_owned(), old: "web-2".to_owned() }, Duration::ZERO);
        assert_eq!(known(&web.snapshot(), &mut tally), []);
        memory.deregister(&"web-1".parse().unwrap()).await.unwrap();
        let gone = seen(&web, |snapshot| snapshot.instances().len() == 1).await;
        assert_eq!(known(&gone, &mut tally), [Subject::Left("web-1".to_owned())]);
        register(&memory, "web-3").await;
        let come = seen(&web, |snapshot| snapshot.instances().len() == 2).await;
        assert_eq!(known(&come, &mut tally).len(), 1);
    }

    fn web(id: &str, status: Status) -> Arc<Instance> {
        let check = CheckState::new("c", "c", status, CheckScope::Service);
        Arc::new(Instance::new(Identity::new("dc1", "n1", id), "web", "10.0.0.1", 1).with_checks(vec![check]))
    }

    #[test]
    fn only_changes_of_health_and_of_presence_are_told() {
        let mut changes = Changes::default();
        changes.added = vec![web("a", Status::Critical)];
        changes.removed = vec![web("b", Status::Passing)];
        changes.held = vec![web("c", Status::Passing)];
        changes.updated = vec![
            (web("d", Status::Passing), web("d", Status::Critical)),
            (
                web("e", Status::Passing),
                Arc::new(Instance::clone(&web("e", Status::Passing)).with_tags(["x"])),
            ),
        ];
        let told: Vec<String> = lines(&changes).into_iter().map(|(text, _)| text).collect();
        assert_eq!(
            told,
            [
                "a is new, critical",
                "d is critical, was passing",
                "c is held: the registry forgot it in a way that is not believed at once",
                "b is gone",
            ]
        );
    }
}
