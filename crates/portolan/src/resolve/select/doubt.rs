//! What a caller chooses for bad times: when health is doubted, what is served that is old, and what warnings mean. PURE.
//!
//! Never: turns something off by zero.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::sync::Arc;

#[cfg(doc)]
use super::Select;
use crate::model::Instance;

/// When picks go to instances of any health.
///
/// A collapse of the checks, or of the agents' own gossip, looks like an outage of all services at once, and sending
/// everything to the few that still count as healthy would make it one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Panic {
    /// Never: only healthy instances are picked.
    Off,
    /// When the healthy ones are under `percent` of those that match the filter and are not in maintenance, of which
    /// there are at least `among`: a share of very few says nothing. The default: under 50 % among at least 4.
    Below {
        /// 1 to 100.
        percent: u8,
        /// At least 1.
        among: usize,
    },
}

impl Default for Panic {
    fn default() -> Self {
        Self::Below { percent: 50, among: 4 }
    }
}

impl Panic {
    /// Whether so many healthy ones among so many are too few to be believed.
    pub(in crate::resolve) fn doubts(self, healthy: usize, of: usize) -> bool {
        match self {
            Self::Off => false,
            Self::Below { percent, among } => {
                of >= among && healthy.saturating_mul(100) < of.saturating_mul(usize::from(percent))
            }
        }
    }
}

/// What picks get once what is known is older than [`Select::max_age`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStale {
    /// What is known, marked [`Mark::Stale`](crate::Mark::Stale). The default.
    #[default]
    ServeStale,
    /// [`NoInstance::TooOld`](crate::NoInstance::TooOld).
    Fail,
    /// These instances, marked [`Mark::Fallback`](crate::Mark::Fallback): whatever the filter, by the same policy. Also
    /// while nothing is known at all.
    Fallback(Arc<[Arc<Instance>]>),
}

impl OnStale {
    /// These instances, in place of what is known.
    #[must_use]
    pub fn fallback(instances: impl IntoIterator<Item = Instance>) -> Self {
        Self::Fallback(instances.into_iter().map(Arc::new).collect())
    }
}

/// What to do with instances in warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Warning {
    /// Leave them out.
    #[default]
    Refuse,
    /// Pick them, at their warning weight.
    Allow,
}
