//! Columns, two spaces apart, no borders. PURE.
//!
//! In:  a header and rows of cells. Out: lines that end in their last character, without spaces after it.
//!
//! Never: cuts a cell; writes an empty one (it is `-`), so that the n-th word of a line is the n-th column.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::{Ink, plain};

/// A cell: its text and colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    ink: Ink,
}

impl Cell {
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self { text: plain(text.as_ref()), ink: Ink::None }
    }

    pub(crate) fn ink(mut self, ink: impl Into<Ink>) -> Self {
        self.ink = ink.into();
        self
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// Rows under a header.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new<'a>(header: impl IntoIterator<Item = &'a str>) -> Self {
        Self { rows: vec![header.into_iter().map(|name| Cell::new(name).ink(Ink::Strong)).collect()] }
    }

    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The lines, each with its end.
    pub(crate) fn render(&self, color: bool) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for row in &self.rows {
            let last = row.len().saturating_sub(1);
            for (column, cell) in row.iter().enumerate() {
                let shown = if cell.text.is_empty() { "-" } else { &cell.text };
                text.push_str(&cell.ink.on(shown, color));
                if column < last {
                    let width = widths.get(column).copied().unwrap_or_default();
                    let gap = width.saturating_sub(shown.chars().count()).saturating_add(2);
                    text.extend(std::iter::repeat_n(' ', gap));
                }
            }
            text.push('\n');
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                let width = cell.text.chars().count().max(1);
                match widths.get_mut(column) {
                    Some(widest) => *widest = width.max(*widest),
                    None => widths.push(width),
                }
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_two_spaces_apart_and_nothing_is_empty() {
        let mut table = Table::new(["NAME", "TAGS", "STATUS"]);
        table.row(vec!["web".into(), "".into(), Cell::new("passing").ink(Ink::Good)]);
        table.row(vec!["a-longer-name".into(), "a,b".into(), "x".into()]);
        assert_eq!(
            table.render(false),
            "NAME           TAGS  STATUS\nweb            -     passing\na-longer-name  a,b   x\n"
        );
        assert!(table.render(true).contains("\x1b[32mpassing\x1b[0m\n"));
    }

    #[test]
    fn a_cell_cannot_forge_a_line() {
        let mut table = Table::new(["NAME"]);
        table.row(vec!["a\nb\x1b[2J".into()]);
        assert_eq!(table.render(false), "NAME\na\\nb\\u{1b}[2J\n");
    }
}
