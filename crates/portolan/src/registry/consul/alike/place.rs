//! Where in an entry its scalars stand. PURE.
//!
//! In:  an entry that the parser has read, and its bytes. Out: its strings and whole numbers, each with the field that
//! the parser has read it to.
//!
//! Never: calls dropped what the parser reads: `Field::of` does not compile when `wire` reads one more.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::{Kind, Scalar, bytes};
use crate::registry::{
    CheckOutput,
    consul::wire::{CheckEntry, Entry, Locality, Node, PlaceOf, Service, Text, WeightsEntry},
};

/// So many scalars an entry has most often.
const ROOM: usize = 128;
/// So many values an entry may have: a remembered scalar is bigger than a digit and a comma.
const VALUES: usize = 1024;
/// So deep its values may be nested: what is dropped the parser reads however deep it is.
const DEPTH: usize = 32;

/// A text that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Node,
    NodeAddress,
    Datacenter,
    NodeZone,
    NodeRegion,
    NodeLocality(Locale),
    Id,
    Name,
    Address,
    Tag(u16),
    Meta(u16),
    Locality(Locale),
    Check(u16, CheckField),
}

/// A text of a locality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Locale {
    Zone,
    Region,
}

/// A text of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckField {
    Id,
    Name,
    Status,
    Output,
    ServiceId,
}

/// A number that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Port,
    Passing,
    Warning,
}

/// What may stand at a place in an entry.
#[derive(Clone, Copy, Debug)]
enum Place {
    Entry,
    Node,
    NodeMeta,
    NodeLocality,
    Service,
    Tags,
    Meta,
    Weights,
    Locality,
    Checks,
    Check(u16),
    Text(Field),
    Number(Number),
    /// It is read, but differs so seldom that it is not looked for: what is not here must be equal.
    Fixed,
    Dropped,
}

impl Field {
    /// The field of this entry.
    pub(super) fn of<'e, 'b>(self, entry: &'e mut Entry<'b>) -> Option<&'e mut Text<'b>> {
        let Entry { node, service, checks } = entry;
        let Node { node, address: node_address, datacenter, meta: node_meta, locality: node_locality } = node;
        let PlaceOf { zone: zone_of_node, region: region_of_node } = node_meta;
        let Service {
            id,
            name,
            address,
            port: _,
            tags,
            meta,
            weights: _,
            locality,
            namespace: _,
            partition: _,
            peer: _,
        } = service;
        match self {
            Self::Node => Some(node),
            Self::NodeAddress => Some(node_address),
            Self::Datacenter => Some(datacenter),
            Self::NodeZone => zone_of_node.as_mut(),
            Self::NodeRegion => region_of_node.as_mut(),
            Self::NodeLocality(locale) => node_locality.as_mut().map(|locality| locale.of(locality)),
            Self::Id => Some(id),
            Self::Name => Some(name),
            Self::Address => Some(address),
            Self::Tag(at) => tags.get_mut(usize::from(at)),
            Self::Meta(at) => meta.value_mut(usize::from(at)),
            Self::Locality(locale) => locality.as_mut().map(|locality| locale.of(locality)),
            Self::Check(at, field) => {
                let CheckEntry { id, name, status, output, service_id } = checks.get_mut(usize::from(at))?;
                Some(match field {
                    CheckField::Id => id,
                    CheckField::Name => name,
                    CheckField::Status => status,
                    CheckField::Output => output,
                    CheckField::ServiceId => service_id,
                })
            }
        }
    }
}

impl Locale {
    fn of<'e, 'b>(self, locality: &'e mut Locality<'b>) -> &'e mut Text<'b> {
        let Locality { zone, region } = locality;
        match self {
            Self::Zone => zone,
            Self::Region => region,
        }
    }
}

impl Number {
    /// The field of this entry.
    pub(super) fn of<'e>(self, entry: &'e mut Entry<'_>) -> Option<&'e mut i64> {
        let weights = entry.service.weights.as_mut();
        match self {
            Self::Port => Some(&mut entry.service.port),
            Self::Passing => weights.map(|WeightsEntry { passing, .. }| passing),
            Self::Warning => weights.map(|WeightsEntry { warning, .. }| warning),
        }
    }
}

