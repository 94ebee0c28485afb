//! Rules as people and Consul write them, what is wrong with others, and any text.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Vec<(Resource, Scope, String, Access)> {
    let Rules(rules) = parse(text).unwrap();
    rules.into_iter().map(|rule| (rule.resource, rule.scope, rule.name.to_string(), rule.access)).collect()
}

#[test]
fn every_kind_of_rule_is_read() {
    let text = r#"
        # one
        service "web" { policy = "write" intentions = "read" } // two
        service_prefix "" { policy = "read", intentions = "deny" }
        /* three
           lines */ node_prefix "n-" { policy = "read" }
        key "a\"b\u00e9" { policy = "list" }
        session "s" { policy = "deny" }
        agent_prefix "" { policy = "read" } event "e" { policy = "write" } query_prefix "q" { policy = "read" }
        identity "i" { policy = "read" } unknown "x" { anything = [1, 2, {}] } Node far { Policy = "write" }
        operator = "read" acl = "write" keyring = "deny" mesh = "read" peering = "read"
    "#;
    use Access::{Deny, List, Read, Write};
    use Scope::{Exact, Prefix};
    let expected = [
        (Resource::Service, Exact, "web", Write),
        (Resource::Service, Prefix, "", Read),
        (Resource::Node, Prefix, "n-", Read),
        (Resource::Key, Exact, "a\"bé", List),
        (Resource::Session, Exact, "s", Deny),
        (Resource::Agent, Prefix, "", Read),
        (Resource::Event, Exact, "e", Write),
        (Resource::Query, Prefix, "q", Read),
        (Resource::Identity, Exact, "i", Read),
        (Resource::Node, Exact, "far", Write),
        (Resource::Operator, Prefix, "", Read),
        (Resource::Acl, Prefix, "", Write),
        (Resource::Keyring, Prefix, "", Deny),
        (Resource::Mesh, Prefix, "", Read),
        (Resource::Peering, Prefix, "", Read),
    ];
    let expected: Vec<_> =
        expected.map(|(of, scope, name, access)| (of, scope, name.to_owned(), access)).into();
    assert_eq!(read(text), expected);
}

