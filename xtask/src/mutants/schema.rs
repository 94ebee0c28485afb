//! Writes the mutants of a file into it, all at once, each at its place. PURE.
//!
//! In:  a source text and its mutants with their numbers. Out: [`Rewritten`]: a text in which `crate::mutant()` says which
//! of them is alive, none for 0; and where in the text each one is, so that what the compiler says of it finds it.
//!
//! ```text
//! a < b         (match crate::mutant() { 7 => { a <= b }, 8 => { a > b }, _ => (a < b)})
//! { body }      { if crate::mutant() == 9 { return 0; } body }
//! Some(_) =>    Some(_) if crate::mutant() != 10 =>
//! ```
//!
//! Never: changes what the text does while none is alive; embeds what would read otherwise than the tool's own change:
//! operators beside a `let` have no value to match on, and are left to the tool. A constant cannot ask which mutant is
//! alive: functions are constant no more, but those whose names are to be kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use anyhow::{Context as _, Result};
use syn::{
    Arm, BinOp, Block, Expr, ExprBinary, ExprMatch, ExprStruct, ExprUnary, ImplItemFn, ItemFn, Signature,
    spanned::Spanned,
    visit::{self, Visit},
};

use super::list::{Genre, Mutant};

/// How the rewritten code asks which mutant is alive.
const ASK: &str = "crate::mutant()";

/// A text with mutants in it.
#[derive(Debug, Default)]
pub(crate) struct Rewritten {
    pub(crate) text: String,
    pub(crate) places: Vec<Place>,
    /// The functions that are constant no more.
    pub(crate) freed: BTreeSet<String>,
}

/// Where in the rewritten text these mutants are.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) bytes: Range<usize>,
    pub(crate) ids: Vec<usize>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What was written for them.
    Written,
    /// That, and the original that they surround.
    Around,
}

/// Writes these mutants into the source, and keeps the functions of these names constant.
///
/// # Errors
/// When the source is not Rust.
pub(crate) fn rewrite(
    source: &str,
    mutants: &[(usize, &Mutant)],
    constant: &BTreeSet<String>,
) -> Result<Rewritten> {
    let tree = syn::parse_file(source).context("this is not Rust")?;
    let mut writer = Writer {
        source,
        constant,
        wanted: BTreeMap::new(),
        values: BTreeMap::new(),
        edits: Vec::new(),
        freed: BTreeSet::new(),
    };
    let starts: Vec<usize> =
        std::iter::once(0).chain(source.match_indices('\n').map(|(at, _)| at.saturating_add(1))).collect();
    for (id, mutant) in mutants {
        let start = mutant.span.start;
        let Some(line) = starts.get(start.line.saturating_sub(1)) else { continue };
        let before = source.get(*line..).unwrap_or_default().chars().take(start.column.saturating_sub(1));
        let at = line.saturating_add(before.map(char::len_utf8).sum());
        if mutant.genre == Genre::FnValue {
            writer.give_at_once(at, *id, &mutant.replacement);
        } else {
            writer.wanted.entry((mutant.genre, at)).or_default().push((*id, &mutant.replacement));
        }
    }
    writer.visit_file(&tree);
    Ok(writer.written())
}

/// A text that is put in, and mutants in parts of it.
#[derive(Debug, Default)]
struct Edit {
    at: usize,
    /// So many bytes of the source are left out.
    skip: usize,
    text: String,
    parts: Vec<(Range<usize>, Vec<usize>)>,
    end: End,
    /// Where an original begins: the mutants that stand around it.
    around: Vec<usize>,
}

/// Which end of an original is here; in the order in which they stand where they meet.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Close,
    #[default]
    None,
    Open,
}

struct Writer<'a> {
    source: &'a str,
    constant: &'a BTreeSet<String>,
    wanted: BTreeMap<(Genre, usize), Vec<(usize, &'a str)>>,
    /// Those that give a value at once, by where the body of their function starts.
    values: BTreeMap<usize, Vec<usize>>,
    edits: Vec<Edit>,
    freed: BTreeSet<String>,
}

