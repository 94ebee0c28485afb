//! From text to a tree: go-bexpr's grammar, with its errors. PURE.
//!
//! In:  text. Out: a [`Tree`], or go-bexpr's words for what is wrong, with the place and what could stand there.
//!
//! The grammar is a PEG: of several ways the first that fits is taken, and what failed farthest on is told. Some of its
//! rules fit only to name a mistake; one that is named makes the whole text wrong, even where another way fits.
//! What go-bexpr finds anew each time (the cost of its parentheses grows by the depth's power) is remembered here.
//!
//! Never: goes deeper than [`DEEPEST`]; reads a text longer than [`LONGEST`].
//!
//! Rules from go-bexpr 0.1.2: grammar.peg, and its runtime in grammar.go. Proof: `expr/tests.rs`, and
//! `tests/filters.rs` of the server against a real Consul.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use super::{
    go,
    tree::{Match, Operator, Tree},
};

mod terminal;

/// A longer text is not read. What fits into a URL is shorter.
pub(super) const LONGEST: usize = 16 * 1024;
/// How deep parentheses may be. Consul has no bound, and none is needed: it takes seconds for the 9th.
pub(super) const DEEPEST: usize = 64;

/// A text that is no expression.
#[derive(Debug)]
pub(super) struct Failure {
    /// go-bexpr's words.
    pub(super) words: String,
    /// The byte at which it stands.
    pub(super) at: usize,
}

/// What a rule found, and where it ended.
type Found<T> = Option<(T, usize)>;

