//! What a client sends: a question, and how much it can take. PURE.
//!
//! In:  the bytes of a message. Out: a [`Request`], or what is to be said of bytes that are none.
//!
//! Never: answers an answer, so that two servers do not talk for ever; looks at anything beyond the question and EDNS.
//!
//! Rules: RFC 1035, 4.1; RFC 6891; RFC 7871 (client subnet). What is refused, and how: the server of Consul's library,
//! miekg/dns 1.1, acceptfunc.go.
//! Proof: `message/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::name::Name;

/// Types of records, by the numbers of the registry of RFC 6895.
pub(crate) mod kind {
    pub(crate) const A: u16 = 1;
    pub(crate) const NS: u16 = 2;
    pub(crate) const CNAME: u16 = 5;
    pub(crate) const SOA: u16 = 6;
    pub(crate) const PTR: u16 = 12;
    pub(crate) const TXT: u16 = 16;
    pub(crate) const AAAA: u16 = 28;
    pub(crate) const SRV: u16 = 33;
    pub(crate) const OPT: u16 = 41;
    pub(crate) const AXFR: u16 = 252;
    pub(crate) const ANY: u16 = 255;
}

/// How a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rcode {
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
}

/// The bits of a header's flags that are looked at.
pub(crate) mod flag {
    pub(crate) const RESPONSE: u16 = 0x8000;
    pub(crate) const OPCODE: u16 = 0x7800;
    pub(crate) const AUTHORITATIVE: u16 = 0x0400;
    pub(crate) const TRUNCATED: u16 = 0x0200;
    pub(crate) const RECURSION_DESIRED: u16 = 0x0100;
    pub(crate) const RECURSION_AVAILABLE: u16 = 0x0080;
    pub(crate) const CHECKING_DISABLED: u16 = 0x0010;
}

/// The length of a header.
pub(crate) const HEADER: usize = 12;
/// The number of EDNS's option for the client's subnet.
const CLIENT_SUBNET: u16 = 8;
/// NOTIFY, which Consul's library takes for a question.
const NOTIFY: u16 = 4;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) name: Name,
    pub(crate) kind: u16,
    pub(crate) class: u16,
}

/// What a client says of itself by EDNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edns {
    /// How many bytes it can take over UDP.
    pub(crate) size: u16,
    /// The option for the client's subnet as it is to be said back: the answer is good for everybody.
    pub(crate) subnet: Option<Vec<u8>>,
}

/// A question, with what the answer repeats of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) id: u16,
    /// The flags that an answer repeats: the opcode, and of a query RD and CD.
    pub(crate) flags: u16,
    pub(crate) question: Question,
    pub(crate) edns: Option<Edns>,
}

/// Why there is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// Nothing is said: it is an answer, or not even a header.
    Ignore,
    /// This is said; with the question, if that could be read.
    Reject { id: u16, flags: u16, rcode: Rcode, question: Option<Box<Question>> },
}

fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

