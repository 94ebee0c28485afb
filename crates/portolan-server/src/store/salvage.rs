//! What can still be read of a file that is refused.
//!
//! In:  the directory. Out: the rows whose checksum holds, and a line for each thing that is lost.
//!
//! It reads a copy, since opening a file mends what it can in it. Rows are read from both ends, so that a page that
//! cannot be read costs its own rows and what lies between it and another such page.
//!
//! Never: touches the file itself; takes a row whose checksum does not hold.

use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use redb::{
    Builder, ConcurrencyMode, ReadOnlyDatabase, ReadableDatabase, ReadableTable, backends::FileBackend,
};

use super::{BOUND, CACHE, META, ROWS, Trouble, dir::Dir, load, unframe};

/// Where redb's header has its flags, and the one that says that the file was left open (redb: docs/design.md, file format
/// 3).
const FLAGS: usize = 9;
const RECOVERY_REQUIRED: u8 = 2;

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Salvage {
    /// `None`: it could not be read.
    pub(crate) bound: Option<u64>,
    pub(crate) rows: BTreeMap<u64, Vec<u8>>,
    pub(crate) lost: Vec<String>,
    /// The file would be opened as it is.
    pub(crate) is_sound: bool,
}

/// Reads what can be read.
///
/// # Errors
/// [`Trouble::Disk`]: the file cannot be copied. [`Trouble::Newer`]: it is not damaged, but beyond `format`.
pub(crate) fn read(dir: &Dir, format: u64) -> Result<Salvage, Trouble> {
    let (file, copy) = (dir.file(), dir.file().with_extension("redb.copy"));
    let anew = || -> Result<(), Trouble> {
        let copied = fs::copy(&file, &copy).map(drop);
        copied.map_err(|error| Trouble::Disk(format!("cannot copy {}: {error}", file.display())))
    };
    anew()?;
    let mut found = Salvage { is_sound: sound(&copy, format)?, ..Salvage::default() };
    // Looking at it may have mended it.
    anew()?;
    // A page that is not what redb wrote may make it panic.
    let read = catch_unwind(AssertUnwindSafe(|| -> Result<(), Trouble> {
        if let Ok(db) = as_it_is(&copy) {
            all(&db, &mut found);
            return Ok(());
        }
        anew()?;
        let mut builder = Builder::new();
        all(&builder.set_cache_size(CACHE).create_with_backend(backend(&copy)?)?, &mut found);
        Ok(())
    }));
    match read {
        Ok(Ok(())) => {}
        Ok(Err(Trouble::Damaged(what) | Trouble::Disk(what))) => {
            found.lost.push(format!("all that could not be read: {what}"));
        }
        Ok(Err(other)) => found.lost.push(format!("all that could not be read: it {other}")),
        Err(_panic) => found.lost.push("all that could not be read: the file makes no sense".to_owned()),
    }
    found.lost.dedup();
    fs::remove_file(&copy)
        .map_err(|error| Trouble::Disk(format!("cannot remove {}: {error}", copy.display())))?;
    Ok(found)
}

fn backend(copy: &Path) -> Result<FileBackend, Trouble> {
    let file = fs::File::options().read(true).write(true).open(copy);
    Ok(FileBackend::new(file.map_err(|error| Trouble::Disk(error.to_string()))?)?)
}

/// The file without a look at what its last process left open: redb would go back to the commit before, or read nothing,
/// where one page of the last commit is damaged. A mode that shares files needs no list of free pages, which such a file
/// does not have.
fn as_it_is(copy: &Path) -> Result<ReadOnlyDatabase, Trouble> {
    let mut bytes = fs::read(copy).map_err(|error| Trouble::Disk(error.to_string()))?;
    if let Some(flags) = bytes.get_mut(FLAGS) {
        *flags &= !RECOVERY_REQUIRED;
        fs::write(copy, bytes).map_err(|error| Trouble::Disk(error.to_string()))?;
    }
    let mut builder = Builder::new();
    let builder = builder.set_cache_size(CACHE).set_concurrency_mode(ConcurrencyMode::SingleWriter);
    Ok(builder.open_read_only_with_backend(backend(copy)?)?)
}

fn all(db: &impl ReadableDatabase, found: &mut Salvage) {
    bound(db, found);
    for from in [From::Start, From::End] {
        rows(db, from, found);
    }
}

fn sound(copy: &Path, format: u64) -> Result<bool, Trouble> {
    let looked = catch_unwind(AssertUnwindSafe(|| {
        let mut builder = Builder::new();
        let builder = builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
        load(&builder.create_with_backend(backend(copy)?)?, format).map(drop)
    }));
    match looked {
        Ok(Err(newer @ Trouble::Newer { .. })) => Err(newer),
        Ok(read) => Ok(read.is_ok()),
        Err(_panic) => Ok(false),
    }
}

#[derive(Clone, Copy)]
enum From {
    Start,
    End,
}

fn bound(db: &impl ReadableDatabase, found: &mut Salvage) {
    let read = catch_unwind(AssertUnwindSafe(|| -> Result<Option<u64>, Trouble> {
        Ok(db.begin_read()?.open_table(META)?.get(BOUND)?.map(|bound| bound.value()))
    }));
    found.bound = read.ok().and_then(Result::ok).flatten();
    if found.bound.is_none() {
        found.lost.push("the bound of the indexes that were shown".to_owned());
    }
}

fn rows(db: &impl ReadableDatabase, from: From, found: &mut Salvage) {
    let read = catch_unwind(AssertUnwindSafe(|| -> Result<(), Trouble> {
        let table = db.begin_read()?.open_table(ROWS)?;
        let mut all = table.iter()?;
        loop {
            let next = match from {
                From::Start => all.next(),
                From::End => all.next_back(),
            };
            let Some(next) = next else { return Ok(()) };
            let (key, value) = next?;
            match unframe(key.value(), value.value()) {
                Some(row) => {
                    found.rows.insert(key.value(), row.to_vec());
                }
                None => found.lost.push(format!("row {}: it is not what was written", key.value())),
            }
        }
    }));
    let why = match read {
        Ok(Ok(())) => return,
        Ok(Err(trouble)) => trouble.to_string(),
        Err(_panic) => "a page makes no sense".to_owned(),
    };
    let side = match from {
        From::Start => "after",
        From::End => "before",
    };
    let last = match from {
        From::Start => found.rows.keys().next_back(),
        From::End => found.rows.keys().next(),
    };
    let last = last.map_or_else(|| "any row".to_owned(), |key| format!("row {key}"));
    found
        .lost
        .push(format!("what stands {side} {last}, as far as it was not read from the other end: {why}"));
}
