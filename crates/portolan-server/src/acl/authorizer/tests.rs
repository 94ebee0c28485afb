//! The authorizer against one that goes through all rules, and what Consul's own tables say.

use proptest::prelude::*;

use super::*;
use crate::acl::policy::parse;

fn of(text: &str, otherwise: DefaultPolicy) -> Authorizer {
    Authorizer::new([&parse(text).unwrap()], otherwise)
}

#[test]
fn the_name_counts_before_its_beginning_and_the_longest_beginning_before_the_others() {
    let rules = r#"
        service "web" { policy = "read" }
        service_prefix "" { policy = "write" }
        service_prefix "we" { policy = "deny" }
        service_prefix "web-" { policy = "read" }
    "#;
    let may = of(rules, DefaultPolicy::Deny);
    for (name, read, write) in [
        ("web", true, false),
        ("we", false, false),
        ("webs", false, false),
        ("web-1", true, false),
        ("w", true, true),
        ("", true, true),
        ("ünlü", true, true),
    ] {
        assert_eq!(may.allows(Resource::Service, name, Access::Read), read, "read {name}");
        assert_eq!(may.allows(Resource::Service, name, Access::Write), write, "write {name}");
    }
}

#[test]
fn of_several_policies_a_denial_counts_and_then_what_allows_more() {
    let texts = [
        r#"node "a" { policy = "read" } node "b" { policy = "read" } key "k" { policy = "read" }"#,
        r#"node "a" { policy = "deny" } node "b" { policy = "write" } key "k" { policy = "list" }"#,
        r#"node "a" { policy = "write" } acl = "read""#,
        r#"acl = "write""#,
    ];
    let rules: Vec<_> = texts.iter().map(|text| parse(text).unwrap()).collect();
    let may = Authorizer::new(&rules, DefaultPolicy::Allow);
    assert!(!may.allows(Resource::Node, "a", Access::Read));
    assert!(may.allows(Resource::Node, "b", Access::Write));
    assert!(may.allows(Resource::Key, "k", Access::List) && !may.allows(Resource::Key, "k", Access::Write));
    assert!(may.allows(Resource::Acl, "", Access::Write));
    assert!(may.allows(Resource::Session, "any", Access::Write), "where no rule is");
    let may = of("", DefaultPolicy::Allow);
    assert!(!may.allows(Resource::Acl, "", Access::Read), "no default allows that");
}

#[test]
fn a_tree_of_keys_may_go_only_where_no_rule_below_forbids_it() {
    for (rules, allowed) in [
        (r#"key_prefix "a/" { policy = "write" }"#, true),
        (r#"key_prefix "a" { policy = "write" }"#, true),
        (r#"key_prefix "a/" { policy = "write" } key "a/x" { policy = "read" }"#, false),
        (r#"key_prefix "a/" { policy = "write" } key_prefix "a/x/" { policy = "deny" }"#, false),
        (r#"key_prefix "a/" { policy = "write" } key "b" { policy = "deny" }"#, true),
        (r#"key_prefix "a/" { policy = "list" }"#, false),
        (r#"key_prefix "a/b" { policy = "write" }"#, false),
        (r#"key "a/" { policy = "write" }"#, false),
        ("", false),
    ] {
        assert_eq!(of(rules, DefaultPolicy::Deny).writes_all_below("a/"), allowed, "{rules}");
    }
    assert!(of("", DefaultPolicy::Allow).writes_all_below("a/"));
    assert!(of(r#"key "b" { policy = "deny" }"#, DefaultPolicy::Allow).writes_all_below("a/"));
}

fn name() -> impl Strategy<Value = String> {
    "[aé]{0,3}"
}

fn rule() -> impl Strategy<Value = Rule> {
    let resource = prop::sample::select(&[Resource::Service, Resource::Node, Resource::Key][..]);
    let scope = prop_oneof![Just(Scope::Exact), Just(Scope::Prefix)];
    let access = prop::sample::select(&[Access::Deny, Access::Read, Access::List, Access::Write][..]);
    (resource, scope, name(), access)
        .prop_map(|(resource, scope, name, access)| Rule::new(resource, scope, &name, access))
}

/// The same by going through all rules.
fn model(rules: &[Rule], otherwise: DefaultPolicy, resource: Resource, name: &str, wanted: Access) -> bool {
    let on = |rule: &&Rule| rule.resource == resource;
    let merged = |found: Vec<&Rule>| {
        let deny = found.iter().any(|rule| rule.access == Access::Deny);
        let most = found.iter().map(|rule| rule.access).max();
        if deny { Some(Access::Deny) } else { most }
    };
    let exact =
        rules.iter().filter(on).filter(|rule| rule.scope == Scope::Exact && *rule.name == *name).collect();
    let begins: Vec<&Rule> = rules
        .iter()
        .filter(on)
        .filter(|rule| rule.scope == Scope::Prefix && name.starts_with(&*rule.name))
        .collect();
    let longest = begins.iter().map(|rule| rule.name.len()).max();
    let begins = begins.into_iter().filter(|rule| Some(rule.name.len()) == longest).collect();
    match merged(exact).or_else(|| merged(begins)) {
        None => otherwise == DefaultPolicy::Allow,
        Some(Access::Deny) => false,
        Some(Access::Read) => wanted == Access::Read,
        Some(Access::List) => wanted != Access::Write,
        Some(Access::Write) => true,
    }
}

proptest! {
    #[test]
    fn it_agrees_with_a_model_that_goes_through_all_rules(
        rules in prop::collection::vec(rule(), 0..12), split in 0..12_usize, allow in any::<bool>(),
        asked in prop::collection::vec(name(), 1..6),
    ) {
        let otherwise = if allow { DefaultPolicy::Allow } else { DefaultPolicy::Deny };
        let (one, other) = rules.split_at(split.min(rules.len()));
        let policies = [Rules(one.to_vec()), Rules(other.to_vec())];
        let may = Authorizer::new(&policies, otherwise);
        for resource in [Resource::Service, Resource::Node, Resource::Key, Resource::Session] {
            for wanted in [Access::Read, Access::List, Access::Write] {
                for name in &asked {
                    let expected = model(&rules, otherwise, resource, name, wanted);
                    prop_assert_eq!(may.allows(resource, name, wanted), expected, "{:?} {} {:?}", resource, name, wanted);
                }
            }
        }
        // Who sees all is refused no name, and who is refused one does not see all.
        let hidden = |resource| asked.iter().any(|name| !may.allows(resource, name, Access::Read));
        prop_assert!(!(may.sees_all() && (hidden(Resource::Service) || hidden(Resource::Node))));
    }
}
