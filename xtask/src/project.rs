//! The checkout: where it is, and what Cargo knows of it.
//!
//! In:  `cargo metadata`. Out: [`Project`]: the root, the target directory, packages with their features and targets.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::run::Run;

/// The package whose peers may pull in anything; it stands outside the walls.
pub(crate) const BENCH: &str = "portolan-bench";

/// The workspace that this command was built from.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Project {
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// A package of the workspace.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) features: std::collections::BTreeMap<String, Vec<String>>,
    pub(crate) targets: Vec<Target>,
}

/// A thing that Cargo builds from a package.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
    pub(crate) src_path: PathBuf,
}

impl Project {
    /// Asks Cargo.
    ///
    /// # Errors
    /// When Cargo cannot read the workspace; its own words are in the text.
    pub(crate) fn find() -> Result<Self> {
        // Cargo sets this for `cargo run`; a binary that is started by hand remembers where it was built.
        let here =
            std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let text =
            Run::new("cargo", Path::new(&here)).words("metadata --no-deps --format-version 1").output()?;
        serde_json::from_str(&text).context("`cargo metadata` wrote what this command cannot read")
    }

    /// A program to run from the root.
    pub(crate) fn run(&self, program: impl Into<std::ffi::OsString>) -> Run {
        Run::new(program, &self.root)
    }

    /// `cargo` with these words, from the root.
    pub(crate) fn cargo(&self, words: &str) -> Run {
        self.run("cargo").words(words)
    }

    /// Where this command keeps what it wants to find again.
    pub(crate) fn keep(&self) -> PathBuf {
        self.target.join("xtask")
    }

    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }
}

impl Package {
    /// Whether a user can choose what is built.
    pub(crate) fn has_features(&self) -> bool {
        self.features.keys().any(|name| name != "default")
    }
}
