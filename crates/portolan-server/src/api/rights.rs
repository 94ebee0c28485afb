//! What the caller of a request may do. Every endpoint asks here, or says that anyone may.
//!
//! In:  a call with the token it shows. Out: its rights as they are now; refusals in Consul's words.
//!
//! [`Asked`] notes that an endpoint has asked. `api.rs` gives no answer of one that has not.
//!
//! Never: shows a token: refusals name its accessor; lets a call without rights pass where rules cannot be read.
//!
//! Rules from Consul 1.21: acl/errors.go `PermissionDeniedError`, agent/consul/acl.go `ResolveToken`.
//! Proof: `tests/acl/`, each rule kind on each endpoint, beside a real Consul.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::response::Response;
use http::{HeaderValue, StatusCode};

use super::{call::Call, reply::Refusal};
use crate::{
    acl::{Access, Resource, secret::SecretHash},
    core::{Core, calendar},
    state::{
        acl::{ANONYMOUS, Permit},
        rows::{CheckRow, Text},
    },
};

/// Whether the rights of a call were asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<AtomicBool>);

impl Asked {
    pub(super) fn yet(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a caller may do.
#[derive(Debug)]
pub(super) enum Rights {
    /// There are no rules.
    All,
    Of {
        permit: Permit,
        /// It shows a token: then it is told when something was left out.
        shows_token: bool,
    },
}

impl Call {
    /// What the caller may do at this moment.
    ///
    /// # Errors
    /// 403: there is no such token, or none any more.
    pub(super) fn rights(&self, core: &Core) -> Result<Rights, Refusal> {
        self.for_anyone();
        if !core.config.acl_enabled {
            return Ok(Rights::All);
        }
        let hash = self.token.as_ref().map(|token| token.hash());
        let permit = core.look(|state| state.permit(hash.as_ref(), calendar()));
        let permit = permit.ok_or_else(|| Refusal::new(StatusCode::FORBIDDEN, "ACL not found"))?;
        Ok(Rights::Of { permit, shows_token: hash.is_some() })
    }

    /// The endpoint is for anyone, whatever token they show.
    pub(super) fn for_anyone(&self) {
        self.asked().0.store(true, Ordering::Relaxed);
    }
}

impl Rights {
    /// What another token may do than the caller's, such as that of a prepared query.
    ///
    /// # Errors
    /// 403: there is no such token, or none any more.
    pub(super) fn of(core: &Core, token: &SecretHash) -> Result<Self, Refusal> {
        if !core.config.acl_enabled {
            return Ok(Self::All);
        }
        let permit = core.look(|state| state.permit(Some(token), calendar()));
        let permit = permit.ok_or_else(|| Refusal::new(StatusCode::FORBIDDEN, "ACL not found"))?;
        Ok(Self::Of { permit, shows_token: true })
    }

    /// Whether there is anything that they do not allow to see.
    pub(super) fn sees_all(&self) -> bool {
        match self {
            Self::All => true,
            Self::Of { permit, .. } => permit.may.sees_all(),
        }
    }

    /// A name for what they allow to see: the same name, the same rights.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Self::Of { permit, .. } if !permit.may.sees_all() => {
                Some(format!("#{}@{}", permit.accessor, permit.since))
            }
            Self::All | Self::Of { .. } => None,
        }
    }

    pub(super) fn allow(&self, resource: Resource, name: &str, access: Access) -> bool {
        match self {
            Self::All => true,
            Self::Of { permit, .. } => permit.may.allows(resource, name, access),
        }
    }

    pub(super) fn see_node(&self, name: &str) -> bool {
        self.allow(Resource::Node, name, Access::Read)
    }

    pub(super) fn see_service(&self, name: &str) -> bool {
        self.allow(Resource::Service, name, Access::Read)
    }

    /// Whether a check of the catalogue may be seen: its node, and the service it speaks for.
    pub(super) fn see_check(&self, check: &CheckRow) -> bool {
        self.see_node(&check.node) && check.facts.of.as_ref().is_none_or(|of| self.see_service(&of.name))
    }

    /// Refuses what they do not allow. A switch has no name.
    ///
    /// # Errors
    /// 403, naming who lacks what.
    pub(super) fn require(&self, resource: Resource, name: &str, access: Access) -> Result<(), Refusal> {
        let Self::Of { permit, .. } = self else { return Ok(()) };
        if permit.may.allows(resource, name, access) {
            return Ok(());
        }
        Err(lacks(permit, resource, name, access))
    }

    /// Refuses the removal of all keys that begin with `prefix`, where any of them may not be written.
    pub(super) fn write_all_below(&self, prefix: &str) -> Result<(), Refusal> {
        match self {
            Self::Of { permit, .. } if !permit.may.writes_all_below(prefix) => {
                Err(lacks(permit, Resource::Key, prefix, Access::Write))
            }
            Self::All | Self::Of { .. } => Ok(()),
        }
    }

    /// Refuses the change of an instance: of one that is called `name`.
    pub(super) fn write_service(&self, name: &str) -> Result<(), Refusal> {
        self.require(Resource::Service, name, Access::Write)
    }

    pub(super) fn write_node(&self, name: &str) -> Result<(), Refusal> {
        self.require(Resource::Node, name, Access::Write)
    }

    /// Refuses the change of what speaks for a service, or for a node.
    pub(super) fn write_check(&self, service: Option<&Text>, node: &str) -> Result<(), Refusal> {
        match service {
            Some(service) => self.write_service(service),
            None => self.write_node(node),
        }
    }

    /// Tells a caller who shows a token that something was left out.
    pub(super) fn tell(&self, hidden: bool, response: &mut Response) {
        if hidden && matches!(self, Self::Of { shows_token: true, .. }) {
            let headers = response.headers_mut();
            headers.insert("x-consul-results-filtered-by-acls", HeaderValue::from_static("true"));
        }
    }
}

/// The word on who lacks what.
fn lacks(permit: &Permit, resource: Resource, name: &str, access: Access) -> Refusal {
    let anonymous = *permit.accessor == *ANONYMOUS;
    let who = if anonymous {
        "anonymous token".to_owned()
    } else {
        format!("token with AccessorID '{}'", permit.accessor)
    };
    let on = if name.is_empty() { String::new() } else { format!(" on {name:?}") };
    let hint = if anonymous {
        ". The anonymous token is used implicitly when a request does not specify a token."
    } else {
        ""
    };
    let (resource, access) = (resource.as_str(), access.as_str());
    let text = format!("Permission denied: {who} lacks permission '{resource}:{access}'{on}{hint}");
    Refusal::new(StatusCode::FORBIDDEN, text)
}
