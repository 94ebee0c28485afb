//! Whose an address is. PURE.
//!
//! In:  a name below `arpa`. Out: the name of the node, or of the service, that has the address.
//!
//! Rules from Consul: agent/dns.go `handlePtr`, internal/dnsutil/dns.go `IPFromARPA`: whatever kind is asked for.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::net::{IpAddr, Ipv4Addr};

use super::{Catalogue, Outcome, Setting};
use crate::{
    dns::{
        message::{Question, Rcode, kind},
        name::Name,
        record::{Data, Record, Sections},
    },
    state::Owner,
};

/// The address that a name below `arpa` stands for: `1.0.0.10.in-addr.arpa`, or 32 digits and `ip6.arpa`.
pub(super) fn address(name: &Name) -> Option<IpAddr> {
    let text = |label| std::str::from_utf8(label).ok().map(str::to_lowercase);
    let labels: Vec<String> = name.labels().map(text).collect::<Option<_>>()?;
    let (tail, digits) = match labels.as_slice() {
        [digits @ .., family, arpa] if arpa == "arpa" => (family, digits),
        _ => return None,
    };
    match (tail.as_str(), digits) {
        ("in-addr", [d, c, b, a]) => {
            // Text decides, so that `010` is not taken for 10.
            format!("{a}.{b}.{c}.{d}").parse::<Ipv4Addr>().ok().map(IpAddr::V4)
        }
        ("ip6", digits) if digits.len() == 32 => {
            let digit = |text: &String| match text.as_bytes() {
                [one] => char::from(*one).to_digit(16),
                _ => None,
            };
            let number = digits
                .iter()
                .rev()
                .try_fold(0_u128, |so_far, text| Some((so_far << 4) | u128::from(digit(text)?)))?;
            Some(IpAddr::V6(number.into()))
        }
        _ => None,
    }
}

pub(super) fn outcome<C: Catalogue>(question: &Question, setting: &Setting<'_, C>) -> Outcome {
    let Setting { zone, catalogue, time, .. } = *setting;
    let mut sections = Sections::default();
    if question.kind == kind::SOA {
        sections.authority.extend(zone.soa(&question.name, time));
    }
    let named = |name: &str, kind: &str| {
        let words = [kind, zone.datacenter.as_str()];
        Name::joined(name.split('.').chain(words).map(str::as_bytes), zone.domain())
    };
    let owner = address(&question.name).and_then(|ip| catalogue.owner_of(ip));
    let target = owner.and_then(|owner| match owner {
        Owner::Node(name) => named(&name, "node"),
        Owner::Service(name) => named(&name, "service"),
    });
    match target {
        Some(target) => {
            let record = Record { owner: question.name.clone(), ttl: 0, data: Data::Ptr(target) };
            sections.answers.push(record);
            Outcome::Here(Rcode::NoError, sections)
        }
        None if zone.recursion => Outcome::Forward,
        None => {
            sections.authority.extend(zone.soa(&question.name, time));
            Outcome::Here(Rcode::NxDomain, sections)
        }
    }
}
