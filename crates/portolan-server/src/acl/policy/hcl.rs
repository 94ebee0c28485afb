//! Reads the part of HCL 1 that rules are written in. PURE: text in, a tree out.
//!
//! In:  `service "web" { policy = "write" }`, `acl = "read"`, lists, objects, numbers, truth values, and comments of three
//! kinds. Out: items in the order they stand, with their places.
//!
//! Never: goes deeper than [`DEEPEST`]; takes a text that does not end. Not there: here-documents.
//!
//! Rules from: the language's own specification, github.com/hashicorp/hcl (version 1) README and `hcl/scanner`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{fmt, str::Chars};

/// How deep objects and lists may stand in each other: rules need three.
pub(super) const DEEPEST: usize = 32;

/// A line and a column, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    line: usize,
    column: usize,
}

impl Place {
    /// Where JSON is, whose reader tells no place of a value.
    pub(super) const UNKNOWN: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One item: its keys, such as `service` and `web`, and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) at: Place,
    pub(super) keys: Vec<String>,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    /// As it was written.
    Number(String),
    Truth(bool),
    List(Vec<Self>),
    Object(Vec<Item>),
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) String);

fn wrong<T>(at: Place, what: impl fmt::Display) -> Result<T, Wrong> {
    Err(Wrong(format!("At {at}: {what}")))
}

/// The items of a text.
pub(super) fn parse(text: &str) -> Result<Vec<Item>, Wrong> {
    let mut reader = Reader { rest: text.chars(), at: Place { line: 1, column: 1 }, deep: 0 };
    reader.items(End::OfText)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    OfText,
    OfObject,
}

