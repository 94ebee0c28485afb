//! Views on this machine's disk: a file each, replaced whole.
//!
//! In:  bytes under a key. Out: the bytes as they were written, or what is left of them: whoever reads them checks.
//!
//! Never: leaves half a file under a name that is read; overwrites what another process knows better; grows: there is
//! one file a view, at most one that was set aside, and what a killed process left behind is removed at the next start.
//!
//! Proof: `disk/tests.rs`, on real directories.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;

use super::{Cache, CacheKey, CacheReply, Reach, saved, wall};
use crate::error::{Error, Kind};

/// How many files are written at once: a disk that hangs holds up so many threads, and no more.
const WRITERS: usize = 4;
/// How many files are read at once.
const READERS: usize = 16;
/// A file that is still being written after this long was left by a process that is gone.
const LEFT_BEHIND: Duration = Duration::from_secs(600);

const KEPT: &str = ".view";
const ASIDE: &str = ".damaged";
const UNFINISHED: &str = ".tmp";

/// Tells the unfinished files of one process from each other.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// A directory of views. Processes may share one; each file is readable by its owner alone.
#[derive(Clone, Debug)]
pub struct Disk {
    directory: Arc<Path>,
    writers: Arc<Semaphore>,
    readers: Arc<Semaphore>,
}

impl Disk {
    /// A cache in this directory, which is made when it is first needed. No I/O yet.
    #[must_use]
    pub fn new(directory: impl AsRef<Path>) -> Self {
        Self {
            directory: directory.as_ref().into(),
            writers: Arc::new(Semaphore::new(WRITERS)),
            readers: Arc::new(Semaphore::new(READERS)),
        }
    }

    fn path(&self, key: &CacheKey, ending: &str) -> PathBuf {
        self.directory.join(key.text() + ending)
    }

    /// Runs `work` where blocking is allowed. It may go on when the future is dropped, and keeps its place until then.
    async fn blocking<T: Send + 'static>(
        places: &Arc<Semaphore>,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
        let work = move || {
            let done = work();
            drop(place);
            done
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|ended| Err(io::Error::other(ended)))
    }
}

impl Cache for Disk {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn reach(&self) -> Reach {
        Reach::Machine
    }

    fn check(&self) -> CacheReply<'_, ()> {
        let directory = Arc::clone(&self.directory);
        Box::pin(async move {
            let tried = Self::blocking(&self.writers, move || prepare(&directory)).await;
            tried.map_err(|cause| {
                let shown = self.directory.display();
                let what =
                    format!("cache.directory: {shown} cannot be written; name a directory that can, or none");
                Error::new(Kind::Config, what).caused_by(cause)
            })
        })
    }

    fn load<'a>(&'a self, key: &'a CacheKey) -> CacheReply<'a, Option<Vec<u8>>> {
        let path = self.path(key, KEPT);
        Box::pin(async move {
            let read = Self::blocking(&self.readers, move || read(&path, saved::LARGEST)).await;
            read.map_err(|cause| failed("read", &self.path(key, KEPT), cause))
        })
    }

    fn save<'a>(&'a self, key: &'a CacheKey, value: &'a [u8], _: Duration) -> CacheReply<'a, ()> {
        let (path, bytes) = (self.path(key, KEPT), value.to_vec());
        Box::pin(async move {
            let written = Self::blocking(&self.writers, move || write(&path, &bytes)).await;
            written.map_err(|cause| failed("written", &self.path(key, KEPT), cause))
        })
    }

    fn set_aside<'a>(&'a self, key: &'a CacheKey) -> CacheReply<'a, ()> {
        let (from, to) = (self.path(key, KEPT), self.path(key, ASIDE));
        Box::pin(async move {
            let moved = Self::blocking(&self.writers, move || match std::fs::rename(&from, &to) {
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(()),
                moved => moved,
            });
            moved.await.map_err(|cause| failed("set aside", &self.path(key, KEPT), cause))
        })
    }
}

fn failed(what: &str, path: &Path, cause: io::Error) -> Error {
    let what = format!("cache.directory: {} cannot be {what}", path.display());
    Error::new(Kind::Unavailable, what).caused_by(cause)
}

/// Makes the directory, writes a file into it, and removes what was left behind.
fn prepare(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let (path, mut file) = unfinished(&directory.join("try"))?;
    let tried = file.write_all(b"portolan").and_then(|()| file.sync_all());
    std::fs::remove_file(&path)?;
    tried?;
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == UNFINISHED.trim_start_matches('.'))
            && is_left_behind(&path)
        {
            // Another process that starts now may have removed it already.
            let _gone_either_way = std::fs::remove_file(&path);
        }
    }
    Ok(())
}

fn is_left_behind(path: &Path) -> bool {
    let changed = std::fs::metadata(path).and_then(|found| found.modified());
    // One from the future stays until its time has come.
    changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > LEFT_BEHIND))
}

/// The first `limit` bytes and one more, so that what is longer is seen to be. `None` when there is no such file.
fn read(path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(none) if none.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(failed) => return Err(failed),
    };
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Replaces the file at `path` at once and for good, unless another process has put a newer one there.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let there = read(path, saved::HEAD)?;
    if there.is_some_and(|there| saved::is_newer(&there, bytes, wall())) {
        return Ok(());
    }
    let (new, mut file) = unfinished(path)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&new, path))
        .and_then(|()| sync_directory(path));
    if written.is_err() {
        // It is not there after a rename; and when it cannot be removed either, the next start does.
        let _tried = std::fs::remove_file(&new);
    }
    written
}

/// A new file beside `path`, under a name that no other process uses.
fn unfinished(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    loop {
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{process}-{count}{UNFINISHED}"));
        let name = PathBuf::from(name);
        match options.open(&name) {
            // Another machine, or a container, has a process of the same number.
            Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened.map(|file| (name, file)),
        }
    }
}

/// Makes a rename last beyond a loss of power.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

/// Elsewhere a directory cannot be opened, and the file system sees to it.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
