//! A place by a key: the same key, the same instance, in every process, and few keys move when the list changes. PURE.
//!
//! In:  identities and weights, once; then the hash of a key for each pick. Out: a place, and after it others.
//!
//! Each instance has an order of all slots of its own, drawn from its identity. In rounds, each takes the first slot of
//! its order that is free; one of half the greatest weight takes part in every other round. So no instance's slots depend
//! on where it stands in the list, nor on its address: one that restarts elsewhere keeps its keys.
//!
//! Never: a slot for a weight of 0; no slot for another weight, as long as there are enough; a scan of all instances in
//! each round, which one great weight among ten thousand would make endless.
//!
//! Source: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016), section 3.4. Weights
//! as turns left out, and the least and the greatest table: Envoy, source/extensions/load_balancing_policies/maglev.
//!
//! Proof: `maglev/tests.rs`.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use xxhash_rust::xxh3::xxh3_64;

use crate::{
    model::Identity,
    roll::{below, mix},
};

/// Up to so many instances, and how many slots the table has for them: a prime, so that every step goes through all of them.
/// Few sizes, for where the size changes nearly all keys move; and the least is ample, so that a service of usual size never
/// gets there. With a hundred slots for each, two of the same weight differ by a hundredth at most (section 3.4 of the
/// paper); of thousands, where that would be more than a near cache holds, by a fiftieth.
const SIZES: [(usize, u32); 4] = [(655, 65_537), (1_310, 131_071), (10_485, 524_287), (50_000, 5_000_011)];

/// The place of each slot.
#[derive(Debug)]
pub(in crate::resolve) struct Maglev {
    slots: Slots,
}

/// Half as wide where that will do: a pick is as quick as the part of the table that is in a near cache is great.
#[derive(Debug)]
enum Slots {
    Narrow(Box<[u16]>),
    Wide(Box<[u32]>),
}

impl Slots {
    fn new(places: Box<[u32]>) -> Self {
        let narrow: Result<Box<[u16]>, _> = places.iter().map(|place| u16::try_from(*place)).collect();
        narrow.map_or(Self::Wide(places), Self::Narrow)
    }

    #[inline]
    fn len(&self) -> usize {
        match self {
            Self::Narrow(places) => places.len(),
            Self::Wide(places) => places.len(),
        }
    }

    #[inline]
    fn get(&self, slot: usize) -> Option<usize> {
        match self {
            Self::Narrow(places) => places.get(slot).map(|place| usize::from(*place)),
            Self::Wide(places) => places.get(slot).map(|place| *place as usize),
        }
    }
}

/// One that takes slots.
#[derive(Clone, Debug)]
struct Member {
    place: u32,
    weight: u32,
    /// The next slot of its order, and how far the one after it is.
    at: u32,
    step: u32,
    turns: u64,
}

impl Maglev {
    /// The table of these instances: a stable hash of each one's identity, and its weight.
    pub(super) fn new(instances: impl Iterator<Item = (u64, u32)>) -> Self {
        let mut weighted: Vec<(u64, u32, u32)> =
            (0..).zip(instances).map(|(place, (hash, weight))| (hash, place, weight)).collect();
        weighted.retain(|(_, _, weight)| *weight > 0);
        // Whatever the order of the list, the same table.
        weighted.sort_unstable();
        let slots = match &*weighted {
            [] => Box::default(),
            [(_, only, _)] => Box::new([*only]) as Box<[u32]>,
            several => {
                let size = size(several.len());
                filled(members(several, size), size)
            }
        };
        Self { slots: Slots::new(slots) }
    }

    /// Where the key of this hash goes.
    #[inline]
    pub(super) fn pick(&self, hash: u64) -> usize {
        self.place(below(hash, self.slots.len() as u64)).unwrap_or(0)
    }

    /// Where the key of this hash goes, then where it goes instead: the places of all slots, each slot once, in an order
    /// of the key's own. A place comes as often as it has slots, so what one cannot take is spread by weight.
    pub(super) fn places(&self, hash: u64) -> impl Iterator<Item = usize> {
        let size = self.slots.len() as u64;
        let step = below(mix(hash), size.saturating_sub(1)).saturating_add(1);
        let after = move |slot: &u64| slot.saturating_add(step).checked_rem(size);
        let slots = std::iter::successors(Some(below(hash, size)), after);
        slots.take(self.slots.len()).filter_map(|slot| self.place(slot))
    }

    #[expect(clippy::cast_possible_truncation, reason = "below the length, which is a usize")]
    #[inline]
    fn place(&self, slot: u64) -> Option<usize> {
        self.slots.get(slot as usize)
    }
}

/// A hash of who the instance is, the same in every process and in every version: a change of it moves all keys.
pub(super) fn identity_hash(identity: &Identity) -> u64 {
    let Identity { datacenter, partition, namespace, peer, node, id } = identity;
    let mut text = Vec::new();
    for part in [datacenter, partition, namespace, peer, node, id] {
        text.extend_from_slice(part.as_bytes());
        // No text holds this byte, so no two identities are the same bytes.
        text.push(0xFF);
    }
    xxh3_64(&text)
}

