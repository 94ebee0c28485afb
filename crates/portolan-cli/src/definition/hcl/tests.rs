//! What is read, what is refused and in which line, and that no text does harm or takes long.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn refused(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

#[test]
fn each_form_is_read() {
    for (text, tree) in [
        ("", json!({})),
        ("# a\n// b\n/* c\n d */\n", json!({})),
        ("a = 1 # b\nc = 2 // d\ne /* f */ = /* g */ 3 /* h */", json!({"a": 1, "c": 2, "e": 3})),
        ("a = 1\r\nb = 2\r\n", json!({"a": 1, "b": 2})),
        ("a-b_2 = 1\né = 2\n\"c d\" = 3", json!({"a-b_2": 1, "é": 2, "c d": 3})),
        ("a = null\nb = true\nc = false\ntrue = 1", json!({"a": null, "b": true, "c": false, "true": 1})),
        ("a = [0, -1, - 2, 1.5, -0.25, 5e-1]", json!({"a": [0, -1, -2, 1.5, -0.25, 0.5]})),
        ("a = [1.0, 1e3, 2E+1, -0.0, 007]", json!({"a": [1, 1000, 20, 0, 7]})),
        ("a = [9223372036854775807, -9223372036854775808]", json!({"a": [i64::MAX, i64::MIN]})),
        ("a = 18446744073709551616", json!({"a": 18_446_744_073_709_551_616.0})),
        (
            "a = []\nb = [\n]\nc = [1,]\nd = [\n1 # x\n,\n2,\n]",
            json!({"a": [], "b": [], "c": [1], "d": [1, 2]}),
        ),
        ("a {}\nb {\n}\nc { d = 1 }", json!({"a": [{}], "b": [{}], "c": [{"d": 1}]})),
        ("a {\nb = 1\n}\na {\nb = 2\n}", json!({"a": [{"b": 1}, {"b": 2}]})),
        ("a = [{ b = 1 }]\na { b = 2 }", json!({"a": [{"b": 1}, {"b": 2}]})),
        ("a { b = 1, c = 2 }", json!({"a": [{"b": 1, "c": 2}]})),
        ("\"a\" {\n\"b\" = 1\n}", json!({"a": [{"b": 1}]})),
        ("a = { b = 1, c : 2\n\"d\": 3, }", json!({"a": {"b": 1, "c": 2, "d": 3}})),
        ("a = {\nb {\nc = 1\n}\n}", json!({"a": {"b": [{"c": 1}]}})),
    ] {
        assert_eq!(parse(text).expect(text), tree, "{text}");
    }
}

