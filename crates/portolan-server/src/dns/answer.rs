//! From a question to its answer. PURE: the catalogue is asked, nothing else.
//!
//! In:  a question, the zone, the catalogue, what others said of names that are not here, the time, and chance.
//! Out: a code and records; or that the question is for others; and which names others are to be asked for.
//!
//! Never: goes round for ever: names in the domain that lead to names in it are followed three times, and so many instances in all.
//!
//! Rules from Consul: agent/dns.go (1.21).
//! Proof: `answer/tests.rs`; `tests/dns.rs` compares with a real Consul.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use super::{
    ask::Asked,
    message::{Question, Rcode, kind},
    name::Name,
    record::{Data, Extra, Record, Sections},
    zone::{Part, Zone},
};
use crate::{
    chance::Chance,
    state::{Admit, Entry, Owner, State, Usable, prepared::rows::QuerySpec, rows::NodeRow},
};

mod instance;
mod reverse;

/// How often a name that leads to another in the domain is followed. Consul: `maxRecursionLevelDefault`.
const DEEPEST: u8 = 3;
/// How many instances are looked at on the way, for one question.
const MOST_INSTANCES: usize = 10_000;
/// How many records of a name elsewhere are told to who has no EDNS. Consul: `maxRecurseRecords`.
const MOST_OF_OTHERS: usize = 5;
/// How many name servers are told. Consul: `getNameserversAndNodeRecord`.
const MOST_NAME_SERVERS: usize = 3;

/// What is asked of the catalogue.
pub(crate) trait Catalogue {
    /// The instances of a service that may be used. `service` and `tag` are in lower case; an empty tag is any.
    fn usable(&self, service: &str, tag: &str, admit: Admit) -> Vec<Usable>;
    /// What a prepared query finds, and how many seconds that may be kept, if the query says so. `None`: there is no such query.
    fn prepared(&self, name: &str) -> Option<Prepared>;
    /// The node of a name in lower case.
    fn node_named(&self, lower: &str) -> Option<Arc<NodeRow>>;
    /// Who has an address.
    fn owner_of(&self, address: IpAddr) -> Option<Owner>;
}

impl Catalogue for State {
    fn usable(&self, service: &str, tag: &str, admit: Admit) -> Vec<Usable> {
        Self::usable(self, service, tag, admit)
    }

    fn prepared(&self, name: &str) -> Option<Prepared> {
        let (_, spec) = self.query_for(name)?;
        Some(Prepared::new(&spec, self.query_entries(&spec.wanted)))
    }

    fn node_named(&self, lower: &str) -> Option<Arc<NodeRow>> {
        Self::node_named(self, lower)
    }

    fn owner_of(&self, address: IpAddr) -> Option<Owner> {
        Self::owner_of(self, address, |_, _| true)
    }
}

/// What a prepared query found.
#[derive(Debug)]
pub(crate) struct Prepared {
    service: String,
    found: Vec<Usable>,
    /// In seconds.
    ttl: Option<u32>,
}

impl Prepared {
    pub(crate) fn new(spec: &QuerySpec, found: Vec<Entry>) -> Self {
        let ttl = Some(&spec.ttl).filter(|text| !text.is_empty());
        let ttl = ttl.and_then(|text| portolan::parse_duration("DNS.TTL", text).ok());
        Self {
            service: spec.wanted.service.to_lowercase(),
            found: found.into_iter().map(Usable::from).collect(),
            ttl: ttl.map(|ttl| u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX)),
        }
    }
}

/// What others said of names, in order. A name that is there and has no records was asked for in vain.
pub(crate) type Heard = BTreeMap<Name, Vec<Record>>;

/// What is to be said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// Names elsewhere that would make it better.
    pub(crate) wanted: BTreeSet<Name>,
}

/// Who says it, and with which code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Here(Rcode, Sections),
    /// Others are to be asked, if anybody is.
    Forward,
}

/// Nothing of the name, or nothing of the kind: two that clients tell apart (RFC 2308).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Name,
    Data,
}

/// What there is beside the question.
pub(crate) struct Setting<'a, C> {
    pub(crate) zone: &'a Zone,
    pub(crate) catalogue: &'a C,
    pub(crate) heard: &'a Heard,
    /// Whether whoever asks can take more than the least.
    pub(crate) edns: bool,
    /// The time in seconds, for the zone's serial number.
    pub(crate) time: u32,
}

