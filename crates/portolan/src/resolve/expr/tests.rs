//! What an expression means and which words a wrong one gets, as go-bexpr 0.1.2 answers; a great many more are compared
//! with a real Consul in the server's `tests/filters`.

use proptest::prelude::*;

use super::*;
use crate::model::{CheckScope, CheckState, Identity, Status, Weights};

fn web() -> Instance {
    let check = |id: &str, status| CheckState::new(id, "alive", status, CheckScope::Service);
    Instance::new(Identity::new("dc1", "n1", "web-1"), "web", "10.0.0.1", 80)
        .with_tags(["blue", "v.1"])
        .with_meta([("team", "shop"), ("a-b", "x y"), ("empty", "")])
        .with_weights(Weights { passing: 3, warning: 1 })
        .with_checks(vec![
            check("one", Status::Passing),
            check("_service_maintenance:web-1", Status::Critical),
        ])
}

fn fits(text: &str) -> bool {
    let filter: Filter = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    filter.fits(&web())
}

fn words(text: &str) -> String {
    match text.parse::<Expression>().and_then(|read| read.over(Shape::Entries)) {
        Ok(_) => panic!("{text} is an expression"),
        Err(error) => error.words().to_owned(),
    }
}

#[test]
fn a_filter_is_shown_as_it_was_written_and_equal_to_one_that_says_the_same() {
    let filter = |text: &str| text.parse::<Filter>().unwrap();
    let (written, close) = ("Service.Port  ==  80", "Service.Port == 80");
    assert_eq!(filter(written).as_str(), written);
    assert_eq!(filter(written).to_string(), written);
    assert_eq!(format!("{:?}", filter(written)), format!("Filter({written:?})"));
    assert_eq!(filter(written), filter(close));
    assert_ne!(filter(written), filter("Service.Port == 81"));
}

#[test]
fn an_instance_fits_or_does_not() {
    for (text, expected) in [
        ("Service.ID == web-1", None),
        ("Service.ID == \"web-1\"", Some(true)),
        ("Service.Service==web", Some(true)),
        ("Service.Port != 80", Some(false)),
        ("Service.Port == \"0x50\"", Some(true)),
        ("blue in Service.Tags", Some(true)),
        ("Service.Tags contains \"v.1\"", Some(true)),
        ("Service.Tags not contains Blue", Some(true)),
        ("Service.Tags is not empty and Service.Meta is empty", Some(false)),
        ("team in Service.Meta", Some(true)),
        ("Service.Meta[`a-b`] == \"x y\"", Some(true)),
        ("Service.Meta.team matches \"^s.*p$\"", Some(true)),
        ("hop in Service.Meta.team", Some(true)),
        ("Service.Address == \"10.0.0.1\"", Some(true)),
        ("Service.Weights.Passing == 3 or nothing == asked", None),
        ("Service.Weights.Passing == 3 and Service.Weights.Warning == 1", Some(true)),
        ("Service.Weights.Passing == 1 or Service.Weights.Warning == 3", Some(false)),
        ("Node.Node == n1 and Node.Datacenter == dc1", Some(true)),
        // In a list: any of its members.
        ("Checks.Status == passing and Checks.Status != passing", Some(true)),
        ("Checks.Status == critical", Some(true)),
        ("Checks.Status == maintenance", Some(false)),
        ("not Checks.CheckID == one", Some(false)),
        ("Checks is empty", Some(false)),
        ("Checks.Name == alive", Some(true)),
        // A key that is missing.
        ("Service.Meta.none == \"\"", Some(false)),
        ("Service.Meta.none != x", Some(true)),
        ("x in Service.Meta.none", Some(false)),
        ("x not in Service.Meta.none", Some(true)),
        ("Service.Meta.none matches x", Some(true)),
        ("Service.Meta.none not matches x", Some(true)),
        ("Service.Meta.empty == ``", Some(true)),
        // `and` binds tighter than `or`, `not` tighter than both.
        ("Service.Port == 80 or Service.Port == 1 and Service.Port == 2", Some(true)),
        ("(Service.Port == 80 or Service.Port == 1) and Service.Port == 2", Some(false)),
        ("not Service.Port == 1 and Service.Port == 2", Some(false)),
        ("not (Service.Port == 1 and Service.Port == 2)", Some(true)),
        ("not not Service.Port == 80", Some(true)),
    ] {
        match expected {
            Some(expected) => assert_eq!(fits(text), expected, "{text}"),
            None => assert!(text.parse::<Filter>().is_err(), "{text}"),
        }
    }
}

