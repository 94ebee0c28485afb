//! Who needs whom, as the instances declare it, and whether it is there. PURE.
//!
//! In:  the instances of services, all at once or one service after the other. Out: a [`Graph`], which is never changed: a
//! change of one service makes another graph, which shares with the first all that is the same.
//!
//! An edge goes from a service to what one of its instances declares to need. Instances that declare different things (two
//! versions of a program) give their service an edge for each. A service that is needed, and of which nothing is known, is
//! in the graph too.
//!
//! Never: looks beyond the neighbours of what changed, but for cycles and order where an edge changed; loses an edge
//! because another cannot be read.
//!
//! Proof: `graph/tests.rs`: tables, and a property that the graph after any changes equals the one built anew.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::Arc,
};

use crate::{
    error::Error,
    model::{Identity, Instance, Need, ServiceName},
};

mod node;
mod shape;
mod standing;

pub use node::{Edge, Known, Node, UnreadableEdge};
use shape::Shape;
pub use standing::{Conflict, Lack, Side, Unmet};

/// A service in a datacentre: what the graph's edges go between.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceAt {
    datacenter: Option<Arc<str>>,
    service: ServiceName,
}

impl ServiceAt {
    /// A service in the datacentre of the agent that was asked.
    #[must_use]
    pub fn here(service: ServiceName) -> Self {
        Self { datacenter: None, service }
    }

    /// A service in another datacentre.
    #[must_use]
    pub fn elsewhere(datacenter: &str, service: ServiceName) -> Self {
        Self { datacenter: Some(datacenter.into()), service }
    }

    /// The datacentre; `None`: that of the agent that was asked.
    #[must_use]
    pub fn datacenter(&self) -> Option<&Arc<str>> {
        self.datacenter.as_ref()
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        &self.service
    }
}

impl FromStr for ServiceAt {
    type Err = Error;

    /// Reads `db`, or `dc2/db`.
    ///
    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config): it is no name of a service.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text.split_once('/') {
            Some((datacenter, service)) if !datacenter.is_empty() => {
                Ok(Self::elsewhere(datacenter, ServiceName::new(service)?))
            }
            _ => Ok(Self::here(ServiceName::new(text)?)),
        }
    }
}

impl fmt::Display for ServiceAt {
    /// `db`, or `dc2/db` in another datacentre.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.datacenter {
            Some(datacenter) => write!(f, "{datacenter}/{}", self.service),
            None => fmt::Display::fmt(&self.service, f),
        }
    }
}

/// The services, and who needs whom.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// The name of the datacentre whose services are `here`.
    home: Option<Arc<str>>,
    nodes: BTreeMap<ServiceAt, Arc<Node>>,
    /// Who has an edge to each.
    dependants: Arc<BTreeMap<ServiceAt, BTreeSet<ServiceAt>>>,
    /// By who needs; only those that lack something.
    unmet: BTreeMap<ServiceAt, Arc<[Unmet]>>,
    /// By what is needed.
    conflicts: BTreeMap<ServiceAt, Arc<Conflict>>,
    shape: Arc<Shape>,
}

impl Graph {
    /// No service yet. `home` is the name of the datacentre whose services are given as [`ServiceAt::here`]: a need that
    /// names it means one of them.
    #[must_use]
    pub fn new(home: Option<&str>) -> Self {
        Self { home: home.map(Into::into), ..Self::default() }
    }

    /// The graph of these services. One without instances is known to have none.
    #[must_use]
    pub fn of<'a>(
        home: Option<&str>,
        services: impl IntoIterator<Item = (ServiceAt, &'a [Arc<Instance>])>,
    ) -> Self {
        let mut graph = Self::new(home);
        for (at, instances) in services {
            let node = Node::of(graph.home.as_deref(), &at, instances);
            graph.nodes.insert(at, Arc::new(node));
        }
        let mut dependants: BTreeMap<ServiceAt, BTreeSet<ServiceAt>> = BTreeMap::new();
        for (from, node) in &graph.nodes {
            for edge in node.edges() {
                dependants.entry(edge.to().clone()).or_default().insert(from.clone());
            }
        }
        graph.dependants = Arc::new(dependants);
        let all: Vec<ServiceAt> = graph.nodes.keys().cloned().collect();
        all.iter().for_each(|at| graph.stand(at));
        let needed: Vec<ServiceAt> = graph.dependants.keys().cloned().collect();
        needed.iter().for_each(|at| graph.judge(at));
        graph.shape = Arc::new(Shape::of(&graph.nodes));
        graph
    }

