//! Regular expressions as Go's `regexp` (RE2) has them, run by the `regex` crate. PURE.
//!
//! In:  a pattern in RE2's syntax. Out: the same in the crate's syntax, compiled; or Go's words for what is wrong.
//!
//! The two differ in what is written, not in what is meant: `\d`, `\w`, `\s` and `\b` are ASCII in Go; a `[` within a class,
//! a `{` that is no count, `&&` and `--` are plain characters; `\Q…\E` and octal escapes exist; `(?x)`, `\<` and sets
//! within sets do not. Here each pattern is read by Go's rules, and written so that the crate can read nothing else.
//!
//! Differs from Go: `\p{…}` takes more names (in any case, `Grek` for `Greek`); a pattern whose program would be big is refused by the
//! crate's bound in bytes rather than by Go's bounds on counts within counts.
//!
//! Never: builds a program of more than [`LARGEST`].
//!
//! Rules from Go 1.24: regexp/syntax/parse.go with the flags of `syntax.Perl`. Proof: `expr/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fmt::Write as _;

use regex::bytes::{Regex, RegexBuilder};

mod class;
mod escape;

/// How big a compiled pattern may be, in bytes.
const LARGEST: usize = 1 << 20;
/// How often something may be repeated by a count. Go: `repeat bounds`.
const MOST_REPEATS: u32 = 1000;
/// How deep groups may be. Go: `maxHeight`.
const DEEPEST: u32 = 1000;

/// Compiles a pattern.
pub(super) fn compiled(pattern: &str) -> Result<Regex, String> {
    let wrong = |what: String| format!("error parsing regexp: {what}");
    let translated = Reader::new(pattern).read().map_err(wrong)?;
    let built = RegexBuilder::new(&translated).size_limit(LARGEST).nest_limit(DEEPEST).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => wrong("expression too large".to_owned()),
        _ => wrong(format!("invalid or unsupported syntax: `{pattern}`")),
    })
}

/// What stands before a place, as far as a repetition goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Thing,
    /// A repetition that begins there.
    Repetition(usize),
}

struct Reader<'a> {
    pattern: &'a str,
    at: usize,
    out: String,
    before: Before,
    open: u32,
}

impl<'a> Reader<'a> {
    fn new(pattern: &'a str) -> Self {
        let out = String::with_capacity(pattern.len());
        Self { pattern, at: 0, out, before: Before::Nothing, open: 0 }
    }

