//! Reads a health entry by its likeness to one before it. PURE.
//!
//! In:  entries that the parser has read, their bytes, and the bytes of the next. Out: the next entry, where it is written
//! as one of them but for the insides of some strings and for some whole numbers; else nothing, and the parser reads it.
//!
//! The entries of an answer differ in ids, ports and indexes, and have few shapes. JSON stays JSON, and of the same
//! shape, when the inside of a string becomes the inside of another and a whole number another one. So what is equal is
//! compared, many bytes at a time, and only what differs is looked at: a string that is kept must be plain text, one that
//! is dropped must be a string, a number must be one; everything else (keys, brackets, nulls, spaces) must be equal.
//!
//! Never: reads what the parser refuses, or otherwise than it: where there is a doubt, it gives nothing; tries for ever
//! where each entry has a shape of its own.
//!
//! Proof: `alike/tests.rs`, against the parser; the properties of `raw/tests.rs`; the fuzz target `raw`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{borrow::Cow, str};

use super::wire::{Entry, Text};
use crate::registry::CheckOutput;

mod bytes;
mod place;

use place::{Field, Number};

/// So many shapes are remembered: each costs those that are of another a comparison.
const SHAPES: usize = 4;
/// So many of them are tried while it seems that each entry has a shape of its own.
const FEW_SHAPES: usize = 2;
/// So many entries at most are read by the parser alone, after shapes were forgotten that none was like. One more is odd,
/// so that of two shapes by turns not always the same is met.
const LONGEST_PAUSE: u32 = 62;

/// The entries of one body, each read by its likeness to one before it where it has one.
#[derive(Debug)]
pub(super) struct Entries<'b> {
    output: CheckOutput,
    /// The last of each shape, the newest first.
    known: Vec<Alike<'b>>,
    /// One that was read by the parser alone.
    alone: Option<Entry<'b>>,
    /// What differs between two of a shape.
    differing: Vec<Differing<'b>>,
    /// How many are to be read by the parser alone, and how many are still.
    pause: u32,
    left: u32,
}

impl<'b> Entries<'b> {
    pub(super) fn new(output: CheckOutput) -> Self {
        Self { output, known: Vec::new(), alone: None, differing: Vec::new(), pause: 0, left: 0 }
    }

    /// Reads the entry at the beginning of `rest`, and says which bytes it was. What is not wanted of it may be that of
    /// another entry: the output of its checks, where that is dropped.
    pub(super) fn read(&mut self, rest: &'b [u8]) -> Option<(&'b [u8], &Entry<'b>)> {
        if let Some((at, piece)) = self.find(rest) {
            self.known.get_mut(..=at)?.rotate_right(1);
            let newest = self.known.first_mut()?;
            newest.become_like(piece, &self.differing)?;
            return Some((piece, &newest.entry));
        }
        let (piece, entry) = first(rest)?;
        let Some(scalars) = self.scalars(piece, &entry) else {
            return Some((piece, self.alone.insert(entry)));
        };
        self.known.insert(0, Alike { piece, entry: Box::new(entry), scalars, was_followed: false });
        self.known.first().map(|newest| (piece, &*newest.entry))
    }

    /// Which known entry is like the one at the beginning of `rest`, and which bytes that is.
    fn find(&mut self, rest: &'b [u8]) -> Option<(usize, &'b [u8])> {
        let tried = if self.left == 0 { SHAPES } else { FEW_SHAPES };
        let mut known = self.known.iter().enumerate().take(tried);
        known.find_map(|(at, known)| Some((at, known.compare(rest, &mut self.differing)?)))
    }

    /// The scalars of an entry that is to be remembered. To look for those that nobody follows costs a third of what it
    /// costs to parse, so the more often it was in vain, the seldomer it is done.
    fn scalars(&mut self, piece: &'b [u8], entry: &Entry<'b>) -> Option<Vec<Scalar>> {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return None;
        }
        let scalars = place::scalars(piece, entry, self.output);
        let oldest = if self.known.len() < SHAPES { None } else { self.known.pop() };
        let was_in_vain = scalars.is_none() || oldest.is_some_and(|oldest| !oldest.was_followed);
        let longer = self.pause.saturating_mul(2).saturating_add(1).min(LONGEST_PAUSE);
        self.pause = if was_in_vain { longer } else { 0 };
        self.left = self.pause;
        scalars
    }
}

