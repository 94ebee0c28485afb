//! `portolan config`: what is wrong with `portolan.toml`, and which settings hold.
//!
//! In:  the file, the environment, a command line. Out: every problem with its line; every setting with its value and
//! its origin.
//!
//! Never: shows a token; stops at the first problem.

use std::{ffi::OsString, fmt::Write as _, path::PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use toml::Value;

use crate::{
    config::{
        Shell,
        layers::{InForce, Origin},
        load::{self, Loaded},
        settings::{self, Shape},
    },
    exit::Exit,
    output,
};

const EXAMPLES: &str = "\
Examples:
  portolan config check
  portolan config check /etc/portolan/portolan.toml && systemctl restart portolan
  portolan config show --origin
  portolan config show --origin serve --http-addr 0.0.0.0:8500

The file is that of --config, else of PORTOLAN_CONFIG, else portolan/portolan.toml in $XDG_CONFIG_HOME or in
~/.config. It has three sections; each flag is a setting of the same name, without its dashes:
  [global]   flags of every command: color, log-format, quiet, verbose
  [client]   flags of the commands that ask a registry: registry, token, token-file
  [serve]    flags of `portolan serve`; what may be given more than once is a list

A flag stands over the environment (CONSUL_HTTP_ADDR and its like for [client], PORTOLAN_SERVE_HTTP_ADDR and so on for
[serve], PORTOLAN_COLOR and so on for [global]; lists are parted by semicolons), which stands over the file.";

#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Tell everything that is wrong with the file; ends with 2 when something is.
    Check(CheckArgs),
    /// Print the settings that hold, as a file of settings.
    Show(ShowArgs),
}

#[derive(Debug, ClapArgs)]
struct CheckArgs {
    /// The file. Default: that which a command would read.
    file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
struct ShowArgs {
    /// Say of each setting where its value comes from.
    #[arg(long)]
    origin: bool,
    /// A command line, without `portolan`, whose flags count too.
    #[arg(value_name = "COMMAND LINE", trailing_var_arg = true, allow_hyphen_values = true)]
    line: Vec<OsString>,
}

pub(crate) fn run(args: &Args, shell: &Shell) -> anyhow::Result<Exit> {
    match &args.what {
        What::Check(args) => check(args, shell),
        What::Show(args) => show(args),
    }
}

fn check(args: &CheckArgs, shell: &Shell) -> anyhow::Result<Exit> {
    let sections = settings::sections();
    let loaded = match &args.file {
        Some(path) => Loaded { file: load::read(path, &sections)?, path: Some(path.clone()) },
        None => load::load(&std::env::args_os().collect::<Vec<_>>(), &sections)?,
    };
    let Some(path) = &loaded.path else {
        let usual = load::usual().map(|path| format!(" at {}", path.display())).unwrap_or_default();
        shell.hint(&format!("there is no file{usual}; name one with --config or PORTOLAN_CONFIG"));
        return Ok(Exit::Fine);
    };
    let mut text = String::new();
    for problem in &loaded.file.problems {
        let what = output::plain(&problem.what);
        let _infallible = writeln!(text, "{}:{}: {what}", path.display(), problem.line);
    }
    output::print(&text)?;
    if loaded.file.problems.is_empty() {
        let count = loaded.file.given.len();
        shell.hint(&format!("{}: {count} settings, nothing wrong", path.display()));
        return Ok(Exit::Fine);
    }
    Ok(Exit::Usage)
}

fn show(args: &ShowArgs) -> anyhow::Result<Exit> {
    let sections = settings::sections();
    let loaded = load::load(&std::env::args_os().collect::<Vec<_>>(), &sections)?.sound()?;
    let file = loaded.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let mut text = String::new();
    for section in &sections {
        let break_before = if text.is_empty() { "" } else { "\n" };
        let _infallible = writeln!(text, "{break_before}[{}]", section.name);
        for one in loaded.in_force(section, &args.line) {
            text.push_str(&line(&one, args.origin.then_some(&file)));
        }
    }
    output::print(&text)?;
    Ok(Exit::Fine)
}

/// A setting as the file would have it; one that is not set as a comment.
fn line(one: &InForce, file: Option<&String>) -> String {
    let InForce { setting, values, origin } = one;
    let text = |value: &String| Value::String(value.clone()).to_string();
    let value = match (setting.shape, values.as_slice()) {
        _ if setting.is_secret() && !values.is_empty() => Some("\"(hidden)\"".to_owned()),
        (Shape::Switch, values) => Some(values.first().cloned().unwrap_or_else(|| "false".to_owned())),
        (Shape::Count, values) => Some(values.first().cloned().unwrap_or_else(|| "0".to_owned())),
        (_, []) => None,
        (Shape::One, values) => values.first().map(text),
        (Shape::Many, values) => {
            Some(format!("[{}]", values.iter().map(text).collect::<Vec<_>>().join(", ")))
        }
    };
    let mut shown = match &value {
        Some(value) => format!("{} = {}", setting.key, output::plain(value)),
        None => format!("# {} is not set", setting.key),
    };
    if let (Some(file), Some(_)) = (file, &value) {
        let from = match origin {
            Origin::Flag => format!("flag --{}", setting.key),
            Origin::Environment => format!("environment {}", setting.variable),
            Origin::File(line) => format!("{file}:{line}"),
            Origin::Default => "default".to_owned(),
        };
        let _infallible = write!(shown, "  # {from}");
    }
    shown.push('\n');
    shown
}
