//! A registry for one run of one client: a real Consul or `portolan serve`, empty, on free ports of the loopback.
//!
//! In:  the binaries. Out: a running registry, and the environment that tells a client of it.
//!
//! Never: is used twice; outlives its [`Site`].

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{
    consul::{self, Agent, free_ports},
    project::Project,
    run::Run,
};

/// Which registry it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Consul,
    Portolan,
}

/// In the order of the table.
pub(super) const KINDS: [Kind; 2] = [Kind::Consul, Kind::Portolan];

/// What the registries are run from.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    pub(super) consul: consul::Found,
    pub(super) portolan: PathBuf,
}

impl Binaries {
    /// What heads the columns of the table.
    pub(super) fn names(&self) -> [String; 2] {
        let consul = self.consul.version.replace("Consul v", "Consul ");
        [consul, "Portolan".to_owned()]
    }
}

/// A registry, and a directory for the client's files. Dropping it ends the registry.
#[derive(Debug)]
pub(super) struct Site {
    agent: Agent,
    dns: u16,
    dir: PathBuf,
}

impl Site {
    /// Starts one.
    ///
    /// # Errors
    /// When it does not start; the text names its log.
    pub(super) fn start(project: &Project, binaries: &Binaries, kind: Kind) -> Result<Self> {
        let [http, dns] = free_ports()?;
        // The programs know the node by this name, on both.
        let node = "compat";
        let agent = match kind {
            Kind::Consul => {
                Agent::consul(project, &binaries.consul, &format!("-node {node} -dns-port {dns}"))?
            }
            Kind::Portolan => {
                let run = project
                    .run(&binaries.portolan)
                    .words(&format!("serve -dev --node {node}"))
                    .words(&format!("--http-addr 127.0.0.1:{http} --dns-addr 127.0.0.1:{dns}"));
                Agent::of(project, &run, "portolan", http)?
            }
        };
        let dir = project.keep().join("compat");
        empty(&dir)?;
        Ok(Self { agent, dns, dir })
    }

    /// The program with what it must know.
    pub(super) fn put_into(&self, program: Run) -> Run {
        program
            .env("COMPAT_HTTP", self.agent.http().to_string())
            .env("COMPAT_DNS", format!("127.0.0.1:{}", self.dns))
            .env("COMPAT_DIR", &self.dir)
            // No bytes of Python's own beside the programs.
            .env("PYTHONDONTWRITEBYTECODE", "1")
    }

    /// Ends the registry and removes the files.
    ///
    /// # Errors
    /// When the files cannot be removed.
    pub(super) fn end(self) -> Result<()> {
        drop(self.agent);
        fs::remove_dir_all(&self.dir).with_context(|| self.dir.display().to_string())
    }
}

/// Makes a directory, or makes it anew.
fn empty(dir: &std::path::Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())
}
