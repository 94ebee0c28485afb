//! Text, numbers and truth values as Go writes and reads them, with Go's words for what is wrong. PURE.
//!
//! In:  text of an expression. Out: values, or an error as Go's `strconv` puts it.
//!
//! Never: reads a number otherwise than Go: `0x1F`, `0o17`, `017` and `1_000` are numbers, `08` and `1.0` are none.
//!
//! Rules from Go: strconv/quote.go, strconv/atoi.go, strconv/atob.go. Proof: `expr/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fmt::Write as _;

/// Text in double quotes, as Go's `%q`.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for c in text.chars() {
        let _infallible = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            '\u{7}' => write!(out, "\\a"),
            '\u{8}' => write!(out, "\\b"),
            '\u{b}' => write!(out, "\\v"),
            '\u{c}' => write!(out, "\\f"),
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            '\t' => write!(out, "\\t"),
            c if c < ' ' || c == '\u{7f}' => write!(out, "\\x{:02x}", u32::from(c)),
            c if c.is_control()
                || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}') =>
            {
                write!(out, "\\u{:04x}", u32::from(c))
            }
            c => write!(out, "{c}"),
        };
    }
    out.push('"');
    out
}

/// What stands between a pair of backquotes.
pub(super) fn raw(text: &str) -> String {
    text.chars().filter(|c| *c != '\r').collect()
}

/// What stands between a pair of double quotes, or Go's word for what is wrong.
pub(super) fn unquoted(text: &str) -> Result<String, &'static str> {
    const SYNTAX: &str = "invalid syntax";
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    let mut utf8 = [0; 4];
    while let Some(c) = rest.next() {
        if c == '\n' {
            return Err(SYNTAX);
        }
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes());
            continue;
        }
        let kind = rest.next().ok_or(SYNTAX)?;
        let byte = match kind {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' => b'\\',
            'x' => u8::try_from(digits(&mut rest, 0, 2, 16).ok_or(SYNTAX)?).map_err(|_cause| SYNTAX)?,
            '0'..='7' => {
                let first = kind.to_digit(8).ok_or(SYNTAX)?;
                u8::try_from(digits(&mut rest, first, 2, 8).ok_or(SYNTAX)?).map_err(|_cause| SYNTAX)?
            }
            'u' | 'U' => {
                let count = if kind == 'u' { 4 } else { 8 };
                let c = digits(&mut rest, 0, count, 16).and_then(char::from_u32).ok_or(SYNTAX)?;
                out.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes());
                continue;
            }
            _ => return Err(SYNTAX),
        };
        out.push(byte);
    }
    // Go keeps any bytes. No name, tag or meta of a registry is anything but UTF-8, so that is a slip.
    String::from_utf8(out).map_err(|_cause| "the escapes make no UTF-8 text")
}

fn digits(rest: &mut std::str::Chars<'_>, first: u32, count: usize, base: u32) -> Option<u32> {
    (0..count)
        .try_fold(first, |number, _| number.checked_mul(base)?.checked_add(rest.next()?.to_digit(base)?))
}

/// Why a text is no number.
enum Wrong {
    Syntax,
    Range,
}

fn told(of: &str, text: &str, wrong: &Wrong) -> String {
    let what = match wrong {
        Wrong::Syntax => "invalid syntax",
        Wrong::Range => "value out of range",
    };
    format!("strconv.{of}: parsing {}: {what}", quote(text))
}

/// A whole number of 64 bits, in any base that its prefix names.
pub(super) fn int(text: &str) -> Result<i64, String> {
    let (negative, number) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let size = magnitude(number).and_then(|size| {
        let signed = if negative { 0_i64.checked_sub_unsigned(size) } else { i64::try_from(size).ok() };
        signed.ok_or(Wrong::Range)
    });
    size.map_err(|wrong| told("ParseInt", text, &wrong))
}

/// A whole number from 0 to `most`, in any base that its prefix names.
pub(super) fn uint(text: &str, most: u64) -> Result<u64, String> {
    let size = magnitude(text).and_then(|size| if size > most { Err(Wrong::Range) } else { Ok(size) });
    size.map_err(|wrong| told("ParseUint", text, &wrong))
}

fn magnitude(text: &str) -> Result<u64, Wrong> {
    let lower = text.get(..2).map(str::to_ascii_lowercase);
    let (base, digits) = match lower.as_deref() {
        // A prefix counts only where something follows it: "0x" alone is octal, and no number.
        Some("0x") if text.len() > 2 => (16, text.get(2..)),
        Some("0b") if text.len() > 2 => (2, text.get(2..)),
        Some("0o") if text.len() > 2 => (8, text.get(2..)),
        _ if text.starts_with('0') => (8, text.get(1..)),
        _ => (10, Some(text)),
    };
    let digits = digits.filter(|_| !text.is_empty()).ok_or(Wrong::Syntax)?;
    let mut number: u64 = 0;
    for c in digits.chars().filter(|c| *c != '_') {
        let digit = c.to_digit(base).ok_or(Wrong::Syntax)?;
        let next = number.checked_mul(u64::from(base)).and_then(|n| n.checked_add(u64::from(digit)));
        number = next.ok_or(Wrong::Range)?;
    }
    if text.contains('_') && !underscores_are_between(text) { Err(Wrong::Syntax) } else { Ok(number) }
}

/// Each underscore stands between digits, or after the prefix of the base.
fn underscores_are_between(text: &str) -> bool {
    let lower = text.get(..2).map(str::to_ascii_lowercase);
    let prefixed = matches!(lower.as_deref(), Some("0x" | "0b" | "0o"));
    let digits = if prefixed { text.get(2..).unwrap_or_default() } else { text };
    let mut before = if prefixed { '0' } else { '^' };
    for c in digits.chars() {
        if c == '_' && before != '0' {
            return false;
        }
        before = if c == '_' { '_' } else { '0' };
    }
    before != '_'
}

/// A truth value.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(told("ParseBool", text, &Wrong::Syntax)),
    }
}

#[cfg(test)]
mod tests;
