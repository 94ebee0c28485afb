//! A message as bytes. PURE.
//!
//! In:  the request that it answers, its code and its records. Out: bytes, in which a name that stood before is a pointer.
//!
//! Never: points from an SRV record's target (RFC 2782); points at what is not that name, byte by byte, case included.
//!
//! Why not a library's: records that share a name are written at the cost of two bytes here, and what there is room for is found
//! by writing; and the library brings along thirty-five crates, with Unicode's tables. The tests read what is written with it.
//!
//! Proof: `write/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::{
    message::{HEADER, Question, Rcode, Request, flag, kind},
    name::Name,
    record::{Data, LONGEST_STRING, Record},
};

/// A pointer has fourteen bits.
const FARTHEST: usize = 0x3fff;
/// A pointer's two highest bits.
const POINTER: u16 = 0xc000;
const IN: u16 = 1;

/// The bytes so far, and where names begin in them.
struct Writer {
    bytes: Vec<u8>,
    /// Places of names by their hash, as an open table; 0 is empty: the header stands there.
    places: Vec<u16>,
    free: usize,
    /// The last names that were written, by where they are in memory, and where they stand: records share names, and then
    /// nothing need be compared. All of them live as long as the writer.
    recent: [(usize, u16); RECENT],
    turn: usize,
}

const RECENT: usize = 4;

fn hash(bytes: &[u8]) -> usize {
    usize::try_from(xxhash_rust::xxh3::xxh3_64(bytes) & 0xffff_ffff).unwrap_or_default()
}

impl Writer {
    /// `names`: about how many there will be. More are written, but not all of them are found again.
    fn new(names: usize) -> Self {
        let slots = names.saturating_mul(4).clamp(32, 16_384).next_power_of_two();
        let bytes = Vec::with_capacity(names.saturating_mul(48).saturating_add(512));
        Self { bytes, places: vec![0; slots], free: slots / 2, recent: [(0, 0); RECENT], turn: 0 }
    }

    fn word(&mut self, word: u16) {
        self.bytes.extend(word.to_be_bytes());
    }

    fn long(&mut self, long: u32) {
        self.bytes.extend(long.to_be_bytes());
    }

    /// Whether the name `wire` stands at `at`, where it may be continued by a pointer.
    fn stands_at(&self, mut at: usize, mut wire: &[u8]) -> bool {
        loop {
            let Some(&length) = self.bytes.get(at) else { return false };
            if length >= 0xc0 {
                let Some(&low) = self.bytes.get(at.saturating_add(1)) else { return false };
                let target = (usize::from(length & 0x3f) << 8) | usize::from(low);
                if target >= at {
                    return false;
                }
                at = target;
                continue;
            }
            let end = usize::from(length).saturating_add(1);
            let Some((label, rest)) = wire.split_at_checked(end) else { return false };
            if self.bytes.get(at..at.saturating_add(end)) != Some(label) {
                return false;
            }
            if length == 0 {
                return rest.is_empty();
            }
            (at, wire) = (at.saturating_add(end), rest);
        }
    }

    /// Where a name stands, or the slot where that is to be noted.
    fn find(&self, wire: &[u8]) -> Result<u16, usize> {
        let mask = self.places.len().wrapping_sub(1);
        let mut slot = hash(wire) & mask;
        loop {
            match self.places.get(slot) {
                Some(0) | None => return Err(slot),
                Some(&place) if self.stands_at(usize::from(place), wire) => return Ok(place),
                Some(_) => slot = slot.wrapping_add(1) & mask,
            }
        }
    }

    /// Writes a name; from where it stands already, if `shorten`, as a pointer.
    fn name(&mut self, name: &Name, shorten: bool) {
        let mut wire = name.as_wire();
        let (key, begin) = (wire.as_ptr().addr(), self.bytes.len());
        let seen = self.recent.iter().find(|(of, _)| *of == key).map(|(_, place)| *place);
        if let Some(place) = seen.filter(|_| shorten) {
            return self.word(POINTER | place);
        }
        let mut known = false;
        while let Some((&length, after)) = wire.split_first().filter(|(length, _)| **length != 0) {
            if !known {
                match self.find(wire) {
                    Ok(place) if shorten => {
                        // Where it begins; never a pointer alone, which would be pointed at.
                        let is_whole = self.bytes.len() == begin;
                        self.remember(key, if is_whole { usize::from(place) } else { begin });
                        return self.word(POINTER | place);
                    }
                    // What follows a name that stands somewhere stands there too.
                    Ok(_) => known = true,
                    Err(slot) => self.note(slot),
                }
            }
            let (label, rest) = after.split_at_checked(usize::from(length)).unwrap_or((after, &[]));
            self.bytes.push(length);
            self.bytes.extend_from_slice(label);
            wire = rest;
        }
        self.bytes.push(0);
        if seen.is_none() && !name.is_root() {
            self.remember(key, begin);
        }
    }

