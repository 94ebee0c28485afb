//! The order in which names are looked up: not one after another, so that no cache can guess the next.

use std::sync::Arc;

/// Goes through the names in an order that no prefetcher follows.
pub(crate) struct Walk {
    names: Arc<[String]>,
    at: usize,
}

/// Has no divisor in common with the number of names, so that the walk meets them all.
const STRIDE: usize = 389;

impl Walk {
    pub(crate) fn new(names: &Arc<[String]>, thread: usize) -> Self {
        Self { names: Arc::clone(names), at: thread * 7 }
    }

    pub(crate) fn next(&mut self) -> &str {
        self.at += STRIDE;
        if self.at >= self.names.len() {
            self.at -= self.names.len();
        }
        self.names.get(self.at).map_or("", String::as_str)
    }
}