#[test]
fn a_text_is_what_stands_there() {
    for (written, meant) in [
        (r#""""#, ""),
        (r#""a # b // c""#, "a # b // c"),
        (r#""\n\r\t\"\\""#, "\n\r\t\"\\"),
        (r#""\u00e9\U0001F600é""#, "é😀é"),
        (r#""a ${b} c""#, "a ${b} c"),
        (r#""a\t${b("c", {d = "e"})}""#, "a\t${b(\"c\", {d = \"e\"})}"),
        (r#""a $${b} %%{c}""#, "a ${b} %{c}"),
        (r#""$${a} ${b}""#, "$${a} ${b}"),
        (r#""%{a} $ % $a""#, "%{a} $ % $a"),
        ("<<A\nA", ""),
        ("<<A\n\nA", "\n"),
        ("<<A\n  b \\n ${c} $${d}\n AB\n  A", "  b \\n ${c} $${d}\n AB\n"),
        ("<<A\r\nb\r\nA\r\n", "b\r\n"),
        ("<<-A\n    b\n\n      c\n  A", "b\n\n  c\n"),
        ("<<-A\n  b\nc\nA", "  b\nc\n"),
    ] {
        let text = format!("a = [{written}, {{ b = {written}\n}}]");
        assert_eq!(parse(&text).expect(&text), json!({"a": [meant, {"b": meant}]}), "{text}");
    }
}

#[test]
fn nothing_is_calculated() {
    for value in [
        "web",
        "web.b",
        "upper(\"web\")",
        "1 + 1",
        "1-1",
        "\"a\" == \"b\"",
        "true ? 1 : 2",
        "!true",
        "-a",
        "- {}",
        "--1",
        "(1)",
        "a[0]",
        "[for a in b : a]",
        "{for a, b in c : a => b}",
        "\"a\".b",
        "[1, b]",
        "{ c = 1 * 2 }",
    ] {
        let error = refused(&format!("\na {{\n  b = {value}\n}}"));
        assert!(error.starts_with("a.b"), "{error}");
        assert!(
            error.contains("it is to be calculated, which a definition cannot (line 3); write the"),
            "{error}"
        );
    }
}

/// Texts, and how the error begins.
const REFUSED: &[(&str, &str)] = &[
    ("\na = [\n{ b = [1, c] }\n]", "a[0].b[1]: it is to be calculated, which a definition cannot (line 3)"),
    ("a = 1\na = 2", "a: it is given twice (line 2); leave one out"),
    ("a = {\nb = 1\nb = 2\n}", "a.b: it is given twice (line 3)"),
    ("a {\n}\na = 1", "a: it is given twice (line 3)"),
    ("a = 1\na {\n}", "a: it is given twice (line 2)"),
    ("a {\nb \"c\" d {\n}\n}", "a.b: the label \"c\" has no meaning here (line 2); leave it out"),
    (
        "a = \"${b}\\\\\"",
        "a: a text with ${…} and \\ is not read alike everywhere (line 1); write this file in JSON",
    ),
    ("a {\nb", "it is no HCL: line 2: \"b\" has no value; write key = value"),
    ("a b", "it is no HCL: line 1: \"a\" has no value"),
    ("a\n= 1", "it is no HCL: line 1: \"a\" has no value"),
    ("a : 1", "it is no HCL: line 1: \"a\" has no value"),
    ("a =\n1", "it is no HCL: line 1: here is no value; write one in the same line"),
    ("\n= 1", "it is no HCL: line 2: here is no key; write key = value, or key { … }"),
    ("a = { (b) = 1 }", "it is no HCL: line 1: here is no key"),
    ("a = { 1 = 1 }", "it is no HCL: line 1: here is no key"),
    ("\n}", "it is no HCL: line 2: the } ends nothing; leave it out"),
    ("\na {\nb = 1\n", "it is no HCL: line 2: the { has no end; write }"),
    ("\na = [1,\n", "it is no HCL: line 2: the [ has no end; write ]"),
    ("a = [1\n2]", "it is no HCL: line 2: something stands behind an item of a list; write a comma"),
    ("a = [,]", "it is no HCL: line 1: here is no value"),
    ("a = 1 b = 2", "it is no HCL: line 1: something stands behind a value; write one value, and each key"),
    ("a {\n} b {\n}", "it is no HCL: line 2: something stands behind a value"),
    ("\na = \"b\nc\"", "it is no HCL: line 2: the text in quotes has no end in its line; write \" after it"),
    ("\na = \"${b\n\"", "it is no HCL: line 2: a ${ in this text has no end; write } after it"),
    (
        "a = \"\\x41\"",
        "it is no HCL: line 1: a \\ in a text stands before what it has no meaning for; write \\n",
    ),
    ("a = \"\\u+041\"", "it is no HCL: line 1: a \\ in a text"),
    ("a = \"\\ud800\"", "it is no HCL: line 1: a \\ in a text"),
    ("\n/* a\n", "it is no HCL: line 2: the comment has no end; write */"),
    ("a = <<B\nc\n", "it is no HCL: line 1: the text after <<B has no end; write B in a line of its own"),
    ("a = << B\n", "it is no HCL: line 1: << is followed by a word and the end of the line; write <<END"),
    (
        "a = 10s",
        "it is no HCL: line 1: 10s is no number; write it as 1, -1, 1.5 or 1e3, or as a text: \"10s\"",
    ),
    ("a = 1.", "it is no HCL: line 1: 1. is no number"),
    ("a = 1e", "it is no HCL: line 1: 1e is no number"),
    ("a = 1e999", "it is no HCL: line 1: 1e999 is no number"),
    ("a = 10.0.0.1", "it is no HCL: line 1: 10.0.0.1 is no number"),
];

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_to_do() {
    for (text, says) in REFUSED {
        let error = refused(text);
        assert!(error.starts_with(says), "{text:?}: {error}\nexpected {says}");
    }
}

#[test]
fn the_depth_is_bounded_and_no_text_takes_long() {
    let nested = |open: &str, levels, close: &str| {
        parse(&format!("a = {}{}", open.repeat(levels), close.repeat(levels))).map(|_| ())
    };
    assert!(nested("[", DEEPEST, "]").is_ok());
    for (open, close) in [("[", "]"), ("{ b = ", "\n}"), ("{ b = [", "]\n}")] {
        assert!(nested(open, DEEPEST - 1, close).is_ok() || open != "[");
        let error = nested(open, DEEPEST + 1, close).unwrap_err().to_string();
        assert!(error.starts_with("it is no HCL: line 1: over 64 blocks, objects and lists"), "{error}");
    }
    // Each of these took a reader that tries one way after the other, or looks back, longer than anyone waits.
    let began = tokio::time::Instant::now();
    for open in ["{", "[", "-", "a {\n", "a = {", "a = [", "- {", "!", "(", "\"${", "/*", "<<A\n", "1-{\n- "]
    {
        for begin in ["", "a = ", "a {\nb =--{\n- - gs----1-"] {
            refused(&format!("{begin}{}", open.repeat(10_000)));
        }
    }
    let blocks = parse(&"a {\n}\n".repeat(100_000)).unwrap();
    assert_eq!(blocks["a"].as_array().map(Vec::len), Some(100_000));
    let long = format!(
        "{} {{\n{}\n}}",
        "k".repeat(200_000),
        (0..50_000).map(|n| format!("a{n} = 1\n")).collect::<String>()
    );
    assert!(parse(&long).is_ok());
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(
        text in "\\PC{0,200}|([\\[\\]{}()=:\",$%<>a-c0-9eé \\\\.\n\r\t#/*+-]|<<-?A\n|\nA|a = |\\$\\{|\\$\\$\\{|\\\\u00){0,200}"
    ) {
        for text in [text.clone(), format!("a = {text}"), format!("a {{\nb = [{text}]\n}}")] {
            match parse(&text) {
                Ok(tree) => prop_assert!(tree.is_object()),
                Err(wrong) => {
                    prop_assert!((1..=text.split('\n').count()).contains(&wrong.0.line), "{wrong:?}");
                    prop_assert!(wrong.to_string().contains("; "), "{wrong}");
                }
            }
        }
    }
}
