//! What differs between two snapshots, by full equality of every instance. PURE.
//!
//! In:  two snapshots, each ordered by identity. Out: five lists. Never: overlooks a field; tells an instance twice.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc};

use super::Snapshot;
use crate::model::{Identity, Instance};

/// How a consumer's picture must change. An instance is in one list only, but for one that came back changed, which
/// is in `returned` and in `updated`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// New instances.
    pub added: Vec<Arc<Instance>>,
    /// Instances of which any field changed: as it was, as it is.
    pub updated: Vec<(Arc<Instance>, Arc<Instance>)>,
    /// Instances that are gone.
    pub removed: Vec<Arc<Instance>>,
    /// Instances that the registry no longer names, kept for a while because its word is in doubt.
    pub held: Vec<Arc<Instance>>,
    /// Held instances that the registry names again.
    pub returned: Vec<Arc<Instance>>,
}

/// An instance and whether it is held.
type Member<'a> = (&'a Arc<Instance>, bool);

impl Changes {
    /// From `old` to `new`.
    #[must_use]
    pub fn between(old: &Snapshot, new: &Snapshot) -> Self {
        let mut changes = Self::default();
        if Arc::ptr_eq(&old.instances, &new.instances) && Arc::ptr_eq(&old.held, &new.held) {
            return changes;
        }
        let mut before = members(old);
        for (identity, now) in members(new) {
            changes.compare(before.remove(identity), now);
        }
        changes.removed = before.into_values().map(|(gone, _)| Arc::clone(gone)).collect();
        changes
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.updated.is_empty()
            && self.removed.is_empty()
            && self.held.is_empty()
            && self.returned.is_empty()
    }

    fn compare(&mut self, before: Option<Member<'_>>, (new, held): Member<'_>) {
        let Some((old, was_held)) = before else {
            let list = if held { &mut self.held } else { &mut self.added };
            list.push(Arc::clone(new));
            return;
        };
        match (was_held, held) {
            (false, true) => self.held.push(Arc::clone(new)),
            (true, false) => self.returned.push(Arc::clone(new)),
            _ => {}
        }
        if !Arc::ptr_eq(old, new) && old != new {
            self.updated.push((Arc::clone(old), Arc::clone(new)));
        }
    }
}

fn members(snapshot: &Snapshot) -> BTreeMap<&Identity, Member<'_>> {
    let confirmed = snapshot.instances.iter().map(|instance| (instance, false));
    let held = snapshot.held.iter().map(|instance| (instance, true));
    confirmed.chain(held).map(|member| (&member.0.identity, member)).collect()
}
