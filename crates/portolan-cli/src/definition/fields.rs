//! The fields of one object, taken out one by one; what is left at the end is a mistake. PURE.
//!
//! In:  a tree. Out: values of the wanted type, or an error with the field's path as it is written in the file.
//!
//! A key is found as `snake_case` or as `CamelCase`, in any case of its letters: `enable_tag_override` is also
//! `EnableTagOverride`. `null`, and an empty text, are as good as nothing.
//!
//! Never: turns a text into a number, or a number into a text.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, time::Duration};

use portolan::{Error, parse_duration};
use serde_json::Value;

use super::syntax::join;

/// A value with its path.
pub(super) type At<'a> = (String, &'a Value);

/// What is left of an object.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    path: String,
    /// By key in lower case: the key as it is written, and its value.
    left: BTreeMap<String, (&'a str, &'a Value)>,
    /// The keys that were asked for, for the message about one that was not.
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The fields of the object at `path`; a list of one object is as good, for HCL's blocks are read so.
    ///
    /// # Errors
    /// It is no object, or has one key in two spellings.
    pub(super) fn of(path: &str, value: &'a Value) -> Result<Self, Error> {
        let object = match value {
            Value::Object(object) => object,
            Value::Array(list) => match list.as_slice() {
                [Value::Object(object)] => object,
                _ => {
                    let what = format!("{}: there are {}, and one is allowed", or_the_file(path), list.len());
                    return Err(Error::config(what));
                }
            },
            other => {
                let path = or_the_file(path);
                return Err(Error::config(format!("{path}: {} is no object; write {{ … }}", shown(other))));
            }
        };
        let mut left = BTreeMap::new();
        for (key, value) in object {
            if left.insert(key.to_lowercase(), (key.as_str(), value)).is_some() {
                return Err(Error::config(format!("{}: it is given twice; leave one out", join(path, key))));
            }
        }
        Ok(Self { path: path.to_owned(), left, known: Vec::new() })
    }

    /// Whether there is such a key.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    /// An error about a field of this object.
    pub(super) fn wrong(&self, name: &str, problem: &str) -> Error {
        Error::config(format!("{}: {problem}", join(&self.path, name)))
    }

    /// The value under a key.
    ///
    /// # Errors
    /// The key is there in both spellings.
    pub(super) fn take(&mut self, name: &'static str) -> Result<Option<At<'a>>, Error> {
        self.known.push(name);
        let squashed = name.replace('_', "");
        let camel = if squashed == name { None } else { self.left.remove(&squashed) };
        let (key, value) = match (self.left.remove(name), camel) {
            (Some(_), Some((key, _))) => return Err(self.wrong(key, "it is given twice; leave one out")),
            (Some(found), None) | (None, Some(found)) => found,
            (None, None) => return Ok(None),
        };
        Ok((!value.is_null()).then(|| (join(&self.path, key), value)))
    }

    /// A key that is allowed only while it says nothing.
    ///
    /// # Errors
    /// It says something.
    pub(super) fn leave(&mut self, name: &'static str, advice: &str) -> Result<(), Error> {
        let found = self.take(name)?;
        // It is no key to advise.
        self.known.pop();
        match found {
            Some((path, value)) if !says_nothing(value) => Err(Error::config(format!("{path}: {advice}"))),
            _ => Ok(()),
        }
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Error> {
        let Some(at) = self.take(name)? else { return Ok(None) };
        Ok(Some(text(&at)?).filter(|text| !text.is_empty()))
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, Error> {
        match self.take(name)? {
            None => Ok(None),
            Some((_, Value::Bool(flag))) => Ok(Some(*flag)),
            Some(at) => Err(mistyped(&at, "true or false")),
        }
    }

    pub(super) fn number(&mut self, name: &'static str) -> Result<Option<u16>, Error> {
        let Some(at) = self.take(name)? else { return Ok(None) };
        let found = at.1.as_u64().and_then(|found| u16::try_from(found).ok());
        found.map(Some).ok_or_else(|| mistyped(&at, "a whole number from 0 to 65535, without quotes"))
    }

    /// As Go writes it, in quotes.
    pub(super) fn duration(&mut self, name: &'static str) -> Result<Option<Duration>, Error> {
        match self.take(name)? {
            None => Ok(None),
            Some((path, Value::String(text))) => parse_duration(&path, text).map(Some),
            Some(at) => Err(mistyped(&at, "a duration in quotes, as in \"10s\"")),
        }
    }

    pub(super) fn texts(&mut self, name: &'static str) -> Result<Vec<String>, Error> {
        let Some(at) = self.take(name)? else { return Ok(Vec::new()) };
        texts(&at)
    }

    /// An object of texts.
    pub(super) fn pairs(&mut self, name: &'static str) -> Result<Vec<(String, String)>, Error> {
        let pairs = self.objects(name)?.into_iter();
        pairs.map(|(key, at)| Ok((key, text(&at)?))).collect()
    }

    /// An object of lists of texts.
    pub(super) fn lists(&mut self, name: &'static str) -> Result<Vec<(String, Vec<String>)>, Error> {
        let lists = self.objects(name)?.into_iter();
        lists.map(|(key, at)| Ok((key, texts(&at)?))).collect()
    }

    /// What an object holds, under keys of the user's choice.
    pub(super) fn objects(&mut self, name: &'static str) -> Result<Vec<(String, At<'a>)>, Error> {
        let Some((path, value)) = self.take(name)? else { return Ok(Vec::new()) };
        let held = match value {
            Value::Array(list) if list.len() == 1 => list.first().and_then(Value::as_object),
            other => other.as_object(),
        };
        let Some(held) = held else { return Err(mistyped(&(path, value), "an object, { … }")) };
        Ok(held.iter().map(|(key, value)| (key.clone(), (join(&path, key), value))).collect())
    }

    /// The items of a list; one object is a list of one.
    pub(super) fn list(&mut self, name: &'static str) -> Result<Vec<At<'a>>, Error> {
        let Some((path, value)) = self.take(name)? else { return Ok(Vec::new()) };
        match value {
            Value::Array(list) => {
                Ok((0usize..).zip(list).map(|(place, item)| (format!("{path}[{place}]"), item)).collect())
            }
            Value::Object(_) => Ok(vec![(path, value)]),
            _ => Err(mistyped(&(path, value), "a list of objects, [ { … } ]")),
        }
    }

    /// Sees that nothing is left.
    ///
    /// # Errors
    /// A key that nobody asked for, by name; `whose` says what it is no key of.
    pub(super) fn finish(self, whose: &str) -> Result<(), Error> {
        match self.left.values().next() {
            None => Ok(()),
            Some((key, _)) => {
                let known = self.known.join(", ");
                Err(self.wrong(key, &format!("it is no key of {whose}; the keys are {known}")))
            }
        }
    }
}

fn text(at: &At<'_>) -> Result<String, Error> {
    at.1.as_str().map(str::to_owned).ok_or_else(|| mistyped(at, "a text in quotes"))
}

fn texts(at: &At<'_>) -> Result<Vec<String>, Error> {
    let Some(list) = at.1.as_array() else { return Err(mistyped(at, "a list of texts, [\"a\", \"b\"]")) };
    let items = (0usize..).zip(list);
    items.map(|(place, item)| text(&(format!("{}[{place}]", at.0), item))).collect()
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(says_nothing),
        Value::Object(object) => object.values().all(says_nothing),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

fn mistyped((path, found): &At<'_>, wanted: &str) -> Error {
    Error::config(format!("{path}: {} is not {wanted}", shown(found)))
}

fn or_the_file(path: &str) -> &str {
    if path.is_empty() { "the file" } else { path }
}

/// A value as far as a line bears it.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string().chars().take(64).collect(),
    }
}
