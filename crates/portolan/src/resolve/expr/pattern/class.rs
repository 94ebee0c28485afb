//! A class in brackets in a pattern, by Go's rules. PURE.
//!
//! Never: lets the crate see a set within a set, or an operator between sets, that Go reads as characters.
//!
//! Rules from Go 1.24: regexp/syntax/parse.go `parseClass`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::{Reader, escape::perl};

const NAMED: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

impl Reader<'_> {
    pub(super) fn class(&mut self) -> Result<(), String> {
        let start = self.at;
        let unclosed = |reader: &Self| {
            format!("missing closing ]: `{}`", reader.pattern.get(start..).unwrap_or_default())
        };
        self.skip("[");
        self.out.push('[');
        if self.skip("^") {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            if self.peek() == Some(']') && !first {
                break;
            }
            first = false;
            if self.named()? || self.perl_class() || self.property()? {
                continue;
            }
            let from = self.at;
            let low = self.class_char().transpose()?.ok_or_else(|| unclosed(self))?;
            let mut high = low;
            // A hyphen before the end stands for itself.
            if self.rest().starts_with('-') && !self.rest().starts_with("-]") {
                self.skip("-");
                high = self.class_char().transpose()?.ok_or_else(|| unclosed(self))?;
                if high < low {
                    return Err(format!("invalid character class range: `{}`", self.since(from)));
                }
            }
            self.write(low);
            if high != low {
                self.out.push('-');
                self.write(high);
            }
        }
        self.skip("]");
        self.out.push(']');
        Ok(())
    }

    fn class_char(&mut self) -> Option<Result<char, String>> {
        match self.peek()? {
            '\\' => Some(self.escape()),
            _ => self.next().map(Ok),
        }
    }

    /// `[:alpha:]`, `[:^alpha:]`: whether it was one.
    fn named(&mut self) -> Result<bool, String> {
        if !self.rest().starts_with("[:") {
            return Ok(false);
        }
        let Some(inner) = self.rest().get(2..).and_then(|rest| rest.find(":]")) else { return Ok(false) };
        let whole = self.rest().get(..inner.saturating_add(4)).unwrap_or_default();
        let name = whole.trim_start_matches("[:").trim_end_matches(":]");
        if !NAMED.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(format!("invalid character class range: `{whole}`"));
        }
        self.out.push_str(whole);
        self.at = self.at.saturating_add(whole.len());
        Ok(true)
    }

    /// `\d` and the like: whether it was one.
    fn perl_class(&mut self) -> bool {
        let mut chars = self.rest().chars();
        let found = if chars.next() == Some('\\') { chars.next().and_then(perl) } else { None };
        let Some(found) = found else { return false };
        self.out.push_str(found);
        self.at = self.at.saturating_add(2);
        true
    }
}
