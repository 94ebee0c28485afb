//! What a caller prefers, and which share of the requests each instance gets by it. PURE.
//!
//! In:  the instances that can be picked with their weights, those that are left out for their health, the preferences
//! in order, and where the caller is. Out: a [`Share`] for each instance that can be picked; together they are all.
//!
//! A preference splits a set into groups, which share what the set gets; the next splits each of them, and so on. Within
//! the last groups the weights decide. There are two ways to share:
//!
//! - By place (node, zone, region), so that all instances get alike while callers stay near: `groups::places`.
//! - By level (tag, meta, priority), so that a later group takes what an earlier one is too sick for: `groups::levels`.
//!
//! Never: a share for what cannot be picked; a share lost; NaN, whatever the weights.
//!
//! Rules from Envoy: docs/root/intro/arch_overview/upstream/load_balancing/{zone_aware,priority}.rst;
//! source/common/upstream/load_balancer_impl.cc (`regenerateLocalityRoutingStructures`, `recalculateLoadInTotal`).
//! Proof: `prefer/tests.rs`, Envoy's own tables, and properties over any set.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::sync::Arc;

use crate::{error::Error, model::Instance};

mod groups;
mod locality;
mod share;
mod text;

use groups::{Group, Split};
pub use locality::Locality;
pub(super) use share::weights;
pub use share::{Share, Tier};

/// So many preferences at most: each doubles the groups.
const MOST: usize = 8;

/// What is preferred among the instances that can be picked. See [`Select::prefer`](crate::Select::prefer).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prefer {
    /// Those on the caller's node, as far as they carry it: see [`SameZone`](Self::SameZone), for nodes.
    SameNode,
    /// Those in the caller's zone: all requests stay in it while its share of the weights is at least its share of the
    /// callers. Else as many as its instances can take without getting more than the others; the rest goes to the zones
    /// whose instances get less than their share from their own callers. As Envoy's zone aware routing.
    ///
    /// Where the caller's zone is not known, or has no instance, healthy or not, it says nothing.
    SameZone {
        /// How many percent of all callers are in this zone: 1 to 100. `None`, the default: callers are spread evenly
        /// over the zones. 1 keeps nearly all requests local.
        callers: Option<u8>,
        /// With fewer instances that can be picked it says nothing, as a zone would be one instance or two: 1 or more,
        /// default 6 (Envoy: `min_cluster_size`).
        among: usize,
    },
    /// Those in the caller's region, as far as they carry it: see [`SameZone`](Self::SameZone), for regions.
    SameRegion,
    /// Those with this tag, compared without case, while enough of them are healthy: a group gets all while 1 in 1.4 of
    /// its instances (72 %) is, and less in proportion below; the rest goes to the others. As Envoy's priority levels.
    /// Of the others no more is asked than they can do: when no group is healthy enough, they share by their health.
    ///
    /// Healthy are those that can be picked; of how many: those that match the filter and are not in maintenance.
    Tag(Arc<str>),
    /// Those whose meta has this pair: shared as with [`Tag`](Self::Tag).
    Meta {
        /// The key.
        key: Arc<str>,
        /// The value.
        value: Arc<str>,
    },
    /// Those with the lowest whole number under this key of their meta, then those with the next, and last those without
    /// one: as many groups as numbers, shared as with [`Tag`](Self::Tag).
    Priority {
        /// The key.
        key: Arc<str>,
    },
}

impl Prefer {
    /// The caller's zone, with the defaults.
    #[must_use]
    pub fn same_zone() -> Self {
        Self::SameZone { callers: None, among: text::AMONG }
    }

    /// Those with this tag.
    #[must_use]
    pub fn tag(tag: &str) -> Self {
        Self::Tag(tag.into())
    }

    /// Those whose meta has this pair.
    #[must_use]
    pub fn meta(key: &str, value: &str) -> Self {
        Self::Meta { key: key.into(), value: value.into() }
    }

    /// Those with the lowest whole number under this key of their meta, then the next.
    #[must_use]
    pub fn priority(key: &str) -> Self {
        Self::Priority { key: key.into() }
    }

    fn wrong(&self) -> Option<String> {
        match self {
            Self::SameZone { callers: Some(percent), .. } if !(1..=100).contains(percent) => Some(format!(
                "{self}: {percent} percent of the callers is not from 1 to 100; None means evenly spread"
            )),
            Self::SameZone { among: 0, .. } => {
                Some(format!("{self}: among 0 says nothing; set 1 or more, 6 is the default"))
            }
            Self::Tag(tag) if tag.is_empty() => Some(format!("{self}: \"\" is no tag; name one")),
            Self::Meta { key, .. } | Self::Priority { key } if key.is_empty() => {
                Some(format!("{self}: \"\" is no key of meta; name one"))
            }
            _ => None,
        }
    }
}

/// # Errors
/// [`Kind::Config`](crate::Kind::Config), naming the preference and what is wrong with it.
pub(super) fn check(prefer: &[Prefer]) -> Result<(), Error> {
    if prefer.len() > MOST {
        let count = prefer.len();
        return Err(Error::config(format!("select.prefer: {count} are too many; {MOST} are allowed")));
    }
    match prefer.iter().find_map(Prefer::wrong) {
        Some(wrong) => Err(Error::config(format!("select.prefer: {wrong}"))),
        None => Ok(()),
    }
}

/// The share of each of `usable`, in their order. `weights` are theirs, and at least one is above 0; `sick` match the
/// filter, are not in maintenance and cannot be picked.
pub(super) fn shares(
    prefer: &[Prefer],
    here: &Locality,
    usable: &[Arc<Instance>],
    weights: &[u32],
    sick: &[Arc<Instance>],
) -> Vec<Share> {
    let weights = weights.iter().copied().map(f64::from).collect();
    Split::new(here, usable, weights).shares(prefer, &Group::all(usable, sick))
}

/// Whether the first preference that makes levels finds enough health in all of them together. Then that few are healthy
/// is no sign of a collapse: one group is down, and another stands in for it.
///
/// Envoy: docs/root/intro/arch_overview/upstream/load_balancing/panic_threshold.rst.
pub(super) fn stands_in(prefer: &[Prefer], usable: &[Arc<Instance>], sick: &[Arc<Instance>]) -> bool {
    let all = Group::all(usable, sick);
    let groups = prefer.iter().find_map(|prefer| groups::by_level(prefer, usable, &all));
    groups.is_some_and(|groups| groups.iter().map(Group::health).sum::<f64>() >= 1.0)
}

#[cfg(test)]
mod tests;
