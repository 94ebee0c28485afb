//! What one service needs of another, and how that is written. PURE.
//!
//! In:  text such as `db@^14:2?`, or setters. Out: a [`Need`]; of a list of them, [`Needs`].
//!
//! ```text
//! needs   one after the other with ";" between them (one at the end is fine); or with "," where no ";" stands: then what
//!         begins with one of < > = ^ ~ * goes on with the requirement before it
//! need    [DATACENTER "/"] SERVICE ["@" REQUIREMENT] mark*
//! mark    ":" N   at least N healthy instances (1 to 65535; 1 unless said)
//!         "?"     optional: its absence is told, and holds up nothing
//!         "!"     at the start only: once the service has been ready, it is not looked at any more
//! names   letters, digits, "_", ".", "-"; any other character as the bytes of its UTF-8, each as %XX
//! ```
//!
//! Never: writes what it would read otherwise; names a mistake without its place.
//!
//! Proof: `need/tests.rs`: tables, and a property that any need survives being written and read.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{fmt, num::NonZeroU16, str::FromStr, sync::Arc};

use crate::{
    error::Error,
    model::{Requirement, ServiceName},
};

mod name;
mod read;

pub(super) use read::{Piece, pieces, read};

/// Whether the service can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Importance {
    /// It cannot: it is not ready before the need is met.
    #[default]
    Required,
    /// It can: whether the need is met is told, and holds up nothing.
    Optional,
}

/// How long a need lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Lasts {
    /// As long as the service runs.
    #[default]
    Always,
    /// Until the service has been ready once.
    Start,
}

/// One service that another needs.
///
/// ```
/// use portolan::depend::{Importance, Need};
///
/// let need: Need = "dc2/db@^14:2?".parse()?;
/// assert_eq!((need.service().as_str(), need.datacenter()), ("db", Some("dc2")));
/// assert_eq!((need.least(), need.importance()), (2, Importance::Optional));
/// assert_eq!(need.to_string(), "dc2/db@^14:2?");
/// # Ok::<(), portolan::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    service: ServiceName,
    datacenter: Option<Arc<str>>,
    requirement: Option<Requirement>,
    least: NonZeroU16,
    importance: Importance,
    lasts: Lasts,
}

impl Need {
    /// One healthy instance of `service` of any version, in the same datacentre, required, always.
    #[must_use]
    pub fn new(service: ServiceName) -> Self {
        Self {
            service,
            datacenter: None,
            requirement: None,
            least: NonZeroU16::MIN,
            importance: Importance::Required,
            lasts: Lasts::Always,
        }
    }

    /// The same of a version that meets `requirement`.
    #[must_use]
    pub fn version(self, requirement: Requirement) -> Self {
        Self { requirement: Some(requirement), ..self }
    }

    /// The same in another datacentre; an empty name is that of the service itself.
    #[must_use]
    pub fn in_datacenter(self, name: &str) -> Self {
        Self { datacenter: (!name.is_empty()).then(|| name.into()), ..self }
    }

    /// The same, of at least so many instances; 0 counts as 1.
    #[must_use]
    pub fn at_least(self, instances: u16) -> Self {
        Self { least: NonZeroU16::new(instances).unwrap_or(NonZeroU16::MIN), ..self }
    }

    /// The same, but the service can do without.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { importance: Importance::Optional, ..self }
    }

    /// The same, but only until the service has been ready once.
    #[must_use]
    pub fn at_start(self) -> Self {
        Self { lasts: Lasts::Start, ..self }
    }

    /// The service that is needed.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// The datacentre in which it is needed; `None`: in that of whoever needs it.
    #[must_use]
    pub fn datacenter(&self) -> Option<&str> {
        self.datacenter.as_deref()
    }

    /// Which versions will do; `None`: any, also one that cannot be read.
    #[must_use]
    pub fn requirement(&self) -> Option<&Requirement> {
        self.requirement.as_ref()
    }

    /// How many healthy instances of such a version there must be. At least 1.
    #[must_use]
    pub fn least(&self) -> u16 {
        self.least.get()
    }

    /// Whether the service can do without.
    #[must_use]
    pub fn importance(&self) -> Importance {
        self.importance
    }

    /// Whether the service cannot do without.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.importance == Importance::Required
    }

    /// How long it lasts.
    #[must_use]
    pub fn lasts(&self) -> Lasts {
        self.lasts
    }
}

impl fmt::Display for Need {
    /// As it is read, in the one form of the many that it has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(datacenter) = &self.datacenter {
            name::write(datacenter, f)?;
            f.write_str("/")?;
        }
        name::write(self.service.as_str(), f)?;
        if let Some(requirement) = &self.requirement {
            write!(f, "@{requirement}")?;
        }
        if self.least > NonZeroU16::MIN {
            write!(f, ":{}", self.least)?;
        }
        if self.importance == Importance::Optional {
            f.write_str("?")?;
        }
        if self.lasts == Lasts::Start {
            f.write_str("!")?;
        }
        Ok(())
    }
}

impl FromStr for Need {
    type Err = Error;

    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config): quotes the text, and says at which character it is wrong and why.
    fn from_str(text: &str) -> Result<Self, Error> {
        read(text.trim()).map_err(|wrong| wrong.into_error("need"))
    }
}

/// All that a service needs, in the order in which it was written.
///
/// ```
/// use portolan::depend::Needs;
///
/// let needs: Needs = "db@>=14.1, <16, cache?".parse()?;
/// assert_eq!(needs.iter().count(), 2);
/// let wrong = "cache, db@^^14".parse::<Needs>().unwrap_err();
/// assert!(wrong.to_string().starts_with("needs[1]: \"db@^^14\""));
/// # Ok::<(), portolan::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs(Vec<Need>);

impl Needs {
    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Need> {
        self.0.iter()
    }

    /// The same as a list.
    #[must_use]
    pub fn as_slice(&self) -> &[Need] {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Need> for Needs {
    fn from_iter<I: IntoIterator<Item = Need>>(needs: I) -> Self {
        Self(needs.into_iter().collect())
    }
}

impl IntoIterator for Needs {
    type Item = Need;
    type IntoIter = std::vec::IntoIter<Need>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, need) in self.0.iter().enumerate() {
            write!(f, "{}{need}", if place == 0 { "" } else { "; " })?;
        }
        // The comma of a requirement must not look like one between needs.
        let alone = self.0.len() == 1;
        let comma = |need: &Need| need.requirement.as_ref().is_some_and(|one| one.to_string().contains(','));
        if alone && self.0.iter().any(comma) { f.write_str(";") } else { Ok(()) }
    }
}

impl FromStr for Needs {
    type Err = Error;

    /// # Errors
    /// [`Kind::Config`](crate::Kind::Config): names the place in the list, quotes its text, and says at which character
    /// it is wrong and why.
    fn from_str(text: &str) -> Result<Self, Error> {
        let parse =
            |Piece { place, text }| read(text).map_err(|wrong| wrong.into_error(&format!("needs[{place}]")));
        pieces(text).into_iter().map(parse).collect()
    }
}

#[cfg(test)]
pub(super) mod tests;