struct Reader<'a> {
    rest: Chars<'a>,
    at: Place,
    deep: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn second(&self) -> Option<char> {
        self.rest.clone().nth(1)
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next()?;
        if next == '\n' {
            self.at = Place { line: self.at.line.saturating_add(1), column: 1 };
        } else {
            self.at.column = self.at.column.saturating_add(1);
        }
        Some(next)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(next) = self.peek().filter(|next| wanted(*next)) {
            taken.push(next);
            self.next();
        }
        taken
    }

    /// Passes over white space and comments.
    fn blank(&mut self) -> Result<(), Wrong> {
        loop {
            match (self.peek(), self.second()) {
                (Some(' ' | '\t' | '\r' | '\n'), _) => {
                    self.next();
                }
                (Some('#'), _) | (Some('/'), Some('/')) => {
                    self.take_while(|next| next != '\n');
                }
                (Some('/'), Some('*')) => self.block_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn block_comment(&mut self) -> Result<(), Wrong> {
        let at = self.at;
        self.next();
        self.next();
        loop {
            match self.next() {
                Some('*') if self.peek() == Some('/') => {
                    self.next();
                    return Ok(());
                }
                Some(_) => {}
                None => return wrong(at, "comment not terminated"),
            }
        }
    }

    fn items(&mut self, end: End) -> Result<Vec<Item>, Wrong> {
        let mut items = Vec::new();
        loop {
            self.blank()?;
            match (self.peek(), end) {
                (None, End::OfText) => return Ok(items),
                (None, End::OfObject) => {
                    return wrong(self.at, "object expected closing RBRACE got: EOF");
                }
                (Some('}'), End::OfObject) => {
                    self.next();
                    return Ok(items);
                }
                _ => items.push(self.item()?),
            }
            self.blank()?;
            if self.peek() == Some(',') {
                self.next();
            }
        }
    }

    fn item(&mut self) -> Result<Item, Wrong> {
        let at = self.at;
        let mut keys = Vec::new();
        loop {
            self.blank()?;
            let here = self.at;
            match self.peek() {
                Some('"') => keys.push(self.quoted()?),
                Some(next) if begins_word(next) => keys.push(self.take_while(is_of_word)),
                Some('{') if !keys.is_empty() => return Ok(Item { at, value: self.object()?, keys }),
                Some('=') if keys.len() == 1 => {
                    self.next();
                    self.blank()?;
                    return Ok(Item { at, value: self.value()?, keys });
                }
                Some('=') if keys.len() > 1 => {
                    return wrong(here, "nested object expected: LBRACE got: ASSIGN");
                }
                Some('{' | '}' | '[' | ']' | '=' | ',') | None => {
                    let key = keys.last().map_or("", String::as_str);
                    return wrong(
                        here,
                        format!("key '{key}' expected start of object ('{{') or assignment ('=')"),
                    );
                }
                Some(other) => return wrong(here, format!("illegal char {other:?}")),
            }
        }
    }

    fn value(&mut self) -> Result<Value, Wrong> {
        let at = self.at;
        match self.peek() {
            Some('"') => Ok(Value::Text(self.quoted()?)),
            Some('{') => self.object(),
            Some('[') => self.list(),
            Some(next) if next.is_ascii_digit() || next == '-' => Ok(Value::Number(
                self.take_while(|next| next.is_ascii_alphanumeric() || "+-.".contains(next)),
            )),
            Some(next) if begins_word(next) => match self.take_while(is_of_word).as_str() {
                "true" => Ok(Value::Truth(true)),
                "false" => Ok(Value::Truth(false)),
                word => wrong(at, format!("Unknown token: {at} IDENT {word}")),
            },
            Some('<') => wrong(at, "a here-document is not read here; write the text in quotes"),
            Some(other) => wrong(at, format!("Unknown token: {other:?}")),
            None => wrong(at, "a value is missing"),
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Wrong>) -> Result<T, Wrong> {
        if self.deep >= DEEPEST {
            return wrong(self.at, format!("more than {DEEPEST} objects and lists in each other"));
        }
        self.deep = self.deep.saturating_add(1);
        self.next();
        let read = read(self);
        self.deep = self.deep.saturating_sub(1);
        read
    }

    fn object(&mut self) -> Result<Value, Wrong> {
        self.deeper(|reader| Ok(Value::Object(reader.items(End::OfObject)?)))
    }

    fn list(&mut self) -> Result<Value, Wrong> {
        self.deeper(|reader| {
            let mut values = Vec::new();
            loop {
                reader.blank()?;
                if reader.peek() == Some(']') {
                    reader.next();
                    return Ok(Value::List(values));
                }
                values.push(reader.value()?);
                reader.blank()?;
                match reader.peek() {
                    Some(',') => {
                        reader.next();
                    }
                    Some(']') => {}
                    _ => return wrong(reader.at, "error parsing list, expected comma or list end"),
                }
            }
        })
    }

    fn quoted(&mut self) -> Result<String, Wrong> {
        let at = self.at;
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escaped(at)?),
                None | Some('\n') => return wrong(at, "literal not terminated"),
                Some(other) => text.push(other),
            }
        }
    }

    fn escaped(&mut self, at: Place) -> Result<char, Wrong> {
        let hex = |reader: &mut Self, digits: usize| {
            let mut code = 0_u32;
            for _ in 0..digits {
                let digit = reader.next().and_then(|next| next.to_digit(16))?;
                code = code.checked_mul(16)?.checked_add(digit)?;
            }
            char::from_u32(code)
        };
        let read = match self.next() {
            Some('n') => Some('\n'),
            Some('t') => Some('\t'),
            Some('r') => Some('\r'),
            Some(same @ ('"' | '\\')) => Some(same),
            Some('x') => hex(self, 2),
            Some('u') => hex(self, 4),
            Some('U') => hex(self, 8),
            _ => None,
        };
        read.map_or_else(|| wrong(at, "illegal char escape"), Ok)
    }
}

fn begins_word(next: char) -> bool {
    next.is_alphabetic() || next == '_'
}

fn is_of_word(next: char) -> bool {
    next.is_alphanumeric() || matches!(next, '_' | '-' | '.')
}
