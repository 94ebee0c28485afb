//! Three ways to write the same tree: JSON, HCL, TOML. PURE.
//!
//! In:  a text. Out: its tree as JSON has it.
//!
//! Never: goes deeper than the parsers go (JSON 128, HCL 64, TOML 80 levels).
//!
//! Rules from Consul: agent/config/config.go `Parse`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::path::Path;

use portolan::Error;
use serde_json::Value;

use super::hcl;

/// How a definition file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    Json,
    Hcl,
    Toml,
}

impl Syntax {
    /// By the end of the file's name.
    ///
    /// # Errors
    /// It has none of the three.
    pub(crate) fn of(path: &Path) -> Result<Self, Error> {
        match path.extension().and_then(std::ffi::OsStr::to_str) {
            Some("json") => Ok(Self::Json),
            Some("hcl") => Ok(Self::Hcl),
            Some("toml") => Ok(Self::Toml),
            _ => Err(Error::config("the name tells no format; it ends in .json, .hcl or .toml")),
        }
    }

    pub(super) fn parse(self, text: &str) -> Result<Value, Error> {
        match self {
            Self::Json => serde_json::from_str(text).map_err(|cause| bad("JSON", &cause)),
            Self::Toml => toml::from_str(text).map_err(|cause| bad("TOML", &cause)),
            // Consul reads JSON in an .hcl file too.
            Self::Hcl if text.trim_start().starts_with('{') => Self::Json.parse(text),
            Self::Hcl => hcl::parse(text).map_err(|wrong| Error::config(wrong.to_string())),
        }
    }
}

/// The parsers draw the place over several lines; one is enough for a log, and for a person.
fn bad(syntax: &str, cause: &dyn std::fmt::Display) -> Error {
    let text = cause.to_string();
    let words: Vec<&str> = text.split_whitespace().collect();
    Error::config(format!("it is no {syntax}: {}", words.join(" ")))
}

/// `path.key`, or `key` at the top.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
