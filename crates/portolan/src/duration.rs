//! Durations as Go writes them (`10s`, `1m30s`, `1.5h`), because Consul's interface speaks them. PURE.
//!
//! Source of the grammar: Go's `time.ParseDuration`. Not supported: a sign, since no setting here can be negative.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::Duration;

use crate::error::{Error, Kind};

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration as Go writes it: `"90s"`, `"1m30s"`, `"1.5h"`, `"0"`.
///
/// # Errors
/// [`Kind::Config`] when the text is not such a duration; `field` is named in the message.
pub fn parse_duration(field: &str, text: &str) -> Result<Duration, Error> {
    parse(text).ok_or_else(|| {
        let what = format!(
            "{field}: {text:?} is not a duration; write a number and a unit (ns, us, ms, s, m, h), as in \"10s\" or \"1m30s\""
        );
        Error::new(Kind::Config, what)
    })
}

fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if text.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(number_end)?;
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_end)?;
        let scale = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        total = total.checked_add(scaled(number, scale)?)?;
        rest = tail;
    }
    Some(Duration::from_nanos(total))
}

/// `number` (digits with at most one point) times `scale`, in integers: Go rounds towards zero, and so do we.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(scale)?;
    let mut place = scale;
    for digit in fraction.chars() {
        place = place.checked_div(10)?;
        total = total.checked_add(place.checked_mul(u64::from(digit.to_digit(10)?))?)?;
    }
    Some(total)
}

/// Writes a duration as Go does: `10s`, `1m30s`, `250ms`, `0s`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.subsec_nanos();
    let seconds = duration.as_secs();
    if seconds == 0 && nanos != 0 {
        return sub_second(u64::from(nanos));
    }
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    if hours > 0 {
        text.push_str(&format!("{hours}h"));
    }
    if hours > 0 || minutes > 0 {
        text.push_str(&format!("{minutes}m"));
    }
    text.push_str(&seconds.to_string());
    push_fraction(&mut text, u64::from(nanos), 9);
    text.push('s');
    text
}

fn sub_second(nanos: u64) -> String {
    let (unit, whole, fraction, digits) = match nanos {
        1_000_000.. => ("ms", nanos / 1_000_000, nanos % 1_000_000, 6),
        1_000.. => ("µs", nanos / 1_000, nanos % 1_000, 3),
        _ => ("ns", nanos, 0, 0),
    };
    let mut text = whole.to_string();
    push_fraction(&mut text, fraction, digits);
    text.push_str(unit);
    text
}

fn push_fraction(text: &mut String, fraction: u64, digits: usize) {
    if fraction > 0 {
        let padded = format!("{fraction:0digits$}");
        text.push('.');
        text.push_str(padded.trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanos) in [
            ("0", 0),
            ("10s", 10_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("100ms", 100_000_000),
            ("1h0m0s", 3_600_000_000_000),
            ("2us", 2_000),
            ("2µs", 2_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
        for text in ["", "10", "s", "-1s", "1x", "1.2.3s", ".s", "1 s", "99999999999h", "1s2"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn writes_what_go_writes() {
        for (nanos, text) in [
            (0, "0s"),
            (7, "7ns"),
            (1_000, "1µs"),
            (1_020, "1.02µs"),
            (999_999, "999.999µs"),
            (1_000_000, "1ms"),
            (250_000_000, "250ms"),
            (1_000_000_000, "1s"),
            (1_000_000_001, "1.000000001s"),
            (60_000_000_000, "1m0s"),
            (90_500_000_000, "1m30.5s"),
            (3_600_000_000_000, "1h0m0s"),
            (90_061_000_000_000, "25h1m1s"),
        ] {
            assert_eq!(format_duration(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn the_error_names_the_field_and_the_form() {
        let error = parse_duration("check.interval", "10").unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().starts_with("check.interval: \"10\" is not a duration"), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos in 0u64..=1_000_000_000_000_000) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse(&format_duration(duration)), Some(duration));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _read = parse(&text);
        }
    }
}
