//! Texts and lists of texts that repeat, each kept once. PURE.
//!
//! In:  texts as they are read. Out: the allocation that has this text already, or a new one.
//!
//! What nobody else holds any more is forgotten when as much has been added as was left by the last such sweep, and
//! there is a limit: a service whose every instance has a value of its own shares nothing, and costs no more for it.
//!
//! Never: gives another text than it was asked for; grows without bound.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, Hash as _, Hasher as _},
    sync::Arc,
};

use foldhash::quality::FixedState;

use crate::model::Meta;

/// So many different texts are shared, and so many lists.
const LIMIT: usize = 4096;
/// Below this nothing is swept.
const FEW: usize = 64;
/// So many texts are looked for without a hash, each in the one place where it would be.
const RECENT: usize = 32;

/// Texts and lists that were read lately.
#[derive(Debug)]
pub(in crate::registry) struct Strings {
    hasher: FixedState,
    texts: HashSet<Arc<str>, FixedState>,
    /// By the hash of their texts; that they are equal is looked at.
    tags: HashMap<u64, Arc<[Arc<str>]>, FixedState>,
    metas: HashMap<u64, Meta, FixedState>,
    /// What was given last: the next entry mostly has the same, and to compare is cheaper than to hash.
    recent: [Arc<str>; RECENT],
    recent_tags: Arc<[Arc<str>]>,
    recent_meta: Meta,
    /// How many new ones may come of each before it is swept.
    room: [usize; 3],
}

impl Strings {
    /// Nothing yet; the seed keeps one who chooses the texts from choosing their places.
    pub(in crate::registry) fn new(seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self {
            texts: HashSet::with_hasher(hasher.clone()),
            tags: HashMap::with_hasher(hasher.clone()),
            metas: HashMap::with_hasher(hasher.clone()),
            hasher,
            recent: std::array::from_fn(|_| Arc::default()),
            recent_tags: Arc::default(),
            recent_meta: Meta::default(),
            room: [FEW; 3],
        }
    }

    /// This text.
    pub(in crate::registry) fn text(&mut self, text: &str) -> Arc<str> {
        if text.is_empty() {
            return Arc::default(); // costs nothing
        }
        if let Some(recent) = self.recent.get(place(text)).filter(|recent| &***recent == text) {
            return Arc::clone(recent);
        }
        let found = self.kept(text);
        if let Some(recent) = self.recent.get_mut(place(text)) {
            *recent = Arc::clone(&found);
        }
        found
    }

    fn kept(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let [room, ..] = &mut self.room;
        if is_full(room) {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            *room = room_after(self.texts.len());
        }
        let new: Arc<str> = text.into();
        if self.texts.len() < LIMIT {
            self.texts.insert(Arc::clone(&new));
        }
        new
    }

