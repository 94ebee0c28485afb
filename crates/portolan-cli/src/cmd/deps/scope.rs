//! The part of the graph that is shown, and what is not in order in it. PURE.
//!
//! In:  the graph, and the service that is asked for. Out: what a page, an object and a drawing show.
//!
//! Never: hides what is not in order among what the service needs.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use portolan::depend::{Conflict, Graph, ServiceAt, Unmet, UnreadableEdge};

/// What is shown.
pub(super) struct Scope<'a> {
    pub(super) graph: &'a Graph,
    /// The service that was asked for.
    pub(super) name: Option<&'a ServiceAt>,
    /// All services in it: that one and what it needs, over any number of others; or all that need or are needed.
    pub(super) services: BTreeSet<&'a ServiceAt>,
}

impl<'a> Scope<'a> {
    /// `None`: the service is not known, and nobody needs it.
    pub(super) fn of(graph: &'a Graph, name: Option<&'a ServiceAt>) -> Option<Self> {
        let mut services = BTreeSet::new();
        match name {
            Some(name) => {
                let registered = graph.node(name).is_some_and(|node| node.is_there());
                if !registered && graph.needs_of(name).next().is_none() {
                    return None;
                }
                let mut open = vec![name];
                while let Some(at) = open.pop() {
                    if services.insert(at) {
                        open.extend(graph.edges(at).iter().map(|edge| edge.to()));
                    }
                }
            }
            None => {
                for (at, node) in graph.nodes() {
                    if !node.edges().is_empty() || !node.unreadable().is_empty() {
                        services.insert(at);
                    }
                    services.extend(node.edges().iter().map(|edge| edge.to()));
                }
            }
        }
        Some(Self { graph, name, services })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.name.is_none() && self.services.is_empty()
    }

    /// Those that nobody in it needs, and one of each circle that nobody outside of it needs: where trees begin.
    pub(super) fn roots(&self) -> Vec<&'a ServiceAt> {
        if let Some(name) = self.name {
            return vec![name];
        }
        let needed = |at: &&ServiceAt| self.graph.needs_of(at).next().is_some();
        let mut roots: Vec<&ServiceAt> = self.services.iter().copied().filter(|at| !needed(at)).collect();
        let mut reached = BTreeSet::new();
        let mut open = roots.clone();
        let mut rest = self.services.iter().copied();
        loop {
            while let Some(at) = open.pop() {
                if reached.insert(at) {
                    open.extend(self.graph.edges(at).iter().map(|edge| edge.to()));
                }
            }
            let Some(next) = rest.find(|at| !reached.contains(at)) else {
                return roots;
            };
            roots.push(next);
            open.push(next);
        }
    }

    pub(super) fn unmet(&self) -> impl Iterator<Item = (&'a ServiceAt, &'a Unmet)> {
        self.graph.unmet().filter(|(from, _)| self.services.contains(from))
    }

    pub(super) fn conflicts(&self) -> impl Iterator<Item = (&'a ServiceAt, &'a Conflict)> {
        self.graph.conflicts().filter(|(at, _)| self.services.contains(at))
    }

    pub(super) fn unreadable(&self) -> impl Iterator<Item = (&'a ServiceAt, &'a UnreadableEdge)> {
        self.graph.unreadable().filter(|(at, _)| self.services.contains(at))
    }

    pub(super) fn cycles(&self) -> impl Iterator<Item = &'a [ServiceAt]> {
        let all = self.graph.cycles().iter();
        all.filter(|cycle| cycle.iter().any(|at| self.services.contains(at))).map(|cycle| &cycle[..])
    }

    /// The stages of the start order, as far as they are in it.
    pub(super) fn stages(&self) -> Vec<Vec<&'a ServiceAt>> {
        let part = |stage: &'a Vec<ServiceAt>| -> Vec<&'a ServiceAt> {
            stage.iter().filter(|at| self.services.contains(at)).collect()
        };
        self.graph.start_order().iter().map(part).filter(|stage| !stage.is_empty()).collect()
    }

    /// How many required needs are not met, and how many conflicts, cycles and unreadable declarations there are.
    fn counts(&self) -> [(usize, &'static str); 4] {
        [
            (self.unmet().filter(|(_, one)| one.need.is_required()).count(), "required needs unmet"),
            (self.conflicts().count(), "services whose dependants want versions that do not go together"),
            (self.cycles().count(), "cycles"),
            (self.unreadable().count(), "needs unreadable"),
        ]
    }

    pub(super) fn is_in_order(&self) -> bool {
        self.counts().iter().all(|(count, _)| *count == 0)
    }

    pub(super) fn summary(&self) -> String {
        let counts = self.counts();
        let some = counts.iter().filter(|(count, _)| *count > 0);
        some.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    }
}
