//! The words, classes, numbers and quoted texts of the grammar, and what is remembered of those that do not fit. PURE.
//!
//! In:  a place in the text. Out: the place after what fits there.
//!
//! Never: forgets what could have stood at the farthest place.
//!
//! Rules from go-bexpr 0.1.2: grammar.go `failAt`, `parseNotExpr`, `parseLitMatcher`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::{Found, Parser, go};

/// One character of a kind, by the name that errors give it.
#[derive(Clone, Copy)]
struct Class(&'static str, fn(char) -> bool);

const BLANK: Class = Class("[ \\t\\r\\n]", |c| matches!(c, ' ' | '\t' | '\r' | '\n'));
const LETTER: Class = Class("[a-zA-Z]", |c| c.is_ascii_alphabetic());
const IN_NAME: Class = Class("[a-zA-Z0-9_]", |c| c.is_ascii_alphanumeric() || c == '_');
const DIGIT: Class = Class("[0-9]", |c| c.is_ascii_digit());
const FIRST_DIGIT: Class = Class("[1-9]", |c| matches!(c, '1'..='9'));
/// Any character. The word `.` is told apart from it by a mark that is not shown.
const ANY: Class = Class(".", |_| true);
const DOT: &str = "\0.";

impl Parser<'_> {
    /// Remembers what could have stood at a place where it does not; or, where it must not stand, that it does.
    fn tried(&mut self, at: usize, fits: bool, what: &'static str) {
        if fits != self.inverted || at < self.far {
            return;
        }
        if at > self.far {
            self.far = at;
            self.expected.clear();
        }
        let want = (self.inverted, what);
        if !self.expected.contains(&want) {
            self.expected.push(want);
        }
    }

    /// Whether a rule does not fit. Nothing is consumed.
    pub(super) fn fits_not<T>(&mut self, rule: impl FnOnce(&mut Self) -> Option<T>) -> bool {
        self.inverted = !self.inverted;
        let fits = rule(self).is_some();
        self.inverted = !self.inverted;
        !fits
    }

    fn rest(&self, at: usize) -> &str {
        self.text.get(at..).unwrap_or_default()
    }

    pub(super) fn word(&mut self, at: usize, word: &'static str) -> Option<usize> {
        let (fits, what) = match word {
            "." => (self.rest(at).starts_with('.'), DOT),
            _ => (self.rest(at).starts_with(word), word),
        };
        self.tried(at, fits, what);
        fits.then(|| at.saturating_add(word.len()))
    }

    fn one(&mut self, at: usize, Class(name, is_of): Class) -> Option<usize> {
        let found = self.rest(at).chars().next().filter(|c| is_of(*c));
        self.tried(at, found.is_some(), name);
        Some(at.saturating_add(found?.len_utf8()))
    }

    fn many(&mut self, mut at: usize, class: Class) -> usize {
        while let Some(next) = self.one(at, class) {
            at = next;
        }
        at
    }

    fn at_least_one(&mut self, at: usize, class: Class) -> Option<usize> {
        let at = self.one(at, class)?;
        Some(self.many(at, class))
    }

    pub(super) fn space(&mut self, at: usize) -> Option<usize> {
        self.at_least_one(at, BLANK)
    }

    /// Space that may be missing.
    pub(super) fn blanks(&mut self, at: usize) -> usize {
        self.many(at, BLANK)
    }

    /// Words, each after space, and space after the last.
    pub(super) fn spaced(&mut self, at: usize, words: &[&'static str]) -> Option<usize> {
        let at = self.spaced_end(at, words)?;
        self.space(at)
    }

    /// Words, each after space.
    pub(super) fn spaced_end(&mut self, mut at: usize, words: &[&'static str]) -> Option<usize> {
        for word in words {
            let start = self.space(at)?;
            at = self.word(start, word)?;
        }
        Some(at)
    }

    /// Whether the text ends here.
    pub(super) fn end(&mut self, at: usize) -> bool {
        self.fits_not(|parser| parser.one(at, ANY))
    }

    pub(super) fn name(&mut self, at: usize) -> Found<Box<str>> {
        let after = self.one(at, LETTER)?;
        let end = self.many(after, IN_NAME);
        Some((self.text.get(at..end)?.into(), end))
    }

    pub(super) fn number(&mut self, at: usize) -> Found<Box<str>> {
        let end = self.digits(at)?;
        if self.after_number(end) {
            return Some((self.text.get(at..end)?.into(), end));
        }
        let end = self.digits(at)?;
        if self.fits_not(|parser| parser.after_number(end).then_some(())) {
            self.mistake(end, "number", "Invalid number literal");
        }
        None
    }

    fn digits(&mut self, at: usize) -> Option<usize> {
        let at = self.word(at, "-").unwrap_or(at);
        let whole = match self.word(at, "0") {
            Some(at) => at,
            None => {
                let at = self.one(at, FIRST_DIGIT)?;
                self.many(at, DIGIT)
            }
        };
        let part = self.word(whole, ".").and_then(|at| self.at_least_one(at, DIGIT));
        Some(part.unwrap_or(whole))
    }

    /// Whether a number may end here.
    fn after_number(&mut self, at: usize) -> bool {
        self.space(at).is_some() || self.end(at) || self.word(at, ")").is_some()
    }

    pub(super) fn string(&mut self, at: usize) -> Found<Box<str>> {
        if let Some((text, end)) = self.closed(at, "`") {
            return Some((go::raw(text.get(1..text.len().saturating_sub(1))?).into(), end));
        }
        if let Some((text, end)) = self.closed(at, "\"") {
            let read = go::unquoted(text.get(1..text.len().saturating_sub(1))?);
            return Some(match read {
                Ok(read) => (read.into(), end),
                Err(why) => {
                    self.mistake(at, "string", why);
                    (Box::default(), end)
                }
            });
        }
        let end = self.quoted(at, "`").or_else(|| self.quoted(at, "\""))?;
        if self.end(end) {
            self.mistake(end, "string", "Unterminated string literal");
        }
        None
    }

    /// A quoted text with its quotes.
    fn closed(&mut self, at: usize, quote: &'static str) -> Found<String> {
        let end = self.quoted(at, quote)?;
        let end = self.word(end, quote)?;
        Some((self.text.get(at..end)?.to_owned(), end))
    }

    /// From a quote up to the next, or to the end.
    fn quoted(&mut self, at: usize, quote: &'static str) -> Option<usize> {
        let mut at = self.word(at, quote)?;
        while self.fits_not(|parser| parser.word(at, quote)) {
            match self.one(at, ANY) {
                Some(next) => at = next,
                None => break,
            }
        }
        Some(at)
    }
}
