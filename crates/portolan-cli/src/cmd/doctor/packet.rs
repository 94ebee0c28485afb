//! A question to a DNS server, and the places in its answer. PURE.
//!
//! In:  a name; the bytes of an answer. Out: the bytes of a question for SRV records; `address:port` of each record.
//!
//! Never: follows names for ever; takes an answer to another question; panics on any bytes.
//!
//! Rules: RFC 1035 section 4, RFC 2782.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr},
};

use super::names::place;

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;
/// How many pointers a name may have; more is a circle.
const JUMPS: usize = 16;

/// What a server said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// 0: fine; 3: there is no such name.
    pub(super) code: u8,
    /// There is more than fitted.
    pub(super) cut: bool,
    pub(super) places: BTreeSet<String>,
}

/// A question for the SRV records of a name; `None`: no packet can carry that name.
pub(super) fn ask(id: u16, name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.extend(id.to_be_bytes());
    // A plain query with one question.
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let start = bytes.len();
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        bytes.push(length);
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes.extend(SRV.to_be_bytes());
    bytes.extend(1_u16.to_be_bytes());
    (bytes.len().saturating_sub(start) <= 255_usize.saturating_add(4)).then_some(bytes)
}

/// Reads an answer; `None`: it is none to that question, or damaged.
pub(super) fn read(packet: &[u8], id: u16) -> Option<Said> {
    let mut reader = Reader { packet, at: 0 };
    let (its_id, flags) = (reader.number()?, reader.number()?);
    if its_id != id || flags & 0x8000 == 0 {
        return None;
    }
    let [questions, answers, authorities, more] =
        [reader.number()?, reader.number()?, reader.number()?, reader.number()?];
    for _ in 0..questions {
        reader.name()?;
        reader.skip(4)?;
    }
    let mut services = Vec::new();
    let mut addresses: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let records = u32::from(answers).saturating_add(u32::from(authorities)).saturating_add(u32::from(more));
    for _ in 0..records {
        let owner = reader.name()?;
        let kind = reader.number()?;
        reader.skip(6)?;
        let length = usize::from(reader.number()?);
        let data = reader.at;
        match kind {
            A => {
                let bytes: [u8; 4] = reader.bytes(4)?.try_into().ok()?;
                addresses.entry(owner).or_default().push(Ipv4Addr::from(bytes).to_string());
            }
            AAAA => {
                let bytes: [u8; 16] = reader.bytes(16)?.try_into().ok()?;
                addresses.entry(owner).or_default().push(Ipv6Addr::from(bytes).to_string());
            }
            SRV => {
                reader.skip(4)?;
                services.push((reader.number()?, reader.name()?));
            }
            _ => {}
        }
        reader.at = data.checked_add(length)?;
    }
    let mut places = BTreeSet::new();
    for (port, target) in services {
        match addresses.get(&target) {
            Some(found) => places.extend(found.iter().map(|address| place(address, port))),
            None => drop(places.insert(place(&target, port))),
        }
    }
    Some(Said { code: u8::try_from(flags & 15).ok()?, cut: flags & 0x0200 != 0, places })
}

struct Reader<'a> {
    packet: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let found = self.packet.get(self.at..end)?;
        self.at = end;
        Some(found)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.bytes(count).map(|_passed| ())
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.bytes(2)?.try_into().ok()?))
    }

    /// A name in lower case, without its last dot.
    fn name(&mut self) -> Option<String> {
        let mut labels: Vec<String> = Vec::new();
        let mut after = None;
        let mut jumps = 0_usize;
        loop {
            let length = *self.bytes(1)?.first()?;
            match length {
                0 => break,
                1..=63 => {
                    let label = self.bytes(usize::from(length))?;
                    labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
                }
                192.. => {
                    jumps = jumps.checked_add(1).filter(|jumps| *jumps <= JUMPS)?;
                    let low = *self.bytes(1)?.first()?;
                    after.get_or_insert(self.at);
                    self.at = usize::from(u16::from_be_bytes([length & 63, low]));
                }
                _ => return None,
            }
        }
        self.at = after.unwrap_or(self.at);
        Some(labels.join("."))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `web.service.consul` with two instances: an address in the additional records, and a name.
    fn answer() -> Vec<u8> {
        let mut bytes = ask(7, "web.service.consul").unwrap();
        bytes[2] = 0x84;
        bytes[7] = 2;
        bytes[11] = 1;
        let record = |bytes: &mut Vec<u8>, kind: u16, data: &[u8]| {
            bytes.extend([0xc0, 12]);
            bytes.extend(kind.to_be_bytes());
            bytes.extend([0, 1, 0, 0, 0, 0]);
            bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            bytes.extend(data);
        };
        // Its target is the owner's name, by a pointer.
        record(&mut bytes, SRV, &[0, 1, 0, 1, 0x1f, 0x90, 0xc0, 12]);
        record(&mut bytes, SRV, &[0, 1, 0, 1, 0, 80, 2, b'D', b'b', 0]);
        record(&mut bytes, A, &[10, 0, 0, 1]);
        bytes
    }

    #[test]
    fn records_become_places() {
        let said = read(&answer(), 7).unwrap();
        assert_eq!((said.code, said.cut), (0, false));
        assert_eq!(said.places.into_iter().collect::<Vec<_>>(), ["10.0.0.1:8080", "db:80"]);
        assert_eq!(read(&answer(), 8), None, "of another question");
    }

    #[test]
    fn no_name_and_a_cut_answer_are_told() {
        let mut bytes = ask(7, "web.service.consul.").unwrap();
        assert_eq!(read(&bytes, 7), None, "that is the question");
        bytes[2] = 0x82;
        bytes[3] = 3;
        assert_eq!(read(&bytes, 7), Some(Said { code: 3, cut: true, places: BTreeSet::new() }));
    }

    #[test]
    fn a_name_that_no_packet_carries_is_not_asked_for() {
        for name in ["", "a..b", &"x".repeat(64), &"x.".repeat(140)] {
            assert_eq!(ask(1, name), None, "{name:?}");
        }
    }

    #[test]
    fn a_name_that_points_at_itself_ends() {
        let mut bytes = answer();
        bytes[12] = 0xc0;
        bytes[13] = 12;
        assert_eq!(read(&bytes, 7), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..200) {
            let _said = read(&bytes, 7);
            let whole = answer();
            let _said = read(whole.get(..cut).unwrap_or(&whole), 7);
        }
    }
}
