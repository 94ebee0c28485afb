//! The parts of a split as JSON. PURE.
//!
//! Never: renames a key; it is what scripts read.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use portolan::SplitShare;
use serde_json::{Value, json};

/// A part as an object.
pub(crate) fn json(of: &SplitShare) -> Value {
    json!({
        "weight": of.part.weight,
        "versions": of.part.requirement.to_string(),
        "now": of.versions.to_string(),
        "usable": of.usable,
        "share": of.share,
    })
}
