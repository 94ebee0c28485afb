//! The tools that Cargo does not bring: made once in the target directory, at a pinned version.
//!
//! In:  a [`Tool`]. Out: the path of its binary.
//!
//! Never: touches the tools that a person installed, or uses another version than the pinned one.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::project::Project;

/// A tool, and the version that the checks were written for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
}

/// Licences, sources, and who may use what.
pub(crate) const DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };
/// Each feature alone.
pub(crate) const HACK: Tool = Tool { name: "cargo-hack", version: "0.6.46" };
/// Small changes to the code, to see that a test notices.
pub(crate) const MUTANTS: Tool = Tool { name: "cargo-mutants", version: "27.1.0" };
/// The book.
pub(crate) const MDBOOK: Tool = Tool { name: "mdbook", version: "0.5.4" };

impl Tool {
    /// The path of the tool; builds it first when it is not there.
    ///
    /// # Errors
    /// When the build fails; Cargo has said why.
    pub(crate) fn get(self, project: &Project) -> Result<PathBuf> {
        let Self { name, version } = self;
        // The version is in the path: a new pin builds anew, and the old one stays for an older branch.
        let root = project.target.join("tools").join(format!("{name}-{version}"));
        let binary = root.join("bin").join(name);
        if binary.is_file() {
            return Ok(binary);
        }
        println!("{name} {version} is not built yet: it takes one to three minutes, once");
        // Unoptimized: it builds in a third of the time, and its work here is over in seconds.
        project
            .cargo("install --locked --quiet --debug")
            .word(format!("{name}@{version}"))
            .word("--root")
            .word(&root)
            .run()
            .with_context(|| format!("{name} {version} could not be built"))?;
        Ok(binary)
    }
}

/// What others register with, beside Consul's own command.
const PY_CONSUL: &str = "py-consul==1.8.0";

/// A Python that has py-consul, in an environment of its own; makes it first when it is not there.
///
/// # Errors
/// As [`python_with`].
pub(crate) fn python(project: &Project) -> Result<PathBuf> {
    python_with(project, PY_CONSUL)
}

/// A Python that has this package, in an environment of its own; makes it first when it is not there.
///
/// # Errors
/// When there is no Python 3 with `venv`, or the package cannot be had.
pub(crate) fn python_with(project: &Project, package: &str) -> Result<PathBuf> {
    let root = project.target.join("tools").join(package);
    let (python, done) = (root.join("bin/python"), root.join("done"));
    if done.is_file() {
        return Ok(python);
    }
    let missing = "is there a Python 3 with venv? Debian: apt-get install python3-venv";
    project.run("python3").words("-m venv --clear").word(&root).run().context(missing)?;
    project
        .run(&python)
        .words("-m pip install --quiet --disable-pip-version-check")
        .word(package)
        .run()
        .with_context(|| format!("{package} could not be had"))?;
    std::fs::write(&done, "").with_context(|| done.display().to_string())?;
    Ok(python)
}
