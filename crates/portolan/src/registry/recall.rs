//! What a reader of one service remembers of the last answer, so that the next costs what differs.
//!
//! In:  a seed, and each answer as its pieces. Out: for a piece that was there before, the instance it was read to.
//!
//! Whoever reads takes what is remembered out and puts it back: two reads at once do not meet, the second merely
//! remembers nothing.
//!
//! Never: keeps more than the last answer (a hash of each piece, never its bytes) and the strings that it shares; takes
//! a piece for another: the hash is 128 bits wide and keyed with what nobody outside knows.
//!
//! Proof: `memory/tests.rs`, `strings.rs`, and the properties of the registries that use it.

use std::{
    fmt,
    sync::{Arc, PoisonError},
};

use crate::roll::Rolls;

mod memory;
mod strings;

use memory::Memory;
pub(in crate::registry) use memory::{Last, Read, Reading};
pub(in crate::registry) use strings::Strings;

/// What is remembered of one service between two reads; see
/// [`ServiceQuery::recall`](super::ServiceQuery::recall). Clones remember together.
#[derive(Clone)]
pub struct Recall {
    key: [u64; 4],
    #[expect(
        clippy::disallowed_types,
        reason = "cold path: twice a read, and never held while anything is done"
    )]
    memory: Arc<std::sync::Mutex<Option<Box<Memory>>>>,
}

impl Recall {
    /// Remembers nothing yet. The seed should be a secret of this process: it is what keeps one who may write into the
    /// registry from making a changed instance look unchanged.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rolls = Rolls::new(seed);
        Self { key: std::array::from_fn(|_| rolls.next()), memory: Arc::default() }
    }

    /// What is remembered; from now on nothing is.
    pub(in crate::registry) fn take(&self) -> Box<Memory> {
        let taken = self.memory.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.unwrap_or_else(|| Box::new(Memory::new(self.key)))
    }

    /// Remembers this.
    pub(in crate::registry) fn put(&self, memory: Box<Memory>) {
        let before = self.memory.lock().unwrap_or_else(PoisonError::into_inner).replace(memory);
        drop(before); // not while the lock is held: it may be big
    }
}

impl fmt::Debug for Recall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recall").finish_non_exhaustive()
    }
}
