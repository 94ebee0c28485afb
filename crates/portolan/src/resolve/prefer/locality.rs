//! Where a caller is: its node, zone and region.
//!
//! In:  what a program says, or its environment. Out: names that are compared with those of the instances.
//!
//! Never: an empty name, which would match what has none.

use std::sync::Arc;

use crate::error::Error;

/// Where this caller is. The default: nothing is known.
///
/// [`Prefer::SameNode`](crate::Prefer::SameNode), [`SameZone`](crate::Prefer::SameZone) and
/// [`SameRegion`](crate::Prefer::SameRegion) compare it with where an instance is, and say nothing while it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Locality {
    /// The name of its node in Consul.
    pub node: Option<Arc<str>>,
    /// Its zone, as the instances name theirs: see [`Instance::zone`](crate::Instance::zone).
    pub zone: Option<Arc<str>>,
    /// Its region: see [`Instance::region`](crate::Instance::region).
    pub region: Option<Arc<str>>,
}

impl Locality {
    /// The name of its node in Consul.
    #[must_use]
    pub fn node(mut self, node: &str) -> Self {
        self.node = Some(node.into());
        self
    }

    /// Its zone.
    #[must_use]
    pub fn zone(mut self, zone: &str) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Its region.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Reads `PORTOLAN_NODE`, `PORTOLAN_ZONE` and `PORTOLAN_REGION`. What is unset or empty is not known.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_vars(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// The same through `var`.
    #[must_use]
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        let named = |name| var(name).filter(|value| !value.is_empty()).map(Arc::from);
        Self { node: named("PORTOLAN_NODE"), zone: named("PORTOLAN_ZONE"), region: named("PORTOLAN_REGION") }
    }

    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config), naming what is empty.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Self { node, zone, region } = self;
        let empty = [("node", node), ("zone", zone), ("region", region)]
            .into_iter()
            .find(|(_, name)| name.as_ref().is_some_and(|name| name.is_empty()));
        match empty {
            Some((field, _)) => {
                let what =
                    format!("locality.{field}: \"\" is no {field}; leave it out where it is not known");
                Err(Error::config(what))
            }
            None => Ok(()),
        }
    }
}
