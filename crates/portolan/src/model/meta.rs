//! The key-value pairs of an instance: sorted, in one piece, shared between the instances that have the same. PURE.
//!
//! In:  pairs in any order. Out: a map that is read, never changed. A tree would cost 400 bytes for a single pair, and
//! most instances of a service have the same few pairs.
//!
//! Never: holds a key twice.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{fmt, sync::Arc};

/// A key and its value.
type Pair = (Arc<str>, Arc<str>);

/// The key-value pairs of an instance, ordered by key. A clone shares them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Meta(Arc<[Pair]>);

impl Meta {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Arc<str>> {
        let place = self.0.binary_search_by(|(have, _)| have.as_ref().cmp(key)).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }

    /// Whether there is such a key.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether another holds the same allocation.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// The pairs, ordered by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Arc<str>)> {
        self.0.iter().map(|(key, value)| (key, value))
    }
}

impl fmt::Debug for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl FromIterator<Pair> for Meta {
    /// Of several values for one key the last counts, as in JSON.
    fn from_iter<I: IntoIterator<Item = Pair>>(pairs: I) -> Self {
        let mut pairs: Vec<Pair> = pairs.into_iter().collect();
        // Stable, so that the last of equal keys stands last among them.
        pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        pairs.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        Self(pairs.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_shown_as_a_map_and_knows_whether_another_holds_it() {
        let meta: Meta =
            [("b", "2"), ("a", "1")].map(|(key, value)| (key.into(), value.into())).into_iter().collect();
        assert_eq!(format!("{meta:?}"), r#"{"a": "1", "b": "2"}"#);
        assert!(!meta.is_shared());
        let other = meta.clone();
        assert!(meta.is_shared() && other.is_shared());
        drop(other);
        assert!(!meta.is_shared());
    }

    proptest! {
        #[test]
        fn it_is_the_map_of_its_pairs(pairs in proptest::collection::vec(("[a-d]{0,2}", "[a-c]?"), 0..12)) {
            let map: BTreeMap<&str, &str> = pairs.iter().map(|(key, value)| (&**key, &**value)).collect();
            let meta: Meta = pairs.iter().map(|(key, value)| (Arc::from(&**key), Arc::from(&**value))).collect();
            prop_assert!(meta.iter().map(|(key, value)| (&**key, &**value)).eq(map.iter().map(|(key, value)| (*key, *value))));
            prop_assert_eq!((meta.len(), meta.is_empty()), (map.len(), map.is_empty()));
            for key in ["", "a", "b", "cd", "zz"] {
                prop_assert_eq!(meta.get(key).map(|value| &**value), map.get(key).copied());
                prop_assert_eq!(meta.contains_key(key), map.contains_key(key));
            }
        }
    }
}
