//! Reads `portolan.toml`: what is set, on which line, and everything that is wrong with it. PURE.
//!
//! In:  a text, and which settings there are. Out: what it sets, and all problems at once, each with its line.
//!
//! Never: stops at the first problem; overlooks a key; shows a secret.
//!
//! Proof: `file/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use clap::error::ErrorKind;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::settings::{Section, Setting, Shape, section_meant};

/// What a file sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct File {
    /// By section and key.
    pub(crate) given: BTreeMap<(&'static str, String), Given>,
    /// In the order of their lines.
    pub(crate) problems: Vec<Problem>,
}

/// A value, as words of the command line would say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) values: Vec<String>,
    pub(crate) line: usize,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    pub(crate) line: usize,
    pub(crate) what: String,
}

struct Reader<'a> {
    text: &'a str,
    file: File,
}

pub(crate) fn read(text: &str, sections: &[Section]) -> File {
    let (whole, wrong) = DeTable::parse_recoverable(text);
    let mut reader = Reader { text, file: File::default() };
    for error in wrong {
        let words: Vec<&str> = error.message().split_whitespace().collect();
        reader.problem(
            error.span().map_or(0, |span| span.start),
            format!("it is no TOML: {}", words.join(" ")),
        );
    }
    for (name, value) in whole.get_ref() {
        let found = sections.iter().find(|section| section.name == &**name.get_ref());
        match (found, value.get_ref()) {
            (Some(section), DeValue::Table(table)) => reader.section(section, table),
            (Some(section), _) => {
                let what = format!("{0} is a section; write [{0}] and its settings below", section.name);
                reader.problem(name.span().start, what);
            }
            (None, _) => reader.unknown_section(name, sections),
        }
    }
    reader.file.problems.sort();
    reader.file
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count().saturating_add(1)
    }

    fn problem(&mut self, at: usize, what: String) {
        let line = self.line(at);
        self.file.problems.push(Problem { line, what });
    }

    fn unknown_section(&mut self, name: &Spanned<std::borrow::Cow<'_, str>>, sections: &[Section]) {
        let word = &**name.get_ref();
        // A setting may stand above all sections.
        let home = sections.iter().find(|section| section.setting(word).is_some());
        let hint = match (home, section_meant(word)) {
            (Some(section), _) => format!("it belongs under [{}]", section.name),
            (None, Some(meant)) => format!("did you mean [{meant}]?"),
            (None, None) => {
                let names: Vec<&str> = sections.iter().map(|section| section.name).collect();
                format!("there are {}", names.join(", "))
            }
        };
        self.problem(name.span().start, format!("{word}: there is no such section; {hint}"));
    }

    fn section(&mut self, section: &Section, table: &DeTable<'_>) {
        for (name, value) in table {
            let (key, at) = (&**name.get_ref(), name.span().start);
            let Some(setting) = section.setting(key) else {
                let dashed = key.replace('_', "-");
                let meant = section.setting(&dashed).map(|_there_is| dashed).or_else(|| section.meant(key));
                let hint = match meant {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => "`portolan config show` lists all".to_owned(),
                };
                self.problem(at, format!("{}.{key}: there is no such setting; {hint}", section.name));
                continue;
            };
            match values(setting, value.get_ref()) {
                Ok(values) => match wrong_value(section, setting, &values) {
                    None => {
                        let given = Given { values, line: self.line(at) };
                        self.file.given.insert((section.name, setting.key.clone()), given);
                    }
                    Some(why) => self.problem(at, format!("{}.{key}: {why}", section.name)),
                },
                Err(wanted) => {
                    let what =
                        format!("{}.{key}: {}, but it takes {wanted}", section.name, shown(value.get_ref()));
                    self.problem(at, what);
                }
            }
        }
        self.together(section, table);
    }

    /// What only all of a section's settings together tell: that one needs another, or cannot be beside it.
    fn together(&mut self, section: &Section, table: &DeTable<'_>) {
        let mine = self.file.given.iter().filter(|((name, _), _)| *name == section.name);
        let words: Vec<String> = mine
            .filter_map(|((_, key), given)| Some(words(section.setting(key)?, &given.values)))
            .flatten()
            .collect();
        let wrong = section.command.clone().try_get_matches_from(&words).err();
        let line = table.keys().map(|name| name.span().start).min().unwrap_or_default();
        if let Some(wrong) = wrong.filter(|wrong| is_of_several(wrong.kind())) {
            self.problem(line, format!("{}: {}", section.name, reason(&wrong)));
        }
    }
}

fn is_of_several(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ArgumentConflict | ErrorKind::MissingRequiredArgument)
}

/// The words of the command line that say the same.
pub(crate) fn words(setting: &Setting, values: &[String]) -> Vec<String> {
    let flag = format!("--{}", setting.key);
    match setting.shape {
        Shape::One | Shape::Many => values.iter().map(|value| format!("{flag}={value}")).collect(),
        Shape::Switch => values.iter().filter(|value| *value == "true").map(|_on| flag.clone()).collect(),
        Shape::Count => {
            let times = values.first().and_then(|value| value.parse().ok()).unwrap_or_default();
            std::iter::repeat_n(flag, times).collect()
        }
    }
}

/// What clap says of the value alone; a secret is not in it.
pub(crate) fn wrong_value(section: &Section, setting: &Setting, values: &[String]) -> Option<String> {
    let alone = section.command.clone();
    let wrong = alone.try_get_matches_from(words(setting, values)).err()?;
    match wrong.kind() {
        kind if is_of_several(kind) => None,
        _ if setting.is_secret() => Some("its value is not right".to_owned()),
        _ => Some(reason(&wrong)),
    }
}

/// clap's sentence without its usage part, and without the word that it is an error.
fn reason(wrong: &clap::Error) -> String {
    let line = crate::exit::usage_line(&wrong.render().to_string());
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

/// The values as words, or what would be right.
fn values(setting: &Setting, value: &DeValue<'_>) -> Result<Vec<String>, &'static str> {
    match (setting.shape, value) {
        (Shape::One, value) => word(value).map(|word| vec![word]).ok_or("a text or a number"),
        (Shape::Many, DeValue::Array(list)) => {
            let words: Option<Vec<String>> = list.iter().map(|item| word(item.get_ref())).collect();
            words.ok_or("a list of texts")
        }
        (Shape::Many, value) => word(value).map(|word| vec![word]).ok_or("a text, or a list of texts"),
        (Shape::Switch, DeValue::Boolean(on)) => Ok(vec![on.to_string()]),
        (Shape::Switch, _) => Err("true or false"),
        (Shape::Count, DeValue::Integer(number)) if number.as_str().parse::<u8>().is_ok_and(|n| n < 10) => {
            Ok(vec![number.as_str().to_owned()])
        }
        (Shape::Count, _) => Err("a number from 0 to 9"),
    }
}

fn word(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

fn shown(value: &DeValue<'_>) -> String {
    format!("it is of type {}", value.type_str())
}

#[cfg(test)]
mod tests;
