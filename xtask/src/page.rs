//! `cargo xtask page`: the web page in a real browser, on the embedded registry and on a real Consul.
//!
//! In:  a Chromium, Node.js and npm from Debian, axe-core from npm by its lock file. Out: what `tests/page/run.mjs` says, and
//! pictures under `target/page/` for a person to look at.
//!
//! Never: installs anything but axe-core, beside the tests and by its lock file; says that it passed without a browser.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::{Ending, consul, project::Project, run::Run};

/// The variable that names another browser.
const VARIABLE: &str = "PORTOLAN_TEST_CHROMIUM";
/// What browsers are called on the path.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// What is installed on a Debian that has none of it.
const MISSING: &str = "Debian: apt-get install chromium nodejs npm";

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Two sizes, two themes, a thousand services.
    Whole,
    /// Two sizes, one theme.
    Short,
}

/// `cargo xtask page`.
///
/// # Errors
/// When a tool is missing, or something cannot be built.
pub(crate) fn command(project: &Project, form: Form) -> Result<Ending> {
    let consul = consul::find(project)?;
    Ok(if check(project, &consul, form).is_ok() { Ending::Well } else { Ending::Failed })
}

/// Looks at the page.
///
/// # Errors
/// When a tool is missing, something cannot be built, or a step failed; it has said why.
pub(crate) fn check(project: &Project, consul: &consul::Found, form: Form) -> Result<()> {
    let tests = project.root.join("tests/page");
    let chromium = browser()?;
    node()?;
    if !tests.join("node_modules/axe-core/axe.min.js").is_file() {
        let npm = Run::new("npm", &tests).words("ci --ignore-scripts --no-audit --no-fund");
        npm.run().context("axe-core could not be had")?;
    }
    unit(project).run().context("the page's own modules")?;
    project.cargo("build --release -p portolan-cli").run()?;
    let mut run = project
        .run("node")
        .word(tests.join("run.mjs"))
        .word("--portolan")
        .word(project.target.join("release/portolan"))
        .word("--chromium")
        .word(chromium)
        .word("--consul")
        .word(&consul.path)
        .word("--out")
        .word(project.target.join("page"));
    if form == Form::Short {
        run = run.word("--short");
    }
    run.run()
}

/// The tests of the page's modules that need no browser.
fn unit(project: &Project) -> Run {
    project.run("node").word("--test").word(project.root.join("tests/page/unit/"))
}

/// The browser.
///
/// # Errors
/// When there is none; the text says how to get one.
fn browser() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        return Ok(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).flat_map(|place| NAMES.map(|name| place.join(name)));
    let Some(found) = found.into_iter().find(|path| path.is_file()) else {
        bail!("there is no Chromium on the path, and {VARIABLE} names none; {MISSING}");
    };
    Ok(found)
}

/// # Errors
/// When there is no Node.js that is new enough.
fn node() -> Result<()> {
    let said = Run::new("node", "/".as_ref()).words("--version").output().context(MISSING)?;
    let major =
        said.trim().trim_start_matches('v').split('.').next().and_then(|text| text.parse::<u32>().ok());
    match major {
        Some(18..) => Ok(()),
        _ => bail!("`node --version` says {:?}; 18 or later is needed; {MISSING}", said.trim()),
    }
}