    /// These tags, in this order.
    pub(in crate::registry) fn tags<'t>(
        &mut self,
        tags: impl ExactSizeIterator<Item = &'t str> + Clone,
    ) -> Arc<[Arc<str>]> {
        let same = |known: &&Arc<[Arc<str>]>| known.iter().map(|tag| &**tag).eq(tags.clone());
        if let Some(recent) = Some(&self.recent_tags).filter(same) {
            return Arc::clone(recent);
        }
        self.recent_tags = self.kept_tags(tags);
        Arc::clone(&self.recent_tags)
    }

    fn kept_tags<'t>(&mut self, tags: impl ExactSizeIterator<Item = &'t str> + Clone) -> Arc<[Arc<str>]> {
        if tags.len() == 0 {
            return Arc::default();
        }
        let mut hasher = self.hasher.build_hasher();
        tags.clone().for_each(|tag| tag.hash(&mut hasher));
        let hash = hasher.finish();
        let same = |known: &&Arc<[Arc<str>]>| known.iter().map(|tag| &**tag).eq(tags.clone());
        if let Some(known) = self.tags.get(&hash).filter(same) {
            return Arc::clone(known);
        }
        let new: Vec<Arc<str>> = tags.map(|tag| self.text(tag)).collect();
        let new: Arc<[Arc<str>]> = new.into();
        let [_, room, _] = &mut self.room;
        if is_full(room) {
            self.tags.retain(|_, tags| Arc::strong_count(tags) > 1);
            *room = room_after(self.tags.len());
        }
        if self.tags.len() < LIMIT {
            self.tags.insert(hash, Arc::clone(&new));
        }
        new
    }

    /// These pairs, which are ordered by key and have each key once.
    pub(in crate::registry) fn meta<'t>(
        &mut self,
        pairs: impl ExactSizeIterator<Item = (&'t str, &'t str)> + Clone,
    ) -> Meta {
        if is_meta(&self.recent_meta, pairs.clone()) {
            return self.recent_meta.clone();
        }
        self.recent_meta = self.kept_meta(pairs);
        self.recent_meta.clone()
    }

    fn kept_meta<'t>(&mut self, pairs: impl ExactSizeIterator<Item = (&'t str, &'t str)> + Clone) -> Meta {
        if pairs.len() == 0 {
            return Meta::default();
        }
        let mut hasher = self.hasher.build_hasher();
        pairs.clone().for_each(|pair| pair.hash(&mut hasher));
        let hash = hasher.finish();
        if let Some(known) = self.metas.get(&hash).filter(|known| is_meta(known, pairs.clone())) {
            return known.clone();
        }
        let new: Meta = pairs.map(|(key, value)| (self.text(key), self.text(value))).collect();
        let [.., room] = &mut self.room;
        if is_full(room) {
            self.metas.retain(|_, meta| meta.is_shared());
            *room = room_after(self.metas.len());
        }
        if self.metas.len() < LIMIT {
            self.metas.insert(hash, new.clone());
        }
        new
    }
}

/// Whether a meta has just these pairs.
fn is_meta<'t>(known: &Meta, pairs: impl ExactSizeIterator<Item = (&'t str, &'t str)>) -> bool {
    let same = known.len() == pairs.len();
    same && known.iter().zip(pairs).all(|(known, asked)| (&**known.0, &**known.1) == asked)
}

/// Where a text is looked for first.
fn place(text: &str) -> usize {
    let bytes = text.as_bytes();
    let end = |byte: Option<&u8>| usize::from(byte.copied().unwrap_or(0));
    let (first, last) = (end(bytes.first()), end(bytes.last()));
    (bytes.len().wrapping_mul(7) ^ first.wrapping_mul(3) ^ last) % RECENT
}

/// As many again as were left may come before the next sweep; so a sweep costs little for each that came.
fn room_after(left: usize) -> usize {
    left.max(FEW)
}