impl Request {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Unread`]: it is no question that can be answered.
    pub(crate) fn read(message: &[u8]) -> Result<Self, Unread> {
        let word = |at| u16_at(message, at).ok_or(Unread::Ignore);
        let (id, flags) = (word(0)?, word(2)?);
        let [questions, answers, authorities, additional] = [word(4)?, word(6)?, word(8)?, word(10)?];
        if flags & flag::RESPONSE != 0 {
            return Err(Unread::Ignore);
        }
        let opcode = (flags & flag::OPCODE) >> 11;
        let echoed = flags & (flag::RECURSION_DESIRED | flag::CHECKING_DISABLED);
        let malformed = |question| Unread::Reject { id, flags: echoed, rcode: Rcode::FormErr, question };
        if opcode != 0 && opcode != NOTIFY {
            let flags = echoed | (flags & flag::OPCODE);
            return Err(Unread::Reject { id, flags, rcode: Rcode::NotImp, question: None });
        }
        if questions != 1 || answers > 1 || authorities > 1 || additional > 2 {
            return Err(malformed(None));
        }
        let repeated = if opcode == 0 { echoed } else { flags & flag::OPCODE };
        let (question, at) = read_question(message).ok_or_else(|| malformed(None))?;
        let records = [answers.saturating_add(authorities), additional];
        let edns = find_edns(message, at, records).ok_or_else(|| malformed(Some(question.clone().into())))?;
        Ok(Self { id, flags: repeated, question, edns })
    }
}

/// What the additional records say by EDNS, behind others. Records that are announced and not there are none (miekg/dns).
fn find_edns(message: &[u8], mut at: usize, [others, additional]: [u16; 2]) -> Option<Option<Edns>> {
    let mut edns = None;
    for turn in 0..others.checked_add(additional)? {
        if at >= message.len() {
            break;
        }
        let record = Section::read(message, at)?;
        at = record.after;
        if turn >= others && record.kind == kind::OPT && edns.is_none() {
            edns = Some(read_edns(&record)?);
        }
    }
    Some(edns)
}

/// The question, and where it ends. One without a class, or without a type too, is one (miekg/dns).
fn read_question(message: &[u8]) -> Option<(Question, usize)> {
    let (name, mut at) = Name::read(message, HEADER)?;
    let mut word = || {
        if at >= message.len() {
            return Some(0);
        }
        let word = u16_at(message, at)?;
        at = at.checked_add(2)?;
        Some(word)
    };
    let (kind, class) = (word()?, word()?);
    Some((Question { name, kind, class }, at))
}

/// A record as it stands in a message.
pub(super) struct Section<'a> {
    pub(super) owner: Name,
    pub(super) kind: u16,
    pub(super) ttl: u32,
    class: u16,
    pub(super) data: &'a [u8],
    /// Where its data begins, for names in it.
    pub(super) data_at: usize,
    after: usize,
}

impl<'a> Section<'a> {
    fn read(message: &'a [u8], at: usize) -> Option<Self> {
        let (owner, at) = Name::read(message, at)?;
        let (kind, class) = (u16_at(message, at)?, u16_at(message, at.checked_add(2)?)?);
        let [high, low] = [u16_at(message, at.checked_add(4)?)?, u16_at(message, at.checked_add(6)?)?];
        let ttl = (u32::from(high) << 16) | u32::from(low);
        let length = usize::from(u16_at(message, at.checked_add(8)?)?);
        let data_at = at.checked_add(10)?;
        let after = data_at.checked_add(length)?;
        let data = message.get(data_at..after)?;
        Some(Self { owner, kind, ttl, class, data, data_at, after })
    }
}

/// The code and the answers in the message of another server, which answers `question` and has the id `id`.
pub(super) fn read_answers<'a>(
    message: &'a [u8],
    id: u16,
    question: &Question,
) -> Option<(u16, Vec<Section<'a>>)> {
    let flags = response_to(message, id, question)?;
    let (_, mut at) = read_question(message)?;
    let mut found = Vec::new();
    for _ in 0..u16_at(message, 6)? {
        let record = Section::read(message, at)?;
        at = record.after;
        found.push(record);
    }
    Some((flags & 0xf, found))
}

/// The flags of a message, if it is a response to this question with this id.
pub(super) fn response_to(message: &[u8], id: u16, question: &Question) -> Option<u16> {
    let flags = u16_at(message, 2)?;
    let (asked, _) = read_question(message)?;
    let same = u16_at(message, 0)? == id
        && flags & flag::RESPONSE != 0
        && u16_at(message, 4)? == 1
        && asked.kind == question.kind
        && asked.class == question.class
        && asked.name.as_wire().eq_ignore_ascii_case(question.name.as_wire());
    same.then_some(flags)
}

fn read_edns(record: &Section<'_>) -> Option<Edns> {
    let mut options = record.data;
    let mut subnet = None;
    while !options.is_empty() {
        let (code, length) = (u16_at(options, 0)?, usize::from(u16_at(options, 2)?));
        let end = length.checked_add(4)?;
        let value = options.get(4..end)?;
        if code == CLIENT_SUBNET && subnet.is_none() {
            subnet = Some(echoed_subnet(value)?);
        }
        options = options.get(end..)?;
    }
    Some(Edns { size: record.class, subnet })
}

/// The option as it is said back: with scope 0, and no more bits of the address than its mask has.
fn echoed_subnet(value: &[u8]) -> Option<Vec<u8>> {
    let (family, mask) = (u16_at(value, 0)?, usize::from(*value.get(2)?));
    let _scope = value.get(3)?;
    let most = match family {
        0 => 0,
        1 => 32,
        2 => 128,
        _ => return None,
    };
    if mask > most {
        return None;
    }
    let length = mask.div_ceil(8);
    let mut address: Vec<u8> = value.get(4..)?.iter().copied().take(length).collect();
    address.resize(length, 0);
    let spare = u32::try_from(length.checked_mul(8)?.checked_sub(mask)?).ok()?;
    if let Some(last) = address.last_mut() {
        *last &= 0xff_u8.checked_shl(spare)?;
    }
    let mut option = vec![0, 8];
    option.extend(u16::try_from(length.checked_add(4)?).ok()?.to_be_bytes());
    option.extend(family.to_be_bytes());
    option.extend([u8::try_from(mask).ok()?, 0]);
    option.extend(address);
    Some(option)
}

#[cfg(test)]
mod tests;
