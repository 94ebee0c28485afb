//! Tokens and policies as rows that must last, and back. PURE.
//!
//! In:  rows from a disk. Out: rows for one; or why a row has no place here.
//!
//! Never: takes a policy whose rules cannot be read: what they denied would be allowed.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::sync::Arc;

use super::rows::{PolicyRow, TokenRow};
use crate::{
    acl::policy::parse,
    state::{
        State,
        kept::{Kept, RowKey},
        rows::Text,
    },
};

impl State {
    pub(in crate::state) fn kept_policy(&self, id: &Text) -> Option<(RowKey, Kept)> {
        let row = Arc::clone(&self.acls.policies.get(id)?.row);
        Some((row.key, Kept::Policy(row)))
    }

    pub(in crate::state) fn kept_token(&self, accessor: &Text) -> Option<(RowKey, Kept)> {
        let row = Arc::clone(&self.acls.tokens.get(accessor)?.row);
        Some((row.key, Kept::Token(row)))
    }

    pub(in crate::state) fn kept_bootstrap(&self) -> Option<(RowKey, Kept)> {
        self.acls.bootstrapped.map(|(key, at)| (key, Kept::Bootstrapped { at }))
    }

    /// All of them.
    pub(in crate::state) fn kept_acls(&self) -> impl Iterator<Item = (RowKey, Kept)> {
        let policies = self.acls.policies.keys().filter_map(|id| self.kept_policy(id));
        let tokens = self.acls.tokens.keys().filter_map(|accessor| self.kept_token(accessor));
        policies.chain(tokens).chain(self.kept_bootstrap())
    }

    pub(in crate::state) fn place_policy(
        &mut self,
        key: RowKey,
        row: &PolicyRow,
    ) -> Result<(), &'static str> {
        let spec = row.spec.clone();
        if self.acls.policies.contains_key(&spec.id) || self.acls.policy_names.contains_key(&spec.name) {
            return Err("is there twice");
        }
        let rules = parse(&spec.rules).map_err(|_bad| "has rules that cannot be read")?;
        self.hold_policy(PolicyRow { key, spec, ..*row }, rules);
        Ok(())
    }

    pub(in crate::state) fn place_token(&mut self, key: RowKey, row: &TokenRow) -> Result<(), &'static str> {
        let spec = row.spec.clone();
        if self.acls.tokens.contains_key(&spec.accessor) || self.acls.secrets.contains_key(&spec.secret) {
            return Err("is there twice");
        }
        self.hold_token(TokenRow { key, spec, ..*row });
        Ok(())
    }

    pub(in crate::state) fn place_bootstrap(&mut self, key: RowKey, at: u64) -> Result<(), &'static str> {
        match self.acls.bootstrapped.replace((key, at)) {
            None => Ok(()),
            Some(_) => Err("is there twice"),
        }
    }
}
