//! gRPC's header of a deadline. PURE.
//!
//! In:  the text of `grpc-timeout`, or what is left of a time. Out: the other.
//!
//! Rules: gRPC, doc/PROTOCOL-HTTP2.md, "Timeout": at most eight digits and a unit.
//! Proof: the tests below.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::Duration;

/// The most that eight digits say.
const MOST: u128 = 99_999_999;

/// `None`: it is malformed, and says nothing.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let digits = text.get(..text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match text.as_bytes().last()? {
        b'H' => Some(Duration::from_secs(count.checked_mul(3_600)?)),
        b'M' => Some(Duration::from_secs(count.checked_mul(60)?)),
        b'S' => Some(Duration::from_secs(count)),
        b'm' => Some(Duration::from_millis(count)),
        b'u' => Some(Duration::from_micros(count)),
        b'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// In the finest unit that holds it; never more than is left.
pub(super) fn format(left: Duration) -> String {
    for (count, unit) in [(left.as_nanos(), 'n'), (left.as_micros(), 'u'), (left.as_millis(), 'm')] {
        if count <= MOST {
            return format!("{count}{unit}");
        }
    }
    format!("{}S", u128::from(left.as_secs()).min(MOST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_judged_and_a_time_never_grows(text in "\\PC{0,10}", nanos in 0..99_999_999_000_000_000_u64) {
            let _judged = parse(&text);
            let time = Duration::from_nanos(nanos);
            let read = parse(&format(time)).unwrap();
            let lost = time.checked_sub(read);
            prop_assert!(lost.is_some_and(|lost| lost < Duration::from_secs(1)), "{time:?} {read:?}");
        }
    }

    #[test]
    fn a_time_is_written_in_the_finest_unit_and_read_back() {
        for (time, text) in [
            (Duration::from_nanos(7), "7n"),
            (Duration::from_millis(50), "50000000n"),
            (Duration::from_millis(250), "250000u"),
            (Duration::from_secs(1_000), "1000000m"),
            (Duration::from_secs(1_000_000), "1000000S"),
        ] {
            assert_eq!(format(time), text);
            assert_eq!(parse(text), Some(time));
        }
        assert_eq!(format(Duration::MAX), "99999999S");
        assert_eq!(
            (parse("2H"), parse("3M")),
            (Some(Duration::from_secs(7_200)), Some(Duration::from_secs(180)))
        );
    }

    #[test]
    fn what_is_malformed_says_nothing() {
        for text in ["", "S", "1", "1s", "-1S", "+1S", "123456789S", "1é", "1 S"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
