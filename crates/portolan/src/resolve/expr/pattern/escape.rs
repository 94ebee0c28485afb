//! What follows a backslash in a pattern, by Go's rules. PURE.
//!
//! Never: takes an escape that Go refuses.
//!
//! Rules from Go 1.24: regexp/syntax/parse.go `parse`, `parseEscape`, `parsePerlClassEscape`, `parseUnicodeClass`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use regex::bytes::Regex;

use super::{Before, Reader};

/// Go's classes, which are ASCII. `\s` has no vertical tab.
pub(super) fn perl(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => "[\\t\\n\\x{c}\\r\\x{20}]",
        'S' => "[^\\t\\n\\x{c}\\r\\x{20}]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        _ => return None,
    })
}

impl Reader<'_> {
    /// An escape outside of a class.
    pub(super) fn escaped(&mut self) -> Result<(), String> {
        let mut chars = self.rest().chars().skip(1);
        let simple = match chars.next() {
            Some('A') => Some("\\A"),
            Some('z') => Some("\\z"),
            Some('b') => Some("(?-u:\\b)"),
            Some('B') => Some("(?-u:\\B)"),
            Some(letter) => perl(letter),
            None => None,
        };
        if let Some(simple) = simple {
            self.at = self.at.saturating_add(1);
            self.plain(simple, Before::Thing);
            return Ok(());
        }
        if self.skip("\\Q") {
            while !self.rest().is_empty() && !self.skip("\\E") {
                self.literal();
            }
            return Ok(());
        }
        if !self.property()? {
            let c = self.escape()?;
            self.write(c);
        }
        self.before = Before::Thing;
        Ok(())
    }

    /// `\pL`, `\p{Greek}`, `\P{Lu}`, `\p{^Lu}`: whether it was one.
    pub(super) fn property(&mut self) -> Result<bool, String> {
        let start = self.at;
        let mut negative = match () {
            () if self.skip("\\p") => false,
            () if self.skip("\\P") => true,
            () => return Ok(false),
        };
        let invalid = |range: &str| format!("invalid character class range: `{range}`");
        let name = if self.skip("{") {
            let Some(end) = self.rest().find('}') else {
                return Err(invalid(self.pattern.get(start..).unwrap_or_default()));
            };
            if self.skip("^") {
                negative = !negative;
                self.rest().get(..end.saturating_sub(1))
            } else {
                self.rest().get(..end)
            }
            .map(str::to_owned)
        } else {
            self.peek().map(String::from)
        };
        let name = name.unwrap_or_default();
        self.at = self.at.saturating_add(name.len());
        if self.since(start).contains('{') {
            self.skip("}");
        }
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !plain || Regex::new(&format!("\\p{{{name}}}")).is_err() {
            return Err(invalid(self.since(start)));
        }
        self.out.push_str(if negative { "\\P{" } else { "\\p{" });
        self.out.push_str(&name);
        self.out.push('}');
        Ok(true)
    }

    /// An escape that stands for one character.
    pub(super) fn escape(&mut self) -> Result<char, String> {
        let start = self.at;
        self.skip("\\");
        let Some(kind) = self.next() else {
            return Err("trailing backslash at end of expression: ``".to_owned());
        };
        let found = match kind {
            '0' => self.octal(0),
            // A single digit would refer to a group, and Go has no such references.
            '1'..='7' if self.peek().is_some_and(|c| matches!(c, '0'..='7')) => {
                self.octal(kind.to_digit(8).unwrap_or(0))
            }
            'x' => self.hex(),
            'a' => Some('\u{7}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            kind if kind.is_ascii() && !kind.is_ascii_alphanumeric() => Some(kind),
            _ => None,
        };
        found.ok_or_else(|| format!("invalid escape sequence: `{}`", self.since(start)))
    }

    fn octal(&mut self, first: u32) -> Option<char> {
        let mut number = first;
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else { break };
            number = number.checked_mul(8)?.checked_add(digit)?;
            self.next();
        }
        char::from_u32(number)
    }

    fn hex(&mut self) -> Option<char> {
        if !self.skip("{") {
            let (high, low) = (self.next()?, self.next()?);
            return char::from_u32(high.to_digit(16)?.checked_mul(16)?.checked_add(low.to_digit(16)?)?);
        }
        let mut number: u32 = 0;
        let mut any = false;
        loop {
            match self.next()? {
                '}' => return char::from_u32(number).filter(|_| any),
                c => number = number.checked_mul(16)?.checked_add(c.to_digit(16)?)?,
            }
            any = true;
            if number > u32::from(char::MAX) {
                return None;
            }
        }
    }
}
