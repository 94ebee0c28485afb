//! Each form against cargo's semver, and each wrong text with the place where it is wrong.

use proptest::prelude::*;

use super::*;

fn requirement(text: &str) -> Requirement {
    text.parse().unwrap()
}

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

#[test]
fn each_form_accepts_what_it_says() {
    for (text, accepts, refuses) in [
        ("^2.1", &["2.1.0", "2.9.9", "2.1.0+build"][..], &["2.0.9", "3.0.0", "2.2.0-rc.1"][..]),
        ("2.1", &["2.1.0", "2.9.9"], &["2.0.9", "3.0.0"]),
        (">=1.4, <2", &["1.4.0", "1.99.0"], &["1.3.9", "2.0.0", "2.0.0-rc.1"]),
        ("=1.2.3", &["1.2.3", "1.2.3+7"], &["1.2.4", "1.2.3-rc.1"]),
        ("1.4.*", &["1.4.0", "1.4.7"], &["1.5.0"]),
        ("*", &["0.0.1", "9.0.0"], &["1.0.0-rc.1"]),
        (">=2.0.0-rc.1", &["2.0.0-rc.2", "2.0.0", "3.1.0"], &["2.0.0-beta", "2.1.0-rc.1"]),
        ("^2 +pre", &["2.0.0-rc.1", "2.4.0-rc.1", "2.4.0"], &["3.0.0-rc.1", "1.9.0-rc.1", "3.0.0"]),
        ("<2.0.0 +pre", &["1.9.0-rc.1"], &["2.0.0-rc.1"]),
        ("latest", &["1.0.0"], &["1.0.0-rc.1"]),
        ("latest +pre", &["1.0.0", "1.0.0-rc.1"], &[]),
    ] {
        for found in accepts {
            assert!(requirement(text).matches(&version(found)), "{text} accepts {found}");
        }
        for found in refuses {
            assert!(!requirement(text).matches(&version(found)), "{text} refuses {found}");
        }
    }
}

#[test]
fn the_newest_is_the_newest_of_those_that_are_known() {
    for (text, known, resolved) in [
        ("latest", &["1.4.0", "2.0.0", "2.0.1", "2.1.0-rc.1"][..], Some("=2.0.1")),
        ("latest +pre", &["1.4.0", "2.0.1", "2.1.0-rc.1"], Some("=2.1.0-rc.1")),
        ("latest-minor", &["1.4.0", "2.0.0", "2.0.1", "2.1.0-rc.1"], Some("~2.0")),
        ("latest-minor +pre", &["2.0.1", "2.1.0-rc.1"], Some("~2.1 +pre")),
        ("latest", &["1.0.0-rc.1"], None),
        ("latest", &[], None),
        ("^7", &["1.0.0"], Some("^7")),
    ] {
        let known: Vec<Version> = known.iter().map(|text| version(text)).collect();
        let found = requirement(text).resolve(&known).map(|one| one.to_string());
        assert_eq!(found.as_deref(), resolved, "{text} among {known:?}");
    }
}

#[test]
fn builds_of_one_version_are_all_the_newest() {
    let known = [version("1.2.3+1"), version("1.2.3+2")];
    let newest = requirement("latest").resolve(&known).unwrap();
    assert!(known.iter().all(|one| newest.matches(one)));
}

#[test]
fn what_is_wrong_is_quoted_and_pointed_at() {
    for (text, place, problem) in [
        ("", 1, "it is empty"),
        ("^^14", 2, "unexpected character '^'"),
        (">=1.4, ^^2", 9, "unexpected character '^'"),
        (">=1.4 <2", 7, "expected comma"),
        ("1.x.3", 1, "unexpected"),
        ("1.2, two", 6, "unexpected character 't'"),
        ("newest", 1, "unexpected character 'n'"),
        ("v2", 1, "unexpected character 'v'"),
        ("ü", 1, "unexpected character"),
        ("1.2,", 5, "unexpected end"),
        ("^2.0.0-rc.1 +pre", 13, "names a pre-release already"),
        ("*, 1", 1, "wildcard"),
    ] {
        let wrong = text.parse::<Requirement>().unwrap_err();
        let shown = wrong.to_string();
        assert!(
            shown.starts_with(&format!("{text:?} is no version requirement, at character {place}: ")),
            "{shown}"
        );
        assert!(shown.contains(problem), "{shown}");
        assert_eq!((wrong.text(), wrong.place()), (text, place));
        assert_eq!(Error::from(wrong).kind(), crate::Kind::Config);
    }
    let longest = format!("{:255} +pre", "^2");
    assert_eq!(longest.parse(), Ok(requirement("^2 +pre")));
    assert!(format!("{longest} ").parse::<Requirement>().is_err());
    let longest = format!("=1.2.3-{}", "a".repeat(249));
    assert_eq!(requirement(&longest).to_string(), longest);
    let long = "1".repeat(300).parse::<Requirement>().unwrap_err();
    assert!(
        long.to_string().contains("it has 300 bytes; 256 are allowed") && long.text().len() == 64,
        "{long}"
    );
}