fn size(members: usize) -> u32 {
    let fitting = SIZES.iter().find(|(most, _)| members <= *most);
    fitting.or(SIZES.last()).map_or(1, |(_, slots)| *slots)
}

/// Those of one hash would go after each other through the same slots, for ever if they were many: each after the first
/// has an order of its own.
fn members(sorted: &[(u64, u32, u32)], size: u32) -> Vec<Member> {
    let mut twins = 0_u64;
    let mut before = None;
    let member = |(hash, place, weight): &(u64, u32, u32)| {
        twins = if before == Some(*hash) { twins.saturating_add(1) } else { 0 };
        before = Some(*hash);
        let own = if twins == 0 { *hash } else { mix(hash.wrapping_add(twins)) };
        Member::new((own, *place, *weight), size)
    };
    sorted.iter().map(member).collect()
}

impl Member {
    fn new((hash, place, weight): (u64, u32, u32), size: u32) -> Self {
        let at = scaled(hash, size);
        let step = scaled(mix(hash), size.saturating_sub(1)).saturating_add(1);
        Self { place, weight, at, step, turns: 0 }
    }

    /// The next slot of its order.
    #[inline]
    fn next(&mut self, size: u32) -> u32 {
        let slot = self.at;
        let on = slot.saturating_add(self.step);
        self.at = if on >= size { on.saturating_sub(size) } else { on };
        slot
    }

    /// The round in which it has its next turn, by the greatest weight of all.
    fn due(&self, greatest: u32) -> u64 {
        let weight = u64::from(self.weight);
        self.turns.saturating_mul(u64::from(greatest)).checked_div(weight).unwrap_or(u64::MAX)
    }
}

fn scaled(hash: u64, limit: u32) -> u32 {
    u32::try_from(below(hash, u64::from(limit))).unwrap_or(0)
}

/// The slots, taken in turn. Of `members` there are two at least, all with a weight.
fn filled(mut members: Vec<Member>, size: u32) -> Box<[u32]> {
    let greatest = members.iter().map(|member| member.weight).max().unwrap_or(1);
    let mut slots = vec![0; size as usize];
    let mut free = Free::new(size);
    let mut calendar = Calendar::new(members.len(), size);
    let mut now = Vec::new();
    // The greatest has a turn in each round, so there are no more rounds than slots.
    for round in 0..size {
        calendar.take(round, &mut now);
        now.sort_unstable();
        for number in &now {
            let Some(member) = members.get_mut(*number as usize) else { continue };
            let slot = free.first_of(member, size);
            if let Some(place) = slots.get_mut(slot as usize) {
                *place = member.place;
            }
            if free.left == 0 {
                return slots.into_boxed_slice();
            }
            member.turns = member.turns.saturating_add(1);
            calendar.put(*number, member.due(greatest));
        }
    }
    slots.into_boxed_slice()
}

/// Which slots are free: a bit each, so that looking for one stays in the first cache.
struct Free {
    taken: Vec<u64>,
    left: u32,
}

impl Free {
    fn new(size: u32) -> Self {
        Self { taken: vec![0; (size as usize).div_ceil(64)], left: size }
    }

    /// Takes the first slot in the member's order that is free. There is one.
    #[inline]
    fn first_of(&mut self, member: &mut Member, size: u32) -> u32 {
        loop {
            let slot = member.next(size);
            let Some(word) = self.taken.get_mut((slot >> 6) as usize) else { return slot };
            let bit = 1 << (slot & 63);
            if *word & bit == 0 {
                *word |= bit;
                self.left = self.left.saturating_sub(1);
                return slot;
            }
        }
    }
}

/// Who has a turn in which round: a list for each round, linked through its members.
struct Calendar {
    first: Vec<u32>,
    next: Vec<u32>,
}

const NOBODY: u32 = u32::MAX;

impl Calendar {
    /// Everybody has a turn in the first round.
    fn new(members: usize, rounds: u32) -> Self {
        let mut calendar = Self { first: vec![NOBODY; rounds as usize], next: vec![NOBODY; members] };
        (0..).take(members).for_each(|number| calendar.put(number, 0));
        calendar
    }

    /// A round after the last never comes.
    #[inline]
    fn put(&mut self, number: u32, round: u64) {
        let first = usize::try_from(round).ok().and_then(|round| self.first.get_mut(round));
        if let (Some(first), Some(next)) = (first, self.next.get_mut(number as usize)) {
            *next = std::mem::replace(first, number);
        }
    }

    fn take(&self, round: u32, into: &mut Vec<u32>) {
        into.clear();
        let known = |number: u32| (number != NOBODY).then_some(number);
        let first = self.first.get(round as usize).copied().and_then(known);
        let after = |number: &u32| self.next.get(*number as usize).copied().and_then(known);
        into.extend(std::iter::successors(first, after));
    }
}

#[cfg(test)]
mod tests;