struct Parser<'a> {
    text: &'a str,
    /// Within a rule that must not fit: then what fits is what is told.
    inverted: bool,
    /// How far any rule came, and what could have stood there.
    far: usize,
    expected: Vec<(bool, &'static str)>,
    /// Mistakes that have a name, in the order in which they were found.
    errors: Vec<(usize, String)>,
    known: BTreeMap<usize, Found<Tree>>,
    depth: usize,
    too_deep: Option<usize>,
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Tree, Failure> {
    if text.len() > LONGEST {
        let words = format!("the expression has {} bytes; {LONGEST} are allowed", text.len());
        return Err(Failure { words, at: LONGEST });
    }
    let mut parser = Parser {
        text,
        inverted: false,
        far: 0,
        expected: Vec::new(),
        errors: Vec::new(),
        known: BTreeMap::new(),
        depth: 0,
        too_deep: None,
    };
    let found = parser.input();
    if let Some(at) = parser.too_deep {
        return Err(Failure { words: format!("parentheses go deeper than {DEEPEST} levels"), at });
    }
    match (found, parser.errors.first()) {
        (Some(tree), None) => Ok(tree),
        (_, Some(&(at, _))) => {
            let lines: Vec<&str> = parser.errors.iter().map(|(_, line)| line.as_str()).collect();
            Err(Failure { words: lines.join("\n"), at })
        }
        (None, None) => Err(Failure { words: parser.unmatched(), at: parser.far }),
    }
}

impl Parser<'_> {
    fn input(&mut self) -> Option<Tree> {
        let start = self.blanks(0);
        let grouped = self.word(start, "(").and_then(|at| {
            let (tree, at) = self.grouped(at)?;
            let at = self.word(at, ")")?;
            let at = self.blanks(at);
            self.end(at).then_some(tree)
        });
        grouped.or_else(|| {
            let (tree, at) = self.or(start)?;
            let at = self.blanks(at);
            self.end(at).then_some(tree)
        })
    }

    /// What stands in parentheses, up to the closing one.
    fn grouped(&mut self, at: usize) -> Found<Tree> {
        let at = self.blanks(at);
        let (tree, at) = self.or(at)?;
        Some((tree, self.blanks(at)))
    }

    fn or(&mut self, at: usize) -> Found<Tree> {
        if let Some(known) = self.known.get(&at) {
            return known.clone();
        }
        if self.depth >= DEEPEST {
            self.too_deep.get_or_insert(at);
            return None;
        }
        self.depth = self.depth.saturating_add(1);
        let found = self.joined(at, "or", Self::and, Tree::Any);
        self.depth = self.depth.saturating_sub(1);
        self.known.insert(at, found.clone());
        found
    }

    fn and(&mut self, at: usize) -> Found<Tree> {
        self.joined(at, "and", Self::not, Tree::All)
    }

    /// Operands with a word between them. The grammar recurses to the right: that finds the same.
    fn joined(
        &mut self,
        at: usize,
        word: &'static str,
        operand: fn(&mut Self, usize) -> Found<Tree>,
        join: fn(Vec<Tree>) -> Tree,
    ) -> Found<Tree> {
        let (first, mut end) = operand(self, at)?;
        let mut parts = vec![first];
        while let Some(at) = self.spaced(end, &[word]) {
            let Some((part, at)) = operand(self, at) else { break };
            parts.push(part);
            end = at;
        }
        let only = if parts.len() == 1 { parts.pop() } else { None };
        Some((only.unwrap_or_else(|| join(parts)), end))
    }

    /// Any number of `not`. Where nothing that they could negate follows, the last of them may be a selector.
    fn not(&mut self, at: usize) -> Found<Tree> {
        let mut starts = vec![at];
        let mut next = at;
        while let Some(at) = self.word(next, "not").and_then(|at| self.space(at)) {
            starts.push(at);
            next = at;
        }
        while let Some(start) = starts.pop() {
            if let Some((mut tree, end)) = self.operand(start) {
                for _ in &starts {
                    tree = match tree {
                        Tree::Not(inner) => *inner,
                        tree => Tree::Not(Box::new(tree)),
                    };
                }
                return Some((tree, end));
            }
        }
        None
    }

    fn operand(&mut self, at: usize) -> Found<Tree> {
        let opened = self.word(at, "(");
        if let Some(at) = opened
            && let Some((tree, at)) = self.grouped(at)
            && let Some(at) = self.word(at, ")")
        {
            return Some((tree, at));
        }
        if let Some((found, at)) = self.comparison(at) {
            return Some((Tree::Match(found), at));
        }
        let at = self.word(at, "(")?;
        let (_, at) = self.grouped(at)?;
        if self.fits_not(|parser| parser.word(at, ")")) {
            self.mistake(at, "grouping", "Unmatched parentheses");
        }
        None
    }

    fn comparison(&mut self, at: usize) -> Found<Match> {
        let with_value = self.selector(at).and_then(|(selector, at)| {
            let (operator, at) = self.operator(at)?;
            let (value, at) = self.value(at)?;
            Some((Match { selector, operator, value: Some(value) }, at))
        });
        with_value
            .or_else(|| {
                let (selector, at) = self.selector(at)?;
                let empty = self.spaced_end(at, &["is", "empty"]).map(|at| (Operator::IsEmpty, at));
                let (operator, at) = empty.or_else(|| {
                    Some((Operator::IsNotEmpty, self.spaced_end(at, &["is", "not", "empty"])?))
                })?;
                Some((Match { selector, operator, value: None }, at))
            })
            .or_else(|| {
                let (value, at) = self.value(at)?;
                let (operator, at) = self.membership(at)?;
                let (selector, at) = self.selector(at)?;
                Some((Match { selector, operator, value: Some(value) }, at))
            })
            .or_else(|| {
                let (_, at) = self.value(at)?;
                let (_, at) = self.membership(at)?;
                if self.fits_not(|parser| parser.selector(at)) {
                    self.mistake(at, "match", "Invalid selector");
                }
                None
            })
    }

    /// An operator between a selector and a value.
    fn operator(&mut self, at: usize) -> Found<Operator> {
        for (word, operator) in [("==", Operator::Equal), ("!=", Operator::NotEqual)] {
            let start = self.blanks(at);
            if let Some(at) = self.word(start, word) {
                return Some((operator, self.blanks(at)));
            }
        }
        let words: [(&[&'static str], Operator); 4] = [
            (&["contains"], Operator::In),
            (&["not", "contains"], Operator::NotIn),
            (&["matches"], Operator::Matches),
            (&["not", "matches"], Operator::NotMatches),
        ];
        words.into_iter().find_map(|(words, operator)| Some((operator, self.spaced(at, words)?)))
    }

    /// An operator between a value and a selector.
    fn membership(&mut self, at: usize) -> Found<Operator> {
        let is_in = self.spaced(at, &["in"]).map(|at| (Operator::In, at));
        is_in.or_else(|| Some((Operator::NotIn, self.spaced(at, &["not", "in"])?)))
    }

    fn selector(&mut self, at: usize) -> Found<Vec<Box<str>>> {
        let (first, mut end) = self.name(at)?;
        let mut parts = vec![first];
        loop {
            let named = self.word(end, ".").and_then(|at| self.name(at));
            let Some((part, at)) = named.or_else(|| self.index(end)) else {
                return Some((parts, end));
            };
            parts.push(part);
            end = at;
        }
    }

    fn index(&mut self, at: usize) -> Found<Box<str>> {
        let opened = |parser: &mut Self| parser.word(at, "[").map(|at| parser.blanks(at));
        let closed = opened(self).and_then(|at| {
            let (key, at) = self.string(at)?;
            let at = self.blanks(at);
            Some((key, self.word(at, "]")?))
        });
        if closed.is_some() {
            return closed;
        }
        let at_key = opened(self)?;
        if self.fits_not(|parser| parser.string(at_key)) {
            self.mistake(at_key, "index", "Invalid index");
        }
        let at_key = opened(self)?;
        let (_, at) = self.string(at_key)?;
        let at = self.blanks(at);
        if self.fits_not(|parser| parser.word(at, "]")) {
            self.mistake(at, "index", "Unclosed index expression");
        }
        None
    }

    /// A selector stands for its own text: `a.b`, and `a["b c"]` for `a.b c`.
    fn value(&mut self, at: usize) -> Found<Box<str>> {
        if let Some((parts, at)) = self.selector(at) {
            return Some((parts.join(".").into(), at));
        }
        self.number(at).or_else(|| self.string(at))
    }

    /// What is wrong with a text of which no rule could make anything, in go-bexpr's words.
    fn unmatched(&self) -> String {
        let mut expected: Vec<String> = self
            .expected
            .iter()
            .filter(|want| **want != (true, "."))
            .map(|(inverted, want)| {
                let class = want.starts_with('[') && want.len() > 1;
                let shown = if class || *want == "." {
                    (*want).to_owned()
                } else {
                    go::quote(want.trim_start_matches('\0'))
                };
                if *inverted { format!("!{shown}") } else { shown }
            })
            .collect();
        expected.sort();
        if self.expected.contains(&(true, ".")) {
            expected.push("EOF".to_owned());
        }
        let last = expected.pop().unwrap_or_default();
        let list = if expected.is_empty() { last } else { format!("{} or {last}", expected.join(", ")) };
        format!("{}: no match found, expected: {list}", self.place(self.far))
    }

    fn mistake(&mut self, at: usize, rule: &str, what: &str) {
        let line = format!("{}: rule {}: {what}", self.place(at), go::quote(rule));
        if !self.errors.iter().any(|(_, known)| *known == line) {
            self.errors.push((at, line));
        }
    }

    /// Line, column and offset, as go-bexpr counts: a line feed belongs to the line that it begins, as its column 0.
    fn place(&self, at: usize) -> String {
        let before = self.text.get(..at).unwrap_or(self.text);
        let on_feed = self.text.get(at..).is_some_and(|rest| rest.starts_with('\n'));
        let feeds = before.matches('\n').count();
        let line = feeds.saturating_add(if on_feed { 2 } else { 1 });
        let begun = before.rsplit('\n').next().unwrap_or(before);
        let column = if on_feed { 0 } else { begun.chars().count().saturating_add(1) };
        format!("{line}:{column} ({at})")
    }
}
