//! The data directory: one process, one file.
//!
//! In:  a path. Out: the registry's file, opened and verified, while no other process has the directory.
//!
//! ```text
//! registry.redb             what the registry holds
//! registry.redb.new         being written, to take its place
//! registry.redb.damaged-1   what `--repair` found, as it was
//! registry.redb.replaced-1  what `portolan restore` found, as it was
//! lock                      who has the directory
//! ```
//!
//! Never: removes a file that may hold anything; lets two processes in.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use redb::{Builder, Database, backends::FileBackend};

use super::{CACHE, Place, Trouble};

const FILE: &str = "registry.redb";
const NEW: &str = "registry.redb.new";
const LOCK: &str = "lock";

/// A data directory that is ours.
#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
    /// Its lock goes with it, however the process ends.
    _lock: File,
}

fn disk(what: &str, path: &Path, error: &io::Error) -> Trouble {
    Trouble::Disk(format!("{what} {}: {error}", path.display()))
}

/// How large the registry's file is; 0 where there is none.
pub(crate) fn size(path: &Path) -> u64 {
    fs::metadata(path.join(FILE)).map_or(0, |told| told.len())
}

impl Dir {
    /// Makes the directory if it is not there, readable by this user alone, and takes it.
    ///
    /// # Errors
    /// [`Trouble::Taken`] with the other process; [`Trouble::Disk`] where it cannot be written.
    pub(crate) fn take(path: &Path) -> Result<Self, Trouble> {
        make(path).map_err(|error| disk("cannot make", path, &error))?;
        let lock_path = path.join(LOCK);
        let mut options = File::options();
        let opened = options.read(true).write(true).create(true).truncate(false).open(&lock_path);
        let mut lock = opened.map_err(|error| disk("cannot write", &lock_path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = fs::read_to_string(&lock_path).unwrap_or_default();
                let by = match pid.trim() {
                    "" => "another process".to_owned(),
                    pid => format!("process {pid}"),
                };
                return Err(Trouble::Taken { by });
            }
            Err(TryLockError::Error(error)) => return Err(disk("cannot lock", &lock_path, &error)),
        }
        // Who has it is for people; that it is had is the lock's part.
        let told = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
        told.map_err(|error| disk("cannot write", &lock_path, &error))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The registry's file.
    pub(crate) fn file(&self) -> PathBuf {
        self.path.join(FILE)
    }

    /// Gives the file a second name, which ends in `why` and stays when another takes its place; says which.
    ///
    /// # Errors
    /// [`Trouble::Disk`]: it is where it was.
    pub(crate) fn keep_aside(&self, why: &str) -> Result<PathBuf, Trouble> {
        let free = (1_u32..).map(|n| self.path.join(format!("{FILE}.{why}-{n}"))).find(|path| !path.exists());
        let aside = free.unwrap_or_else(|| self.path.join(format!("{FILE}.{why}")));
        // A copy where the file system has no links.
        fs::hard_link(self.file(), &aside)
            .or_else(|_no_links| fs::copy(self.file(), &aside).map(drop))
            .map_err(|error| disk("cannot copy", &self.file(), &error))?;
        self.sync()?;
        Ok(aside)
    }

    fn sync(&self) -> Result<(), Trouble> {
        if cfg!(unix) {
            let synced = File::open(&self.path).and_then(|dir| dir.sync_all());
            synced.map_err(|error| disk("cannot sync", &self.path, &error))?;
        }
        Ok(())
    }
}

fn make(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Opens a file for this user alone.
fn private(path: &Path) -> Result<File, Trouble> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| disk("cannot write", path, &error))
}

impl Place for Dir {
    fn open(&self) -> Result<Option<Database>, Trouble> {
        let path = self.file();
        match fs::metadata(&path) {
            Ok(found) if found.len() == 0 => Err(Trouble::Damaged("it is empty".to_owned())),
            Ok(_) => {
                let backend = FileBackend::new(private(&path)?)?;
                let mut builder = Builder::new();
                let builder = builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
                Ok(Some(builder.create_with_backend(backend)?))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(disk("cannot read", &path, &error)),
        }
    }

    fn create(&self) -> Result<Database, Trouble> {
        let path = self.path.join(NEW);
        let file = private(&path)?;
        // What an earlier attempt left there was never of any use.
        file.set_len(0).map_err(|error| disk("cannot write", &path, &error))?;
        Ok(Builder::new().set_cache_size(CACHE).create_with_backend(FileBackend::new(file)?)?)
    }

    fn adopt(&self) -> Result<(), Trouble> {
        let renamed = fs::rename(self.path.join(NEW), self.file());
        renamed.map_err(|error| disk("cannot rename", &self.path.join(NEW), &error))?;
        self.sync()
    }

    fn discard(&self) -> Result<(), Trouble> {
        let path = self.path.join(NEW);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(disk("cannot remove", &path, &error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