/// The scalars of an entry that the parser has read from these bytes. Nothing where it is written so oddly that this
/// cannot tell which is which (a list for an object, a key with escapes, or twice), or has too much in it.
pub(super) fn scalars<'b>(piece: &'b [u8], entry: &Entry<'b>, output: CheckOutput) -> Option<Vec<Scalar>> {
    let scalars = Vec::with_capacity(ROOM);
    let mut walk = Walk {
        bytes: piece,
        at: 0,
        entry,
        output,
        scalars,
        values: 0,
        depth: 0,
        pairs: 0,
        zones: 0,
        regions: 0,
    };
    walk.value(Place::Entry)?;
    let once = walk.zones <= 1 && walk.regions <= 1;
    (once && walk.pairs == entry.service.meta.iter().len()).then_some(walk.scalars)
}

/// A walk over an entry. What is JSON here need not be proved: the parser has read it.
struct Walk<'w, 'b> {
    bytes: &'b [u8],
    at: usize,
    entry: &'w Entry<'b>,
    output: CheckOutput,
    scalars: Vec<Scalar>,
    values: usize,
    depth: usize,
    /// How many keys the meta of the service has, and how many zones and regions that of the node.
    pairs: usize,
    zones: usize,
    regions: usize,
}

impl Walk<'_, '_> {
    /// The next byte that tells something.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.bytes.get(self.at..)?;
        let is_between = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\t' | b'\r' | b',' | b':');
        self.at = self.at.checked_add(rest.iter().position(|byte| !is_between(byte))?)?;
        self.bytes.get(self.at).copied()
    }

    fn pass(&mut self, len: usize) {
        self.at = self.at.saturating_add(len);
    }

    fn value(&mut self, place: Place) -> Option<()> {
        self.values = self.values.checked_add(1).filter(|values| *values <= VALUES)?;
        match self.peek()? {
            b'{' => self.nested(|walk| walk.object(place)),
            b'[' => self.nested(|walk| walk.list(place)),
            b'"' => {
                let (start, end) = self.string()?;
                let kind = match place {
                    Place::Text(Field::Check(_, CheckField::Output)) if self.output == CheckOutput::Drop => {
                        Kind::DroppedText
                    }
                    Place::Text(field) => Kind::Text(field),
                    Place::Dropped => Kind::DroppedText,
                    _ => return Some(()),
                };
                self.scalars.push(Scalar { start, end, kind });
                Some(())
            }
            _ => self.word(place),
        }
    }

    fn nested(&mut self, walk: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        self.depth = self.depth.checked_add(1).filter(|depth| *depth <= DEPTH)?;
        walk(self)?;
        self.depth = self.depth.saturating_sub(1);
        Some(())
    }

    fn object(&mut self, place: Place) -> Option<()> {
        self.pass(1);
        while self.peek()? != b'}' {
            let (start, end) = self.string()?;
            let key = self.bytes.get(start..end)?;
            let under = self.under(place, key)?;
            self.value(under)?;
        }
        self.pass(1);
        Some(())
    }

    fn list(&mut self, place: Place) -> Option<()> {
        self.pass(1);
        let mut at = 0u16;
        while self.peek()? != b']' {
            self.value(match place {
                Place::Tags => Place::Text(Field::Tag(at)),
                Place::Checks => Place::Check(at),
                Place::Dropped => Place::Dropped,
                _ => return None,
            })?;
            at = at.checked_add(1)?;
        }
        self.pass(1);
        Some(())
    }

    /// Where the inside of the string begins that begins here, and where it ends; passes it.
    fn string(&mut self) -> Option<(usize, usize)> {
        let start = self.at.checked_add(1)?;
        let end = bytes::string(self.bytes, start)?;
        self.at = end.checked_add(1)?;
        Some((start, end))
    }

    /// A number, or a word such as `null`.
    fn word(&mut self, place: Place) -> Option<()> {
        let start = self.at;
        let rest = self.bytes.get(start..)?;
        let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-');
        let len = rest.iter().take_while(|byte| is_inside(byte)).count();
        self.pass(Some(len).filter(|len| *len > 0)?);
        let is_number = bytes::number(self.bytes, start).is_some_and(|(_, end)| end == self.at);
        let kind = match place {
            Place::Number(number) => Kind::Number(number),
            Place::Dropped => Kind::DroppedNumber,
            _ => return Some(()),
        };
        if is_number {
            self.scalars.push(Scalar { start, end: self.at, kind });
        }
        Some(())
    }

    /// What stands under a key.
    fn under(&mut self, place: Place, key: &[u8]) -> Option<Place> {
        if matches!(place, Place::Dropped) {
            return Some(Place::Dropped);
        }
        if key.contains(&b'\\') {
            return None; // it may spell any name
        }
        Some(match place {
            Place::Entry => in_entry(key),
            Place::Node => in_node(key),
            Place::Service => in_service(key),
            Place::Check(at) => in_check(at, key),
            Place::NodeMeta if key == b"zone" => {
                self.zones = self.zones.saturating_add(1);
                Place::Text(Field::NodeZone)
            }
            Place::NodeMeta if key == b"region" => {
                self.regions = self.regions.saturating_add(1);
                Place::Text(Field::NodeRegion)
            }
            // These are texts all the same, and the parser looks at each.
            Place::NodeMeta => Place::Dropped,
            Place::Meta => {
                self.pairs = self.pairs.saturating_add(1);
                let at = self.entry.service.meta.iter().position(|(have, _)| have.as_bytes() == key)?;
                Place::Text(Field::Meta(u16::try_from(at).ok()?))
            }
            Place::Locality => in_locality(key, Field::Locality),
            Place::NodeLocality => in_locality(key, Field::NodeLocality),
            Place::Weights => match key {
                b"Passing" => Place::Number(Number::Passing),
                b"Warning" => Place::Number(Number::Warning),
                _ => Place::Dropped,
            },
            _ => return None,
        })
    }
}

