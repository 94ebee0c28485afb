//! Reads the HCL that definitions are written in. PURE.
//!
//! In:  a text with `key = value`, blocks, objects, lists, texts, here-documents, numbers, and comments of three kinds.
//! Out: its tree as JSON has it, a block as a list with one object, or more when it stands several times; or what is
//! wrong, with its line and what to do.
//!
//! Never: evaluates anything: `${…}` in a text is what stands there, and a bare word, a function, a sum or a `for` is
//! an error; goes deeper than [`DEEPEST`]; goes back, but to copy what it passed: the time grows with the text alone.
//!
//! Rules: what HCL 1 (github.com/hashicorp/hcl, `hcl/scanner`) and HCL 2 (its `hclsyntax/spec.md`) have in common, and
//! of either what cannot be misread. COMPATIBILITY.md tells what is between Consul and this.
//! Proof: `hcl/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::HashSet, fmt};

use serde_json::{Map, Value};

use super::syntax::join;

mod literal;

/// How deep blocks, objects and lists may stand in each other: a definition needs six, and the stack bears more.
pub(super) const DEEPEST: usize = 64;

/// What is wrong, and where. In a box: each result of the reader would be as large.
#[derive(Debug)]
pub(super) struct Wrong(Box<Told>);

/// What an error tells.
#[derive(Debug)]
struct Told {
    /// The keys that lead to a value which is HCL, but none for a definition, from the inside out. Nothing where the
    /// text is no HCL: what is a key there is not sure.
    path: Option<Vec<String>>,
    line: usize,
    what: String,
    advice: String,
}

impl Wrong {
    /// What is wrong stands below this key, or at this place of a list.
    fn below(mut self, step: String) -> Self {
        if let Some(path) = &mut self.0.path {
            path.push(step);
        }
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told { path, line, what, advice } = &*self.0;
        let Some(steps) = path else {
            return write!(f, "it is no HCL: line {line}: {what}; {advice}");
        };
        let mut path = String::new();
        for step in steps.iter().rev() {
            path = if step.starts_with('[') { path + step } else { join(&path, step) };
        }
        write!(f, "{path}: {what} (line {line}); {advice}")
    }
}

/// The tree of a text.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn parse(text: &str) -> Result<Value, Wrong> {
    let mut reader = Reader { text, rest: text, deep: 0 };
    reader.items(Within::File)
}

/// What items stand in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    File,
    Block,
    /// A value: here `:` is `=`, too.
    Object,
}

/// What counts as nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blank {
    /// White space and comments up to the end of the line, where an item ends.
    InLine,
    /// The ends of lines, too.
    Lines,
}

/// The items of a block or an object.
#[derive(Default)]
struct Items {
    found: Map<String, Value>,
    /// Keys that take another block: known without looking through the list once more for each.
    lists: HashSet<String>,
}

impl Items {
    /// False if there is one of this key.
    fn set(&mut self, key: &str, value: Value) -> bool {
        self.found.insert(key.to_owned(), value).is_none()
    }

    /// False if the key has a value that is no list of objects.
    fn add_block(&mut self, key: &str, block: Value) -> bool {
        let listed = self.lists.contains(key);
        match self.found.get_mut(key) {
            None => self.found.extend([(key.to_owned(), Value::Array(vec![block]))]),
            Some(Value::Array(list)) if listed || list.iter().all(Value::is_object) => list.push(block),
            Some(_) => return false,
        }
        if !listed {
            self.lists.insert(key.to_owned());
        }
        true
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    deep: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut rest = self.rest.chars();
        let next = rest.next();
        self.rest = rest.as_str();
        next
    }

    /// Passes over `wanted`, if it stands here.
    fn take(&mut self, wanted: &str) -> bool {
        let after = self.rest.strip_prefix(wanted);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn take_while(&mut self, mut wanted: impl FnMut(char) -> bool) -> &'a str {
        let end = self.rest.find(|next| !wanted(next)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// A bare word, or nothing.
    fn word(&mut self) -> &'a str {
        if self.rest.starts_with(begins_word) { self.take_while(is_of_word) } else { "" }
    }

    /// The line in which `rest` begins. Counted for errors alone, each of which is the last thing done.
    fn line(&self, rest: &str) -> usize {
        let before = self.text.len().saturating_sub(rest.len());
        let ends = self.text.bytes().take(before).filter(|byte| *byte == b'\n').count();
        ends.saturating_add(1)
    }

    /// The text is no HCL, where `at` begins.
    fn no_hcl(&self, at: &str, what: impl Into<String>, advice: impl Into<String>) -> Wrong {
        Wrong(Box::new(Told { path: None, line: self.line(at), what: what.into(), advice: advice.into() }))
    }

    /// It is HCL, and none for a definition.
    fn no_definition(&self, at: &str, what: impl Into<String>, advice: impl Into<String>) -> Wrong {
        let mut wrong = self.no_hcl(at, what, advice);
        wrong.0.path = Some(Vec::new());
        wrong
    }

    fn calculated(&self, at: &str) -> Wrong {
        let what = "it is to be calculated, which a definition cannot";
        self.no_definition(at, what, "write the value itself, texts in quotes")
    }

    fn blank(&mut self, blank: Blank) -> Result<(), Wrong> {
        loop {
            self.take_while(|next| {
                matches!(next, ' ' | '\t' | '\r') || (next == '\n' && blank == Blank::Lines)
            });
            if self.rest.starts_with('#') || self.rest.starts_with("//") {
                self.take_while(|next| next != '\n');
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                let Some((_, after)) = comment.split_once("*/") else {
                    return Err(self.no_hcl(self.rest, "the comment has no end", "write */ after it"));
                };
                self.rest = after;
            } else {
                return Ok(());
            }
        }
    }

    /// What stands behind an opening brace or bracket, which is passed over.
    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Result<Value, Wrong>) -> Result<Value, Wrong> {
        if self.deep >= DEEPEST {
            let what = format!("over {DEEPEST} blocks, objects and lists stand in each other");
            return Err(self.no_hcl(self.rest, what, "a definition needs six; leave the others out"));
        }
        self.deep = self.deep.saturating_add(1);
        self.next();
        let read = read(self);
        self.deep = self.deep.saturating_sub(1);
        read
    }

