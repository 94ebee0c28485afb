//! Finds a Redis to test against, or fetches the one of this machine's Debian.
//!
//! In:  `PORTOLAN_TEST_REDIS`, else `redis-server` on the path, else `target/redis`, else the packages that [`fetch`]
//! gets from where this machine gets Debian. Out: [`Found`].
//!
//! Never: installs anything, needs to be root, or takes another binary than the one that `PORTOLAN_TEST_REDIS` names.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::{Ending, consul, project::Project, run::Run};

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
        fetch(&place).map_err(|error| {
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

/// Puts the server, and the libraries that this machine does not have, under `place`, whole or not at all.
///
/// # Errors
/// When apt does not know the package, or cannot get it; it has said why.
pub(crate) fn fetch(place: &Path) -> Result<()> {
    let work = begin(place)?;
    apt(&work).words("update").run()?;
    // By the machine's own status apt knows which libraries are missing; nothing of it is changed.
    apt(&work)
        .words("install --download-only --reinstall --yes --no-install-recommends")
        .word(PACKAGE)
        .run()?;
    let unpacked = work.join("unpacked");
    for entry in fs::read_dir(work.join("cache/archives"))? {
        let package = entry?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            Run::new("dpkg-deb", &work).words("-x").word(package).word(&unpacked).run()?;
        }
    }
    if !unpacked.join(BINARY).is_file() {
        bail!("the package {PACKAGE} has no {BINARY}");
    }
    make_server(&unpacked)?;
    fs::rename(&unpacked, place).with_context(|| place.display().to_string())?;
    fs::remove_dir_all(&work).with_context(|| work.display().to_string())
}

/// A directory beside `place` for apt to work in, with its settings; what was there, and at `place`, is removed.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn begin(place: &Path) -> Result<PathBuf> {
    let work = place.with_extension("fetch");
    for old in [place, &work] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| old.display().to_string())?;
        }
    }
    for dir in ["state/lists/partial", "cache/archives/partial", "unpacked"] {
        fs::create_dir_all(work.join(dir)).with_context(|| work.display().to_string())?;
    }
    fs::write(work.join("apt.conf"), settings(&work))?;
    Ok(work)
}

/// `apt-get` in such a directory.
pub(crate) fn apt(work: &Path) -> Run {
    Run::new("apt-get", work).words("-qq -c apt.conf")
}

/// A script that runs the binary under its other name, with its own libraries.
fn make_server(place: &Path) -> Result<()> {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    fs::create_dir_all(place.join("as"))?;
    symlink(Path::new("..").join(BINARY), place.join("as/redis-server"))?;
    let path = place.join("redis-server");
    // `exec`: the process that a test starts is the server, and is ended by its number.
    let script = "#!/bin/sh\n\
                  here=$(dirname \"$(readlink -f \"$0\")\")\n\
                  for place in \"$here\"/lib/*-linux-gnu* \"$here\"/usr/lib/*-linux-gnu*; do\n\
                  LD_LIBRARY_PATH=\"$place${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\"\n\
                  done\n\
                  export LD_LIBRARY_PATH\n\
                  exec \"$here/as/redis-server\" \"$@\"\n";
    fs::write(&path, script).with_context(|| path.display().to_string())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).with_context(|| path.display().to_string())
}

/// What `apt.conf` says over the machine's own settings.
fn settings(work: &Path) -> String {
    let own = |path: &str| work.join(path).display().to_string();
    consul::apt_conf(&[
        ("Dir::State", own("state")),
        ("Dir::State::status", "/var/lib/dpkg/status".to_owned()),
        ("Dir::Cache", own("cache")),
        // Only downloads: the machine's own lock is neither needed nor, for one who is not root, to be had.
        ("Debug::NoLocking", "true".to_owned()),
    ])
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

    #[test]
    fn the_script_runs_the_server_under_its_name_and_as_its_own_process() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("usr/bin")).unwrap();
        let binary = place.path().join(BINARY);
        fs::write(&binary, "#!/bin/sh\necho \"$0 $1 $$\"\n").unwrap();
        make_server(place.path()).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&binary, mode).unwrap();
        let script = place.path().join("redis-server");
        let child = Run::new(&script, Path::new("/"))
            .word("--version")
            .command()
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let id = child.id();
        let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        assert!(said.contains("/as/redis-server --version"), "{said}");
        assert!(said.trim().ends_with(&format!(" {id}")), "{said}: not {id}");
    }
}
