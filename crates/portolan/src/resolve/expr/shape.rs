//! What a filter expression can select, for each kind of thing that is filtered: Consul's fields, with their kinds. PURE.
//!
//! In:  a selector. Out: the field's kind, or the place in the selector up to which there is such a field.
//!
//! Never: knows a field that Consul cannot filter by (indexes, definitions of checks, localities).
//!
//! Rules from Consul 1.21: agent/structs/structs.go, connect_proxy_config.go, envoy_extension.go, api/agent.go (fields
//! without the tag `bexpr:"-"`); go-bexpr 0.1.2: field_config.go. Proof: `tests/filters.rs` of the server.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::tree::Operator;

mod fields;

/// What a filter expression is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// An instance as this library keeps it: the fields of [`Entries`](Self::Entries) that are kept.
    Instances,
    /// `/catalog/nodes`.
    Nodes,
    /// `/catalog/service`, `/catalog/services`.
    CatalogServices,
    /// `/catalog/node`, `/catalog/node-services`.
    NodeServices,
    /// `/health/service`.
    Entries,
    /// `/health/node`, `/health/checks`, `/health/state`, `/agent/checks`.
    Checks,
    /// `/agent/services`.
    AgentServices,
    /// `/agent/members`.
    Members,
}

type Fields = &'static [(&'static str, Kind)];

/// What stands in a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    Int,
    /// With the greatest number.
    Uint(u64),
    Bool,
    /// A list of texts.
    Texts,
    /// A list of numbers from 0 to 255.
    Bytes,
    /// Texts by text.
    Pairs,
    /// Groups by text.
    Map(Fields),
    /// A list of groups: a condition on it holds where it holds for any.
    List(Fields),
    /// Fields.
    Group(Fields),
}

impl Kind {
    /// What it can be asked.
    pub(super) fn takes(self, operator: Operator) -> bool {
        use Operator::{Equal, In, IsEmpty, IsNotEmpty, Matches, NotEqual, NotIn, NotMatches};
        match self {
            Self::Text => matches!(operator, Equal | NotEqual | In | NotIn | Matches | NotMatches),
            Self::Int | Self::Uint(_) | Self::Bool => matches!(operator, Equal | NotEqual),
            Self::Texts | Self::Bytes | Self::Pairs | Self::Map(_) => {
                matches!(operator, In | NotIn | IsEmpty | IsNotEmpty)
            }
            Self::List(_) => matches!(operator, IsEmpty | IsNotEmpty),
            Self::Group(_) => false,
        }
    }

    /// The kind of what is in it by this name.
    fn field(self, name: &str) -> Option<Self> {
        match self {
            Self::Group(fields) | Self::List(fields) => {
                fields.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
            }
            Self::Pairs => Some(Self::Text),
            Self::Map(fields) => Some(Self::Group(fields)),
            Self::Text | Self::Int | Self::Uint(_) | Self::Bool | Self::Texts | Self::Bytes => None,
        }
    }
}

/// A selector that is none: how many of its names are there, and what could stand in the place of the next.
#[derive(Debug)]
pub(super) struct NoField {
    pub(super) known: usize,
    pub(super) allowed: Vec<&'static str>,
}

/// What an empty thing is, as far as a condition on a field of it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The field is there.
    Plain,
    /// It is in a list, which is empty then.
    InList,
    /// It is under a key, which is missing then.
    UnderKey,
}

impl Shape {
    /// The kind of the field that a selector names, and the way to it.
    pub(super) fn find(self, selector: &[Box<str>]) -> Result<(Kind, Way), NoField> {
        let (mut kind, mut way) = (Kind::Group(self.fields()), Way::Plain);
        for (known, name) in selector.iter().enumerate() {
            way = match (way, kind) {
                (Way::Plain, Kind::List(_)) => Way::InList,
                (Way::Plain, Kind::Map(_) | Kind::Pairs) => Way::UnderKey,
                (way, _) => way,
            };
            kind = kind.field(name).ok_or_else(|| NoField { known, allowed: kind.names() })?;
        }
        Ok((kind, way))
    }

    fn fields(self) -> Fields {
        match self {
            Self::Instances => fields::INSTANCE,
            Self::Nodes => fields::NODE,
            Self::CatalogServices => fields::SERVICE_NODE,
            Self::NodeServices => fields::SERVICE,
            Self::Entries => fields::ENTRY,
            Self::Checks => fields::CHECK,
            Self::AgentServices => fields::AGENT_SERVICE,
            Self::Members => fields::MEMBER,
        }
    }
}

impl Kind {
    fn names(self) -> Vec<&'static str> {
        match self {
            Self::Group(fields) | Self::List(fields) => fields.iter().map(|(name, _)| *name).collect(),
            _ => Vec::new(),
        }
    }
}
