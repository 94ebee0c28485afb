//! Paths and queries of requests: every text is percent-encoded, so that any id can be addressed. PURE.
//!
//! In:  segments, flags and pairs. Out: `/v1/health/service/my%20web?stale&index=7`.
//!
//! Never: lets a text end its segment or its pair.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::Duration;

use crate::registry::{Block, Consistency};

/// The longest wait Consul grants (agent/consul/config.go `MaxQueryTime`).
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// A path with its query.
#[derive(Clone, Debug)]
pub(super) struct Target {
    text: String,
    path_end: Option<usize>,
}

impl Target {
    /// Starts with a path that needs no encoding.
    pub(super) fn new(path: &'static str) -> Self {
        Self { text: path.to_owned(), path_end: None }
    }

    /// Puts one more segment behind the path.
    pub(super) fn segment(mut self, text: &str) -> Self {
        self.text.push('/');
        encode(text, &mut self.text);
        self
    }

    pub(super) fn flag(mut self, name: &str) -> Self {
        let mark = if self.path_end.is_none() { '?' } else { '&' };
        self.path_end.get_or_insert(self.text.len());
        self.text.push(mark);
        self.text.push_str(name);
        self
    }

    pub(super) fn pair(self, name: &str, value: &str) -> Self {
        let mut next = self.flag(name);
        next.text.push('=');
        encode(value, &mut next.text);
        next
    }

    pub(super) fn pair_if(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.pair(name, value),
            None => self,
        }
    }

    /// Which server may answer.
    pub(super) fn consistency(self, consistency: Consistency) -> Self {
        match consistency {
            Consistency::Default => self,
            Consistency::Stale => self.flag("stale"),
            Consistency::Consistent => self.flag("consistent"),
        }
    }

    /// Waits for a change. The wait is written in whole milliseconds, at least 1: Consul reads 0 as five minutes.
    pub(super) fn block(self, block: Option<Block>) -> Self {
        let Some(block) = block else { return self };
        let wait = granted(block.wait).as_nanos().div_ceil(1_000_000).max(1);
        self.pair("index", &block.index.max(1).to_string()).pair("wait", &format!("{wait}ms"))
    }

    /// The path without the query, for messages.
    pub(super) fn path(&self) -> &str {
        self.path_end.and_then(|end| self.text.get(..end)).unwrap_or(&self.text)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

/// The wait that Consul grants of the one that was asked for.
pub(super) fn granted(wait: Duration) -> Duration {
    wait.min(LONGEST_WAIT)
}

fn encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| HEX.get(usize::from(nibble)).map_or('0', |digit| char::from(*digit));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(digit(byte >> 4));
            out.push(digit(byte & 15));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_stays_in_its_place() {
        let target = Target::new("/v1/x").segment("a b/%?#ü").pair("reason", "a&b=c +d").flag("stale");
        assert_eq!(target.as_str(), "/v1/x/a%20b%2F%25%3F%23%C3%BC?reason=a%26b%3Dc%20%2Bd&stale");
        assert_eq!(target.path(), "/v1/x/a%20b%2F%25%3F%23%C3%BC");
    }

    #[test]
    fn b1_a_wait_is_sent_only_with_an_index_and_never_as_zero() {
        let with = |index, nanos| {
            let block = Some(Block { index, wait: Duration::from_nanos(nanos) });
            Target::new("/x").block(block).as_str().to_owned()
        };
        assert_eq!(Target::new("/x").block(None).as_str(), "/x");
        assert_eq!(with(7, 30_000_000_000), "/x?index=7&wait=30000ms");
        assert_eq!(with(7, 0), "/x?index=7&wait=1ms");
        assert_eq!(with(7, 1_500_000), "/x?index=7&wait=2ms");
        assert_eq!(with(0, 1_000_000), "/x?index=1&wait=1ms");
        assert_eq!(with(7, u64::MAX), "/x?index=7&wait=600000ms");
    }

    #[test]
    fn c1_each_consistency_has_its_flag() {
        let with = |consistency| Target::new("/x").consistency(consistency).as_str().to_owned();
        assert_eq!(with(Consistency::Default), "/x");
        assert_eq!(with(Consistency::Stale), "/x?stale");
        assert_eq!(with(Consistency::Consistent), "/x?consistent");
    }
}
