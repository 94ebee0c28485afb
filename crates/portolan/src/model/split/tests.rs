//! What people write, and what is refused with its place.

use proptest::prelude::*;

use super::*;
use crate::Kind;

#[test]
fn people_write_it_in_several_ways() {
    for (text, shown) in [
        ("95 ^1, 5 ^2", "95 ^1, 5 ^2"),
        (" 95% ^1 ,5 % ^2 ", "95 ^1, 5 ^2"),
        ("90 >=1.4, <2, 10 ^2", "90 >=1.4, <2, 10 ^2"),
        ("0 1.2, 100 latest +pre", "0 ^1.2, 100 latest +pre"),
        ("1 *", "1 *"),
        ("95 >=1, 5.2, 5 ^2", "95 >=1, ^5.2, 5 ^2"),
    ] {
        assert_eq!(text.parse::<Split>().unwrap().to_string(), shown, "{text}");
    }
}

#[test]
fn what_is_no_split_is_refused_with_its_place() {
    for (text, says) in [
        ("", "split: \"\" does not begin with a weight"),
        ("^1, 5 ^2", "split: \"^1\" does not begin with a weight"),
        ("95", "split: \"95\" does not begin with a weight"),
        ("95 ^1, 65536 ^2", "split, part 2: weight 65536 is not from 0 to 65535"),
        ("95 ^1, 5 ^^2", "split, part 2: \"^^2\" is no version requirement, at character 2"),
        ("95 ^1, % ^2", "split, part 1: \"^1, % ^2\" is no version"),
        ("95^1, 5 ^2", "split: \"95^1\" does not begin with a weight"),
        ("95 ^1, 5 v2", "split, part 2: \"v2\" is no version"),
        ("0 ^1, 0 ^2", "split: all weights are 0"),
        ("1 ^1, 2 1", "split: ^1 has two parts"),
        ("1 1,1 2,1 3,1 4,1 5,1 6,1 7,1 8,1 9", "split: 9 parts are not from 1 to 8"),
    ] {
        let error = text.parse::<Split>().unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().starts_with(says), "{text}: {error}");
    }
    assert!(Split::new([]).is_err());
}

proptest! {
    #[test]
    fn what_it_shows_reads_as_itself(weights in proptest::collection::vec(0u16.., 1..8), ranges: bool) {
        let requirement = |major: usize| {
            let text = if ranges { format!(">={major}, <{major}.9") } else { format!("^{major}") };
            text.parse().unwrap()
        };
        let parts = weights.iter().enumerate().map(|(at, weight)| (*weight, requirement(at)));
        if let Ok(split) = Split::new(parts) {
            prop_assert_eq!(split.to_string().parse::<Split>().unwrap(), split);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,30}|[0-9 ,^%<>=.*]{0,30}") {
        let _read = text.parse::<Split>();
    }
}
