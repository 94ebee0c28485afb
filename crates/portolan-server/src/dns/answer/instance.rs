//! The records of instances and of nodes. PURE.
//!
//! In:  rows of the catalogue. Out: records.
//!
//! Rules from Consul: agent/dns.go `makeNodeServiceRecords`, `addServiceSRVRecordsToMessage`,
//! `addServiceNodeRecordsToMessage`, `makeTXTRecordFromNodeMeta`; agent/translate_addr.go (which address by which family).
//! Differs: a node whose name is no name in DNS is told by its address, where Consul says nothing at all; text of more than 255
//! bytes is told in parts, where Consul says nothing at all.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use super::{Asking, Catalogue, MOST_OF_OTHERS};
use crate::{
    dns::{
        message::{Question, kind},
        name::Name,
        record::{Data, Extra, Record, Sections},
    },
    state::{
        Usable,
        rows::{NodeRow, NodeSpec, ServiceSpec},
    },
};

/// What the records are for.
pub(super) struct About<'a> {
    pub(super) question: &'a Question,
    /// The domain as the question spells it.
    pub(super) spelled: &'a Name,
    pub(super) ttl: u32,
    pub(super) depth: u8,
}

/// Where an instance is.
enum Whereabouts<'a> {
    /// At its node's address, and told by the node's name.
    AtNode(IpAddr),
    At(IpAddr),
    /// Where this name leads.
    Named(&'a str),
    Nowhere,
}

/// The address of a thing for a question: the one of the family that is asked for, if it has one, else the one it has.
fn translated<'a>(asked: u16, plain: &'a str, v4: Option<&'a str>, v6: Option<&'a str>) -> &'a str {
    let given = |text: Option<&'a str>| text.filter(|text| !text.is_empty());
    let by_family = match asked {
        kind::A => given(v4),
        kind::AAAA => given(v6),
        _ => given(v6).or_else(|| given(v4)),
    };
    by_family.unwrap_or(plain)
}

fn node_address(node: &NodeSpec, asked: u16) -> &str {
    let tagged = |tag: &str| node.tagged.as_ref().and_then(|tagged| tagged.get(tag)).map(|text| &**text);
    translated(asked, &node.address, tagged("lan_ipv4"), tagged("lan_ipv6"))
}

fn service_address(service: &ServiceSpec, asked: u16) -> &str {
    let tagged = |tag: &str| service.tagged.get(tag).map(|tagged| &*tagged.address);
    translated(asked, &service.address, tagged("lan_ipv4"), tagged("lan_ipv6"))
}

/// Where an instance is, for a question of this kind. Consul: `makeNodeServiceRecords`.
fn whereabouts<'a>(one: &'a Usable, question: &Question) -> Whereabouts<'a> {
    let own = service_address(&one.service.spec, question.kind);
    // Most have an address of their own, so that the node's need not be read.
    if let Ok(ip) = own.parse() {
        return Whereabouts::At(ip);
    }
    let node = &one.node.spec;
    let on = node_address(node, question.kind);
    let at_node = on.parse::<IpAddr>();
    if own.is_empty() {
        return match at_node {
            Ok(ip) if *node.address == *on => Whereabouts::AtNode(ip),
            Ok(ip) => Whereabouts::At(ip),
            Err(_) if on.is_empty() => Whereabouts::Nowhere,
            Err(_) => Whereabouts::Named(on),
        };
    }
    // One whose address is its own name in DNS would lead to itself.
    match at_node {
        Ok(ip) if Name::of_text(own).as_ref() == Some(&question.name) => Whereabouts::AtNode(ip),
        _ => Whereabouts::Named(own),
    }
}

/// Whether a question of this kind is answered with an address of this family. Consul: `makeARecord`.
fn answers_with(asked: u16, ip: IpAddr) -> bool {
    match asked {
        kind::SRV | kind::ANY | kind::NS | kind::TXT => true,
        kind::A => ip.is_ipv4(),
        kind::AAAA => ip.is_ipv6(),
        _ => false,
    }
}

/// Writes two digits for each byte, and says how many they are. `write!` would cost more than the rest of the name.
fn hex(bytes: &[u8], digits: &mut [u8]) -> usize {
    let digit = |value: u8| if value < 10 { value.wrapping_add(b'0') } else { value.wrapping_add(b'a' - 10) };
    for (byte, pair) in bytes.iter().zip(digits.chunks_exact_mut(2)) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
    }
    bytes.len().saturating_mul(2)
}

/// The address as a name in the domain.
fn address_name(ip: IpAddr, datacenter: &str, spelled: &Name) -> Option<Name> {
    let mut digits = [0_u8; 32];
    let length = match ip {
        IpAddr::V4(ip) => hex(&ip.octets(), &mut digits),
        IpAddr::V6(ip) => hex(&ip.octets(), &mut digits),
    };
    let labels = [digits.get(..length)?, b"addr", datacenter.as_bytes()];
    Name::joined(labels.into_iter(), spelled)
}

/// A node's meta as TXT: `key=value` (RFC 1464), or the bare value where the key begins with `rfc1035-`.
pub(super) fn meta(node: &NodeSpec, owner: &Name, ttl: u32) -> impl Iterator<Item = Record> {
    texts(node).map(move |text| Record { owner: owner.clone(), ttl, data: Data::Txt(text) })
}

fn texts(node: &NodeSpec) -> impl Iterator<Item = Arc<str>> {
    node.meta.iter().flatten().map(|(key, value)| {
        let bare = key.get(..8).is_some_and(|begin| begin.eq_ignore_ascii_case("rfc1035-"));
        if bare { Arc::clone(value) } else { rfc1464(key, value).into() }
    })
}

