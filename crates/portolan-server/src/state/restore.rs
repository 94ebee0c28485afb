//! A state from the rows of one before it. PURE.
//!
//! In:  rows in any order, the bound of the indexes that were shown, this life's own node. Out: the state that wrote
//! them, what this life has otherwise, and what is wrong with the rows.
//!
//! Statuses stay as they were until something turns them: a TTL counts anew from the start, as a registration is a sign
//! of life, and so does the time for which a check may be critical. Counters of runs begin anew: the first run decides.
//!
//! Never: takes a row that does not fit, or passes over one in silence; shows an index below the bound.
//!
//! Proof: `state/tests/restored.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Instant,
};

use super::{
    Changes, Held, Node, State,
    acl::Acls,
    checks::Live,
    index::Indexes,
    kept::{Kept, RowKey},
    kv::Keys,
    names::Names,
    prepared::Queries,
    rows::{CheckFacts, CheckRow, CheckSpec, Health, NodeRow, NodeSpec, ServiceRow, Text, folded},
    sessions::Sessions,
};

/// A row that has no place in the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) key: RowKey,
    pub(crate) what: String,
    pub(crate) why: &'static str,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}: {} {}", self.key.0, self.what, self.why)
    }
}

/// What came of the rows.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) state: State,
    /// What this life has otherwise than the last, such as the address of its node.
    pub(crate) changes: Changes,
    pub(crate) misfits: Vec<Misfit>,
}

/// A check with its key, its node's, and what the agent runs.
type Check = (RowKey, RowKey, Arc<CheckRow>, Option<Arc<CheckSpec>>);

/// Rows by kind, for a check may be older than the instance it speaks for now.
#[derive(Default)]
struct Sorted {
    nodes: Vec<(RowKey, Arc<NodeRow>, bool)>,
    services: Vec<(RowKey, RowKey, Arc<ServiceRow>)>,
    checks: Vec<Check>,
    acls: Vec<(RowKey, Kept)>,
    kv: Vec<(RowKey, Kept)>,
    last_key: u64,
    last_index: u64,
}

impl Sorted {
    fn of(rows: impl IntoIterator<Item = (RowKey, Kept)>) -> Self {
        let mut sorted = Self::default();
        for (key, kept) in rows {
            sorted.last_key = sorted.last_key.max(key.0);
            sorted.last_index = sorted.last_index.max(kept.modify());
            match kept {
                Kept::Node { row, home } => sorted.nodes.push((key, row, home)),
                Kept::Service { node, mut row } => {
                    // Nobody else has what comes from a disk, so that it is not copied.
                    if let Some(own) = Arc::get_mut(&mut row) {
                        own.key = key;
                    }
                    sorted.services.push((key, node, row));
                }
                Kept::Meshed { node, mut row, mesh } => {
                    if let Some(own) = Arc::get_mut(&mut row) {
                        (own.key, own.spec.mesh) = (key, Some(mesh));
                    }
                    sorted.services.push((key, node, row));
                }
                Kept::Check { node, row, spec } => sorted.checks.push((key, node, row, spec)),
                acl @ (Kept::Policy(_) | Kept::Token(_) | Kept::Bootstrapped { .. }) => {
                    sorted.acls.push((key, acl));
                }
                Kept::Defined { node, mut row, definition } => {
                    if let Some(own) = Arc::get_mut(&mut row) {
                        own.facts.definition = Some(definition);
                    }
                    sorted.checks.push((key, node, row, None));
                }
                // Behind the sessions that they are bound to.
                kv @ (Kept::Kv(_) | Kept::Session { .. } | Kept::Query(_)) => sorted.kv.push((key, kv)),
            }
        }
        sorted
    }
}

impl State {
    /// The state that wrote `rows`. No index is below `bound` from here on. The node keeps the id it had.
    pub(crate) fn restore(
        rows: impl IntoIterator<Item = (RowKey, Kept)>,
        bound: u64,
        home: NodeSpec,
        now: Instant,
    ) -> Restored {
        Self::restore_after(0, rows, bound, home, now)
    }

    /// The same, with checks whose generations are above `generations`.
    pub(super) fn restore_after(
        generations: u64,
        rows: impl IntoIterator<Item = (RowKey, Kept)>,
        bound: u64,
        mut home: NodeSpec,
        now: Instant,
    ) -> Restored {
        let sorted = Sorted::of(rows);
        let mut state = Self {
            index: Indexes::above(bound.max(sorted.last_index), sorted.last_key),
            generations,
            ..Self::bare(Text::clone(&home.name))
        };
        let mut misfits = Vec::new();
        let mut names = BTreeMap::new();
        for (key, row, is_home) in sorted.nodes {
            if is_home {
                home.id = Text::clone(&row.spec.id);
            }
            state.place_node(key, &row, is_home, &mut names).unwrap_or_else(|why| {
                misfits.push(Misfit { key, what: Kept::Node { row, home: is_home }.describe(), why });
            });
        }
        for (key, node, row) in sorted.services {
            state.place_service(key, names.get(&node), &row).unwrap_or_else(|why| {
                misfits.push(Misfit { key, what: Kept::Service { node, row }.describe(), why });
            });
        }
        for (key, node, mut row, spec) in sorted.checks {
            state.place_check(key, names.get(&node), &mut row, spec, now).unwrap_or_else(|why| {
                misfits.push(Misfit { key, what: Kept::Check { node, row, spec: None }.describe(), why });
            });
        }
        for (key, kept) in sorted.acls {
            state.place_acl(key, &kept).unwrap_or_else(|why| {
                misfits.push(Misfit { key, what: kept.describe(), why });
            });
        }
        for (key, kept) in sorted.kv {
            state.place_of_kv(key, &kept, &names, now).unwrap_or_else(|why| {
                misfits.push(Misfit { key, what: kept.describe(), why });
            });
        }
        let mut tx = state.index.begin(now);
        state.boot(home, &mut tx);
        state.free_orphans(&mut tx);
        let changes = state.commit(tx);
        Restored { state, changes, misfits }
    }

