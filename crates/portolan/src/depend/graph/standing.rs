//! Whether a need is met, and whether those who need one service go together. PURE.
//!
//! Healthy is passing, as for a pick. A version is alive while an instance that has it is passing or warning.
//!
//! Never: says that something is missing without saying what is there.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeSet, fmt};

use semver::Version;

use super::{Edge, Known, Node, ServiceAt};
use crate::model::{Need, Requirement, Status};

/// What a need lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lack {
    /// Nothing is known of the service: nobody has looked, or there is no answer yet.
    NotSeen,
    /// No instance of it is registered.
    NotRegistered,
    /// Instances are registered, and too few are healthy and of a version that will do.
    TooFew {
        /// How many are registered.
        known: usize,
        /// How many of them are healthy.
        healthy: usize,
        /// How many of those are of a version that will do.
        fit: usize,
        /// How many there must be.
        least: u16,
        /// Which version will do; `None`: any.
        requirement: Option<Requirement>,
    },
}

impl Lack {
    /// What `need` lacks where this is known of the service; `None` when it is met.
    #[must_use]
    pub fn of(need: &Need, known: Option<&Node>) -> Option<Self> {
        Self::of_those(need, known, |one| one.status == Status::Passing)
    }

    /// The same where an instance need not be healthy: for a need within a cycle.
    pub(crate) fn of_registered(need: &Need, known: Option<&Node>) -> Option<Self> {
        Self::of_those(need, known, |_| true)
    }

    fn of_those(need: &Need, known: Option<&Node>, counts: impl Fn(&Known) -> bool) -> Option<Self> {
        let Some(node) = known else {
            return Some(Self::NotSeen);
        };
        let all = node.instances();
        if all.is_empty() {
            return Some(Self::NotRegistered);
        }
        let counted: Vec<&Known> = all.iter().filter(|one| counts(one)).collect();
        let fit = match need.requirement() {
            None => counted.len(),
            Some(requirement) => {
                let versions = counted.iter().filter_map(|one| one.version.as_ref());
                let asked = requirement.resolve(versions.clone());
                versions.filter(|version| asked.as_ref().is_some_and(|asked| asked.matches(version))).count()
            }
        };
        if fit >= usize::from(need.least()) {
            return None;
        }
        Some(Self::TooFew {
            known: all.len(),
            healthy: node.healthy(),
            fit,
            least: need.least(),
            requirement: need.requirement().cloned(),
        })
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSeen => f.write_str("nothing is known of it yet"),
            Self::NotRegistered => f.write_str("no instance is registered"),
            Self::TooFew { known, healthy, fit, least, requirement } => {
                write!(f, "{known} known, {healthy} healthy")?;
                if let Some(requirement) = requirement {
                    write!(f, ", {fit} match {requirement}")?;
                }
                if *least > 1 { write!(f, "; {least} are needed") } else { Ok(()) }
            }
        }
    }
}

/// A need that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unmet {
    /// The need, as it is declared.
    pub need: Need,
    /// What is needed.
    pub to: ServiceAt,
    /// What it lacks.
    pub lack: Lack,
}

/// Dependants that want versions of one service which do not go together: no version that is alive will do for all, and
/// for at least one of them none will.
///
/// Two dependants that want different versions, and both find theirs, are no conflict: that is how one version gives way
/// to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The versions that are alive, from the oldest. Never empty.
    pub alive: Vec<Version>,
    /// What is wanted, and by whom. At least two.
    pub sides: Vec<Side>,
}

/// One requirement of a [`Conflict`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Side {
    /// Which versions will do.
    pub requirement: Requirement,
    /// Who wants that.
    pub dependants: Vec<ServiceAt>,
    /// Whether a version that is alive will do.
    pub served: bool,
}

impl Conflict {
    pub(super) fn over<'a>(
        node: &Node,
        needs: impl Iterator<Item = (&'a ServiceAt, &'a Edge)>,
    ) -> Option<Self> {
        let mut sides: Vec<Side> = Vec::new();
        for (from, edge) in needs {
            let Some(requirement) = edge.need().requirement() else {
                continue; // any version will do, so it is at odds with nobody
            };
            match sides.iter_mut().find(|side| side.requirement == *requirement) {
                Some(side) if side.dependants.contains(from) => {}
                Some(side) => side.dependants.push(from.clone()),
                None => {
                    let (requirement, dependants) = (requirement.clone(), vec![from.clone()]);
                    sides.push(Side { requirement, dependants, served: false });
                }
            }
        }
        if sides.len() < 2 {
            return None;
        }
        let alive: BTreeSet<&Version> = node.alive().collect();
        for side in &mut sides {
            let asked = side.requirement.resolve(alive.iter().copied());
            side.served = asked.is_some_and(|asked| alive.iter().any(|version| asked.matches(version)));
        }
        let apart = !alive.is_empty() && sides.iter().any(|side| !side.served);
        apart.then(|| Self { alive: alive.into_iter().cloned().collect(), sides })
    }
}