    fn rest(&self) -> &'a str {
        self.pattern.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at = self.at.saturating_add(c.len_utf8());
        Some(c)
    }

    fn skip(&mut self, text: &str) -> bool {
        let there = self.rest().starts_with(text);
        if there {
            self.at = self.at.saturating_add(text.len());
        }
        there
    }

    fn since(&self, start: usize) -> &'a str {
        self.pattern.get(start..self.at).unwrap_or_default()
    }

    fn read(mut self) -> Result<String, String> {
        while let Some(c) = self.peek() {
            let start = self.at;
            match c {
                '(' => self.group()?,
                ')' => {
                    self.open = self
                        .open
                        .checked_sub(1)
                        .ok_or_else(|| format!("unexpected ): `{}`", self.pattern))?;
                    self.plain(")", Before::Thing);
                }
                '|' => self.plain("|", Before::Nothing),
                '^' => self.plain("^", Before::Thing),
                '$' => self.plain("$", Before::Thing),
                '.' => self.plain(".", Before::Thing),
                '[' => {
                    self.class()?;
                    self.before = Before::Thing;
                }
                '\\' => self.escaped()?,
                '*' | '+' | '?' => {
                    self.next();
                    self.repeat(start)?;
                }
                '{' => match self.count()? {
                    true => self.repeat(start)?,
                    false => self.literal(),
                },
                _ => self.literal(),
            }
        }
        if self.open > 0 {
            return Err(format!("missing closing ): `{}`", self.pattern));
        }
        Ok(self.out)
    }

    /// What both write alike, of one byte.
    fn plain(&mut self, text: &str, before: Before) {
        self.out.push_str(text);
        self.at = self.at.saturating_add(1);
        self.before = before;
    }

    fn literal(&mut self) {
        if let Some(c) = self.next() {
            self.write(c);
            self.before = Before::Thing;
        }
    }

    /// A character that stands for itself, whatever the crate makes of it.
    fn write(&mut self, c: char) {
        if c.is_ascii_alphanumeric() || !c.is_ascii() {
            self.out.push(c);
        } else {
            let _infallible = write!(self.out, "\\x{{{:x}}}", u32::from(c));
        }
    }

    /// A repetition that was read from `start` on, with the `?` that makes it lazy.
    fn repeat(&mut self, start: usize) -> Result<(), String> {
        self.skip("?");
        let operator = self.since(start);
        match self.before {
            Before::Nothing => return Err(format!("missing argument to repetition operator: `{operator}`")),
            Before::Repetition(first) => {
                return Err(format!("invalid nested repetition operator: `{}`", self.since(first)));
            }
            Before::Thing => {}
        }
        self.out.push_str(operator);
        self.before = Before::Repetition(start);
        Ok(())
    }

    /// Reads `{n}`, `{n,}` or `{n,m}`; anything else is plain text.
    fn count(&mut self) -> Result<bool, String> {
        let Some((inner, _)) = self.rest().get(1..).and_then(|rest| rest.split_once('}')) else {
            return Ok(false);
        };
        let (least, most) = inner.split_once(',').map_or((inner, None), |(least, most)| (least, Some(most)));
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            (plain && (text.len() == 1 || !text.starts_with('0')))
                // What does not fit is too much in any case.
                .then(|| text.parse().unwrap_or(u32::MAX))
        };
        let Some(low) = number(least) else { return Ok(false) };
        let high = match most {
            None => Some(low),
            Some("") => None,
            Some(most) => match number(most) {
                Some(high) => Some(high),
                None => return Ok(false),
            },
        };
        let start = self.at;
        self.at = start.saturating_add(inner.len()).saturating_add(2);
        if low > MOST_REPEATS || high.is_some_and(|high| high > MOST_REPEATS || high < low) {
            return Err(format!("invalid repeat count: `{}`", self.since(start)));
        }
        Ok(true)
    }

    /// An opening parenthesis with its flags or its name.
    fn group(&mut self) -> Result<(), String> {
        let start = self.at;
        self.open = self.open.saturating_add(1);
        if !self.rest().starts_with("(?") {
            self.plain("(", Before::Nothing);
            return Ok(());
        }
        self.at = self.at.saturating_add(2);
        if self.skip("P<") || self.skip("<") {
            let whole = self.pattern.get(start..).unwrap_or_default();
            let end = self.rest().find('>').ok_or_else(|| format!("invalid named capture: `{whole}`"))?;
            let name = self.rest().get(..end).unwrap_or_default();
            self.at = self.at.saturating_add(end).saturating_add(1);
            let of_words = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(of_words) {
                return Err(format!("invalid named capture: `{}`", self.since(start)));
            }
            // Nobody asks what a group caught, and Go lets two have one name.
            self.out.push('(');
            self.before = Before::Nothing;
            return Ok(());
        }
        self.flags(start)
    }

    fn flags(&mut self, start: usize) -> Result<(), String> {
        let (mut negative, mut any) = (false, false);
        loop {
            match self.next() {
                Some('i' | 'm' | 's' | 'U') => any = true,
                Some('-') if !negative => (negative, any) = (true, false),
                Some(end @ (':' | ')')) if !negative || any => {
                    // `(?)` sets nothing, and the crate does not know it.
                    let text = self.since(start);
                    self.out.push_str(if text == "(?)" { "" } else { text });
                    if end == ')' {
                        self.open = self.open.saturating_sub(1);
                    } else {
                        self.before = Before::Nothing;
                    }
                    return Ok(());
                }
                _ => return Err(format!("invalid or unsupported Perl syntax: `{}`", self.since(start))),
            }
        }
    }
}

#[cfg(test)]
mod tests;
