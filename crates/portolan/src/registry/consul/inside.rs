//! The decoders of health answers, for fuzz targets and benchmarks. No part of the interface: it may change at any time.
//!
//! In:  bodies. Out: instances. There is no public way to a decode without a server and its sockets, whose cost would
//! hide what is measured, and whose HTTP a fuzzer would have to get through first.
//!
//! Never: does anything that reading an answer does not do.

use std::sync::Arc;

use super::{health, raw};
use crate::{
    model::Instance,
    registry::{CheckOutput, Recall},
};

/// What a body holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Ordered by identity.
    pub instances: Vec<Arc<Instance>>,
    /// How many entries could not be read.
    pub left_out: usize,
}

impl From<health::Decoded> for Seen {
    fn from(decoded: health::Decoded) -> Self {
        let left_out = decoded.unreadable.len().saturating_add(decoded.still_unreadable);
        Self { instances: decoded.instances, left_out }
    }
}

/// Reads a body whole.
///
/// # Errors
/// What is wrong with it, and where.
pub fn plain(body: &[u8], output: CheckOutput) -> Result<Seen, String> {
    health::decode(body, output).map(Seen::from).map_err(|error| error.to_string())
}

/// Reads what differs from the last body, as a view does.
///
/// # Errors
/// As [`plain`].
pub fn recalled(body: &[u8], output: CheckOutput, recall: &Recall) -> Result<Seen, String> {
    raw::decode(body, output, recall).map(Seen::from).map_err(|error| error.to_string())
}

/// Whether a body can be split and read without the help of the plain decode; remembers nothing of it.
#[must_use]
pub fn is_split(body: &[u8], output: CheckOutput, recall: &Recall) -> bool {
    raw::is_split(body, output, recall)
}
