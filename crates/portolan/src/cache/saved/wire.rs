//! The content of a saved view, as JSON. PURE.
//!
//! In:  a [`Saved`], or any bytes. Out: the other of the two. Fields may be added within a version: a reader passes over
//! what it does not know; what it misses, or cannot believe, makes the whole unreadable.
//!
//! Never: leaves a field of an instance out; keeps the same word twice in memory.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{CacheKey, LONGEST_WAY, Saved, Wall, millis};
use crate::{
    model::{CheckScope, CheckState, Identity, Instance, Meta, ServiceName, Status, Unreadable, Weights},
    snapshot::{Hidden, Source},
};

type Text<'a> = Cow<'a, str>;

#[derive(Serialize, Deserialize)]
struct View<'a> {
    #[serde(borrow)]
    key: Key<'a>,
    way: Vec<Word<'a>>,
    index: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    streaming: bool,
    hidden: Text<'a>,
    last_seen: Option<u64>,
    instances: Vec<One<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Key<'a> {
    #[serde(borrow)]
    registry: Text<'a>,
    datacenter: Option<Word<'a>>,
    #[serde(borrow)]
    namespace: Text<'a>,
    #[serde(borrow)]
    partition: Text<'a>,
    #[serde(borrow)]
    scope: Text<'a>,
    #[serde(borrow)]
    service: Text<'a>,
}

/// A text that is borrowed also inside a list or an option.
#[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(transparent)]
struct Word<'a>(#[serde(borrow)] Text<'a>);

#[derive(Serialize, Deserialize)]
struct One<'a> {
    #[serde(borrow)]
    datacenter: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    partition: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    namespace: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    peer: Text<'a>,
    #[serde(borrow)]
    node: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    service: Text<'a>,
    #[serde(borrow)]
    address: Text<'a>,
    port: u16,
    tags: Vec<Word<'a>>,
    meta: BTreeMap<Word<'a>, Word<'a>>,
    weights: (u16, u16),
    zone: Option<Word<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<Word<'a>>,
    version: Option<Word<'a>>,
    /// A text that is no version, and where it stands.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    no_version: Option<(Word<'a>, Word<'a>)>,
    checks: Vec<Check<'a>>,
    #[serde(borrow)]
    status: Text<'a>,
}

#[derive(Serialize, Deserialize)]
struct Check<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    output: Text<'a>,
    #[serde(default, skip_serializing_if = "is_false")]
    of_node: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Appends the JSON of `saved`.
pub(super) fn write(saved: &Saved, into: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let key = &saved.key;
    let view = View {
        key: Key {
            registry: text(&key.registry),
            datacenter: key.datacenter.as_deref().map(word),
            namespace: text(&key.namespace),
            partition: text(&key.partition),
            scope: text(&key.scope),
            service: text(key.service.as_str()),
        },
        way: saved.way.iter().map(|source| Word(source.to_string().into())).collect(),
        index: saved.index,
        streaming: saved.streaming,
        hidden: text(match saved.hidden {
            Hidden::No => "no",
            Hidden::Maybe => "maybe",
            Hidden::Yes => "yes",
        }),
        last_seen: saved.last_seen.map(millis),
        instances: saved.instances.iter().map(|instance| one(instance)).collect(),
    };
    serde_json::to_writer(into, &view)
}

fn text(text: &str) -> Text<'_> {
    Cow::Borrowed(text)
}

fn word(text: &str) -> Word<'_> {
    Word(Cow::Borrowed(text))
}

fn one(instance: &Instance) -> One<'_> {
    let Instance {
        identity,
        service,
        address,
        port,
        tags,
        meta,
        weights,
        zone,
        region,
        version,
        unreadable_version,
        checks,
        status,
    } = instance;
    One {
        datacenter: text(&identity.datacenter),
        partition: text(&identity.partition),
        namespace: text(&identity.namespace),
        peer: text(&identity.peer),
        node: text(&identity.node),
        id: text(&identity.id),
        service: text(service),
        address: text(address),
        port: *port,
        tags: tags.iter().map(|tag| word(tag)).collect(),
        meta: meta.iter().map(|(key, value)| (word(key), word(value))).collect(),
        weights: (weights.passing, weights.warning),
        zone: zone.as_deref().map(word),
        region: region.as_deref().map(word),
        version: version.as_ref().map(|version| Word(version.to_string().into())),
        no_version: unreadable_version
            .as_ref()
            .map(|unreadable| (word(&unreadable.text), Word(unreadable.from.to_string().into()))),
        checks: checks.iter().map(check).collect(),
        status: text(status.as_str()),
    }
}

fn check(check: &CheckState) -> Check<'_> {
    let CheckState { id, name, status, output, scope } = check;
    Check {
        id: text(id),
        name: text(name),
        status: text(status.as_str()),
        output: text(output),
        of_node: *scope == CheckScope::Node,
    }
}