#[test]
fn one_that_is_shown_longer_than_it_was_written_is_refused_unless_it_reads_again() {
    let of = |count: usize| format!("{},1.2.3-{}", ["1.0.0"; 25].join(","), "a".repeat(count));
    let mut read = 0;
    for count in 1..120 {
        if let Ok(one) = of(count).parse::<Requirement>() {
            assert_eq!(one.to_string().parse(), Ok(one));
            read = count;
        }
    }
    assert!((20..100).contains(&read), "{read}");
}

#[test]
fn pre_releases_are_not_asked_for_twice() {
    assert_eq!(requirement("^2").with_pre(), requirement("^2 +pre"));
    assert_eq!(requirement("^2.0.0-rc.1").with_pre(), requirement("^2.0.0-rc.1"));
}

fn versions() -> impl Strategy<Value = Version> {
    let pre =
        prop_oneof![Just(""), Just("-rc.1"), Just("-rc.2"), Just("-alpha"), Just("+7"), Just("-rc.1+7")];
    (0u64..4, 0u64..4, 0u64..4, pre).prop_map(|(a, b, c, rest)| version(&format!("{a}.{b}.{c}{rest}")))
}

fn comparators() -> impl Strategy<Value = String> {
    let op =
        prop_oneof![Just(""), Just("^"), Just("~"), Just("="), Just(">"), Just(">="), Just("<"), Just("<=")];
    let rest = prop_oneof![Just(""), Just("-rc.1"), Just("-alpha")];
    (op, 0u64..4, proptest::option::of((0u64..4, proptest::option::of((0u64..4, rest))))).prop_map(
        |(op, major, minor)| match minor {
            None => format!("{op}{major}"),
            Some((minor, None)) => format!("{op}{major}.{minor}"),
            Some((minor, Some((patch, rest)))) => format!("{op}{major}.{minor}.{patch}{rest}"),
        },
    )
}

proptest! {
    #[test]
    fn it_agrees_with_cargos_semver(
        parts in proptest::collection::vec(comparators(), 1..4),
        found in versions(),
    ) {
        let text = parts.join(", ");
        let cargo = VersionReq::parse(&text).unwrap();
        prop_assert_eq!(requirement(&text).matches(&found), cargo.matches(&found), "{} {}", text, found);
        // With `+pre` nothing is refused that was accepted, and every release is as it was.
        if let Ok(also) = format!("{text} +pre").parse::<Requirement>() {
            prop_assert!(also.matches(&found) || !cargo.matches(&found));
            prop_assert!(!found.pre.is_empty() || also.matches(&found) == cargo.matches(&found));
        }
    }

    #[test]
    fn what_it_shows_reads_as_itself(parts in proptest::collection::vec(comparators(), 1..4), pre: bool) {
        let mut known = vec![requirement(&parts.join(",")), Requirement::latest(), Requirement::latest_minor()];
        known.push(Requirement::any());
        for one in known {
            let one = if pre { one.with_pre() } else { one };
            prop_assert_eq!(requirement(&one.to_string()), one);
        }
    }

    #[test]
    fn the_newest_fits_and_nothing_known_is_newer(known in proptest::collection::vec(versions(), 0..8), pre: bool) {
        let latest = if pre { Requirement::latest().with_pre() } else { Requirement::latest() };
        let wanted: Vec<&Version> = known.iter().filter(|one| pre || one.pre.is_empty()).collect();
        match latest.resolve(&known) {
            None => prop_assert!(wanted.is_empty()),
            Some(newest) => {
                let fits: Vec<_> = known.iter().filter(|one| newest.matches(one)).collect();
                prop_assert!(!fits.is_empty());
                for one in fits {
                    prop_assert!(wanted.iter().all(|other| other.cmp_precedence(one).is_le()));
                }
            }
        }
        let line = if pre { Requirement::latest_minor().with_pre() } else { Requirement::latest_minor() };
        let newest = wanted.iter().max_by(|one, other| one.cmp_precedence(other));
        let line = line.resolve(&known);
        prop_assert_eq!(line.is_some(), newest.is_some());
        if let (Some(line), Some(newest)) = (line, newest) {
            for one in &known {
                let same = (one.major, one.minor) == (newest.major, newest.minor);
                prop_assert_eq!(line.matches(one), same && wanted.contains(&one));
            }
        }
    }

    #[test]
    fn any_text_is_a_requirement_or_an_error_that_points_into_it(text in "\\PC{0,40}|[\\^~<>=,. 0-9a-z*+-]{0,20}") {
        match text.parse::<Requirement>() {
            Ok(one) => prop_assert_eq!(requirement(&one.to_string()), one),
            Err(wrong) => prop_assert!((1..text.chars().count().saturating_add(2)).contains(&wrong.place()), "{}", wrong),
        }
    }
}
