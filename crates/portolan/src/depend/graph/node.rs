//! One service in the graph: its instances, and what they declare to need. PURE.
//!
//! Never: reads the same declaration twice.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc};

use super::ServiceAt;
use crate::model::{Declared, Identity, Instance, Need, Status, UnreadableNeed, declare};

/// What the graph keeps of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Known {
    /// Which it is.
    pub identity: Identity,
    /// Its health.
    pub status: Status,
    /// Its version, where one can be read.
    pub version: Option<semver::Version>,
}

/// A service, its instances and its edges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    instances: Vec<Known>,
    edges: Vec<Edge>,
    unreadable: Vec<UnreadableEdge>,
}

/// A need that instances of a service declare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    need: Need,
    to: ServiceAt,
    by: Vec<Identity>,
}

impl Edge {
    /// The need, as it is declared.
    #[must_use]
    pub fn need(&self) -> &Need {
        &self.need
    }

    /// What is needed.
    #[must_use]
    pub fn to(&self) -> &ServiceAt {
        &self.to
    }

    /// The instances that declare it: all of the service, or some.
    #[must_use]
    pub fn by(&self) -> &[Identity] {
        &self.by
    }
}

/// A part of a declaration that cannot be read, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnreadableEdge {
    /// What stands there, and what is wrong with it.
    pub what: UnreadableNeed,
    /// The instances that declare it.
    pub by: Vec<Identity>,
}

/// What is declared in meta, as it stands there: equal texts are read once.
type Raw<'a> = Vec<(&'a str, &'a str)>;

impl Node {
    pub(super) fn of(home: Option<&str>, at: &ServiceAt, instances: &[Arc<Instance>]) -> Self {
        let mut node = Self::default();
        let mut read: BTreeMap<Raw<'_>, (Declared, Vec<Identity>)> = BTreeMap::new();
        for instance in instances {
            let Instance { identity, status, version, meta, .. } = &**instance;
            node.instances.push(Known {
                identity: identity.clone(),
                status: *status,
                version: version.clone(),
            });
            let raw: Raw<'_> = meta
                .iter()
                .filter(|(key, _)| key.starts_with(declare::NEEDS_KEY))
                .map(|(k, v)| (&**k, &**v))
                .collect();
            if !raw.is_empty() {
                let (_, by) = read.entry(raw).or_insert_with(|| (declare::decode(meta), Vec::new()));
                by.push(identity.clone());
            }
        }
        node.instances.sort_by(|one, other| one.identity.cmp(&other.identity));
        for (declared, by) in read.into_values() {
            for need in declared.needs {
                match node.edges.iter_mut().find(|edge| edge.need == need) {
                    Some(edge) => edge.by.extend(by.iter().cloned()),
                    None => node.edges.push(Edge { to: target(home, at, &need), need, by: by.clone() }),
                }
            }
            node.unreadable
                .extend(declared.unreadable.into_iter().map(|what| UnreadableEdge { what, by: by.clone() }));
        }
        for edge in &mut node.edges {
            edge.by.sort();
            edge.by.dedup();
        }
        // Not as the instances come: then the same facts in another order would make another graph.
        node.edges.sort_by_cached_key(|edge| (edge.to.clone(), edge.need.to_string()));
        node
    }

    /// Its instances, by identity.
    #[must_use]
    pub fn instances(&self) -> &[Known] {
        &self.instances
    }

    /// What it needs, by what is needed.
    #[must_use]
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// What it declares and cannot be read.
    #[must_use]
    pub fn unreadable(&self) -> &[UnreadableEdge] {
        &self.unreadable
    }

    /// Whether it has an instance.
    #[must_use]
    pub fn is_there(&self) -> bool {
        !self.instances.is_empty()
    }

    /// How many instances are passing.
    #[must_use]
    pub fn healthy(&self) -> usize {
        self.instances.iter().filter(|one| one.status == Status::Passing).count()
    }

    /// The versions of the instances that live: passing or warning.
    pub(super) fn alive(&self) -> impl Iterator<Item = &semver::Version> {
        let lives = |one: &&Known| matches!(one.status, Status::Passing | Status::Warning);
        self.instances.iter().filter(lives).filter_map(|one| one.version.as_ref())
    }

    /// The same with one instance fewer.
    pub(super) fn without(&self, gone: &Identity) -> Self {
        let instances = self.instances.iter().filter(|one| one.identity != *gone).cloned().collect();
        Self { instances, ..self.clone() }
    }
}

/// What a need of a service at `at` means.
fn target(home: Option<&str>, at: &ServiceAt, need: &Need) -> ServiceAt {
    let datacenter = match need.datacenter() {
        None => at.datacenter.clone(),
        Some(name) if Some(name) == home => None,
        Some(name) => Some(name.into()),
    };
    ServiceAt { datacenter, service: need.service().clone() }
}
