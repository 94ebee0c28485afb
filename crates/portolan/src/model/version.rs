//! The version of an instance, as people write it. PURE.
//!
//! In:  meta and tags. Out: the semantic version that one of them tells.
//!
//! Never: takes for a version what does not begin as one.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::sync::Arc;

use super::Meta;

/// The version that meta or a tag tells.
pub(crate) fn version(meta: &Meta, tags: &[Arc<str>]) -> Option<semver::Version> {
    meta.get("version").and_then(|text| lenient_version(text)).or_else(|| {
        tags.iter().find_map(|tag| {
            let text = tag.strip_prefix("version=").or_else(|| {
                tag.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            })?;
            lenient_version(text)
        })
    })
}

/// A semantic version, with the `v` before it and missing parts forgiven (`v2`, `1.4`), as people write them.
pub(super) fn lenient_version(text: &str) -> Option<semver::Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    if let Ok(version) = semver::Version::parse(text) {
        return Some(version);
    }
    // What is more or else than numbers is no version with these either.
    let missing = if text.contains('.') { ".0" } else { ".0.0" };
    semver::Version::parse(&format!("{text}{missing}")).ok()
}
