//! A moment of the calendar, as tokens have them: written and read as RFC 3339 has it. PURE: the clock is read elsewhere.
//!
//! In:  the time since 1970, or a text. Out: the other.
//!
//! Never: takes a day that is not in the calendar; counts leap seconds, which Go does not either.
//!
//! Source of the calendar: Howard Hinnant, "chrono-compatible low-level date algorithms".
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

const DAY: u64 = 86_400;

/// Nanoseconds since 1970, UTC: until the year 2554.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Stamp(pub(crate) u64);

impl Stamp {
    /// That long after 1970.
    pub(crate) fn of(since: Duration) -> Self {
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(crate) fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(Self::of(wait).0))
    }

    /// How much later this is.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Reads `2026-11-30T15:48:53.9Z`, or with an offset in the place of the `Z`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.split_once(['T', 't'])?;
        let mut date = date.splitn(3, '-');
        let (year, month, day) =
            (digits(date.next()?, 4)?, digits(date.next()?, 2)?, digits(date.next()?, 2)?);
        let place = time.find(['Z', 'z', '+', '-'])?;
        let (clock, zone) = time.split_at_checked(place)?;
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        let mut clock = clock.splitn(3, ':');
        let (hour, minute, second) =
            (digits(clock.next()?, 2)?, digits(clock.next()?, 2)?, digits(clock.next()?, 2)?);
        let within = (1970..=2500).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        let nanos = nanos(fraction)?;
        let seconds = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
        let local = days(year, month, day)?.checked_mul(DAY)?.checked_add(seconds).filter(|_| within)?;
        let seconds = local.checked_add_signed(offset(zone)?.checked_neg()?)?;
        Some(Self(seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?))
    }
}

fn digits(text: &str, length: usize) -> Option<u64> {
    let fine = text.len() == length && text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|_| fine)
}

fn nanos(fraction: &str) -> Option<u64> {
    let known: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let fine = !fraction.is_empty() && fraction.bytes().all(|digit| digit.is_ascii_digit());
    known.parse().ok().filter(|_| fine)
}

/// Seconds to the east.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, zone) = match zone.strip_prefix('-') {
        Some(zone) => (-1, zone),
        None => (1, zone.strip_prefix('+')?),
    };
    let (hours, minutes) = zone.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    let seconds = hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?;
    let fine = hours < 24 && minutes < 60;
    i64::try_from(seconds).ok()?.checked_mul(sign).filter(|_| fine)
}

fn days_in(year: u64, month: u64) -> u64 {
    let leaps = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leaps => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970 to a day: years begin in March, so that the day that comes and goes is the last.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) =
        if month > 2 { (year, month.checked_sub(3)?) } else { (year.checked_sub(1)?, month.checked_add(9)?) };
    let (era, of_era) = (year.checked_div(400)?, year.checked_rem(400)?);
    let of_year = month.checked_mul(153)?.checked_add(2)?.checked_div(5)?.checked_add(day)?.checked_sub(1)?;
    let of_era = of_era
        .checked_mul(365)?
        .checked_add(of_era.checked_div(4)?)?
        .checked_sub(of_era.checked_div(100)?)?
        .checked_add(of_year)?;
    era.checked_mul(146_097)?.checked_add(of_era)?.checked_sub(719_468)
}

/// Year, month and day of a day since 1970.
fn date(day: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    let mut left = day;
    // A few hundred steps at most: the stamp ends in 2554.
    loop {
        let length = (1..=12).map(|month| days_in(year, month)).sum::<u64>();
        match left.checked_sub(length) {
            Some(later) => left = later,
            None => break,
        }
        year = year.saturating_add(1);
    }
    let mut month = 1;
    while let Some(later) = left.checked_sub(days_in(year, month)) {
        left = later;
        month = month.saturating_add(1);
    }
    (year, month, left.saturating_add(1))
}

impl fmt::Display for Stamp {
    /// As Go writes it: no zeros at the end of the fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = Duration::from_nanos(self.0);
        let (seconds, nanos) = (since.as_secs(), since.subsec_nanos());
        let (year, month, day) = date(seconds.checked_div(DAY).unwrap_or(0));
        let of_day = seconds.checked_rem(DAY).unwrap_or(0);
        let part =
            |unit: u64, most: u64| of_day.checked_div(unit).and_then(|n| n.checked_rem(most)).unwrap_or(0);
        let (hour, minute, second) = (part(3600, 24), part(60, 60), part(1, 60));
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if nanos > 0 {
            write!(f, ".{}", format!("{nanos:09}").trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_are_written_as_others_write_them() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (1_796_053_733_911_439_893, "2026-11-30T15:48:53.911439893Z"),
            (4_107_542_399_500_000_000, "2100-02-28T23:59:59.5Z"),
        ] {
            assert_eq!(Stamp(nanos).to_string(), text);
            assert_eq!(Stamp::parse(text), Some(Stamp(nanos)), "{text}");
        }
        assert_eq!(Stamp::parse("1970-01-01T02:00:00+02:00"), Some(Stamp(0)));
        assert_eq!(Stamp::parse("1969-12-31T23:00:00-01:00"), None, "before the years that are read");
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "now",
            "2026-11-30",
            "2026-11-30T15:48:53",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-30T24:00:00Z",
            "2026-11-30T15:48:53.Z",
            "2026-11-30T15:48:53+2:00",
            "26-11-30T15:48:53Z",
        ] {
            assert_eq!(Stamp::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(nanos in 0..16_000_000_000_000_000_000_u64) {
            let stamp = Stamp(nanos);
            prop_assert_eq!(Stamp::parse(&stamp.to_string()), Some(stamp));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9TZ:.+-]{0,40}|\\PC*") {
            let _read = Stamp::parse(&text);
        }
    }
}
