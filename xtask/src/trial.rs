//! `cargo xtask trial`: the library on real registries that are killed, stopped, cut off, wiped and brought back.
//!
//! In:  names of trials, `--short`. Out: what `portolan-bench`'s `trial` prints; 1 when a promise was broken.
//!
//! Never: judges a figure itself; takes another Consul than the tests do.

use anyhow::Result;

use crate::{
    Ending, consul,
    project::{BENCH, Project},
    tools,
};

/// `cargo xtask trial`.
///
/// # Errors
/// When there is no Consul, the trials do not build, or one of them is broken.
pub(crate) fn command(project: &Project, words: &[&str]) -> Result<Ending> {
    let consul = consul::find(project)?;
    println!("{}: {}", consul.version, consul.path.display());
    // The trial `rolling` runs it; it lies beside the trials then.
    project.cargo("build --release -p portolan-cli").run()?;
    let mut run =
        project.cargo(&format!("run --release -p {BENCH} --bin trial -- --consul")).word(&consul.path);
    if needs_python(words) {
        run = run.word("--python").word(tools::python(project)?);
    }
    for word in words {
        run = run.word(*word);
    }
    run.run()?;
    Ok(Ending::Well)
}

/// Whether the trial that registers by py-consul is among them: named, or not left out by another name.
fn needs_python(words: &[&str]) -> bool {
    let named: Vec<&&str> = words.iter().filter(|word| !word.starts_with('-')).collect();
    !words.contains(&"--list") && (named.is_empty() || named.contains(&&"others"))
}
