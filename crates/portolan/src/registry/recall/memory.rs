//! The pieces of the last answer by their hashes, and the instances they were read to. PURE.
//!
//! In:  the pieces of the next answer, in whatever order. Out: the list of its instances, ordered by identity, in
//! which what did not change keeps its allocation.
//!
//! The order of the last list is remembered with it. What is still there keeps its place; only what is new is sorted,
//! and put between.
//!
//! Never: gives an instance for a piece that differs in a single byte from the one it was read from; keeps what the
//! newest answer did not have; changes anything before an answer was read to its end.
//!
//! Proof: `memory/tests.rs`, against a plain sort.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{collections::HashMap, sync::Arc, vec};

use foldhash::quality::FixedState;
use highway::{HighwayHash as _, HighwayHasher, Key};

use super::Strings;
use crate::{model::Instance, registry::CheckOutput};

/// So often the whole list of pieces is searched for one that is not where it was; then a table of them is made.
const SEARCHES: u32 = 8;

/// The keyed hash of a piece.
type Hash = [u64; 2];

/// What a reader of one service remembers.
#[derive(Debug)]
pub(in crate::registry) struct Memory {
    pub(in crate::registry) last: Last,
    pub(in crate::registry) strings: Strings,
}

/// The last answer.
#[derive(Debug)]
pub(in crate::registry) struct Last {
    key: [u64; 4],
    output: CheckOutput,
    /// In the order of the answer.
    pieces: Vec<Piece>,
    /// Ordered by identity.
    list: Vec<Arc<Instance>>,
}

/// A piece of an answer, as far as it is remembered.
#[derive(Clone, Copy, Debug)]
struct Piece {
    hash: Hash,
    len: u32,
    /// Where its instance is in the list.
    place: u32,
}

/// The place of a piece that could not be read.
const UNREADABLE: u32 = u32::MAX;
/// The place of a piece whose instance is given by a later one.
const REPLACED: u32 = u32::MAX - 1;

impl Memory {
    pub(in crate::registry) fn new([one, two, three, four]: [u64; 4]) -> Self {
        let last = Last {
            key: [one, two, three, four],
            output: CheckOutput::Drop,
            pieces: Vec::new(),
            list: Vec::new(),
        };
        Self { last, strings: Strings::new(one ^ three) }
    }

    /// What is remembered of answers that were read in this way.
    pub(in crate::registry) fn read_as(&mut self, output: CheckOutput) {
        if self.last.output != output {
            self.last = Last { key: self.last.key, output, pieces: Vec::new(), list: Vec::new() };
        }
    }
}

/// Where the instance of a piece of the answer that is being read comes from.
#[derive(Clone, Copy, Debug)]
enum From {
    /// It has this place in the last list.
    Last(u32),
    /// It is one of the new ones.
    New,
    Nowhere,
}

/// An instance that was read anew.
#[derive(Debug)]
struct New {
    instance: Arc<Instance>,
    piece: u32,
}

/// An answer that is being read.
#[derive(Debug)]
pub(in crate::registry) struct Reading<'m> {
    last: &'m Last,
    /// Which of the last pieces comes next, if nothing changed.
    next: usize,
    searches: u32,
    table: Option<HashMap<Hash, usize, FixedState>>,
    read: Read,
}

/// An answer that was read to its end.
#[derive(Debug, Default)]
pub(in crate::registry) struct Read {
    pieces: Vec<(Hash, u32, From)>,
    /// By which piece each of the last list is still given; of several the last.
    given: Vec<Option<u32>>,
    new: Vec<New>,
    /// How many pieces are unreadable and were so in the last answer.
    pub(in crate::registry) still_unreadable: usize,
}

impl<'m> Reading<'m> {
    pub(in crate::registry) fn of(last: &'m Last) -> Self {
        let read = Read {
            pieces: Vec::with_capacity(last.pieces.len()),
            given: vec![None; last.list.len()],
            ..Read::default()
        };
        Self { last, next: 0, searches: 0, table: None, read }
    }

    /// Whether nothing is remembered, so that it is no use to look.
    pub(in crate::registry) fn is_first(&self) -> bool {
        self.last.pieces.is_empty()
    }

    /// How many bytes the next piece has, if nothing changed.
    pub(in crate::registry) fn guess(&self) -> Option<usize> {
        self.last.pieces.get(self.next).and_then(|piece| usize::try_from(piece.len).ok())
    }

    /// Takes the piece, if it is the one that comes next when nothing changed.
    pub(in crate::registry) fn is_next(&mut self, piece: &[u8]) -> bool {
        let next = self.last.pieces.get(self.next).filter(|next| next.is_of_use());
        let Some(next) = next.filter(|next| self.last.hash(piece) == next.hash) else { return false };
        self.next = self.next.saturating_add(1);
        self.read.take(*next).is_some()
    }

    /// Takes the piece, if the last answer had it, wherever.
    pub(in crate::registry) fn is_known(&mut self, piece: &[u8]) -> bool {
        let hash = self.last.hash(piece);
        let found = self.find(&hash).and_then(|at| Some((at, self.last.pieces.get(at)?)));
        // One that is not known stands, most likely, where the one stood that it replaces.
        self.next = found.map_or(self.next, |(at, _)| at).saturating_add(1);
        found.is_some_and(|(_, found)| self.read.take(*found).is_some())
    }

    fn find(&mut self, hash: &Hash) -> Option<usize> {
        let pieces = || self.last.pieces.iter().enumerate().filter(|(_, piece)| piece.is_of_use());
        self.searches = self.searches.saturating_add(1);
        if self.searches <= SEARCHES {
            return pieces().find(|(_, piece)| piece.hash == *hash).map(|(at, _)| at);
        }
        let table = self.table.get_or_insert_with(|| {
            let [seed, ..] = self.last.key;
            let hasher = FixedState::with_seed(seed);
            let mut table = HashMap::with_capacity_and_hasher(self.last.pieces.len(), hasher);
            table.extend(pieces().map(|(at, piece)| (piece.hash, at)));
            table
        });
        table.get(hash).copied()
    }

