//! The graph as a drawing: for Graphviz, and for Mermaid. PURE.
//!
//! Names are other people's: they stand in quotes, and what would end these is written otherwise.
//!
//! Never: lets a name become a part of the language.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fmt::Write as _;

use portolan::depend::{Edge, ServiceAt};

use super::scope::Scope;
use crate::output::plain;

/// The edges in the scope, with the numbers of their ends.
fn edges<'a>(scope: &Scope<'a>) -> Vec<(usize, usize, &'a Edge)> {
    let all: Vec<&ServiceAt> = scope.services.iter().copied().collect();
    let from_each = all.iter().enumerate().flat_map(|(number, from)| {
        let to = |edge: &'a Edge| Some((number, all.binary_search(&edge.to()).ok()?, edge));
        scope.graph.edges(from).iter().filter_map(to).collect::<Vec<_>>()
    });
    from_each.collect()
}

/// What stands at an edge: what makes it more than one instance of any version.
fn label(edge: &Edge) -> String {
    let need = edge.need();
    let version = need.requirement().map(ToString::to_string);
    let least = (need.least() > 1).then(|| format!("at least {}", need.least()));
    [version, least].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

pub(super) fn dot(scope: &Scope<'_>) -> String {
    let quoted = |text: &str| format!("\"{}\"", plain(text).replace('\\', "\\\\").replace('"', "\\\""));
    let mut text = "digraph dependencies {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
    for (number, at) in scope.services.iter().enumerate() {
        let missing = !scope.graph.node(at).is_some_and(|node| node.is_there());
        let style = if missing { ", style=dashed" } else { "" };
        let _infallible = writeln!(text, "  n{number} [label={}{style}];", quoted(&at.to_string()));
    }
    for (from, to, edge) in edges(scope) {
        let color = if scope.graph.lack(edge).is_some() { ", color=red" } else { "" };
        let style = if edge.need().is_required() { "" } else { ", style=dashed" };
        let label = quoted(&label(edge));
        let _infallible = writeln!(text, "  n{from} -> n{to} [label={label}{color}{style}];");
    }
    text.push_str("}\n");
    text
}

pub(super) fn mermaid(scope: &Scope<'_>) -> String {
    let quoted = |text: &str| {
        let mut quoted = "\"".to_owned();
        for c in plain(text).chars() {
            match c {
                // Mermaid takes entities by number within quotes, and nothing else.
                '"' | '#' | '&' | '<' | '>' | ';' | '`' | '\\' => {
                    let _infallible = write!(quoted, "#{};", u32::from(c));
                }
                _ => quoted.push(c),
            }
        }
        quoted.push('"');
        quoted
    };
    let mut text = "graph LR\n".to_owned();
    for (number, at) in scope.services.iter().enumerate() {
        let _infallible = writeln!(text, "  n{number}[{}]", quoted(&at.to_string()));
    }
    let mut unmet = Vec::new();
    for (place, (from, to, edge)) in edges(scope).into_iter().enumerate() {
        let line = if edge.need().is_required() { "-->" } else { "-.->" };
        let label = label(edge);
        let label = if label.is_empty() { label } else { format!("|{}|", quoted(&label)) };
        let _infallible = writeln!(text, "  n{from} {line}{label} n{to}");
        if scope.graph.lack(edge).is_some() {
            unmet.push(place.to_string());
        }
    }
    if !unmet.is_empty() {
        let _infallible = writeln!(text, "  linkStyle {} stroke:red", unmet.join(","));
    }
    text
}
