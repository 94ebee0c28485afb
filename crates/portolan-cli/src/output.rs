//! What goes to stdout: tables, JSON, templates, colour.
//!
//! In:  rows of text, instances. Out: text, written whole, so that a failed write is an error and no panic.
//!
//! Never: a control character of somebody else's data on a terminal; a border; a colour where none is wanted.
//! A pipe gets the same columns as a terminal, so that a script may rely on them.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use anyhow::Context;
use portolan::Status;

pub(crate) mod clock;
pub(crate) mod instance;
pub(crate) mod split;
pub(crate) mod table;
pub(crate) mod template;

/// Writes text to stdout and sees it through.
///
/// # Errors
/// The reader is gone (a broken pipe, which ends the command quietly), or the disk is full.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to stdout")
}

/// The text with every control character written out, as data from a registry may hold anything.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            let _infallible = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A colour, by what it means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ink {
    #[default]
    None,
    Good,
    Doubtful,
    Bad,
    Faint,
    Strong,
}

impl Ink {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Good => Some("32"),
            Self::Doubtful => Some("33"),
            Self::Bad => Some("31"),
            Self::Faint => Some("2"),
            Self::Strong => Some("1"),
        }
    }

    /// The text in this colour, or as it is where colour is not wanted.
    pub(crate) fn on(self, text: &str, color: bool) -> String {
        match self.code().filter(|_| color) {
            Some(code) => format!("\x1b[{code}m{text}\x1b[0m"),
            None => text.to_owned(),
        }
    }
}

impl From<Status> for Ink {
    fn from(status: Status) -> Self {
        match status {
            Status::Passing => Self::Good,
            Status::Warning | Status::Maintenance => Self::Doubtful,
            Status::Critical => Self::Bad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(plain("a\x1b[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(plain("zürich"), "zürich");
    }

    #[test]
    fn colour_is_added_only_where_wanted() {
        assert_eq!(Ink::Bad.on("x", true), "\x1b[31mx\x1b[0m");
        assert_eq!(Ink::Bad.on("x", false), "x");
        assert_eq!(Ink::None.on("x", true), "x");
    }
}
