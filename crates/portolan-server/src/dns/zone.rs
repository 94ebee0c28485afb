//! What is answered for, made ready from the settings. PURE.
//!
//! In:  settings that were checked. Out: names of domains, and times to live.
//!
//! Rules from Consul: agent/dns.go `getResponseDomain`, `makeSOARecord`, `GetTTLForService`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{sync::Arc, time::Duration};

use super::{
    name::Name,
    record::{Data, Record, Soa},
};
use crate::{config::Dns, state::Admit};

/// Where reverse lookups live.
const REVERSE: &str = "arpa";
/// Consul: `dns_config.soa`.
const REFRESH: u32 = 3600;
const RETRY: u32 = 600;
const EXPIRE: u32 = 86_400;
/// How long others may keep it that there is nothing.
const NEGATIVE_TTL: u32 = 0;

/// The zone, and how it is told.
#[derive(Debug)]
pub(crate) struct Zone {
    domain: Name,
    alt_domain: Option<Name>,
    reverse: Name,
    pub(crate) datacenter: String,
    pub(crate) node_ttl: u32,
    service_ttl: Vec<(String, u32)>,
    pub(crate) admit: Admit,
    pub(crate) a_record_limit: usize,
    pub(crate) node_meta_txt: bool,
    /// Whether others are asked for what is not here.
    pub(crate) recursion: bool,
}

/// Of what a name is part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Of the domain, which is spelled so in the question; `before` it stand so many bytes.
    Domain {
        spelled: Name,
        before: usize,
    },
    Reverse,
    /// It is not ours.
    Foreign,
}

fn seconds(ttl: Duration) -> u32 {
    u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX)
}

impl Zone {
    pub(crate) fn new(dns: &Dns, datacenter: &str) -> Self {
        // What is no name was refused with the settings.
        let name = |text: &str| Name::of_text(text).unwrap_or_else(Name::root).lowered();
        Self {
            domain: name(&dns.domain),
            alt_domain: dns.alt_domain.as_deref().map(name),
            reverse: name(REVERSE),
            datacenter: datacenter.to_owned(),
            node_ttl: seconds(dns.node_ttl),
            service_ttl: dns.service_ttl.iter().map(|(name, ttl)| (name.clone(), seconds(*ttl))).collect(),
            admit: if dns.only_passing { Admit::Passing } else { Admit::Warning },
            a_record_limit: dns.a_record_limit.unwrap_or(usize::MAX),
            node_meta_txt: dns.node_meta_txt,
            recursion: !dns.recursors.is_empty(),
        }
    }

    /// Of what a name is part. Where one domain is part of the other, the longer one counts.
    pub(crate) fn part(&self, name: &Name) -> Part {
        let domains = [Some(&self.domain), self.alt_domain.as_ref()];
        let fits = domains.into_iter().flatten().filter_map(|domain| Some((name.ends_in(domain)?, domain)));
        if let Some((before, domain)) = fits.min_by_key(|(before, _)| *before)
            && let Some(spelled) = name.tail_at(before, domain)
        {
            return Part::Domain { spelled, before };
        }
        if name.ends_in(&self.reverse).is_some() { Part::Reverse } else { Part::Foreign }
    }

    /// The domain as it is configured.
    pub(crate) fn domain(&self) -> &Name {
        &self.domain
    }

    /// How long an answer about a service is good, in seconds. `service` is in lower case.
    pub(crate) fn service_ttl(&self, service: &str) -> u32 {
        let fit = self.service_ttl.iter().filter_map(|(name, ttl)| match name.strip_suffix('*') {
            Some(begin) => service.starts_with(begin).then_some((begin.len(), ttl)),
            None => (name == service).then_some((usize::MAX, ttl)),
        });
        fit.max_by_key(|(length, _)| *length).map_or(0, |(_, ttl)| *ttl)
    }

    /// What the zone says of itself to who asked for `name`, at `serial`: the time in seconds.
    pub(crate) fn soa(&self, name: &Name, serial: u32) -> Option<Record> {
        // Consul compares with the domain as configured here, in lower case.
        let alt = self.alt_domain.as_ref().filter(|alt| {
            name.ends_in(alt).is_some_and(|before| before > 0 && name.as_wire().ends_with(alt.as_wire()))
        });
        let domain = alt.unwrap_or(&self.domain);
        let soa = Soa {
            primary: Name::before("ns", domain)?,
            mailbox: Name::before("hostmaster", domain)?,
            serial,
            refresh: REFRESH,
            retry: RETRY,
            expire: EXPIRE,
            least_ttl: NEGATIVE_TTL,
        };
        Some(Record { owner: domain.clone(), ttl: NEGATIVE_TTL, data: Data::Soa(Arc::new(soa)) })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn name(text: &str) -> Name {
        Name::of_text(text).unwrap()
    }

    #[test]
    fn the_domain_is_told_as_the_question_spells_it() {
        let dns = Dns::default().domain("consul").alt_domain(Some("Dc.Consul".to_owned()));
        let zone = Zone::new(&dns, "dc1");
        for (asked, spelled) in [
            ("web.service.CONSUL", Some("CONSUL")),
            ("web.service.DC.consul", Some("DC.consul")),
            ("consul", Some("consul")),
            ("consul.example", None),
        ] {
            let expected = spelled.map_or(Part::Foreign, |spelled| Part::Domain {
                spelled: name(spelled),
                before: asked.len() - spelled.len(),
            });
            assert_eq!(zone.part(&name(asked)), expected, "{asked}");
        }
        assert_eq!(zone.part(&name("1.0.0.10.In-Addr.ARPA")), Part::Reverse);
    }

    #[test]
    fn the_longest_name_that_fits_says_how_long_an_answer_is_good() {
        let ttls = [("*", 1), ("db-*", 2), ("db-main", 3), ("db-m*", 4)];
        let ttls = ttls.map(|(name, seconds)| (name.to_owned(), Duration::from_secs(seconds)));
        let zone = Zone::new(&Dns::default().service_ttl(BTreeMap::from(ttls)), "dc1");
        for (service, ttl) in [("web", 1), ("db-a", 2), ("db-main", 3), ("db-main2", 4), ("db", 1)] {
            assert_eq!(zone.service_ttl(service), ttl, "{service}");
        }
        assert_eq!(Zone::new(&Dns::default(), "dc1").service_ttl("web"), 0);
    }
}
