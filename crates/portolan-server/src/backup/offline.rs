//! A backup put into a data directory that no registry has.
//!
//! In:  a directory and a backup. Out: the directory with what the backup holds; the file that was there, beside the new one.
//!
//! Never: changes anything before the whole backup was found right; lets an index go down; removes the old file.

use std::path::{Path, PathBuf};

use portolan::Error;
use tokio::time::Instant;

use super::{Checker, Summary, opened};
use crate::{
    config::ServerConfig,
    core::home,
    durable::{BLOCK, group},
    state::{FORMAT, Kept, Misfit, Restored, RowKey, State},
    store::{Place, Store, Trouble, dir::Dir, salvage},
};

/// What became of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Replaced {
    /// What the backup held.
    pub summary: Summary,
    /// The file as it was; `None`: there was none.
    pub aside: Option<PathBuf>,
}

/// Puts a backup in the place of what the data directory of `config` holds. It blocks.
///
/// # Errors
/// [`Kind::Config`](portolan::Kind::Config): `data_dir` is not set, a registry has it, a newer version wrote it, the disk does
/// not do it, or the backup is not right. The directory is as it was then.
pub fn replace(config: &ServerConfig, backup: &[u8]) -> Result<Replaced, Error> {
    let path = config.data_dir.clone();
    let path = path.ok_or_else(|| Error::config("data_dir: there is none to restore into; name it"))?;
    let mut checker = Checker::keeping();
    checker.push(&opened(backup)?)?;
    let (summary, rows) = checker.into_rows()?;
    let rows = decoded(rows, summary.index).map_err(Error::config)?;
    let aside = put(config, &path, rows, summary.index).map_err(|why| failed(&path, &why))?;
    Ok(Replaced { summary, aside })
}

/// Rows of a backup as the state takes them. None may be newer than `index`, above which a block of indexes is taken.
pub(crate) fn decoded(rows: Vec<(u64, Vec<u8>)>, index: u64) -> Result<Vec<(RowKey, Kept)>, String> {
    let decode = |(key, bytes): (u64, Vec<u8>)| match Kept::decode(&bytes) {
        Ok(kept) if kept.modify() > index => {
            Err(format!("the backup makes no sense: row {key} is newer than the backup"))
        }
        Ok(kept) => Ok((RowKey(key), kept)),
        Err(why) => Err(format!("the backup makes no sense: row {key} cannot be read: {why}")),
    };
    rows.into_iter().map(decode).collect()
}

/// What is said of rows that have no place.
pub(crate) fn misplaced(misfits: &[Misfit]) -> String {
    let first = misfits.first().map(Misfit::to_string).unwrap_or_default();
    match misfits.len().saturating_sub(1) {
        0 => format!("the backup makes no sense: {first}"),
        others => format!("the backup makes no sense: {first}, and {others} more rows have no place"),
    }
}

fn put(
    config: &ServerConfig,
    path: &Path,
    rows: Vec<(RowKey, Kept)>,
    index: u64,
) -> Result<Option<PathBuf>, Trouble> {
    let dir = Dir::take(path)?;
    let there = dir.file().exists();
    // Whatever this directory's registry has shown is below.
    let mut bound = index;
    if there {
        let old = salvage::read(&dir, FORMAT)?;
        let newest = old.rows.values().filter_map(|row| Some(Kept::decode(row).ok()?.modify())).max();
        let least = if old.bound.is_some() { 0 } else { newest.unwrap_or(0).saturating_add(BLOCK) };
        bound = bound.max(old.bound.unwrap_or(0)).max(least);
    }
    // One is passed over: what was watched at the last index is answered.
    let bound = bound.saturating_add(1);
    // Its node is called as the backup has it, until a registry begins here.
    let named = rows.iter().find_map(|(_, row)| match row {
        Kept::Node { row, home: true } => Some(row.spec.clone()),
        _ => None,
    });
    let home = named.unwrap_or_else(|| home(config, config.node.as_str().into()));
    let Restored { state, misfits, .. } = State::restore(rows, bound, home, Instant::now().into_std());
    if !misfits.is_empty() {
        return Err(Trouble::Disk(misplaced(&misfits)));
    }
    let rows: Vec<_> = state.rows().into_iter().map(|(key, row)| (key, Some(row))).collect();
    let group = group(state.last_index(), &rows)?;
    let aside = if there { Some(dir.keep_aside("replaced")?) } else { None };
    let place: Box<dyn Place> = Box::new(dir);
    let mut store = Store::none(place);
    store.renew(&group)?;
    store.close()?;
    Ok(aside)
}

fn failed(path: &Path, trouble: &Trouble) -> Error {
    Error::config(format!("data_dir: {}: {trouble}", path.display()))
}
