//! Reads a need, and finds where one ends and the next begins. PURE.
//!
//! Never: guesses; reports a mistake without the character at which it stands.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::num::NonZeroU16;

use super::{Importance, Lasts, Need, name};
use crate::{
    error::Error,
    model::{Requirement, ServiceName},
};

/// How much of a text an error quotes, in characters.
const SHOWN: usize = 80;

/// One need of a list, as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) struct Piece<'a> {
    /// Where in the list, from 0.
    pub(in crate::model) place: usize,
    pub(in crate::model) text: &'a str,
}

/// What is wrong with a need.
#[derive(Debug)]
pub(in crate::model) struct Wrong {
    /// The text, as far as it is worth a line.
    text: Box<str>,
    /// The character at which it is wrong, from 1.
    at: usize,
    why: Box<str>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Wrong {
    fn new(text: &str, byte: usize, why: impl Into<Box<str>>) -> Self {
        let before = text.char_indices().take_while(|(at, _)| *at < byte).count();
        let text = text.chars().take(SHOWN).collect::<String>().into();
        Self { text, at: before.saturating_add(1), why: why.into(), cause: None }
    }

    /// What is wrong with it, in words that do not repeat it.
    pub(in crate::model) fn why(&self, place: usize) -> String {
        let Self { at, why, cause, .. } = self;
        let cause = cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("needs[{place}], character {at}: {why}{cause}")
    }

    /// As an error; `field` says of what.
    pub(in crate::model) fn into_error(self, field: &str) -> Error {
        let Self { text, at, why, cause } = self;
        let error = Error::config(format!("{field}: {text:?}: at character {at}: {why}"));
        match cause {
            Some(cause) => error.caused_by(cause),
            None => error,
        }
    }
}

/// The texts of a list.
pub(in crate::model) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let parts: Vec<&str> = if text.contains(';') {
        let mut parts: Vec<&str> = text.split(';').map(str::trim).collect();
        parts.pop_if(|last| last.is_empty());
        parts
    } else if text.trim().is_empty() {
        Vec::new()
    } else {
        by_comma(text)
    };
    parts.into_iter().enumerate().map(|(place, text)| Piece { place, text }).collect()
}

/// Parts at commas, but for those within a requirement.
fn by_comma(text: &str) -> Vec<&str> {
    let goes_on = |rest: &str| rest.trim_start().starts_with(['<', '>', '=', '^', '~', '*']);
    let mut parts = Vec::new();
    let mut begin = 0;
    for (at, _) in text.match_indices(',') {
        let next = at.saturating_add(1);
        if !text.get(next..).is_some_and(goes_on) {
            parts.push(text.get(begin..at).unwrap_or_default().trim());
            begin = next;
        }
    }
    parts.push(text.get(begin..).unwrap_or_default().trim());
    parts
}

/// Reads one need, without space around it.
pub(in crate::model) fn read(text: &str) -> Result<Need, Wrong> {
    let wrong = |byte: usize, why: &str| Wrong::new(text, byte, why);
    if text.is_empty() {
        return Err(wrong(
            0,
            "it is empty; write the service's name, as in \"db\", \"db@^14\" or \"cache?\"",
        ));
    }
    let end = text.find(['@', ':', '?', '!']).unwrap_or(text.len());
    let (whole, tail) = text.split_at_checked(end).unwrap_or((text, ""));
    let (datacenter, begin) = match whole.split_once('/') {
        Some(("", _)) => {
            return Err(wrong(0, "no datacentre stands before \"/\"; write \"dc2/db\", or \"db\""));
        }
        Some((datacenter, _)) => {
            let name = name::read(datacenter).map_err(|(at, why)| wrong(at, &why))?;
            (Some(name), datacenter.len().saturating_add(1))
        }
        None => (None, 0),
    };
    let service = name::read(whole.get(begin..).unwrap_or_default());
    let service = service.map_err(|(at, why)| wrong(begin.saturating_add(at), &why))?;
    let service = ServiceName::new(service)
        .map_err(|cause| Wrong { cause: Some(cause.into()), ..wrong(begin, "that is no service's name") })?;
    let mut need = Need { datacenter: datacenter.map(Into::into), ..Need::new(service) };
    let mut at = end;
    let mut tail = tail;
    if let Some(rest) = tail.strip_prefix('@') {
        at = at.saturating_add(1);
        let length = rest.find([':', '?', '!']).unwrap_or(rest.len());
        let (requirement, marks) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let read = requirement.parse::<Requirement>().map_err(|cause| {
            let wrong =
                wrong(at, "that is no requirement of a version; write \"^14\", \">=1.4, <2\" or \"=1.2.3\"");
            let at = wrong.at.saturating_add(cause.place()).saturating_sub(1);
            Wrong { at, cause: Some(cause.into()), ..wrong }
        })?;
        need = need.version(read);
        at = at.saturating_add(length);
        tail = marks;
    }
    marks(text, at, tail, need)
}

/// Reads the marks, which stand in any order, each at most once.
fn marks(text: &str, mut at: usize, mut tail: &str, mut need: Need) -> Result<Need, Wrong> {
    let wrong = |byte: usize, why: &str| Wrong::new(text, byte, why);
    let mut counted = false;
    while !tail.is_empty() {
        let mut taken: usize = 1;
        if let Some(rest) = tail.strip_prefix('?').filter(|_| need.importance == Importance::Required) {
            (need, tail) = (need.optional(), rest);
        } else if let Some(rest) = tail.strip_prefix('!').filter(|_| need.lasts == Lasts::Always) {
            (need, tail) = (need.at_start(), rest);
        } else if let Some(rest) = tail.strip_prefix(':').filter(|_| !counted) {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let number = rest.get(..digits).and_then(|digits| digits.parse::<NonZeroU16>().ok());
            need.least = number.ok_or_else(|| {
                wrong(at.saturating_add(1), "no number of instances from 1 to 65535 stands after \":\"")
            })?;
            counted = true;
            tail = rest.get(digits..).unwrap_or_default();
            taken = taken.saturating_add(digits);
        } else {
            let why = "no mark stands here that is not there already: \":N\" at least N instances, \"?\" optional, \
                       \"!\" at the start only";
            return Err(wrong(at, why));
        }
        at = at.saturating_add(taken);
    }
    Ok(need)
}
