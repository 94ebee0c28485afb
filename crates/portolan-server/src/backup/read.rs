//! A backup as it is read: in pieces of any size, each part checked when it is whole. PURE.
//!
//! In:  bytes as they come. Out: what they hold, or what is wrong with them and where.
//!
//! Never: panics on any bytes; believes a part before its sum is there; takes a file without its end mark for whole.
//!
//! Proof: `backup/tests.rs`; `fuzz/fuzz_targets/backup.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fmt;

use portolan::Error;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{END, HEAD, LONGEST, MAGIC, PART, ROWS, SUM, Summary, VERSION};
use crate::state::FORMAT;

/// A registry that gives a million indexes a second is there after a hundred thousand years; one that begins higher might
/// have none left.
const HIGHEST: u64 = 1 << 62;

/// Why bytes are no backup.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wrong {
    /// Nothing is there.
    Empty,
    /// It does not begin as one.
    Foreign,
    /// A newer version wrote it. What differs, the version there, and the newest known.
    Newer(&'static str, u64, u64),
    /// It ends after so many bytes, without its end mark.
    Truncated(u64),
    /// The part that begins at this byte is not what was written.
    Damaged(u64),
    /// The sums are right, and what they cover makes no sense.
    Senseless(u64, &'static str),
    /// It goes on after its end mark.
    Trailing(u64),
    /// An archive in which Consul has kept rows of its own.
    OfConsul,
    /// An archive that is not what was written, or of something else.
    Archive(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the backup is empty"),
            Self::Foreign => f.write_str("this is no backup of portolan's: it does not begin as one"),
            Self::Newer(what, found, known) => {
                write!(
                    f,
                    "the backup has {what} {found}, and this version knows {known}; use a newer portolan"
                )
            }
            Self::Truncated(at) => {
                write!(f, "the backup ends after {at} bytes, without its end mark: a part of it is missing")
            }
            Self::Damaged(at) => {
                write!(f, "the backup is damaged: the part that begins at byte {at} is not what was written")
            }
            Self::Senseless(at, what) => {
                write!(f, "the backup makes no sense: {what}, in the part that begins at byte {at}")
            }
            Self::Trailing(at) => {
                write!(f, "the backup is not alone: it ends at byte {at}, and more follows")
            }
            Self::OfConsul => f.write_str(
                "this is a snapshot of Consul's, and its rows are Consul's own. To copy what a Consul holds, start it \
                 and use `portolan import --from http://consul:8500`",
            ),
            Self::Archive(what) => {
                write!(f, "the archive is no snapshot, or damaged: {what}; a backup that gzip alone has packed is unpacked first")
            }
        }
    }
}

impl std::error::Error for Wrong {}

impl From<Wrong> for Error {
    fn from(wrong: Wrong) -> Self {
        Self::config(wrong.to_string())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    Parts,
    Ended,
}

/// Keys and bytes, in order.
pub(super) type Rows = Vec<(u64, Vec<u8>)>;

/// Checks a backup that comes in pieces.
#[derive(Debug)]
pub struct Checker {
    stage: Stage,
    /// What came and is not a whole part yet.
    waiting: Vec<u8>,
    /// Where it begins in the file.
    at: u64,
    number: u64,
    last_key: Option<u64>,
    summary: Summary,
    keeps: bool,
    rows: Rows,
}

impl Default for Checker {
    fn default() -> Self {
        Self::new()
    }
}

impl Checker {
    /// A checker that keeps nothing but counts.
    #[must_use]
    pub fn new() -> Self {
        Self {
            stage: Stage::Head,
            waiting: Vec::new(),
            at: 0,
            number: 0,
            last_key: None,
            summary: Summary::default(),
            keeps: false,
            rows: Vec::new(),
        }
    }

