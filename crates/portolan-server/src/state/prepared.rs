//! Prepared queries: a question that is kept under a name, or under many names that begin alike. PURE.
//!
//! In:  definitions; names. Out: rows; the question that a name stands for, and the instances that it finds.
//!
//! ```text
//! an id, else a name, else the longest beginning of one that is a template -> the query for it -> instances
//! ```
//!
//! Never: lets two queries have one name; takes a template that could fail later; outlives the session it is bound to.
//!
//! Rules from Consul 1.21: agent/consul/state/prepared_query.go, agent/consul/prepared_query_endpoint.go.
//! Proof: `state/tests/prepared.rs`; `tests/differential/`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, fmt, sync::Arc};

use regex::Regex;

pub(crate) mod rows;
mod template;

use super::{
    Entry, Key, Narrow, State,
    index::Tx,
    kept::{Kept, Place, RowKey},
    rows::{Health, Pairs, Text, folded},
};
use rows::{QueryRow, QuerySpec, Wanted};
pub(crate) use template::BadTemplate;

/// A change of queries.
#[derive(Debug)]
pub(crate) enum QueryCommand {
    /// Creates a query, or replaces the one with the same id.
    Put(Box<QuerySpec>),
    Remove {
        id: Text,
    },
}

/// Why a query was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum QueryRefused {
    NameTaken(Text),
    NameIsId(Text),
    /// There is a template for all names already.
    WildTaken,
    NoSession(Text),
    Template(BadTemplate),
}

impl fmt::Display for QueryRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken(name) => write!(f, "name '{name}' aliases an existing query name"),
            Self::NameIsId(name) => write!(f, "name '{name}' aliases an existing query ID"),
            Self::WildTaken => f.write_str("a query template with an empty name already exists"),
            Self::NoSession(id) => write!(f, "invalid session {id:?}"),
            Self::Template(why) => why.fmt(f),
        }
    }
}

#[derive(Debug)]
struct Prepared {
    row: Arc<QueryRow>,
    regexp: Option<Regex>,
}

/// All queries.
#[derive(Debug, Default)]
pub(super) struct Queries {
    of: BTreeMap<Text, Prepared>,
    /// By name without case. The template without a name is the one of all names.
    names: BTreeMap<Text, Text>,
}

impl Queries {
    fn insert(&mut self, row: QueryRow, regexp: Option<Regex>) {
        let id = Text::clone(&row.spec.id);
        self.remove(&id);
        if row.spec.ruled_by().is_some() {
            self.names.insert(folded(&row.spec.name), Text::clone(&id));
        }
        self.of.insert(id, Prepared { row: Arc::new(row), regexp });
    }

    fn remove(&mut self, id: &Text) -> Option<Arc<QueryRow>> {
        let Prepared { row, .. } = self.of.remove(id)?;
        if row.spec.ruled_by().is_some() {
            self.names.remove(&folded(&row.spec.name));
        }
        Some(row)
    }

    /// The query of a name: its own, or the template with the longest beginning of it.
    fn of_name(&self, name: &str) -> Option<&Prepared> {
        let name = folded(name);
        let exact = self.names.get(&name).and_then(|id| self.of.get(id));
        exact.filter(|_| !name.is_empty()).or_else(|| {
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            let beginnings = ends.rev().filter_map(|end| name.get(..end));
            let mut templates = beginnings.filter_map(|beginning| self.of.get(self.names.get(beginning)?));
            templates.find(|query| query.row.spec.template.is_some())
        })
    }
}

impl State {
    pub(super) fn change_queries(&mut self, command: QueryCommand, tx: &mut Tx) -> Result<(), QueryRefused> {
        match command {
            QueryCommand::Put(spec) => self.put_query(*spec, tx),
            QueryCommand::Remove { id } => {
                self.drop_query(&id, tx);
                Ok(())
            }
        }
    }

    fn put_query(&mut self, spec: QuerySpec, tx: &mut Tx) -> Result<(), QueryRefused> {
        let holder = spec.ruled_by().and_then(|name| self.queries.names.get(&folded(name)));
        if holder.is_some_and(|holder| *holder != spec.id) {
            let wild = spec.name.is_empty();
            return Err(if wild { QueryRefused::WildTaken } else { QueryRefused::NameTaken(spec.name) });
        }
        if self.queries.of.contains_key(&spec.name) {
            return Err(QueryRefused::NameIsId(spec.name));
        }
        if !spec.session.is_empty() && !self.has_session(&spec.session) {
            return Err(QueryRefused::NoSession(spec.session));
        }
        let regexp = match &spec.template {
            Some(_) => template::compile(&spec).map_err(QueryRefused::Template)?,
            None => None,
        };
        let (key, create) = match self.queries.of.get(&spec.id) {
            Some(had) => (had.row.key, had.row.create),
            None => (tx.new_key(), tx.at),
        };
        let row = QueryRow { key, spec, create, modify: tx.at };
        touch(&row, tx);
        self.queries.insert(row, regexp);
        Ok(())
    }

