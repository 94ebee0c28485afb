//! Transactions over keys and the catalogue.
//!
//! In:  operations. Out: what became of them, and what is to be waited for.
//!
//! Never: holds the lock for more than one transaction.

use super::{Core, NotDone};
use crate::{
    durable::Written,
    state::txn::{Op, TxnDone},
};

impl Core {
    /// Carries out operations, all of them or none, as [`Core::apply`] does a command. That some failed is told once the disk
    /// has what they saw, too.
    ///
    /// # Errors
    /// [`NotDone::NotKept`]: nothing was done.
    pub(crate) fn apply_txn(&self, ops: Vec<Op>) -> Result<(TxnDone, Written), NotDone> {
        self.change(false, |state, now, broken| match broken {
            Some(why) => Err(why),
            None => Ok(state.apply_txn(ops, now)),
        })
    }
}
