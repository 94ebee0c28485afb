//! Backups: all that must last of a registry, as one file that tells when it is not what was written.
//!
//! ```text
//! head:  magic (16) | version u32 | format of the rows u64 | newest index u64 | sum u64
//! block: 1 u8 | length u32 | rows: (key u64 | length u32 | bytes)*              | sum u64      any number
//! end:   2 u8 | length u32 | how many rows u64                                  | sum u64      and nothing after it
//! ```
//!
//! In:  the rows of a state. Out: a body that is made block by block as it is taken; and back, with each sum, the order of the
//! rows, their number and the end mark checked ([`Checker`]). All numbers are little-endian; a sum is XXH3 of the part before
//! it, seeded with the part's number, so that parts can neither change nor change places.
//!
//! Never: takes a part for the whole; knows of services; holds more than one block beside the rows.
//!
//! Proof: `backup/tests.rs`: any byte changed, any length cut; `portolan-cli`, `tests/backup.rs`, over processes.

use std::{fmt, io};

use portolan::Error;

use crate::durable::NotKept;

mod archive;
mod offline;
mod read;
mod write;

pub use archive::opened;
pub(crate) use archive::wrapped;
pub use offline::{Replaced, replace};
pub(crate) use offline::{decoded, misplaced};
pub use read::{Checker, Wrong};
pub(crate) use write::Writing;

/// How every backup begins.
const MAGIC: &[u8; 16] = b"portolan-backup\n";
/// The form of the file; that of its rows is counted apart.
const VERSION: u32 = 1;
const HEAD: usize = MAGIC.len() + 4 + 8 + 8 + SUM;
const SUM: usize = 8;
/// Kind and length.
const PART: usize = 5;
const ROWS: u8 = 1;
const END: u8 = 2;
/// A block is full when it holds as much; one row may go beyond.
const FULL: usize = 256 << 10;
/// No block that was ever written is longer: a damaged length must not be believed.
const LONGEST: usize = 64 << 20;

/// The largest backup that a registry takes, in bytes: half a million instances and more.
pub const LARGEST: usize = 256 << 20;

/// What a backup holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// How many nodes, instances, checks and the like.
    pub rows: u64,
    /// The newest index that the registry had given.
    pub index: u64,
    /// The length of the file, in bytes.
    pub bytes: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, index, bytes } = self;
        write!(f, "{rows} nodes, instances and checks at index {index}, {bytes} bytes")
    }
}

/// Why a registry that runs did not take a backup on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotRestored {
    /// The backup is not right, and nothing was changed.
    Wrong(String),
    NotKept(NotKept),
}

impl From<NotKept> for NotRestored {
    fn from(why: NotKept) -> Self {
        Self::NotKept(why)
    }
}

impl From<Wrong> for NotRestored {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong.to_string())
    }
}

/// Reads a backup to its end, and checks all of it. It blocks.
///
/// # Errors
/// [`Kind::Config`](portolan::Kind::Config): what is wrong with it, and where; or that it cannot be read.
pub fn check(mut from: impl io::Read) -> Result<Summary, Error> {
    let mut checker = Checker::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => return Ok(checker.finish()?),
            Ok(read) => read,
            Err(failed) if failed.kind() == io::ErrorKind::Interrupted => continue,
            Err(failed) => return Err(Error::config("the backup cannot be read").caused_by(failed)),
        };
        checker.push(piece.get(..read).unwrap_or_default())?;
    }
}

#[cfg(test)]
mod tests;
