//! Transactions over the catalogue, with keys or without: all of it or nothing. PURE.
//!
//! In:  operations with `now`. Out: rows, in the order of the operations; or which failed, and why.
//!
//! ```text
//! what of the catalogue would fail (nothing is changed) -> keys, which can be taken back -> failed? back : the catalogue, which cannot
//! ```
//!
//! Differs from Consul: keys are done before the catalogue, so that a session that a check ends holds its keys until the end of
//! the transaction.
//! Never: does a part; touches what the agent itself answers for.
//!
//! Rules from Consul 1.21: agent/consul/state/txn.go. Proof: `state/tests/txn.rs`; `tests/differential/`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Instant,
};

use super::{
    CatalogCheck, Changes, State,
    index::Tx,
    kv::{KvFailed, KvOp, KvShown},
    rows::{CheckRow, NodeRow, NodeSpec, Origin, ServiceRow, ServiceSpec, Text},
};

/// What is done to a thing of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Get,
    Set,
    /// Only if its last change is the one that is named; 0: if it is not there.
    Cas,
    Delete,
    DeleteCas,
}

/// A thing of the catalogue. To get or delete it, its names are enough.
#[derive(Debug)]
pub(crate) enum Thing {
    Node(NodeSpec),
    Service { node: Text, spec: Box<ServiceSpec> },
    Check { node: Text, check: Box<CatalogCheck> },
}

/// One operation on the catalogue.
#[derive(Debug)]
pub(crate) struct CatalogOp {
    pub(crate) deed: Deed,
    pub(crate) thing: Thing,
    pub(crate) index: u64,
}

/// One operation.
#[derive(Debug)]
pub(crate) enum Op {
    Kv(KvOp),
    Catalog(CatalogOp),
}

/// A row that an operation came to.
#[derive(Debug)]
pub(crate) enum Shown {
    Kv(KvShown),
    Node(Arc<NodeRow>),
    Service { node: Text, row: Arc<ServiceRow> },
    Check(Arc<CheckRow>),
}

/// What a thing is called: by node, and by its id there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Called {
    Node(Text),
    Service(Text, Text),
    Check(Text, Text),
}

impl Called {
    pub(crate) fn names(&self) -> Vec<&str> {
        match self {
            Self::Node(name) => vec![&**name],
            Self::Service(node, id) | Self::Check(node, id) => vec![&**node, &**id],
        }
    }
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => write!(f, "node {name:?}"),
            Self::Service(node, id) => write!(f, "service {id:?} on node {node:?}"),
            Self::Check(node, id) => write!(f, "check {id:?} on node {node:?}"),
        }
    }
}

/// Why an operation failed, in Consul's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OpFailed {
    Kv(KvFailed),
    Absent(Called),
    NotSet(Called),
    NotDeleted(Called),
    NoNode,
    NoService,
}

impl fmt::Display for OpFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kv(why) => why.fmt(f),
            Self::Absent(what) => write!(f, "{what} doesn't exist"),
            Self::NotSet(what) => write!(f, "failed to set {what}, index is stale"),
            Self::NotDeleted(what) => write!(f, "failed to delete {what}, index is stale"),
            Self::NoNode => f.write_str("Missing node registration"),
            Self::NoService => f.write_str("Missing service registration"),
        }
    }
}

/// What became of a transaction: rows, or the operations that failed by their place.
pub(crate) type TxnDone = Result<Vec<Shown>, Vec<(usize, OpFailed)>>;

impl Thing {
    pub(crate) fn called(&self) -> Called {
        match self {
            Self::Node(spec) => Called::Node(Text::clone(&spec.name)),
            Self::Service { node, spec } => Called::Service(Text::clone(node), Text::clone(&spec.id)),
            Self::Check { node, check } => Called::Check(Text::clone(node), Text::clone(&check.facts.id)),
        }
    }
}

/// The catalogue as it would be after some operations, as far as they are about it.
struct Rehearsal<'a> {
    state: &'a State,
    /// The index that what is written would have.
    at: u64,
    seen: BTreeMap<Called, Option<u64>>,
    /// What was removed, with all on it.
    removed: BTreeSet<Called>,
}

impl Rehearsal<'_> {
    /// The last change of a thing; `None`: it is not there.
    fn modify(&self, called: &Called) -> Option<u64> {
        if let Some(known) = self.seen.get(called) {
            return *known;
        }
        match called {
            Called::Node(name) => Some(self.state.nodes.get(name)?.row.modify),
            Called::Service(node, _) | Called::Check(node, _)
                if self.removed.contains(&Called::Node(Text::clone(node))) =>
            {
                None
            }
            Called::Service(node, id) => Some(self.state.nodes.get(node)?.services.get(id)?.row.modify),
            Called::Check(node, id) => {
                let row = self.state.check(node, id)?;
                let owner =
                    row.facts.of.as_ref().map(|of| Called::Service(Text::clone(node), Text::clone(&of.id)));
                owner.is_none_or(|owner| !self.removed.contains(&owner)).then_some(row.modify)
            }
        }
    }

    fn step(&mut self, op: &CatalogOp) -> Result<(), OpFailed> {
        let called = op.thing.called();
        let found = self.modify(&called);
        match op.deed {
            Deed::Get => found.map(drop).ok_or(OpFailed::Absent(called)),
            Deed::Cas if found.unwrap_or_default() != op.index => Err(OpFailed::NotSet(called)),
            Deed::Set | Deed::Cas => {
                self.has_its_place(&op.thing)?;
                self.seen.insert(called, Some(self.at));
                Ok(())
            }
            Deed::DeleteCas if found != Some(op.index) => Err(OpFailed::NotDeleted(called)),
            Deed::Delete | Deed::DeleteCas => {
                self.seen.insert(called.clone(), None);
                self.removed.insert(called);
                Ok(())
            }
        }
    }

    fn has_its_place(&self, thing: &Thing) -> Result<(), OpFailed> {
        let (node, service) = match thing {
            Thing::Node(_) => return Ok(()),
            Thing::Service { node, .. } => (node, None),
            Thing::Check { node, check } => (node, check.service.as_ref()),
        };
        self.modify(&Called::Node(Text::clone(node))).ok_or(OpFailed::NoNode)?;
        match service.map(|id| self.modify(&Called::Service(Text::clone(node), Text::clone(id)))) {
            Some(None) => Err(OpFailed::NoService),
            _ => Ok(()),
        }
    }
}

