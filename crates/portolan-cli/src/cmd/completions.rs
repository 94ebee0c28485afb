//! `portolan completions`: what makes a shell complete the command's words.
//!
//! In:  a shell. Out: a script of that shell, made from the flags.

use clap::{Args as ClapArgs, Command, CommandFactory as _};
use clap_complete::Shell;

use crate::{exit::Exit, output};

const EXAMPLES: &str = "\
Examples:
  portolan completions bash > ~/.local/share/bash-completion/completions/portolan
  portolan completions zsh > ~/.zfunc/_portolan          # with fpath+=~/.zfunc before compinit
  portolan completions fish > ~/.config/fish/completions/portolan.fish

It holds from the next shell on.";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    // Hidden commands would be completed too.
    let all = crate::Cli::command();
    let shown = all.get_subcommands().filter(|below| !below.is_hide_set()).cloned();
    let mut command = Command::new("portolan").version(env!("CARGO_PKG_VERSION"));
    command = command.args(all.get_arguments().cloned()).subcommands(shown);
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "portolan", &mut script);
    output::print(&String::from_utf8(script)?)?;
    Ok(Exit::Fine)
}
