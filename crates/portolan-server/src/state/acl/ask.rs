//! What can be asked of tokens and policies. PURE: nothing is changed.
//!
//! In:  the hash of a secret, an id, a name, and the time. Out: what its owner may do, or rows.
//!
//! Never: finds a token that has expired.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{borrow::Cow, sync::Arc};

use super::{
    ANONYMOUS, Acls, HeldToken, Permit, TokenView, lives,
    rows::{PolicyRow, TokenRow},
};
use crate::{
    acl::{authorizer::Authorizer, policy::Rules, secret::SecretHash, stamp::Stamp},
    state::{Key, State, rows::Text},
};

impl Acls {
    fn held(&self, secret: Option<&SecretHash>, now: Stamp) -> Option<&HeldToken> {
        let accessor = match secret {
            Some(secret) => self.secrets.get(secret)?,
            None => ANONYMOUS,
        };
        self.tokens.get(accessor).filter(|held| lives(&held.row, now))
    }

    /// All rules of a token, those of its identities among them.
    fn authorizer(&self, row: &TokenRow) -> Authorizer {
        let here = |datacenters: &[Text]| datacenters.is_empty() || datacenters.contains(&self.datacenter);
        let spec = &row.spec;
        let policies = spec.policies.iter().filter_map(|id| self.policies.get(id));
        let policies = policies.filter(|held| here(&held.row.spec.datacenters));
        let policies = policies.map(|held| Cow::Borrowed(&held.rules));
        let services = spec.services.iter().filter(|identity| here(&identity.datacenters));
        let services = services.map(|identity| Cow::Owned(Rules::of_service(&identity.service)));
        let nodes = spec.nodes.iter().filter(|identity| identity.datacenter == self.datacenter);
        let nodes = nodes.map(|identity| Cow::Owned(Rules::of_node(&identity.node)));
        let all: Vec<Cow<'_, Rules>> = policies.chain(services).chain(nodes).collect();
        Authorizer::new(all.iter().map(AsRef::as_ref), self.otherwise)
    }

    fn view(&self, held: &HeldToken) -> TokenView {
        let link = |id: &Text| Some((Text::clone(id), Text::clone(&self.policies.get(id)?.row.spec.name)));
        let policies = held.row.spec.policies.iter().filter_map(link).collect();
        TokenView { row: Arc::clone(&held.row), policies }
    }
}

impl State {
    /// What the owner of a secret may do; without one, whoever asks. `None`: there is no such token.
    pub(crate) fn permit(&self, secret: Option<&SecretHash>, now: Stamp) -> Option<Permit> {
        let held = self.acls.held(secret, now)?;
        let may = held.may.get_or_init(|| Arc::new(self.acls.authorizer(&held.row)));
        Some(Permit {
            may: Arc::clone(may),
            accessor: Text::clone(&held.row.spec.accessor),
            since: self.index(&Key::Tokens).max(self.index(&Key::Policies)),
        })
    }

    /// All tokens, by accessor.
    pub(crate) fn tokens(&self, now: Stamp) -> Vec<TokenView> {
        let living = self.acls.tokens.values().filter(|held| lives(&held.row, now));
        living.map(|held| self.acls.view(held)).collect()
    }

    /// The token of an accessor.
    pub(crate) fn token(&self, accessor: &str, now: Stamp) -> Option<TokenView> {
        let held = self.acls.tokens.get(accessor).filter(|held| lives(&held.row, now))?;
        Some(self.acls.view(held))
    }

    /// The token of a secret.
    pub(crate) fn token_of(&self, secret: &SecretHash, now: Stamp) -> Option<TokenView> {
        Some(self.acls.view(self.acls.held(Some(secret), now)?))
    }

    /// All policies, by name.
    pub(crate) fn policies(&self) -> Vec<Arc<PolicyRow>> {
        self.acls.policy_names.values().filter_map(|id| self.policy(id)).collect()
    }

    /// The policy of an id.
    pub(crate) fn policy(&self, id: &str) -> Option<Arc<PolicyRow>> {
        Some(Arc::clone(&self.acls.policies.get(id)?.row))
    }

    /// The policy of a name.
    pub(crate) fn policy_named(&self, name: &str) -> Option<Arc<PolicyRow>> {
        self.policy(self.acls.policy_names.get(name)?)
    }
}
