//! Finds a Consul to test against, or fetches Debian's.
//!
//! In:  `PORTOLAN_TEST_CONSUL`, else `target/consul`, else the package that [`fetch`] gets. Out: [`Found`].
//!
//! Never: installs anything, needs to be root, or takes another binary than the one that `PORTOLAN_TEST_CONSUL` names.

mod agent;
mod fetch;
mod sources;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};

pub(crate) use self::{
    agent::{Agent, free_ports},
    fetch::{conf as apt_conf, into as fetch_old},
};
use crate::{Ending, project::Project, run::Run};

/// The variable that names another binary; the tests read it too.
pub(crate) const VARIABLE: &str = "PORTOLAN_TEST_CONSUL";

/// A Consul that runs on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// What it calls itself: `Consul v1.8.7`.
    pub(crate) version: String,
}

/// `cargo xtask consul`.
///
/// # Errors
/// As [`find`].
pub(crate) fn command(project: &Project) -> Result<Ending> {
    let Found { path, version } = find(project)?;
    println!("{version}: {}", path.display());
    Ok(Ending::Well)
}

/// The Consul to test against.
///
/// # Errors
/// When `PORTOLAN_TEST_CONSUL` names what does not run, or no package could be fetched.
pub(crate) fn find(project: &Project) -> Result<Found> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        // Tests run in other directories than this one, so the path they get is whole.
        let path = std::path::absolute(Path::new(&named)).context(VARIABLE)?;
        return look_at(&path)
            .with_context(|| format!("{VARIABLE}: {} does not run as Consul", path.display()));
    }
    let place = project.target.join("consul");
    let path = place.join("usr/bin/consul");
    if !path.is_file() {
        println!("no Consul under {}: fetching Debian's package, about 25 MB, once", place.display());
        fetch::into(&place, "consul").map_err(|error| {
            anyhow!("{error:#}; set {VARIABLE} to the path of a Consul binary to use that instead")
        })?;
    }
    look_at(&path).with_context(|| format!("{}: remove {} to fetch it anew", path.display(), place.display()))
}

fn look_at(path: &Path) -> Result<Found> {
    let said = Run::new(path, Path::new("/")).words("version").output()?;
    let version = said.lines().next().unwrap_or_default().trim().to_owned();
    if !version.starts_with("Consul v") {
        bail!("`{} version` says {version:?}, not \"Consul v…\"", path.display());
    }
    Ok(Found { path: path.to_owned(), version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_that_is_not_consul_is_refused_with_what_it_says() {
        let error = format!("{:#}", look_at(Path::new("/bin/echo")).unwrap_err());
        assert!(error.contains("says \"version\""), "{error}");
        let error = format!("{:#}", look_at(Path::new("/no/such/file")).unwrap_err());
        assert!(error.contains("cannot start `/no/such/file`"), "{error}");
    }
}
