//! Each genre on a small source, and where the new text says it is.

use super::*;
use crate::mutants::list::{Place as At, Span};

/// A mutant of the first place where the source says `what`.
fn mutant(source: &str, genre: Genre, what: &str, replacement: &str) -> Mutant {
    let (before, _) = source.split_once(what).unwrap();
    let start = At {
        line: before.matches('\n').count() + 1,
        column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
    };
    Mutant {
        file: "a.rs".to_owned(),
        name: String::new(),
        genre,
        replacement: replacement.to_owned(),
        span: Span { start },
        function: None,
    }
}

fn rewritten(source: &str, mutants: &[(Genre, &str, &str)]) -> Rewritten {
    let mutants: Vec<Mutant> =
        mutants.iter().map(|(genre, what, new)| mutant(source, *genre, what, new)).collect();
    let numbered: Vec<(usize, &Mutant)> = (1..).zip(&mutants).collect();
    rewrite(source, &numbered, &BTreeSet::new()).unwrap()
}

#[test]
fn each_genre_is_written_at_its_place() {
    let table = [
        (
            "fn f() -> u8 { g() }",
            Genre::FnValue,
            "g()",
            "1",
            "fn f() -> u8 { if crate::mutant() == 1 { return 1; } g() }",
        ),
        (
            "fn f() { a < b }",
            Genre::BinaryOperator,
            "<",
            "<=",
            "fn f() { (match crate::mutant() { 1 => { a <= b }, _ => (a < b)}) }",
        ),
        (
            "fn f() { g(!a) }",
            Genre::UnaryOperator,
            "!",
            "",
            "fn f() { g((match crate::mutant() { 1 => { a }, _ => (!a)})) }",
        ),
        (
            "fn f() { match a { Some(1) => b, _ => c } }",
            Genre::MatchArm,
            "Some",
            "",
            "fn f() { match a { Some(1) if crate::mutant() != 1 => b, _ => c } }",
        ),
        (
            "fn f() { match a { x if g(x) => b, _ => c } }",
            Genre::MatchArmGuard,
            "g(x)",
            "true",
            "fn f() { match a { x if (match crate::mutant() { 1 => { true }, _ => (g(x))}) => b, _ => c } }",
        ),
        (
            "fn f() { S { a: 1, b, ..c } }",
            Genre::StructField,
            "b,",
            "",
            "fn f() { (match crate::mutant() { 1 => { S { a: 1,  ..c } }, _ => (S { a: 1, b, ..c })}) }",
        ),
    ];
    for (source, genre, what, replacement, expected) in table {
        assert_eq!(rewritten(source, &[(genre, what, replacement)]).text, expected);
    }
}

#[test]
fn a_chain_of_operators_is_written_out_whole() {
    let found = rewritten(
        "fn f() { a && b || c }",
        &[(Genre::BinaryOperator, "&&", "||"), (Genre::BinaryOperator, "||", "&&")],
    );
    assert_eq!(
        found.text,
        "fn f() { (match crate::mutant() { 1 => { a || b || c }, 2 => { a && b && c }, _ => (a && b || c)}) }"
    );
}

#[test]
fn what_is_inside_what_is_changed_is_changed_in_the_original_only() {
    let found = rewritten(
        "fn f() -> bool { !(a < b) }",
        &[(Genre::UnaryOperator, "!", ""), (Genre::BinaryOperator, "<", ">"), (Genre::FnValue, "!", "true")],
    );
    assert_eq!(
        found.text,
        "fn f() -> bool { if crate::mutant() == 3 { return true; } (match crate::mutant() { 1 => { (a < b) }, _ => \
         (!((match crate::mutant() { 2 => { a > b }, _ => (a < b)})))}) }"
    );
}

#[test]
fn beside_a_let_only_what_has_a_value_is_changed() {
    let source =
        "fn f() { if let Some(a) = b && a < 1 { g() } match x { y if let Some(_) = y => 1, _ => 2 } }";
    let found = rewritten(
        source,
        &[
            (Genre::BinaryOperator, "&&", "||"),
            (Genre::BinaryOperator, "<", ">"),
            (Genre::MatchArmGuard, "let Some(_)", "true"),
        ],
    );
    assert_eq!(
        found.places.iter().flat_map(|place| place.ids.clone()).collect::<BTreeSet<_>>(),
        BTreeSet::from([2])
    );
    assert!(found.text.contains("= b && (match crate::mutant() { 2 => { a > 1 }"), "{}", found.text);
}

#[test]
fn a_place_is_found_after_letters_of_several_bytes_and_told_in_the_new_text() {
    let found = rewritten("fn f() {\n    g(\"ä→\", a + b)\n}", &[(Genre::BinaryOperator, "+", "-")]);
    let at = |kind, len: fn(&Place) -> usize| {
        let place =
            found.places.iter().filter(|place| place.kind == kind).min_by_key(|place| len(place)).unwrap();
        found.text.get(place.bytes.clone()).unwrap()
    };
    assert_eq!(at(Kind::Written, |place| place.bytes.len()), "{ a - b }");
    assert_eq!(
        at(Kind::Around, |place| place.bytes.len()),
        "(match crate::mutant() { 1 => { a - b }, _ => (a + b)})"
    );
}

#[test]
fn functions_are_constant_no_more_but_those_that_must_be() {
    let source = "pub const fn f() {} impl S { const fn g() {} } const X: u8 = 1;";
    let found = rewrite(source, &[], &BTreeSet::from(["g".to_owned()])).unwrap();
    assert_eq!(found.text, "pub  fn f() {} impl S { const fn g() {} } const X: u8 = 1;");
    assert_eq!(found.freed, BTreeSet::from(["f".to_owned()]));
    assert!(rewrite("fn f( {", &[], &BTreeSet::new()).is_err());
}

#[test]
fn a_value_that_is_given_at_once_stands_around_the_body_and_an_arm_around_its_match() {
    let source = "fn f() -> X { g(); match a { Some(1) => b, _ => c } }";
    let found = rewritten(source, &[(Genre::FnValue, "g()", "1"), (Genre::MatchArm, "Some", "")]);
    let around: Vec<_> = found.places.iter().filter(|place| place.kind == Kind::Around).collect();
    let text = |nth: usize| found.text.get(around[nth].bytes.clone()).unwrap();
    assert_eq!(
        (text(0), &*around[0].ids),
        ("match a { Some(1) if crate::mutant() != 2 => b, _ => c }", &[2][..])
    );
    assert_eq!(around[1].ids, [1]);
    assert!(text(1).starts_with("{ if crate::mutant() == 1") && text(1).ends_with("c } }"), "{}", text(1));
}
