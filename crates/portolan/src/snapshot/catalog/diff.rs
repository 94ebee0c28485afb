//! What differs between two lists of services. PURE.
//!
//! In:  two lists. Out: what to add, to tag anew, to remove, ordered by name. Never: tells a service twice; tells an
//! order of tags, for both lists have them sorted.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc};

use super::Catalog;
use crate::registry::ServiceTags;

/// How a consumer's picture of the services must change. A service is in one list only, but for one that came back
/// with other tags, which is in `returned` and in `retagged`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CatalogChanges {
    /// New services, with their tags.
    pub added: ServiceTags,
    /// Services whose tags changed.
    pub retagged: Vec<Retagged>,
    /// Services that are gone, with the tags they had.
    pub removed: ServiceTags,
    /// Services that the registry no longer names, kept for a while because its word is in doubt.
    pub held: ServiceTags,
    /// Held services that the registry names again.
    pub returned: ServiceTags,
}

/// A service whose tags changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retagged {
    /// The service.
    pub name: Arc<str>,
    /// The tags it had.
    pub before: Vec<Arc<str>>,
    /// The tags it has.
    pub now: Vec<Arc<str>>,
}

/// The tags of a service and whether it is held.
type Member<'a> = (&'a Vec<Arc<str>>, bool);

impl CatalogChanges {
    /// From `old` to `new`.
    #[must_use]
    pub fn between(old: &Catalog, new: &Catalog) -> Self {
        let mut changes = Self::default();
        if Arc::ptr_eq(&old.services, &new.services) && Arc::ptr_eq(&old.held, &new.held) {
            return changes;
        }
        let mut before = members(old);
        for (name, now) in members(new) {
            changes.compare(name, before.remove(name), now);
        }
        let gone = before.into_iter().map(|(name, (tags, _))| (Arc::clone(name), tags.clone()));
        changes.removed = gone.collect();
        changes
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.retagged.is_empty()
            && self.removed.is_empty()
            && self.held.is_empty()
            && self.returned.is_empty()
    }

    fn compare(&mut self, name: &Arc<str>, before: Option<Member<'_>>, (tags, held): Member<'_>) {
        let put = |list: &mut ServiceTags| {
            list.insert(Arc::clone(name), tags.clone());
        };
        let Some((old, was_held)) = before else {
            return put(if held { &mut self.held } else { &mut self.added });
        };
        match (was_held, held) {
            (false, true) => put(&mut self.held),
            (true, false) => put(&mut self.returned),
            _ => {}
        }
        if old != tags {
            let (name, before, now) = (Arc::clone(name), old.clone(), tags.clone());
            self.retagged.push(Retagged { name, before, now });
        }
    }
}

fn members(catalog: &Catalog) -> BTreeMap<&Arc<str>, Member<'_>> {
    let confirmed = catalog.services.iter().map(|(name, tags)| (name, (tags, false)));
    let held = catalog.held.iter().map(|(name, tags)| (name, (tags, true)));
    held.chain(confirmed).collect()
}