#[test]
fn json_of_the_same_shape_means_the_same() {
    for (hcl, json) in [
        (
            r#"service "web" { policy = "write" } service "db" { policy = "read" } acl = "read""#,
            r#"{"service":{"web":{"policy":"write"},"db":{"policy":"read"}},"acl":"read"}"#,
        ),
        (
            r#"node "a" { policy = "deny" } node "a" { policy = "write" }"#,
            r#" {"node":[{"a":{"policy":"deny"}},{"a":{"policy":"write"}}]}"#,
        ),
        (
            r#"node "a" { policy = "deny" } node "a" { policy = "write" }"#,
            r#"{"node":{"a":{"policy":"deny"},"a":{"policy":"write"}}}"#,
        ),
        (r#"service = { "web" = { policy = "read" } }"#, r#"{"service":{"web":{"policy":"read"}}}"#),
        ("", "{}"),
        ("  # nothing", r#"{"acl":"","acl2":null}"#),
    ] {
        assert_eq!(read(hcl), read(json), "{hcl}");
    }
}

/// Texts, and what Consul 1.21.4 says of them; from the parser on, where it says something else, what we do.
const WRONG: &[(&str, &str)] = &[
    (
        r#"service "web" { policy = "wri" }"#,
        r#"Invalid service policy: &acl.ServiceRule{Name:"web", Policy:"wri", Intentions:"", EnterpriseRule:acl.EnterpriseRule{}}"#,
    ),
    (
        r#"service "web" { policy = 3 }"#,
        r#"Invalid service policy: &acl.ServiceRule{Name:"web", Policy:"3", Intentions:"", EnterpriseRule:acl.EnterpriseRule{}}"#,
    ),
    (
        r#"service "a" "b" { policy = "read" }"#,
        r#"Invalid service policy: &acl.ServiceRule{Name:"a", Policy:"", Intentions:"", EnterpriseRule:acl.EnterpriseRule{}}"#,
    ),
    (
        r#"service "web" { policy = "read" intentions = "x" }"#,
        r#"Invalid service intentions policy: &acl.ServiceRule{Name:"web", Policy:"read", Intentions:"x", EnterpriseRule:acl.EnterpriseRule{}}"#,
    ),
    (
        r#"key_prefix "a" { policy = "x" }"#,
        r#"Invalid key_prefix policy: &acl.KeyRule{Prefix:"a", Policy:"x", EnterpriseRule:acl.EnterpriseRule{}}"#,
    ),
    (
        r#"session "a" { policy = "list" }"#,
        r#"Invalid session policy: &acl.SessionRule{Node:"a", Policy:"list"}"#,
    ),
    (r#"agent "a" { policy = "x" }"#, r#"Invalid agent policy: &acl.AgentRule{Node:"a", Policy:"x"}"#),
    (r#"event "a" { policy = "x" }"#, r#"Invalid event policy: &acl.EventRule{Event:"a", Policy:"x"}"#),
    (
        r#"query "a" { policy = "x" }"#,
        r#"Invalid query policy: &acl.PreparedQueryRule{Prefix:"a", Policy:"x"}"#,
    ),
    (
        r#"node_prefix "a" { policy = "x" }"#,
        r#"Invalid node_prefix policy: &acl.NodeRule{Name:"a", Policy:"x", EnterpriseRule:acl.EnterpriseRule{}}"#,
    ),
    (r#"acl = "list""#, r#"Invalid acl policy: "list""#),
    (r#"operator="x""#, r#"Invalid operator policy: "x""#),
    (r#"service "web" {"#, "Failed to parse ACL rules: At 1:16: object expected closing RBRACE got: EOF"),
    (
        r#"service_prefix "" = "read""#,
        "Failed to parse ACL rules: At 1:19: nested object expected: LBRACE got: ASSIGN",
    ),
    (
        "acl=\"read\"\nacl=\"write\"",
        "Failed to parse ACL rules: The argument \"acl\" at 2:1 was already set. Each argument can only be defined once",
    ),
    (
        r#"service "web" { policy = read }"#,
        "Failed to parse ACL rules: At 1:26: Unknown token: 1:26 IDENT read",
    ),
    (
        r#"acl = "read" garbage"#,
        "Failed to parse ACL rules: At 1:21: key 'garbage' expected start of object ('{') or assignment ('=')",
    ),
    ("!", "Failed to parse ACL rules: At 1:1: illegal char '!'"),
    (r#"service = "read""#, "Failed to parse ACL rules: At 1:1: service is not an object"),
    (
        r#"service { policy = "read" }"#,
        "Failed to parse ACL rules: At 1:11: service needs a name, as in service \"web\"",
    ),
    ("operator = true", "Failed to parse ACL rules: At 1:1: operator: it must be a text, such as \"read\""),
    ("{", "Failed to parse ACL rules: At 1:1: EOF while parsing an object at line 1 column 1"),
    ("/* open", "Failed to parse ACL rules: At 1:1: comment not terminated"),
    ("acl = \"read", "Failed to parse ACL rules: At 1:7: literal not terminated"),
    (
        "acl = <<E",
        "Failed to parse ACL rules: At 1:7: a here-document is not read here; write the text in quotes",
    ),
];

#[test]
fn what_is_wrong_is_told_in_consuls_words() {
    for (text, says) in WRONG {
        assert_eq!(parse(text).map_err(|bad| bad.to_string()), Err((*says).to_owned()), "{text}");
    }
}

#[test]
fn depth_has_an_end() {
    let deep = format!("x = {}", "[".repeat(100_000));
    assert!(parse(&deep).unwrap_err().to_string().contains("more than 32 objects and lists"));
    let deep = format!("{{\"x\":{}", "[".repeat(100_000));
    assert!(parse(&deep).unwrap_err().to_string().contains("recursion limit"));
}

fn text_of(rules: &[(usize, bool, String, usize)]) -> (String, String) {
    let named: Vec<Resource> = Resource::ALL.into_iter().filter(|resource| resource.is_named()).collect();
    let (mut hcl, mut json) = (String::new(), Vec::new());
    for (resource, prefix, name, access) in rules {
        let word = named.iter().cycle().nth(*resource).unwrap().as_str();
        let word = if *prefix { format!("{word}_prefix") } else { word.to_owned() };
        let access = ["deny", "read", "write"][*access];
        hcl.push_str(&format!("{word} {name:?} {{ policy = {access:?} }}\n"));
        json.push(format!("{:?}:{{{name:?}:{{\"policy\":{access:?}}}}}", word));
    }
    (hcl, format!("{{{}}}", json.join(",")))
}

proptest! {
    #[test]
    fn hcl_and_json_agree(rules in prop::collection::vec((0..20_usize, any::<bool>(), "[a-zä/_. -]{0,6}", 0..3_usize), 0..8)) {
        let (hcl, json) = text_of(&rules);
        let read = parse(&hcl).unwrap();
        prop_assert_eq!(read.0.len(), rules.len());
        prop_assert_eq!(read, parse(&json).unwrap());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*|[a-z\"{}=\\[\\],#/*\\\\ \n]{0,60}|\\{[a-z\":{},\\[\\]]{0,40}") {
        let _read = parse(&text);
    }

    #[test]
    fn a_text_that_is_cut_is_read_or_refused(at in 0..200_usize) {
        let text = r#"service "wéb" { policy = "write" intentions = "read" } /* x */ key_prefix "" { policy = "list" } acl = "read""#;
        let cut: String = text.chars().take(at).collect();
        let _read = parse(&cut);
    }
}
