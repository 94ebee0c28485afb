//! The file of a backup. It blocks.
//!
//! In:  bytes and a path. Out: a file that was read again; bytes that were found right.
//!
//! Never: leaves anything under the wanted name that was not read again; leaves a file behind that is of no use.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use portolan_server::backup::{self, LARGEST, Summary};

use crate::exit::Usage;

/// Whether a backup may be written there.
///
/// # Errors
/// A file is there and `force` was not given; or it is no file that can be replaced.
pub(super) fn may_write(path: &Path, force: bool) -> Result<(), Usage> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            Err(Usage(format!("{shown}: is there, and is no plain file; name another, or - for stdout")))
        }
        Ok(_) if !force => {
            Err(Usage(format!("{shown}: is there already; name another file, or replace it with --force")))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Writes a backup, and reads it again before it gets its name.
///
/// # Errors
/// The disk does not do it, or gives back other bytes. What was there under the name still is.
pub(super) fn write(path: &Path, bytes: &[u8], force: bool) -> anyhow::Result<Summary> {
    let beside = beside(path);
    let done = kept(path, &beside, bytes, force);
    if done.is_err() {
        // A full disk must not be kept full by what was tried. It is gone where it got its name.
        let _may_be_gone = fs::remove_file(&beside);
    }
    done
}

fn kept(path: &Path, beside: &Path, bytes: &[u8], force: bool) -> anyhow::Result<Summary> {
    let cannot = || format!("cannot write {}", beside.display());
    let mut options = File::options();
    options.write(true).create_new(true);
    // It holds all that the registry does.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(beside).with_context(cannot)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(cannot)?;
    drop(file);
    let again = File::open(beside).with_context(cannot)?;
    let summary =
        backup::check(io::BufReader::new(again)).context("what was written is not what is there")?;
    // Somebody may have been quicker.
    may_write(path, force)?;
    fs::rename(beside, path).with_context(|| format!("cannot rename it to {}", path.display()))?;
    if cfg!(unix) {
        let folder = folder(path);
        let synced = File::open(&folder).and_then(|folder| folder.sync_all());
        synced.with_context(|| format!("cannot sync {}", folder.display()))?;
    }
    Ok(summary)
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A name in the same folder, so that it can be renamed.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().map_or_else(|| "backup".into(), |name| name.to_string_lossy().into_owned());
    folder(path).join(format!(".{name}.{}.new", std::process::id()))
}

/// # Errors
/// The reader is gone.
pub(super) fn to_stdout(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).context("cannot write to stdout")
}

/// Reads a backup, plain or as `consul snapshot save` took it, and finds it right.
///
/// # Errors
/// It cannot be read, or is not right: what and where.
pub(super) fn read(path: &Path) -> anyhow::Result<(Vec<u8>, Summary)> {
    let from_pipe = path.as_os_str() == "-";
    let shown = if from_pipe { "stdin".to_owned() } else { path.display().to_string() };
    let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let read = if from_pipe {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("{shown}: cannot be read"))?;
    if bytes.len() > LARGEST {
        return Err(Usage(format!("{shown}: is over {LARGEST} bytes, more than a registry takes")).into());
    }
    let bytes = backup::opened(&bytes).with_context(|| shown.clone())?.into_owned();
    let summary = backup::check(bytes.as_slice()).with_context(|| shown)?;
    Ok((bytes, summary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_only_where_that_was_asked_for_and_what_is_no_backup_gets_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b");
        may_write(&path, false).unwrap();
        let said = format!("{:#}", write(&path, b"no backup at all", false).unwrap_err());
        assert!(said.contains("it does not begin as one"), "{said}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
        fs::write(&path, "mine").unwrap();
        let said = may_write(&path, false).unwrap_err().0;
        assert!(
            said.ends_with("b: is there already; name another file, or replace it with --force"),
            "{said}"
        );
        may_write(&path, true).unwrap();
        assert!(write(&path, b"no backup at all", true).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        assert!(may_write(dir.path(), true).unwrap_err().0.contains("is no plain file"));
    }
}