    /// The graph after one service has changed. `None`: nothing is known of it any more; an empty list: it is known to have
    /// no instance.
    #[must_use]
    pub fn with(&self, at: &ServiceAt, instances: Option<&[Arc<Instance>]>) -> Self {
        let next = instances.map(|instances| Node::of(self.home.as_deref(), at, instances));
        let before = self.nodes.get(at);
        if before.map(AsRef::as_ref) == next.as_ref() {
            return self.clone();
        }
        let nothing = Node::default();
        let (old, new) = (before.map_or(&nothing, AsRef::as_ref), next.as_ref().unwrap_or(&nothing));
        let targets = |node: &Node| -> BTreeSet<ServiceAt> {
            node.edges().iter().map(|edge| edge.to().clone()).collect()
        };
        let (left, come) = (targets(old), targets(new));
        let reshaped = old.edges() != new.edges() || old.is_there() != new.is_there();
        let mut graph = self.clone();
        if left != come {
            let dependants = Arc::make_mut(&mut graph.dependants);
            for gone in left.difference(&come) {
                if let Some(who) = dependants.get_mut(gone) {
                    who.remove(at);
                }
            }
            dependants.retain(|_, who| !who.is_empty());
            for new in come.difference(&left) {
                dependants.entry(new.clone()).or_default().insert(at.clone());
            }
        }
        match next {
            Some(node) => drop(graph.nodes.insert(at.clone(), Arc::new(node))),
            None => drop(graph.nodes.remove(at)),
        }
        let who: Vec<ServiceAt> = graph.dependants.get(at).into_iter().flatten().cloned().collect();
        who.iter().for_each(|dependant| graph.stand(dependant));
        graph.stand(at);
        left.union(&come).for_each(|target| graph.judge(target));
        graph.judge(at);
        if reshaped {
            graph.shape = Arc::new(Shape::of(&graph.nodes));
        }
        graph
    }

    /// Finds what one service lacks.
    fn stand(&mut self, at: &ServiceAt) {
        let unmet: Vec<Unmet> = self
            .edges(at)
            .iter()
            .filter_map(|edge| {
                let lack = self.lack(edge)?;
                Some(Unmet { need: edge.need().clone(), to: edge.to().clone(), lack })
            })
            .collect();
        if unmet.is_empty() {
            self.unmet.remove(at);
        } else {
            self.unmet.insert(at.clone(), unmet.into());
        }
    }

    /// Finds whether those who need one service want versions that do not go together.
    fn judge(&mut self, at: &ServiceAt) {
        match self.nodes.get(at).and_then(|node| Conflict::over(node, self.needs_of(at))) {
            Some(conflict) => drop(self.conflicts.insert(at.clone(), Arc::new(conflict))),
            None => drop(self.conflicts.remove(at)),
        }
    }

    /// Each who needs `at`, with its edge to it.
    pub fn needs_of(&self, at: &ServiceAt) -> impl Iterator<Item = (&ServiceAt, &Edge)> {
        let to = at.clone();
        self.dependants.get(at).into_iter().flatten().flat_map(move |from| {
            let to = to.clone();
            self.edges(from).iter().filter(move |edge| *edge.to() == to).map(move |edge| (from, edge))
        })
    }

