//! What is asked of versions, once it is known which there are: the newest resolved, the parts of a split laid out. PURE.
//!
//! In:  what the caller asked for, the split that holds, and a snapshot. Out: whether a version will do, and in which part.
//!
//! Never: an instance in two parts; `latest` of a version of which nothing can be picked, while there is another.
//!
//! Proof: `resolve/tests/versions.rs`, `resolve/tests/splits.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{fmt, sync::Arc};

use super::select::{Exclusion, Select};
use crate::{
    model::{Instance, Requirement, Split, SplitPart},
    snapshot::Snapshot,
};

/// A part of the split that holds, and how it stands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SplitShare {
    /// The part as it was written.
    pub part: Arc<SplitPart>,
    /// Its versions: where the part says `latest` or `latest-minor`, those which that are now.
    pub versions: Requirement,
    /// How many instances of it can be picked.
    pub usable: usize,
    /// Its share of the picks now, 0 to 1: that of a part which has no instance goes to the others.
    pub share: f64,
}

impl fmt::Display for SplitShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (weight, share) = (self.part.weight, self.share * 100.0);
        write!(
            f,
            "{} of weight {weight} gets {share:.1}% with {} usable",
            self.part.requirement, self.usable
        )?;
        if self.versions == self.part.requirement { Ok(()) } else { write!(f, ", now {}", self.versions) }
    }
}

/// What is asked of versions.
#[derive(Debug, Default)]
pub(super) struct Wants {
    version: Option<Requirement>,
    /// In their order; none without a split. Each with what it accepts now.
    parts: Vec<(Arc<SplitPart>, Requirement)>,
}

impl Wants {
    /// As far as it can be said of one instance alone.
    pub(super) fn of_one(select: &Select) -> Self {
        let part = |part: &Arc<SplitPart>| (Arc::clone(part), part.requirement.clone());
        let parts = select.split.iter().flat_map(Split::parts).map(part).collect();
        Self { version: select.version.clone(), parts }
    }

    /// Among the instances of `snapshot`.
    pub(super) fn new(
        version: Option<&Requirement>,
        split: Option<&Split>,
        select: &Select,
        snapshot: &Snapshot,
    ) -> Self {
        let (known, held) = (&*snapshot.instances, &*snapshot.held);
        let version = version.map(|version| resolved(version, None, select, (known, held)));
        let part = |part: &Arc<SplitPart>| {
            (Arc::clone(part), resolved(&part.requirement, version.as_ref(), select, (known, held)))
        };
        let parts = split.into_iter().flat_map(Split::parts).map(part).collect();
        Self { version, parts }
    }

    /// Whether anything is asked.
    pub(super) fn are_none(&self) -> bool {
        self.version.is_none() && self.parts.is_empty()
    }

    /// The parts, each with what it accepts now.
    pub(super) fn parts(&self) -> &[(Arc<SplitPart>, Requirement)] {
        &self.parts
    }

    /// Whether its version is asked for, in a part of any weight.
    pub(super) fn accept(&self, instance: &Instance) -> bool {
        let Some(found) = &instance.version else { return self.are_none() };
        self.version.as_ref().is_none_or(|version| version.matches(found))
            && (self.parts.is_empty() || self.part_of(instance).is_some())
    }

    /// The part that it belongs to: the first that accepts it.
    pub(super) fn part_of(&self, instance: &Instance) -> Option<usize> {
        let found = instance.version.as_ref()?;
        self.parts.iter().position(|(_, versions)| versions.matches(found))
    }

    pub(super) fn refuses(&self, instance: &Instance) -> Option<Exclusion> {
        if !self.accept(instance) {
            return Some(match (&instance.version, &instance.unreadable_version) {
                (None, Some(what)) => Exclusion::UnreadableVersion(Arc::clone(what)),
                (found, _) => Exclusion::Version { found: found.clone() },
            });
        }
        let (part, _) = self.parts.get(self.part_of(instance)?)?;
        (part.weight == 0).then(|| Exclusion::NoShare(part.requirement.clone()))
    }
}

impl fmt::Display for Wants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        if let Some(version) = &self.version {
            write!(f, "{version}")?;
            between = " and ";
        }
        for (part, _) in &self.parts {
            write!(f, "{between}{}", part.requirement)?;
            between = " or ";
        }
        Ok(())
    }
}

/// What a requirement is, where it depends on what there is: on what can be picked, or else on what is known.
pub(super) fn resolved(
    requirement: &Requirement,
    within: Option<&Requirement>,
    select: &Select,
    (known, held): (&[Arc<Instance>], &[Arc<Instance>]),
) -> Requirement {
    if !requirement.is_relative() {
        return requirement.clone();
    }
    let among = |instances: &[Arc<Instance>], pickable: bool| {
        let fits =
            |one: &&Arc<Instance>| select.lacks(one).is_none() && !(pickable && select.sick(one).is_some());
        let known = instances.iter().filter(fits).filter_map(|one| one.version.as_ref());
        requirement.resolve(known.filter(|found| within.is_none_or(|within| within.matches(found))))
    };
    // Were it the newest that is known, one that only starts would take all requests, and refuse them.
    among(known, true)
        .or_else(|| among(held, true))
        .or_else(|| among(known, false))
        .unwrap_or_else(|| requirement.clone())
}
