//! `portolan man`: the manual pages, made from the flags.
//!
//! In:  nothing, or a directory. Out: the page of the command as `man` reads it; or a page for it and for each of its commands.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args as ClapArgs, Command, CommandFactory as _};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use crate::{config::Shell, exit::Exit, output};

const EXAMPLES: &str = "\
Examples:
  portolan man | man -l -
  portolan man --dir ~/.local/share/man/man1 && man portolan-serve";

const VERSION: &str = concat!("portolan ", env!("CARGO_PKG_VERSION"));

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Write portolan.1 there, and a page for each command. What is there under these names is replaced.
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, shell: &Shell) -> anyhow::Result<Exit> {
    let mut command = crate::Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(dir) = &args.dir else {
        let (_, page) = page(command)?;
        output::print(&page)?;
        return Ok(Exit::Fine);
    };
    let of_dir = || format!("--dir {}: cannot be written to", dir.display());
    fs::create_dir_all(dir).with_context(of_dir)?;
    let count = write(command, dir).with_context(of_dir)?;
    shell.hint(&format!("{count} pages in {}", dir.display()));
    Ok(Exit::Fine)
}

/// Writes the page of a command and of all below it, and says how many they were.
fn write(command: Command, dir: &Path) -> anyhow::Result<usize> {
    let shown = command.get_subcommands().filter(|below| !below.is_hide_set());
    let below: usize = shown.map(|below| write(below.clone(), dir)).sum::<anyhow::Result<_>>()?;
    let (name, page) = page(command)?;
    fs::write(dir.join(&name), page).context(name)?;
    Ok(below + 1)
}

/// A page and the name of its file. What stands behind the help goes line by line: there are examples in it.
fn page(command: Command) -> anyhow::Result<(String, String)> {
    let behind = command.get_after_help().map(ToString::to_string);
    let man = Man::new(command.after_help(None::<&str>)).source(VERSION);
    let mut page = Vec::new();
    man.render(&mut page)?;
    if let Some(text) = behind {
        let mut roff = Roff::new();
        roff.control("SH", ["NOTES"]).control("nf", []);
        for line in text.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []).to_writer(&mut page)?;
    }
    Ok((man.get_filename(), String::from_utf8(page)?))
}
