//! Tokens and policies: who may do what. PURE.
//!
//! In:  definitions, and the hash of the secret that a caller shows. Out: rows, and what the caller may do.
//!
//! What a token comes to is worked out when it is first asked for, and again after a policy has changed.
//!
//! Never: holds a secret; finds a token that has expired; lets the built-in policies be changed, or the last word on
//! bootstrapping be forgotten.
//!
//! Rules from Consul 1.21: agent/consul/acl_endpoint.go, agent/consul/auth/token_writer.go, agent/structs/acl.go.
//! Proof: `state/tests/acls.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

mod ask;
mod builtin;
mod keep;
mod refused;
pub(crate) mod rows;

pub(crate) use {
    builtin::{ANONYMOUS, ANONYMOUS_SECRET, GLOBAL_MANAGEMENT},
    refused::AclRefused,
};

use super::{
    Key, State,
    index::Tx,
    kept::{Place, RowKey},
    rows::Text,
};
use crate::acl::{
    DefaultPolicy,
    authorizer::Authorizer,
    policy::{Rules, parse},
    secret::SecretHash,
    stamp::Stamp,
};
use rows::{PolicyRow, PolicySpec, TokenRow, TokenSpec};

/// A change of who may do what.
#[derive(Debug)]
pub(crate) enum AclCommand {
    /// The registry begins with rules: what it has always is put in where it is missing.
    Start {
        otherwise: DefaultPolicy,
        datacenter: Text,
        initial: Option<Box<TokenSpec>>,
        now: Stamp,
    },
    /// The first token that may do everything; once.
    Bootstrap(Box<TokenSpec>),
    CreatePolicy(Box<PolicySpec>),
    UpdatePolicy(Box<PolicySpec>),
    RemovePolicy {
        id: Text,
    },
    CreateToken(Box<TokenSpec>),
    /// `secret`: the one that the caller says it has. Its own is kept, as are when it was made and when it ends.
    UpdateToken {
        spec: Box<TokenSpec>,
        secret: Option<SecretHash>,
    },
    RemoveToken {
        accessor: Text,
    },
}

/// What a caller may do, and who it is.
#[derive(Clone, Debug)]
pub(crate) struct Permit {
    pub(crate) may: Arc<Authorizer>,
    pub(crate) accessor: Text,
    /// The index of the last change of any token or policy: with the accessor, it names `may`.
    pub(crate) since: u64,
}

/// A token with its policies as they are called.
#[derive(Clone, Debug)]
pub(crate) struct TokenView {
    pub(crate) row: Arc<TokenRow>,
    /// Ids and names of those that are there.
    pub(crate) policies: Vec<(Text, Text)>,
}

#[derive(Debug)]
struct HeldPolicy {
    row: Arc<PolicyRow>,
    rules: Rules,
}

#[derive(Debug)]
struct HeldToken {
    row: Arc<TokenRow>,
    may: OnceLock<Arc<Authorizer>>,
}

/// All tokens and policies.
#[derive(Debug)]
pub(super) struct Acls {
    otherwise: DefaultPolicy,
    datacenter: Text,
    policies: BTreeMap<Text, HeldPolicy>,
    policy_names: BTreeMap<Text, Text>,
    tokens: BTreeMap<Text, HeldToken>,
    secrets: BTreeMap<SecretHash, Text>,
    /// The row that says at which index it was bootstrapped.
    bootstrapped: Option<(RowKey, u64)>,
}

impl Default for Acls {
    fn default() -> Self {
        Self {
            otherwise: DefaultPolicy::Deny,
            datacenter: "".into(),
            policies: BTreeMap::new(),
            policy_names: BTreeMap::new(),
            tokens: BTreeMap::new(),
            secrets: BTreeMap::new(),
            bootstrapped: None,
        }
    }
}

fn lives(row: &TokenRow, now: Stamp) -> bool {
    row.spec.expires.is_none_or(|end| now < end)
}

impl State {
    pub(super) fn change_acls(&mut self, command: AclCommand, tx: &mut Tx) -> Result<(), AclRefused> {
        match command {
            AclCommand::Start { otherwise, datacenter, initial, now } => {
                self.start_acls(otherwise, datacenter, initial, now, tx);
                Ok(())
            }
            AclCommand::Bootstrap(spec) => self.bootstrap(*spec, tx),
            AclCommand::CreatePolicy(spec) => self.create_policy(*spec, tx),
            AclCommand::UpdatePolicy(spec) => self.update_policy(*spec, tx),
            AclCommand::RemovePolicy { id } => self.remove_policy(&id, tx),
            AclCommand::CreateToken(spec) => self.create_token(*spec, tx),
            AclCommand::UpdateToken { spec, secret } => self.update_token(*spec, secret, tx),
            AclCommand::RemoveToken { accessor } => self.remove_token(&accessor, tx),
        }
    }

