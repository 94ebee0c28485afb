//! A backup taken on by a registry that runs.
//!
//! In:  rows that were read and checked. Out: the state that they tell of, on disk; all who wait are answered.
//!
//! ```text
//! the bound of the new indexes on disk -> the state replaced (at once, for all) -> its rows on disk, as one group -> watchers woken
//! ```
//!
//! Never: shows an index whose bound is not on disk; changes anything where a row has no place, or the disk is broken.
//!
//! Proof: `durable/tests.rs`; `portolan-cli`, `tests/backup.rs`.

use tokio::time::Instant;

use super::{Core, Inner};
use crate::{
    backup::{NotRestored, misplaced},
    durable::NotKept,
    state::{Kept, RowKey},
};

impl Core {
    /// Puts what `rows` hold in the place of everything. It is on disk when this returns.
    ///
    /// # Errors
    /// [`NotRestored`]: nothing was changed; or it stands in memory, and the disk does not have it.
    ///
    /// # Cancel safety
    /// Dropping the future leaves everything as it was, or replaced: never half.
    pub(crate) async fn restore(&self, rows: Vec<(RowKey, Kept)>, index: u64) -> Result<(), NotRestored> {
        if let Some(disk) = &self.disk {
            disk.broken().map_or(Ok(()), Err)?;
            let reserved = self.with(|inner| {
                let above = inner.state.index_to_replace(index);
                inner.pending.reserve(above)
            });
            disk.notify();
            disk.until(reserved).await?;
        }
        let now = Instant::now().into_std();
        let (written, changes) = self.with(|inner| {
            let Inner { state, pending, probes, .. } = inner;
            if !pending.has_room_above(state.index_to_replace(index)) {
                return Err(NotRestored::from(NotKept::exhausted()));
            }
            let mut changes =
                state.replace(rows, index, now).map_err(|misfits| NotRestored::Wrong(misplaced(&misfits)))?;
            // Under the lock: whoever comes after this sees an index that is new to him.
            changes.keys.extend(self.hub.keys());
            probes.extend(changes.probes.iter().cloned());
            Ok((self.hand_over(pending, &mut changes), changes))
        })?;
        self.announce(&changes, true);
        // The backup may be from a registry without rules.
        self.start_acls();
        Ok(self.kept(written).await?)
    }
}