fn in_entry(key: &[u8]) -> Place {
    match key {
        b"Node" => Place::Node,
        b"Service" => Place::Service,
        b"Checks" => Place::Checks,
        _ => Place::Dropped,
    }
}

fn in_node(key: &[u8]) -> Place {
    match key {
        b"Node" => Place::Text(Field::Node),
        b"Address" => Place::Text(Field::NodeAddress),
        b"Datacenter" => Place::Text(Field::Datacenter),
        b"Meta" => Place::NodeMeta,
        b"Locality" => Place::NodeLocality,
        _ => Place::Dropped,
    }
}

fn in_service(key: &[u8]) -> Place {
    match key {
        b"ID" => Place::Text(Field::Id),
        b"Service" => Place::Text(Field::Name),
        b"Address" => Place::Text(Field::Address),
        b"Port" => Place::Number(Number::Port),
        b"Tags" => Place::Tags,
        b"Meta" => Place::Meta,
        b"Weights" => Place::Weights,
        b"Locality" => Place::Locality,
        b"Namespace" | b"Partition" | b"PeerName" => Place::Fixed,
        _ => Place::Dropped,
    }
}

fn in_locality(key: &[u8], field: fn(Locale) -> Field) -> Place {
    match key {
        b"Zone" => Place::Text(field(Locale::Zone)),
        b"Region" => Place::Text(field(Locale::Region)),
        _ => Place::Dropped,
    }
}

fn in_check(at: u16, key: &[u8]) -> Place {
    let field = match key {
        b"CheckID" => CheckField::Id,
        b"Name" => CheckField::Name,
        b"Status" => CheckField::Status,
        b"Output" => CheckField::Output,
        b"ServiceID" => CheckField::ServiceId,
        _ => return Place::Dropped,
    };
    Place::Text(Field::Check(at, field))
}
