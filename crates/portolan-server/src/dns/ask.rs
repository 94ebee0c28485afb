//! What a name in the domain asks for. PURE.
//!
//! In:  the labels before the domain, and the datacenter that this is. Out: what is [`Asked`].
//!
//! ```text
//! [tag.]NAME.service[.DC]          _NAME._TAG[.service][.DC]      NAME.node[.DC]
//! NAME.{connect,virtual,ingress,query}[.DC]                       HEX.addr[.any]
//! ```
//!
//! Where a datacenter may stand, `DC.dc` and `PEER.peer` may too.
//!
//! Never: guesses: a form that is not one of these asks for nothing.
//!
//! Rules from Consul: agent/dns.go `dispatch`, agent/dns_ce.go `parseLocality`.
//! Proof: `ask/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{borrow::Cow, net::IpAddr};

use super::{message::kind, name::Name};

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The instances of a service with a tag; an empty tag is any. Both are in lower case.
    Service { service: String, tag: String },
    /// What a prepared query finds, by its name in lower case.
    Query { name: String },
    /// A node, by its name in lower case; elsewhere there are none.
    Node { node: String, here: bool },
    /// The address that stands in the name.
    Address(IpAddr),
    /// An address of the mesh, which there is not.
    Virtual,
    /// There is nothing of this name.
    Nothing,
}

/// Where something is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whereabouts {
    Here,
    Elsewhere,
}

/// The words that say of what kind a name is.
const KINDS: [&str; 7] = ["service", "connect", "virtual", "ingress", "node", "query", "addr"];

/// Labels in lower case.
type Labels<'a> = &'a [Cow<'a, str>];

/// Nearly all names come in lower case, and need no copy.
fn lowered(label: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(label) {
        Ok(text) if text.bytes().all(|c| c.is_ascii() && !c.is_ascii_uppercase()) => Cow::Borrowed(text),
        _ => Cow::Owned(String::from_utf8_lossy(label).to_lowercase()),
    }
}

impl Asked {
    /// Reads the labels of `name` that stand before its last `tail` bytes, the domain.
    pub(crate) fn of(name: &Name, before: usize, question: u16, datacenter: &str) -> Self {
        let mut length = 0_usize;
        let labels: Vec<Cow<'_, str>> = name
            .labels()
            .take_while(|label| {
                let begins = length;
                length = length.saturating_add(label.len()).saturating_add(1);
                begins < before
            })
            .map(lowered)
            .collect();
        Self::of_labels(&labels, question, datacenter).unwrap_or(Self::Nothing)
    }

    fn of_labels(labels: Labels<'_>, question: u16, datacenter: &str) -> Option<Self> {
        let (kind, parts, suffix) = split(labels, question)?;
        if kind == "addr" {
            return Some(Self::Address(address(parts)?));
        }
        let (last, rest) = parts.split_last()?;
        let place = whereabouts(suffix, datacenter)?;
        match kind {
            "service" => {
                // `_name._tag`; the protocol tcp is no tag (RFC 2782).
                let rfc2782 = match parts {
                    [name, tag] => name.strip_prefix('_').zip(tag.strip_prefix('_')),
                    _ => None,
                };
                let (service, tag) = match rfc2782 {
                    Some((name, "tcp")) => (name.to_owned(), String::new()),
                    Some((name, tag)) => (name.to_owned(), tag.to_owned()),
                    None => ((**last).to_owned(), rest.join(".")),
                };
                (place == Whereabouts::Here).then_some(Self::Service { service, tag })
            }
            "node" => Some(Self::Node { node: parts.join("."), here: place == Whereabouts::Here }),
            "query" => {
                // `_name._tcp`: whatever the protocol.
                let rfc2782 = match parts {
                    [first, .., last] if last.starts_with('_') => {
                        first.strip_prefix('_').map(|_| rest_of(parts))
                    }
                    _ => None,
                };
                let name = rfc2782.unwrap_or_else(|| parts.join("."));
                (place == Whereabouts::Here).then_some(Self::Query { name })
            }
            "virtual" => Some(Self::Virtual),
            // Of the mesh there is nothing: all names are unknown.
            _ => None,
        }
    }
}

/// The name of a query, of which a protocol is asked: all parts but the last, without the first `_`.
fn rest_of(parts: Labels<'_>) -> String {
    let name = parts.split_last().map(|(_, name)| name.join(".")).unwrap_or_default();
    name.strip_prefix('_').map(str::to_owned).unwrap_or(name)
}

/// The word for the kind, what stands before it and what behind. The last such word counts.
fn split<'a>(labels: Labels<'a>, question: u16) -> Option<(&'a str, Labels<'a>, Labels<'a>)> {
    for (at, label) in labels.iter().enumerate().rev() {
        if KINDS.contains(&&**label) {
            let (parts, rest) = labels.split_at_checked(at)?;
            return Some((label, parts, rest.split_first()?.1));
        }
        // A question for SRV needs not say that it means a service.
        if question == kind::SRV && label.starts_with('_') {
            let (parts, rest) = labels.split_at_checked(at.checked_add(1)?)?;
            return Some(("service", parts, rest));
        }
    }
    None
}

/// `None`: not a place. Peers there are none, so any is elsewhere.
fn whereabouts(suffix: Labels<'_>, datacenter: &str) -> Option<Whereabouts> {
    let is = |named: &str| if named == datacenter { Whereabouts::Here } else { Whereabouts::Elsewhere };
    match suffix {
        [] => Some(Whereabouts::Here),
        [named] => Some(is(named)),
        _ if suffix.len() == 2 || suffix.len() == 4 => {
            let (mut named, mut peer) = (None, false);
            for pair in suffix.chunks_exact(2) {
                match pair {
                    [name, word] if word == "dc" => named = Some(name),
                    [_, word] if word == "peer" => peer = true,
                    _ => return None,
                }
            }
            match (named, peer) {
                (Some(_), true) => None,
                (Some(name), false) => Some(is(name)),
                (None, _) => Some(Whereabouts::Elsewhere),
            }
        }
        _ => None,
    }
}

/// Eight hexadecimal digits are an IPv4 address, thirty-two one of IPv6.
fn address(parts: Labels<'_>) -> Option<IpAddr> {
    let [hex] = parts else { return None };
    // A sign would be taken for a part of the number.
    if !hex.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    match hex.len() {
        8 => Some(IpAddr::V4(u32::from_str_radix(hex, 16).ok()?.into())),
        32 => Some(IpAddr::V6(u128::from_str_radix(hex, 16).ok()?.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
