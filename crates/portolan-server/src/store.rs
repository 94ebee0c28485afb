//! Rows on disk: bytes under keys, in one redb file. It knows nothing of services.
//!
//! In:  groups of rows that belong together. Out: each group on disk, whole or not at all, once [`Store::write`] returns.
//!
//! ```text
//! open (every page verified) -> write, write, … -- fails, or there is none --> nothing is believed of the file
//!                                   ^                              | renew: a new file with everything, synced,
//!                                   +------------------------------+ in the place of the old one
//! ```
//!
//! After a write or a sync that failed, what the system's cache shows of the file proves nothing about the disk. So the
//! file is not written again: everything is written into a new one. Until that has been done nothing is acknowledged.
//!
//! Never: reads a file of a newer format; takes a damaged row for a row.
//!
//! Proof: `store/tests.rs`: an error at every operation in turn, and power lost at any moment.

use std::fmt;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(crate) mod dir;
pub(crate) mod salvage;
#[cfg(test)]
pub(crate) mod simulated;

const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT: &str = "format";
const BOUND: &str = "bound";

/// Everything is in memory anyway; this is for the tree's upper pages.
const CACHE: usize = 16 << 20;

/// Why the store cannot do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Another process has the directory.
    Taken { by: String },
    /// What is there cannot be believed.
    Damaged(String),
    /// A newer version wrote it.
    Newer { found: u64, known: u64 },
    /// The disk does not do as it is told.
    Disk(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { by } => write!(f, "is in use by {by}; stop that one, or choose another directory"),
            Self::Damaged(what) => {
                write!(
                    f,
                    "is damaged: {what}; `portolan serve --repair` tells what can be saved, and keeps the file"
                )
            }
            Self::Newer { found, known } => {
                write!(
                    f,
                    "has format {found}, and this version knows formats up to {known}; use a newer portolan"
                )
            }
            Self::Disk(what) => f.write_str(what),
        }
    }
}

impl<E: Into<redb::Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::Corrupted(what) => Self::Damaged(what),
            redb::Error::DatabaseAlreadyOpen => Self::Taken { by: "another process".to_owned() },
            redb::Error::UpgradeRequired(found) => {
                Self::Damaged(format!("it is a redb file of version {found}, which portolan never wrote"))
            }
            redb::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Self::Damaged(format!("it is no file of a registry ({error})"))
            }
            other => Self::Disk(other.to_string()),
        }
    }
}

/// Where the file is. The second one beside [`dir::Dir`] is the disk of the tests, which fails and loses power.
pub(crate) trait Place: fmt::Debug + Send + Sync {
    /// Opens the file and verifies all of it; `None`: there is none.
    fn open(&self) -> Result<Option<Database>, Trouble>;
    /// An empty file beside it.
    fn create(&self) -> Result<Database, Trouble>;
    /// Puts the file that was created in the place of the other, for good.
    fn adopt(&self) -> Result<(), Trouble>;
    /// Gives the room of a file that was created, and is of no use, back.
    fn discard(&self) -> Result<(), Trouble>;
}

/// What is written together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) format: u64,
    /// No index beyond it may be shown.
    pub(crate) bound: u64,
    /// In order of keys; `None`: the row goes.
    pub(crate) rows: Vec<(u64, Option<Vec<u8>>)>,
}

/// What was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) bound: u64,
    pub(crate) rows: Vec<(u64, Vec<u8>)>,
}

/// Rows on disk.
#[derive(Debug)]
pub(crate) struct Store {
    place: Box<dyn Place>,
    /// `None` once anything has failed.
    db: Option<Database>,
}

impl Store {
    /// Opens what is there; `format` is the newest that can be read. Where there is nothing, [`Store::renew`] comes next:
    /// a file that is being made has no name yet under which a crash could leave it half made.
    ///
    /// # Errors
    /// [`Trouble`]: whose the directory is, what is damaged, which format it has, what the disk says.
    pub(crate) fn open(place: Box<dyn Place>, format: u64) -> Result<(Self, Option<Loaded>), Trouble> {
        let Some(db) = place.open()? else { return Ok((Self { place, db: None }, None)) };
        let loaded = load(&db, format)?;
        Ok((Self { place, db: Some(db) }, Some(loaded)))
    }

    /// A store whose file is not looked at: [`Store::renew`] comes next.
    pub(crate) fn none(place: Box<dyn Place>) -> Self {
        Self { place, db: None }
    }

