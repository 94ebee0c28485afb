//! The decoder of cached views, for fuzz targets. No part of the interface: it may change at any time.
//!
//! In:  any bytes. Out: whether they are a view, and what it would be written as.
//!
//! Never: does anything that loading from a cache does not do.

use super::saved::{self, Saved};

/// Reads bytes as they come from a cache, whatever key they are of, and writes what they hold anew; `None` when they
/// are not used.
#[must_use]
pub fn again(bytes: &[u8]) -> Option<Vec<u8>> {
    Saved::decode_any(bytes, None).ok()?.encode(None).ok()
}

/// The same bytes under a head that is right for them: what a fuzzer cannot find by itself.
#[must_use]
pub fn sealed(content: &[u8]) -> Vec<u8> {
    saved::seal(content, 1, None)
}
