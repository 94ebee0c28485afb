//! From rows to bodies: JSON as Consul writes it, encoded once for all who wait for the same answer.
//!
//! In:  shared rows. Out: bytes, shared too.
//!
//! [`Bodies`] keeps the last body of each question with its index. The index of a key moves with every change of what
//! it covers, so an answer is the same as long as its index is.
//!
//! Never: holds the state while it encodes; keeps more than [`KEPT_BYTES`].
//!
//! Proof: `tests/http.rs` compares whole bodies.

use std::{collections::BTreeMap, sync::PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

mod agent;
mod kv;
mod shapes;

pub(crate) use {
    agent::{AgentServiceJson, HealthCheckJson},
    kv::{EventJson, KvJson, SessionJson, TxnErrorJson, TxnJson, TxnReadJson, TxnResultJson, from_base64},
    shapes::{ById, CatalogServiceJson, CheckJson, EntryJson, NodeJson, ServiceJson},
};

/// How much is kept of bodies that may be asked for again.
const KEPT_BYTES: usize = 32 << 20;
/// How many of them.
const KEPT: usize = 4096;

/// How JSON is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Compact,
    /// Four spaces and a line end, as Consul does for `?pretty`.
    Pretty,
}

/// Encodes a value.
///
/// # Errors
/// Never for our own shapes, which are maps with text keys; kept as an answer instead of a panic.
pub(crate) fn json(value: &impl Serialize, layout: Layout) -> Result<Bytes, serde_json::Error> {
    let mut out = BytesMut::with_capacity(256).writer();
    match layout {
        Layout::Compact => serde_json::to_writer(&mut out, value)?,
        Layout::Pretty => {
            let formatter = PrettyFormatter::with_indent(b"    ");
            value.serialize(&mut Serializer::with_formatter(&mut out, formatter))?;
        }
    }
    let mut out = out.into_inner();
    if layout == Layout::Pretty {
        out.put_u8(b'\n');
    }
    Ok(out.freeze())
}

/// The last body of each question.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    #[expect(clippy::disallowed_types, reason = "held for one search in a map, never while encoding")]
    kept: std::sync::Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: usize,
    of: BTreeMap<Box<str>, (u64, Bytes)>,
}

impl Bodies {
    /// The body of `question` at `index`, if it was encoded before.
    pub(crate) fn get(&self, question: &str, index: u64) -> Option<Bytes> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.of.get(question).filter(|(at, _)| *at == index).map(|(_, body)| body.clone())
    }

    /// Keeps the body of `question` at `index`; forgets all others when there are too many.
    pub(crate) fn keep(&self, question: &str, index: u64, body: &Bytes) {
        let cost = question.len().saturating_add(body.len());
        if cost > KEPT_BYTES / 4 {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.of.len() >= KEPT || kept.bytes.saturating_add(cost) > KEPT_BYTES {
            *kept = Kept::default();
        }
        let old = kept.of.insert(question.into(), (index, body.clone()));
        let freed = old.map_or(0, |(_, body)| question.len().saturating_add(body.len()));
        kept.bytes = kept.bytes.saturating_add(cost).saturating_sub(freed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_kept_for_its_index_only() {
        let bodies = Bodies::default();
        bodies.keep("q", 7, &Bytes::from_static(b"[]"));
        assert_eq!(bodies.get("q", 7).as_deref(), Some(&b"[]"[..]));
        assert_eq!(bodies.get("q", 8), None);
        bodies.keep("q", 8, &Bytes::from_static(b"[1]"));
        assert_eq!((bodies.get("q", 7), bodies.get("q", 8).as_deref()), (None, Some(&b"[1]"[..])));
        assert_eq!(bodies.kept.lock().unwrap().bytes, 4);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let bodies = Bodies::default();
        let megabyte = Bytes::from(vec![0; 1 << 20]);
        for question in 0..200 {
            bodies.keep(&question.to_string(), 1, &megabyte);
            assert!(bodies.kept.lock().unwrap().bytes <= KEPT_BYTES);
        }
        bodies.keep("huge", 1, &Bytes::from(vec![0; KEPT_BYTES]));
        assert_eq!(bodies.get("huge", 1), None);
    }

    #[test]
    fn pretty_is_indented_by_four_and_ends_its_line() {
        let value = BTreeMap::from([("a", vec![1])]);
        assert_eq!(&json(&value, Layout::Compact).unwrap()[..], br#"{"a":[1]}"#);
        assert_eq!(&json(&value, Layout::Pretty).unwrap()[..], b"{\n    \"a\": [\n        1\n    ]\n}\n");
    }
}