    fn drop_query(&mut self, id: &Text, tx: &mut Tx) {
        if let Some(row) = self.queries.remove(id) {
            touch(&row, tx);
        }
    }

    /// Removes those that are bound to a session, which ends.
    pub(super) fn end_queries_of_session(&mut self, session: &Text, tx: &mut Tx) {
        let bound = self.queries.of.values().filter(|query| query.row.spec.session == *session);
        let ids: Vec<Text> = bound.map(|query| Text::clone(&query.row.spec.id)).collect();
        for id in &ids {
            self.drop_query(id, tx);
        }
    }

    /// A query by its id.
    pub(crate) fn query(&self, id: &str) -> Option<Arc<QueryRow>> {
        self.queries.of.get(id).map(|query| Arc::clone(&query.row))
    }

    /// All queries, in the order of their ids.
    pub(crate) fn query_list(&self) -> Vec<Arc<QueryRow>> {
        self.queries.of.values().map(|query| Arc::clone(&query.row)).collect()
    }

    /// The query that an id or a name stands for: as it is kept, and as it is for that name.
    pub(crate) fn query_for(&self, name: &str) -> Option<(Arc<QueryRow>, QuerySpec)> {
        let found = self.queries.of.get(name).or_else(|| self.queries.of_name(name))?;
        let spec = match &found.row.spec {
            // It was compiled when it was taken, so it cannot fail.
            spec if spec.template.is_some() => template::rendered(spec, found.regexp.as_ref(), name).ok()?,
            spec => spec.clone(),
        };
        Some((Arc::clone(&found.row), spec))
    }

    /// The instances that a query finds, in the order they are listed.
    pub(crate) fn query_entries(&self, wanted: &Wanted) -> Vec<Entry> {
        let pairs = |pairs: &Option<Pairs>| -> Vec<(String, String)> {
            pairs.iter().flatten().map(|(key, value)| (key.to_string(), value.to_string())).collect()
        };
        let narrow = Narrow { node_meta: pairs(&wanted.node_meta), ..Narrow::default() };
        let mut found = match wanted.connect {
            true => self.connected(&wanted.service, &narrow),
            false => self.entries(&wanted.service, &narrow),
        };
        found.retain(|entry| fits(wanted, entry));
        found
    }

    pub(super) fn kept_query(&self, id: &str) -> Option<(RowKey, Kept)> {
        let row = self.query(id)?;
        Some((row.key, Kept::Query(row)))
    }

    pub(super) fn kept_queries(&self) -> impl Iterator<Item = (RowKey, Kept)> {
        self.query_list().into_iter().map(|row| (row.key, Kept::Query(row)))
    }

    pub(super) fn place_query(&mut self, key: RowKey, row: &QueryRow) -> Result<(), &'static str> {
        let spec = row.spec.clone();
        let taken = spec.ruled_by().is_some_and(|name| self.queries.names.contains_key(&folded(name)));
        if taken || self.queries.of.contains_key(&spec.id) {
            return Err("is there twice");
        }
        let regexp = match &spec.template {
            Some(_) => template::compile(&spec).map_err(|_bad| "has a template that cannot be read")?,
            None => None,
        };
        self.queries.insert(QueryRow { key, spec, ..*row }, regexp);
        Ok(())
    }
}

/// Whether an instance is one of those that are wanted (Consul: `FilterIgnore`, `tagFilter`, `serviceMetaFilter`).
fn fits(wanted: &Wanted, entry: &Entry) -> bool {
    let ignored = |id: &Text| wanted.ignore_checks.as_ref().is_some_and(|ids| ids.contains(id));
    let is_down = |status| match status {
        Health::Passing => false,
        Health::Warning => wanted.only_passing,
        Health::Critical => true,
    };
    let spec = &entry.service.spec;
    let tagged = |wanted: &str| spec.tags.iter().any(|tag| tag.to_lowercase() == wanted.to_lowercase());
    let by_tag = |tag: &Text| match tag.strip_prefix('!') {
        Some(unwanted) => !tagged(unwanted),
        None => tagged(tag),
    };
    !entry.checks.iter().any(|check| is_down(check.facts.status) && !ignored(&check.facts.id))
        && wanted.tags.iter().flatten().all(by_tag)
        && wanted.service_meta.iter().flatten().all(|(key, value)| spec.meta.get(key) == Some(value))
}

fn touch(row: &QueryRow, tx: &mut Tx) {
    tx.keep(row.key, Place::Query(Text::clone(&row.spec.id)));
    tx.touch(Key::Queries);
}