/// Reads the JSON of a view; `None` when it is not one.
pub(super) fn read(content: &[u8], proof: Wall) -> Option<Saved> {
    let view: View<'_> = serde_json::from_slice(content).ok()?;
    let mut words = Words::default();
    let key = CacheKey {
        registry: words.keep(&view.key.registry),
        datacenter: view.key.datacenter.map(|name| words.keep(&name.0)),
        namespace: words.keep(&view.key.namespace),
        partition: words.keep(&view.key.partition),
        scope: words.keep(&view.key.scope),
        service: ServiceName::new(&view.key.service).ok()?,
    };
    let way = view.way.iter().filter_map(|word| source(&word.0)).take(LONGEST_WAY).collect();
    let mut instances: Vec<Arc<Instance>> =
        view.instances.into_iter().map(|one| words.instance(one).map(Arc::new)).collect::<Option<_>>()?;
    // Readers and the differ of snapshots count on the order; whoever wrote this may have had another.
    instances.sort_by(|left, right| left.identity.cmp(&right.identity));
    instances.dedup_by(|left, right| left.identity == right.identity);
    let hidden = match &*view.hidden {
        "no" => Hidden::No,
        "maybe" => Hidden::Maybe,
        "yes" => Hidden::Yes,
        _ => return None,
    };
    Some(Saved {
        key,
        proof,
        way,
        index: view.index,
        streaming: view.streaming,
        hidden,
        last_seen: view.last_seen.map(Wall::from_millis),
        instances: instances.into(),
    })
}

fn source(word: &str) -> Option<Source> {
    [Source::Live, Source::Shared, Source::Disk].into_iter().find(|source| source.to_string() == word)
}

fn unreadable(text: &str, from: &str) -> Option<Arc<Unreadable>> {
    Some(Arc::new(Unreadable::new(text, from.parse().ok()?)))
}

fn status(word: &str) -> Option<Status> {
    [Status::Passing, Status::Warning, Status::Critical, Status::Maintenance]
        .into_iter()
        .find(|status| status.as_str() == word)
}

/// The words of one value, each kept once: ten thousand instances share their tags, zones and nodes, and neighbours
/// whole lists of them.
#[derive(Default)]
struct Words {
    all: BTreeSet<Arc<str>>,
    tags: Arc<[Arc<str>]>,
    meta: Meta,
}

impl Words {
    fn keep(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.all.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.all.insert(Arc::clone(&new));
        new
    }

    fn instance(&mut self, one: One<'_>) -> Option<Instance> {
        let identity = Identity {
            datacenter: self.keep(&one.datacenter),
            partition: self.keep(&one.partition),
            namespace: self.keep(&one.namespace),
            peer: self.keep(&one.peer),
            node: self.keep(&one.node),
            id: self.keep(&one.id),
        };
        Some(Instance {
            identity,
            service: self.keep(&one.service),
            address: self.keep(&one.address),
            port: one.port,
            tags: self.tags(&one.tags),
            meta: self.meta(&one.meta),
            weights: Weights { passing: one.weights.0, warning: one.weights.1 },
            zone: one.zone.map(|zone| self.keep(&zone.0)),
            region: one.region.map(|region| self.keep(&region.0)),
            version: one.version.map(|text| semver::Version::parse(&text.0)).transpose().ok()?,
            unreadable_version: match one.no_version {
                Some((text, from)) => Some(unreadable(&text.0, &from.0)?),
                None => None,
            },
            checks: one.checks.into_iter().map(|check| self.check(&check)).collect::<Option<_>>()?,
            status: status(&one.status)?,
        })
    }

    fn tags(&mut self, tags: &[Word<'_>]) -> Arc<[Arc<str>]> {
        if !self.tags.iter().map(|tag| &**tag).eq(tags.iter().map(|tag| &*tag.0)) {
            self.tags = tags.iter().map(|tag| self.keep(&tag.0)).collect();
        }
        Arc::clone(&self.tags)
    }

    fn meta(&mut self, pairs: &BTreeMap<Word<'_>, Word<'_>>) -> Meta {
        let known = self.meta.iter().map(|(key, value)| (&**key, &**value));
        if !known.eq(pairs.iter().map(|(key, value)| (&*key.0, &*value.0))) {
            self.meta = pairs.iter().map(|(key, value)| (self.keep(&key.0), self.keep(&value.0))).collect();
        }
        self.meta.clone()
    }

    fn check(&mut self, check: &Check<'_>) -> Option<CheckState> {
        Some(CheckState {
            id: self.keep(&check.id),
            name: self.keep(&check.name),
            status: status(&check.status)?,
            output: (*check.output).into(),
            scope: if check.of_node { CheckScope::Node } else { CheckScope::Service },
        })
    }
}
