//! From changes of the list of services to lines: what `services --watch` prints. PURE.
//!
//! In:  changes. Out: one entry a service and change, ordered by name, as text or as JSON.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::sync::Arc;

use portolan::{CatalogChanges, registry::ServiceTags};
use serde_json::{Value, json};

use crate::output::{Ink, plain};

/// One change of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    kind: Kind,
    name: Arc<str>,
    tags: Vec<Arc<str>>,
    before: Option<Vec<Arc<str>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Added,
    Retagged,
    Removed,
    Held,
    Returned,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Retagged => "retagged",
            Self::Removed => "removed",
            Self::Held => "held",
            Self::Returned => "returned",
        }
    }

    fn sign(self) -> (&'static str, Ink) {
        match self {
            Self::Added => ("+", Ink::Good),
            Self::Removed => ("-", Ink::Bad),
            Self::Retagged | Self::Held | Self::Returned => ("~", Ink::Doubtful),
        }
    }
}

/// The entries of these changes, in the order of names.
pub(crate) fn entries(changes: &CatalogChanges) -> Vec<Entry> {
    let all = |kind: Kind, list: &ServiceTags| -> Vec<Entry> {
        let own = |(name, tags): (&Arc<str>, &Vec<Arc<str>>)| Entry {
            kind,
            name: Arc::clone(name),
            tags: tags.clone(),
            before: None,
        };
        list.iter().map(own).collect()
    };
    let mut entries = all(Kind::Added, &changes.added);
    entries.extend(all(Kind::Removed, &changes.removed));
    entries.extend(all(Kind::Held, &changes.held));
    entries.extend(all(Kind::Returned, &changes.returned));
    entries.extend(changes.retagged.iter().map(|one| Entry {
        kind: Kind::Retagged,
        name: Arc::clone(&one.name),
        tags: one.now.clone(),
        before: Some(one.before.clone()),
    }));
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

impl Entry {
    /// `TIME + web blue,green`, with its end.
    pub(crate) fn line(&self, time: &str, color: bool) -> String {
        let (sign, ink) = self.kind.sign();
        let mut line =
            format!("{} {} {}", Ink::Faint.on(time, color), ink.on(sign, color), plain(&self.name));
        if !self.tags.is_empty() {
            line.push(' ');
            line.push_str(&plain(&self.tags.join(",")));
        }
        match (self.kind, &self.before) {
            (Kind::Held, _) => {
                line.push_str(" (held: the registry no longer names it, which may be an error)")
            }
            (Kind::Returned, _) => line.push_str(" (the registry names it again)"),
            (_, Some(before)) if before.is_empty() => line.push_str(" (had no tags)"),
            (_, Some(before)) => line.push_str(&format!(" (was {})", plain(&before.join(",")))),
            _ => {}
        }
        line.push('\n');
        line
    }

    /// The entry as one line of JSON, with its end.
    pub(crate) fn json(&self, time: &str) -> String {
        let list = |tags: &[Arc<str>]| Value::from_iter(tags.iter().map(|tag| &**tag));
        let mut object = json!({
            "time": time, "change": self.kind.word(), "service": &*self.name, "tags": list(&self.tags)
        });
        if let (Some(before), Value::Object(fields)) = (&self.before, &mut object) {
            fields.insert("before".to_owned(), list(before));
        }
        format!("{object}\n")
    }
}

#[cfg(test)]
mod tests {
    use portolan::{Config, Discovery, Registry as _, registry::Definition, registry::memory::Memory};

    use super::*;

    fn tags(list: &[&str]) -> Vec<Arc<str>> {
        list.iter().map(|tag| (*tag).into()).collect()
    }

    fn one(kind: Kind, now: &[&str], before: Option<&[&str]>) -> Entry {
        Entry { kind, name: "web".into(), tags: tags(now), before: before.map(tags) }
    }

    #[test]
    fn each_change_is_a_line() {
        for (entry, line) in [
            (one(Kind::Added, &["a", "b"], None), "T + web a,b\n"),
            (one(Kind::Added, &[], None), "T + web\n"),
            (one(Kind::Removed, &["a"], None), "T - web a\n"),
            (one(Kind::Retagged, &["a", "b"], Some(&["a"])), "T ~ web a,b (was a)\n"),
            (one(Kind::Retagged, &["a"], Some(&[])), "T ~ web a (had no tags)\n"),
            (one(Kind::Retagged, &["x\n"], Some(&["\x1b"])), "T ~ web x\\n (was \\u{1b})\n"),
            (one(Kind::Returned, &[], None), "T ~ web (the registry names it again)\n"),
            (
                one(Kind::Held, &[], None),
                "T ~ web (held: the registry no longer names it, which may be an error)\n",
            ),
        ] {
            assert_eq!(entry.line("T", false), line);
        }
        let json: Value = serde_json::from_str(&one(Kind::Retagged, &["b"], Some(&["a"])).json("T")).unwrap();
        let expected =
            json!({"time": "T", "change": "retagged", "service": "web", "tags": ["b"], "before": ["a"]});
        assert_eq!(json, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn the_lines_of_one_set_of_changes_are_in_the_order_of_names() {
        let memory = Memory::new();
        let put = async |name: &str, tag: &str| {
            let id = name.parse().unwrap();
            let mut definition = Definition::new(id, name.parse().unwrap(), "10.0.0.1", 80);
            definition.tags = vec![tag.to_owned()];
            memory.register(&definition).await.unwrap();
        };
        put("b", "old").await;
        put("c", "t").await;
        let discovery = Discovery::with_registry(Arc::new(memory.clone()), Config::default());
        let mut services = discovery.services().await.unwrap();
        services.changed().await.unwrap();
        put("a", "t").await;
        put("b", "new").await;
        memory.deregister(&"c".parse().unwrap()).await.unwrap();
        let is_last = |now: &portolan::Catalog| now.tags("c").is_none();
        services.wait_until(is_last, std::time::Duration::from_secs(60)).await.unwrap();
        let changes = services.changed().await.unwrap();
        let text: String = entries(&changes).iter().map(|entry| entry.line("T", false)).collect();
        assert_eq!(text, "T + a t\nT ~ b new (was old)\nT - c t\n");
    }
}