    /// One that keeps the rows.
    pub(crate) fn keeping() -> Self {
        Self { keeps: true, ..Self::new() }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Wrong`]: nothing that follows can make it right.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Wrong> {
        if self.waiting.is_empty() {
            let taken = self.take(bytes)?;
            self.waiting.extend_from_slice(bytes.get(taken..).unwrap_or_default());
            return Ok(());
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.extend_from_slice(bytes);
        let taken = self.take(&waiting)?;
        waiting.drain(..taken);
        self.waiting = waiting;
        Ok(())
    }

    /// Takes the parts that are whole; says how long they are.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Wrong> {
        let mut left = bytes;
        while let Some(whole) = self.length(left)? {
            let Some((part, rest)) = left.split_at_checked(whole) else { break };
            self.part(part)?;
            left = rest;
            self.at = self.at.saturating_add(wide(whole));
        }
        Ok(bytes.len().saturating_sub(left.len()))
    }

    /// What it holds, now that nothing follows.
    ///
    /// # Errors
    /// [`Wrong::Truncated`]: there was no end mark; [`Wrong::Empty`]: there was nothing.
    pub fn finish(self) -> Result<Summary, Wrong> {
        self.into_rows().map(|(summary, _)| summary)
    }

    pub(crate) fn into_rows(self) -> Result<(Summary, Rows), Wrong> {
        let bytes = self.at.saturating_add(wide(self.waiting.len()));
        match self.stage {
            Stage::Ended => Ok((Summary { bytes, ..self.summary }, self.rows)),
            Stage::Head | Stage::Parts if bytes == 0 => Err(Wrong::Empty),
            Stage::Head | Stage::Parts => Err(Wrong::Truncated(bytes)),
        }
    }

    /// The length of the part that begins here, once it can be known.
    fn length(&self, left: &[u8]) -> Result<Option<usize>, Wrong> {
        match self.stage {
            Stage::Head => {
                let seen = left.len().min(MAGIC.len());
                if left.get(..seen) != MAGIC.get(..seen) {
                    return Err(Wrong::Foreign);
                }
                Ok(Some(HEAD))
            }
            Stage::Parts => {
                let Some((_, rest)) = left.split_first() else { return Ok(None) };
                let Some((length, _)) = rest.split_first_chunk() else { return Ok(None) };
                let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
                if length > LONGEST {
                    return Err(Wrong::Damaged(self.at));
                }
                Ok(Some(length.saturating_add(PART.saturating_add(SUM))))
            }
            Stage::Ended if left.is_empty() => Ok(None),
            Stage::Ended => Err(Wrong::Trailing(self.at)),
        }
    }

    fn part(&mut self, part: &[u8]) -> Result<(), Wrong> {
        let damaged = Wrong::Damaged(self.at);
        let Some((covered, sum)) = part.split_last_chunk() else { return Err(damaged) };
        if self.stage == Stage::Head {
            // Before the sum: another version may have it elsewhere.
            let version = covered.get(MAGIC.len()..).and_then(|rest| rest.first_chunk());
            let version = u32::from_le_bytes(*version.ok_or(damaged.clone())?);
            if version > VERSION {
                return Err(Wrong::Newer("version", version.into(), VERSION.into()));
            }
        }
        if u64::from_le_bytes(*sum) != xxh3_64_with_seed(covered, self.number) {
            return Err(damaged);
        }
        self.number = self.number.saturating_add(1);
        if self.stage == Stage::Head {
            return self.head(covered);
        }
        let (Some(kind), Some(payload)) = (covered.first(), covered.get(PART..)) else { return Err(damaged) };
        match *kind {
            ROWS => self.rows(payload),
            END => self.end(payload),
            _ => Err(Wrong::Senseless(self.at, "there is a part of an unknown kind")),
        }
    }

    fn head(&mut self, head: &[u8]) -> Result<(), Wrong> {
        let mut numbers = Numbers(head.get(MAGIC.len().saturating_add(4)..).unwrap_or_default());
        let (Some(format), Some(index)) = (numbers.long(), numbers.long()) else {
            return Err(Wrong::Damaged(self.at));
        };
        if format > FORMAT {
            return Err(Wrong::Newer("rows of format", format, FORMAT));
        }
        if index > HIGHEST {
            return Err(Wrong::Senseless(self.at, "its index is beyond any that a registry gives"));
        }
        self.summary.index = index;
        self.stage = Stage::Parts;
        Ok(())
    }

    fn rows(&mut self, payload: &[u8]) -> Result<(), Wrong> {
        let senseless = |what| Wrong::Senseless(self.at, what);
        let mut left = Numbers(payload);
        while !left.0.is_empty() {
            let row = left.long().and_then(|key| Some((key, left.bytes()?)));
            let (key, row) = row.ok_or(senseless("a row goes beyond its end"))?;
            if self.last_key.is_some_and(|last| key <= last) {
                return Err(senseless("its rows are not in order"));
            }
            self.last_key = Some(key);
            self.summary.rows = self.summary.rows.saturating_add(1);
            if self.keeps {
                self.rows.push((key, row.to_vec()));
            }
        }
        Ok(())
    }

    fn end(&mut self, payload: &[u8]) -> Result<(), Wrong> {
        let mut told = Numbers(payload);
        if (told.long(), told.0.is_empty()) != (Some(self.summary.rows), true) {
            return Err(Wrong::Senseless(self.at, "its end mark tells another number of rows"));
        }
        self.stage = Stage::Ended;
        Ok(())
    }
}

/// Numbers and lengths, one after another.
struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    fn long(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (bytes, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