    fn remember(&mut self, key: usize, begin: usize) {
        let Some(begin) = u16::try_from(begin).ok().filter(|_| begin <= FARTHEST) else { return };
        if let Some(one) = self.recent.get_mut(self.turn) {
            *one = (key, begin);
            self.turn = self.turn.wrapping_add(1) % RECENT;
        }
    }

    fn note(&mut self, slot: usize) {
        let here = self.bytes.len();
        let Some(left) = self.free.checked_sub(1).filter(|_| here <= FARTHEST) else { return };
        if let (Some(place), Ok(here)) = (self.places.get_mut(slot), u16::try_from(here)) {
            *place = here;
            self.free = left;
        }
    }

    fn record(&mut self, record: &Record) {
        self.name(&record.owner, true);
        self.word(record.data.kind());
        self.word(IN);
        self.long(record.ttl);
        let length_at = self.bytes.len();
        self.word(0);
        self.data(&record.data);
        let begin = length_at.saturating_add(2);
        let length = u16::try_from(self.bytes.len().saturating_sub(begin)).unwrap_or_default();
        if let Some(slot) = self.bytes.get_mut(length_at..begin) {
            slot.copy_from_slice(&length.to_be_bytes());
        }
    }

    fn data(&mut self, data: &Data) {
        match data {
            Data::A(ip) => self.bytes.extend(ip.octets()),
            Data::Aaaa(ip) => self.bytes.extend(ip.octets()),
            Data::Cname(name) | Data::Ns(name) | Data::Ptr(name) => self.name(name, true),
            Data::Srv { weight, port, target } => {
                // The priority is always 1 (Consul: agent/dns.go).
                self.word(1);
                self.word(*weight);
                self.word(*port);
                self.name(target, false);
            }
            Data::Soa(soa) => {
                self.name(&soa.primary, true);
                self.name(&soa.mailbox, true);
                for number in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.least_ttl] {
                    self.long(number);
                }
            }
            Data::Txt(text) if text.is_empty() => self.bytes.push(0),
            Data::Txt(text) => {
                for part in text.as_bytes().chunks(LONGEST_STRING) {
                    self.bytes.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
                    self.bytes.extend_from_slice(part);
                }
            }
        }
    }

    fn edns(&mut self, edns: &super::message::Edns) {
        self.bytes.push(0);
        self.word(kind::OPT);
        self.word(edns.size);
        self.long(0);
        let option = edns.subnet.as_deref().unwrap_or_default();
        self.word(u16::try_from(option.len()).unwrap_or_default());
        self.bytes.extend_from_slice(option);
    }
}

/// How an answer is said, beside its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) rcode: Rcode,
    /// AA, TC and RA, beside what is repeated of the request.
    pub(super) flags: u16,
    /// Whether EDNS is answered with EDNS.
    pub(super) edns: bool,
}

fn count(records: usize) -> u16 {
    u16::try_from(records).unwrap_or(u16::MAX)
}

/// The bytes of an answer.
pub(super) fn message<'a>(
    request: &Request,
    manner: Manner,
    answers: &[Record],
    authority: &[Record],
    extra: impl Iterator<Item = &'a Record>,
) -> Vec<u8> {
    let mut writer = Writer::new(answers.len().saturating_mul(4).saturating_add(8));
    writer.word(request.id);
    writer.word(flag::RESPONSE | request.flags | manner.flags | manner.rcode as u16);
    for number in [1, count(answers.len()), count(authority.len()), 0] {
        writer.word(number);
    }
    writer.name(&request.question.name, true);
    writer.word(request.question.kind);
    writer.word(request.question.class);
    answers.iter().chain(authority).for_each(|record| writer.record(record));
    let mut additional = 0_usize;
    for record in extra {
        writer.record(record);
        additional = additional.saturating_add(1);
    }
    if let Some(edns) = request.edns.as_ref().filter(|_| manner.edns) {
        writer.edns(edns);
        additional = additional.saturating_add(1);
    }
    if let Some(slot) = writer.bytes.get_mut(10..HEADER) {
        slot.copy_from_slice(&count(additional).to_be_bytes());
    }
    writer.bytes
}

/// The bytes of what is said to a message that could not be read, or of its question at most.
pub(super) fn rejection(id: u16, flags: u16, rcode: Rcode, question: Option<&Question>) -> Vec<u8> {
    let mut writer = Writer::new(1);
    for word in [id, flag::RESPONSE | flags | rcode as u16, u16::from(question.is_some()), 0, 0, 0] {
        writer.word(word);
    }
    if let Some(Question { name, kind, class }) = question {
        writer.name(name, true);
        writer.word(*kind);
        writer.word(*class);
    }
    writer.bytes
}

#[cfg(test)]
pub(in crate::dns) mod tests;
