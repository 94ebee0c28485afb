//! A row for each header; names start with the rule's number in COMPATIBILITY.md.

use http::{HeaderName, HeaderValue};

use super::*;

fn meta(pairs: &[(&'static str, &'static str)]) -> AnswerMeta {
    with_token(pairs, Token::None)
}

fn with_token(pairs: &[(&'static str, &'static str)], token: Token) -> AnswerMeta {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    read(&headers, token)
}

#[test]
fn h1_each_header_is_read_by_itself() {
    let all = [
        ("x-consul-index", "42"),
        ("x-consul-knownleader", "true"),
        ("x-consul-lastcontact", "17"),
        ("x-consul-effective-consistency", "stale"),
        ("x-consul-results-filtered-by-acls", "true"),
        ("x-consul-query-backend", "streaming"),
        ("x-consul-translate-addresses", "true"),
        ("age", "3"),
    ];
    let whole = meta(&all);
    let mut expected = AnswerMeta::new(42);
    expected.known_leader = Some(true);
    expected.last_contact = Some(Duration::from_millis(17));
    expected.consistency = Some(Consistency::Stale);
    expected.filtered_by_acls = Some(true);
    expected.streaming = true;
    expected.translated = true;
    expected.cache_age = Some(Duration::from_secs(3));
    assert_eq!(whole, expected);

    // One that is damaged costs only itself: all others read as before.
    for (damaged, (name, _)) in all.iter().enumerate() {
        let mut pairs = all;
        pairs[damaged].1 = "\u{fc}?";
        let mut seen = meta(&pairs);
        match *name {
            "x-consul-index" => seen.index = if seen.index == 1 { 42 } else { 0 },
            "x-consul-knownleader" => seen.known_leader = seen.known_leader.is_none().then_some(true),
            "x-consul-lastcontact" => {
                seen.last_contact = seen.last_contact.is_none().then_some(Duration::from_millis(17));
            }
            "x-consul-effective-consistency" => {
                seen.consistency = seen.consistency.is_none().then_some(Consistency::Stale);
            }
            "x-consul-results-filtered-by-acls" => {
                seen.filtered_by_acls = seen.filtered_by_acls.is_none().then_some(true);
            }
            "x-consul-query-backend" => seen.streaming = !seen.streaming,
            "x-consul-translate-addresses" => seen.translated = !seen.translated,
            _ => seen.cache_age = seen.cache_age.is_none().then_some(Duration::from_secs(3)),
        }
        assert_eq!(seen, whole, "{name} was damaged");
    }
}

#[test]
fn h2_a_missing_zero_or_unreadable_index_is_one() {
    for value in ["0", "", "-1", "x", "1.5", "18446744073709551616"] {
        assert_eq!(meta(&[("x-consul-index", value)]).index, 1, "{value:?}");
    }
    assert_eq!(meta(&[]).index, 1);
    assert_eq!(meta(&[("x-consul-index", "18446744073709551615")]).index, u64::MAX);
}

#[test]
fn h3_no_headers_say_nothing() {
    assert_eq!(meta(&[]), AnswerMeta::new(1));
}

#[test]
fn h4_something_may_be_hidden_where_a_token_or_the_policy_may_hide_it_and_nothing_says_so() {
    let deny = ("x-consul-default-acl-policy", "deny");
    let allow = ("x-consul-default-acl-policy", "allow");
    let says = ("x-consul-results-filtered-by-acls", "true");
    for (pairs, token, expected) in [
        (vec![], Token::None, false),
        (vec![], Token::Sent, true),
        (vec![allow], Token::None, false),
        (vec![deny], Token::None, true),
        (vec![deny, says], Token::Sent, false),
        (vec![says], Token::Sent, false),
    ] {
        assert_eq!(with_token(&pairs, token).maybe_acl, expected, "{pairs:?} {token:?}");
    }
}

#[test]
fn yes_and_no_are_read_and_anything_else_says_nothing() {
    for (word, expected) in [("true", Some(true)), (" false ", Some(false)), ("no", None), ("", None)] {
        let read = with_token(&[("x-consul-results-filtered-by-acls", word)], Token::Sent);
        assert_eq!(read.filtered_by_acls, expected, "{word:?}");
        assert_eq!(
            read.maybe_acl,
            expected.is_none(),
            "{word:?}: where nothing says so, a token may hide it"
        );
        assert_eq!(meta(&[("x-consul-knownleader", word)]).known_leader, expected);
    }
}

#[test]
fn c2_the_consistency_that_was_served_is_read() {
    for (word, expected) in [
        ("leader", Some(Consistency::Default)),
        ("stale", Some(Consistency::Stale)),
        ("consistent", Some(Consistency::Consistent)),
        ("lucky", None),
    ] {
        assert_eq!(meta(&[("x-consul-effective-consistency", word)]).consistency, expected);
    }
}
