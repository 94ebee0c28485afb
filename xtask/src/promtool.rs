//! Finds a promtool, which checks Prometheus' rules, or fetches the one of this machine's Debian.
//!
//! In:  `promtool` on the path, else `target/promtool`, else the package that [`fetch`] gets from where this machine gets
//! Debian. Out: its path.
//!
//! Never: installs anything, or needs to be root.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{project::Project, redis, run::Run};

/// What has it, in Debian 10 to 13.
const PACKAGE: &str = "prometheus";
/// It is linked with nothing but the C library.
const BINARY: &str = "usr/bin/promtool";

/// The promtool to check with.
///
/// # Errors
/// When there is none, and the package cannot be had.
pub(crate) fn find(project: &Project) -> Result<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut installed = std::env::split_paths(&on_path).map(|place| place.join("promtool"));
    if let Some(found) = installed.find(|path| path.is_file()) {
        return Ok(found);
    }
    let place = project.target.join("promtool");
    let path = place.join(BINARY);
    if !path.is_file() {
        println!("no promtool on the path or under {}: fetching Debian's package, once", place.display());
        fetch(&place).context("promtool cannot be fetched; Debian: apt-get install prometheus")?;
    }
    Ok(path)
}

/// Puts the files of the package under `place`, whole or not at all.
fn fetch(place: &Path) -> Result<()> {
    let work = redis::begin(place)?;
    redis::apt(&work).words("update").run()?;
    redis::apt(&work).words("download").word(PACKAGE).run()?;
    let mut packages = fs::read_dir(&work)?.filter_map(|entry| Some(entry.ok()?.path()));
    let package = packages.find(|path| path.extension().is_some_and(|kind| kind == "deb"));
    let unpacked = work.join("unpacked");
    let package = package.context("apt-get downloaded no package")?;
    Run::new("dpkg-deb", &work).words("-x").word(package).word(&unpacked).run()?;
    fs::rename(&unpacked, place).with_context(|| place.display().to_string())?;
    fs::remove_dir_all(&work).with_context(|| work.display().to_string())
}