    fn items(&mut self, within: Within) -> Result<Value, Wrong> {
        let begin = self.rest;
        let mut items = Items::default();
        loop {
            self.blank(Blank::Lines)?;
            match (self.peek(), within) {
                (None, Within::File) => break,
                (None, _) => {
                    return Err(self.no_hcl(begin, "the { has no end", "write } after what is in it"));
                }
                (Some('}'), Within::File) => {
                    return Err(self.no_hcl(self.rest, "the } ends nothing", "leave it out"));
                }
                (Some('}'), _) => {
                    self.next();
                    break;
                }
                _ => self.item(within, &mut items)?,
            }
            self.blank(Blank::InLine)?;
            if !self.take(",") && self.peek().is_some_and(|next| !matches!(next, '\n' | '}')) {
                let what = "something stands behind a value";
                return Err(self.no_hcl(
                    self.rest,
                    what,
                    "write one value, and each key in a line of its own",
                ));
            }
        }
        Ok(Value::Object(items.found))
    }

    fn item(&mut self, within: Within, items: &mut Items) -> Result<(), Wrong> {
        let at = self.rest;
        let key = self.key()?;
        self.blank(Blank::InLine)?;
        let fits = match self.peek() {
            Some('{') => {
                let block = self.deeper(|reader| reader.items(Within::Block));
                items.add_block(&key, block.map_err(|wrong| wrong.below(key.clone()))?)
            }
            Some(sign) if sign == '=' || (sign == ':' && within == Within::Object) => {
                self.next();
                self.blank(Blank::InLine)?;
                let value = self.value();
                items.set(&key, value.map_err(|wrong| wrong.below(key.clone()))?)
            }
            _ if key == "for" => return Err(self.calculated(at)),
            _ => return Err(self.no_item(at, key)),
        };
        if fits {
            return Ok(());
        }
        Err(self.no_definition(at, "it is given twice", "leave one out").below(key))
    }

    fn key(&mut self) -> Result<String, Wrong> {
        if self.rest.starts_with('"') {
            return self.quoted();
        }
        match self.word() {
            "" => Err(self.no_hcl(self.rest, "here is no key", "write key = value, or key { … }")),
            word => Ok(word.to_owned()),
        }
    }

    /// A key that neither a value nor a block follows: the labels of a block, which other files have, or a mistake.
    fn no_item(&mut self, at: &str, key: String) -> Wrong {
        let mut labels = Vec::new();
        while self.rest.starts_with(|next| next == '"' || begins_word(next)) {
            match self.key().and_then(|label| self.blank(Blank::InLine).map(|()| label)) {
                Ok(label) => labels.push(label),
                Err(wrong) => return wrong,
            }
        }
        match labels.first() {
            Some(label) if self.rest.starts_with('{') => {
                let what = format!("the label {label:?} has no meaning here");
                self.no_definition(at, what, "leave it out").below(key)
            }
            _ => self.no_hcl(at, format!("{key:?} has no value"), "write key = value, or key { … }"),
        }
    }

    fn value(&mut self) -> Result<Value, Wrong> {
        let at = self.rest;
        let value = match self.peek() {
            Some('"') => Value::String(self.quoted()?),
            Some('{') => self.deeper(|reader| reader.items(Within::Object))?,
            Some('[') => self.deeper(Self::list)?,
            Some('-' | '0'..='9') => self.number()?,
            Some('<') if self.rest.starts_with("<<") => Value::String(self.here_document()?),
            Some(next) if begins_word(next) => match self.word() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                _ => return Err(self.calculated(at)),
            },
            Some('!' | '(') => return Err(self.calculated(at)),
            _ => {
                let advice =
                    "write one in the same line: a text in quotes, a number, true, false, [ … ] or { … }";
                return Err(self.no_hcl(at, "here is no value", advice));
            }
        };
        self.blank(Blank::InLine)?;
        let operator = self.rest.starts_with(|next| "+-*/%?!<>&|.".contains(next));
        if operator || self.rest.starts_with("==") { Err(self.calculated(at)) } else { Ok(value) }
    }

    fn list(&mut self) -> Result<Value, Wrong> {
        let begin = self.rest;
        let mut list = Vec::new();
        loop {
            self.blank(Blank::Lines)?;
            if self.take("]") {
                return Ok(Value::Array(list));
            }
            if !self.rest.is_empty() {
                let value = self.value();
                list.push(value.map_err(|wrong| wrong.below(format!("[{}]", list.len())))?);
                self.blank(Blank::Lines)?;
            }
            if self.rest.is_empty() {
                return Err(self.no_hcl(begin, "the [ has no end", "write ] after what is in it"));
            }
            if !self.take(",") && !self.rest.starts_with(']') {
                let what = "something stands behind an item of a list";
                return Err(self.no_hcl(self.rest, what, "write a comma between two items"));
            }
        }
    }
}

fn begins_word(next: char) -> bool {
    next.is_alphabetic() || next == '_'
}

fn is_of_word(next: char) -> bool {
    next.is_alphanumeric() || matches!(next, '_' | '-')
}

#[cfg(test)]
mod tests;
