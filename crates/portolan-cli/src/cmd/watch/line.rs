//! From changes to lines: what `watch` prints. PURE.
//!
//! In:  changes of a view, and which instances were asked for. Out: one entry a change, as text or as JSON.
//!
//! Never: tells of an instance that was not asked for; an instance that stops fitting is told as gone.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::sync::Arc;

use portolan::{Changes, Instance};
use serde_json::{Value, json};

use crate::output::{Ink, instance, plain};

/// One change of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    kind: Kind,
    now: Arc<Instance>,
    before: Option<Arc<Instance>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Added,
    Updated,
    Removed,
    Held,
    Returned,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Removed => "removed",
            Self::Held => "held",
            Self::Returned => "returned",
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Added => "+",
            Self::Removed => "-",
            Self::Updated | Self::Held | Self::Returned => "~",
        }
    }
}

/// The entries of these changes, in the order of node and id.
pub(crate) fn entries(changes: &Changes, fits: impl Fn(&Instance) -> bool) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut tell = |kind, now: &Arc<Instance>, before: Option<&Arc<Instance>>| {
        entries.push(Entry { kind, now: Arc::clone(now), before: before.map(Arc::clone) });
    };
    for (kind, list) in [
        (Kind::Added, &changes.added),
        (Kind::Removed, &changes.removed),
        (Kind::Held, &changes.held),
        (Kind::Returned, &changes.returned),
    ] {
        list.iter().filter(|one| fits(one)).for_each(|one| tell(kind, one, None));
    }
    for (old, new) in &changes.updated {
        match (fits(old), fits(new)) {
            (true, true) => tell(Kind::Updated, new, Some(old)),
            (true, false) => tell(Kind::Removed, old, None),
            (false, true) => tell(Kind::Added, new, None),
            (false, false) => {}
        }
    }
    entries.sort_by(|a, b| a.now.identity.cmp(&b.now.identity));
    entries
}

impl Entry {
    /// `TIME + web-1 10.0.0.1:8080 passing`, with its end.
    pub(crate) fn line(&self, time: &str, color: bool) -> String {
        let sign = match self.kind {
            Kind::Added => Ink::Good,
            Kind::Removed => Ink::Bad,
            Kind::Updated | Kind::Held | Kind::Returned => Ink::Doubtful,
        }
        .on(self.kind.sign(), color);
        let id = plain(&self.now.identity.id);
        let place = plain(&self.now.authority());
        let status = Ink::from(self.now.status).on(self.now.status.as_str(), color);
        let note = self.note();
        format!("{} {sign} {id} {place} {status}{note}\n", Ink::Faint.on(time, color))
    }

    /// What else there is to say.
    fn note(&self) -> String {
        match (self.kind, &self.before) {
            (Kind::Held, _) => " (held: the registry no longer names it, which may be an error)".to_owned(),
            (Kind::Returned, _) => " (the registry names it again)".to_owned(),
            (Kind::Updated, Some(before)) => updated(before, &self.now),
            _ => String::new(),
        }
    }

    /// The entry as one line of JSON, with its end.
    pub(crate) fn json(&self, time: &str) -> String {
        let mut object =
            json!({"time": time, "change": self.kind.word(), "instance": instance::json(&self.now)});
        if let (Some(before), Value::Object(fields)) = (&self.before, &mut object) {
            fields.insert("before".to_owned(), instance::json(before));
        }
        format!("{object}\n")
    }
}

fn updated(before: &Instance, now: &Instance) -> String {
    let mut notes = Vec::new();
    if before.status != now.status {
        notes.push(format!("was {}", before.status));
    }
    if (&before.address, before.port) != (&now.address, now.port) {
        notes.push(format!("was at {}", plain(&before.authority())));
    }
    for (differs, what) in [
        (before.tags != now.tags, "other tags"),
        (before.meta != now.meta, "other meta"),
        (before.weights != now.weights, "other weights"),
        (before.zone != now.zone, "other zone"),
        (before.region != now.region, "other region"),
        (before.status == now.status && before.checks != now.checks, "other checks"),
    ] {
        if differs {
            notes.push(what.to_owned());
        }
    }
    if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) }
}

#[cfg(test)]
mod tests {
    use portolan::{CheckScope, CheckState, Identity, Status};

    use super::*;

    fn web(id: &str, status: Status) -> Arc<Instance> {
        let check = CheckState::new("c", "c", status, CheckScope::Service);
        Arc::new(
            Instance::new(Identity::new("dc1", "n1", id), "web", "10.0.0.1", 8080).with_checks(vec![check]),
        )
    }

    fn tagged(id: &str, tag: &str) -> Arc<Instance> {
        Arc::new(Instance::new(Identity::new("dc1", "n1", id), "web", "10.0.0.1", 8080).with_tags([tag]))
    }

    fn lines(changes: &Changes, fits: impl Fn(&Instance) -> bool) -> String {
        entries(changes, fits).iter().map(|entry| entry.line("T", false)).collect()
    }

    #[test]
    fn each_change_is_a_line() {
        let mut changes = Changes::default();
        changes.added = vec![web("b", Status::Passing)];
        changes.removed = vec![web("a", Status::Critical)];
        changes.held = vec![web("e", Status::Passing)];
        changes.returned = vec![web("f", Status::Passing)];
        changes.updated = vec![
            (web("c", Status::Passing), web("c", Status::Critical)),
            (tagged("d", "x"), tagged("d", "y")),
        ];
        assert_eq!(
            lines(&changes, |_| true),
            "T - a 10.0.0.1:8080 critical\n\
             T + b 10.0.0.1:8080 passing\n\
             T ~ c 10.0.0.1:8080 critical (was passing)\n\
             T ~ d 10.0.0.1:8080 passing (other tags)\n\
             T ~ e 10.0.0.1:8080 passing (held: the registry no longer names it, which may be an error)\n\
             T ~ f 10.0.0.1:8080 passing (the registry names it again)\n"
        );
    }

    #[test]
    fn an_instance_that_stops_fitting_is_told_as_gone() {
        let fits = |one: &Instance| one.tags.iter().any(|tag| &**tag == "x");
        let mut changes = Changes::default();
        changes.added = vec![tagged("a", "y")];
        changes.updated = vec![
            (tagged("b", "x"), tagged("b", "y")),
            (tagged("c", "y"), tagged("c", "x")),
            (tagged("d", "y"), tagged("d", "z")),
        ];
        assert_eq!(lines(&changes, fits), "T - b 10.0.0.1:8080 passing\nT + c 10.0.0.1:8080 passing\n");
    }

    #[test]
    fn json_is_one_line_with_what_was_before() {
        let mut changes = Changes::default();
        changes.updated = vec![(web("c", Status::Passing), web("c", Status::Critical))];
        let line = entries(&changes, |_| true).first().unwrap().json("T");
        assert_eq!(line.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["change"], "updated");
        assert_eq!(value["instance"]["status"], "critical");
        assert_eq!(value["before"]["status"], "passing");
    }
}
