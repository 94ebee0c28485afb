//! Fetches a package of Debian 11, such as Consul, and unpacks it, without installing it and without being root.
//!
//! In:  apt's own lists of sources: they say where this machine gets Debian from, so no host is named here.
//! Out: the files of the package under a directory.
//!
//! Never: touches the machine's package state (apt gets directories of its own); takes a package that is not signed
//! by the Debian archive.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};

use super::sources::{self, Source};
use crate::run::Run;

/// The last release of Debian that has Consul, and a Prometheus that knows of it.
const SUITE: &str = "bullseye";
/// The key of [`SUITE`] is in here on Debian 10 to 13.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Puts the files of the package under `place`, whole or not at all.
///
/// # Errors
/// When no source of this machine has the package; the text says what was tried.
pub(crate) fn into(place: &Path, package: &str) -> Result<()> {
    let sources = of_this_machine(Path::new("/etc/apt"));
    if sources.is_empty() {
        bail!("{package} cannot be fetched: no file under /etc/apt names a place that serves Debian");
    }
    let work = place.with_extension("fetch");
    let mut tried = Vec::new();
    for source in &sources {
        match from(source, &work, package) {
            Ok(unpacked) => {
                if place.exists() {
                    fs::remove_dir_all(place).with_context(|| place.display().to_string())?;
                }
                fs::rename(&unpacked, place).with_context(|| place.display().to_string())?;
                fs::remove_dir_all(&work).with_context(|| work.display().to_string())?;
                return Ok(());
            }
            Err(error) => tried.push(format!("{} {SUITE} ({error:#})", source.uri)),
        }
    }
    Err(anyhow!("{package} cannot be fetched; tried {}", tried.join(", ")))
}

fn of_this_machine(etc: &Path) -> Vec<Source> {
    let mut files: Vec<PathBuf> = fs::read_dir(etc.join("sources.list.d"))
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    files.sort();
    files.insert(0, etc.join("sources.list"));
    let mut found = Vec::new();
    for file in files {
        // A file that is not there or may not be read names no place; the error at the end says what was tried.
        let Ok(text) = fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => found.extend(sources::one_line(&text)),
            Some("sources") => found.extend(sources::stanzas(&text)),
            _ => {}
        }
    }
    sources::of_debian(found)
}

/// Fetches and unpacks; gives where the files are.
fn from(source: &Source, work: &Path, package: &str) -> Result<PathBuf> {
    if work.exists() {
        fs::remove_dir_all(work).with_context(|| work.display().to_string())?;
    }
    for dir in ["state/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(work.join(dir)).with_context(|| work.display().to_string())?;
    }
    fs::write(work.join("state/status"), "")?;
    fs::write(work.join("apt.conf"), settings(work))?;
    let key = source.signed_by.as_deref().unwrap_or(KEYRING);
    fs::write(work.join("sources.list"), format!("deb [signed-by={key}] {} {SUITE} main\n", source.uri))?;

    apt(work).words("update").run()?;
    apt(work).words("download").word(package).run()?;
    let file = fs::read_dir(work)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get downloaded no package")?;
    let unpacked = work.join("unpacked");
    Run::new("dpkg-deb", work).words("-x").word(file).word(&unpacked).run()?;
    Ok(unpacked)
}

/// `apt-get` with lists, cache and state of its own.
fn apt(work: &Path) -> Run {
    Run::new("apt-get", work).words("-qq -c apt.conf")
}

/// What `apt.conf` says over the machine's own settings.
fn settings(work: &Path) -> String {
    let own = |path: &str| work.join(path).display().to_string();
    conf(&[
        ("Dir::State", own("state")),
        ("Dir::State::status", own("state/status")),
        ("Dir::Cache", own("cache")),
        ("Dir::Etc::SourceList", own("sources.list")),
        ("Dir::Etc::SourceParts", "-".to_owned()),
        // An old release's index says until when it is valid, and that has passed. Its signature is still checked.
        ("Acquire::Check-Valid-Until", "false".to_owned()),
    ])
}

/// An `apt.conf` of these settings, and of those that every fetch needs.
pub(crate) fn conf(settings: &[(&str, String)]) -> String {
    let always = [
        // Every mirror fails at an odd moment.
        ("Acquire::Retries", "3"),
        ("Acquire::http::Timeout", "30"),
        ("APT::Update::Error-Mode", "any"),
        ("Acquire::Languages", "none"),
        ("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled", "false"),
        // As root, apt would read and write as another user, who may not come into this checkout.
        ("APT::Sandbox::User", "root"),
    ];
    // A container's settings may empty the machine's cache after an update or an install; that one is not ours.
    let mut text: String =
        ["APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success", "DPkg::Post-Invoke"]
            .map(|hook| format!("#clear {hook};\n"))
            .concat();
    text.extend(settings.iter().map(|(name, value)| format!("{name} \"{value}\";\n")));
    text.extend(always.iter().map(|(name, value)| format!("{name} \"{value}\";\n")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_from_both_kinds_of_files() {
        let etc = tempfile::tempdir().unwrap();
        fs::create_dir(etc.path().join("sources.list.d")).unwrap();
        fs::write(etc.path().join("sources.list"), "deb http://one/debian x main\n").unwrap();
        let stanza = "Types: deb\nURIs: http://two/debian\n";
        fs::write(etc.path().join("sources.list.d/two.sources"), stanza).unwrap();
        fs::write(etc.path().join("sources.list.d/three.list.save"), "deb http://no/debian x main\n")
            .unwrap();
        let uris: Vec<String> = of_this_machine(etc.path()).into_iter().map(|source| source.uri).collect();
        assert_eq!(uris, ["http://one/debian", "http://two/debian"]);
        assert!(of_this_machine(Path::new("/no/such/place")).is_empty());
    }
}
