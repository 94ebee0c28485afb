//! From rows to bodies: JSON as Consul writes it, encoded once for all who wait for the same answer.
//!
//! In:  shared rows. Out: bytes, shared too; compressed, where that is asked for.
//!
//! [`Bodies`] keeps the last body of each question with its index. The index of a key moves with every change of what
//! it covers, so an answer is the same as long as its index is. Of those who ask for the same body at once one encodes
//! it, and the others wait for that, unless it is so small that to wait costs more.
//!
//! ```text
//! look -- kept? --> answer
//!   ^  -- no --> claim -- ours --> copy rows, encode, keep --> answer
//!   +------------ somebody else's: until it is done
//! ```
//!
//! Never: holds the state, or a lock, while it encodes; keeps more than [`KEPT_BYTES`].
//!
//! Proof: `tests/http.rs` compares whole bodies; `encode/tests.rs`.

use std::{
    collections::BTreeMap,
    io::Write as _,
    pin::Pin,
    sync::{Arc, PoisonError},
};

use bytes::{BufMut, Bytes, BytesMut};
use flate2::{Compression, write::GzEncoder};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use tokio::sync::{Notify, futures::OwnedNotified};

mod agent;
mod kv;
mod query;
mod shapes;

pub(crate) use {
    agent::{AgentServiceJson, HealthCheckJson},
    kv::{EventJson, KvJson, SessionJson, TxnErrorJson, TxnJson, TxnReadJson, TxnResultJson, from_base64},
    query::{ExplainedJson, FoundJson, FreshJson, QueryJson},
    shapes::{ById, CatalogServiceJson, CheckJson, EntryJson, NodeJson, ServiceJson},
};

/// How much is kept of bodies that may be asked for again.
const KEPT_BYTES: usize = 64 << 20;
/// How many of them.
const KEPT: usize = 8192;
/// A smaller body is not compressed: little is saved. Consul compresses whatever it is asked for.
pub(crate) const LEAST_GZIP: usize = 1024;

/// From this size on, those who ask for the same body wait for the first of them. A smaller one is encoded sooner than a
/// waiter is woken, and then at most by as many at once as there are threads.
const WORTH_WAITING: usize = 64 << 10;

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

/// A body compressed as fast as it goes: JSON of many instances repeats itself, and shrinks twentyfold all the same.
///
/// # Errors
/// Never: it is written to memory.
pub(crate) fn gzip(body: &[u8]) -> std::io::Result<Bytes> {
    let mut out = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    out.write_all(body)?;
    Ok(out.finish()?.into())
}

/// The last body of each question.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    #[expect(clippy::disallowed_types, reason = "held for one search in a map, never while encoding")]
    kept: std::sync::Mutex<Kept>,
    #[expect(clippy::disallowed_types, reason = "held for one search in a map, never while encoding")]
    claims: std::sync::Mutex<BTreeMap<Box<str>, Arc<Notify>>>,
}

/// What was asked for lately, and what was before. When the first half is full, the second is forgotten.
#[derive(Debug, Default)]
struct Kept {
    newer: Half,
    older: Half,
}

#[derive(Debug, Default)]
struct Half {
    bytes: usize,
    of: BTreeMap<Box<str>, (u64, Bytes)>,
}

impl Half {
    fn take(&mut self, question: &str) -> Option<(u64, Bytes)> {
        let (at, body) = self.of.remove(question)?;
        self.bytes = self.bytes.saturating_sub(cost(question, &body));
        Some((at, body))
    }
}

fn cost(question: &str, body: &Bytes) -> usize {
    question.len().saturating_add(body.len())
}

impl Kept {
    fn put(&mut self, question: &str, index: u64, body: Bytes) {
        let cost = cost(question, &body);
        self.newer.take(question);
        self.older.take(question);
        if self.newer.of.len() >= KEPT / 2 || self.newer.bytes.saturating_add(cost) > KEPT_BYTES / 2 {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.bytes = self.newer.bytes.saturating_add(cost);
        self.newer.of.insert(question.into(), (index, body));
    }
}

/// Whoever has it is the one that encodes the body of a question; those who wait go on when it is dropped.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    bodies: &'a Bodies,
    question: &'a str,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut claims = self.bodies.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = claims.remove(self.question);
        drop(claims);
        waiting.iter().for_each(|waiting| waiting.notify_waiters());
    }
}

impl Bodies {
    /// The body of `question` at `index`, if it was encoded before.
    pub(crate) fn get(&self, question: &str, index: u64) -> Option<Bytes> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, body)) = kept.newer.of.get(question) {
            return (*at == index).then(|| body.clone());
        }
        let (at, body) = kept.older.take(question)?;
        kept.put(question, at, body.clone());
        (at == index).then_some(body)
    }

    /// Keeps the body of `question` at `index`.
    pub(crate) fn keep(&self, question: &str, index: u64, body: &Bytes) {
        if cost(question, body) <= KEPT_BYTES / 2 {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).put(question, index, body.clone());
        }
    }

    /// Whether the body of `question` takes so long to encode, by what it was the last time, that it is to be claimed.
    pub(crate) fn is_worth_waiting(&self, question: &str) -> bool {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let last = kept.newer.of.get(question).or_else(|| kept.older.of.get(question));
        last.is_some_and(|(_, body)| body.len() >= WORTH_WAITING)
    }

    /// The right to encode the body of `question`; or, where somebody does that just now, the moment when it is done.
    pub(crate) fn claim<'a>(&'a self, question: &'a str) -> Result<Claim<'a>, Pin<Box<OwnedNotified>>> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        match claims.get(question) {
            Some(done) => Err(Box::pin(Arc::clone(done).notified_owned())),
            None => {
                claims.insert(question.into(), Arc::default());
                Ok(Claim { bodies: self, question })
            }
        }
    }
}

#[cfg(test)]
mod tests;
