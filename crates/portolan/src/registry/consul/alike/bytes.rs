//! Bytes of JSON, many at a time. PURE.
//!
//! In:  bytes, and where in them something begins. Out: where it ends; nothing if it is not what it should be, or not
//! surely so.
//!
//! Never: takes for a string, or for a number, what the parser would not.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

/// So many digits always fit into a number.
const DIGITS: usize = 18;

/// How many bytes both begin with.
pub(super) fn common(one: &[u8], other: &[u8]) -> usize {
    let ((ones, _), (others, _)) = (one.as_chunks::<16>(), other.as_chunks::<16>());
    let mut same = 0usize;
    for (one, other) in ones.iter().zip(others) {
        let differ = u128::from_le_bytes(*one) ^ u128::from_le_bytes(*other);
        if differ != 0 {
            return same.saturating_add(byte(differ.trailing_zeros()));
        }
        same = same.saturating_add(16);
    }
    let tails = one.iter().zip(other).skip(same);
    same.saturating_add(tails.take_while(|(one, other)| one == other).count())
}

/// Where the string ends whose inside begins here, if it has no escapes.
pub(super) fn plain(bytes: &[u8], start: usize) -> Option<usize> {
    let end = start.checked_add(special(bytes.get(start..)?)?)?;
    (bytes.get(end) == Some(&b'"')).then_some(end)
}

/// Where the string ends whose inside begins here.
pub(super) fn string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at = at.checked_add(special(bytes.get(at..)?)?)?;
        match bytes.get(at..)? {
            [b'"', ..] => return Some(at),
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => at = at.checked_add(2)?,
            // Half of a pair of surrogates is none, and whether it is one is for the parser to say.
            [b'\\', b'u', digits @ ..] if is_character(digits.first_chunk()?) => at = at.checked_add(6)?,
            _ => return None,
        }
    }
}

fn is_character(digits: &[u8; 4]) -> bool {
    digits.iter().all(u8::is_ascii_hexdigit) && !matches!(digits, [b'd' | b'D', ..])
}

/// The whole number that begins here, none below zero, and where it ends.
pub(super) fn number(bytes: &[u8], start: usize) -> Option<(i64, usize)> {
    let rest = bytes.get(start..)?;
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let digits = rest.get(..count).filter(|digits| digits.len() <= DIGITS)?;
    match digits {
        [] | [b'0', _, ..] => None,
        _ => {
            let add = |sum: i64, digit: &u8| sum.wrapping_mul(10).wrapping_add(i64::from(digit & 15));
            Some((digits.iter().fold(0, add), start.checked_add(count)?))
        }
    }
}

/// Where the first quote, backslash or control character is.
fn special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // The lowest byte that is marked is below `bound`; those above it may be marked by a borrow.
    let below = |chunk: u64, bound: u64| chunk.wrapping_sub(ONES.wrapping_mul(bound)) & !chunk & HIGH;
    let (chunks, tail) = bytes.as_chunks::<8>();
    for (number, chunk) in chunks.iter().enumerate() {
        let chunk = u64::from_le_bytes(*chunk);
        let quote = below(chunk ^ ONES.wrapping_mul(u64::from(b'"')), 1);
        let backslash = below(chunk ^ ONES.wrapping_mul(u64::from(b'\\')), 1);
        let found = below(chunk, 0x20) | quote | backslash;
        if found != 0 {
            return number.checked_mul(8)?.checked_add(byte(found.trailing_zeros()));
        }
    }
    let found = tail.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
    bytes.len().checked_sub(tail.len())?.checked_add(found)
}

/// In which byte a bit is.
fn byte(bit: u32) -> usize {
    usize::try_from(bit >> 3).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::arithmetic_side_effects, reason = "small numbers, of the tests' own")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_digits_without_a_zero_before_them() {
        for (text, expected) in [
            ("0,", Some((0, 1))),
            ("10}", Some((10, 2))),
            ("999999999999999999]", Some((999_999_999_999_999_999, 18))),
            ("1000000000000000000", None),
            ("01", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(number(text.as_bytes(), 0), expected, "{text}");
        }
    }

    #[test]
    fn a_half_of_a_pair_is_left_to_the_parser() {
        for (text, expected) in [
            (r#"\u003c""#, Some(6)),
            (r#"\ud83d\ude00""#, None),
            (r#"\uDe00""#, None),
            (r#"\u00""#, None),
            (r#"\x""#, None),
            (r#"\"\\\/\b\f\n\r\t""#, Some(16)),
        ] {
            assert_eq!(string(text.as_bytes(), 0), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_common_ends_where_the_first_differs(
            one in proptest::collection::vec(0u8..2, 0..60), other in proptest::collection::vec(0u8..2, 0..60),
            same in proptest::collection::vec(any::<u8>(), 0..60)
        ) {
            let (one, other) = ([&same[..], &one].concat(), [&same[..], &other].concat());
            let expected = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
            prop_assert_eq!(common(&one, &other), expected);
        }

        #[test]
        fn a_string_ends_where_the_parser_ends_it(
            text in "[a-z\\\\\"/u0-9dDn\u{1}\u{1f}\u{20}\u{7f}é😀]{0,24}", start in 0usize..3
        ) {
            let bytes = format!("{}{text}\" tail", "x".repeat(start)).into_bytes();
            let found = string(&bytes, start);
            let mut quoted = vec![b'"'];
            quoted.extend(&bytes[start..]);
            let mut parsed = serde_json::Deserializer::from_slice(&quoted).into_iter::<String>();
            let parsed = parsed.next().and_then(Result::ok).map(|text| (text, start + parsed.byte_offset() - 2));
            prop_assert!(found.is_none() || found == parsed.as_ref().map(|(_, end)| *end), "{:?}", parsed);
            match parsed {
                Some((_, end)) if !bytes[start..end].contains(&b'\\') => {
                    prop_assert_eq!(plain(&bytes, start), Some(end));
                }
                _ => prop_assert_eq!(plain(&bytes, start), None),
            }
        }
    }
}
