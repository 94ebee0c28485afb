//! Fetches a program from the Debian of this machine and unpacks it, without installing it and without being root.
//!
//! In:  a package and the binary in it. Out: a script that runs the binary with the libraries that this machine does not have.
//!
//! Never: touches the machine's package state (apt gets directories of its own).

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{consul, project::Project, run::Run};

/// The program `name` of `package`: the one on the path, else the one in the target directory, fetched when it is not there.
///
/// # Errors
/// As [`fetch`].
pub(crate) fn program(project: &Project, package: &str, binary: &str, name: &str) -> Result<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&on_path);
    // A daemon is often where only root looks.
    let mut places = places.chain(["/usr/sbin".into()]).map(|place: PathBuf| place.join(name));
    if let Some(found) = places.find(|path| path.is_file()) {
        return Ok(found);
    }
    let place = project.target.join("tools").join(name);
    let path = place.join(name);
    if !path.is_file() {
        println!(
            "no {name} on the path or under {}: fetching Debian's package {package}, once",
            place.display()
        );
        fs::create_dir_all(project.target.join("tools"))?;
        fetch(&place, package, binary, name).with_context(|| {
            format!("{name} cannot be fetched; `apt-get install {package}` puts it where it is found")
        })?;
    }
    Ok(path)
}

/// Puts the `binary` of a package, and the libraries that this machine does not have, under `place`, whole or not at all; it is
/// run by the script `name` there, under that name.
///
/// # Errors
/// When apt does not know the package, or cannot get it; it has said why.
pub(crate) fn fetch(place: &Path, package: &str, binary: &str, name: &str) -> Result<()> {
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
    let apt = || Run::new("apt-get", &work).words("-qq -c apt.conf");
    apt().words("update").run()?;
    // By the machine's own status apt knows which libraries are missing; nothing of it is changed.
    apt().words("install --download-only --reinstall --yes --no-install-recommends").word(package).run()?;
    let unpacked = work.join("unpacked");
    for entry in fs::read_dir(work.join("cache/archives"))? {
        let package = entry?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            Run::new("dpkg-deb", &work).words("-x").word(package).word(&unpacked).run()?;
        }
    }
    if !unpacked.join(binary).is_file() {
        bail!("the package {package} has no {binary}");
    }
    script(&unpacked, binary, name)?;
    fs::rename(&unpacked, place).with_context(|| place.display().to_string())?;
    fs::remove_dir_all(&work).with_context(|| work.display().to_string())
}

/// A script that runs the binary under this name, with its own libraries.
fn script(place: &Path, binary: &str, name: &str) -> Result<()> {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    fs::create_dir_all(place.join("as"))?;
    symlink(Path::new("..").join(binary), place.join("as").join(name))?;
    let path = place.join(name);
    // `exec`: the process that a test starts is the program, and is ended by its number.
    let script = format!(
        "#!/bin/sh\n\
         here=$(dirname \"$(readlink -f \"$0\")\")\n\
         for place in \"$here\"/lib/*-linux-gnu* \"$here\"/usr/lib/*-linux-gnu*; do\n\
         LD_LIBRARY_PATH=\"$place${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\"\n\
         done\n\
         export LD_LIBRARY_PATH\n\
         exec \"$here/as/{name}\" \"$@\"\n"
    );
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
    fn the_script_runs_the_binary_under_its_name_and_as_its_own_process() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("usr/bin")).unwrap();
        let binary = place.path().join("usr/bin/other");
        fs::write(&binary, "#!/bin/sh\necho \"$0 $1 $$\"\n").unwrap();
        script(place.path(), "usr/bin/other", "redis-server").unwrap();
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
