//! Why a selection refuses an instance: what it lacks, its version, its health. PURE.
//!
//! In:  an instance, and what is asked of versions. Out: the first reason why not.
//!
//! Never: calls unhealthy what the caller did not ask for.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::sync::Arc;

use super::{Exclusion, Select, Warning};
use crate::{
    model::{Instance, Requirement, Status},
    resolve::wants::{Wants, resolved},
};

impl Select {
    /// Why `instance` cannot be picked; `None`: it can, if its weight lets it. Of `latest` and `latest-minor`, which
    /// depend on what else there is, it says as much as [`Requirement::matches`]: see [`resolved`](Self::resolved).
    #[must_use]
    pub fn refuses(&self, instance: &Instance) -> Option<Exclusion> {
        self.refuses_by(&Wants::of_one(self), instance)
    }

    pub(in crate::resolve) fn refuses_by(&self, wants: &Wants, instance: &Instance) -> Option<Exclusion> {
        self.lacks(instance).or_else(|| wants.refuses(instance)).or_else(|| self.sick(instance))
    }

    /// The same where these instances are known: `latest` and `latest-minor` become what they are among them. A resolver
    /// does this by itself.
    #[must_use]
    pub fn resolved(mut self, known: &[Arc<Instance>]) -> Self {
        let here = |wanted: Option<&Requirement>| wanted.map(|one| resolved(one, None, &self, (known, &[])));
        let (version, fallback) = (here(self.version.as_ref()), here(self.version_fallback.as_ref()));
        (self.version, self.version_fallback) = (version, fallback);
        self
    }

    /// What it lacks, whatever its version.
    pub(in crate::resolve) fn lacks(&self, instance: &Instance) -> Option<Exclusion> {
        if let Some(tag) = self.tags.iter().find(|tag| !has_tag(instance, tag)) {
            return Some(Exclusion::Tag(Arc::clone(tag)));
        }
        let mut pairs = self.meta.iter();
        if let Some((key, _)) = pairs.find(|(key, value)| instance.meta.get(key) != Some(*value)) {
            return Some(Exclusion::Meta { key: Arc::clone(key), found: instance.meta.get(key).cloned() });
        }
        let filter = self.filter.as_ref().filter(|filter| !filter.fits(instance))?;
        Some(Exclusion::Filter(filter.clone()))
    }

    /// Its health, where that is refused.
    pub(in crate::resolve) fn sick(&self, instance: &Instance) -> Option<Exclusion> {
        match instance.status {
            Status::Passing => None,
            Status::Warning if self.warning == Warning::Allow => None,
            status => Some(Exclusion::Unhealthy { status, check: worst_check(instance) }),
        }
    }
}

/// Whether it has this tag; without case, as Consul compares them.
pub(in crate::resolve) fn has_tag(instance: &Instance, wanted: &str) -> bool {
    instance.tags.iter().any(|tag| equal_without_case(tag, wanted))
}

fn equal_without_case(left: &str, right: &str) -> bool {
    left == right || left.to_lowercase() == right.to_lowercase()
}

fn worst_check(instance: &Instance) -> Option<Arc<str>> {
    let check = instance.checks.iter().max_by_key(|check| check.status)?;
    Some(Arc::clone(&check.id))
}