    /// Writes a group; it is on disk when this returns.
    ///
    /// # Errors
    /// Nothing of the group can be relied on, and [`Store::renew`] comes next.
    pub(crate) fn write(&mut self, group: &Group) -> Result<(), Trouble> {
        // Taken, so that a panic within leaves nothing that would be believed.
        let Some(db) = self.db.take() else {
            return Err(Trouble::Disk("the file is not known to be good".to_owned()));
        };
        write(&db, group)?;
        self.db = Some(db);
        Ok(())
    }

    /// Writes everything into a new file, which takes the place of the old one.
    ///
    /// # Errors
    /// Neither file is changed in what counts: the old one has all that was acknowledged.
    pub(crate) fn renew(&mut self, everything: &Group) -> Result<(), Trouble> {
        self.db = None;
        match self.written_anew(everything) {
            Ok(db) => {
                self.db = Some(db);
                Ok(())
            }
            Err(trouble) => {
                // A full disk must not be kept full by what was tried.
                if let Err(also) = self.place.discard() {
                    tracing::warn!(trouble = %also, "a file that is of no use could not be removed");
                }
                Err(trouble)
            }
        }
    }

    fn written_anew(&self, everything: &Group) -> Result<Database, Trouble> {
        let db = self.place.create()?;
        write(&db, everything)?;
        self.place.adopt()?;
        Ok(db)
    }

    /// Whether what is in the file is known.
    pub(crate) fn is_good(&self) -> bool {
        self.db.is_some()
    }

    /// Ends with the file closed, so that the next start need not verify what it left open.
    pub(crate) fn close(&mut self) -> Result<(), Trouble> {
        self.db.take().map_or(Ok(()), |db| db.close().map_err(Trouble::from))
    }
}

fn write(db: &Database, group: &Group) -> Result<(), Trouble> {
    let mut tx = db.begin_write()?;
    tx.set_durability(Durability::Immediate).map_err(|error| Trouble::Disk(error.to_string()))?;
    {
        let mut meta = tx.open_table(META)?;
        for (name, value) in [(FORMAT, group.format), (BOUND, group.bound)] {
            if meta.get(name)?.is_none_or(|had| had.value() != value) {
                meta.insert(name, value)?;
            }
        }
        let mut rows = tx.open_table(ROWS)?;
        for (key, row) in &group.rows {
            match row {
                Some(row) => rows.insert(key, frame(*key, row).as_slice())?,
                None => rows.remove(key)?,
            };
        }
    }
    Ok(tx.commit()?)
}

/// What is in the file.
pub(crate) fn load(db: &Database, format: u64) -> Result<Loaded, Trouble> {
    let tx = db.begin_read()?;
    let meta = match tx.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => {
            return Err(Trouble::Damaged("it has nothing in it".to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    let told = |name: &str| -> Result<u64, Trouble> {
        let found = meta.get(name)?.map(|found| found.value());
        found.ok_or_else(|| Trouble::Damaged(format!("it does not tell its {name}")))
    };
    match told(FORMAT)? {
        found if found > format => return Err(Trouble::Newer { found, known: format }),
        // Format 1 is the first. What is older is brought up to date here, row by row, once there is something older.
        0 => return Err(Trouble::Damaged("it says that its format is 0, which never was".to_owned())),
        _ => {}
    }
    let table = tx.open_table(ROWS)?;
    let mut loaded = Loaded { bound: told(BOUND)?, rows: Vec::new() };
    for found in table.iter()? {
        let (key, value) = found?;
        let key = key.value();
        let row = unframe(key, value.value())
            .ok_or_else(|| Trouble::Damaged(format!("row {key} is not what was written")))?;
        loaded.rows.push((key, row.to_vec()));
    }
    Ok(loaded)
}

/// A row with its checksum: redb's own cover pages, and are of no use where a page cannot be read.
fn frame(key: u64, row: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(row.len().saturating_add(size_of::<u64>()));
    framed.extend_from_slice(&xxh3_64_with_seed(row, key).to_le_bytes());
    framed.extend_from_slice(row);
    framed
}

fn unframe(key: u64, framed: &[u8]) -> Option<&[u8]> {
    let (sum, row) = framed.split_first_chunk()?;
    (u64::from_le_bytes(*sum) == xxh3_64_with_seed(row, key)).then_some(row)
}

#[cfg(test)]
mod tests;