/// Reads the entry at the beginning of `rest`, and says which bytes it was: one walk over them, not two.
fn first(rest: &[u8]) -> Option<(&[u8], Entry<'_>)> {
    // A scalar is no entry; and what follows one must be looked at to know where it ends.
    rest.first().filter(|byte| matches!(byte, b'{' | b'['))?;
    let mut stream = serde_json::Deserializer::from_slice(rest).into_iter::<Entry<'_>>();
    let entry = stream.next()?.ok()?;
    Some((rest.get(..stream.byte_offset())?, entry))
}

/// A string or a whole number in the bytes of an entry.
#[derive(Clone, Copy, Debug)]
struct Scalar {
    /// Where its inside begins.
    start: usize,
    /// Where what follows its inside stands: of a string, the quote.
    end: usize,
    kind: Kind,
}

/// What a scalar is, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text(Field),
    Number(Number),
    DroppedText,
    DroppedNumber,
}

/// A scalar that is not what it was: which it is, and where it begins and ends now.
#[derive(Debug)]
struct Differing<'b> {
    scalar: usize,
    start: usize,
    end: usize,
    value: Value<'b>,
}

/// What a scalar holds.
#[derive(Clone, Copy, Debug)]
enum Value<'b> {
    Text(Field, &'b str),
    Number(Number, i64),
    Dropped,
}

/// An entry, and where its scalars are.
#[derive(Debug)]
struct Alike<'b> {
    piece: &'b [u8],
    entry: Box<Entry<'b>>,
    /// In the order of the bytes.
    scalars: Vec<Scalar>,
    was_followed: bool,
}

impl<'b> Alike<'b> {
    /// The bytes of the entry at the beginning of `rest`, and what differs in it, where it is of this shape.
    fn compare(&self, rest: &'b [u8], differing: &mut Vec<Differing<'b>>) -> Option<&'b [u8]> {
        differing.clear();
        let mut scalars = self.scalars.iter().enumerate();
        // So far both are read.
        let (mut old, mut new) = (0usize, 0usize);
        loop {
            let same = bytes::common(self.piece.get(old..)?, rest.get(new..)?);
            let differs = old.checked_add(same)?;
            if differs >= self.piece.len() {
                return rest.get(..new.checked_add(same)?);
            }
            let (number, scalar) = scalars.find(|(_, scalar)| differs <= scalar.end)?;
            if differs < scalar.start {
                return None;
            }
            let start = new.checked_add(scalar.start.checked_sub(old)?)?;
            let (value, end) = scalar.kind.read(rest, start)?;
            differing.push(Differing { scalar: number, start, end, value });
            (old, new) = (scalar.end, end);
        }
    }

    /// Becomes the entry with these bytes, in which this differs.
    fn become_like(&mut self, piece: &'b [u8], differing: &[Differing<'b>]) -> Option<()> {
        let mut scalars = self.scalars.iter_mut().enumerate();
        let (mut old, mut new) = (0usize, 0usize);
        for Differing { scalar, start, end, value } in differing {
            for (number, had) in scalars.by_ref() {
                if number == *scalar {
                    (old, new) = (had.end, *end);
                    (had.start, had.end) = (*start, *end);
                    break;
                }
                had.shift(old, new);
            }
            match *value {
                Value::Text(field, text) => *field.of(&mut self.entry)? = Text(Cow::Borrowed(text)),
                Value::Number(number, value) => *number.of(&mut self.entry)? = value,
                Value::Dropped => {}
            }
        }
        scalars.for_each(|(_, scalar)| scalar.shift(old, new));
        self.piece = piece;
        self.was_followed = true;
        Some(())
    }
}

impl Scalar {
    /// Moves as far as the end of the scalar before it that differs.
    fn shift(&mut self, old: usize, new: usize) {
        self.start = self.start.wrapping_sub(old).wrapping_add(new);
        self.end = self.end.wrapping_sub(old).wrapping_add(new);
    }
}

impl Kind {
    /// Reads a scalar whose inside begins here, and says where it ends.
    fn read(self, bytes: &[u8], start: usize) -> Option<(Value<'_>, usize)> {
        match self {
            Self::Text(field) => {
                let end = bytes::plain(bytes, start)?;
                let text = str::from_utf8(bytes.get(start..end)?).ok()?;
                Some((Value::Text(field, text), end))
            }
            Self::Number(number) => {
                let (value, end) = bytes::number(bytes, start)?;
                Some((Value::Number(number, value), end))
            }
            Self::DroppedText => {
                let end = bytes::string(bytes, start)?;
                str::from_utf8(bytes.get(start..end)?).ok()?;
                Some((Value::Dropped, end))
            }
            Self::DroppedNumber => bytes::number(bytes, start).map(|(_, end)| (Value::Dropped, end)),
        }
    }
}

#[cfg(test)]
mod tests;
