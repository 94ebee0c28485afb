//! The share of an instance, for a person and as a weight. PURE.
//!
//! In:  parts of all requests. Out: whole weights in the same proportion.
//!
//! Never: weight 0 for what has a share.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{fmt, sync::Arc};

use super::groups::ratio;

/// Which part of the requests an instance gets, and by which preferences.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Share {
    /// From 0 to 1; over all instances that can be picked they are 1 together.
    pub part: f64,
    /// The group it is in by each preference, in their order.
    pub tiers: Arc<[Tier]>,
    /// The order of the last groups, the most preferred first.
    pub(in crate::resolve) rank: u32,
}

/// A group that a preference makes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tier {
    /// What its instances have in common, for a person; or why the preference says nothing.
    pub name: Arc<str>,
    /// What the group gets of what is left to its preference: 0 to 1.
    pub part: f64,
}

impl Share {
    /// The group for which it gets nothing: the first that gets nothing, or the first of all, whose place has nothing
    /// left for this caller.
    pub(in crate::resolve) fn why_nothing(&self) -> Arc<str> {
        let nothing = self.tiers.iter().find(|tier| tier.part <= 0.0);
        nothing.or_else(|| self.tiers.first()).map(|tier| Arc::clone(&tier.name)).unwrap_or_default()
    }
}

impl fmt::Display for Share {
    /// The part, then each group with its part where there is another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} %", self.part * 100.0)?;
        let mut before = ": ";
        for tier in self.tiers.iter() {
            write!(f, "{before}{}", tier.name)?;
            if tier.part < 1.0 {
                write!(f, " ({:.1} %)", tier.part * 100.0)?;
            }
            before = "; ";
        }
        Ok(())
    }
}

/// The weight of the greatest share: a whole `u16`, with 12 bits for what a preference makes of it.
const GREATEST: u32 = 1 << 28;

/// Weights in the proportion of these shares: 0 only where the share is.
pub(in crate::resolve) fn weights(shares: &[Share]) -> Vec<u32> {
    let greatest = shares.iter().map(|share| share.part).fold(0.0, f64::max);
    let weight = |share: &Share| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 1 to the greatest weight, whole"
        )]
        let weight = (ratio(share.part, greatest) * f64::from(GREATEST)).round().max(1.0) as u32;
        if share.part > 0.0 { weight } else { 0 }
    };
    shares.iter().map(weight).collect()
}
