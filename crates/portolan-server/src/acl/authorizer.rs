//! What all the rules of a caller come to. PURE.
//!
//! In:  rules of several policies, and what holds where none does. Out: whether a thing may be read, listed, written.
//!
//! A rule on the very name counts before one on its beginning, and of those the longest. Of two on the same thing a
//! denial counts, then the one that allows more.
//!
//! Never: takes longer than the name has characters; lets a shorter beginning count.
//!
//! Rules from Consul 1.21: acl/policy_authorizer.go `getPolicy`, `KeyWritePrefix`; acl/policy_merger.go.
//! Proof: `authorizer/tests.rs`, a property against a model that goes through all rules.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Access, DefaultPolicy, Resource,
    policy::{Rule, Rules, Scope},
};

/// The rules on one kind of thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Table {
    exact: BTreeMap<Arc<str>, Access>,
    prefix: BTreeMap<Arc<str>, Access>,
    /// The longest beginning that a rule is on, in bytes.
    longest: usize,
}

impl Table {
    fn add(&mut self, rule: &Rule) {
        let of = match rule.scope {
            Scope::Exact => &mut self.exact,
            Scope::Prefix => {
                self.longest = self.longest.max(rule.name.len());
                &mut self.prefix
            }
        };
        let access = of.get(&rule.name).map_or(rule.access, |there| there.merged(rule.access));
        of.insert(Arc::clone(&rule.name), access);
    }

    /// The access of the rule that counts for `name`.
    fn of(&self, name: &str) -> Option<Access> {
        self.exact.get(name).copied().or_else(|| self.of_beginning(name))
    }

    fn of_beginning(&self, name: &str) -> Option<Access> {
        if self.prefix.is_empty() {
            return None;
        }
        let longest = self.longest.min(name.len());
        (0..=longest).rev().find_map(|end| self.prefix.get(name.get(..end)?).copied())
    }
}

/// What a caller may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authorizer {
    tables: BTreeMap<Resource, Table>,
    otherwise: DefaultPolicy,
    sees_all: bool,
}

impl Authorizer {
    pub(crate) fn new<'a>(rules: impl IntoIterator<Item = &'a Rules>, otherwise: DefaultPolicy) -> Self {
        let mut tables: BTreeMap<Resource, Table> = BTreeMap::new();
        for rule in rules.into_iter().flat_map(|rules| &rules.0) {
            tables.entry(rule.resource).or_default().add(rule);
        }
        let mut authorizer = Self { tables, otherwise, sees_all: false };
        authorizer.sees_all =
            [Resource::Node, Resource::Service].into_iter().all(|of| authorizer.reads_all(of));
        authorizer
    }

    /// Whether no rule hides anything of a kind.
    fn reads_all(&self, resource: Resource) -> bool {
        let Some(table) = self.tables.get(&resource) else { return self.otherwise == DefaultPolicy::Allow };
        let any = table.prefix.contains_key("") || self.otherwise == DefaultPolicy::Allow;
        any && table.exact.values().chain(table.prefix.values()).all(|access| access.covers(Access::Read))
    }

    /// Whether `wanted` is allowed on what is called `name`; a switch has no name.
    pub(crate) fn allows(&self, resource: Resource, name: &str, wanted: Access) -> bool {
        let rule = self.tables.get(&resource).and_then(|table| table.of(name));
        rule.map_or(self.allows_by_default(resource), |access| access.covers(wanted))
    }

    /// A default never lets anybody change the rules (Consul: acl/static_authorizer.go `ACLWrite`).
    fn allows_by_default(&self, resource: Resource) -> bool {
        self.otherwise == DefaultPolicy::Allow && resource != Resource::Acl
    }

    /// Whether every node and every service may be read, so that nothing is to be left out of an answer.
    pub(crate) fn sees_all(&self) -> bool {
        self.sees_all
    }

    /// Whether every key that begins with `prefix` may be written, as its removal asks for: what counts for the prefix
    /// allows it, and no rule on anything below does not.
    pub(crate) fn writes_all_below(&self, prefix: &str) -> bool {
        let Some(table) = self.tables.get(&Resource::Key) else {
            return self.otherwise == DefaultPolicy::Allow;
        };
        let base = table.of_beginning(prefix);
        let below = table.exact.iter().chain(&table.prefix);
        let mut below = below.filter(|(name, _)| name.starts_with(prefix)).map(|(_, access)| *access);
        base.map_or(self.otherwise == DefaultPolicy::Allow, |access| access == Access::Write)
            && below.all(|access| access == Access::Write)
    }
}

#[cfg(test)]
mod tests;
