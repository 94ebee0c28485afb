//! Keeps what must last on disk: takes the changes of all commands that wait, writes them as one group, lets them go.
//!
//! In:  the rows of each command, in the order of the commands. Out: the moment at which a command is on disk, or the
//! reason why it is not; then the watchers of what changed are woken.
//!
//! ```text
//! command -> state (at once) -> pending -- group on disk --> acknowledged, watchers woken
//!                                  |  fails
//!                                  v
//!            all that wait get the reason; writes are refused -- everything in a new file --> taken again
//! ```
//!
//! Indexes come from a block whose end is on disk before the first of the block is given: whatever was shown, the next
//! life begins above it.
//!
//! Never: acknowledges before the disk has; gives an index beyond its block; keeps more pending than there are rows.
//!
//! Proof: `durable/tests.rs`, `tests/durable/`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task::spawn_blocking,
    time::{Instant, sleep},
};
use tokio_util::sync::{CancellationToken, DropGuard};

mod start;

pub(crate) use start::{Started, start};

use crate::{
    core::Core,
    state::{Changes, FORMAT, Kept, Key, RowKey, State},
    store::{Group, Store, Trouble},
};

/// How many indexes are given before the next bound must be on disk. After a crash as many are passed over at most;
/// after a proper end none is.
pub(crate) const BLOCK: u64 = 1 << 20;
/// How often a disk that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The command's place in the line: what comes to disk after it has it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what is not waited for is not acknowledged"]
pub(crate) struct Written(u64);

impl Written {
    /// There is nothing to wait for.
    pub(crate) const NOTHING: Self = Self(0);
}

/// The registry has no disk that it can rely on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotKept(Arc<str>);

impl NotKept {
    /// Every index of the block is given, and the end of the next one is not on disk.
    pub(crate) fn exhausted() -> Self {
        Self("the disk is behind by a whole block of indexes".into())
    }
}

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this write is not on disk: {}; reads go on, and writes do once the disk is well", self.0)
    }
}

/// What waits to be written; it stands beside the state, under the same lock.
#[derive(Debug)]
pub(crate) struct Pending {
    rows: BTreeMap<RowKey, Option<Kept>>,
    keys: BTreeSet<Key>,
    /// Counts commands that changed something.
    line: u64,
    /// The end of the block of indexes that is on disk.
    bound: u64,
    /// The end of the block must be above this, whatever was given.
    least: u64,
    /// Somebody waits for a group, though it may hold no row.
    asked: bool,
    /// A group was taken, and what became of it has not been told.
    taken: bool,
}

impl Pending {
    pub(crate) fn new(bound: u64) -> Self {
        Self {
            rows: BTreeMap::new(),
            keys: BTreeSet::new(),
            line: 0,
            bound,
            least: 0,
            asked: false,
            taken: false,
        }
    }

    /// Whether the next index is within the block.
    pub(crate) fn may_change(&self, state: &State) -> bool {
        self.has_room_above(state.last_index())
    }

    /// Whether the index after this one is within the block.
    pub(crate) fn has_room_above(&self, index: u64) -> bool {
        index.saturating_add(1) < self.bound
    }

    /// Has the block end above this index; it does once the disk has what is told.
    pub(crate) fn reserve(&mut self, index: u64) -> Written {
        self.least = self.least.max(index);
        self.asked = true;
        self.line = self.line.saturating_add(1);
        Written(self.line)
    }

    /// Takes in what a command changed. A command that changed nothing may stand on one that is not on disk yet.
    pub(crate) fn add(&mut self, changes: &mut Changes) -> Written {
        if !changes.rows.is_empty() || !changes.keys.is_empty() {
            self.line = self.line.saturating_add(1);
            self.rows.extend(changes.rows.drain(..));
            self.keys.append(&mut changes.keys);
        }
        Written(self.line)
    }
}

/// A group on its way.
struct Batch {
    rows: Vec<(RowKey, Option<Kept>)>,
    keys: BTreeSet<Key>,
    line: u64,
    bound: u64,
    whole: bool,
    /// How much was written of rows.
    bytes: u64,
}

impl Batch {
    /// All that is pending, or everything that the state holds.
    fn take(state: &State, pending: &mut Pending, whole: bool) -> Option<Self> {
        let last = state.last_index().max(pending.least);
        let low = last.saturating_add(BLOCK / 2) >= pending.bound;
        if !(whole || low || pending.asked) && pending.rows.is_empty() && pending.keys.is_empty() {
            return None;
        }
        let waiting = std::mem::take(&mut pending.rows);
        let rows = if whole {
            state.rows().into_iter().map(|(key, row)| (key, Some(row))).collect()
        } else {
            waiting.into_iter().collect()
        };
        (pending.taken, pending.asked) = (true, false);
        let bound = if low { last.saturating_add(BLOCK) } else { pending.bound };
        Some(Self {
            rows,
            keys: std::mem::take(&mut pending.keys),
            line: pending.line,
            bound,
            whole,
            bytes: 0,
        })
    }

    fn write(&mut self, store: &mut Store) -> Result<(), Trouble> {
        let group = group(self.bound, &self.rows)?;
        self.bytes = group.rows.iter().filter_map(|(_, row)| Some(row.as_ref()?.len() as u64)).sum();
        if self.whole { store.renew(&group) } else { store.write(&group) }
    }
}

/// Rows as the store takes them.
pub(crate) fn group(bound: u64, rows: &[(RowKey, Option<Kept>)]) -> Result<Group, Trouble> {
    let encode = |row: &Kept| row.encode().map_err(|why| Trouble::Disk(format!("{}: {why}", row.describe())));
    let rows = rows
        .iter()
        .map(|(key, row)| Ok((key.0, row.as_ref().map(encode).transpose()?)))
        .collect::<Result<_, Trouble>>()?;
    Ok(Group { format: FORMAT, bound, rows })
}

