//! How a registry with a disk begins: from what is there, or anew.
//!
//! In:  where its file is, and its node as the settings have it. Out: the state, and a disk that has all of it, with the
//! end of a block of indexes.
//!
//! Never: begins with less than what was kept; answers before its block is on disk.

use std::time::Instant;

use super::{BLOCK, Disk, group};
use crate::{
    state::{FORMAT, Kept, Misfit, Restored, RowKey, State, rows::NodeSpec},
    store::{Loaded, Place, Store, Trouble},
};

/// How many misfits are named before they are only counted.
const NAMED: usize = 5;

/// What a registry begins with.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) state: State,
    pub(crate) disk: Option<Disk>,
    /// Below this are the indexes that may be given.
    pub(crate) bound: u64,
}

/// Opens what is there. It blocks.
///
/// # Errors
/// [`Trouble`]: it cannot be read, or not be written.
pub(crate) fn start(place: Box<dyn Place>, home: NodeSpec, now: Instant) -> Result<Started, Trouble> {
    let (mut store, loaded) = Store::open(place, FORMAT)?;
    let is_new = loaded.is_none();
    let (state, rows) = match loaded {
        Some(loaded) => {
            let (bound, count) = (loaded.bound, loaded.rows.len());
            let Restored { state, changes, misfits } = State::restore(decoded(loaded)?, bound, home, now);
            if !misfits.is_empty() {
                return Err(Trouble::Damaged(told(&misfits)));
            }
            tracing::info!(rows = count, bound, "what was kept is back");
            (state, changes.rows)
        }
        None => {
            let state = State::new(home, now);
            let rows = state.rows().into_iter().map(|(key, row)| (key, Some(row))).collect();
            (state, rows)
        }
    };
    let bound = state.last_index().saturating_add(BLOCK);
    let group = group(bound, &rows)?;
    if is_new {
        store.renew(&group)?
    } else {
        store.write(&group)?
    }
    Ok(Started { state, disk: Some(Disk::new(store)), bound })
}

fn decoded(loaded: Loaded) -> Result<Vec<(RowKey, Kept)>, Trouble> {
    let decode = |(key, bytes): (u64, Vec<u8>)| match Kept::decode(&bytes) {
        Ok(kept) => Ok((RowKey(key), kept)),
        Err(why) => Err(Trouble::Damaged(format!("row {key} cannot be read: {why}"))),
    };
    loaded.rows.into_iter().map(decode).collect()
}

fn told(misfits: &[Misfit]) -> String {
    let mut told: Vec<String> = misfits.iter().take(NAMED).map(Misfit::to_string).collect();
    if let Some(more @ 1..) = misfits.len().checked_sub(NAMED) {
        told.push(format!("and {more} more"));
    }
    told.join(", ")
}
