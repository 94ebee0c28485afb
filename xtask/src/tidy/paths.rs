//! Finds the paths that code names: `use` trees are spread out, the rest is taken as it stands. PURE: code in,
//! [`Named`]s out.
//!
//! It reads words, not types: a name that a macro makes is not seen.

/// A path of two or more words that is named somewhere, or one that follows `dyn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) words: Vec<String>,
    /// It follows `dyn`.
    pub(crate) is_dyn: bool,
}

impl Named {
    /// Whether its first words are these: `std::fs`.
    pub(crate) fn starts_with(&self, path: &str) -> bool {
        let mut words = self.words.iter();
        path.split("::").all(|word| words.next().is_some_and(|found| found == word))
    }

    /// Whether these words stand in it, one after the other: `Instant::now`.
    pub(crate) fn has(&self, path: &str) -> bool {
        let wanted: Vec<&str> = path.split("::").collect();
        self.words.windows(wanted.len()).any(|found| found == wanted)
    }

    pub(crate) fn text(&self) -> String {
        self.words.join("::")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// `::`
    Joint,
    Other(char),
}

type Tokens<'a> = std::iter::Peekable<std::vec::IntoIter<(usize, Token<'a>)>>;

/// All paths that `code`, without comments and literals, names.
pub(crate) fn named(code: &str) -> Vec<Named> {
    let mut found = Vec::new();
    let mut tokens = tokens(code).into_iter().peekable();
    let mut is_dyn = false;
    while let Some((line, token)) = tokens.next() {
        match token {
            Token::Word("use") if !matches!(tokens.peek(), Some((_, Token::Other('<')))) => {
                tree(&mut tokens, &[], &mut found);
            }
            Token::Word(word) => {
                let mut words = vec![word.to_owned()];
                joined(&mut tokens, &mut words);
                if words.len() > 1 || is_dyn {
                    found.push(Named { line, words, is_dyn });
                }
            }
            Token::Joint | Token::Other(_) => {}
        }
        is_dyn = token == Token::Word("dyn");
    }
    found
}

/// Takes `::word` as long as there is one.
fn joined(tokens: &mut Tokens<'_>, words: &mut Vec<String>) {
    while let Some((_, Token::Joint)) = tokens.peek() {
        tokens.next();
        let Some((_, Token::Word(word))) = tokens.peek() else { return };
        words.push((*word).to_owned());
        tokens.next();
    }
}

/// One branch of a `use` tree, up to its `,`, `}` or `;`, which is left.
fn tree(tokens: &mut Tokens<'_>, stem: &[String], found: &mut Vec<Named>) {
    let mut words = stem.to_vec();
    let mut start = None;
    while let Some((line, token)) = tokens.peek().copied() {
        match token {
            Token::Other(',' | ';' | '}') => break,
            Token::Other('{') => {
                tokens.next();
                branches(tokens, &words, found);
                return;
            }
            Token::Word("as") => {
                tokens.next(); // the other name is of no interest
                tokens.next();
            }
            Token::Word(word) => {
                start.get_or_insert(line);
                // `self` at the end of a tree is the stem itself.
                if word != "self" || words.is_empty() {
                    words.push(word.to_owned());
                }
                tokens.next();
            }
            Token::Joint | Token::Other(_) => {
                start.get_or_insert(line);
                tokens.next();
            }
        }
    }
    if let Some(line) = start {
        found.push(Named { line, words, is_dyn: false });
    }
}

/// The branches behind a `{`, and its `}`.
fn branches(tokens: &mut Tokens<'_>, stem: &[String], found: &mut Vec<Named>) {
    loop {
        tree(tokens, stem, found);
        match tokens.peek() {
            Some((_, Token::Other(','))) => drop(tokens.next()),
            Some((_, Token::Other('}'))) => {
                tokens.next();
                return;
            }
            _ => return,
        }
    }
}

fn tokens(code: &str) -> Vec<(usize, Token<'_>)> {
    let mut found = Vec::new();
    let mut rest = code;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let length = if word > 0 { word } else { first.len_utf8() };
        let (piece, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        rest = after;
        match first {
            '\n' => line += 1,
            _ if first.is_whitespace() => {}
            _ if word > 0 => found.push((line, Token::Word(piece))),
            ':' if after.starts_with(':') => {
                found.push((line, Token::Joint));
                rest = after.strip_prefix(':').unwrap_or(after);
            }
            _ => found.push((line, Token::Other(first))),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(code: &str) -> Vec<String> {
        named(code).iter().map(|path| format!("{}:{}", path.line, path.text())).collect()
    }

    #[test]
    fn a_use_tree_is_spread_out() {
        let code = "use crate::{\n  error::{self, Kind as K},\n  model::*,\n};\npub(crate) use a::b;";
        assert_eq!(texts(code), ["2:crate::error", "2:crate::error::Kind", "3:crate::model", "5:a::b"]);
        assert_eq!(texts("use self::x::y; use {a::b, c};"), ["1:self::x::y", "1:a::b", "1:c"]);
    }

    #[test]
    fn a_path_in_code_is_found_where_it_stands() {
        let code = "let a: crate::model::Name = f(b::<u8>::new(), x.y);\nstd::fs::read::<u8>(z)";
        assert_eq!(texts(code), ["1:crate::model::Name", "2:std::fs::read"]);
        assert_eq!(texts("fn f() -> impl Sized + use<'_> { g::h() }"), ["1:g::h"]);
    }

    #[test]
    fn what_follows_dyn_is_marked() {
        let found = named("x: Arc<dyn Registry>, y: &dyn crate::registry::Registry");
        let found: Vec<(String, bool)> = found.iter().map(|path| (path.text(), path.is_dyn)).collect();
        let expected = [("Registry", true), ("crate::registry::Registry", true)];
        assert_eq!(found, expected.map(|(text, is_dyn)| (text.to_owned(), is_dyn)));
    }

    #[test]
    fn words_are_compared_whole() {
        let path = &named("std::fs::read")[0];
        assert!(path.starts_with("std::fs") && path.has("fs::read"));
        assert!(!path.starts_with("std::f") && !path.has("read::x"));
    }

    #[test]
    fn code_that_is_cut_short_ends() {
        for code in ["use", "use a::{", "use a::{b", "use }", "a::", "use a as", "::", "dyn"] {
            assert!(named(code).len() < 3, "{code}");
        }
    }
}