impl State {
    /// Carries out operations on keys and the catalogue, all of them or none.
    pub(crate) fn apply_txn(&mut self, ops: Vec<Op>, now: Instant) -> (TxnDone, Changes) {
        let mut tx = self.index.begin(now);
        let reply = self.transaction(ops, &mut tx);
        (reply, self.commit(tx))
    }

    fn transaction(&mut self, ops: Vec<Op>, tx: &mut Tx) -> TxnDone {
        let mut failed = self.rehearse(&ops, tx.at);
        let mut shown: Vec<Vec<Shown>> = Vec::with_capacity(ops.len());
        for (place, op) in ops.iter().enumerate() {
            let rows = match op {
                Op::Kv(op) => self.kv_operation(op, tx).unwrap_or_else(|why| {
                    failed.push((place, OpFailed::Kv(why)));
                    Vec::new()
                }),
                Op::Catalog(_) => Vec::new(),
            };
            shown.push(rows.into_iter().map(Shown::Kv).collect());
        }
        if !failed.is_empty() {
            self.kv.roll_back();
            *tx = self.index.begin(tx.now);
            failed.sort_by_key(|(place, _)| *place);
            return Err(failed);
        }
        for (op, rows) in ops.into_iter().zip(&mut shown) {
            if let Op::Catalog(op) = op {
                rows.extend(self.catalog_operation(op, tx));
            }
        }
        Ok(shown.into_iter().flatten().collect())
    }

    /// The answers to operations that only read.
    pub(crate) fn txn_read(&self, ops: &[Op]) -> TxnDone {
        let mut failed = self.rehearse(ops, self.last_index());
        let mut shown = Vec::new();
        for (place, op) in ops.iter().enumerate() {
            match op {
                Op::Kv(op) => match self.kv_look(op) {
                    Ok(rows) => shown.extend(rows.into_iter().map(Shown::Kv)),
                    Err(why) => failed.push((place, OpFailed::Kv(why))),
                },
                Op::Catalog(op) => shown.extend(self.shown(&op.thing.called())),
            }
        }
        failed.sort_by_key(|(place, _)| *place);
        if failed.is_empty() { Ok(shown) } else { Err(failed) }
    }

    /// Which operations on the catalogue would fail.
    fn rehearse(&self, ops: &[Op], at: u64) -> Vec<(usize, OpFailed)> {
        let mut rehearsal = Rehearsal { state: self, at, seen: BTreeMap::new(), removed: BTreeSet::new() };
        let mut failed = Vec::new();
        for (place, op) in ops.iter().enumerate() {
            if let Op::Catalog(op) = op
                && let Err(why) = rehearsal.step(op)
            {
                failed.push((place, why));
            }
        }
        failed
    }

    fn catalog_operation(&mut self, op: CatalogOp, tx: &mut Tx) -> Option<Shown> {
        let called = op.thing.called();
        match (op.deed, op.thing) {
            (Deed::Get, _) => {}
            (Deed::Delete | Deed::DeleteCas, _) => {
                let (node, service, check) = match &called {
                    Called::Node(node) => (node, None, None),
                    Called::Service(node, id) => (node, Some(&**id), None),
                    Called::Check(node, id) => (node, None, Some(&**id)),
                };
                self.catalog_deregister(node, service, check, tx);
                return None;
            }
            (Deed::Set | Deed::Cas, Thing::Node(spec)) => {
                if spec.name != self.home {
                    self.put_node(spec, tx);
                }
            }
            (Deed::Set | Deed::Cas, Thing::Service { node, spec }) => {
                if !self.is_of_agent(&node, &spec.id) {
                    self.put_service(&node, *spec, Origin::Catalog, tx);
                }
            }
            (Deed::Set | Deed::Cas, Thing::Check { node, check }) => {
                self.put_catalog_check(&node, *check, tx);
            }
        }
        self.shown(&called)
    }

    fn shown(&self, called: &Called) -> Option<Shown> {
        Some(match called {
            Called::Node(name) => Shown::Node(Arc::clone(&self.nodes.get(name)?.row)),
            Called::Service(node, id) => {
                let row = Arc::clone(&self.nodes.get(node)?.services.get(id)?.row);
                Shown::Service { node: Text::clone(node), row }
            }
            Called::Check(node, id) => Shown::Check(Arc::clone(self.check(node, id)?)),
        })
    }
}