    fn start_acls(
        &mut self,
        otherwise: DefaultPolicy,
        datacenter: Text,
        initial: Option<Box<TokenSpec>>,
        now: Stamp,
        tx: &mut Tx,
    ) {
        self.acls.otherwise = otherwise;
        self.acls.datacenter = datacenter;
        self.forget_rights();
        for spec in builtin::policies() {
            // What another version called its own is as this one has it.
            if self.acls.policies.get(&spec.id).is_none_or(|held| held.row.spec != spec) {
                self.put_policy(spec, tx);
            }
        }
        if !self.acls.tokens.contains_key(ANONYMOUS) {
            self.put_token(builtin::anonymous(now), tx);
        }
        let initial = initial.filter(|spec| !self.acls.secrets.contains_key(&spec.secret));
        if let Some(spec) = initial {
            self.put_token(*spec, tx);
            self.mark_bootstrapped(tx);
        }
    }

    fn mark_bootstrapped(&mut self, tx: &mut Tx) {
        if self.acls.bootstrapped.is_none() {
            let key = tx.new_key();
            self.acls.bootstrapped = Some((key, tx.at));
            tx.keep(key, Place::Bootstrapped);
        }
    }

    fn bootstrap(&mut self, spec: TokenSpec, tx: &mut Tx) -> Result<(), AclRefused> {
        if let Some((_, at)) = self.acls.bootstrapped {
            return Err(AclRefused::Bootstrapped(at));
        }
        self.create_token(spec, tx)?;
        self.mark_bootstrapped(tx);
        Ok(())
    }

    /// Rights are worked out anew.
    fn forget_rights(&mut self) {
        for held in self.acls.tokens.values_mut() {
            held.may = OnceLock::new();
        }
    }

    fn create_policy(&mut self, spec: PolicySpec, tx: &mut Tx) -> Result<(), AclRefused> {
        if self.acls.policy_names.contains_key(&spec.name) {
            return Err(AclRefused::NameTaken(spec.name));
        }
        self.put_policy(spec, tx);
        Ok(())
    }

    fn update_policy(&mut self, spec: PolicySpec, tx: &mut Tx) -> Result<(), AclRefused> {
        let Some(held) = self.acls.policies.get(&spec.id) else {
            return Err(AclRefused::NoPolicyToUpdate(spec.id));
        };
        if builtin::is_policy(&spec.id) {
            return Err(AclRefused::Builtin(Text::clone(&held.row.spec.name)));
        }
        let taken = self.acls.policy_names.get(&spec.name).is_some_and(|id| *id != spec.id);
        if taken {
            return Err(AclRefused::NameTaken(spec.name));
        }
        if held.row.spec != spec {
            self.put_policy(spec, tx);
        }
        Ok(())
    }

    fn put_policy(&mut self, spec: PolicySpec, tx: &mut Tx) {
        let (key, create) = match self.acls.policies.get(&spec.id) {
            Some(held) => (held.row.key, held.row.create),
            None => (tx.new_key(), tx.at),
        };
        tx.keep(key, Place::Policy(Text::clone(&spec.id)));
        tx.touch(Key::Policies);
        // The edge has read them: they parse.
        let rules = parse(&spec.rules).unwrap_or_default();
        self.hold_policy(PolicyRow { key, spec, create, modify: tx.at }, rules);
        self.forget_rights();
    }

    fn hold_policy(&mut self, row: PolicyRow, rules: Rules) {
        let (id, name) = (Text::clone(&row.spec.id), Text::clone(&row.spec.name));
        let held = HeldPolicy { row: Arc::new(row), rules };
        if let Some(old) = self.acls.policies.insert(Text::clone(&id), held) {
            self.acls.policy_names.remove(&old.row.spec.name);
        }
        self.acls.policy_names.insert(name, id);
    }

