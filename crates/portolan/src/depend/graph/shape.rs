//! The form of the graph by required needs: its cycles, and the order of a start. PURE.
//!
//! In:  nodes with their edges. Out: Tarjan's strongly connected components, each at the length of its longest way down.
//!
//! Never: recurses: a chain may be as long as the catalogue.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc};

use super::{Node, ServiceAt};

/// Cycles and order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    cycles: Vec<Vec<ServiceAt>>,
    stages: Vec<Vec<ServiceAt>>,
}

/// What Tarjan's walk knows of a vertex.
#[derive(Clone, Copy, Default)]
struct Mark {
    /// In which order it was met, from 1; 0: not yet.
    met: usize,
    /// The first that can be got back to from it.
    low: usize,
    on_stack: bool,
    /// Its stage, once its component is complete.
    stage: usize,
}

/// The walk.
struct Walk<'a> {
    needs: &'a [Vec<usize>],
    marks: Vec<Mark>,
    stack: Vec<usize>,
    met: usize,
    /// Each with its stage; those that others need come first.
    components: Vec<(usize, Vec<usize>)>,
}

impl Shape {
    pub(super) fn of(nodes: &BTreeMap<ServiceAt, Arc<Node>>) -> Self {
        let there = nodes.iter().filter(|(_, node)| node.is_there()).map(|(at, _)| at);
        let needed = nodes.values().flat_map(|node| node.edges().iter().map(|edge| edge.to()));
        let mut all: Vec<&ServiceAt> = there.chain(needed).collect();
        all.sort_unstable();
        all.dedup();
        let place = |at: &ServiceAt| all.binary_search(&at).ok();
        let needs: Vec<Vec<usize>> = all
            .iter()
            .map(|at| {
                let edges = nodes.get(*at).map_or(&[][..], |node| node.edges());
                edges
                    .iter()
                    .filter(|edge| edge.need().is_required())
                    .filter_map(|edge| place(edge.to()))
                    .collect()
            })
            .collect();
        let name = |component: &[usize]| -> Vec<ServiceAt> {
            component.iter().filter_map(|place| all.get(*place).map(|at| (*at).clone())).collect()
        };
        let mut shape = Self::default();
        for (stage, component) in Walk::over(&needs) {
            let first = component.first().copied().unwrap_or_default();
            let itself = needs.get(first).is_some_and(|needs| needs.contains(&first));
            if component.len() > 1 || itself {
                shape.cycles.push(name(&component));
            }
            let stages = shape.stages.len().max(stage.saturating_add(1));
            shape.stages.resize_with(stages, Vec::new);
            if let Some(all) = shape.stages.get_mut(stage) {
                all.extend(name(&component));
            }
        }
        shape.stages.iter_mut().for_each(|stage| stage.sort_unstable());
        shape.cycles.sort_unstable();
        shape
    }

    pub(super) fn cycles(&self) -> &[Vec<ServiceAt>] {
        &self.cycles
    }

    pub(super) fn stages(&self) -> &[Vec<ServiceAt>] {
        &self.stages
    }
}

impl<'a> Walk<'a> {
    /// The components with their stages, each sorted.
    fn over(needs: &'a [Vec<usize>]) -> Vec<(usize, Vec<usize>)> {
        let marks = vec![Mark::default(); needs.len()];
        let mut walk = Walk { needs, marks, stack: Vec::new(), met: 0, components: Vec::new() };
        for vertex in 0..needs.len() {
            if walk.mark(vertex).met == 0 {
                walk.from(vertex);
            }
        }
        walk.components
    }

    fn mark(&self, vertex: usize) -> Mark {
        self.marks.get(vertex).copied().unwrap_or_default()
    }

    fn change(&mut self, vertex: usize, change: impl FnOnce(&mut Mark)) {
        if let Some(mark) = self.marks.get_mut(vertex) {
            change(mark);
        }
    }

    fn from(&mut self, root: usize) {
        // Where the walk is: a vertex, and how many of its needs were looked at.
        let mut way: Vec<(usize, usize)> = Vec::new();
        self.meet(root, &mut way);
        while let Some((vertex, looked)) = way.last_mut() {
            let (vertex, next) = (*vertex, *looked);
            *looked = looked.saturating_add(1);
            match self.needs.get(vertex).and_then(|needs| needs.get(next)).copied() {
                Some(need) if self.mark(need).met == 0 => self.meet(need, &mut way),
                Some(need) => {
                    let Mark { met, on_stack, .. } = self.mark(need);
                    if on_stack {
                        self.change(vertex, |mark| mark.low = mark.low.min(met));
                    }
                }
                None => {
                    way.pop();
                    let Mark { met, low, .. } = self.mark(vertex);
                    if let Some((before, _)) = way.last() {
                        self.change(*before, |mark| mark.low = mark.low.min(low));
                    }
                    if low == met {
                        self.complete(vertex);
                    }
                }
            }
        }
    }

    fn meet(&mut self, vertex: usize, way: &mut Vec<(usize, usize)>) {
        self.met = self.met.saturating_add(1);
        let met = self.met;
        self.change(vertex, |mark| *mark = Mark { met, low: met, on_stack: true, stage: 0 });
        self.stack.push(vertex);
        way.push((vertex, 0));
    }

    /// Takes the component that begins with `first` from the stack.
    fn complete(&mut self, first: usize) {
        let begin = self.stack.iter().rposition(|vertex| *vertex == first).unwrap_or_default();
        let mut component = self.stack.split_off(begin);
        component.sort_unstable();
        for vertex in &component {
            self.change(*vertex, |mark| mark.on_stack = false);
        }
        let below = component.iter().filter_map(|vertex| self.needs.get(*vertex)).flatten();
        let below = below.filter(|need| component.binary_search(need).is_err());
        let stage = below.map(|need| self.mark(*need).stage.saturating_add(1)).max().unwrap_or_default();
        for vertex in &component {
            self.change(*vertex, |mark| mark.stage = stage);
        }
        self.components.push((stage, component));
    }
}
