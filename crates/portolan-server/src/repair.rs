//! A data directory that is refused, made one that can be used: first what is lost, then, when that is wanted, the deed.
//!
//! In:  a directory that no registry has. Out: what can be saved of its file and what is dropped; then a new file, and the
//! old one under another name beside it.
//!
//! Never: changes anything before [`Repair::carry_out`]; removes the old file.

use std::path::PathBuf;

use portolan::Error;
use tokio::time::Instant;

use crate::{
    config::ServerConfig,
    core::home,
    durable::{BLOCK, group},
    state::{FORMAT, Kept, Misfit, Restored, RowKey, State},
    store::{Place, Store, Trouble, dir::Dir, salvage},
};

/// What can be saved of a data directory, and what cannot. The directory is taken until this is dropped.
#[derive(Debug)]
pub struct Repair {
    path: PathBuf,
    dir: Dir,
    state: State,
    bound: u64,
    dropped: Vec<String>,
}

impl Repair {
    /// Looks at the data directory of `config`. `None`: it is sound, or there is nothing in it.
    ///
    /// It blocks, and belongs on a thread that may.
    ///
    /// # Errors
    /// [`Kind::Config`](portolan::Kind::Config): there is no such setting, another process has the directory, a newer
    /// version wrote it, or it cannot be read.
    pub fn survey(config: &ServerConfig) -> Result<Option<Self>, Error> {
        let path = config.data_dir.clone();
        let path = path.ok_or_else(|| Error::config("data_dir: there is none to repair; name it"))?;
        Self::look(config, path.clone()).map_err(|trouble| failed(&path, &trouble))
    }

    fn look(config: &ServerConfig, path: PathBuf) -> Result<Option<Self>, Trouble> {
        let dir = Dir::take(&path)?;
        if !dir.file().exists() {
            return Ok(None);
        }
        let found = salvage::read(&dir, FORMAT)?;
        let mut dropped = found.lost;
        let mut rows = Vec::new();
        for (key, bytes) in &found.rows {
            match Kept::decode(bytes) {
                Ok(kept) => rows.push((RowKey(*key), kept)),
                Err(why) => dropped.push(format!("row {key}: it cannot be read: {why}")),
            }
        }
        // Whatever was shown is below: no block ends later than one after the last index that was given.
        let newest = rows.iter().map(|(_, row)| row.modify()).max().unwrap_or(0);
        let bound = found.bound.unwrap_or(0).max(newest.saturating_add(BLOCK));
        let home = home(config, config.node.as_str().into());
        let Restored { state, misfits, .. } = State::restore(rows, bound, home, Instant::now().into_std());
        dropped.extend(misfits.iter().map(Misfit::to_string));
        if dropped.is_empty() && found.is_sound {
            return Ok(None);
        }
        Ok(Some(Self { path, dir, state, bound, dropped }))
    }

    /// A line for each thing that is lost.
    #[must_use]
    pub fn dropped(&self) -> &[String] {
        &self.dropped
    }

    /// How many nodes, instances and checks are saved.
    #[must_use]
    pub fn saved(&self) -> usize {
        self.state.rows().len()
    }

    /// Writes what is saved into a new file, and tells where the old one is.
    ///
    /// # Errors
    /// [`Kind::Config`](portolan::Kind::Config): the disk does not do it; the old file is in its place, or beside it.
    pub fn carry_out(self) -> Result<PathBuf, Error> {
        let Self { path, dir, state, bound, .. } = self;
        let work = || -> Result<PathBuf, Trouble> {
            let rows: Vec<_> = state.rows().into_iter().map(|(key, row)| (key, Some(row))).collect();
            let aside = dir.keep_aside("damaged")?;
            let place: Box<dyn Place> = Box::new(dir);
            let mut store = Store::none(place);
            store.renew(&group(bound, &rows)?)?;
            store.close()?;
            Ok(aside)
        };
        work().map_err(|trouble| failed(&path, &trouble))
    }
}

fn failed(path: &std::path::Path, trouble: &Trouble) -> Error {
    Error::config(format!("data_dir: {}: {trouble}", path.display()))
}