    fn remove_policy(&mut self, id: &Text, tx: &mut Tx) -> Result<(), AclRefused> {
        let held = self.acls.policies.get(id).ok_or(AclRefused::NoPolicyToRemove)?;
        let name = Text::clone(&held.row.spec.name);
        if builtin::is_policy(id) {
            return Err(AclRefused::BuiltinRemoved(name));
        }
        tx.keep(held.row.key, Place::Policy(Text::clone(id)));
        tx.touch(Key::Policies);
        self.acls.policies.remove(id);
        self.acls.policy_names.remove(&name);
        self.forget_rights();
        Ok(())
    }

    fn create_token(&mut self, spec: TokenSpec, tx: &mut Tx) -> Result<(), AclRefused> {
        let now = spec.created;
        let living =
            |accessor: &Text| self.acls.tokens.get(accessor).is_some_and(|held| lives(&held.row, now));
        if living(&spec.accessor) {
            return Err(AclRefused::AccessorTaken);
        }
        if self.acls.secrets.get(&spec.secret).is_some_and(living) {
            return Err(AclRefused::SecretTaken);
        }
        self.check_links(&spec, &[])?;
        self.drop_expired(now, tx);
        self.put_token(spec, tx);
        Ok(())
    }

    /// Links to policies that are not there are refused, but for those the token has already.
    fn check_links(&self, spec: &TokenSpec, had: &[Text]) -> Result<(), AclRefused> {
        let missing = |id: &&Text| !self.acls.policies.contains_key(*id) && !had.contains(id);
        match spec.policies.iter().find(missing) {
            Some(id) => Err(AclRefused::NoPolicyWithId(Text::clone(id))),
            None => Ok(()),
        }
    }

    fn update_token(
        &mut self,
        mut spec: TokenSpec,
        secret: Option<SecretHash>,
        tx: &mut Tx,
    ) -> Result<(), AclRefused> {
        let now = spec.created;
        let living = self.acls.tokens.get(&spec.accessor).filter(|held| lives(&held.row, now));
        let Some(held) = living else {
            return Err(AclRefused::NoToken(spec.accessor));
        };
        let had = &held.row.spec;
        if secret.is_some_and(|secret| secret != had.secret) {
            return Err(AclRefused::OtherSecret);
        }
        if spec.local != had.local {
            return Err(AclRefused::OtherLocal(spec.accessor));
        }
        if spec.expires.is_some() && spec.expires != had.expires {
            return Err(AclRefused::OtherEnd(spec.accessor));
        }
        (spec.secret, spec.created, spec.expires) = (had.secret, had.created, had.expires);
        self.check_links(&spec, &had.policies)?;
        if *had != spec {
            self.put_token(spec, tx);
        }
        Ok(())
    }

    fn put_token(&mut self, spec: TokenSpec, tx: &mut Tx) {
        let (key, create) = match self.acls.tokens.get(&spec.accessor) {
            Some(held) => (held.row.key, held.row.create),
            None => (tx.new_key(), tx.at),
        };
        tx.keep(key, Place::Token(Text::clone(&spec.accessor)));
        tx.touch(Key::Tokens);
        self.hold_token(TokenRow { key, spec, create, modify: tx.at });
    }

    fn hold_token(&mut self, row: TokenRow) {
        let accessor = Text::clone(&row.spec.accessor);
        self.acls.secrets.insert(row.spec.secret, Text::clone(&accessor));
        self.acls.tokens.insert(accessor, HeldToken { row: Arc::new(row), may: OnceLock::new() });
    }

    fn remove_token(&mut self, accessor: &Text, tx: &mut Tx) -> Result<(), AclRefused> {
        if **accessor == *ANONYMOUS {
            return Err(AclRefused::AnonymousRemoved);
        }
        if !self.acls.tokens.contains_key(accessor) {
            return Err(AclRefused::NoTokenToRemove);
        }
        self.drop_token(accessor, tx);
        Ok(())
    }

    fn drop_token(&mut self, accessor: &Text, tx: &mut Tx) {
        if let Some(held) = self.acls.tokens.remove(accessor) {
            self.acls.secrets.remove(&held.row.spec.secret);
            tx.keep(held.row.key, Place::Token(Text::clone(accessor)));
            tx.touch(Key::Tokens);
        }
    }

    /// Those that have expired are found by nobody; they go with the next write.
    fn drop_expired(&mut self, now: Stamp, tx: &mut Tx) {
        let tokens = self.acls.tokens.iter();
        let over: Vec<Text> =
            tokens.filter(|(_, held)| !lives(&held.row, now)).map(|(id, _)| Text::clone(id)).collect();
        for accessor in over {
            self.drop_token(&accessor, tx);
        }
    }
}
