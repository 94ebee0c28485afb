//! Names as DNS writes them, in the case in which they came. PURE.
//!
//! In:  a message and where a name begins in it, or text. Out: a [`Name`]: labels with their lengths, and a zero.
//!
//! Never: follows a pointer that does not lead backwards; is longer than 255 bytes, or has a label longer than 63.
//!
//! Rules: RFC 1035, 3.1 and 4.1.4.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{fmt, sync::Arc};

const LONGEST: usize = 255;
const LONGEST_LABEL: usize = 63;

/// A name, complete, with the root at its end. Two that differ in case only are not equal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(Arc<[u8]>);

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for label in self.labels() {
            write!(f, "{}.", label.escape_ascii())?;
        }
        if self.is_root() { f.write_str(".") } else { Ok(()) }
    }
}

impl Name {
    /// Reads the name at `at`, and says where the next field begins.
    pub(crate) fn read(message: &[u8], at: usize) -> Option<(Self, usize)> {
        let (mut wire, mut length) = ([0; LONGEST], 0_usize);
        let (mut at, mut after) = (at, None);
        loop {
            let of_label = usize::from(*message.get(at)?);
            let next = at.checked_add(1)?;
            match of_label >> 6 {
                0 => {
                    let end = next.checked_add(of_label)?;
                    let label = message.get(at..end)?;
                    let behind = length.checked_add(label.len())?;
                    wire.get_mut(length..behind)?.copy_from_slice(label);
                    (at, length) = (end, behind);
                    if of_label == 0 {
                        return Some((Self(wire.get(..length)?.into()), after.unwrap_or(end)));
                    }
                }
                3 => {
                    let low = usize::from(*message.get(next)?);
                    let target = ((of_label & 0x3f) << 8) | low;
                    after = after.or_else(|| next.checked_add(1));
                    // Backwards only: so there is an end.
                    if target >= at {
                        return None;
                    }
                    at = target;
                }
                _ => return None,
            }
        }
    }

    /// Of text in which dots part the labels; one at the end is allowed. `None`: it cannot be written so.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Some(Self::root());
        }
        Self::joined(text.split('.').map(str::as_bytes), &Self::root())
    }

    pub(crate) fn root() -> Self {
        Self([0].into())
    }

    /// Labels before a name that is there. `None`: one of them is empty or too long, or all of it is.
    pub(crate) fn joined<'a>(labels: impl Iterator<Item = &'a [u8]>, tail: &Self) -> Option<Self> {
        let (mut wire, mut length) = ([0; LONGEST], 0_usize);
        let mut put = |part: &[u8]| {
            let end = length.checked_add(part.len())?;
            wire.get_mut(length..end)?.copy_from_slice(part);
            length = end;
            Some(())
        };
        for label in labels {
            if label.is_empty() || label.len() > LONGEST_LABEL {
                return None;
            }
            put(&[u8::try_from(label.len()).ok()?])?;
            put(label)?;
        }
        put(&tail.0)?;
        Some(Self(wire.get(..length)?.into()))
    }

    /// The text before a name that is there; dots in it part labels.
    pub(crate) fn before(text: &str, tail: &Self) -> Option<Self> {
        Self::joined(text.split('.').map(str::as_bytes), tail)
    }

    pub(crate) fn as_wire(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// The labels, from the left, without the root.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first()?;
            let (label, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            (!label.is_empty()).then_some(label)
        })
    }

    /// How many bytes stand before `tail`, if it ends in that, in whatever case.
    pub(crate) fn ends_in(&self, tail: &Self) -> Option<usize> {
        let at = self.0.len().checked_sub(tail.0.len())?;
        let (_, end) = self.0.split_at_checked(at)?;
        // Lengths of labels are below `A`: to compare them without case changes nothing.
        if !end.eq_ignore_ascii_case(&tail.0) {
            return None;
        }
        let mut start = 0_usize;
        for label in self.labels() {
            if start >= at {
                break;
            }
            start = start.checked_add(label.len())?.checked_add(1)?;
        }
        (start == at).then_some(at)
    }

    /// The end of it, from a place where a label begins; `likely`, if that is the same, as it mostly is.
    pub(crate) fn tail_at(&self, at: usize, likely: &Self) -> Option<Self> {
        let end = self.0.get(at..).filter(|end| !end.is_empty())?;
        Some(if *end == *likely.0 { likely.clone() } else { Self(end.into()) })
    }

    /// The same with ASCII letters in lower case.
    pub(crate) fn lowered(&self) -> Self {
        Self(self.0.to_ascii_lowercase().into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::of_text(text).unwrap()
    }

    #[test]
    fn a_name_is_read_where_it_stands_and_through_pointers() {
        let mut message = vec![0; 12];
        message.extend(name("web.service.consul").as_wire());
        let second = message.len();
        message.extend([1, b'x', 0xc0, 16]);
        assert_eq!(Name::read(&message, 12), Some((name("web.service.consul"), second)));
        assert_eq!(Name::read(&message, second), Some((name("x.service.consul"), second + 4)));
    }

    #[test]
    fn what_is_no_name_is_none() {
        for (message, why) in [
            (&[0xc0, 0][..], "a pointer to itself"),
            (&[1, b'a', 0xc0, 2], "a pointer to itself behind a label"),
            (&[0xc0, 9], "a pointer beyond the end"),
            (&[0x40, 0], "a label of an unknown kind"),
            (&[3, b'a'], "a label that ends too early"),
            (&[1, b'a'], "no root"),
            (&[], "nothing"),
        ] {
            assert_eq!(Name::read(message, 0), None, "{why}");
        }
        for text in ["a..b", ".a", &"a".repeat(64), &"abcdefg.".repeat(32)] {
            assert_eq!(Name::of_text(text), None, "{text}");
        }
    }

    #[test]
    fn a_domain_is_found_at_a_label_only_and_in_any_case() {
        let consul = name("consul");
        for (text, at) in [
            ("web.service.CONSUL", Some(12)),
            ("consul", Some(0)),
            ("xconsul", None),
            ("web.xconsul", None),
            ("web.consul.io", None),
            (".", None),
        ] {
            assert_eq!(name(text).ends_in(&consul), at, "{text}");
        }
        // A label that holds what looks like the domain in wire form.
        let odd = Name::joined([&b"a\x06consul"[..]].into_iter(), &name(".")).unwrap();
        assert_eq!(odd.ends_in(&consul), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(labels in prop::collection::vec("[ -~]{1,20}", 0..8)) {
            let labels: Vec<&[u8]> = labels.iter().map(String::as_bytes).collect();
            let written = Name::joined(labels.iter().copied(), &Name::of_text("").unwrap()).unwrap();
            let read = Name::read(written.as_wire(), 0);
            prop_assert_eq!(read, Some((written.clone(), written.as_wire().len())));
            prop_assert_eq!(written.labels().collect::<Vec<_>>(), labels);
        }

        #[test]
        fn any_bytes_are_a_name_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0_usize..300) {
            if let Some((name, after)) = Name::read(&bytes, at) {
                prop_assert!(name.as_wire().len() <= LONGEST && after <= bytes.len());
            }
        }
    }
}
