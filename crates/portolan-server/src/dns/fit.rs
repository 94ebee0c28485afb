//! How much of an answer there is room for. PURE.
//!
//! In:  a request, its answer, and over what it goes. Out: bytes that fit.
//!
//! Never: sends half of a record; leaves out the last answer, or what belongs to one that stays, while something else can go.
//!
//! Rules from Consul: agent/dns.go `trimUDPResponse`, `trimTCPResponse`: without EDNS a few records at random and 512 bytes
//! without shortened names, with it what the client says, over TCP 64 KiB. Differs: EDNS is answered with EDNS also where
//! records were cut; as many records are kept as fit; a lone answer's TXT records go before it is over the size.
//! Proof: `fit/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::{
    message::{HEADER, Request, flag, kind},
    record::{Record, Sections},
    write::{self, Manner},
};

/// What a client without EDNS can take over UDP.
const SMALLEST: usize = 512;
/// The largest datagram. Consul: `maxUDPDatagramSize`.
const LARGEST: usize = 65_535 - 68;
/// The room that is kept for UDP's own header. Consul: `trimUDPResponse`.
const UDP_HEADER: usize = 8;
/// The largest message over TCP. Consul: `trimTCPResponse`.
const OVER_TCP: usize = 65_523;
/// More records are not tried over TCP. Consul: `trimTCPResponse`.
const MOST_OVER_TCP: usize = 4096;
const MOST_SRV_OVER_TCP: usize = 1024;

/// Over what an answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Udp,
    Tcp,
}

/// What is asked of a cut answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// How many records a client without EDNS gets over UDP.
    pub(crate) most_without_edns: usize,
    /// Whether a cut answer says that it is one.
    pub(crate) told: bool,
}

/// Which additional records go along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Along {
    All,
    Needed,
}

/// An answer on its way to bytes.
struct Fitting<'a> {
    request: &'a Request,
    manner: Manner,
    sections: &'a Sections,
}

impl Fitting<'_> {
    fn bytes(&self, keep: usize, along: Along, truncated: bool) -> Vec<u8> {
        let Sections { answers, authority, extra } = self.sections;
        let kept = answers.get(..keep).unwrap_or(answers);
        // Of the records about the whole answer, such as name servers, those that come along belong to the first.
        let extra = extra
            .iter()
            .filter(|extra| extra.of < keep.max(1) && (extra.needed || along == Along::All))
            .map(|extra| &extra.record);
        let mut manner = self.manner;
        if truncated {
            manner.flags |= flag::TRUNCATED;
        }
        let whole = along == Along::All || answers.len() <= 1;
        write::message(self.request, manner, kept, if whole { authority } else { &[] }, extra)
    }

    /// The length with `keep` answers where no name is shortened.
    fn plain_length(&self, keep: usize) -> usize {
        let Sections { answers, extra, .. } = self.sections;
        let extra = extra.iter().filter(|extra| extra.of < keep && extra.needed).map(|extra| &extra.record);
        let records: usize = answers.iter().take(keep).chain(extra).map(Record::plain_length).sum();
        let question = self.request.question.name.as_wire().len().saturating_add(4);
        records.saturating_add(question).saturating_add(HEADER)
    }

    /// The most answers, of `most`, that fit into `room`, and at least one.
    fn largest(&self, most: usize, room: usize) -> usize {
        let length = |keep: usize| (keep, self.bytes(keep, Along::Needed, false).len());
        let (mut fits, mut over) = (length(1), length(most));
        if over.1 <= room {
            return most;
        }
        for turn in 0_u32.. {
            let span = over.0.saturating_sub(fits.0);
            if span <= 1 || fits.1 > room {
                break;
            }
            // Records are about equally long, so the place is guessed; where they are not, halves find it.
            let spare = room.saturating_sub(fits.1).saturating_mul(span);
            let guess = spare.checked_div(over.1.saturating_sub(fits.1)).unwrap_or(1);
            let step = if turn < 3 { guess } else { span / 2 };
            let tried = length(fits.0.saturating_add(step.clamp(1, span.saturating_sub(1))));
            if tried.1 <= room {
                fits = tried;
            } else {
                over = tried;
            }
        }
        fits.0
    }
}

/// The bytes of an answer, as many of its records as there is room for.
pub(crate) fn fit(request: &Request, manner: Manner, sections: &Sections, over: Over, cut: Cut) -> Vec<u8> {
    let fitting = Fitting { request, manner, sections };
    let all = sections.answers.len();
    let said = request.edns.as_ref().map_or(0, |edns| usize::from(edns.size));
    let (room, most) = match over {
        Over::Udp if said <= SMALLEST => {
            (SMALLEST.saturating_sub(UDP_HEADER), all.min(cut.most_without_edns))
        }
        Over::Udp => (said.min(LARGEST).saturating_sub(UDP_HEADER), all),
        Over::Tcp if request.question.kind == kind::SRV => (OVER_TCP, all.min(MOST_SRV_OVER_TCP)),
        Over::Tcp => (OVER_TCP, all.min(MOST_OVER_TCP)),
    };
    let told = |keep: usize| cut.told && keep < all;
    if most == all {
        let whole = fitting.bytes(all, Along::All, false);
        if whole.len() <= room {
            return whole;
        }
        let keep = if all <= 1 { all } else { fitting.largest(all, room) };
        return fitting.bytes(keep, Along::Needed, told(keep));
    }
    let keep = match over {
        // Those who read 512 bytes may not know shortened names either.
        Over::Udp => (1..=most).rev().find(|keep| fitting.plain_length(*keep) <= room).unwrap_or(1),
        Over::Tcp => fitting.largest(most, room),
    };
    fitting.bytes(keep, Along::Needed, told(keep))
}

#[cfg(test)]
mod tests;
