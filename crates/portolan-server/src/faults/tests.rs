//! Rules as text, and plans: which fault hits which request.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn rule(text: &str) -> Rule {
    Rule::parse(text).unwrap()
}

#[test]
fn every_fault_is_read_as_it_is_written() {
    for fault in Fault::all() {
        let text = format!("GET /v1/health/service/* {fault} 0.25");
        let read = rule(&text);
        assert_eq!((read.fault(), read.to_string()), (fault, text));
    }
    assert_eq!(rule("* * delay:2s 1").fault(), Fault::Delay(Duration::from_secs(2)));
}

#[test]
fn a_rule_that_is_wrong_is_quoted_with_what_to_write() {
    for (text, says) in [
        (
            "GET /x reset",
            "fault \"GET /x reset\": 3 words, not 4; write METHOD PATH FAULT PROBABILITY, as in",
        ),
        ("", "fault \"\": 0 words, not 4"),
        ("get /x reset 1", "\"get\" is no method; write GET, PUT, POST, DELETE, HEAD, or * for any"),
        ("GET v1/x reset 1", "\"v1/x\" is no path; begin it with / or *"),
        ("GET /x rest 1", "\"rest\" is no fault; write one of lower-index, empty, empty-lower, 403,"),
        ("GET /x delay 1", "\"delay\" has no time; write \"delay:300ms\""),
        ("GET /x drip:soon 1", "\"drip:soon\" has no time; write \"drip:300ms\""),
        ("GET /x delay:11m 1", "\"delay:11m\" is longer than 10m0s"),
        ("GET /x reset 2", "\"2\" is no probability; write a number from 0 to 1"),
        ("GET /x reset -0.1", "\"-0.1\" is no probability"),
        ("GET /x reset NaN", "\"NaN\" is no probability"),
        ("GET /x reset often", "\"often\" is no probability"),
    ] {
        let error = Rule::parse(text).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.kind(), portolan::Kind::Config);
    }
}

#[test]
fn a_file_has_comments_one_seed_and_errors_with_their_line() {
    let text = "# for the night\nseed 42\n\nGET /a reset 0.5  # half\n* * 500 0.1\n";
    let plan = Plan::parse(text).unwrap();
    assert_eq!(plan, Plan::new(42, vec![rule("GET /a reset 0.5"), rule("* * 500 0.1")]));
    assert!(Plan::parse("").unwrap().is_empty());
    for (text, says) in [
        ("\nGET /a rest 1", "faults, line 2: fault \"GET /a rest 1\": \"rest\" is no fault"),
        ("seed x", "faults, line 1: seed: \"x\" is no whole number from 0; write one, as in \"seed 42\""),
        ("seed 1\nseed 2", "faults, line 2: a second seed"),
    ] {
        let error = Plan::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
}

#[test]
fn a_star_stands_for_anything_and_all_else_for_itself() {
    for (pattern, path, is) in [
        ("/v1/a", "/v1/a", true),
        ("/v1/a", "/v1/ab", false),
        ("*", "", true),
        ("*", "/any/thing", true),
        ("/v1/*", "/v1/", true),
        ("/v1/*", "/v1", false),
        ("/v1/*/web", "/v1/health/service/web", true),
        ("/v1/*/web", "/v1/web", false),
        ("*web", "/a/webweb", true),
        ("/*a*b*", "/xxaxxbxx", true),
        ("/*a*b", "/b/a", false),
        ("/ab*ba", "/aba", false),
    ] {
        assert_eq!(rule(&format!("* {pattern} reset 1")).is_for("GET", path), is, "{pattern} {path}");
    }
    assert!(!rule("PUT /a reset 1").is_for("GET", "/a"));
}

#[test]
fn the_first_rule_that_hits_is_the_only_one() {
    let plan = Plan::new(1, vec![rule("GET /a 500 0"), rule("GET /a 429 1"), rule("* * reset 1")]);
    for number in 0..100 {
        assert_eq!(plan.fault("GET", "/a", number), Some(Fault::TooMany));
        assert_eq!(plan.fault("PUT", "/a", number), Some(Fault::Reset));
    }
}

#[test]
fn a_plan_of_a_seed_never_changes() {
    let plan = Plan::parse("seed 7\nGET * reset 0.2\nGET * 500 0.2").unwrap();
    let drawn: String = (0..40)
        .map(|number| match plan.fault("GET", "/v1/health/service/web", number) {
            Some(Fault::Reset) => 'r',
            Some(_) => '5',
            None => '.',
        })
        .collect();
    assert_eq!(drawn, "..5......5....r55....rr.5r...r......r.r5");
}

#[test]
fn a_handle_numbers_requests_path_by_path_and_anew_under_a_new_plan() {
    let plan = Plan::parse("seed 3\n* * reset 0.5").unwrap();
    let alone = Faults::new(plan.clone());
    let alone: Vec<_> = (0..50).map(|_| alone.next("GET", "/a")).collect();
    let crowded = Faults::new(plan.clone());
    let round = |faults: &Faults| {
        let _other = faults.next("GET", "/b");
        faults.next("GET", "/a")
    };
    let first: Vec<_> = (0..50).map(|_| round(&crowded)).collect();
    crowded.set(plan);
    let second: Vec<_> = (0..50).map(|_| round(&crowded)).collect();
    assert_eq!((&first, &second), (&alone, &alone));
    assert!(crowded.injected() > 50, "{crowded:?}");
    crowded.clear();
    assert_eq!(crowded.next("GET", "/a"), None);
}

proptest! {
    #[test]
    fn a_rule_hits_as_often_as_it_says(seed: u64, percent in 0_u32..=100) {
        let plan = Plan::new(seed, vec![rule(&format!("* * reset {}", f64::from(percent) / 100.0))]);
        let hits = (0..2000).filter(|number| plan.fault("GET", "/a", *number).is_some()).count();
        let expected = 20 * usize::try_from(percent).unwrap();
        prop_assert!(hits.abs_diff(expected) < 150, "{hits} of {expected}");
        prop_assert!((1..100).contains(&percent) || hits == expected);
    }

    #[test]
    fn no_text_panics(text in ".{0,60}") {
        // Either a rule that is written as it was read, or an error that quotes it.
        match Rule::parse(&text) {
            Ok(read) => prop_assert_eq!(&Rule::parse(&read.to_string()).unwrap(), &read),
            Err(error) => {
                let quoted = format!("{:?}", &text);
                prop_assert!(error.to_string().contains(&quoted), "{error}");
            }
        }
        drop(Plan::parse(&text));
    }
}
