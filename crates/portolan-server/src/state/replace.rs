//! A state that takes on all that another held, while it lives. PURE.
//!
//! In:  the rows of a backup, and the newest index of the registry that wrote it. Out: the changes: every row that was there is
//! gone or other, every check is looked at anew.
//!
//! Indexes go up, above those of both: whoever waits for anything is answered, and nobody sees one go down.
//!
//! Never: changes anything when a row has no place; lets the word of a probe from before count.
//!
//! Proof: `state/tests/restored/replaced.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use super::{
    Changes, State,
    kept::{Kept, RowKey},
    restore::{Misfit, Restored},
    rows::{NodeRow, NodeSpec, Text},
};

impl State {
    /// The index above which all are after [`State::replace`].
    pub(crate) fn index_to_replace(&self, index: u64) -> u64 {
        self.last_index().max(index).saturating_add(1)
    }

    /// Takes on what `rows` hold in place of everything. The node stays who it is.
    ///
    /// # Errors
    /// The rows that have no place; nothing is changed then.
    pub(crate) fn replace(
        &mut self,
        rows: Vec<(RowKey, Kept)>,
        index: u64,
        now: Instant,
    ) -> Result<Changes, Vec<Misfit>> {
        let above = self.index_to_replace(index);
        let home = self.home_spec();
        let ours = Text::clone(&home.id);
        let rows = rows.into_iter().map(|(key, kept)| (key, at_home(kept, &ours)));
        let Restored { state, mut changes, misfits } =
            Self::restore_after(self.generations, rows, above, home, now);
        if !misfits.is_empty() {
            return Err(misfits);
        }
        let mut written: BTreeMap<_, _> = self.rows().into_iter().map(|(key, _)| (key, None)).collect();
        written.extend(state.rows().into_iter().map(|(key, row)| (key, Some(row))));
        changes.rows = written.into_iter().collect();
        changes.probes = self.live.keys().chain(state.live.keys()).cloned().collect();
        *self = state;
        Ok(changes)
    }

    fn home_spec(&self) -> NodeSpec {
        let held = self.nodes.get(&self.home).map(|node| node.row.spec.clone());
        let (name, empty) = (Text::clone(&self.home), Text::from(""));
        held.unwrap_or(NodeSpec { name, id: Text::clone(&empty), address: empty, tagged: None, meta: None })
    }
}

/// The agent's own node of the backup is ours, and we have told our id already.
fn at_home(kept: Kept, id: &Text) -> Kept {
    match kept {
        Kept::Node { row, home: true } => {
            let spec = NodeSpec { id: Text::clone(id), ..row.spec.clone() };
            Kept::Node { row: Arc::new(NodeRow { spec, ..*row }), home: true }
        }
        other => other,
    }
}
