//! Texts in quotes, here-documents and numbers. PURE.
//!
//! In:  a reader that stands before one. Out: what is meant, and the reader behind it.
//!
//! Never: fills in a template: `${…}` is what stands there, for Consul knows no templates.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use serde_json::Value;

use super::{Blank, Reader, Wrong, is_of_word};

/// What stands for a marker of templates that is meant as a text.
const ESCAPED: [(&str, &str); 2] = [("$${", "${"), ("%%{", "%{")];

impl<'a> Reader<'a> {
    pub(super) fn number(&mut self) -> Result<Value, Wrong> {
        let at = self.rest;
        let sign = if self.take("-") { "-" } else { "" };
        self.blank(Blank::InLine)?;
        let mut last = ' ';
        let digits = self.take_while(|next| {
            let exponent = matches!((last, next), ('e' | 'E', '+' | '-'));
            last = next;
            exponent || next.is_alphanumeric() || next == '.'
        });
        if !digits.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(self.calculated(at));
        }
        number(&format!("{sign}{digits}"), digits).ok_or_else(|| {
            let what = format!("{digits} is no number");
            self.no_hcl(at, what, format!("write it as 1, -1, 1.5 or 1e3, or as a text: \"{digits}\""))
        })
    }

    pub(super) fn quoted(&mut self) -> Result<String, Wrong> {
        let at = self.rest;
        self.next();
        // The first holds "${" for "$${". With a template beside it the text stays as it stands: Consul knows neither.
        let (mut plain, mut template) = (String::new(), String::new());
        let mut is_template = false;
        loop {
            if let Some((written, meant)) = ESCAPED.iter().find(|(written, _)| self.take(written)) {
                template.push_str(written);
                plain.push_str(meant);
                continue;
            }
            if self.rest.starts_with("${") {
                template.push_str(self.template(at)?);
                is_template = true;
                continue;
            }
            let next = match self.next() {
                Some('"') => break,
                Some('\\') => self.escaped()?,
                Some(other) if other != '\n' => other,
                _ => {
                    let advice = "write \" after it; for a text of several lines write \\n, or <<END";
                    return Err(self.no_hcl(at, "the text in quotes has no end in its line", advice));
                }
            };
            template.push(next);
            plain.push(next);
        }
        match (is_template, template.contains('\\')) {
            (false, _) => Ok(plain),
            (true, false) => Ok(template),
            (true, true) => {
                let what = "a text with ${…} and \\ is not read alike everywhere";
                Err(self.no_definition(at, what, "write this file in JSON"))
            }
        }
    }

    /// From `${` to its `}`, braces in it counted, as HCL 1 does.
    fn template(&mut self, at: &str) -> Result<&'a str, Wrong> {
        let (mut open, mut ended) = (0_usize, false);
        let template = self.take_while(|next| {
            let belongs = !ended;
            open = match next {
                '{' => open.saturating_add(1),
                '}' => open.saturating_sub(1),
                _ => open,
            };
            ended |= next == '}' && open == 0;
            belongs
        });
        if ended {
            return Ok(template);
        }
        Err(self.no_hcl(at, "a ${ in this text has no end", "write } after it, or $${ for it"))
    }

    fn escaped(&mut self) -> Result<char, Wrong> {
        let at = self.rest;
        let read = match self.next() {
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some(same @ ('"' | '\\')) => Some(same),
            Some('u') => self.code(4),
            Some('U') => self.code(8),
            _ => None,
        };
        let advice = "write \\n, \\r, \\t, \\\", \\\\, \\u and four hexadecimal digits, or \\U and eight";
        read.ok_or_else(|| self.no_hcl(at, "a \\ in a text stands before what it has no meaning for", advice))
    }

    /// The character of so many hexadecimal digits.
    fn code(&mut self, digits: usize) -> Option<char> {
        let (code, rest) = self.rest.split_at_checked(digits)?;
        self.rest = rest;
        // `from_str_radix` takes a sign.
        let all = code.chars().all(|digit| digit.is_ascii_hexdigit());
        char::from_u32(u32::from_str_radix(code, 16).ok().filter(|_| all)?)
    }

    pub(super) fn here_document(&mut self) -> Result<String, Wrong> {
        let at = self.rest;
        self.take("<<");
        let indented = self.take("-");
        let word = self.word();
        if word.is_empty() || !(self.take("\n") || self.take("\r\n")) {
            let what = "<< is followed by a word and the end of the line";
            return Err(self.no_hcl(
                at,
                what,
                "write <<END, the lines of the text, and END in a line of its own",
            ));
        }
        let body = self.rest;
        while !self.rest.is_empty() {
            let end = self.rest.trim_start_matches([' ', '\t']).strip_prefix(word);
            if let Some(after) = end.filter(|after| !after.starts_with(is_of_word)) {
                let text = body.get(..body.len().saturating_sub(self.rest.len())).unwrap_or_default();
                self.rest = after;
                return Ok(if indented { outdented(text) } else { text.to_owned() });
            }
            self.rest = self.rest.split_once('\n').map_or("", |(_, next)| next);
        }
        Err(self.no_hcl(
            at,
            format!("the text after <<{word} has no end"),
            format!("write {word} in a line of its own"),
        ))
    }
}

/// A number by its digits, `whole` with its sign.
fn number(whole: &str, digits: &str) -> Option<Value> {
    // Rust takes "1." and ".5" as well, which HCL does not.
    let some = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (base, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (ones, fraction) = base.split_once('.').unwrap_or((base, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if ![ones, fraction, exponent].into_iter().all(some) {
        return None;
    }
    if let Ok(number) = whole.parse::<i64>() {
        return Some(Value::from(number));
    }
    let number: f64 = whole.parse().ok().filter(|number: &f64| number.is_finite())?;
    // 1e3 and 80.0 are whole: a port may be written so.
    let same = if number.fract() == 0.0 { format!("{number:.0}").parse::<i64>().ok() } else { None };
    Some(same.map_or_else(|| Value::from(number), Value::from))
}

/// Without the white space that all lines begin with, empty ones aside.
fn outdented(text: &str) -> String {
    let white = |line: &str| line.chars().take_while(|next| next.is_whitespace()).count();
    match text.lines().filter(|line| !line.is_empty()).map(white).min() {
        None | Some(0) => text.to_owned(),
        Some(least) => text.lines().flat_map(|line| line.chars().skip(least).chain(['\n'])).collect(),
    }
}
