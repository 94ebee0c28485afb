//! Objects of texts: all their pairs, or what of them tells a place. PURE.
//!
//! In:  an object. Out: its pairs in the order of the keys, of equal keys the last.
//!
//! Never: passes over a value that is no text.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use smallvec::SmallVec;

use super::Text;

/// The pairs of an object, ordered by key; of equal keys the last counts. Few are kept in place: a tree would be built
/// anew for each of ten thousand entries.
#[derive(Debug, Default)]
pub(in crate::registry::consul) struct Pairs<'a>(SmallVec<[(Text<'a>, Text<'a>); 4]>);

impl Pairs<'_> {
    pub(in crate::registry::consul) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub(in crate::registry::consul) fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(have, _)| *have == key).map(|(_, value)| value)
    }
}

impl<'a> Pairs<'a> {
    /// The value of the pair at this place.
    pub(in crate::registry::consul) fn value_mut(&mut self, at: usize) -> Option<&mut Text<'a>> {
        self.0.get_mut(at).map(|(_, value)| value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

struct PairsVisitor<'a>(PhantomData<&'a str>);

impl<'de: 'a, 'a> Visitor<'de> for PairsVisitor<'a> {
    type Value = Pairs<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs: SmallVec<[(Text<'a>, Text<'a>); 4]> = SmallVec::new();
        while let Some(pair) = map.next_entry::<Text<'a>, Text<'a>>()? {
            pairs.push(pair);
        }
        // Stable, so that the last of equal keys stands last among them.
        pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        pairs.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        Ok(Pairs(pairs))
    }
}

/// What is wanted of an object of texts: its zone and its region.
#[derive(Debug, Default)]
pub(in crate::registry::consul) struct PlaceOf<'a> {
    pub(in crate::registry::consul) zone: Option<Text<'a>>,
    pub(in crate::registry::consul) region: Option<Text<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for PlaceOf<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PlaceVisitor(PhantomData))
    }
}

struct PlaceVisitor<'a>(PhantomData<&'a str>);

impl<'de: 'a, 'a> Visitor<'de> for PlaceVisitor<'a> {
    type Value = PlaceOf<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut place = PlaceOf::default();
        while let Some((key, value)) = map.next_entry::<Text<'a>, Text<'a>>()? {
            match key.as_str() {
                "zone" => place.zone = Some(value),
                "region" => place.region = Some(value),
                _ => {}
            }
        }
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_is_told_with_what_is_wanted() {
        let pairs = serde_json::from_str::<Pairs<'_>>("[]").map(|_| ()).unwrap_err().to_string();
        let place = serde_json::from_str::<PlaceOf<'_>>("7").map(|_| ()).unwrap_err().to_string();
        for wrong in [pairs, place] {
            assert!(wrong.contains("expected an object of texts"), "{wrong}");
        }
    }
}
