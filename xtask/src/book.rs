//! `cargo xtask book`: the documents as a book, in `target/book`.
//!
//! In:  `docs/`. Out: pages of HTML, and where they are.
//!
//! Never: writes into `docs/`. The links of the book are checked by `tidy`, which needs no tool.

use anyhow::Result;

use crate::{Ending, project::Project, tools};

/// `cargo xtask book`.
///
/// # Errors
/// When the tool cannot be built, or it finds something wrong.
pub(crate) fn command(project: &Project) -> Result<Ending> {
    let tool = tools::MDBOOK.get(project)?;
    let to = project.target.join("book");
    project.run(&tool).words("build docs --dest-dir").word(&to).run()?;
    println!("the book: {}", to.join("index.html").display());
    Ok(Ending::Well)
}
