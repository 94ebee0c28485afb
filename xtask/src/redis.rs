//! Finds a Redis to test against, or fetches the one of this machine's Debian.
//!
//! In:  `PORTOLAN_TEST_REDIS`, else `redis-server` on the path, else `target/redis`, else the packages that [`debian::fetch`]
//! gets from where this machine gets Debian. Out: [`Found`].
//!
//! Never: installs anything, needs to be root, or takes another binary than the one that `PORTOLAN_TEST_REDIS` names.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::{Ending, debian, project::Project, run::Run};

/// The variable that names another binary; the tests read it too.
pub(crate) const VARIABLE: &str = "PORTOLAN_TEST_REDIS";
/// What has the server in it, in Debian 9 to 13.
const PACKAGE: &str = "redis-tools";
/// The server, by the name under which it does not serve.
const BINARY: &str = "usr/bin/redis-check-rdb";

/// A Redis that runs on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// What it calls itself: `Redis server v=7.0.15 …`.
    pub(crate) version: String,
}

/// `cargo xtask redis`.
///
/// # Errors
/// As [`find`].
pub(crate) fn command(project: &Project) -> Result<Ending> {
    let Found { path, version } = find(project)?;
    println!("{version}: {}", path.display());
    Ok(Ending::Well)
}

/// The Redis to test against.
///
/// # Errors
/// When `PORTOLAN_TEST_REDIS` names what does not run, or no package could be fetched.
pub(crate) fn find(project: &Project) -> Result<Found> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        // Tests run in other directories than this one, so the path they get is whole.
        let path = std::path::absolute(Path::new(&named)).context(VARIABLE)?;
        return look_at(&path)
            .with_context(|| format!("{VARIABLE}: {} does not run as Redis", path.display()));
    }
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&on_path).map(|place| place.join("redis-server"));
    if let Some(found) = installed.filter(|path| path.is_file()).find_map(|path| look_at(&path).ok()) {
        return Ok(found);
    }
    let place = project.target.join("redis");
    let path = place.join("redis-server");
    if !path.is_file() {
        println!("no Redis on the path or under {}: fetching Debian's packages, once", place.display());
        debian::fetch(&place, PACKAGE, BINARY, "redis-server").map_err(|error| {
            anyhow!(
                "Redis cannot be fetched: {error:#}; set {VARIABLE} to the path of a redis-server to use that"
            )
        })?;
    }
    look_at(&path).with_context(|| format!("{}: remove {} to fetch it anew", path.display(), place.display()))
}

fn look_at(path: &Path) -> Result<Found> {
    let said = Run::new(path, Path::new("/")).words("--version").output()?;
    let version = said.lines().next().unwrap_or_default().trim().to_owned();
    let is_one = version.starts_with("Redis server v=") || version.starts_with("Valkey server v=");
    if !is_one {
        bail!("`{} --version` says {version:?}, not \"Redis server v=…\"", path.display());
    }
    Ok(Found { path: path.to_owned(), version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_that_is_not_redis_is_refused_with_what_it_says() {
        let error = format!("{:#}", look_at(Path::new("/bin/echo")).unwrap_err());
        assert!(error.contains("not \"Redis server v=…\""), "{error}");
        let error = format!("{:#}", look_at(Path::new("/no/such/file")).unwrap_err());
        assert!(error.contains("cannot start `/no/such/file`"), "{error}");
    }
}