/// Takes a place; says when none is left.
fn is_full(room: &mut usize) -> bool {
    let full = *room == 0;
    *room = room.saturating_sub(1);
    full
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_repeats_is_one_allocation() {
        let mut strings = Strings::new(1);
        assert!(Arc::ptr_eq(&strings.text("a"), &strings.text("a")));
        let kept = strings.tags(["a", "b"].into_iter());
        assert!(Arc::ptr_eq(&kept, &strings.tags(["a", "b"].into_iter())));
        assert!(!Arc::ptr_eq(&kept, &strings.tags(["b", "a"].into_iter())));
        let meta = strings.meta([("a", "b")].into_iter());
        let again = strings.meta([("a", "b")].into_iter());
        assert!(Arc::ptr_eq(meta.get("a").unwrap(), again.get("a").unwrap()));
        assert!(Arc::ptr_eq(&kept[0], meta.iter().next().unwrap().0), "a text is one, wherever it stands");
    }

    #[test]
    fn what_came_before_the_last_is_one_allocation_too() {
        let mut strings = Strings::new(1);
        let metas =
            |strings: &mut Strings| ["1", "2"].map(|value| strings.meta([("key", value)].into_iter()));
        let tags = |strings: &mut Strings| ["1", "2"].map(|tag| strings.tags([tag].into_iter()));
        let (metas, tags) =
            ([metas(&mut strings), metas(&mut strings)], [tags(&mut strings), tags(&mut strings)]);
        let key = |meta: &Meta| std::ptr::from_ref(meta.iter().next().unwrap().0);
        for at in 0..2 {
            assert_eq!(key(&metas[0][at]), key(&metas[1][at]));
            assert!(Arc::ptr_eq(&tags[0][at], &tags[1][at]));
        }
    }

    #[test]
    fn lists_that_are_in_use_are_never_forgotten_and_a_full_table_takes_no_more() {
        let mut strings = Strings::new(1);
        let (mut tags, mut metas) = (Vec::new(), Vec::new());
        for n in 0..LIMIT + 100 {
            let own = n.to_string();
            tags.push(strings.tags([&*own].into_iter()));
            metas.push(strings.meta([("key", &*own)].into_iter()));
        }
        assert_eq!((strings.texts.len(), strings.tags.len(), strings.metas.len()), (LIMIT, LIMIT, LIMIT));
        for n in 0..LIMIT {
            let own = n.to_string();
            assert!(Arc::ptr_eq(&tags[n], &strings.tags([&*own].into_iter())), "{n}");
            let again = strings.meta([("key", &*own)].into_iter());
            let key = |meta: &Meta| std::ptr::from_ref(meta.iter().next().unwrap().0);
            assert_eq!(key(&metas[n]), key(&again), "{n}");
        }
    }

    #[test]
    fn texts_that_differ_at_an_end_or_in_length_are_mostly_looked_for_in_different_places() {
        let letters = || ('a'..='z').chain('0'..='5');
        let texts: [Vec<String>; 3] = [
            letters().map(|last| format!("web-{last}")).collect(),
            letters().map(|first| format!("{first}-web")).collect(),
            (1..=RECENT).map(|length| "x".repeat(length)).collect(),
        ];
        for texts in texts {
            let places: std::collections::BTreeSet<usize> = texts.iter().map(|text| place(text)).collect();
            assert!(places.len() >= 26, "{places:?}");
            assert!(places.iter().all(|place| *place < RECENT), "{places:?}");
        }
    }

    #[test]
    fn a_sweep_comes_after_as_many_new_ones_as_were_left_and_not_for_few() {
        assert_eq!([0, FEW - 1, FEW, FEW + 1, LIMIT].map(room_after), [FEW, FEW, FEW, FEW + 1, LIMIT]);
        let mut room = 2;
        assert_eq!([(); 4].map(|()| is_full(&mut room)), [false, false, true, true]);
    }

    #[test]
    fn what_nobody_holds_is_forgotten_and_all_is_bounded() {
        let mut strings = Strings::new(1);
        let held: Vec<_> = (0..10).map(|n| strings.text(&format!("held {n}"))).collect();
        for round in 0..10_000 {
            let own = round.to_string();
            drop(strings.text(&own));
            drop(strings.tags([&*own].into_iter()));
            drop(strings.meta([("key", &*own)].into_iter()));
            let sizes = [strings.texts.len(), strings.tags.len(), strings.metas.len()];
            // A text is let go a sweep after the lists that hold it.
            assert!(sizes.iter().all(|size| *size <= 8 * FEW), "{sizes:?}");
        }
        for (n, held) in held.iter().enumerate() {
            assert!(
                Arc::ptr_eq(held, &strings.text(&format!("held {n}"))),
                "what is in use is never forgotten"
            );
        }
        let all: Vec<_> = (0..3 * LIMIT).map(|n| strings.text(&format!("all {n}"))).collect();
        assert!(strings.texts.len() <= LIMIT && all.len() == 3 * LIMIT);
        drop(all);
        (0..2 * LIMIT).for_each(|n| drop(strings.text(&format!("new {n}"))));
        assert!(strings.texts.len() < LIMIT / 2, "also a full table forgets what nobody holds");
    }

    proptest! {
        #[test]
        fn what_is_given_is_what_was_asked_for(
            asked in proptest::collection::vec(proptest::collection::btree_map("[ab]{0,2}", "[ab]{0,2}", 0..4), 0..40)
        ) {
            let mut strings = Strings::new(7);
            for map in &asked {
                let pairs = map.iter().map(|(key, value)| (&**key, &**value));
                let meta = strings.meta(pairs.clone());
                prop_assert!(meta.iter().map(|(key, value)| (&**key, &**value)).eq(pairs));
                let tags = strings.tags(map.values().map(|value| &**value));
                prop_assert!(tags.iter().map(|tag| &**tag).eq(map.values().map(|value| &**value)));
            }
        }
    }
}
