//! Records of an answer. PURE: values, and how long they are.
//!
//! In:  names, addresses, text. Out: records as [`super::write`] writes them.
//!
//! Never: holds what cannot be written.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use super::{message::kind, name::Name};

/// The longest string in a TXT record; longer text is several.
pub(super) const LONGEST_STRING: usize = 255;

/// What a zone says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Soa {
    pub(crate) primary: Name,
    pub(crate) mailbox: Name,
    pub(crate) serial: u32,
    pub(crate) refresh: u32,
    pub(crate) retry: u32,
    pub(crate) expire: u32,
    pub(crate) least_ttl: u32,
}

/// The content of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(Name),
    Ns(Name),
    Ptr(Name),
    Srv { weight: u16, port: u16, target: Name },
    Soa(Arc<Soa>),
    Txt(Arc<str>),
}

/// A record. Its class is IN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) owner: Name,
    /// In seconds.
    pub(crate) ttl: u32,
    pub(crate) data: Data,
}

impl Data {
    pub(crate) fn address(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::A(ip),
            IpAddr::V6(ip) => Self::Aaaa(ip),
        }
    }

    pub(super) fn kind(&self) -> u16 {
        match self {
            Self::A(_) => kind::A,
            Self::Aaaa(_) => kind::AAAA,
            Self::Cname(_) => kind::CNAME,
            Self::Ns(_) => kind::NS,
            Self::Ptr(_) => kind::PTR,
            Self::Srv { .. } => kind::SRV,
            Self::Soa(_) => kind::SOA,
            Self::Txt(_) => kind::TXT,
        }
    }

    /// Its length where no name in it is shortened.
    fn plain_length(&self) -> usize {
        match self {
            Self::A(_) => 4,
            Self::Aaaa(_) => 16,
            Self::Cname(name) | Self::Ns(name) | Self::Ptr(name) => name.as_wire().len(),
            Self::Srv { target, .. } => target.as_wire().len().saturating_add(6),
            Self::Soa(soa) => {
                let names = soa.primary.as_wire().len().saturating_add(soa.mailbox.as_wire().len());
                names.saturating_add(20)
            }
            Self::Txt(text) => text.len().saturating_add(text.len().div_ceil(LONGEST_STRING).max(1)),
        }
    }
}

impl Record {
    /// Its length where no name in it is shortened.
    pub(super) fn plain_length(&self) -> usize {
        self.owner.as_wire().len().saturating_add(10).saturating_add(self.data.plain_length())
    }
}

/// A record that comes along with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extra {
    pub(crate) record: Record,
    /// To which answer it belongs, by its place. It goes where that is cut off.
    pub(crate) of: usize,
    /// Whether the answer is of less use without it. What is not goes first.
    pub(crate) needed: bool,
}

/// What is said, before it is known how much of it there is room for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Sections {
    pub(crate) answers: Vec<Record>,
    pub(crate) authority: Vec<Record>,
    pub(crate) extra: Vec<Extra>,
}