impl<'a> Writer<'a> {
    fn take(&mut self, genre: Genre, at: usize) -> Vec<(usize, &'a str)> {
        self.wanted.remove(&(genre, at)).unwrap_or_default()
    }

    fn text(&self, bytes: Range<usize>) -> &'a str {
        self.source.get(bytes).unwrap_or_default()
    }

    fn give_at_once(&mut self, at: usize, id: usize, value: &str) {
        let text = format!("if {ASK} == {id} {{ return {value}; }} ");
        let parts = vec![(0..text.len(), vec![id])];
        self.edits.push(Edit { at, text, parts, ..Edit::default() });
        self.values.entry(at).or_default().push(id);
    }

    /// Notes that these mutants stand around this text. Gives its end, to be put in once the text was visited.
    fn around(&mut self, bytes: &Range<usize>, ids: Vec<usize>) -> Option<Edit> {
        if ids.is_empty() {
            return None;
        }
        self.edits.push(Edit { at: bytes.start, end: End::Open, around: ids, ..Edit::default() });
        Some(Edit { at: bytes.end, end: End::Close, ..Edit::default() })
    }

    /// Puts the changed texts before an expression, in a match whose last arm is the expression. Gives what closes it, to
    /// be put in once the expression was visited.
    fn instead(&mut self, bytes: &Range<usize>, changed: &[(usize, String)]) -> Option<Edit> {
        if changed.is_empty() {
            return None;
        }
        let mut text = format!("(match {ASK} {{ ");
        let mut parts = Vec::new();
        for (id, changed) in changed {
            text.push_str(&format!("{id} => "));
            let start = text.len();
            text.push_str(&format!("{{ {changed} }}"));
            parts.push((start..text.len(), vec![*id]));
            text.push_str(", ");
        }
        text.push_str("_ => (");
        // What is said of the match as a whole is said of all its mutants.
        let around: Vec<usize> = changed.iter().map(|(id, _)| *id).collect();
        parts.push((0..text.len(), around.clone()));
        self.edits.push(Edit { at: bytes.start, text, parts, end: End::Open, around, ..Edit::default() });
        Some(Edit { at: bytes.end, text: ")})".to_owned(), end: End::Close, ..Edit::default() })
    }

    fn free(&mut self, signature: &Signature) {
        let name = signature.ident.to_string();
        let Some(word) = signature.constness.as_ref().filter(|_| !self.constant.contains(&name)) else {
            return;
        };
        let bytes = word.span.byte_range();
        self.edits.push(Edit { at: bytes.start, skip: bytes.len(), ..Edit::default() });
        self.freed.insert(name);
    }

    /// The source with all that is put in.
    fn written(mut self) -> Rewritten {
        self.edits.sort_by(|a, b| (a.at, &a.end).cmp(&(b.at, &b.end)));
        let mut text = String::new();
        let mut places = Vec::new();
        let mut open = Vec::new();
        let mut at = 0;
        for edit in self.edits {
            text.push_str(self.source.get(at..edit.at).unwrap_or_default());
            at = edit.at.saturating_add(edit.skip);
            let start = text.len();
            text.push_str(&edit.text);
            if edit.end == End::Close
                && let Some((start, ids)) = open.pop()
            {
                places.push(Place { bytes: start..text.len(), ids, kind: Kind::Around });
            }
            if edit.end == End::Open {
                open.push((start, edit.around));
            }
            places.extend(edit.parts.into_iter().map(|(part, ids)| Place {
                bytes: start.saturating_add(part.start)..start.saturating_add(part.end),
                ids,
                kind: Kind::Written,
            }));
        }
        text.push_str(self.source.get(at..).unwrap_or_default());
        Rewritten { text, places, freed: self.freed }
    }
}

fn bytes(what: &impl Spanned) -> Range<usize> {
    what.span().byte_range()
}

