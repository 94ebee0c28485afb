//! Exit codes: what the command's end means to a script.
//!
//! In:  the end of a subcommand, or its error. Out: one line on stderr, and the code.
//!
//! Never: more than one line for an error; a word about a pipe that the reader closed.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use portolan::{Error, Kind};

/// The table of codes, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  fine
  1  a negative answer: nothing found with --exit-code, no such id, a finding of doctor, a demo that lost a request;
     or a failure of this machine
  2  wrong usage or input; the line on stderr names the field, what was found and what is allowed
  3  the registry cannot be reached, or cannot answer; the line says what was tried, and for how long
  4  the registry refused the token
`portolan run` ends with the code of its command, or 128 and the number of the signal that ended it; 127 and 126 when it
cannot be found or started.";

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Fine,
    No,
    Usage,
    Unreachable,
    Denied,
    /// As another program ended.
    Code(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::No => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Denied => 4,
            Exit::Code(code) => code,
        })
    }
}

/// Input that is wrong in a way only the command knows.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The code of an error, by the first cause that has one.
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<Error>() {
            return of_kind(error.kind());
        }
        if let Some(told) = cause.downcast_ref::<crate::cmd::Told>() {
            return of_kind(told.error.kind());
        }
        if cause.is::<Usage>() {
            return Exit::Usage;
        }
        if cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return Exit::Fine;
        }
    }
    Exit::No
}

fn of_kind(kind: Kind) -> Exit {
    match kind {
        Kind::Config | Kind::Rejected => Exit::Usage,
        Kind::Unreachable | Kind::Timeout | Kind::Busy | Kind::Unavailable | Kind::Malformed => {
            Exit::Unreachable
        }
        Kind::Denied => Exit::Denied,
        _ => Exit::No,
    }
}

/// Prints the error with its causes on one line, unless it only means that nobody reads on.
pub(crate) fn report(error: &anyhow::Error) -> Exit {
    let exit = of(error);
    if exit != Exit::Fine {
        say(&format!("error: {}", one_line(&format!("{error:#}"))));
    }
    exit
}

/// Prints what clap found: help in full on stdout, an error as one line on stderr.
pub(crate) fn usage(wrong: &clap::Error) -> Exit {
    if wrong.use_stderr() && wrong.kind() != clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    {
        say(&usage_line(&wrong.render().to_string()));
        return Exit::Usage;
    }
    let shown = wrong.print();
    match (wrong.use_stderr(), shown) {
        (true, _) => Exit::Usage,
        (false, Err(cause)) => report(&anyhow::Error::new(cause).context("cannot write the help")),
        (false, Ok(())) => Exit::Fine,
    }
}

/// clap's text without its usage part: the error, and its tips.
pub(crate) fn usage_line(text: &str) -> String {
    let parts: Vec<String> = text
        .split("\n\n")
        .map(one_line)
        .filter(|part| !part.is_empty() && !part.starts_with("Usage:") && !part.starts_with("For more"))
        .collect();
    parts.join("; ")
}

/// A text of several lines as one, for a log and for a person alike.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    words.join(" ")
}

/// A line on stderr. That it cannot be written can be told to nobody.
pub(crate) fn say(line: &str) {
    let _nobody_listens = writeln!(io::stderr(), "{}", crate::output::plain(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_its_code() {
        for (kind, exit) in [
            (Kind::Config, Exit::Usage),
            (Kind::Rejected, Exit::Usage),
            (Kind::Unreachable, Exit::Unreachable),
            (Kind::Timeout, Exit::Unreachable),
            (Kind::Unavailable, Exit::Unreachable),
            (Kind::Denied, Exit::Denied),
            (Kind::Conflict, Exit::No),
        ] {
            let error = anyhow::Error::new(Error::registry(kind, "what")).context("while asking");
            assert_eq!(of(&error), exit, "{kind:?}");
        }
        let closed = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe)).context("stdout");
        assert_eq!(of(&closed), Exit::Fine);
        let full = anyhow::Error::new(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(of(&full), Exit::No);
        assert_eq!(of(&anyhow::Error::new(Usage("x".to_owned()))), Exit::Usage);
    }

    #[test]
    fn claps_error_becomes_one_line_with_its_tip() {
        let text = "error: unexpected argument '--tga' found\n\n  tip: a similar argument exists: '--tag'\n\n\
                    Usage: portolan discover [OPTIONS] <NAME>\n\nFor more information, try '--help'.\n";
        assert_eq!(
            usage_line(text),
            "error: unexpected argument '--tga' found; tip: a similar argument exists: '--tag'"
        );
    }
}
