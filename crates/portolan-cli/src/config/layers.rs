//! Flags over environment over file over default: what holds, and where it comes from. PURE.
//!
//! In:  the command line, the environment, a file. Out: every setting with its value and its origin, and the words that
//! the command line has to get besides.
//!
//! Never: lets a file or the environment stand against a flag, or a file against the environment: what cannot be beside a
//! setting of a higher layer is left out with it.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::ffi::{OsStr, OsString};

use super::{
    file::{File, words},
    settings::{CLIENT, Section, Setting, Shape},
};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    Environment,
    /// The line.
    File(usize),
    Default,
}

/// A setting with what holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InForce {
    pub(crate) setting: Setting,
    /// Empty: it is not set.
    pub(crate) values: Vec<String>,
    pub(crate) origin: Origin,
}

/// What a layer says of a setting.
type Layer<'a> = &'a dyn Fn(&Setting) -> Option<(Vec<String>, Origin)>;

/// What holds of a section's settings.
pub(crate) fn in_force(
    section: &Section,
    line: &[OsString],
    variable: impl Fn(&str) -> Option<String>,
    file: &File,
) -> Vec<InForce> {
    let mut found: Vec<InForce> = Vec::new();
    let by_flag = |setting: &Setting| values_on(setting, line).map(|values| (values, Origin::Flag));
    let by_variable = |setting: &Setting| {
        let text = variable(&setting.variable)?;
        Some((split(setting, &text), Origin::Environment))
    };
    let by_file = |setting: &Setting| {
        let given = file.given.get(&(section.name, setting.key.clone()))?;
        Some((given.values.clone(), Origin::File(given.line)))
    };
    let layers: [Layer<'_>; 3] = [&by_flag, &by_variable, &by_file];
    for layer in layers {
        // What is beside it in the same layer is for the command line to judge.
        let higher: Vec<Setting> = found.iter().map(|one| one.setting.clone()).collect();
        for setting in &section.settings {
            let against =
                |other: &Setting| other.key == setting.key || setting.conflicts.contains(&other.key);
            if higher.iter().any(against) {
                continue;
            }
            if let Some((values, origin)) = layer(setting) {
                found.push(InForce { setting: setting.clone(), values, origin });
            }
        }
    }
    let value = |setting: &Setting| {
        let known = found.iter().find(|one| one.setting.key == setting.key);
        known.cloned().unwrap_or_else(|| InForce {
            setting: setting.clone(),
            values: setting.default.clone(),
            origin: Origin::Default,
        })
    };
    section.settings.iter().map(value).collect()
}

/// The words that say what the environment and the file set. Consul's own variables are read where the client is made.
pub(crate) fn more(section: &Section, in_force: &[InForce]) -> Vec<OsString> {
    let said = |one: &&InForce| match one.origin {
        Origin::File(_) => true,
        Origin::Environment => section.name != CLIENT,
        Origin::Flag | Origin::Default => false,
    };
    let all = in_force.iter().filter(said).flat_map(|one| words(&one.setting, &one.values));
    all.map(OsString::from).collect()
}

/// Several values in one variable are parted by semicolons.
fn split(setting: &Setting, text: &str) -> Vec<String> {
    match setting.shape {
        Shape::Many => {
            text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        }
        // As people switch things on and off.
        Shape::Switch => {
            vec![(!matches!(text.to_ascii_lowercase().as_str(), "" | "0" | "false" | "no")).to_string()]
        }
        Shape::One | Shape::Count => vec![text.to_owned()],
    }
}

/// What a command line says of a flag; `None`: nothing.
fn values_on(setting: &Setting, line: &[OsString]) -> Option<Vec<String>> {
    let flag = format!("--{}", setting.key);
    let mut values = Vec::new();
    let mut times = 0_usize;
    let mut words = line.iter().map(|word| word.to_string_lossy()).take_while(|word| word != "--");
    while let Some(word) = words.next() {
        let here = match word.strip_prefix(&*flag) {
            Some("") => 1,
            Some(rest) if rest.starts_with('=') => {
                values.extend(rest.strip_prefix('=').map(str::to_owned));
                1
            }
            _ => short(setting, &word),
        };
        if here > 0 && word == *flag && matches!(setting.shape, Shape::One | Shape::Many) {
            values.extend(words.next().map(|value| value.into_owned()));
        }
        times = times.saturating_add(here);
    }
    match setting.shape {
        _ if times == 0 => None,
        Shape::One | Shape::Many => Some(values),
        Shape::Switch => Some(vec!["true".to_owned()]),
        Shape::Count => Some(vec![times.to_string()]),
    }
}

/// How often `-v` or `-vv` says it.
fn short(setting: &Setting, word: &str) -> usize {
    let letters = word.strip_prefix('-').filter(|rest| !rest.starts_with('-')).unwrap_or_default();
    setting.short.map_or(0, |short| letters.chars().filter(|letter| *letter == short).count())
}

/// The command line with more words behind the name of the subcommand. Global flags are taken there too.
pub(crate) fn with(line: &[OsString], subcommand: &str, more: Vec<OsString>) -> Vec<OsString> {
    let at = line.iter().position(|word| word == OsStr::new(subcommand));
    let at = at.map_or(line.len(), |at| at.saturating_add(1)).min(line.len());
    let (before, after) = line.split_at(at);
    [before.to_vec(), more, after.to_vec()].concat()
}

#[cfg(test)]
mod tests;