/// One question on its way.
struct Asking<'a, C> {
    setting: &'a Setting<'a, C>,
    chance: &'a mut Chance,
    wanted: BTreeSet<Name>,
    looked_at: usize,
    followed: BTreeMap<(Name, u8), Vec<Record>>,
}

/// The answer to a question.
pub(crate) fn answer<C: Catalogue>(
    question: &Question,
    setting: &Setting<'_, C>,
    chance: &mut Chance,
) -> Answer {
    let (wanted, followed) = (BTreeSet::new(), BTreeMap::new());
    let mut asking = Asking { setting, chance, wanted, looked_at: 0, followed };
    let outcome = match setting.zone.part(&question.name) {
        Part::Foreign => Outcome::Forward,
        Part::Reverse => reverse::outcome(question, setting),
        Part::Domain { spelled, before } => asking.in_domain(question, &spelled, before),
    };
    Answer { outcome, wanted: asking.wanted }
}

impl<C: Catalogue> Asking<'_, C> {
    fn in_domain(&mut self, question: &Question, spelled: &Name, before: usize) -> Outcome {
        let Setting { zone, time, .. } = *self.setting;
        let mut sections = Sections::default();
        match question.kind {
            kind::SOA => {
                sections.answers.extend(zone.soa(&question.name, time));
                let (servers, mut extra) = self.name_servers(spelled);
                extra.iter_mut().for_each(|extra| extra.of = 0);
                (sections.authority, sections.extra) = (servers, extra);
            }
            kind::NS => (sections.answers, sections.extra) = self.name_servers(spelled),
            kind::AXFR => return Outcome::Here(Rcode::NotImp, sections),
            _ => {
                if let Err(missing) = self.dispatch(question, spelled, before, DEEPEST, &mut sections) {
                    sections.authority.extend(zone.soa(&question.name, time));
                    if missing == Missing::Name {
                        return Outcome::Here(Rcode::NxDomain, sections);
                    }
                }
            }
        }
        Outcome::Here(Rcode::NoError, sections)
    }

    fn dispatch(
        &mut self,
        question: &Question,
        spelled: &Name,
        before: usize,
        depth: u8,
        sections: &mut Sections,
    ) -> Result<(), Missing> {
        let zone = self.setting.zone;
        match Asked::of(&question.name, before, question.kind, &zone.datacenter) {
            Asked::Service { service, tag } => {
                let found = self.setting.catalogue.usable(&service, &tag, zone.admit);
                let about = instance::About { question, spelled, ttl: zone.service_ttl(&service), depth };
                self.instances(&about, found, sections)
            }
            Asked::Query { name } => {
                let query = self.setting.catalogue.prepared(&name).ok_or(Missing::Name)?;
                let ttl = query.ttl.unwrap_or_else(|| zone.service_ttl(&query.service));
                self.instances(&instance::About { question, spelled, ttl, depth }, query.found, sections)
            }
            Asked::Node { node, here } => self.node(question, (&node, here), depth, sections),
            Asked::Address(ip) => {
                // The name is told in lower case (Consul: `dispatch`), all but the domain.
                let own = question.name.lowered();
                let labels: Vec<&[u8]> = own.labels().collect();
                let tail = spelled.labels().count();
                let head = labels.get(..labels.len().saturating_sub(tail)).unwrap_or_default();
                let owner = Name::joined(head.iter().copied(), spelled).unwrap_or(own.clone());
                let record = Record { owner, ttl: zone.node_ttl, data: Data::address(ip) };
                if question.kind == record.data.kind() || question.kind == kind::ANY {
                    sections.answers.push(record);
                } else {
                    sections.extra.push(Extra { record, of: 0, needed: true });
                }
                Ok(())
            }
            Asked::Virtual => Ok(()),
            Asked::Nothing => Err(Missing::Name),
        }
    }

    fn instances(
        &mut self,
        about: &instance::About<'_>,
        mut found: Vec<Usable>,
        sections: &mut Sections,
    ) -> Result<(), Missing> {
        if found.is_empty() {
            return Err(Missing::Name);
        }
        self.looked_at = self.looked_at.saturating_add(found.len());
        shuffle(&mut found, self.chance);
        if about.question.kind == kind::SRV {
            self.srv(about, &found, sections);
        } else {
            self.addresses(about, &found, sections);
        }
        if sections.answers.is_empty() { Err(Missing::Data) } else { Ok(()) }
    }

    fn node(
        &mut self,
        question: &Question,
        (name, here): (&str, bool),
        depth: u8,
        sections: &mut Sections,
    ) -> Result<(), Missing> {
        // Of other kinds there is nothing, not even that there is no such node (Consul: `handleNodeQuery`).
        if !matches!(question.kind, kind::ANY | kind::A | kind::AAAA | kind::TXT) {
            return Ok(());
        }
        let Setting { zone, catalogue, .. } = *self.setting;
        let node = here.then(|| catalogue.node_named(name)).flatten().ok_or(Missing::Name)?;
        if question.kind != kind::TXT {
            sections.answers.extend(self.of_node(&node.spec, question.kind, &question.name, depth));
        }
        let meta = instance::meta(&node.spec, &question.name, zone.node_ttl);
        if matches!(question.kind, kind::TXT | kind::ANY) {
            sections.answers.extend(meta);
        } else if zone.node_meta_txt {
            sections.extra.extend(meta.map(|record| Extra { record, of: 0, needed: false }));
        }
        Ok(())
    }

    /// Up to three nodes of the service `consul`, with their addresses.
    fn name_servers(&mut self, spelled: &Name) -> (Vec<Record>, Vec<Extra>) {
        let zone = self.setting.zone;
        let mut found = self.setting.catalogue.usable("consul", "", zone.admit);
        shuffle(&mut found, self.chance);
        let plain = |name: &str| name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'\\');
        let (mut servers, mut extra) = (Vec::new(), Vec::new());
        for one in found.iter().filter(|one| plain(&one.node.spec.name)) {
            let Some(target) = self.node_name(&one.node.spec.name, spelled) else { continue };
            let target = target.lowered();
            let of = servers.len();
            let data = Data::Ns(target.clone());
            servers.push(Record { owner: spelled.clone(), ttl: zone.node_ttl, data });
            let addresses = self.of_node(&one.node.spec, kind::ANY, &target, DEEPEST);
            extra.extend(addresses.into_iter().map(|record| Extra { record, of, needed: true }));
            if servers.len() >= MOST_NAME_SERVERS {
                break;
            }
        }
        (servers, extra)
    }

    /// The name of a node in the domain. `None`: it cannot be written as one.
    fn node_name(&self, node: &str, spelled: &Name) -> Option<Name> {
        let datacenter = &self.setting.zone.datacenter;
        let words = ["node", datacenter.as_str()];
        let labels = node.split('.').chain(words).map(str::as_bytes);
        Name::joined(labels, spelled)
    }

    /// What a name leads to: here by the catalogue, elsewhere by what others said.
    fn follow(&mut self, name: &Name, depth: u8) -> Vec<Record> {
        match self.setting.zone.part(name) {
            Part::Domain { spelled, before } if before > 0 => {
                let Some(depth) = depth.checked_sub(1).filter(|_| self.looked_at < MOST_INSTANCES) else {
                    return Vec::new();
                };
                let known = (name.clone(), depth);
                if let Some(records) = self.followed.get(&known) {
                    return records.clone();
                }
                let question = Question { name: name.clone(), kind: kind::ANY, class: 1 };
                let mut sections = Sections::default();
                // What is not there leads nowhere.
                let _missing = self.dispatch(&question, &spelled, before, depth, &mut sections);
                self.followed.insert(known, sections.answers.clone());
                sections.answers
            }
            _ => {
                if let Some(records) = self.setting.heard.get(name) {
                    return records.clone();
                }
                if self.setting.zone.recursion {
                    self.wanted.insert(name.clone());
                }
                Vec::new()
            }
        }
    }
}

/// Puts them into any order (Fisher and Yates).
fn shuffle<T>(all: &mut [T], chance: &mut Chance) {
    for last in (1..all.len()).rev() {
        let among = u64::try_from(last).unwrap_or(u64::MAX).saturating_add(1);
        let place = chance.next().checked_rem(among).and_then(|place| usize::try_from(place).ok());
        all.swap(last, place.unwrap_or(last));
    }
}

#[cfg(test)]
mod tests;
