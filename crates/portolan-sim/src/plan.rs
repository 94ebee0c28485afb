//! What somebody registers: drawn from the seed once, and registered again and again.
//!
//! In:  chance. Out: registrations.

use std::time::Duration;

use portolan::{Address, Check, Registration};
use tokio::time::Instant;

use crate::{agency::Agency, agent::OWN, chance::Chance};

/// The address of all registrations.
const ADDRESS: &str = "10.0.0.7";
/// How the health of a registration is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Unknown,
    Reported(Duration),
    Asked,
    Both(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    Out,
    Coming,
    In,
    Leaving,
}

/// One instance that somebody registers, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) service: &'static str,
    pub(crate) id: Option<String>,
    pub(crate) port: u16,
    pub(crate) way: Way,
    pub(crate) tags: Vec<&'static str>,
    pub(crate) deregister_after: Duration,
    /// It comes in maintenance, and is announced later.
    pub(crate) gated: bool,
    pub(crate) stands: Stands,
    /// The id that it has, once it is known.
    pub(crate) known: Option<String>,
    /// When it began to leave.
    pub(crate) left: Instant,
    /// It may be left behind: it was killed, or trouble came upon its removal.
    pub(crate) excused: bool,
}

impl Plan {
    pub(crate) fn roll(chance: &mut Chance, place: usize) -> Self {
        let ttl = chance.millis(3_000, 30_000);
        let way = match chance.below(4) {
            0 => Way::Unknown,
            1 => Way::Asked,
            2 => Way::Both(ttl),
            _ => Way::Reported(ttl),
        };
        let after = chance.one_of(&[60, 120, 600]).copied().unwrap_or(600);
        Self {
            service: chance.one_of(&OWN).copied().unwrap_or("mail"),
            id: chance.one_in(2).then(|| format!("{place}-given")),
            port: 9_000 + u16::try_from(place).unwrap_or(0),
            way,
            tags: if chance.one_in(2) { vec!["red", "green"] } else { Vec::new() },
            deregister_after: Duration::from_secs(after),
            gated: chance.one_in(4),
            stands: Stands::Out,
            known: None,
            left: Instant::now(),
            excused: true,
        }
    }

    pub(crate) fn registration(&self) -> Registration {
        let after = Some(self.deregister_after);
        let reported = |ttl| Check::ttl(ttl).deregister_after(after);
        let asked = || Check::http("/health").deregister_after(after);
        let mut registration = Registration::new(self.service, self.port)
            .address(Address::Given(ADDRESS.to_owned()))
            .tags(self.tags.iter().copied())
            .meta("zone", "a");
        registration = match self.way {
            Way::Unknown => registration,
            Way::Reported(ttl) => registration.check(reported(ttl)),
            Way::Asked => registration.check(asked()),
            Way::Both(ttl) => registration.check(reported(ttl)).check(asked()),
        };
        if self.gated {
            registration = registration.in_maintenance("not ready");
        }
        match &self.id {
            Some(id) => registration.id(id),
            None => registration,
        }
    }

    /// Whether the agent holds it.
    pub(crate) fn is_held(&self, agency: &Agency) -> bool {
        self.known.as_ref().is_some_and(|id| agency.holds(id, self.port))
    }

    pub(crate) fn ttl(&self) -> Option<Duration> {
        match self.way {
            Way::Reported(ttl) | Way::Both(ttl) => Some(ttl),
            Way::Unknown | Way::Asked => None,
        }
    }
}
