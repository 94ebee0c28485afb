//! Who may do what: rules in Consul's language, what they come to, and the secrets that name a caller. PURE: values, no
//! I/O, no clock, no chance.
//!
//! ```text
//! text -> policy (HCL or JSON) -> Rules --+
//! identities of a token ------> Rules ----+--> Authorizer: (resource, name, access) -> allowed or not
//! default of the registry ----------------+
//! ```
//!
//! Never: keeps or shows a secret: what is kept of one is its hash.
//!
//! Rules from Consul: acl/policy.go, acl/policy_merger.go, acl/policy_authorizer.go.
//! Proof: `acl/…/tests.rs`, tables and properties; `tests/acl/` compares each endpoint with a real Consul.

pub(crate) mod authorizer;
pub(crate) mod policy;
pub(crate) mod secret;
pub(crate) mod stamp;

/// What a rule allows, from least to most. [`Access::List`] is for keys alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    Deny,
    Read,
    List,
    Write,
}

impl Access {
    /// Consul's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Read => "read",
            Self::List => "list",
            Self::Write => "write",
        }
    }

    /// Whether who has this may do what asks for `wanted`.
    pub(crate) fn covers(self, wanted: Self) -> bool {
        self != Self::Deny && self >= wanted
    }

    /// Of two rules on the same thing: a denial counts before all, then the one that allows more.
    pub(crate) fn merged(self, other: Self) -> Self {
        if self == Self::Deny || other == Self::Deny { Self::Deny } else { self.max(other) }
    }
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    Acl,
    Agent,
    Event,
    Identity,
    Key,
    Keyring,
    Mesh,
    Node,
    Operator,
    Peering,
    Query,
    Service,
    Session,
}

impl Resource {
    /// All of them.
    pub(crate) const ALL: [Self; 13] = [
        Self::Acl,
        Self::Agent,
        Self::Event,
        Self::Identity,
        Self::Key,
        Self::Keyring,
        Self::Mesh,
        Self::Node,
        Self::Operator,
        Self::Peering,
        Self::Query,
        Self::Service,
        Self::Session,
    ];

    /// Consul's word, in rules and in refusals.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Acl => "acl",
            Self::Agent => "agent",
            Self::Event => "event",
            Self::Identity => "identity",
            Self::Key => "key",
            Self::Keyring => "keyring",
            Self::Mesh => "mesh",
            Self::Node => "node",
            Self::Operator => "operator",
            Self::Peering => "peering",
            Self::Query => "query",
            Self::Service => "service",
            Self::Session => "session",
        }
    }

    /// Whether its rules name things; the others are one switch each.
    pub(crate) fn is_named(self) -> bool {
        !matches!(self, Self::Acl | Self::Keyring | Self::Mesh | Self::Operator | Self::Peering)
    }
}

/// What callers may do where no rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultPolicy {
    /// Everything but to see and change the rules themselves.
    Allow,
    /// Nothing.
    Deny,
}
