//! The graph as a page for a person. PURE.
//!
//! In:  what is shown. Out: a tree of needs, with NAME also the tree of who needs it, then what is not in order, then the
//! order of a start.
//!
//! Never: goes round in a cycle; shows the needs of a service twice in one tree.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeSet, fmt::Write as _};

use portolan::depend::{Edge, ServiceAt};

use super::scope::Scope;
use crate::output::{Ink, plain};

/// Which way a tree goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To what is needed.
    Needs,
    /// To who needs it.
    NeededBy,
}

/// A tree that is drawn.
struct Tree<'s, 'a> {
    scope: &'s Scope<'a>,
    way: Way,
    color: bool,
    /// Whose branches were drawn.
    drawn: BTreeSet<&'a ServiceAt>,
    /// From the root to the place where the drawing is.
    path: Vec<&'a ServiceAt>,
    text: String,
}

/// A branch that is to be drawn.
struct Branch<'a> {
    to: &'a ServiceAt,
    /// `None` at the root.
    edge: Option<&'a Edge>,
    depth: usize,
    /// What stands before it on its line, and before its own branches.
    before: String,
    below: String,
}

pub(super) fn page(scope: &Scope<'_>, color: bool) -> String {
    let mut text = String::new();
    for root in scope.roots() {
        text.push_str(&tree(scope, root, Way::Needs, color));
    }
    if let Some(name) = scope.name {
        if scope.graph.needs_of(name).next().is_some() {
            text.push_str("\nWho needs it:\n");
            text.push_str(&tree(scope, name, Way::NeededBy, color));
        } else {
            text.push_str("\nNobody needs it.\n");
        }
    }
    let mut part = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _infallible = write!(text, "\n{}\n", Ink::Strong.on(title, color));
            for line in lines {
                let _infallible = writeln!(text, "  {line}");
            }
        }
    };
    let unmet = scope.unmet().map(|(from, one)| {
        let what = format!("{} needs {}: {}", from, one.need, one.lack);
        Ink::from_need(one.need.is_required()).on(&plain(&what), color)
    });
    part("Unmet:", unmet.collect());
    part(
        "Conflicts:",
        scope.conflicts().map(|(at, one)| Ink::Bad.on(&plain(&conflict(at, one)), color)).collect(),
    );
    let cycles = scope.cycles().map(|all| {
        let names: Vec<String> = all.iter().map(|at| plain(&at.to_string())).collect();
        Ink::Bad.on(&names.join(", "), color)
    });
    part("Cycles of required needs:", cycles.collect());
    let unreadable = scope.unreadable().map(|(at, one)| {
        let by: Vec<&str> = one.by.iter().map(|identity| &*identity.id).collect();
        let what = format!("{at} ({}): {:?}: {}", by.join(", "), &*one.what.text, one.what.why);
        Ink::Bad.on(&plain(&what), color)
    });
    part("Unreadable:", unreadable.collect());
    let stages = (1_usize..).zip(scope.stages()).map(|(number, stage)| {
        let names: Vec<String> = stage.iter().map(|at| plain(&at.to_string())).collect();
        format!("{number}  {}", names.join(", "))
    });
    part("Start order:", stages.collect());
    text
}

impl Ink {
    /// By whether what is missing is needed.
    fn from_need(required: bool) -> Self {
        if required { Self::Bad } else { Self::Doubtful }
    }
}

fn conflict(at: &ServiceAt, one: &portolan::depend::Conflict) -> String {
    let alive: Vec<String> = one.alive.iter().map(ToString::to_string).collect();
    let side = |side: &portolan::depend::Side| {
        let who: Vec<String> = side.dependants.iter().map(ToString::to_string).collect();
        let served = if side.served { "" } else { ", which none is" };
        format!("{} wants {}{served}", who.join(", "), side.requirement)
    };
    let sides: Vec<String> = one.sides.iter().map(side).collect();
    format!("{at}: alive {}; {}", alive.join(", "), sides.join("; "))
}

fn tree<'a>(scope: &Scope<'a>, root: &'a ServiceAt, way: Way, color: bool) -> String {
    let mut tree = Tree { scope, way, color, drawn: BTreeSet::new(), path: Vec::new(), text: String::new() };
    let root = Branch { to: root, edge: None, depth: 0, before: String::new(), below: String::new() };
    // A stack, not a recursion: a chain may be as long as the catalogue.
    let mut open = vec![root];
    while let Some(branch) = open.pop() {
        let mut next = tree.draw(&branch);
        next.reverse();
        open.extend(next);
    }
    tree.text
}

impl<'a> Tree<'_, 'a> {
    /// Draws a line, and says what comes below it.
    fn draw(&mut self, branch: &Branch<'a>) -> Vec<Branch<'a>> {
        self.path.truncate(branch.depth);
        let circle = self.path.contains(&branch.to);
        self.path.push(branch.to);
        let below: Vec<(&ServiceAt, &Edge)> = match self.way {
            Way::Needs => self.scope.graph.edges(branch.to).iter().map(|edge| (edge.to(), edge)).collect(),
            Way::NeededBy => self.scope.graph.needs_of(branch.to).collect(),
        };
        let first = self.drawn.insert(branch.to);
        let mut line = format!("{}{}", branch.before, self.label(branch));
        if circle {
            line.push_str(&Ink::Bad.on("  (a cycle)", self.color));
        } else if !first && !below.is_empty() {
            line.push_str(&Ink::Faint.on("  (as above)", self.color));
        }
        self.text.push_str(&line);
        self.text.push('\n');
        if circle || !first {
            return Vec::new();
        }
        let last = below.len().saturating_sub(1);
        let branches = below.into_iter().enumerate().map(|(place, (to, edge))| {
            let [fork, goes_on] = if place == last { ["└─ ", "   "] } else { ["├─ ", "│  "] };
            Branch {
                to,
                edge: Some(edge),
                depth: branch.depth.saturating_add(1),
                before: format!("{}{fork}", branch.below),
                below: format!("{}{goes_on}", branch.below),
            }
        });
        branches.collect()
    }

    /// The need and how it stands; of the root, the service and how it is.
    fn label(&self, branch: &Branch<'a>) -> String {
        let graph = self.scope.graph;
        let Some(edge) = branch.edge else {
            let node = graph.node(branch.to);
            let how = match node.filter(|node| node.is_there()) {
                Some(node) => format!("{} of {} healthy", node.healthy(), node.instances().len()),
                None => "not registered".to_owned(),
            };
            return format!("{}  {}", plain(&branch.to.to_string()), Ink::Faint.on(&how, self.color));
        };
        let name = match self.way {
            Way::Needs => edge.need().to_string(),
            Way::NeededBy => format!("{}  needs {}", branch.to, edge.need()),
        };
        let (ink, how) = match graph.lack(edge) {
            None => (Ink::Good, "met".to_owned()),
            Some(lack) => (Ink::from_need(edge.need().is_required()), format!("unmet: {lack}")),
        };
        let mut text = format!("{}  {}", plain(&name), ink.on(&plain(&how), self.color));
        let from = match self.way {
            Way::Needs => self.path.iter().rev().nth(1).copied(),
            Way::NeededBy => Some(branch.to),
        };
        let all = from.and_then(|from| graph.node(from)).map_or(0, |node| node.instances().len());
        if edge.by().len() < all {
            let _infallible = write!(text, "  (of {} of {all} instances)", edge.by().len());
        }
        text
    }
}

#[cfg(test)]
mod tests;