/// `a && let …` is no expression: it stands in a condition, and nowhere else.
fn has_let(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

/// The operators of a chain without parentheses: `a + b < c && d`.
fn operators<'t>(binary: &'t ExprBinary, found: &mut Vec<&'t BinOp>) {
    if let Expr::Binary(left) = &*binary.left {
        operators(left, found);
    }
    found.push(&binary.op);
    if let Expr::Binary(right) = &*binary.right {
        operators(right, found);
    }
}

impl Visit<'_> for Writer<'_> {
    fn visit_expr_binary(&mut self, binary: &ExprBinary) {
        let mut close = None;
        if !has_let(&binary.left) && !has_let(&binary.right) {
            let all = bytes(binary);
            let mut found = Vec::new();
            operators(binary, &mut found);
            let mut changed = Vec::new();
            // The whole chain is written out: another operator may bind the operands otherwise.
            for operator in found.into_iter().map(bytes) {
                let (before, after) =
                    (self.text(all.start..operator.start), self.text(operator.end..all.end));
                for (id, other) in self.take(Genre::BinaryOperator, operator.start) {
                    changed.push((id, format!("{before}{other}{after}")));
                }
            }
            close = self.instead(&all, &changed);
        }
        visit::visit_expr_binary(self, binary);
        self.edits.extend(close);
    }

    fn visit_expr_unary(&mut self, unary: &ExprUnary) {
        let operand = self.text(bytes(&*unary.expr));
        let found = self.take(Genre::UnaryOperator, bytes(&unary.op).start);
        let changed: Vec<_> = found.into_iter().map(|(id, _)| (id, operand.to_owned())).collect();
        let close = self.instead(&bytes(unary), &changed);
        visit::visit_expr_unary(self, unary);
        self.edits.extend(close);
    }

    fn visit_arm(&mut self, arm: &Arm) {
        if arm.guard.is_none() {
            for (id, _) in self.take(Genre::MatchArm, bytes(arm).start) {
                let text = format!(" if {ASK} != {id}");
                let parts = vec![(0..text.len(), vec![id])];
                self.edits.push(Edit { at: bytes(&arm.pat).end, text, parts, ..Edit::default() });
            }
        }
        self.visit_pat(&arm.pat);
        if let Some((_, guard)) = &arm.guard {
            let all = bytes(&**guard);
            let found = if has_let(guard) { Vec::new() } else { self.take(Genre::MatchArmGuard, all.start) };
            let changed: Vec<_> = found.into_iter().map(|(id, other)| (id, other.to_owned())).collect();
            let close = self.instead(&all, &changed);
            self.visit_expr(guard);
            self.edits.extend(close);
        }
        self.visit_expr(&arm.body);
    }

    fn visit_block(&mut self, block: &Block) {
        let first = block.stmts.first().and_then(|first| self.values.get(&bytes(first).start));
        let close = self.around(&bytes(block), first.cloned().unwrap_or_default());
        visit::visit_block(self, block);
        self.edits.extend(close);
    }

    fn visit_expr_match(&mut self, choice: &ExprMatch) {
        let of =
            |arm: &Arm| self.wanted.get(&(Genre::MatchArm, bytes(arm).start)).cloned().unwrap_or_default();
        let ids = choice.arms.iter().flat_map(of).map(|(id, _)| id).collect();
        let close = self.around(&bytes(choice), ids);
        visit::visit_expr_match(self, choice);
        self.edits.extend(close);
    }

    fn visit_expr_struct(&mut self, structure: &ExprStruct) {
        let all = bytes(structure);
        let mut changed = Vec::new();
        for field in structure.fields.iter().map(bytes) {
            let before = self.text(all.start..field.start);
            let after = self.text(field.end..all.end);
            let after = after.trim_start().strip_prefix(',').unwrap_or(after);
            for (id, _) in self.take(Genre::StructField, field.start) {
                changed.push((id, format!("{before}{after}")));
            }
        }
        let close = self.instead(&all, &changed);
        visit::visit_expr_struct(self, structure);
        self.edits.extend(close);
    }

    fn visit_item_fn(&mut self, function: &ItemFn) {
        self.free(&function.sig);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &ImplItemFn) {
        self.free(&function.sig);
        visit::visit_impl_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests;