    fn place_node(
        &mut self,
        key: RowKey,
        row: &NodeRow,
        is_home: bool,
        names: &mut BTreeMap<RowKey, Text>,
    ) -> Result<(), &'static str> {
        // The agent's node may be called otherwise in this life; `boot` writes that down.
        let name = Text::clone(if is_home { &self.home } else { &row.spec.name });
        if self.nodes.contains_key(&name) {
            return Err("has the name of another node (was --node changed?)");
        }
        let row = Arc::new(NodeRow { key, spec: row.spec.clone(), ..*row });
        let node = Node { row, services: BTreeMap::new(), checks: BTreeMap::new(), owners: BTreeMap::new() };
        self.names.node_came(&node.row.spec);
        self.nodes.insert(Text::clone(&name), node);
        names.insert(key, name);
        Ok(())
    }

    fn place_service(
        &mut self,
        key: RowKey,
        node: Option<&Text>,
        row: &Arc<ServiceRow>,
    ) -> Result<(), &'static str> {
        let node = node.ok_or("is on a node that is not there")?;
        let on = self.nodes.get_mut(node).ok_or("is on a node that is not there")?;
        let id = Text::clone(&row.spec.id);
        if on.services.contains_key(&id) {
            return Err("is there twice");
        }
        let listed = (Text::clone(node), Text::clone(&id));
        self.by_name.entry(folded(&row.spec.name)).or_default().insert(listed);
        let row = match row.key {
            known if known == key => Arc::clone(row),
            _ => Arc::new(ServiceRow { key, spec: row.spec.clone(), ..**row }),
        };
        self.names.service_came(node, &row.spec);
        on.services.insert(id, Held { row, checks: BTreeMap::new() });
        Ok(())
    }

    fn place_check(
        &mut self,
        key: RowKey,
        node: Option<&Text>,
        row: &mut Arc<CheckRow>,
        spec: Option<Arc<CheckSpec>>,
        now: Instant,
    ) -> Result<(), &'static str> {
        let node = node.ok_or("is on a node that is not there")?;
        let id = Text::clone(&row.facts.id);
        if self.check(node, &id).is_some() {
            return Err("is there twice");
        }
        let of = match &row.facts.of {
            Some(of) => Some(self.check_of(node, &of.id).ok_or("speaks for an instance that is not there")?),
            None => None,
        };
        let on = self.nodes.get_mut(node).ok_or("is on a node that is not there")?;
        let owner = of.as_ref().map(|of| Text::clone(&of.id));
        let name = Text::clone(node);
        match Arc::get_mut(row) {
            Some(own) => (own.key, own.node, own.facts.of) = (key, name, of),
            None => {
                let facts = CheckFacts { of, ..row.facts.clone() };
                *row = Arc::new(CheckRow { key, node: name, facts, ..**row });
            }
        }
        let row = Arc::clone(row);
        match owner {
            None => {
                on.checks.insert(Text::clone(&id), Arc::clone(&row));
            }
            Some(service) => {
                if let Some(held) = on.services.get_mut(&service) {
                    held.checks.insert(Text::clone(&id), Arc::clone(&row));
                    on.owners.insert(Text::clone(&id), service);
                }
            }
        }
        if let Some(spec) = spec.filter(|_| *node == self.home) {
            self.follow_again(&spec);
            self.generations = self.generations.saturating_add(1);
            let critical = row.facts.status == Health::Critical;
            let output = Text::clone(&row.facts.output);
            let live = Live::again(spec, self.generations, output, critical.then_some(now), now);
            self.live.insert(Text::clone(&id), live);
            self.reschedule(&id);
        }
        Ok(())
    }

    fn place_acl(&mut self, key: RowKey, kept: &Kept) -> Result<(), &'static str> {
        match kept {
            Kept::Policy(row) => self.place_policy(key, row),
            Kept::Token(row) => self.place_token(key, row),
            Kept::Bootstrapped { at } => self.place_bootstrap(key, *at),
            _ => Ok(()),
        }
    }

    /// A state with nothing in it, not even its own node.
    pub(super) fn bare(home: Text) -> Self {
        Self {
            home,
            nodes: BTreeMap::new(),
            by_name: BTreeMap::new(),
            names: Names::default(),
            live: BTreeMap::new(),
            aliases: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            generations: 0,
            index: Indexes::default(),
            acls: Acls::default(),
            kv: Keys::default(),
            sessions: Sessions::default(),
            queries: Queries::default(),
        }
    }
}