    /// Takes a piece that the last answer did not have, and the instance it was read to; `None`: it is unreadable.
    /// Gives nothing when there are more, or longer ones, than can be counted.
    pub(in crate::registry) fn learn(&mut self, piece: &[u8], instance: Option<Instance>) -> Option<()> {
        let number = number(self.read.pieces.len())?;
        let from = instance.map_or(From::Nowhere, |instance| {
            self.read.new.push(New { instance: Arc::new(instance), piece: number });
            From::New
        });
        self.read.pieces.push((self.last.hash(piece), u32::try_from(piece.len()).ok()?, from));
        Some(())
    }

    /// The end: what is to be remembered from now on.
    pub(in crate::registry) fn done(self) -> Read {
        self.read
    }
}

impl Read {
    fn take(&mut self, piece: Piece) -> Option<()> {
        let from = if piece.place == UNREADABLE {
            self.still_unreadable = self.still_unreadable.saturating_add(1);
            From::Nowhere
        } else {
            *self.given.get_mut(usize::try_from(piece.place).ok()?)? = Some(number(self.pieces.len())?);
            From::Last(piece.place)
        };
        self.pieces.push((piece.hash, piece.len, from));
        Some(())
    }
}

impl Piece {
    /// Whether it tells anything to know this piece again.
    fn is_of_use(&self) -> bool {
        self.place != REPLACED
    }
}

/// A count as it is remembered, where it can be.
fn number(count: usize) -> Option<u32> {
    u32::try_from(count).ok().filter(|number| *number < REPLACED)
}

impl Last {
    fn hash(&self, piece: &[u8]) -> Hash {
        HighwayHasher::new(Key(self.key)).hash128(piece)
    }

    /// Forgets the last answer, remembers this one, and gives its list.
    pub(in crate::registry) fn replace(&mut self, read: Read) -> Vec<Arc<Instance>> {
        let Read { pieces, given, mut new, .. } = read;
        // Stable, so that the last of equal identities stands last among them, and is the one that stays.
        new.sort_by(|one, other| one.instance.identity.cmp(&other.instance.identity));
        new.dedup_by(|later, kept| {
            let same = later.instance.identity == kept.instance.identity;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        let room = given.iter().flatten().count().saturating_add(new.len());
        let mut merge = Merge {
            moved: Vec::with_capacity(given.len()),
            placed: vec![REPLACED; pieces.len()],
            old: std::mem::take(&mut self.list).into_iter(),
            given: given.into_iter(),
            list: Vec::with_capacity(room),
        };
        new.into_iter().for_each(|new| merge.put(new));
        merge.keep(usize::MAX);
        let Merge { moved, placed, list, .. } = merge;
        let place = |(piece, (hash, len, from)): (usize, (Hash, u32, From))| {
            let place = match from {
                From::Nowhere => Some(UNREADABLE),
                From::New => placed.get(piece).copied(),
                From::Last(place) => usize::try_from(place).ok().and_then(|place| moved.get(place).copied()),
            };
            Piece { hash, len, place: place.unwrap_or(REPLACED) }
        };
        self.pieces = pieces.into_iter().enumerate().map(place).collect();
        // Room was made for as many as there were before.
        self.pieces.shrink_to_fit();
        self.list = list.clone();
        list
    }
}

/// The last list and what is new, on their way into one.
struct Merge {
    old: vec::IntoIter<Arc<Instance>>,
    /// Beside `old`.
    given: vec::IntoIter<Option<u32>>,
    list: Vec<Arc<Instance>>,
    /// The new places of the old ones.
    moved: Vec<u32>,
    /// The places of the new ones, by piece.
    placed: Vec<u32>,
}

impl Merge {
    /// Takes so many of the old ones, without those that are given no more.
    fn keep(&mut self, count: usize) {
        for (instance, given) in self.old.by_ref().zip(self.given.by_ref()).take(count) {
            self.moved.push(if given.is_some() { place(&self.list) } else { REPLACED });
            self.list.extend(given.map(|_| instance));
        }
    }

    fn put(&mut self, New { mut instance, piece }: New) {
        let identity = &instance.identity;
        let old = self.old.as_slice();
        // Where all is new, the next is near: a search of the whole list for each would be the cost of sorting it.
        let mut near = 1usize;
        while old.get(near.saturating_sub(1)).is_some_and(|old| old.identity < *identity) {
            near = near.saturating_mul(2);
        }
        let old = old.get(..near).unwrap_or(old);
        let before = old.partition_point(|old| old.identity < *identity);
        let same = old.get(before).is_some_and(|old| old.identity == *identity);
        self.keep(before);
        if same && let Some((old, given)) = self.old.next().zip(self.given.next()) {
            if given.is_some_and(|by| by > piece) {
                self.moved.push(place(&self.list));
                self.list.push(old);
                return;
            }
            self.moved.push(REPLACED);
            if old == instance {
                instance = old; // it differs in nothing that is kept
            }
        }
        if let Some(placed) = usize::try_from(piece).ok().and_then(|piece| self.placed.get_mut(piece)) {
            *placed = place(&self.list);
        }
        self.list.push(instance);
    }
}

/// The place of what is put into a list next. There are no more instances than pieces, and those were counted.
fn place(list: &[Arc<Instance>]) -> u32 {
    number(list.len()).unwrap_or(REPLACED)
}

#[cfg(test)]
mod tests;