#[test]
fn what_is_wrong_is_said_in_consuls_words() {
    for (text, expected) in [
        (
            "a =",
            r#"1:3 (2): no match found, expected: "!=", "==", "contains", "in", "is", "matches", "not" or [ \t\r\n]"#,
        ),
        ("a", r#"1:2 (1): no match found, expected: "!=", ".", "==", "[", [ \t\r\n] or [a-zA-Z0-9_]"#),
        (
            "   ",
            "1:4 (3): no match found, expected: \"(\", \"-\", \"0\", \"\\\"\", \"`\", \"not\", [ \\t\\r\\n], [1-9] or [a-zA-Z]",
        ),
        (
            "\n\n a\n b",
            r#"4:2 (6): no match found, expected: "!=", "==", "contains", "in", "is", "matches", "not" or [ \t\r\n]"#,
        ),
        ("Service.Port == 80)", r#"1:19 (18): no match found, expected: ".", [ \t\r\n], [0-9] or EOF"#),
        ("(Service.Port == 80", r#"1:20 (19): rule "grouping": Unmatched parentheses"#),
        ("Service.Port == 080", r#"1:18 (17): rule "number": Invalid number literal"#),
        ("x in ", r#"1:6 (5): rule "match": Invalid selector"#),
        ("Service.Tags[3] == 2", r#"1:14 (13): rule "index": Invalid index"#),
        (r#"Service.Tags["a" == 2"#, r#"1:18 (17): rule "index": Unclosed index expression"#),
        (r#"Service.Tags == "open"#, r#"1:22 (21): rule "string": Unterminated string literal"#),
        (r#"Service.ID == "\q""#, r#"1:15 (14): rule "string": invalid syntax"#),
        ("Foo == 1", r#"Selector "Foo" is not valid"#),
        ("Service.Meta.a.b == 1", r#"Selector "Service.Meta.a.b" is not valid"#),
        ("Service.Meta.a is empty", r#"Invalid match operator "Is Empty" for selector "Service.Meta.a""#),
        (
            "Service.Port == 1.0",
            r#"Failed to coerce value "1.0" for selector "Service.Port": strconv.ParseInt: parsing "1.0": invalid syntax"#,
        ),
        (
            "Service.Port == 9223372036854775808",
            r#"Failed to coerce value "9223372036854775808" for selector "Service.Port": strconv.ParseInt: parsing "9223372036854775808": value out of range"#,
        ),
        (
            "Service.EnableTagOverride == yes",
            r#"Failed to coerce value "yes" for selector "Service.EnableTagOverride": strconv.ParseBool: parsing "yes": invalid syntax"#,
        ),
        (
            "Service.ID matches \"(\"",
            "Failed to compile regular expression \"(\": error parsing regexp: missing closing ): `(`",
        ),
        (
            "Service.ID matches `a**`",
            "Failed to compile regular expression \"a**\": error parsing regexp: invalid nested repetition operator: `**`",
        ),
    ] {
        assert_eq!(words(text), expected, "{text}");
    }
}

#[test]
fn a_filter_that_is_wrong_names_the_place_and_what_is_allowed() {
    let wrong = |text: &str| text.parse::<Filter>().unwrap_err();
    assert_eq!(wrong("Service.Port == é").place(), Some(17));
    assert_eq!(wrong("Node.Meta.rack == a").place(), None);
    assert_eq!(
        wrong("Node.Meta.rack == a").to_string(),
        "filter: Selector \"Node.Meta\" is not valid; allowed: Node, Datacenter"
    );
    assert!(wrong("Service.Port in Service.Port").to_string().ends_with("; allowed: ==, !="));
    assert_eq!(Error::from(wrong("x")).kind(), crate::Kind::Config);
}

#[test]
fn patterns_are_gos() {
    let fits = |pattern: &str, text: &str| pattern::compiled(pattern).unwrap().is_match(text.as_bytes());
    for (pattern, text, expected) in [
        (r"^\d$", "٣", false),
        (r"^\w$", "é", false),
        (r"^.$", "é", true),
        (r"\s", "\u{b}", false),
        (r"^[[]$", "[", true),
        (r"^[&&a]+$", "a&", true),
        (r"^[a--b]$", "-", false),
        (r"^a{,3}$", "a{,3}", true),
        (r"^\Qa.b\E$", "a.b", true),
        (r"^\101$", "A", true),
        (r"(?i)^K$", "\u{212a}", true),
        (r"^[^\d]$", "x", true),
        ("^#$", "#", true),
    ] {
        if pattern == r"^[a--b]$" {
            assert!(pattern::compiled(pattern).is_err(), "a range from `a` down to `-`");
        } else {
            assert_eq!(fits(pattern, text), expected, "{pattern} on {text}");
        }
    }
    for pattern in
        ["(?x)a", r"\1", r"\8", r"\C", r"\Z", "a{1001}", "a{2,1}", "[z-a]", "[[:foo:]]", "*", "a|*", ")"]
    {
        assert!(pattern::compiled(pattern).is_err(), "{pattern}");
    }
    let big = "(a{1000}){1000}";
    let wrong = pattern::compiled(big).unwrap_err();
    assert_eq!(wrong, "error parsing regexp: expression too large");
}

#[test]
fn depth_and_length_have_a_bound() {
    let deep = |levels: usize| format!("{}a == b{}", "(".repeat(levels), ")".repeat(levels));
    assert!(deep(parse::DEEPEST - 1).parse::<Expression>().is_ok());
    let error = deep(100_000 / 16).parse::<Expression>().unwrap_err();
    assert!(error.words().contains("deeper than 64 levels"), "{error}");
    assert!(format!("{:1$}", "a == b", parse::LONGEST).parse::<Expression>().is_ok());
    let error = "a == b or ".repeat(2_000).parse::<Expression>().unwrap_err();
    assert!(error.words().contains("16384 are allowed"), "{error}");
    // Nothing takes long that fits: go-bexpr's cost grows with the power of the depth.
    let many = format!("{}a == b", "not ".repeat(4_000));
    assert!(many.parse::<Expression>().is_ok());
    assert!("(".repeat(16_000).parse::<Expression>().is_err());
    assert!("a[\"".repeat(5_000).parse::<Expression>().is_err());
}

#[test]
fn an_expression_is_written_with_values_in_quotes_and_keys_in_brackets_where_they_are_no_names() {
    for (text, written) in [
        ("a.b_1==c", "a.b_1 == \"c\""),
        ("not a[`b c`].d != `\"`", "not a[\"b c\"].d != \"\\x22\""),
        (
            "a[`_b`] is empty and (b in c or d is not empty)",
            "a[\"_b\"] is empty and (\"b\" in c or d is not empty)",
        ),
        (
            "a not contains b or a matches `\\.` or a not matches b",
            "\"b\" not in a or a matches \"\\\\.\" or a not matches \"b\"",
        ),
    ] {
        assert_eq!(text.parse::<Expression>().unwrap().to_string(), written);
    }
}

/// Pieces of expressions, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "Service",
        ".",
        "Meta",
        "[",
        "]",
        "(",
        ")",
        "\"a\"",
        "`b c`",
        "\"",
        "`",
        "==",
        "!=",
        "in",
        "not",
        "is",
        "empty",
        "contains",
        "matches",
        "and",
        "or",
        " ",
        " ",
        " ",
        "\n",
        "80",
        "-1",
        "1.5",
        "08",
        "é",
        "\"\\x22\"",
    ]);
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

/// Expressions, nearly all of which parse.
fn expressions() -> impl Strategy<Value = String> {
    let selector = prop::sample::select(vec!["Service.ID", "not", "Meta[\"a \\x22\"]", "a.b_1", "is"]);
    let value = prop::sample::select(vec!["b", "80", "`\\`", "\"\\u00e9\\n\"", "a[`x`].c", "\"\""]);
    let one = (selector, value, 0..8).prop_map(|(selector, value, operator)| match operator {
        0 => format!("{selector} == {value}"),
        1 => format!("{selector}!={value}"),
        2 => format!("{value} in {selector}"),
        3 => format!("{selector} not contains {value}"),
        4 => format!("{selector} is empty"),
        5 => format!("{selector} is not empty"),
        6 => format!("{selector} matches {value}"),
        _ => format!("{selector} not matches {value}"),
    });
    one.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.join(" and ")),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.join(" or ")),
            inner.clone().prop_map(|part| format!("not {part}")),
            inner.prop_map(|part| format!("({part} )")),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(text in prop_oneof![pieces(), expressions()]) {
        if let Ok(read) = text.parse::<Expression>() {
            let written = read.to_string();
            prop_assert_eq!(written.parse::<Expression>(), Ok(read), "{}", written);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".*") {
        if let Err(error) = text.parse::<Filter>()
            && let Some(place) = error.place()
        {
            prop_assert!((1..=text.chars().count().saturating_add(1)).contains(&place), "{}", error);
        }
        if let Ok(pattern) = pattern::compiled(&text) {
            let _fits = pattern.is_match(text.as_bytes());
        }
    }
}