/// A pair as text: what parts it is quoted in the key, and so are the spaces around that.
fn rfc1464(key: &str, value: &str) -> String {
    let mut text = String::with_capacity(key.len().saturating_add(value.len()).saturating_add(1));
    let begins = key.len().saturating_sub(key.trim_start_matches(' ').len());
    let ends = key.trim_end_matches(' ').len();
    for (at, c) in key.char_indices() {
        if matches!(c, '`' | '=') || (c == ' ' && (at < begins || at >= ends)) {
            text.push('`');
        }
        text.push(c);
    }
    text.push('=');
    text.push_str(&value.replace('`', "``"));
    text
}

impl<C: Catalogue> Asking<'_, C> {
    /// The records of a node's address; a name is followed.
    pub(super) fn of_node(&mut self, node: &NodeSpec, asked: u16, owner: &Name, depth: u8) -> Vec<Record> {
        let ttl = self.setting.zone.node_ttl;
        if let Ok(ip) = node_address(node, asked).parse() {
            let record = Record { owner: owner.clone(), ttl, data: Data::address(ip) };
            return if answers_with(asked, ip) { vec![record] } else { Vec::new() };
        }
        let Some(target) = Name::of_text(&node.address) else { return Vec::new() };
        let mut records = vec![Record { owner: owner.clone(), ttl, data: Data::Cname(target.clone()) }];
        records.extend(self.follow(&target, depth));
        records
    }

    /// What a service's name elsewhere leads to: addresses and the names on the way, as good as the service's answers are.
    fn led_to(&mut self, target: &Name, about: &About<'_>) -> Vec<Record> {
        let most =
            if self.setting.edns && about.depth == super::DEEPEST { usize::MAX } else { MOST_OF_OTHERS };
        let records = self.follow(target, about.depth).into_iter();
        let useful = records.filter(|one| matches!(one.data, Data::Cname(_) | Data::A(_) | Data::Aaaa(_)));
        useful.take(most).map(|record| Record { ttl: about.ttl, ..record }).collect()
    }

    /// An address each, without repetition; where there is none, the first name.
    pub(super) fn addresses(&mut self, about: &About<'_>, found: &[Usable], sections: &mut Sections) {
        let About { question, ttl, .. } = *about;
        let most = self.setting.zone.a_record_limit;
        let mut told = BTreeSet::new();
        let mut name = None;
        sections.answers.reserve(found.len().min(most));
        for one in found {
            match whereabouts(one, question) {
                Whereabouts::AtNode(ip) | Whereabouts::At(ip) => {
                    if answers_with(question.kind, ip) && told.insert(ip) {
                        let owner = question.name.clone();
                        sections.answers.push(Record { owner, ttl, data: Data::address(ip) });
                    }
                }
                Whereabouts::Named(text) => name = name.or_else(|| Name::of_text(text)),
                Whereabouts::Nowhere => {}
            }
            if told.len() >= most {
                return;
            }
        }
        if let Some(target) = name.filter(|_| told.is_empty()) {
            let data = Data::Cname(target.clone());
            sections.answers.push(Record { owner: question.name.clone(), ttl, data });
            sections.answers.extend(self.led_to(&target, about));
        }
    }

    /// A port and a name each, with the address that the name leads to.
    pub(super) fn srv(&mut self, about: &About<'_>, found: &[Usable], sections: &mut Sections) {
        let About { question, spelled, ttl, .. } = *about;
        let zone = self.setting.zone;
        let (mut told, mut targets) = (BTreeSet::new(), BTreeSet::new());
        let mut last: Option<(&NodeRow, Name, Vec<Arc<str>>)> = None;
        sections.answers.reserve(found.len());
        sections.extra.reserve(found.len());
        for one in found {
            let spec = &one.service.spec;
            let port = spec.port;
            // What differs most stands first.
            if !told.insert((service_address(spec, kind::SRV), port, &one.node.spec.name)) {
                continue;
            }
            let by_address = |ip| address_name(ip, &zone.datacenter, spelled);
            let node = || self.node_name(&one.node.spec.name, spelled);
            let (target, led) = match whereabouts(one, question) {
                Whereabouts::AtNode(ip) => (node().or_else(|| by_address(ip)), Ok(ip)),
                Whereabouts::At(ip) => (by_address(ip), Ok(ip)),
                Whereabouts::Named(text) => (Name::of_text(text), Err(())),
                Whereabouts::Nowhere => continue,
            };
            let Some(target) = target else { continue };
            let of = sections.answers.len();
            let data = Data::Srv { weight: one.weight, port, target: target.clone() };
            sections.answers.push(Record { owner: question.name.clone(), ttl, data });
            // Many instances may be on one node, whose meta is then written once.
            let is_same = last.as_ref().is_some_and(|(of, ..)| std::ptr::eq(*of, &*one.node));
            if zone.node_meta_txt && !is_same {
                last = node().map(|name| (&*one.node, name, texts(&one.node.spec).collect()));
            }
            // Two ports of one target lead to one address: where room is short it is told once.
            let needed = targets.insert(target.clone());
            match led {
                Ok(ip) => {
                    let record = Record { owner: target, ttl, data: Data::address(ip) };
                    sections.extra.push(Extra { record, of, needed });
                }
                Err(()) => {
                    let records = self.led_to(&target, about).into_iter();
                    sections.extra.extend(records.map(|record| Extra { record, of, needed }));
                }
            }
            if let Some((_, name, texts)) = &last {
                let record = |text| Record { owner: name.clone(), ttl, data: Data::Txt(text) };
                let extra = |text| Extra { record: record(text), of, needed: false };
                sections.extra.extend(texts.iter().cloned().map(extra));
            }
        }
    }
}
