//! A body of health entries, split by bytes and read only where it differs from the last. PURE.
//!
//! In:  a body, and what is remembered of the last one. Out: what `health::decode` makes of the same body, in which
//! what did not change is the same allocation.
//!
//! An entry begins where the last one ended. If as many bytes as the next remembered entry had have its hash, they are
//! that entry: JSON that begins with a bracket ends where it ends, whatever follows. So bytes that did not change are
//! hashed and not even scanned. Other bytes are scanned to the closing bracket and looked up by their hash, for order
//! may have changed; what is still not known is read by its likeness to one before it (`alike.rs`), or by the same parser
//! that reads whole bodies.
//!
//! Never: takes a body that `health::decode` refuses: whatever is odd is given to it, and its word counts.
//!
//! Proof: `raw/tests.rs`, properties against the plain decode over sequences of bodies; the fuzz target `raw`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::{
    alike::Entries,
    health::{self, Decoded},
};
use crate::registry::{
    CheckOutput,
    recall::{Last, Read, Reading, Recall, Strings},
};

/// Reads a body; `null` is an empty list.
pub(super) fn decode(
    body: &[u8],
    output: CheckOutput,
    recall: &Recall,
) -> Result<Decoded, serde_json::Error> {
    let mut memory = recall.take();
    memory.read_as(output);
    let mut unreadable = Vec::new();
    let read = read(body, output, &memory.last, &mut memory.strings, &mut unreadable);
    let decoded = match read {
        Some(read) => {
            let still_unreadable = read.still_unreadable;
            Ok(Decoded { instances: memory.last.replace(read), unreadable, still_unreadable })
        }
        // An error names its place in the whole body. What is remembered stays: the next body is like the last.
        None => health::decode(body, output),
    };
    recall.put(memory);
    decoded
}

/// Whether a body can be split and read; remembers nothing of it. For proofs: that `decode` lets another parser read what
/// is odd must not hide anything.
pub(super) fn is_split(body: &[u8], output: CheckOutput, recall: &Recall) -> bool {
    let mut memory = recall.take();
    memory.read_as(output);
    let split = read(body, output, &memory.last, &mut memory.strings, &mut Vec::new()).is_some();
    recall.put(memory);
    split
}

/// Reads a body to its end; nothing if there is anything odd about it.
fn read(
    body: &[u8],
    output: CheckOutput,
    last: &Last,
    strings: &mut Strings,
    unreadable: &mut Vec<String>,
) -> Option<Read> {
    let mut reading = Reading::of(last);
    let mut entries = Entries::new(output);
    let mut list = List::open(body)?;
    while list.has_next()? {
        let expected = reading.guess().and_then(|len| list.rest().get(..len));
        if let Some(piece) = expected.filter(|piece| reading.is_next(piece)) {
            list.pass(piece.len());
            continue;
        }
        let mut rest = list.rest();
        if !reading.is_first() {
            rest = rest.get(..length(rest)?)?;
            if reading.is_known(rest) {
                list.pass(rest.len());
                continue;
            }
        }
        let (piece, entry) = entries.read(rest)?;
        let instance = health::instance(entry, output, strings);
        let instance = instance.map_err(|problem| unreadable.push(health::unreadable(entry, &problem))).ok();
        reading.learn(piece, instance)?;
        list.pass(piece.len());
    }
    Some(reading.done())
}

/// The elements of a JSON list, by their bytes.
struct List<'b> {
    rest: &'b [u8],
    is_first: bool,
    is_null: bool,
}

impl<'b> List<'b> {
    fn open(body: &'b [u8]) -> Option<Self> {
        let rest = after_space(body);
        if let Some(rest) = rest.strip_prefix(b"null") {
            return Some(Self { rest, is_first: true, is_null: true });
        }
        Some(Self { rest: rest.strip_prefix(b"[")?, is_first: true, is_null: false })
    }

    /// Goes to the next element. Nothing when there is neither one nor the end of both list and body.
    fn has_next(&mut self) -> Option<bool> {
        self.rest = after_space(self.rest);
        let end = if self.is_null { Some(self.rest) } else { self.rest.strip_prefix(b"]") };
        if let Some(after) = end {
            return after_space(after).is_empty().then_some(false);
        }
        if !std::mem::take(&mut self.is_first) {
            self.rest = after_space(self.rest.strip_prefix(b",")?);
        }
        Some(true)
    }

    /// What begins with the next element.
    fn rest(&self) -> &'b [u8] {
        self.rest
    }

    fn pass(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
    }
}

fn after_space(bytes: &[u8]) -> &[u8] {
    let space = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\r')).count();
    bytes.get(space..).unwrap_or_default()
}

/// How many bytes the object or list has with which these bytes begin. Right for what is JSON, and an end somewhere for
/// what is not: whoever takes the bytes must know them, or read them.
fn length(bytes: &[u8]) -> Option<usize> {
    bytes.first().filter(|byte| matches!(byte, b'{' | b'['))?;
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    let end = bytes.iter().position(|byte| {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })?;
    end.checked_add(1)
}

#[cfg(test)]
mod tests;