/// How far the disk is.
#[derive(Clone, Debug, Default)]
struct Progress {
    kept: u64,
    failed: u64,
    /// Why nothing is acknowledged at the moment.
    broken: Option<NotKept>,
}

/// The disk of a registry that has one.
#[derive(Debug)]
pub(crate) struct Disk {
    work: Notify,
    progress: watch::Sender<Progress>,
    /// Cancelled once nobody writes any more.
    ended: CancellationToken,
    #[expect(clippy::disallowed_types, reason = "held by the one that writes, on a thread that may block")]
    store: Arc<std::sync::Mutex<Store>>,
}

impl Disk {
    pub(crate) fn new(store: Store) -> Self {
        let (progress, _) = watch::channel(Progress::default());
        Self { work: Notify::new(), progress, ended: CancellationToken::new(), store: Arc::new(store.into()) }
    }

    /// To be held by whoever writes: when it is dropped, those who wait are told that nobody does.
    pub(crate) fn writer(&self) -> DropGuard {
        self.ended.clone().drop_guard()
    }

    /// Tells that something is pending.
    pub(crate) fn notify(&self) {
        self.work.notify_one();
    }

    /// Why writes are refused; `None`: they are not.
    pub(crate) fn broken(&self) -> Option<NotKept> {
        self.progress.borrow().broken.clone()
    }

    /// Waits until the disk has a command.
    ///
    /// # Errors
    /// [`NotKept`]: it does not have it now, though it may get it later.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing: the command is written all the same.
    pub(crate) async fn until(&self, written: Written) -> Result<(), NotKept> {
        let mut progress = self.progress.subscribe();
        let told = progress.wait_for(|now| now.kept >= written.0 || now.failed >= written.0);
        let Some(Ok(now)) = self.ended.run_until_cancelled(told).await else {
            return Err(NotKept("the registry has stopped".into()));
        };
        if now.kept >= written.0 {
            return Ok(());
        }
        Err(now.broken.clone().unwrap_or_else(|| NotKept("the disk failed".into())))
    }

    /// Writes on a thread that may block. A panic there is an error like another, and leaves nothing that is believed.
    async fn write(&self, batch: Batch) -> (Batch, Result<(), Trouble>) {
        let store = Arc::clone(&self.store);
        let (line, keys) = (batch.line, batch.keys.clone());
        let lost = Batch { rows: Vec::new(), keys, line, bound: 0, whole: batch.whole, bytes: 0 };
        let done = spawn_blocking(move || {
            let mut batch = batch;
            let ended = batch.write(&mut store.lock().unwrap_or_else(PoisonError::into_inner));
            (batch, ended)
        });
        done.await.unwrap_or_else(|failed| (lost, Err(Trouble::Disk(format!("the writer failed: {failed}")))))
    }

    fn told(&self, line: u64, ended: &Result<(), Trouble>) {
        self.progress.send_modify(|now| match ended {
            Ok(()) => {
                if now.broken.take().is_some() {
                    tracing::info!("the disk is well: writes are taken again");
                }
                now.kept = now.kept.max(line);
            }
            Err(trouble) => {
                if now.broken.is_none() {
                    tracing::error!(%trouble, "the disk failed: no write is acknowledged until it is well");
                }
                now.failed = now.failed.max(line);
                now.broken = Some(NotKept(trouble.to_string().into()));
            }
        });
    }
}

/// Writes what comes until the registry stops. It may be started again after a panic.
pub(crate) async fn run(core: Arc<Core>) {
    let Some(disk) = &core.disk else { return };
    if core.pending(|_, pending| pending.taken) {
        // What became of that group was never told.
        disk.told(0, &Err(Trouble::Disk("the writer was started anew".to_owned())));
    }
    loop {
        let whole = disk.broken().is_some();
        if whole {
            sleep(AGAIN).await;
        }
        let Some(batch) = core.pending(|state, pending| Batch::take(state, pending, whole)) else {
            disk.work.notified().await;
            continue;
        };
        let begun = Instant::now();
        let (batch, ended) = disk.write(batch).await;
        core.figures.written(batch.bytes, begun.elapsed(), ended.is_ok());
        core.pending(|_, pending| {
            pending.taken = false;
            if ended.is_ok() {
                pending.bound = batch.bound;
            }
        });
        disk.told(batch.line, &ended);
        // Also where it failed: the state did change, and reads go on.
        core.wake(&batch.keys);
    }
}

/// Writes what is left, and leaves the bound where the last index is: a proper end passes over no index.
///
/// # Errors
/// [`Trouble`]: what was not acknowledged may be lost, and the next life begins at the end of the block.
pub(crate) async fn close(core: &Arc<Core>) -> Result<(), Trouble> {
    let Some(disk) = &core.disk else { return Ok(()) };
    let store = Arc::clone(&disk.store);
    let core = Arc::clone(core);
    let closed = spawn_blocking(move || {
        let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = !store.is_good() || core.pending(|_, pending| pending.taken);
        let (rows, last) = core.pending(|state, pending| {
            let waiting = std::mem::take(&mut pending.rows);
            let all = || state.rows().into_iter().map(|(key, row)| (key, Some(row))).collect();
            (if whole { all() } else { waiting.into_iter().collect::<Vec<_>>() }, state.last_index())
        });
        let group = group(last, &rows)?;
        if whole {
            store.renew(&group)?
        } else {
            store.write(&group)?
        }
        store.close()
    });
    closed.await.unwrap_or_else(|failed| Err(Trouble::Disk(format!("the writer failed: {failed}"))))
}

#[cfg(test)]
mod tests;