    /// Every service that is needed.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = &ServiceAt> {
        self.dependants.keys()
    }

    /// The name of the datacentre whose services are `here`, where it is known.
    #[must_use]
    pub fn home(&self) -> Option<&str> {
        self.home.as_deref()
    }

    /// What is known of a service; `None` when nothing is.
    #[must_use]
    pub fn node(&self, at: &ServiceAt) -> Option<&Node> {
        self.nodes.get(at).map(AsRef::as_ref)
    }

    /// All services of which something is known, by name; also those that are known to have no instance.
    pub fn nodes(&self) -> impl Iterator<Item = (&ServiceAt, &Node)> {
        self.nodes.iter().map(|(at, node)| (at, node.as_ref()))
    }

    /// What a service needs.
    #[must_use]
    pub fn edges(&self, at: &ServiceAt) -> &[Edge] {
        self.nodes.get(at).map_or(&[], |node| node.edges())
    }

    /// What the need of an edge lacks at present; `None` when it is met.
    #[must_use]
    pub fn lack(&self, edge: &Edge) -> Option<Lack> {
        Lack::of(edge.need(), self.node(edge.to()))
    }

    /// The needs that are not met, by who needs.
    pub fn unmet(&self) -> impl Iterator<Item = (&ServiceAt, &Unmet)> {
        self.unmet.iter().flat_map(|(from, all)| all.iter().map(move |one| (from, one)))
    }

    /// The services whose dependants want versions of them that do not go together.
    pub fn conflicts(&self) -> impl Iterator<Item = (&ServiceAt, &Conflict)> {
        self.conflicts.iter().map(|(at, conflict)| (at, conflict.as_ref()))
    }

    /// The declarations that cannot be read.
    pub fn unreadable(&self) -> impl Iterator<Item = (&ServiceAt, &UnreadableEdge)> {
        self.nodes.iter().flat_map(|(at, node)| node.unreadable().iter().map(move |one| (at, one)))
    }

    /// The cycles of required needs: sets of services of which each needs all the others, by ways of any length. An
    /// optional need breaks a cycle.
    #[must_use]
    pub fn cycles(&self) -> &[Vec<ServiceAt>] {
        self.shape.cycles()
    }

    /// The order in which to start the services: those of the first stage need none (that is required), those of the next
    /// only such of stages before. A cycle stands in one stage. Services that are needed and not known are among them.
    #[must_use]
    pub fn start_order(&self) -> &[Vec<ServiceAt>] {
        self.shape.stages()
    }

    /// Whether required needs lead from one service to another, over any number of others.
    #[must_use]
    pub fn leads(&self, from: &ServiceAt, to: &ServiceAt) -> bool {
        let mut seen = BTreeSet::from([from]);
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            for edge in self.edges(at).iter().filter(|edge| edge.need().is_required()) {
                if edge.to() == to {
                    return true;
                }
                if seen.insert(edge.to()) {
                    open.push(edge.to());
                }
            }
        }
        false
    }

    /// Whatever can be got to from `roots` by needs of any kind, and these themselves.
    pub(crate) fn reach(&self, roots: &BTreeSet<ServiceAt>) -> BTreeSet<ServiceAt> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&ServiceAt> = roots.iter().collect();
        while let Some(at) = open.pop() {
            if !reached.contains(at) {
                reached.insert(at.clone());
                open.extend(self.edges(at).iter().map(Edge::to));
            }
        }
        reached
    }

    /// The needs that are met now, and would not be without this instance: who has them, and what they would lack.
    #[must_use]
    pub fn lost_without(&self, at: &ServiceAt, gone: &Identity) -> Vec<(ServiceAt, Need, Lack)> {
        let Some(node) = self.node(at) else {
            return Vec::new();
        };
        let rest = node.without(gone);
        let lost = |(from, edge): (&ServiceAt, &Edge)| match Lack::of(edge.need(), Some(node)) {
            None => Some((from.clone(), edge.need().clone(), Lack::of(edge.need(), Some(&rest))?)),
            Some(_) => None,
        };
        self.needs_of(at).filter_map(lost).collect()
    }
}

#[cfg(test)]
mod tests;
